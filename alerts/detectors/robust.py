"""Robust location and spread, safe with gaps: what every baseline stands on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation of a normal distribution to its standard deviation."""


class Spread(NamedTuple):
    """Median, standard deviation by the MAD, and number of readings, each (sensor,); NaN where there is no reading."""

    median: Floats
    sigma: Floats
    readings: NDArray[np.int64]


def median(values: Floats) -> Floats:
    """Median over time of (time, sensor), NaN left out; NaN for a sensor without readings. Sorts NaN to the end."""
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    ordered = np.sort(values, axis=0)
    count = np.sum(~np.isnan(values), axis=0)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(values) - 1)[None], axis=0)[0]
    return np.where(count > 0, (low + high) / 2, np.nan)


def spread(values: Floats, resolution: Floats | float = 0.0) -> Spread:
    """Median and 1.4826 MAD of (time, sensor), the latter floored with the sensor's `resolution` (sensor,)."""
    middle = median(values)
    sigma = MAD_TO_SIGMA * median(np.abs(values - middle))
    return Spread(middle, np.maximum(sigma, resolution), np.sum(~np.isnan(values), axis=0))


def quantile(values: Floats, share: float) -> Floats:
    """The `share` quantile (0 to 1, nearest rank above) over time of (time, sensor), NaN left out."""
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    count = np.sum(~np.isnan(values), axis=0)
    rank = np.clip(np.ceil(share * count).astype(int) - 1, 0, len(values) - 1)
    chosen = np.take_along_axis(np.sort(values, axis=0), rank[None], axis=0)[0]
    return np.where(count > 0, chosen, np.nan)


def resolution_of(values: Floats) -> Floats:
    """The step in which each sensor of (time, sensor) reports: the smallest difference between two readings.

    A sensor that never moved, or that has no reading, gets zero: nothing is known about its step.
    """
    steps = np.diff(np.sort(values, axis=0), axis=0) if len(values) > 1 else np.empty((0, values.shape[1]))
    magnitude = np.nanmax(np.abs(values), axis=0, initial=0.0)
    steps[~(steps > 1e-9 * np.maximum(magnitude, 1e-300))] = np.inf  # below it is the rounding of a binary float
    smallest = steps.min(axis=0, initial=np.inf)
    return np.where(np.isfinite(smallest), smallest, 0.0)
