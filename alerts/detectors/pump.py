"""Failure of a pump: it should run and does not, or it runs and moves nothing.

does not run    wet-well level above the start level, rising, and no pump of the station draws current, held 5 min
moves nothing   a pump draws current while neither level falls nor flow is seen, held 10 min (in rain it may be that
                more comes than it can move: who has a gauge does not claim it then); or while the level climbs, by
                CLIMB_M in CLIMB_S and more, held 3 min: a pump that draws brings its well down from the first minute;
                or, in any weather, a current below UNDERLOAD of the least that it drew on clean days while it ran, with
                a level that does not fall, for a minute of readings (undercurrent relay, device 37 of IEEE C37.2): a
                motor that lifts no water has nothing to do, where a storm makes it work
starts too often  more starts in an hour than the motor bears (short cycling: a leaking check valve, a stuck float)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust, rolling

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

IDLE_HELD_S, FUTILE_HELD_S, CLIMB_HELD_S = 300.0, 600.0, 180.0
TREND_S = 300.0
STILL_M = 0.005
"""A level that moves less than this within TREND_S neither rises nor falls (default)."""
CLIMB_S, CLIMB_M = 120.0, 0.02
"""A level that gains so much within so long climbs: ten steps of a level sensor's ripple (default)."""
MAX_STARTS_PER_HOUR = 15
RUNNING_A = 0.5
"""A pump that draws more than this runs: above the ripple of a transformer, below any motor (default)."""
UNDERLOAD, UNLOADED_HELD_S = 0.6, 60.0
"""Relays are set between a half and 0.7 of a motor's load (default)."""
MIN_RUNS = 12
"""So many readings of a pump that ran teach what it draws (default)."""


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
    climbs = stuck & (rolling.slope(level, times, CLIMB_S, 2) * CLIMB_S >= CLIMB_M)
    return Pumps(
        rolling.held(idle, times, IDLE_HELD_S),
        rolling.held(futile, times, FUTILE_HELD_S) | rolling.held(climbs, times, CLIMB_HELD_S),
        starts_per_hour(running, times) > MAX_STARTS_PER_HOUR,
    )


def usual_draw(current: Floats) -> Floats:
    """The least that each pump drew while it ran, (station,), by the 5th percentile of its clean readings (time,
    station), A: one that was read as it started or stopped is none. NaN before there are MIN_RUNS of them."""
    runs = np.where(current > RUNNING_A, current, np.nan)
    known = np.isfinite(runs).sum(axis=0) >= MIN_RUNS
    return np.where(known, robust.quantile(runs, 0.05), np.nan)


def unloaded(current: Floats, level: Floats, times: Floats, draws: Floats, read: Bools) -> Bools:
    """Where (time, station) pumps run without a load, by what they usually draw (station,), A; NaN claims nothing.

    ``read`` (time,): the rows that were read. Between them readings are carried, which confirms nothing: one reading
    of a motor that stops is below what it draws, two are not.
    """
    rows = np.flatnonzero(read)
    if not len(rows):
        return np.zeros(current.shape, np.bool_)
    idles = (current > RUNNING_A) & (current < UNDERLOAD * draws)
    falls = rolling.slope(level, times, CLIMB_S, 2) * CLIMB_S <= -STILL_M
    held = rolling.held((idles & ~falls & ~np.isnan(level))[rows], times[rows], UNLOADED_HELD_S)
    newest = np.searchsorted(rows, np.arange(len(times)), side="right") - 1
    return np.asarray(held[np.maximum(newest, 0)] & (newest >= 0)[:, None], np.bool_)


def starts_per_hour(running: Floats, times: Floats) -> NDArray[np.int64]:
    """Starts within the last hour, (time, station); a gap is no start."""
    started = np.zeros(running.shape)
    started[1:] = (running[1:] > 0) & (running[:-1] == 0)
    return np.nan_to_num(rolling.total(started, times, 3600.0)).astype(np.int64)
