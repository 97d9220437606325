"""How the system is: heartbeats, the books of ingest, open alerts, quarantine, disk."""

import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from lifeline.model import AlertKind, JsonObject, Level, Reason
from lifeline.storage.database import Connection
from lifeline.storage.migrations import edition as edition  # part of this module's face
from lifeline.storage.queries import load

_SQL = load("health")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of one process."""

    process: str
    instance: str
    at: datetime
    detail: JsonObject


@dataclass(frozen=True, slots=True)
class Accounts:
    """What ingest says that it did, in readings (a message that cannot be read counts as one)."""

    received: int
    stored: int
    duplicate: int
    quarantined: int

    @property
    def balanced(self) -> bool:
        """received = stored + duplicate + quarantined."""
        return self.received == self.stored + self.duplicate + self.quarantined


@dataclass(frozen=True, slots=True)
class Books:
    """The counters against the tables. ``*_removed`` is what retention took away and counted.

    The native retention policy of the community edition does not count what it drops, so there (``native_retention``)
    the reading table may hold fewer rows than the counters explain, never more.
    """

    accounts: Accounts
    reading_rows: int
    quarantine_rows: int
    readings_removed: int
    quarantine_removed: int
    native_retention: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each disagreement; empty when the books are right."""
        found = []
        told = self.accounts
        if not told.balanced:
            found.append(
                f"received {told.received} is not stored {told.stored} + duplicate {told.duplicate}"
                f" + quarantined {told.quarantined}"
            )
        expected = told.stored - self.readings_removed
        if self.reading_rows > expected or (self.reading_rows < expected and not self.native_retention):
            found.append(_disagreement("reading", self.reading_rows, told.stored, self.readings_removed))
        if self.quarantine_rows != told.quarantined - self.quarantine_removed:
            found.append(_disagreement("quarantine", self.quarantine_rows, told.quarantined, self.quarantine_removed))
        return tuple(found)

    @property
    def right(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class AlertCount:
    """Open alerts of one kind and level."""

    kind: AlertKind
    level: Level
    open: int
    unacknowledged: int


def beat(connection: Connection, process: str, instance: str, now: datetime, detail: JsonObject) -> None:
    """Write the process's sign of life. ``instance`` tells two of the same process apart; ``detail`` is JSON."""
    connection.execute(_SQL["beat"], {"process": process, "instance": instance, "at": now, "detail": Jsonb(detail)})


def leave(connection: Connection, process: str, instance: str, dead_before: datetime) -> None:
    """Take the process's sign of life away: it has ended and is not dead. Those of its kind that were silent before
    ``dead_before`` go too: this one had taken their place."""
    values = {"process": process, "instance": instance, "dead_before": dead_before}
    connection.execute(_SQL["leave"], values)


def heartbeats(connection: Connection) -> list[Heartbeat]:
    """Every process that ever wrote one, by name; the reader judges by ``at`` which are alive."""
    return [Heartbeat(*row) for row in connection.execute(_SQL["heartbeats"])]


def evaluation(connection: Connection) -> tuple[datetime | None, float | None]:
    """When detection last looked at the readings, None where none runs or has ever looked; and every how many seconds
    it looks, None also where it did not say."""
    row = connection.execute(_SQL["evaluation"]).fetchone()
    return (row[0], row[1]) if row else (None, None)


def accounts(connection: Connection) -> Accounts:
    """The counters alone: cheap at any size."""
    return Accounts(*_row(connection, "accounts"))


def books(connection: Connection) -> Books:
    """Counters and tables in one snapshot. Counts every reading: about 0.03 s a million."""
    *counters, readings, quarantined, dropped, deleted = _row(connection, "books")
    native = edition(connection) == "timescale"
    return Books(Accounts(*counters), readings, quarantined, dropped, deleted, native)


def database_clock(connection: Connection) -> datetime:
    """The database's clock now, UTC: compare with the machine's own."""
    clock: datetime = _row(connection, "database_clock")[0]
    return clock


def alert_counts(connection: Connection) -> list[AlertCount]:
    """Open alerts by kind and level, worst first within a kind; levels without any are not listed."""
    rows = connection.execute(_SQL["alert_counts"])
    return [AlertCount(AlertKind(kind), Level(level), total, new) for kind, level, total, new in rows]


def quarantine_by_reason(connection: Connection, since: datetime | None = None) -> dict[Reason, int]:
    """How many are in quarantine for each reason, received at ``since`` or later (None: all that is kept)."""
    rows = connection.execute(_SQL["quarantine_by_reason"], {"since": since})
    return {Reason(reason): count for reason, count in rows}


def room(connection: Connection) -> tuple[int | None, int]:
    """Bytes free where the database keeps its tables (None: on another machine, or not to be known), and the bytes that
    its log may take besides."""
    folder, log = _row(connection, "room")
    here = connection.info.host.startswith("/") or connection.info.host in LOOPBACK
    try:
        return (shutil.disk_usage(folder).free if here and folder else None), int(log)
    except OSError:  # a container's port on this machine, or a folder that only its owner may enter
        return None, int(log)


def disk_usage(connection: Connection) -> dict[str, int]:
    """Bytes of each table with its indexes, largest first."""
    return {str(table): int(size) for table, size in connection.execute(_SQL["disk_usage"])}


def _row(connection: Connection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(_SQL[statement]).fetchone()
    if row is None:  # an aggregate without GROUP BY always gives one row
        raise AssertionError(statement)
    return tuple(row)


def _disagreement(table: str, rows: int, counted: int, removed: int) -> str:
    return (
        f"{table} holds {rows} rows; counted in were {counted}, retention removed {removed},"
        f" so {counted - removed} should be there ({rows - counted + removed:+d})"
    )
