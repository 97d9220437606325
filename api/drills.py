"""Routes of drills: plan one, schedule one, stop one, and read what came of it.

The API starts no process: it writes down what is asked for, and `lifeline up` takes it from there.
"""

from datetime import UTC, datetime, time, timedelta

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import Access
from api.city import city
from api.documents import document, respond
from api.parameters import After, BigId, Limit, StrictRoute, decode_cursor, encode_cursor
from api.problems import ProblemError
from lifeline.drills.calendar import next_occurrence
from lifeline.drills.plan import LONGEST_S, SHORTEST_S, plan_of
from lifeline.errors import ConfigurationError, ConflictError
from lifeline.model import JsonObject, Role
from lifeline.principal import Principal
from lifeline.storage import drills, endpoints, health
from lifeline.storage.database import Connection, borrow
from lifeline.storage.drills import Drill, DrillState

router = APIRouter(prefix="/api/v1/drills", route_class=StrictRoute, tags=["drills"])
_viewer = Depends(Access(Role.VIEWER))
_operator = Access(Role.OPERATOR)
_engineer = Access(Role.ENGINEER)
ALIVE = timedelta(seconds=30)
_REFUSED: dict[int | str, JsonObject] = {409: {"description": "nobody is here who would run it, or it is over"}}


class PlanIn(BaseModel):
    """A drill that is asked for. ``teams`` as in a file of teams: name, department, endpoint, and tasks with text,
    step, network and within_s."""

    model_config = ConfigDict(extra="forbid")
    scenario: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="One of /api/v1/drills/scenarios.")
    teams: list[JsonObject] = Field(default_factory=list, max_length=50)
    seed: int = Field(1, ge=0, lt=2**31)
    speed: float = Field(1.0, ge=0.1, le=100, description="Events come so many times as soon.")
    lasts_s: float = Field(1800.0, ge=SHORTEST_S, le=LONGEST_S)
    keep: bool = Field(False, description="Keep the sandbox's database after the report; engineers and above only.")


class DrillIn(PlanIn):
    starts_at: datetime | None = Field(None, description="With a time zone; null: now.")


class ScheduleIn(PlanIn):
    day: int = Field(ge=1, le=28, description="Day of each month.")
    at: time = Field(description="The city's local time.")


class DrillOut(BaseModel):
    """A drill. ``url``: the exercise's own page while it runs; it takes the same keys."""

    id: int
    schedule: int | None
    plan: JsonObject
    state: DrillState
    message: str
    requested_by: str
    requested_at: datetime
    starts_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    stop_by: str | None
    url: str


class DrillEventOut(BaseModel):
    at: datetime
    actor: str
    action: str
    note: str


class WholeDrill(DrillOut):
    """With its own history, and its report once it is done (docs/reference/drills.md)."""

    events: list[DrillEventOut]
    report: JsonObject | None


class DrillPage(BaseModel):
    """``supervised``: somebody is here who would run a drill."""

    items: list[DrillOut]
    next: str | None
    supervised: bool


class ScenarioOut(BaseModel):
    name: str
    title: str


class ScheduleOut(BaseModel):
    id: int
    plan: JsonObject
    day: int
    at: time
    next_at: datetime
    created_by: str
    created_at: datetime


@router.get("", dependencies=[_viewer])
def list_drills(request: Request, limit: Limit = 100, after: After = None) -> DrillPage:
    """Drills, the newest first, page by page, without their reports."""
    cursor = decode_cursor(after, int)
    here = city(request)
    with borrow(here.pool) as connection:
        found = drills.list_drills(connection, cursor[0] if cursor else None, limit + 1)
        supervised = _supervised(connection, here.clock())
    more = encode_cursor(found[limit - 1].drill_id) if len(found) > limit else None
    return DrillPage(items=[DrillOut(**_out(each)) for each in found[:limit]], next=more, supervised=supervised)


@router.post("", status_code=202, responses=_REFUSED)
def plan_drill(request: Request, response: Response, wanted: DrillIn, key: Principal = Depends(_operator)) -> DrillOut:  # noqa: B008
    """Ask for a drill, now or at a time to come; ``Location`` is where it stands."""
    here = city(request)
    now = here.clock()
    if wanted.starts_at is not None and wanted.starts_at.tzinfo is None:
        raise ProblemError(400, "starts_at needs a time zone")
    starts_at = max(now, wanted.starts_at) if wanted.starts_at else now
    if wanted.keep and key.role not in (Role.ENGINEER, Role.ADMIN):
        raise ProblemError(403, "the sandbox's database, a copy of the city, is kept by engineers and above only")
    with borrow(here.pool) as connection:
        asked = _checked(connection, wanted, now)
        found = drills.get(connection, drills.plan(connection, asked, key.name, starts_at, now))
    response.headers["Location"] = f"/api/v1/drills/{found.drill_id}"
    return DrillOut(**_out(found))


