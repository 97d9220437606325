"""The record of drills in the real database: planned once, run one at a time, ended once, and never lost sight of."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from lifeline.cli.drilldesk import plan_scheduled
from lifeline.drills.plan import Plan, Team, plan_of
from lifeline.errors import ConflictError, NotFoundError
from lifeline.storage import drills
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.drills import DrillState

pytestmark = pytest.mark.usefixtures("clean_database")
NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
PLAN = Plan("burst", (Team("值班 Duty"),)).to_json()
RUNNER = "host:/var/lib/lifeline"


@pytest.fixture
def db(clean_database: str) -> Iterator[Connection]:
    connection = open_connection(clean_database, autocommit=True)
    yield connection
    connection.close()


def planned(db: Connection, after_s: float = 0) -> int:
    return drills.plan(db, PLAN, "ann", NOW + timedelta(seconds=after_s), NOW)


def test_a_drill_goes_from_its_plan_to_its_report(db: Connection) -> None:
    number = planned(db, 60)
    assert drills.due(db, NOW) is None
    later = NOW + timedelta(seconds=61)
    assert drills.due(db, later) == number
    assert drills.take(db, number, RUNNER, later)
    assert not drills.take(db, number, RUNNER, later)
    running = drills.running(db)
    assert running is not None
    assert (running.drill_id, running.runner, running.alive_at) == (number, RUNNER, later)
    drills.tell(db, number, sandbox="lifeline_exercise_1")
    drills.opened(db, number, "http://127.0.0.1:8081/", later)
    assert drills.beat(db, number, later) is None
    assert drills.stop(db, number, "ben", later).stop_by == "ben"
    assert drills.beat(db, number, later) == "ben"
    assert drills.finish(db, number, DrillState.DONE, later, message="stopped by ben", report={"a": 1}, pdf=b"%PDF")
    assert not drills.finish(db, number, DrillState.FAILED, later)
    done = drills.get(db, number)
    assert (done.state, done.report, done.url, done.message) == (DrillState.DONE, {"a": 1}, "", "stopped by ben")
    assert plan_of(done.plan) == Plan("burst", (Team("值班 Duty"),))
    assert drills.document(db, number) == b"%PDF"
    assert [event.action for event in drills.events(db, number)] == ["planned", "began", "opened", "stop_asked", "done"]
    with pytest.raises(ConflictError, match="is done already"):
        drills.stop(db, number, "ben", later)
    with pytest.raises(ConflictError, match="does not run any more"):
        drills.beat(db, number, later)


def test_one_drill_runs_at_a_time_and_the_next_waits(db: Connection) -> None:
    first, second = planned(db), planned(db)
    assert drills.take(db, first, RUNNER, NOW)
    assert drills.due(db, NOW) is None
    with pytest.raises(ConflictError, match="another drill runs"):
        drills.take(db, second, RUNNER, NOW)
    drills.finish(db, first, DrillState.FAILED, NOW, message="no twin")
    assert drills.due(db, NOW) == second


def test_a_drill_that_is_planned_is_cancelled_at_once(db: Connection) -> None:
    number = planned(db, 3600)
    assert drills.stop(db, number, "ben", NOW).state is DrillState.CANCELLED
    assert drills.due(db, NOW + timedelta(seconds=3601)) is None
    assert not drills.take(db, number, RUNNER, NOW)


def test_a_drill_that_was_overslept_does_not_begin_at_an_odd_time(db: Connection) -> None:
    number = planned(db)
    assert drills.due(db, NOW + timedelta(minutes=61)) is None
    found = drills.get(db, number)
    assert found.state is DrillState.FAILED
    assert "within an hour" in found.message


def test_drills_are_listed_newest_first_without_their_reports(db: Connection) -> None:
    numbers = [planned(db) for _ in range(3)]
    drills.finish(db, numbers[2], DrillState.DONE, NOW, report={"large": True})
    assert [each.drill_id for each in drills.list_drills(db)] == numbers[::-1]
    assert drills.list_drills(db)[0].report is None
    assert [each.drill_id for each in drills.list_drills(db, before=numbers[2], limit=1)] == [numbers[1]]
    for missing in (lambda: drills.get(db, 99), lambda: drills.document(db, numbers[0])):
        with pytest.raises(NotFoundError):
            missing()


def test_the_history_of_a_drill_is_append_only(db: Connection) -> None:
    planned(db)
    for statement in ("UPDATE drill_event SET actor = 'x'", "DELETE FROM drill_event"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            db.execute(statement)


def test_a_schedule_plans_each_months_drill_once_and_none_of_before_it_was_made(db: Connection) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    schedule = drills.add_schedule(db, PLAN, 23, time(9, 0), "ann", NOW)
    plan_scheduled(db, zone, NOW)
    assert drills.list_drills(db) == []
    moment = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
    for seconds in (0, 2, 1800):
        plan_scheduled(db, zone, moment + timedelta(seconds=seconds))
    (found,) = drills.list_drills(db)
    assert (found.schedule_id, found.starts_at, found.requested_by) == (schedule, moment, "ann")
    plan_scheduled(db, zone, datetime(2026, 12, 23, 3, 0, tzinfo=UTC))  # two hours late: not any more
    plan_scheduled(db, zone, datetime(2027, 1, 23, 1, 5, tzinfo=UTC))
    assert len(drills.list_drills(db)) == 2
    drills.end_schedule(db, schedule, "ben")
    assert drills.schedules(db) == []
    plan_scheduled(db, zone, datetime(2027, 2, 23, 1, 5, tzinfo=UTC))
    assert len(drills.list_drills(db)) == 2
    with pytest.raises(NotFoundError):
        drills.end_schedule(db, schedule, "ben")


def test_the_scenarios_are_those_of_the_last_start(db: Connection) -> None:
    drills.keep_scenarios(db, {"burst": "爆管", "storm": "暴雨"})
    drills.keep_scenarios(db, {"burst": "爆管 A burst", "quiet": "平静"})
    assert drills.scenarios(db) == {"burst": "爆管 A burst", "quiet": "平静"}
