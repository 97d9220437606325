"""The pipes of a city as columns: what renewal is planned over."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline import geo, risk
from lifeline.model import Asset, AssetKind
from lifeline.risk.deterioration import Deterioration

Floats = NDArray[np.float64]
Line = list[list[float]]


@dataclass(frozen=True, slots=True)
class Segments:
    """n pipes. ``lof`` and ``cof`` are 1..5 now, ``rate`` is failures per km and year now.

    ``start`` and ``end`` name the nodes that a pipe lies between; ``lines`` are positions, longitude first.
    """

    external_id: list[str]
    network: list[str]
    street: list[str]
    road_class: list[str]
    inventory: risk.Inventory
    length_m: Floats
    depth_m: Floats
    lof: Floats
    cof: Floats
    rate: Floats
    start: list[str]
    end: list[str]
    lines: list[Line]

    def __len__(self) -> int:
        return len(self.external_id)

    @property
    def score(self) -> Floats:
        """Standing risk 0..100 now."""
        return risk.score(self.lof, self.cof)


class Known(NamedTuple):
    """Standing risk of assets (n,) as it was computed from more than they say themselves; NaN where it was not."""

    lof: Floats
    cof: Floats
    rate: Floats


def segments_of(
    assets: Sequence[Asset], year: int, known: Known | None = None, classes: Deterioration | None = None
) -> Segments:
    """The pipes among the assets as they are in ``year``; what is not ``known`` of them comes from the risk model."""
    places = [i for i, asset in enumerate(assets) if asset.kind is AssetKind.PIPE]
    pipes = [assets[i] for i in places]
    inventory = inventory_of(pipes, year)
    standing = risk.standing(inventory, classes)
    found = Known(standing.lof, standing.cof, standing.rate)
    if known is not None:
        found = Known(*(np.where(np.isnan(k[places]), f, k[places]) for k, f in zip(known, found, strict=True)))
    streets = Counter(pipe.name for pipe in pipes if pipe.name)
    return Segments(
        external_id=[pipe.external_id for pipe in pipes],
        network=[pipe.network for pipe in pipes],
        street=[_street(pipe, streets) for pipe in pipes],
        road_class=[pipe.road_class or "" for pipe in pipes],
        inventory=inventory,
        length_m=inventory.length_m,
        depth_m=_column([pipe.depth_m for pipe in pipes]),
        lof=found.lof,
        cof=found.cof,
        rate=found.rate,
        start=[_node(pipe, 0) for pipe in pipes],
        end=[_node(pipe, -1) for pipe in pipes],
        lines=[[list(position[:2]) for position in pipe.geometry["coordinates"]] for pipe in pipes],
    )


def inventory_of(assets: Sequence[Asset], year: int) -> risk.Inventory:
    """What standing risk is computed from, in ``year``."""
    ages = [None if asset.install_year is None else max(0, year - asset.install_year) for asset in assets]
    return risk.Inventory(
        material=[asset.material for asset in assets],
        age_years=_column(ages),
        diameter_mm=_column([asset.diameter_mm for asset in assets]),
        customers=np.array([asset.customers for asset in assets], dtype=np.float64),
        critical=np.array([asset.critical for asset in assets], dtype=np.bool_),
        network=[asset.network for asset in assets],
        kind=[asset.kind for asset in assets],
        soil=[asset.soil for asset in assets],
        road_class=[asset.road_class for asset in assets],
        length_m=np.array([_length(asset) for asset in assets], dtype=np.float64),
        condition=_column([asset.condition for asset in assets]),
    )


def _column(values: Sequence[float | int | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _length(asset: Asset) -> float:
    if asset.kind is not AssetKind.PIPE:
        return float("nan")
    return geo.length_m(asset.geometry) if asset.length_m is None else asset.length_m


def _street(pipe: Asset, names: Counter[str]) -> str:
    """The street where it is known; a name that several pipes share is one, a pipe's own name is not."""
    if pipe.street:
        return pipe.street
    return pipe.name if names[pipe.name] > 1 else ""


def _node(pipe: Asset, end: int) -> str:
    """The joint at one end: its name, else its place to a decimetre, within the pipe's own network."""
    named = pipe.to_asset if end else pipe.from_asset
    if named is not None:
        return named
    longitude, latitude = pipe.geometry["coordinates"][end][:2]
    return f"{pipe.network}@{longitude:.6f},{latitude:.6f}"
