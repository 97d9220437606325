"""What each process may do to the record of drills: the API plans, reads and asks to stop, and nobody else writes."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from lifeline.drills.plan import Plan, Team
from lifeline.storage import drills
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.drills import DrillState

pytestmark = pytest.mark.usefixtures("clean_database")
NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
PLAN = Plan("burst", (Team("值班 Duty"),)).to_json()
TABLES = (
    "drill",
    "drill_event",
    "drill_schedule",
    "drill_document",
    "drill_scenario",
)


@pytest.fixture
def api(clean_database: str) -> Iterator[Connection]:
    """A connection with the API's rights."""
    connection = open_connection(clean_database, autocommit=True)
    connection.execute("SET ROLE lifeline_api")
    yield connection
    connection.close()


@pytest.fixture
def owner(clean_database: str) -> Iterator[Connection]:
    connection = open_connection(clean_database, autocommit=True)
    yield connection
    connection.close()


def test_the_api_plans_schedules_and_stops_drills(api: Connection, owner: Connection) -> None:
    first = drills.plan(api, PLAN, "ann", NOW, NOW)
    assert drills.stop(api, first, "ann", NOW).state is DrillState.CANCELLED
    second = drills.plan(api, PLAN, "ann", NOW, NOW)
    assert drills.take(owner, second, "host:/home", NOW)
    assert drills.stop(api, second, "ann", NOW).stop_by == "ann"
    schedule = drills.add_schedule(api, PLAN, 3, NOW.time(), "ann", NOW)
    drills.end_schedule(api, schedule, "ann")
    assert drills.schedules(api) == []
    assert [event.action for event in drills.events(api, second)] == ["planned", "began", "stop_asked"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE drill SET report = '{}'",
        "UPDATE drill SET runner = 'me'",
        "UPDATE drill SET url = 'http://elsewhere/'",
        "UPDATE drill SET plan = '{}'",
        "DELETE FROM drill",
        "DELETE FROM drill_event",
        "UPDATE drill_event SET actor = 'nobody'",
        "INSERT INTO drill_document (drill_id, format, content) VALUES (1, 'pdf', '')",
        "INSERT INTO drill_scenario (name, title) VALUES ('a', 'b')",
        "UPDATE drill_schedule SET plan = '{}'",
        "DELETE FROM drill_schedule",
    ],
)
def test_the_api_writes_neither_reports_nor_what_the_runner_says(api: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        api.execute(statement.encode())


@pytest.mark.parametrize("role", ["lifeline_ingest", "lifeline_alerts", "lifeline_planning"])
def test_no_other_process_reads_or_writes_the_record(owner: Connection, role: str) -> None:
    for table in TABLES:
        row = owner.execute(
            "SELECT has_table_privilege(%(role)s, %(table)s, 'SELECT'), "
            "has_any_column_privilege(%(role)s, %(table)s, 'INSERT, UPDATE'), "
            "has_table_privilege(%(role)s, %(table)s, 'DELETE')",
            {"role": role, "table": table},
        ).fetchone()
        assert row == (False, False, False), table


def test_a_state_that_does_not_fit_its_times_is_refused_by_the_table(owner: Connection) -> None:
    drills.plan(owner, PLAN, "ann", NOW, NOW)
    for statement in (
        "UPDATE drill SET state = 'done'",
        "UPDATE drill SET state = 'running'",
        "UPDATE drill SET ended_at = now()",
        "UPDATE drill SET state = 'asleep'",
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            owner.execute(statement.encode())
    for wrong in (0, 29):
        with pytest.raises(psycopg.errors.CheckViolation):
            owner.execute(
                "INSERT INTO drill_schedule (plan, day, at, created_by, created_at) "
                "VALUES ('{}', %s, '08:00', 'a', now())",
                [wrong],
            )
