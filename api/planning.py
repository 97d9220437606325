"""Routes of jobs: ask for a long computation, look how far it is, end it. `lifeline.planning` does the work."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import Access
from api.city import city
from api.parameters import After, BigId, Limit, StrictRoute, decode_cursor, encode_cursor
from api.problems import ProblemError
from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.model import JsonObject, Role
from lifeline.planning.registry import KINDS, checked, kind_of
from lifeline.principal import Principal
from lifeline.storage import jobs
from lifeline.storage.database import borrow
from lifeline.storage.jobs import Job, JobState

router = APIRouter(prefix="/api/v1/jobs", route_class=StrictRoute, tags=["planning"])
_viewer = Depends(Access(Role.VIEWER))
_engineer = Access(Role.ENGINEER)


class JobKindOut(BaseModel):
    """A kind of job: who may ask for it, and what it may be asked (JSON Schema)."""

    kind: str
    what: str
    role: Role
    nightly: bool
    parameters: JsonObject


class JobIn(BaseModel):
    """What is asked for; the kinds and their parameters stand under /api/v1/jobs/kinds."""

    model_config = ConfigDict(extra="forbid")
    kind: str = Field(max_length=64)
    parameters: JsonObject = Field(default_factory=dict)


class JobOut(BaseModel):
    """A job. ``message`` says what it is at, or why it failed; ``result`` is there when it is done."""

    id: int
    kind: str
    parameters: JsonObject
    state: JobState
    progress: float
    message: str
    result: JsonObject | None
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    items: list[JobOut]
    next: str | None


@router.get("/kinds", dependencies=[_viewer])
def list_kinds() -> list[JobKindOut]:
    """What can be computed, and what may be asked of it."""
    return [
        JobKindOut(
            kind=name,
            what=kind.what,
            role=kind.role,
            nightly=kind.nightly is not None,
            parameters=kind.parameters.model_json_schema(),
        )
        for name, kind in sorted(KINDS.items())
    ]


@router.post("", status_code=202)
def submit(request: Request, response: Response, wanted: JobIn, key: Principal = Depends(_engineer)) -> JobOut:  # noqa: B008
    """Ask for a computation; ``Location`` is where its progress stands."""
    found = submitted(request, wanted.kind, wanted.parameters, key)
    response.headers["Location"] = f"/api/v1/jobs/{found.id}"
    return found


@router.get("", dependencies=[_viewer])
def list_jobs(
    request: Request,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    state: JobState | None = None,
    limit: Limit = 100,
    after: After = None,
) -> JobPage:
    """Jobs, the newest first, page by page."""
    cursor = decode_cursor(after, int)
    with borrow(city(request).pool) as connection:
        found = jobs.list_jobs(connection, kind, state, cursor[0] if cursor else None, limit + 1)
    more = encode_cursor(found[limit - 1].job_id) if len(found) > limit else None
    return JobPage(items=[_out(each) for each in found[:limit]], next=more)


@router.get("/{id}", dependencies=[_viewer])
def get_job(request: Request, id: BigId) -> JobOut:  # noqa: A002
    """One job: how far it is, what it is at, and its result."""
    with borrow(city(request).pool) as connection:
        return _out(jobs.get(connection, id))


@router.post("/{id}/cancel")
def cancel(request: Request, id: BigId, key: Principal = Depends(_engineer)) -> JobOut:  # noqa: A002, B008
    """End a job: at once where it waits, within seconds where it runs. 409 where it is over."""
    place = city(request)
    with borrow(place.pool) as connection:
        return _out(jobs.cancel(connection, id, key.name, place.clock()))


def submitted(request: Request, kind: str, parameters: JsonObject, key: Principal) -> JobOut:
    """Put a job into the queue. Raises ProblemError 400 for what it cannot be asked, 403 for a role too low."""
    place = city(request)
    try:
        known = kind_of(kind)
        asked = checked(known, parameters)
    except (ConfigurationError, NotFoundError) as error:
        raise ProblemError(400, str(error)) from error
    if not key.may(known.role):
        raise ProblemError(403, f"this takes the role {known.role} or a higher one; this key has {key.role}")
    with borrow(place.pool) as connection:
        job_id = jobs.submit(connection, kind, asked, key.name, place.clock())
        return _out(jobs.get(connection, job_id))


def _out(job: Job) -> JobOut:
    return JobOut(
        id=job.job_id,
        kind=job.kind,
        parameters=job.parameters,
        state=job.state,
        progress=job.progress,
        message=job.message,
        result=job.result,
        requested_by=job.requested_by,
        requested_at=job.requested_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
