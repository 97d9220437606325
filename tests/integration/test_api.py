"""The API as its clients see it: a real process on a real database."""

import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
import zstandard

from lifeline import geo
from lifeline.model import AlertKind, Level, Role
from lifeline.storage import keys
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api, until
from tests.integration.city import add_reading
from tests.integration.town import SOUTH, STEP, WEST, assets, build, empty, open_alert, position

READ_ROUTES = [
    "/api/v1/assets",
    "/api/v1/assets/G-P0",
    "/api/v1/devices",
    "/api/v1/sensors",
    "/api/v1/sensors/{sensor}",
    "/api/v1/sensors/{sensor}/readings",
    "/api/v1/alerts",
    "/api/v1/alerts/{alert}",
    "/api/v1/incidents",
    "/api/v1/risk/cells",
    "/api/v1/risk/cells/{cell}",
    "/api/v1/risk/chains",
    "/api/v1/risk/span",
    "/api/v1/risk/zones",
    "/api/v1/risk/segments",
    "/api/v1/risk/assets/G-P0",
    "/api/v1/risk/summary",
    "/api/v1/catalogue",
    "/api/v1/system",
    "/api/v1/openapi.json",
    "/metrics",
]

CELL = geo.cell_at(*position(0, 0), 9)
"""Where the gas sensor stands."""


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """One process for the module; each test begins with the town anew."""
    with running_api(database_dsn) as process:
        yield process


@pytest.fixture(autouse=True)
def town(database_dsn: str, api: Api) -> dict[str, int]:
    """Sensor ids by network; the map has been drawn on them."""
    api.keys.clear()
    empty(database_dsn)
    mark = str(uuid.uuid4())
    with connect(database_dsn) as connection:
        ids = build(connection)
        connection.execute("UPDATE asset SET name = %s WHERE external_id = 'G-P1'", [mark])
        connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')""")
    until(lambda: mark in api.get("/api/v1/risk/segments").text, "the map of the new town")
    return ids


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    with connect(api.dsn, autocommit=True) as connection:
        yield connection


def cells(api: Api, resolution: int = 9) -> list[dict[str, Any]]:
    found = api.get(f"/api/v1/risk/cells?resolution={resolution}").json()
    return [each["properties"] for each in found["features"]]


def filled(path: str, town: dict[str, int], alert: int = 1) -> str:
    return path.format(sensor=town["gas"], alert=alert, cell=CELL)


