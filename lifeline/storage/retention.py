"""Retention: raw readings, quarantine and wrong log-ins grow old; alerts, deliveries and roll-ups are kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.errors import LockNotAvailable
from psycopg.pq import TransactionStatus

from lifeline.errors import StorageError
from lifeline.storage.database import Connection
from lifeline.storage.migrations import edition
from lifeline.storage.queries import load

_SQL = load("retention")
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What one run removed."""

    readings: int
    quarantined: int
    native: bool
    """The edition drops old readings by its own policy (set by `lifeline migrate`), so this run left them alone."""
    postponed: bool = False
    """A chunk was in use; the next run tries again."""


def run(connection: Connection, now: datetime, retention_days: float, quarantine_days: float) -> RetentionReport:
    """Drop readings and delete quarantine older than so many days; count both in ``retention_account``.

    Readings go by whole chunks of a day, so that they are kept for ``retention_days`` at least, and never before they
    are rolled up. Quarantine goes in batches of 10,000, a transaction each: killed in between, nothing is lost or
    counted twice. Wrong log-ins go once they count no more. The connection must not be inside a transaction
    (StorageError).
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise StorageError("retention commits batch by batch: the connection must not be inside a transaction")
    with connection.transaction():
        connection.execute(_SQL["delete_old_logins"], {"now": now})
        native = edition(connection) == "timescale"
    postponed = False
    readings = 0
    if not native:
        try:
            readings = _removed(connection, "drop_old_readings", now - timedelta(days=retention_days))
        except LockNotAvailable:
            postponed = True
    return RetentionReport(
        readings=readings,
        quarantined=_delete_quarantine(connection, now - timedelta(days=quarantine_days)),
        native=native,
        postponed=postponed,
    )


def _delete_quarantine(connection: Connection, before: datetime) -> int:
    total = 0
    while batch := _removed(connection, "delete_old_quarantine", before):
        total += batch
    return total


def _removed(connection: Connection, statement: str, before: datetime) -> int:
    with connection.transaction():
        row = connection.execute(_SQL[statement], {"before": before, "batch": _BATCH}).fetchone()
    return int(row[0]) if row else 0
