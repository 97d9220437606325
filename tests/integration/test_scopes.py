"""Who has a part of the city sees and changes that part alone: every route, every role, own and others' things."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.scopes import SCOPED
from lifeline.model import Level, Role
from lifeline.principal import Scope
from lifeline.storage import keys
from lifeline.storage.behalf import PoolOnBehalf
from lifeline.storage.database import Connection, borrow, connect, open_pool
from tests.api_process import Api, running_api
from tests.integration.test_api_hostile import ACTS, ALLOWED, CHANGES, filled
from tests.integration.town import SOUTH, STEP, WEST, build, empty, open_alert

NOW = datetime.now(UTC)
GAS, ZONE = Scope(("gas",)), Scope(None, ("Z-GAS",))
SCOPES = {"gas": GAS, "zone": ZONE, "nothing": Scope(("water",), ("Z-GAS",))}
NAMES = re.compile(r"\b[GWD]-[CP]\d\b|rtu-\w+")


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """A town with an alert, an incident, a window and a zone for gas and the same for water: 1 gas, 2 water."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection, NOW)
        for number, network in enumerate(("gas", "water"), 1):
            open_alert(connection, ids[network], Level.RED, now=NOW)
            _incident(connection, number, network)
            connection.execute(
                "INSERT INTO maintenance_window (asset_id, begins_at, created_by, created_at)"
                " SELECT asset_id, now(), 'test', now() FROM asset WHERE external_id = %s",
                [f"{network[0].upper()}-C0"],
            )
    with running_api(database_dsn) as process:
        for row, network in enumerate(("gas", "water")):
            answer = process.call("POST", "/api/v1/zones", Role.ENGINEER, json=_zone(f"Z-{network.upper()}", row))
            assert answer.status_code == 200, answer.text
        yield process


def _incident(connection: Connection, number: int, network: str) -> None:
    connection.execute(
        "INSERT INTO incident (level, worst_level, networks, causes, lead_alert, response_alert, first_seen, opened_at,"
        """ updated_at) VALUES (1, 1, %s, '[{"cause": "unknown", "share": 1, "title": {"en": "x", "zh": "x"},"""
        """ "advice": {"en": "x", "zh": "x"}, "for": [], "against": []}]', %s, %s, now(), now(), now())""",
        [[network], number, number],
    )
    connection.execute("UPDATE alert SET incident_id = %s WHERE alert_id = %s", [number, number])


def _zone(name: str, row: int) -> dict[str, Any]:
    """Around the first chamber of a street and most of its first pipe."""
    west, east, south, north = WEST - 0.002, WEST + 0.8 * STEP, SOUTH + row * STEP - 0.002, SOUTH + row * STEP + 0.002
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": {"id": name, "kind": "district"}, "geometry": geometry}


