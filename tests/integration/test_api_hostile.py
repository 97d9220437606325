"""The API against clients that mean no good: every route, role and parameter, and what the answers give away."""

import gzip
import ipaddress
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import Connection, connect
from tests.api_process import PLAIN, Api, running_api, until
from tests.integration.test_api import CELL, READ_ROUTES, assert_problem
from tests.integration.town import build, empty, open_alert

ACKNOWLEDGE = "/api/v1/alerts/1/acknowledge"
READABLE = (
    "/api/v1/incidents",
    "/api/v1/incidents/1",
    "/api/v1/live",
    "/api/v1/zones/suggestions",
    "/api/v1/risk/compare",
    "/api/v1/risk/frames",
    "/api/v1/jobs",
    "/api/v1/jobs/1",
    "/api/v1/jobs/kinds",
    "/api/v1/plans",
    "/api/v1/plans/1",
    "/api/v1/plans/1/works.geojson",
    "/api/v1/plans/1/works.csv",
    "/api/v1/plans/1/report.pdf",
    "/api/v1/drills",
    "/api/v1/drills/1",
    "/api/v1/drills/scenarios",
    "/api/v1/drills/schedules",
    "/api/v1/drills/1/report.pdf",
    "/api/v1/effect?before=2021&after=2025",
    "/api/v1/risk/criticality",
    "/api/v1/risk/matrix",
    "/api/v1/stress-tests",
    "/api/v1/stress-tests/1",
    "/api/v1/alerts/1/photos",
    "/api/v1/incidents/1/photos",
    "/api/v1/photos/1",
    "/api/v1/sensors/1/usual",
    "/api/v1/me",
    "/api/v1/session",
    "/api/v1/caseload",
    "/api/v1/silent",
    "/api/v1/quarantine",
    "/api/v1/quarantine/reasons",
    "/api/v1/system/storage",
    "/api/v1/zones",
    "/api/v1/zones/1",
    "/api/v1/assets/1/upstream",
    "/api/v1/assets/1/downstream",
    "/api/v1/assets/export",
    "/api/v1/sensors/export",
    "/api/v1/zones/export",
    "/api/v1/facilities",
    "/api/v1/facilities/1",
    "/api/v1/facilities/export",
    "/api/v1/assets/1/facilities",
)
OPERATIONS = (
    "/api/v1/alerts/1/response",
    "/api/v1/incidents/1/response",
    "/api/v1/maintenance-windows",
    "/api/v1/maintenance-windows/1",
    "/api/v1/rules",
    "/api/v1/rules/1",
    "/api/v1/rule-overrides",
    "/api/v1/rule-proposals",
    "/api/v1/rule-proposals/1",
    "/api/v1/precision",
    "/api/v1/performance",
)
STANDARDS = (
    "/api/v1/cap",
    "/api/v1/alerts/1/cap",
    "/api/v2/alerts",
    "/api/v2/status",
    "/api/v1/readings?sensor=1",
    "/api/v1/reports",
    "/api/v1/reports/1",
    "/api/v1/reports/1/photos/1",
    "/api/v1/alerts/1/reports",
    "/api/v1/incidents/1/reports",
    "/ogc",
    "/ogc/conformance",
    "/ogc/collections",
    "/ogc/collections/{collection}",
    "/ogc/collections/{collection}/items",
    "/ogc/collections/{collection}/items/G-P0",
    "/sensorthings/v1.1",
    "/sensorthings/v1.1/{things}",
)
ALLOWED = {path: set(Role) for path in (*READ_ROUTES, *READABLE, *OPERATIONS, *STANDARDS)}
ALLOWED |= {f"/api/v1/{path}": {Role.ADMIN} for path in ("keys", "users", "audit")}
ALLOWED |= {"/api/v1/inventory/history": {Role.ENGINEER, Role.ADMIN}}
"""Who may read (GET) which route. A new route fails a test until it stands here or in ACTS."""
OPERATORS = {Role.OPERATOR, Role.ENGINEER, Role.ADMIN}
ENGINEERS = {Role.ENGINEER, Role.ADMIN}
ALLOWED |= {f"/api/v1/{path}": OPERATORS for path in ("endpoints", "endpoints/1", "deliveries", "escalations")}
ON_BOTH = [f"/api/v1/{what}/1/" for what in ("alerts", "incidents")]
ACTS = {
    **{f"{path}{act}": OPERATORS | {Role.FIELD} for path in ON_BOTH for act in ("steps", "notes", "feedback")},
    **{f"{path}{act}": OPERATORS for path in ON_BOTH for act in ("shelve", "unshelve", "assign")},
    "/api/v1/incidents/1/acknowledge": OPERATORS | {Role.FIELD},
    "/api/v1/reports": OPERATORS | {Role.FIELD},
    "/api/v1/reports/1/photos": OPERATORS | {Role.FIELD},
    "/api/v1/reports/1/close": OPERATORS,
    "/api/v1/alerts/bulk": OPERATORS,
    "/api/v1/alerts/1/out-of-service": OPERATORS,
    "/api/v1/maintenance-windows": OPERATORS,
    **{f"/api/v1/rule-proposals{act}": ENGINEERS for act in ("", "/1/accept", "/1/reject")},
    **{f"/api/v1/endpoints/1/{act}": OPERATORS for act in ("test", "replay")},
    **{f"/api/v1/endpoints{act}": {Role.ADMIN} for act in ("", "/1/enable", "/1/rotate")},
    "/api/v1/escalations": {Role.ADMIN},
    ACKNOWLEDGE: {Role.FIELD, Role.OPERATOR, Role.ENGINEER, Role.ADMIN},
    "/api/v1/zones/suggestions": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/zones/suggestions/1/accept": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/zones/suggestions/1/reject": {Role.ENGINEER, Role.ADMIN},
    **{f"/api/v1/{path}": {Role.ADMIN} for path in ("keys", "users", "users/1/link", "users/1/log-out")},
    "/api/v1/jobs": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/zones": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/imports": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/sensors": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/jobs/1/cancel": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/plans": {Role.ENGINEER, Role.ADMIN},
    **{f"/api/v1/drills{act}": OPERATORS for act in ("", "/1/stop")},
    **{f"/api/v1/drills/schedules{act}": ENGINEERS for act in ("", "/1/stop")},
    "/api/v1/risk/what-if": set(Role),
}
"""Who may POST to which route. The tests ask about things that are not there, or ask what makes no sense."""
CHANGES = {
    ("PATCH", "/api/v1/maintenance-windows/1"): OPERATORS,
    ("DELETE", "/api/v1/maintenance-windows/1"): OPERATORS,
    ("PUT", "/api/v1/endpoints/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/endpoints/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/escalations/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/keys/1"): {Role.ADMIN},
    ("PATCH", "/api/v1/users/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/users/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/session"): set(Role),
    **{
        (method, f"/api/v1/{what}/1"): ENGINEERS
        for what in ("assets", "zones", "facilities")
        for method in ("PUT", "PATCH", "DELETE")
    },
    **{(method, f"/api/v1/{what}/1"): ENGINEERS for what in ("sensors", "devices") for method in ("PATCH", "DELETE")},
}
"""Who may change or take away what; as for ACTS."""
OPEN = {"/health", "/field/{}"}
"""Without a key: health says only ok or degraded; a field link is its own proof (test_fieldlinks.py)."""
ADDRESSES = ipaddress.ip_network("198.51.100.0/24").hosts()


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """One process with one town, in which alert 1 is open; no test here changes it."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        assert ids["gas"]
        open_alert(connection, ids["gas"])
    with running_api(database_dsn, LIFELINE_API_SSE_CLIENTS="4") as process:
        yield process


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    with connect(api.dsn, autocommit=True) as connection:
        yield connection


def filled(path: str) -> str:
    return path.format(sensor=1, alert=1, cell=CELL, collection="assets", things="Things")


def with_key(api: Api, text: str, path: str = "/api/v1/catalogue", **more: str) -> httpx.Response:
    return httpx.get(api.url + path, headers={"Authorization": f"Bearer {text}", **more}, timeout=10, verify=PLAIN)


def stranger(api: Api, text: str) -> httpx.Response:
    """The same from an address that nobody else has, so that no test makes another wait."""
    return with_key(api, text, **{"X-Forwarded-For": str(next(ADDRESSES))})


def raw(api: Api, head: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """A request as it is written here, which no client library would send: status, headers and body of the answer."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=5) as line:
        line.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\nConnection: close\r\n\r\n" + body)
        told = b""
        while block := line.recv(65_536):
            told += block
    top, _, rest = told.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    return int(first.split()[1]), {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}, rest


