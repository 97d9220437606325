"""How much people use, by hour and weekday: factors around a mean of 1, in local time."""

import numpy as np

from simulators.engine import Floats
from simulators.weather import DAY_S, LOCAL_S, YEAR_S

STEP_S = 900
WEEK_STEPS = 7 * 96

# One factor an hour from midnight. Shapes after the usual diurnal curves: two peaks at home, office hours in commerce.
_HOME = (0.32, 0.24, 0.2, 0.2, 0.26, 0.55, 1.25, 1.75, 1.5, 1.15, 1.05, 1.15,
         1.3, 1.05, 0.85, 0.85, 0.95, 1.25, 1.7, 1.85, 1.6, 1.3, 0.95, 0.58)  # fmt: skip
_SHOP = (0.2, 0.15, 0.12, 0.12, 0.15, 0.25, 0.5, 0.9, 1.3, 1.5, 1.6, 1.7,
         1.8, 1.6, 1.5, 1.5, 1.5, 1.6, 1.7, 1.5, 1.2, 0.8, 0.5, 0.3)  # fmt: skip
_WORKS = (0.7, 0.7, 0.7, 0.7, 0.7, 0.75, 0.9, 1.2, 1.35, 1.35, 1.35, 1.25,
          1.1, 1.3, 1.35, 1.35, 1.3, 1.15, 0.95, 0.85, 0.8, 0.75, 0.7, 0.7)  # fmt: skip
_COOK = (0.25, 0.2, 0.2, 0.2, 0.3, 0.7, 1.5, 1.4, 0.9, 0.8, 1.1, 1.9,
         1.6, 0.8, 0.6, 0.6, 0.9, 1.9, 2.4, 1.9, 1.4, 1.1, 0.8, 0.4)  # fmt: skip
SHAPES: dict[str, tuple[float, ...]] = {
    "residential": _HOME,
    "commercial": _SHOP,
    "industrial": _WORKS,
    "cooking": _COOK,
}
_WEEKEND = {"residential": 1.08, "commercial": 1.15, "industrial": 0.55, "cooking": 1.1}


def week(kind: str, rng: np.random.Generator) -> Floats:
    """One week from Monday 00:00 local in steps of 15 minutes, shape (672,), mean 1, with 4 % of correlated noise."""
    hours = np.asarray(SHAPES[kind])
    day = np.interp(np.arange(96) / 4, np.arange(25), np.append(hours, hours[0]))
    days = [day * (_WEEKEND[kind] if weekday >= 5 else 1.0) for weekday in range(7)]
    noise = np.convolve(rng.normal(0, 1, WEEK_STEPS + 7), np.ones(8) / 8, mode="valid") * np.sqrt(8) * 0.04
    factors = np.concatenate(days) * (1 + noise)
    return np.asarray(np.clip(factors / factors.mean(), 0.02, None))


def week_step(time: float) -> int:
    """Index into ``week`` of the step that holds ``time`` (epoch seconds)."""
    # 1 January 1970 was a Thursday, three days into its week.
    return int((time + LOCAL_S + 3 * DAY_S) // STEP_S) % WEEK_STEPS


def season(time: float) -> float:
    """How much more water the warm season uses: 1 over the year, 12 % more in late July, 12 % less in late January."""
    return float(1 + 0.12 * np.cos(2 * np.pi * ((time + LOCAL_S) / YEAR_S - 205 / 365.25)))


def at(factors: Floats, time: float) -> float:
    """The factor at ``time``, interpolated between steps."""
    step = week_step(time)
    share = ((time + LOCAL_S + 3 * DAY_S) % STEP_S) / STEP_S
    return float(factors[step] + share * (factors[(step + 1) % WEEK_STEPS] - factors[step]))
