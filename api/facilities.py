"""Routes of critical facilities: read by everybody. Engineers change them by `api.editing`."""

from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.exchange import Crs, Format, exported
from api.parameters import After, Bbox, Limit, Name, StrictRoute, box_of, decode_cursor, encode_cursor
from lifeline.errors import NotFoundError
from lifeline.model import FacilityKind, JsonObject, Role
from lifeline.storage import facilities
from lifeline.storage.database import borrow
from lifeline.storage.facilities import FacilityLine

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["inventory"], dependencies=[Depends(Access(Role.VIEWER))]
)


class FacilityOut(BaseModel):
    """A place that a failure nearby would hit hard; ``assets`` is how many assets are within 150 m of it."""

    id: str
    kind: FacilityKind
    name: str
    geometry: JsonObject
    attributes: JsonObject
    updated_at: datetime
    assets: int


class FacilityPage(BaseModel):
    items: list[FacilityOut]
    next: str | None


class NearOut(BaseModel):
    """A critical facility near an asset."""

    id: str
    kind: FacilityKind
    name: str
    distance_m: float


class NearList(BaseModel):
    """``counts``: how many there are of each kind."""

    items: list[NearOut]
    counts: dict[FacilityKind, int]


@router.get("/facilities")
def list_facilities(
    request: Request, bbox: Bbox = None, kind: FacilityKind | None = None, limit: Limit = 100, after: After = None
) -> FacilityPage:
    """Critical facilities in order of their entry, page by page."""
    (behind,) = decode_cursor(after, int) or (0,)
    with borrow(city(request).pool) as connection:
        found = facilities.facilities(connection, after=behind, limit=limit + 1, kind=kind, box=box_of(bbox))
    more = encode_cursor(found[limit - 1].facility_id) if len(found) > limit else None
    return FacilityPage(items=[_out(each) for each in found[:limit]], next=more)


@router.get("/exports/facilities", response_class=FileResponse)
def export_facilities(
    request: Request, format: Format = "geojson", crs: Crs = "WGS84", bbox: Bbox = None  # noqa: A002
) -> FileResponse:  # fmt: skip
    """Every critical facility as a file that an import takes."""
    return exported(request, "facilities", format, crs, None, bbox)


@router.get("/facilities/{id}")
def get_facility(request: Request, id: Name) -> FacilityOut:  # noqa: A002
    """One critical facility."""
    with borrow(city(request).pool) as connection:
        found = facilities.facilities(connection, external_id=id, limit=1)
    if not found:
        raise NotFoundError(f"there is no facility {id!r}")
    return _out(found[0])


@router.get("/assets/{id}/facilities")
def list_near(request: Request, id: Name) -> NearList:  # noqa: A002
    """The critical facilities within 150 m of an asset, the nearest first: part `nearby` of its risk."""
    with borrow(city(request).pool) as connection:
        found = facilities.near(connection, id)
    kinds = [each.kind for each in found]
    items = [NearOut(id=each.facility, kind=each.kind, name=each.name, distance_m=each.distance_m) for each in found]
    return NearList(items=items, counts={kind: kinds.count(kind) for kind in dict.fromkeys(kinds)})


def _out(line: FacilityLine) -> FacilityOut:
    return FacilityOut(
        id=line.external_id,
        kind=line.kind,
        name=line.name,
        geometry={"type": "Point", "coordinates": [line.longitude, line.latitude]},
        attributes=line.attributes,
        updated_at=line.updated_at,
        assets=line.assets,
    )
