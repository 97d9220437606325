"""What a simulated city really did, and the alerts beside it."""

from collections.abc import Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from lifeline.model import AlertKind, JsonObject, Level
from lifeline.scoring import Happened, Raised
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("truth")


def write(connection: Connection, records: Sequence[JsonObject], now: datetime) -> None:
    """Keep records of the simulators' truth; the last of an id and beginning counts."""
    latest = {(record["id"], record["from"]): record for record in records}
    if latest:
        with storage_errors():
            connection.execute(_SQL["write"], {"records": Jsonb(list(latest.values())), "now": now})


def between(connection: Connection, first: datetime, last: datetime) -> list[Happened]:
    """Events that began in ``[first, last)``."""
    with storage_errors():
        rows = connection.execute(_SQL["between"], {"first": first, "last": last}).fetchall()
    return [
        Happened(
            id=row[0], kind=row[1], nature=row[2], network=row[3], scenario=row[4], seed=row[5],
            begin=row[6].timestamp(), end=row[7].timestamp(), visible=row[8].timestamp() if row[8] else None,
            asset=row[9], sensor=row[10], devices=tuple(row[11]), at=_point(row[12], row[13]), harmless=row[14],
        )
        for row in rows
    ]  # fmt: skip


def alerts(connection: Connection, first: datetime, last: datetime) -> list[Raised]:
    """Alerts that were raised in ``[first, last)``, the worst level that each had, and the cause that was named."""
    with storage_errors():
        rows = connection.execute(_SQL["alerts"], {"first": first, "last": last}).fetchall()
    return [
        Raised(
            id=row[0], rule=row[1], kind=AlertKind(row[2]), network=row[3], raised_at=row[4].timestamp(),
            level=Level(row[5]), quantity=row[6] or row[7], at=_point(row[8], row[9]), asset=row[10], device=row[11],
            channel=row[12], cause=row[13],
        )
        for row in rows
    ]  # fmt: skip


def _point(longitude: float | None, latitude: float | None) -> tuple[float, float] | None:
    return None if longitude is None or latitude is None else (longitude, latitude)
