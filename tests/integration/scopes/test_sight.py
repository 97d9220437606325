"""Who has a part of the city sees that part alone: every route, every role, own and others' things."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.scopes import SCOPED
from lifeline.model import Role
from lifeline.principal import Scope
from lifeline.storage.behalf import PoolOnBehalf
from lifeline.storage.database import Connection, borrow, connect, open_pool
from tests.api_process import Api
from tests.integration.role_matrix import ACTS, ALLOWED, CHANGES, filled
from tests.integration.scopes.callers import NAMES, SCOPES, Callers, things

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
    *(f"/api/v1/alerts/{{number}}{of}" for of in ("/cap",)),
    "/api/v1/readings?sensor={number}",
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
    "/api/v1/exports/assets",
    "/api/v1/exports/sensors",
    "/api/v1/maintenance-windows",
    "/api/v2/alerts",
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


def test_performance_is_that_of_ones_own_alarms(api: Api, callers: Callers) -> None:
    path = "/api/v1/performance"
    told = {name: callers.get(name, path).json() for name in SCOPES} | {"city": api.get(path).json()}
    assert {name: each["annunciations"] for name, each in told.items()} == {
        "city": 2, "gas": 1, "zone": 1, "nothing": 0,
    }  # fmt: skip
    for name in ("gas", "zone"):
        assert {each["network"] for each in told[name]["top"]} == {"gas"}
        assert [each["alerts"] for each in told[name]["clocks"] if each["group"] == "all"] == [1]


def test_a_feed_of_warnings_has_ones_own(api: Api, callers: Callers) -> None:
    def warned(answer: httpx.Response) -> list[str]:
        assert answer.status_code == 200, answer.text
        return sorted(set(re.findall(r"/api/v1/alerts/(\d+)/cap", answer.text)))

    assert warned(api.get("/api/v1/cap")) == ["1", "2"]
    assert [warned(callers.get(name, "/api/v1/cap")) for name in SCOPES] == [["1"], ["1"], []]


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("GET", "/api/v1/rules", "rules hold for the whole city"),
        ("PUT", "/api/v1/zones/Z-GAS", "zones decide what others see"),
        ("POST", "/api/v1/imports", "may name anything"),
        ("GET", "/api/v1/assets/G-P0/upstream", "reaches beyond any part"),
        ("POST", "/api/v1/risk/what-if", "over whole networks"),
        ("GET", "/api/v1/keys", "settled for the whole city"),
    ],
)
def test_what_stays_closed_says_why(method: str, path: str, reason: str, callers: Callers) -> None:
    answer = callers.call(Role.ADMIN, "gas", method, path)
    assert answer.status_code == 403
    assert reason in answer.json()["detail"]
    assert answer.json()["detail"].endswith("; this key has a part of the city")


def test_a_hexagon_has_the_colour_of_what_one_sees(api: Api, callers: Callers) -> None:
    """The water alert colours a hexagon of the city's map that gas has nothing in: for gas it is not on the map."""
    whole = {each["properties"]["cell"] for each in api.get("/api/v1/risk/cells?resolution=9").json()["features"]}
    gas = {
        each["properties"]["cell"] for each in callers.get("gas", "/api/v1/risk/cells?resolution=9").json()["features"]
    }
    assert gas < whole
    (strange, *_) = sorted(whole - gas)
    assert callers.get("gas", f"/api/v1/risk/cells/{strange}").status_code == 404


def past(api: Api, path: str, scope: str, callers: Callers) -> httpx.Response:
    """A path of /api/v1/risk with {at} filled with the first recorded moment."""
    first = callers.get("gas", "/api/v1/risk/span").json()["first"]
    filled_in = f"/api/v1/risk/{path.format(at=quote(first))}"
    return callers.get(scope, filled_in) if scope else api.get(filled_in)


