"""What the system says of itself, from the real database."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from lifeline.model import AlertKind, Level, Reason
from lifeline.storage import health
from lifeline.storage.database import Connection

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime.fromisoformat("2026-11-22T10:00:00+00:00")


def account(connection: Connection, writer: int, received: int, stored: int, duplicate: int, bad: int) -> None:
    connection.execute(
        "INSERT INTO ingest_account VALUES ('c', %s, %s, %s, %s, %s, now())", [writer, received, stored, duplicate, bad]
    )


def readings(connection: Connection, count: int) -> None:
    connection.execute("INSERT INTO reading SELECT i, %s, 1, 0 FROM generate_series(1, %s) i", [NOW, count])


def quarantine(connection: Connection, reason: str, at: datetime = NOW) -> None:
    connection.execute(
        "INSERT INTO quarantine (received_at, topic, payload, reason, digest) VALUES (%s, 't', '', %s, '')",
        [at, reason],
    )


def test_a_heartbeat_is_one_row_for_each_process_and_instance_and_the_last_one_counts(connection: Connection) -> None:
    health.beat(connection, "ingest", "b", NOW, {"rate": 1})
    health.beat(connection, "ingest", "a", NOW, {})
    health.beat(connection, "alerts", "a", NOW, {})
    health.beat(connection, "ingest", "b", NOW + timedelta(seconds=5), {"rate": 2})
    assert [(h.process, h.instance, h.at, h.detail) for h in health.heartbeats(connection)] == [
        ("alerts", "a", NOW, {}),
        ("ingest", "a", NOW, {}),
        ("ingest", "b", NOW + timedelta(seconds=5), {"rate": 2}),
    ]


def test_what_has_ended_takes_its_sign_away_and_those_of_its_kind_that_had_died(connection: Connection) -> None:
    for process, instance, age in (("drills", "a", 0), ("drills", "b", 10), ("drills", "c", 99), ("api", "a", 99)):
        health.beat(connection, process, instance, NOW - timedelta(seconds=age), {})
    health.leave(connection, "drills", "a", NOW - timedelta(seconds=60))
    assert [(h.process, h.instance) for h in health.heartbeats(connection)] == [("api", "a"), ("drills", "b")]


def test_a_clock_that_was_set_back_still_beats(connection: Connection) -> None:
    health.beat(connection, "ingest", "a", NOW + timedelta(days=1), {})
    health.beat(connection, "ingest", "a", NOW, {})
    assert health.heartbeats(connection)[0].at == NOW


@pytest.mark.parametrize("role", ["lifeline_ingest", "lifeline_alerts", "lifeline_api", "lifeline_planning"])
def test_every_process_may_beat_and_beat_again(connection: Connection, role: str) -> None:
    connection.execute(psycopg.sql.SQL("SET LOCAL ROLE {}").format(psycopg.sql.Identifier(role)))
    health.beat(connection, "p", "1", NOW, {})
    health.beat(connection, "p", "1", NOW, {})


def test_books_of_an_empty_system_are_right(connection: Connection) -> None:
    books = health.books(connection)
    assert books.right
    assert books.accounts == health.Accounts(0, 0, 0, 0)


def test_books_add_up_every_consumer_and_writer(connection: Connection) -> None:
    account(connection, 0, 10, 6, 3, 1)
    account(connection, 1, 5, 1, 4, 0)
    readings(connection, 7)
    quarantine(connection, "unparsable")
    assert health.accounts(connection) == health.Accounts(15, 7, 7, 1)
    assert health.books(connection).right


def test_a_lost_reading_and_a_lost_quarantine_row_are_told_with_their_number(connection: Connection) -> None:
    account(connection, 0, 10, 7, 2, 1)
    readings(connection, 5)
    reading, quarantined = health.books(connection).problems
    assert reading == "reading holds 5 rows; counted in were 7, retention removed 0, so 7 should be there (-2)"
    assert "(-1)" in quarantined


def test_a_reading_that_nobody_counted_is_told(connection: Connection) -> None:
    readings(connection, 1)
    assert "(+1)" in health.books(connection).problems[0]


def test_accounts_that_do_not_balance_are_told() -> None:
    wrong = health.Books(health.Accounts(10, 5, 1, 1), 5, 1, 0, 0, native_retention=False)
    assert wrong.problems == ("received 10 is not stored 5 + duplicate 1 + quarantined 1",)


def test_where_retention_is_native_fewer_readings_are_no_mistake_and_more_are() -> None:
    told = health.Accounts(10, 10, 0, 0)
    assert health.Books(told, 4, 0, 0, 0, native_retention=True).right
    assert not health.Books(told, 11, 0, 0, 0, native_retention=True).right


def test_the_database_itself_holds_that_accounts_balance(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        account(connection, 0, 10, 5, 1, 1)


def test_the_database_clock_is_utc_and_about_now(connection: Connection) -> None:
    clock = health.database_clock(connection)
    assert clock.utcoffset() == timedelta(0)
    assert abs(clock - datetime.now(UTC)) < timedelta(seconds=10)


def test_open_alerts_are_counted_by_kind_and_level_and_closed_ones_are_not(connection: Connection) -> None:
    for subject, kind, level, state in [
        (1, "risk", 2, "UNACK"),
        (2, "risk", 2, "ACKED"),
        (3, "risk", 1, "RTNUN"),
        (4, "maintenance", 4, "SHLVD"),
        (5, "risk", 1, "NORM"),
    ]:
        connection.execute(
            "INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state, first_seen,"
            " raised_at, updated_at, closed_at) VALUES ('sensor', %(subject)s, 'r', '1', %(kind)s, 'gas', %(level)s,"
            " %(state)s, now(), now(), now(), CASE WHEN %(state)s = 'NORM' THEN now() END)",
            {"subject": subject, "kind": kind, "level": level, "state": state},
        )
    assert health.alert_counts(connection) == [
        health.AlertCount(AlertKind.MAINTENANCE, Level.BLUE, 1, 0),
        health.AlertCount(AlertKind.RISK, Level.RED, 1, 1),
        health.AlertCount(AlertKind.RISK, Level.ORANGE, 2, 1),
    ]


def test_quarantine_is_counted_by_reason_and_from_a_moment_on(connection: Connection) -> None:
    quarantine(connection, "unparsable")
    quarantine(connection, "unparsable")
    quarantine(connection, "too_old", NOW - timedelta(days=1))
    assert health.quarantine_by_reason(connection) == {Reason.TOO_OLD: 1, Reason.UNPARSABLE: 2}
    assert health.quarantine_by_reason(connection, since=NOW) == {Reason.UNPARSABLE: 2}


@pytest.mark.parametrize("role", ["lifeline_alerts", "lifeline_api"])
def test_disk_use_counts_the_chunks_of_a_hypertable_and_needs_no_special_right(
    connection: Connection, role: str
) -> None:
    readings(connection, 20_000)
    connection.execute(psycopg.sql.SQL("SET LOCAL ROLE {}").format(psycopg.sql.Identifier(role)))
    usage = health.disk_usage(connection)
    assert usage["reading"] > 1_000_000
    assert list(usage.values()) == sorted(usage.values(), reverse=True)


def test_the_edition_here_is_the_one_of_apache(connection: Connection) -> None:
    assert health.edition(connection) == "apache"
