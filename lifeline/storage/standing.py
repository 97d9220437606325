"""Standing risk in bulk: the assets as columns, what they lose, and the scores with their parts."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import orjson
import shapely
from psycopg.types.json import Jsonb

from lifeline import risk
from lifeline.errors import NotFoundError
from lifeline.model import JsonObject
from lifeline.risk import reach
from lifeline.risk.assets import Bools, Floats, Ints, Inventory
from lifeline.risk.consequence import nearness_of
from lifeline.risk.deterioration import Deterioration, shipped_deterioration
from lifeline.risk.likelihood import nearby_boost
from lifeline.storage.database import Connection
from lifeline.storage.queries import load

_SQL = load("standing")

METRES_PER_DEGREE = 111_195.0
WHOLE_AFTER = 0.05
SMALL = 20_000
"""Where more than this share of a network was touched, or it has no more assets than this, all of it is done anew."""


class Columns(NamedTuple):
    """Assets of one or more networks in order of their id: ids (n,), the ends (ids, 0: none) and what risk asks."""

    asset_id: Ints
    from_asset: Ints
    to_asset: Ints
    inventory: Inventory
    demand_lps: Floats
    """What a hydraulic model lets out at an asset; NaN where none says."""
    slope: Floats
    area_ha: Floats
    """Of a drain, and what drains to it; NaN where nothing says."""


class Lost(NamedTuple):
    """What is lost while an asset is out of service; arrays of length n."""

    asset_id: Ints
    loss: Floats
    customers: Ints
    critical: Ints


def columns(connection: Connection, now: datetime, networks: Sequence[str] | None = None) -> Columns:
    """Every asset of the networks (None: all) with its history and criticality, as of ``now``."""
    given = None if networks is None else list(networks)
    rows = connection.execute(_SQL["columns"], {"networks": given}).fetchall()
    turned = list(zip(*rows, strict=True)) or [()] * 20
    (ids, network, kind, material, year, diameter, length, customers, critical, ends_from, ends_to, soil, road,
     condition, loss, lost, critical_lost, demand, slope, area) = turned  # fmt: skip
    asset_id = np.array(ids, dtype=np.int_)
    years = _floats(year)
    breaks, record_years = _history(connection, asset_id, network, now)
    near, nearness = _facilities(connection, asset_id)
    return Columns(
        asset_id,
        np.array(ends_from, dtype=np.int_),
        np.array(ends_to, dtype=np.int_),
        Inventory(
            material=material,
            age_years=now.year - years,
            diameter_mm=_floats(diameter),
            customers=_floats(customers),
            critical=np.array(critical, dtype=np.bool_),
            network=network,
            kind=kind,
            soil=soil,
            road_class=road,
            length_m=_floats(length),
            condition=_floats(condition),
            breaks=breaks,
            record_years=record_years,
            boost=_boost(connection, asset_id, now),
            loss=_floats(loss),
            customers_lost=_floats(lost),
            critical_lost=_floats(critical_lost),
            facilities_near=near,
            nearness=nearness,
        ),
        _floats(demand),
        _floats(slope),
        _floats(area),
    )


def deterioration(connection: Connection) -> Deterioration:
    """The catalogue with the newest calibration, or as it ships."""
    row = connection.execute(_SQL["deterioration"]).fetchone()
    shipped = shipped_deterioration()
    return shipped if row is None else shipped.fitted(row[1]["classes"], int(row[0]))


def store_deterioration(connection: Connection, content: JsonObject, breaks: int, fitted_by: str, now: datetime) -> int:
    """Keep a calibration as the newest version; its number."""
    row = connection.execute(
        _SQL["store_deterioration"],
        {"fitted_at": now, "fitted_by": fitted_by, "breaks": breaks, "content": Jsonb(content)},
    ).fetchone()
    return int(row[0]) if row else 0


def recompute(
    connection: Connection, now: datetime, networks: Sequence[str] | None = None, only: Sequence[int] | None = None
) -> int:
    """Score the assets of the networks (None: all), or just those with ids in ``only``; how many have changed.

    In the caller's transaction; says "risk" on the channel of changes where something has.
    """
    found = columns(connection, now, networks)
    classes = deterioration(connection)
    standing = risk.standing(found.inventory, classes)
    parts = risk.parts(found.inventory, standing, classes)
    wanted = np.ones(len(found.asset_id), np.bool_) if only is None else np.isin(found.asset_id, only)
    connection.execute(_SQL["stage"])
    with connection.cursor().copy(_SQL["copy"]) as copy:
        for at in np.flatnonzero(wanted).tolist():
            scored = min(max(float(standing.score[at]), 0.0), 100.0)
            copy.write_row(
                (
                    int(found.asset_id[at]), float(standing.lof[at]), float(standing.cof[at]), scored,
                    orjson.dumps(parts[at]).decode(), now, float(standing.rate[at]), float(standing.probability[at]),
                )
            )  # fmt: skip
    changed = connection.execute(_SQL["store"]).rowcount
    connection.execute(_SQL["unstage"])
    if changed:
        connection.execute(_SQL["announce"])
    return changed


def refresh(connection: Connection, now: datetime, networks: Sequence[str], touched: Sequence[int]) -> None:
    """Standing risk after an import that touched these assets.

    An edit of a few assets of a large network scores these alone and leaves what they cut off to the nightly job.
    """
    for network in networks:
        found = columns(connection, now, [network])
        size = len(found.asset_id)
        if size <= SMALL or np.isin(found.asset_id, touched).sum() > WHOLE_AFTER * size:
            store_criticality(connection, graph_criticality(network, found), "graph", now)
            recompute(connection, now, [network])
        else:
            recompute(connection, now, [network], touched)


def graph_criticality(network: str, found: Columns) -> Lost:
    """What each asset of a network cuts off from its sources, by the graph: share of the customers, or of the length.

    Customers are counted where service is delivered: at junctions, chambers and valves; where none of these has any,
    on pipes. A network without customers is weighed by length.
    """
    kinds = [str(kind) for kind in found.inventory.kind]
    graph = graph_of(network, found)
    weight, counted = service_weights(found)
    critical = found.inventory.critical & np.isin(kinds, ("junction", "chamber", "valve"))
    cut = reach.cut_off(graph, np.stack([weight, critical.astype(float)], axis=1), _valves(network, kinds))
    total = max(float(weight.sum()), 1e-9)
    loss = np.where(cut.reached, np.clip(cut.lost[:, 0] / total, 0.0, 1.0), 0.0)
    customers = cut.lost[:, 0] if counted else np.zeros(len(loss))
    return Lost(
        found.asset_id,
        loss,
        np.where(cut.reached, customers, 0.0).round().astype(np.int_),
        np.where(cut.reached, cut.lost[:, 1], 0.0).round().astype(np.int_),
    )


def graph_of(network: str, found: Columns) -> reach.Topology:
    """The graph of a network's assets, by their places in the columns."""
    return reach.topology(network, [str(kind) for kind in found.inventory.kind], *ends_of(found))


