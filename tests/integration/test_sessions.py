"""Logging in, staying in and getting out, against a real API; and those who try it with what is not theirs."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from lifeline.errors import RejectedDataError
from lifeline.model import Role
from lifeline.principal import scope_of
from lifeline.storage import sessions, users
from lifeline.storage.database import Connection
from lifeline.storage.sessions import Lives
from tests.api_process import PLAIN, READERS, Api, running_api, until
from tests.logging_in import PASSWORD

NOW = datetime.now(UTC)
ADDRESSES = (f"198.18.{high}.{low}" for high in range(256) for low in range(1, 255))
ME = "/api/v1/session"
_OPEN: list[httpx.Client] = []


@pytest.fixture(scope="module")
def api(people: str) -> Iterator[Api]:
    with running_api(people) as process:
        yield process


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


class Browser:
    """A client with cookies, from an address of its own, which sends the page's proof unless told otherwise."""

    def __init__(self, api: Api, name: str = "", password: str = PASSWORD) -> None:
        headers = {"X-Forwarded-For": next(ADDRESSES)}
        self.client = httpx.Client(base_url=api.url, headers=headers, timeout=30, verify=False)
        _OPEN.append(self.client)
        self.csrf = ""
        if name:
            answer = self.log_in(name=name, password=password)
            assert answer.status_code == 201, answer.text
            self.csrf = answer.json()["csrf"]

    def log_in(self, **said: str) -> httpx.Response:
        return self.client.post(ME, json=said)

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"X-CSRF-Token": self.csrf} | options.pop("headers", {})
        return self.client.request(method, path, headers=headers, **options)

    @property
    def token(self) -> str:
        return str(self.client.cookies["lifeline_session"])


# ------------------------------------------------------------------------------------------------- in, stay and out


def test_a_session_opens_in_a_cookie_that_no_script_and_no_other_site_gets(api: Api, db: Connection) -> None:
    answer = Browser(api).log_in(name="Operator", password=PASSWORD)
    told = answer.json()
    assert (told["name"], told["role"], told["kind"], told["networks"]) == ("operator", "operator", "user", None)
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=604800"):
        assert word in cookie
    assert "Secure" not in cookie
    token = answer.cookies["lifeline_session"]
    assert token not in answer.text
    rows = str(db.execute("SELECT s::text FROM session s").fetchall()) + str(db.execute("TABLE audit").fetchall())
    assert token not in rows
    assert PASSWORD not in rows


@pytest.mark.parametrize("role", READERS)
def test_a_session_may_what_its_role_may_and_nothing_else(role: Role, api: Api) -> None:
    browser = Browser(api, role)
    assert browser.call("GET", ME).json()["role"] == role
    assert browser.call("GET", "/api/v1/assets").status_code == 200
    acts = browser.call("POST", "/api/v1/alerts/999/acknowledge").status_code
    assert acts == (403 if role == Role.VIEWER else 404)
    assert browser.call("GET", "/api/v1/users").status_code == (200 if role == Role.ADMIN else 403)


def test_who_logs_out_is_out_also_with_a_copy_of_the_cookie(api: Api) -> None:
    browser = Browser(api, "viewer")
    copy = {"Cookie": f"lifeline_session={browser.token}"}
    assert httpx.get(api.url + ME, headers=copy, verify=PLAIN).status_code == 200
    answer = browser.call("DELETE", ME)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert httpx.get(api.url + ME, headers=copy, verify=PLAIN).status_code == 401


def test_who_logs_out_everywhere_is_out_on_every_machine(api: Api) -> None:
    here, there, other = Browser(api, "viewer"), Browser(api, "viewer"), Browser(api, "operator")
    assert here.call("DELETE", f"{ME}?everywhere=true").status_code == 204
    assert there.call("GET", ME).status_code == 401
    assert other.call("GET", ME).status_code == 200


def test_a_session_ends_when_it_is_idle_and_in_any_case_after_its_time(connection: Connection, api: Api) -> None:
    user = users.find(connection, "viewer")
    lives = Lives(timedelta(minutes=30), timedelta(hours=2))
    token = sessions.begin(connection, user, lives, NOW)
    digest = sessions.digest_of(token, sessions.TOKEN_PREFIX)
    assert digest is not None

    def alive(minutes: float) -> bool:
        return sessions.find(connection, digest, lives, NOW + timedelta(minutes=minutes)) is not None

    assert [alive(minutes) for minutes in (0.5, 29, 58, 87, 116, 119.9)] == [True] * 6, "each use begins the time anew"
    assert not alive(120)
    other = sessions.digest_of(sessions.begin(connection, user, lives, NOW), sessions.TOKEN_PREFIX)
    assert other is not None
    assert sessions.find(connection, other, lives, NOW + timedelta(minutes=30)) is None, "never used"
    sessions.forget_ended(connection, lives, NOW + timedelta(hours=3))
    rows = connection.execute("SELECT count(*) FROM session WHERE expires_at < %s", [NOW + timedelta(hours=3)])
    assert rows.fetchone() == (0,), "what has ended is forgotten"