# ----------------------------------------------------------------------------------------------- every route and role


def test_every_route_that_there_is_stands_in_the_matrix(api: Api) -> None:
    told = api.get("/api/v1/openapi.json").json()["paths"]
    reads, acts = (
        {re.sub(r"G-P0|\{\w+\}|(?<=/)1(?=/|$)", "{}", path.partition("?")[0]) for path in paths}
        for paths in ((*ALLOWED, *OPEN), (*ACTS, "/field/{}", "/field/{}/photos", "/api/v1/session"))
    )
    changes = {(method.lower(), re.sub(r"(?<=/)1(?=/|$)", "{}", path)) for method, path in CHANGES}
    for path, methods in told.items():
        shape = re.sub(r"\{\w+\}", "{}", path)
        known = {name for name, paths in (("get", reads), ("post", acts)) if shape in paths}
        known |= {method for method, changed in changes if changed == shape}
        assert known, f"{path} has no line in ALLOWED, ACTS or CHANGES"
        assert set(methods) == known, path


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_reaches_what_it_may_and_nothing_else(role: Role | None, api: Api) -> None:
    asked = [("GET", filled(path), allowed) for path, allowed in ALLOWED.items() if not path.endswith("/live")]
    # What is not there: who may act gets 404 (or 400 without a body), who may not never learns that.
    asked += [("POST", path.replace("/1/", "/999/"), allowed) for path, allowed in ACTS.items()]
    asked += [(method, path.replace("/1", "/999"), allowed) for (method, path), allowed in CHANGES.items()]
    for method, where, allowed in asked:
        status = api.call(method, where, role).status_code
        if role is None:
            assert status == 401, where
        else:
            # 409: to log out takes a session.
            done = (409,) if (method, where) == ("DELETE", "/api/v1/session") else (200, 400, 404)
            assert status in (done if role in allowed else (403,)), (method, where)


