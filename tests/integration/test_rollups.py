"""Roll-ups on the real database: whatever the order of arrival, they equal what `reading` says."""

import math
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeline.errors import StorageError
from lifeline.model import Quality
from lifeline.storage import rollups
from lifeline.storage.database import Connection, open_connection

pytestmark = pytest.mark.usefixtures("clean_database")

T0 = datetime.fromisoformat("2026-11-20T22:00:00+00:00")
QUARTER = timedelta(minutes=15)
LEVELS = {"reading_15m": 900, "reading_1h": 3600, "reading_1d": 86400}
Reading = tuple[int, datetime, float, int]
Figures = tuple[int, float, float, float, float]


@pytest.fixture
def sensors(connection: Connection, clean_database: str) -> list[int]:
    connection.execute("INSERT INTO device (external_id, network) VALUES ('d', 'water')")
    rows = connection.execute(
        "INSERT INTO sensor (device_id, channel, quantity) "
        "SELECT 1, 'flow.' || i, 'flow' FROM generate_series(1, 3) i RETURNING sensor_id"
    ).fetchall()
    connection.commit()
    return [number for (number,) in rows]


@pytest.fixture
def other(database_dsn: str) -> Iterator[Connection]:
    with open_connection(database_dsn) as connection:
        yield connection


