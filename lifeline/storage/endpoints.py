"""Webhook endpoints: where alerts are sent. The secret is shown once, when the endpoint is added."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lifeline.errors import ConfigurationError, ConflictError, NotFoundError
from lifeline.model import AlertKind, Level
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("endpoints")

SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One webhook. ``networks`` and ``zones`` None: all; ``events`` None: every type that is of its ``scope``.

    Deliveries are counted by their state.
    """

    name: str
    url: str
    format: str
    networks: tuple[str, ...] | None
    kinds: tuple[AlertKind, ...]
    worst_level: Level
    enabled: bool
    disabled_reason: str
    created_at: datetime
    scope: str
    zones: tuple[str, ...] | None
    events: tuple[str, ...] | None
    links: bool
    pacing: "Pacing"
    delivered: int
    pending: int
    failed: int


SCOPES = ("incident", "alert")
"""Whether risk is told by its incidents, one message for an event, or alert by alert."""
FORMATS = ("own", "cloudevents", "alertmanager", "cap", "chat")
"""How a message may look; ``chat`` is a chat channel or a mail instead of a webhook."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """When messages are sent. Red is always sent at once.

    Quiet hours are wall clock times of ``quiet_zone``. With ``group_wait_s`` above zero, messages of the same
    ``group_by`` (network, rule, level) go out together, a group every ``group_interval_s`` at most. An alert that
    nobody has acknowledged is told again every ``repeat_s``.
    """

    quiet_from: time | None = None
    quiet_until: time | None = None
    quiet_zone: str = "Asia/Shanghai"
    group_by: tuple[str, ...] = ("network", "rule")
    group_wait_s: int = 0
    group_interval_s: int = 300
    repeat_s: int | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """A stage of a chain: alerts of ``level`` or worse, unacknowledged for ``after_s`` seconds, are told to it."""

    escalation_id: int
    endpoint: str
    level: Level
    after_s: int
    network: str | None
    team: str | None


def add(
    connection: Connection,
    name: str,
    url: str,
    now: datetime,
    *,
    networks: Sequence[str] | None = None,
    kinds: Sequence[AlertKind] = tuple(AlertKind),
    worst_level: Level = Level.BLUE,
    format: str = "own",  # noqa: A002 - the column's name
    events: Sequence[str] | None = None,
    links: bool = True,
    pacing: Pacing | None = None,
    channel: str = "",
    scope: str = "incident",
    zones: Sequence[str] | None = None,
) -> str:
    """Add an endpoint and give its signing secret (``whsec_`` and base64).

    Alerts of ``worst_level`` and of every worse one are sent, of ``events`` alone where it is given, risk by its
    incidents where ``scope`` says so, of ``zones`` (external ids) alone where they are given. For ``chat``, ``channel``
    is the address with its key, kept as the secret, and ``url`` what may be seen of it. Raises ConfigurationError for a
    URL that cannot be posted to or pacing that makes no sense, ConflictError where the name is taken.
    """
    if (format == "chat") != bool(channel):
        raise ConfigurationError("chat alone has a channel")
    secret = channel or new_secret()
    given = _values(name, url, networks, kinds, worst_level, format, events, links, pacing or Pacing(), scope, zones)
    values = given | {"secret": secret, "now": now}
    try:
        with storage_errors(), connection.transaction():
            connection.execute(_SQL["add"], values)
    except ConflictError as error:
        raise ConflictError(f"there is an endpoint {name!r} already") from error
    return secret


def change(
    connection: Connection,
    name: str,
    url: str,
    *,
    networks: Sequence[str] | None = None,
    kinds: Sequence[AlertKind] = tuple(AlertKind),
    worst_level: Level = Level.BLUE,
    format: str = "own",  # noqa: A002 - the column's name
    events: Sequence[str] | None = None,
    links: bool = True,
    pacing: Pacing | None = None,
    scope: str = "incident",
    zones: Sequence[str] | None = None,
) -> None:
    """Change all of a webhook but name and secret. Raises as ``add``; NotFoundError, ConflictError for a channel."""
    if format == "chat":
        raise ConfigurationError("a chat channel is added anew: its address is its key")
    values = _values(name, url, networks, kinds, worst_level, format, events, links, pacing or Pacing(), scope, zones)
    with storage_errors(), connection.transaction():
        if get(connection, name).format == "chat":
            raise ConflictError(f"{name!r} is a chat channel: add it anew")
        connection.execute(_SQL["change"], values)


def _values(
    name: str,
    url: str,
    networks: Sequence[str] | None,
    kinds: Sequence[AlertKind],
    worst_level: Level,
    form: str,
    events: Sequence[str] | None,
    links: bool,
    pacing: Pacing,
    scope: str,
    zones: Sequence[str] | None,
) -> dict[str, Any]:
    """The columns, checked. Raises ConfigurationError."""
    if form not in FORMATS:
        raise ConfigurationError(f"the format is one of {', '.join(FORMATS)}")
    if scope not in SCOPES:
        raise ConfigurationError(f"the scope is one of {', '.join(SCOPES)}")
    if form != "chat":
        check_url(url)
    _check_pacing(pacing, form)
    return asdict(pacing) | {
        "group_by": list(pacing.group_by),
        "format": form,
        "events": None if events is None else list(events),
        "links": links,
        "scope": scope,
        "zones": list(zones) if zones else None,
        "name": name,
        "url": url,
        "networks": list(networks) if networks else None,
        "kinds": [str(kind) for kind in kinds],
        "worst_level": int(worst_level),
    }


def get(connection: Connection, name: str) -> Endpoint:
    """One endpoint. Raises NotFoundError."""
    found = [one for one in list_endpoints(connection) if one.name == name]
    if not found:
        raise NotFoundError(f"there is no endpoint {name!r}")
    return found[0]


def new_secret() -> str:
    """A signing secret that nobody has."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _check_pacing(pacing: Pacing, form: str) -> None:
    try:
        ZoneInfo(pacing.quiet_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(f"unknown time zone {pacing.quiet_zone!r}") from error
    if (pacing.quiet_from is None) != (pacing.quiet_until is None) or (
        pacing.quiet_from is not None and pacing.quiet_from == pacing.quiet_until
    ):
        raise ConfigurationError("quiet hours have a beginning and an end, and they differ")
    if not set(pacing.group_by) <= {"network", "rule", "level"}:
        raise ConfigurationError("groups are made by network, rule and level")
    if pacing.group_wait_s < 0 or pacing.group_interval_s < 0 or (pacing.repeat_s or 60) < 60:
        raise ConfigurationError("waits are not below zero, and reminders come every minute at most")
    if form == "cap" and pacing.group_wait_s:
        raise ConfigurationError("CAP warns of one alert at a time: it has no groups")


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
    return [_endpoint(row) for row in rows]


def _endpoint(row: Sequence[Any]) -> Endpoint:
    name, url, form, networks, kinds, level, enabled, reason, created_at, scope, zones, events, links, *rest = row
    (quiet_from, quiet_until, quiet_zone, group_by, wait_s, interval_s, repeat_s), counts = rest[:7], rest[7:]
    pacing = Pacing(quiet_from, quiet_until, quiet_zone, tuple(group_by), wait_s, interval_s, repeat_s)
    return Endpoint(
        name, url, form, _tuple(networks), tuple(map(AlertKind, kinds)), Level(level), enabled, reason, created_at,
        scope, _tuple(zones), _tuple(events), links, pacing, *counts,
    )  # fmt: skip


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


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


def rotate(connection: Connection, name: str, now: datetime, overlap: timedelta) -> str:
    """Give an endpoint a new secret; the old one signs beside it for ``overlap``.

    Raises NotFoundError, also for a chat channel, which signs nothing.
    """
    secret = new_secret()
    values = {"name": name, "secret": secret, "now": now, "until": now + overlap}
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["rotate"], values).fetchone()
    if row is None or not row[0]:
        raise NotFoundError(f"there is no webhook {name!r}")
    return secret


