"""What the city has and what is going on, page by page: assets, devices, sensors, alerts, and how many there are.

Pages are by keyset: the next one begins behind the last row, at the same cost for the hundredth as for the first. Each
function gives ``limit`` rows at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifeline.errors import NotFoundError
from lifeline.geo import Box
from lifeline.model import AlertKind, AlertState, AssetKind, JsonObject, Level, SubjectKind
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("directory")


@dataclass(frozen=True, slots=True)
class AssetLine:
    """An asset with its standing risk; ``lof``, ``cof`` and ``score`` are None before it was computed."""

    asset_id: int
    external_id: str
    network: str
    kind: AssetKind
    name: str
    geometry: JsonObject
    material: str | None
    diameter_mm: float | None
    install_year: int | None
    length_m: float | None
    depth_m: float | None
    customers: int
    critical: bool
    attributes: JsonObject
    road_class: str | None
    street: str | None
    soil: str | None
    condition: int | None
    in_service: bool
    from_asset: str | None
    to_asset: str | None
    lof: float | None
    cof: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device and how it is; ``missed`` counts gaps in its sequence numbers."""

    device_id: int
    external_id: str
    network: str
    name: str
    gateway: str | None
    longitude: float | None
    latitude: float | None
    status: str
    status_at: datetime | None
    last_seen: datetime | None
    missed: int


@dataclass(frozen=True, slots=True)
class SensorLine:
    """A sensor with its newest reading; ``max_silence_s`` is None where the catalogue's holds."""

    sensor_id: int
    device: str
    network: str
    channel: str
    quantity: str
    name: str
    asset: str | None
    asset_name: str | None
    longitude: float | None
    latitude: float | None
    in_service: bool
    max_silence_s: float | None
    ts: datetime | None
    value: float | None
    quality: int | None


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert with the names that a person knows its place by."""

    alert_id: int
    subject_kind: SubjectKind
    subject_id: int
    rule: str
    rule_version: str
    kind: AlertKind
    network: str
    level: Level
    state: AlertState
    sensor_id: int | None
    longitude: float | None
    latitude: float | None
    evidence: JsonObject
    first_seen: datetime
    raised_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    returned_at: datetime | None
    closed_at: datetime | None
    version: int
    asset: str | None
    asset_name: str | None
    asset_kind: str | None
    device: str | None
    quantity: str | None
    sensor_name: str | None
    incident_id: int | None


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Conditions that an alert must meet; None or empty means any."""

    open: bool | None = None
    states: Sequence[AlertState] = ()
    levels: Sequence[Level] = ()
    network: str | None = None
    kind: AlertKind | None = None
    asset: str | None = None
    sensor_id: int | None = None


@dataclass(frozen=True, slots=True)
class Behind:
    """The last alert of a page, behind which the next begins."""

    level: int
    raised_at: datetime
    alert_id: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is; ``newest_reading`` by the sensors' clocks, ``newest_arrival`` by ours."""

    assets: int
    devices: int
    sensors: int
    sensors_heard: int
    newest_reading: datetime | None
    newest_arrival: datetime | None
    unknown_devices: int
    deliveries_pending: int
    deliveries_failed: int


def assets(
    connection: Connection,
    *,
    after: int = 0,
    limit: int = 100,
    network: str | None = None,
    kind: AssetKind | None = None,
    box: Box | None = None,
    find: str | None = None,
) -> list[AssetLine]:
    """Assets behind the id ``after``; ``box``: those whose own box touches it; ``find``: part of id, name or device."""
    values = {"after": after, "limit": limit, "network": network, "kind": kind, "find": find or None, **_sides(box)}
    with storage_errors():
        return [_asset(row) for row in connection.execute(_SQL["assets"], values)]


def asset(connection: Connection, external_id: str) -> AssetLine:
    """One asset. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["asset"], {"external_id": external_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no asset {external_id!r}")
    return _asset(row)


def devices(
    connection: Connection, *, after: int = 0, limit: int = 100, network: str | None = None
) -> list[DeviceLine]:
    """Devices behind the id ``after``."""
    values = {"after": after, "limit": limit, "network": network}
    with storage_errors():
        return [DeviceLine(*row) for row in connection.execute(_SQL["devices"], values)]


def sensors(
    connection: Connection,
    *,
    after: int = 0,
    limit: int = 100,
    network: str | None = None,
    quantity: str | None = None,
    device: str | None = None,
    asset: str | None = None,
    box: Box | None = None,
    sensor_id: int | None = None,
) -> list[SensorLine]:
    """Sensors behind the id ``after``; with ``box`` those that stand in it."""
    values = {
        "after": after,
        "limit": limit,
        "network": network,
        "quantity": quantity,
        "device": device,
        "asset": asset,
        "sensor_id": sensor_id,
        **_sides(box),
    }
    with storage_errors():
        return [SensorLine(*row) for row in connection.execute(_SQL["sensors"], values)]


def sensor(connection: Connection, sensor_id: int) -> SensorLine:
    """One sensor. Raises NotFoundError."""
    found = sensors(connection, sensor_id=sensor_id, limit=1)
    if not found:
        raise NotFoundError(f"there is no sensor {sensor_id}")
    return found[0]


def alerts(
    connection: Connection, wanted: AlertFilter, *, worst_first: bool, after: Behind | None, limit: int
) -> list[AlertLine]:
    """Alerts that meet the filter, open or closed, behind ``after``."""
    values: dict[str, Any] = {
        "open": wanted.open,
        "states": list(wanted.states) or None,
        "levels": [int(level) for level in wanted.levels] or None,
        "network": wanted.network,
        "kind": wanted.kind,
        "asset": wanted.asset,
        "sensor_id": wanted.sensor_id,
        "after_level": after.level if after else None,
        "after_at": after.raised_at if after else None,
        "after_id": after.alert_id if after else None,
        "limit": limit,
    }
    statement = _SQL["alerts_worst" if worst_first else "alerts_newest"]
    with storage_errors():
        return [_alert(row) for row in connection.execute(statement, values)]


def alert(connection: Connection, alert_id: int) -> AlertLine:
    """One alert. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["alert"], {"alert_id": alert_id}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no alert {alert_id}")
    return _alert(row)


def counts(connection: Connection) -> Counts:
    """How much there is of everything."""
    with storage_errors():
        row = connection.execute(_SQL["counts"]).fetchone()
    return Counts(*(row or ()))


def _asset(row: Sequence[Any]) -> AssetLine:
    asset_id, external_id, network, kind, *rest = row
    return AssetLine(asset_id, external_id, network, AssetKind(kind), *rest)


def _alert(row: Sequence[Any]) -> AlertLine:
    alert_id, subject_kind, subject_id, rule, rule_version, kind, network, level, state, *rest = row
    return AlertLine(
        alert_id,
        SubjectKind(subject_kind),
        subject_id,
        rule,
        rule_version,
        AlertKind(kind),
        network,
        Level(level),
        AlertState(state),
        *rest,
    )


def _sides(box: Box | None) -> dict[str, Any]:
    return dict(zip(Box._fields, box or (None, None, None, None), strict=True))
