"""Drills through the API: asked for by operators, run by nobody here, read by everybody who may look."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifeline.drills.document import after_action_report
from lifeline.drills.plan import Plan, Team
from lifeline.drills.review import Material, review
from lifeline.model import Role
from lifeline.scoring import Score
from lifeline.storage import drills, endpoints, health
from lifeline.storage.database import connect
from lifeline.storage.drills import DrillState
from tests.api_process import Api, running_api
from tests.integration.town import empty

TEAM = {"name": "值班 Duty", "endpoint": "crew", "tasks": [{"text": "确认 Confirm", "step": "confirmed"}]}


@pytest.fixture(scope="module")
def served(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        endpoints.add(connection, "crew", "https://crew.example.org/", datetime.now(UTC))
        drills.keep_scenarios(connection, {"burst": "爆管 A burst main"})
    with running_api(database_dsn, LIFELINE_MESSAGE_STATUS="Exercise") as api:
        yield api
    empty(database_dsn)


@pytest.fixture
def supervised(served: Api) -> Api:
    """Somebody is here who would run a drill."""
    with connect(served.dsn) as connection:
        health.beat(connection, "drills", "here:1", datetime.now(UTC), {})
    return served


def ask(api: Api, role: Role = Role.OPERATOR, **wanted: Any) -> Any:
    return api.call("POST", "/api/v1/drills", role, json={"scenario": "burst", "teams": [TEAM], **wanted})


def test_no_drill_is_taken_where_nobody_would_run_it(served: Api) -> None:
    with connect(served.dsn) as connection:
        health.beat(connection, "drills", "here:1", datetime.now(UTC) - timedelta(minutes=1), {})
    refused = ask(served)
    assert refused.status_code == 409
    assert "lifeline up" in refused.json()["detail"]
    assert served.get("/api/v1/drills").json() == {"items": [], "next": None, "supervised": False}


def test_a_drill_is_asked_for_and_stopped_and_its_report_is_read(supervised: Api) -> None:
    asked = ask(supervised, lasts_s=600, starts_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert asked.status_code == 202, asked.text
    path = asked.headers["Location"]
    found = supervised.get(path).json()
    assert (found["state"], found["plan"]["lasts_s"], found["report"]) == ("planned", 600.0, None)
    assert found["plan"]["teams"][0]["tasks"][0]["step"] == "confirmed"
    assert supervised.get(f"{path}/report.pdf").status_code == 404
    listed = supervised.get("/api/v1/drills").json()
    assert listed["supervised"]
    assert [each["id"] for each in listed["items"]] == [found["id"]]
    assert supervised.call("POST", f"{path}/stop", Role.OPERATOR).json()["state"] == "cancelled"
    assert supervised.call("POST", f"{path}/stop", Role.OPERATOR).status_code == 409
    assert [event["action"] for event in supervised.get(path).json()["events"]] == ["planned", "cancelled"]


def test_only_an_engineer_keeps_the_copy_of_the_city(supervised: Api) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    refused = ask(supervised, keep=True, starts_at=later)
    assert (refused.status_code, "engineers" in refused.json()["detail"]) == (403, True)
    kept = ask(supervised, Role.ENGINEER, keep=True, starts_at=later)
    assert kept.status_code == 202, kept.text
    assert supervised.call("POST", f"{kept.headers['Location']}/stop", Role.OPERATOR).status_code == 200


def test_who_asks_for_a_drill_and_who_stops_it_is_noted(supervised: Api) -> None:
    plan = {"scenario": "burst", "teams": [TEAM], "day": 3, "at": "09:00"}
    (made,) = supervised.call("POST", "/api/v1/drills/schedules", Role.ENGINEER, json=plan).json()
    supervised.call("POST", f"/api/v1/drills/schedules/{made['id']}/stop", Role.ENGINEER)
    asked = ask(supervised, starts_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    supervised.call("POST", f"{asked.headers['Location']}/stop", Role.OPERATOR)
    with connect(supervised.dsn) as connection:
        noted = connection.execute(
            "SELECT what, action FROM audit WHERE what IN ('drill', 'drill_schedule') AND id IN (%s, %s)"
            " ORDER BY audit_id DESC LIMIT 4",
            [str(made["id"]), str(asked.json()["id"])],
        ).fetchall()
    assert noted[::-1] == [
        ("drill_schedule", "insert"), ("drill_schedule", "update"), ("drill", "insert"), ("drill", "update"),
    ]  # fmt: skip


def test_the_report_of_a_drill_is_there_as_json_and_pdf(supervised: Api) -> None:
    now = datetime.now(UTC)
    plan = Plan("burst", (Team("值班 Duty"),))
    report = review(Material(plan, Score([], [], []), [], [], [], {}, now - timedelta(hours=1), now))
    pdf = after_action_report(report, "burst", UTC, now)
    with connect(supervised.dsn) as connection:
        number = drills.plan(connection, plan.to_json(), "ann", now, now)
        drills.finish(connection, number, DrillState.DONE, now, report=report, pdf=pdf)
    got = supervised.get(f"/api/v1/drills/{number}/report.pdf")
    assert (got.headers["content-type"], got.content) == ("application/pdf", pdf)
    assert f"drill-{number}.pdf" in got.headers["content-disposition"]
    assert supervised.get(f"/api/v1/drills/{number}").json()["report"] == report


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"scenario": "earthquake"}, "there is no scenario 'earthquake'; there are burst"),
        ({"teams": [{**TEAM, "endpoint": "mayor"}]}, "there is no endpoint mayor"),
        ({"teams": [{"name": "a", "tasks": [{"text": "t", "step": "flown"}]}]}, "team 1, task 1: step 'flown'"),
        ({"starts_at": "2026-11-22T10:00:00"}, "time zone"),
    ],
)
def test_a_drill_that_makes_no_sense_is_refused_with_the_reason(
    supervised: Api, wanted: dict[str, Any], words: str
) -> None:
    refused = ask(supervised, **wanted)
    assert refused.status_code == 400
    assert words in refused.json()["detail"]


@pytest.mark.parametrize("scenario", ["/etc/passwd.toml", "../burst.toml", "", "a" * 70])
def test_the_api_takes_no_file_of_the_servers_as_a_scenario(supervised: Api, scenario: str) -> None:
    assert ask(supervised, scenario=scenario).status_code in (400, 422)


def test_a_monthly_drill_is_scheduled_by_engineers_and_ended(supervised: Api) -> None:
    wanted = {"scenario": "burst", "teams": [TEAM], "day": 15, "at": "14:30"}
    assert supervised.call("POST", "/api/v1/drills/schedules", Role.OPERATOR, json=wanted).status_code == 403
    (made,) = supervised.call("POST", "/api/v1/drills/schedules", Role.ENGINEER, json=wanted).json()
    assert (made["day"], made["at"]) == (15, "14:30:00")
    moment = datetime.fromisoformat(made["next_at"])
    assert (moment.day, moment.hour, moment.minute) == (15, 6, 30)  # 14:30 in Shanghai
    assert supervised.get("/api/v1/drills/schedules").json()[0]["id"] == made["id"]
    path = f"/api/v1/drills/schedules/{made['id']}/stop"
    assert supervised.call("POST", path, Role.ENGINEER).json() == []
    assert supervised.call("POST", path, Role.ENGINEER).status_code == 404


def test_an_exercise_says_so_in_its_catalogue(served: Api) -> None:
    assert served.get("/api/v1/catalogue").json()["status"] == "Exercise"
    assert served.get("/api/v1/drills/scenarios").json() == [{"name": "burst", "title": "爆管 A burst main"}]
