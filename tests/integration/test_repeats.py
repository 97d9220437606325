"""Requests that are sent again with the same Idempotency-Key, against a real API and by themselves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from lifeline.model import Role
from lifeline.storage import repeats
from lifeline.storage.database import Connection, connect
from lifeline.storage.repeats import Asked, Kept
from tests.api_process import Api, running_api
from tests.integration.asking import assert_problem
from tests.integration.city import NOON
from tests.integration.town import build, empty, open_alert

NOTES = "/api/v1/alerts/1/notes"


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        open_alert(connection, build(connection)["gas"])
    with running_api(database_dsn) as process:
        yield process


def send(api: Api, key: str, path: str = NOTES, note: str = "once", role: Role = Role.OPERATOR) -> httpx.Response:
    return api.call("POST", path, role, json={"note": note}, headers={"Idempotency-Key": key})


def notes(api: Api, word: str) -> int:
    return api.get("/api/v1/alerts/1/response").text.count(word)


def test_a_write_that_comes_again_does_nothing_and_gets_the_same_answer(api: Api) -> None:
    first, again = send(api, "k-1", note="said once"), send(api, '"k-1"', note="said once")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert first.headers["content-type"] == again.headers["content-type"]
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert notes(api, "said once") == 1
    assert send(api, "k-2", note="said once").status_code == 200
    assert notes(api, "said once") == 2, "under another key it is another one"


def test_the_same_key_with_something_else_is_refused(api: Api) -> None:
    assert send(api, "k-3").status_code == 200
    assert_problem(send(api, "k-3", note="other"), 422)
    assert_problem(send(api, "k-3", path="/api/v1/alerts/1/shelve"), 422)
    assert send(api, "k-3", note="another's", role=Role.ENGINEER).status_code == 200, "keys are each caller's own"


def test_what_failed_may_be_sent_again(api: Api) -> None:
    assert send(api, "k-4", path="/api/v1/alerts/999/notes").status_code == 404
    assert send(api, "k-4", path="/api/v1/alerts/999/notes").status_code == 404
    assert send(api, "k-4", note="after the failure").status_code == 200


def test_of_many_at_the_same_time_one_is_done(api: Api) -> None:
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: send(api, "k-5", note="in a crowd").status_code, range(6)))
    assert set(codes) <= {200, 409}
    assert 200 in codes
    assert notes(api, "in a crowd") == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é", '"'])
def test_a_key_that_is_none_is_refused(key: str, api: Api) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = api.call("POST", NOTES, Role.OPERATOR, json={"note": "x"}, headers=headers)
    assert_problem(answer, 400)


@pytest.mark.parametrize("path", ["keys", "users", "users/x/link", "endpoints", "endpoints/x/rotate"])
def test_an_answer_with_a_secret_is_never_kept(path: str, api: Api) -> None:
    told = api.call("POST", f"/api/v1/{path}", Role.ADMIN, json={"name": "x"}, headers={"Idempotency-Key": "k"})
    assert_problem(told, 400)
    with connect(api.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM kept_answer WHERE caller LIKE '%admin%'").fetchone() == (0,)


def test_who_may_not_is_refused_before_anything_is_kept(api: Api) -> None:
    assert_problem(send(api, "k-6", role=Role.VIEWER), 403)
    assert api.call("POST", NOTES, None, headers={"Idempotency-Key": "k-6"}).status_code == 401


def test_a_kept_answer_ends_after_a_day_and_one_that_died_after_minutes(connection: Connection, api: Api) -> None:
    asked, other = Asked("key me", "k", b"1"), Asked("key me", "k", b"2")

    def begin(what: Asked, minutes: float) -> repeats.Before | None:
        now = NOON + timedelta(minutes=minutes)
        return repeats.begin(connection, what, now, now - timedelta(days=1), now - timedelta(minutes=5))

    assert begin(asked, 0) is None
    assert begin(asked, 1) == repeats.Before(b"1", None), "at work"
    assert begin(asked, 6) is None, "its process has died"
    repeats.keep(connection, asked, Kept(201, "application/json", b"{}"))
    assert begin(other, 60) == repeats.Before(b"1", Kept(201, "application/json", b"{}"))
    assert begin(other, 6 + 24 * 60 + 1) is None
    repeats.forget(connection, other)
    assert begin(other, 6 + 24 * 60 + 2) is None
