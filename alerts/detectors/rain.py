"""Response of a sewer to rain: high water in a storm is expected, high water beyond what the storm explains is not.

Expected depth = b0 + daily cycle + sum b_i w_i, with w_i the rain filtered by exponential stores of 15 min, 1 h, 4 h
and 12 h (a cascade of linear reservoirs' recession, Nash 1957), b_i >= 0 by active set: rain never lowers a level.
Fitted by ridge on a clean period that had rain. Alarm only outside: residual above max(5 robust sigma, 99.9 % quantile)
of the clean period, wet and dry apart, as a wet prediction is less sure, and between the two while little has fallen;
in rain also by ERROR_SHARE of what the rain itself explains at least: no two showers are alike, and linear stores are a
sketch of a sewer that fills.

What all levels of a catchment exceed together while it is wet, the rain does, not a sewer: where one shower alone has
taught, the next that is smaller lifts all by more than in proportion. With f_j the rain's own part of what is expected
of level j and e_j its excess, c = max(0, median over j of e_j / f_j) of FEWEST levels at least, and f_j (1 + c) counts.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust, rolling

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STORES_S = (900.0, 3600.0, 14400.0, 43200.0)
WET_MM = 0.5
"""Water in the 4 h store from which weather is wet; with less of it an expectation is less sure in proportion, as a
sewer answers to the first drops, on roofs and roads (default)."""
SIGMAS, QUANTILE = 5.0, 0.999
FLOOR_M = 0.03
ERROR_SHARE = 0.5
"""Share of the rain's own part by which an expectation may be wrong (default)."""
RIDGE = 1e-3
MIN_ROWS = 200
FEWEST = 3
"""So many levels of a catchment must be known: one of them that is blocked, or fed, is then not the median."""
LEAST_M = 0.001
"""Of a level that rain lifts by less, a step of most sensors, no share is taken."""
_DAY_S = 86400.0
_DRY_TERMS = 5


@dataclass(frozen=True, slots=True)
class Response:
    """Coefficients (term, sensor); limits of the residual in dry and wet weather, (sensor,)."""

    coefficients: Floats
    limit_dry: Floats
    limit_wet: Floats


class Judgement(NamedTuple):
    """Per (time, sensor): expected level, and the score, 1 being the limit, negative below expectation."""

    expected: Floats
    score: Floats


def stores(rain_mm: Floats, times: Floats) -> Floats:
    """Rain in the exponential stores, (time, store) or (time, gauge, store), from mm per row, (time,) or (time, gauge).

    Gaps are no rain.
    """
    held = np.zeros((*rain_mm.shape, len(STORES_S)))
    state = np.zeros((*rain_mm.shape[1:], len(STORES_S)))
    past = np.diff(times, prepend=times[:1])
    for row, (fallen, seconds) in enumerate(zip(np.nan_to_num(rain_mm), past, strict=True)):
        state = state * np.exp(-seconds / np.array(STORES_S)) + fallen[..., None]
        held[row] = state
    return held


def learn(level: Floats, rain_mm: Floats, times: Floats) -> Response:
    """Response of (time, sensor) levels to the rain (time,) of their catchment over a clean period with rain in it.

    A sensor with fewer than MIN_ROWS readings gets NaN, that is: not known yet.
    """
    held = stores(rain_mm, times)
    terms = _terms(held, times)
    coefficients = np.full((terms.shape[1], level.shape[1]), np.nan)
    for sensor, column in enumerate(level.T):
        rows = np.isfinite(column)
        if rows.sum() >= MIN_ROWS:
            coefficients[:, sensor] = _fit(terms[rows], column[rows])
    residual = level - terms @ coefficients
    wet = _wet(held)
    dry_limit = _limit(residual[~wet])
    wet_limit = np.fmax(_limit(residual[wet]), dry_limit)
    return Response(coefficients, dry_limit, wet_limit)


def detect(response: Response, level: Floats, held: Floats, times: Floats) -> Judgement:
    """Judge (time, sensor) levels by the rain in the stores (time, store), begun a day before what is to be judged."""
    own = held @ response.coefficients[_DRY_TERMS:]
    expected = _terms(held, times) @ response.coefficients
    share = _wetness(held)[:, None]
    more = share * _together(level - expected, own) * own
    expected, fallen = expected + more, own + more
    wet = np.maximum(response.limit_wet, ERROR_SHARE * fallen)
    between = response.limit_dry + share * (wet - response.limit_dry)
    # The ends by themselves: who has known only one weather has no limit for the other, and none between the two.
    limit = np.where(share >= 1, wet, np.where(share <= 0, response.limit_dry, between))
    return Judgement(expected, (level - expected) / limit)


def _together(excess: Floats, own: Floats) -> Floats:
    """c of (time, sensor) excess and rain's own part, (time, 1); 0 where fewer than FEWEST levels answer to rain."""
    part = np.divide(excess, own, out=np.full(excess.shape, np.nan), where=own > LEAST_M)
    enough = np.isfinite(part).sum(axis=1) >= FEWEST
    return np.where(enough, np.maximum(np.nan_to_num(robust.median(part.T)), 0.0), 0.0)[:, None]


def lasting(
    score: Floats, times: Floats, limits: Floats, confirmed_s: float, deadband: Floats | float = -np.inf
) -> Floats:
    """Scores (time, sensor) of which one that has reached the mildest of a sensor's ``limits`` (level, sensor; NaN for
    none) without a break for ``confirmed_s`` is worth the next one: a wave goes by, what stays is a sewer that is fed
    or cannot drain, however little above the limit. A sensor that is told so already has a ``deadband`` (sensor,): it
    stays worth that until it is so far below the mildest limit (-inf for the others)."""
    mildest, worse = np.sort(limits, axis=0)[:2]
    with np.errstate(invalid="ignore"):
        stays = rolling.held(score >= mildest, times, confirmed_s) | (score >= mildest - deadband)
    return np.where(stays, np.fmax(score, worse), score)


def _wetness(held: Floats) -> Floats:
    """From 0 in dry weather to 1 from WET_MM on."""
    return np.clip(held[:, STORES_S.index(14400.0)] / WET_MM, 0.0, 1.0)


def _wet(held: Floats) -> Bools:
    return _wetness(held) >= 1.0


def _terms(held: Floats, times: Floats) -> Floats:
    angle = 2 * np.pi * (np.asarray(times, dtype=float) % _DAY_S) / _DAY_S
    cycle = [wave(k * angle) for k in (1, 2) for wave in (np.cos, np.sin)]
    return np.column_stack([np.ones(len(held)), *cycle, held])


def _fit(terms: Floats, level: Floats) -> Floats:
    """Ridge with non-negative rain terms: the most negative one is dropped until none is."""
    kept = np.ones(terms.shape[1], dtype=bool)
    while True:
        used = terms[:, kept]
        penalty = RIDGE * np.maximum((used**2).sum(axis=0), 1e-9)
        penalty[0] = 0.0
        solved = np.zeros(terms.shape[1])
        solved[kept] = np.linalg.solve(used.T @ used + np.diag(penalty), used.T @ level)
        worst = _DRY_TERMS + int(np.argmin(solved[_DRY_TERMS:]))
        if solved[worst] >= 0:
            return solved
        kept[worst] = False


def _limit(residual: Floats) -> Floats:
    if not len(residual):
        return np.full(residual.shape[1], np.nan)
    size = np.abs(residual)
    sigma = robust.MAD_TO_SIGMA * robust.median(size)
    return np.maximum(np.maximum(SIGMAS * sigma, robust.quantile(size, QUANTILE)), FLOOR_M)
