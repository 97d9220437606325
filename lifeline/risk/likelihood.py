"""Likelihood of failure: failures per km and year by what an asset is, its age and its history; LoF 1 to 5.

Expected failures = rate(class, age) x diameter x soil x condition x history x breaks nearby x length, and
P = 1 - exp(-expected). ``deterioration.toml`` holds every figure and its source. Pure and vectorised over n assets.
"""

from typing import NamedTuple

import numpy as np

from lifeline.risk.assets import Bools, Floats, Ints, Inventory
from lifeline.risk.deterioration import Deterioration, cumulative, shipped_deterioration

OLDEST_YEARS = 120.0
"""Beyond this age no catalogue has been fitted: what is older counts as this old."""
STEPS = ("mean", "material", "age", "diameter", "soil", "condition", "breaks", "length")
"""The factors in the order in which an explanation takes them into account."""


class Likelihood(NamedTuple):
    """Of n assets: ``rate`` failures per km and year now, ``probability`` within a year, ``lof`` 1..5.

    ``steps`` (n, 8) is LoF after each factor of ``STEPS`` in turn; the last column is ``lof``.
    """

    rate: Floats
    probability: Floats
    lof: Floats
    steps: Floats


def likelihood_of(inventory: Inventory, classes: Deterioration | None = None) -> Likelihood:
    """LoF of every asset with what each factor made of it."""
    classes = classes or shipped_deterioration()
    chosen, factors = _factors(inventory, classes)
    years = float(classes.factors["likelihood"]["years"])
    age = ages(inventory, classes)
    by_age = _mean_rate(classes, chosen, age, years) / classes.column("rate")[chosen]
    mean = float(classes.factors["mean"]["rate"])
    network = factors.pop("network")
    reference_km = float(classes.factors["likelihood"]["reference_m"]) / 1000.0
    km = lengths_km(inventory, classes)
    chain = [
        mean * network,
        classes.column("rate")[chosen] / mean,
        by_age,
        *(factors[step] for step in STEPS[3:7]),
        km / reference_km,
    ]
    expected = np.cumprod(np.stack(chain, axis=1), axis=1) * reference_km * years
    steps = to_lof(-np.expm1(-expected), classes)
    rate = expected[:, -1] / (km * years)
    probability = -np.expm1(-rate * km)
    return Likelihood(rate, probability, steps[:, -1], steps)


def expected_failures(
    inventory: Inventory, years: float, start: float = 0.0, classes: Deterioration | None = None
) -> Floats:
    """Failures of each asset (n,) to be expected from ``start`` to ``start + years`` from now, as it ages unrenewed."""
    classes = classes or shipped_deterioration()
    chosen, factors = _factors(inventory, classes)
    age = ages(inventory, classes) + start
    grown = _mean_rate(classes, chosen, age, years) * years * lengths_km(inventory, classes)
    for factor in factors.values():
        grown = grown * factor
    return np.asarray(grown, dtype=np.float64)


def to_lof(probability: Floats, classes: Deterioration | None = None) -> Floats:
    """LoF 1..5 of a probability of failure within the catalogue's period: linear in its logarithm between the cuts."""
    cuts = np.log(np.array((classes or shipped_deterioration()).factors["likelihood"]["cuts"], dtype=np.float64))
    found = np.interp(np.log(np.maximum(probability, 1e-300)), cuts, np.arange(1.0, 6.0))
    return np.asarray(found, dtype=np.float64)


def ages(inventory: Inventory, classes: Deterioration) -> Floats:
    """Age of each asset in years, with the catalogue's where it is not known."""
    unknown = float(classes.factors["unknown"]["age_years"])
    return np.clip(np.nan_to_num(inventory.age_years, nan=unknown), 0.0, OLDEST_YEARS)


def lengths_km(inventory: Inventory, classes: Deterioration) -> Floats:
    """Length of each pipe, and for what has none the length of pipe that fails as often; at least a metre."""
    points = classes.factors["point"]
    known = inventory.length_m / 1000.0
    reference = float(classes.factors["likelihood"]["reference_m"]) / 1000.0
    equivalent = np.array([float(points.get(kind or "", reference)) for kind in inventory.kind], dtype=np.float64)
    pipes: Bools = np.array([kind in (None, "pipe") for kind in inventory.kind], dtype=np.bool_)
    return np.maximum(np.where(pipes & ~np.isnan(known), known, equivalent), 0.001)


