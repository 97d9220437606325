"""What the detectors read: the inventory, each sensor's newest state, and readings in bulk as numpy columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline.model import JsonObject, Quality
from lifeline.storage.columns import array_columns, seconds
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

UNFIT = Quality.BACKLOG | Quality.IMPLAUSIBLE
"""Readings that no detector of risk may see: too old to warn of, or evidence of a sick sensor."""

_SQL = load("window")


@dataclass(frozen=True, slots=True)
class SensorRow:
    """A sensor as rules see it; ``depth_m`` is its asset's, and the place is its own or its asset's; None: unknown."""

    sensor_id: int
    device_id: int
    quantity: str
    network: str
    in_service: bool
    depth_m: float | None
    limits: JsonObject
    asset_id: int | None = None
    longitude: float | None = None
    latitude: float | None = None
    name: str = ""
    """``device/channel``, as in the topic and the payload."""


class AssetRow(NamedTuple):
    """What joins a network: an asset with what it connects, None where it connects nothing."""

    asset_id: int
    external_id: str
    network: str
    kind: str
    from_asset: int | None
    to_asset: int | None
    length_m: float | None
    diameter_mm: float | None
    attributes: JsonObject


class ZoneRow(NamedTuple):
    """A zone with meters: 1 into it or -1 out of it by sensor id, and the ids of the sensors that lie in it."""

    name: str
    meters: dict[int, int]
    sensors: Sequence[int]


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device; ``status`` is online, offline or unknown, and ``status_at`` the time of it (epoch seconds) or None."""

    device_id: int
    gateway_id: int | None
    status: str
    status_at: float | None


@dataclass(frozen=True, slots=True)
class States:
    """The newest reading of each sensor that ever spoke. Times in epoch seconds; no order."""

    sensor_id: Ints
    ts: Floats
    received_at: Floats
    quality: Ints


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings as columns of one length, in no order. ``ts`` in epoch seconds."""

    sensor_id: Ints
    ts: Floats
    value: Floats


def fingerprint(connection: Connection) -> tuple[str, ...]:
    """Differs from an earlier one when the inventory has changed in between."""
    with storage_errors():
        row = connection.execute(_SQL["fingerprint"]).fetchone()
    return tuple(row or ())


def sensors(connection: Connection) -> list[SensorRow]:
    """Every sensor, in the order of its id."""
    with storage_errors():
        return [SensorRow(*row) for row in connection.execute(_SQL["sensors"])]


def assets(connection: Connection) -> list[AssetRow]:
    """Every asset that joins others or carries a sensor, in the order of its id."""
    with storage_errors():
        return [AssetRow(*row) for row in connection.execute(_SQL["assets"])]


def metered_zones(connection: Connection) -> list[ZoneRow]:
    """Every active zone with a meter, in the order of its id."""
    with storage_errors():
        return [
            ZoneRow(name, dict(zip(ids, ways, strict=True)), within)
            for name, ids, ways, within in connection.execute(_SQL["metered_zones"])
        ]


def devices(connection: Connection) -> list[DeviceRow]:
    """Every device, in the order of its id."""
    with storage_errors():
        return [DeviceRow(*row) for row in connection.execute(_SQL["devices"])]


def states(connection: Connection) -> States:
    """The newest reading of each sensor."""
    sensor_id, ts, received_at, quality = array_columns(connection, _SQL["states"], {}, ("i4", "i8", "i8", "i4"))
    return States(sensor_id.astype(np.int32), seconds(ts), seconds(received_at), quality.astype(np.int32))


def readings_between(connection: Connection, low: float, high: float) -> Readings:
    """Fit readings with ``low < ts <= high`` (epoch seconds). A minute of 100,000 sensors is 100,000 rows."""
    return _readings(connection, "readings_between", {"low": low, "high": high})


def past_between(connection: Connection, low: float, high: float) -> Readings:
    """Plausible readings of a stretch of the past, also those that were stored and forwarded."""
    return _readings(connection, "readings_between", {"low": low, "high": high, "unfit": int(Quality.IMPLAUSIBLE)})


def stored_between(connection: Connection, low: float, high: float) -> Readings:
    """Every reading of a stretch of the past as it was stored, whatever its quality."""
    return _readings(connection, "readings_between", {"low": low, "high": high, "unfit": 0})


def readings_of(connection: Connection, ids: Sequence[int], since: Sequence[float], floor: float) -> Readings:
    """Fit readings of the sensors ``ids``, of each after its own ``since`` and after ``floor`` (epoch seconds)."""
    return _readings(connection, "readings_of", {"sensors": list(ids), "since": list(since), "floor": floor})


def _readings(connection: Connection, statement: str, values: dict[str, Any]) -> Readings:
    sensor_id, ts, value = array_columns(
        connection, _SQL[statement], {"unfit": int(UNFIT)} | values, ("i4", "i8", "f8")
    )
    return Readings(sensor_id.astype(np.int32), seconds(ts), value.astype(np.float64))
