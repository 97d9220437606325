"""Renewal plans in the database: kept whole, listed, replaced by their own job alone, closed to others."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import psycopg
import pytest

from lifeline.errors import NotFoundError
from lifeline.inventory import Entry
from lifeline.model import JsonObject, RoadClass
from lifeline.planning.documents import summary, works_of
from lifeline.storage import inventory, jobs, plans
from lifeline.storage.database import Connection, open_connection
from tests.unit.test_renewal_plan import pipe, plan_of, town

pytestmark = pytest.mark.usefixtures("clean_database")
NOW = datetime.fromisoformat("2026-11-22T10:00:00+00:00")


@pytest.fixture
def db(clean_database: str) -> Iterator[Connection]:
    connection = open_connection(clean_database, autocommit=True)
    yield connection
    connection.close()


def store(db: Connection, works: list[JsonObject], **more: object) -> int:
    values = {"name": "n", "parameters": {}, "summary": {"a": 1}, "actor": "ann", "now": NOW, **more}
    return plans.store_plan(db, works, **values)  # type: ignore[arg-type]


def test_a_plan_comes_back_as_it_was_stored(db: Connection) -> None:
    plan = plan_of(town(3, 3), 2e6)
    works, figures = works_of(plan, 2027), summary(plan, 2027)
    number = store(db, works, summary=figures, parameters={"budget": 2e6}, pdf=b"%PDF-x")
    assert plans.works(db, number) == works
    found = plans.get_plan(db, number)
    assert (found.summary, found.parameters, found.created_by) == (figures, {"budget": 2e6}, "ann")
    assert plans.document(db, number, "pdf") == b"%PDF-x"


def test_plans_are_listed_newest_first_and_page_by_page(db: Connection) -> None:
    numbers = [store(db, []) for _ in range(4)]
    assert [each.plan_id for each in plans.list_plans(db)] == numbers[::-1]
    assert [each.plan_id for each in plans.list_plans(db, before=numbers[2], limit=1)] == [numbers[1]]


def test_what_is_not_there_is_told(db: Connection) -> None:
    number = store(db, [])
    with pytest.raises(NotFoundError, match="no pdf"):
        plans.document(db, number, "pdf")
    with pytest.raises(NotFoundError, match="no plan 99"):
        plans.get_plan(db, 99)
    assert plans.works(db, 99) == []


def test_a_job_replaces_its_own_plan_and_no_other(db: Connection) -> None:
    one, other = (jobs.submit(db, "plan", {}, "ann", NOW) for _ in range(2))
    first, kept, loose = store(db, [], job_id=one), store(db, [], job_id=other), store(db, [])
    again = store(db, [], job_id=one)
    assert {each.plan_id for each in plans.list_plans(db)} == {kept, loose, again}
    assert first != again


def test_the_works_of_a_plan_go_with_it(db: Connection) -> None:
    job = jobs.submit(db, "plan", {}, "ann", NOW)
    store(db, works_of(plan_of(town(3, 3), 2e6), 2027), job_id=job, pdf=b"x")
    store(db, [], job_id=job)
    for table in ("renewal_work", "renewal_document"):
        row = db.execute("SELECT count(*) FROM " + table).fetchone()  # type: ignore[arg-type]
        assert row == (0,)


@pytest.mark.parametrize("role", ["lifeline_api", "lifeline_alerts", "lifeline_ingest"])
def test_only_planning_writes_plans(role: str, db: Connection) -> None:
    db.execute("SET ROLE " + role)  # type: ignore[arg-type]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(
            "INSERT INTO renewal_plan (parameters, summary, created_by, created_at) VALUES ('{}', '{}', 'x', now())"
        )
    db.execute("RESET ROLE")


def test_pipes_carry_what_a_plan_asks_of_them(db: Connection) -> None:
    asset = pipe(
        "a", 0, 0, road_class=RoadClass.MAIN, street="High St", soil="clay", condition=4, depth_m=1.5, critical=True,
    )  # fmt: skip
    with db.transaction():
        inventory.store_assets(db, [Entry(1, asset)], NOW)
    found = plans.pipes(db)
    [read] = found.assets
    assert replace(read, in_service=None) == asset
    assert 1.0 <= found.lof[0] <= 5.0
    assert found.rate[0] > 0.0


def test_a_pipe_that_is_out_of_service_is_not_planned_over(db: Connection) -> None:
    with db.transaction():
        inventory.store_assets(db, [Entry(1, pipe("a", 0, 0)), Entry(1, pipe("b", 100, 0))], NOW)
    db.execute("UPDATE asset SET in_service = false WHERE external_id = 'a'")
    assert [asset.external_id for asset in plans.pipes(db).assets] == ["b"]


def test_the_job_of_a_connection_is_known_to_it_alone(db: Connection, clean_database: str) -> None:
    job = jobs.submit(db, "plan", {}, "ann", NOW)
    assert jobs.current(db) is None
    assert jobs.begin(db, job).job_id == job
    current = jobs.current(db)
    assert current is not None
    assert current.requested_by == "ann"
    with open_connection(clean_database, autocommit=True) as other:
        assert jobs.current(other) is None
