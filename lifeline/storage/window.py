"""What the detectors read: the inventory, each sensor's newest state, and readings in bulk as numpy columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeline.model import JsonObject, Quality
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

UNFIT = Quality.BACKLOG | Quality.IMPLAUSIBLE
"""Readings that no detector of risk may see: too old to warn of, or evidence of a sick sensor."""

_SQL = load("window")
_EPOCH_2000 = 946_684_800.0
_WIRE = {"i4": np.dtype([("size", ">i4"), ("value", ">i4")])} | {
    kind: np.dtype([("size", ">i4"), ("value", f">{kind}")]) for kind in ("i8", "f8")
}


@dataclass(frozen=True, slots=True)
class SensorRow:
    """A sensor as rules see it; ``depth_m`` is its asset's, None where unknown."""

    sensor_id: int
    device_id: int
    quantity: str
    network: str
    in_service: bool
    depth_m: float | None
    limits: JsonObject


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


def devices(connection: Connection) -> list[DeviceRow]:
    """Every device, in the order of its id."""
    with storage_errors():
        return [DeviceRow(*row) for row in connection.execute(_SQL["devices"])]


def states(connection: Connection) -> States:
    """The newest reading of each sensor."""
    sensor_id, ts, received_at = _columns(connection, "states", {}, ("i4", "i8", "i8"))
    return States(sensor_id.astype(np.int32), _seconds(ts), _seconds(received_at))


def readings_between(connection: Connection, low: float, high: float) -> Readings:
    """Fit readings with ``low < ts <= high`` (epoch seconds). A minute of 100,000 sensors is 100,000 rows."""
    return _readings(connection, "readings_between", {"low": low, "high": high})


def readings_of(connection: Connection, ids: Sequence[int], since: Sequence[float], floor: float) -> Readings:
    """Fit readings of the sensors ``ids``, of each after its own ``since`` and after ``floor`` (epoch seconds)."""
    return _readings(connection, "readings_of", {"sensors": list(ids), "since": list(since), "floor": floor})


def _readings(connection: Connection, statement: str, values: dict[str, Any]) -> Readings:
    sensor_id, ts, value = _columns(connection, statement, values | {"unfit": int(UNFIT)}, ("i4", "i8", "f8"))
    return Readings(sensor_id.astype(np.int32), _seconds(ts), value.astype(np.float64))


def _seconds(ts: NDArray[Any]) -> Floats:
    return ts.astype(np.float64) / 1e6 + _EPOCH_2000


def _columns(
    connection: Connection, statement: str, values: dict[str, Any], kinds: Sequence[str]
) -> list[NDArray[Any]]:
    """The one row of arrays that a statement gives, in PostgreSQL's binary form: five integers of head for an array of
    one dimension, then size and value of each element; NULL where there was no row."""
    with storage_errors(), connection.cursor(binary=True) as cursor:
        cursor.execute(_SQL[statement], values)
        result = cursor.pgresult
        raw = [result.get_value(0, column) if result else None for column in range(len(kinds))]
    return [
        np.frombuffer(data, _WIRE[kind], offset=20)["value"] if data else np.empty(0, kind)
        for data, kind in zip(raw, kinds, strict=True)
    ]
