"""A sewer's level against the other levels of its catchment, in dry weather.

Homes and shops fill all sewers of a catchment together, on a holiday later than on other days, but together. So with
m_j the usual level of each, what they have in common now is

    G(t) = median over j of h_j(t) / m_j,           of FEWEST levels at least: one that is blocked is not the median

and each follows it as its own pipe lets it, expected h_j = b0 + b1 G + b2 G^2, fitted over clean dry days (depth grows
less than in proportion to flow). A half-blocked pipe lifts the level above it by a few centimetres, which may be less
than what hour and season alone leave unexplained; beside the others it stands out. Nothing is claimed soon after rain,
which reaches each sewer at another time, nor where G is beyond what taught.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import rain, robust

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST = 4
MIN_ROWS = 96
"""A day of quarters: every hour has been seen."""
SIGMAS, MARGIN, FLOOR_M = 6.0, 1.5, 0.01
"""A level is as expected within so many robust sigma, within what clean days reached with a margin, and within a
centimetre: ten steps of a level sensor (defaults)."""
BEYOND = 1.2


class Peers(NamedTuple):
    """Usual dry level and limit of the excess, (sensor,), in m; coefficients (term, sensor); the greatest G that
    taught, (1,)."""

    usual: Floats
    coefficients: Floats
    limit: Floats
    most: Floats


class Judgement(NamedTuple):
    """Per (time, sensor): expected level in m, and the excess in limits, negative below expectation; NaN unknown."""

    expected: Floats
    score: Floats


def quiet(stores: Floats) -> Bools:
    """Where rain has run off, by the water in the slowest of its stores (time, store)."""
    return np.asarray(stores[:, -1] < rain.WET_MM, np.bool_)


def learn(level: Floats, is_quiet: Bools) -> Peers:
    """What (time, sensor) levels of a clean period say of each other; ``is_quiet`` (time,). NaN for a sensor with fewer
    than MIN_ROWS rows."""
    dry = np.where(is_quiet[:, None], level, np.nan)
    usual = robust.median(dry)
    usual = np.where(usual > 0, usual, np.nan)
    together = common(dry, usual)
    terms, width = _terms(together), level.shape[1]
    coefficients, limit = np.full((terms.shape[1], width), np.nan), np.full(width, np.nan)
    for sensor, column in enumerate(dry.T):
        rows = np.isfinite(column) & np.isfinite(together)
        if rows.sum() >= MIN_ROWS and np.isfinite(usual[sensor]):
            fitted = np.linalg.lstsq(terms[rows], column[rows], rcond=None)[0]
            size = np.abs(column[rows] - terms[rows] @ fitted)
            sigma = robust.MAD_TO_SIGMA * float(np.median(size))
            coefficients[:, sensor] = fitted
            limit[sensor] = max(FLOOR_M, SIGMAS * sigma, MARGIN * float(size.max()))
    return Peers(usual, coefficients, limit, np.fmax.reduce(together, initial=0.0, keepdims=True))


def detect(model: Peers, level: Floats, is_quiet: Bools) -> Judgement:
    """Judge (time, sensor) levels."""
    together = common(level, model.usual)
    together = np.where(is_quiet & (together <= BEYOND * model.most), together, np.nan)
    expected = _terms(together) @ model.coefficients
    return Judgement(expected, (level - expected) / model.limit)


def common(level: Floats, usual: Floats) -> Floats:
    """G of (time, sensor) levels, (time,); NaN where fewer than FEWEST are known."""
    share = level / usual
    enough = np.sum(np.isfinite(share), axis=1) >= FEWEST
    return np.where(enough, robust.median(share.T), np.nan)


def _terms(together: Floats) -> Floats:
    return np.column_stack([np.ones(len(together)), together, together**2])
