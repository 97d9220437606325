"""What answers give away, by their methods, their headers and their words."""

import json
import socket
import struct
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import Connection, connect
from tests.api_process import PLAIN, Api, running_api, until
from tests.integration.asking import assert_problem, raw
from tests.integration.hostile.stranger import stranger, with_key
from tests.integration.role_matrix import ACKNOWLEDGE, ALLOWED, CHANGES, READ_ROUTES, filled

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
    answer = httpx.get(f"{api.url}/api/v1/risk/cells", headers=headers, verify=PLAIN)
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
        verify=PLAIN,
    ) as answer:
        body = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (body[:1] == b"{") == (encoding is None)


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
    line = socket.create_connection(("127.0.0.1", api.port), timeout=30)
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
    until(lambda: live_clients(api) == 0, "every place free again")


def test_a_client_that_does_not_read_holds_up_nobody_and_costs_no_memory(api: Api, db: Connection) -> None:
    deaf, awake = stream(api, api.key()), stream(api, api.key())
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    told = bytearray()
    reader = threading.Thread(target=lambda: [told.extend(block) for block in iter(lambda: read(awake), b"")])
    reader.start()
    until(lambda: live_clients(api) == 2, "both streams")
    for _ in range(2000):
        db.execute("""SELECT pg_notify('lifeline_changed', '{"what": "alert"}')""")
    until(lambda: told.count(b"event: changed") >= 2, "what the one that reads is told")
    assert api.get("/health").status_code == 200
    deaf.close()
    awake.shutdown(socket.SHUT_RDWR)
    reader.join(5)
    awake.close()
    until(lambda: live_clients(api) == 0, "both gone")


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
        with httpx.stream(
            "GET", f"{api.url}/api/v1/live", headers={"Authorization": f"Bearer {api.key()}"}, verify=PLAIN
        ) as found:
            return found.status_code == 200

    until(answer, "a place")
    for line in lines:
        line.close()
    until(lambda: live_clients(api) == 0, "all gone")
