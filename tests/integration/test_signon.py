"""Logging in at the city's own service, and one's own account, at a real API: who comes in, stays, and is refused."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.signon import FAILURES
from lifeline.errors import NotFoundError
from lifeline.model import Role
from lifeline.principal import Kind, Principal, Scope
from lifeline.storage import sessions, users
from lifeline.storage.database import Connection, connect
from lifeline.storage.sessions import Lives
from tests.api_process import PLAIN, Api, running_api
from tests.integration.town import build_alarmed, empty
from tests.issuer import TestIssuer, page_settings, running_issuer

PASSWORD, BETTER = "five Different words", "six even Better words"
NOW = datetime.now(UTC)
_OPEN: list[httpx.Client] = []
LIVES = Lives(timedelta(hours=1), timedelta(hours=9))
ADDRESSES = (f"198.18.{high}.{low}" for high in range(256) for low in range(1, 255))
SESSION, THERE = "/api/v1/session", "/api/v1/session/oidc"


@pytest.fixture(scope="module")
def service() -> Iterator[TestIssuer]:
    with running_issuer("ES256", log_in=True) as issuer:
        yield issuer


@pytest.fixture(autouse=True)
def _as_it_was(service: TestIssuer) -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()
    service.person, service.added = {}, {"iss": service.url}


@pytest.fixture(scope="module")
def api(database_dsn: str, service: TestIssuer) -> Iterator[Api]:
    """A town with an open alert of gas (1) and one of water (2); networks come of a claim."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build_alarmed(connection)
        for name in ("ann", "boss"):
            users.add(connection, name, Role.ADMIN if name == "boss" else Role.OPERATOR, NOW, PASSWORD)
    with running_api(database_dsn, **page_settings(service), LIFELINE_OIDC_NETWORKS_CLAIM="networks") as process:
        yield process


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    with connect(api.dsn, autocommit=True) as connection:
        yield connection


class Browser:
    """A client with cookies, from an address of its own, that is sent about by hand."""

    def __init__(self, api: Api) -> None:
        self.api, self.csrf = api, ""
        headers = {"X-Forwarded-For": next(ADDRESSES)}
        self.client = httpx.Client(base_url=api.url, headers=headers, timeout=30, verify=PLAIN)
        _OPEN.append(self.client)

    def to_service(self, onward: str = "/") -> httpx.Response:
        """What the service answers to who is sent there."""
        sent = self.client.get(THERE, params={"next": onward})
        assert sent.status_code == 303, sent.text
        return httpx.get(sent.headers["location"], verify=PLAIN)

    def sign_on(self, onward: str = "/") -> httpx.Response:
        """The answer to who comes back from the service."""
        back = self.client.get(self.to_service(onward).headers["location"])
        if "lifeline_session" in self.client.cookies:
            self.csrf = self.client.get(SESSION).json()["csrf"]
        return back

    def log_in(self, name: str, password: str = PASSWORD) -> "Browser":
        return self.took(self.client.post(SESSION, json={"name": name, "password": password}), 201)

    def took(self, answer: httpx.Response, status: int = 200) -> "Browser":
        assert answer.status_code == status, answer.text
        self.csrf = answer.json()["csrf"]
        return self

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, path, headers={"X-CSRF-Token": self.csrf}, **options)


@pytest.fixture
def browser(api: Api, service: TestIssuer) -> Browser:
    service.person = {"networks": "*"}
    return Browser(api)


def refusal(answer: httpx.Response) -> str:
    """The word for the page of who was not logged in."""
    assert answer.status_code == 303
    assert "lifeline_session=" not in answer.headers.get("set-cookie", "").replace("lifeline_session_flow", "")
    place, _, word = answer.headers["location"].partition("#refused=")
    assert place == "/"
    return str(word)


# ---------------------------------------------------------------------------------------------- at the city's service


def test_the_page_learns_how_one_logs_in_before_anybody_has(api: Api) -> None:
    answer = httpx.get(f"{api.url}{SESSION}/ways", verify=PLAIN)
    assert (answer.status_code, answer.json()) == (200, {"service": "City log-in"})


