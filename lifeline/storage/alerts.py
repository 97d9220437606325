"""Alerts: the only place where one is opened or changes its state.

Each change is one statement that writes the alert, its history and its message, in one transaction with its NOTIFY.
Work is set-based: a tick with 10,000 findings costs two statements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from lifeline.errors import ConflictError, NotFoundError
from lifeline.lifecycle import Event, Step, step
from lifeline.model import Alert, AlertKind, AlertState, Finding, JsonObject, Level, Subject, SubjectKind
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

DETECTOR = "detector"
"""The actor of what the process itself causes."""

AT_ONCE = 10_000
"""Alerts in one document at most: PostgreSQL takes 256 MB, and evidence may have a few kB."""
_TURN = 5_461_433_660

_SQL = load("alerts")


@dataclass(frozen=True, slots=True)
class Opening:
    """An alert to open: a finding whose level is not None, and what its rule says."""

    finding: Finding
    rule_version: str
    kind: AlertKind
    message: str = "alert.raised"


@dataclass(frozen=True, slots=True)
class Change:
    """A step of one alert, as it was read; refused when somebody else was faster. ``evidence`` None keeps the old."""

    alert: Alert
    step: Step
    level: Level
    message: str | None
    evidence: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of an alert's history; ``from_state`` is None where it was raised."""

    at: datetime
    actor: str
    action: str
    from_state: AlertState | None
    to_state: AlertState
    from_level: Level | None
    to_level: Level
    note: str
    evidence: JsonObject | None


def is_active(alert: Alert) -> bool:
    """Whether the process is in alarm, however muted the alert may be."""
    return alert.returned_at is None


def raise_alerts(
    connection: Connection, openings: Sequence[Opening], now: datetime, actor: str = DETECTOR
) -> list[Alert]:
    """Open alerts; give those that were opened. One that is open already is left as it is."""
    if not openings:
        return []
    rows = [
        {
            "subject_kind": opening.finding.subject.kind,
            "subject_id": opening.finding.subject.id,
            "rule": opening.finding.rule,
            "rule_version": opening.rule_version,
            "kind": opening.kind,
            "level": int(_level(opening.finding)),
            "first_seen": opening.finding.first_seen.isoformat(),
            "evidence": opening.finding.evidence,
            "message": opening.message,
        }
        for opening in openings
    ]
    return _write(connection, "raise", rows, {"actor": actor, "now": now})


def _level(finding: Finding) -> Level:
    if finding.level is None:
        raise ValueError(f"a finding without a level opens no alert: {finding}")
    return finding.level


def change_alerts(
    connection: Connection, changes: Sequence[Change], now: datetime, actor: str = DETECTOR, note: str = ""
) -> list[Alert]:
    """Move alerts on by compare-and-set; give those that moved, as they are now."""
    if not changes:
        return []
    rows = [
        {
            "alert_id": change.alert.alert_id,
            "version": change.alert.version,
            "state": change.step.state,
            "active": change.step.active,
            "level": int(change.level),
            "action": change.step.action,
            "evidence": change.evidence,
            "message": change.message,
        }
        for change in changes
    ]
    return _write(connection, "change", rows, {"actor": actor, "note": note, "now": now})


def _write(connection: Connection, statement: str, rows: list[JsonObject], values: dict[str, Any]) -> list[Alert]:
    """``rows`` go as one document: an array of 10,000 documents takes the driver a hundred times as long."""
    alerts: list[Alert] = []
    with storage_errors(), connection.transaction():
        for first in range(0, len(rows), AT_ONCE):
            wanted = {"wanted": Jsonb(rows[first : first + AT_ONCE])}
            alerts += [_alert(row) for row in connection.execute(_SQL[statement], values | wanted)]
        if alerts:
            announce(connection, len(alerts))
    return alerts


def announce(connection: Connection, count: int) -> None:
    """Tell whoever listens that so many alerts changed; heard when the transaction commits."""
    with storage_errors():
        connection.execute(_SQL["notify"], {"count": count})


def operate(
    connection: Connection,
    alert_id: int,
    event: Event,
    actor: str,
    now: datetime,
    note: str = "",
    expected_version: int | None = None,
) -> Alert:
    """What a person does to an alert; the alert as it is afterwards.

    Raises NotFoundError; ConflictError where the life cycle has no such step, or where ``expected_version`` is
    given and the alert has changed since.
    """
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["get_locked"], {"alert_id": alert_id}).fetchone()
        if row is None:
            raise NotFoundError(f"there is no alert {alert_id}")
        alert = _alert(row)
        if expected_version is not None and alert.version != expected_version:
            raise ConflictError(f"alert {alert_id} has changed: version {alert.version}, not {expected_version}")
        taken = step(alert.state, is_active(alert), event)
        if taken is None:
            raise ConflictError(f"alert {alert_id} is {alert.state}: {event} is not possible")
        return change_alerts(connection, [Change(alert, taken, alert.level, taken.message)], now, actor, note)[0]


