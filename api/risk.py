"""Routes of risk: the cells and segments of the map, one asset explained, the counts for the legend."""

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, TypeGuard

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from api import past, ranking, screens
from api.access import Access
from api.city import city
from api.documents import GEOJSON, Document, respond
from api.explanation import explain, explain_cell, told_chains
from api.listings import CSV, features_as_csv
from api.parameters import Bbox, Moment, Name, Network, StrictRoute, box_of
from api.past import Own
from api.problems import ProblemError
from api.riskmap import RiskMap
from api.scopemaps import ScopeMap
from lifeline.geo import Box
from lifeline.model import JsonObject, Role, ZoneKind
from lifeline.storage import health
from lifeline.storage.database import borrow

router = APIRouter(
    prefix="/api/v1/risk", route_class=StrictRoute, tags=["risk"], dependencies=[Depends(Access(Role.VIEWER))]
)
_GEOJSON_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {GEOJSON: {}, CSV: {}}},
    304: {"description": "As the ETag says"},
}


class MapForm(StrEnum):
    """What the map comes as: for a map, or its properties for a spreadsheet."""

    GEOJSON = "geojson"
    CSV = "csv"


MapFormChoice = Annotated[MapForm, Query(alias="format")]
At = Annotated[Moment | None, Query(description="A past moment, with a time zone; default: now")]


class CellSize(IntEnum):
    """H3 resolutions of the map: 0.74, 0.105 and 0.015 km2 a cell."""

    LARGE = 8
    MIDDLE = 9
    SMALL = 10


class OpenAlerts(BaseModel):
    open: int
    unacknowledged: int


class Summary(BaseModel):
    """Counts by level. ``data_as_of``: the newest reading of any sensor; ``evaluated_at``: when detection last
    looked, null where it does not run; ``evaluated_every_s``: its tick; ``map_drawn_at``: the moment of the map.

    ``extent``: west, south, east, north of the pipes, of all assets where there is no pipe; null for an empty city.
    """

    now: datetime
    data_as_of: datetime | None
    evaluated_at: datetime | None
    evaluated_every_s: float | None
    map_drawn_at: datetime
    cells: dict[str, dict[str, int]]
    segments: dict[str, int]
    alerts: dict[str, dict[str, OpenAlerts]]
    extent: tuple[float, float, float, float] | None


class Part(BaseModel):
    """One factor, its value, and the points that the score gained by it."""

    part: str
    value: object = None
    points: float


class Alert(BaseModel):
    """An alert that bears upon an asset. ``faded``: the share of its strength that it has lost since it returned."""

    alert: int
    rule: str
    level: str
    weight: float
    open: bool
    faded: float


class Bilingual(BaseModel):
    en: str
    zh: str


class Link(BaseModel):
    """A step to an asset of another network; ``likelihood`` that the hazard gets there."""

    coupling: str
    title: Bilingual
    asset: str
    hazard: str
    distance_m: float
    likelihood: float


class Effect(BaseModel):
    """What a chain ends in; ``likelihood`` once the hazard before it is there."""

    id: str
    title: Bilingual
    likelihood: float


class Chain(BaseModel):
    """From alerts at one asset to an effect. ``product`` of its likelihoods; ``risk``: that times impact (1 to 5)."""

    source: str
    alerts: list[int]
    hazard: str
    likelihood: float
    links: list[Link]
    effect: Effect
    product: float
    impact: float
    risk: float


class Chains(BaseModel):
    """The chains of greatest risk; ``risk`` is the sum over all ``count`` of them."""

    count: int
    risk: float
    items: list[Chain]


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
    likelihood: float
    coverage: str
    parts: list[Part]
    alerts: list[Alert]
    chains: list[Chain]


class CellExplanation(BaseModel):
    """One hexagon: what the map says of it, its worst assets, and the chains that go through it."""

    cell: str
    resolution: int
    level: str
    score: float
    mean: float
    coverage: str
    reasons: list[JsonObject]
    assets: int
    length_m: int
    sensors: int
    sensors_silent: int
    alerts: dict[str, int]
    worst: list[JsonObject]
    chains: list[Chain]


@router.get("/cells", response_class=Response, responses=_GEOJSON_ANSWER)
async def get_cells(
    request: Request,
    resolution: Annotated[CellSize, Query(description="H3 resolution")] = CellSize.MIDDLE,
    bbox: Bbox = None,
    at: At = None,
    form: MapFormChoice = MapForm.GEOJSON,
) -> Response:
    """Hexagons with their level, as GeoJSON with an ETag; `bbox`: those of a screen; `at`: as served at that moment.

    A coroutine because the bytes are often ready: a change of thread would then cost more than the answer.
    """
    here, box = city(request), box_of(bbox)
    drawn = await run_in_threadpool(lambda: here.map.current) if isinstance(here.map, ScopeMap) else here.map.current
    if _is_past(at, request, drawn):
        return await run_in_threadpool(_past_cells, request, at, resolution, box, form)
    ready = drawn.cells[resolution].screens.get(box)
    if ready is None:
        ready = await run_in_threadpool(screens.cells, drawn, resolution, box)
    if form is MapForm.CSV:
        return await run_in_threadpool(features_as_csv, request, ready.body, "cells")
    return respond(request, ready)


