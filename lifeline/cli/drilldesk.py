"""Takes drills that somebody asked for on the page, or that a schedule brings, while `lifeline up` runs."""

import os
import queue
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lifeline.cli.children import Child, end
from lifeline.cli.console import note
from lifeline.cli.drillrun import sweep
from lifeline.cli.system import System
from lifeline.cli.twin import playable
from lifeline.drills.calendar import last_occurrence
from lifeline.errors import LifelineError
from lifeline.storage import drills, health
from lifeline.storage.database import Connection, connect

PROCESS = "drills"
"""Name of its heartbeat: the API plans no drill where nobody would run it."""
LOOK_S, BEAT_S = 2.0, 5.0
_DEAD = timedelta(minutes=1)
_LEAVE_S = 5.0


class Desk(threading.Thread):
    """Looks for what is due in a thread, so that a slow database holds up nothing; ``chore`` starts it in the main one,
    because the kernel ties a child's life to the thread that started it."""

    def __init__(self, system: System) -> None:
        super().__init__(name="drills", daemon=True)
        self._system = system
        self._due: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._asked: set[int] = set()
        self._child: Child | None = None
        self._ending = threading.Event()
        self._instance = f"{socket.gethostname()}:{os.getpid()}"

    def run(self) -> None:
        """Until ``close``: sweep once, tell which scenarios there are, then look every two seconds."""
        begun, beaten = False, 0.0
        while not self._ending.is_set():
            try:
                begun = begun or self._begin()
                with connect(self._system.dsn, application="lifeline drills") as connection:
                    now = datetime.now(UTC)
                    if time.monotonic() - beaten > BEAT_S:
                        beaten = time.monotonic()
                        health.beat(connection, PROCESS, self._instance, now, {})
                    self._look(connection, now)
            except LifelineError as error:  # the database is away, or a schedule cannot be read: the next look may do
                if not self._ending.is_set():
                    note(f"drills    {error}")
                self._ending.wait(10.0)
            self._ending.wait(LOOK_S)
        self._leave()

    def _leave(self) -> None:
        """What has ended is not dead: without this its last sign of life would stay red on the health page."""
        try:
            with connect(self._system.dsn) as connection:
                health.leave(connection, PROCESS, self._instance, datetime.now(UTC) - _DEAD)
        except LifelineError as error:  # the database went first
            note(f"drills    {error}")

    def _begin(self) -> bool:
        left = sweep(self._system.home, self._system.dsn)
        if left is not None:
            note(f"drills    drill {left} was cut off; what it left is removed")
        found = playable()
        with connect(self._system.dsn) as connection:
            drills.keep_scenarios(connection, found)
            health.leave(connection, PROCESS, self._instance, datetime.now(UTC) - _DEAD)  # one that was killed before
        return True

    def _look(self, connection: Connection, now: datetime) -> None:
        plan_scheduled(connection, self._system.settings.local_time, now)
        wanted = drills.due(connection, now)
        if wanted is not None and wanted not in self._asked:
            self._asked.add(wanted)
            self._due.put(wanted)

    def chore(self) -> None:
        """In the main thread: start what is due, and forget what has ended."""
        if self._child is not None and not self._child.alive:
            self._child = None
        if self._child is None and not self._due.empty():
            number = self._due.get()
            home = self._system.home
            note(f"drills    drill {number} begins; log in {home.logs / 'drill.log'}")
            arguments = ["lifeline.cli", "drill", "work", str(number), "--home", str(home.path)]
            self._child = Child("drill", arguments, {}, home.logs / "drill.log", once=True)
            self._child.start()

    def close(self) -> None:
        """End a drill that runs, with its report, and the looking."""
        self._ending.set()
        if self._child is not None:
            end([self._child])
        if self.is_alive():
            self.join(_LEAVE_S)


def plan_scheduled(connection: Connection, zone: ZoneInfo, now: datetime) -> None:
    """Plan drills whose moment has come since they were scheduled, each once."""
    for each in drills.schedules(connection):
        moment = last_occurrence(each.day, each.at, zone, now)
        if moment >= each.created_at and now - moment < drills.OVERSLEPT:
            drills.plan_scheduled(connection, each.schedule_id, moment, now)
