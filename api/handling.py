"""Routes by which people act on alerts and incidents: shelve, out of service, step, assign, note, feed back, in bulk.

What is done to an alert of an incident is done to the response of the incident: one event, one step, one team. Acts on
a list say of each alert what became of it; one that cannot be done does not keep the others from being done.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.access import Access
from api.city import city
from api.maintenance import WindowOut, window_out
from api.parameters import BigId, Moment, StrictRoute
from api.problems import ProblemError
from lifeline.lifecycle import Event
from lifeline.model import Role, SubjectKind
from lifeline.principal import Principal
from lifeline.response import NEXT, Step, load_deadlines
from lifeline.storage import alerts, incidents, maintenance, response, shelving
from lifeline.storage.database import Connection, borrow

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["handling"])
_viewer = Depends(Access(Role.VIEWER))
FieldKey = Annotated[Principal, Depends(Access(Role.FIELD))]
OperatorKey = Annotated[Principal, Depends(Access(Role.OPERATOR))]
_MOVED: dict[int | str, dict[str, str]] = {409: {"description": "Its state or version does not allow it"}}


def storable(value: str) -> str:
    """Text that a column can hold."""
    if "\0" in value:
        raise ValueError("must not hold a NUL byte")
    return value


Note = Annotated[str, AfterValidator(storable), Field(max_length=2000)]
Word = Annotated[str, AfterValidator(storable), Field(max_length=80)]
Version = Annotated[int | None, Field(ge=0, le=2**31 - 1)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Shelving(_Body):
    """Until when; two hours unless it says otherwise, seven days at most."""

    until: Moment | None = None
    note: Note = ""
    version: Version = None


class Reason(_Body):
    note: Note = ""


class OutOfService(_Body):
    """``until`` null: until somebody ends the window."""

    until: Moment | None = None
    note: Note = ""


class StepIn(_Body):
    """The next step of the response; ``version`` makes it conditional. ``team`` null keeps the team."""

    step: Step
    team: Word | None = None
    note: Note = ""
    version: Version = None


class Assignment(_Body):
    """Who has it. An empty ``assignee``: nobody; ``team`` null keeps the team."""

    assignee: Word = ""
    team: Word | None = None
    note: Note = ""
    version: Version = None


class NoteIn(_Body):
    note: Annotated[str, AfterValidator(storable), Field(min_length=1, max_length=2000)]


class FeedbackIn(_Body):
    """What it was: a label for ever, by which rules are judged."""

    genuine: bool
    cause: Word = ""
    note: Note = ""


class BulkAction(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    NOTE = "note"
    FEED_BACK = "feed_back"


class BulkIn(_Body):
    """One act on several; ``until`` for shelve, ``genuine`` and ``cause`` for feed_back, ``note`` for all."""

    action: BulkAction
    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]], Field(min_length=1, max_length=500)]
    note: Note = ""
    until: Moment | None = None
    genuine: bool | None = None
    cause: Word = ""

    @model_validator(mode="after")
    def _fits(self) -> "BulkIn":
        if (self.genuine is None) == (self.action is BulkAction.FEED_BACK):
            raise ValueError("genuine: true or false is needed to feed back, and for nothing else")
        if self.until is not None and self.action is not BulkAction.SHELVE:
            raise ValueError("until is for shelve alone")
        return self


class RefusedOut(BaseModel):
    id: int
    why: str


class BulkOut(BaseModel):
    """What was done, and what was not and why."""

    done: list[int]
    refused: list[RefusedOut]


class ResponseEntryOut(BaseModel):
    """A step, an overdue step, a feedback, an assignment or a note."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    actor: str
    action: str
    from_step: Step
    to_step: Step
    team: str
    note: str


class ResponseOut(BaseModel):
    """How far the response is. ``alert`` holds it; ``due_at`` is the deadline of the step, null where it has none."""

    alert: int
    incident: int | None
    step: Step
    since: datetime
    due_at: datetime | None
    next: list[Step]
    team: str
    assignee: str
    version: int
    history: list[ResponseEntryOut]


