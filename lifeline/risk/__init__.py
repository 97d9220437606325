"""The risk model: Risk = LoF x CoF, both 1 (least) to 5 (worst), as a score from 0 to 100.

Every score comes with its parts, whose points add up to it: each part is what the score gained when that factor was
taken into account, in a fixed order. Everything is vectorised over assets; `now` is not needed, ages are arguments.

Sources. Break rate by age: exponential form of Shamir and Howard (1979), N(t) = N(t0) exp(A (t - t0)). Mean rate: 7.0
breaks per 100 km and year (US and Canada, 2023). Factors by material and diameter, consequence weights and the
weights of live alerts are defaults of this project, in one place, to be calibrated against a utility's own records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline.model import JsonObject, Level

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CUTS: dict[Level, float] = {Level.RED: 75.0, Level.ORANGE: 50.0, Level.YELLOW: 25.0, Level.BLUE: 0.0}
"""Lowest score of each level."""

MEAN_BREAKS_PER_KM_YEAR = 0.07
AGEING_PER_YEAR = 0.035
"""A of Shamir and Howard; 0.035 doubles the rate in twenty years."""
REFERENCE_AGE_YEARS = 30.0
"""Age at which the mean rate holds."""
RATE_LOW, RATE_HIGH = 0.005, 2.0
"""Breaks per km and year that are LoF 1 and LoF 5; between them LoF is linear in the logarithm of the rate."""

MATERIAL_FACTOR: dict[str, float] = {
    "asbestos_cement": 1.8,
    "cast_iron": 2.2,
    "grey_cast_iron": 2.2,
    "ductile_iron": 0.7,
    "steel": 1.0,
    "galvanised_steel": 2.0,
    "pe": 0.35,
    "hdpe": 0.35,
    "pvc": 0.6,
    "concrete": 1.0,
    "reinforced_concrete": 0.8,
    "brick": 1.8,
    "vitrified_clay": 1.3,
}
UNKNOWN_MATERIAL_FACTOR = 1.3
"""What is not known is not taken for good."""
UNKNOWN_AGE_YEARS = 40.0

ALERT_LIKELIHOOD: dict[Level, float] = {
    Level.RED: 0.95,
    Level.ORANGE: 0.75,
    Level.YELLOW: 0.45,
    Level.BLUE: 0.2,
}
"""p_i of the noisy-OR: how likely an open risk alert of this level makes a failure (default)."""
NEIGHBOUR_WEIGHT = 0.5
"""w_i for an alert on an asset that this one is joined to; 1 for its own."""

PART_NAMES = ("mean", "material", "age", "diameter", "consequence", "live")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What standing risk is computed from; arrays of length n. NaN means not known."""

    material: Sequence[str | None]
    age_years: Floats
    diameter_mm: Floats
    customers: Floats
    critical: Bools

    def __len__(self) -> int:
        return len(self.material)


class Standing(NamedTuple):
    """Standing risk of n assets: lof and cof (n,) in 1..5, score (n,) in 0..100, points (n, 5) that add up to score."""

    lof: Floats
    cof: Floats
    score: Floats
    points: Floats
    rate: Floats


class Live(NamedTuple):
    """Live risk of n assets: score and likelihood, both (n,); score less standing score is the live part's points."""

    score: Floats
    likelihood: Floats


def score(lof: Floats, cof: Floats) -> Floats:
    """0 for (1, 1), 100 for (5, 5), linear in the product."""
    return (lof * cof - 1.0) / 24.0 * 100.0


def standing(inventory: Inventory) -> Standing:
    """Standing risk from age, material, diameter, customers and critical facilities, with its parts in points."""
    n = len(inventory)
    factors = np.array(
        [MATERIAL_FACTOR.get(m, UNKNOWN_MATERIAL_FACTOR) if m else UNKNOWN_MATERIAL_FACTOR for m in inventory.material]
    ).reshape(n)
    age = np.clip(np.nan_to_num(inventory.age_years, nan=UNKNOWN_AGE_YEARS), 0.0, 120.0)
    # Thin pipes break more often: their walls are thin and their bending strength is small.
    diameter = np.nan_to_num(inventory.diameter_mm, nan=150.0)
    by_diameter = np.clip((150.0 / diameter) ** 0.6, 0.25, 2.5)
    rate = np.full(n, MEAN_BREAKS_PER_KM_YEAR)
    steps = [_lof(rate)]
    for factor in (factors, np.exp(AGEING_PER_YEAR * (age - REFERENCE_AGE_YEARS)), by_diameter):
        rate = rate * factor
        steps.append(_lof(rate))
    lof = steps[-1]
    cof = consequence(inventory)
    ones = np.ones(n)
    scores = [score(step, ones) for step in steps] + [score(lof, cof)]
    points = np.diff(np.stack([np.zeros(n), *scores], axis=1), axis=1)
    return Standing(lof, cof, scores[-1], points, rate)


def parts(inventory: Inventory, risk: Standing) -> list[list[JsonObject]]:
    """Each asset's standing score as its parts, as stored: what was known (``value``; None: nothing) and its points."""
    known = [
        [MEAN_BREAKS_PER_KM_YEAR] * len(inventory),
        list(inventory.material),
        [None if np.isnan(age) else float(age) for age in inventory.age_years],
        [None if np.isnan(diameter) else float(diameter) for diameter in inventory.diameter_mm],
        [float(cof) for cof in np.round(risk.cof, 3)],
    ]
    rows = zip(zip(*known, strict=True), risk.points.tolist(), strict=True)
    return [
        [
            {"part": name, "value": value, "points": gained}
            for name, value, gained in zip(PART_NAMES, values, points, strict=False)
        ]
        for values, points in rows
    ]


def _lof(rate: Floats) -> Floats:
    """LoF 1..5, linear in the logarithm of the break rate (per km and year)."""
    share = np.log(np.clip(rate, RATE_LOW, RATE_HIGH) / RATE_LOW) / np.log(RATE_HIGH / RATE_LOW)
    return np.asarray(1.0 + 4.0 * share, dtype=np.float64)


def consequence(inventory: Inventory) -> Floats:
    """CoF 1..5: the larger of what the diameter carries and who hangs on it, one more for a critical facility.

    Diameter 100 mm is 1 and 1000 mm is 4, logarithmic; 1 customer is 1 and 10,000 are 4.5, logarithmic.
    """
    diameter = np.clip(np.nan_to_num(inventory.diameter_mm, nan=150.0), 100.0, None)
    by_diameter = 1.0 + 3.0 * np.log10(diameter / 100.0)
    by_customers = 1.0 + 3.5 / 4.0 * np.log10(np.clip(inventory.customers, 1.0, None))
    worst = np.maximum(by_diameter, by_customers) + np.where(inventory.critical, 1.0, 0.0)
    return np.asarray(np.clip(worst, 1.0, 5.0), dtype=np.float64)


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
