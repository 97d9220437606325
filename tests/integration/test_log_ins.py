"""Logging in as the database keeps it: who guesses waits, who is idle is out, and what a log-in holds meanwhile."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.access import SESSION_FAILURES, Gate
from api.problems import ProblemError
from api.session import _LOGGING_IN, AT_ONCE, LogIn, by_password
from lifeline import password as passwords
from lifeline.model import Role
from lifeline.principal import Kind, Principal
from lifeline.storage import sessions, users
from lifeline.storage.database import Connection, Pool, borrow, open_pool
from lifeline.storage.sessions import Lives
from tests.api_process import READERS, until
from tests.logging_in import PASSWORD, authenticate

NOW = datetime.now(UTC)
pytestmark = pytest.mark.usefixtures("people")


def test_one_address_that_tries_many_names_waits(connection: Connection) -> None:
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


def test_who_has_logged_in_from_an_address_is_not_kept_out_by_others_who_guess_there(connection: Connection) -> None:
    here, now = "203.0.113.7", NOW + timedelta(days=1)
    assert authenticate(connection, "Operator", PASSWORD, here, now) is not None
    for n in range(sessions.FREE_BY_ADDRESS):
        sessions.attempt(connection, f"name{n}", here, now)
    assert sessions.wait_s(connection, "admin", here, now) == 1
    assert sessions.wait_s(connection, " operator", here, now) == 0
    for _ in range(sessions.FREE_BY_ACCOUNT):
        assert authenticate(connection, "operator", "wrong words", here, now) is None
    assert sessions.wait_s(connection, "operator", here, now) == 1, "his own account's limit holds"


def test_a_password_that_changes_while_it_is_looked_at_opens_nothing(connection: Connection) -> None:
    user = sessions.attempt(connection, "viewer", "x", NOW)
    assert user is not None
    users.set_password(connection, "viewer", "six even better words", NOW)
    assert not sessions.accept(connection, user, "x", NOW)


def test_log_ins_hold_no_connection_while_they_hash_and_only_so_many_wait(people: str) -> None:
    pool = open_pool(people, application="test log-in", size=1, timeout_s=60)
    asked = [LogIn(name=name, password=PASSWORD, link="") for name in (*READERS, "nobody1", "nobody2", "nobody3")]
    slots = [passwords._AT_ONCE, passwords._AT_ONCE]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for slot in slots:
            slot.acquire()
        try:
            waiting = [threads.submit(by_password, pool, each, "192.0.2.1", NOW) for each in asked]
            until(lambda: _counted(pool) == AT_ONCE, "all of them to wait, and a connection to be free")
            with pytest.raises(ProblemError) as refused:
                by_password(pool, asked[0], "192.0.2.1", NOW)
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
        finally:
            for slot in slots:
                slot.release()
        found = [each.result()[0] for each in waiting]
    assert [user and user.name for user in found] == [*READERS, None, None, None]
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


def test_who_makes_sessions_up_waits_and_keeps_nobody_out_who_was_in(people: str) -> None:
    pool = open_pool(people, application="test gate", size=1)
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


def test_a_stream_that_stays_open_keeps_no_session_alive(people: str) -> None:
    pool = open_pool(people, application="test idle", size=1)
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


def test_an_open_page_that_nobody_is_at_ends_with_its_sessions_idle_time(people: str) -> None:
    pool = open_pool(people, application="test unattended", size=1)
    moment = [NOW]
    gate = Gate(pool, lambda: moment[0], Lives(timedelta(minutes=30), timedelta(hours=9)))
    try:
        with borrow(pool) as connection:
            tokens = [sessions.begin(connection, users.find(connection, "viewer"), gate.lives, NOW) for _ in range(2)]
        left, used = (sessions.digest_of(each, sessions.TOKEN_PREFIX) or b"" for each in tokens)
        for minutes in (10, 20, 29):
            moment[0] = NOW + timedelta(minutes=minutes)
            gate.admit_session(left, "a", used=False)
            gate.admit_session(used, "a", used=True)
            assert (gate.noted(left), gate.noted(used)) == (False, True)
        moment[0] = NOW + timedelta(minutes=31)
        assert gate.admit_session(used, "a", used=False).name == "viewer"
        with pytest.raises(ProblemError, match="ended"):
            gate.admit_session(left, "a", used=True)
    finally:
        pool.close()


def test_the_right_password_takes_its_own_attempt_back_and_no_other(connection: Connection) -> None:
    def count() -> list[Any]:
        rows = connection.execute("SELECT failures FROM login_failure WHERE subject = %s", [sessions._address("a.b")])
        return rows.fetchall()

    assert authenticate(connection, "viewer", "wrong words", "a.b", NOW) is None
    assert authenticate(connection, "viewer", PASSWORD, "a.b", NOW) is not None
    assert count() == [(1,)]


def test_waits_double_up_to_five_minutes() -> None:
    assert [sessions.wait_after(n) for n in (0, 1, 2, 3, 8, 9, 1000)] == [1, 2, 4, 8, 256, 300, 300]
