"""What people do through the API, to alerts, incidents, planned work, rules and endpoints, as a client sees it."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts import review
from alerts.casebook import Casebook
from alerts.causes import load_causes
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Alert, Level, Role
from lifeline.storage import endpoints, outbox, rulebook
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api
from tests.integration.city import count
from tests.integration.test_api import assert_problem
from tests.integration.town import build, empty, open_alert

RULES = load_rules(shipped_catalogue(), 3600.0)
SOON = timedelta(hours=3)


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    with running_api(database_dsn) as process:
        yield process


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    with connect(api.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def town(api: Api) -> dict[str, int]:
    """Sensor ids by network."""
    api.keys.clear()
    empty(api.dsn)
    with connect(api.dsn) as connection:
        found = build(connection)
        connection.execute(
            """INSERT INTO zone (external_id, kind, geometry, west, south, east, north)
            VALUES ('Z', 'district', '{"type": "Polygon", "coordinates": []}', 0, 0, 1, 1)"""
        )
        rulebook.publish(connection, review.lines(RULES, datetime.now(UTC)))
        return found


def post(api: Api, path: str, body: Any = None, role: Role = Role.OPERATOR, status: int = 200) -> Any:
    answer = api.call("POST", f"/api/v1/{path}", role, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def get(api: Api, path: str, role: Role = Role.VIEWER) -> Any:
    answer = api.get(f"/api/v1/{path}", role)
    assert answer.status_code == 200, answer.text
    return answer.json()


def state(api: Api, alert: Alert) -> str:
    return str(get(api, f"alerts/{alert.alert_id}")["state"])


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def group(db: Connection) -> int:
    """The tick's grouping; the id of the one open incident."""
    with db.transaction():
        Casebook(load_causes()).update(db, datetime.now(UTC))
    row = db.execute("SELECT incident_id FROM incident WHERE closed_at IS NULL").fetchone()
    assert row is not None
    return int(row[0])


# -------------------------------------------------------------------------------------------------------------- alerts


