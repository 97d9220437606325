"""Blocked sewer: high above, low below, and no rain.

In use by utilities: level above its rolling 99th percentile while rain stayed under a threshold for 6 h, held 4 h.
Topology tells the cause, per reach from an upstream to a downstream sensor:
  upstream high, downstream low, dry      -> blockage between them
  upstream high, downstream high, rain    -> capacity
  upstream high, downstream high, dry     -> inflow, or a pump that failed below
High is above the 99th percentile of dry weather. Low is not above halfway from the median to that percentile: a full
blockage takes the downstream's flow, but a half-blocked pipe backs up until it passes the flow on, and its downstream
is as on any day. The time for which it must hold lets a wave from above arrive below.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust, rolling

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DRY_WINDOW_S, DRY_MM = 6 * 3600.0, 2.0
"""Dry weather: less than this much rain in this time (default)."""
HELD_S = 4 * 3600.0
MARGIN_M = 0.05
"""Above the percentile by this much is high: more than a ripple (default)."""


class Cause(IntEnum):
    """What a reach shows."""

    NORMAL = 0
    BLOCKAGE = 1
    CAPACITY = 2
    INFLOW_OR_PUMP = 3


@dataclass(frozen=True, slots=True)
class DryWeather:
    """Level in dry weather: median and 99th percentile, (sensor,), and how many readings taught them."""

    median: Floats
    high: Floats
    count: NDArray[np.int64]


class Reaches(NamedTuple):
    """Per (time, reach): the cause now, and whether it held for long enough to be said."""

    cause: NDArray[np.int8]
    confirmed: Bools


def dry(rain_mm: Floats, times: Floats) -> Bools:
    """Where less than DRY_MM fell in the last 6 h; `rain_mm` per row (time, sensor), gaps counting as no rain known."""
    fallen = rolling.total(rain_mm, times, DRY_WINDOW_S)
    return np.nan_to_num(fallen, nan=np.inf) < DRY_MM


def learn(level: Floats, is_dry: Bools) -> DryWeather:
    """Dry-weather level of a clean period, (time, sensor) both; NaN for a sensor without dry readings."""
    quiet = np.where(is_dry, level, np.nan)
    return DryWeather(robust.median(quiet), robust.quantile(quiet, 0.99), np.sum(~np.isnan(quiet), axis=0))


def detect(
    usual: DryWeather,
    level: Floats,
    is_dry: Bools,
    times: Floats,
    reaches: NDArray[np.int64],
    held_s: float = HELD_S,
) -> Reaches:
    """Judge each reach of (time, sensor) levels: `reaches` (reach, 2) holds the columns of the upstream and downstream.

    A reach with a missing level is NORMAL, that is: nothing is claimed.
    """
    up, down = reaches[:, 0], reaches[:, 1]
    high = level > usual.high + MARGIN_M
    low = level <= (usual.median + usual.high) / 2
    quiet = is_dry[:, up]
    cause = np.select(
        [high[:, up] & low[:, down] & quiet, high[:, up] & high[:, down] & ~quiet, high[:, up] & high[:, down]],
        [Cause.BLOCKAGE, Cause.CAPACITY, Cause.INFLOW_OR_PUMP],
        Cause.NORMAL,
    ).astype(np.int8)
    confirmed = np.zeros(cause.shape, dtype=bool)
    for kind in (Cause.BLOCKAGE, Cause.CAPACITY, Cause.INFLOW_OR_PUMP):
        confirmed |= rolling.held(cause == kind, times, held_s)
    return Reaches(cause, confirmed)
