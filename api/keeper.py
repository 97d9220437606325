"""Keeps the risk map drawn: hears changes, draws the map anew, tells the live streams and the recorder.

Two threads. The first LISTENs and passes on at once what changed. The second draws the map when alerts, readings or the
inventory changed, and every ``TIME_LIMIT_S`` seconds in any case: silence makes no notice, and turns cells unknown.
Each drawing reads what changed and no more: an alert does not have 20,000 newest readings fetched again.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Condition, Event, Thread

import structlog

from api import ground, riskmap
from api.live import Broadcaster
from api.metrics import CHANGES, MAP_BUILT, MAP_FAILURES, MAP_SECONDS
from api.problems import ProblemError
from api.recorder import Recorder
from api.riskmap import RiskMap
from lifeline.catalogue import Catalogue
from lifeline.risk.scheme import Scheme
from lifeline.storage import changes
from lifeline.storage import riskmap as rows
from lifeline.storage.database import Pool, borrow

TIME_LIMIT_S = 10.0
LONGEST_REST_S = 2.0
"""After a drawing it rests as long as that took, and no longer than this."""
LATE_S = 3 * TIME_LIMIT_S
READINGS_S = 2.0
"""Readings alone can only change what is covered: they are read no more often than this."""
TOGETHER_S = 0.02
"""Changes of one kind are taken together for so long: a drawing must not wait for what may still come."""
DRAWN = frozenset({"alert", "incident", "reading", "inventory", "risk"})
"""What the map is made of: of the rest no drawing need know."""

_log = structlog.get_logger()


class MapKeeper:
    """Owns the newest drawing of the map; ``current`` is safe from any thread."""

    def __init__(
        self,
        dsn: str,
        pool: Pool,
        catalogue: Catalogue,
        scheme: Scheme,
        live: Broadcaster,
        recorder: Recorder,
        clock: Callable[[], datetime],
    ) -> None:
        self._dsn = dsn
        self._pool = pool
        self._catalogue = catalogue
        self._scheme = scheme
        self._live = live
        self._recorder = recorder
        self._clock = clock
        self._drawn: RiskMap | None = None
        self._drawn_at = 0.0
        self._read_at = time.monotonic()
        """When readings were read last; at first since when the listener is waited for, which says EVERYTHING."""
        self._pending: set[str] = set()
        self._woken = Condition()
        self._stop = Event()
        self._threads = [
            Thread(target=self._listen, name="changes", daemon=True),
            Thread(target=self._draw, name="map", daemon=True),
        ]

    @property
    def current(self) -> RiskMap:
        """The newest drawing. Raises ProblemError 503 while the first is not ready."""
        drawn = self._drawn
        if drawn is None:
            raise ProblemError(503, "the risk map is being drawn; try again", {"Retry-After": "1"})
        return drawn

    @property
    def healthy(self) -> bool:
        """Whether the map was drawn lately, which also says that the database answers."""
        return self._drawn is not None and time.monotonic() - self._drawn_at < LATE_S

    def start(self) -> None:
        """Begin to listen and to draw."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads; returns when they have ended."""
        self._stop.set()
        with self._woken:
            self._woken.notify_all()
        for thread in self._threads:
            thread.join(timeout=5)

    def draw(self, what: frozenset[str], now: datetime) -> bool:
        """Draw the map anew, on new ground where inventory or standing risk changed; True where it looks different."""
        before = self._drawn
        started = time.perf_counter()
        if before is None or what & {"inventory", "risk"}:
            drawn, kept = self._draw_anew(now), "new"
        else:
            drawn, kept = self._draw_next(before, "reading" in what, now), "kept"
        drawn.served_from = served_from = self._clock()
        self._drawn = drawn
        self._recorder.offer(drawn, served_from)
        MAP_SECONDS.labels(kept).observe(time.perf_counter() - started)
        MAP_BUILT.set(now.timestamp())
        return not drawn.same_colours(before)

    def _draw_anew(self, now: datetime) -> RiskMap:
        self._read_at = time.monotonic()
        with _no_garbage(), borrow(self._pool) as connection:
            rows.one_moment(connection)
            base = ground.load(connection, self._catalogue, self._scheme)
            drawn = riskmap.build(base, *riskmap.read(connection, base, now), now)
            base.surroundings  # noqa: B018 - made now: the first alert must not wait seconds for it
        return drawn

    def _draw_next(self, before: RiskMap, readings: bool, now: datetime) -> RiskMap:
        if readings:
            self._read_at = time.monotonic()
        with borrow(self._pool) as connection:
            rows.one_moment(connection)
            alerts = riskmap.read_alerts(connection, before.ground, now)
            newest = rows.newest(connection) if readings else before.newest
        return riskmap.build(before.ground, alerts, newest, now, before)

    def _listen(self) -> None:
        for what in changes.listen(self._dsn, self._stop, application="lifeline api changes", debounce_s=TOGETHER_S):
            if not what:
                continue
            for word in what:
                CHANGES.labels(word).inc()
            # "risk" is told when the map has been drawn, so that whoever then asks gets the new one.
            self._live.publish(what - {"risk"})
            with self._woken:
                self._pending |= what & DRAWN
                self._woken.notify_all()

    def _draw(self) -> None:
        pending = self._take(0.0)
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                if self.draw(pending, self._clock()):
                    self._live.publish(frozenset({"risk"}))
            except Exception as error:  # noqa: BLE001 - whatever it is, the next drawing must be tried
                MAP_FAILURES.inc()
                _log.warning("the risk map could not be drawn; trying again", error=repr(error))
                self._stop.wait(1)
                continue  # what was pending is still to be drawn
            self._drawn_at = time.monotonic()
            rest_s = min(self._drawn_at - started, LONGEST_REST_S)  # requests need the processor too
            pending = self._take(rest_s)

    def _take(self, rest_s: float) -> frozenset[str]:
        """Wait for a change worth drawing, or for the time limit; give what changed. Readings that came while they
        were read lately wait for their turn, whatever else is drawn meanwhile."""
        self._stop.wait(rest_s)
        with self._woken:
            while not self._stop.is_set():
                age = time.monotonic() - self._read_at
                if age >= TIME_LIMIT_S:
                    self._pending.add("reading")
                due = frozenset(self._pending if age >= READINGS_S else self._pending - {"reading"})
                if due:
                    self._pending -= due
                    return due
                self._woken.wait(max(0.01, (READINGS_S if self._pending else TIME_LIMIT_S) - age))
        return frozenset()


@contextmanager
def _no_garbage() -> Iterator[None]:
    """A city of 100,000 pipes is millions of objects that stay: looking through them for garbage while they come takes
    half of the time, and later stops every request for half a second. They go by their reference count."""
    gc.disable()
    try:
        yield
        gc.collect(1)
        gc.freeze()
    finally:
        gc.enable()
