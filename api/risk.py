"""Routes of risk: the cells and segments of the map, one asset explained, the counts for the legend."""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.documents import GEOJSON, respond
from api.parameters import Bbox, Name, StrictRoute, box_of
from api.riskmap import explain, segments
from lifeline.model import JsonObject, Role
from lifeline.storage import health
from lifeline.storage.database import borrow

router = APIRouter(
    prefix="/api/v1/risk", route_class=StrictRoute, tags=["risk"], dependencies=[Depends(Access(Role.VIEWER))]
)
_GEOJSON_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {GEOJSON: {}}},
    304: {"description": "As the ETag says"},
}


class CellSize(IntEnum):
    """H3 resolutions of the map: 0.74, 0.105 and 0.015 km2 a cell."""

    LARGE = 8
    MIDDLE = 9
    SMALL = 10


class OpenAlerts(BaseModel):
    open: int
    unacknowledged: int


class Summary(BaseModel):
    """Counts by level. ``data_as_of``: the newest reading of any sensor; ``map_drawn_at``: its moment."""

    now: datetime
    data_as_of: datetime | None
    map_drawn_at: datetime
    cells: dict[str, dict[str, int]]
    segments: dict[str, int]
    alerts: dict[str, dict[str, OpenAlerts]]


class Part(BaseModel):
    """One factor, its value, and the points that the score gained by it."""

    part: str
    value: object = None
    points: float


class Explanation(BaseModel):
    """Risk of one asset: the points of its parts add up to ``score``. Null where standing risk was not computed yet."""

    id: str
    name: str
    network: str
    kind: str
    level: str
    score: float | None
    standing_score: float | None
    lof: float | None
    cof: float | None
    parts: list[Part]
    alerts: list[JsonObject]


@router.get("/cells", response_class=Response, responses=_GEOJSON_ANSWER)
async def get_cells(
    request: Request, resolution: Annotated[CellSize, Query(description="H3 resolution")] = CellSize.MIDDLE
) -> Response:
    """Every hexagon with its level, as GeoJSON with an ETag.

    A coroutine because the bytes are ready: nothing here waits, and a change of thread would cost more than the answer.
    """
    return respond(request, city(request).map.current.cells[resolution].document)


@router.get("/segments", response_class=Response, responses=_GEOJSON_ANSWER)
def get_segments(request: Request, bbox: Bbox = None, limit: Annotated[int, Query(ge=1, le=20_000)] = 5000) -> Response:
    """Pipes with their level and its parts, as GeoJSON with an ETag; where there are more than `limit`, the worst."""
    return respond(request, segments(city(request).map.current, box_of(bbox), limit))


@router.get("/assets/{id}")
def explain_asset(request: Request, id: Name) -> Explanation:  # noqa: A002
    """Why one asset has the level that it has on the map now."""
    return Explanation.model_validate(explain(city(request).map.current, id))


@router.get("/summary")
def summary(request: Request) -> Summary:
    """Counts by level of cells, segments and open alerts, for the legend."""
    here = city(request)
    drawn = here.map.current
    with borrow(here.pool) as connection:
        open_alerts = health.alert_counts(connection)
    alerts: dict[str, dict[str, OpenAlerts]] = {"risk": {}, "maintenance": {}}
    for each in open_alerts:
        alerts[each.kind][each.level.slug] = OpenAlerts(open=each.open, unacknowledged=each.unacknowledged)
    counts = drawn.counts()
    return Summary(
        now=here.clock(),
        data_as_of=datetime.fromtimestamp(drawn.data_as_of, UTC) if drawn.data_as_of is not None else None,
        map_drawn_at=drawn.built_at,
        cells={str(resolution): counts[f"cells_{resolution}"] for resolution in drawn.cells},
        segments=counts["segments"],
        alerts=alerts,
    )
