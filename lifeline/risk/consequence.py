"""Consequence of failure: CoF 1 to 5 from who loses service, what is near and what the pipe carries.

CoF = 1 + 4 (1 - product over factors of (1 - w u)): each factor is a severity u from 0 to 1 with a weight w < 1. One
severe factor is enough for a high CoF, several add, none dilutes another, and what is not known counts nothing. Weights
and ranges are defaults of this project. Pure and vectorised over n assets.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lifeline.risk.assets import Floats, Ints, Inventory

WEIGHTS: dict[str, float] = {
    "supply": 0.65,
    "customers": 0.7,
    "facility": 0.4,
    "nearby": 0.35,
    "road": 0.3,
    "size": 0.5,
}
"""Weight of each factor, in the order in which an explanation takes them into account (default)."""
LOSS_LOW, LOSS_HIGH = 0.005, 0.5
"""Share of the network's demand whose loss has severity 0 and 1, logarithmic between (default)."""
FEW_CUSTOMERS, MANY_CUSTOMERS = 10.0, 10_000.0
"""Customers without service that have severity 0 and 1, logarithmic between (default)."""
DIAMETERS_MM: dict[str, tuple[float, float]] = {
    "water": (100.0, 1200.0),
    "gas": (63.0, 500.0),
    "drainage": (300.0, 2500.0),
}
"""Diameters that have severity 0 and 1 in each network, logarithmic between (default); others as water."""
NEAR_M = 150.0
"""Within this distance of a critical facility a failure would hit it: streets are shut, cellars flood (default)."""
FACILITIES: dict[str, float] = {
    "hospital": 1.0, "care_home": 0.8, "subway": 0.8, "power": 0.8, "fire_station": 0.7, "school": 0.7, "station": 0.6,
    "data_centre": 0.6, "government": 0.5, "police": 0.5, "market": 0.4, "other": 0.3,
}  # fmt: skip
"""Severity of each kind of critical facility where the failure is at its door (default)."""
UNKNOWN_SIZE = 0.2
"""Severity of a diameter that is not known, or of what has none (default)."""
ROADS: dict[str, float] = {"trunk": 1.0, "main": 0.7, "street": 0.35, "lane": 0.15, "none": 0.0}
"""Severity of the class of the road above (default)."""


class Consequence(NamedTuple):
    """Of n assets: ``cof`` 1..5; ``steps`` (n, 6) is CoF after each factor of ``WEIGHTS`` in turn."""

    cof: Floats
    steps: Floats


def consequence_of(inventory: Inventory) -> Consequence:
    """CoF of every asset with what each factor made of it."""
    severity = severities(inventory)
    spared = np.cumprod(np.stack([1.0 - WEIGHTS[name] * severity[name] for name in WEIGHTS], axis=1), axis=1)
    steps: Floats = np.asarray(1.0 + 4.0 * (1.0 - spared), dtype=np.float64)
    return Consequence(steps[:, -1], steps)


def severities(inventory: Inventory) -> dict[str, Floats]:
    """Each factor's severity (n,) from 0 to 1."""
    lost = np.nan_to_num(np.fmax(inventory.customers, inventory.customers_lost), nan=0.0)
    bounds = np.array([DIAMETERS_MM.get(each or "", DIAMETERS_MM["water"]) for each in inventory.network])
    low, high = bounds.reshape(-1, 2).T
    size = np.log(np.clip(inventory.diameter_mm, low, high) / low) / np.log(high / low)
    return {
        "supply": _logarithmic(np.nan_to_num(inventory.loss, nan=0.0), LOSS_LOW, LOSS_HIGH),
        "customers": _logarithmic(lost, FEW_CUSTOMERS, MANY_CUSTOMERS),
        "facility": np.where(inventory.critical | (np.nan_to_num(inventory.critical_lost, nan=0.0) > 0), 1.0, 0.0),
        "nearby": np.nan_to_num(inventory.nearness, nan=0.0),
        "road": np.array([ROADS.get(each or "none", 0.0) for each in inventory.road_class], dtype=np.float64),
        "size": np.nan_to_num(size, nan=UNKNOWN_SIZE),
    }


def nearness_of(n: int, asset: Ints, kind: Sequence[str], distance_m: Floats) -> Floats:
    """How much the facilities near each of n assets count together, 0 to 1: 1 - product of (1 - u (1 - d / NEAR_M)).

    ``asset`` (m,) holds indices into 0..n-1, ``kind`` and ``distance_m`` (m,) what is near. One more never lowers it.
    """
    severity = np.array([FACILITIES.get(each, FACILITIES["other"]) for each in kind], dtype=np.float64)
    spared = 1.0 - severity * np.clip(1.0 - distance_m / NEAR_M, 0.0, 1.0)
    order = np.lexsort((spared, asset))  # the same to the last bit, in whatever order they come
    quiet = np.ones(n)
    np.multiply.at(quiet, asset[order], spared[order])
    return 1.0 - quiet


def _logarithmic(values: Floats, low: float, high: float) -> Floats:
    """0 at ``low`` and below, 1 at ``high`` and above, linear in the logarithm between."""
    return np.asarray(np.log(np.clip(values, low, high) / low) / np.log(high / low), dtype=np.float64)
