"""Webhook endpoints: where alerts are sent. The secret is shown once, when the endpoint is added."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from lifeline.errors import ConfigurationError, ConflictError, NotFoundError
from lifeline.model import AlertKind, Level
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("endpoints")

SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One webhook. ``networks`` None: all. Deliveries are counted by their state."""

    name: str
    url: str
    networks: tuple[str, ...] | None
    kinds: tuple[AlertKind, ...]
    worst_level: Level
    enabled: bool
    disabled_reason: str
    created_at: datetime
    delivered: int
    pending: int
    failed: int


def add(
    connection: Connection,
    name: str,
    url: str,
    now: datetime,
    *,
    networks: Sequence[str] | None = None,
    kinds: Sequence[AlertKind] = tuple(AlertKind),
    worst_level: Level = Level.BLUE,
) -> str:
    """Add an endpoint and give its signing secret (``whsec_`` and base64).

    Alerts of ``worst_level`` and of every worse one are sent. Raises ConfigurationError for a URL that cannot be
    posted to, ConflictError where the name is taken.
    """
    check_url(url)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    values = {
        "name": name,
        "url": url,
        "secret": secret,
        "networks": list(networks) if networks else None,
        "kinds": [str(kind) for kind in kinds],
        "worst_level": int(worst_level),
        "now": now,
    }
    try:
        with storage_errors(), connection.transaction():
            connection.execute(_SQL["add"], values)
    except ConflictError as error:
        raise ConflictError(f"there is an endpoint {name!r} already") from error
    return secret


def check_url(url: str) -> None:
    """Raise ConfigurationError unless the URL is http or https, names a host and carries no password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host or any(mark.isspace() for mark in url):
        raise ConfigurationError(f"{url!r} must be http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("the URL must not carry a user name or a password: receivers verify the signature")
    if parts.fragment:
        raise ConfigurationError("the URL must not have a fragment (#...): it is never sent")


def list_endpoints(connection: Connection) -> list[Endpoint]:
    """Every endpoint by name."""
    with storage_errors():
        rows = connection.execute(_SQL["list"]).fetchall()
    return [
        Endpoint(
            name, url, tuple(networks) if networks else None, tuple(map(AlertKind, kinds)), Level(level), *rest
        )
        for name, url, networks, kinds, level, *rest in rows
    ]  # fmt: skip


def enable(connection: Connection, name: str) -> None:
    """Send to it again. Raises NotFoundError."""
    _set(connection, name, enabled=True, reason="")


def disable(connection: Connection, name: str, reason: str) -> None:
    """Send nothing more to it. Raises NotFoundError."""
    _set(connection, name, enabled=False, reason=reason)


def _set(connection: Connection, name: str, *, enabled: bool, reason: str) -> None:
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["enable"], {"name": name, "enabled": enabled, "reason": reason}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no endpoint {name!r}")
