"""The risk map of a past moment, as it was served then: bytes, ETag and all; two moments compared; a period to play."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import orjson

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


class Own(NamedTuple):
    """What of a map of the whole city is told to somebody with a part of it: cells by name, assets by id."""

    cells: frozenset[str]
    assets: frozenset[int]


class Archive:
    """Reads past maps, and keeps the last documents that were asked for: the past does not change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, Document] = OrderedDict()
        self._lock = Lock()

    def cells(
        self, connection: Connection, found: Moment, resolution: int, box: Box | None, own: Own | None = None
    ) -> Document:
        """The hexagons as they were; ``own``: those of a part of the city."""
        key = (found.at, "cells", resolution, (box, own))
        if (kept := self._recall(key)) is not None:
            return kept
        told = _cells_at(connection, found, resolution, own)
        if box is not None:
            boxes = np.array([cell_box(each.cell) for each in told], dtype=np.float64).reshape(-1, 4)
            told = [each for each, shown in zip(told, screens.inside(boxes, box).tolist(), strict=True) if shown]
        features = [cell_head(each.cell) + each.said.encode() + b"}" for each in told]
        return self._keep(key, screens.cell_document(features, resolution))

    def segments(
        self, connection: Connection, found: Moment, box: Box | None, limit: int, own: Own | None = None
    ) -> Document:
        """The pipes as they were, those of a part of the city; where there are more than ``limit``, the worst."""
        key = (found.at, "segments", (box, own), limit)
        if (kept := self._recall(key)) is not None:
            return kept
        heads = snapshots.heads_at(connection, found, box)
        if own is not None:
            heads = {asset: head for asset, head in heads.items() if asset in own.assets}
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


def _cells_at(connection: Connection, found: Moment, resolution: int, own: Own | None) -> list[CellState]:
    told = snapshots.cells_at(connection, found, resolution)
    if own is None:
        return told
    return [each._replace(said=_without_alerts(each.said)) for each in told if each.cell in own.cells]


def _without_alerts(said: str) -> str:
    """What a cell said, without the alerts in it: one of a zone, or of rain, may have been another's."""
    properties = orjson.loads("{" + said)
    reasons = [each for each in properties["reasons"] if each["reason"] != "alert"]
    return orjson.dumps(properties | {"reasons": reasons, "alerts": {}})[1:].decode()


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


def compare(
    connection: Connection, since: datetime, until: datetime, resolution: int, limit: int, own: Own | None = None
) -> JsonObject:
    """What rose, what fell, and where sight was lost or came back between two moments: cells, the greatest change
    first, ``limit`` of each list at most. Raises ProblemError 404."""
    first, second = moment(connection, since), moment(connection, until)
    before = {each.cell: each for each in _cells_at(connection, first, resolution, own)}
    after = {each.cell: each for each in _cells_at(connection, second, resolution, own)}
    shown = _compared(before, after, limit, lambda chosen: {name: {"cell": name} for name in chosen})
    return {"from": first.at, "to": second.at, "resolution": resolution, **shown}


def compare_segments(connection: Connection, since: datetime, until: datetime, limit: int) -> JsonObject:
    """The same of pipes."""
    first, second = moment(connection, since), moment(connection, until)
    before = {each.asset_id: each for each in snapshots.segments_at(connection, first)}
    after = {each.asset_id: each for each in snapshots.segments_at(connection, second)}

    def named(chosen: Sequence[int]) -> dict[int, JsonObject]:
        return {asset: {"asset": name} for asset, name in snapshots.segment_names(connection, chosen).items()}

    return {"from": first.at, "to": second.at, **_compared(before, after, limit, named)}


class _State(Protocol):
    """Of a cell or a pipe."""

    @property
    def level(self) -> int: ...
    @property
    def score(self) -> float: ...


_Name = TypeVar("_Name", int, str)


def _compared(
    before: Mapping[_Name, _State], after: Mapping[_Name, _State], limit: int,
    named: Callable[[Sequence[_Name]], Mapping[_Name, JsonObject]],
) -> JsonObject:  # fmt: skip
    """The lists of what changed, ``limit`` of each and the greatest change first, with how many there are in all."""
    lists: dict[str, list[tuple[float, _Name]]] = {"rose": [], "fell": [], "lost_sight": [], "seen_again": []}
    for name in sorted(before.keys() | after.keys()):
        found, change = _change(before.get(name), after.get(name))
        if found:
            lists[found].append((change, name))
    counts = {what: len(found) for what, found in lists.items()}
    shown = {what: sorted(found, key=lambda each: (-abs(each[0]), each[1]))[:limit] for what, found in lists.items()}
    names = named([name for found in shown.values() for _, name in found])
    told = {
        what: [
            {**names[name], "from": _told(before.get(name)), "to": _told(after.get(name)), "change": change}
            for change, name in found
        ]
        for what, found in shown.items()
    }
    return {"counts": counts, "levels": {"from": _levels(before.values()), "to": _levels(after.values())}, **told}


