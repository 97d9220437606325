"""Assets, sensors, alerts and reports as GeoJSON features, made by the database, for OGC API Features."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifeline.geo import Box
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("features")
SOURCES = ("assets", "sensors", "alerts", "reports")


@dataclass(frozen=True, slots=True)
class FeatureFilter:
    """Conditions that a feature must meet; None means any. ``since`` and ``until`` are both inclusive."""

    box: Box | None = None
    since: datetime | None = None
    until: datetime | None = None
    network: str | None = None
    open: bool = False
    fid: str | None = None


def features(
    connection: Connection, source: str, wanted: FeatureFilter, *, after: int, limit: int
) -> list[tuple[int, bytes]]:
    """At most ``limit`` features of ``source`` (one of SOURCES) behind the key ``after``: (key, GeoJSON), by key."""
    values: dict[str, Any] = {
        "after": after,
        "limit": limit,
        "fid": wanted.fid,
        "network": wanted.network,
        "since": wanted.since,
        "until": wanted.until,
        "open": wanted.open,
        **dict(zip(Box._fields, wanted.box or (None, None, None, None), strict=True)),
    }
    with storage_errors():
        rows: Sequence[tuple[int, str, str, str]] = connection.execute(_SQL[source], values).fetchall()
    return [
        (key, f'{{"type":"Feature","id":{fid},"geometry":{geometry},"properties":{properties}}}'.encode())
        for key, fid, geometry, properties in rows
    ]


def extent(connection: Connection) -> Box | None:
    """The box around all assets; None where there are none."""
    with storage_errors():
        row = connection.execute(_SQL["extent"]).fetchone()
    return Box(*row) if row is not None and row[0] is not None else None
