"""The readings of one sensor over a span: as they came, or by roll-ups; of several as a stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

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
        by_span = chosen(resolution, end - start)
        found = _read(connection, sensor_id, start, end, by_span, limit, now)
        if found.truncated and by_span == Resolution.RAW:
            return _read(connection, sensor_id, start, end, Resolution.QUARTER, limit, now)
        return found


class Measured(NamedTuple):
    """A sensor by the names that readings are known by outside."""

    sensor_id: int
    device: str
    channel: str
    quantity: str
    asset: str | None


def chosen(resolution: Resolution, span: timedelta) -> Resolution:
    """The resolution itself, or for ``auto`` the one for this span."""
    if resolution != Resolution.AUTO:
        return resolution
    return next((each for longest, each in _AUTO if span <= longest), Resolution.DAY)


def measured(connection: Connection, sensor_ids: Sequence[int]) -> list[Measured]:
    """Those of these sensors that there are, in order of their ids."""
    with storage_errors():
        rows = connection.execute(_SQL["measured"], {"sensor_ids": list(sensor_ids)}).fetchall()
    return [Measured(*row) for row in rows]


def one_moment(connection: Connection) -> None:
    """Begin a transaction in which every read sees the same moment; it must be its first statement."""
    with storage_errors():
        connection.execute(_SQL["one_moment"])


def stream(
    connection: Connection,
    sensor_id: int,
    start: datetime,
    end: datetime,
    resolution: Resolution,
    now: datetime,
    rows: int,
) -> Iterator[list[Point]]:
    """Every point of [start, end), oldest first, in lists of at most ``rows``; no empty list.

    Raw readings come through a cursor of the server, so that memory holds one list; of roll-ups (``resolution`` is not
    ``auto``) a year at the finest is 35,000 points, read at once.
    """
    with storage_errors():
        if resolution != Resolution.RAW:
            points = _read(connection, sensor_id, start, end, resolution, None, now).points
            yield from (points[at : at + rows] for at in range(0, len(points), rows))
            return
        values = {"sensor_id": sensor_id, "start": start, "end": end}
        with connection.cursor("readings") as cursor:
            cursor.execute(_SQL["stream"], values)
            while found := cursor.fetchmany(rows):
                yield [Point(ts, 1, value, value, value, value, quality) for ts, value, quality in found]


def _read(
    connection: Connection,
    sensor_id: int,
    start: datetime,
    end: datetime,
    resolution: Resolution,
    limit: int | None,
    now: datetime,
) -> Series:
    values: dict[str, Any] = {"sensor_id": sensor_id, "start": start, "end": end, "now": now}
    values["limit"] = limit + 1 if limit is not None else None
    if resolution == Resolution.RAW:
        rows = connection.execute(_SQL["raw"], values).fetchall()
        points = [Point(ts, 1, value, value, value, value, quality) for ts, value, quality in rows]
    else:
        table, width = _ROLLED[resolution]
        statement = sql.SQL(_SQL["rolled"]).format(table=sql.Identifier(table))
        rows = connection.execute(statement, values | {"width": width}).fetchall()
        points = [Point(ts, n, low, high, mean, last, 0) for ts, n, low, high, mean, last in rows]
    return Series(resolution, points[:limit][::-1], truncated=limit is not None and len(points) > limit)
