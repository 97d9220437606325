"""What is refused is told in the log, with where it came from; and neither log nor answer tells what was sent."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest

from api.page import PAGE
from api.refusals import LINES_A_MINUTE
from lifeline.fieldlink import Action, FieldLink, write
from lifeline.model import Role
from lifeline.storage.database import connect
from tests.api_process import PLAIN, Api, running_api
from tests.integration.role_matrix import ACKNOWLEDGE
from tests.integration.town import build, empty, open_alert

LINKS = "the-secret-of-all-links"
MARK = "x7q9marked"
"""Stands in whatever is sent here: nobody may read it in an answer's or the log's words."""
INSIDE = ("traceback", "psycopg", "site-packages", "select ", "postgresql://", "llk_", LINKS, MARK)


class Hostile(NamedTuple):
    """A request that means no good: what answers it, and the route that the log names."""

    method: str
    path: str
    status: int
    route: str
    role: Role | None = None
    body: bytes = b""
    key: str = ""


def _link(hours: float, secret: str = LINKS, alert: int = 1) -> str:
    return write(
        secret, FieldLink(alert, Action.CONFIRMED, datetime.now(UTC) + timedelta(hours=hours), 1, f"{MARK:x<16}")
    )


ACT = "/api/v1/alerts/{id}/acknowledge"
HOSTILE = {
    "an injection into a box": Hostile("GET", f"/api/v1/assets?bbox=%27;--{MARK}", 400, "/api/v1/assets", Role.VIEWER),
    "an injection into a cursor": Hostile("GET", f"/api/v1/assets?after={MARK}", 400, "/api/v1/assets", Role.VIEWER),
    "an unknown parameter": Hostile("GET", "/api/v1/assets?role=admin", 400, "/api/v1/assets", Role.VIEWER),
    "a path out of the page": Hostile("GET", f"/..%2f..%2f{MARK}%2fpasswd", 404, PAGE),
    "a scan for secrets": Hostile("GET", f"/.env.{MARK}", 404, PAGE),
    "an oversized body": Hostile("POST", ACKNOWLEDGE, 413, "none", Role.FIELD, MARK.encode() * 9000),
    "a body that is none": Hostile("POST", ACKNOWLEDGE, 400, ACT, Role.FIELD, b"{" + MARK.encode()),
    "a forged link": Hostile("POST", f"/field/{_link(1, 'a-guess')}", 403, "/field/{token}"),
    "a link for another alert": Hostile("POST", f"/field/{_link(1).replace('v1.1.', 'v1.2.')}", 403, "/field/{token}"),
    "an expired link": Hostile("POST", f"/field/{_link(-1)}", 410, "/field/{token}"),
    "a photo by a forged link": Hostile(
        "POST", f"/field/{_link(1, 'a-guess')}/photos", 403, "/field/{token}/photos", None, MARK.encode()
    ),
    "no key": Hostile("GET", "/api/v1/assets", 401, "/api/v1/assets"),
    "a key that is none": Hostile("GET", "/api/v1/assets", 401, "/api/v1/assets", None, b"", f"llk_{MARK}"),
    "a role too low": Hostile("DELETE", "/api/v1/assets/G-P0", 403, "/api/v1/assets/{id}", Role.VIEWER),
    "a method that is none": Hostile("PROPFIND", "/api/v1/assets", 405, "/api/v1/assets", Role.VIEWER),
}  # fmt: skip


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        open_alert(connection, build(connection)["gas"])
    with running_api(database_dsn, LIFELINE_LINK_SECRET=LINKS) as process:
        yield process


def address(number: int) -> str:
    return f"203.0.113.{number}"


def send(api: Api, each: Hostile, number: int) -> httpx.Response:
    headers = {"X-Forwarded-For": address(number), "Content-Type": "application/json"}
    if "/photos" in each.path:
        headers["Content-Type"] = "application/octet-stream"
    if each.role or each.key:
        headers["Authorization"] = f"Bearer {each.key or api.key(each.role or Role.VIEWER)}"
    url = httpx.URL(api.url).copy_with(raw_path=each.path.encode())
    return httpx.request(each.method, url, headers=headers, content=each.body, timeout=30, verify=PLAIN)


@pytest.fixture(scope="module")
def told(api: Api) -> tuple[dict[str, httpx.Response], list[dict[str, Any]]]:
    """The answers to all of it, each from its own address; then the lines of the log."""
    answers = {name: send(api, each, number) for number, (name, each) in enumerate(HOSTILE.items(), 1)}
    guesses = Hostile("GET", "/api/v1/assets", 401, "", None, b"", f"llk_{MARK}")
    answers |= {f"guess {n}": send(api, guesses, 200) for n in range(LINES_A_MINUTE + 20)}
    log = api.end()[1]
    assert not [secret for secret in (MARK, LINKS, *api.keys.values()) if secret in log]
    return answers, [json.loads(line) for line in log.splitlines()]


@pytest.mark.parametrize(("number", "name"), list(enumerate(HOSTILE, 1)))
def test_it_is_refused_and_logged_and_nothing_leaks(
    number: int, name: str, told: tuple[dict[str, httpx.Response], list[dict[str, Any]]]
) -> None:
    answers, log = told
    answer, each = answers[name], HOSTILE[name]
    assert answer.status_code == each.status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    shown = (answer.text + str(answer.headers)).lower().replace("llk_...", "")
    assert not [word for word in INSIDE if word in shown]
    lines = [line for line in log if line.get("address") == address(number)]
    refused = [line for line in lines if line["event"] == "a request was refused"]
    assert [(line["status"], line["route"]) for line in refused] == [(each.status, each.route)], lines


def test_who_guesses_keys_is_held_up_and_fills_no_log(
    told: tuple[dict[str, httpx.Response], list[dict[str, Any]]],
) -> None:
    """Every try is counted by the metrics; the log says that there were many, and then no more for a minute."""
    answers, log = told
    codes = [answer.status_code for name, answer in answers.items() if name.startswith("guess")]
    assert codes == [401] * 10 + [429] * (LINES_A_MINUTE + 10)
    lines = [line for line in log if line.get("address") == address(200)]
    assert len([line for line in lines if line["event"] == "a request was refused"]) == LINES_A_MINUTE
    assert len([line for line in lines if line["event"] == "a wrong key was refused"]) == 10


def test_after_all_that_nothing_has_changed(told: object, database_dsn: str) -> None:
    with connect(database_dsn) as connection:
        assert connection.execute("SELECT state FROM alert").fetchall() == [("UNACK",)]
        assert connection.execute("SELECT count(*) FROM asset").fetchone() == (15,)
        for table in ("feedback", "field_photo", "response_history"):
            assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,), table
