"""Logging in, staying in and getting out, against a real API; and those who try it with what is not theirs."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from api.access import SESSION_FAILURES, Gate
from api.problems import ProblemError
from api.session import _LOGGING_IN, AT_ONCE, LogIn, _by_password
from lifeline import password as passwords
from lifeline.model import Role
from lifeline.principal import Kind, Principal, scope_of
from lifeline.storage import sessions, users
from lifeline.storage.database import Connection, Pool, borrow, connect, open_pool
from lifeline.storage.sessions import Lives
from tests.api_process import Api, running_api, until
from tests.integration.town import build, empty, open_alert
from tests.logging_in import authenticate

PASSWORD = "five Different words"
NOW = datetime.now(UTC)
ADDRESSES = (f"198.18.{high}.{low}" for high in range(256) for low in range(1, 255))
ME = "/api/v1/session"
_OPEN: list[httpx.Client] = []


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """A town with an open gas alert, and one user of each role, named as the role, with one password."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        open_alert(connection, build(connection)["gas"])
        for role in Role:
            users.add(connection, role, role, NOW, PASSWORD)
    with running_api(database_dsn) as process:
        yield process


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    with connect(api.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


class Browser:
    """A client with cookies, from an address of its own, which sends the page's proof unless told otherwise."""

    def __init__(self, api: Api, name: str = "", password: str = PASSWORD) -> None:
        headers = {"X-Forwarded-For": next(ADDRESSES)}
        self.client = httpx.Client(base_url=api.url, headers=headers, timeout=20, verify=False)
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


@pytest.mark.parametrize("role", Role)
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
    assert httpx.get(api.url + ME, headers=copy).status_code == 200
    answer = browser.call("DELETE", ME)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert httpx.get(api.url + ME, headers=copy).status_code == 401


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
    answer = httpx.post(api.url + ME, json={"name": "admin", "password": PASSWORD}, headers=tls)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-lifeline_session=")
    assert "Secure" in cookie
    own = cookie.partition(";")[0]
    both = httpx.get(api.url + ME, headers=tls | {"Cookie": f"lifeline_session={planted}; {own}"})
    assert both.json()["name"] == "admin"
    assert httpx.get(api.url + ME, headers=tls | {"Cookie": f"lifeline_session={planted}"}).status_code == 401
    assert httpx.get(api.url + ME, headers={"Cookie": own}).status_code == 401, "nor the other where there is no TLS"
    proof = {"X-CSRF-Token": answer.json()["csrf"], "Cookie": own}
    gone = httpx.delete(api.url + ME, headers=tls | proof)
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
    answer = httpx.post(api.url + ME, json=said, headers={"Sec-Fetch-Site": site})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


def test_a_forged_token_opens_nothing(api: Api, db: Connection) -> None:
    token = Browser(api, "admin").token
    digests = [digest.hex() for (digest,) in db.execute("SELECT digest FROM session").fetchall()]
    swapped = token[:-1] + ("A" if token[-1] != "A" else "B")
    for forged in (swapped, token[:-1], token + "A", token.upper(), "lls_", "x", *digests, "lls_" + digests[0]):
        answer = httpx.get(api.url + ME, headers={"Cookie": f"lifeline_session={forged}"})
        assert answer.status_code == 401, forged
    as_key = httpx.get(api.url + ME, headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": next(ADDRESSES)})
    assert as_key.status_code == 401, "a session counts as a cookie alone"


def test_a_planted_session_is_not_gone_on_with(api: Api) -> None:
    """Session fixation: whoever gave a victim his cookie does not come in with it once the victim has logged in."""
    planted = Browser(api, "viewer").token
    victim = Browser(api)
    victim.client.cookies.set("lifeline_session", planted)
    assert victim.log_in(name="admin", password=PASSWORD).status_code == 201
    assert httpx.get(api.url + ME, headers={"Cookie": f"lifeline_session={planted}"}).status_code == 401
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
        "SELECT count(*) FROM session JOIN app_user USING (user_id) WHERE name = 'leaver'"
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


def test_one_address_that_tries_many_names_waits(connection: Connection, api: Api) -> None:
    now = NOW + timedelta(days=1)
    for n in range(sessions.FREE_BY_ADDRESS):
        assert sessions.wait_s(connection, f"name{n}", "203.0.113.5", now) == 0
        connection.execute(
            "INSERT INTO login_failure AS f VALUES (%s, 1, %s)"
            " ON CONFLICT (subject) DO UPDATE SET failures = f.failures + 1",
            [sessions._address("203.0.113.5"), now],
        )
    assert sessions.wait_s(connection, "fresh", "203.0.113.5", now) == 1
    assert sessions.wait_s(connection, "fresh", "203.0.113.6", now) == 0


def test_who_has_logged_in_from_an_address_is_not_kept_out_by_others_who_guess_there(
    connection: Connection, api: Api
) -> None:
    here, now = "203.0.113.7", NOW + timedelta(days=1)
    assert authenticate(connection, "Operator", PASSWORD, here, now) is not None
    for n in range(sessions.FREE_BY_ADDRESS):
        sessions.attempt(connection, f"name{n}", here, now)
    assert sessions.wait_s(connection, "admin", here, now) == 1
    assert sessions.wait_s(connection, " operator", here, now) == 0
    for _ in range(sessions.FREE_BY_ACCOUNT):
        assert authenticate(connection, "operator", "wrong words", here, now) is None
    assert sessions.wait_s(connection, "operator", here, now) == 1, "his own account's limit holds"


def test_a_password_that_changes_while_it_is_looked_at_opens_nothing(connection: Connection, api: Api) -> None:
    user = sessions.attempt(connection, "viewer", "x", NOW)
    assert user is not None
    users.set_password(connection, "viewer", "six even better words", NOW)
    assert not sessions.accept(connection, user, "x", NOW)


def test_log_ins_hold_no_connection_while_they_hash_and_only_so_many_wait(api: Api) -> None:
    pool = open_pool(api.dsn, application="test log-in", size=1, timeout_s=5)
    asked = [LogIn(name=name, password=PASSWORD, link="") for name in (*Role, "nobody1", "nobody2", "nobody3")]
    slots = [passwords._AT_ONCE, passwords._AT_ONCE]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for slot in slots:
            slot.acquire()
        try:
            waiting = [threads.submit(_by_password, pool, each, "192.0.2.1", NOW) for each in asked]
            until(lambda: _counted(pool) == AT_ONCE, "all of them to wait, and a connection to be free")
            with pytest.raises(ProblemError) as refused:
                _by_password(pool, asked[0], "192.0.2.1", NOW)
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
        finally:
            for slot in slots:
                slot.release()
        found = [each.result()[0] for each in waiting]
    assert [user and user.name for user in found] == [*Role, None, None, None]
    assert _LOGGING_IN._value == AT_ONCE, "each gave its place back"
    with borrow(pool) as connection:
        connection.execute("DELETE FROM login_failure")
    pool.close()


def _counted(pool: Pool) -> int:
    with borrow(pool) as connection:
        rows = connection.execute(
            "SELECT failures FROM login_failure WHERE subject = %s", [sessions._address("192.0.2.1")]
        )
        return sum(number for (number,) in rows)


def test_who_makes_sessions_up_waits_and_keeps_nobody_out_who_was_in(api: Api) -> None:
    pool = open_pool(api.dsn, application="test gate", size=1)
    lives = Lives(timedelta(hours=1), timedelta(hours=2))
    gate = Gate(pool, lambda: NOW, lives)
    try:
        with borrow(pool) as connection:
            viewer = users.find(connection, "viewer")
            known, fresh, late = (
                sessions.digest_of(sessions.begin(connection, viewer, lives, NOW), sessions.TOKEN_PREFIX) or b""
                for _ in range(3)
            )
        assert gate.admit_session(known, "a").name == "viewer"
        told = []
        for _ in range(SESSION_FAILURES + 1):
            with pytest.raises(ProblemError) as refused:
                gate.admit_session(secrets.token_bytes(32), "a")
            told.append(refused.value.status)
        assert told == [401] * SESSION_FAILURES + [429]
        gate.forget_user("viewer")
        gate.welcome(Principal("viewer", Role.VIEWER, Kind.USER, digest=fresh))
        assert gate.remembered(known) is None, "his role is looked up again"
        assert {gate.admit_session(digest, "a").name for digest in (known, fresh)} == {"viewer"}
        with pytest.raises(ProblemError, match="wait"):
            gate.admit_session(late, "a")
        assert gate.admit_session(late, "b").name == "viewer"
    finally:
        pool.close()


def test_a_stream_that_stays_open_keeps_no_session_alive(api: Api) -> None:
    pool = open_pool(api.dsn, application="test idle", size=1)
    lives, moment = Lives(timedelta(minutes=30), timedelta(hours=9)), [NOW]
    gate = Gate(pool, lambda: moment[0], lives)
    try:
        with borrow(pool) as connection:
            token = sessions.begin(connection, users.find(connection, "viewer"), lives, NOW)
        digest = sessions.digest_of(token, sessions.TOKEN_PREFIX) or b""
        who = gate.admit_session(digest, "a")
        for minutes, alive in ((20, True), (29, True), (31, False)):
            moment[0] = NOW + timedelta(minutes=minutes)
            assert gate.renew(who) is alive, minutes
    finally:
        pool.close()


def test_the_right_password_takes_its_own_attempt_back_and_no_other(connection: Connection, api: Api) -> None:
    def count() -> list[Any]:
        rows = connection.execute("SELECT failures FROM login_failure WHERE subject = %s", [sessions._address("a.b")])
        return rows.fetchall()

    assert authenticate(connection, "viewer", "wrong words", "a.b", NOW) is None
    assert authenticate(connection, "viewer", PASSWORD, "a.b", NOW) is not None
    assert count() == [(1,)]


def test_waits_double_up_to_five_minutes() -> None:
    assert [sessions.wait_after(n) for n in (0, 1, 2, 3, 8, 9, 1000)] == [1, 2, 4, 8, 256, 300, 300]


def test_a_log_in_that_makes_no_sense_is_a_bad_one(api: Api) -> None:
    for said in ({}, {"name": "x", "password": "y", "link": "z"}, {"user": "x"}, {"name": "x" * 65, "password": "p"}):
        assert httpx.post(api.url + ME, json=said).status_code == 400, said
    for said in ({"name": "a\0b", "password": "p"}, {"name": "'; DROP TABLE app_user; --", "password": "p" * 256}):
        assert Browser(api).log_in(**said).status_code == 401, said


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
