"""Routes of renewal plans: ask for one, look at it, take it away as GeoJSON, CSV or PDF; and what if."""

from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.documents import GEOJSON, document, respond
from api.parameters import After, BigId, Limit, StrictRoute, decode_cursor, encode_cursor
from api.planning import JobOut, submitted
from lifeline.model import JsonObject, Role
from lifeline.planning.documents import feature_collection, table
from lifeline.planning.renewal_job import Parameters
from lifeline.principal import Principal
from lifeline.spreadsheet import MARK
from lifeline.storage import plans
from lifeline.storage.database import borrow
from lifeline.storage.plans import StoredPlan

router = APIRouter(prefix="/api/v1/plans", route_class=StrictRoute, tags=["planning"])
_viewer = Depends(Access(Role.VIEWER))
_engineer = Access(Role.ENGINEER)


def _sends(media_type: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route that answers with a file."""
    return {200: {"content": {media_type: {}}}}


class PlanOut(BaseModel):
    """A renewal plan. ``summary`` has its figures beside those of the plain lists for the same money."""

    id: int
    job: int | None
    name: str
    parameters: JsonObject
    summary: JsonObject
    created_by: str
    created_at: datetime


class WholePlan(PlanOut):
    """With its works, by year and gain per cost."""

    works: list[JsonObject]


class PlanPage(BaseModel):
    items: list[PlanOut]
    next: str | None


@router.post("", status_code=202)
def make_plan(request: Request, response: Response, wanted: Parameters, key: Principal = Depends(_engineer)) -> JobOut:  # noqa: B008
    """Ask for a plan: a job of kind `plan`, whose result names it. ``Location`` is where its progress stands."""
    found = submitted(request, "plan", wanted.model_dump(mode="json"), key)
    response.headers["Location"] = f"/api/v1/jobs/{found.id}"
    return found


@router.get("", dependencies=[_viewer])
def list_plans(request: Request, limit: Limit = 100, after: After = None) -> PlanPage:
    """Plans, the newest first, page by page."""
    cursor = decode_cursor(after, int)
    with borrow(city(request).pool) as connection:
        found = plans.list_plans(connection, cursor[0] if cursor else None, limit + 1)
    more = encode_cursor(found[limit - 1].plan_id) if len(found) > limit else None
    return PlanPage(items=[PlanOut(**_plan(each)) for each in found[:limit]], next=more)


@router.get("/{id}", dependencies=[_viewer])
def get_plan(request: Request, id: BigId) -> WholePlan:  # noqa: A002
    """One plan with its works."""
    with borrow(city(request).pool) as connection:
        found = plans.get_plan(connection, id)
        works = plans.works(connection, id)
    bare = [{name: value for name, value in work.items() if name != "lines"} for work in works]
    return WholePlan(**_plan(found), works=bare)


@router.get("/{id}/works.geojson", dependencies=[_viewer], response_class=Response, responses=_sends(GEOJSON))
def plan_geojson(request: Request, id: BigId) -> Response:  # noqa: A002
    """The works of a plan for a map, with an ETag."""
    with borrow(city(request).pool) as connection:
        found = plans.get_plan(connection, id)
        body = feature_collection(plans.works(connection, id), found.summary)
    return respond(request, document(orjson.dumps(body), GEOJSON))


@router.get("/{id}/works.csv", dependencies=[_viewer], response_class=Response, responses=_sends("text/csv"))
def plan_csv(request: Request, id: BigId) -> Response:  # noqa: A002
    """The works of a plan for a spreadsheet."""
    with borrow(city(request).pool) as connection:
        plans.get_plan(connection, id)
        text = table(plans.works(connection, id))
    return respond(request, document(MARK + text.encode(), "text/csv"), _as_file(f"plan-{id}.csv"))


@router.get("/{id}/report.pdf", dependencies=[_viewer], response_class=Response, responses=_sends("application/pdf"))
def plan_pdf(request: Request, id: BigId) -> Response:  # noqa: A002
    """The two-page report, Chinese and English."""
    with borrow(city(request).pool) as connection:
        plans.get_plan(connection, id)
        content = plans.document(connection, id, "pdf")
    found = document(content, "application/pdf", compressible=False)
    return respond(request, found, _as_file(f"plan-{id}.pdf"))


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _plan(plan: StoredPlan) -> JsonObject:
    return {
        "id": plan.plan_id,
        "job": plan.job_id,
        "name": plan.name,
        "parameters": plan.parameters,
        "summary": plan.summary,
        "created_by": plan.created_by,
        "created_at": plan.created_at,
    }
