"""Trailing windows in seconds over a matrix (time, sensor): total, mean, extremes, slope, and how long a state held.

The window of row t holds the rows with times in (t - window_s, t]. NaN is left out; a window without readings is NaN.
Times are epoch seconds, ascending, and need not be even.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]


BLOCK = 4096
"""Sensors at a time where a calculation needs many intermediate matrices: so that they stay in the cache."""
NARROW = 100
"""Sensors up to which one running sum of all rows is faster than a step a row, which is faster for many."""
LATELY_S, BEFORE_S = 600.0, 3000.0
"""What came lately, and what it is compared with (defaults)."""


def first_rows(times: Floats, window_s: float) -> Rows:
    """First row of the trailing window of each row, (time,)."""
    return np.searchsorted(times, np.asarray(times) - window_s, side="right").astype(np.int64)


def _totals(values: Floats, first: Rows) -> Floats:
    """Sums over rows first..t, (time, sensor): what comes is added, what leaves is taken off."""
    if values.shape[1] <= NARROW:
        until = np.zeros((len(values) + 1, values.shape[1]))
        np.cumsum(values, axis=0, out=until[1:])
        return until[1:] - until[first]
    sums = np.empty(values.shape)
    running = np.zeros(values.shape[1])
    left = 0
    for row, begin in enumerate(first.tolist()):
        running += values[row]
        for leaving in range(left, begin):
            running -= values[leaving]
        left = begin
        sums[row] = running
    return sums


def total(values: Floats, times: Floats, window_s: float) -> Floats:
    """Sum over the trailing window; NaN where the window has no reading."""
    first = first_rows(times, window_s)
    count = _totals((~np.isnan(values)).astype(float), first)
    return np.where(count > 0, _totals(np.nan_to_num(values), first), np.nan)


def carried(values: Floats, times: Floats, max_age_s: float) -> Floats:
    """Each gap filled with the reading before it, while that is no older than `max_age_s`; (time, sensor).

    Sensors that report at their own pace can so be compared at the same moment.
    """
    filled = np.empty_like(values)
    clock = np.asarray(times, dtype=float)
    newest, at = np.full(values.shape[1], np.nan), np.full(values.shape[1], -np.inf)
    for row, reading in enumerate(values):
        present = ~np.isnan(reading)
        newest = np.where(present, reading, newest)
        at = np.where(present, clock[row], at)
        filled[row] = np.where(clock[row] - at <= max_age_s, newest, np.nan)
    return filled


def mean(values: Floats, times: Floats, window_s: float) -> Floats:
    """Mean over the trailing window; NaN where the window has no reading."""
    first = first_rows(times, window_s)
    count = _totals((~np.isnan(values)).astype(float), first)
    summed = _totals(np.nan_to_num(values), first)
    return np.divide(summed, count, out=np.full_like(summed, np.nan), where=count > 0)


def change(values: Floats, times: Floats, fewest: int) -> Floats:
    """Each value less the mean of its sensor over BEFORE_S until LATELY_S ago: what came since, whatever the level.
    NaN where there were fewer than `fewest` readings before."""
    before = np.searchsorted(times, np.asarray(times) - LATELY_S, side="right") - 1
    count = total(np.where(np.isnan(values), np.nan, 1.0), times, BEFORE_S)
    usual = np.where(count >= fewest, mean(values, times, BEFORE_S), np.nan)
    since: Floats = values - np.where(before[:, None] >= 0, usual[np.maximum(before, 0)], np.nan)
    return since


def extremes(values: Floats, times: Floats, window_s: float) -> tuple[Floats, Floats]:
    """Least and greatest over the trailing window, each (time, sensor)."""
    low, high = np.full_like(values, np.inf), np.full_like(values, -np.inf)
    for row, first in enumerate(first_rows(times, window_s)):
        np.fmin.reduce(values[first : row + 1], axis=0, out=low[row], initial=np.inf)
        np.fmax.reduce(values[first : row + 1], axis=0, out=high[row], initial=-np.inf)
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)


def slope(values: Floats, times: Floats, window_s: float, min_readings: int = 3) -> Floats:
    """Least-squares slope per second over the trailing window; NaN below `min_readings` readings."""
    found = np.full(values.shape, np.nan)
    first = first_rows(times, window_s)
    for left in range(0, values.shape[1], BLOCK):
        part = slice(left, left + BLOCK)
        found[:, part] = _slope(values[:, part], np.asarray(times, dtype=float), first, min_readings)
    return found


def _slope(values: Floats, times: Floats, first: Rows, min_readings: int) -> Floats:
    clock = (times - times[:1])[:, None]
    present = ~np.isnan(values)
    level = np.where(present, values, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    x = np.where(present, values - level, 0.0)
    t = np.where(present, clock, 0.0)
    n, sx, st = (_totals(part, first) for part in (present.astype(float), x, t))
    count = np.maximum(n, 1)
    covariance = _totals(t * x, first) - st * sx / count
    variance = _totals(t * t, first) - st * st / count
    usable = (n >= min_readings) & (variance > 1e-9)
    rise: Floats = np.divide(covariance, variance, out=np.full(values.shape, np.nan), where=usable)
    return rise


def held(flags: Bools, times: Floats, duration_s: float) -> Bools:
    """Where a flag has been True without a break for at least `duration_s`, (time, sensor)."""
    rows = np.arange(len(flags))[:, None]
    broken = np.maximum.accumulate(np.where(flags, -1, rows), axis=0) if len(flags) else rows
    since = np.asarray(times, dtype=float)[np.minimum(broken + 1, len(flags) - 1)] if len(flags) else broken
    return flags & (np.asarray(times)[:, None] - since >= duration_s)
