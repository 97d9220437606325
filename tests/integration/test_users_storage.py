"""Users, sessions, links, keys with scopes and the audit in the database."""

from datetime import timedelta
from typing import Any

import pytest
from psycopg import Rollback

from lifeline.errors import ConflictError, NotFoundError, RejectedDataError
from lifeline.model import Role
from lifeline.principal import WHOLE, Kind, Scope
from lifeline.storage import audit, keys, sessions, users
from lifeline.storage.behalf import Actor, sign
from lifeline.storage.database import Connection
from lifeline.storage.sessions import Lives
from tests.integration.city import NOON
from tests.logging_in import authenticate

pytestmark = pytest.mark.usefixtures("clean_database")
PASSWORD = "five Different words"
LIVES = Lives(timedelta(hours=1), timedelta(days=1))


@pytest.fixture
def li(connection: Connection) -> users.User:
    """An operator for gas."""
    return users.add(connection, "li.wei", Role.OPERATOR, NOON, PASSWORD, Scope(("gas",)))


def opened(connection: Connection, token: str, minutes: float = 0) -> Any:
    digest = sessions.digest_of(token, sessions.TOKEN_PREFIX)
    assert digest is not None
    return sessions.find(connection, digest, LIVES, NOON + timedelta(minutes=minutes))


# ----------------------------------------------------------------------------------------------------------- people


def test_a_user_is_kept_with_a_hash_alone(connection: Connection, li: users.User) -> None:
    row = connection.execute("SELECT u::text FROM app_user u").fetchone()
    assert row is not None
    assert PASSWORD not in row[0]
    assert "$argon2id$" in row[0]
    assert (li.name, li.role, li.scope, li.password_changed_at) == ("li.wei", Role.OPERATOR, Scope(("gas",)), NOON)
    assert users.every(connection) == [li]


def test_names_differ_by_more_than_upper_and_lower_case(connection: Connection, li: users.User) -> None:
    with pytest.raises(ConflictError, match=r"li\.wei"):
        users.add(connection, "LI.WEI", Role.VIEWER, NOON)
    assert users.find(connection, " Li.Wei ") == li
    with pytest.raises(NotFoundError, match="nobody"):
        users.find(connection, "nobody")


@pytest.mark.parametrize("name", ["a b", "x\0y", "", "é"])
def test_a_name_that_nobody_can_have_is_nobodys(name: str, connection: Connection) -> None:
    assert users.known(connection, name) is None
    with pytest.raises(RejectedDataError):
        users.add(connection, name, Role.VIEWER, NOON)


def test_what_is_left_out_of_a_change_stays(connection: Connection, li: users.User) -> None:
    changed = users.change(connection, "li.wei", NOON, role=Role.ENGINEER)
    assert (changed.role, changed.scope, changed.disabled_at) == (Role.ENGINEER, li.scope, None)
    changed = users.change(connection, "li.wei", NOON, scope=WHOLE)
    assert (changed.role, changed.scope) == (Role.ENGINEER, WHOLE)
    assert users.find(connection, "li.wei") == changed


def test_who_is_disabled_twice_keeps_the_first_moment(connection: Connection, li: users.User) -> None:
    users.change(connection, li.name, NOON, disabled=True)
    assert users.change(connection, li.name, NOON + timedelta(days=1), disabled=True).disabled_at == NOON
    assert users.change(connection, li.name, NOON, disabled=False).disabled_at is None


def test_a_new_password_opens_and_the_old_one_does_not(connection: Connection, li: users.User) -> None:
    token = sessions.begin(connection, li, LIVES, NOON)
    link = sessions.make_link(connection, li.name, NOON)
    users.set_password(connection, li.name, "six even better words", NOON + timedelta(minutes=1))
    assert authenticate(connection, li.name, PASSWORD, "a", NOON) is None
    assert authenticate(connection, li.name, "six even better words", "a", NOON) is not None
    assert opened(connection, token) is None
    assert sessions.use_link(connection, link, NOON) is None
    with pytest.raises(RejectedDataError, match="12 to 256"):
        users.set_password(connection, li.name, "short", NOON)
    with pytest.raises(RejectedDataError, match="name"):
        users.set_password(connection, li.name, "my name is li.wei", NOON)


def test_a_user_without_a_password_comes_in_by_no_password(connection: Connection) -> None:
    users.add(connection, "by.link", Role.VIEWER, NOON)
    for password in ("", "None", "the password of nobody"):
        assert authenticate(connection, "by.link", password, "a", NOON) is None


def test_a_password_by_older_parameters_is_hashed_anew_when_it_is_used(connection: Connection, li: users.User) -> None:
    from argon2 import PasswordHasher

    older = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    connection.execute("UPDATE app_user SET password_hash = %s", [older])
    assert authenticate(connection, li.name, PASSWORD, "a", NOON) is not None
    now = users.find(connection, li.name).password_hash
    assert now is not None
    assert "m=19456,t=2" in now
    assert authenticate(connection, li.name, PASSWORD, "a", NOON) is not None


# --------------------------------------------------------------------------------------------------------- sessions


def test_a_session_tells_who_may_what_and_where(connection: Connection, li: users.User) -> None:
    token = sessions.begin(connection, li, LIVES, NOON, "203.0.113.9")
    found = opened(connection, token)
    assert (found.name, found.role, found.kind, found.scope) == ("li.wei", Role.OPERATOR, Kind.USER, Scope(("gas",)))
    assert found.expires_at == NOON + timedelta(days=1)
    users.change(connection, li.name, NOON, role=Role.VIEWER, scope=Scope(("water",)))
    found = opened(connection, token)
    assert (found.role, found.scope) == (Role.VIEWER, Scope(("water",))), "as he is now, not as he was"
    assert users.find(connection, li.name).last_login_at == NOON


