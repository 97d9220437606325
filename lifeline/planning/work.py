"""One job in a process of its own: what it computes, what it says meanwhile, and how its end is written.

A process for each job keeps a crash in an engine's C code, a full memory or an endless solver away from the others,
gives the memory back, and makes cancelling simple.
"""

import os
import time
from collections.abc import Mapping

import structlog

from lifeline.errors import LifelineError
from lifeline.planning.lifetime import tie_to_parent
from lifeline.planning.registry import JobKind, checked, kind_of
from lifeline.storage import health, jobs
from lifeline.storage.database import connect, open_connection, storage_errors
from lifeline.storage.jobs import JobState

NICENESS = 10
"""Alerts and ingest on the same machine come first."""
TELL_S = 0.5
"""Progress is written so often at most."""

_log = structlog.get_logger()


class Speaker:
    """Writes a job's progress, on a connection of its own: the job's may be in the middle of a transaction."""

    def __init__(self, dsn: str, job_id: int, attempt: int) -> None:
        with storage_errors():
            self._connection = open_connection(dsn, application=f"lifeline job {job_id} progress", autocommit=True)
        self._job_id, self._attempt = job_id, attempt
        self._told_at = 0.0

    def __call__(self, share: float, message: str) -> None:
        now = time.monotonic()
        if now - self._told_at >= TELL_S:
            self._told_at = now
            jobs.tell_progress(self._connection, self._job_id, self._attempt, share, message)

    def close(self) -> None:
        self._connection.close()


def work(dsn: str, job_id: int, attempt: int, parent: int, kinds: Mapping[str, JobKind]) -> int:
    """Run the job and write how it ended; the exit status: 0 where that is written."""
    tie_to_parent(parent)
    os.nice(NICENESS)
    with connect(dsn, application=f"lifeline job {job_id}", autocommit=True) as connection:
        job = jobs.begin(connection, job_id)
        speaker = Speaker(dsn, job_id, attempt)
        try:
            kind = kind_of(job.kind, kinds)
            result = kind.run(connection, checked(kind, job.parameters), speaker)
            state, message = JobState.DONE, ""
        except (LifelineError, ImportError) as error:
            result, state, message = None, JobState.FAILED, _reason(error)
        except Exception as error:  # noqa: BLE001 - whoever waits for the job is told, the log has the rest
            _log.exception("a job failed", job=job_id, kind=job.kind)
            result, state, message = None, JobState.FAILED, f"{type(error).__name__}: {error}"
        finally:
            speaker.close()
        now = health.database_clock(connection)
        if not jobs.finish(connection, job_id, attempt, state, now, message=message, result=result):
            _log.warning("the job was taken from this process; its result is dropped", job=job_id, attempt=attempt)
    return 0


def _reason(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{error.name or error} is missing: install the extra, pip install 'lifeline[planning]'"
    return str(error)
