"""The risk map of a past moment, as it was served then: bytes, ETag and all; two moments compared; a period to play."""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import NamedTuple

import numpy as np

from api import screens
from api.cells import LEVELS, UNKNOWN
from api.documents import Document
from api.ground import cell_box, cell_head
from api.problems import ProblemError
from lifeline.geo import Box
from lifeline.model import JsonObject
from lifeline.storage import snapshots
from lifeline.storage.database import Connection
from lifeline.storage.snapshots import CellState, Moment

LONGEST_GAP = timedelta(seconds=120)
"""Frames come once a minute at least: where none is nearer, nobody drew the map."""
MOST_FRAMES = 500
MOST_CHANGES = 500_000
_KEPT = 64

_Key = tuple[datetime, str, object, object]


class Archive:
    """Reads past maps, and keeps the last documents that were asked for: the past does not change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, Document] = OrderedDict()
        self._lock = Lock()

    def cells(self, connection: Connection, found: Moment, resolution: int, box: Box | None) -> Document:
        """The hexagons as they were."""
        key = (found.at, "cells", resolution, box)
        if (kept := self._recall(key)) is not None:
            return kept
        told = snapshots.cells_at(connection, found, resolution)
        if box is not None:
            boxes = np.array([cell_box(each.cell) for each in told], dtype=np.float64).reshape(-1, 4)
            told = [each for each, shown in zip(told, screens.inside(boxes, box).tolist(), strict=True) if shown]
        features = [cell_head(each.cell) + each.said.encode() + b"}" for each in told]
        return self._keep(key, screens.cell_document(features, resolution))

    def segments(self, connection: Connection, found: Moment, box: Box | None, limit: int) -> Document:
        """The pipes as they were; where there are more than ``limit``, the worst."""
        key = (found.at, "segments", box, limit)
        if (kept := self._recall(key)) is not None:
            return kept
        heads = snapshots.heads_at(connection, found, box)
        told = [each for each in snapshots.segments_at(connection, found) if each.asset_id in heads]
        shown = screens.worst_places(np.array([each.score for each in told], dtype=np.float64), limit).tolist()
        features = [heads[told[at].asset_id].encode() + told[at].said.encode() + b"}" for at in shown]
        return self._keep(key, screens.segment_document(features, len(told)))

    def _recall(self, key: _Key) -> Document | None:
        with self._lock:
            return self._kept.get(key)

    def _keep(self, key: _Key, made: Document) -> Document:
        with self._lock:
            self._kept[key] = made
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made


def moment(connection: Connection, at: datetime) -> Moment:
    """The frame that was served at a moment. Raises ProblemError 404 where nobody drew the map then."""
    found = snapshots.moment(connection, at)
    if found is None:
        first, _ = snapshots.span(connection)
        since = f"the first recorded moment is {first.isoformat()}" if first else "nothing is recorded yet"
        raise ProblemError(404, f"there is no map of {at.isoformat()}: {since}")
    if at - found.at > LONGEST_GAP:
        raise ProblemError(
            404, f"nobody drew the map at {at.isoformat()}: the last drawing before was of {found.at.isoformat()}"
        )
    return found


class _Pair(NamedTuple):
    """A cell at two moments; None where it was not on the map."""

    before: CellState | None
    after: CellState | None


def compare(connection: Connection, since: datetime, until: datetime, resolution: int, limit: int) -> JsonObject:
    """What rose, what fell, and where sight was lost or came back between two moments: cells, the greatest change
    first, ``limit`` of each list at most. Raises ProblemError 404."""
    first, second = moment(connection, since), moment(connection, until)
    before = {each.cell: each for each in snapshots.cells_at(connection, first, resolution)}
    after = {each.cell: each for each in snapshots.cells_at(connection, second, resolution)}
    lists: dict[str, list[JsonObject]] = {"rose": [], "fell": [], "lost_sight": [], "seen_again": []}
    for cell in sorted(before.keys() | after.keys()):
        pair = _Pair(before.get(cell), after.get(cell))
        name, change = _change(pair)
        if name:
            lists[name].append({"cell": cell, "from": _told(pair.before), "to": _told(pair.after), "change": change})
    for found in lists.values():
        found.sort(key=lambda each: (-abs(each["change"]), each["cell"]))
    counts = {name: len(found) for name, found in lists.items()}
    shown = {name: found[:limit] for name, found in lists.items()}
    levels = {"from": _levels(before.values()), "to": _levels(after.values())}
    return {"from": first.at, "to": second.at, "resolution": resolution, "counts": counts, "levels": levels, **shown}


def _change(pair: _Pair) -> tuple[str, float]:
    """Which list a cell belongs to ("": to none), and by how many points it changed."""
    score, level = (pair.before.score, pair.before.level) if pair.before else (0.0, UNKNOWN)
    new_score, new_level = (pair.after.score, pair.after.level) if pair.after else (0.0, UNKNOWN)
    change = round(new_score - score, 1)
    if change:
        return ("rose" if change > 0 else "fell"), change
    if (level == UNKNOWN) != (new_level == UNKNOWN):
        return ("lost_sight" if new_level == UNKNOWN else "seen_again"), 0.0
    return "", 0.0


def _told(state: CellState | None) -> JsonObject | None:
    return None if state is None else {"level": LEVELS[state.level], "score": state.score}


def _levels(states: object) -> dict[str, int]:
    numbers = [each.level for each in states]  # type: ignore[attr-defined]
    return {name: numbers.count(number) for number, name in enumerate(LEVELS) if name}


def play(connection: Connection, since: datetime, until: datetime, step: timedelta, resolution: int) -> JsonObject:
    """The map's cells at ``since`` and at every step up to ``until``: the first frame has every cell, the others what
    changed since the frame before, as [cell, level, score]; level null: gone. ``recorded`` false: nobody drew the map
    then, and the frame is what was known last. Raises ProblemError 400 for too many frames, 404 without a map."""
    count = int(np.ceil((until - since) / step)) + 1
    if count > MOST_FRAMES:
        raise ProblemError(400, f"{count} frames are too many ({MOST_FRAMES} at most): make step_s longer")
    start = moment(connection, since)
    moments = [min(since + step * number, until) for number in range(count)]
    changes = snapshots.cell_changes(connection, start.at, until, resolution, MOST_CHANGES + 1)
    if len(changes) > MOST_CHANGES:
        raise ProblemError(400, f"more than {MOST_CHANGES} changes: ask for a shorter period")
    latest: list[dict[str, tuple[int, float]]] = [{} for _ in moments]
    latest[0] = {each.cell: (each.level, each.score) for each in snapshots.cells_at(connection, start, resolution)}
    for each in changes:
        number = max(0, int(np.ceil((each.at - since) / step)))
        latest[min(number, count - 1)][each.cell] = (each.level, each.score)
    drawn = [start.at, *snapshots.frames(connection, start.at, until)]
    frames = [
        {"at": at, "recorded": _recorded(drawn, at), "cells": [_compact(*each) for each in sorted(told.items())]}
        for at, told in zip(moments, latest, strict=True)
    ]
    return {"from": since, "to": until, "step_s": step.total_seconds(), "resolution": resolution, "frames": frames}


def _compact(cell: str, state: tuple[int, float]) -> list[object]:
    level, score = state
    return [cell, LEVELS[level] or None, score]


def _recorded(drawn: list[datetime], at: datetime) -> bool:
    times = np.array([each.timestamp() for each in drawn])
    before = int(np.searchsorted(times, at.timestamp(), side="right"))
    return before > 0 and at - datetime.fromtimestamp(times[before - 1], UTC) <= LONGEST_GAP
