"""The process: takes jobs from the queue, gives each a child, says that they live, and ends what nobody wants."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Event

import structlog

from lifeline.errors import StorageError, StorageUnavailableError
from lifeline.planning import metrics
from lifeline.planning.registry import KINDS, JobKind
from lifeline.settings import Settings
from lifeline.storage import health, jobs
from lifeline.storage.database import Connection, borrow, open_pool
from lifeline.storage.jobs import Held, JobState, Task

LOOK_S = 0.5
BEAT_S = 5.0
ABANDONED_S = 60.0
"""A job whose process was silent for so long is another's."""
END_S = 5.0
"""A child may take so long to end after SIGTERM."""
LONGEST_PAUSE_S = 15.0

COMMAND = (sys.executable, "-P", "-m", "lifeline.planning")

_log = structlog.get_logger()


@dataclass(slots=True)
class Running:
    """A job and the child that works it."""

    task: Task
    child: subprocess.Popen[bytes]
    began: float


class Process:
    """One ``planning`` process. Several may run: none takes what another holds."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], datetime],
        instance: str,
        kinds: Mapping[str, JobKind] = KINDS,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._clock, self._instance, self._kinds, self._command = clock, instance, kinds, command
        self._slots = settings.planning_jobs
        self._pool = open_pool(settings.require_database(), application="lifeline planning", size=3)
        self._running: dict[int, Running] = {}
        self._beat_at = 0.0
        self._failures = 0
        self._timezone = settings.local_time
        self._asked: set[tuple[str, date]] = set()

    def run(self, stop: Event) -> None:
        """Work until ``stop``; what runs then goes back into the queue."""
        _log.info("started", instance=self._instance, jobs=self._slots)
        while not stop.is_set():
            try:
                with borrow(self._pool) as connection:
                    self.look(connection)
                self._failures = 0
                metrics.DATABASE_UP.set(1)
                pause = LOOK_S
            except StorageError as error:
                self._failures += 1
                pause = min(LONGEST_PAUSE_S, LOOK_S * 2**self._failures)
                metrics.DATABASE_UP.set(0 if isinstance(error, StorageUnavailableError) else 1)
                _log.warning("jobs wait for the database", error=str(error), again_in_s=pause)
            stop.wait(pause)
        self._stop()

    def look(self, connection: Connection) -> None:
        """One round: what ended, who lives, what is unwanted, what is next."""
        now = self._clock()
        for job_id in [job_id for job_id, running in self._running.items() if running.child.poll() is not None]:
            self._reap(connection, self._running.pop(job_id), now)
        if time.monotonic() - self._beat_at >= BEAT_S:
            self._beat_at = time.monotonic()
            self._beat(connection, now)
        self._end_unwanted(jobs.keep_alive(connection, self._instance, now), connection, now)
        while len(self._running) < self._slots:
            task = jobs.take(connection, sorted(self._kinds), self._instance, now)
            if task is None:
                break
            connection.commit()
            self._start(task)
        metrics.RUNNING.set(len(self._running))

    def _beat(self, connection: Connection, now: datetime) -> None:
        detail = {"jobs": sorted(self._running)}
        health.beat(connection, "planning", self._instance, now, detail)
        metrics.WAITING.set(jobs.counts(connection).get(JobState.QUEUED, 0))
        self._ask_for_nightly(connection, now)
        for job_id, state in jobs.give_back_abandoned(connection, now - timedelta(seconds=ABANDONED_S), now):
            _log.warning("a job had lost its process", job=job_id, state=state)

    def _ask_for_nightly(self, connection: Connection, now: datetime) -> None:
        """What is due once a day: also after a night through which no process ran."""
        local = now.astimezone(self._timezone)
        for name, kind in self._kinds.items():
            night = (name, local.date())
            if kind.nightly is not None and local.time() >= kind.nightly and night not in self._asked:
                jobs.submit_nightly(connection, name, local.date(), now)
                self._asked = {each for each in self._asked if each[1] == local.date()} | {night}

    def _start(self, task: Task) -> None:
        arguments = ["job", str(task.job_id), str(task.attempt), str(os.getpid())]
        child = subprocess.Popen([*self._command, *arguments], stdin=subprocess.DEVNULL, start_new_session=True)
        self._running[task.job_id] = Running(task, child, time.monotonic())
        _log.info("began", job=task.job_id, kind=task.kind, attempt=task.attempt)

    def _reap(self, connection: Connection, ended: Running, now: datetime) -> None:
        """A child that ended by itself has written how; for one that could not, write why."""
        task, status = ended.task, ended.child.returncode
        _kill_group(ended.child)  # what it started ends with it
        given = jobs.give_back(connection, task.job_id, task.attempt, _why(status), now)
        result = given or jobs.get(connection, task.job_id).state
        metrics.JOBS.labels(task.kind, result).inc()
        metrics.JOB_SECONDS.labels(task.kind).observe(time.monotonic() - ended.began)
        _log.info("ended", job=task.job_id, kind=task.kind, state=str(result), status=status)

    def _end_unwanted(self, held: Sequence[Held], connection: Connection, now: datetime) -> None:
        """Kill what somebody cancelled, and what is not this process's any more."""
        mine = {(each.job_id, each.attempt) for each in held}
        unwanted = {each.job_id for each in held if each.unwanted}
        for job_id, running in list(self._running.items()):
            if job_id in unwanted or (job_id, running.task.attempt) not in mine:
                if running.child.poll() is not None:
                    continue  # it ended meanwhile: reaped in the next round
                _end([running.child])
                self._reap(connection, self._running.pop(job_id), now)
        for each in held:
            if each.job_id not in self._running:  # a process of this name died and was started again
                jobs.give_back(connection, each.job_id, each.attempt, "its process was started again", now)

    def _stop(self) -> None:
        running, self._running = list(self._running.values()), {}
        _end([each.child for each in running])
        try:
            with borrow(self._pool) as connection:
                for each in running:
                    jobs.release(connection, each.task.job_id, each.task.attempt)
        except StorageError as error:  # another process, or this one's next start, finds them without a sign of life
            _log.warning("jobs could not be put back into the queue", error=str(error))
        self._pool.close()
        _log.info("stopped", put_back=[each.task.job_id for each in running])


def _why(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}; its log says why"
    name = signal.Signals(-status).name
    return f"its process was ended by {name}" + (" (out of memory?)" if -status == signal.SIGKILL else "")


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        _signal_group(child, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
        _kill_group(child)
        child.wait()


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    _signal_group(child, signal.SIGKILL)


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return