def take_turn(connection: Connection) -> None:
    """Wait until nobody else changes several alerts in one transaction; it is this one's turn until it ends.

    First of all in each transaction that will hold more than one: which those are is known to none of them before, so
    that no order of locks keeps a tick, a response and a bulk of acknowledgements from waiting for each other.
    """
    with storage_errors():
        connection.execute(_SQL["take_turn"], {"key": _TURN})


def operate_many(
    connection: Connection, alert_ids: Sequence[int], event: Event, actor: str, now: datetime, note: str = ""
) -> tuple[list[Alert], dict[int, str]]:
    """What a person does to several alerts at once: those that moved, and of each other one why it did not."""
    with storage_errors(), connection.transaction():
        take_turn(connection)
        rows = connection.execute(_SQL["get_many_locked"], {"alert_ids": list(alert_ids)}).fetchall()
        found = {alert.alert_id: alert for alert in map(_alert, rows)}
        refused = {alert_id: f"there is no alert {alert_id}" for alert_id in alert_ids if alert_id not in found}
        changes = []
        for alert in found.values():
            taken = step(alert.state, is_active(alert), event)
            if taken is None:
                refused[alert.alert_id] = f"alert {alert.alert_id} is {alert.state}: {event} is not possible"
            else:
                changes.append(Change(alert, taken, alert.level, taken.message))
        return change_alerts(connection, changes, now, actor, note), refused


def acknowledge(
    connection: Connection,
    alert_id: int,
    actor: str,
    now: datetime,
    note: str = "",
    expected_version: int | None = None,
) -> Alert:
    """Acknowledge an alert: UNACK becomes ACKED, RTNUN is closed. Raises as ``operate``."""
    return operate(connection, alert_id, Event.ACKNOWLEDGE, actor, now, note, expected_version)


def get(connection: Connection, alert_id: int) -> Alert:
    """One alert, open or closed. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["get"], {"alert_id": alert_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return _alert(row)


def known(connection: Connection, alert_ids: Sequence[int]) -> list[int]:
    """Which of these alerts there are."""
    with storage_errors():
        return [row[0] for row in connection.execute(_SQL["known"], {"alert_ids": list(alert_ids)})]


def list_open(
    connection: Connection,
    *,
    network: str | None = None,
    mildest: Level = Level.BLUE,
    kind: AlertKind | None = None,
    limit: int = 1_000_000,
) -> list[Alert]:
    """Open alerts of ``mildest`` or worse, worst first, then the newest first."""
    values = {"network": network, "mildest": int(mildest), "kind": kind, "limit": limit}
    with storage_errors():
        return [_alert(row) for row in connection.execute(_SQL["list_open"], values)]


def history(connection: Connection, alert_id: int) -> list[HistoryEntry]:
    """What happened to an alert, oldest first; empty where there is no such alert."""
    with storage_errors():
        rows = connection.execute(_SQL["history"], {"alert_id": alert_id}).fetchall()
    return [
        HistoryEntry(
            at,
            actor,
            action,
            AlertState(from_state) if from_state else None,
            AlertState(to_state),
            Level(from_level) if from_level else None,
            Level(to_level),
            note,
            evidence,
        )
        for at, actor, action, from_state, to_state, from_level, to_level, note, evidence in rows
    ]


def worst_moment(connection: Connection, alert_id: int) -> JsonObject | None:
    """The newest evidence of the worst level that an alert reached; None where no expected value was told with it.

    What is over keeps its last evidence: of a burst that value and the expected one are the same again.
    """
    with storage_errors():
        row = connection.execute(_SQL["worst_moment"], {"alert_id": alert_id}).fetchone()
    return row[0] if row else None


def returns(
    connection: Connection, keys: Sequence[tuple[Subject, str]], since: datetime
) -> dict[tuple[Subject, str], int]:
    """How often each (subject, rule) has returned to normal after ``since``, in whatever alert; those that did."""
    if not keys:
        return {}
    values = {
        "kinds": [subject.kind for subject, _ in keys],
        "ids": [subject.id for subject, _ in keys],
        "rules": [rule for _, rule in keys],
        "since": since,
    }
    with storage_errors():
        return {keys[place - 1]: count for place, count in connection.execute(_SQL["returns"], values)}


def open_by_level(connection: Connection) -> dict[tuple[str, AlertKind, Level], int]:
    """How many alerts are open, by network, kind and level."""
    with storage_errors():
        rows = connection.execute(_SQL["open_by_level"]).fetchall()
    return {(network, AlertKind(kind), Level(level)): count for network, kind, level, count in rows}


def _alert(row: Sequence[Any]) -> Alert:
    alert_id, subject_kind, subject_id, rule, kind, network, level, state, *rest = row
    subject = Subject(SubjectKind(subject_kind), subject_id)
    return Alert(alert_id, subject, rule, AlertKind(kind), network, Level(level), AlertState(state), *rest)
