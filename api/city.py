"""What every route works with: the database, the catalogue, the map, the clock."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from fastapi import Request

from api.access import SAFE, address_of
from api.keeper import MapKeeper
from api.live import Broadcaster
from api.past import Archive
from api.scopemaps import ScopeMap, ScopeMaps
from lifeline.catalogue import Catalogue
from lifeline.principal import WHOLE, Kind, Principal
from lifeline.settings import Settings
from lifeline.storage.behalf import Actor, PoolOnBehalf
from lifeline.storage.database import Lender


@dataclass(frozen=True, slots=True)
class City:
    """Lives as long as the process; routes read it and never change it."""

    settings: Settings
    pool: Lender
    catalogue: Catalogue
    map: MapKeeper | ScopeMap
    live: Broadcaster
    archive: Archive
    clock: Callable[[], datetime]
    started: datetime


def city(request: Request) -> City:
    """The city of this application, as who sends the request sees it; what he changes is noted as his."""
    whole = cast("City", request.app.state.city)
    who: Principal | None = getattr(request.state, "principal", None)
    changes, scope = request.method not in SAFE, who.scope if who else WHOLE
    if not changes and scope.whole:
        return whole
    actor = None
    if changes:
        name, kind = (who.name, who.kind) if who else ("field link", Kind.LINK)
        actor = Actor(name, kind, whole.clock(), address_of(request), f"{request.method} {route_of(request)}")
    pool = PoolOnBehalf(request.app.state.pool, actor, scope)
    if scope.whole:
        return replace(whole, pool=pool)
    maps: ScopeMaps = request.app.state.maps
    return replace(whole, pool=pool, map=ScopeMap(maps, request.app.state.keeper, scope))


def route_of(request: Request) -> str:
    """The path of a request, or of one without a key its route's pattern: a field link's path is its secret."""
    if getattr(request.state, "principal", None) is None:
        return str(getattr(request.scope.get("route"), "path", ""))
    return request.url.path