def assert_problem(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert told["title"]
    assert told["type"].startswith("urn:lifeline:problem:")
    for secret in ("Traceback", "psycopg", "SELECT", "site-packages", "llk_"):
        assert secret not in response.text.replace("`Authorization: Bearer llk_...`", "")


# ---------------------------------------------------------------------------------------------------------- access


@pytest.mark.parametrize("path", READ_ROUTES)
def test_every_route_is_closed_without_a_key_and_open_to_each_role(
    path: str, api: Api, town: dict[str, int], db: Connection
) -> None:
    path = filled(path, town, open_alert(db, town["gas"]).alert_id)
    refused = api.get(path, role=None)
    assert_problem(refused, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer")
    for role in Role:
        assert api.get(path, role).status_code == 200, (path, role)


@pytest.mark.parametrize("role", list(Role))
def test_only_field_and_higher_roles_acknowledge(role: Role, api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    answer = api.call("POST", f"/api/v1/alerts/{alert.alert_id}/acknowledge", role)
    if role == Role.VIEWER:
        assert_problem(answer, 403)
    else:
        assert answer.status_code == 200
        assert answer.json()["state"] == "ACKED"


def test_health_is_open_and_says_nothing_but_ok(api: Api) -> None:
    assert api.get("/health", role=None).json() == {"status": "ok"}


def test_revoked_and_expired_keys_are_refused(api: Api, db: Connection) -> None:
    now = datetime.now(UTC)
    expired = keys.create(db, "expired", Role.ADMIN, now - timedelta(days=2), now - timedelta(days=1))
    revoked = keys.create(db, "revoked", Role.ADMIN, now)
    keys.revoke(db, "revoked", now)
    for text in (expired, revoked, "llk_nothing", "Basic x", "llk_" + "x" * 500):
        answer = httpx.get(f"{api.url}/api/v1/assets", headers={"Authorization": f"Bearer {text}"})
        assert_problem(answer, 401)


def test_a_key_revoked_while_in_use_stops_working_within_seconds(api: Api, db: Connection) -> None:
    text = keys.create(db, "short", Role.VIEWER, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {text}"}
    assert httpx.get(f"{api.url}/api/v1/catalogue", headers=headers).status_code == 200
    keys.revoke(db, "short", datetime.now(UTC))
    until(lambda: httpx.get(f"{api.url}/api/v1/catalogue", headers=headers).status_code == 401, "the refusal", 7)


def test_use_of_a_key_is_noted(api: Api, db: Connection) -> None:
    assert api.get("/api/v1/catalogue").status_code == 200
    (seen,) = db.execute("SELECT last_used_at FROM api_key WHERE role = 'viewer'").fetchone() or (None,)
    assert seen is not None


# -------------------------------------------------------------------------------------------------------- inventory


def test_assets_come_page_by_page_each_once(api: Api) -> None:
    seen, after = [], ""
    while True:
        page = api.get(f"/api/v1/assets?limit=4{after}").json()
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == sorted(each.external_id for each in assets())


def test_assets_are_filtered_by_network_kind_and_box(api: Api) -> None:
    found = api.get("/api/v1/assets?network=water&kind=pipe").json()["items"]
    assert {each["id"] for each in found} == {"W-P0", "W-P1"}
    found = api.get("/api/v1/assets?bbox=117.199,31.799,117.201,31.801").json()["items"]
    assert {each["id"] for each in found} == {"G-C0", "G-P0"}


def test_an_asset_tells_its_sensors_with_their_newest_reading(api: Api, town: dict[str, int]) -> None:
    (sensor,) = api.get("/api/v1/assets/G-C0").json()["sensors"]
    assert sensor["id"] == town["gas"]
    assert sensor["unit"] == "%VOL"
    assert sensor["newest"]["value"] == 0.5
    assert sensor["silent"] is False


def test_sensors_are_found_by_box_and_asset(api: Api, town: dict[str, int]) -> None:
    for query in (
        "bbox=117.19,31.795,117.21,31.805",
        "asset=G-C0",
        "network=gas",
        "quantity=methane",
        "device=rtu-gas",
    ):
        found = api.get(f"/api/v1/sensors?{query}").json()["items"]
        assert [each["id"] for each in found] == [town["gas"]], query


def test_devices_say_how_they_are(api: Api) -> None:
    found = api.get("/api/v1/devices?network=drainage").json()["items"]
    assert [(each["id"], each["status"]) for each in found] == [("rtu-drainage", "unknown")]


def test_what_is_not_there_is_404(api: Api) -> None:
    for path in (
        "assets/none",
        "sensors/999999",
        "alerts/999999",
        "risk/assets/none",
        "nothing",
        "sensors/999999/readings",
    ):
        assert_problem(api.get(f"/api/v1/{path}"), 404)


# --------------------------------------------------------------------------------------------------------- readings


def test_readings_are_raw_for_a_day_and_rolled_up_for_longer(api: Api, town: dict[str, int], db: Connection) -> None:
    now = datetime.now(UTC)
    for minute in range(1, 120):
        add_reading(db, town["gas"], now - timedelta(minutes=minute), float(minute))
    raw = api.get(f"/api/v1/sensors/{town['gas']}/readings").json()
    assert raw["resolution"] == "raw"
    assert len(raw["ts"]) == 120
    assert raw["ts"] == sorted(raw["ts"])
    since = (now - timedelta(days=10)).isoformat().replace("+00:00", "Z")
    rolled = api.get(f"/api/v1/sensors/{town['gas']}/readings?from={since}").json()
    assert rolled["resolution"] == "15m"
    assert sum(rolled["n"]) == 120
    assert rolled["last"][-1] == 0.5


def test_a_limit_keeps_the_newest_readings_and_says_so(api: Api, town: dict[str, int], db: Connection) -> None:
    now = datetime.now(UTC)
    for minute in range(1, 20):
        add_reading(db, town["gas"], now - timedelta(minutes=minute), float(minute))
    found = api.get(f"/api/v1/sensors/{town['gas']}/readings?limit=3&resolution=raw").json()
    assert found["truncated"] is True
    assert found["last"] == [2.0, 1.0, 0.5]


def test_quality_marks_are_told(api: Api, town: dict[str, int], db: Connection) -> None:
    add_reading(db, town["gas"], datetime.now(UTC) + timedelta(milliseconds=1), 1.0, quality=3)
    found = api.get(f"/api/v1/sensors/{town['gas']}/readings").json()
    assert found["quality"][-1] == ["backlog", "implausible"]


# ----------------------------------------------------------------------------------------------------------- alerts


def test_alerts_come_worst_first_or_newest_first_page_by_page(api: Api, town: dict[str, int], db: Connection) -> None:
    now = datetime.now(UTC)
    wanted = [(Level.YELLOW, 1), (Level.RED, 5), (Level.YELLOW, 3), (Level.BLUE, 0), (Level.RED, 2)]
    for number, (level, minutes) in enumerate(wanted):
        open_alert(db, town["gas"], level, rule=f"r{number}", now=now - timedelta(minutes=minutes))
    order = {"worst": ["r4", "r1", "r0", "r2", "r3"], "newest": ["r3", "r0", "r4", "r2", "r1"]}
    for name, rules in order.items():
        seen, after = [], ""
        while after is not None:
            page = api.get(f"/api/v1/alerts?order={name}&limit=2{after}").json()
            seen += [each["rule"] for each in page["items"]]
            after = f"&after={page['next']}" if page["next"] else None
        assert seen == rules


def test_alerts_are_filtered(api: Api, town: dict[str, int], db: Connection) -> None:
    red = open_alert(db, town["gas"], Level.RED)
    blue = open_alert(db, town["water"], Level.BLUE, rule="silence", kind=AlertKind.MAINTENANCE)
    api.call("POST", f"/api/v1/alerts/{blue.alert_id}/acknowledge", Role.FIELD)
    for query, expected in {
        "state=open": {red.alert_id, blue.alert_id},
        "state=closed": set(),
        "state=ACKED": {blue.alert_id},
        "state=UNACK&state=ACKED": {red.alert_id, blue.alert_id},
        "level=red": {red.alert_id},
        "level=red&level=blue": {red.alert_id, blue.alert_id},
        "network=water": {blue.alert_id},
        "kind=risk": {red.alert_id},
        "asset=G-C0": {red.alert_id},
        f"sensor={town['water']}": {blue.alert_id},
    }.items():
        found = api.get(f"/api/v1/alerts?{query}").json()["items"]
        assert {each["id"] for each in found} == expected, query


def test_acknowledge_reaches_the_database_with_name_and_note(api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    answer = api.call(
        "POST", f"/api/v1/alerts/{alert.alert_id}/acknowledge", Role.OPERATOR, json={"note": "队伍已出发", "version": 1}
    )
    assert [each["action"] for each in answer.json()["history"]] == ["raised", "acknowledged"]
    row = db.execute(
        "SELECT a.state, a.acknowledged_by, h.note, o.event_type FROM alert a JOIN alert_history h USING (alert_id)"
        " JOIN outbox o USING (alert_id) WHERE h.action = 'acknowledged' AND o.event_type = 'alert.acknowledged'"
    ).fetchone()
    assert row == ("ACKED", f"operator-{api.port}", "队伍已出发", "alert.acknowledged")


def test_a_second_or_outdated_acknowledgement_conflicts(api: Api, town: dict[str, int], db: Connection) -> None:
    path = f"/api/v1/alerts/{open_alert(db, town['gas']).alert_id}/acknowledge"
    assert_problem(api.call("POST", path, Role.FIELD, json={"version": 7}), 409)
    assert api.call("POST", path, Role.FIELD).status_code == 200
    assert_problem(api.call("POST", path, Role.FIELD), 409)
    assert_problem(api.call("POST", "/api/v1/alerts/999999/acknowledge", Role.FIELD), 404)


# --------------------------------------------------------------------------------------------------------- risk map


def test_an_open_risk_alert_turns_its_cell_red_and_explains_it(api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    until(lambda: any(each["alerts"] for each in cells(api)), "the cell with the alert", 3)
    (red,) = [each for each in cells(api) if each["alerts"]]
    assert red["level"] == "red"
    assert red["reasons"][0] == {"reason": "alert", "alert": alert.alert_id, "rule": "methane.level", "level": "red"}
    assert red["alerts"] == {"red": 1}
    told = api.get("/api/v1/risk/assets/G-C0").json()
    assert told["level"] == "red"
    assert told["alerts"][0]["alert"] == alert.alert_id
    assert sum(part["points"] for part in told["parts"]) == pytest.approx(told["score"], abs=0.01)
    neighbour = api.get("/api/v1/risk/assets/G-P0").json()
    assert neighbour["score"] > neighbour["standing_score"]
    assert neighbour["alerts"][0]["weight"] == 0.5


def test_a_maintenance_alert_colours_nothing(api: Api, town: dict[str, int], db: Connection) -> None:
    before = cells(api)
    open_alert(db, town["gas"], kind=AlertKind.MAINTENANCE)
    until(lambda: api.get("/api/v1/risk/summary").json()["alerts"]["maintenance"], "the count")
    assert cells(api) == before


def test_a_silent_cell_is_unknown_and_a_red_one_stays_red(api: Api, town: dict[str, int], db: Connection) -> None:
    assert {each["coverage"] for each in cells(api)} == {"live", "none"}
    open_alert(db, town["water"], rule="burst")
    db.execute("UPDATE sensor_state SET ts = ts - interval '1 day'")
    db.execute("""SELECT pg_notify('lifeline_changed', '{"what": "reading"}')""")
    until(lambda: {each["coverage"] for each in cells(api)} == {"silent", "none"}, "silence on the map", 5)
    for each in cells(api):
        assert each["level"] != "blue"
    (water,) = [each for each in cells(api) if each["alerts"]]
    assert (water["level"], water["coverage"], water["sensors_silent"]) == ("red", "silent", 1)


def test_a_segment_says_its_parts_and_they_add_up(api: Api) -> None:
    found = api.get("/api/v1/risk/segments").json()
    assert found["numberMatched"] == 6
    assert found["truncated"] is False
    for each in found["features"]:
        told = each["properties"]
        assert sum(part["points"] for part in told["parts"]) == pytest.approx(told["score"], abs=0.1)


def test_segments_are_cut_by_box_and_the_worst_are_kept_by_limit(api: Api) -> None:
    found = api.get("/api/v1/risk/segments?bbox=117.199,31.809,117.205,31.811").json()
    assert [each["properties"]["id"] for each in found["features"]] == ["W-P0"]
    found = api.get("/api/v1/risk/segments?limit=3").json()
    assert (found["truncated"], found["numberMatched"]) == (True, 6)
    assert {each["properties"]["id"] for each in found["features"]} == {"G-P1", "W-P1", "D-P1"}


@pytest.mark.parametrize("path", ["/api/v1/risk/cells?resolution=10", "/api/v1/risk/segments", "/", "/main.js"])
def test_an_unchanged_document_is_304_and_comes_compressed(path: str, api: Api) -> None:
    plain = api.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for name, unpack in (("gzip", gzip.decompress), ("zstd", zstandard.ZstdDecompressor().decompress)):
        with httpx.stream(
            "GET", api.url + path, headers={"Authorization": f"Bearer {api.key()}", "Accept-Encoding": name}
        ) as packed:
            assert packed.headers["content-encoding"] == name
            assert packed.headers["etag"] == plain.headers["etag"]
            body = b"".join(packed.iter_raw())
            assert len(body) < len(plain.content)
            assert unpack(body) == plain.content
    again = api.get(path, headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_two_instances_agree_on_the_etag_and_both_hear_changes(api: Api, town: dict[str, int], db: Connection) -> None:
    with running_api(api.dsn) as other:
        other.keys = api.keys
        path = "/api/v1/risk/cells"
        assert api.get(path).headers["etag"] == other.get(path).headers["etag"]
        open_alert(db, town["gas"])
        until(lambda: all("red" in {each["level"] for each in cells(one)} for one in (api, other)), "both maps", 4)
        assert api.get(path).headers["etag"] == other.get(path).headers["etag"]


def test_the_summary_counts_what_the_map_shows(api: Api, town: dict[str, int], db: Connection) -> None:
    before = api.get("/api/v1/risk/summary").json()["cells"]["9"]["red"]
    open_alert(db, town["gas"])
    until(lambda: api.get("/api/v1/risk/summary").json()["cells"]["9"]["red"] == before + 1, "the count")
    told = api.get("/api/v1/risk/summary").json()
    assert told["alerts"]["risk"] == {"red": {"open": 1, "unacknowledged": 1}}
    assert sum(told["segments"].values()) == 6
    assert sum(told["cells"]["9"].values()) == len(cells(api))
    assert told["extent"] == pytest.approx([WEST, SOUTH, WEST + 2 * STEP, SOUTH + 2 * STEP])
    assert datetime.fromisoformat(told["data_as_of"]) <= datetime.fromisoformat(told["now"])


# ------------------------------------------------------------------------------------------------- system and errors


def test_the_system_tells_processes_counts_and_edition(api: Api) -> None:
    until(lambda: api.get("/api/v1/system").json()["processes"], "the heartbeat", 8)
    told = api.get("/api/v1/system").json()
    assert [(each["process"], each["alive"]) for each in told["processes"]] == [("api", True)]
    assert told["counts"]["sensors"] == 3
    assert told["edition"] in ("apache", "timescale")
    assert told["lag_s"] < 60


def test_the_catalogue_names_levels_networks_and_quantities(api: Api) -> None:
    told = api.get("/api/v1/catalogue").json()
    assert [(each["numeral"], each["zh"]) for each in told["levels"]] == [
        ("I", "特别重大"),
        ("II", "重大"),
        ("III", "较大"),
        ("IV", "一般"),
    ]
    assert {each["key"] for each in told["networks"]} == {"gas", "water", "drainage"}


def test_metrics_count_by_route_and_never_by_path(api: Api) -> None:
    api.get("/api/v1/assets/G-P0")
    api.get("/wp-admin.php")
    text = api.get("/metrics").text
    assert 'lifeline_api_requests_total{method="GET",route="/api/v1/assets/{id}",status="200"}' in text
    assert "wp-admin" not in text


BAD_QUERIES = [
    "assets?bbox=1,2,3",
    "assets?bbox=a,b,c,d",
    "assets?bbox=nan,0,1,1",
    "assets?bbox=10,0,5,1",
    "assets?bbox=0,0,1e999,1",
    "assets?limit=0",
    "assets?limit=1001",
    "assets?limit=x",
    "assets?kind=house",
    "assets?after=%00",
    "assets?after=e30",
    "assets?after=WyJ4Il0",
    "assets?after=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTld",
    "assets?network=%00",
    "assets?colour=red",
    "assets/%00",
    "alerts?level=purple",
    "alerts?state=MAYBE",
    "alerts?sensor=99999999999999999999",
    "alerts?after=WzEsIjIwMjYiLDFd",
    "alerts?after=WzEsIjAwMDEtMDEtMDFUMDA6MDA6MDArMTQ6MDAiLDFd",
    "alerts/0",
    "alerts/99999999999999999999",
    "alerts/x",
    "sensors/-1",
    "sensors/1/readings?from=yesterday",
    "sensors/1/readings?from=2026-01-01T00:00:00",
    "sensors/1/readings?from=0001-01-01T00:00:00%2B14:00",
    "sensors/1/readings?to=9999-12-31T23:59:59-14:00",
    "sensors/1/readings?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
    "sensors/1/readings?resolution=2h",
    "sensors/1/readings?limit=1000000",
    "risk/cells?resolution=7",
    "risk/cells?resolution=nine",
    "risk/cells?bbox=0,0,1",
    "risk/chains?limit=0",
    "risk/segments?limit=-1",
    "catalogue?x=1",
    "live?x=1",
]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_bad_input_is_400_with_a_reason(query: str, api: Api) -> None:
    answer = api.get(f"/api/v1/{query}")
    assert_problem(answer, 400)
    assert len(answer.json()["detail"]) > 10


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b'{"note": 5}', b'{"note": "a\\u0000b"}', b'{"x": 1}', b'{"note": "\\ud800"}', b"\xff\xfe"],
)
def test_bad_bodies_are_400_and_change_nothing(body: bytes, api: Api, town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    path = f"/api/v1/alerts/{alert.alert_id}/acknowledge"
    headers = {"Content-Type": "application/json"}
    assert_problem(api.call("POST", path, Role.FIELD, content=body, headers=headers), 400)
    assert db.execute("SELECT state FROM alert").fetchone() == ("UNACK",)


def test_an_oversized_body_is_refused(api: Api, town: dict[str, int], db: Connection) -> None:
    path = f"/api/v1/alerts/{open_alert(db, town['gas']).alert_id}/acknowledge"
    large = json.dumps({"note": "x" * 200_000}).encode()
    headers = {"Content-Type": "application/json"}
    assert_problem(api.call("POST", path, Role.FIELD, content=large, headers=headers), 413)

    def piecemeal() -> Iterator[bytes]:
        yield from (b" " * 50_000 for _ in range(5))

    assert_problem(api.call("POST", path, Role.FIELD, content=piecemeal(), headers=headers), 413)
    assert db.execute("SELECT state FROM alert").fetchone() == ("UNACK",)


def test_wrong_methods_are_405(api: Api) -> None:
    assert_problem(api.call("DELETE", "/api/v1/assets"), 405)
    assert_problem(api.call("POST", "/health"), 405)


def test_no_path_leads_out_of_the_page(api: Api) -> None:
    for path in (
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "/..%2fpyproject.toml",
        "//etc/passwd",
        "/vendor/../../api/page.py",
    ):
        with psycopg.connect(api.dsn):
            answer = httpx.request("GET", httpx.URL(api.url).copy_with(raw_path=path.encode()))
        assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/assets", "/nothing", "/api/v1/risk/cells?x=1"])
def test_every_answer_has_the_security_headers(path: str, api: Api) -> None:
    headers = api.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_openapi_describes_each_route_and_asks_for_the_key(api: Api) -> None:
    told = api.get("/api/v1/openapi.json").json()
    assert {"/api/v1/assets", "/api/v1/live", "/health", "/api/v1/alerts/{id}/acknowledge"} <= told["paths"].keys()
    assert "security" in told["paths"]["/api/v1/assets"]["get"]
    assert "security" not in told["paths"]["/health"]["get"]
