"""The route that says what a renewal has changed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.access import Access
from api.city import city
from api.parameters import StrictRoute
from api.problems import ProblemError
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject, Role
from lifeline.planning.effect import DEEP_M, MAIN_ROADS, Area, compare, parse_span
from lifeline.storage.database import borrow

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["planning"])
Span = Annotated[str, Query(max_length=32, examples=["2021", "2021-03-01..2021-09-30"])]


@router.get("/effect", dependencies=[Depends(Access(Role.VIEWER))])
def effect(
    request: Request,
    before: Span,
    after: Span,
    zone: Annotated[str | None, Query(max_length=64, description="Only in this zone")] = None,
    main_roads: Annotated[bool, Query(description="Ponding on trunk and main roads alone")] = False,
    deep_m: Annotated[float, Query(gt=0, le=10, description="Water of this depth is ponding")] = DEEP_M,
) -> JsonObject:
    """Alerts, bursts, ponding (for the same rain) and night flow of an area before and after, in figures and words."""
    place = city(request)
    try:
        spans = [parse_span(each, place.settings.local_time) for each in (before, after)]
    except ConfigurationError as error:
        raise ProblemError(400, str(error)) from error
    area = Area(zone, MAIN_ROADS if main_roads else (), deep_m)
    with borrow(place.pool) as connection:
        return compare(connection, area, spans[0], spans[1], before, place.settings.timezone)
