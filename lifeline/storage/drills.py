"""The record of drills: what is planned, what runs, what came of it. The drill itself happens in a sandbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from psycopg.types.json import Jsonb

from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import JsonObject
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

OVERSLEPT = timedelta(hours=1)
"""A drill that could not begin for so long does not begin any more."""

_SQL = load("drills")


class DrillState(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill. ``plan`` is a ``lifeline.drills.plan.Plan`` as JSON; ``report`` is there once it is done."""

    drill_id: int
    schedule_id: int | None
    plan: JsonObject
    state: DrillState
    message: str
    requested_by: str
    requested_at: datetime
    starts_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    stop_by: str | None
    runner: str | None
    alive_at: datetime | None
    url: str
    sandbox: str
    report: JsonObject | None


@dataclass(frozen=True, slots=True)
class DrillEvent:
    """One line of a drill's own history."""

    at: datetime
    actor: str
    action: str
    note: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A drill that comes back each month on ``day`` at ``at``, the city's local time."""

    schedule_id: int
    plan: JsonObject
    day: int
    at: time
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunningDrill:
    """A drill that somebody runs, or ran until he died."""

    drill_id: int
    runner: str
    alive_at: datetime
    sandbox: str


def plan(connection: Connection, asked: JsonObject, actor: str, starts_at: datetime, now: datetime) -> int:
    """Plan a drill and give its id; ``asked`` was checked by ``lifeline.drills.plan``."""
    values = {"plan": Jsonb(asked), "actor": actor, "starts_at": starts_at, "now": now}
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["plan"], values).fetchone()
        drill_id = int(row[0]) if row else 0
        _note(connection, drill_id, actor, "planned", now, f"for {starts_at:%Y-%m-%d %H:%M:%S} UTC")
    return drill_id


def get(connection: Connection, drill_id: int) -> Drill:
    """One drill with its report. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["get"], {"drill": drill_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no drill {drill_id}")
    return _drill(row)


def list_drills(connection: Connection, before: int | None = None, limit: int = 100) -> list[Drill]:
    """Drills, the newest first, without their reports."""
    with storage_errors():
        return [_drill(row) for row in connection.execute(_SQL["list"], {"before": before, "limit": limit})]


def events(connection: Connection, drill_id: int) -> list[DrillEvent]:
    """What happened to a drill, oldest first."""
    with storage_errors():
        return [DrillEvent(*row) for row in connection.execute(_SQL["events"], {"drill": drill_id})]


def due(connection: Connection, now: datetime) -> int | None:
    """The drill that is to begin now, where none runs. What was overslept has failed, and is told so."""
    oldest = now - OVERSLEPT
    with storage_errors(), connection.transaction():
        for (late,) in connection.execute(_SQL["overslept"], {"oldest": oldest}).fetchall():
            reason = "nobody ran it within an hour: is `lifeline up` running?"
            finish(connection, late, DrillState.FAILED, now, message=reason)
        row = connection.execute(_SQL["due"], {"now": now, "oldest": oldest}).fetchone()
    return int(row[0]) if row else None


def take(connection: Connection, drill_id: int, runner: str, now: datetime) -> bool:
    """Begin a planned drill; False where it is not planned any more. Raises ConflictError while another one runs."""
    values = {"drill": drill_id, "runner": runner, "now": now, "message": "preparing the sandbox"}
    try:
        with storage_errors(), connection.transaction():
            if connection.execute(_SQL["take"], values).fetchone() is None:
                return False
            _note(connection, drill_id, runner, "began", now)
    except ConflictError as error:
        raise ConflictError(
            "another drill runs: `lifeline drill list` shows it, `lifeline drill stop` ends it"
        ) from error
    return True


def running(connection: Connection) -> RunningDrill | None:
    """The drill that runs, by the record."""
    with storage_errors():
        row = connection.execute(_SQL["running"]).fetchone()
    return RunningDrill(*row) if row else None


def beat(connection: Connection, drill_id: int, now: datetime) -> str | None:
    """The runner's sign of life; gives who wants the drill to end. Raises ConflictError where it is not running."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["beat"], {"drill": drill_id, "now": now}).fetchone()
    if row is None:
        raise ConflictError(f"drill {drill_id} does not run any more")
    return None if row[0] is None else str(row[0])


def tell(
    connection: Connection,
    drill_id: int,
    *,
    message: str | None = None,
    url: str | None = None,
    sandbox: str | None = None,
) -> None:
    """Write what a drill is at and where it is; None keeps what stands there."""
    values = {"drill": drill_id, "message": message, "url": url, "sandbox": sandbox}
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["tell"], values)