def test_over_tls_a_planted_plain_cookie_counts_for_nothing(api: Api) -> None:
    planted = Browser(api, "viewer").token
    tls = {"X-Forwarded-Proto": "https", "X-Forwarded-For": next(ADDRESSES)}
    answer = httpx.post(api.url + ME, json={"name": "admin", "password": PASSWORD}, headers=tls, verify=PLAIN)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-lifeline_session=")
    assert "Secure" in cookie
    own = cookie.partition(";")[0]
    both = httpx.get(api.url + ME, headers=tls | {"Cookie": f"lifeline_session={planted}; {own}"}, verify=PLAIN)
    assert both.json()["name"] == "admin"
    assert (
        httpx.get(api.url + ME, headers=tls | {"Cookie": f"lifeline_session={planted}"}, verify=PLAIN).status_code
        == 401
    )
    assert httpx.get(api.url + ME, headers={"Cookie": own}, verify=PLAIN).status_code == 401, (
        "nor the other where there is no TLS"
    )
    proof = {"X-CSRF-Token": answer.json()["csrf"], "Cookie": own}
    gone = httpx.delete(api.url + ME, headers=tls | proof, verify=PLAIN)
    assert (gone.status_code, gone.headers["set-cookie"].partition("=")[0]) == (204, "__Host-lifeline_session")


def test_who_logs_in_is_noted_with_his_own_doings_alone(api: Api, db: Connection) -> None:
    """Not with the end of others' sessions, and his password's new hash is his, not a field link's."""
    older = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    users.add(db, "newcomer", Role.VIEWER, NOW, PASSWORD)
    db.execute("UPDATE app_user SET password_hash = %s WHERE name = 'newcomer'", [older])
    for _ in range(9):  # as many as the pool has connections: none remembers who logged out
        assert Browser(api, "operator").call("DELETE", ME).status_code == 204
    row = db.execute("SELECT coalesce(max(audit_id), 0) FROM audit").fetchone()
    sessions.begin(db, users.find(db, "admin"), Lives(timedelta(hours=1), timedelta(hours=1)), NOW - timedelta(days=30))
    Browser(api, "newcomer")
    told = "SELECT actor, actor_kind, action, what FROM audit WHERE audit_id > %s ORDER BY audit_id"
    assert db.execute(told, row).fetchall() == [
        ("newcomer", "user", "update", "app_user"),
        ("newcomer", "user", "insert", "session"),
    ]
    assert db.execute("SELECT count(*) FROM session WHERE expires_at < now()").fetchone() == (0,)


def test_without_a_log_in_service_there_is_no_way_to_one(api: Api) -> None:
    assert httpx.get(f"{api.url}{ME}/ways", verify=PLAIN).json() == {"service": None}
    for path in ("", "/callback?code=x&state=y", "/log-out"):
        assert httpx.get(f"{api.url}{ME}/oidc{path}", verify=PLAIN).status_code == 404


# ------------------------------------------------------------------------------------------------------- no forgery


@pytest.mark.parametrize("proof", [None, "", "0" * 64, "é", "another's"])
def test_a_change_by_cookie_takes_the_proof_of_this_very_session(proof: str | None, api: Api) -> None:
    browser, other = Browser(api, "operator"), Browser(api, "operator")
    said = {} if proof is None else {"X-CSRF-Token": other.csrf if proof == "another's" else proof}
    for method, path in (
        ("POST", "/api/v1/alerts/1/notes"),
        ("DELETE", ME),
        ("PATCH", "/api/v1/maintenance-windows/1"),
    ):
        answer = browser.client.request(method, path, headers={k: v.encode() for k, v in said.items()})
        assert answer.status_code == 403, (method, path)
        assert "X-CSRF-Token" in answer.json()["detail"]
        assert browser.csrf not in answer.text
    assert browser.call("POST", "/api/v1/alerts/999/notes", json={"note": "x"}).status_code == 404


