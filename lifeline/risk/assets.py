"""The assets that standing risk is computed from, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int_]

_NONE: tuple[str | None, ...] = ()


def _unknown() -> Floats:
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class Inventory:
    """n assets as columns of length n; NaN and None mean not known. A column left out is not known of any asset.

    ``breaks`` are failures on record within the last ``record_years``, ``boost`` the factor of breaks nearby (>= 1),
    ``loss`` (0..1), ``customers_lost`` and ``critical_lost`` come from criticality. ``facilities_near`` counts critical
    facilities near, ``nearness`` (0..1) is how much they count together (`consequence.nearness_of`).
    """

    material: Sequence[str | None]
    age_years: Floats
    diameter_mm: Floats
    customers: Floats
    critical: Bools
    network: Sequence[str | None] = _NONE
    kind: Sequence[str | None] = _NONE
    soil: Sequence[str | None] = _NONE
    road_class: Sequence[str | None] = _NONE
    length_m: Floats = field(default_factory=_unknown)
    condition: Floats = field(default_factory=_unknown)
    breaks: Floats = field(default_factory=_unknown)
    record_years: Floats = field(default_factory=_unknown)
    boost: Floats = field(default_factory=_unknown)
    loss: Floats = field(default_factory=_unknown)
    customers_lost: Floats = field(default_factory=_unknown)
    critical_lost: Floats = field(default_factory=_unknown)
    facilities_near: Floats = field(default_factory=_unknown)
    nearness: Floats = field(default_factory=_unknown)

    def __post_init__(self) -> None:
        n = len(self.material)
        for name in ("network", "kind", "soil", "road_class"):
            if len(getattr(self, name)) != n:
                object.__setattr__(self, name, _filled(name, getattr(self, name), [None] * n))
        for name in ("length_m", "condition", "breaks", "record_years", "boost", "loss", "customers_lost",
                     "critical_lost", "facilities_near", "nearness"):  # fmt: skip
            if len(getattr(self, name)) != n:
                object.__setattr__(self, name, _filled(name, getattr(self, name), np.full(n, np.nan)))

    def __len__(self) -> int:
        return len(self.material)


def _filled(name: str, given: Sequence[object] | Floats, unknown: list[None] | Floats) -> list[None] | Floats:
    if len(given):
        raise ValueError(f"{name} has {len(given)} values for {len(unknown)} assets")
    return unknown
