"""Time to overflow, announced before it happens; the states of a sewer by its geometry; water on the street.

Time to overflow = (cover - level) / rise rate, the rate being the least-squares slope over the trailing window, or over
its newer half where that is less: a rise that slows down is not drawn out as if it did not. It is said only while the
level truly rises: the rise over the window must exceed the noise of the readings around the line.
States: dry, flowing, d/D > 0.8, surcharged (above the crown), freeboard under 0.3 m, overflow (at the cover).
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import rolling

Floats = NDArray[np.float64]

WINDOW_S = 900.0
MIN_RISE_M = 0.02
"""Least rise within the window that is a rise (default): ten steps of a level sensor's ripple."""
DRY_M, FULL_SHARE, FREEBOARD_M = 0.005, 0.8, 0.3


class State(IntEnum):
    """State of a chamber by its geometry, in order of severity; UNKNOWN is not safe."""

    UNKNOWN = -1
    DRY = 0
    FLOWING = 1
    NEARLY_FULL = 2
    SURCHARGED = 3
    LOW_FREEBOARD = 4
    OVERFLOW = 5


class Forecast(NamedTuple):
    """Per (time, sensor): seconds to overflow (0 at the cover, inf when not rising, NaN unknown), and rise in m/s."""

    seconds: Floats
    rise: Floats


def forecast(level: Floats, cover_m: Floats, times: Floats, window_s: float = WINDOW_S) -> Forecast:
    """Time to overflow of (time, sensor) levels, cover and level above the same datum, in metres."""
    rise = np.fmin(rolling.slope(level, times, window_s), rolling.slope(level, times, window_s / 2))
    freeboard = cover_m - level
    rising = rise * window_s >= MIN_RISE_M
    seconds = np.divide(freeboard, rise, out=np.full(level.shape, np.inf), where=rising)
    seconds = np.where(freeboard <= 0, 0.0, np.maximum(seconds, 0.0))
    unknown = np.isnan(freeboard) | (np.isnan(rise) & (freeboard > 0))
    return Forecast(np.where(unknown, np.nan, seconds), rise)


def states(level: Floats, diameter_m: Floats, cover_m: Floats) -> NDArray[np.int8]:
    """State of (time, sensor) levels by the pipe's diameter and the cover (sensor,), all in m above the invert."""
    state = np.select(
        [
            np.isnan(level),
            level >= cover_m,
            cover_m - level < FREEBOARD_M,
            level > diameter_m,
            level > FULL_SHARE * diameter_m,
            level > DRY_M,
        ],
        [State.UNKNOWN, State.OVERFLOW, State.LOW_FREEBOARD, State.SURCHARGED, State.NEARLY_FULL, State.FLOWING],
        State.DRY,
    )
    return state.astype(np.int8)


def ponding(depth: Floats, times: Floats, window_s: float = 600.0, horizon_s: float = 1800.0) -> Floats:
    """Depth of water to be reckoned with, (time, sensor): now, or in `horizon_s` where it keeps rising.

    The ladder of depths is applied to it, so that a fast rise is told before the depth is there.
    """
    rise = rolling.slope(depth, times, window_s)
    climbs = rise * window_s >= MIN_RISE_M
    return depth + np.where(climbs, np.nan_to_num(rise) * horizon_s, 0.0)
