"""Health of the sensors: a sick sensor is a matter of maintenance, never of risk, and its word is no evidence.

flatline    every reading of the window equals the others within the resolution, of a sensor that used to move
noise       sd of successive differences beyond a multiple of the usual one (von Neumann 1941: immune to slow change)
drift       EWMA of the residual against the neighbours, one-sided for long, without any of them taking part
rate        change per second between two readings beyond what the quantity can do
spikes      single readings far off from the reading before and the one after, while these two agree
clock skew  the device's own time against the time of arrival
drop-out    share of the expected readings that came
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import charts, robust

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MIN_FLAT_READINGS = 10
NOISE_RATIO = 4.0
LONELY = 1
"""So many readings that stand alone within an hour make a sensor doubtful (default)."""
SPIKE = 20.0
"""A single reading so many times the usual noise off is no reading of the process (default)."""


class Noise(NamedTuple):
    """Sigma of the reading noise in the window, and its ratio to the usual one, (sensor,)."""

    sigma: Floats
    ratio: Floats


class Skew(NamedTuple):
    """Median and smallest lateness of each device, seconds (device,): lateness varies, skew does not."""

    median_s: Floats
    least_s: Floats


def flatline(values: Floats, resolution: Floats | float, usual_sigma: Floats) -> Bools:
    """Sensors of (time, sensor) that stand still: max - min below `resolution`, with MIN_FLAT_READINGS readings.

    `usual_sigma` (sensor,) is the spread that the sensor has over a window of this length: one that always stands still
    (an empty pond, a closed valve) is healthy, so it must exceed the resolution.
    """
    count = np.sum(~np.isnan(values), axis=0)
    high = np.fmax.reduce(values, axis=0, initial=-np.inf)
    low = np.fmin.reduce(values, axis=0, initial=np.inf)
    span = np.where(count > 0, high - low, np.inf)
    still = (span < resolution) | (span == 0)
    stuck: Bools = (count >= MIN_FLAT_READINGS) & still & (usual_sigma > resolution)
    return stuck


def noise_sigma(values: Floats) -> Floats:
    """Noise of each sensor of (time, sensor) by the median absolute second difference; blind to level and trend.

    sigma = 1.4826 MAD(x_t - 2 x_{t-1} + x_{t-2}) / sqrt(6), the variance of that difference being six sigma squared.
    """
    if len(values) < 3:
        return np.full(values.shape[1], np.nan)
    sigma: Floats = robust.MAD_TO_SIGMA * robust.median(np.abs(np.diff(values, n=2, axis=0))) / np.sqrt(6.0)
    return sigma


def noise(values: Floats, usual_sigma: Floats, resolution: Floats | float) -> Noise:
    """Noise of the window against the usual `noise_sigma` (sensor,), floored with the resolution.

    Sick above NOISE_RATIO.
    """
    sigma = noise_sigma(values)
    return Noise(sigma, sigma / np.maximum(usual_sigma, resolution))


def drift(smoothed: Floats, limit: Floats, neighbours: Bools) -> Floats:
    """Score of drift against the neighbours, (sensor,), 1 being the limit.

    `smoothed` (time, sensor): the EWMA of each sensor's residual (residual.judge) over LASTS_S; `limit` (sensor,) what
    may last so long (residual.Model.limit_lasting, in the sensor's unit); `neighbours` (sensor, sensor). A drift is a
    residual on one side throughout (charts.lasting), less what the most affected neighbour shows: several see an
    event, one a drift.
    """
    lasting = charts.lasting(smoothed / limit)
    others = neighbours & ~np.eye(len(neighbours), dtype=bool)
    shared = np.where(others, lasting[None, :], 0.0).max(axis=1, initial=0.0)
    score: Floats = np.maximum(lasting - shared, 0.0)
    return score


def impossible_rate(values: Floats, times: Floats, max_rate: Floats) -> Bools:
    """Readings of (time, sensor) that changed from the reading before by more than `max_rate` (sensor,) per second.

    The reading before may lie some gaps back. A change within the same second is measured over one second.
    """
    impossible = np.zeros(values.shape, dtype=bool)
    newest, at = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    for row, (reading, now) in enumerate(zip(values, np.asarray(times, dtype=float), strict=True)):
        impossible[row] = np.abs(reading - newest) > max_rate * np.maximum(now - at, 1.0)
        present = ~np.isnan(reading)
        newest, at = np.where(present, reading, newest), np.where(present, now, at)
    return impossible


def spikes(values: Floats, noise: Floats, least: float = SPIKE) -> NDArray[np.int64]:
    """How many readings of (time, sensor) stand alone, (sensor,): off from both neighbours by ``least`` times the usual
    ``noise`` (sensor,), on the same side, while these lie within half of that of each other. Gaps are passed over.
    """
    order = np.argsort(np.isnan(values), axis=0, kind="stable")
    dense = np.take_along_axis(values, order, axis=0)
    before, here, after = dense[:-2], dense[1:-1], dense[2:]
    with np.errstate(invalid="ignore"):
        off = np.where((here > before) == (here > after), np.minimum(np.abs(here - before), np.abs(here - after)), 0.0)
        alone = (off > least * noise) & (np.abs(before - after) < off / 2)
    return np.asarray(alone.sum(axis=0), np.int64)


def newest_two(values: Floats) -> tuple[Floats, Floats]:
    """The reading before the newest one of (time, sensor), and the newest, (sensor,); NaN where there is none."""
    rows = np.arange(1, len(values) + 1)[:, None]
    there = np.where(np.isnan(values), 0, rows)
    newest = there.max(axis=0, initial=0)
    before = np.where(there < newest, there, 0).max(axis=0, initial=0)
    padded = np.concatenate([np.full((1, values.shape[1]), np.nan), values])
    sensors = np.arange(values.shape[1])
    return padded[before, sensors], padded[newest, sensors]


def clock_skew(lateness_s: Floats) -> Skew:
    """Skew of each device by the lateness (time of arrival - own time) of its live messages, (message, device).

    A network delay only ever makes a message late: so a clock that is behind shows in the least lateness, one that is
    ahead in a negative median. Backlog data must be left out (NaN).
    """
    least = np.fmin.reduce(lateness_s, axis=0, initial=np.inf)
    return Skew(robust.median(lateness_s), np.where(np.isfinite(least), least, np.nan))


def skewed(skew: Skew, tolerance_s: float = 60.0) -> Bools:
    """Devices whose clock is wrong by more than the tolerance: ahead by the median, or behind by the least lateness."""
    return (np.nan_to_num(skew.median_s) < -tolerance_s) | (np.nan_to_num(skew.least_s) > tolerance_s)


def coverage(values: Floats, times: Floats, period_s: Floats) -> Floats:
    """Share of the expected readings that came over the window, (sensor,), at most 1; `period_s` (sensor,)."""
    span = float(times[-1] - times[0]) if len(times) else 0.0
    expected = np.maximum(span / period_s + 1, 1.0)
    share: Floats = np.minimum(np.sum(~np.isnan(values), axis=0) / expected, 1.0)
    return share
