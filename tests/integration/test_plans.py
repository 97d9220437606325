"""Renewal plans through the system: the job in its process, the API's answers, the command; real database."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lifeline.errors import NotFoundError
from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind, Role, Zone, ZoneKind
from lifeline.storage import inventory, jobs, plans, zones
from lifeline.storage.database import Connection, connect, open_connection
from lifeline.storage.jobs import JobState
from lifeline.storage.migrations import migrate
from lifeline.storage.roles import dsn_as
from tests.api_process import Api, running_api
from tests.integration.in_process import lifeline
from tests.integration.test_jobs import Planning, ended
from tests.unit.test_renewal_plan import DEGREE_M, town

ROOT = Path(__file__).parents[2]
NOW = datetime.fromisoformat("2026-11-22T10:00:00+00:00")
REAL = (sys.executable, "-P", "-m", "lifeline.planning")
ASKED = {"name": "old town", "budget": 6e6, "years": 3, "scenarios": 2, "seconds": 0.5}


def square(side_m: float) -> dict[str, object]:
    east = side_m / DEGREE_M
    ring = [[-0.001, -0.001], [east, -0.001], [east, east], [-0.001, east], [-0.001, -0.001]]
    return {"type": "Polygon", "coordinates": [ring]}


def store_town(connection: Connection, assets: list[Asset]) -> None:
    inventory.store_assets(connection, [Entry(1, each) for each in assets], NOW)
    zone = Zone(external_id="south", kind=ZoneKind.RENEWAL, network=None, name="South", geometry=square(420.0))
    zones.store_zones(connection, [zone], NOW)


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    with connect(database_dsn) as connection:
        connection.execute("TRUNCATE asset, job, renewal_plan, zone RESTART IDENTITY CASCADE")
        store_town(connection, town())
    migrate(database_dsn, {"lifeline_planning": "secret", "lifeline_api": "secret"})
    with running_api(dsn_as(database_dsn, "lifeline_api", "secret")) as process:
        process.keys |= keys_of(database_dsn)
        yield process


def keys_of(dsn: str) -> dict[Role, str]:
    """Keys made by the owner: the API's own log-in may not."""
    from lifeline.storage import keys

    with connect(dsn) as connection:
        connection.execute("DELETE FROM api_key")
        return {role: keys.create(connection, f"p-{role}", role, datetime.now(UTC)) for role in Role}


@pytest.fixture(scope="module")
def db(database_dsn: str) -> Iterator[Connection]:
    connection = open_connection(database_dsn, autocommit=True)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def plan(api: Api, db: Connection, database_dsn: str) -> int:
    """The number of a plan that was asked for through the API and made by the process."""
    answer = api.call("POST", "/api/v1/plans", Role.ENGINEER, json=ASKED)
    assert answer.status_code == 202, answer.text
    job = int(answer.json()["id"])
    assert answer.headers["Location"] == f"/api/v1/jobs/{job}"
    assert api.get(f"/api/v1/jobs/{job}").json()["state"] == "queued"
    process = Planning(dsn_as(database_dsn, "lifeline_planning", "secret"), REAL)
    try:
        done = ended(db, job)
    finally:
        assert process.end() == 0
    assert done.state is JobState.DONE, done.message
    assert done.result is not None
    assert done.result["ratio"]["oldest_first"] > 1
    return int(done.result["plan"])


def test_the_plan_says_what_it_gains_beside_plain_lists(api: Api, plan: int) -> None:
    whole = api.get(f"/api/v1/plans/{plan}").json()
    assert (whole["name"], whole["created_by"]) == ("old town", "p-engineer")
    figures = whole["summary"]
    assert figures["budgets"] == [2e6] * 3
    assert figures["plan"]["gain"] > max(figures["oldest_first"]["gain"], figures["worst_first"]["gain"])
    assert figures["plan"]["works"] == len(whole["works"])
    assert whole["works"][0]["year"] == figures["first_year"]
    [listed] = api.get("/api/v1/plans").json()["items"]
    assert listed["id"] == plan
    assert "works" not in listed