def _change(before: _State | None, after: _State | None) -> tuple[str, float]:
    """Which list a cell or pipe belongs to ("": to none), and by how many points it changed; None: not on the map."""
    score, level = (before.score, before.level) if before else (0.0, UNKNOWN)
    new_score, new_level = (after.score, after.level) if after else (0.0, UNKNOWN)
    change = round(new_score - score, 1)
    if change:
        return ("rose" if change > 0 else "fell"), change
    if (level == UNKNOWN) != (new_level == UNKNOWN):
        return ("lost_sight" if new_level == UNKNOWN else "seen_again"), 0.0
    return "", 0.0


def _told(state: _State | None) -> JsonObject | None:
    return None if state is None else {"level": LEVELS[state.level], "score": state.score}


def _levels(states: Iterable[_State]) -> dict[str, int]:
    numbers = [each.level for each in states]
    return {name: numbers.count(number) for number, name in enumerate(LEVELS) if name}


def play(
    connection: Connection,
    since: datetime,
    until: datetime,
    step: timedelta,
    resolution: int,
    own: Own | None = None,
) -> JsonObject:
    """The map's cells at ``since`` and at every step up to ``until``: the first frame has every cell, the others what
    changed since the frame before, as [cell, level, score]; level null: gone. ``recorded`` false: nobody drew the map
    then, and the frame is what was known last. Raises ProblemError 400 for too many frames, 404 without a map."""
    moments = _moments(since, until, step)
    start = moment(connection, since)
    changes = _few(snapshots.cell_changes(connection, start.at, until, resolution, MOST_CHANGES + 1))
    latest = [{each.cell: _compact(each.cell, each) for each in _cells_at(connection, start, resolution, own)}]
    latest += [{} for _ in moments[1:]]
    for each in (change for change in changes if own is None or change.cell in own.cells):
        latest[_frame_of(each.at, since, step, len(moments))][each.cell] = _compact(each.cell, each)
    recorded = _recordings(connection, start.at, until, moments)
    frames = [
        {"at": at, "recorded": drawn, "cells": [told[name] for name in sorted(told)]}
        for at, drawn, told in zip(moments, recorded, latest, strict=True)
    ]
    return {"from": since, "to": until, "step_s": step.total_seconds(), "resolution": resolution, "frames": frames}


def play_segments(connection: Connection, since: datetime, until: datetime, step: timedelta, limit: int) -> JsonObject:
    """The pipes that changed in a period, the ``limit`` that moved most: the first frame has each of them as it was at
    ``since``, the others what changed since the frame before, as [asset, level, score]. ``changed``: how many did."""
    moments = _moments(since, until, step)
    start = moment(connection, since)
    changes = _few(snapshots.segment_changes(connection, start.at, until, MOST_CHANGES + 1))
    was = {each.asset_id: each for each in snapshots.segments_at(connection, start)}
    moved: dict[int, float] = {}
    for each in changes:
        before = was.get(each.asset_id)
        moved[each.asset_id] = max(moved.get(each.asset_id, 0.0), abs(each.score - (before.score if before else 0.0)))
    chosen = sorted(moved, key=lambda asset: (-moved[asset], asset))[:limit]
    names = snapshots.segment_names(connection, chosen)
    latest: list[dict[str, list[object]]] = [{} for _ in moments]
    for asset in (each for each in chosen if each in was):
        latest[0][names[asset]] = _compact(names[asset], was[asset])
    for each in (change for change in changes if change.asset_id in names):
        number = _frame_of(each.at, since, step, len(moments))
        latest[number][names[each.asset_id]] = _compact(names[each.asset_id], each)
    recorded = _recordings(connection, start.at, until, moments)
    frames = [
        {"at": at, "recorded": drawn, "segments": [told[name] for name in sorted(told)]}
        for at, drawn, told in zip(moments, recorded, latest, strict=True)
    ]
    return {"from": since, "to": until, "step_s": step.total_seconds(), "changed": len(moved), "frames": frames}


def _moments(since: datetime, until: datetime, step: timedelta) -> list[datetime]:
    count = int(np.ceil((until - since) / step)) + 1
    if count > MOST_FRAMES:
        raise ProblemError(400, f"{count} frames are too many ({MOST_FRAMES} at most): make step_s longer")
    return [min(since + step * number, until) for number in range(count)]


_Told = TypeVar("_Told")


def _few(changes: list[_Told]) -> list[_Told]:
    if len(changes) > MOST_CHANGES:
        raise ProblemError(400, f"more than {MOST_CHANGES} changes: ask for a shorter period")
    return changes


def _frame_of(at: datetime, since: datetime, step: timedelta, count: int) -> int:
    return min(max(0, int(np.ceil((at - since) / step))), count - 1)


def _recordings(connection: Connection, begin: datetime, until: datetime, moments: list[datetime]) -> list[bool]:
    drawn = [begin, *snapshots.frames(connection, begin, until)]
    return [_recorded(drawn, at) for at in moments]


def _compact(name: str, state: _State) -> list[object]:
    return [name, LEVELS[state.level] or None, state.score]


def _recorded(drawn: list[datetime], at: datetime) -> bool:
    times = np.array([each.timestamp() for each in drawn])
    before = int(np.searchsorted(times, at.timestamp(), side="right"))
    return before > 0 and at - datetime.fromtimestamp(times[before - 1], UTC) <= LONGEST_GAP
