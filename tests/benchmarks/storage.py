"""What storage upkeep costs: roll-ups, retention, disk.

100,000 sensors that report once a minute for an hour (6,000,000 readings, written as ingest does: minute by minute,
sorted by sensor), in a database of its own. `LIFELINE_BENCH_SENSORS` makes it smaller.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from lifeline.embedded import Database
from lifeline.storage import health, retention, rollups
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.migrations import migrate
from tests.benchmarks.report import Row, print_rows

SENSORS = int(os.environ.get("LIFELINE_BENCH_SENSORS", "100000"))
T0 = datetime.fromisoformat("2026-11-20T06:00:00+00:00")
QUARTER = timedelta(minutes=15)


def main() -> bool:
    """False when a limit was missed."""
    with tempfile.TemporaryDirectory(prefix="lifeline-bench-") as folder:
        Path(folder).chmod(0o711)
        with Database(Path(folder)) as database:
            migrate(database.dsn)
            with open_connection(database.dsn, application="benchmark", autocommit=True) as connection:
                return print_rows("Storage upkeep", measure(connection))


def measure(connection: Connection) -> list[Row]:
    """Every row of the table, in the order in which the data comes about."""
    _load(connection)
    rows = _rollup_rows(connection)
    rows += _size_rows(connection)
    rows += _history_rows(connection)
    rows += _retention_rows(connection)
    return rows


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _load(connection: Connection) -> None:
    connection.execute("INSERT INTO device (external_id, network) VALUES ('d', 'water')")
    connection.execute(
        "INSERT INTO sensor (device_id, channel, quantity)"
        " SELECT 1, 'flow.' || i, 'flow' FROM generate_series(1, %s) i",
        [SENSORS],
    )
    for minute in range(60):
        connection.execute(
            "INSERT INTO reading SELECT i, %s + make_interval(secs => i %% 60), random() * 100, 0"
            " FROM generate_series(1, %s) i",
            [T0 + timedelta(minutes=minute), SENSORS],
        )
    connection.execute("ANALYZE reading, sensor")


def _note(connection: Connection, bucket: datetime, sensor: int = 0) -> None:
    connection.execute("INSERT INTO rollup_note VALUES (%s, %s)", [bucket, sensor])


def _rollup_rows(connection: Connection) -> list[Row]:
    buckets = [T0 + i * QUARTER for i in range(4)]
    closed = T0 + timedelta(hours=2)
    full, bare, again = [], [], []
    for bucket in buckets:
        bare.append(_seconds(lambda bucket=bucket: _bare_aggregate(connection, bucket)))
        _note(connection, bucket)
        full.append(_seconds(lambda: rollups.run(connection, closed)))
    for bucket in buckets:
        _note(connection, bucket)
        again.append(_seconds(lambda: rollups.run(connection, closed)))
    _note(connection, buckets[0], sensor=1)
    late = _seconds(lambda: rollups.run(connection, closed))
    cost, aggregate = statistics.median(full), statistics.median(bare)
    limit = QUARTER.total_seconds() * 0.05
    return [
        Row(
            what=f"roll-up of 15 min of {SENSORS:,} sensors at 1/min, with hour and day",
            measured=cost,
            unit="s",
            compared_with="one bare GROUP BY of those readings, nothing written",
            ratio=cost / aggregate,
            limit=f"<= {limit:.0f} s (5 % of the quarter)",
            ok=cost <= limit,
        ),
        Row(what="the same a reading", measured=cost / (15 * SENSORS) * 1e6, unit="us"),
        Row(
            what="the same bucket again, nothing changed",
            measured=statistics.median(again),
            unit="s",
            compared_with="the first time",
            ratio=statistics.median(again) / cost,
            limit="<= 1 x",
            ok=statistics.median(again) <= cost,
        ),
        Row(what="one late reading of one sensor", measured=late * 1000, unit="ms", limit="<= 100 ms", ok=late <= 0.1),
    ]


def _bare_aggregate(connection: Connection, bucket: datetime) -> None:
    connection.execute(
        "SELECT count(*) FROM (SELECT sensor_id, count(*), min(value), max(value), avg(value), last(value, ts)"
        " FROM reading WHERE ts >= %s AND ts < %s GROUP BY sensor_id) figures",
        [bucket, bucket + QUARTER],
        prepare=False,
    )


def _size_rows(connection: Connection) -> list[Row]:
    usage = health.disk_usage(connection)
    readings = SENSORS * 60
    index = connection.execute(
        "SELECT sum(index_bytes)::bigint FROM hypertable_detailed_size('reading')",
    ).fetchone()
    counting = _seconds(lambda: health.books(connection))
    newest = _seconds(
        lambda: connection.execute("SELECT count(*) FROM reading WHERE ts >= %s", [T0 + timedelta(minutes=59)])
    )
    assert index is not None
    return [
        Row(what="disk of 1,000,000 readings, with indexes", measured=usage["reading"] / readings, unit="MB"),
        Row(what="of that, indexes", measured=index[0] / readings, unit="MB"),
        Row(
            what="indexes of a chunk of a day at this rate: should fit in memory",
            measured=index[0] / readings * SENSORS * 1440 / 1e9,
            unit="GB",
        ),
        Row(
            what="disk of 1,000,000 rows of reading_15m (10,417 sensor-days)",
            measured=usage["reading_15m"] / (SENSORS * 4),
            unit="MB",
        ),
        Row(what="books, every reading counted, a million", measured=counting / readings * 1e6, unit="s"),
        Row(what=f"the newest minute of {SENSORS:,} sensors by its time", measured=newest, unit="s"),
    ]


def _history_rows(connection: Connection) -> list[Row]:
    """Seven days of 300 sensors written at once, as the simulators do before they go live."""
    start = T0 - timedelta(days=20)
    connection.execute(
        "INSERT INTO reading SELECT s, %s + make_interval(mins => 5 * i), random(), 1"
        " FROM generate_series(0, 2015) i, generate_series(1, 300) s",
        [start],
    )
    connection.execute(
        "INSERT INTO rollup_note SELECT %s + make_interval(mins => 15 * i), s"
        " FROM generate_series(0, 671) i, generate_series(1, 300) s",
        [start],
    )
    took = _seconds(lambda: rollups.run(connection, T0))
    return [
        Row(
            what="roll-up of a history: 7 days of 300 sensors at 1/5 min (604,800 readings)",
            measured=took,
            unit="s",
            limit="<= 60 s",
            ok=took <= 60,
        )
    ]


def _retention_rows(connection: Connection) -> list[Row]:
    connection.execute(
        "INSERT INTO quarantine (received_at, topic, payload, reason, digest)"
        " SELECT %s, 'lifeline/v1/gas/d/readings', repeat('x', 100)::bytea, 'unparsable', decode(md5(i::text), 'hex')"
        " FROM generate_series(1, 100000) i",
        [T0],
    )
    later = T0 + timedelta(days=50)
    deleting = _seconds(lambda: retention.run(connection, later, retention_days=1000, quarantine_days=1))
    stored = connection.execute("SELECT count(*) FROM reading").fetchone()
    assert stored is not None
    dropping = _seconds(lambda: retention.run(connection, later, retention_days=1, quarantine_days=1000))
    return [
        Row(
            what="retention: 100,000 quarantined deleted",
            measured=deleting,
            unit="s",
            limit="<= 30 s",
            ok=deleting <= 30,
        ),
        Row(
            what=f"retention: {stored[0]:,} readings counted and dropped",
            measured=dropping,
            unit="s",
            limit="<= 30 s",
            ok=dropping <= 30,
        ),
    ]


if __name__ == "__main__":
    main()