def offsets(inventory: Inventory, classes: Deterioration) -> Floats:
    """What multiplies the rate of the class, all but age and history: exposure for a calibration."""
    _, factors = _factors(inventory, classes)
    return np.asarray(
        factors["network"] * factors["diameter"] * factors["soil"] * factors["condition"], dtype=np.float64
    )


def nearby_boost(n: int, asset: Ints, days: Floats, metres: Floats, classes: Deterioration | None = None) -> Floats:
    """Factor (n,) of recent breaks nearby: 1 + sum of boost exp(-days / tau) exp(-metres / r) over pairs.

    A pair is an asset (index into 0..n-1) and a break ``days`` ago at a distance of ``metres``.
    """
    nearby = (classes or shipped_deterioration()).factors["nearby"]
    gained = nearby["boost"] * np.exp(-days / nearby["decay_days"] - metres / nearby["decay_m"])
    return np.asarray(1.0 + np.bincount(asset, weights=gained, minlength=n), dtype=np.float64)


def _mean_rate(classes: Deterioration, chosen: Ints, age: Floats, years: float) -> Floats:
    """Mean failures per km and year from ``age`` to ``age + years``."""
    return (cumulative(classes, chosen, age + years) - cumulative(classes, chosen, age)) / years


def _factors(inventory: Inventory, classes: Deterioration) -> tuple[Ints, dict[str, Floats]]:
    """The class of each asset, and each factor but age and length as a column."""
    chosen = classes.class_of(inventory.material)
    table = classes.factors
    thin, networks = table["diameter"], table["network"]
    usual = np.array([float(thin["reference_mm"].get(each or "", 150.0)) for each in inventory.network])
    diameter = np.where(np.isnan(inventory.diameter_mm), usual, inventory.diameter_mm)
    factors = {
        "network": np.array([float(networks.get(each or "", 1.0)) for each in inventory.network], dtype=np.float64),
        "diameter": np.clip((usual / diameter) ** thin["exponent"], thin["low"], thin["high"]),
        "soil": _by_soil(inventory, chosen, classes),
        "condition": _by_condition(inventory.condition, classes),
    }
    factors["breaks"] = _by_history(inventory, classes, chosen, factors) * np.nan_to_num(inventory.boost, nan=1.0)
    return chosen, factors


def _by_soil(inventory: Inventory, chosen: Ints, classes: Deterioration) -> Floats:
    table = {name: pair for name, pair in classes.factors["soil"].items() if isinstance(pair, list)}
    pairs = np.array([table.get(each or "", (1.0, 1.0)) for each in inventory.soil], dtype=np.float64).reshape(-1, 2)
    metal = np.array([each.metal for each in classes.classes])[chosen]
    return np.where(metal, pairs[:, 0], pairs[:, 1])


def _by_condition(grade: Floats, classes: Deterioration) -> Floats:
    factors = np.array(classes.factors["condition"]["factors"], dtype=np.float64)
    found = np.interp(np.nan_to_num(grade, nan=3.0), np.arange(1.0, 6.0), factors)
    return np.where(np.isnan(grade), 1.0, found)


def _by_history(inventory: Inventory, classes: Deterioration, chosen: Ints, factors: dict[str, Floats]) -> Floats:
    """Posterior mean of the asset's own rate over its class's: (shape + breaks) / (shape + expected on record)."""
    age = ages(inventory, classes)
    begun = np.maximum(age - np.nan_to_num(inventory.record_years, nan=0.0), 0.0)
    expected = (cumulative(classes, chosen, age) - cumulative(classes, chosen, begun)) * lengths_km(inventory, classes)
    for factor in factors.values():
        expected = expected * factor
    shape = float(classes.factors["history"]["shape"])
    found = (shape + np.nan_to_num(inventory.breaks, nan=0.0)) / (shape + expected)
    return np.where(np.isnan(inventory.record_years), 1.0, found)