def ends_of(found: Columns) -> tuple[Ints, Ints]:
    """Places in the columns (n,) of what each asset comes from and leads to; -1: none."""
    return _index(found.asset_id, found.from_asset), _index(found.asset_id, found.to_asset)


def gas_figures(connection: Connection, asset_id: Ints) -> tuple[Floats, Floats]:
    """Pressure behind (bar, gauge) and peak demand (normal m3/h) of each asset (n,); NaN where nothing says."""
    rows = connection.execute(_SQL["gas_figures"], {"assets": asset_id.tolist()}).fetchall()
    bar, peak = list(zip(*rows, strict=True)) or ((), ())
    return _floats(bar), _floats(peak)


def service_weights(found: Columns) -> tuple[Floats, bool]:
    """What each asset delivers, and whether that is customers (else demand of a model, else metres of pipe)."""
    kinds = np.array([str(kind) for kind in found.inventory.kind])
    held = np.nan_to_num(found.inventory.customers, nan=0.0)
    for chosen in (np.isin(kinds, ("junction", "chamber", "valve")), kinds == "pipe"):
        weight = np.where(chosen, held, 0.0)
        if weight.sum() > 0:
            return weight, True
    demand = np.maximum(np.nan_to_num(found.demand_lps, nan=0.0), 0.0)
    return (demand if demand.sum() > 0 else np.nan_to_num(found.inventory.length_m, nan=0.0)), False


