"""The risk model: Risk = LoF x CoF, both 1 (least) to 5 (worst), as a score from 0 to 100.

Every score comes with its parts, whose points add up to it: each part is what the score gained when that factor was
taken into account, in a fixed order. Everything is vectorised over assets; `now` is not needed, ages are arguments.
LoF (`likelihood`) comes from material, age and history, CoF (`consequence`) from who and what is hit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline.model import JsonObject, Level
from lifeline.risk.assets import Bools, Floats, Ints, Inventory
from lifeline.risk.consequence import WEIGHTS, consequence_of
from lifeline.risk.deterioration import Deterioration, shipped_deterioration
from lifeline.risk.likelihood import STEPS, likelihood_of

__all__ = [
    "ALERT_LIKELIHOOD", "CUTS", "NEIGHBOUR_WEIGHT", "PART_NAMES", "Bools", "Floats", "Inventory", "Live", "Standing",
    "classes_of", "consequence_of", "levels", "likelihood_of", "likelihood_of_quiet", "live", "matrix", "parts",
    "score", "standing",
]  # fmt: skip

CUTS: dict[Level, float] = {Level.RED: 75.0, Level.ORANGE: 50.0, Level.YELLOW: 25.0, Level.BLUE: 0.0}
"""Lowest score of each level."""

ALERT_LIKELIHOOD: dict[Level, float] = {
    Level.RED: 0.95,
    Level.ORANGE: 0.75,
    Level.YELLOW: 0.45,
    Level.BLUE: 0.2,
}
"""p_i of the noisy-OR: how likely an open risk alert of this level makes a failure (default)."""
NEIGHBOUR_WEIGHT = 0.5
"""w_i for an alert on an asset that this one is joined to; 1 for its own."""

PART_NAMES = (*STEPS, *WEIGHTS, "live")
"""The parts of a score in their order: of LoF, of CoF, and what is happening now."""


class Standing(NamedTuple):
    """Standing risk of n assets: lof and cof (n,) in 1..5, score (n,) in 0..100, points (n, 14) that add up to score.

    ``rate`` is failures per km and year, ``probability`` that of a failure within a year.
    """

    lof: Floats
    cof: Floats
    score: Floats
    points: Floats
    rate: Floats
    probability: Floats


class Live(NamedTuple):
    """Live risk of n assets: score and likelihood, both (n,); score less standing score is the live part's points."""

    score: Floats
    likelihood: Floats


def score(lof: Floats, cof: Floats) -> Floats:
    """0 for (1, 1), 100 for (5, 5), linear in the product."""
    return (lof * cof - 1.0) / 24.0 * 100.0


def standing(inventory: Inventory, classes: Deterioration | None = None) -> Standing:
    """Standing risk with its parts in points; ``classes`` is the calibrated catalogue, or None for the shipped one."""
    n = len(inventory)
    fails = likelihood_of(inventory, classes)
    costs = consequence_of(inventory)
    ones = np.ones((n, 1))
    by_likelihood = score(fails.steps, ones)
    by_consequence = score(fails.lof[:, None], costs.steps)
    scores = np.concatenate([np.zeros((n, 1)), by_likelihood, by_consequence], axis=1)
    return Standing(fails.lof, costs.cof, scores[:, -1], np.diff(scores, axis=1), fails.rate, fails.probability)


def parts(inventory: Inventory, risk: Standing, classes: Deterioration | None = None) -> list[list[JsonObject]]:
    """Each asset's standing score as its parts, as stored: what was known (``value``; None: nothing) and its points.

    What was not known and made no difference is left out.
    """
    names = PART_NAMES[:-1]
    known = zip(*_known(inventory, classes or shipped_deterioration()), strict=True)
    return [
        [
            {"part": name, "value": value, "points": gained}
            for name, value, gained in zip(names, values, points, strict=True)
            if value is not None or gained != 0.0
        ]
        for values, points in zip(known, risk.points.tolist(), strict=True)
    ]


def _known(inventory: Inventory, classes: Deterioration) -> list[list[object]]:
    """By part, what was known of each asset."""
    n = len(inventory)
    lost = np.fmax(inventory.customers, inventory.customers_lost)
    facility = inventory.critical | (np.nan_to_num(inventory.critical_lost, nan=0.0) > 0)
    return [
        [float(classes.factors["mean"]["rate"])] * n,
        list(inventory.material),
        _values(inventory.age_years),
        _values(inventory.diameter_mm),
        list(inventory.soil),
        _values(inventory.condition),
        _values(np.where(np.isnan(inventory.record_years), np.nan, inventory.breaks)),
        _values(inventory.length_m),
        _values(np.round(inventory.loss, 6)),
        _values(lost),
        [True if each else None for each in facility.tolist()],
        [int(each) if each > 0 else None for each in np.nan_to_num(inventory.facilities_near, nan=0.0).tolist()],
        list(inventory.road_class),
        [None] * n,
    ]


def _values(column: Floats) -> list[object]:
    return [None if value != value else value for value in column.tolist()]  # NaN alone differs from itself


def classes_of(values: Floats) -> Ints:
    """The class 1 to 5 of LoF or CoF, for the 5x5 matrix: the nearest whole number, halves upwards."""
    return np.clip(np.floor(values + 0.5), 1, 5).astype(np.int_)


def matrix(lof: Floats, cof: Floats) -> Ints:
    """How many assets stand in each field of the 5x5 matrix: row LoF 1 to 5, column CoF 1 to 5."""
    counted = np.zeros((5, 5), dtype=np.int_)
    np.add.at(counted, (classes_of(lof) - 1, classes_of(cof) - 1), 1)
    return counted


def live(lof: Floats, cof: Floats, quiet: Floats, worst: NDArray[np.int_]) -> Live:
    """Live risk: noisy-OR of the standing likelihood and the open risk alerts.

    ``quiet`` (n,) is the product over open alerts of (1 - w_i p_i), 1 where there are none: ``likelihood_of_quiet``
    builds it. ``worst`` (n,) is the worst level among the asset's own open alerts, 0 where there are none: a score
    never stands below the cut of an alert that is open on the asset itself, so that map and list cannot disagree.
    p = 1 - (1 - p_standing) * quiet. Order does not matter; an alert more never lowers, an alert less never raises.
    """
    likelihood = 1.0 - (1.0 - (lof - 1.0) / 4.0) * quiet
    cuts = np.array([0.0, CUTS[Level.RED], CUTS[Level.ORANGE], CUTS[Level.YELLOW], CUTS[Level.BLUE]])
    return Live(np.maximum(score(1.0 + 4.0 * likelihood, cof), cuts[worst]), likelihood)


def likelihood_of_quiet(n: int, asset: NDArray[np.int_], level: NDArray[np.int_], weight: Floats) -> Floats:
    """Product of (1 - w_i p_i) over the alerts of each of n assets; ``asset`` holds indices into 0..n-1."""
    p = np.array([0.0, *(ALERT_LIKELIHOOD[each] for each in Level)])
    quiet = np.ones(n)
    np.multiply.at(quiet, asset, 1.0 - weight * p[level])
    return quiet


def levels(scores: Floats, cuts: dict[Level, float] = CUTS) -> NDArray[np.int_]:
    """Level number (1 red to 4 blue) of each score."""
    bounds = np.array([cuts[Level.YELLOW], cuts[Level.ORANGE], cuts[Level.RED]])
    return np.asarray(4 - np.searchsorted(bounds, scores, side="right"), dtype=np.int_)
