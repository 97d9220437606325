"""Incidents: what their grouping reads, what a tick writes in the transaction of its alerts, and what the API shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from lifeline.errors import NotFoundError
from lifeline.model import AlertState, JsonObject, Level, Quality
from lifeline.storage.alerts import DETECTOR
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.directory import Behind
from lifeline.storage.queries import load

_SQL = load("incidents")


class MemberRow(NamedTuple):
    """An alert as the grouping reads it; ids 0 and texts empty where there is none. ``first_seen`` in epoch seconds."""

    alert_id: int
    version: int
    incident_id: int
    rule: str
    network: str
    quantity: str
    level: int
    open: bool
    muted: bool
    asset_id: int
    asset_kind: str
    asset_name: str
    place: str
    longitude: float | None
    latitude: float | None
    first_seen: float
    origin: str
    active: bool
    silent: bool
    acknowledged_at: float
    acknowledged_by: str
    rules: list[str]


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident as it was read; ``causes`` ranked, the likeliest first, ``first_seen`` in epoch seconds.

    ``phase``: alarm, muted or returned; ``unattended_since`` (epoch seconds) is None once somebody has acknowledged.
    """

    incident_id: int
    version: int
    level: Level
    networks: tuple[str, ...]
    causes: list[JsonObject]
    lead: int
    first_seen: float
    phase: str = "alarm"
    unattended_since: float | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """An incident to open. ``lead`` is the alert where to begin; ``first_seen`` in epoch seconds."""

    level: Level
    networks: tuple[str, ...]
    causes: list[JsonObject]
    lead: int
    first_seen: float
    alerts: list[int]
    phase: str = "alarm"


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of an incident, as it was read; refused when somebody else was faster.

    ``actions`` go into its history; ``new`` alerts come to it, with all those of the incidents ``merged`` into it.
    ``attention``: kept as it is, asked for anew, or taken by ``taker``, who acknowledged.
    """

    incident: OpenIncident
    level: Level
    networks: tuple[str, ...]
    causes: list[JsonObject]
    lead: int
    first_seen: float
    actions: list[str]
    message: str | None
    new: list[int] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)
    closed: bool = False
    into: int | None = None
    phase: str = "alarm"
    attention: str = "kept"
    taker: str = ""


class AssetBeside(NamedTuple):
    """An asset that lies in a hexagon; ``geometry`` is GeoJSON."""

    cell: str
    asset_id: int
    external_id: str
    name: str
    network: str
    kind: str
    geometry: JsonObject


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """An incident as people see it. ``alert_ids`` are its worst 100, open ones first."""

    incident_id: int
    state: str
    level: Level
    worst_level: Level
    networks: list[str]
    causes: list[JsonObject]
    lead_alert: int
    longitude: float | None
    latitude: float | None
    first_seen: datetime
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    merged_into: int | None
    version: int
    phase: str
    unattended_since: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    response_alert: int
    asset: str | None
    asset_name: str | None
    alerts: int
    open_alerts: int
    alert_ids: list[int]


@dataclass(frozen=True, slots=True)
class IncidentAlert:
    """An alert of an incident, in short."""

    alert_id: int
    level: Level
    state: AlertState
    network: str
    rule: str
    title: JsonObject | None
    asset: str | None
    asset_name: str | None
    longitude: float | None
    latitude: float | None
    first_seen: datetime
    raised_at: datetime
    returned_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class IncidentEntry:
    """One line of an incident's history. ``alerts`` came to it; ``other`` it absorbed, or was merged into."""

    at: datetime
    actor: str
    action: str
    from_level: Level | None
    to_level: Level
    cause: str
    alerts: list[int]
    other: int | None


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Conditions that an incident must meet; None or empty means any."""

    open: bool | None = None
    levels: Sequence[Level] = ()
    network: str | None = None
    cause: str | None = None


def members(connection: Connection) -> list[MemberRow]:
    """Open risk alerts and all alerts of open incidents, in order of their ids."""
    with storage_errors(), connection.cursor(binary=True) as cursor:
        return [MemberRow(*row) for row in cursor.execute(_SQL["members"])]


def open_incidents(connection: Connection) -> list[OpenIncident]:
    """Incidents that are open, the oldest first."""
    with storage_errors():
        rows = connection.execute(_SQL["open"]).fetchall()
    return [
        OpenIncident(incident_id, version, Level(level), tuple(networks), *rest)
        for incident_id, version, level, networks, *rest in rows
    ]


def fingerprint(connection: Connection) -> str:
    """Differs from an earlier one when assets have changed in between."""
    return str(_one(connection, "fingerprint"))


def latitude(connection: Connection) -> float:
    """About where the city is."""
    return float(_one(connection, "latitude") or 0.0)


def joints(connection: Connection) -> NDArray[np.int64]:
    """What is joined to what, (2, n): an asset and the asset at its end."""
    with storage_errors():
        row = connection.execute(_SQL["joints"]).fetchone()
    return np.array([row[0] or [], row[1] or []] if row else [[], []], np.int64).reshape(2, -1)


def gauges(connection: Connection) -> list[tuple[int, float, float]]:
    """Rain gauges: sensor, longitude, latitude."""
    with storage_errors():
        return [(gauge, east, north) for gauge, east, north in connection.execute(_SQL["gauges"])]


def rain(connection: Connection, asked: Sequence[tuple[int, float]], span_s: float) -> dict[tuple[int, float], float]:
    """mm that fell in the ``span_s`` before moments (sensor, epoch seconds); none without readings."""
    values = {
        "gauges": [gauge for gauge, _ in asked],
        "until": [until for _, until in asked],
        "span_s": span_s,
        "implausible": int(Quality.IMPLAUSIBLE),
    }
    with storage_errors():
        return {(gauge, until): fallen for gauge, until, fallen in connection.execute(_SQL["rain"], values)}


def beside(connection: Connection, asked: Sequence[tuple[str, str, str]], resolution: int) -> list[AssetBeside]:
    """Assets in hexagons: asked for are (cell, network, kind)."""
    if not asked:
        return []
    cells, networks, kinds = (list(column) for column in zip(*asked, strict=True))
    values = {"cells": cells, "networks": networks, "kinds": kinds, "resolution": resolution}
    with storage_errors():
        return [AssetBeside(*row) for row in connection.execute(_SQL["beside"], values)]


def write(
    connection: Connection, openings: Sequence[Opening], changes: Sequence[Change], now: datetime, actor: str = DETECTOR
) -> int:
    """Open and change incidents, with history, messages and NOTIFY, in one transaction; how many did."""
    with storage_errors(), connection.transaction():
        opened = _open(connection, openings, now, actor)
        changed = _change(connection, changes, now, actor)
        if opened or changed:
            connection.execute(_SQL["notify"], {"count": opened + changed})
    return opened + changed


def _open(connection: Connection, openings: Sequence[Opening], now: datetime, actor: str) -> int:
    if not openings:
        return 0
    values = {
        "levels": [int(each.level) for each in openings],
        "networks": [",".join(each.networks) for each in openings],
        "causes": Jsonb([each.causes for each in openings]),
        "leads": [each.lead for each in openings],
        "first_seen": [datetime.fromtimestamp(each.first_seen, UTC) for each in openings],
        "phases": [each.phase for each in openings],
        "now": now,
    }
    rows = connection.execute(_SQL["insert"], values).fetchall()
    ids: dict[int, int] = {lead: incident_id for incident_id, lead in rows}
    _assign(connection, {alert: ids[each.lead] for each in openings for alert in each.alerts})
    lines: list[_Line] = [
        (ids[each.lead], "opened", None, each.level, _cause(each.causes), each.alerts, None, actor) for each in openings
    ]
    _note(connection, lines, now)
    tell(connection, [(ids[each.lead], "incident.opened", actor) for each in openings], now)
    return len(ids)


def _change(connection: Connection, changes: Sequence[Change], now: datetime, actor: str) -> int:
    if not changes:
        return 0
    values = {
        "ids": [each.incident.incident_id for each in changes],
        "versions": [each.incident.version for each in changes],
        "levels": [int(each.level) for each in changes],
        "networks": [",".join(each.networks) for each in changes],
        "causes": Jsonb([each.causes for each in changes]),
        "leads": [each.lead for each in changes],
        "first_seen": [datetime.fromtimestamp(each.first_seen, UTC) for each in changes],
        "closed": [each.closed for each in changes],
        "into": [each.into for each in changes],
        "phases": [each.phase for each in changes],
        "attention": [each.attention for each in changes],
        "takers": [each.taker for each in changes],
        "now": now,
    }
    moved = {incident_id for (incident_id,) in connection.execute(_SQL["update"], values)}
    done = [each for each in changes if each.incident.incident_id in moved]
    merged = {each.incident.incident_id: each.into for each in done if each.into is not None}
    if merged:
        connection.execute(_SQL["hand_over"], {"merged": list(merged), "into": list(merged.values())})
        connection.execute(_SQL["adopt_response"], {"into": sorted(set(merged.values()))})
    _assign(connection, {alert: each.incident.incident_id for each in done for alert in each.new})
    _note(connection, [line for each in done for line in _lines(each, actor)], now)
    told = [(each.incident.incident_id, each.message, each.taker or actor) for each in done if each.message]
    tell(connection, told, now)
    return len(done)


_Line = tuple[int, str, Level | None, Level, str, list[int], int | None, str]


def _lines(change: Change, actor: str) -> list[_Line]:
    """A line for each action, and for each incident that was absorbed."""
    found: list[_Line] = []
    for action in change.actions:
        others: Sequence[int | None] = change.merged if action == "absorbed" else [change.into]
        alerts = change.new if action == "grown" else []
        for other in others:
            was, cause, who = (
                change.incident,
                _cause(change.causes),
                change.taker if action == "acknowledged" else actor,
            )
            found.append((was.incident_id, action, was.level, change.level, cause, alerts, other, who))
    return found


def _cause(causes: Sequence[JsonObject]) -> str:
    return str(causes[0]["cause"]) if causes else "unknown"


def _assign(connection: Connection, incidents: dict[int, int]) -> None:
    ordered = sorted(incidents)
    values = {"alerts": ordered, "incidents": [incidents[alert] for alert in ordered]}
    connection.execute(_SQL["assign"], values)


def _note(connection: Connection, lines: Sequence[_Line], now: datetime) -> None:
    columns: dict[str, list[Any]] = {
        "ids": [line[0] for line in lines],
        "actions": [line[1] for line in lines],
        "from_levels": [None if line[2] is None else int(line[2]) for line in lines],
        "to_levels": [int(line[3]) for line in lines],
        "causes": [line[4] for line in lines],
        "alerts": [",".join(map(str, line[5])) for line in lines],
        "others": [line[6] for line in lines],
        "actors": [line[7] for line in lines],
    }
    connection.execute(_SQL["note"], {**columns, "now": now})


def tell(connection: Connection, messages: Sequence[tuple[int, str, str]], now: datetime, note: str = "") -> None:
    """Write messages about incidents, (incident, type, actor), in the transaction that changed them."""
    if not messages:
        return
    ids, types, actors = (list(column) for column in zip(*messages, strict=True))
    values = {"ids": ids, "messages": types, "actors": actors, "now": now, "note": note}
    with storage_errors():
        connection.execute(_SQL["tell"], values)


def list_incidents(
    connection: Connection, wanted: IncidentFilter, *, worst_first: bool, after: Behind | None, limit: int
) -> list[IncidentLine]:
    """Incidents that meet the filter, open or closed, behind ``after`` (its ``alert_id`` is the incident's)."""
    values = {
        "open": wanted.open,
        "levels": [int(level) for level in wanted.levels] or None,
        "network": wanted.network,
        "cause": wanted.cause,
        "after_level": after.level if after else None,
        "after_at": after.raised_at if after else None,
        "after_id": after.alert_id if after else None,
        "limit": limit,
    }
    with storage_errors():
        return [_line(row) for row in connection.execute(_SQL["list_worst" if worst_first else "list_newest"], values)]


def get(connection: Connection, incident_id: int) -> IncidentLine:
    """One incident, open or closed. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["get"], {"incident_id": incident_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no incident {incident_id}")
    return _line(row)


def alerts(connection: Connection, incident_id: int, limit: int = 1000) -> list[IncidentAlert]:
    """The alerts of an incident, open ones first, the worst first."""
    with storage_errors():
        rows = connection.execute(_SQL["alerts"], {"incident_id": incident_id, "limit": limit}).fetchall()
    return [IncidentAlert(i, Level(level), AlertState(state), *rest) for i, level, state, *rest in rows]


def of_alert(connection: Connection, alert_id: int) -> int | None:
    """The incident of an alert; None where it has none."""
    with storage_errors():
        row = connection.execute(_SQL["of_alert"], {"alert_id": alert_id}).fetchone()
    return row[0] if row else None


def open_alert_ids(connection: Connection, incident_id: int) -> list[int]:
    """The open alerts of an incident."""
    with storage_errors():
        return [row[0] for row in connection.execute(_SQL["alert_ids"], {"incident_id": incident_id})]


def open_by_level(connection: Connection) -> dict[Level, int]:
    """How many incidents are open, by level."""
    with storage_errors():
        return {Level(level): count for level, count in connection.execute(_SQL["open_by_level"])}


def history(connection: Connection, incident_id: int) -> list[IncidentEntry]:
    """What happened to an incident, oldest first."""
    with storage_errors():
        rows = connection.execute(_SQL["history"], {"incident_id": incident_id}).fetchall()
    return [
        IncidentEntry(at, actor, action, Level(was) if was else None, Level(level), *rest)
        for at, actor, action, was, level, *rest in rows
    ]


def _line(row: Sequence[Any]) -> IncidentLine:
    incident_id, state, level, worst, *rest = row
    return IncidentLine(incident_id, state, Level(level), Level(worst), *rest)


def _one(connection: Connection, statement: str) -> Any:
    with storage_errors():
        row = connection.execute(_SQL[statement]).fetchone()
    return row[0] if row else None