class Elements(NamedTuple):
    """The assets of a network by their names in a model: columns of length n, ids ascending."""

    asset_id: Ints
    external_id: list[str]
    kind: list[str]
    customers: Ints
    critical: Bools
    element: list[str]
    length_m: Floats
    diameter_mm: Floats
    material: list[str | None]
    from_asset: list[int | None]
    to_asset: list[int | None]


def elements(connection: Connection, network: str) -> Elements:
    """Every asset in service of a network."""
    rows = connection.execute(_SQL["elements"], {"network": network}).fetchall()
    ids, names, kinds, customers, critical, element, length, diameter, material, a, b = (
        list(zip(*rows, strict=True)) or [()] * 11
    )
    return Elements(
        np.array(ids, dtype=np.int_), list(names), list(kinds), np.array(customers, dtype=np.int_),
        np.array(critical, dtype=np.bool_), list(element), _floats(length), _floats(diameter), list(material),
        list(a), list(b),
    )  # fmt: skip


def model(connection: Connection, network: str, kind: str) -> tuple[str, str] | None:
    """Name and text of the network's model (``kind``: epanet or swmm) that was imported last, or None."""
    row = connection.execute(_SQL["model"], {"network": network, "format": kind}).fetchone()
    return None if row is None else (row[0], bytes(row[1]).decode("utf-8", errors="replace"))


class ModelFile(NamedTuple):
    """A hydraulic model as it was imported; ``format`` is epanet or swmm."""

    name: str
    format: str
    content: bytes


def model_file(connection: Connection, network: str) -> ModelFile:
    """The network's model that was imported last. Raises NotFoundError."""
    row = connection.execute(_SQL["model_file"], {"network": network}).fetchone()
    if row is None:
        raise NotFoundError(f"no model of network {network!r} was imported")
    return ModelFile(row[0], row[1], bytes(row[2]))


def networks(connection: Connection) -> list[str]:
    """The networks that have assets in service."""
    return [network for (network,) in connection.execute(_SQL["networks"])]


def years_since_breaks(connection: Connection, now: datetime) -> tuple[Ints, Floats]:
    """Every break on record: its asset's id, and how many years ago it was."""
    rows = connection.execute(_SQL["break_years"], {"now": now}).fetchall()
    return np.array([row[0] for row in rows], dtype=np.int_), np.array([row[1] for row in rows], dtype=np.float64)


def store_criticality(connection: Connection, lost: Lost, method: str, now: datetime) -> None:
    """Keep what each asset loses; what a model computed is not replaced by the graph's."""
    connection.execute(_SQL["stage_criticality"])
    with connection.cursor().copy(_SQL["copy_criticality"]) as copy:
        for row in zip(*(column.tolist() for column in lost), strict=True):
            copy.write_row((*row, method, now))
    connection.execute(_SQL["store_criticality"])
    connection.execute(_SQL["unstage_criticality"])


class Critical(NamedTuple):
    """An asset and what is lost with it."""

    asset: str
    name: str
    network: str
    kind: str
    loss: float
    customers_lost: int
    critical_lost: int
    method: str
    computed_at: datetime


def most_critical(connection: Connection, network: str | None, limit: int) -> list[Critical]:
    """The assets whose loss costs most customers, worst first."""
    return [Critical(*row) for row in connection.execute(_SQL["criticality"], {"network": network, "limit": limit})]


def matrix(connection: Connection, network: str | None) -> list[list[int]]:
    """How many assets stand in each field of the 5x5 matrix: row LoF 1 to 5, column CoF 1 to 5."""
    rows = connection.execute(_SQL["classes"], {"network": network}).fetchall()
    values = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return [[int(count) for count in row] for row in risk.matrix(values[:, 0], values[:, 1])]