def test_a_key_needs_no_proof_and_a_cookie_beside_a_wrong_key_does_not_help_it(api: Api) -> None:
    browser = Browser(api, "operator")
    assert api.call("POST", "/api/v1/alerts/999/acknowledge", Role.OPERATOR).status_code == 404
    wrong = {"Authorization": "Bearer llk_wrong"}
    assert browser.call("GET", ME, headers=wrong).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_other_site_logs_a_visitor_in(site: str, api: Api) -> None:
    said = {"name": "viewer", "password": PASSWORD}
    answer = httpx.post(api.url + ME, json=said, headers={"Sec-Fetch-Site": site}, verify=PLAIN)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


def test_a_forged_token_opens_nothing(api: Api, db: Connection) -> None:
    token = Browser(api, "admin").token
    digests = [digest.hex() for (digest,) in db.execute("SELECT digest FROM session").fetchall()]
    swapped = token[:-1] + ("A" if token[-1] != "A" else "B")
    for forged in (swapped, token[:-1], token + "A", token.upper(), "lls_", "x", *digests, "lls_" + digests[0]):
        answer = httpx.get(api.url + ME, headers={"Cookie": f"lifeline_session={forged}"}, verify=PLAIN)
        assert answer.status_code == 401, forged
    as_key = httpx.get(
        api.url + ME, headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": next(ADDRESSES)}, verify=PLAIN
    )
    assert as_key.status_code == 401, "a session counts as a cookie alone"


def test_a_planted_session_is_not_gone_on_with(api: Api) -> None:
    """Session fixation: whoever gave a victim his cookie does not come in with it once the victim has logged in."""
    planted = Browser(api, "viewer").token
    victim = Browser(api)
    victim.client.cookies.set("lifeline_session", planted)
    assert victim.log_in(name="admin", password=PASSWORD).status_code == 201
    assert httpx.get(api.url + ME, headers={"Cookie": f"lifeline_session={planted}"}, verify=PLAIN).status_code == 401
    made_up = Browser(api)
    made_up.client.cookies.set("lifeline_session", "lls_" + "A" * 43)
    made_up.log_in(name="viewer", password=PASSWORD)
    assert "lls_" + "A" * 43 not in {cookie.value for cookie in made_up.client.cookies.jar if cookie.domain}


def test_the_cookie_of_a_disabled_user_opens_nothing_from_the_next_request_on(api: Api, db: Connection) -> None:
    users.add(db, "leaver", Role.ADMIN, NOW, PASSWORD)
    leaver, admin = Browser(api, "leaver"), Browser(api, "admin")
    assert leaver.call("GET", "/api/v1/users").status_code == 200
    assert admin.call("DELETE", "/api/v1/users/leaver").status_code == 204
    assert leaver.call("GET", ME).status_code == 401
    refused, unknown = (Browser(api).log_in(name=name, password=PASSWORD) for name in ("leaver", "no.such"))
    assert (refused.status_code, refused.text) == (unknown.status_code, unknown.text)
    assert refused.status_code == 401
    assert db.execute(
        "SELECT count(*) FROM session JOIN app_user u USING (user_id) WHERE u.name = 'leaver'"
    ).fetchone() == (0,)


def test_a_lower_role_is_lower_at_once_and_elsewhere_within_seconds(api: Api, db: Connection) -> None:
    users.add(db, "climber", Role.ENGINEER, NOW, PASSWORD)
    climber, admin = Browser(api, "climber"), Browser(api, "admin")
    assert climber.call("POST", "/api/v1/jobs").status_code == 400
    assert admin.call("PATCH", "/api/v1/users/climber", json={"role": "viewer"}).status_code == 200
    assert climber.call("POST", "/api/v1/jobs").status_code == 403
    users.change(db, "climber", NOW, role=Role.ENGINEER)
    until(lambda: climber.call("POST", "/api/v1/jobs").status_code == 400, "the role by another process", 7)


# --------------------------------------------------------------------------------------------------------- guessing