def test_the_files_of_a_plan_can_be_taken_away(api: Api, plan: int) -> None:
    geojson = api.get(f"/api/v1/plans/{plan}/works.geojson")
    assert geojson.headers["Content-Type"] == "application/geo+json"
    features = geojson.json()["features"]
    again = api.get(f"/api/v1/plans/{plan}/works.geojson", headers={"If-None-Match": geojson.headers["ETag"]})
    assert again.status_code == 304
    text = api.get(f"/api/v1/plans/{plan}/works.csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["cost"]) for row in rows] == [each["properties"]["cost"] for each in features]
    pdf = api.get(f"/api/v1/plans/{plan}/report.pdf")
    assert pdf.headers["Content-Disposition"] == f'attachment; filename="plan-{plan}.pdf"'
    assert pdf.content.startswith(b"%PDF-")


@pytest.mark.parametrize("what", ["", "/works.geojson", "/works.csv", "/report.pdf"])
def test_a_plan_that_is_not_there_is_not_found(what: str, api: Api) -> None:
    assert api.get(f"/api/v1/plans/999{what}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"budget": -1},
        {"budget": 1e6, "years": 0},
        {"budgets": []},
        {"budget": 1e6, "colour": "red"},
        {"budget": "much"},
        {"budget": 1e6, "before": [["a"]]},
        {"budget": 1e6, "seconds": 0},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_it_is_queued(body: dict[str, object], api: Api) -> None:
    assert api.call("POST", "/api/v1/plans", Role.ENGINEER, json=body).status_code == 400


def test_jobs_are_asked_for_by_kind_and_can_be_ended(api: Api) -> None:
    kinds = {each["kind"]: each for each in api.get("/api/v1/jobs/kinds").json()}
    assert "budget" in kinds["plan"]["parameters"]["properties"]
    asked = api.call("POST", "/api/v1/jobs", Role.ENGINEER, json={"kind": "plan", "parameters": {"budget": 1}})
    job = asked.json()["id"]
    assert api.get("/api/v1/jobs?state=queued&kind=plan").json()["items"][0]["id"] == job
    assert api.call("POST", f"/api/v1/jobs/{job}/cancel", Role.ENGINEER).json()["state"] == "cancelled"
    assert api.call("POST", f"/api/v1/jobs/{job}/cancel", Role.ENGINEER).status_code == 409
    assert api.call("POST", "/api/v1/jobs", Role.ENGINEER, json={"kind": "lottery"}).status_code == 400


def test_what_if_changes_the_figures_and_not_the_city(api: Api, db: Connection) -> None:
    before = db.execute("SELECT count(*), sum(score) FROM asset_risk").fetchone()
    new = {
        "type": "Feature",
        "geometry": {"type": "LineString", "coordinates": [[0.0, 0.02], [0.001, 0.02]]},
        "properties": {"id": "new-1", "network": "gas", "kind": "pipe", "material": "pe", "install_year": 2026},
    }
    body = {"renew": ["w-0-0"], "close": ["g-6-5"], "add": [new]}
    answer = api.call("POST", "/api/v1/risk/what-if", Role.VIEWER, json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["after"]["pipes"] == found["before"]["pipes"]
    assert {each["asset"]: each["change"] for each in found["changed"]} == {
        "g-6-5": "closed", "w-0-0": "renewed", "new-1": "added",
    }  # fmt: skip
    held = dict(db.execute("SELECT external_id, customers FROM asset").fetchall())
    assert found["cut_off"]["customers"] == sum(held[name] for name in {"g-6-5", *found["cut_off"]["pipes"]}) > 0
    assert db.execute("SELECT count(*), sum(score) FROM asset_risk").fetchone() == before
    for wrong, status in (
        ({"close": ["nobody"]}, 404),
        ({"add": [{**new, "properties": {"kind": "pipe"}}]}, 400),
        ({"add": [new, new]}, 409),
        ({"open": []}, 400),
        ({"renew": ["w-0-0"], "close": ["w-0-0"]}, 409),
    ):
        assert api.call("POST", "/api/v1/risk/what-if", Role.VIEWER, json=wrong).status_code == status, wrong


def test_customers_are_asked_of_the_joints_of_the_network(database_dsn: str) -> None:
    point = {"type": "Point", "coordinates": [0.5, 0.5]}
    kinds = (AssetKind.JUNCTION, AssetKind.VALVE, AssetKind.TANK)
    joints = [Asset(kind, "water", kind, point, customers=place + 5) for place, kind in enumerate(kinds)]
    with connect(database_dsn) as connection:
        inventory.store_assets(connection, [Entry(1, each) for each in joints], NOW)
        assert plans.served(connection, "water") == {"junction": 5, "valve": 6}
        assert plans.served(connection, "gas") == {}
        connection.rollback()


def test_the_pipes_of_a_zone_and_a_network_are_those(api: Api, db: Connection) -> None:
    everything = plans.pipes(db)
    assert len(everything.assets) == len(town())
    some = plans.pipes(db, "gas", "south")
    assert 0 < len(some.assets) < len(everything.assets) / 2
    assert {asset.network for asset in some.assets} == {"gas"}
    assert (some.lof >= 1).all()
    with pytest.raises(NotFoundError, match="'north'"):
        plans.pipes(db, zone="north")


def test_a_job_that_is_begun_again_replaces_the_plan_that_it_had_written(api: Api, db: Connection) -> None:
    job = jobs.submit(db, "plan", {}, "ann", NOW)
    for _ in range(2):
        number = plans.store_plan(db, [], name="n", parameters={}, summary={}, actor="a", now=NOW, job_id=job)
    assert [each.plan_id for each in plans.list_plans(db) if each.job_id == job] == [number]


def command(dsn: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return lifeline("plan", *arguments, LIFELINE_DATABASE_URL=dsn, **more)


def test_the_command_prints_the_ratio_and_writes_the_files(api: Api, database_dsn: str, tmp_path: Path) -> None:
    done = command(
        database_dsn, "--budget", "2e6,3e6", "--network", "water", "--zone", "south", "--seconds", "0.5",
        "--scenarios", "2", "--out", str(tmp_path / "plan"), "--pdf", str(tmp_path / "plan.pdf"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "oldest first" in done.stdout
    assert "times as much" in done.stdout
    figures = json.loads((tmp_path / "plan" / "summary.json").read_text())
    assert figures["budgets"] == [2e6, 3e6]
    features = json.loads((tmp_path / "plan" / "plan.geojson").read_text())["features"]
    assert {network for each in features for network in each["properties"]["networks"]} == {"water"}
    assert (tmp_path / "plan" / "plan.csv").read_text(encoding="utf-8-sig").startswith("work,year,networks")
    assert (tmp_path / "plan.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "much"], "--budget 'much': must be a number like 20e6"),
        (["--budget", "-1"], "money is 0 or more"),
        (["--budget", "1e6", "--before", "a"], "must be A:B"),
        (["--budget", "1e6", "--zone", "north"], "there is no zone 'north'"),
        (["--budget", "1e6", "--network", "heat"], "there is no pipe to renew"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong(arguments: list[str], said: str, api: Api, database_dsn: str) -> None:
    done = command(database_dsn, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