def test_a_session_begun_for_who_was_disabled_meanwhile_opens_nothing(connection: Connection, li: users.User) -> None:
    users.change(connection, li.name, NOON, disabled=True)
    assert opened(connection, sessions.begin(connection, li, LIVES, NOON)) is None
    with pytest.raises(NotFoundError, match="may come in"):
        sessions.make_link(connection, li.name, NOON)


def test_the_use_of_a_session_is_written_once_a_minute_at_most(connection: Connection, li: users.User) -> None:
    token = sessions.begin(connection, li, LIVES, NOON)
    seen = []
    for minutes in (0.2, 0.9, 1.1, 1.9, 2.2):
        opened(connection, token, minutes)
        row = connection.execute("SELECT last_seen_at FROM session").fetchone()
        assert row is not None
        seen.append((row[0] - NOON).total_seconds() / 60)
    assert seen == pytest.approx([0, 0, 1.1, 1.1, 2.2])


def test_ending_one_session_leaves_the_others(connection: Connection, li: users.User) -> None:
    one, other = (sessions.begin(connection, li, LIVES, NOON) for _ in range(2))
    digest = sessions.digest_of(one, sessions.TOKEN_PREFIX)
    assert digest is not None
    sessions.end(connection, digest)
    sessions.end(connection, digest)
    assert opened(connection, one) is None
    assert opened(connection, other) is not None
    users.log_out(connection, li.name)
    assert opened(connection, other) is None


def test_a_link_is_no_session_and_a_session_is_no_link(connection: Connection, li: users.User) -> None:
    token, link = sessions.begin(connection, li, LIVES, NOON), sessions.make_link(connection, li.name, NOON)
    assert sessions.digest_of(link, sessions.TOKEN_PREFIX) is None
    assert sessions.use_link(connection, token, NOON) is None
    assert keys.authenticate(connection, token, NOON) is None
    used = sessions.use_link(connection, link, NOON + timedelta(minutes=14))
    assert used is not None
    assert used.name == li.name


# ---------------------------------------------------------------------------------------------------- scopes, audit


@pytest.mark.parametrize(
    "scope", [WHOLE, Scope(("gas", "water")), Scope(None, ("D-1",)), Scope(("gas",), ("D-1", "D-2"))]
)
def test_a_key_comes_back_with_the_scope_that_it_was_made_with(scope: Scope, connection: Connection) -> None:
    text = keys.create(connection, "scada", Role.VIEWER, NOON, None, scope)
    key = keys.authenticate(connection, text, NOON)
    assert key is not None
    assert key.scope == scope
    who = key.principal()
    assert (who.name, who.kind, who.scope, who.digest) == ("scada", Kind.KEY, scope, key.digest)


def test_zones_that_are_not_there_are_told(connection: Connection) -> None:
    assert users.unknown_zones(connection, []) == []
    assert users.unknown_zones(connection, ["Z-2", "Z-1", "'; --"]) == ["'; --", "Z-1", "Z-2"]


def test_a_zone_is_known_by_its_id_and_not_by_its_name(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO zone (external_id, kind, name, geometry, west, south, east, north, updated_at)"
        " VALUES ('Z-1', 'district', 'Z-2', '{}', 0, 0, 1, 1, now())"
    )
    assert users.unknown_zones(connection, ["Z-1", "Z-2"]) == ["Z-2"]


def test_without_somebody_who_acts_nothing_is_noted(connection: Connection, li: users.User) -> None:
    users.change(connection, li.name, NOON, role=Role.VIEWER)
    assert audit.changes(connection) == []


def test_the_audit_is_found_by_who_what_and_when(connection: Connection) -> None:
    for hour, name in enumerate(("ann", "bob")):
        sign(connection, Actor(name, Kind.KEY, NOON + timedelta(hours=hour), "203.0.113.9", "POST /api/v1/users"))
        users.add(connection, f"made.by.{name}", Role.VIEWER, NOON)
    found = audit.changes(connection)
    assert [(each.actor, each.id, each.at) for each in found] == [
        ("bob", "made.by.bob", NOON + timedelta(hours=1)),
        ("ann", "made.by.ann", NOON),
    ]
    newest, oldest = found
    assert audit.changes(connection, actor="ann") == [oldest]
    assert audit.changes(connection, id="made.by.bob", what="app_user") == [newest]
    assert audit.changes(connection, what="alert") == []
    assert audit.changes(connection, since=NOON + timedelta(minutes=1)) == [newest]
    assert audit.changes(connection, until=NOON + timedelta(hours=1)) == [oldest]
    assert audit.changes(connection, before=newest.audit_id) == [oldest]
    assert audit.changes(connection, limit=1) == [newest]


def test_a_change_that_is_rolled_back_leaves_no_row(connection: Connection) -> None:
    sign(connection, Actor("ann", Kind.KEY, NOON))
    connection.commit()
    with connection.transaction():
        users.add(connection, "never", Role.VIEWER, NOON)
        assert len(audit.changes(connection)) == 1
        raise Rollback
    assert audit.changes(connection) == []
    assert users.every(connection) == []


def test_an_update_that_changes_nothing_leaves_no_row(connection: Connection) -> None:
    users.add(connection, "same", Role.VIEWER, NOON)
    sign(connection, Actor("ann", Kind.KEY, NOON))
    users.change(connection, "same", NOON, role=Role.VIEWER)
    assert audit.changes(connection) == []
