"""The database under load: its devices, and what arrived of what was sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("loading")


class Books(NamedTuple):
    """What ingest has counted, in readings."""

    received: int
    stored: int
    duplicate: int
    quarantined: int


def add(connection: Connection, network: str, quantity: str, devices: Sequence[str], channels: Sequence[str]) -> None:
    """Devices with the same channels each, into an empty inventory."""
    with storage_errors():
        connection.execute(_SQL["add_devices"], {"network": network, "names": list(devices)})
        connection.execute(_SQL["add_sensors"], {"quantity": quantity, "channels": list(channels)})


def stored(connection: Connection) -> tuple[int, int]:
    """Readings in the table, and the sum of their values in thousandths."""
    with storage_errors():
        row = connection.execute(_SQL["stored"]).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def newest(connection: Connection, device: str) -> datetime | None:
    """When the newest reading of a device was taken."""
    with storage_errors():
        row = connection.execute(_SQL["newest"], {"device": device}).fetchone()
    return row[0] if row else None


def books(connection: Connection) -> Books:
    """The books over all consumers."""
    with storage_errors():
        row = connection.execute(_SQL["books"]).fetchone()
    return Books(*(row or (0, 0, 0, 0)))
