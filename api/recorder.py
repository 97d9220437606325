"""Records the risk map: what each drawing changed goes to the database, word for word as it was served.

Of several API processes one records: it holds an advisory lock, and a frame is only stored where the newest one is the
one that this process believes to be the newest. A thread of its own: nobody waits for the record, and drawings wait in
order until the database has them. A process that takes over compares the database's last picture with its own map.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Condition, Thread

import numpy as np
import structlog

from api.metrics import FRAMES, FRAMES_LOST
from api.riskmap import RiskMap
from api.screens import segment_text
from lifeline import geo
from lifeline.errors import StorageError
from lifeline.geo import Box
from lifeline.storage import snapshots
from lifeline.storage.database import Connection, Pool, borrow
from lifeline.storage.leadership import Leadership
from lifeline.storage.snapshots import GONE, AssetShape, CellState, Frame, SegmentState

LOCK = 5_461_433_662
SIGN_OF_LIFE = timedelta(seconds=60)
"""Where nothing changes a frame says so as often, so that a moment at which nobody drew the map is known as such."""
MOST_WAITING = 500
RETRY_S = 2.0
RETENTION = timedelta(hours=1)

_log = structlog.get_logger()


class Recorder:
    """Takes drawings from the thread that makes them, and stores them in a thread of its own."""

    def __init__(
        self, dsn: str, pool: Pool, clock: Callable[[], datetime], keyframe_every: timedelta, keep: timedelta
    ) -> None:
        self._pool, self._clock = pool, clock
        self._keyframe_every, self._keep = keyframe_every, keep
        self._leadership = Leadership(dsn, key=LOCK, application="lifeline api recorder")
        self._waiting: deque[tuple[RiskMap, datetime]] = deque()
        self._woken = Condition()
        self._stopping = False
        self._written: Written | None = None
        self._retained_at: datetime | None = None
        self._thread = Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def stop(self) -> None:
        """Store what waits, and let another record."""
        with self._woken:
            self._stopping = True
            self._woken.notify_all()
        self._thread.join(timeout=5)
        self.stop_leading()

    def stop_leading(self) -> None:
        """Let another process record."""
        self._written = None
        self._leadership.release()

    def offer(self, drawn: RiskMap, at: datetime) -> None:
        """A drawing that is served from ``at`` on. Never waits."""
        with self._woken:
            if len(self._waiting) == MOST_WAITING:
                self._waiting.popleft()
                FRAMES_LOST.inc()
            self._waiting.append((drawn, at))
            self._woken.notify_all()

    def _run(self) -> None:
        while True:
            with self._woken:
                while not self._waiting and not self._stopping:
                    self._woken.wait()
                if not self._waiting:
                    return
                drawn, at = self._waiting[0]
            try:
                self.record(drawn, at)
            except StorageError as error:
                _log.warning(
                    "the map could not be recorded; trying again", error=str(error), waiting=len(self._waiting)
                )
                self._written = None
                with self._woken:
                    if self._stopping:
                        return
                    self._woken.wait(RETRY_S)
                continue
            with self._woken:
                if self._waiting and self._waiting[0][0] is drawn:
                    self._waiting.popleft()

    def record(self, drawn: RiskMap, at: datetime) -> bool:
        """Store what a drawing changed, where this process is the one that records; whether a frame was stored."""
        if not self._leadership.held():
            self._written = None
            return False
        with borrow(self._pool) as connection:
            written = self._written or recall(connection)
            full = written.keyframe_at is None or at - written.keyframe_at >= self._keyframe_every
            frame = written.frame(drawn, max(at, written.next_at), keyframe=full)
            quiet = not (frame.segments or frame.shapes or any(frame.cells.values()))
            if quiet and written.at is not None and at - written.at < SIGN_OF_LIFE:
                self._written = written
                return False
            if not snapshots.add(connection, frame, written.at):
                self._written = None  # another process has recorded meanwhile: the next drawing is looked through
                return False
            written.take(frame)
            self._written = written
            FRAMES.labels("keyframe" if full else "changes").inc()
            self._retain(connection, at)
        return True

    def _retain(self, connection: Connection, now: datetime) -> None:
        if self._retained_at is None or now - self._retained_at >= RETENTION:
            self._retained_at = now
            snapshots.drop_old(connection, now - self._keep)


class Written:
    """What the database has: a fingerprint of what each cell and pipe said last, and of how each pipe was drawn."""

    def __init__(self, at: datetime | None, keyframe_at: datetime | None) -> None:
        self.at, self.keyframe_at = at, keyframe_at
        self.cells: dict[int, dict[str, int]] = {}
        self.segments: dict[int, int] = {}
        self.heads: dict[int, int] = {}
        self.drawn: RiskMap | None = None
        """The drawing that the newest frame is of; None where another process made it."""

    @property
    def next_at(self) -> datetime:
        """Before this moment no further frame can begin."""
        return datetime.min.replace(tzinfo=UTC) if self.at is None else self.at + timedelta(microseconds=1)

    def frame(self, drawn: RiskMap, at: datetime, *, keyframe: bool) -> Frame:
        """What a drawing says that the database does not have; with ``keyframe`` all that it says."""
        # Only the drawing after the last one knows what it changed; any other is looked through.
        follows = not keyframe and self.drawn is not None and drawn.follows == self.drawn.number
        cells = {resolution: self._cells(drawn, resolution, follows, keyframe) for resolution in drawn.cells}
        shapes = [] if follows else self._shapes(drawn)
        segments = self._segments(drawn, follows, keyframe)
        self.drawn = drawn
        return Frame(at, keyframe, drawn.data_as_of, cells, segments, shapes)

    def take(self, frame: Frame) -> None:
        """The database has this frame now."""
        self.at = frame.at
        if frame.keyframe:
            self.keyframe_at = frame.at
        for resolution, found in frame.cells.items():
            here = self.cells.setdefault(resolution, {})
            for cell in found:
                if cell.level == GONE:
                    here.pop(cell.cell, None)
                else:
                    here[cell.cell] = hash(cell.said)
        for segment in frame.segments:
            if segment.level == GONE:
                self.segments.pop(segment.asset_id, None)
            else:
                self.segments[segment.asset_id] = hash(segment.said)
        self.heads |= {each.asset_id: hash(each.head) for each in frame.shapes}

    def _cells(self, drawn: RiskMap, resolution: int, follows: bool, everything: bool) -> list[CellState]:
        layer = drawn.cells[resolution]
        known = self.cells.get(resolution, {})
        names = layer.changed if follows else [*layer.layer.cells, *layer.bare]
        told = []
        for name in names:
            said = layer.said(name)
            text = "" if said is None else said.text.decode()
            if said is not None and (everything or known.get(name) != hash(text)):
                told.append(CellState(name, said.level, said.score, text))
        gone = names if follows else known
        return told + [CellState(name, GONE, 0.0, "") for name in gone if name in known and layer.said(name) is None]

    def _segments(self, drawn: RiskMap, follows: bool, everything: bool) -> list[SegmentState]:
        ground = drawn.ground
        looked = drawn.changed if follows else np.arange(len(ground.ids))
        told = []
        for at in looked[ground.pipes[looked]].tolist():
            asset_id, text = int(ground.ids[at]), segment_text(drawn, at).decode()
            if everything or self.segments.get(asset_id) != hash(text):
                score = round(float(drawn.risk.score[at]), 1)
                told.append(SegmentState(asset_id, int(drawn.risk.level[at]), score, text))
        if not follows:
            here = set(ground.ids[ground.pipes].tolist())
            told += [SegmentState(asset_id, GONE, 0.0, "") for asset_id in self.segments.keys() - here]
        return told

    def _shapes(self, drawn: RiskMap) -> list[AssetShape]:
        ground = drawn.ground
        found = []
        for at in np.flatnonzero(ground.pipes).tolist():
            asset_id, head = int(ground.ids[at]), ground.heads[at].decode()
            if self.heads.get(asset_id) != hash(head):
                found.append(AssetShape(asset_id, head, Box(*ground.boxes[at].tolist())))
        return found


def recall(connection: Connection) -> Written:
    """What the database has."""
    newest = snapshots.last(connection)
    written = Written(newest, snapshots.last_keyframe(connection))
    found = snapshots.moment(connection, newest) if newest is not None else None
    if found is not None:
        for resolution in geo.RESOLUTIONS:
            told = snapshots.cells_at(connection, found, resolution)
            written.cells[resolution] = {each.cell: hash(each.said) for each in told}
        written.segments = {each.asset_id: hash(each.said) for each in snapshots.segments_at(connection, found)}
        written.heads = {asset_id: hash(head) for asset_id, head in snapshots.heads_at(connection, found).items()}
    return written
