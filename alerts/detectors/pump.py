"""Failure of a pump: it should run and does not, or it runs and moves nothing.

does not run    wet-well level above the start level, rising, and no pump of the station draws current, held 5 min
moves nothing   a pump draws current while neither level falls nor flow is seen, held 10 min (in rain it may be that
                more comes than it can move: who has a gauge does not claim it then)
starts too often  more starts in an hour than the motor bears (short cycling: a leaking check valve, a stuck float)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import rolling

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

IDLE_HELD_S, FUTILE_HELD_S = 300.0, 600.0
TREND_S = 300.0
STILL_M = 0.005
"""A level that moves less than this within TREND_S neither rises nor falls (default)."""
MAX_STARTS_PER_HOUR = 15


class Pumps(NamedTuple):
    """Per (time, station): does not run, moves nothing, starts too often."""

    idle: Bools
    futile: Bools
    cycling: Bools


def detect(
    level: Floats, running: Floats, times: Floats, start_m: Floats, flow: Floats | None = None, min_flow: float = 0.0
) -> Pumps:
    """Judge stations by (time, station) wet-well `level`, m, and `running`: pumps that draw current, NaN unknown.

    `start_m` (station,) is the level at which a pump must start; `flow` the delivered flow if it is measured. What is
    not known claims nothing.
    """
    trend = rolling.slope(level, times, TREND_S) * TREND_S
    stopped, runs = running == 0, running > 0
    idle = stopped & (level > start_m) & (trend > -STILL_M)
    stuck = runs & (level > start_m) & (trend > -STILL_M)
    futile = stuck if flow is None else runs & (flow <= min_flow)
    return Pumps(
        rolling.held(idle, times, IDLE_HELD_S),
        rolling.held(futile, times, FUTILE_HELD_S),
        starts_per_hour(running, times) > MAX_STARTS_PER_HOUR,
    )


def starts_per_hour(running: Floats, times: Floats) -> NDArray[np.int64]:
    """Starts within the last hour, (time, station); a gap is no start."""
    started = np.zeros(running.shape)
    started[1:] = (running[1:] > 0) & (running[:-1] == 0)
    return np.nan_to_num(rolling.total(started, times, 3600.0)).astype(np.int64)