def test_an_alert_is_shelved_until_a_time_and_taken_from_the_shelf(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    alert = open_alert(db, town["gas"])
    until = in_hours(5)
    post(api, f"alerts/{alert.alert_id}/shelve", {"until": until, "note": "valve work", "version": 1})
    assert state(api, alert) == "SHLVD"
    kept = db.execute("SELECT shelved_until FROM alert").fetchone()
    assert kept == (datetime.fromisoformat(until),)
    post(api, f"alerts/{alert.alert_id}/unshelve", {"note": "done"})
    assert state(api, alert) == "UNACK"
    actions = [entry["action"] for entry in get(api, f"alerts/{alert.alert_id}")["history"]]
    assert actions == ["raised", "shelved", "unshelved"]


def test_without_a_time_an_alert_is_on_the_shelf_for_two_hours(api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    post(api, f"alerts/{alert.alert_id}/shelve")
    row = db.execute("SELECT shelved_until - updated_at FROM alert").fetchone()
    assert row == (timedelta(hours=2),)


@pytest.mark.parametrize(
    ("hours", "status"),
    [
        (-1, 409),
        (0, 409),
        (7 * 24 + 1, 409),
        (7 * 24 - 1, 200),
        (0.01, 200),
    ],
)
def test_nothing_is_shelved_into_the_past_or_for_ever(
    api: Api, town: dict[str, int], db: Connection, hours: float, status: int
) -> None:
    alert = open_alert(db, town["gas"])
    answer = api.call("POST", f"/api/v1/alerts/{alert.alert_id}/shelve", Role.OPERATOR, json={"until": in_hours(hours)})
    assert answer.status_code == status


def test_who_acts_on_what_has_changed_since_is_refused_and_nothing_happens(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    alert = open_alert(db, town["gas"])
    number = alert.alert_id
    assert_problem(api.call("POST", f"/api/v1/alerts/{number}/shelve", Role.OPERATOR, json={"version": 9}), 409)
    assert_problem(api.call("POST", f"/api/v1/alerts/{number}/unshelve", Role.OPERATOR), 409)
    wrong = {"step": "confirmed", "version": 4}
    assert_problem(api.call("POST", f"/api/v1/alerts/{number}/steps", Role.FIELD, json=wrong), 409)
    wrong = {"assignee": "li", "version": 4}
    assert_problem(api.call("POST", f"/api/v1/alerts/{number}/assign", Role.OPERATOR, json=wrong), 409)
    assert count(db, "alert_history") == 1
    assert count(db, "response_history") == 0


def test_out_of_service_is_a_window_on_the_sensor_and_its_rule(api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    window = post(api, f"alerts/{alert.alert_id}/out-of-service", {"note": "sensor exchanged"}, status=201)
    assert (window["sensor"], window["rule"], window["ends_at"]) == (town["gas"], alert.rule, None)
    assert get(api, "maintenance-windows")["items"] == [window]


def test_the_whole_response_is_taken_step_by_step_with_its_deadlines(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    alert = open_alert(db, town["gas"])
    path = f"alerts/{alert.alert_id}"
    begun = get(api, f"{path}/response")
    assert (begun["step"], begun["version"], begun["next"]) == ("received", 0, ["confirmed", "false_alarm"])
    due = datetime.fromisoformat(begun["due_at"]) - datetime.fromisoformat(begun["since"])
    assert due == timedelta(minutes=5), "red"
    for step, following in (
        ("confirmed", ["dispatched", "false_alarm"]),
        ("dispatched", ["on_site", "false_alarm"]),
        ("on_site", ["handled", "false_alarm"]),
        ("handled", ["fed_back"]),
    ):
        now = post(api, f"{path}/steps", {"step": step, "team": "gas 2", "note": f"{step}!"}, Role.FIELD)
        assert (now["step"], now["next"], now["team"]) == (step, following, "gas 2")
    now = post(api, f"{path}/feedback", {"genuine": True, "cause": "joint", "note": "resealed"}, Role.FIELD)
    assert (now["step"], now["next"]) == ("fed_back", ["archived"])
    assert_problem(api.call("POST", f"/api/v1/{path}/steps", Role.FIELD, json={"step": "archived"}), 409)
    assert [each["to_step"] for each in now["history"]] == [
        "confirmed",
        "dispatched",
        "on_site",
        "handled",
        "fed_back",
    ]
    assert state(api, alert) == "ACKED", "who confirms has acknowledged"
    assert count(db, "feedback WHERE genuine AND cause = 'joint'") == 1


def test_a_person_and_a_team_are_assigned_and_notes_are_kept(api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    path = f"alerts/{alert.alert_id}"
    now = post(api, f"{path}/assign", {"assignee": "赵", "team": "gas 2", "note": "on shift"})
    assert (now["assignee"], now["team"], now["step"], now["version"]) == ("赵", "gas 2", "received", 1)
    now = post(api, f"{path}/assign", {"assignee": "钱"})
    assert (now["assignee"], now["team"]) == ("钱", "gas 2")
    now = post(api, f"{path}/notes", {"note": "smell at the kiosk"}, Role.FIELD)
    assert [(each["action"], each["note"]) for each in now["history"]] == [
        ("assigned", "to 赵: on shift"),
        ("assigned", "to 钱"),
        ("note", "smell at the kiosk"),
    ]


# ------------------------------------------------------------------------------------------------------------ in bulk


def test_a_bulk_act_does_what_it_can_and_says_of_the_rest_why_not(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    one, two = open_alert(db, town["gas"]), open_alert(db, town["water"], Level.BLUE, rule="pressure.low")
    post(api, f"alerts/{two.alert_id}/acknowledge", role=Role.FIELD)
    done = post(api, "alerts/bulk", {"action": "acknowledge", "ids": [one.alert_id, two.alert_id, 4711, one.alert_id]})
    assert done["done"] == [one.alert_id]
    assert done["refused"] == [
        {"id": two.alert_id, "why": f"alert {two.alert_id} is ACKED: acknowledge is not possible"},
        {"id": 4711, "why": "there is no alert 4711"},
    ]


@pytest.mark.parametrize(
    ("body", "states"),
    [
        ({"action": "shelve"}, {"SHLVD"}),
        ({"action": "acknowledge", "note": "seen"}, {"ACKED"}),
        ({"action": "note", "note": "storm"}, {"UNACK"}),
        ({"action": "feed_back", "genuine": False, "cause": "rain"}, {"UNACK"}),
    ],
)
def test_each_bulk_act_reaches_every_alert(
    api: Api, town: dict[str, int], db: Connection, body: dict[str, Any], states: set[str]
) -> None:
    several = [open_alert(db, sensor) for sensor in town.values()]
    ids = [alert.alert_id for alert in several]
    assert post(api, "alerts/bulk", {**body, "ids": ids}) == {"done": ids, "refused": []}
    assert {state(api, alert) for alert in several} == states
    if body["action"] == "shelve":
        assert post(api, "alerts/bulk", {"action": "unshelve", "ids": ids})["done"] == ids
        assert {state(api, alert) for alert in several} == {"UNACK"}
        assert count(db, "alert WHERE shelved_until IS NULL") == 3


NONSENSE_1: list[Any] = [
    {},
    {"action": "acknowledge"},
    {"action": "acknowledge", "ids": []},
    {"action": "acknowledge", "ids": [0]},
    {"action": "acknowledge", "ids": ["x"]},
    {"action": "acknowledge", "ids": [2**63]},
    {"action": "acknowledge", "ids": list(range(1, 502))},
    {"action": "acknowledge", "ids": [1], "until": "2030-01-01T00:00:00Z"},
    {"action": "acknowledge", "ids": [1], "genuine": True},
    {"action": "feed_back", "ids": [1]},
    {"action": "delete", "ids": [1]},
    {"action": "shelve", "ids": [1], "until": "tomorrow"},
    {"action": "shelve", "ids": [1], "until": "2030-01-01T00:00:00"},
    {"action": "note", "ids": [1], "note": "x" * 2001},
    {"action": "note", "ids": [1], "note": "a\0b"},
    {"action": "note", "ids": [1], "more": 1},
]


def test_a_bulk_act_that_makes_no_sense_is_refused_as_a_whole(api: Api) -> None:
    for body in NONSENSE_1:
        assert_problem(api.call("POST", "/api/v1/alerts/bulk", Role.OPERATOR, json=body), 400)


# ----------------------------------------------------------------------------------------------------------- incidents


def test_an_incident_is_acknowledged_shelved_and_brought_back_as_a_whole(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    first = open_alert(db, town["gas"])
    second = open_alert(db, town["gas"], rule="methane.rise")
    incident = group(db)
    shelved = post(api, f"incidents/{incident}/shelve", {"until": in_hours(1), "note": "known"})
    assert shelved["incident"] == incident
    assert (state(api, first), state(api, second)) == ("SHLVD", "SHLVD")
    assert_problem(api.call("POST", f"/api/v1/incidents/{incident}/shelve", Role.OPERATOR), 409)
    assert count(db, "outbox WHERE event_type = 'incident.shelved'") == 1
    post(api, f"incidents/{incident}/unshelve")
    post(api, f"incidents/{incident}/acknowledge", {"note": "on it"}, Role.FIELD)
    assert (state(api, first), state(api, second)) == ("ACKED", "ACKED")
    assert_problem(api.call("POST", f"/api/v1/incidents/{incident}/acknowledge", Role.FIELD), 409)
    group(db)
    whole = get(api, f"incidents/{incident}")
    assert whole["unattended_since"] is None
    assert whole["acknowledged_by"]
    assert [entry["action"] for entry in whole["history"]] == ["opened", "acknowledged"]


def test_what_is_done_to_an_incident_is_seen_at_each_of_its_alerts(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    first = open_alert(db, town["gas"])
    second = open_alert(db, town["gas"], rule="methane.rise")
    incident = group(db)
    post(api, f"incidents/{incident}/steps", {"step": "confirmed", "team": "gas 2"}, Role.FIELD)
    post(api, f"incidents/{incident}/assign", {"assignee": "赵"})
    post(api, f"incidents/{incident}/notes", {"note": "road closed"}, Role.FIELD)
    seen = [get(api, f"alerts/{alert.alert_id}/response") for alert in (first, second)]
    seen.append(get(api, f"incidents/{incident}/response"))
    assert seen[0] == seen[1] == seen[2]
    assert (seen[0]["step"], seen[0]["assignee"], seen[0]["team"]) == ("confirmed", "赵", "gas 2")
    post(api, f"incidents/{incident}/feedback", {"genuine": True, "cause": "leak"}, Role.FIELD)
    assert count(db, "feedback WHERE genuine") == 2


def test_an_incident_that_has_changed_since_is_not_shelved(api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    incident = group(db)
    answer = api.call("POST", f"/api/v1/incidents/{incident}/shelve", Role.OPERATOR, json={"version": 7})
    assert_problem(answer, 409)
    assert state(api, alert) == "UNACK"


NONSENSE_2: list[Any] = [
    ("shelve", {"until": "soon"}),
    ("shelve", {"hours": 2}),
    ("unshelve", {"note": None}),
    ("steps", {}),
    ("steps", {"step": "sleep"}),
    ("steps", {"step": "confirmed", "team": "x" * 81}),
    ("steps", {"step": "confirmed", "version": -1}),
    ("steps", {"step": "confirmed", "note": "a\0"}),
    ("assign", {"assignee": 7}),
    ("assign", {"assignee": "x" * 81}),
    ("notes", {}),
    ("notes", {"note": ""}),
    ("notes", {"note": "x" * 2001}),
    ("feedback", {}),
    ("feedback", {"genuine": "perhaps"}),
    ("feedback", {"genuine": True, "cause": "x" * 81}),
]


def test_a_body_that_makes_no_sense_is_refused_on_alerts_and_incidents_alike(api: Api) -> None:
    for act, body in NONSENSE_2:
        for what in ("alerts", "incidents"):
            assert_problem(api.call("POST", f"/api/v1/{what}/1/{act}", Role.OPERATOR, json=body), 400)


# --------------------------------------------------------------------------------------------------------- planned work


@pytest.mark.parametrize(
    "about",
    [
        {"network": "gas"},
        {"zone": "Z"},
        {"asset": "G-C0"},
        {"rule": "methane.level"},
        {"network": "gas", "zone": "Z", "asset": "G-C0", "rule": "methane.level"},
    ],
)
def test_work_is_planned_changed_and_ended(api: Api, about: dict[str, str]) -> None:
    begins, ends = in_hours(1), in_hours(4)
    window = post(
        api,
        "maintenance-windows",
        {**about, "begins_at": begins, "ends_at": ends, "reason": "valve work"},
        status=201,
    )
    assert {name: window[name] for name in about} == about
    assert get(api, f"maintenance-windows/{window['id']}") == window
    later = in_hours(9)
    path = f"/api/v1/maintenance-windows/{window['id']}"
    changed = api.call("PATCH", path, Role.OPERATOR, json={"ends_at": later, "reason": "rain"}).json()
    assert datetime.fromisoformat(changed["ends_at"]) == datetime.fromisoformat(later)
    assert changed["reason"] == "rain"
    changed = api.call("PATCH", path, Role.OPERATOR, json={"ends_at": None}).json()
    assert (changed["ends_at"], changed["reason"]) == (None, "rain")
    ended = api.call("DELETE", path, Role.OPERATOR).json()
    assert ended["ended_by"] is not None
    assert_problem(api.call("DELETE", path, Role.OPERATOR), 404)
    assert_problem(api.call("PATCH", path, Role.OPERATOR, json={"reason": "late"}), 409)


NONSENSE_3: list[Any] = [
    ({}, 409),
    ({"network": "sea"}, 400),
    ({"zone": "Y"}, 404),
    ({"asset": "K-9"}, 404),
    ({"sensor": 4711}, 404),
    ({"sensor": 0}, 400),
    ({"network": "gas", "ends_at": "2020-01-01T00:00:00Z"}, 409),
    ({"network": "gas", "begins_at": "2035-01-02T00:00:00Z", "ends_at": "2035-01-01T00:00:00Z"}, 409),
    ({"network": "gas", "begins_at": "2035-01-02"}, 400),
    ({"network": "gas", "reason": "x" * 2001}, 400),
    ({"network": "gas", "colour": "red"}, 400),
    ({"network": ""}, 400),
    ({"rule": "a\0b"}, 400),
]


def test_work_that_makes_no_sense_is_refused(api: Api) -> None:
    for body, status in NONSENSE_3:
        assert_problem(api.call("POST", "/api/v1/maintenance-windows", Role.OPERATOR, json=body), status)
        assert get(api, "maintenance-windows")["items"] == []


def test_past_work_is_listed_where_it_is_asked_for(api: Api) -> None:
    window = post(api, "maintenance-windows", {"zone": "Z"}, status=201)
    api.call("DELETE", f"/api/v1/maintenance-windows/{window['id']}", Role.OPERATOR)
    assert get(api, "maintenance-windows")["items"] == []
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+", "%2B")
    assert [each["id"] for each in get(api, f"maintenance-windows?since={since}")["items"]] == [window["id"]]


# ---------------------------------------------------------------------------------------------------------------- rules


def proposal(**more: Any) -> dict[str, Any]:
    return {
        "rule": "methane.level",
        "scope": "zone",
        "target": "Z",
        "limits": {"yellow": 2.0, "red": 3.0},
        **more,
    }


def test_rules_are_read_with_their_version_and_what_holds_where(api: Api, db: Connection) -> None:
    found = {each["rule"]: each for each in get(api, "rules")["items"]}
    assert len(found) == len(RULES)
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


# ---------------------------------------------------------------------------------------------------------- performance


def test_alarm_performance_is_told_of_any_period(api: Api, town: dict[str, int], db: Connection) -> None:
    for sensor in town.values():
        alert = open_alert(db, sensor)
        post(api, f"alerts/{alert.alert_id}/acknowledge", role=Role.FIELD)
        post(api, f"alerts/{alert.alert_id}/feedback", {"genuine": sensor == town["gas"]}, Role.FIELD)
    found = get(api, "performance?operators=3")
    levels = {"red": 3, "orange": 0, "yellow": 0, "blue": 0}
    assert (found["annunciations"], found["levels"], found["operators"]) == (3, levels, 3)
    assert found["per_hour_per_operator"] == pytest.approx(3 / 24 / 3)
    assert found["clocks"][0]["acknowledged"] == 3
    assert {each["network"]: each["precision"] for each in found["precision"]} == {
        "drainage": 0,
        "gas": 1,
        "water": 0,
    }
    assert found["targets"]["per_hour_per_operator"] == 6
    assert get(api, "performance?network=gas")["annunciations"] == 1
    assert get(api, "performance?kind=maintenance")["annunciations"] == 0
    nothing = get(api, "performance?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z")
    assert (nothing["annunciations"], nothing["floods"], nothing["top"]) == (0, [], [])


NONSENSE_6: list[Any] = [
    "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
    "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
    "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
    "from=yesterday",
    "operators=0",
    "kind=strange",
    "networks=gas",
]


def test_a_period_that_makes_no_sense_is_refused(api: Api) -> None:
    for query in NONSENSE_6:
        assert_problem(api.get(f"/api/v1/performance?{query}"), 400)
