"""What ingest reads and writes: the inventory that it needs, and everything that one batch changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeline.model import JsonObject, Reason
from lifeline.storage.columns import Column, Floats, Int64s, reading_block, register_columns
from lifeline.storage.database import Connection, open_connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("ingest")
NO_READING = np.iinfo(np.int64).min
"""``ts`` of a sensor that has not said anything yet."""


@dataclass(frozen=True, slots=True)
class SensorRow:
    """One sensor, and its newest reading (``ts`` in microseconds since 1970, NO_READING when there is none)."""

    sensor_id: int
    device_id: int
    network: str
    device: str
    channel: str
    limits: JsonObject
    ts: int
    value: float


@dataclass(frozen=True, slots=True)
class Readings:
    """Rows of ``reading``; ``ts`` in microseconds since 1970. Sorted by sensor, then time, none twice."""

    sensor_id: Int64s
    ts: Int64s
    value: Floats
    quality: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.sensor_id)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One row of ``quarantine``. ``look_up``: it may be there already."""

    topic: str
    payload: bytes
    reason: Reason
    detail: str
    channel: str | None
    reading_ts: datetime | None
    digest: bytes
    look_up: bool


@dataclass(frozen=True, slots=True)
class Sightings:
    """Devices that were heard; lowest, highest and n of the sequence numbers of each (n = 0: it sends none)."""

    device_id: Int64s
    lowest: Int64s
    highest: Int64s
    n: Int64s
    redelivered: bool


@dataclass(frozen=True, slots=True)
class Status:
    """What a device, or its last will, says about it."""

    device_id: int
    status: str
    detail: str | None
    retained: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """A channel of a device that the inventory lacks, and how often it spoke."""

    network: str
    device: str
    channel: str
    n: int


def connect_writer(dsn: str) -> Connection:
    """A connection that takes ``Column`` parameters. Raises StorageUnavailableError."""
    with storage_errors():
        connection = open_connection(dsn, application="lifeline ingest")
        register_columns(connection)
        return connection


def sensors(connection: Connection) -> list[SensorRow]:
    """The whole inventory, by sensor id; gives every device a state row as well."""
    with storage_errors():
        connection.execute(_SQL["add_devices"])
        return [SensorRow(*row) for row in connection.execute(_SQL["sensors"])]


def devices(connection: Connection) -> list[tuple[int, str, str]]:
    """(device_id, network, external id) of every device."""
    with storage_errors():
        return list(connection.execute(_SQL["devices"]))


def inventory_version(connection: Connection) -> tuple[Any, ...]:
    """A value that changes with the inventory; cheap against reading it."""
    with storage_errors():
        row = connection.execute(_SQL["inventory_version"]).fetchone()
        return tuple(row or ())


def copy_readings(connection: Connection, rows: Readings) -> None:
    """Stores all rows or raises ConflictError, when one is there already; the transaction is then lost."""
    with storage_errors(), connection.cursor() as cursor, cursor.copy(_SQL["copy_readings"]) as copy:
        copy.write(reading_block(rows.sensor_id, rows.ts, rows.value, rows.quality))


def whole_days(connection: Connection, sensor_id: int, first: float, last: float, whole: int) -> set[int]:
    """Days (UTC, since 1970) between two moments (epoch seconds) of which a sensor has ``whole`` readings or more."""
    wanted = {"sensor": sensor_id, "first": first, "last": last, "whole": whole}
    with storage_errors():
        return {int(day) for (day,) in connection.execute(_SQL["days_of"], wanted)}


def insert_readings(connection: Connection, rows: Readings) -> int:
    """Stores the rows that are not there yet and says how many those were."""
    with storage_errors():
        return connection.execute(_SQL["insert_readings"], _columns(rows)).rowcount


def update_states(connection: Connection, newest: Readings, received_at: datetime) -> None:
    """Newest reading of each sensor, one row a sensor in order."""
    with storage_errors():
        connection.execute(_SQL["update_states"], {**_columns(newest), "received_at": received_at})


