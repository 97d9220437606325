"""The pipes of a city as columns: what renewal is planned over."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lifeline import geo, risk
from lifeline.model import Asset, AssetKind

Floats = NDArray[np.float64]
Line = list[list[float]]


@dataclass(frozen=True, slots=True)
class Segments:
    """n pipes. ``cof`` is consequence 1..5; ``rate`` failures per km and year now, NaN where none was computed.

    ``start`` and ``end`` name the nodes that a pipe lies between; ``lines`` are positions, longitude first.
    """

    external_id: list[str]
    network: list[str]
    street: list[str]
    road_class: list[str]
    inventory: risk.Inventory
    length_m: Floats
    depth_m: Floats
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
        return risk.score(risk.standing(self.inventory).lof, self.cof)


def segments_of(assets: Sequence[Asset], year: int, cof: Floats | None = None, rate: Floats | None = None) -> Segments:
    """The pipes among the assets as they are in ``year``; ``cof`` and ``rate`` are of all assets, NaN: not known."""
    places = [i for i, asset in enumerate(assets) if asset.kind is AssetKind.PIPE]
    pipes = [assets[i] for i in places]
    unknown = np.full(len(pipes), np.nan)
    inventory = inventory_of(pipes, year)
    given = unknown if cof is None else cof[places]
    streets = Counter(pipe.name for pipe in pipes if pipe.name)
    return Segments(
        external_id=[pipe.external_id for pipe in pipes],
        network=[pipe.network for pipe in pipes],
        street=[_street(pipe, streets) for pipe in pipes],
        road_class=[pipe.road_class or "" for pipe in pipes],
        inventory=inventory,
        length_m=np.array([_length(pipe) for pipe in pipes], dtype=np.float64),
        depth_m=_column([pipe.depth_m for pipe in pipes]),
        cof=np.where(np.isnan(given), risk.consequence(inventory), given),
        rate=unknown if rate is None else rate[places],
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
    )


def aged(inventory: risk.Inventory, years: float) -> risk.Inventory:
    """The same assets so many years later."""
    return replace(inventory, age_years=inventory.age_years + years)


def _column(values: Sequence[float | int | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _length(pipe: Asset) -> float:
    return geo.length_m(pipe.geometry) if pipe.length_m is None else pipe.length_m


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
