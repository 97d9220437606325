"""Edits of single assets, sensors and zones: checked as an import is, refused where they would break the network.

Every function works in the caller's transaction and may leave it half done where it raises: roll back. Who did what is
a line of the inventory's history with what each field was before and is now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifeline import geo
from lifeline.catalogue import Catalogue
from lifeline.errors import ConflictError, NotFoundError
from lifeline.exchange import mapping
from lifeline.exchange.files import Contents
from lifeline.exchange.mapping import ColumnMap
from lifeline.exchange.rows import Row
from lifeline.exchange.writers import singular
from lifeline.model import JsonObject
from lifeline.storage import export, facilities
from lifeline.storage.database import Connection
from lifeline.storage.imports import note, store_contents
from lifeline.storage.queries import load

_SQL = load("editing")

Fields = Mapping[str, Any]
Changes = dict[str, list[Any]]
"""Of each field that differs: what it was and what it is."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What an edit did: ``action`` is created, changed, retired, removed, or None where all was so already."""

    what: str
    name: str
    action: str | None
    changes: Changes


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A line of the inventory's history; of an import ``name`` is None and ``detail`` the file and how many."""

    history_id: int
    at: datetime
    actor: str
    action: str
    what: str
    name: str | None
    detail: JsonObject


@dataclass(frozen=True, slots=True)
class Editor:
    """Who edits, when, and by which catalogue."""

    connection: Connection
    catalogue: Catalogue
    actor: str
    now: datetime

    def put(self, what: str, name: str, fields: Fields, geometry: JsonObject | None) -> Edit:
        """Make the thing, or make it what ``fields`` say; what they leave out is as in an import.

        ``what`` is assets, sensors, zones or facilities; ``name`` of a sensor is ``device/channel``. Raises
        ImportRejectedError with everything that is wrong, ConflictError where the network would break.
        """
        return self._store(what, name, export.one(self.connection, what, name), dict(fields), geometry)

    def patch(self, what: str, name: str, fields: Fields, geometry: JsonObject | None = None) -> Edit:
        """Change these fields and no others; None takes a field away. Raises NotFoundError and as `put` does."""
        before = export.existing(self.connection, what, name)
        flat = _flat(before)
        shape = before.geometry if geometry is None else geometry
        if geometry is not None and what == "assets" and flat.get("length_m") == geo.length_m(before.geometry or {}):
            del flat["length_m"]  # it was measured, and is measured again
        merged = {key: value for key, value in (flat | dict(fields)).items() if value is not None}
        if what == "sensors":
            merged.setdefault("balance", "")
            if fields.keys() & {"longitude", "latitude"}:
                shape = None
        return self._store(what, name, before, merged, shape)

    def remove(self, what: str, name: str) -> Edit:
        """Take the row away. Raises NotFoundError, and ConflictError with the reason where something needs it."""
        before = export.existing(self.connection, what, name)
        if what == "facilities":
            facilities.remove(self.connection, name, self.now)
        else:
            _REMOVALS[what](self.connection, name)
        self.connection.execute(_SQL["announce"])
        return self._note(what, name, "removed", _changes(before, None))

    def _store(
        self, what: str, name: str, before: Row | None, values: dict[str, Any], shape: JsonObject | None
    ) -> Edit:
        _check_name(what, name, before, values)
        (row,) = mapping.apply(ColumnMap(), [Row(1, values, shape)])
        contents = Contents(f"{singular(what)} {name}")
        setattr(contents, what, [row])
        store_contents(self.connection, [contents], self.catalogue, self.now)
        after = export.existing(self.connection, what, name)
        changes = _changes(before, after)
        if what == "assets" and changes:
            check_topology(self.connection, name)
        if not changes:
            return Edit(what, name, None, {})
        retired = before is not None and changes.get("in_service") == [True, False]
        return self._note(what, name, "retired" if retired else "changed" if before else "created", changes)

    def _note(self, what: str, name: str, action: str, changes: Changes) -> Edit:
        note(self.connection, self.now, self.actor, action, singular(what), name, changes)
        return Edit(what, name, action, changes)


