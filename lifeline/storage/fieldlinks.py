"""Field links in use: what they do, once, and the audit of every use. lifeline.fieldlink makes and reads them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lifeline.errors import ConflictError
from lifeline.fieldlink import Action, FieldLink
from lifeline.lifecycle import Event
from lifeline.response import Step
from lifeline.storage import alerts, incidents, response
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("fieldlinks")


class Outcome(StrEnum):
    """What became of a use. Refused: the alert's state, or its response's step, does not allow it any more."""

    DONE = "done"
    EXPIRED = "expired"
    REPEATED = "repeated"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Report:
    """What the person at the other end says. ``name`` is as they typed it; ``genuine`` is needed to feed back."""

    address: str = ""
    name: str = ""
    note: str = ""
    team: str | None = None
    genuine: bool = True
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """One line of the audit."""

    at: datetime
    action: str
    endpoint: str
    address: str
    name: str
    outcome: Outcome
    detail: str


def spent_at(connection: Connection, link: FieldLink) -> datetime | None:
    """When the link has done its work; None while it has not."""
    with storage_errors():
        row = connection.execute(_SQL["spent"], {"nonce": link.nonce}).fetchone()
    return row[0] if row else None


def use(connection: Connection, link: FieldLink, report: Report, now: datetime) -> tuple[Outcome, str]:
    """Do what the link is for, if it still may; what became of it, and why. Every use is audited.

    Raises NotFoundError for an alert that is not there any more.
    """
    outcome, detail = Outcome.DONE, ""
    if link.expired(now):
        outcome, detail = Outcome.EXPIRED, f"this link expired at {link.expires_at:%Y-%m-%d %H:%M} UTC"
    elif spent_at(connection, link):
        outcome, detail = Outcome.REPEATED, "this link has been used"
    else:
        try:
            with storage_errors(), connection.transaction():
                _act(connection, link, report, now)
                _record(connection, link, report, now, Outcome.DONE, "")
        except ConflictError as error:
            repeated = spent_at(connection, link) is not None
            outcome = Outcome.REPEATED if repeated else Outcome.REFUSED
            detail = "this link has been used" if repeated else str(error)
    if outcome is not Outcome.DONE:
        with storage_errors(), connection.transaction():
            _record(connection, link, report, now, outcome, detail)
    return outcome, detail


def uses(connection: Connection, alert_id: int) -> list[Use]:
    """The audit of one alert's links, oldest first."""
    with storage_errors():
        rows = connection.execute(_SQL["uses"], {"alert_id": alert_id}).fetchall()
    return [
        Use(at, action, endpoint, address, name, Outcome(outcome), detail)
        for at, action, endpoint, address, name, outcome, detail in rows
    ]


def _act(connection: Connection, link: FieldLink, report: Report, now: datetime) -> None:
    row = connection.execute(_SQL["endpoint"], {"endpoint_id": link.endpoint_id}).fetchone()
    actor = f"{report.name or 'field'} (link, {row[0] if row else 'endpoint that is gone'})"
    whole = bool(row and row[1])
    incident_id = incidents.of_alert(connection, link.alert_id) if whole else None
    if link.action is Action.ACKNOWLEDGE and incident_id is not None:
        _take(connection, incident_id, actor, now, report.note)
    elif link.action is Action.ACKNOWLEDGE:
        alerts.acknowledge(connection, link.alert_id, actor, now, report.note)
    elif link.action is Action.FEED_BACK:
        response.feed_back(
            connection,
            link.alert_id,
            actor,
            now,
            genuine=report.genuine,
            cause=report.cause,
            note=report.note,
            whole=whole,
        )
    else:
        step = Step(str(link.action))
        response.advance(connection, link.alert_id, step, actor, now, team=report.team, note=report.note)


def _take(connection: Connection, incident_id: int, actor: str, now: datetime, note: str) -> None:
    """Acknowledge whatever of an incident waits for it. Raises ConflictError where nothing does."""
    ids = incidents.open_alert_ids(connection, incident_id)
    taken, _ = alerts.operate_many(connection, ids, Event.ACKNOWLEDGE, actor, now, note)
    if not taken:
        raise ConflictError(f"nothing of incident {incident_id} waits for an acknowledgement")


def _record(
    connection: Connection, link: FieldLink, report: Report, now: datetime, outcome: Outcome, detail: str
) -> None:
    values = {
        "nonce": link.nonce, "alert_id": link.alert_id, "action": link.action, "now": now,
        "endpoint_id": link.endpoint_id, "address": report.address, "name": report.name, "outcome": outcome,
        "detail": detail,
    }  # fmt: skip
    connection.execute(_SQL["record"], values)
