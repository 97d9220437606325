"""Requests that mean no good: parameters, bodies and paths that are none."""

import gzip
import json
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from lifeline.model import Role
from lifeline.storage.database import Connection
from tests.api_process import PLAIN, Api, soonest
from tests.integration.asking import assert_problem, raw
from tests.integration.role_matrix import ACKNOWLEDGE

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
        answer = soonest(lambda: api.get(place + encoded), 3)  # noqa: B023
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
    query = "from=1970-01-01T00:00:00Z&to=2199-12-31T00:00:00Z&limit=20000"

    def ask() -> None:
        for resolution in ("auto", "raw", "15m", "1h", "1d"):
            assert api.get(f"/api/v1/sensors/1/readings?{query}&resolution={resolution}").status_code == 200

    soonest(ask, 5)


def test_a_cursor_of_another_list_is_refused_or_only_ends_the_list(api: Api) -> None:
    one = api.get("/api/v1/assets?limit=1").json()["next"]
    assert_problem(api.get(f"/api/v1/alerts?after={one}"), 400)
    flipped = one[:-1] + ("A" if one[-1] != "A" else "B")
    assert api.get(f"/api/v1/assets?after={flipped}").status_code in (200, 400)


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
def test_bad_bodies_are_400_and_change_nothing(body: bytes, api: Api, db: Connection) -> None:
    headers = {"Content-Type": "application/json"}
    assert_problem(api.call("POST", ACKNOWLEDGE, Role.FIELD, content=body, headers=headers), 400)
    assert db.execute("SELECT state FROM alert").fetchone() == ("UNACK",)


def test_an_oversized_body_is_refused(api: Api, db: Connection) -> None:
    large = json.dumps({"note": "x" * 200_000}).encode()
    headers = {"Content-Type": "application/json"}
    assert_problem(api.call("POST", ACKNOWLEDGE, Role.FIELD, content=large, headers=headers), 413)

    def piecemeal() -> Iterator[bytes]:
        yield from (b" " * 50_000 for _ in range(5))

    assert_problem(api.call("POST", ACKNOWLEDGE, Role.FIELD, content=piecemeal(), headers=headers), 413)
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
        answer = httpx.request("GET", httpx.URL(api.url).copy_with(raw_path=path.encode()), verify=PLAIN)
        assert answer.status_code == 404


@pytest.mark.parametrize("body", [b"{", b"[" * 60_000, b"\xff", b'{"note": 5}', b"{}" * 30_000])
def test_without_a_key_no_body_is_looked_at(body: bytes, api: Api) -> None:
    answer = api.call("POST", ACKNOWLEDGE, None, content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 401)


@pytest.mark.parametrize("depth", [1_000, 30_000])
def test_a_deeply_nested_body_is_a_bad_one(depth: int, api: Api) -> None:
    body = b'{"note":' + b"[" * depth + b"]" * depth + b"}"
    assert_problem(api.call("POST", ACKNOWLEDGE, Role.FIELD, content=body), 400)


def test_a_packed_body_of_a_request_is_never_unpacked(api: Api) -> None:
    """No bomb: what says that it is packed is read as it stands, and is no JSON."""
    bomb = gzip.compress(b" " * 20_000_000)
    assert len(bomb) < 65_536
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert_problem(api.call("POST", ACKNOWLEDGE, Role.FIELD, content=bomb, headers=headers), 400)


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
