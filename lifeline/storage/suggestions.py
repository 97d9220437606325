"""Suggested zones in the database: made anew without touching what people decided; accepted, edited or rejected."""

from dataclasses import dataclass, replace
from datetime import datetime

from psycopg.types.json import Jsonb

from lifeline import geo
from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import JsonObject, Zone, ZoneKind, ZoneStatus
from lifeline.risk import clusters
from lifeline.risk.clusters import HotCell, Node
from lifeline.storage import zones as zone_storage
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load
from lifeline.storage.zones import ZoneLine

_SQL = load("suggestions")
RESOLUTION = geo.RESOLUTIONS[-1]
KINDS = (ZoneKind.RISK_CONTROL, ZoneKind.RESILIENCE)
_SOURCE = {ZoneKind.RISK_CONTROL: clusters.CONTROL, ZoneKind.RESILIENCE: clusters.RESILIENCE}


@dataclass(frozen=True, slots=True)
class Suggested:
    """How many zones of a kind were found, how many of them wait for a decision, and how many are not suggested any
    more."""

    kind: ZoneKind
    found: int
    waiting: int
    withdrawn: int


def find(connection: Connection, kind: ZoneKind, least: float, network: str | None = None) -> list[Zone]:
    """Zones of a kind by standing risk; ``least``: lowest score of a hot cell."""
    with storage_errors():
        if kind is ZoneKind.RISK_CONTROL:
            values = {"resolution": RESOLUTION, "network": network}
            cells = [HotCell(*row) for row in connection.execute(_SQL["hot_cells"], values)]
            return clusters.risk_control(cells, least)
        rows = connection.execute(_SQL["nodes"], {"network": network})
        return clusters.resilience([Node(*row)._replace(ends=tuple(row[7])) for row in rows])


def suggest(connection: Connection, kind: ZoneKind, least: float, now: datetime) -> Suggested:
    """Find zones of a kind and store those that nobody has decided about, in the caller's transaction; suggestions
    that are not found any more are withdrawn. The same city gives the same suggestions."""
    found = find(connection, kind, least)
    names = [each.external_id for each in found]
    with storage_errors():
        decided = {name for (name,) in connection.execute(_SQL["decided"], {"names": names})}
        waiting = [each for each in found if each.external_id not in decided]
        kept = [each.external_id for each in waiting]
        gone = connection.execute(_SQL["withdraw"], {"source": _SOURCE[kind], "names": kept}).rowcount
        zone_storage.store_zones(connection, waiting, now)
    return Suggested(kind, len(found), len(waiting), gone)


def waiting(connection: Connection) -> list[ZoneLine]:
    """Suggestions that nobody has decided about."""
    return zone_storage.zones(connection, status=ZoneStatus.SUGGESTED)


def decide(
    connection: Connection,
    name: str,
    status: ZoneStatus,
    actor: str,
    now: datetime,
    *,
    title: str | None = None,
    geometry: JsonObject | None = None,
) -> ZoneLine:
    """Accept (active) or reject a suggestion, in the caller's transaction; ``title`` and ``geometry`` edit it.

    Raises NotFoundError, ConflictError where it waits no more, GeometryError for a polygon that is none.
    """
    with storage_errors():
        row = connection.execute(_SQL["lock"], {"name": name}).fetchone()
        if row is None:
            raise NotFoundError(f"there is no zone {name!r}")
        if row[0] != ZoneStatus.SUGGESTED:
            raise ConflictError(f"zone {name!r} is {row[0]}: it waits for no decision")
        line = zone_storage.zone(connection, name)
        zone = Zone(name, line.kind, line.geometry, line.network, line.name, line.attributes, line.source, status)
        if title is not None:
            zone = replace(zone, name=title)
        if geometry is not None:
            zone = replace(zone, geometry=geo.area(geometry))
        zone_storage.store_zones(connection, [zone], now)
        edited = [word for word, given in (("name", title), ("geometry", geometry)) if given is not None]
        detail = Jsonb({"status": [ZoneStatus.SUGGESTED, status], "edited": edited})
        connection.execute(_SQL["note"], {"now": now, "actor": actor, "name": name, "detail": detail})
        return zone_storage.zone(connection, name)
