"""The ground of the risk map: the city as arrays. It changes with inventory and standing risk, not with readings."""

from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from lifeline import geo, risk
from lifeline.catalogue import Catalogue
from lifeline.storage import riskmap as rows
from lifeline.storage.database import Connection
from lifeline.storage.riskmap import AssetRow, CellShare, SensorPlace

Ints = NDArray[np.int_]
Bools = NDArray[np.bool_]


class CellLayer(NamedTuple):
    """Where the hexagons of one resolution are, and what lies in them: k cells, p shares of assets, s sensors."""

    resolution: int
    cells: list[str]
    cell_at: dict[str, int]
    heads: list[bytes]
    """Each cell as GeoJSON up to its properties."""
    share_asset: Ints
    share_cell: Ints
    share_m: risk.Floats
    sensor_cell: Ints
    """(s,) index of the cell that a sensor stands in, -1 for one without a place."""


class Ground(NamedTuple):
    """The city as arrays over n assets (in order of their id), m joints between assets, and s sensors."""

    assets: list[AssetRow]
    asset_at: dict[str, int]
    """Where each asset stands, by the city's own name for it."""
    ids: Ints
    lof: risk.Floats
    cof: risk.Floats
    known: Bools
    """Whether standing risk was computed."""
    joints: Ints
    """(m, 2) indices of assets that are joined."""
    boxes: risk.Floats
    """(n, 4) west, south, east, north."""
    pipes: Bools
    heads: list[bytes]
    """Each asset as GeoJSON, as far as it does not change: everything up to its risk."""
    sensor_ids: Ints
    max_silence: risk.Floats
    layers: dict[int, CellLayer]

    def place_of(self, asset_id: int) -> int | None:
        """Index of the asset with this id, or None where the ground has none: it may have come since."""
        at = int(self.ids.searchsorted(asset_id))
        return at if at < len(self.ids) and self.ids[at] == asset_id else None


def load(connection: Connection, catalogue: Catalogue) -> Ground:
    """The city as arrays. Reads every asset, share and sensor: seconds for 100,000 segments."""
    shares = {resolution: rows.asset_cells(connection, resolution) for resolution in geo.RESOLUTIONS}
    return make_ground(rows.assets(connection), shares, rows.sensors(connection), catalogue)


def make_ground(
    assets: list[AssetRow], shares: dict[int, list[CellShare]], sensors: list[SensorPlace], catalogue: Catalogue
) -> Ground:
    """Rows to arrays: assets and sensors in order of their ids, shares by resolution."""
    ids = np.array([each.asset_id for each in assets], dtype=np.int_)
    longest = [each.max_silence_s or _catalogue_silence(catalogue, each.quantity) for each in sensors]
    ends = [(at, end) for at, each in enumerate(assets) for end in (each.from_asset, each.to_asset) if end]
    return Ground(
        assets=assets,
        asset_at={each.external_id: at for at, each in enumerate(assets)},
        ids=ids,
        lof=np.array([each.lof or 1.0 for each in assets], dtype=np.float64),
        cof=np.array([each.cof or 1.0 for each in assets], dtype=np.float64),
        known=np.array([each.score is not None for each in assets], dtype=bool),
        joints=np.array([(at, np.searchsorted(ids, end)) for at, end in ends], dtype=np.int_).reshape(-1, 2),
        boxes=np.array([(a.west, a.south, a.east, a.north) for a in assets], dtype=np.float64).reshape(-1, 4),
        pipes=np.array([each.kind == "pipe" for each in assets], dtype=bool),
        heads=[asset_head(each) for each in assets],
        sensor_ids=np.array([each.sensor_id for each in sensors], dtype=np.int_),
        max_silence=np.array(longest, dtype=np.float64),
        layers={resolution: _layer(resolution, found, ids, sensors) for resolution, found in shares.items()},
    )


def _layer(resolution: int, shares: list[CellShare], asset_ids: Ints, sensors: list[SensorPlace]) -> CellLayer:
    """Every cell that an asset lies in or a sensor stands in, in order of its name."""
    at_sensor = [
        ""
        if each.longitude is None or each.latitude is None
        else geo.cell_at(each.longitude, each.latitude, resolution)
        for each in sensors
    ]
    cells = sorted({each.cell for each in shares} | set(at_sensor) - {""})
    index = {cell: at for at, cell in enumerate(cells)}
    return CellLayer(
        resolution,
        cells,
        index,
        [cell_head(cell) for cell in cells],
        np.searchsorted(asset_ids, np.array([each.asset_id for each in shares], dtype=np.int_)),
        np.array([index[each.cell] for each in shares], dtype=np.int_),
        np.array([each.length_m for each in shares], dtype=np.float64),
        np.array([index.get(cell, -1) for cell in at_sensor], dtype=np.int_),
    )


def asset_head(asset: AssetRow) -> bytes:
    """The asset as GeoJSON, up to its risk."""
    properties = {"id": asset.external_id, "network": asset.network, "kind": asset.kind, "name": asset.name}
    geometry = asset.geometry.encode()
    return b'{"type":"Feature","id":%d,"geometry":%b,"properties":%b,' % (
        asset.asset_id,
        geometry,
        orjson.dumps(properties)[:-1],
    )


def cell_head(cell: str) -> bytes:
    """The hexagon as GeoJSON, up to its further properties."""
    return b'{"type":"Feature","geometry":%b,"properties":{"cell":"%b",' % (
        orjson.dumps(geo.boundary(cell)),
        cell.encode(),
    )


def _catalogue_silence(catalogue: Catalogue, quantity: str) -> float:
    known = catalogue.quantities.get(quantity)
    return known.max_silence_s if known else 0.0
