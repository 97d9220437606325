"""Quarantine as people look at it: how much of what, and the messages with their own bytes."""

from dataclasses import dataclass
from datetime import datetime

from lifeline.model import Reason
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

SHOWN_BYTES = 4096
"""Of a message's payload; ``size`` says how long it is."""

_SQL = load("quarantine")


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rows a reason has, and the last one's moment."""

    reason: Reason
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """One reading or message that could not be taken. ``payload``: its first 4,096 bytes."""

    quarantine_id: int
    received_at: datetime
    topic: str
    reason: Reason
    detail: str
    channel: str | None
    reading_ts: datetime | None
    size: int
    payload: bytes


def reasons(connection: Connection, since: datetime) -> list[ReasonCount]:
    """Counts by reason of what came since then, the most frequent first."""
    with storage_errors():
        rows = connection.execute(_SQL["reasons"], {"since": since}).fetchall()
    return [ReasonCount(Reason(reason), count, last) for reason, count, last in rows]


def held(
    connection: Connection, *, before: int | None = None, reason: Reason | None = None, limit: int = 100
) -> list[Held]:
    """The newest ``limit`` rows with a smaller id than ``before``."""
    values = {"before": before, "reason": reason, "limit": limit, "bytes": SHOWN_BYTES}
    with storage_errors():
        rows = connection.execute(_SQL["list"], values).fetchall()
    return [
        Held(held_id, at, topic, Reason(why), detail, channel, reading_ts, size, bytes(payload))
        for held_id, at, topic, why, detail, channel, reading_ts, size, payload in rows
    ]
