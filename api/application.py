"""Puts the API together: routes, errors, headers, and what lives as long as the process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from fastapi import FastAPI
from starlette.types import ASGIApp

from api import (
    account,
    accounts,
    administration,
    alerts,
    audit,
    bulletins,
    caseload,
    downloads,
    drills,
    editing,
    effect,
    endpoints,
    exchange,
    facilities,
    features,
    fieldlinks,
    handling,
    handovers,
    history,
    incidents,
    inventory,
    live,
    maintenance,
    performance,
    photos,
    planning,
    plans,
    problems,
    reports,
    risk,
    rules,
    sensorthings,
    session,
    signon,
    standing,
    suggestions,
    system,
    usual,
    whatif,
    zones,
)
from api.access import Gate
from api.city import City
from api.heartbeat import Heartbeat
from api.keeper import MapKeeper
from api.live import Broadcaster
from api.oidc import issuer_of
from api.page import page_router, read_page
from api.past import Archive
from api.recorder import Recorder
from api.relyingparty import party_of
from api.scopemaps import ScopeMaps
from api.shield import LARGEST_BODY, Shield
from lifeline.catalogue import load_catalogue
from lifeline.risk.scheme import load_scheme
from lifeline.settings import Settings
from lifeline.storage.database import open_pool
from lifeline.storage.sessions import Lives

ROUTES = (
    handling, maintenance, rules, performance, endpoints, plans, drills, whatif, effect, standing, suggestions,
    exchange, facilities, zones, inventory, editing, usual, downloads, bulletins, reports, alerts, incidents,
    caseload, handovers, photos, risk, history, planning, live, system, administration, session, signon, account,
    accounts, audit, fieldlinks, features, sensorthings,
)  # fmt: skip
"""In the order in which a path is looked for."""
POOL_SIZE = 8
POOL_TIMEOUT_S = 3.0
"""With the database away a request is refused after so long."""


def create_app(settings: Settings, clock: Callable[[], datetime]) -> tuple[ASGIApp, FastAPI]:
    """The application as it is served, and the FastAPI in it. Raises ConfigurationError and CatalogueError."""
    dsn = settings.require_database()
    issuer, party = issuer_of(settings, clock), party_of(settings, clock)
    catalogue = load_catalogue(settings.catalogue)
    scheme = load_scheme(settings.risk_cuts, settings.risk_decay_s, settings.coupling)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = open_pool(dsn, application="lifeline api", size=POOL_SIZE, timeout_s=POOL_TIMEOUT_S)
        broadcaster: Broadcaster = app.state.live
        broadcaster.open()
        keyframe_every, keep = timedelta(hours=settings.map_keyframe_h), timedelta(days=settings.map_days)
        recorder = Recorder(dsn, pool, clock, keyframe_every, keep)
        keeper = MapKeeper(dsn, pool, catalogue, scheme, broadcaster, recorder, clock)
        heartbeat = Heartbeat(pool, settings.api_port, clock)
        app.state.pool, app.state.keeper = pool, keeper
        app.state.maps = ScopeMaps(keeper, pool, catalogue, scheme, clock)
        lives = Lives(timedelta(minutes=settings.session_idle_min), timedelta(hours=settings.session_h))
        app.state.gate = Gate(pool, clock, lives, issuer)
        app.state.city = City(settings, pool, catalogue, keeper, broadcaster, Archive(), clock, clock())
        recorder.start()
        keeper.start()
        heartbeat.start()
        yield
        heartbeat.stop()
        keeper.stop()
        recorder.stop()
        pool.close()

    app = FastAPI(
        title="Lifeline",
        summary="A city's gas, water and drainage: what is going wrong, and where the risk is",
        version="1",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=LARGEST_BODY,
    )
    app.state.live = Broadcaster(settings.api_sse_clients)
    app.state.party = party
    problems.install(app)
    for routes in ROUTES:
        app.include_router(routes.router)
    app.include_router(photos.field_router)
    app.include_router(signon.browsers)
    app.state.page = read_page()
    app.include_router(page_router(app.state.page))
    return Shield(app, settings.base_map), app
