"""``python -m ingest``: MQTT to TimescaleDB.

    consumer   the main thread: takes messages, hands them over a batch at a time, acknowledges what is committed
    decode     topics and bytes -> readings; what cannot be read -> quarantine, with its bytes and the reason
    check      known, finite, in range, in time? what is not -> quarantine
    changes    what the batch changes: readings, newest state, quarantine, books
    writer     a thread of its own: decodes, checks, and writes all of that in ONE transaction

No reading is lost because a message is acknowledged after the commit of its batch and never before: whatever is killed
in between, the broker still has it and sends it again, and (sensor, ts) makes the second time harmless. On SIGTERM it
reads no more, commits what it has, acknowledges that, and ends.
"""

import random
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from queue import SimpleQueue
from types import FrameType

import structlog
from prometheus_client import start_http_server

from ingest.batch import Batch
from ingest.check import TimeLimits
from ingest.consumer import Consumer, Subscriptions
from ingest.inventory import InventoryKeeper
from ingest.metrics import Metrics
from ingest.writer import Shared, Writer
from lifeline.catalogue import load_catalogue
from lifeline.errors import ConfigurationError, LifelineError, StorageError
from lifeline.log import configure_logging
from lifeline.settings import Settings, load_settings
from lifeline.storage import ingest as storage

DRAIN_S = 15.0
"""How long SIGTERM waits for commits. What is not committed then is not acknowledged, and comes again."""

log = structlog.get_logger()


def main() -> int:
    """Runs until SIGTERM or SIGINT. 0: drained; 1: a setting is wrong."""
    try:
        settings = load_settings()
        configure_logging("ingest", settings)
        settings.require_database(), settings.require_broker()
        Ingest(settings).run()
    except LifelineError as error:
        print(f"ingest: {error}", file=sys.stderr)  # noqa: T201 - the log may not be set up yet
        return 1
    return 0


class Ingest:
    """The process: one reader, the main thread, and its writers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._metrics = Metrics()
        catalogue = load_catalogue(settings.catalogue)
        self._shared = Shared(
            dsn=settings.require_database(),
            consumer=settings.ingest_client_id,
            catalogue=catalogue,
            keeper=InventoryKeeper(catalogue),
            limits=TimeLimits(settings.ingest_future_s, settings.ingest_max_age_days * 86_400),
            metrics=self._metrics,
            work=SimpleQueue[Batch | None](),
            stopping=threading.Event(),
        )
        self._writers = [Writer(number, self._shared) for number in range(settings.ingest_writers)]

    def run(self) -> None:
        """Read and write until told to stop, then drain."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._serve_metrics()
        subscriptions = self._prepare()
        if subscriptions is None:
            return
        for writer in self._writers:
            writer.start()
        consumer = Consumer(
            self._settings,
            subscriptions,
            self._metrics,
            hand_over=self._shared.work.put,
            on_subscribed=lambda: self._forget(subscriptions.obsolete),
            clock=lambda: datetime.now(UTC),
        )
        while not self._stopping.is_set():
            consumer.step()
        self._drain(consumer)

    def _serve_metrics(self) -> None:
        host, port = self._settings.metrics_host, self._settings.ingest_metrics_port
        if not port:
            return
        try:
            start_http_server(port, host, registry=self._metrics.registry)
        except OSError as error:
            message = f"metrics cannot be served on {host}:{port}: {error.strerror}; set LIFELINE_INGEST_METRICS_PORT"
            raise ConfigurationError(message) from error

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _prepare(self) -> Subscriptions | None:
        """What to subscribe to, and the inventory; waits for the database. None when told to stop meanwhile."""
        settings, wait_s = self._settings, 0.2
        client_id = settings.ingest_client_id
        while not self._stopping.is_set():
            try:
                with storage.connect_writer(self._shared.dsn) as connection:
                    self._shared.keeper.refresh(connection)
                    earlier = storage.subscriptions(connection, client_id)
                    subscriptions = Subscriptions.of(
                        settings.ingest_topics, earlier, settings.topic_root, shared=settings.ingest_shared
                    )
                    storage.add_subscriptions(connection, client_id, subscriptions.wanted)
                self._metrics.database_connected.set(1)
            except StorageError as error:
                log.warning("waiting for the database", error=str(error)[:300])
                self._stopping.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
                wait_s = min(wait_s * 2, 5.0)
            else:
                return subscriptions
        return None

    def _forget(self, ended: list[str]) -> None:
        """The broker confirmed: the session no longer holds these."""
        if not ended:
            return
        try:
            with storage.connect_writer(self._shared.dsn) as connection:
                storage.drop_subscriptions(connection, self._settings.ingest_client_id, ended)
        except StorageError as error:  # the next start ends them once more, which does no harm
            log.warning("ended subscriptions are still noted", error=str(error)[:300])

    def _drain(self, consumer: Consumer) -> None:
        log.info("draining")
        consumer.finish()
        deadline = time.monotonic() + DRAIN_S
        while not consumer.idle and time.monotonic() < deadline:
            consumer.acknowledge()
            time.sleep(0.002)
        self._shared.stopping.set()
        for _ in self._writers:
            self._shared.work.put(None)
        for writer in self._writers:
            writer.join(timeout=5)
        consumer.acknowledge()
        consumer.close()
        log.info("stopped", drained=consumer.idle)


if __name__ == "__main__":
    raise SystemExit(main())
