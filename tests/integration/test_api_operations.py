"""What people do through the API, to alerts, incidents and planned work, and how well alarms did, for a client."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifeline.model import Level, Role
from lifeline.storage.database import Connection
from tests.api_process import Api
from tests.integration.asking import assert_problem, get, group, in_hours, post, state
from tests.integration.city import count
from tests.integration.town import open_alert

pytestmark = pytest.mark.usefixtures("rules")


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