def test_the_past_of_ones_part_is_told_as_it_was_and_of_the_rest_nothing(api: Api, callers: Callers) -> None:
    """Pipes of one's own word for word; hexagons in which there is nothing but one's own."""
    answers = {scope: past(api, "segments?at={at}", scope, callers) for scope in ("", *SCOPES)}
    assert {name: len(answer.json()["features"]) for name, answer in answers.items()} == {
        "": 6, "gas": 2, "zone": 1, "nothing": 0,
    }  # fmt: skip
    whole, gas = (answers[name].json()["features"] for name in ("", "gas"))
    assert [each for each in whole if "G-P" in str(each)] == gas
    assert things(answers["zone"]) == {"G-P0"}
    cells = {scope: past(api, "cells?resolution=9&at={at}", scope, callers) for scope in ("", *SCOPES)}
    city = {each["properties"]["cell"]: each["properties"] for each in cells[""].json()["features"]}
    seen = {name: {each["properties"]["cell"] for each in cells[name].json()["features"]} for name in SCOPES}
    now = {
        each["properties"]["cell"] for each in callers.get("gas", "/api/v1/risk/cells?resolution=9").json()["features"]
    }
    assert seen["gas"]
    assert seen["gas"] <= now
    assert seen["zone"] < seen["gas"]
    assert not seen["nothing"]
    for each in cells["gas"].json()["features"]:
        was = city[each["properties"]["cell"]]
        assert (each["properties"]["level"], each["properties"]["score"]) == (was["level"], was["score"])
        assert not things(cells["gas"]) - {name for name in NAMES.findall(cells[""].text) if name[0] in "Gr"}


def test_what_was_asked_for_the_city_is_not_kept_for_a_part_of_it(api: Api, callers: Callers) -> None:
    for path in ("cells?resolution=9&at={at}", "segments?at={at}"):
        answers = [past(api, path, scope, callers).headers["etag"] for scope in ("", "gas", "zone", "", "gas", "zone")]
        assert answers[:3] == answers[3:]
        assert len(set(answers)) == 3


TAGGED = [
    *(f"/api/v1/risk/cells?resolution={size}" for size in (8, 9, 10)),
    "/api/v1/risk/cells?resolution=9&bbox=-180,-90,180,90",
    "/api/v1/risk/cells?format=csv",
    "/api/v1/risk/segments",
    "/api/v1/risk/segments?parts=false",
    "/api/v1/risk/segments?format=csv",
    "/api/v1/risk/zones",
    "/api/v1/cap",
    "/api/v1/alerts?format=csv",
    "/api/v1/assets?format=geojson",
    "/ogc/collections/assets/items/G-P0",
    "/sensorthings/v1.1/Things",
]


@pytest.mark.parametrize("path", TAGGED)
def test_no_etag_stands_for_a_document_of_which_one_sees_another_part(path: str, api: Api, callers: Callers) -> None:
    """What is kept for one caller, here or in a browser, is never given to another: 304 is told of the very bytes that
    he would be sent himself, and no cache on the way may keep them."""

    def ask(who: str, tag: str = "") -> httpx.Response:
        headers = {"If-None-Match": tag} if tag else {}
        return callers.get(who, path, headers) if who else api.get(path, headers=headers)

    first = {who: ask(who) for who in ("", *SCOPES)}
    tags = {who: answer.headers["etag"] for who, answer in first.items() if answer.status_code == 200}
    assert tags[""] != tags.get("nothing"), "who sees nothing is sent something else than who sees the city"
    for who, own in first.items():
        for whose, tag in tags.items():
            told = ask(who, tag)
            if told.status_code == 304:
                assert own.content == first[whose].content, (who, whose)
            else:
                assert (told.status_code, told.content) == (own.status_code, own.content), (who, whose)
        assert own.headers["cache-control"].startswith(("private", "no-store")), who
        assert ask(who, tags.get(who, "")).status_code == (304 if who in tags else 404), who


def test_two_moments_are_compared_and_played_within_ones_part(api: Api, callers: Callers) -> None:
    mine = {
        each["properties"]["cell"]
        for each in past(api, "cells?resolution=9&at={at}", "gas", callers).json()["features"]
    }
    played = past(api, "frames?resolution=9&from={at}", "gas", callers).json()
    assert {cell for frame in played["frames"] for cell, _, _ in frame["cells"]} == mine
    told = past(api, "compare?resolution=9&from={at}", "gas", callers).json()
    lists = [each["cell"] for name in ("rose", "fell", "lost_sight", "seen_again") for each in told[name]]
    assert set(lists) <= mine
    assert sum(told["levels"]["from"].values()) == len(mine)
    assert sum(past(api, "compare?from={at}", "nothing", callers).json()["counts"].values()) == 0


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
