"""The ground of the risk map: the city as arrays. It changes with inventory and standing risk, not with readings."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from lifeline import geo, risk
from lifeline.catalogue import Catalogue
from lifeline.geo import Box
from lifeline.model import JsonObject
from lifeline.risk.coupling import Place, Surroundings
from lifeline.risk.scheme import Scheme, shipped_scheme
from lifeline.storage import riskmap as rows
from lifeline.storage.database import Connection
from lifeline.storage.riskmap import AssetRow, CellShare, SensorPlace, ZoneRow, ZoneShare

Ints = NDArray[np.int_]
Bools = NDArray[np.bool_]


class Adjacency(NamedTuple):
    """Which of some things belong to each of n others: those of thing i are ``to[start[i]:start[i + 1]]``."""

    start: Ints
    to: Ints

    def of(self, at: int) -> Ints:
        """Those of one."""
        return self.to[self.start[at] : self.start[at + 1]]

    def among(self, chosen: Ints) -> tuple[Ints, Ints]:
        """Those of several: positions in ``to`` (m,), and for each the place in ``chosen`` that it belongs to (m,)."""
        first, count = self.start[chosen], self.start[chosen + 1] - self.start[chosen]
        owner = np.repeat(np.arange(len(chosen)), count)
        position = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        return position, owner


def adjacency(n: int, owner: Ints, to: Ints) -> tuple[Adjacency, Ints]:
    """Pairs (owner, to) by owner, each owner's in order; and the order in which the pairs now stand."""
    order = np.lexsort((to, owner))
    start = np.searchsorted(owner[order], np.arange(n + 1))
    return Adjacency(start, to[order]), order


class CellLayer(NamedTuple):
    """Where the hexagons of one resolution are, and what lies in them: k cells, p shares of assets, s sensors."""

    resolution: int
    cells: list[str]
    cell_at: dict[str, int]
    heads: list[bytes]
    """Each cell as GeoJSON up to its properties."""
    boxes: risk.Floats
    """(k, 4) west, south, east, north."""
    assets: Adjacency
    """Assets by cell."""
    share_m: risk.Floats
    """(p,) metres of each of these shares."""
    length_m: risk.Floats
    """(k,) metres of all of them."""
    of_asset: Adjacency
    """Cells by asset."""
    sensors: Adjacency
    """Sensors by cell."""
    sensor_cell: Ints
    """(s,) index of the cell that a sensor stands in, -1 for one without a place."""


class Zones(NamedTuple):
    """The z active zones, and what lies in them: zone (q,), asset (q,) and share of its length (q,)."""

    zones: list[ZoneRow]
    zone: Ints
    asset: Ints
    share: risk.Floats