@pytest.mark.parametrize("path", ["/api/v1/assets?x=1", "/api/v1/assets?limit=-1", "/api/v1/alerts/x", "/metrics?a=b"])
def test_without_a_key_nobody_learns_what_a_route_takes(path: str, api: Api) -> None:
    assert_problem(api.get(path, role=None), 401)


@pytest.mark.parametrize("body", [b"{", b"[" * 60_000, b"\xff", b'{"note": 5}', b"{}" * 30_000])
def test_without_a_key_no_body_is_looked_at(body: bytes, api: Api) -> None:
    answer = api.call("POST", ACKNOWLEDGE, None, content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 401)


@pytest.mark.parametrize("depth", [1_000, 30_000])
def test_a_deeply_nested_body_is_a_bad_one(depth: int, api: Api) -> None:
    body = b'{"note":' + b"[" * depth + b"]" * depth + b"}"
    assert_problem(api.call("POST", ACKNOWLEDGE, Role.FIELD, content=body), 400)


# ------------------------------------------------------------------------------------------------------------- keys


def test_a_valid_key_counts_only_as_a_bearer_token(api: Api) -> None:
    key = api.key()
    for said in (f"Basic {key}", f"Token {key}", key, f"Bearer{key}", f"Digest {key}", f"Bearer {key} x", "Bearer"):
        assert httpx.get(f"{api.url}/api/v1/catalogue", headers={"Authorization": said}).status_code == 401, said
    for said in (f"Bearer {key}", f"bearer {key}", f"BEARER  {key}"):
        assert httpx.get(f"{api.url}/api/v1/catalogue", headers={"Authorization": said}).status_code == 200, said


@pytest.mark.parametrize("place", ["?key={}", "?api_key={}", "?access_token={}", "?authorization=Bearer%20{}"])
def test_a_key_in_the_address_is_none(place: str, api: Api) -> None:
    """Addresses end up in logs, histories and referrers."""
    assert api.get(f"/api/v1/catalogue{place.format(api.key())}", role=None).status_code == 401


def test_a_key_in_a_cookie_or_another_header_is_none(api: Api) -> None:
    """And so no other site can have a visitor's browser send it."""
    for name, value in {"Cookie": "key={}", "X-Api-Key": "{}", "Proxy-Authorization": "Bearer {}"}.items():
        answer = httpx.get(f"{api.url}/api/v1/catalogue", headers={name: value.format(api.key(Role.ADMIN))})
        assert answer.status_code == 401, name


