"""The sandbox of a drill: a database of its own on the same server, with what the city has and nothing that happened.

Isolation is by construction: what a drill's processes are given is the address of this database and of no other, so no
statement anywhere has to leave an exercise out.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from lifeline.drills.review import Deliveries, Handled, StepTaken
from lifeline.errors import ConfigurationError, NotFoundError, StorageError
from lifeline.model import Level
from lifeline.response import Step
from lifeline.storage.database import Connection, connect, storage_errors
from lifeline.storage.migrations import migrate
from lifeline.storage.queries import load
from lifeline.storage.roles import ROLES, dsn_as

COPIED = (
    "asset", "asset_cell", "asset_risk", "asset_break", "asset_criticality", "deterioration", "device", "sensor",
    "zone", "zone_asset", "zone_sensor", "zone_flow", "network_model", "baseline", "baseline_sensor", "rule_override",
    "facility", "asset_facility", "api_key", "app_user",
)  # fmt: skip
"""Tables that a sandbox gets, in the order in which they refer to each other: what the city has, what is normal in it,
and who may come in. No reading, alert, label, message, endpoint or escalation; a table that is not named stays out, and
one that this version has not is passed over."""
INVENTORY = frozenset(COPIED) - {"api_key", "app_user"}
"""What stays out where the twin is a town of its own."""
WITHHELD = {"app_user": frozenset({"password_hash"})}
"""Columns that no sandbox gets: one comes in by a key or a link. A password hash in a copy can be tried at leisure."""
_RUN = ("ingest", "alerts", "api")
_LONGEST_NAME = 40

_SQL = load("sandbox")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox's database: its name, the owner's address of it, and the address of each process of the drill."""

    name: str
    dsn: str
    logins: dict[str, str]


def create(dsn: str, drill_id: int) -> Sandbox:
    """An empty, migrated sandbox with a log-in of its own for each process; one that is there already goes first.

    Raises ConfigurationError where the owner may not make databases or roles.
    """
    name = name_of(dsn, drill_id)
    drop(dsn, name)
    passwords = {process: secrets.token_urlsafe(24) for process in _RUN}
    try:
        with storage_errors(), connect(dsn, application="lifeline drill", autocommit=True) as connection:
            _make(connection, name, passwords)
    except StorageError as error:
        if isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
            raise ConfigurationError(
                f"the owner of the database may not make another one for the drill ({error}): "
                "`ALTER ROLE ... CREATEDB CREATEROLE` lets it"
            ) from error
        raise
    own = make_conninfo(dsn, dbname=name)
    try:
        migrate(own)
    except BaseException:
        drop(dsn, name)
        raise
    return Sandbox(name, own, {process: dsn_as(own, _login(name, process), passwords[process]) for process in _RUN})


def _make(connection: Connection, name: str, passwords: dict[str, str]) -> None:
    database = sql.Identifier(name)
    connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
    # Nobody else's: the real processes cannot come here by mistake.
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for process, password in passwords.items():
        role = sql.Identifier(_login(name, process))
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                role, sql.Literal(password), sql.Identifier(ROLES[process])
            )
        )
        connection.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(database, role))


def name_of(dsn: str, drill_id: int) -> str:
    """Name of a drill's database: the real one's and the drill's number. Raises ConfigurationError for a long one."""
    with connect(dsn, application="lifeline drill") as connection:
        row = connection.execute(_SQL["database_name"]).fetchone()
    own = str(row[0]) if row else ""
    if len(own) > _LONGEST_NAME:
        raise ConfigurationError(f"the database's name {own!r} is longer than {_LONGEST_NAME}: a drill adds to it")
    return f"{own}_exercise_{drill_id}"


def _login(name: str, process: str) -> str:
    return f"{name}_{process}"


def drop(dsn: str, name: str) -> None:
    """The database and its log-ins go, whoever is connected. Nothing happens where there is none."""
    with storage_errors(), connect(dsn, application="lifeline drill", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        for process in _RUN:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(_login(name, process))))


def retire(dsn: str, name: str) -> None:
    """The log-ins go and the database stays, for its owner to look at: without keys, users, and endpoints' secrets."""
    with storage_errors(), connect(dsn, application="lifeline drill", autocommit=True) as connection:
        for process in _RUN:
            role, database = sql.Identifier(_login(name, process)), sql.Identifier(name)
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database, role))
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
    with storage_errors(), connect(make_conninfo(dsn, dbname=name), application="lifeline drill") as connection:
        for statement in ("forget_keys", "forget_users", "forget_old_secrets", "forget_endpoints"):
            connection.execute(_SQL[statement])


