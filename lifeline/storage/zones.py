"""Zones: stored as sets, idempotent by external id, with what lies in them kept in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from lifeline import geo
from lifeline.errors import NotFoundError
from lifeline.geo import Box
from lifeline.model import JsonObject, Zone, ZoneKind, ZoneStatus
from lifeline.storage import membership
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.inventory import Stored
from lifeline.storage.queries import load

_SQL = load("zones")


@dataclass(frozen=True, slots=True)
class ZoneLine:
    """A zone and how much lies in it. ``length_m`` is of its pipes, each by its share; ``balance`` maps
    ``device/channel`` of its meters to 1 (into the zone) or -1 (out of it)."""

    zone_id: int
    external_id: str
    kind: ZoneKind
    network: str | None
    name: str
    geometry: JsonObject
    attributes: JsonObject
    source: str
    status: ZoneStatus
    updated_at: datetime
    assets: int
    sensors: int
    length_m: float
    balance: dict[str, int]


def store_zones(connection: Connection, zones: Sequence[Zone], now: datetime) -> Stored:
    """Insert or update zones with what lies in them, in the caller's transaction."""
    connection.execute(_SQL["stage_zones"])
    with connection.cursor().copy(_SQL["copy_zones"]) as copy:
        for position, zone in enumerate(zones):
            copy.write_row(_row(position, zone))
    touched = connection.execute(_SQL["store_zones"], {"now": now}).fetchall()
    connection.execute(_SQL["unstage_zones"])
    if touched:
        membership.place(connection, zones=[zone_id for zone_id, _ in touched])
        connection.execute(_SQL["announce"])
    new = sum(is_new for _, is_new in touched)
    return Stored(new, len(touched) - new, len(zones) - len(touched))


def _row(position: int, zone: Zone) -> tuple[object, ...]:
    return (
        position, zone.external_id, str(zone.kind), zone.network, zone.name, Jsonb(zone.geometry),
        *geo.area_bbox(zone.geometry), Jsonb(zone.attributes), zone.source, str(zone.status),
    )  # fmt: skip


def zones(
    connection: Connection,
    *,
    after: int = 0,
    limit: int = 100_000,
    kind: ZoneKind | None = None,
    network: str | None = None,
    status: ZoneStatus | None = None,
    box: Box | None = None,
    external_id: str | None = None,
) -> list[ZoneLine]:
    """Zones behind the id ``after``; ``network`` also gives those of every network; ``box``: whose box touches it."""
    values: dict[str, Any] = {"after": after, "limit": limit, "kind": kind, "network": network, "status": status}
    values |= {"external_id": external_id, **dict(zip(Box._fields, box or (None,) * 4, strict=True))}
    with storage_errors():
        return [_zone(row) for row in connection.execute(_SQL["zones"], values)]


def zone(connection: Connection, external_id: str) -> ZoneLine:
    """One zone. Raises NotFoundError."""
    found = zones(connection, external_id=external_id, limit=1)
    if not found:
        raise NotFoundError(f"there is no zone {external_id!r}")
    return found[0]


def assets_of(connection: Connection, zone: str) -> dict[str, float]:
    """External ids of the assets in a zone, with the share of each that lies in it."""
    with storage_errors():
        return dict(connection.execute(_SQL["assets_of_zone"], {"zone": zone}).fetchall())


def zones_of(connection: Connection, asset: str) -> dict[str, float]:
    """External ids of the zones that an asset lies in, with its share in each."""
    with storage_errors():
        return dict(connection.execute(_SQL["zones_of_asset"], {"asset": asset}).fetchall())


def _zone(row: Sequence[Any]) -> ZoneLine:
    zone_id, external_id, kind, network, name, geometry, attributes, source, status, *rest = row
    kind, status = ZoneKind(kind), ZoneStatus(status)
    return ZoneLine(zone_id, external_id, kind, network, name, geometry, attributes, source, status, *rest)
