"""Suggested zones: found in the database, decided through the API and on the command line."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from lifeline.cli import app
from lifeline.model import Role
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api, until
from tests.integration.asking import assert_problem
from tests.integration.town import build, empty

PATH = "/api/v1/zones/suggestions"


@pytest.fixture(scope="module")
def process(database_dsn: str) -> Iterator[Api]:
    with running_api(database_dsn) as running:
        yield running


@pytest.fixture
def api(process: Api) -> Api:
    """The town, with a tank at the end of the water street; its P1 pipes are old, large and critical."""
    process.keys.clear()
    empty(process.dsn)
    with connect(process.dsn) as connection:
        build(connection)
        connection.execute("UPDATE asset SET kind = 'tank' WHERE external_id = 'W-C0'")
    return process


def post(api: Api, path: str = "", role: Role = Role.ENGINEER, **body: Any) -> Any:
    return api.call("POST", PATH + path, role, json=body)


def waiting(api: Api) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in api.get(PATH).json()["items"]}


def test_hot_streets_and_the_way_to_a_critical_pipe_are_suggested(api: Api) -> None:
    told = {each["kind"]: each for each in post(api).json()}
    assert told["risk_control"]["found"] == told["risk_control"]["waiting"] > 0
    assert (told["resilience"]["found"], told["resilience"]["withdrawn"]) == (1, 0)
    found = waiting(api)
    resilience = found["resilience-W-P1"]
    assert resilience["attributes"]["sources"] == ["W-C0"]
    assert resilience["assets"] >= 5
    control = [each for each in found.values() if each["kind"] == "risk_control"]
    assert all(each["attributes"]["score"] >= 50 for each in control)
    assert all(re.match("(gas|water|drainage) street risk control zone", each["name"]) for each in control), control
    assert resilience["name"] == "water street resilience protection zone"
    assert {each["status"] for each in found.values()} == {"suggested"}


def test_asking_again_changes_nothing_and_what_is_not_found_any_more_is_withdrawn(api: Api) -> None:
    post(api)
    before = waiting(api)
    post(api)
    assert waiting(api) == before
    (told,) = post(api, kind="risk_control", least=100).json()
    assert told["waiting"] == 0
    assert told["withdrawn"] == len(before) - 1
    assert set(waiting(api)) == {"resilience-W-P1"}


def test_an_accepted_suggestion_is_a_zone_with_its_risk(api: Api) -> None:
    post(api)
    answer = post(api, "/resilience-W-P1/accept", name="Hospital")
    assert (answer.json()["status"], answer.json()["name"]) == ("active", "Hospital")
    until(lambda: api.get("/api/v1/risk/zones").json()["features"], "the zone on the map")
    (zone,) = api.get("/api/v1/risk/zones?kind=resilience").json()["features"]
    assert zone["properties"]["name"] == "Hospital"
    assert zone["properties"]["assets"] == answer.json()["assets"] > 0
    assert zone["properties"]["rank"] == 1
    assert "resilience-W-P1" not in waiting(api)


def test_a_suggestion_is_edited_while_it_is_accepted(api: Api, db: Connection) -> None:
    post(api)
    square = [[117.195, 31.805], [117.225, 31.805], [117.225, 31.815], [117.195, 31.815], [117.195, 31.805]]
    answer = post(api, "/resilience-W-P1/accept", geometry={"type": "Polygon", "coordinates": [square]})
    assert answer.status_code == 200
    assert answer.json()["geometry"]["coordinates"] == [square]
    assert answer.json()["assets"] == 5  # the whole water street, and nothing of the others
    row = db.execute(
        "SELECT action, what, external_id, detail FROM inventory_history ORDER BY history_id DESC"
    ).fetchone()
    assert row == (
        "changed", "zone", "resilience-W-P1", {"status": ["suggested", "active"], "edited": ["geometry"]},
    )  # fmt: skip


def test_a_rejected_suggestion_never_comes_back(api: Api) -> None:
    post(api)
    assert post(api, "/resilience-W-P1/reject").json()["status"] == "rejected"
    told = {each["kind"]: each for each in post(api).json()}
    assert (told["resilience"]["found"], told["resilience"]["waiting"]) == (1, 0)
    assert "resilience-W-P1" not in waiting(api)


def test_what_is_decided_is_not_decided_again(api: Api) -> None:
    post(api)
    post(api, "/resilience-W-P1/accept")
    assert_problem(post(api, "/resilience-W-P1/reject"), 409)
    assert_problem(post(api, "/resilience-W-P1/accept"), 409)
    assert_problem(post(api, "/nothing/accept"), 404)
    post(api)
    assert "resilience-W-P1" not in waiting(api)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"kind": "dma"}),
        ("", {"least": 101}),
        ("", {"other": 1}),
        ("/resilience-W-P1/accept", {"geometry": {"type": "Point", "coordinates": [0, 0]}}),
        ("/resilience-W-P1/accept", {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}),
        ("/resilience-W-P1/accept", {"status": "active"}),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(path: str, body: dict[str, Any], api: Api) -> None:
    post(api)
    assert_problem(post(api, path, **body), 400)
    assert "resilience-W-P1" in waiting(api)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FIELD, Role.OPERATOR])
def test_only_engineers_decide(role: Role, api: Api) -> None:
    for path in ("", "/x/accept", "/x/reject"):
        assert_problem(post(api, path, role), 403)


def test_the_command_suggests_and_a_dry_run_stores_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_DATABASE_URL", api.dsn)
    monkeypatch.setenv("COLUMNS", "200")
    dry = CliRunner().invoke(app, ["zones", "suggest", "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "resilience-W-P1" in dry.output
    assert "nothing was stored" in dry.output
    assert waiting(api) == {}
    done = CliRunner().invoke(app, ["zones", "suggest", "--kind", "resilience"])
    assert "1 found, 1 wait for a decision" in done.output
    assert set(waiting(api)) == {"resilience-W-P1"}
    wrong = CliRunner().invoke(app, ["zones", "suggest", "--kind", "dma"])
    assert wrong.exit_code == 2
    assert datetime.now(UTC) > datetime.fromisoformat(waiting(api)["resilience-W-P1"]["updated_at"])
