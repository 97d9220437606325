"""Roll-ups of readings: 15 minutes, 1 hour, 1 day (UTC). Exact, also for late and repeated data.

A batch of ingest notes the 15-minute buckets that it touched, in its own transaction. This job takes the notes of the
buckets that have closed and computes just those anew: quarters from the readings, hours from quarters, days from hours.
Hours and days that are still open hold what has closed of them.

What a roll-up holds: count, minimum, maximum, mean and last value of the readings that are *plausible*. A reading with
the quality flag IMPLAUSIBLE is evidence of a sick sensor: it stays in ``reading`` with its mark and enters no figure of
a roll-up, not even the count. A bucket without a plausible reading has no row: no data is unknown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.pq import TransactionStatus

from lifeline.errors import StorageError
from lifeline.model import Quality
from lifeline.storage.database import Connection
from lifeline.storage.queries import load

BUCKET = timedelta(minutes=15)

_SQL = load("rollups")
_LOCK = 5_461_433_646
_EVERY_SENSOR = 0


@dataclass(slots=True)
class RollupReport:
    """What one run did. ``rows_*`` count roll-up rows that were written because they changed."""

    hours: int = 0
    buckets: int = 0
    rows_15m: int = 0
    rows_1h: int = 0
    rows_1d: int = 0
    busy: bool = False
    """Another process holds the lock and does the work."""


def run(
    connection: Connection, now: datetime, grace_s: float = 60, *, go_on: Callable[[], bool] = lambda: True
) -> RollupReport:
    """Compute every noted bucket whose end is ``grace_s`` seconds past, oldest hour first.

    One hour of one fleet is one transaction: a process killed in between loses nothing, since its notes come back.
    ``go_on`` is asked before each hour, so that a process that shuts down need not finish a long backlog. Two processes
    may run it; one works. The connection must not be inside a transaction (StorageError).
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise StorageError("roll-ups commit hour by hour: the connection must not be inside a transaction")
    newest = now - BUCKET - timedelta(seconds=grace_s)
    report = RollupReport()
    while go_on() and _one_hour(connection, newest, report):
        pass
    return report


def _one_hour(connection: Connection, newest: datetime, report: RollupReport) -> bool:
    """Work off the oldest hour with a closed bucket; False where there is none, or another process is at it."""
    with connection.transaction():
        if not _value(connection, "lock", {"lock": _LOCK}):
            report.busy = True
            return False
        hour = _value(connection, "oldest_hour", {"newest": newest})
        if hour is None:
            return False
        notes = connection.execute(_SQL["take"], {"hour": hour, "newest": newest}).fetchall()
        changed: set[int] = set()
        for bucket, sensors in notes:
            written = _quarter(connection, bucket, None if _EVERY_SENSOR in sensors else sensors)
            report.rows_15m += len(written)
            changed.update(written)
        if changed:
            day = hour.astimezone(UTC).replace(hour=0)
            report.rows_1h += _from_finer(connection, "compute_1h", hour, changed)
            report.rows_1d += _from_finer(connection, "compute_1d", day, changed)
    report.hours += 1
    report.buckets += len(notes)
    return True


def _quarter(connection: Connection, start: datetime, sensors: list[int] | None) -> list[int]:
    """Compute one bucket; the sensors whose figures changed."""
    parameters = {"start": start, "sensors": sensors, "implausible": int(Quality.IMPLAUSIBLE)}
    written: list[int] = _value(connection, "compute_15m", parameters)
    return written


def _from_finer(connection: Connection, statement: str, start: datetime, sensors: set[int]) -> int:
    parameters = {"start": start, "sensors": sorted(sensors)}
    return connection.execute(_SQL[statement], parameters, prepare=False).rowcount


def _value(connection: Connection, statement: str, parameters: Mapping[str, object]) -> Any:
    # Never as a prepared statement: its general plan would look into every chunk there is.
    row = connection.execute(_SQL[statement], parameters, prepare=False).fetchone()
    return row[0] if row else None