def _columns(rows: Readings) -> dict[str, Column]:
    return {
        "sensor_id": Column(rows.sensor_id, "int4"),
        "ts": Column(rows.ts, "timestamptz"),
        "value": Column(rows.value, "float8"),
        "quality": Column(rows.quality, "int2"),
    }


def quarantine(connection: Connection, rows: Sequence[Quarantined], received_at: datetime) -> list[str]:
    """Keeps the rows that are not kept yet and gives the reasons of those."""
    names = ("topic", "payload", "reason", "detail", "channel", "reading_ts", "digest", "look_up")
    values = {name: [getattr(row, name) for row in rows] for name in names}
    with storage_errors():
        kept = connection.execute(_SQL["quarantine"], {**values, "received_at": received_at})
        return [reason for (reason,) in kept]


def see_devices(connection: Connection, seen: Sightings, at: datetime) -> None:
    """Last seen and gaps in the sequence of each device."""
    parameters = {
        "device_id": Column(seen.device_id, "int4"),
        "lowest": Column(seen.lowest, "int8"),
        "highest": Column(seen.highest, "int8"),
        "n": Column(seen.n, "int8"),
        "redelivered": seen.redelivered,
        "seen": at,
    }
    with storage_errors():
        connection.execute(_SQL["lock_devices"], {"device_id": parameters["device_id"]})
        connection.execute(_SQL["see_devices"], parameters)


def set_statuses(connection: Connection, statuses: Sequence[Status], heard: datetime) -> None:
    """Online or offline; one row a device at most, by device id."""
    names = ("device_id", "status", "detail", "retained")
    values = {name: [getattr(row, name) for row in statuses] for name in names}
    with storage_errors():
        connection.execute(_SQL["lock_devices"], {"device_id": values["device_id"]})
        connection.execute(_SQL["set_statuses"], {**values, "heard": heard})


def note_unknown(connection: Connection, rows: Sequence[Unknown], seen: datetime) -> None:
    """Lists devices and channels that the inventory lacks, so that they can be adopted."""
    values = {name: [getattr(row, name) for row in rows] for name in ("network", "device", "channel", "n")}
    with storage_errors():
        connection.execute(_SQL["note_unknown"], {**values, "seen": seen})


def note_rollups(connection: Connection, bucket: Int64s, sensor_id: Int64s) -> None:
    """Buckets (their start, microseconds since 1970) that have to be computed anew; sensor 0 is every sensor."""
    parameters = {"bucket": Column(bucket, "timestamptz"), "sensor_id": Column(sensor_id, "int4")}
    with storage_errors():
        connection.execute(_SQL["note_rollups"], parameters)


def keep_account(connection: Connection, consumer: str, writer: int, counts: dict[str, int], now: datetime) -> None:
    """Adds received, stored, duplicate and quarantined to the books."""
    with storage_errors():
        connection.execute(_SQL["keep_account"], {**counts, "consumer": consumer, "writer": writer, "now": now})


def announce(connection: Connection) -> None:
    """Tells whoever listens that there are new readings."""
    with storage_errors():
        connection.execute(_SQL["announce"])


def subscriptions(connection: Connection, client_id: str) -> set[str]:
    """Topic filters that the client's session at the broker may still hold."""
    with storage_errors():
        return {topic for (topic,) in connection.execute(_SQL["subscriptions"], {"client_id": client_id})}


def add_subscriptions(connection: Connection, client_id: str, filters: Sequence[str]) -> None:
    """Before subscribing: noted first, so that a crash cannot leave one behind that nobody knows."""
    with storage_errors():
        connection.execute(_SQL["add_subscriptions"], {"client_id": client_id, "filters": list(filters)})


def drop_subscriptions(connection: Connection, client_id: str, filters: Sequence[str]) -> None:
    """After the broker confirmed the end of these."""
    with storage_errors():
        connection.execute(_SQL["drop_subscriptions"], {"client_id": client_id, "filters": list(filters)})
