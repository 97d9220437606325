"""Balance of a district: what goes in, less what comes out, less what is stored, is what is lost.

loss = supply - drawn - d(stored)/dt. For water: DMA inflow, metered outflow and use, tank volume. For gas: city gate,
metered use, line pack. The loss is averaged over a window long enough for meters that are not read at the same moment,
and judged as a share of supply against the clean period: alarm where it exceeds the usual share by 5 robust sigma, and
by at least MIN_SHARE of supply (the meters' own error).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust, rolling

Floats = NDArray[np.float64]

DAY_S = 86_400.0
MIN_DAYS = 5.0
"""Fewest clean days from which the spread of a day's balance is believed (default)."""
MIN_COVER = 0.8
"""Share of a day's rows that must be known (default)."""

WINDOW_S = 6 * 3600.0
MIN_SHARE = 0.02
SIGMAS = 5.0


@dataclass(frozen=True, slots=True)
class Usual:
    """Usual share of supply that is lost, and its sigma, (district,)."""

    share: Floats
    sigma: Floats


class Balance(NamedTuple):
    """Per (time, district): loss in the unit of supply, its share of supply, and the score (1 is the limit)."""

    loss: Floats
    share: Floats
    score: Floats


def loss(supply: Floats, drawn: Floats, stored: Floats | None, times: Floats, window_s: float = WINDOW_S) -> Floats:
    """Mean loss per hour over the trailing window, (time, district): flows per hour, `stored` in the same volume."""
    missing = supply - drawn
    if stored is not None and len(times) > 1:
        missing = missing - np.gradient(stored, np.asarray(times, dtype=float) / 3600.0, axis=0)
    return rolling.mean(missing, times, window_s)


def learn(supply: Floats, drawn: Floats, stored: Floats | None, times: Floats, window_s: float = WINDOW_S) -> Usual:
    """The usual share of a clean period of (time, district) flows."""
    middle, sigma, _ = robust.spread(_share(loss(supply, drawn, stored, times, window_s), supply, times, window_s))
    return Usual(middle, sigma)


def detect(
    usual: Usual, supply: Floats, drawn: Floats, stored: Floats | None, times: Floats, window_s: float = WINDOW_S
) -> Balance:
    """Loss, share and score of (time, district) flows; NaN where supply is zero or a meter is missing throughout."""
    lost = loss(supply, drawn, stored, times, window_s)
    share = _share(lost, supply, times, window_s)
    allowed = np.maximum(SIGMAS * usual.sigma, MIN_SHARE)
    return Balance(lost, share, (share - usual.share) / allowed)


class Day(NamedTuple):
    """Of the mean over a day: of the net inflow, in its unit, and of its share of supply; NaN where not known."""

    net: float
    net_sigma: float
    share: float
    share_sigma: float


def day_of(net: Floats, supply: Floats, times: Floats) -> tuple[Floats, Floats]:
    """Means over the trailing day of (time, 1) net inflow and supply; NaN where less than MIN_COVER of it is known."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else DAY_S
    count = rolling.total(np.where(np.isnan(net), np.nan, 1.0), times, DAY_S)
    full = np.nan_to_num(count) >= MIN_COVER * DAY_S / max(step, 1.0)
    return tuple(np.where(full, rolling.mean(flow, times, DAY_S), np.nan) for flow in (net, supply))  # type: ignore[return-value]


def usual_day(net: Floats, supply: Floats, times: Floats) -> Day:
    """What days of a clean period of (time, 1) flows are like: median, and sigma by the MAD and by the whole range.

    Days overlap, and a week holds both working days and weekends: sigma is no less than a third of the largest distance
    from the median, so that no clean day is beyond three of it.
    """
    known = float(np.sum(~np.isnan(net))) * (float(np.median(np.diff(times))) if len(times) > 1 else 0.0) / DAY_S
    daily, fed = day_of(net, supply, times)
    share = np.divide(daily, fed, out=np.full_like(daily, np.nan), where=fed > 0)
    if known < MIN_DAYS or np.isnan(daily).all():
        return Day(np.nan, np.nan, np.nan, np.nan)
    return Day(*_spread(daily), *_spread(share))


def _spread(values: Floats) -> tuple[float, float]:
    middle, sigma, _ = robust.spread(values)
    furthest = np.fmax.reduce(np.abs(values - middle), axis=None, initial=0.0)
    return float(middle[0]), max(float(sigma[0]), float(furthest) / 3)


class DayBalance(NamedTuple):
    """Of the newest day: mean net inflow, what was expected, what runs more than usual (a leak's estimate), all in the
    flow's unit; and the score, 1 being the limit."""

    net: float
    expected: float
    excess: float
    score: float


def judge_day(usual: Day, net: Floats, supply: Floats, times: Floats, *, metered_out: bool) -> DayBalance:
    """The trailing day of (time, 1) flows against usual days; NaN where either is not known.

    Where what leaves is metered too, the share of supply that goes missing is judged, which bears cold and holidays;
    else the net inflow itself. The limit is SIGMAS of clean days, and MIN_SHARE of supply at least.
    """
    daily, fed = (float(column[-1, 0]) if len(column) else np.nan for column in day_of(net, supply, times))
    expected = usual.share * fed if metered_out else usual.net
    sigma = usual.share_sigma * fed if metered_out else usual.net_sigma
    limit = max(SIGMAS * sigma, MIN_SHARE * abs(fed)) if np.isfinite(sigma + fed) else np.nan
    excess = daily - expected
    return DayBalance(daily, expected, excess, excess / limit if limit > 0 else np.nan)


def _share(lost: Floats, supply: Floats, times: Floats, window_s: float) -> Floats:
    supplied = rolling.mean(supply, times, window_s)
    usable = np.isfinite(supplied) & (supplied > 0) & np.isfinite(lost)
    return np.divide(lost, supplied, out=np.full_like(lost, np.nan), where=usable)
