"""The response to events: steps by compare-and-set with their history and message, deadlines, and labels.

An incident has one response, kept under one of its alerts, its holder; whoever names any of its alerts means it. An
alert without an incident has its own. Without a row in ``response`` it is received, since it was raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lifeline.errors import ConflictError, NotFoundError
from lifeline.lifecycle import Event
from lifeline.model import Level
from lifeline.response import Deadlines, Step, may_follow
from lifeline.storage import alerts, incidents
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

CLOCKWORK = "clock"
"""The actor of what happens by the clock."""
ARCHIVE_AFTER = timedelta(days=1)

_SQL = load("response")
_AT_ONCE = 500
_TAKES_NOTE = frozenset({Step.CONFIRMED, Step.FALSE_ALARM})


@dataclass(frozen=True, slots=True)
class Response:
    """How far a response is. ``alert_id`` is its holder; ``version`` 0: nobody has done anything yet."""

    alert_id: int
    step: Step
    since: datetime
    team: str
    version: int
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class _Locked:
    """A response that is held until the transaction ends; ``closed``: the whole event is."""

    was: Response
    incident_id: int | None
    closed: bool


@dataclass(frozen=True, slots=True)
class ResponseEntry:
    """One line of the history. ``action``: step, overdue, feedback, assigned or note."""

    at: datetime
    actor: str
    action: str
    from_step: Step
    to_step: Step
    team: str
    note: str


@dataclass(frozen=True, slots=True)
class Label:
    """What a person said that an alert was: the newest word counts."""

    alert_id: int
    rule: str
    rule_version: str
    network: str
    subject_kind: str
    subject_id: int
    raised_at: datetime
    genuine: bool
    cause: str
    note: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Overdue:
    """A step that is over its deadline. ``told``: a message has gone out about it."""

    alert_id: int
    network: str
    level: Level
    step: Step
    team: str
    since: datetime
    due_at: datetime
    step_since: datetime
    told: bool
    incident_id: int | None


def get(connection: Connection, alert_id: int) -> Response:
    """How far the response to an alert, or to its incident, is. Raises NotFoundError."""
    with storage_errors():
        holder, _ = _holder(connection, alert_id)
        row = connection.execute(_SQL["get"], {"alert_id": holder}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return _response(holder, row)


def advance(
    connection: Connection,
    alert_id: int,
    to: Step,
    actor: str,
    now: datetime,
    *,
    team: str | None = None,
    note: str = "",
    expected_version: int | None = None,
) -> Response:
    """Take the next step, with its history and message. Who confirms, or calls it false, has acknowledged it as well.

    ``team`` None keeps the team. Raises NotFoundError; ConflictError where the step does not follow, where
    ``expected_version`` is given and somebody was faster, or where an alert that is open would be archived.
    """
    with storage_errors(), connection.transaction():
        locked = _locked(connection, alert_id)
        was = locked.was
        _expect(was, expected_version)
        if not may_follow(to, was.step):
            raise ConflictError(f"the response to alert {alert_id} is {was.step}: {to} does not follow")
        if to is Step.ARCHIVED and not locked.closed:
            raise ConflictError(f"alert {alert_id} is open, or its incident is: it cannot be archived")
        return _step(connection, locked, to, actor, now, was.team if team is None else team, note)


def _expect(was: Response, version: int | None) -> None:
    if version is not None and was.version != version:
        raise ConflictError(f"the response to alert {was.alert_id} has changed: version {was.version}, not {version}")


def assign(
    connection: Connection,
    alert_id: int,
    actor: str,
    now: datetime,
    *,
    assignee: str = "",
    team: str | None = None,
    note: str = "",
    expected_version: int | None = None,
) -> Response:
    """Say who has it: a person, a team (None keeps it). The clock of the step runs on. Raises as ``advance``."""
    with storage_errors(), connection.transaction():
        locked = _locked(connection, alert_id)
        was = locked.was
        _expect(was, expected_version)
        if was.step is Step.ARCHIVED:
            raise ConflictError(f"the response to alert {alert_id} is archived")
        values = {
            "alert_id": was.alert_id, "step": was.step, "since": was.since, "version": was.version,
            "team": was.team if team is None else team, "assignee": assignee,
        }  # fmt: skip
        row = connection.execute(_SQL["assign"], values).fetchone()
        if row is None:
            raise ConflictError(f"the response to alert {alert_id} has changed meanwhile")
        said = f"to {assignee or 'nobody'}{': ' if note else ''}{note}"
        _note(connection, was, "assigned", was.step, actor, now, str(values["team"]), said)
        _tell(connection, locked, "response.changed", actor, now, said)
        return _response(was.alert_id, row)


def add_note(connection: Connection, alert_id: int, actor: str, now: datetime, note: str) -> None:
    """Write something down about an event; nobody is told. Raises NotFoundError."""
    with storage_errors(), connection.transaction():
        was = _locked(connection, alert_id).was
        _note(connection, was, "note", was.step, actor, now, was.team, note)
        alerts.announce(connection, 1)


def feed_back(
    connection: Connection,
    alert_id: int,
    actor: str,
    now: datetime,
    *,
    genuine: bool,
    cause: str = "",
    note: str = "",
    whole: bool = False,
) -> Response:
    """Keep what the alert was, ``whole``: what all of its incident were: labels for ever. The event is fed back where
    that step follows. Raises NotFoundError."""
    with storage_errors(), connection.transaction():
        locked = _locked(connection, alert_id)
        was, labelled = locked.was, [alert_id]
        if whole and locked.incident_id is not None:
            rows = connection.execute(_SQL["alerts_of_incident"], {"incident_id": locked.incident_id})
            labelled = [row[0] for row in rows]
        label = {
            "alert_ids": labelled, "actor": actor, "now": now, "genuine": genuine, "cause": cause, "note": note,
        }  # fmt: skip
        connection.execute(_SQL["feed_back"], label)
        said = f"{'true' if genuine else 'false'} {cause}: {note}".strip(": ")
        if may_follow(Step.FED_BACK, was.step):
            return _step(connection, locked, Step.FED_BACK, actor, now, was.team, said)
        _note(connection, was, "feedback", was.step, actor, now, was.team, said)
    return was


def history(connection: Connection, alert_id: int) -> list[ResponseEntry]:
    """What was done about an alert and its incident, oldest first; empty where there is no such alert."""
    with storage_errors():
        rows = connection.execute(_SQL["history"], {"alert_id": alert_id}).fetchall()
    return [
        ResponseEntry(at, actor, action, Step(before), Step(after), team, note)
        for at, actor, action, before, after, team, note in rows
    ]


def labels(connection: Connection, start: datetime, end: datetime, rule: str | None = None) -> list[Label]:
    """The newest label of each alert raised from ``start`` to before ``end``."""
    with storage_errors():
        return [Label(*row) for row in connection.execute(_SQL["labels"], {"start": start, "end": end, "rule": rule})]


def overdue(connection: Connection, deadlines: Deadlines, now: datetime) -> list[Overdue]:
    """Steps that are over their deadline, worst first."""
    values = {
        "steps": [str(step) for step, _ in deadlines],
        "levels": [int(level) for _, level in deadlines],
        "seconds": list(deadlines.values()),
        "now": now,
    }
    with storage_errors():
        rows = connection.execute(_SQL["overdue"], values).fetchall()
    return [
        Overdue(alert_id, network, Level(level), Step(step), *rest) for alert_id, network, level, step, *rest in rows
    ]


def due_at(connection: Connection, deadlines: Deadlines, now_at: Response) -> datetime | None:
    """When the step is due: its clock runs from the step or from the last rise of the level. None: no deadline."""
    with storage_errors():
        row = connection.execute(_SQL["clock"], {"alert_id": now_at.alert_id}).fetchone()
    if row is None:
        return None
    level, rose_at = row
    seconds = deadlines.get((now_at.step, Level(level)))
    return None if seconds is None else max(now_at.since, rose_at or now_at.since) + timedelta(seconds=seconds)


def tell_overdue(connection: Connection, deadlines: Deadlines, now: datetime) -> list[Overdue]:
    """Tell of steps that have become overdue, each once, with history and message; give those.

    The worst 500 at a time, so that a storm makes no transaction of minutes: the next call goes on.
    """
    told: list[Overdue] = []
    with storage_errors(), connection.transaction():
        alerts.take_turn(connection)
        for late in overdue(connection, deadlines, now):
            values = {
                "alert_id": late.alert_id, "step": late.step, "step_since": late.step_since, "team": late.team,
                "now": now,
            }  # fmt: skip
            if len(told) == _AT_ONCE:
                break
            if late.told or connection.execute(_SQL["mark_told"], values).fetchone() is None:
                continue
            was = Response(late.alert_id, late.step, late.since, late.team, 0)
            note = f"due {late.due_at:%Y-%m-%d %H:%M:%S} UTC"
            _note(connection, was, "overdue", late.step, CLOCKWORK, now, late.team, note)
            _tell(connection, _Locked(was, late.incident_id, False), "response.overdue", CLOCKWORK, now, note)
            told.append(late)
    return told


def archive(connection: Connection, now: datetime) -> int:
    """Archive what has been fed back and closed for a day; give how many."""
    with storage_errors(), connection.transaction():
        rows = connection.execute(_SQL["archivable"], {"before": now - ARCHIVE_AFTER}).fetchall()
        for (alert_id,) in rows:
            advance(connection, alert_id, Step.ARCHIVED, CLOCKWORK, now)
    return len(rows)


def _holder(connection: Connection, alert_id: int) -> tuple[int, int | None]:
    row = connection.execute(_SQL["holder"], {"alert_id": alert_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return row[0], row[1]


def _locked(connection: Connection, alert_id: int) -> _Locked:
    alerts.take_turn(connection)
    holder, incident_id = _holder(connection, alert_id)
    row = connection.execute(_SQL["get_locked"], {"alert_id": holder}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return _Locked(_response(holder, row[1:]), incident_id, bool(row[0]))


def _step(
    connection: Connection, locked: _Locked, to: Step, actor: str, now: datetime, team: str, note: str
) -> Response:
    was = locked.was
    values = {
        "alert_id": was.alert_id, "step": to, "now": now, "team": team, "version": was.version,
        "assignee": was.assignee,
    }  # fmt: skip
    row = connection.execute(_SQL["set"], values).fetchone()
    if row is None:
        raise ConflictError(f"the response to alert {was.alert_id} has changed meanwhile")
    _note(connection, was, "step", to, actor, now, team, note)
    if to in _TAKES_NOTE:
        waiting = {"alert_id": was.alert_id, "incident_id": locked.incident_id}
        ids = [each[0] for each in connection.execute(_SQL["unacknowledged"], waiting)]
        alerts.operate_many(connection, ids, Event.ACKNOWLEDGE, actor, now, note)
    if to is not Step.ARCHIVED:
        _tell(connection, locked, "response.changed", actor, now, note)
    return _response(was.alert_id, row)


def _note(
    connection: Connection,
    was: Response,
    action: str,
    to: Step,
    actor: str,
    now: datetime,
    team: str,
    note: str,
) -> None:
    values = {
        "alert_id": was.alert_id, "now": now, "actor": actor, "action": action, "from_step": was.step, "to_step": to,
        "team": team, "note": note,
    }  # fmt: skip
    connection.execute(_SQL["note"], values)


def _tell(connection: Connection, locked: _Locked, message: str, actor: str, now: datetime, note: str) -> None:
    """To those who are told of alerts, and to those who are told of incidents."""
    values = {"alert_id": locked.was.alert_id, "message": message, "actor": actor, "now": now, "note": note}
    connection.execute(_SQL["tell"], values)
    if locked.incident_id is not None:
        incidents.tell(connection, [(locked.incident_id, message, actor)], now, note)
    alerts.announce(connection, 1)


def _response(alert_id: int, row: Sequence[Any]) -> Response:
    step, since, team, version, assignee = row
    return Response(alert_id, Step(step), since, team, version, assignee)