class Ground:
    """The city as arrays over n assets (in order of their id) and s sensors."""

    def __init__(
        self, assets: list[AssetRow], sensors: list[SensorPlace], catalogue: Catalogue, scheme: Scheme
    ) -> None:
        self.assets = assets
        self.scheme = scheme
        self.names = [each.external_id for each in assets]
        self.asset_at = {name: at for at, name in enumerate(self.names)}
        """Where each asset stands, by the city's own name for it."""
        n = len(assets)
        self.ids = np.array([each.asset_id for each in assets], dtype=np.int_)
        self.lof = np.array([each.lof or 1.0 for each in assets], dtype=np.float64)
        self.cof = np.array([each.cof or 1.0 for each in assets], dtype=np.float64)
        self.standing = risk.score(self.lof, self.cof)
        self.probability = np.array([each.probability or 0.0 for each in assets], dtype=np.float64)
        """Of a failure within a year, by what the asset is."""
        self.known = np.array([each.score is not None for each in assets], dtype=bool)
        """Whether standing risk was computed."""
        self.joints = _joints(assets, self.ids)
        """Assets that are joined, by asset."""
        self.boxes = np.array([(a.west, a.south, a.east, a.north) for a in assets], dtype=np.float64).reshape(n, 4)
        self.length_m: risk.Floats = np.zeros(n)
        self.pipes = np.array([each.kind == "pipe" for each in assets], dtype=bool)
        self.heads = [asset_head(each) for each in assets]
        """Each asset as GeoJSON, as far as it does not change: everything up to its risk."""
        self.sensor_ids = np.array([each.sensor_id for each in sensors], dtype=np.int_)
        longest = [each.max_silence_s or _catalogue_silence(catalogue, each.quantity) for each in sensors]
        self.max_silence = np.array(longest, dtype=np.float64)
        self.layers: dict[int, CellLayer] = {}
        self.zones = zones_of([], [], self.ids)

    @cached_property
    def surroundings(self) -> Surroundings:
        """What is near what; made when the first alert asks for it."""
        places = [Place(each.network, each.kind, each.cof or 1.0, each.road_class) for each in self.assets]
        return Surroundings([each.geometry for each in self.assets], places, self.scheme.couplings)

    @cached_property
    def extent(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north of the pipes, of all assets where there is no pipe; None for an empty city."""
        boxes = self.boxes[self.pipes] if self.pipes.any() else self.boxes
        if not len(boxes):
            return None
        (west, south), (east, north) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
        return west, south, east, north

    def place_of(self, asset_id: int) -> int | None:
        """Index of the asset with this id, or None where the ground has none: it may have come since."""
        at = int(self.ids.searchsorted(asset_id))
        return at if at < len(self.ids) and self.ids[at] == asset_id else None


def load(connection: Connection, catalogue: Catalogue, scheme: Scheme) -> Ground:
    """The city as arrays. Reads every asset, share and sensor: seconds for 100,000 segments."""
    shares = {resolution: rows.asset_cells(connection, resolution) for resolution in geo.RESOLUTIONS}
    ground = make_ground(rows.assets(connection), shares, rows.sensors(connection), catalogue, scheme)
    ground.zones = zones_of(rows.zones(connection), rows.zone_assets(connection), ground.ids)
    return ground


def make_ground(
    assets: list[AssetRow],
    shares: dict[int, list[CellShare]],
    sensors: list[SensorPlace],
    catalogue: Catalogue,
    scheme: Scheme | None = None,
) -> Ground:
    """Rows to arrays: assets and sensors in order of their ids, shares by resolution in any order."""
    ground = Ground(assets, sensors, catalogue, scheme or shipped_scheme())
    ground.layers = {resolution: _layer(resolution, found, ground.ids, sensors) for resolution, found in shares.items()}
    coarsest = ground.layers[min(ground.layers)]
    np.add.at(ground.length_m, coarsest.assets.to, coarsest.share_m)
    return ground


def _joints(assets: list[AssetRow], ids: Ints) -> Adjacency:
    """Each asset's neighbours, once each, both ways."""
    ends = [(at, end) for at, each in enumerate(assets) for end in (each.from_asset, each.to_asset) if end]
    pairs = np.array(ends, dtype=np.int_).reshape(-1, 2)
    pairs = pairs[np.isin(pairs[:, 1], ids)]  # an end may be out of service
    pairs[:, 1] = np.searchsorted(ids, pairs[:, 1])
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = np.unique(both[both[:, 0] != both[:, 1]], axis=0)
    return adjacency(len(assets), both[:, 0], both[:, 1])[0]


def _layer(resolution: int, shares: list[CellShare], asset_ids: Ints, sensors: list[SensorPlace]) -> CellLayer:
    """Every cell that an asset lies in or a sensor stands in, in order of its name."""
    at_sensor = [
        ""
        if each.longitude is None or each.latitude is None
        else geo.cell_at(each.longitude, each.latitude, resolution)
        for each in sensors
    ]
    cells = sorted({each.cell for each in shares} | set(at_sensor) - {""})
    k = len(cells)
    index = {cell: at for at, cell in enumerate(cells)}
    asset = np.searchsorted(asset_ids, np.array([each.asset_id for each in shares], dtype=np.int_))
    cell = np.array([index[each.cell] for each in shares], dtype=np.int_)
    by_cell, order = adjacency(k, cell, asset)
    metres = np.array([each.length_m for each in shares], dtype=np.float64)[order]
    sensor_cell = np.array([index.get(name, -1) for name in at_sensor], dtype=np.int_)
    placed = np.flatnonzero(sensor_cell >= 0)
    boundaries = [geo.boundary(name) for name in cells]
    return CellLayer(
        resolution,
        cells,
        index,
        [cell_head(name, shape) for name, shape in zip(cells, boundaries, strict=True)],
        np.array([_box(shape) for shape in boundaries], dtype=np.float64).reshape(k, 4),
        by_cell,
        metres,
        np.round(np.bincount(cell[order], metres, minlength=k)),
        adjacency(len(asset_ids), asset, cell)[0],
        adjacency(k, sensor_cell[placed], placed)[0],
        sensor_cell,
    )


def zones_of(found: list[ZoneRow], shares: list[ZoneShare], ids: Ints) -> Zones:
    """Zones and what lies in them as arrays; ``ids`` of the assets, ascending."""
    at = {each.zone_id: place for place, each in enumerate(found)}
    zone = np.array([at[each.zone_id] for each in shares], dtype=np.int_)
    asset = np.searchsorted(ids, np.array([each.asset_id for each in shares], dtype=np.int_))
    return Zones(found, zone, asset, np.array([each.share for each in shares], dtype=np.float64))


def asset_head(asset: AssetRow) -> bytes:
    """The asset as GeoJSON, up to its risk."""
    properties = {"id": asset.external_id, "network": asset.network, "kind": asset.kind, "name": asset.name}
    geometry = asset.geometry.encode()
    return b'{"type":"Feature","id":%d,"geometry":%b,"properties":%b,' % (
        asset.asset_id,
        geometry,
        orjson.dumps(properties)[:-1],
    )


def cell_head(cell: str, shape: JsonObject | None = None) -> bytes:
    """The hexagon as GeoJSON, up to its further properties."""
    return b'{"type":"Feature","geometry":%b,"properties":{"cell":"%b",' % (
        orjson.dumps(shape or geo.boundary(cell)),
        cell.encode(),
    )


def cell_box(cell: str) -> Box:
    """The box around a hexagon."""
    return _box(geo.boundary(cell))


def _box(shape: JsonObject) -> Box:
    longitudes, latitudes = zip(*shape["coordinates"][0], strict=True)
    return Box(min(longitudes), min(latitudes), max(longitudes), max(latitudes))


def _catalogue_silence(catalogue: Catalogue, quantity: str) -> float:
    known = catalogue.quantities.get(quantity)
    return known.max_silence_s if known else 0.0
