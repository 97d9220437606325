"""The rows that the risk map is made of, in bulk."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from lifeline.model import JsonObject, Level
from lifeline.storage.columns import array_columns, seconds
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("riskmap")


class AssetRow(NamedTuple):
    """An asset; ``geometry`` is GeoJSON text, ids are 0 where there is none, risk is None before it was computed.

    ``probability``: of a failure within a year.
    """

    asset_id: int
    external_id: str
    network: str
    kind: str
    name: str
    geometry: str
    west: float
    south: float
    east: float
    north: float
    from_asset: int
    to_asset: int
    lof: float | None
    cof: float | None
    score: float | None
    parts: list[JsonObject] | None
    road_class: str = ""
    probability: float | None = None


class CellShare(NamedTuple):
    """``length_m`` metres of an asset lie in a hexagon."""

    asset_id: int
    cell: str
    length_m: float


class SensorPlace(NamedTuple):
    """Where a sensor in service stands; ``max_silence_s`` is None where the catalogue's holds."""

    sensor_id: int
    quantity: str
    max_silence_s: float | None
    longitude: float | None
    latitude: float | None


class ZoneRow(NamedTuple):
    """An active zone; ``network`` is empty for every network, ``geometry`` is GeoJSON text."""

    zone_id: int
    external_id: str
    kind: str
    network: str
    name: str
    geometry: str


class ZoneShare(NamedTuple):
    """What share of an asset's length lies in a zone."""

    zone_id: int
    asset_id: int
    share: float


class OpenAlert(NamedTuple):
    """A risk alert that counts on the map; ``asset_id`` and ``incident_id`` are 0 where it hangs on none.

    ``returned_at`` is when it went back to normal, seconds since 1970, None while it has not; one that is not ``open``
    any more closed a while ago.
    """

    alert_id: int
    rule: str
    level: Level
    asset_id: int
    longitude: float | None
    latitude: float | None
    returned_at: float | None = None
    open: bool = True
    quantity: str = ""
    incident_id: int = 0


@dataclass(frozen=True, slots=True)
class Newest:
    """When sensors were heard last: ids ascending (n,) and seconds since 1970 (n,)."""

    sensor_id: NDArray[np.int64]
    ts: NDArray[np.float64]


def one_moment(connection: Connection) -> None:
    """Begin a transaction in which every function here sees the same moment; it must be its first statement."""
    with storage_errors():
        connection.execute(_SQL["one_moment"])


def assets(connection: Connection) -> list[AssetRow]:
    """Every asset in order of its id."""
    with storage_errors():
        rows = connection.execute(_SQL["assets"])
        return [AssetRow._make((*row[:15], row[15] and orjson.loads(row[15]), *row[16:])) for row in rows]


def asset_cells(connection: Connection, resolution: int) -> list[CellShare]:
    """The share of each asset in each hexagon, by hexagon."""
    with storage_errors():
        rows = connection.execute(_SQL["asset_cells"], {"resolution": resolution})
        return [CellShare(*row) for row in rows]


def sensors(connection: Connection) -> list[SensorPlace]:
    """Every sensor in service, in order of its id."""
    with storage_errors():
        return [SensorPlace(*row) for row in connection.execute(_SQL["sensors"])]


def zones(connection: Connection) -> list[ZoneRow]:
    """Every active zone, in order of its name."""
    with storage_errors():
        return [ZoneRow(*row) for row in connection.execute(_SQL["zones"])]


def zone_assets(connection: Connection) -> list[ZoneShare]:
    """What lies in the active zones."""
    with storage_errors():
        return [ZoneShare(*row) for row in connection.execute(_SQL["zone_assets"])]


def newest(connection: Connection) -> Newest:
    """When each sensor was heard last."""
    ids, ts = array_columns(connection, _SQL["newest"], {}, ("i8", "i8"))
    order = np.argsort(ids, kind="stable")
    return Newest(ids[order].astype(np.int64), seconds(ts[order]))


def risk_alerts(connection: Connection, now: datetime, since_s: float) -> list[OpenAlert]:
    """The risk alerts that colour the map, worst first: open ones, and those that closed ``since_s`` ago at most."""
    with storage_errors():
        rows = connection.execute(_SQL["risk_alerts"], {"since": now - timedelta(seconds=since_s)}).fetchall()
    return [OpenAlert(row[0], row[1], Level(row[2]), *row[3:]) for row in rows]