def store(connection: Connection, readings: list[Reading], *, late: bool = False, commit: bool = True) -> None:
    """As ingest does: readings and notes in one transaction, a repeated reading ignored."""
    connection.cursor().executemany(
        "INSERT INTO reading (sensor_id, ts, value, quality) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING", readings
    )
    notes = {(T0 + (ts - T0) // QUARTER * QUARTER, sensor if late else 0) for sensor, ts, _, _ in readings}
    connection.cursor().executemany("INSERT INTO rollup_note (bucket, sensor_id) VALUES (%s, %s)", list(notes))
    if commit:
        connection.commit()


def stored_rollups(connection: Connection, table: str) -> dict[tuple[int, datetime], Figures]:
    rows = connection.execute(
        psycopg.sql.SQL("SELECT sensor_id, bucket, n, minimum, maximum, mean, last FROM {}").format(
            psycopg.sql.Identifier(table)
        )
    )
    return {(sensor, bucket): tuple(figures) for sensor, bucket, *figures in rows}  # type: ignore[misc]


def direct(connection: Connection, seconds: int) -> dict[tuple[int, datetime], Figures]:
    """The same figures straight from every plausible reading, in Python."""
    groups: dict[tuple[int, datetime], list[tuple[datetime, float]]] = defaultdict(list)
    rows = connection.execute("SELECT sensor_id, ts, value, quality FROM reading ORDER BY sensor_id, ts")
    for sensor, ts, value, quality in rows:
        if not quality & Quality.IMPLAUSIBLE:
            start = datetime.fromtimestamp(ts.timestamp() // seconds * seconds, tz=T0.tzinfo)
            groups[sensor, start].append((ts, value))
    return {
        key: (len(group), min(v), max(v), math.fsum(v) / len(v), v[-1])
        for key, group in groups.items()
        for v in [[value for _, value in group]]
    }


def assert_exact(connection: Connection) -> None:
    connection.rollback()
    for table, seconds in LEVELS.items():
        have, expected = stored_rollups(connection, table), direct(connection, seconds)
        assert have.keys() == expected.keys(), table
        for key, (n, low, high, mean, last) in expected.items():
            assert have[key][:3] == (n, low, high), (table, key)
            assert have[key][4] == last, (table, key)
            assert math.isclose(have[key][3], mean, rel_tol=1e-9, abs_tol=1e-6), (table, key)
    connection.rollback()


def run_all(connection: Connection) -> rollups.RollupReport:
    connection.rollback()
    return rollups.run(connection, T0 + timedelta(days=30))


def at(minute: float) -> datetime:
    return T0 + timedelta(minutes=minute)


one_reading = st.tuples(
    st.integers(0, 2),  # which sensor
    st.integers(0, 60 * 5),  # minute: five hours across midnight
    st.floats(-1e6, 1e6),
    st.sampled_from([0, 0, 0, Quality.BACKLOG, Quality.IMPLAUSIBLE, Quality.BACKLOG | Quality.IMPLAUSIBLE]),
)
one_step = st.one_of(
    st.tuples(st.just("live"), st.lists(one_reading, min_size=1, max_size=12)),
    st.tuples(st.just("late"), st.lists(one_reading, min_size=1, max_size=4)),
    st.tuples(st.just("run"), st.integers(0, 60 * 7)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(one_step, max_size=12))
def test_after_any_order_of_arrival_duplicates_and_late_data_the_roll_ups_equal_a_direct_computation(
    connection: Connection, sensors: list[int], steps: list[tuple[str, list[tuple[int, int, float, int]] | int]]
) -> None:
    connection.execute("TRUNCATE reading, reading_15m, reading_1h, reading_1d, rollup_note")
    connection.commit()
    for kind, content in steps:
        if isinstance(content, int):
            rollups.run(connection, at(content))
        else:
            readings = [(sensors[i], at(minute), value, int(flags)) for i, minute, value, flags in content]
            store(connection, readings, late=kind == "late")
    run_all(connection)
    assert_exact(connection)
    assert run_all(connection) == rollups.RollupReport()


def test_a_bucket_is_computed_when_its_end_is_the_grace_past_and_not_before(
    connection: Connection, sensors: list[int]
) -> None:
    store(connection, [(sensors[0], at(3), 1.0, 0)])
    end = at(15)
    assert rollups.run(connection, end + timedelta(seconds=59), grace_s=60).buckets == 0
    assert rollups.run(connection, end + timedelta(seconds=60), grace_s=60).buckets == 1


def test_hours_and_days_that_are_open_hold_what_has_closed_of_them(connection: Connection, sensors: list[int]) -> None:
    store(connection, [(sensors[0], at(minute), float(minute), 0) for minute in (1, 16, 31)])
    rollups.run(connection, at(32))
    assert stored_rollups(connection, "reading_1h") == {(sensors[0], T0): (2, 1.0, 16.0, 8.5, 16.0)}
    assert stored_rollups(connection, "reading_1d") == {(sensors[0], T0.replace(hour=0)): (2, 1.0, 16.0, 8.5, 16.0)}


def test_an_implausible_reading_enters_no_figure_and_a_bucket_of_nothing_else_has_no_row(
    connection: Connection, sensors: list[int]
) -> None:
    bad = int(Quality.IMPLAUSIBLE)
    store(connection, [(sensors[0], at(1), 5.0, 0), (sensors[0], at(2), 900.0, bad), (sensors[1], at(2), 900.0, bad)])
    run_all(connection)
    assert stored_rollups(connection, "reading_15m") == {(sensors[0], T0): (1, 5.0, 5.0, 5.0, 5.0)}


def test_a_late_reading_touches_only_its_own_sensor(connection: Connection, sensors: list[int]) -> None:
    store(connection, [(sensor, at(1), 1.0, 0) for sensor in sensors])
    run_all(connection)
    store(connection, [(sensors[1], at(2), 3.0, int(Quality.BACKLOG))], late=True)
    assert run_all(connection) == rollups.RollupReport(hours=1, buckets=1, rows_15m=1, rows_1h=1, rows_1d=1)
    assert_exact(connection)


def test_a_bucket_noted_many_times_is_computed_once_and_writes_nothing_where_nothing_changed(
    connection: Connection, sensors: list[int]
) -> None:
    for _ in range(50):
        store(connection, [(sensors[0], at(1), 1.0, 0)])
    assert run_all(connection).rows_15m == 1
    store(connection, [(sensors[0], at(1), 1.0, 0)])
    report = run_all(connection)
    assert (report.buckets, report.rows_15m, report.rows_1d) == (1, 0, 0)


def test_a_roll_up_outlives_its_readings_even_when_more_of_them_come_late(
    connection: Connection, sensors: list[int]
) -> None:
    store(connection, [(sensors[0], at(minute), float(minute), 0) for minute in range(10)])
    run_all(connection)
    connection.execute("SELECT drop_chunks('reading', older_than => %s)", [T0 + timedelta(days=10)])
    connection.commit()
    store(connection, [(sensors[0], at(11), 99.0, 0)], late=True)
    run_all(connection)
    assert stored_rollups(connection, "reading_15m")[sensors[0], T0] == (10, 0.0, 9.0, 4.5, 9.0)


def test_the_days_are_those_of_utc_whatever_the_connection_says(connection: Connection, sensors: list[int]) -> None:
    connection.execute("SET TimeZone = 'Asia/Shanghai'")
    store(connection, [(sensors[0], at(minute), 1.0, 0) for minute in (1, 119, 121)])
    run_all(connection)
    connection.execute("SET TimeZone = 'UTC'")
    connection.commit()
    assert_exact(connection)


def test_readings_of_a_writer_that_has_not_committed_are_taken_by_a_later_run(
    connection: Connection, other: Connection, sensors: list[int]
) -> None:
    store(connection, [(sensors[0], at(1), 1.0, 0)])
    store(other, [(sensors[0], at(2), 2.0, 0)], commit=False)
    assert run_all(connection).rows_15m == 1
    other.commit()
    assert run_all(connection).rows_15m == 1
    assert_exact(connection)


def test_a_writer_that_commits_after_the_notes_were_taken_is_not_lost(
    connection: Connection, other: Connection, database_dsn: str, sensors: list[int]
) -> None:
    store(connection, [(sensors[0], at(1), 1.0, 0)])
    store(other, [(sensors[0], at(2), 2.0, 0)], commit=False)
    with open_connection(database_dsn) as blocker, ThreadPoolExecutor(1) as pool:
        blocker.execute("LOCK TABLE sensor IN ACCESS EXCLUSIVE MODE")  # holds the job between its delete and its count
        run = pool.submit(rollups.run, connection, T0 + timedelta(days=1))
        wait_until_blocked(blocker)
        other.commit()
        blocker.rollback()
        run.result(timeout=120)
    assert_exact(connection)


def test_two_jobs_at_once_share_the_work_and_spoil_nothing(
    connection: Connection, other: Connection, sensors: list[int]
) -> None:
    store(connection, [(sensor, at(minute), minute / 7, 0) for sensor in sensors for minute in range(0, 60 * 12, 4)])
    start = threading.Barrier(2)

    def job(mine: Connection) -> rollups.RollupReport:
        start.wait()
        reports = [rollups.run(mine, T0 + timedelta(days=1)) for _ in range(20)]
        return rollups.RollupReport(hours=sum(r.hours for r in reports), busy=any(r.busy for r in reports))

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(job, [connection, other]))
    assert sum(report.hours for report in reports) == 12
    assert_exact(connection)


def test_the_second_of_two_jobs_says_that_the_first_is_busy(
    connection: Connection, other: Connection, sensors: list[int]
) -> None:
    store(connection, [(sensors[0], at(1), 1.0, 0)])
    with other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(%s)", [rollups._LOCK])
        assert rollups.run(connection, T0 + timedelta(days=1)) == rollups.RollupReport(busy=True)
    assert run_all(connection).buckets == 1


def test_a_job_that_is_killed_between_taking_and_computing_leaves_its_notes(
    connection: Connection, database_dsn: str, sensors: list[int]
) -> None:
    store(connection, [(sensors[0], at(minute), 1.0, 0) for minute in (1, 70)])
    victim = open_connection(database_dsn)
    with open_connection(database_dsn) as blocker, ThreadPoolExecutor(1) as pool:
        blocker.execute("LOCK TABLE sensor IN ACCESS EXCLUSIVE MODE")
        run = pool.submit(rollups.run, victim, T0 + timedelta(days=1))
        wait_until_blocked(blocker)
        blocker.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            run.result(timeout=120)
        blocker.rollback()
    assert run_all(connection).hours == 2
    assert_exact(connection)


def test_a_job_that_is_told_to_stop_stops_after_the_hour_at_hand_and_goes_on_later(
    connection: Connection, sensors: list[int]
) -> None:
    store(connection, [(sensors[0], at(60 * hour), 1.0, 0) for hour in range(5)])
    answers = iter([True, True, False])
    assert rollups.run(connection, T0 + timedelta(days=1), go_on=lambda: next(answers)).hours == 2
    assert run_all(connection).hours == 3
    assert_exact(connection)


def test_inside_a_transaction_it_refuses_to_run(connection: Connection, sensors: list[int]) -> None:
    connection.execute("SELECT 1")
    with pytest.raises(StorageError, match="must not be inside a transaction"):
        rollups.run(connection, T0)


def test_the_alerts_role_may_run_it(connection: Connection, sensors: list[int]) -> None:
    store(connection, [(sensors[0], at(1), 1.0, 0)])
    connection.execute("SET ROLE lifeline_alerts")
    connection.commit()
    assert rollups.run(connection, T0 + timedelta(days=1)).rows_1d == 1


def test_a_bucket_costs_a_look_into_the_key_for_each_sensor_and_never_reads_the_chunk_through(
    connection: Connection, sensors: list[int]
) -> None:
    connection.execute(
        "INSERT INTO reading SELECT s, %s + make_interval(secs => i), 1, 0 "
        "FROM unnest(%s::integer[]) s, generate_series(0, 20000) i",
        [T0, sensors],
    )
    connection.execute("ANALYZE reading, sensor")
    plan = connection.execute(
        b"EXPLAIN " + rollups._SQL["compute_15m"].encode(), {"start": T0, "sensors": None, "implausible": 2}
    ).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "reading_pkey" in text
    assert "Seq Scan on _hyper" not in text


def wait_until_blocked(watcher: Connection) -> None:
    """Until another session waits for a lock that this one holds."""
    for _ in range(10_000):
        row = watcher.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        ).fetchone()
        if row is not None and row[0]:
            return
        watcher.execute("SELECT pg_sleep(0.01), pg_stat_clear_snapshot()")
    raise AssertionError("nothing waits")
