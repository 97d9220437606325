"""Who has a part of the city changes that part alone: alerts, events, works and the inventory."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lifeline.model import Role
from lifeline.storage.database import connect
from tests.api_process import Api
from tests.integration.scopes.callers import NAMES, Callers
from tests.integration.town import SOUTH, STEP, WEST


@pytest.mark.parametrize("scope", ["gas", "zone"])
@pytest.mark.parametrize("what", ["alerts", "incidents"])
def test_only_ones_own_can_be_acted_upon(what: str, scope: str, api: Api, callers: Callers) -> None:
    for act, body in {
        "acknowledge": {}, "shelve": {}, "unshelve": {}, "notes": {"note": "x"}, "steps": {"step": "confirmed"},
        "assign": {"assignee": "x"}, "feedback": {"genuine": True},
    }.items():  # fmt: skip
        answer = callers.call(Role.OPERATOR, scope, "POST", f"/api/v1/{what}/2/{act}", json=body)
        assert answer.status_code == 404, (act, answer.text)
    note = callers.call(Role.OPERATOR, scope, "POST", f"/api/v1/{what}/1/notes", json={"note": f"by {scope}"})
    assert note.status_code == 200, note.text
    with connect(api.dsn) as connection:
        row = connection.execute("SELECT state, acknowledged_by FROM alert WHERE alert_id = 2").fetchone()
        assert row == ("UNACK", None)
        count = connection.execute("SELECT count(*) FROM response_history WHERE alert_id = 2").fetchone()
        assert count == (0,)


def test_an_act_in_bulk_reaches_ones_own_alone(api: Api, callers: Callers) -> None:
    body = {"action": "note", "ids": [1, 2], "note": "both"}
    answer = callers.call(Role.OPERATOR, "gas", "POST", "/api/v1/alerts/bulk", json=body)
    assert answer.status_code == 200, answer.text
    assert "both" in api.get("/api/v1/alerts/1/response").text
    assert "both" not in api.get("/api/v1/alerts/2/response").text


@pytest.mark.parametrize(
    ("scope", "body", "status"),
    [
        ("gas", {"network": "gas"}, 201),
        ("gas", {"network": "water"}, 404),
        ("gas", {"asset": "G-C0"}, 201),
        ("gas", {"asset": "W-C0"}, 404),
        ("gas", {"rule": "methane.level"}, 404),
        ("gas", {"zone": "Z-GAS"}, 404),
        ("gas", {"zone": "Z-GAS", "network": "gas"}, 201),
        ("zone", {"zone": "Z-GAS"}, 201),
        ("zone", {"zone": "Z-WATER"}, 404),
        ("zone", {"network": "gas"}, 404),
        ("zone", {"asset": "G-C2"}, 404),
    ],
    ids=str,
)
def test_work_is_planned_in_ones_own_part_alone(
    scope: str, body: dict[str, str], status: int, callers: Callers
) -> None:
    answer = callers.call(Role.OPERATOR, scope, "POST", "/api/v1/maintenance-windows", json=body | {"reason": "x"})
    assert answer.status_code == status, answer.text


# -------------------------------------------------------------------------------------- the inventory, edited in part


def chamber(name: str, network: str, *, east: float = 0.0, **fields: Any) -> dict[str, Any]:
    """Beside the first chamber of gas, or ``east`` streets from there."""
    geometry = {"type": "Point", "coordinates": [WEST + east * STEP, SOUTH]}
    return {"properties": {"id": name, "network": network, "kind": "chamber", **fields}, "geometry": geometry}


EDITS = [
    ("gas", "PATCH", "assets/G-P1", {"properties": {"name": "x"}}, 200),
    ("gas", "PATCH", "assets/W-P1", {"properties": {"name": "x"}}, 404),
    ("gas", "PATCH", "assets/X-P1", {"properties": {"name": "x"}}, 404),
    ("gas", "DELETE", "assets/W-P1", None, 404),
    ("gas", "DELETE", "assets/G-C0", None, 409),
    ("gas", "PUT", "assets/W-C0", chamber("W-C0", "water"), 404),
    ("gas", "PUT", "assets/N-1", chamber("N-1", "gas", east=3), 200),
    ("gas", "PUT", "assets/N-1", chamber("N-1", "water"), 403),
    ("gas", "PATCH", "assets/G-P1", {"properties": {"to": "W-C2"}}, 404),
    ("zone", "PATCH", "assets/G-P0", {"properties": {"name": "x"}}, 200),
    ("zone", "PATCH", "assets/G-C2", {"properties": {"name": "x"}}, 404),
    ("zone", "PUT", "assets/N-1", chamber("N-1", "gas"), 200),
    ("zone", "PUT", "assets/N-1", chamber("N-1", "gas", east=3), 403),
    ("zone", "PUT", "assets/N-1", chamber("N-1", "gas", zone="Z-WATER"), 404),
    ("zone", "PATCH", "assets/G-P0", {"properties": {"to": "G-C2"}}, 404),
    ("zone", "PATCH", "assets/G-C0", {"properties": {}, "geometry": chamber("", "", east=3)["geometry"]}, 403),
    ("zone", "POST", "sensors", {"device": "N-d", "network": "gas", "channel": "methane", "asset": "G-C0"}, 201),
    ("zone", "POST", "sensors", {"device": "N-d", "network": "gas", "channel": "methane", "asset": "G-C2"}, 404),
    ("zone", "POST", "sensors", {"device": "rtu-water", "network": "water", "channel": "flow", "asset": "G-C0"}, 404),
    ("zone", "POST", "sensors",
     {"device": "N-d", "network": "gas", "channel": "flow", "asset": "G-C0", "balance": "Z-WATER:in"}, 403),
    ("zone", "PATCH", "devices/rtu-gas", {"name": "x"}, 200),
    ("zone", "PATCH", "devices/rtu-gas", {"gateway": "rtu-water"}, 404),
    ("zone", "PATCH", "devices/rtu-water", {"name": "x"}, 404),
    ("zone", "PATCH", "devices/N-d", {"network": "gas"}, 403),
    ("nothing", "PUT", "assets/N-1", chamber("N-1", "gas"), 403),
]  # fmt: skip


@pytest.fixture
def unchanged(api: Api) -> Iterator[None]:
    """What a test edits is as it was afterwards."""
    kept = {name: api.get(f"/api/v1/{name}").json() for name in ("assets/G-P0", "assets/G-P1")}
    yield
    for name, was in kept.items():
        back = {"properties": {"name": was["name"] or None}}
        assert api.call("PATCH", f"/api/v1/{name}", Role.ENGINEER, json=back).status_code == 200
    assert api.call("PATCH", "/api/v1/devices/rtu-gas", Role.ENGINEER, json={"name": None}).status_code == 200
    for each in api.get("/api/v1/sensors?device=N-d").json()["items"]:
        api.call("DELETE", f"/api/v1/sensors/{each['id']}", Role.ENGINEER)
    for name in ("devices/N-d", "assets/N-1"):
        api.call("DELETE", f"/api/v1/{name}", Role.ENGINEER)


@pytest.mark.parametrize(("scope", "method", "path", "body", "status"), EDITS, ids=str)
def test_who_has_a_part_of_the_city_edits_that_part_alone(
    scope: str, method: str, path: str, body: Any, status: int, api: Api, callers: Callers, unchanged: None
) -> None:
    before = inventory_of(api)
    answer = callers.call(Role.ENGINEER, scope, method, f"/api/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert (inventory_of(api) == before) is (status >= 400), "what is refused stores nothing"
    if status in (403, 409):
        assert not set(NAMES.findall(answer.text)) - set(NAMES.findall(path)), "nothing that lies outside is named"
    with connect(api.dsn) as connection:
        newest = connection.execute("SELECT actor FROM inventory_history ORDER BY history_id DESC LIMIT 1").fetchone()
    assert status >= 400 or newest == (f"engineer {scope}",)


def inventory_of(api: Api) -> list[Any]:
    with connect(api.dsn) as connection:
        tables = ("asset", "device", "sensor", "zone_asset", "zone_sensor", "inventory_history")
        return [
            connection.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM {t} t".encode()).fetchone()
            for t in tables
        ]


def test_what_is_taken_out_of_service_in_ones_part_stays_out(api: Api, callers: Callers, unchanged: None) -> None:
    """It lies in no zone then: who has a zone sees it no more, and who has the city puts it back."""
    made = callers.call(Role.ENGINEER, "zone", "PUT", "/api/v1/assets/N-1", json=chamber("N-1", "gas"))
    assert made.json()["action"] == "created", made.text
    out = callers.call(Role.ENGINEER, "zone", "PATCH", "/api/v1/assets/N-1", json={"properties": {"in_service": False}})
    assert (out.status_code, out.json().get("action")) == (200, "retired"), out.text
    assert callers.get("zone", "/api/v1/assets/N-1").status_code == 404
    assert callers.get("gas", "/api/v1/assets/N-1").json()["in_service"] is False


# ----------------------------------------------------------------------------- an event that is only in part one's own


@pytest.fixture
def mixed(api: Api) -> Iterator[int]:
    """An incident of gas alert 1 and water alert 2, led and responded to under the one of water."""
    with connect(api.dsn) as connection:
        number = connection.execute(
            "INSERT INTO incident (level, worst_level, networks, causes, lead_alert, response_alert, first_seen,"
            " opened_at, updated_at) SELECT 1, 1, '{gas,water}', causes, 2, 2, now(), now(), now() FROM incident"
            " LIMIT 1 RETURNING incident_id"
        ).fetchone()
        assert number is not None
        connection.execute("UPDATE alert SET incident_id = %s WHERE alert_id IN (1, 2)", number)
    yield number[0]
    with connect(api.dsn) as connection:
        connection.execute("UPDATE alert SET incident_id = alert_id WHERE alert_id IN (1, 2)")
        connection.execute("UPDATE incident SET state = 'closed', closed_at = now() WHERE incident_id = %s", number)


@pytest.mark.parametrize("scope", ["gas", "zone"])
def test_who_sees_one_alert_of_an_event_responds_to_the_event(
    scope: str, mixed: int, api: Api, callers: Callers
) -> None:
    assert callers.get(scope, f"/api/v1/incidents/{mixed}").json()["id"] == mixed
    assert mixed in [each["id"] for each in callers.get(scope, "/api/v1/incidents").json()["items"]]
    assert mixed in [each["incident"] for each in callers.get(scope, "/api/v1/caseload").json()["items"]]
    step = {"gas": "confirmed", "zone": "dispatched"}[scope]
    for of in ("alerts/1", f"incidents/{mixed}"):
        for act, body in {
            "shelve": {}, "unshelve": {}, "notes": {"note": f"{scope} {of}"}, "assign": {"assignee": of},
            "feedback": {"genuine": True},
        }.items():  # fmt: skip
            answer = callers.call(Role.OPERATOR, scope, "POST", f"/api/v1/{of}/{act}", json=body)
            assert answer.status_code == 200, (of, act, answer.text)
            assert answer.json()["alert"] == 2, "one response for the event"
        told = callers.get(scope, f"/api/v1/{of}/response").json()
        assert (told["assignee"], f"{scope} {of}" in str(told["history"])) == (of, True)
    taken = callers.call(Role.OPERATOR, scope, "POST", f"/api/v1/incidents/{mixed}/steps", json={"step": step})
    assert taken.json()["step"] == step, taken.text
    assert api.get("/api/v1/alerts/2/response").json()["step"] == step
    assert callers.get(scope, "/api/v1/alerts/2").status_code == 404
    assert callers.get(scope, "/api/v1/alerts/2/response").status_code == 404
    assert callers.call(Role.OPERATOR, scope, "POST", "/api/v1/alerts/2/shelve", json={}).status_code == 404
    with connect(api.dsn) as connection:
        other = connection.execute("SELECT state FROM alert WHERE alert_id = 2").fetchone()
        assert other == ("UNACK",), "what is done to the event's alerts is done to one's own alone"
        labelled = connection.execute("SELECT DISTINCT alert_id FROM feedback").fetchall()
        assert labelled == [(1,)]
        bodies = connection.execute(
            "SELECT body -> 'data' FROM outbox WHERE incident_id = %s ORDER BY outbox_id DESC LIMIT 1", [mixed]
        ).fetchone()
        assert bodies is not None
        assert (bodies[0]["count"], bodies[0]["where"]["asset"]) == (2, "W-C0"), "a message tells of the whole event"


@pytest.mark.parametrize("scope", ["gas", "zone"])
def test_an_event_tells_nothing_of_what_lies_outside_the_part_of_who_looks(
    scope: str, mixed: int, api: Api, callers: Callers
) -> None:
    sign = {"why": {"en": "w", "zh": "w"}, "weight": 1.0, "alerts": [2, 1],
            "beside": [{"alert": 1, "place": "G-C0", "external_id": "W-P0", "distance_m": 3.0}]}  # fmt: skip
    with connect(api.dsn) as connection:
        connection.execute(
            "UPDATE incident SET causes = jsonb_set(causes, '{0}', causes -> 0 || %s::jsonb) WHERE incident_id = %s",
            [json.dumps({"explains": 2, "networks": ["gas", "water"], "cross_network": True, "for": [sign]}), mixed],
        )
        connection.execute(
            "INSERT INTO incident_history (incident_id, at, actor, action, to_level, cause, alerts)"
            " VALUES (%s, now(), 'detector', 'opened', 1, 'unknown', '{2,1}')",
            [mixed],
        )
    path = f"/api/v1/incidents/{mixed}"
    whole, part = api.get(path).json(), callers.get(scope, path).json()
    assert (whole["alert_ids"], whole["networks"], whole["lead_alert"]) == ([1, 2], ["gas", "water"], 2)
    assert (part["alerts"], part["open_alerts"], part["alert_ids"], part["networks"]) == (1, 1, [1], ["gas"])
    assert (part["lead_alert"], part["asset"]) == (1, "G-C0")
    assert (part["longitude"], part["latitude"]) == tuple(part["members"][0][key] for key in ("longitude", "latitude"))
    assert (whole["history"][-1]["alerts"], part["history"][-1]["alerts"]) == ([2, 1], [1])
    (cause,) = part["causes"]
    assert (cause["explains"], cause["networks"], cause["cross_network"]) == (1, ["gas"], False)
    assert cause["for"] == [{"why": sign["why"], "weight": 1.0, "alerts": [1]}]
    assert whole["causes"][0]["for"] == [sign]
    listed = [each for each in callers.get(scope, "/api/v1/incidents").json()["items"] if each["id"] == mixed]
    assert listed == [{key: part[key] for key in listed[0]}]
    for answer in (callers.get(scope, path), callers.get(scope, "/api/v1/incidents?format=geojson")):
        assert "W-" not in answer.text
    asked = callers.get(scope, "/api/v1/incidents?network=water").json()["items"]
    assert mixed not in [each["id"] for each in asked], "a question about another network is no way to learn of it"


def test_an_incident_that_was_merged_into_another_has_its_place_still(mixed: int, api: Api) -> None:
    with connect(api.dsn) as connection:
        merged = "UPDATE incident SET merged_into = 1, state = 'closed', closed_at = now() WHERE incident_id = %s"
        connection.execute(merged, [mixed])
        connection.execute("UPDATE alert SET incident_id = 1 WHERE incident_id = %s", [mixed])
    told = api.get(f"/api/v1/incidents/{mixed}").json()
    assert (told["alerts"], told["lead_alert"], told["asset"]) == (0, 2, "W-C0")
    assert told["networks"] == ["gas", "water"]


def test_an_incident_is_acknowledged_by_who_sees_one_of_its_alerts(mixed: int, api: Api, callers: Callers) -> None:
    with connect(api.dsn) as connection:
        connection.execute("UPDATE alert SET state = 'UNACK', acknowledged_at = NULL WHERE alert_id = 1")
    answer = callers.call(Role.OPERATOR, "gas", "POST", f"/api/v1/incidents/{mixed}/acknowledge", json={})
    assert answer.status_code == 200, answer.text
    with connect(api.dsn) as connection:
        rows = connection.execute("SELECT alert_id, state FROM alert ORDER BY alert_id").fetchall()
    assert rows == [(1, "ACKED"), (2, "UNACK")]


def test_a_zone_counts_what_one_sees_of_it(api: Api, callers: Callers) -> None:
    with connect(api.dsn) as connection:
        (zone,) = connection.execute("SELECT zone_id FROM zone WHERE external_id = 'Z-GAS'").fetchone() or (0,)
        connection.execute(
            "INSERT INTO zone_asset (zone_id, asset_id, share)"
            " SELECT %s, asset_id, 1 FROM asset WHERE network = 'water'",
            [zone],
        )
        connection.execute(
            "INSERT INTO zone_sensor (zone_id, sensor_id)"
            " SELECT %s, sensor_id FROM sensor JOIN device USING (device_id) WHERE network = 'water'",
            [zone],
        )
        connection.execute("UPDATE zone SET network = 'gas' WHERE zone_id = %s", [zone])
    whole, gas = (
        next(each for each in answer.json()["items"] if each["id"] == "Z-GAS")
        for answer in (api.get("/api/v1/zones"), callers.get("gas", "/api/v1/zones"))
    )
    with connect(api.dsn) as connection:
        connection.execute(
            "DELETE FROM zone_asset USING asset a WHERE a.asset_id = zone_asset.asset_id AND a.network = 'water'"
            " AND zone_id = %s",
            [zone],
        )
        connection.execute(
            "DELETE FROM zone_sensor USING sensor JOIN device USING (device_id)"
            " WHERE sensor.sensor_id = zone_sensor.sensor_id AND network = 'water' AND zone_id = %s",
            [zone],
        )
        connection.execute("UPDATE zone SET network = NULL WHERE zone_id = %s", [zone])
    assert (whole["assets"] - gas["assets"], whole["sensors"] - gas["sensors"]) == (5, 1)
