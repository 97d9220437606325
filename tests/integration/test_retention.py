"""Retention on the real database, as the role that does it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from lifeline.errors import StorageError
from lifeline.storage import health, retention, rollups
from lifeline.storage.database import Connection, open_connection

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime.fromisoformat("2026-11-22T10:00:00+00:00")


@pytest.fixture
def alerts(database_dsn: str, clean_database: str) -> Iterator[Connection]:
    """A connection with no more rights than the process `alerts` has."""
    with open_connection(database_dsn) as connection:
        connection.execute("INSERT INTO device (external_id, network) VALUES ('d', 'gas')")
        connection.execute("INSERT INTO sensor (device_id, channel, quantity) VALUES (1, 'methane', 'methane')")
        connection.execute("SET ROLE lifeline_alerts")
        connection.commit()
        yield connection


@pytest.fixture
def owner(connection: Connection) -> Connection:
    return connection


def store(owner: Connection, *days_old: float, noted: bool = False) -> None:
    """One reading so many days old each, entered into the books as ingest does."""
    for days in days_old:
        ts = NOW - timedelta(days=days)
        owner.execute("INSERT INTO reading (sensor_id, ts, value) VALUES (1, %s, 1)", [ts])
        if noted:
            owner.execute("INSERT INTO rollup_note VALUES (date_bin('15 minutes', %s, '2000-01-01Z'), 0)", [ts])
    _account(owner, stored=len(days_old))


def quarantine(owner: Connection, days_old: float, count: int = 1) -> None:
    owner.execute(
        "INSERT INTO quarantine (received_at, topic, payload, reason, digest) "
        "SELECT %s, 't', '', 'unparsable', decode(md5(i::text), 'hex') FROM generate_series(1, %s) i",
        [NOW - timedelta(days=days_old), count],
    )
    _account(owner, quarantined=count)


def _account(owner: Connection, stored: int = 0, quarantined: int = 0) -> None:
    owner.execute(
        "INSERT INTO ingest_account AS a VALUES ('c', 0, %(all)s, %(stored)s, 0, %(bad)s, now()) "
        "ON CONFLICT (consumer, writer) DO UPDATE SET received = a.received + excluded.received, "
        "stored = a.stored + excluded.stored, quarantined = a.quarantined + excluded.quarantined",
        {"all": stored + quarantined, "stored": stored, "bad": quarantined},
    )
    owner.commit()


def ages(owner: Connection) -> list[int]:
    rows = owner.execute("SELECT ts FROM reading ORDER BY ts DESC").fetchall()
    owner.rollback()
    return [(NOW - ts).days for (ts,) in rows]


def test_readings_past_their_days_go_by_whole_chunks_and_younger_ones_stay(
    owner: Connection, alerts: Connection
) -> None:
    store(owner, 1, 29, 30.2, 33, 400)
    report = retention.run(alerts, NOW, 30, 90)
    assert (report.readings, report.native, report.postponed) == (2, False, False)
    assert ages(owner) == [1, 29, 30]  # the chunk of the last also holds moments younger than 30 days
    assert retention.run(alerts, NOW + timedelta(days=1), 30, 90).readings == 1


def test_the_books_are_right_before_and_after_and_say_what_went(owner: Connection, alerts: Connection) -> None:
    store(owner, 1, 400, 401)
    quarantine(owner, 100, 7)
    quarantine(owner, 10, 2)
    assert health.books(owner).right
    owner.rollback()
    retention.run(alerts, NOW, 30, 90)
    books = health.books(owner)
    assert books.right
    assert (books.reading_rows, books.readings_removed) == (1, 2)
    assert (books.quarantine_rows, books.quarantine_removed) == (2, 7)


def test_what_is_not_rolled_up_yet_is_not_dropped(owner: Connection, alerts: Connection) -> None:
    store(owner, 400, 410, noted=True)
    assert retention.run(alerts, NOW, 30, 90).readings == 0
    rollups.run(alerts, NOW)
    assert retention.run(alerts, NOW, 30, 90).readings == 2
    row = owner.execute("SELECT (SELECT count(*) FROM reading_15m), (SELECT count(*) FROM reading_1d)").fetchone()
    assert row == (2, 2)


def test_quarantine_goes_in_batches_and_a_run_without_any_does_nothing(
    owner: Connection, alerts: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH", 10)
    quarantine(owner, 91, 25)
    quarantine(owner, 89, 3)
    assert retention.run(alerts, NOW, 30, 90).quarantined == 25
    assert retention.run(alerts, NOW, 30, 90) == retention.RetentionReport(0, 0, native=False)
    assert health.books(owner).right


def test_a_chunk_in_use_is_left_for_the_next_run_and_quarantine_goes_all_the_same(
    owner: Connection, alerts: Connection, database_dsn: str
) -> None:
    store(owner, 400)
    quarantine(owner, 100)
    with open_connection(database_dsn) as reader:
        reader.execute("SELECT count(*) FROM reading")  # holds its lock until the end of the transaction
        report = retention.run(alerts, NOW, 30, 90)
        reader.rollback()
    assert (report.readings, report.quarantined, report.postponed) == (0, 1, True)
    assert retention.run(alerts, NOW, 30, 90).readings == 1
    assert health.books(owner).right


def test_alerts_history_and_deliveries_are_kept(owner: Connection, alerts: Connection) -> None:
    old = NOW - timedelta(days=3000)
    owner.execute(
        "INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state, first_seen,"
        " raised_at, updated_at) VALUES ('sensor', 1, 'r', '1', 'risk', 'gas', 1, 'UNACK', %(t)s, %(t)s, %(t)s)",
        {"t": old},
    )
    owner.execute(
        "INSERT INTO alert_history (alert_id, at, actor, action, to_state, to_level)"
        " VALUES (1, %s, 'detector', 'raised', 'UNACK', 1)",
        [old],
    )
    owner.execute("INSERT INTO outbox (message_id, event_type, created_at, body) VALUES ('m', 'e', %s, '{}')", [old])
    owner.commit()
    retention.run(alerts, NOW, 1, 1)
    for table in (b"alert", b"alert_history", b"outbox"):
        assert owner.execute(b"SELECT count(*) FROM " + table).fetchone() == (1,)


def _ago(**past: float) -> datetime:
    return NOW - timedelta(**past)


def test_wrong_log_ins_go_after_an_hour_and_places_after_a_season(owner: Connection, alerts: Connection) -> None:
    for minutes in (59, 61):
        owner.execute(
            "INSERT INTO login_failure VALUES (%s, 7, %s)", [b"%d" % minutes, NOW - timedelta(minutes=minutes)]
        )
    for days in (89, 91):
        owner.execute("INSERT INTO login_place VALUES (%s, %s)", [b"%d" % days, _ago(days=days)])
    owner.commit()
    retention.run(alerts, NOW, 30, 90)
    rows = owner.execute(
        "SELECT subject FROM login_failure UNION ALL SELECT subject FROM login_place ORDER BY subject"
    ).fetchall()
    assert [bytes(subject) for (subject,) in rows] == [b"59", b"89"]


def test_inside_a_transaction_it_refuses_to_run(alerts: Connection) -> None:
    alerts.execute("SELECT 1")
    with pytest.raises(StorageError, match="must not be inside a transaction"):
        retention.run(alerts, NOW, 30, 90)
