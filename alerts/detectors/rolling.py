"""Trailing windows in seconds over a matrix (time, sensor): total, mean, extremes, slope, and how long a state held.

The window of row t holds the rows with times in (t - window_s, t]. NaN is left out; a window without readings is NaN.
Times are epoch seconds, ascending, and need not be even.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]


def first_rows(times: Floats, window_s: float) -> Rows:
    """First row of the trailing window of each row, (time,)."""
    return np.searchsorted(times, np.asarray(times) - window_s, side="right").astype(np.int64)


def _totals(values: Floats, first: Rows) -> Floats:
    """Sums over rows first..t by differences of one cumulated sum, (time, sensor)."""
    climb = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=climb[1:])
    return climb[1:] - climb[first]


def total(values: Floats, times: Floats, window_s: float) -> Floats:
    """Sum over the trailing window; NaN where the window has no reading."""
    first = first_rows(times, window_s)
    count = _totals((~np.isnan(values)).astype(float), first)
    return np.where(count > 0, _totals(np.nan_to_num(values), first), np.nan)


def mean(values: Floats, times: Floats, window_s: float) -> Floats:
    """Mean over the trailing window; NaN where the window has no reading."""
    first = first_rows(times, window_s)
    count = _totals((~np.isnan(values)).astype(float), first)
    summed = _totals(np.nan_to_num(values), first)
    return np.divide(summed, count, out=np.full_like(summed, np.nan), where=count > 0)


def extremes(values: Floats, times: Floats, window_s: float) -> tuple[Floats, Floats]:
    """Least and greatest over the trailing window, each (time, sensor)."""
    low, high = np.full_like(values, np.inf), np.full_like(values, -np.inf)
    for row, first in enumerate(first_rows(times, window_s)):
        np.fmin.reduce(values[first : row + 1], axis=0, out=low[row], initial=np.inf)
        np.fmax.reduce(values[first : row + 1], axis=0, out=high[row], initial=-np.inf)
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)


def slope(values: Floats, times: Floats, window_s: float, min_readings: int = 3) -> Floats:
    """Least-squares slope per second over the trailing window; NaN below `min_readings` readings."""
    clock = (np.asarray(times, dtype=float) - times[0])[:, None] if len(times) else np.empty((0, 1))
    first = first_rows(times, window_s)
    present = ~np.isnan(values)
    level = np.nanmean(values) if present.any() else 0.0
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
