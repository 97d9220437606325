"""Critical facilities: stored as sets, idempotent by external id, with what lies near them in the same transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from psycopg.types.json import Jsonb

from lifeline.errors import NotFoundError
from lifeline.geo import Box
from lifeline.model import Facility, FacilityKind, JsonObject
from lifeline.storage import nearness, standing
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.inventory import Stored
from lifeline.storage.queries import load

_SQL = load("facilities")


class FacilityLine(NamedTuple):
    """A facility, and how many assets are within `consequence.NEAR_M` of it."""

    facility_id: int
    external_id: str
    kind: FacilityKind
    name: str
    longitude: float
    latitude: float
    attributes: JsonObject
    updated_at: datetime
    assets: int


class Near(NamedTuple):
    """A facility near an asset; the distance is from the nearest point of the asset."""

    facility: str
    kind: FacilityKind
    name: str
    distance_m: float


def store_facilities(connection: Connection, facilities: Sequence[Facility], now: datetime) -> Stored:
    """Insert or update facilities with what is near them and the risk of that, in the caller's transaction."""
    connection.execute(_SQL["stage_facilities"])
    with connection.cursor().copy(_SQL["copy_facilities"]) as copy:
        for position, each in enumerate(facilities):
            attributes = Jsonb(each.attributes, dumps=orjson.dumps)
            copy.write_row(
                (position, each.external_id, str(each.kind), each.name, each.longitude, each.latitude, attributes)
            )
    touched = connection.execute(_SQL["store_facilities"], {"now": now}).fetchall()
    connection.execute(_SQL["unstage_facilities"])
    if touched:
        _rescore(connection, nearness.place(connection, facilities=[number for number, _ in touched]), now)
    new = sum(is_new for _, is_new in touched)
    return Stored(new, len(touched) - new, len(facilities) - len(touched))


def remove(connection: Connection, name: str, now: datetime) -> None:
    """Take a facility away, and score anew what was near it. Raises NotFoundError."""
    row = connection.execute(_SQL["number"], {"name": name}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no facility {name!r}")
    was_near = connection.execute(_SQL["forget_near"], {"facilities": [row[0]], "assets": []}).fetchall()
    connection.execute(_SQL["remove_facility"], {"id": row[0]})
    _rescore(connection, {asset for (asset,) in was_near}, now)


def _rescore(connection: Connection, assets: set[int], now: datetime) -> None:
    if assets:
        standing.recompute(connection, now, only=sorted(assets))
    connection.execute(_SQL["announce"])


def facilities(
    connection: Connection,
    *,
    after: int = 0,
    limit: int = 100_000,
    kind: FacilityKind | None = None,
    box: Box | None = None,
    external_id: str | None = None,
) -> list[FacilityLine]:
    """Facilities behind the id ``after``; ``box``: those in it."""
    values: dict[str, Any] = {"after": after, "limit": limit, "kind": kind, "external_id": external_id}
    values |= dict(zip(Box._fields, box or (None,) * 4, strict=True))
    with storage_errors():
        rows = connection.execute(_SQL["facilities"], values).fetchall()
    return [FacilityLine._make((*row[:2], FacilityKind(row[2]), *row[3:])) for row in rows]


def near(connection: Connection, asset: str) -> list[Near]:
    """The facilities within `consequence.NEAR_M` of an asset, the nearest first."""
    with storage_errors():
        rows = connection.execute(_SQL["near_asset"], {"asset": asset}).fetchall()
    return [Near(row[0], FacilityKind(row[1]), row[2], round(row[3], 1)) for row in rows]
