"""The readings of one sensor over a span: as they came, or by roll-ups."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from psycopg import sql

from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load


class Resolution(StrEnum):
    """How finely a span is told."""

    AUTO = "auto"
    RAW = "raw"
    QUARTER = "15m"
    HOUR = "1h"
    DAY = "1d"


_ROLLED = {
    Resolution.QUARTER: ("reading_15m", timedelta(minutes=15)),
    Resolution.HOUR: ("reading_1h", timedelta(hours=1)),
    Resolution.DAY: ("reading_1d", timedelta(days=1)),
}
_AUTO = (
    (timedelta(hours=26), Resolution.RAW),
    (timedelta(days=15), Resolution.QUARTER),
    (timedelta(days=100), Resolution.HOUR),
)
"""Longest span that each resolution is chosen for; longer ones are told by days."""

_SQL = load("series")


@dataclass(frozen=True, slots=True)
class Point:
    """One reading (``n`` is 1, with its quality flags), or one bucket of plausible readings, told by its beginning."""

    ts: datetime
    n: int
    minimum: float
    maximum: float
    mean: float
    last: float
    quality: int


@dataclass(frozen=True, slots=True)
class Series:
    """Points, oldest first. ``truncated``: the span has more, and these are the newest."""

    resolution: Resolution
    points: list[Point]
    truncated: bool


def series(
    connection: Connection,
    sensor_id: int,
    start: datetime,
    end: datetime,
    resolution: Resolution,
    limit: int,
    now: datetime,
) -> Series:
    """Readings of ``sensor_id`` in [start, end), at most ``limit`` points.

    ``auto`` chooses by the span, and tells a short span by quarters of an hour where its readings exceed the limit.
    """
    with storage_errors():
        if resolution != Resolution.AUTO:
            return _read(connection, sensor_id, start, end, resolution, limit, now)
        chosen = next((each for span, each in _AUTO if end - start <= span), Resolution.DAY)
        found = _read(connection, sensor_id, start, end, chosen, limit, now)
        if found.truncated and chosen == Resolution.RAW:
            return _read(connection, sensor_id, start, end, Resolution.QUARTER, limit, now)
        return found


def _read(
    connection: Connection,
    sensor_id: int,
    start: datetime,
    end: datetime,
    resolution: Resolution,
    limit: int,
    now: datetime,
) -> Series:
    values: dict[str, Any] = {"sensor_id": sensor_id, "start": start, "end": end, "limit": limit + 1, "now": now}
    if resolution == Resolution.RAW:
        rows = connection.execute(_SQL["raw"], values).fetchall()
        points = [Point(ts, 1, value, value, value, value, quality) for ts, value, quality in rows]
    else:
        table, width = _ROLLED[resolution]
        statement = sql.SQL(_SQL["rolled"]).format(table=sql.Identifier(table))
        rows = connection.execute(statement, values | {"width": width}).fetchall()
        points = [Point(ts, n, low, high, mean, last, 0) for ts, n, low, high, mean, last in rows]
    return Series(resolution, points[:limit][::-1], truncated=len(points) > limit)
