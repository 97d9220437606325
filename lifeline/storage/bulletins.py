"""Warnings as other systems read them: published messages of alerts (CAP) and alerts that stand (Alertmanager)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from lifeline.errors import NotFoundError
from lifeline.messages.message import OVER, Reference
from lifeline.model import AlertState, JsonObject, Level
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("bulletins")
TOLD = ("alert.raised", "alert.escalated", "alert.deescalated", "alert.cleared", "alert.closed")
"""Messages that change what another department must know; who acknowledged is for our own."""


@dataclass(frozen=True, slots=True)
class Bulletin:
    """The newest published word on an alert; ``references`` are those before, the oldest first."""

    alert_id: int
    raised_at: datetime
    message_id: str
    body: JsonObject
    references: tuple[Reference, ...]


class Standing(NamedTuple):
    """An open alert: the message that would tell of it now."""

    body: JsonObject
    state: AlertState
    updated_at: datetime


def bulletins(
    connection: Connection,
    since: datetime,
    *,
    network: str | None = None,
    levels: Sequence[Level] = (),
    limit: int = 500,
) -> list[Bulletin]:
    """Of risk alerts that are open or were closed after ``since``, the newest word first."""
    return _bulletins(connection, since=since, network=network, levels=[int(each) for each in levels], limit=limit)


def bulletin(connection: Connection, alert_id: int) -> Bulletin:
    """Of one risk alert, however old. Raises NotFoundError where nothing was published of it."""
    found = _bulletins(connection, alert_id=alert_id)
    if not found:
        raise NotFoundError(f"nothing was published of an alert {alert_id}")
    return found[0]


def standing(connection: Connection, limit: int) -> list[Standing]:
    """Open alerts whose process is in alarm, worst first."""
    with storage_errors():
        rows = connection.execute(_SQL["standing"], {"limit": limit}).fetchall()
    return [Standing(body, AlertState(state), updated_at) for body, state, updated_at in rows]


def _bulletins(connection: Connection, **conditions: Any) -> list[Bulletin]:
    values: dict[str, Any] = {
        "told": list(TOLD), "over": sorted(OVER), "alert_id": None, "since": None, "network": None, "limit": 1,
        **conditions,
    }  # fmt: skip
    values["levels"] = values.get("levels") or None
    with storage_errors():
        rows = connection.execute(_SQL["bulletins"], values).fetchall()
    return [
        Bulletin(alert_id, raised_at, message_id, body, tuple(_reference(*each) for each in references))
        for alert_id, raised_at, message_id, body, references in rows
    ]


def _reference(message_id: str, sent: str) -> Reference:
    return Reference(message_id, datetime.fromisoformat(sent))
