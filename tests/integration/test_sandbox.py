"""The sandbox of a drill: a copy of what the city has, nothing that happened, and nothing left when it goes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from lifeline.drills.review import Deliveries
from lifeline.errors import NotFoundError, StorageError
from lifeline.lifecycle import Event
from lifeline.model import Level, Role
from lifeline.response import Step
from lifeline.storage import alerts, endpoints, keys, response, sandbox
from lifeline.storage.database import connect
from lifeline.storage.sandbox import Sandbox
from tests.integration.town import build, empty, open_alert

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
HAPPENED = ("reading", "sensor_state", "alert", "alert_history", "outbox", "delivery", "feedback", "incident", "truth")


def contents(dsn: str) -> dict[str, tuple[int, str]]:
    """Rows of every table and a digest of them."""
    with connect(dsn) as connection:
        names = [
            row[0]
            for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        ]
        found = {}
        for name in names:
            query = f"SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {name} t"
            row: Any = connection.execute(query.encode()).fetchone()
            found[name] = (row[0], row[1])
        return found


@pytest.fixture(scope="module")
def real(database_dsn: str) -> Iterator[tuple[str, str]]:
    """A city in which things happened, with two endpoints and a key; its address and the key."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        sensor = build(connection)["gas"]
        endpoints.add(connection, "crew", "https://crew.example.org/", NOW)
        endpoints.add(connection, "mayor", "https://mayor.example.org/", NOW)
        key = keys.create(connection, "duty", Role.OPERATOR, NOW)
        connection.execute(
            "INSERT INTO app_user (name, role, password_hash, created_at)"
            " VALUES ('ann', 'operator', '$argon2id$x', now())"
        )
        connection.execute(
            "INSERT INTO endpoint_secret SELECT endpoint_id, 'whsec_before', now() + interval '1 day' FROM endpoint"
        )
        alert = open_alert(connection, sensor)
        response.feed_back(connection, alert.alert_id, "ann", NOW, genuine=True)
    yield database_dsn, key
    empty(database_dsn)


@pytest.fixture(scope="module")
def place(real: tuple[str, str]) -> Iterator[Sandbox]:
    """Its sandbox, filled as a drill fills it."""
    before = contents(real[0])
    made = sandbox.create(real[0], 41)
    sandbox.copy_city(real[0], made.dsn)
    sandbox.take_endpoints(real[0], made.dsn, ["crew"])
    assert contents(real[0]) == before
    yield made
    sandbox.drop(real[0], made.name)


def test_a_sandbox_has_what_the_city_has_and_nothing_that_happened(real: tuple[str, str], place: Sandbox) -> None:
    city, copy = contents(real[0]), contents(place.dsn)
    assert city.keys() == copy.keys()
    for table in city.keys() & set(sandbox.COPIED) - sandbox.WITHHELD.keys():
        assert copy[table] == city[table], table
    assert city["asset"][0] == 15
    assert {table: copy[table][0] for table in HAPPENED} == dict.fromkeys(HAPPENED, 0)
    assert all(city[table][0] for table in ("reading", "alert", "feedback"))
    with connect(place.dsn) as connection:
        assert [each.name for each in endpoints.list_endpoints(connection)] == ["crew"]
        assert keys.authenticate(connection, real[1], NOW) is not None
        users = connection.execute("SELECT name, role, password_hash FROM app_user").fetchall()
        assert users == [("ann", "operator", None)], "no password leaves the city"


def test_what_is_written_in_a_sandbox_never_stands_in_the_city(real: tuple[str, str], place: Sandbox) -> None:
    before = contents(real[0])
    with connect(place.dsn) as connection:
        alert = open_alert(connection, 1, Level.ORANGE, now=NOW)
        for seconds, step in enumerate((Step.CONFIRMED, Step.DISPATCHED), 1):
            at = NOW + timedelta(seconds=30 * seconds)
            response.advance(connection, alert.alert_id, step, "ann", at, team="crew 1")
        alerts.operate(connection, alert.alert_id, Event.RETURN, "detector", NOW + timedelta(minutes=5))
        endpoints.add(connection, "late", "https://late.example.org/", NOW)  # numbered after what was copied
    with connect(place.dsn) as connection:
        (event,) = sandbox.handled(connection)
        assert (event.level, event.network, event.raised_at) == (Level.ORANGE, "gas", NOW)
        assert event.acknowledged_at == NOW + timedelta(seconds=30)
        assert event.title["zh"] == "甲烷"
        steps = sandbox.steps(connection)
        assert [(step.step, step.team) for step in steps] == [("confirmed", "crew 1"), ("dispatched", "crew 1")]
        assert sandbox.deliveries(connection) == []
        assert sandbox.readings(connection) == 0
        assert not sandbox.heard(connection)
    assert contents(real[0]) == before


