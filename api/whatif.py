"""The route of what-if: close, renew or add pipes, and see the risk change; nothing is stored."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from api.access import Access
from api.city import city
from api.parameters import StrictRoute
from api.problems import ProblemError
from lifeline.errors import ImportRejectedError
from lifeline.inventory import parse_assets
from lifeline.model import Asset, AssetKind, JsonObject, Role
from lifeline.planning.cost import load_costs
from lifeline.planning.segments import Known
from lifeline.planning.whatif import Changes, what_if
from lifeline.storage import plans, standing
from lifeline.storage.database import borrow

router = APIRouter(prefix="/api/v1/risk", route_class=StrictRoute, tags=["planning"])
Name = Annotated[str, Field(min_length=1, max_length=64)]


class WhatIfIn(BaseModel):
    """What is tried, by the city's own names; ``add`` are pipes as GeoJSON features (docs/reference/inventory.md)."""

    model_config = ConfigDict(extra="forbid")
    close: list[Name] = Field(default_factory=list, max_length=1000)
    renew: list[Name] = Field(default_factory=list, max_length=1000)
    add: list[JsonObject] = Field(default_factory=list, max_length=100)
    network: Annotated[str | None, Field(max_length=64)] = None


class WhatIfOut(BaseModel):
    """Figures of the city before and after, by network too; the pipes that change; what is cut off from the rest."""

    before: JsonObject
    after: JsonObject
    networks: dict[str, JsonObject]
    changed: list[JsonObject]
    cut_off: JsonObject


@router.post("/what-if", dependencies=[Depends(Access(Role.VIEWER))])
def try_changes(request: Request, wanted: WhatIfIn) -> WhatIfOut:
    """Close, renew or add pipes in thought: the risk before and after. ``network`` leaves the others out."""
    place = city(request)
    changes = Changes(wanted.close, wanted.renew, _pipes(request, wanted.add))
    year = place.clock().astimezone(place.settings.local_time).year
    with borrow(place.pool) as connection:
        found = plans.pipes(connection, wanted.network)
        classes = standing.deterioration(connection)
        served = plans.served(connection, wanted.network)
    known = Known(found.lof, found.cof, found.rate)
    return WhatIfOut(**what_if(found.assets, known, changes, load_costs(place.settings.costs), year, classes, served))


def _pipes(request: Request, features: list[JsonObject]) -> list[Asset]:
    """The features as pipes. Raises ProblemError 400 with every mistake."""
    if not features:
        return []
    # Not by orjson: it refuses whole numbers of more than 64 bits, and a file may hold them.
    body = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    try:
        found = [entry.item for entry in parse_assets(body, city(request).catalogue, "add")]
    except ImportRejectedError as error:
        raise ProblemError(400, "; ".join(problem.message for problem in error.problems)) from error
    for asset in found:
        if asset.kind is not AssetKind.PIPE:
            raise ProblemError(400, f"{asset.external_id!r} is a {asset.kind}: only pipes can be added in thought")
    return found