def history(
    connection: Connection,
    *,
    what: str | None = None,
    name: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[HistoryLine]:
    """Changes of the inventory, the newest first; ``before`` is the id of the last line of the page before."""
    values = {"what": what, "name": name, "before": before, "limit": limit}
    return [HistoryLine(*row) for row in connection.execute(_SQL["history"], values)]


def _flat(row: Row) -> dict[str, Any]:
    """Fields as an import reads them: attributes beside Lifeline's own."""
    own = {key: value for key, value in row.values.items() if key != "attributes"}
    return {**(row.values.get("attributes") or {}), **own}


def _check_name(what: str, name: str, before: Row | None, values: dict[str, Any]) -> None:
    """The name is in the fields, and it stays; so does the network of a sensor, which is part of its topic."""
    fixed = dict(zip(("device", "channel"), name.split("/", 1), strict=False)) if what == "sensors" else {"id": name}
    if what == "sensors" and before is not None:
        fixed["network"] = before.values["network"]
    for key, value in fixed.items():
        if values.setdefault(key, value) != value:
            raise ConflictError(f"{key} of {name} cannot become {values[key]!r}: make another and take this one out")


def _changes(before: Row | None, after: Row | None) -> Changes:
    old, new = (
        {} if row is None else {**_flat(row), "geometry": row.geometry, "id": row.values.get("id")}
        for row in (before, after)
    )
    keys = dict.fromkeys([*old, *new])
    return {key: [old.get(key), new.get(key)] for key in keys if old.get(key) != new.get(key)}


# --------------------------------------------------------------------------------------------------------- refusals


def check_topology(connection: Connection, name: str) -> None:
    """Raises ConflictError where what is stored of this asset does not fit what it is joined to."""
    number, in_service = connection.execute(_SQL["asset_number"], {"name": name}).fetchone() or (0, True)
    foreign = connection.execute(_SQL["foreign_neighbours"], {"id": number}).fetchall()
    if foreign:
        told = ", ".join(f"{other} of {network}" for other, network in foreign)
        raise ConflictError(f"asset {name!r} would be joined to another network: {told}")
    if in_service:
        ends = [end for (end,) in connection.execute(_SQL["retired_ends"], {"id": number})]
        if ends:
            raise ConflictError(f"asset {name!r} ends at what is out of service: {', '.join(ends)}")
        return
    reasons = _uses(connection, number, serving=True)
    if reasons:
        raise ConflictError(f"asset {name!r} cannot be taken out of service: {'; '.join(reasons)}")


def _uses(connection: Connection, number: int, *, serving: bool) -> list[str]:
    """What is joined to an asset or measures it (``serving``: what is in service)."""
    reasons = []
    for statement, what in (("pipes_at", "{} ends at it"), ("sensors_at", "{} measures it")):
        found = connection.execute(_SQL[statement], {"id": number, "serving": serving}).fetchone()
        names, count = found or ([], 0)
        if count:
            reasons.append(what.format(_listed(names, count)))
    return reasons


def _listed(names: list[str], count: int) -> str:
    return ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")


def _refuse_records(what: str, name: str, kept: Mapping[str, int]) -> None:
    told = [f"{count} {kind}" for kind, count in kept.items() if count]
    if told:
        raise ConflictError(
            f"{what} {name!r} cannot be removed: {', '.join(told)} would lose what they are about; "
            "take it out of service instead (in_service: false)"
        )


def _remove_asset(connection: Connection, name: str) -> None:
    number, _ = connection.execute(_SQL["asset_number"], {"name": name}).fetchone() or (0, True)
    reasons = _uses(connection, number, serving=False)
    if reasons:
        raise ConflictError(f"asset {name!r} cannot be removed: {'; '.join(reasons)}")
    counts = connection.execute(_SQL["asset_records"], {"id": number}).fetchone() or ()
    _refuse_records("asset", name, dict(zip(("alerts", "maintenance windows", "breaks"), counts, strict=True)))
    connection.execute(_SQL["remove_asset"], {"id": number})


def _remove_sensor(connection: Connection, name: str) -> None:
    device, _, channel = name.partition("/")
    (number,) = connection.execute(_SQL["sensor_number"], {"device": device, "channel": channel}).fetchone() or (0,)
    has_readings, *counts = connection.execute(_SQL["sensor_records"], {"id": number}).fetchone() or (0, 0, 0)
    if has_readings:
        raise ConflictError(f"sensor {name!r} cannot be removed: it has readings; take it out of service instead")
    _refuse_records("sensor", name, dict(zip(("alerts", "maintenance windows"), counts, strict=True)))
    connection.execute(_SQL["remove_sensor"], {"id": number})


def _remove_zone(connection: Connection, name: str) -> None:
    names, count = connection.execute(_SQL["zone_uses"], {"name": name}).fetchone() or ([], 0)
    if count:
        raise ConflictError(f"zone {name!r} cannot be removed: {_listed(names, count)} name it as theirs")
    connection.execute(_SQL["remove_zone"], {"name": name})


_REMOVALS = {"assets": _remove_asset, "sensors": _remove_sensor, "zones": _remove_zone}


def sensor_name(connection: Connection, sensor_id: int) -> str:
    """``device/channel`` of a sensor. Raises NotFoundError."""
    row = connection.execute(_SQL["sensor_name"], {"id": sensor_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no sensor {sensor_id}")
    return str(row[0])
