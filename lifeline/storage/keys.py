"""API keys: ``llk_`` and 256 random bits. The database knows only their SHA-256.

A digest without salt or stretching is enough because a key is random and long: there is nothing to guess. The key
itself is shown once, when it is made.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifeline.errors import NotFoundError
from lifeline.model import Role
from lifeline.principal import WHOLE, Kind, Principal, Scope, at_least, scope_of
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

PREFIX = "llk_"
_LONGEST = 128

_SQL = load("keys")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who may come in, as what, and until when."""

    name: str
    role: Role
    digest: bytes
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    scope: Scope = WHOLE

    def valid_at(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may(self, role: Role) -> bool:
        """Whether it may do what ``role`` may: each role may do what the ones before it may."""
        return at_least(self.role, role)

    def principal(self) -> Principal:
        """Who acts with this key."""
        return Principal(self.name, self.role, Kind.KEY, self.scope, self.expires_at, self.digest)


def digest_of(text: str) -> bytes | None:
    """SHA-256 of a key's text, or None for text that cannot be one of ours."""
    if not text.startswith(PREFIX) or len(text) > _LONGEST:
        return None
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def create(
    connection: Connection,
    name: str,
    role: Role,
    now: datetime,
    expires_at: datetime | None = None,
    scope: Scope = WHOLE,
) -> str:
    """Make a key and give its text, which is kept nowhere. Raises ConflictError where the name is taken."""
    text = PREFIX + secrets.token_urlsafe(32)
    values: dict[str, Any] = {
        "name": name,
        "digest": digest_of(text),
        "role": role,
        "now": now,
        "expires_at": expires_at,
    }
    values |= {"networks": as_list(scope.networks), "zones": as_list(scope.zones)}
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["create"], values)
    return text


def find(connection: Connection, digest: bytes, now: datetime) -> ApiKey | None:
    """The valid key with this digest, or None for one that is unknown, revoked or expired."""
    with storage_errors():
        row = connection.execute(_SQL["by_digest"], {"digest": digest}).fetchone()
    if row is None:
        return None
    key = _key(row)
    # The index compared already, but an index is free to stop at the first byte that differs: compare in constant time.
    return key if hmac.compare_digest(key.digest, digest) and key.valid_at(now) else None


def authenticate(connection: Connection, text: str, now: datetime) -> ApiKey | None:
    """The valid key with this text, its use noted; None where there is none."""
    digest = digest_of(text)
    key = find(connection, digest, now) if digest else None
    if key is not None:
        note_use(connection, key.digest, now)
    return key


def note_use(connection: Connection, digest: bytes, now: datetime) -> None:
    """Write when the key was last used, at most once a minute."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["used"], {"digest": digest, "now": now})


def list_keys(connection: Connection) -> list[ApiKey]:
    """Every key by name, revoked and expired ones too."""
    with storage_errors():
        return [_key(row) for row in connection.execute(_SQL["list"])]


def revoke(connection: Connection, name: str, now: datetime) -> None:
    """End a key; processes notice within seconds. Raises NotFoundError."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["revoke"], {"name": name, "now": now}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no key {name!r}")


def as_list(names: tuple[str, ...] | None) -> list[str] | None:
    """One side of a scope as the tables hold it."""
    return None if names is None else list(names)


def _key(row: tuple[Any, ...]) -> ApiKey:
    name, role, digest, created_at, expires_at, revoked_at, last_used_at, networks, zones = row
    scope = scope_of(networks, zones)
    return ApiKey(name, Role(role), bytes(digest), created_at, expires_at, revoked_at, last_used_at, scope)