# ------------------------------------------------------------------------------------------------------------- alerts


@router.get("/alerts/{id}/response", dependencies=[_viewer])
def get_response(request: Request, id: BigId) -> ResponseOut:  # noqa: A002
    """How far the response to an alert, or to its incident, is, and who did what."""
    with borrow(city(request).pool) as connection:
        return shown(request, connection, id)


@router.post("/alerts/bulk")
def act_on_alerts(request: Request, body: BulkIn, key: OperatorKey) -> BulkOut:
    """One act on several alerts."""
    here = city(request)
    with borrow(here.pool) as connection:
        return _bulk(connection, body, list(dict.fromkeys(body.ids)), key.name, here.clock())


@router.post("/alerts/{id}/shelve", responses=_MOVED)
def shelve_alert(request: Request, id: BigId, key: OperatorKey, body: Shelving | None = None) -> ResponseOut:  # noqa: A002
    """Mute an alert for a while. It comes back by itself, and its return to normal is told all the same."""
    here, given = city(request), body or Shelving()
    with borrow(here.pool) as connection, connection.transaction():
        shelving.shelve(
            connection, id, key.name, here.clock(), until=given.until, note=given.note, expected_version=given.version
        )
        return shown(request, connection, id)


@router.post("/alerts/{id}/unshelve", responses=_MOVED)
def unshelve_alert(request: Request, id: BigId, key: OperatorKey, body: Reason | None = None) -> ResponseOut:  # noqa: A002
    """Take an alert from the shelf before its time."""
    here = city(request)
    with borrow(here.pool) as connection, connection.transaction():
        shelving.unshelve(connection, id, key.name, here.clock(), (body or Reason()).note)
        return shown(request, connection, id)


@router.post("/alerts/{id}/out-of-service", responses=_MOVED, status_code=201)
def take_out_of_service(
    request: Request,
    id: BigId,  # noqa: A002
    key: OperatorKey,
    body: OutOfService | None = None,
) -> WindowOut:
    """Take the alert's sensor, device or asset out of service for the alert's rule: a maintenance window."""
    here, given = city(request), body or OutOfService()
    now = here.clock()
    with borrow(here.pool) as connection, connection.transaction():
        alert = alerts.get(connection, id)
        subject = alert.subject
        if subject.kind not in (SubjectKind.SENSOR, SubjectKind.DEVICE, SubjectKind.ASSET):
            raise ProblemError(409, f"a {subject.kind} is taken out of service by a maintenance window of its own")
        number = maintenance.open_window(
            connection, key.name, now, begins_at=now, ends_at=given.until, rule=alert.rule, reason=given.note,
            sensor_id=subject.id if subject.kind is SubjectKind.SENSOR else None,
            device_id=subject.id if subject.kind is SubjectKind.DEVICE else None,
            asset_id=subject.id if subject.kind is SubjectKind.ASSET else None,
        )  # fmt: skip
        return window_out(maintenance.get(connection, number))


@router.post("/alerts/{id}/steps", responses=_MOVED)
def step_alert(request: Request, id: BigId, key: FieldKey, body: StepIn) -> ResponseOut:  # noqa: A002
    """Take the next step: confirmed, false_alarm, dispatched, on_site, handled, fed_back, archived."""
    here = city(request)
    with borrow(here.pool) as connection, connection.transaction():
        response.advance(
            connection, id, body.step, key.name, here.clock(), team=body.team, note=body.note,
            expected_version=body.version,
        )  # fmt: skip
        return shown(request, connection, id)


@router.post("/alerts/{id}/assign", responses=_MOVED)
def assign_alert(request: Request, id: BigId, key: OperatorKey, body: Assignment) -> ResponseOut:  # noqa: A002
    """Say who has it: a person, a team. The clock of the step runs on."""
    here = city(request)
    with borrow(here.pool) as connection, connection.transaction():
        response.assign(
            connection, id, key.name, here.clock(), assignee=body.assignee, team=body.team, note=body.note,
            expected_version=body.version,
        )  # fmt: skip
        return shown(request, connection, id)


