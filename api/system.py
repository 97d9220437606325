"""Routes about the system itself: catalogue, processes and counts, health, metrics, the API's own description."""

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.contract import complete
from api.parameters import StrictRoute
from lifeline.model import JsonObject, Level, Role
from lifeline.storage import directory, health
from lifeline.storage.database import borrow

router = APIRouter(route_class=StrictRoute, tags=["system"])
_viewer = Depends(Access(Role.VIEWER))

LEVEL_NAMES = {
    Level.RED: ("I", "特别重大", "Extreme"),
    Level.ORANGE: ("II", "重大", "Severe"),
    Level.YELLOW: ("III", "较大", "Moderate"),
    Level.BLUE: ("IV", "一般", "Minor"),
}
"""Numeral, Chinese name, and the English name that CAP 1.2 has for it."""


class NetworkOut(BaseModel):
    key: str
    zh: str
    en: str


class QuantityOut(BaseModel):
    """What a sensor measures; limits as in the catalogue."""

    key: str
    zh: str
    en: str
    unit: str
    networks: list[str]
    low: float
    high: float
    resolution: float
    max_silence_s: float
    max_rate: float


class LevelOut(BaseModel):
    key: str
    number: int
    numeral: str
    zh: str
    en: str


class BaseMapOut(BaseModel):
    tiles: str
    attribution: str


class CatalogueOut(BaseModel):
    """``timezone``: the city's local time, an IANA name. ``base_map``: null unless LIFELINE_BASE_MAP is set.
    ``status``: whether this is the city itself, an exercise, or a test."""

    title: str
    status: Literal["Actual", "Exercise", "Test"]
    timezone: str
    base_map: BaseMapOut | None
    networks: list[NetworkOut]
    quantities: list[QuantityOut]
    levels: list[LevelOut]


class ProcessOut(BaseModel):
    """The last sign of life of one process; one that is older than 30 seconds is not alive."""

    process: str
    instance: str
    at: datetime
    age_s: float
    alive: bool
    detail: JsonObject


class SystemOut(BaseModel):
    """How Lifeline itself is. ``lag_s``: since the last reading arrived; null where none ever did."""

    now: datetime
    edition: str
    lag_s: float | None
    processes: list[ProcessOut]
    counts: dict[str, int]
    books: dict[str, int]


class HealthOut(BaseModel):
    status: str


@router.head("/health", include_in_schema=False)
@router.get("/health", responses={503: {"description": "degraded", "model": HealthOut}})
async def get_health(request: Request, response: Response) -> HealthOut:
    """`ok` or `degraded`, nothing else: it is open to anybody. It asks memory, not the database."""
    healthy = city(request).map.healthy
    response.status_code = 200 if healthy else 503
    return HealthOut(status="ok" if healthy else "degraded")


@router.get(
    "/metrics", dependencies=[_viewer], response_class=Response, responses={200: {"content": {"text/plain": {}}}}
)
def get_metrics() -> Response:
    """Metrics of this process for Prometheus; it sends its key as a bearer token."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/v1/catalogue", dependencies=[_viewer])
def get_catalogue(request: Request) -> CatalogueOut:
    """Networks, quantities and levels with their Chinese and English names."""
    here = city(request)
    base = here.settings.base_map
    return CatalogueOut(
        title=here.settings.page_title,
        status=here.settings.message_status,
        timezone=here.settings.timezone,
        base_map=BaseMapOut(tiles=base, attribution=here.settings.base_map_attribution) if base else None,
        networks=[NetworkOut(key=each.key, zh=each.zh, en=each.en) for each in here.catalogue.networks.values()],
        quantities=[
            QuantityOut(
                key=each.key,
                zh=each.zh,
                en=each.en,
                unit=each.unit,
                networks=sorted(each.networks),
                low=each.low,
                high=each.high,
                resolution=each.resolution,
                max_silence_s=each.max_silence_s,
                max_rate=each.max_rate,
            )
            for each in here.catalogue.quantities.values()
        ],
        levels=[
            LevelOut(key=level.slug, number=level, numeral=numeral, zh=zh, en=en)
            for level, (numeral, zh, en) in LEVEL_NAMES.items()
        ],
    )


@router.get("/api/v1/system", dependencies=[_viewer])
def get_system(request: Request) -> SystemOut:
    """Processes and their signs of life, counts, the books of ingest, lag and TimescaleDB's edition."""
    here = city(request)
    with borrow(here.pool) as connection:
        beats = health.heartbeats(connection)
        counted = directory.counts(connection)
        told = health.accounts(connection)
        edition = health.edition(connection)
    now = here.clock()
    arrival = counted.newest_arrival
    return SystemOut(
        now=now,
        edition=edition,
        lag_s=(now - arrival).total_seconds() if arrival else None,
        processes=[
            ProcessOut(
                process=each.process,
                instance=each.instance,
                at=each.at,
                age_s=(now - each.at).total_seconds(),
                alive=(now - each.at).total_seconds() < 30,
                detail=each.detail,
            )
            for each in beats
        ],
        counts={
            "assets": counted.assets,
            "devices": counted.devices,
            "sensors": counted.sensors,
            "sensors_heard": counted.sensors_heard,
            "unknown_devices": counted.unknown_devices,
            "deliveries_pending": counted.deliveries_pending,
            "deliveries_failed": counted.deliveries_failed,
        },
        books={
            "received": told.received,
            "stored": told.stored,
            "duplicate": told.duplicate,
            "quarantined": told.quarantined,
        },
    )


@router.get("/api/v1/openapi.json", dependencies=[_viewer], include_in_schema=False)
def get_openapi(request: Request) -> dict[str, Any]:
    """This API as OpenAPI."""
    return complete(request.app.openapi())