def test_messages_are_counted_by_endpoint(place: Sandbox) -> None:
    with connect(place.dsn) as connection:
        connection.execute(
            "INSERT INTO delivery (outbox_id, endpoint_id, level, state, attempts, delivered_at) "
            "SELECT outbox_id, (SELECT endpoint_id FROM endpoint WHERE name = 'crew'), 2, "
            "CASE WHEN outbox_id = (SELECT max(outbox_id) FROM outbox) THEN 'failed' ELSE 'delivered' END, 1, "
            "created_at + interval '2 seconds' FROM outbox"
        )
        count = connection.execute("SELECT count(*) FROM outbox").fetchone()
        assert count is not None
        assert sandbox.deliveries(connection) == [Deliveries("crew", count[0], count[0] - 1, 1, 2.0)]
        connection.rollback()


@pytest.mark.parametrize("process", ["ingest", "alerts", "api"])
def test_each_process_of_a_drill_comes_in_by_its_own_log_in_with_the_rights_of_its_role(
    place: Sandbox, process: str
) -> None:
    with connect(place.logins[process]) as connection:
        row: Any = connection.execute("SELECT current_database(), current_user").fetchone()
        assert row == (place.name, f"{place.name}_{process}")
        connection.execute("SELECT count(*) FROM device")
        if process == "ingest":
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT * FROM alert")
            connection.rollback()


def test_nobody_but_the_owner_and_the_drill_comes_into_a_sandbox(real: tuple[str, str], place: Sandbox) -> None:
    with connect(real[0], autocommit=True) as connection:
        row: Any = connection.execute(
            "SELECT has_database_privilege('lifeline_api', %s, 'CONNECT'), has_database_privilege('lifeline_api', "
            "current_database(), 'CONNECT')",
            [place.name],
        ).fetchone()
    assert row == (False, True)


def test_an_endpoint_that_the_city_has_not_is_told_by_its_name(real: tuple[str, str], place: Sandbox) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        sandbox.take_endpoints(real[0], place.dsn, ["nobody"])


def test_devices_that_the_twin_does_not_play_are_out_of_service(real: tuple[str, str], place: Sandbox) -> None:
    assert sandbox.knows(real[0], ["rtu-gas", "rtu-water"])
    assert not sandbox.knows(real[0], ["rtu-gas", "elsewhere"])
    assert not sandbox.knows(real[0], [])
    with connect(place.dsn) as connection:
        assert sandbox.silence_others(connection, ["rtu-gas"], NOW) == 2
        connection.rollback()


def test_a_sandbox_that_goes_leaves_no_database_and_no_log_in(real: tuple[str, str]) -> None:
    dsn = real[0]

    def left() -> tuple[int, int]:
        with connect(dsn) as connection:
            row: Any = connection.execute(
                "SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE %(name)s), "
                "(SELECT count(*) FROM pg_roles WHERE rolname LIKE %(name)s)",
                {"name": "%exercise_42%"},
            ).fetchone()
            return row[0], row[1]

    made = sandbox.create(dsn, 42)
    assert left() == (1, 3)
    with connect(made.logins["api"]):  # somebody is still connected
        made = sandbox.create(dsn, 42)  # what a runner left that was killed goes first
        assert left() == (1, 3)
    sandbox.copy_city(dsn, made.dsn, inventory=False)
    sandbox.take_endpoints(dsn, made.dsn, ["crew"])
    sandbox.retire(dsn, made.name)
    assert left() == (1, 0)
    kept = contents(made.dsn)
    for table in ("api_key", "app_user", "session", "login_link", "endpoint_secret"):
        assert kept[table][0] == 0, table
    with connect(made.dsn) as connection:
        row: Any = connection.execute("SELECT name, url, secret, enabled FROM endpoint").fetchall()
        assert row == [("crew", "", "", False)]
    with pytest.raises(StorageError), connect(made.logins["api"]):
        pass
    with connect(made.dsn) as connection:
        assert sandbox.readings(connection) == 0
    sandbox.drop(dsn, made.name)
    sandbox.drop(dsn, made.name)
    assert left() == (0, 0)