def _facilities(connection: Connection, asset_id: Ints) -> tuple[Floats, Floats]:
    """How many critical facilities are near each asset, and how much they count together."""
    rows = connection.execute(_SQL["facilities_near"]).fetchall()
    at = _index(asset_id, np.array([row[0] for row in rows], dtype=np.int_))
    here = at >= 0
    kinds = [row[1] for row, kept in zip(rows, here.tolist(), strict=True) if kept]
    counted = np.bincount(at[here], minlength=len(asset_id)).astype(np.float64)
    return counted, nearness_of(len(asset_id), at[here], kinds, _floats([row[2] for row in rows])[here])


def _history(connection: Connection, asset_id: Ints, networks: Sequence[str], now: datetime) -> tuple[Floats, Floats]:
    """Own breaks on record, and the years that the network is on record (to a quarter); NaN without any record."""
    begun = dict(connection.execute(_SQL["record_begins"], {"now": now}).fetchall())
    years = {network: max(math.floor((now - since).days / 365.25 * 4) / 4, 0.25) for network, since in begun.items()}
    counted = dict(connection.execute(_SQL["breaks_on_record"], {"now": now}).fetchall())
    record_years = np.array([years.get(network, math.nan) for network in networks], dtype=np.float64)
    breaks = np.array([counted.get(number, 0) for number in asset_id.tolist()], dtype=np.float64)
    return np.where(np.isnan(record_years), np.nan, breaks), record_years


def _boost(connection: Connection, asset_id: Ints, now: datetime) -> Floats:
    """Factor of recent breaks near each asset of the same network."""
    nearby = shipped_deterioration().factors["nearby"]
    since = now - timedelta(days=5 * float(nearby["decay_days"]))
    asset, days, metres = [], [], []
    broken = connection.execute(_SQL["recent_breaks"], {"since": since, "now": now}).fetchall()
    for _, network, at, geometry, west, south, east, north in broken:
        margin = float(nearby["reach_m"]) / METRES_PER_DEGREE
        wide = margin / max(math.cos(math.radians(south)), 0.01)
        box = {"network": network, "west": west - wide, "east": east + wide, "south": south - margin}
        rows = connection.execute(_SQL["near"], {**box, "north": north + margin}).fetchall()
        ids = np.array([number for number, _ in rows], dtype=np.int_)
        apart = _metres(geometry, [text for _, text in rows], south)
        here = _index(asset_id, ids)
        kept = (here >= 0) & (apart <= float(nearby["reach_m"]))
        asset.append(here[kept])
        metres.append(apart[kept])
        days.append(np.full(int(kept.sum()), float((now - at).days)))
    if not asset:
        return np.ones(len(asset_id))
    return nearby_boost(len(asset_id), np.concatenate(asset), np.concatenate(days), np.concatenate(metres))


def _metres(one: str, others: Sequence[str], latitude: float) -> Floats:
    """Distances in metres between a geometry and others, on a plane that touches the globe there."""
    scale = np.array([math.cos(math.radians(latitude)), 1.0]) * METRES_PER_DEGREE
    drawn = shapely.transform(shapely.from_geojson([one, *others]), lambda points: points * scale)
    return np.asarray(shapely.distance(drawn[0], drawn[1:]), dtype=np.float64)


def _index(asset_id: Ints, wanted: Ints) -> Ints:
    """Where each wanted id stands in the ascending ids; -1 where it does not."""
    if not len(asset_id):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(asset_id, wanted), len(asset_id) - 1)
    return np.where(asset_id[at] == wanted, at, -1)


def _valves(network: str, kinds: Sequence[str]) -> Bools | None:
    """Which assets are valves, where enough are known to say how a pipe is isolated."""
    valves = np.array([kind == "valve" for kind in kinds], dtype=np.bool_)
    pipes = sum(kind == "pipe" for kind in kinds)
    known = network not in reach.DIRECTED and valves.sum() >= reach.VALVES_KNOWN * max(pipes, 1)
    return valves if known else None


def _floats(values: Sequence[object]) -> Floats:
    return np.array(values, dtype=np.float64)
