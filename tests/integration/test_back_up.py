"""The commands of docs/how-to/back-up-and-restore.md, run as they stand there, against the real database."""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from lifeline.embedded.programs import postgres_programs
from lifeline.storage import health, rollups
from lifeline.storage.migrations import migrate

GUIDE = Path(__file__).parents[2] / "docs/how-to/back-up-and-restore.md"
T0 = datetime.fromisoformat("2026-11-01T00:00:00+00:00")


@pytest.fixture
def databases(database_dsn: str) -> Iterator[tuple[str, str]]:
    """DSNs of two empty databases: one to save and one to restore into."""
    names = [f"backup_{secrets.token_hex(4)}" for _ in range(2)]
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        for name in names:
            owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_conninfo(database_dsn, dbname=names[0]), make_conninfo(database_dsn, dbname=names[1])
        for name in names:
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def commands(heading: str) -> str:
    """The shell block under a heading of the guide."""
    found = re.search(
        rf"^## {heading}$.*?^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, heading
    return found[1]


def shell(script: str, folder: Path, **environment: str) -> str:
    path = f"{postgres_programs().bin}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fill(dsn: str) -> None:
    """Six days of readings of two sensors, rolled up, and an alert: several chunks in each table."""
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO device (external_id, network) VALUES ('d', 'gas')")
        connection.execute(
            "INSERT INTO sensor (device_id, channel, quantity)"
            " SELECT 1, 'methane.' || i, 'methane' FROM generate_series(1, 2) i"
        )
        connection.execute(
            "INSERT INTO reading SELECT s, %s + make_interval(mins => i), i, 0"
            " FROM generate_series(1, 2) s, generate_series(0, 6 * 1440 - 1) i",
            [T0],
        )
        connection.execute(
            "INSERT INTO rollup_note SELECT %s + make_interval(mins => 15 * i), 0 FROM generate_series(0, 575) i", [T0]
        )
        connection.execute("INSERT INTO ingest_account VALUES ('c', 0, 17280, 17280, 0, 0, now())")
        connection.commit()
        rollups.run(connection, T0 + timedelta(days=6), grace_s=0)


def figures(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        assert health.books(connection).right
        return connection.execute(
            "SELECT 'reading', count(*), sum(value), max(ts) FROM reading UNION ALL "
            "SELECT '15m', count(*), sum(n), max(bucket) FROM reading_15m UNION ALL "
            "SELECT '1d', count(*), sum(n), max(bucket) FROM reading_1d UNION ALL "
            "SELECT 'chunks', count(*), 0, max(range_end) FROM timescaledb_information.chunks"
        ).fetchall()


def test_a_back_up_restores_into_an_empty_database_with_right_books_and_works_on(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    fill(source)
    shell(commands("Back up"), tmp_path, LIFELINE_DATABASE_URL=source)
    shell(commands("Restore"), tmp_path, LIFELINE_DATABASE_URL=target)
    assert figures(target) == figures(source)
    assert migrate(target) == []
    with psycopg.connect(target) as connection:
        connection.execute("SET ROLE lifeline_ingest")
        connection.execute("INSERT INTO reading VALUES (1, %s, 1, 0)", [T0 + timedelta(days=40)])  # a new chunk
        connection.execute("INSERT INTO rollup_note VALUES (%s, 0)", [T0 + timedelta(days=40)])
        connection.execute("SET ROLE lifeline_alerts")
        connection.commit()
        assert rollups.run(connection, T0 + timedelta(days=41)).rows_1d == 1
        dropped = connection.execute("SELECT drop_old_readings(%s)", [T0 + timedelta(days=2)]).fetchone()
        assert dropped == (2 * 2 * 1440,)