def test_a_forged_key_is_refused_however_near_it_comes(api: Api) -> None:
    key = api.key(Role.ADMIN)
    swapped = key[:10] + ("A" if key[10] != "A" else "B") + key[11:]
    for forged in (swapped, key.swapcase(), key + "A", key[:-1], key.removeprefix("llk_")):
        assert stranger(api, forged).status_code == 401


def test_the_digest_that_the_database_holds_opens_nothing(api: Api, db: Connection) -> None:
    api.key()
    for (digest,) in db.execute("SELECT digest FROM api_key").fetchall():
        for text in (digest.hex(), f"llk_{digest.hex()}"):
            assert stranger(api, text).status_code == 401


def test_a_role_that_the_database_lowers_is_lower_within_seconds(api: Api, db: Connection) -> None:
    text = keys.create(db, "lowered", Role.FIELD, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {text}"}
    path = f"{api.url}/api/v1/alerts/999/acknowledge"
    assert httpx.post(path, headers=headers).status_code == 404
    db.execute("UPDATE api_key SET role = 'viewer' WHERE name = 'lowered'")
    until(lambda: httpx.post(path, headers=headers).status_code == 403, "the refusal", 7)


def test_who_guesses_behind_a_shared_proxy_locks_nobody_out(api: Api, db: Connection) -> None:
    """The proxy's address is everybody's: keys that were good go on, also after the few seconds of memory."""
    proxy = {"X-Forwarded-For": str(next(ADDRESSES))}
    good = keys.create(db, "behind-the-proxy", Role.VIEWER, datetime.now(UTC))
    assert with_key(api, good, **proxy).status_code == 200
    assert [with_key(api, f"llk_guess-{n}", **proxy).status_code for n in range(14)] == [401] * 10 + [429] * 4
    time.sleep(5.3)
    assert with_key(api, "llk_one-more", **proxy).status_code == 429
    assert with_key(api, good, **proxy).status_code == 200
    never_seen = keys.create(db, "made-during-the-flood", Role.VIEWER, datetime.now(UTC))
    assert with_key(api, never_seen, **proxy).status_code == 429, "one that was never good here has to wait"
    keys.revoke(db, "behind-the-proxy", datetime.now(UTC))
    until(lambda: with_key(api, good, **proxy).status_code == 401, "the end of the revoked key", 7)
    assert with_key(api, good, **proxy).status_code == 429, "and then it is one like any other"


@pytest.mark.parametrize("address", ["not-an-address-{}", "2001:db8:7:7::{}"], ids=["a word", "one line of IPv6"])
def test_another_address_in_a_forwarded_header_buys_a_guesser_nothing(address: str, api: Api) -> None:
    """What a header says is believed from this machine's proxy only, and only where it is an address."""
    said = [{"X-Forwarded-For": address.format(number)} for number in range(12)]
    codes = [with_key(api, f"llk_guess-{n}", **header).status_code for n, header in enumerate(said)]
    assert codes == [401] * 10 + [429] * 2


# ------------------------------------------------------------------------------------------------------- parameters

INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE alert; --",
    "\\'; SELECT pg_sleep(9); --",
    "$1",
    "%s",
    "%(after)s",
    "{table}",
    "${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a\r\nX-Injected: 1",
    "٠",
    "\u202e\ufeff",
]
TEXT_PARAMETERS = [
    *(f"/api/v1/assets?{name}=" for name in ("network", "kind", "bbox", "limit", "after")),
    *(f"/api/v1/sensors?{name}=" for name in ("network", "quantity", "device", "asset", "bbox", "after")),
    *(f"/api/v1/devices?{name}=" for name in ("network", "after")),
    *(f"/api/v1/alerts?{n}=" for n in ("state", "level", "network", "kind", "asset", "sensor", "order", "after")),
    *(f"/api/v1/sensors/1/readings?{name}=" for name in ("from", "to", "resolution", "limit")),
    "/api/v1/risk/cells?resolution=",
    "/api/v1/risk/segments?bbox=",
    "/api/v1/assets/",
    "/api/v1/sensors/",
    "/api/v1/alerts/",
    "/api/v1/risk/assets/",
]


