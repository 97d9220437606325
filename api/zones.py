"""Routes of zones: read by everybody, drawn and judged by engineers."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.editing import FeatureIn
from api.listings import LISTED, Form, FormChoice, listed
from api.parameters import After, Bbox, Limit, Name, Network, StrictRoute, box_of, decode_cursor, encode_cursor
from api.problems import ProblemError
from lifeline.model import JsonObject, Role, ZoneKind, ZoneStatus
from lifeline.principal import Principal
from lifeline.storage import zones
from lifeline.storage.database import borrow
from lifeline.storage.editing import Editor
from lifeline.storage.zones import ZoneLine

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["zones"], dependencies=[Depends(Access(Role.VIEWER))]
)


class ZoneOut(BaseModel):
    """A polygon by which people plan, and how much lies in it; ``length_m`` is of its pipes, each by its share."""

    id: str
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


class ZonePage(BaseModel):
    items: list[ZoneOut]
    next: str | None


@router.get("/zones", response_model=ZonePage, responses=LISTED)
def list_zones(
    request: Request,
    bbox: Bbox = None,
    network: Network = None,
    kind: ZoneKind | None = None,
    status: ZoneStatus | None = None,
    limit: Limit = 100,
    after: After = None,
    form: FormChoice = Form.JSON,
) -> ZonePage | Response:
    """Zones in order of their entry, page by page; `network` also gives those of every network."""
    (behind,) = decode_cursor(after, int) or (0,)
    wanted: dict[str, Any] = {"network": network, "kind": kind, "status": status, "box": box_of(bbox)}
    with borrow(city(request).pool) as connection:
        found = zones.zones(connection, after=behind, limit=limit + 1, **wanted)
    more = encode_cursor(found[limit - 1].zone_id) if len(found) > limit else None
    page = ZonePage(items=[_zone(each) for each in found[:limit]], next=more)
    return listed(request, form, page, "zones", ZoneOut)


@router.get("/zones/{id}")
def get_zone(request: Request, id: Name) -> ZoneOut:  # noqa: A002
    """One zone."""
    with borrow(city(request).pool) as connection:
        return _zone(zones.zone(connection, id))


@router.post("/zones")
def store_zone(request: Request, zone: FeatureIn, key: Principal = Depends(Access(Role.ENGINEER))) -> ZoneOut:  # noqa: B008
    """Draw a zone, or change the one of this id: its outline, its name, or whether it is accepted."""
    here = city(request)
    name = zone.properties.get("id")
    if not isinstance(name, str):
        raise ProblemError(400, "id is missing")
    with borrow(here.pool) as connection:
        editor = Editor(connection, here.catalogue, key.name, here.clock())
        editor.put("zones", name, zone.properties, zone.geometry)
        return _zone(zones.zone(connection, name))


def _zone(line: ZoneLine) -> ZoneOut:
    return ZoneOut(
        id=line.external_id,
        kind=line.kind,
        network=line.network,
        name=line.name,
        geometry=line.geometry,
        attributes=line.attributes,
        source=line.source,
        status=line.status,
        updated_at=line.updated_at,
        assets=line.assets,
        sensors=line.sensors,
        length_m=line.length_m,
        balance=line.balance,
    )
