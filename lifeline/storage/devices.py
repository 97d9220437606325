"""Devices edited one by one: name, gateway, place, in service or not. Their sensors are edited as sensors."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lifeline.catalogue import Catalogue
from lifeline.errors import ConflictError, ImportRejectedError, NotFoundError, Problem
from lifeline.records import Record
from lifeline.storage.database import Connection
from lifeline.storage.editing import Edit
from lifeline.storage.imports import note
from lifeline.storage.queries import load

_SQL = load("editing")

FIELDS = ("network", "name", "gateway", "longitude", "latitude", "in_service")


def put_device(
    connection: Connection, name: str, fields: Mapping[str, Any], catalogue: Catalogue, actor: str, now: datetime
) -> Edit:
    """Make a device, or change the fields given; None takes one away. In the caller's transaction.

    Raises ImportRejectedError with everything that is wrong, ConflictError where it would change its network or be
    behind itself.
    """
    before = _stored(connection, name)
    unknown = [f"{key!r} is not one of {', '.join(FIELDS)}" for key in fields if key not in FIELDS]
    wanted = _checked(name, (before or {}) | dict(fields), catalogue, unknown)
    if before is not None and wanted["network"] != before["network"]:
        raise ConflictError(f"device {name!r} is in network {before['network']!r}, which is part of its topic")
    gateway = wanted["gateway"]
    if gateway is not None:
        if _stored(connection, gateway) is None:
            raise NotFoundError(f"there is no device {gateway!r} to be the gateway of {name!r}")
        (ring,) = connection.execute(_SQL["behind"], {"device": gateway, "gateway": name}).fetchone() or (False,)
        if ring or gateway == name:
            raise ConflictError(f"device {name!r} would be behind itself: {gateway!r} is behind it")
    connection.execute(_SQL["store_device"], {**wanted, "id": name})
    changes = {key: [(before or {}).get(key), wanted[key]] for key in FIELDS if (before or {}).get(key) != wanted[key]}
    if not changes:
        return Edit("devices", name, None, {})
    retired = before is not None and changes.get("in_service") == [True, False]
    action = "retired" if retired else "changed" if before else "created"
    return _note(connection, Edit("devices", name, action, changes), actor, now)


def remove_device(connection: Connection, name: str, actor: str, now: datetime) -> Edit:
    """Take a device away that has no sensor and nothing behind it. Raises NotFoundError and ConflictError."""
    before = _stored(connection, name)
    if before is None:
        raise NotFoundError(f"there is no device {name!r}")
    number = (connection.execute(_SQL["device"], {"name": name}).fetchone() or (0,))[0]
    counts = connection.execute(_SQL["device_uses"], {"id": number}).fetchone() or ()
    kinds = ("sensors of it", "devices behind it", "alerts about it", "maintenance windows of it")
    told = [f"{count} {kind}" for kind, count in zip(kinds, counts, strict=True) if count]
    if told:
        raise ConflictError(f"device {name!r} cannot be removed: there are {', '.join(told)}; take it out of service")
    connection.execute(_SQL["remove_device"], {"id": number})
    changes = {key: [value, None] for key, value in before.items() if value is not None}
    return _note(connection, Edit("devices", name, "removed", changes), actor, now)


def _note(connection: Connection, edit: Edit, actor: str, now: datetime) -> Edit:
    note(connection, now, actor, str(edit.action), "device", edit.name, edit.changes)
    connection.execute(_SQL["announce"])
    return edit


def _stored(connection: Connection, name: str) -> dict[str, Any] | None:
    row = connection.execute(_SQL["device"], {"name": name}).fetchone()
    return None if row is None else dict(zip(FIELDS, row[2:], strict=True))


def _checked(name: str, values: Mapping[str, Any], catalogue: Catalogue, unknown: list[str]) -> dict[str, Any]:
    problems = [Problem(1, message) for message in unknown]
    record = Record(1, {**values, "id": name}, problems)
    record.identifier("id", needed=True)
    place = record.number("longitude", -180, 180), record.number("latitude", -90, 90)
    if (place[0] is None) != (place[1] is None):
        record.wrong("longitude and latitude come together or not at all")
    in_service = record.optional_boolean("in_service")
    checked = {
        "network": record.network(catalogue),
        "name": record.text("name"),
        "gateway": record.identifier("gateway"),
        "longitude": place[0],
        "latitude": place[1],
        "in_service": True if in_service is None else in_service,
    }
    if problems:
        raise ImportRejectedError(f"device {name}", problems)
    return checked