@pytest.mark.parametrize("place", TEXT_PARAMETERS)
def test_what_is_put_into_a_parameter_stays_a_value(place: str, api: Api) -> None:
    """Nothing is found by it, nothing runs, nothing breaks, and no header comes of it."""
    for injected in INJECTIONS:
        encoded = "".join(f"%{byte:02X}" for byte in injected.encode())
        began = time.monotonic()
        answer = api.get(place + encoded)
        assert time.monotonic() - began < 3
        assert "x-injected" not in answer.headers
        assert answer.status_code in (200, 400, 404), (place, injected, answer.text)
        if answer.status_code == 200:
            assert answer.json()["items"] == [], (place, injected)
        else:
            assert answer.headers["content-type"] == "application/problem+json"


def test_after_all_that_the_tables_are_as_they_were(api: Api, db: Connection) -> None:
    assert db.execute("SELECT count(*), min(state) FROM alert").fetchone() == (1, "UNACK")
    assert db.execute("SELECT count(*) FROM asset").fetchone() == (15,)


NUMBERS = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-0",
    "0x10",
    "1e3",
    "",
    " ",
    "9" * 5000,
    "-9223372036854775809",
    "½",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "place", ["assets?limit={}", "alerts?sensor={}", "alerts/{}", "sensors/{}", "sensors/1/readings?limit={}"]
)
def test_what_is_no_number_or_too_large_a_one_is_refused(place: str, number: str, api: Api) -> None:
    answer = api.get(f"/api/v1/{place.format(quote(number))}")
    assert_problem(answer, 404 if answer.status_code == 404 and "/" in place else 400)


@pytest.mark.parametrize("side", ["nan", "inf", "-inf", "1e400", "181", "-181", "", "x", "1,1"])
def test_a_box_that_is_none_is_refused_at_each_of_its_sides(side: str, api: Api) -> None:
    for at in range(4):
        sides = ["0", "0", "1", "1"]
        sides[at] = side
        for route in ("assets", "sensors", "risk/segments"):
            assert_problem(api.get(f"/api/v1/{route}?bbox={','.join(sides)}"), 400)


def test_a_parameter_that_says_two_things_says_nothing(api: Api) -> None:
    for query in ("assets?limit=5&limit=7", "assets?network=gas&network=water", "alerts?order=worst&order=newest"):
        answer = api.get(f"/api/v1/{query}")
        assert_problem(answer, 400)
        assert "more than once" in answer.json()["detail"]
    assert api.get("/api/v1/alerts?level=red&level=blue&state=open&state=UNACK").status_code == 200


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-01T00:00:00%2B23:59",
        "2026-01-01T00:00:00-23:59",
        "1970-01-01T00:00:00%2B14:00",
        "2199-12-31T23:59:59-14:00",
        "2024-02-29T23:59:59.999999Z",
    ],
)
def test_a_moment_in_the_strangest_zone_is_still_a_moment(moment: str, api: Api) -> None:
    for query in (f"from={moment}", f"from=1970-01-01T00:00:00Z&to={moment}"):
        answer = api.get(f"/api/v1/sensors/1/readings?{query}")
        assert answer.status_code in (200, 400), answer.text
        assert "before to" in answer.text or answer.status_code == 200


def test_the_longest_span_at_the_finest_resolution_is_bounded(api: Api) -> None:
    began = time.monotonic()
    query = "from=1970-01-01T00:00:00Z&to=2199-12-31T00:00:00Z&limit=20000"
    for resolution in ("auto", "raw", "15m", "1h", "1d"):
        assert api.get(f"/api/v1/sensors/1/readings?{query}&resolution={resolution}").status_code == 200
    assert time.monotonic() - began < 5


def test_a_cursor_of_another_list_is_refused_or_only_ends_the_list(api: Api) -> None:
    one = api.get("/api/v1/assets?limit=1").json()["next"]
    assert_problem(api.get(f"/api/v1/alerts?after={one}"), 400)
    flipped = one[:-1] + ("A" if one[-1] != "A" else "B")
    assert api.get(f"/api/v1/assets?after={flipped}").status_code in (200, 400)


# ------------------------------------------------------------------------------------------------ methods and headers