def test_who_logged_in_there_has_a_session_like_any_other(browser: Browser, db: Connection) -> None:
    back = browser.sign_on("/?view=report")
    assert (back.status_code, back.headers["location"]) == (303, "/?view=report#in")
    cookies = back.headers.get_list("set-cookie")
    (given,) = [each for each in cookies if each.startswith("lifeline_session=")]
    for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert word in given
    (gone,) = [each for each in cookies if each.startswith("lifeline_session_flow=")]
    assert "Max-Age=0" in gone
    told = browser.client.get(SESSION).json()
    assert (told["name"], told["role"], told["kind"], told["networks"]) == ("li.wei", "operator", "sso", None)
    assert browser.client.post("/api/v1/alerts/1/acknowledge").status_code == 403, "not without the page's proof"
    assert browser.call("POST", "/api/v1/alerts/1/acknowledge").status_code == 200
    noted = db.execute("SELECT DISTINCT actor, actor_kind FROM audit WHERE what IN ('session', 'alert_history')")
    assert noted.fetchall() == [("li.wei", "sso")]
    assert db.execute("SELECT count(*) FROM app_user WHERE name = 'li.wei'").fetchone() == (0,)


def test_a_name_of_the_service_is_no_users_name(browser: Browser, service: TestIssuer, db: Connection) -> None:
    """Whoever may choose his name there does not become the user of that name here."""
    service.person |= {"preferred_username": "boss", "roles": ["viewer"]}
    browser.sign_on()
    assert browser.client.get(SESSION).json()["role"] == "viewer"
    assert browser.call("GET", "/api/v1/users").status_code == 403
    assert browser.call("POST", f"{SESSION}/password", json={"password": BETTER}).status_code == 409
    boss = Browser(browser.api).log_in("boss")
    assert browser.call("DELETE", f"{SESSION}?everywhere=true").status_code == 204
    assert boss.call("GET", SESSION).status_code == 200, "another person's sessions live on"


def test_who_has_a_part_of_the_city_there_sees_that_part_here(browser: Browser, service: TestIssuer) -> None:
    service.person = {"networks": ["gas"]}
    browser.sign_on()
    assert browser.client.get("/api/v1/alerts/1").status_code == 200
    assert browser.client.get("/api/v1/alerts/2").status_code == 404
    assert browser.client.get("/api/v1/sessions").status_code == 200
    assert browser.client.get("/api/v1/rules").status_code == 403


def test_who_logs_out_is_out_and_goes_to_log_out_there(browser: Browser, service: TestIssuer) -> None:
    browser.sign_on()
    assert browser.call("DELETE", SESSION).status_code == 204
    assert browser.client.get(SESSION).status_code == 401
    out = browser.client.get(f"{THERE}/log-out")
    assert out.status_code == 303
    assert out.headers["location"].startswith(f"{service.url}/out?")


def test_an_answer_that_is_brought_twice_opens_one_session(browser: Browser, db: Connection) -> None:
    answer = browser.to_service().headers["location"]
    flow = browser.client.cookies["lifeline_session_flow"]
    assert browser.client.get(answer).headers["location"] == "/#in"
    counted = db.execute("SELECT count(*) FROM session").fetchone()
    assert refusal(browser.client.get(answer)) == "stale", "its cookie is gone"
    copy = {"Cookie": f"lifeline_session_flow={flow}", "X-Forwarded-For": next(ADDRESSES)}
    assert refusal(httpx.get(answer, headers=copy, verify=PLAIN)) == "broken", "its code is used up"
    assert db.execute("SELECT count(*) FROM session").fetchone() == counted


def test_another_browser_cannot_finish_what_this_one_began(browser: Browser, api: Api) -> None:
    answer = browser.to_service().headers["location"]
    assert refusal(httpx.get(answer, headers={"X-Forwarded-For": next(ADDRESSES)}, verify=PLAIN)) == "stale"
    victim = Browser(api)
    victim.to_service()
    assert refusal(victim.client.get(answer)) == "stale"