@router.post("/alerts/{id}/notes")
def note_alert(request: Request, id: BigId, key: FieldKey, body: NoteIn) -> ResponseOut:  # noqa: A002
    """Write something down. Nobody is told."""
    here = city(request)
    with borrow(here.pool) as connection, connection.transaction():
        response.add_note(connection, id, key.name, here.clock(), body.note)
        return shown(request, connection, id)


@router.post("/alerts/{id}/feedback", responses=_MOVED)
def feed_back_alert(request: Request, id: BigId, key: FieldKey, body: FeedbackIn) -> ResponseOut:  # noqa: A002
    """Say what this alert was."""
    here = city(request)
    with borrow(here.pool) as connection, connection.transaction():
        response.feed_back(
            connection, id, key.name, here.clock(), genuine=body.genuine, cause=body.cause, note=body.note
        )
        return shown(request, connection, id)


# ---------------------------------------------------------------------------------------------------------- incidents


@router.get("/incidents/{id}/response", dependencies=[_viewer])
def get_incident_response(request: Request, id: BigId) -> ResponseOut:  # noqa: A002
    """How far the response to an incident is, and who did what."""
    with borrow(city(request).pool) as connection:
        return shown(request, connection, _member(incidents.get(connection, id)))


@router.post("/incidents/{id}/acknowledge", responses=_MOVED)
def acknowledge_incident(request: Request, id: BigId, key: FieldKey, body: Reason | None = None) -> ResponseOut:  # noqa: A002
    """Take note of all of an incident: whatever of it waits for an acknowledgement has one."""
    return _on_members(request, id, BulkIn(action=BulkAction.ACKNOWLEDGE, ids=[1], note=(body or Reason()).note), key)


@router.post("/incidents/{id}/shelve", responses=_MOVED)
def shelve_incident(request: Request, id: BigId, key: OperatorKey, body: Shelving | None = None) -> ResponseOut:  # noqa: A002
    """Mute all of an incident for a while. Alerts that come to it later are not muted."""
    given = body or Shelving()
    asked = BulkIn(action=BulkAction.SHELVE, ids=[1], note=given.note, until=given.until)
    return _on_members(request, id, asked, key, "incident.shelved", given.version)


@router.post("/incidents/{id}/unshelve", responses=_MOVED)
def unshelve_incident(request: Request, id: BigId, key: OperatorKey, body: Reason | None = None) -> ResponseOut:  # noqa: A002
    """Take what of an incident is on the shelf from there."""
    return _on_members(request, id, BulkIn(action=BulkAction.UNSHELVE, ids=[1], note=(body or Reason()).note), key)


@router.post("/incidents/{id}/steps", responses=_MOVED)
def step_incident(request: Request, id: BigId, key: FieldKey, body: StepIn) -> ResponseOut:  # noqa: A002
    """Take the next step of the response to an incident."""
    return step_alert(request, _seen(request, id), key, body)


@router.post("/incidents/{id}/assign", responses=_MOVED)
def assign_incident(request: Request, id: BigId, key: OperatorKey, body: Assignment) -> ResponseOut:  # noqa: A002
    """Say who has an incident."""
    return assign_alert(request, _seen(request, id), key, body)


@router.post("/incidents/{id}/notes")
def note_incident(request: Request, id: BigId, key: FieldKey, body: NoteIn) -> ResponseOut:  # noqa: A002
    """Write something down about an incident. Nobody is told."""
    return note_alert(request, _seen(request, id), key, body)


