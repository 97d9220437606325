"""Maintenance windows: planned work by network, zone, asset, sensor, device and rule. Without an end: out of service.

While one is open nothing new is raised in it, and what is open there is out of service; afterwards what still is in
alarm is raised, and what is not is closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import Subject
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("maintenance")


@dataclass(frozen=True, slots=True)
class Window:
    """One window. None matches anything; ``ends_at`` None: until somebody ends it."""

    window_id: int
    network: str | None
    zone: str | None
    asset: str | None
    sensor_id: int | None
    device: str | None
    rule: str | None
    begins_at: datetime
    ends_at: datetime | None
    reason: str
    created_by: str
    ended_by: str | None


def open_window(
    connection: Connection,
    actor: str,
    now: datetime,
    *,
    begins_at: datetime,
    ends_at: datetime | None,
    network: str | None = None,
    zone: str | None = None,
    asset: str | None = None,
    rule: str | None = None,
    sensor_id: int | None = None,
    device_id: int | None = None,
    asset_id: int | None = None,
    reason: str = "",
) -> int:
    """Plan a window and give its id. ``asset`` is the city's own name, ``asset_id`` Lifeline's number of it.

    Raises ConflictError where it is about nothing or ends before it begins or now, NotFoundError for a place unknown.
    """
    if not any((network, zone, asset, asset_id, sensor_id, device_id, rule)):
        raise ConflictError("a window is about a network, a zone, an asset, a sensor or a rule")
    if ends_at is not None and ends_at <= max(begins_at, now):
        raise ConflictError("a window ends after it begins, and in the future")
    values = {
        "network": network, "zone": zone, "asset": asset, "rule": rule, "sensor_id": sensor_id, "device_id": device_id,
        "asset_id": asset_id, "begins_at": begins_at, "ends_at": ends_at, "reason": reason,
        "actor": actor, "now": now,
    }  # fmt: skip
    with storage_errors(), connection.transaction():
        for what, name in (("asset", asset), ("zone", zone), ("sensor", sensor_id)):
            if name and connection.execute(_SQL[f"{what}_exists"], {"name": name}).fetchone() is None:
                raise NotFoundError(f"there is no {what} {name!r}")
        row = connection.execute(_SQL["open"], values).fetchone()
    return int(row[0]) if row else 0


def get(connection: Connection, window_id: int) -> Window:
    """One window. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["get"], {"window_id": window_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no window {window_id}")
    return Window(*row)


def change_window(
    connection: Connection, window_id: int, actor: str, now: datetime, *, ends_at: datetime | None, reason: str
) -> None:
    """Another end, another reason. Raises NotFoundError, ConflictError for a window that is over or an end that is."""
    if ends_at is not None and ends_at <= now:
        raise ConflictError("a window ends in the future; to end it now, end it")
    values = {"window_id": window_id, "actor": actor, "now": now, "ends_at": ends_at, "reason": reason}
    with storage_errors(), connection.transaction():
        was = get(connection, window_id)
        if ends_at is not None and ends_at <= was.begins_at:
            raise ConflictError("a window ends after it begins")
        if connection.execute(_SQL["change"], values).fetchone() is None:
            raise ConflictError(f"window {window_id} is over")


def end_window(connection: Connection, window_id: int, actor: str, now: datetime) -> None:
    """End a window before its time. Raises NotFoundError for one that is over or never was."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["end"], {"window_id": window_id, "actor": actor, "now": now}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no window {window_id} that is open or to come")


def windows(connection: Connection, since: datetime) -> list[Window]:
    """Windows that are open, to come, or have ended after ``since``."""
    with storage_errors():
        return [Window(*row) for row in connection.execute(_SQL["list"], {"since": since})]


def covered(connection: Connection, asked: Sequence[tuple[Subject, str]], now: datetime) -> set[tuple[Subject, str]]:
    """Which of these (subject, rule) lie in a window that is open now."""
    with storage_errors():
        row = connection.execute(_SQL["any_open"], {"now": now}).fetchone()
        if not asked or not row or not row[0]:
            return set()
        values = {
            "kinds": [subject.kind for subject, _ in asked],
            "ids": [subject.id for subject, _ in asked],
            "rules": [rule for _, rule in asked],
            "now": now,
        }
        return {asked[place - 1] for (place,) in connection.execute(_SQL["covered"], values)}