METHODS = ("OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "PROPFIND")
MEANT = {(method, path.rpartition("/")[0]) for method, path in CHANGES}
"""Methods and the folder of what they change: of one asset as of another."""


@pytest.mark.parametrize("method", METHODS)
def test_no_method_but_the_ones_that_are_meant_does_anything(method: str, api: Api, db: Connection) -> None:
    for path in ("/", "/health", "/metrics", "/nothing", *(filled(each) for each in ALLOWED)):
        if (method, path.rpartition("/")[0]) in MEANT:
            continue
        answer = api.call(method, path, Role.ADMIN)
        assert_problem(answer, 405)
        assert answer.headers["allow"]
    assert db.execute("SELECT state FROM alert").fetchone() == ("UNACK",)


def test_a_method_cannot_be_overridden_by_a_header(api: Api, db: Connection) -> None:
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        assert api.get(ACKNOWLEDGE, Role.ADMIN, headers={name: "POST"}).status_code == 405
    assert db.execute("SELECT state FROM alert").fetchone() == ("UNACK",)


def test_a_route_that_only_takes_post_says_so_and_not_that_it_is_not_there(api: Api) -> None:
    for path in (ACKNOWLEDGE, "/api/v1/incidents/1/steps", "/api/v1/endpoints/1/test"):
        answer = api.get(path, Role.ADMIN)
        assert_problem(answer, 405)
        assert answer.headers["allow"] == "POST"
    assert_problem(api.get("/api/v1/alerts/1/nonsense"), 404)


@pytest.mark.parametrize("path", ["/api/v1/assets", "/api/v1/alerts/1", "/api/v1/risk/cells", "/api/v1/catalogue"])
def test_head_on_data_says_what_get_says_without_the_body(path: str, api: Api) -> None:
    got, head = api.get(path), api.call("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers.get("etag") == got.headers.get("etag")
    refused = api.call("HEAD", path, None)
    assert (refused.status_code, refused.content) == (401, b"")


@pytest.mark.parametrize("path", ["/", "/index.html", "/health"])
def test_head_says_what_get_says_without_the_body(path: str, api: Api) -> None:
    got, head = api.get(path, role=None), api.call("HEAD", path, None)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    for name in ("content-type", "content-security-policy", "cache-control"):
        assert head.headers[name] == got.headers[name]


def test_no_other_site_may_read_an_answer(api: Api) -> None:
    """No CORS header, whatever is asked: a browser then keeps the answer from the other site."""
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{api.port + 1}", api.url):
        asking = {
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        }
        for method, path in (
            ("OPTIONS", "/api/v1/assets"),
            ("GET", "/api/v1/assets"),
            ("GET", "/health"),
            ("GET", "/"),
        ):
            answer = api.call(method, path, headers=asking)
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_an_acknowledgement_as_another_sites_form_would_send_it_is_refused(api: Api, db: Connection) -> None:
    """A form needs no leave to be sent, but has no key; and with a key its body is none of ours."""
    for media in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        headers = {"Content-Type": media, "Origin": "https://evil.example"}
        assert api.call("POST", ACKNOWLEDGE, None, content=b"note=x", headers=headers).status_code == 401
        assert api.call("POST", ACKNOWLEDGE, Role.FIELD, content=b"note=x", headers=headers).status_code == 400
    assert db.execute("SELECT state FROM alert").fetchone() == ("UNACK",)


@pytest.mark.parametrize(
    "said",
    ["Host: evil.example", "X-Forwarded-Host: evil.example", "X-Original-URL: /metrics", "X-Rewrite-URL: /metrics"],
)
def test_a_header_that_lies_about_the_place_changes_no_answer(said: str, api: Api) -> None:
    """Neither a redirect to the liar's host nor another page."""
    status, headers, body = raw(api, f"GET /health HTTP/1.1\n{said}\nX-Forwarded-Proto: javascript")
    assert (status, body) == (200, b'{"status":"ok"}')
    assert "evil" not in str(headers)
    status, headers, _ = raw(api, f"GET /api/v1/assets/ HTTP/1.1\n{said}")
    assert "location" not in headers
    assert status in (400, 401, 404)


@pytest.mark.parametrize(
    "tag", ["*", '""', '"' + "x" * 8000 + '"', ",".join(f'"{n}"' for n in range(900)), "W/", '"', "\xff"]
)
def test_no_etag_gets_more_than_an_answer_or_its_absence(tag: str, api: Api) -> None:
    headers = {b"If-None-Match": tag.encode("latin-1"), b"Authorization": f"Bearer {api.key()}".encode()}
    answer = httpx.get(f"{api.url}/api/v1/risk/cells", headers=headers)
    assert answer.status_code == (304 if tag == "*" else 200)
    if answer.status_code == 304:
        assert answer.content == b""
        assert answer.headers["etag"]


def test_an_etag_is_no_substitute_for_a_key(api: Api) -> None:
    tag = api.get("/api/v1/risk/cells").headers["etag"]
    for given in (tag, "*"):
        assert_problem(api.get("/api/v1/risk/cells", role=None, headers={"If-None-Match": given}), 401)


def test_an_etag_belongs_to_one_document(api: Api) -> None:
    tags = [
        api.get(f"/api/v1/risk/{path}").headers["etag"]
        for path in ("cells?resolution=8", "cells?resolution=9", "segments")
    ]
    assert len(set(tags)) == 3
    assert api.get("/api/v1/risk/segments", headers={"If-None-Match": tags[0]}).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd", "zstd"),
        ("zstd;q=0, gzip;q=1.0", "gzip"),
        ("zstd;q=0,gzip;q=0", None),
        ("identity", None),
        ("br", None),
        ("", None),
        ("GZIP", "gzip"),
        ("gzip" + ";q=1" * 500, "gzip"),
        (",;,;q=,=" * 300, None),
    ],
)
def test_a_body_is_packed_only_as_the_client_can_unpack_it(accepted: str, encoding: str | None, api: Api) -> None:
    with httpx.stream(
        "GET",
        f"{api.url}/api/v1/risk/cells?resolution=10",
        headers={"Authorization": f"Bearer {api.key()}", "Accept-Encoding": accepted},
    ) as answer:
        body = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (body[:1] == b"{") == (encoding is None)