def copy_city(dsn: str, into: str, *, inventory: bool = True) -> dict[str, int]:
    """Copy what the city has into a sandbox; rows by table. ``inventory`` False: who may come in alone."""
    wanted = [table for table in COPIED if inventory or table not in INVENTORY]
    with (
        storage_errors(),
        connect(dsn, application="lifeline drill") as source,
        connect(into, application="lifeline drill") as sandbox,
    ):
        # One moment of the city: what is written meanwhile is in all of it or in none.
        source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        source.read_only = True
        copied = {table: _copy(source, sandbox, table) for table in wanted}
        for table, column, sequence in sandbox.execute(_SQL["counters"], {"tables": wanted}).fetchall():
            _count_on(sandbox, table, column, sequence)
    return copied


def take_endpoints(dsn: str, into: str, names: Sequence[str]) -> None:
    """Let these endpoints of the real system hear of the drill, and no other one. Raises NotFoundError."""
    if not names:
        return
    with storage_errors(), connect(dsn) as source, connect(into) as sandbox:
        chosen = sql.SQL(" WHERE name = ANY ({})").format(sql.Literal(list(names)))
        found = _copy(source, sandbox, "endpoint", chosen)
        for table, column, sequence in sandbox.execute(_SQL["counters"], {"tables": ["endpoint"]}).fetchall():
            _count_on(sandbox, table, column, sequence)
        if found < len(set(names)):
            raise NotFoundError(f"not all of these are endpoints of the real system: {', '.join(sorted(set(names)))}")


def _copy(source: Connection, into: Connection, table: str, where: sql.Composable | None = None) -> int:
    every = [row[0] for row in source.execute(_SQL["copied_columns"], {"table": table})]
    columns = [name for name in every if name not in WITHHELD.get(table, ())]
    if not columns:
        return 0
    named = sql.SQL(", ").join(map(sql.Identifier, columns))
    reading = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT (FORMAT binary)").format(
        named, sql.Identifier(table), where or sql.SQL("")
    )
    writing = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(table), named)
    written = into.cursor()
    with source.cursor().copy(reading) as rows, written.copy(writing) as sink:
        for part in rows:
            sink.write(part)
    return written.rowcount


def _count_on(connection: Connection, table: str, column: str, sequence: str) -> None:
    """New rows are numbered after the copied ones."""
    connection.execute(
        sql.SQL("SELECT setval({}, coalesce(max({}), 0) + 1, false) FROM {}").format(
            sql.Literal(sequence), sql.Identifier(column), sql.Identifier(table)
        )
    )


def knows(dsn: str, devices: Sequence[str]) -> bool:
    """Whether the city has every one of these devices: then its own inventory is the twin's."""
    with storage_errors(), connect(dsn) as connection:
        row = connection.execute(_SQL["known_devices"], {"devices": list(devices)}).fetchone()
    return bool(devices) and row is not None and row[0] == len(set(devices))


def silence_others(connection: Connection, devices: Sequence[str], now: datetime) -> int:
    """Put devices that the twin does not play out of service; give how many."""
    with storage_errors(), connection.transaction():
        return connection.execute(_SQL["unheard"], {"devices": list(devices), "now": now}).rowcount


def heard(connection: Connection) -> bool:
    """Whether readings arrive in the sandbox."""
    with storage_errors():
        row = connection.execute(_SQL["heard"]).fetchone()
    return bool(row and row[0])


def handled(connection: Connection) -> list[Handled]:
    """What people had to respond to, oldest first."""
    with storage_errors():
        rows = connection.execute(_SQL["handled"]).fetchall()
    return [
        Handled(alert, incident, network, Level(level), raised_at, acknowledged_at, place, title or {})
        for alert, incident, network, level, raised_at, acknowledged_at, place, title in rows
    ]


def steps(connection: Connection) -> list[StepTaken]:
    """Every step that people took, oldest first."""
    with storage_errors():
        rows = connection.execute(_SQL["responses"]).fetchall()
    return [StepTaken(alert, at, actor, Step(step), team) for alert, at, actor, step, team in rows]


def deliveries(connection: Connection) -> list[Deliveries]:
    """What was sent to whom."""
    with storage_errors():
        rows = connection.execute(_SQL["deliveries"]).fetchall()
    return [
        Deliveries(name, messages, delivered, failed, None if slowest is None else float(slowest))
        for name, messages, delivered, failed, slowest in rows
    ]


def readings(connection: Connection) -> int:
    """Readings in the sandbox."""
    with storage_errors():
        row = connection.execute(_SQL["readings"]).fetchone()
    return int(row[0]) if row else 0