@pytest.mark.parametrize(
    ("person", "added", "word"),
    [
        ({"roles": ["stranger"]}, {}, "unknown"),
        ({"networks": None}, {}, "unknown"),
        ({"nonce": "of another"}, {}, "broken"),
        ({"exp": 1_700_000_000}, {}, "broken"),
        ({}, {"iss": "https://evil.example"}, "broken"),
        ({}, {"error": "access_denied"}, "denied"),
        ({}, {"error": "<script>alert(1)</script>", "error_description": "x" * 3000}, "denied"),
        ({}, {"state": "of another"}, "stale"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_by_the_page_and_opens_nothing(
    person: dict[str, Any], added: dict[str, str], word: str, browser: Browser, service: TestIssuer
) -> None:
    service.person |= person
    service.added |= added
    assert refusal(browser.sign_on()) == word
    assert browser.client.get(SESSION).status_code == 401


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example", "/\\evil.example", "/#key=x", "/?a=\nb"])
def test_no_log_in_leads_away_from_the_page(onward: str, browser: Browser) -> None:
    assert browser.sign_on(onward).headers["location"] == "/#in"


def test_the_answers_of_a_log_in_are_asked_for_by_nobodys_host_header(browser: Browser, api: Api) -> None:
    answer = httpx.get(f"{api.url}{THERE}", headers={"Host": "evil.example"}, verify=PLAIN)
    assert "evil.example" not in answer.headers["location"]


def test_who_tries_again_and_again_has_to_wait_and_nobody_else(api: Api, browser: Browser) -> None:
    bad = Browser(api)
    codes = [bad.client.get(f"{THERE}/callback?code=x&state=y").status_code for _ in range(FAILURES + 1)]
    assert codes == [303] * FAILURES + [429]
    assert browser.sign_on().headers["location"] == "/#in"


def test_a_session_of_the_service_is_kept_with_all_that_it_told(connection: Connection, api: Api) -> None:
    who = Principal("王伟", Role.ENGINEER, Kind.SSO, Scope(("gas",), ("Z-1",)))
    token = sessions.begin_for(connection, who, "sub-1", timedelta(hours=2), NOW, "192.0.2.9")
    digest = sessions.digest_of(token, sessions.TOKEN_PREFIX) or b""
    found = sessions.find(connection, digest, LIVES, NOW)
    assert found == Principal("王伟", Role.ENGINEER, Kind.SSO, who.scope, NOW + timedelta(hours=2), digest)
    assert sessions.find(connection, digest, LIVES, NOW + timedelta(minutes=61)) is None, "idle too long"
    (mine,) = sessions.opened(connection, LIVES, NOW, of=digest)
    assert (mine.name, mine.by_service, mine.address) == ("王伟", True, "192.0.2.9")
    others = sessions.begin_for(connection, who, "sub-2", timedelta(hours=2), NOW)
    assert len(sessions.opened(connection, LIVES, NOW, of=digest)) == 1, "one name, another person"
    assert sessions.end_others(connection, digest) == []
    with pytest.raises(NotFoundError):
        sessions.end_by_id(connection, mine.session_id + 1, digest)
    assert sessions.find(connection, sessions.digest_of(others, sessions.TOKEN_PREFIX) or b"", LIVES, NOW)
    assert sessions.end_by_id(connection, mine.session_id, digest) == digest
    assert sessions.find(connection, digest, LIVES, NOW) is None


# ------------------------------------------------------------------------------------------------- one's own account


def test_one_sees_ones_own_sessions_and_ends_them_and_no_others(api: Api, db: Connection) -> None:
    db.execute("DELETE FROM session")
    here, there, other = (Browser(api).log_in(name) for name in ("ann", "ann", "boss"))
    items = here.call("GET", "/api/v1/sessions").json()["items"]
    assert [(each["name"], each["kind"], each["this"]) for each in items] == [
        ("ann", "user", False), ("ann", "user", True),
    ]  # fmt: skip
    everybody = other.call("GET", "/api/v1/users/sessions?limit=2").json()
    rest = other.call("GET", "/api/v1/users/sessions", params={"after": everybody["next"]}).json()
    assert [each["name"] for each in (*everybody["items"], *rest["items"])] == ["boss", "ann", "ann"]
    assert rest["next"] is None
    (strange,) = [each["id"] for each in everybody["items"] if each["name"] == "boss"]
    assert here.call("DELETE", f"/api/v1/sessions/{strange}").status_code == 404
    assert here.call("DELETE", f"/api/v1/users/sessions/{strange}").status_code == 403
    assert here.call("DELETE", f"/api/v1/sessions/{items[0]['id']}").status_code == 204
    assert there.call("GET", SESSION).status_code == 401
    assert here.call("GET", SESSION).status_code == 200
    assert other.call("DELETE", f"/api/v1/users/sessions/{items[1]['id']}").status_code == 204
    assert here.call("GET", SESSION).status_code == 401
    assert api.get("/api/v1/sessions").json() == {"items": [], "next": None}, "a key has no session"


def test_a_new_password_takes_the_old_one_and_ends_every_other_session(api: Api, db: Connection) -> None:
    users.add(db, "changer", Role.VIEWER, NOW, PASSWORD)
    here, there = Browser(api).log_in("changer"), Browser(api).log_in("changer")

    def change(current: str, new: str) -> httpx.Response:
        return here.call("POST", f"{SESSION}/password", json={"current": current, "password": new})

    assert change("wrong words here", BETTER).status_code == 403
    assert change("", BETTER).status_code == 403
    assert change(PASSWORD, "short").status_code == 400
    assert here.call("GET", SESSION).status_code == 200, "nothing happened so far"
    before = here.client.cookies["lifeline_session"]
    here.took(change(PASSWORD, BETTER))
    assert here.client.cookies["lifeline_session"] != before
    assert here.call("GET", SESSION).json()["name"] == "changer"
    assert there.call("GET", SESSION).status_code == 401
    assert Browser(api).client.post(SESSION, json={"name": "changer", "password": PASSWORD}).status_code == 401
    Browser(api).log_in("changer", BETTER)
    told = "SELECT actor, after ->> 'password_hash' FROM audit WHERE id = 'changer' AND action = 'update'"
    assert db.execute(told.encode()).fetchall() == [("changer", "new")]
    assert BETTER not in str(db.execute("TABLE audit").fetchall())


def test_who_guesses_the_current_password_at_an_open_desk_waits(api: Api, db: Connection) -> None:
    users.add(db, "away", Role.VIEWER, NOW, PASSWORD)
    desk = Browser(api).log_in("away")
    said = [{"current": f"wrong guess {n}", "password": BETTER} for n in range(6)]
    codes = [desk.call("POST", f"{SESSION}/password", json=each).status_code for each in said]
    assert codes[:5] == [403] * 5
    assert codes[5] in (403, 429), "429 unless a second went by"
    db.execute("UPDATE login_failure SET last_at = now()")
    assert desk.call("POST", f"{SESSION}/password", json=said[0]).status_code == 429


def test_who_came_by_a_link_gives_himself_a_password_for_a_quarter_of_an_hour(api: Api, db: Connection) -> None:
    users.add(db, "forgot", Role.VIEWER, NOW, PASSWORD)
    link = sessions.make_link(db, "forgot", datetime.now(UTC))
    here = Browser(api)
    here.took(here.client.post(SESSION, json={"link": link}), 201)
    db.execute("UPDATE session SET created_at = created_at - interval '16 minutes' WHERE by_link")
    assert here.call("POST", f"{SESSION}/password", json={"password": BETTER}).status_code == 403
    db.execute("UPDATE session SET created_at = created_at + interval '16 minutes' WHERE by_link")
    here.took(here.call("POST", f"{SESSION}/password", json={"password": BETTER}))
    assert here.call("POST", f"{SESSION}/password", json={"password": PASSWORD}).status_code == 403, "once"
    Browser(api).log_in("forgot", BETTER)


def test_a_key_has_no_password_to_change_and_nobody_without_one_asks(api: Api) -> None:
    assert api.call("POST", f"{SESSION}/password", Role.ADMIN, json={"password": BETTER}).status_code == 409
    assert api.call("POST", f"{SESSION}/password", None, json={"password": BETTER}).status_code == 401
    assert api.call("DELETE", f"/api/v1/sessions/{secrets.randbelow(99) + 1000}", Role.ADMIN).status_code == 404
