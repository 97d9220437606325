"""Control charts over standardised residuals: EWMA, CUSUM, and one episode per event by hysteresis.

Every function takes a matrix (time, sensor), oldest row first, NaN where a sensor gave nothing. A gap holds a chart
where it was: no data is neither evidence of trouble nor evidence of its end.

Both charts step row by row over all sensors at once: on 60 rows x 100,000 sensors CUSUM takes a fifth of the time of
its closed form over the block (a running minimum of the cumulated sum), which goes through memory five times.

Sources. EWMA best of seven charts for bursts on nodal pressure: J. Hydroinformatics 17(2):307 (2015).
CUSUM: Page (1954).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EWMA_WEIGHT = 0.1
CUSUM_SLACK, CUSUM_LIMIT = 0.5, 8.0
"""k and h in standard deviations."""
CLEAR_AT = 0.8
"""An episode ends below this share of the limit that began it (default)."""


class Cusum(NamedTuple):
    """Cumulated exceedance above and below, (time, sensor), in standard deviations; both start at zero or `start`."""

    up: Floats
    down: Floats

    @property
    def last(self) -> tuple[Floats, Floats]:
        """The state to hand to the next block as `start`."""
        return self.up[-1], self.down[-1]


def ewma(values: Floats, weight: float = EWMA_WEIGHT, start: Floats | None = None) -> Floats:
    """s_t = (1 - a) s_{t-1} + a x_t, with s_{-1} = `start` (sensor,) or zero. NaN in x keeps s. Shape as `values`.

    Raises ValueError unless 0 < weight <= 1.
    """
    if not 0 < weight <= 1:
        raise ValueError(f"weight {weight} is not in (0, 1]")
    charted = np.empty_like(values)
    state = np.zeros(values.shape[1]) if start is None else start.astype(float)
    for row, value in enumerate(values):
        step = value - state
        step[np.isnan(step)] = 0.0
        state = state + weight * step
        charted[row] = state
    return charted


def lasting(charted: Floats) -> Floats:
    """The size that each chart of (time, sensor) held throughout on one side and for two thirds of the time exceeded,
    (sensor,): zero where it changed sides, or is not known."""
    above, below = np.nan_to_num(charted, nan=1.0) > 0, np.nan_to_num(charted, nan=-1.0) < 0
    size = np.nan_to_num(robust.quantile(np.abs(charted), 1 / 3))
    return np.where(above.all(axis=0) | below.all(axis=0), size, 0.0)


def ewma_spread(weight: float = EWMA_WEIGHT) -> float:
    """Standard deviation of the chart of independent residuals of standard deviation one: sqrt(a / (2 - a))."""
    return float(np.sqrt(weight / (2 - weight)))


def cusum(
    z: Floats,
    slack: float = CUSUM_SLACK,
    clip: float = np.inf,
    start: tuple[Floats, Floats] | None = None,
) -> Cusum:
    """S_t = max(0, S_{t-1} + z_t - k) upwards, the same of -z downwards; a sample counts for at most `clip`.

    NaN counts as no step at all. `clip` keeps one wild sample from being an alarm by itself.
    """
    up, down = np.empty_like(z), np.empty_like(z)
    above, below = (np.zeros(z.shape[1]),) * 2 if start is None else start
    missing = np.isnan(z)
    for row, sample in enumerate(z):
        bounded = np.clip(sample, -clip, clip)
        for chart, before, sign in ((up[row], above, np.add), (down[row], below, np.subtract)):
            sign(before, bounded, out=chart)
            np.subtract(chart, slack, out=chart)
            np.maximum(chart, 0.0, out=chart)
            np.copyto(chart, before, where=missing[row])
        above, below = up[row], down[row]
    return Cusum(up, down)


def episodes(score: Floats, begin: float = 1.0, clear: float = CLEAR_AT, start: Bools | None = None) -> Bools:
    """True from where `score` exceeds `begin` until it is below `clear`: one episode per event, (time, sensor).

    Between the two, and in gaps, the state before holds; `start` (sensor,) is the state before the first row.
    Raises ValueError when `clear` lies above `begin`.
    """
    if clear > begin:
        raise ValueError(f"clear {clear} lies above begin {begin}")
    if not len(score):
        return np.zeros(score.shape, dtype=bool)
    decided = (score > begin) | (score < clear)
    rows = np.arange(1, len(score) + 1)[:, None]
    latest = np.maximum.accumulate(np.where(decided, rows, 0), axis=0)
    before = np.zeros((1, score.shape[1]), dtype=bool) if start is None else start[None, :]
    states = np.concatenate([before, score > begin])
    return np.take_along_axis(states, latest, axis=0)


def most_of(flags: Bools, count: int, window: int) -> Bools:
    """Where at least `count` of the last `window` rows (the row itself included) are True, (time, sensor)."""
    if not 1 <= count <= window:
        raise ValueError(f"count {count} is not in 1 to window {window}")
    total = np.cumsum(flags, axis=0, dtype=np.int32)
    earlier = np.zeros_like(total)
    earlier[window:] = total[:-window]
    return (total - earlier) >= count
