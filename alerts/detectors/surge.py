"""A sewer that rises within minutes, though no rain fell, by more than dry weather ever lifted it within the hour.

Rain runs off an urban catchment within the hour (times of concentration are 5 to 60 minutes); after it levels fall, and
people's day lifts them slowly. So a level is held against its own mean of the hour before,

    rise(t) = h(t) - mean of h over BEFORE_S until LATELY_S before t (rolling.change),

where less than DRY_MM fell in RUNS_OFF_S, and its limit is max(M, SIGMAS s / ASKED), with M the most that clean dry
days showed and s the standard deviation of that hour: a probe that is noisy or jumps does not rise. M is no rare value
of a fitted model but a bound, reached day after day by the same pulses of a pump or the same morning, so MARGIN of it
is strange already and worth ASKED limits. It needs no expectation of the level itself, and so speaks also in the hours
after a shower that was greater than what taught, when nothing is known of how much water stands where.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import rolling

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST = 3
"""So many readings at least there must be of the hour before (default)."""
ASKED, MARGIN, SIGMAS = 2.0, 1.25, 3.0
"""What the mildest level of the rule that ships asks for, and from how much of M and s that is given (defaults)."""
RUNS_OFF_S = 5400.0
DRY_MM = 0.2
"""One tip of a usual gauge is no rain (default)."""
FLOOR_M = 0.03
MIN_ROWS = 96
"""A day of quarters: every hour has been seen."""


class Judgement(NamedTuple):
    """Per (time, sensor): the level of the hour before in m, and the rise since in limits; NaN unknown."""

    expected: Floats
    score: Floats


def dry(fallen: Floats, times: Floats) -> Bools:
    """Where rain has run off, by the mm since the row before, (time,); unknown rain is no dry weather."""
    known = rolling.total(np.isnan(fallen).astype(float)[:, None], times, RUNS_OFF_S)[:, 0] == 0
    wet = np.nan_to_num(rolling.total(fallen[:, None], times, RUNS_OFF_S)[:, 0])
    return np.asarray(known & (wet < DRY_MM), np.bool_)


def learn(level: Floats, is_dry: Bools, times: Floats) -> Floats:
    """Limit of the rise in m, (sensor,): the most of clean dry hours (time, sensor); NaN before there is a day."""
    rise = np.where(is_dry[:, None], rolling.change(level, times, FEWEST), np.nan)
    most = np.fmax.reduce(rise, axis=0, initial=FLOOR_M)
    enough = np.isfinite(rise).sum(axis=0) >= MIN_ROWS
    return np.where(enough, most, np.nan)


def detect(limit: Floats, level: Floats, is_dry: Bools, times: Floats) -> Judgement:
    """Judge (time, sensor) levels against their ``limit`` (sensor,)."""
    rise = rolling.change(level, times, FEWEST)
    before = level - rise
    square = level**2 - rolling.change(level**2, times, FEWEST)
    scatter = np.sqrt(np.maximum(square - before**2, 0.0))
    score = rise / np.maximum(limit, SIGMAS * scatter / ASKED)
    strange = rise >= np.maximum(MARGIN * limit, SIGMAS * scatter)
    return Judgement(before, np.where(is_dry[:, None], np.where(strange, np.maximum(score, ASKED), score), np.nan))