def send_test(connection: Connection, name: str, now: datetime, note: str = "") -> str:
    """Have a test message sent, and give its id. Raises NotFoundError."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["test"], {"name": name, "now": now, "note": note}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no endpoint {name!r}")
    return str(row[0])


def replay(
    connection: Connection,
    name: str,
    now: datetime,
    *,
    message_id: str | None = None,
    since: datetime | None = None,
    failed_only: bool = False,
) -> int:
    """Send again, under the same ids, one message or all ``since``; give how many. Raises NotFoundError."""
    values = {"name": name, "now": now, "message_id": message_id, "since": since, "failed_only": failed_only}
    with storage_errors(), connection.transaction():
        if connection.execute(_SQL["exists"], {"name": name}).fetchone() is None:
            raise NotFoundError(f"there is no endpoint {name!r}")
        again = len(connection.execute(_SQL["replay"], values).fetchall())
    if message_id is not None and not again:
        raise NotFoundError(f"{name!r} was not sent the message {message_id}, or it is on its way")
    return again


def escalate(
    connection: Connection,
    name: str,
    now: datetime,
    *,
    level: Level,
    after_s: int,
    network: str | None = None,
    team: str | None = None,
) -> int:
    """Add a stage to the escalation chain, and give its id. Raises NotFoundError, ConflictError, RejectedDataError."""
    values = {"name": name, "now": now, "level": int(level), "after_s": after_s, "network": network, "team": team}
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["escalate"], values).fetchone()
    if row is None:
        raise NotFoundError(f"there is no endpoint {name!r}")
    return int(row[0])


def escalations(connection: Connection) -> list[Escalation]:
    """Every stage, in the order in which an alert goes through them."""
    with storage_errors():
        rows = connection.execute(_SQL["escalations"]).fetchall()
    return [Escalation(number, name, Level(level), *rest) for number, name, level, *rest in rows]


def drop_escalation(connection: Connection, escalation_id: int) -> None:
    """Take a stage out. Raises NotFoundError."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["drop_escalation"], {"escalation_id": escalation_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no stage {escalation_id}")
