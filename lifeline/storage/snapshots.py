"""The risk map through time: frames, what changed with each, and the map of a past moment. SQL: sql/snapshots.sql."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.errors import LockNotAvailable

from lifeline.geo import Box
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("snapshots")
_LOCK = 5_461_433_661
GONE = 0
"""Level of a cell or pipe that is not on the map any more."""


class CellState(NamedTuple):
    """What the map said of a cell; ``said`` is its properties as JSON without the opening brace."""

    cell: str
    level: int
    score: float
    said: str


class SegmentState(NamedTuple):
    """What the map said of a pipe."""

    asset_id: int
    level: int
    score: float
    said: str


class AssetShape(NamedTuple):
    """How a pipe is drawn: GeoJSON up to what the map says of it, and its box."""

    asset_id: int
    head: str
    box: Box


class Frame(NamedTuple):
    """What a drawing changed, or all that it said (``keyframe``); served from ``at`` on. Cells by resolution."""

    at: datetime
    keyframe: bool
    data_as_of: float | None
    cells: dict[int, list[CellState]]
    segments: list[SegmentState]
    shapes: list[AssetShape]


class Moment(NamedTuple):
    """The frame that was served at a moment: since when, on which data, and the keyframe that it stands on."""

    at: datetime
    data_as_of: datetime | None
    keyframe: datetime


class SegmentChange(NamedTuple):
    """A pipe that said something else from then on."""

    at: datetime
    asset_id: int
    level: int
    score: float


class CellChange(NamedTuple):
    """A cell that said something else from then on."""

    at: datetime
    cell: str
    level: int
    score: float


def add(connection: Connection, frame: Frame, after: datetime | None) -> bool:
    """Store a frame in one transaction, if the newest frame is the one of ``after`` still; whether it was stored."""
    with storage_errors(), connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_SQL["lock"], {"key": _LOCK})
        if last(connection) != after:
            return False
        cells = [(frame.at, resolution, *each) for resolution, found in frame.cells.items() for each in found]
        values = {"at": frame.at, "keyframe": frame.keyframe, "data_as_of": frame.data_as_of}
        cursor.execute(_SQL["add_frame"], values | {"cells": len(cells), "segments": len(frame.segments)})
        for statement, rows in (
            ("copy_cells", cells),
            ("copy_segments", [(frame.at, *each) for each in frame.segments]),
            ("copy_assets", [(each.asset_id, frame.at, each.head, *each.box) for each in frame.shapes]),
        ):
            _copy(connection, statement, rows)
    return True


def _copy(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if not rows:
        return
    with connection.cursor() as cursor, cursor.copy(_SQL[statement]) as copy:
        for row in rows:
            copy.write_row(row)


def last(connection: Connection) -> datetime | None:
    """When the newest frame was served first."""
    return _one(connection, "last")


def last_keyframe(connection: Connection) -> datetime | None:
    """When the newest keyframe was served first."""
    return _one(connection, "last_keyframe")


def _one(connection: Connection, statement: str) -> datetime | None:
    with storage_errors():
        row = connection.execute(_SQL[statement]).fetchone()
    return row[0] if row else None


def span(connection: Connection) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment that there is a frame of."""
    with storage_errors():
        first, newest = connection.execute(_SQL["span"]).fetchone() or (None, None)
    return first, newest


def moment(connection: Connection, at: datetime) -> Moment | None:
    """The frame that was served at a moment; None before the first."""
    with storage_errors():
        row = connection.execute(_SQL["frame_at"], {"at": at}).fetchone()
    return Moment(*row) if row and row[2] is not None else None


def cells_at(connection: Connection, found: Moment, resolution: int) -> list[CellState]:
    """What every cell of a resolution said at a moment, in order of its name."""
    values = {"resolution": resolution, "keyframe": found.keyframe, "at": found.at}
    with storage_errors():
        rows = [CellState(*row) for row in connection.execute(_SQL["cells_at"], values)]
    return sorted(each for each in rows if each.level != GONE)  # the database's collation may order otherwise


def segments_at(connection: Connection, found: Moment) -> list[SegmentState]:
    """What every pipe said at a moment, in order of its id."""
    with storage_errors():
        rows = connection.execute(_SQL["segments_at"], {"keyframe": found.keyframe, "at": found.at})
        return [SegmentState(*row) for row in rows if row[1] != GONE]


def heads_at(connection: Connection, found: Moment, box: Box | None = None) -> dict[int, str]:
    """How pipes were drawn at a moment, by id; those that touch a box where one is given."""
    sides = box or (None, None, None, None)
    values = {"at": found.at, **dict(zip(("west", "south", "east", "north"), sides, strict=True))}
    with storage_errors():
        return dict(connection.execute(_SQL["assets_at"], values).fetchall())


def cell_changes(
    connection: Connection, since: datetime, until: datetime, resolution: int, limit: int
) -> list[CellChange]:
    """What cells said anew in a period, oldest first, ``limit`` at most."""
    values = {"since": since, "until": until, "resolution": resolution, "limit": limit}
    with storage_errors():
        return [CellChange(*row) for row in connection.execute(_SQL["cell_changes"], values)]


def segment_changes(connection: Connection, since: datetime, until: datetime, limit: int) -> list[SegmentChange]:
    """What pipes said anew in a period, oldest first, ``limit`` at most."""
    values = {"since": since, "until": until, "limit": limit}
    with storage_errors():
        return [SegmentChange(*row) for row in connection.execute(_SQL["segment_changes"], values)]


def segment_names(connection: Connection, assets: Sequence[int]) -> dict[int, str]:
    """The city's own ids of pipes that were ever drawn."""
    with storage_errors():
        return dict(connection.execute(_SQL["segment_names"], {"assets": list(assets)}).fetchall())


def frames(connection: Connection, since: datetime, until: datetime) -> list[datetime]:
    """When frames were written in a period, oldest first."""
    with storage_errors():
        return [row[0] for row in connection.execute(_SQL["frames"], {"since": since, "until": until})]


def drop_old(connection: Connection, before: datetime) -> int | None:
    """Drop frames older than that, but for what the first kept moment needs; how many, None where they are in use."""
    try:
        with connection.transaction():
            row = connection.execute(_SQL["drop_old"], {"before": before}).fetchone()
    except LockNotAvailable:
        return None
    return int(row[0]) if row else 0