def opened(connection: Connection, drill_id: int, url: str, now: datetime) -> None:
    """The exercise's page is there: people may come."""
    with storage_errors(), connection.transaction():
        tell(connection, drill_id, message="running", url=url)
        _note(connection, drill_id, "lifeline", "opened", now, url)


def stop(connection: Connection, drill_id: int, actor: str, now: datetime) -> Drill:
    """Cancel a drill that is planned, or ask the one that runs to end. Raises NotFoundError, ConflictError."""
    values = {"drill": drill_id, "actor": actor, "now": now}
    with storage_errors(), connection.transaction():
        if connection.execute(_SQL["cancel"], values).fetchone() is not None:
            _note(connection, drill_id, actor, "cancelled", now)
        elif connection.execute(_SQL["ask_to_stop"], values).fetchone() is not None:
            _note(connection, drill_id, actor, "stop_asked", now)
        else:
            raise ConflictError(f"drill {drill_id} is {get(connection, drill_id).state} already")
        return get(connection, drill_id)


def finish(
    connection: Connection,
    drill_id: int,
    state: DrillState,
    now: datetime,
    *,
    message: str = "",
    report: JsonObject | None = None,
    pdf: bytes | None = None,
) -> bool:
    """Write how a drill ended, once; False where it had ended already, and then nothing is written."""
    values = {
        "drill": drill_id, "state": state, "now": now, "message": message,
        "report": None if report is None else Jsonb(report),
    }  # fmt: skip
    with storage_errors(), connection.transaction():
        if connection.execute(_SQL["finish"], values).fetchone() is None:
            return False
        if pdf is not None:
            connection.execute(_SQL["store_document"], {"drill": drill_id, "format": "pdf", "content": pdf})
        _note(connection, drill_id, "lifeline", str(state), now, message)
    return True


def document(connection: Connection, drill_id: int, format_: str = "pdf") -> bytes:
    """A document of a drill. Raises NotFoundError where there is none."""
    with storage_errors():
        row = connection.execute(_SQL["document"], {"drill": drill_id, "format": format_}).fetchone()
    if row is None:
        raise NotFoundError(f"drill {drill_id} has no {format_}")
    return bytes(row[0])


def add_schedule(connection: Connection, asked: JsonObject, day: int, at: time, actor: str, now: datetime) -> int:
    """Plan a drill for each month from now on, and give the schedule's id."""
    values = {"plan": Jsonb(asked), "day": day, "at": at, "actor": actor, "now": now}
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["add_schedule"], values).fetchone()
    return int(row[0]) if row else 0


def schedules(connection: Connection) -> list[Schedule]:
    """The schedules that hold."""
    with storage_errors():
        return [Schedule(*row) for row in connection.execute(_SQL["schedules"])]


def end_schedule(connection: Connection, schedule_id: int, actor: str) -> None:
    """End a schedule; drills that it has planned stay. Raises NotFoundError."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["end_schedule"], {"schedule": schedule_id, "actor": actor}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no schedule {schedule_id}")


def plan_scheduled(connection: Connection, schedule_id: int, starts_at: datetime, now: datetime) -> int | None:
    """Plan a month's drill of a schedule; None where somebody has, however many ask."""
    values = {"schedule": schedule_id, "starts_at": starts_at, "now": now}
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["plan_scheduled"], values).fetchone()
        if row is None:
            return None
        _note(connection, int(row[0]), "schedule", "planned", now, f"for {starts_at:%Y-%m-%d %H:%M:%S} UTC")
    return int(row[0])


def scenarios(connection: Connection) -> dict[str, str]:
    """Scenarios that can be played here: title by name."""
    with storage_errors():
        return dict(connection.execute(_SQL["scenarios"]).fetchall())


def keep_scenarios(connection: Connection, found: Mapping[str, str]) -> None:
    """Say which scenarios can be played here."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["forget_scenarios"], {"names": list(found)})
        for name, title in found.items():
            connection.execute(_SQL["keep_scenario"], {"name": name, "title": title})


def _note(connection: Connection, drill_id: int, actor: str, action: str, now: datetime, note: str = "") -> None:
    values = {"drill": drill_id, "now": now, "actor": actor, "action": action, "note": note}
    connection.execute(_SQL["note"], values)


def _drill(row: Sequence[object]) -> Drill:
    drill = Drill(*row)  # type: ignore[arg-type]
    return Drill(**{name: getattr(drill, name) for name in Drill.__slots__} | {"state": DrillState(drill.state)})