class Callers:
    """A key for each role and scope."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.texts: dict[tuple[Role, str], str] = {}
        self.client = httpx.Client(base_url=api.url, timeout=20)

    def call(self, role: Role, scope: str, method: str, path: str, **options: Any) -> httpx.Response:
        if (role, scope) not in self.texts:
            with connect(self.api.dsn) as connection:
                name = f"{role} {scope}"
                self.texts[role, scope] = keys.create(connection, name, role, NOW, None, SCOPES[scope])
        headers = {"Authorization": f"Bearer {self.texts[role, scope]}"}
        return self.client.request(method, path, headers=headers, **options)

    def get(self, scope: str, path: str) -> httpx.Response:
        return self.call(Role.VIEWER, scope, "GET", path)


@pytest.fixture(scope="module")
def callers(api: Api) -> Iterator[Callers]:
    made = Callers(api)
    yield made
    made.client.close()


def things(answer: httpx.Response) -> set[str]:
    """Names of assets and devices in an answer."""
    assert answer.status_code == 200, answer.text
    return set(NAMES.findall(answer.text))


# ----------------------------------------------------------------------------------------- every route, role and scope


def open_to_scopes(method: str, path: str) -> bool:
    shape = re.sub(r"\{[\w:]+\}", "{}", path.partition("?")[0])
    known = {(verb, re.sub(r"\{[\w:]+\}", "{}", each)) for verb, each in SCOPED}
    tried = {shape, *(re.sub(pattern, "{}", shape) for pattern in (r"(?<=/)1(?=/|$)", r"G-P0|(?<=/)1(?=/|$)"))}
    tried |= {re.sub(r"(?<=items/)G-P0|(?<=assets/)G-P0|(?<=cells/)\w+", "{}", each) for each in tried}
    return any((method, each) in known for each in tried)


@pytest.mark.parametrize("role", Role)
def test_each_role_with_a_scope_reaches_what_knows_scopes_and_nothing_else(role: Role, callers: Callers) -> None:
    asked = [("GET", path, allowed) for path, allowed in ALLOWED.items() if not path.endswith("/live")]
    asked += [("POST", path, allowed) for path, allowed in ACTS.items()]
    asked += [(method, path, allowed) for (method, path), allowed in CHANGES.items()]
    for method, path, allowed in asked:
        where = filled(path) if method == "GET" else path.replace("/1", "/999")
        status = callers.call(role, "nothing", method, where).status_code
        if role in allowed and open_to_scopes(method, path):
            assert status in (200, 400, 404, 409), (method, path)
        else:
            assert status == 403, (method, path)


PAIRS = [
    *(f"/api/v1/assets/{{asset}}{of}" for of in ("",)),
    "/api/v1/risk/assets/{asset}",
    "/ogc/collections/assets/items/{asset}",
    "/ogc/collections/sensors/items/{number}",
    "/ogc/collections/alerts/items/{number}",
    *(f"/api/v1/sensors/{{number}}{of}" for of in ("", "/readings", "/usual")),
    *(f"/api/v1/alerts/{{number}}{of}" for of in ("", "/response")),
    *(f"/api/v1/incidents/{{number}}{of}" for of in ("", "/response")),
    "/api/v1/maintenance-windows/{number}",
    "/sensorthings/v1.1/Things({number})",
    "/sensorthings/v1.1/Datastreams({number})",
    "/sensorthings/v1.1/Datastreams({number})/Observations",
]


def own_and_other(api: Api, path: str) -> tuple[str, str]:
    """The path of the gas thing and of the water thing. Sensors and devices are numbered by the inventory."""
    with connect(api.dsn) as connection:
        rows = connection.execute(
            "SELECT d.network, s.sensor_id, d.device_id FROM sensor s JOIN device d USING (device_id)"
        ).fetchall()
    sensors, devices = {n: s for n, s, _ in rows}, {n: d for n, _, d in rows}
    found = []
    for number, network in enumerate(("gas", "water"), 1):
        by = (
            devices if "Things" in path else sensors if re.search("ensors|Datastreams", path.rpartition("{")[0]) else {}
        )
        found.append(path.format(asset=f"{network[0].upper()}-P0", number=by.get(network, number)))
    return found[0], found[1]


@pytest.mark.parametrize("scope", ["gas", "zone"])
@pytest.mark.parametrize("path", PAIRS)
def test_ones_own_is_there_and_anothers_is_not(path: str, scope: str, api: Api, callers: Callers) -> None:
    own, other = own_and_other(api, path)
    assert callers.get(scope, own).status_code == 200, own
    refused, never = callers.get(scope, other), callers.get(scope, own_and_other(api, path)[0].replace("G-P0", "X-1"))
    assert refused.status_code == 404, other
    if "{asset}" in path:
        assert refused.text.replace("W-P0", "?") == never.text.replace("X-1", "?"), "as if it did not exist"
    assert callers.get("nothing", own).status_code == 404, "both limits hold together"


LISTS = [
    "/api/v1/assets?limit=1000",
    "/api/v1/sensors",
    "/api/v1/devices",
    "/api/v1/alerts",
    "/api/v1/risk/cells?resolution=9",
    "/api/v1/risk/segments",
    "/api/v1/assets/export",
    "/api/v1/sensors/export",
    "/api/v1/maintenance-windows",
    "/ogc/collections/assets/items",
    "/ogc/collections/sensors/items",
    "/ogc/collections/alerts/items",
    "/sensorthings/v1.1/Things?$expand=Datastreams",
    "/sensorthings/v1.1/FeaturesOfInterest",
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_names_what_lies_in_the_scope_and_nothing_else(path: str, api: Api, callers: Callers) -> None:
    everything = things(api.get(path))
    gas, zone = things(callers.get("gas", path)), things(callers.get("zone", path))
    assert gas == {name for name in everything if name.startswith("G-") or name == "rtu-gas"}
    assert zone <= {"G-C0", "G-P0", "rtu-gas"}
    assert zone or "alerts/items" in path
    assert things(callers.get("nothing", path)) == set()


def test_counts_tell_nothing_of_what_is_outside(api: Api, callers: Callers) -> None:
    def alerts(answer: httpx.Response) -> int:
        return sum(each["open"] for each in answer.json()["alerts"]["risk"].values())

    assert alerts(api.get("/api/v1/risk/summary")) == 2
    assert alerts(callers.get("gas", "/api/v1/risk/summary")) == 1
    assert alerts(callers.get("nothing", "/api/v1/risk/summary")) == 0
    pipes = {name: sum(callers.get(name, "/api/v1/risk/summary").json()["segments"].values()) for name in SCOPES}
    assert pipes == {"gas": 2, "zone": 1, "nothing": 0}
    assert len(callers.get("gas", "/api/v1/caseload").json()["items"]) == 1
    assert [each["id"] for each in callers.get("gas", "/api/v1/incidents").json()["items"]] == [1]
    assert [each["id"] for each in callers.get("zone", "/api/v1/zones").json()["items"]] == ["Z-GAS"]


def test_a_hexagon_has_the_colour_of_what_one_sees(api: Api, callers: Callers) -> None:
    """The water alert colours a hexagon of the city's map that gas has nothing in: for gas it is not on the map."""
    whole = {each["properties"]["cell"] for each in api.get("/api/v1/risk/cells?resolution=9").json()["features"]}
    gas = {
        each["properties"]["cell"] for each in callers.get("gas", "/api/v1/risk/cells?resolution=9").json()["features"]
    }
    assert gas < whole
    (strange, *_) = sorted(whole - gas)
    assert callers.get("gas", f"/api/v1/risk/cells/{strange}").status_code == 404
    assert callers.get("gas", "/api/v1/risk/cells?at=2026-11-21T00:00:00Z").status_code == 403, (
        "past maps are the city's"
    )


