"""`lifeline users` and `lifeline keys`: the first administrator, passwords from files, scopes, links."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lifeline.cli import app
from lifeline.errors import LifelineError
from lifeline.model import Role
from lifeline.principal import Scope
from lifeline.storage import audit, keys, sessions, users
from lifeline.storage.database import Connection
from tests.integration.city import NOON
from tests.integration.in_process import lifeline
from tests.logging_in import authenticate

pytestmark = pytest.mark.usefixtures("clean_database")
PASSWORD = "five Different words"


@pytest.fixture
def place(clean_database: str, tmp_path: Path) -> dict[str, str]:
    return {"LIFELINE_DATABASE_URL": clean_database, "LIFELINE_HOME": str(tmp_path / "home")}


def test_the_first_administrator_is_made_and_others_are_changed(
    place: dict[str, str], connection: Connection, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    made = lifeline("users", "add", "Li.Wei", "--role", "admin", "--password-file", str(secret), **place)
    assert (made.returncode, made.stdout) == (0, "added li.wei (admin, the whole city)\n")
    assert authenticate(connection, "li.wei", PASSWORD, "here", NOON) is not None
    scoped = lifeline("users", "add", "gas2", "--network", "gas", "--no-password", **place)
    assert scoped.stdout == "added gas2 (viewer, gas)\n"
    assert lifeline("users", "role", "gas2", "operator", **place).returncode == 0
    user = users.find(connection, "gas2")
    assert (user.role, user.scope, user.password_hash) == (Role.OPERATOR, Scope(("gas",)), None)
    listed = lifeline("users", "list", **place).stdout
    assert "by link" in listed
    assert PASSWORD not in listed
    link = lifeline("users", "link", "gas2", **place).stdout.strip()
    page, _, token = link.partition("/#link=")
    assert page == "http://localhost:8080"
    used = sessions.use_link(connection, token, NOON)
    assert used is not None
    assert used.name == "gas2"
    noted = audit.changes(connection, what="app_user")
    assert [(each.id, each.action, each.actor_kind) for each in noted] == [
        ("gas2", "update", "command"),
        ("gas2", "insert", "command"),
        ("li.wei", "insert", "command"),
    ]


def test_what_cannot_be_done_is_told_in_a_line(place: dict[str, str], connection: Connection, tmp_path: Path) -> None:
    users.add(connection, "one", Role.ADMIN, NOON)
    connection.commit()
    short = tmp_path / "short"
    short.write_text("short")
    for words, told in (
        (("disable", "one"), "last administrator"),
        (("role", "none", "viewer"), "there is no user 'none'"),
        (("add", "one", "--no-password"), "there is a user 'one' already"),
        (("add", "two"), "--password-file"),
        (("add", "two", "--password-file", str(short)), "12 to 256 characters"),
        (("add", "two", "--password-file", str(tmp_path / "none")), "No such file"),
        (("scope", "one", "--network", "heat"), "there is no network 'heat'"),
        (("scope", "one", "--zone", "D-9"), "there is no zone 'D-9'"),
    ):
        done = CliRunner().invoke(app, ["users", *words], env=place)
        assert isinstance(done.exception, LifelineError), words
        assert told in str(done.exception), words
    assert [user.name for user in users.every(connection)] == ["one"]


def test_a_key_may_have_a_part_of_the_city(place: dict[str, str], connection: Connection) -> None:
    text = lifeline("keys", "add", "scada", "--network", "gas", "--network", "water", **place).stdout.strip()
    key = keys.authenticate(connection, text, NOON)
    assert key is not None
    assert key.scope == Scope(("gas", "water"))
    assert "gas and water" in lifeline("keys", "list", **place).stdout
    assert lifeline("keys", "add", "other", "--zone", "D-9", **place).returncode == 1
