"""People who may come in: name, role, scope, and a password of which the hash alone is kept."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lifeline import password as passwords
from lifeline.errors import ConflictError, NotFoundError, RejectedDataError
from lifeline.model import Role
from lifeline.principal import WHOLE, Kind, Principal, Scope, scope_of
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.keys import as_list
from lifeline.storage.queries import load

_SQL = load("users")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class User:
    """A user; ``password_hash`` None: comes in by a link alone."""

    user_id: int
    name: str
    role: Role
    password_hash: str | None
    scope: Scope
    created_at: datetime
    disabled_at: datetime | None
    password_changed_at: datetime | None
    last_login_at: datetime | None

    def principal(self, expires_at: datetime, digest: bytes = b"") -> Principal:
        """Who comes in with a session of this user."""
        return Principal(self.name, self.role, Kind.USER, self.scope, expires_at, digest)


def name_of(text: str) -> str:
    """A user's name as it is kept. Raises RejectedDataError for one that will not do."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise RejectedDataError("a user's name has up to 64 of a-z, 0-9 and . _ @ -, and begins with a letter or digit")
    return name


def add(
    connection: Connection, name: str, role: Role, now: datetime, password: str | None = None, scope: Scope = WHOLE
) -> User:
    """Make a user. Raises ConflictError where the name is taken, RejectedDataError for a name, role or password that
    will not do."""
    name = name_of(name)
    _check_role(role)
    made = None if password is None else _hash(password, name)
    values = {"name": name, "role": role, "hash": made, "now": now}
    try:
        with storage_errors(), connection.transaction():
            connection.execute(_SQL["add"], values | _sides(scope))
    except ConflictError:
        raise ConflictError(f"there is a user {name!r} already") from None
    return find(connection, name)


def _check_role(role: Role | None) -> None:
    if role is Role.INTAKE:
        raise RejectedDataError("intake is a role of keys, which hand citizens' reports in: a person takes another")


def every(connection: Connection) -> list[User]:
    """Every user by name, disabled ones too."""
    with storage_errors():
        return [_user(row) for row in connection.execute(_SQL["list"])]


def find(connection: Connection, name: str) -> User:
    """The user of this name. Raises NotFoundError."""
    found = known(connection, name)
    if found is None:
        raise NotFoundError(f"there is no user {name!r}")
    return found


def known(connection: Connection, name: str) -> User | None:
    """The user of this name, if there is one."""
    if not _NAME.fullmatch(name := name.strip().lower()):
        return None
    with storage_errors():
        row = connection.execute(_SQL["by_name"], {"name": name}).fetchone()
    return _user(row) if row else None


def unknown_zones(connection: Connection, zones: Sequence[str]) -> list[str]:
    """Which of these zones, by the city's own names, are not there."""
    with storage_errors():
        return [name for (name,) in connection.execute(_SQL["unknown_zones"], {"zones": list(zones)})]


def change(
    connection: Connection,
    name: str,
    now: datetime,
    *,
    role: Role | None = None,
    scope: Scope | Callable[[Scope], Scope] | None = None,
    disabled: bool | None = None,
) -> User:
    """Change a user; None leaves it. What he may takes effect within seconds, and who is disabled is logged out.

    A function makes the new scope of the one that he has: two changes at once then lose neither.

    Raises NotFoundError, RejectedDataError for a role of keys, and ConflictError where no administrator would be left.
    """
    _check_role(role)
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["one_at_a_time"])
        before = find(connection, name)
        wanted = scope(before.scope) if callable(scope) else scope
        after = replace(before, role=role or before.role, scope=before.scope if wanted is None else wanted)
        if disabled is not None:
            after = replace(after, disabled_at=(before.disabled_at or now) if disabled else None)
        _keep_an_administrator(every(connection), after)
        values = {"name": after.name, "role": after.role, "disabled_at": after.disabled_at}
        connection.execute(_SQL["change"], values | _sides(after.scope))
        if after.disabled_at is not None:
            log_out(connection, after.name)
    return after


def set_password(connection: Connection, name: str, password: str, now: datetime) -> None:
    """Give a new password; every session and link of the user ends. Raises NotFoundError and RejectedDataError."""
    user = find(connection, name)
    values = {"name": user.name, "hash": _hash(password, user.name), "now": now}
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["set_password"], values)
        log_out(connection, user.name)


def log_out(connection: Connection, name: str) -> None:
    """End every session and link of a user."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["end_sessions"], {"name": name})
        connection.execute(_SQL["end_links"], {"name": name})


def _keep_an_administrator(users: Sequence[User], after: User) -> None:
    def leads(user: User) -> bool:
        return user.role == Role.ADMIN and user.disabled_at is None and user.scope.whole

    then = [after if user.name == after.name else user for user in users]
    if any(map(leads, users)) and not any(map(leads, then)):
        raise ConflictError(f"{after.name!r} is the last administrator: make another one first")


def _hash(password: str, name: str) -> str:
    why_not = passwords.weakness(password, name)
    if why_not:
        raise RejectedDataError(why_not)
    return passwords.hashed(password)


def _sides(scope: Scope) -> dict[str, Any]:
    return {"networks": as_list(scope.networks), "zones": as_list(scope.zones)}


def _user(row: Sequence[Any]) -> User:
    user_id, name, role, password_hash, networks, zones, *moments = row
    return User(user_id, name, Role(role), password_hash, scope_of(networks, zones), *moments)
