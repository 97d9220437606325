"""What is told later (groups), again (reminders), or to somebody else (escalation). One process runs it: the leader."""

from dataclasses import dataclass
from datetime import datetime

from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("pacing")


@dataclass(frozen=True, slots=True)
class Paced:
    """How many groups went out; alerts and incidents were told again, and were told to the next of their chain."""

    groups: int
    reminders: int
    escalated: int


def pace(connection: Connection, now: datetime) -> Paced:
    """Make the messages that are due now; ``outbox.claim`` gives them out like all others."""
    with storage_errors(), connection.transaction():
        return Paced(
            _count(connection, "flush_groups", now),
            _count(connection, "remind", now) + _count(connection, "remind_incidents", now),
            _count(connection, "escalate", now) + _count(connection, "escalate_incidents", now),
        )


def _count(connection: Connection, statement: str, now: datetime) -> int:
    row = connection.execute(_SQL[statement], {"now": now}).fetchone()
    return int(row[0]) if row else 0