@router.get("/cells/{cell}")
def explain_one_cell(
    request: Request, cell: Annotated[str, Path(max_length=16, examples=["8931aa4e27bffff"])]
) -> CellExplanation:
    """Why one hexagon has the level that it has on the map now."""
    return CellExplanation.model_validate(explain_cell(city(request).map.current, cell))


@router.get("/segments", response_class=Response, responses=_GEOJSON_ANSWER)
def get_segments(
    request: Request,
    bbox: Bbox = None,
    limit: Annotated[int, Query(ge=1, le=20_000)] = 5000,
    at: At = None,
    parts: Annotated[bool, Query(description="False: without the parts of each score, a third as long")] = True,
    form: MapFormChoice = MapForm.GEOJSON,
) -> Response:
    """Pipes with their level and its parts, as GeoJSON with an ETag; where there are more than `limit`, the worst;
    `at`: as served at that moment, always with its parts."""
    drawn, box, here = city(request).map.current, box_of(bbox), city(request)
    if not _is_past(at, request, drawn):
        return _formed(request, screens.segments(drawn, box, limit, parts=parts), form, "segments")
    with borrow(here.pool) as connection:
        found = past.moment(connection, at)
        made = here.archive.segments(connection, found, box, limit, own(request))
    return _formed(request, made, form, "segments", found.at)


def _is_past(at: datetime | None, request: Request, drawn: RiskMap) -> TypeGuard[datetime]:
    """Whether a moment was before the map that is served now. Raises ProblemError 400 for one in the future."""
    if at is not None and at > city(request).clock():
        raise ProblemError(400, "`at` is in the future: there is no map of it yet")
    return at is not None and (drawn.served_from is None or at < drawn.served_from)


def own(request: Request, resolution: int = CellSize.MIDDLE) -> Own | None:
    """What of recorded maps, which are of the whole city, who asks may be told; None: all of it."""
    drawn = city(request).map
    return drawn.own(resolution) if isinstance(drawn, ScopeMap) else None


def _past_cells(request: Request, at: datetime, resolution: int, box: Box | None, form: MapForm) -> Response:
    here = city(request)
    with borrow(here.pool) as connection:
        found = past.moment(connection, at)
        made = here.archive.cells(connection, found, resolution, box, own(request, resolution))
    return _formed(request, made, form, "cells", found.at)


def _formed(
    request: Request, made: Document, form: MapForm, name: str, drawn_at: datetime | None = None
) -> Response:  # fmt: skip
    headers = {"Map-Drawn-At": drawn_at.isoformat()} if drawn_at else {}
    return (
        features_as_csv(request, made.body, name, headers) if form is MapForm.CSV else respond(request, made, headers)
    )


@router.get("/zones", response_class=Response, responses=_GEOJSON_ANSWER)
def get_zones(
    request: Request,
    kind: ZoneKind | None = None,
    network: Network = None,
    order: ranking.Order = "expected",
    form: MapFormChoice = MapForm.GEOJSON,
) -> Response:
    """Planning zones with their risk, worst first, as GeoJSON with an ETag."""
    return _formed(request, ranking.zones(city(request).map.current, kind, network, order), form, "zones")


@router.get("/chains")
def get_chains(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Chains:
    """What may follow from what is happening, from one network to another: the greatest risk first."""
    drawn = city(request).map.current
    told = [Chain.model_validate(each) for each in told_chains(drawn, drawn.chains, limit)]
    return Chains(count=len(drawn.chains), risk=sum(each.risk for each in drawn.chains), items=told)


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
        evaluated_at, evaluated_every_s = health.evaluation(connection)
    alerts: dict[str, dict[str, OpenAlerts]] = {"risk": {}, "maintenance": {}}
    for each in open_alerts:
        alerts[each.kind][each.level.slug] = OpenAlerts(open=each.open, unacknowledged=each.unacknowledged)
    counts = drawn.counts()
    return Summary(
        now=here.clock(),
        data_as_of=datetime.fromtimestamp(drawn.data_as_of, UTC) if drawn.data_as_of is not None else None,
        evaluated_at=evaluated_at,
        evaluated_every_s=evaluated_every_s,
        map_drawn_at=drawn.built_at,
        cells={str(resolution): counts[f"cells_{resolution}"] for resolution in drawn.cells},
        segments=counts["segments"],
        alerts=alerts,
        extent=drawn.ground.extent,
    )
