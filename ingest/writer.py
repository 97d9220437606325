"""A writer: takes batches, and has each committed in ONE transaction before anybody acknowledges it."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

import structlog

from ingest.batch import Batch
from ingest.changes import Changes, changes_of, refused
from ingest.check import TimeLimits, check, devices_of, places_of
from ingest.decode import decode
from ingest.inventory import ASK_AGAIN_S, InventoryKeeper
from ingest.metrics import Metrics
from ingest.rollups import touched_buckets
from lifeline.catalogue import Catalogue
from lifeline.errors import ConflictError, LifelineError, RejectedDataError, StorageError
from lifeline.model import JsonObject
from lifeline.storage import health
from lifeline.storage import ingest as storage
from lifeline.storage.database import Connection, storage_errors

BEAT_S = 5.0
ANNOUNCE_S = 1.0
RETRY_S = (0.1, 5.0)
"""First and longest wait before a batch is tried again; each wait is drawn between half and the whole of it."""

log = structlog.get_logger()


@dataclass(slots=True)
class Shared:
    """What all writers of the process have in common."""

    dsn: str
    consumer: str
    catalogue: Catalogue
    keeper: InventoryKeeper
    limits: TimeLimits
    metrics: Metrics
    work: "SimpleQueue[Batch | None]"
    stopping: threading.Event
    announced: float = 0.0


class Writer(threading.Thread):
    """One thread with one connection. It ends on a ``None`` in the queue, or when it is told to give up."""

    def __init__(self, number: int, shared: Shared, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self._number = number
        self._shared = shared
        self._clock = clock
        self._connection: Connection | None = None
        self._beaten = 0.0
        self._seen: dict[int, float] = {}

    def run(self) -> None:
        while True:
            try:
                batch = self._shared.work.get(timeout=1.0)
            except Empty:
                self._beat()
                continue
            if batch is None:
                break
            self._see_through(batch)
            self._beat()
        self._disconnect()

    def _see_through(self, batch: Batch) -> None:
        """Write the batch, however often the database goes away meanwhile. Not committed: ``done`` stays unset."""
        wait_s = RETRY_S[0]
        while not self._shared.stopping.is_set():
            started = time.monotonic()
            try:
                self._write(batch)
            except LifelineError as error:
                self._shared.metrics.database_retries.inc()
                self._shared.metrics.database_connected.set(0)
                log.warning("database away, the batch is kept", messages=len(batch), error=str(error)[:300])
                self._disconnect()
                # The commit may have gone through and only its answer was lost: the next attempt looks first.
                batch.redelivered = set(range(len(batch)))
                self._shared.stopping.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
                wait_s = min(wait_s * 2, RETRY_S[1])
            else:
                batch.done.set()
                self._shared.metrics.batch_seconds.observe(time.monotonic() - started)
                self._shared.metrics.lag.set(time.monotonic() - batch.born)
                return

    def _write(self, batch: Batch) -> None:
        """One transaction; when the data itself is refused, half by half down to the message that is to blame."""
        try:
            self._commit(batch)
        except RejectedDataError as error:
            self._blame(batch, error)
        except LifelineError:
            raise
        except Exception as error:  # a mistake of ours on odd input must not stop the city's data
            log.exception("a batch could not be handled", messages=len(batch))
            self._blame(batch, error)

    def _blame(self, batch: Batch, error: Exception) -> None:
        self._rollback()
        if self._shared.keeper.refresh(self._connected(), older_than_s=0.0):
            self._write(batch)  # a sensor was removed meanwhile
            return
        if len(batch) > 1:
            middle = len(batch) // 2
            self._write(batch.part(0, middle))
            self._write(batch.part(middle, len(batch)))
            return
        log.error("a message cannot be stored", topic=batch.topics[0][:200], error=str(error)[:300])
        self._store(batch, refused(batch, f"refused: {error}"), careful=True)

    def _commit(self, batch: Batch) -> None:
        changes = self._changes(batch)
        try:
            self._store(batch, changes, careful=bool(batch.redelivered))
        except ConflictError:
            self._rollback()
            self._store(batch, changes, careful=True)

    def _changes(self, batch: Batch) -> Changes:
        """Decode and check; what is unknown leads to another look at the inventory first."""
        connection, keeper = self._connected(), self._shared.keeper
        keeper.refresh(connection)
        decoded = decode(batch)
        inventory = keeper.now
        devices = devices_of(batch, inventory)
        places = places_of(devices, decoded, inventory)
        if (places < 0).any() and keeper.refresh(connection, older_than_s=ASK_AGAIN_S):
            inventory = keeper.now
            devices = devices_of(batch, inventory)
            places = places_of(devices, decoded, inventory)
        now = self._clock()
        checked = check(batch, decoded, inventory, self._shared.catalogue, self._shared.limits, now, places)
        return changes_of(batch, decoded, checked, devices, inventory, self._seen, now)

    def _store(self, batch: Batch, changes: Changes, *, careful: bool) -> None:
        """The transaction. ``careful``: some of it may be there already."""
        connection = self._connected()
        now = self._clock()
        good = len(changes.readings)
        stored = good
        if good and careful:
            stored = storage.insert_readings(connection, changes.readings)
        elif good:
            storage.copy_readings(connection, changes.readings)
        kept = Counter(storage.quarantine(connection, changes.rejects, now) if changes.rejects else [])
        counts = _counts(good, stored, changes.repeated, changes.rejected, kept.total())
        with storage_errors(), connection.pipeline():
            self._store_rest(connection, batch, changes, counts, now)
        with storage_errors():
            connection.commit()
        self._count(batch, counts, kept)

    def _store_rest(
        self, connection: Connection, batch: Batch, changes: Changes, counts: dict[str, int], now: datetime
    ) -> None:
        """Everything small, sent in one go; states last, since other writers wait for these rows until the commit."""
        if changes.unknown:
            storage.note_unknown(connection, changes.unknown, now)
        if len(changes.readings):
            storage.note_rollups(connection, *touched_buckets(changes.readings, now))
        if counts["received"]:
            storage.keep_account(connection, self._shared.consumer, self._number, counts, now)
        if counts["stored"] and time.monotonic() - self._shared.announced > ANNOUNCE_S:
            self._shared.announced = time.monotonic()
            storage.announce(connection)
        if len(changes.seen.device_id):
            storage.see_devices(connection, changes.seen, now)
        if changes.statuses:
            storage.set_statuses(connection, changes.statuses, batch.received_at)
        if len(changes.newest):
            storage.update_states(connection, changes.newest, now)

    def _count(self, batch: Batch, counts: dict[str, int], kept: "Counter[str]") -> None:
        metrics = self._shared.metrics
        metrics.received.inc(counts["received"])
        metrics.stored.inc(counts["stored"])
        metrics.duplicate.inc(counts["duplicate"])
        for reason, n in kept.items():
            metrics.quarantined.labels(reason=reason).inc(n)
        metrics.messages.inc(len(batch))
        metrics.batches.inc()
        metrics.database_connected.set(1)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = storage.connect_writer(self._shared.dsn)
        return self._connection

    def _rollback(self) -> None:
        if self._connection is not None:
            with storage_errors():
                self._connection.rollback()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _beat(self) -> None:
        """Only the first writer, and only while the database answers: a heartbeat says that data gets through."""
        if self._number or time.monotonic() - self._beaten < BEAT_S:
            return
        self._beaten = time.monotonic()
        try:
            with storage_errors():
                connection = self._connected()
                health.beat(connection, "ingest", self._shared.consumer, self._clock(), self._detail())
                connection.commit()
            self._shared.metrics.database_connected.set(1)
        except StorageError as error:
            log.warning("no heartbeat, database away", error=str(error)[:300])
            self._shared.metrics.database_connected.set(0)
            self._disconnect()

    def _detail(self) -> JsonObject:
        return {"sensors": len(self._shared.keeper.now.sensor_id)}


def _counts(good: int, stored: int, repeated: int, rejects: int, kept: int) -> dict[str, int]:
    """The books of one batch; a reject that was in quarantine already is a duplicate."""
    return {
        "received": good + repeated + rejects,
        "stored": stored,
        "duplicate": good - stored + repeated + rejects - kept,
        "quarantined": kept,
    }