@router.get("/scenarios", dependencies=[_viewer])
def list_scenarios(request: Request) -> list[ScenarioOut]:
    """What can be played here."""
    with borrow(city(request).pool) as connection:
        return [ScenarioOut(name=name, title=title) for name, title in drills.scenarios(connection).items()]


@router.get("/schedules", dependencies=[_viewer])
def list_schedules(request: Request) -> list[ScheduleOut]:
    """Drills that come back every month."""
    here = city(request)
    with borrow(here.pool) as connection:
        found = drills.schedules(connection)
    return [
        ScheduleOut(
            id=each.schedule_id,
            plan=each.plan,
            day=each.day,
            at=each.at,
            next_at=next_occurrence(each.day, each.at, here.settings.local_time, here.clock()).astimezone(UTC),
            created_by=each.created_by,
            created_at=each.created_at,
        )
        for each in found
    ]


@router.post("/schedules", status_code=201, responses=_REFUSED)
def add_schedule(request: Request, wanted: ScheduleIn, key: Principal = Depends(_engineer)) -> list[ScheduleOut]:  # noqa: B008
    """Let a drill come back every month; gives all schedules."""
    here = city(request)
    now = here.clock()
    with borrow(here.pool) as connection:
        asked = _checked(connection, wanted, now)
        drills.add_schedule(connection, asked, wanted.day, wanted.at.replace(tzinfo=None), key.name, now)
    return list_schedules(request)


@router.post("/schedules/{id}/stop")
def end_schedule(request: Request, id: BigId, key: Principal = Depends(_engineer)) -> list[ScheduleOut]:  # noqa: A002, B008
    """End a schedule; drills that it has planned stay. Gives the schedules that are left."""
    with borrow(city(request).pool) as connection:
        drills.end_schedule(connection, id, key.name)
    return list_schedules(request)


@router.get("/{id}", dependencies=[_viewer])
def get_drill(request: Request, id: BigId) -> WholeDrill:  # noqa: A002
    """One drill with its report."""
    with borrow(city(request).pool) as connection:
        found = drills.get(connection, id)
        events = drills.events(connection, id)
    lines = [DrillEventOut(at=each.at, actor=each.actor, action=each.action, note=each.note) for each in events]
    return WholeDrill(**_out(found), events=lines, report=found.report)


@router.get(
    "/{id}/report.pdf",
    dependencies=[_viewer],
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
)
def drill_pdf(request: Request, id: BigId) -> Response:  # noqa: A002
    """The after-action report, Chinese and English."""
    with borrow(city(request).pool) as connection:
        drills.get(connection, id)
        content = drills.document(connection, id)
    found = document(content, "application/pdf", compressible=False)
    return respond(request, found, {"Content-Disposition": f'attachment; filename="drill-{id}.pdf"'})


@router.post("/{id}/stop", responses=_REFUSED)
def stop_drill(request: Request, id: BigId, key: Principal = Depends(_operator)) -> DrillOut:  # noqa: A002, B008
    """End a drill that runs, within seconds and with its report, or cancel one that is planned. 409: it is over."""
    here = city(request)
    with borrow(here.pool) as connection:
        return DrillOut(**_out(drills.stop(connection, id, key.name, here.clock())))


def _supervised(connection: Connection, now: datetime) -> bool:
    return any(beat.process == "drills" and now - beat.at < ALIVE for beat in health.heartbeats(connection))


def _checked(connection: Connection, wanted: PlanIn, now: datetime) -> JsonObject:
    """The plan as it is stored. Raises ProblemError 400 with every mistake, ConflictError where nobody would run it."""
    fields = wanted.model_dump(include={"scenario", "teams", "seed", "speed", "lasts_s", "keep"})
    try:
        plan = plan_of(fields)
    except ConfigurationError as error:
        raise ProblemError(400, str(error)) from error
    known = {endpoint.name for endpoint in endpoints.list_endpoints(connection)}
    unknown = sorted({team.endpoint for team in plan.teams if team.endpoint} - known)
    if unknown:
        raise ProblemError(400, f"there is no endpoint {', '.join(unknown)}")
    if plan.scenario not in (playable := drills.scenarios(connection)):
        raise ProblemError(400, f"there is no scenario {plan.scenario!r}; there are {', '.join(playable) or 'none'}")
    if not _supervised(connection, now):
        raise ConflictError("nobody is here who would run a drill: it takes `lifeline up`, or `lifeline drill run`")
    return plan.to_json()


def _out(drill: Drill) -> JsonObject:
    return {
        "id": drill.drill_id,
        "schedule": drill.schedule_id,
        **{
            name: getattr(drill, name)
            for name in (
                "plan", "state", "message", "requested_by", "requested_at", "starts_at", "began_at", "ended_at",
                "stop_by", "url",
            )
        },
    }  # fmt: skip
