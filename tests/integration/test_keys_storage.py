"""API keys in the database."""

from datetime import timedelta

import pytest

from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import Connection
from tests.integration.city import NOON

pytestmark = pytest.mark.usefixtures("clean_database")


def test_a_key_opens_as_its_role_and_is_kept_as_a_digest_only(connection: Connection) -> None:
    text = keys.create(connection, "centre", Role.OPERATOR, NOON)
    key = keys.authenticate(connection, text, NOON)
    assert key is not None
    assert (key.name, key.role) == ("centre", Role.OPERATOR)
    row = connection.execute("SELECT a::text FROM api_key a").fetchone()
    assert row is not None
    assert text not in row[0]
    assert text.removeprefix("llk_") not in row[0]


def test_no_two_keys_are_alike(connection: Connection) -> None:
    made = {keys.create(connection, f"k{n}", Role.VIEWER, NOON) for n in range(50)}
    assert len(made) == 50
    assert all(len(text) >= 47 for text in made)


def test_a_wrong_key_opens_nothing(connection: Connection) -> None:
    text = keys.create(connection, "centre", Role.VIEWER, NOON)
    for wrong in (text + "x", text[:-1], text.upper(), "", "llk_"):
        assert keys.authenticate(connection, wrong, NOON) is None


def test_a_key_ends_when_it_expires(connection: Connection) -> None:
    text = keys.create(connection, "guest", Role.VIEWER, NOON, NOON + timedelta(hours=1))
    assert keys.authenticate(connection, text, NOON + timedelta(minutes=59)) is not None
    assert keys.authenticate(connection, text, NOON + timedelta(hours=1)) is None


def test_a_revoked_key_ends_at_once_and_keeps_its_first_moment(connection: Connection) -> None:
    text = keys.create(connection, "lost", Role.ADMIN, NOON)
    keys.revoke(connection, "lost", NOON)
    keys.revoke(connection, "lost", NOON + timedelta(days=1))
    assert keys.authenticate(connection, text, NOON) is None
    assert [key.revoked_at for key in keys.list_keys(connection)] == [NOON]


def test_revoking_what_is_not_there_says_so(connection: Connection) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        keys.revoke(connection, "nobody", NOON)


def test_a_name_is_used_once(connection: Connection) -> None:
    keys.create(connection, "centre", Role.VIEWER, NOON)
    with pytest.raises(ConflictError):
        keys.create(connection, "centre", Role.ADMIN, NOON)
    assert len(keys.list_keys(connection)) == 1


def test_use_is_written_once_a_minute_at_most(connection: Connection) -> None:
    text = keys.create(connection, "busy", Role.VIEWER, NOON)
    seen = []
    for seconds in (0, 30, 59, 61, 100, 125):
        keys.authenticate(connection, text, NOON + timedelta(seconds=seconds))
        seen.append(keys.list_keys(connection)[0].last_used_at)
    at = [(moment - NOON).total_seconds() for moment in seen if moment is not None]
    assert at == [0, 0, 0, 61, 61, 125]