def test_a_packed_body_of_a_request_is_never_unpacked(api: Api) -> None:
    """No bomb: what says that it is packed is read as it stands, and is no JSON."""
    bomb = gzip.compress(b" " * 20_000_000)
    assert len(bomb) < 65_536
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert_problem(api.call("POST", ACKNOWLEDGE, Role.FIELD, content=bomb, headers=headers), 400)


# ---------------------------------------------------------------------------------------------------- what leaks

PATHS_OUT = [
    "/../api/page.py",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%5c..%5cetc%5cpasswd",
    "/%252e%252e%252fetc%252fpasswd",
    "/....//....//etc/passwd",
    "/vendor/..%2f..%2fpyproject.toml",
    "/index.html%00.png",
    "/index.html/",
    "/.git/config",
    "/.env",
    "/file:///etc/passwd",
    "//evil.example/",
    "/proc/self/environ",
    "/\\..\\..",
    "/api/v1/../../metrics",
    "/api/v1/assets/%2e%2e/%2e%2e/metrics",
]


@pytest.mark.parametrize("path", PATHS_OUT)
def test_no_spelling_of_a_path_leaves_the_page(path: str, api: Api) -> None:
    status, headers, body = raw(api, f"GET {path} HTTP/1.1\nHost: x\nAuthorization: Bearer {api.key()}")
    assert status in (400, 404)
    assert "location" not in headers
    for secret in (b"root:", b"import ", b"[project]", b"lifeline_api_requests", b"PATH="):
        assert secret not in body


def test_errors_tell_nothing_of_what_is_inside(api: Api) -> None:
    """Neither programs, paths, statements, addresses nor keys; and the same answer for each wrong key."""
    words = (
        "traceback",
        "psycopg",
        "site-packages",
        "/home",
        "python",
        "uvicorn",
        "starlette",
        "postgres",
        "127.0.0.1:",
    )
    for method, path, role in (
        ("GET", "/api/v1/assets/none", Role.VIEWER),
        ("GET", "/api/v1/assets?limit=x", Role.VIEWER),
        ("GET", "/api/v1/assets?after=%00", Role.VIEWER),
        ("POST", ACKNOWLEDGE, Role.VIEWER),
        ("GET", "/nothing", None),
        ("GET", "/api/v1/assets", None),
        ("DELETE", "/", None),
    ):
        answer = api.call(method, path, role)
        told = (answer.text + str(answer.headers)).lower()
        assert not [word for word in words if word in told], (path, told)
    with connect(api.dsn, autocommit=True) as connection:
        now = datetime.now(UTC)
        old = keys.create(connection, "ran-out", Role.VIEWER, now - timedelta(days=2), now - timedelta(days=1))
    answers = {stranger(api, text).text for text in (old, "llk_never-was")}
    assert len(answers) == 1, "whoever tries a key must not learn that it was good once"