def test_a_map_of_a_scope_follows_the_city(api: Api, callers: Callers) -> None:
    before = callers.get("zone", "/api/v1/risk/segments")
    again = callers.get("zone", "/api/v1/risk/segments")
    assert before.headers["etag"] == again.headers["etag"]
    with connect(api.dsn) as connection:
        connection.execute("UPDATE asset SET network = 'gas' WHERE external_id = 'W-P1'")
        connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')""")
    from tests.api_process import until

    until(lambda: "W-P1" in callers.get("gas", "/api/v1/risk/segments").text, "the pipe that changed hands")
    with connect(api.dsn) as connection:
        connection.execute("UPDATE asset SET network = 'water' WHERE external_id = 'W-P1'")
        connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')""")
    until(lambda: "W-P1" not in callers.get("gas", "/api/v1/risk/segments").text, "and back")


# ------------------------------------------------------------------------------------------------------------ changes


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


# ----------------------------------------------------------------------------------------- the policies by themselves

TABLES = ("asset", "device", "sensor", "zone", "alert", "incident", "alert_history", "response", "response_history",
          "feedback", "field_photo", "incident_history", "maintenance_window")  # fmt: skip
NETWORKS = st.none() | st.lists(st.sampled_from(["gas", "water", "drainage", "heat"]), min_size=1, max_size=4)
ZONES = st.none() | st.lists(st.sampled_from(["Z-GAS", "Z-WATER", "Z-NONE"]), min_size=1, max_size=3)


@settings(max_examples=12, deadline=None)
@given(networks=NETWORKS, zones=ZONES)
def test_a_narrower_scope_never_sees_more(api: Api, networks: list[str] | None, zones: list[str] | None) -> None:
    def seen(scope: Scope) -> dict[str, set[str]]:
        with borrow(PoolOnBehalf(_pool(api.dsn), None, scope)) as connection:
            return {
                table: {str(row) for row in connection.execute(f"SELECT t::text FROM {table} t".encode())}
                for table in TABLES
            }

    narrow = seen(Scope(tuple(networks) if networks else None, tuple(zones) if zones else None))
    for wider in (Scope(tuple(networks) if networks else None), Scope(None, tuple(zones) if zones else None)):
        whole = seen(wider)
        for table in TABLES:
            assert narrow[table] <= whole[table], table
    if networks and not {"gas", "water", "drainage"} & set(networks):
        assert not narrow["asset"] | narrow["sensor"] | narrow["alert"] | narrow["incident"]


_POOLS: dict[str, Any] = {}


def _pool(dsn: str) -> Any:
    if dsn not in _POOLS:
        _POOLS[dsn] = open_pool(dsn, application="test scopes", size=1)
    return _POOLS[dsn]


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _POOLS:
        _POOLS.popitem()[1].close()


def test_the_role_of_scopes_sees_nothing_where_no_scope_was_told(connection: Connection, api: Api) -> None:
    connection.execute("SET LOCAL ROLE lifeline_scoped")
    for table in TABLES:
        assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,), table


@pytest.mark.parametrize(
    "table",
    ["api_key", "app_user", "session", "login_link", "login_failure", "login_place", "audit", "kept_answer"],
)
def test_the_role_of_scopes_never_reads_who_may_come_in(table: str, connection: Connection, api: Api) -> None:
    connection.execute("SET LOCAL ROLE lifeline_scoped")
    with pytest.raises(Exception, match="permission denied"):
        connection.execute(f"SELECT * FROM {table}".encode())


def test_the_roles_of_the_processes_see_everything(connection: Connection, api: Api) -> None:
    for role in ("lifeline_api", "lifeline_alerts", "lifeline_planning"):
        with connection.transaction():
            connection.execute(f"SET LOCAL ROLE {role}".encode())
            assert connection.execute("SELECT count(*) FROM asset").fetchone() == (15,), role
            assert connection.execute("SELECT count(*) FROM alert").fetchone() == (2,), role


def test_the_scope_stands_in_who_one_is(callers: Callers) -> None:
    told = json.loads(callers.get("zone", "/api/v1/session").text)
    assert (told["networks"], told["zones"], told["kind"]) == (None, ["Z-GAS"], "key")
