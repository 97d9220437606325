"""Jobs: long computations that a person or the clock asked for, and that `lifeline.planning` works.

A job belongs to one (job, attempt): who holds an older attempt writes nothing any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from psycopg.types.json import Jsonb

from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import JsonObject
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

MOST_ATTEMPTS = 2
"""A job whose process died is begun again once: what kills it twice is the job itself."""

_SQL = load("jobs")


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """One job. ``message``: what it is at, or why it failed; ``result`` once it is done."""

    job_id: int
    kind: str
    parameters: JsonObject
    state: JobState
    progress: float
    message: str
    result: JsonObject | None
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Task:
    """A job that this process has taken."""

    job_id: int
    kind: str
    parameters: JsonObject
    attempt: int


@dataclass(frozen=True, slots=True)
class Held:
    """A job that this process holds, and whether somebody wants it to end."""

    job_id: int
    attempt: int
    unwanted: bool


def submit(connection: Connection, kind: str, parameters: JsonObject, actor: str, now: datetime) -> int:
    """Put a job into the queue; give its id. Which kinds and parameters there are is for the registry to say."""
    values = {"kind": kind, "parameters": Jsonb(parameters), "actor": actor, "now": now}
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["submit"], values).fetchone()
        job_id = int(row[0]) if row else 0
        _announce(connection, job_id)
    return job_id


def submit_nightly(connection: Connection, kind: str, night: date, now: datetime) -> int | None:
    """Put this night's job into the queue; None where another process has."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["submit_nightly"], {"kind": kind, "night": night, "now": now}).fetchone()
        if row is None:
            return None
        _announce(connection, int(row[0]))
    return int(row[0])


def get(connection: Connection, job_id: int) -> Job:
    """One job. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["get"], {"job": job_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no job {job_id}")
    return _job(row)


def list_jobs(
    connection: Connection,
    kind: str | None = None,
    state: JobState | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Job]:
    """Jobs, the newest first; ``before``: only those that are older than this id."""
    values = {"kind": kind, "state": state, "before": before, "limit": limit}
    with storage_errors():
        return [_job(row) for row in connection.execute(_SQL["list"], values)]


def cancel(connection: Connection, job_id: int, actor: str, now: datetime) -> Job:
    """End a job: at once where it waits, within seconds where it runs.

    Raises NotFoundError; ConflictError where it is over.
    """
    values = {"job": job_id, "actor": actor, "now": now}
    with storage_errors(), connection.transaction():
        done = (
            connection.execute(_SQL["cancel_queued"], values).fetchone()
            or connection.execute(_SQL["ask_to_end"], values).fetchone()
        )
        found = get(connection, job_id)
        if done is None:
            raise ConflictError(f"job {job_id} is {found.state} already")
        _announce(connection, job_id)
    return found


def take(connection: Connection, kinds: Sequence[str], instance: str, now: datetime) -> Task | None:
    """The next job of these kinds, now this process's; None where there is none. No two processes get the same."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["take"], {"kinds": list(kinds), "instance": instance, "now": now}).fetchone()
        if row is None:
            return None
        _announce(connection, int(row[0]))
    return Task(*row)


def begin(connection: Connection, job_id: int) -> Job:
    """Say that this connection works this job from now on; give it."""
    with storage_errors():
        connection.execute(_SQL["begin"], {"job": job_id})
    return get(connection, job_id)


def current(connection: Connection) -> Job | None:
    """The job that this connection works; None where it works none."""
    with storage_errors():
        row = connection.execute(_SQL["current"]).fetchone()
    return get(connection, int(row[0])) if row and row[0] is not None else None


def keep_alive(connection: Connection, instance: str, now: datetime) -> list[Held]:
    """Say that this process still works its jobs; give those that it holds."""
    with storage_errors(), connection.transaction():
        return [Held(*row) for row in connection.execute(_SQL["keep_alive"], {"instance": instance, "now": now})]


def tell_progress(connection: Connection, job_id: int, attempt: int, share: float, message: str) -> None:
    """How far a job is, 0 to 1, and what it is at."""
    values = {"job": job_id, "attempt": attempt, "share": min(1.0, max(0.0, share)), "message": message}
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["tell_progress"], values)
        _announce(connection, job_id)


def finish(
    connection: Connection,
    job_id: int,
    attempt: int,
    state: JobState,
    now: datetime,
    *,
    message: str = "",
    result: JsonObject | None = None,
) -> bool:
    """Write how a job ended; False where it was not this attempt's any more, and then nothing is written."""
    values = {
        "job": job_id, "attempt": attempt, "state": state, "now": now, "message": message,
        "result": None if result is None else Jsonb(result),
    }  # fmt: skip
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["finish"], values).fetchone()
        _announce(connection, job_id)
    return row is not None


def release(connection: Connection, job_id: int, attempt: int) -> None:
    """Back into the queue: this process is told to stop."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["release"], {"job": job_id, "attempt": attempt})
        _announce(connection, job_id)


def give_back(connection: Connection, job_id: int, attempt: int, reason: str, now: datetime) -> JobState | None:
    """A job whose process died: queued again, or failed where it was begun ``MOST_ATTEMPTS`` times, or cancelled where
    somebody wanted that. None where it was not this attempt's any more."""
    values = {"job": job_id, "attempt": attempt, "most": MOST_ATTEMPTS, "message": reason, "now": now}
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["give_back"], values).fetchone()
        _announce(connection, job_id)
    return JobState(row[0]) if row else None


def give_back_abandoned(connection: Connection, before: datetime, now: datetime) -> list[tuple[int, JobState]]:
    """Every job whose process has given no sign of life since ``before``, and what became of it."""
    with storage_errors(), connection.transaction():
        lost = connection.execute(_SQL["abandoned"], {"before": before}).fetchall()
        reason = "its process gave no sign of life any more"
        ends = [(int(job), give_back(connection, job, attempt, reason, now)) for job, attempt in lost]
    return [(job, state) for job, state in ends if state is not None]


def counts(connection: Connection) -> dict[JobState, int]:
    """How many wait and how many run."""
    with storage_errors():
        return {JobState(state): count for state, count in connection.execute(_SQL["counts"])}


def _job(row: tuple[object, ...]) -> Job:
    job = Job(*row)  # type: ignore[arg-type]
    return Job(**{name: getattr(job, name) for name in Job.__slots__} | {"state": JobState(job.state)})


def _announce(connection: Connection, job_id: int) -> None:
    connection.execute(_SQL["announce"], {"job": job_id})