def test_a_viewer_is_told_no_secret_of_the_system(api: Api, db: Connection) -> None:
    """Whatever may be read, no answer holds a key, a digest, a signing secret, a password or an address with one."""
    db.execute(
        "INSERT INTO endpoint (name, url, secret, created_at)"
        " VALUES ('e', 'https://x.example/hook', 'whsec_c2VjcmV0', now()) ON CONFLICT DO NOTHING"
    )
    password = str(httpx.URL(api.dsn).password)
    digests = [digest.hex() for (digest,) in db.execute("SELECT digest FROM api_key").fetchall()]
    for path in (*READ_ROUTES, "/", "/health"):
        told = api.get(filled(path)).text.replace("llk_...", "").replace("llk_…", "")
        for secret in ("llk_", "whsec_", "postgresql://", password, *digests):
            assert secret not in told, (path, secret)


def test_the_log_holds_no_key_and_no_line_that_a_client_wrote(database_dsn: str) -> None:
    with running_api(database_dsn) as other:
        forged = 'llk_"},\n{"event": "all is well'
        for text in (f"llk_{'s3cret' * 4}", forged.replace("\n", " ")):
            with_key(other, text, **{"X-Forwarded-For": '1.1.1.1", "event": "forged'})
        other.get(f"/api/v1/catalogue?{other.key()}")
        raw(other, "GET /%0a%7B%22event%22:%22forged%22%7D HTTP/1.1\nHost: x")
        key = other.key()
        _, log = other.end()
    assert key not in log
    assert "s3cret" not in log
    events = [json.loads(line) for line in log.splitlines()]
    assert events
    assert not [event for event in events if event["event"] in ("forged", "all is well")]


# ------------------------------------------------------------------------------------------------------ live streams


def live_clients(api: Api) -> float:
    (line,) = [line for line in api.get("/metrics").text.splitlines() if line.startswith("lifeline_api_live_clients ")]
    return float(line.split()[1])


def stream(api: Api, key: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", api.port), timeout=5)
    line.sendall(f"GET /api/v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    return line


@pytest.mark.parametrize("remembered", [True, False], ids=["a key in memory", "a key to look up"])
def test_who_hangs_up_at_once_leaves_no_stream_behind(remembered: bool, api: Api, db: Connection) -> None:
    """Also in the moment between the key's check and the first byte: places are few."""
    for number in range(12):
        key = api.key() if remembered else keys.create(db, f"hasty-{number}", Role.VIEWER, datetime.now(UTC))
        line = stream(api, key)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if number % 3 == 0:
            time.sleep(0.004)
        line.close()
    until(lambda: live_clients(api) == 0, "every place free again", 5)


def test_a_client_that_does_not_read_holds_up_nobody_and_costs_no_memory(api: Api, db: Connection) -> None:
    deaf, awake = stream(api, api.key()), stream(api, api.key())
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    told = bytearray()
    reader = threading.Thread(target=lambda: [told.extend(block) for block in iter(lambda: read(awake), b"")])
    reader.start()
    until(lambda: live_clients(api) == 2, "both streams")
    for _ in range(2000):
        db.execute("""SELECT pg_notify('lifeline_changed', '{"what": "alert"}')""")
    until(lambda: told.count(b"event: changed") >= 2, "what the one that reads is told", 5)
    assert api.get("/health").status_code == 200
    deaf.close()
    awake.shutdown(socket.SHUT_RDWR)
    reader.join(5)
    awake.close()
    until(lambda: live_clients(api) == 0, "both gone", 10)


def read(line: socket.socket) -> bytes:
    try:
        return line.recv(65_536)
    except OSError:
        return b""


def test_streams_beyond_the_limit_are_refused_and_a_free_place_is_given_again(api: Api) -> None:
    lines = [stream(api, api.key()) for _ in range(4)]
    until(lambda: live_clients(api) == 4, "four streams")
    refused = api.get("/api/v1/live")
    assert_problem(refused, 503)
    assert int(refused.headers["retry-after"]) > 0
    assert api.get("/api/v1/assets").status_code == 200
    lines.pop().close()

    def answer() -> Any:
        with httpx.stream("GET", f"{api.url}/api/v1/live", headers={"Authorization": f"Bearer {api.key()}"}) as found:
            return found.status_code == 200

    until(answer, "a place", 5)
    for line in lines:
        line.close()
    until(lambda: live_clients(api) == 0, "all gone", 5)
