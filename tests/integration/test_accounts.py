"""Administrators say who may come in: users, keys, scopes over the API; and everything stands in the audit."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import Role
from lifeline.principal import Kind, Scope
from lifeline.storage import audit, keys, users
from lifeline.storage.behalf import Actor, PoolOnBehalf, sign
from lifeline.storage.database import Connection, borrow, connect, open_pool
from tests.api_process import PLAIN, Api, running_api, until
from tests.integration.asking import assert_problem
from tests.integration.town import build, empty, open_alert

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        open_alert(connection, build(connection)["gas"])
    with running_api(database_dsn) as process:
        yield process


def admin(api: Api, method: str, path: str, body: Any = None) -> httpx.Response:
    return api.call(method, f"/api/v1/{path}", Role.ADMIN, json=body)


def newest(api: Api, **asked: str) -> dict[str, Any]:
    answer = api.get("/api/v1/audit", Role.ADMIN, params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["items"][0]
    return found


# ------------------------------------------------------------------------------------------------------------- keys


def test_a_key_is_told_once_and_works_until_it_is_revoked(api: Api) -> None:
    made = admin(api, "POST", "keys", {"name": "scada", "role": "operator", "days": 30})
    assert made.status_code == 201
    text = made.json()["key"]
    header = {"Authorization": f"Bearer {text}"}
    assert httpx.get(f"{api.url}/api/v1/me", headers=header, verify=PLAIN).json()["name"] == "scada"
    listed = admin(api, "GET", "keys")
    (line,) = [each for each in listed.json()["items"] if each["name"] == "scada"]
    assert text not in listed.text
    assert (line["role"], line["valid"], line["networks"]) == ("operator", True, None)
    assert datetime.fromisoformat(line["expires_at"]) - datetime.fromisoformat(line["created_at"]) == timedelta(days=30)
    assert_problem(admin(api, "POST", "keys", {"name": "scada"}), 409)
    assert admin(api, "DELETE", "keys/scada").status_code == 204
    assert httpx.get(f"{api.url}/api/v1/me", headers=header, verify=PLAIN).status_code == 401, (
        "at once, not after some seconds"
    )
    assert_problem(admin(api, "DELETE", "keys/none"), 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x", "role": "king"},
        {"name": "x", "days": 0},
        {"name": "x", "networks": []},
        {"name": "x", "networks": ["heat"]},
        {"name": "x", "zones": ["nowhere"]},
        {"name": "x", "digest": "00"},
    ],
    ids=str,
)
def test_a_key_that_makes_no_sense_is_not_made(body: dict[str, Any], api: Api, db: Connection) -> None:
    before = keys.list_keys(db)
    assert_problem(admin(api, "POST", "keys", body), 400)
    assert keys.list_keys(db) == before


# ------------------------------------------------------------------------------------------------------------ users


def test_a_user_is_made_changed_and_disabled_and_stays_in_the_list(api: Api) -> None:
    body = {"name": "Li.Wei", "role": "operator", "password": "five Different words", "networks": ["gas", "water"]}
    made = admin(api, "POST", "users", body)
    assert made.status_code == 201
    told = made.json()
    assert (told["name"], told["has_password"], told["networks"]) == ("li.wei", True, ["gas", "water"])
    assert "argon2" not in made.text
    assert_problem(admin(api, "POST", "users", body), 409)
    changed = admin(api, "PATCH", "users/li.wei", {"role": "engineer"}).json()
    assert (changed["role"], changed["networks"]) == ("engineer", ["gas", "water"]), "what is left out stays"
    assert admin(api, "PATCH", "users/li.wei", {"networks": None}).json()["networks"] is None
    assert admin(api, "PATCH", "users/li.wei", {"disabled": True}).json()["disabled_at"]
    assert admin(api, "PATCH", "users/li.wei", {"disabled": False}).json()["disabled_at"] is None
    assert admin(api, "DELETE", "users/li.wei").status_code == 204
    (line,) = [each for each in admin(api, "GET", "users").json()["items"] if each["name"] == "li.wei"]
    assert line["disabled_at"]
    for method, path in (("PATCH", "users/none"), ("DELETE", "users/none"), ("POST", "users/none/log-out")):
        assert_problem(admin(api, method, path, {} if method == "PATCH" else None), 404)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a b"},
        {"name": "x", "password": "short"},
        {"name": "x", "password": "a" * 20},
        {"name": "x", "networks": ["heat"]},
        {"name": "x", "zones": ["nowhere"]},
        {"name": "x", "password_hash": "x"},
    ],
    ids=str,
)
def test_a_user_who_makes_no_sense_is_not_made(body: dict[str, Any], api: Api, db: Connection) -> None:
    before = users.every(db)
    assert_problem(admin(api, "POST", "users", body), 400)
    assert users.every(db) == before


@pytest.mark.usefixtures("api")
def test_the_last_administrator_stays_one(connection: Connection) -> None:
    connection.execute("DELETE FROM app_user")
    users.add(connection, "one", Role.ADMIN, NOW)
    for change in ({"role": Role.ENGINEER}, {"disabled": True}, {"scope": Scope(("gas",))}):
        with pytest.raises(ConflictError, match="last administrator"):
            users.change(connection, "one", NOW, **change)  # type: ignore[arg-type]
    users.add(connection, "two", Role.ADMIN, NOW)
    assert users.change(connection, "one", NOW, disabled=True).disabled_at == NOW
    with pytest.raises(ConflictError):
        users.change(connection, "two", NOW, role=Role.VIEWER)
    with pytest.raises(NotFoundError):
        users.change(connection, "three", NOW, role=Role.VIEWER)


# ------------------------------------------------------------------------------------------------------------ audit


def test_each_change_is_told_with_who_what_before_after_when_and_from_where(api: Api) -> None:
    admin(api, "POST", "users", {"name": "watched", "role": "viewer"})
    admin(api, "PATCH", "users/watched", {"role": "operator", "password": "five Different words"})
    told = api.get("/api/v1/audit", Role.ADMIN, params={"what": "app_user", "row": "watched"}).json()["items"]
    password, role, made = told
    assert (made["action"], made["before"], made["after"]["role"]) == ("insert", None, "viewer")
    assert (role["action"], role["before"], role["after"]) == ("update", {"role": "viewer"}, {"role": "operator"})
    assert (password["before"]["password_hash"], password["after"]["password_hash"]) == ("old", "new")
    for each in told:
        assert (each["actor"], each["actor_kind"], each["address"]) == (f"admin-{api.port}", "key", "127.0.0.1")
        assert abs(datetime.fromisoformat(each["at"]) - datetime.now(UTC)) < timedelta(minutes=2)
    assert role["request"] == "PATCH /api/v1/users/watched"


@pytest.mark.parametrize(
    ("method", "path", "body", "what"),
    [
        ("POST", "keys", {"name": "noted"}, "api_key"),
        ("POST", "alerts/1/acknowledge", {"note": "seen"}, "alert_history"),
        ("POST", "alerts/1/notes", {"note": "a note"}, "response_history"),
        ("POST", "alerts/1/feedback", {"genuine": True}, "feedback"),
        ("POST", "maintenance-windows", {"network": "gas", "reason": "work"}, "maintenance_window"),
        ("PATCH", "assets/G-P0", {"properties": {"customers": 11}}, "inventory_history"),
        ("POST", "endpoints", {"name": "hook", "url": "https://x.example/?token=s3cret"}, "endpoint"),
        ("POST", "jobs", {"kind": "criticality", "parameters": {}}, "job"),
    ],
)
def test_every_kind_of_change_is_noted_and_no_secret_with_it(
    method: str, path: str, body: dict[str, Any], what: str, api: Api, db: Connection
) -> None:
    answer = admin(api, method, path, body)
    assert answer.status_code in (200, 201, 202), answer.text
    told = newest(api, what=what, actor=f"admin-{api.port}")
    assert told["request"] == f"{method} /api/v1/{path}"
    said = str(db.execute("SELECT a::text FROM audit a").fetchall())
    for secret in ("s3cret", "whsec_", "llk_", "argon2"):
        assert secret not in said


def test_reading_leaves_no_trace_and_neither_does_what_was_refused(api: Api, db: Connection) -> None:
    before = db.execute("SELECT count(*) FROM audit").fetchone()
    for path in ("assets", "alerts", "users", "audit"):
        admin(api, "GET", path)
    admin(api, "POST", "keys", {"name": "x", "role": "king"})
    api.call("POST", "/api/v1/keys", Role.ENGINEER, json={"name": "mine"})
    assert db.execute("SELECT count(*) FROM audit").fetchone() == before


def test_pages_of_the_audit_follow_each_other(api: Api) -> None:
    for number in range(4):
        admin(api, "POST", "keys", {"name": f"page-{number}"})
    seen, after = [], None
    while after is not None or not seen:
        asked = {"limit": 3, "what": "api_key"} | ({"after": after} if after else {})
        page = api.get("/api/v1/audit", Role.ADMIN, params=asked).json()
        seen += [each["id"] for each in page["items"]]
        after = page["next"]
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) >= 4
    assert api.get("/api/v1/audit", Role.ADMIN, params={"since": "2199-01-01T00:00Z"}).json()["items"] == []


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
@pytest.mark.usefixtures("api")
def test_not_even_the_owner_changes_the_audit(statement: str, connection: Connection) -> None:
    sign(connection, Actor("me", Kind.COMMAND, NOW))
    keys.create(connection, "owner's", Role.VIEWER, NOW)
    with pytest.raises(Exception, match="append-only"):
        connection.execute(statement.encode())


def test_a_change_that_waits_for_another_does_not_widen_the_scope_again(api: Api, database_dsn: str) -> None:
    body = {"name": "narrowed", "role": "operator", "password": "five Different words"}
    assert admin(api, "POST", "users", body).status_code == 201
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    for change, networks in (({"role": "viewer"}, ["gas"]), ({"zones": None}, ["water"])):
        with connect(database_dsn) as other, ThreadPoolExecutor(1) as thread:
            other.execute("SELECT pg_advisory_xact_lock(hashtext('app_user'))")
            answer = thread.submit(admin, api, "PATCH", "users/narrowed", change)
            until(lambda: other.execute(waits).fetchone() == (1,), "the change to wait")
            other.execute("UPDATE app_user SET networks = %s WHERE name = 'narrowed'", [networks])
            other.commit()
            assert answer.result().json()["networks"] == networks


# ------------------------------------------------------------------------------------------------- on whose behalf


def test_a_connection_forgets_on_whose_behalf_it_worked(api: Api) -> None:
    pool = open_pool(api.dsn, application="test behalf", size=1)
    told = "SELECT current_user, current_setting('lifeline.actor', true), current_setting('lifeline.networks', true)"
    try:
        actor = Actor("me", Kind.KEY, NOW, "::1", "POST /x")
        lent = PoolOnBehalf(pool, actor, Scope(("gas",)))
        with borrow(lent) as connection:
            row = connection.execute(told).fetchone()
            assert row is not None
            assert (row[0], '"me"' in row[1], row[2]) == ("lifeline_scoped", True, "{gas}")
            connection.rollback()
            assert connection.execute(told).fetchone() == row, "a roll-back takes nothing off"
        with pytest.raises(NotFoundError), borrow(lent):
            raise NotFoundError("in the middle")
        with borrow(pool) as connection:
            user, *settings = connection.execute(told).fetchone() or ()
            assert user != "lifeline_scoped"
            assert settings == ["", ""]
            assert audit.changes(connection, actor="me") == []
    finally:
        pool.close()
