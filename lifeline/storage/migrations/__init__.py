"""Numbered migrations, applied once each under an advisory lock."""

import re
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg import sql

from lifeline.errors import MigrationError
from lifeline.storage.database import Connection, connect

_LOCK = 5_461_433_645  # any constant of our own: two `lifeline migrate` at once must not interleave
_FILE = re.compile(r"(\d{4})_\w+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    text: str


def shipped() -> list[Migration]:
    """Every migration of this version, in order."""
    files = [entry for entry in resources.files(__package__).iterdir() if _FILE.fullmatch(entry.name)]
    found = [Migration(int(f.name[:4]), f.name.removesuffix(".sql"), f.read_text(encoding="utf-8")) for f in files]
    return sorted(found, key=lambda migration: migration.number)


def applied(connection: Connection) -> set[int]:
    """Numbers of the migrations that the database has."""
    row = connection.execute("SELECT to_regclass('public.schema_migration')").fetchone()
    if row is None or row[0] is None:
        return set()
    return {number for (number,) in connection.execute("SELECT number FROM schema_migration")}


def pending(connection: Connection) -> list[Migration]:
    """Migrations that the database lacks. Raises MigrationError where it is newer than this program."""
    have = applied(connection)
    newer = have - {migration.number for migration in shipped()}
    if newer:
        raise MigrationError(
            f"the database has migrations {sorted(newer)} that this version of Lifeline does not know: upgrade Lifeline"
        )
    return [migration for migration in shipped() if migration.number not in have]


def edition(connection: Connection) -> str:
    """TimescaleDB's licence: ``apache`` or ``timescale``."""
    try:
        row = connection.execute("SHOW timescaledb.license").fetchone()
    except psycopg.errors.UndefinedObject as error:
        raise MigrationError(
            "the database has no TimescaleDB: install it and put it into shared_preload_libraries"
        ) from error
    return str(row[0]) if row else "apache"


def migrate(dsn: str, passwords: dict[str, str] | None = None, *, retention_days: int = 730) -> list[str]:
    """Bring the schema to this version; give the names of what was applied.

    ``passwords`` maps process roles (``lifeline_ingest`` ...) to passwords: these roles may then log in.
    ``retention_days`` goes into the native retention policy where the edition has one; elsewhere `alerts` does it.
    All or nothing: a migration that fails leaves the database as it was before the call.
    """
    with connect(dsn, application="lifeline migrate") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        available = connection.execute("SELECT FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
        if available is None:
            raise MigrationError("the database server has no TimescaleDB: install the extension `timescaledb`")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration ("
            "number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = [_apply(connection, migration) for migration in pending(connection)]
        if edition(connection) == "timescale":
            connection.execute("SELECT set_config('lifeline.retention_days', %s, true)", [str(retention_days)])
            connection.execute(resources.files(__package__).joinpath("community.sql").read_bytes())
        if done:
            connection.execute("SELECT share_rights()")
        for role, password in (passwords or {}).items():
            connection.execute(
                sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            )
    return done


def _apply(connection: Connection, migration: Migration) -> str:
    try:
        connection.execute(migration.text.encode())
    except psycopg.Error as error:
        raise MigrationError(f"{migration.name}: {error}") from error
    connection.execute(
        "INSERT INTO schema_migration (number, name) VALUES (%s, %s)", [migration.number, migration.name]
    )
    return migration.name
