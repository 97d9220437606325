"""Shelving: an operator mutes an alert for a while. It comes back by itself, and its return is told all the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from lifeline.errors import ConflictError
from lifeline.lifecycle import Event
from lifeline.model import Alert
from lifeline.storage import alerts
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

ORDINARY = timedelta(hours=2)
LONGEST = timedelta(days=7)
CLOCK = "clock"
"""The actor of what happens when the time is over."""

_SQL = load("shelving")


def shelve(
    connection: Connection,
    alert_id: int,
    actor: str,
    now: datetime,
    *,
    until: datetime | None = None,
    note: str = "",
    expected_version: int | None = None,
) -> Alert:
    """Put an alert on the shelf, for two hours unless ``until`` says otherwise.

    Raises NotFoundError; ConflictError where the life cycle does not allow it or the time is not within seven days.
    """
    until = until or now + ORDINARY
    if not now < until <= now + LONGEST:
        raise ConflictError("an alert is shelved for seven days at most, and into the future")
    with storage_errors(), connection.transaction():
        said = f"until {until:%Y-%m-%d %H:%M:%S %Z}{': ' if note else ''}{note}"
        shelved = alerts.operate(connection, alert_id, Event.SHELVE, actor, now, said, expected_version)
        connection.execute(_SQL["set_until"], {"alert_id": alert_id, "until": until})
    return shelved


def unshelve(connection: Connection, alert_id: int, actor: str, now: datetime, note: str = "") -> Alert:
    """Take an alert from the shelf before its time. Raises as ``alerts.operate``."""
    with storage_errors(), connection.transaction():
        back = alerts.operate(connection, alert_id, Event.UNSHELVE, actor, now, note)
        connection.execute(_SQL["set_until"], {"alert_id": alert_id, "until": None})
    return back


def shelve_many(
    connection: Connection, alert_ids: Sequence[int], actor: str, now: datetime, *, until: datetime, note: str = ""
) -> tuple[list[Alert], dict[int, str]]:
    """The same for several: those that were shelved, and of each other one why it was not. Raises ConflictError."""
    if not now < until <= now + LONGEST:
        raise ConflictError("an alert is shelved for seven days at most, and into the future")
    said = f"until {until:%Y-%m-%d %H:%M:%S %Z}{': ' if note else ''}{note}"
    with storage_errors(), connection.transaction():
        shelved, refused = alerts.operate_many(connection, alert_ids, Event.SHELVE, actor, now, said)
        _set_until(connection, shelved, until)
    return shelved, refused


def unshelve_many(
    connection: Connection, alert_ids: Sequence[int], actor: str, now: datetime, note: str = ""
) -> tuple[list[Alert], dict[int, str]]:
    """Take several from the shelf before their time; of each other one why not."""
    with storage_errors(), connection.transaction():
        back, refused = alerts.operate_many(connection, alert_ids, Event.UNSHELVE, actor, now, note)
        _set_until(connection, back, None)
    return back, refused


def _set_until(connection: Connection, moved: Sequence[Alert], until: datetime | None) -> None:
    values = {"alert_ids": [alert.alert_id for alert in moved], "until": until}
    connection.execute(_SQL["set_until_of"], values)


def release(connection: Connection, now: datetime) -> list[Alert]:
    """Bring back every alert whose time on the shelf is over; give them."""
    with storage_errors(), connection.transaction():
        rows = connection.execute(_SQL["due"], {"now": now, "ordinary_s": ORDINARY.total_seconds()}).fetchall()
        return [unshelve(connection, alert_id, CLOCK, now, "its time on the shelf is over") for (alert_id,) in rows]