def test_who_guesses_a_password_waits_ever_longer_and_learns_nothing(api: Api, db: Connection) -> None:
    """The same answers, in the same order, for a name that is there and for one that is not."""
    users.add(db, "target", Role.ADMIN, NOW, PASSWORD)
    told = {}
    for name in ("target", "nobody.here"):
        answers = [Browser(api).log_in(name=name, password=f"wrong guess {n}") for n in range(5)]
        db.execute("UPDATE login_failure SET last_at = last_at + interval '1 minute'")  # a slow machine is no wait
        answers += [Browser(api).log_in(name=name, password=f"wrong guess {n}") for n in range(2)]
        told[name] = [(answer.status_code, answer.text) for answer in answers]
        assert [status for status, _ in told[name]] == [401] * 5 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) >= 1
    assert told["target"] == told["nobody.here"]
    assert Browser(api).log_in(name="TARGET ", password=PASSWORD).status_code == 429, "also with the right one"
    db.execute("UPDATE login_failure SET last_at = last_at - interval '3 minutes'")
    assert Browser(api, "target").call("GET", ME).status_code == 200
    assert Browser(api).log_in(name="target", password="wrong again").status_code == 401, "and it begins anew"


def seen_ago(db: Connection, digest: bytes) -> float:
    (row,) = db.execute("SELECT extract(epoch FROM now() - last_seen_at) FROM session WHERE digest = %s", [digest])
    return float(row[0])


@pytest.mark.parametrize(
    ("method", "headers", "used"),
    [("GET", {}, False), ("HEAD", {}, False), ("GET", {"X-Acted": "1"}, True), ("POST", {}, True)],
    ids=["what a page fetches by itself", "a look", "what it fetches for somebody", "a change"],
)
def test_only_what_somebody_does_begins_a_sessions_idle_time_anew(
    method: str, headers: dict[str, str], used: bool, api: Api, db: Connection
) -> None:
    browser = Browser(api, "operator")
    digest = sessions.digest_of(browser.token, sessions.TOKEN_PREFIX) or b""
    db.execute("UPDATE session SET last_seen_at = now() - interval '20 minutes' WHERE digest = %s", [digest])
    path = "/api/v1/alerts/999/acknowledge" if method == "POST" else "/api/v1/alerts"
    assert browser.call(method, path, headers=headers).status_code in (200, 404)
    assert (seen_ago(db, digest) < 60) is used


def test_a_person_is_given_no_role_of_keys(connection: Connection, api: Api) -> None:
    with pytest.raises(RejectedDataError, match="role of keys"):
        users.add(connection, "hotline", Role.INTAKE, NOW, PASSWORD)
    with pytest.raises(RejectedDataError, match="role of keys"):
        users.change(connection, "viewer", NOW, role=Role.INTAKE)
    said = {"name": "hotline", "role": "intake"}
    assert api.call("POST", "/api/v1/users", Role.ADMIN, json=said).status_code == 400
    assert api.call("PATCH", "/api/v1/users/viewer", Role.ADMIN, json={"role": "intake"}).status_code == 400


def test_a_log_in_that_makes_no_sense_is_a_bad_one(api: Api) -> None:
    unkept = {"name": "a\0b", "password": "p"}  # text that no column can hold
    for said in (
        {},
        {"name": "x", "password": "y", "link": "z"},
        {"user": "x"},
        {"name": "x" * 65, "password": "p"},
        unkept,
    ):
        assert httpx.post(api.url + ME, json=said, verify=PLAIN).status_code == 400, said
    injected = {"name": "'; DROP TABLE app_user; --", "password": "p" * 256}
    assert Browser(api).log_in(**injected).status_code == 401


# ------------------------------------------------------------------------------------------------------------ links


def test_a_link_opens_one_session_once(api: Api) -> None:
    admin = Browser(api, "admin")
    link = admin.call("POST", "/api/v1/users/operator/link").json()["link"]
    first, second = Browser(api), Browser(api)
    answer = first.log_in(link=link)
    assert (answer.status_code, answer.json()["name"]) == (201, "operator")
    assert first.call("GET", ME).json()["name"] == "operator"
    assert second.log_in(link=link).status_code == 401
    assert Browser(api).log_in(link="lll_" + secrets.token_urlsafe(32)).status_code == 401
    assert admin.call("POST", "/api/v1/users/no.such/link").status_code == 404


def test_a_link_ends_after_its_quarter_of_an_hour_and_with_its_user(connection: Connection, api: Api) -> None:
    link = sessions.make_link(connection, "viewer", NOW)
    assert sessions.use_link(connection, link, NOW + sessions.LINK_LIFE) is None
    users.add(connection, "gone", Role.VIEWER, NOW)
    link = sessions.make_link(connection, "gone", NOW)
    users.change(connection, "gone", NOW, disabled=True)
    users.change(connection, "gone", NOW, disabled=False)
    assert sessions.use_link(connection, link, NOW) is None, "what was given out before is gone"
    assert users.find(connection, "gone").scope == scope_of(None, None)