@router.post("/incidents/{id}/feedback", responses=_MOVED)
def feed_back_incident(request: Request, id: BigId, key: FieldKey, body: FeedbackIn) -> ResponseOut:  # noqa: A002
    """Say what an incident was: a label for each of its alerts."""
    here, seen = city(request), _seen(request, id)
    with borrow(here.pool) as connection, connection.transaction():
        response.feed_back(
            connection, seen, key.name, here.clock(), genuine=body.genuine, cause=body.cause, note=body.note,
            whole=True,
        )  # fmt: skip
        return shown(request, connection, seen)


# ---------------------------------------------------------------------------------------------------------------- how


def shown(request: Request, connection: Connection, alert_id: int) -> ResponseOut:
    """The response that an alert belongs to. Raises NotFoundError."""
    now_at = response.get(connection, alert_id)
    deadlines = load_deadlines(city(request).settings.response)
    entries = [ResponseEntryOut.model_validate(each) for each in response.history(connection, alert_id)]
    return ResponseOut(
        alert=now_at.alert_id,
        incident=incidents.of_alert(connection, alert_id),
        step=now_at.step,
        since=now_at.since,
        due_at=response.due_at(connection, deadlines, now_at),
        next=list(NEXT[now_at.step]),
        team=now_at.team,
        assignee=now_at.assignee,
        version=now_at.version,
        history=entries,
    )


def _seen(request: Request, incident_id: int) -> int:
    with borrow(city(request).pool) as connection:
        return _member(incidents.get(connection, incident_id))


def _member(incident: incidents.IncidentLine) -> int:
    """An alert of it that the asker sees: the one under which the response is kept may lie outside of his scope."""
    return incident.alert_ids[0] if incident.alert_ids else incident.response_alert


def _on_members(
    request: Request, incident_id: int, asked: BulkIn, key: Principal, message: str = "", version: int | None = None
) -> ResponseOut:
    here = city(request)
    now = here.clock()
    with borrow(here.pool) as connection, connection.transaction():
        found = incidents.get(connection, incident_id)
        if version is not None and version != found.version:
            raise ProblemError(409, f"incident {incident_id} has changed: version {found.version}, not {version}")
        done = _bulk(connection, asked, incidents.open_alert_ids(connection, incident_id), key.name, now)
        if not done.done:
            raise ProblemError(409, f"nothing of incident {incident_id} can be {asked.action}d now")
        if message:
            incidents.tell(connection, [(incident_id, message, key.name)], now, asked.note)
        return shown(request, connection, _member(found))


def _bulk(connection: Connection, asked: BulkIn, ids: Sequence[int], actor: str, now: datetime) -> BulkOut:
    if asked.action is BulkAction.ACKNOWLEDGE:
        moved, refused = alerts.operate_many(connection, ids, Event.ACKNOWLEDGE, actor, now, asked.note)
    elif asked.action is BulkAction.SHELVE:
        until = asked.until or now + timedelta(hours=2)
        moved, refused = shelving.shelve_many(connection, ids, actor, now, until=until, note=asked.note)
    elif asked.action is BulkAction.UNSHELVE:
        moved, refused = shelving.unshelve_many(connection, ids, actor, now, asked.note)
    else:
        return _written(connection, asked, ids, actor, now)
    lost = [RefusedOut(id=alert_id, why=why) for alert_id, why in sorted(refused.items())]
    return BulkOut(done=sorted(alert.alert_id for alert in moved), refused=lost)


def _written(connection: Connection, asked: BulkIn, ids: Sequence[int], actor: str, now: datetime) -> BulkOut:
    """Notes and labels: of each alert by itself."""
    known = alerts.known(connection, ids)
    for alert_id in known:
        if asked.action is BulkAction.NOTE:
            response.add_note(connection, alert_id, actor, now, asked.note)
        else:
            response.feed_back(
                connection, alert_id, actor, now, genuine=bool(asked.genuine), cause=asked.cause, note=asked.note
            )
    lost = [RefusedOut(id=one, why=f"there is no alert {one}") for one in sorted(set(ids) - set(known))]
    return BulkOut(done=known, refused=lost)
