"""From the outbox to endpoints: deliveries with a lease, and the log of their attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from lifeline.messages.message import OVER
from lifeline.model import JsonObject, Level
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("outbox")
_BATCH = 10_000


class DeliveryState(StrEnum):
    """What became of a delivery. Held waits for its group; grouped went out as a part of its group's message."""

    HELD = "held"
    GROUPED = "grouped"
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery that this process attempts now. ``attempts`` counts this one.

    ``secret`` is every active one, the newest first, separated by a space; of a chat channel it is its address.
    ``references`` are earlier messages about the alert to this endpoint, for CAP alone.
    """

    delivery_id: int
    endpoint_id: int
    endpoint: str
    url: str
    secret: str
    message_id: str
    body: JsonObject
    level: Level
    attempts: int
    format: str
    links: bool
    references: tuple[tuple[str, datetime], ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the delivery log; ``status_code`` None where no answer came."""

    endpoint: str
    message_id: str
    event_type: str
    at: datetime
    status_code: int | None
    error: str
    duration_ms: int


class Tried(NamedTuple):
    """One attempt; ``status_code`` None where no answer came."""

    at: datetime
    status_code: int | None
    error: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A message to one endpoint; ``log``: its ten newest attempts, the newest first."""

    delivery_id: int
    endpoint: str
    message_id: str
    event_type: str
    alert_id: int | None
    incident_id: int | None
    level: Level
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    log: list["Tried"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much is still to be told."""

    messages: int
    deliveries: int


def fan_out(connection: Connection, now: datetime) -> int:
    """Plan the deliveries of messages that wait; give how many messages were taken (10,000 at most)."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["fan_out"], {"now": now, "limit": _BATCH}).fetchone()
    return int(row[0]) if row else 0


def claim(
    connection: Connection,
    now: datetime,
    lease: datetime,
    *,
    per_endpoint: int,
    free: Mapping[int, int],
    limit: int,
) -> list[Claim]:
    """Take what is due, worst first: ``free[endpoint_id]`` of an endpoint, else ``per_endpoint``, ``limit`` in all.

    What is not recorded by ``lease`` is due again.
    """
    values = {
        "now": now,
        "lease": lease,
        "per_endpoint": per_endpoint,
        "endpoints": list(free),
        "free": list(free.values()),
        "limit": limit,
        "over": sorted(OVER),
    }
    with storage_errors(), connection.transaction():
        rows = connection.execute(_SQL["claim"], values).fetchall()
    return [
        Claim(
            delivery, endpoint, name, url, secret, message_id, body, Level(level), attempts, form, links,
            tuple((earlier, datetime.fromisoformat(at)) for earlier, at in references or ()),
        )
        for delivery, endpoint, name, url, secret, message_id, body, level, attempts, form, links, references in rows
    ]  # fmt: skip


def release(connection: Connection, now: datetime) -> int:
    """Take over from a process that ended: what it had claimed is due now. Give how many those are."""
    with storage_errors(), connection.transaction():
        return connection.execute(_SQL["release"], {"now": now}).rowcount


def record(
    connection: Connection,
    delivery_id: int,
    at: datetime,
    *,
    state: DeliveryState,
    status_code: int | None,
    error: str,
    duration_ms: int,
    next_attempt_at: datetime | None,
) -> None:
    """Log an attempt and say what becomes of its delivery; one that is delivered or failed already stays so."""
    values = {
        "delivery_id": delivery_id,
        "at": at,
        "state": state,
        "status_code": status_code,
        "error": error,
        "duration_ms": duration_ms,
        "next_attempt_at": next_attempt_at,
    }
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["record"], values)


def disable(connection: Connection, endpoint_id: int, reason: str) -> None:
    """Switch an endpoint off; what waits for it has failed."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["disable"], {"endpoint_id": endpoint_id, "reason": reason})


def waiting(connection: Connection) -> Waiting:
    """How much is still to be told."""
    with storage_errors():
        row = connection.execute(_SQL["waiting"]).fetchone()
    return Waiting(*(row or (0, 0)))


def attempts(connection: Connection, alert_id: int) -> list[Attempt]:
    """The delivery log of an alert, oldest first."""
    with storage_errors():
        return [Attempt(*row) for row in connection.execute(_SQL["attempts"], {"alert_id": alert_id})]


def deliveries(
    connection: Connection,
    *,
    endpoint: str | None = None,
    state: DeliveryState | None = None,
    alert_id: int | None = None,
    incident_id: int | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[DeliveryLine]:
    """The delivery log, the newest first, behind ``before_id``."""
    values = {
        "endpoint": endpoint, "state": state, "alert_id": alert_id, "incident_id": incident_id, "before": before_id,
        "limit": limit,
    }  # fmt: skip
    with storage_errors():
        rows = connection.execute(_SQL["deliveries"], values).fetchall()
    return [_line(row) for row in rows]


def _line(row: Sequence[Any]) -> DeliveryLine:
    values = list(row)
    values[6], values[7] = Level(row[6]), DeliveryState(row[7])
    values[12] = [Tried(datetime.fromisoformat(at), code, error, took) for at, code, error, took in row[12]]
    return DeliveryLine(*values)
