"""Routes of suggested zones: have some found, look at them, accept, edit or reject each."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from api.access import Access
from api.city import city
from api.parameters import Name, StrictRoute
from api.problems import ProblemError
from lifeline.geo import GeometryError
from lifeline.model import JsonObject, Role, ZoneKind, ZoneStatus
from lifeline.principal import Principal
from lifeline.storage import suggestions
from lifeline.storage.database import borrow
from lifeline.storage.zones import ZoneLine

router = APIRouter(prefix="/api/v1/zones/suggestions", route_class=StrictRoute, tags=["zones"])
_engineer = Access(Role.ENGINEER)


class Wanted(BaseModel):
    """What to look for. ``least``: lowest score of a hot cell; default: where orange begins."""

    model_config = ConfigDict(extra="forbid")
    kind: ZoneKind | None = None
    least: Annotated[float, Field(ge=0, le=100)] | None = None


class Found(BaseModel):
    """How many zones of a kind were found, wait for a decision, and are not suggested any more."""

    kind: ZoneKind
    found: int
    waiting: int
    withdrawn: int


class Edit(BaseModel):
    """What is changed in accepting; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=200)] | None = None
    geometry: JsonObject | None = None


class Suggestion(BaseModel):
    """A zone that was suggested; ``attributes`` say why."""

    id: str
    kind: ZoneKind
    network: str | None
    name: str
    status: ZoneStatus
    geometry: JsonObject
    attributes: JsonObject
    assets: int
    sensors: int
    length_m: float
    updated_at: datetime


class Suggestions(BaseModel):
    items: list[Suggestion]


@router.get("", dependencies=[Depends(Access(Role.VIEWER))])
def get_suggestions(request: Request) -> Suggestions:
    """Suggestions that wait for a decision."""
    with borrow(city(request).pool) as connection:
        return Suggestions(items=[_told(each) for each in suggestions.waiting(connection)])


@router.post("", dependencies=[Depends(_engineer)])
def make_suggestions(request: Request, wanted: Wanted) -> list[Found]:
    """Find risk-control and resilience-protection zones by standing risk. What people decided stays as it is."""
    here = city(request)
    if wanted.kind is not None and wanted.kind not in suggestions.KINDS:
        raise ProblemError(400, f"kind must be one of {', '.join(suggestions.KINDS)}")
    least = here.settings.risk_cuts[1] if wanted.least is None else wanted.least
    with borrow(here.pool) as connection:
        kinds = [wanted.kind] if wanted.kind else suggestions.KINDS
        told = [suggestions.suggest(connection, kind, least, here.clock()) for kind in kinds]
    return [Found(kind=each.kind, found=each.found, waiting=each.waiting, withdrawn=each.withdrawn) for each in told]


@router.post("/{id}/accept")
def accept(
    request: Request,
    id: Name,  # noqa: A002
    edit: Edit | None = None,
    key: Principal = Depends(_engineer),  # noqa: B008
) -> Suggestion:
    """Make it a zone, edited or as it is; 409 where somebody has decided already."""
    return _decide(request, id, ZoneStatus.ACTIVE, key, edit or Edit())


@router.post("/{id}/reject")
def reject(request: Request, id: Name, key: Principal = Depends(_engineer)) -> Suggestion:  # noqa: A002, B008
    """Never suggest it again; 409 where somebody has decided already."""
    return _decide(request, id, ZoneStatus.REJECTED, key, Edit())


def _decide(request: Request, name: str, status: ZoneStatus, key: Principal, edit: Edit) -> Suggestion:
    here = city(request)
    try:
        with borrow(here.pool) as connection:
            line = suggestions.decide(
                connection, name, status, key.name, here.clock(), title=edit.name, geometry=edit.geometry
            )
    except GeometryError as error:
        raise ProblemError(400, f"geometry: {error}") from error
    return _told(line)


def _told(line: ZoneLine) -> Suggestion:
    return Suggestion(
        id=line.external_id,
        kind=line.kind,
        network=line.network,
        name=line.name,
        status=line.status,
        geometry=line.geometry,
        attributes=line.attributes,
        assets=line.assets,
        sensors=line.sensors,
        length_m=line.length_m,
        updated_at=line.updated_at,
    )
