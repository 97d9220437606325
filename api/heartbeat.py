"""The API's own sign of life, for `lifeline status` and the page."""

import os
import socket
from collections.abc import Callable
from datetime import datetime
from threading import Event, Thread

import structlog

from lifeline.errors import LifelineError
from lifeline.storage import health
from lifeline.storage.database import Pool, borrow

INTERVAL_S = 5.0

_log = structlog.get_logger()


class Heartbeat:
    """Writes the heartbeat row every five seconds; a database that is away is tried again the next time."""

    def __init__(self, pool: Pool, port: int, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._instance = f"{socket.gethostname()}:{port}"
        self._clock = clock
        self._stop = Event()
        self._thread = Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; returns when the thread has ended."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _beat(self) -> None:
        while not self._stop.is_set():
            try:
                with borrow(self._pool) as connection:
                    health.beat(connection, "api", self._instance, self._clock(), {"pid": os.getpid()})
            except LifelineError as error:
                _log.warning("no heartbeat could be written", error=str(error))
            self._stop.wait(INTERVAL_S)
