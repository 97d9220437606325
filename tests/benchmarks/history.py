"""A past of the real-sized town (50 districts, some 5,200 sensors at 5 minutes), written as its users would.

``python -m tests.benchmarks history`` writes 5 days in a database of its own, which goes away afterwards; ``--long`` as
many as make 525,600,000 readings, a year of 5,000 sensors (60 GB of disk). `LIFELINE_BENCH_DAYS` says how many.
"""

import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from lifeline.catalogue import shipped_catalogue
from lifeline.cli.inventory import import_files
from lifeline.embedded import Database
from lifeline.settings import Settings
from lifeline.storage import health, rollups
from lifeline.storage.database import connect, open_connection
from lifeline.storage.migrations import migrate
from simulators.commands import quiet_engines
from simulators.districts import SIZES, write_districts
from simulators.historian import YEAR_OF_5000, memory_mb, write_history
from simulators.history import DAY_STEPS
from tests.benchmarks.report import Row, print_rows

SEED = 1
NOW = datetime(2026, 11, 22, tzinfo=UTC)
MEMORY_MB = 2_000.0
ROLLED_DAYS = 1


def main() -> bool:
    """False when a limit was missed."""
    quiet_engines()
    with tempfile.TemporaryDirectory(prefix="lifeline-history-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        with Database(home) as database:
            migrate(database.dsn)
            with connect(database.dsn) as connection:
                import_files(
                    connection, list(write_districts(SEED, SIZES["real"], home / "town")), shipped_catalogue(), NOW
                )
                (sensors,) = connection.execute("SELECT count(*) FROM sensor").fetchone() or (0,)
            return print_rows("History of the real-sized town", measure(database.dsn, sensors))


def wanted_days(sensors: int) -> int:
    """Days to write; with ``--long`` as many as have the readings of a year of 5,000 sensors."""
    of_a_year = -(-YEAR_OF_5000 // (sensors * DAY_STEPS))
    return of_a_year if "--long" in sys.argv else int(os.environ.get("LIFELINE_BENCH_DAYS", "5"))


def measure(dsn: str, sensors: int) -> list[Row]:
    """Every row of the table."""
    days, wall, cpu = wanted_days(sensors), time.monotonic(), time.process_time()
    for line in write_history(Settings(database_url=SecretStr(dsn)), SEED, SIZES["real"], days, NOW):
        print(line, flush=True)
    wall, cpu, memory = time.monotonic() - wall, time.process_time() - cpu, memory_mb()
    expected = sensors * DAY_STEPS * days
    with connect(dsn) as connection:
        books, size = health.books(connection), health.disk_usage(connection)["reading"]
    told = books.accounts
    whole = books.reading_rows == told.stored == told.received == expected
    return [
        Row("readings in table and books", books.reading_rows, "", f"{expected:,} due", None, "the same", whole),
        Row("written, engines included", expected / wall, "readings/s"),
        Row("CPU of the writer", 1e6 * cpu / expected, "us/reading"),
        Row("most memory of the writer", memory, "MB", "", None, f"< {MEMORY_MB:.0f}", memory < MEMORY_MB),
        Row("on disk", size / expected, "bytes/reading", "", None, "<= 100", size <= 100 * expected),
        *rolled(dsn, sensors, NOW - timedelta(days=days)),
    ]  # fmt: skip


def rolled(dsn: str, sensors: int, first: datetime) -> list[Row]:
    """The roll-up job afterwards: the first day, with the notes of all the others waiting."""
    until, began = first + timedelta(days=ROLLED_DAYS), time.monotonic()
    with open_connection(dsn) as connection:
        report = rollups.run(connection, until + rollups.BUCKET)
    took = time.monotonic() - began
    due = sensors * 96 * ROLLED_DAYS
    return [
        Row("roll-ups of a day", took, "s"),
        Row("quarters rolled up", report.rows_15m, "", f"{due:,} due", None, "the same", report.rows_15m == due),
    ]  # fmt: skip
