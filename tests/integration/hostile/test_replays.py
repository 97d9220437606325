"""What is good once is refused the second time: that is told in the log with where it came from, and neither log nor
answer tells what was sent. Our own messages that come again: ``test_notification.py``."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lifeline.fieldlink import Action, FieldLink, write
from lifeline.model import Role
from lifeline.storage import fieldlinks, response, sessions, users
from lifeline.storage.database import connect
from tests.api_process import PLAIN, Api, running_api
from tests.integration.hostile.test_refusals import INSIDE, LINKS, MARK
from tests.integration.town import build, empty, open_alert
from tests.issuer import TestIssuer, page_settings, running_issuer

SESSION = "/api/v1/session"
REFUSED, NOT_LET_IN = "a request was refused", "a log-in by the log-in service was refused"


class Twice(NamedTuple):
    """One thing that was sent twice: both answers, from which address, and what of it nobody may read afterwards."""

    first: httpx.Response
    second: httpx.Response
    address: str
    secrets: list[str]


def caller(api: Api, address: str, role: Role | None = None) -> httpx.Client:
    headers = {"X-Forwarded-For": address} | ({"Authorization": f"Bearer {api.key(role)}"} if role else {})
    return httpx.Client(base_url=api.url, headers=headers, timeout=30, verify=PLAIN)


def field_link(api: Api) -> Twice:
    address, expires_at = "203.0.113.1", datetime.now(UTC) + timedelta(hours=1)
    token = write(LINKS, FieldLink(1, Action.CONFIRMED, expires_at, 1, f"{MARK:x<16}"))
    with caller(api, address) as client:
        first, second = (client.post(f"/field/{token}", json={"name": MARK}) for _ in range(2))
    return Twice(first, second, address, [token, MARK])


def link_to_log_in(api: Api) -> Twice:
    with connect(api.dsn) as connection:
        link = sessions.make_link(connection, "ann", datetime.now(UTC))
    address = "203.0.113.2"
    with caller(api, address) as one, caller(api, address) as other:
        first, second = (client.post(SESSION, json={"link": link}) for client in (one, other))
    return Twice(first, second, address, [link])


def cookie_of_who_has_left(api: Api) -> Twice:
    with connect(api.dsn) as connection:
        link = sessions.make_link(connection, "ann", datetime.now(UTC))
    address = "203.0.113.3"
    with caller(api, address) as client, caller(api, address) as thief:
        csrf = client.post(SESSION, json={"link": link}).json()["csrf"]
        cookie = client.cookies["lifeline_session"]
        first = client.delete(SESSION, headers={"X-CSRF-Token": csrf})
        second = thief.get("/api/v1/me", headers={"Cookie": f"lifeline_session={cookie}"})
    return Twice(first, second, address, [cookie, csrf])


def answer_of_the_log_in_service(api: Api) -> Twice:
    address = "203.0.113.4"
    with caller(api, address) as client, caller(api, address) as thief:
        there = client.get(f"{SESSION}/oidc").headers["location"]
        back = httpx.get(there, verify=PLAIN).headers["location"]
        flow = client.cookies["lifeline_session_flow"]
        first = client.get(back)
        second = thief.get(back, headers={"Cookie": f"lifeline_session_flow={flow}"})
    asked = parse_qs(urlsplit(back).query)
    return Twice(first, second, address, [asked["code"][0], asked["state"][0], flow])


def idempotency_key(api: Api) -> Twice:
    address, path = "203.0.113.5", "/api/v1/alerts/1/notes"
    with caller(api, address, Role.OPERATOR) as client:
        first, second = (
            client.post(path, json={"note": note}, headers={"Idempotency-Key": MARK}) for note in ("said", "changed")
        )
    return Twice(first, second, address, [MARK, api.key(Role.OPERATOR)])


SENT = {
    field_link: (200, 409, (REFUSED, 409, "/field/{token}")),
    link_to_log_in: (201, 401, (REFUSED, 401, SESSION)),
    cookie_of_who_has_left: (204, 401, (REFUSED, 401, "/api/v1/me")),
    answer_of_the_log_in_service: (303, 303, (NOT_LET_IN, None, None)),
    idempotency_key: (200, 422, (REFUSED, 422, "/api/v1/alerts/{id}/notes")),
}
"""What is sent twice: the statuses of both answers, and what the log tells of the second."""


@pytest.fixture(scope="module")
def service() -> Iterator[TestIssuer]:
    with running_issuer("ES256", log_in=True) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def told(database_dsn: str, service: TestIssuer) -> tuple[dict[str, Twice], str]:
    """Both answers to each, and the log."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        open_alert(connection, build(connection)["gas"])
        users.add(connection, "ann", Role.OPERATOR, datetime.now(UTC))
    with running_api(database_dsn, LIFELINE_LINK_SECRET=LINKS, **page_settings(service)) as api:
        return {send.__name__: send(api) for send in SENT}, api.end()[1]


@pytest.mark.parametrize("send", SENT, ids=lambda each: each.__name__)
def test_it_is_good_once_and_the_second_time_refused_and_logged_and_nothing_leaks(
    send: Any, told: tuple[dict[str, Twice], str]
) -> None:
    (twice, log), (good, refused, said) = (told[0][send.__name__], told[1]), SENT[send]
    assert (twice.first.status_code, twice.second.status_code) == (good, refused), twice.second.text
    shown = (twice.second.text + str(twice.second.headers)).lower()
    assert not [word for word in (*INSIDE, *twice.secrets) if word.lower() in shown]
    assert not [secret for secret in twice.secrets if secret in log]
    lines = [each for each in map(json.loads, log.splitlines()) if each.get("address") == twice.address]
    found = [(line["event"], line.get("status"), line.get("route")) for line in lines if line["event"] == said[0]]
    assert found == [said], lines


def test_what_came_again_did_nothing(told: tuple[dict[str, Twice], str], database_dsn: str) -> None:
    answers = told[0]
    assert answers["field_link"].second.json()["outcome"] == "repeated"
    assert answers["answer_of_the_log_in_service"].second.headers["location"] == "/#refused=broken"
    assert "set-cookie" not in answers["link_to_log_in"].second.headers
    with connect(database_dsn) as connection:
        assert [use.outcome for use in fieldlinks.uses(connection, 1)] == ["done", "repeated"]
        done = [(entry.to_step, entry.note) for entry in response.history(connection, 1)]
        assert done == [("confirmed", ""), ("confirmed", "said")], "the step once, the first note alone"
        sessions_of = connection.execute("SELECT count(*), count(subject) FROM session").fetchone()
        assert sessions_of == (2, 1), "one of the link, and one of the log-in service"
