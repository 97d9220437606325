"""What administrators and engineers set through the API: rules, endpoints and escalation, as a client sees it."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.rules import AnyRule
from lifeline.model import Role
from lifeline.storage import endpoints, outbox, rulebook
from lifeline.storage.database import Connection
from tests.api_process import Api
from tests.integration.asking import assert_problem, get, group, in_hours, post
from tests.integration.city import count
from tests.integration.town import open_alert

SOON = timedelta(hours=3)


pytestmark = pytest.mark.usefixtures("rules")


# ---------------------------------------------------------------------------------------------------------------- rules


def proposal(**more: Any) -> dict[str, Any]:
    return {
        "rule": "methane.level",
        "scope": "zone",
        "target": "Z",
        "limits": {"yellow": 2.0, "red": 3.0},
        **more,
    }


def test_rules_are_read_with_their_version_and_what_holds_where(api: Api, rules: list[AnyRule], db: Connection) -> None:
    found = {each["rule"]: each for each in get(api, "rules")["items"]}
    assert len(found) == len(rules)
    one = get(api, "rules/methane.level")
    assert one["version"] == found["methane.level"]["version"]
    assert set(one["content"]["title"]) == {"en", "zh"}
    assert (one["overrides"], one["changes"]) == ([], [])
    assert_problem(api.get("/api/v1/rules/none"), 404)


def test_a_change_is_proposed_judged_accepted_and_undone_and_all_of_it_is_kept(api: Api, db: Connection) -> None:
    asked = post(api, "rule-proposals", proposal(note="two false a week"), Role.ENGINEER, 202)
    assert (asked["state"], asked["effect"], asked["days"]) == ("waiting", None, 7)
    path = f"rule-proposals/{asked['id']}"
    assert_problem(api.call("POST", f"/api/v1/{path}/accept", Role.ENGINEER), 409)
    rulebook.answer(db, asked["id"], {"before": {"alerts": 9}, "after": {"alerts": 1}}, datetime.now(UTC))
    assert get(api, path)["effect"]["after"] == {"alerts": 1}
    accepted = post(api, f"{path}/accept", {"note": "agreed"}, Role.ENGINEER)
    assert (accepted["state"], accepted["decision_note"]) == ("accepted", "agreed")
    assert_problem(api.call("POST", f"/api/v1/{path}/reject", Role.ENGINEER), 409)
    (standing,) = get(api, "rule-overrides")["items"]
    assert (standing["target"], standing["limits"]) == ("Z", {"yellow": 2.0, "red": 3.0})
    undo = post(api, "rule-proposals", proposal(action="remove", limits=None), Role.ENGINEER, 202)
    assert undo["before"] == {"limits": {"yellow": 2.0, "red": 3.0}}
    rulebook.answer(db, undo["id"], {}, datetime.now(UTC))
    post(api, f"rule-proposals/{undo['id']}/accept", None, Role.ENGINEER)
    rule = get(api, "rules/methane.level")
    assert rule["overrides"] == []
    assert [(each["before"] is None, each["after"] is None) for each in rule["changes"]] == [
        (False, True),
        (True, False),
    ]


def test_proposals_are_listed_page_by_page_and_by_their_state(api: Api, db: Connection) -> None:
    ids = [post(api, "rule-proposals", proposal(limits={"red": 3.0 + n}), Role.ENGINEER, 202)["id"] for n in range(3)]
    first = get(api, "rule-proposals?limit=2")
    assert [each["id"] for each in first["items"]] == ids[:0:-1]
    rest = get(api, f"rule-proposals?limit=2&after={first['next']}")
    assert ([each["id"] for each in rest["items"]], rest["next"]) == (ids[:1], None)
    post(api, f"rule-proposals/{ids[1]}/reject", {"note": "no"}, Role.ENGINEER)
    assert [each["id"] for each in get(api, "rule-proposals?state=rejected")["items"]] == [ids[1]]
    assert get(api, "rule-proposals?rule=none")["items"] == []


NONSENSE_4: list[Any] = [
    (proposal(rule="none"), 404),
    (proposal(target="Y"), 404),
    (proposal(scope="asset", target="K-9"), 404),
    (proposal(scope="planet"), 400),
    (proposal(limits=None), 409),
    (proposal(limits={}), 409),
    (proposal(limits={"purple": 1.0}), 409),
    (proposal(limits={"red": 1.0, "yellow": 2.0}), 409),
    (proposal(limits={"red": "high"}), 400),
    (proposal(action="off"), 409),
    (proposal(action="remove", limits=None), 409),
    (proposal(days=0), 400),
    (proposal(days=91), 400),
    (proposal(note="a\0b"), 400),
    (proposal(target=""), 400),
    (proposal(more=1), 400),
]


def test_a_proposal_that_makes_no_sense_is_refused(api: Api, db: Connection) -> None:
    for body, status in NONSENSE_4:
        assert_problem(api.call("POST", "/api/v1/rule-proposals", Role.ENGINEER, json=body), status)
        assert count(db, "rule_proposal") == 0


def test_the_nightly_report_is_read_by_day(api: Api, db: Connection) -> None:
    assert get(api, "precision") == {"day": None, "items": []}
    db.execute(
        """INSERT INTO precision_report
        VALUES ('2026-11-20', 'methane.level', 'gas', '', 9, 3, 1, now()),
               ('2026-11-21', 'methane.level', 'gas', 'Z', 4, 0, 0, now())"""
    )
    newest = get(api, "precision")
    assert (newest["day"], newest["items"][0]["precision"]) == ("2026-11-21", None)
    assert get(api, "precision?day=2026-11-20")["items"][0]["precision"] == 0.75


# --------------------------------------------------------------------------------------------- endpoints and deliveries


def endpoint(**more: Any) -> dict[str, Any]:
    return {"name": "crew", "url": "https://crew.example/hook", **more}


def test_an_endpoint_is_added_with_its_secret_shown_once_and_changed_and_switched_off(api: Api, db: Connection) -> None:
    pacing = {"quiet_from": "22:00", "quiet_until": "06:30", "repeat_s": 600}
    made = post(
        api,
        "endpoints",
        endpoint(networks=["gas"], zones=["Z"], worst_level="orange", pacing=pacing),
        Role.ADMIN,
        201,
    )
    assert made["secret"].startswith("whsec_")
    assert (made["scope"], made["pacing"]["quiet_zone"]) == ("incident", "Asia/Shanghai")
    seen = get(api, "endpoints/crew", Role.OPERATOR)
    assert "secret" not in seen
    assert {**seen, "secret": made["secret"]} == made
    body = {"url": "https://crew.example/new", "scope": "alert", "events": ["alert.raised"], "format": "cloudevents"}
    changed = api.call("PUT", "/api/v1/endpoints/crew", Role.ADMIN, json=body).json()
    assert (changed["url"], changed["scope"], changed["events"], changed["networks"]) == (
        "https://crew.example/new",
        "alert",
        ["alert.raised"],
        None,
    )
    off = api.call("DELETE", "/api/v1/endpoints/crew", Role.ADMIN).json()
    assert (off["enabled"], off["disabled_reason"][:3]) == (False, "by ")
    assert post(api, "endpoints/crew/enable", None, Role.ADMIN)["enabled"] is True
    rotated = post(api, "endpoints/crew/rotate", {"overlap_hours": 1}, Role.ADMIN)
    assert rotated["secret"] != made["secret"]
    row = db.execute("SELECT e.secret, o.secret FROM endpoint e JOIN endpoint_secret o USING (endpoint_id)").fetchone()
    assert row == (rotated["secret"], made["secret"])


NONSENSE_5: list[Any] = [
    (endpoint(url="ftp://crew.example"), 400),
    (endpoint(url="https://user:pass@crew.example"), 400),
    (endpoint(url="https://crew.example/#x"), 400),
    (endpoint(url="a\0b"), 400),
    (endpoint(name=""), 400),
    (endpoint(name="x" * 65), 400),
    (endpoint(format="chat"), 400),
    (endpoint(scope="galaxy"), 400),
    (endpoint(networks=["sea"]), 400),
    (endpoint(kinds=[]), 400),
    (endpoint(worst_level="purple"), 400),
    (endpoint(pacing={"quiet_from": "22:00"}), 400),
    (endpoint(pacing={"quiet_from": "22:00", "quiet_until": "22:00"}), 400),
    (endpoint(pacing={"quiet_zone": "Mars/Olympus"}), 400),
    (endpoint(pacing={"group_by": ["colour"]}), 400),
    (endpoint(pacing={"repeat_s": 5}), 400),
    (endpoint(format="cap", pacing={"group_wait_s": 30}), 400),
    (endpoint(secret="mine"), 400),
]


def test_an_endpoint_that_makes_no_sense_is_refused(api: Api, db: Connection) -> None:
    for body, status in NONSENSE_5:
        assert_problem(api.call("POST", "/api/v1/endpoints", Role.ADMIN, json=body), status)
        assert count(db, "endpoint") == 0


def test_a_name_that_is_taken_and_one_that_is_not_there_are_told_apart(api: Api) -> None:
    post(api, "endpoints", endpoint(), Role.ADMIN, 201)
    assert_problem(api.call("POST", "/api/v1/endpoints", Role.ADMIN, json=endpoint()), 409)
    body = {"url": "https://crew.example/new"}
    assert_problem(api.call("PUT", "/api/v1/endpoints/none", Role.ADMIN, json=body), 404)
    for act in ("test", "enable", "rotate"):
        assert_problem(api.call("POST", f"/api/v1/endpoints/none/{act}", Role.ADMIN), 404)


def test_a_chat_channel_is_not_changed_into_something_else(api: Api, db: Connection) -> None:
    endpoints.add(
        db,
        "talk",
        "dingtalk://...",
        datetime.now(UTC),
        format="chat",
        channel="dingtalk://token/",
    )
    body = {"url": "https://crew.example/new"}
    assert_problem(api.call("PUT", "/api/v1/endpoints/talk", Role.ADMIN, json=body), 409)
    assert_problem(api.call("POST", "/api/v1/endpoints/talk/rotate", Role.ADMIN), 404)


def test_a_test_message_is_seen_in_the_delivery_log_and_replayed_under_its_id(api: Api, db: Connection) -> None:
    post(api, "endpoints", endpoint(), Role.ADMIN, 201)
    message = post(api, "endpoints/crew/test", {"note": "hello"}, status=202)["message"]
    (line,) = get(api, "deliveries", Role.OPERATOR)["items"]
    assert (line["message"], line["type"], line["state"], line["log"]) == (message, "endpoint.test", "pending", [])
    outbox.record(
        db,
        line["id"],
        datetime.now(UTC),
        state=outbox.DeliveryState.FAILED,
        status_code=500,
        error="HTTP 500",
        duration_ms=12,
        next_attempt_at=None,
    )
    (line,) = get(api, "deliveries?state=failed&endpoint=crew", Role.OPERATOR)["items"]
    assert [(each["status_code"], each["error"]) for each in line["log"]] == [(500, "HTTP 500")]
    assert post(api, "endpoints/crew/replay", {"message": message}, status=202) == {"again": 1}
    (line,) = get(api, "deliveries", Role.OPERATOR)["items"]
    assert (line["state"], line["message"], len(line["log"])) == ("pending", message, 1)
    body = {"since": in_hours(-1), "failed_only": True}
    assert post(api, "endpoints/crew/replay", body, status=202) == {"again": 0}
    for wrong in ({}, {"message": message, "since": in_hours(-1)}):
        assert_problem(api.call("POST", "/api/v1/endpoints/crew/replay", Role.OPERATOR, json=wrong), 400)
    unknown = {"message": f"msg_{uuid.uuid4().hex}"}
    assert_problem(api.call("POST", "/api/v1/endpoints/crew/replay", Role.OPERATOR, json=unknown), 404)


def test_deliveries_are_found_by_alert_and_incident_page_by_page(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    post(api, "endpoints", endpoint(scope="alert"), Role.ADMIN, 201)
    post(api, "endpoints", endpoint(name="duty"), Role.ADMIN, 201)
    alert = open_alert(db, town["gas"])
    incident = group(db)
    with db.transaction():
        outbox.fan_out(db, datetime.now(UTC))
    (by_alert,) = get(api, f"deliveries?alert={alert.alert_id}", Role.OPERATOR)["items"]
    (by_incident,) = get(api, f"deliveries?incident={incident}", Role.OPERATOR)["items"]
    assert (by_alert["endpoint"], by_alert["type"]) == ("crew", "alert.raised")
    assert (by_incident["endpoint"], by_incident["type"]) == ("duty", "incident.opened")
    first = get(api, "deliveries?limit=1", Role.OPERATOR)
    rest = get(api, f"deliveries?limit=1&after={first['next']}", Role.OPERATOR)
    assert {first["items"][0]["id"], rest["items"][0]["id"]} == {by_alert["id"], by_incident["id"]}
    assert rest["next"] is None


def test_chains_are_built_and_taken_apart(api: Api) -> None:
    post(api, "endpoints", endpoint(), Role.ADMIN, 201)
    stage = {"endpoint": "crew", "level": "orange", "after_s": 300, "network": "gas", "team": "gas 2"}
    made = post(api, "escalations", stage, Role.ADMIN, 201)
    assert {name: made[name] for name in stage} == stage
    assert get(api, "escalations", Role.OPERATOR)["items"] == [made]
    assert_problem(api.call("POST", "/api/v1/escalations", Role.ADMIN, json=stage), 409)
    assert_problem(api.call("POST", "/api/v1/escalations", Role.ADMIN, json={**stage, "endpoint": "none"}), 404)
    for wrong in ({"after_s": 0}, {"level": "purple"}, {"team": ""}, {"more": 1}):
        assert_problem(api.call("POST", "/api/v1/escalations", Role.ADMIN, json={**stage, **wrong}), 400)
    assert api.call("DELETE", f"/api/v1/escalations/{made['id']}", Role.ADMIN).status_code == 204
    assert_problem(api.call("DELETE", f"/api/v1/escalations/{made['id']}", Role.ADMIN), 404)
