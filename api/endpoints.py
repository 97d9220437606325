"""Routes of endpoints: where messages go, how and when; tests, replay, the delivery log and the escalation chains.

A signing secret is shown once, when it is made. Who may change an endpoint decides who is told: administrators alone.
"""

from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from api.access import Access
from api.alerts import LevelName
from api.city import City, city
from api.handling import Note, storable
from api.parameters import After, Limit, Moment, SmallId, StrictRoute, decode_cursor, encode_cursor
from api.problems import ProblemError
from lifeline.errors import ConfigurationError
from lifeline.model import AlertKind, Level, Role
from lifeline.principal import Principal
from lifeline.storage import endpoints, outbox
from lifeline.storage.database import borrow
from lifeline.storage.endpoints import Pacing
from lifeline.storage.outbox import DeliveryState

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["endpoints"])
_operator = Depends(Access(Role.OPERATOR))
OperatorKey = Annotated[Principal, Depends(Access(Role.OPERATOR))]
AdminKey = Annotated[Principal, Depends(Access(Role.ADMIN))]
EndpointName = Annotated[str, Path(max_length=64, examples=["gas-crew"])]
Word = Annotated[str, AfterValidator(storable), Field(min_length=1, max_length=64)]
Words = Annotated[list[Word], Field(max_length=100)]


_slug = BeforeValidator(lambda level: getattr(level, "slug", level))


class _Line(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PacingBody(BaseModel):
    """When messages are sent; red is always sent at once. Quiet hours are local times of ``quiet_zone``."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    quiet_from: time | None = None
    quiet_until: time | None = None
    quiet_zone: Word | None = None
    group_by: list[Literal["network", "rule", "level"]] = Field(default=["network", "rule"], max_length=3)
    group_wait_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    group_interval_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    repeat_s: Annotated[int | None, Field(ge=60, le=2**31 - 1)] = None


class EndpointBody(BaseModel):
    """Where and what. ``scope``: risk by its incidents, one message for an event, or each alert."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, AfterValidator(storable), Field(max_length=2000)]
    format: Literal["own", "cloudevents", "alertmanager", "cap"] = "own"
    scope: Literal["incident", "alert"] = "incident"
    networks: Words | None = None
    zones: Words | None = None
    kinds: Annotated[list[AlertKind], Field(min_length=1, max_length=2)] = list(AlertKind)
    worst_level: LevelName = LevelName.BLUE
    events: Words | None = None
    links: bool = True
    pacing: PacingBody = PacingBody()


class EndpointIn(EndpointBody):
    name: Word


class EndpointOut(_Line):
    """An endpoint with what was delivered to it. Its secret stays where it is."""

    name: str
    url: str
    format: str
    scope: str
    networks: list[str] | None
    zones: list[str] | None
    kinds: list[AlertKind]
    worst_level: Annotated[LevelName, _slug]
    events: list[str] | None
    links: bool
    pacing: PacingBody
    enabled: bool
    disabled_reason: str
    created_at: datetime
    delivered: int
    pending: int
    failed: int


class NewEndpoint(EndpointOut):
    """``secret`` is shown this once."""

    secret: str


class EndpointList(BaseModel):
    items: list[EndpointOut]


class Secret(BaseModel):
    """Shown this once; the old one signs beside it until then."""

    secret: str
    old_until: datetime


class Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    overlap_hours: Annotated[float, Field(ge=0, le=720)] = 24


class TestIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: Note = ""


class MessageOut(BaseModel):
    message: str


class ReplayIn(BaseModel):
    """One message, or all since a moment; only those that failed where it says so."""

    model_config = ConfigDict(extra="forbid")

    message: Annotated[str, AfterValidator(storable), Field(max_length=64)] | None = None
    since: Moment | None = None
    failed_only: bool = False


class ReplayOut(BaseModel):
    again: int


class AttemptOut(_Line):
    at: datetime
    status_code: int | None
    error: str
    duration_ms: int


class DeliveryOut(_Line):
    """A message to one endpoint, with its attempts, the newest first, ten at most."""

    id: Annotated[int, Field(validation_alias="delivery_id")]
    endpoint: str
    message: Annotated[str, Field(validation_alias="message_id")]
    type: Annotated[str, Field(validation_alias="event_type")]
    alert: Annotated[int | None, Field(validation_alias="alert_id")]
    incident: Annotated[int | None, Field(validation_alias="incident_id")]
    level: Annotated[LevelName, _slug]
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    log: list[AttemptOut]


class DeliveryPage(BaseModel):
    items: list[DeliveryOut]
    next: str | None


class EscalationIn(BaseModel):
    """What nobody has acknowledged for ``after_s`` seconds, of ``level`` or worse, is told to ``endpoint``."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Word
    level: LevelName = LevelName.RED
    after_s: Annotated[int, Field(ge=1, le=2**31 - 1)]
    network: Word | None = None
    team: Annotated[str, AfterValidator(storable), Field(min_length=1, max_length=80)] | None = None


class EscalationOut(_Line):
    id: Annotated[int, Field(validation_alias="escalation_id")]
    endpoint: str
    level: Annotated[LevelName, _slug]
    after_s: int
    network: str | None
    team: str | None


class EscalationList(BaseModel):
    items: list[EscalationOut]


@router.get("/endpoints", dependencies=[_operator])
def list_endpoints(request: Request) -> EndpointList:
    """Every endpoint."""
    with borrow(city(request).pool) as connection:
        return EndpointList(items=[EndpointOut.model_validate(each) for each in endpoints.list_endpoints(connection)])


@router.post("/endpoints", status_code=201, responses={409: {"description": "The name is taken"}})
def add_endpoint(request: Request, body: EndpointIn, key: AdminKey) -> NewEndpoint:  # noqa: ARG001
    """Add a webhook. Chat channels hold their key in their address: `lifeline endpoints add` takes them."""
    here = city(request)
    values = _values(here, body)
    with borrow(here.pool) as connection:
        try:
            secret = endpoints.add(connection, body.name, body.url, here.clock(), **values)
        except ConfigurationError as error:
            raise ProblemError(400, str(error)) from error
        found = EndpointOut.model_validate(endpoints.get(connection, body.name))
        return NewEndpoint(**dict(found), secret=secret)


@router.get("/endpoints/{name}", dependencies=[_operator])
def get_endpoint(request: Request, name: EndpointName) -> EndpointOut:
    """One endpoint."""
    with borrow(city(request).pool) as connection:
        return EndpointOut.model_validate(endpoints.get(connection, name))


@router.put("/endpoints/{name}", responses={409: {"description": "It is a chat channel"}})
def change_endpoint(request: Request, name: EndpointName, body: EndpointBody, key: AdminKey) -> EndpointOut:  # noqa: ARG001
    """Change an endpoint: all of it. Its name and secret stay, and what waits for it goes to the new address."""
    here = city(request)
    with borrow(here.pool) as connection:
        try:
            endpoints.change(connection, name, body.url, **_values(here, body))
        except ConfigurationError as error:
            raise ProblemError(400, str(error)) from error
        return EndpointOut.model_validate(endpoints.get(connection, name))


@router.delete("/endpoints/{name}")
def disable_endpoint(request: Request, name: EndpointName, key: AdminKey) -> EndpointOut:
    """Send nothing more to it. It stays in the list, as its deliveries are history; what waits for it waits."""
    with borrow(city(request).pool) as connection:
        endpoints.disable(connection, name, f"by {key.name}")
        return EndpointOut.model_validate(endpoints.get(connection, name))


@router.post("/endpoints/{name}/enable")
def enable_endpoint(request: Request, name: EndpointName, key: AdminKey) -> EndpointOut:  # noqa: ARG001
    """Send to it again."""
    with borrow(city(request).pool) as connection:
        endpoints.enable(connection, name)
        return EndpointOut.model_validate(endpoints.get(connection, name))


@router.post("/endpoints/{name}/test", status_code=202)
def send_test(request: Request, name: EndpointName, key: OperatorKey, body: TestIn | None = None) -> MessageOut:
    """Send a test message, whatever its filters and quiet hours; the delivery log shows what became of it."""
    here, given = city(request), body or TestIn()
    with borrow(here.pool) as connection:
        return MessageOut(message=endpoints.send_test(connection, name, here.clock(), given.note or f"by {key.name}"))


@router.post("/endpoints/{name}/rotate")
def rotate_secret(request: Request, name: EndpointName, key: AdminKey, body: Rotation | None = None) -> Secret:  # noqa: ARG001
    """Give it a new signing secret; for a while messages carry a signature by each."""
    here, overlap = city(request), timedelta(hours=(body or Rotation()).overlap_hours)
    now = here.clock()
    with borrow(here.pool) as connection:
        return Secret(secret=endpoints.rotate(connection, name, now, overlap), old_until=now + overlap)


@router.post("/endpoints/{name}/replay", status_code=202)
def replay(request: Request, name: EndpointName, key: OperatorKey, body: ReplayIn) -> ReplayOut:  # noqa: ARG001
    """Send again, under the ids that they had: one message, or all since a moment."""
    if (body.message is None) == (body.since is None):
        raise ProblemError(400, "message or since, one of them")
    here = city(request)
    with borrow(here.pool) as connection:
        again = endpoints.replay(
            connection, name, here.clock(), message_id=body.message, since=body.since, failed_only=body.failed_only
        )
    return ReplayOut(again=again)


@router.get("/deliveries", dependencies=[_operator])
def list_deliveries(
    request: Request,
    endpoint: Annotated[str | None, Query(max_length=64)] = None,
    state: DeliveryState | None = None,
    alert: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    incident: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Limit = 100,
    after: After = None,
) -> DeliveryPage:
    """The delivery log, the newest first."""
    last_seen = decode_cursor(after, int)
    with borrow(city(request).pool) as connection:
        found = outbox.deliveries(
            connection, endpoint=endpoint, state=state, alert_id=alert, incident_id=incident,
            before_id=last_seen[0] if last_seen else None, limit=limit + 1,
        )  # fmt: skip
    more = encode_cursor(found[limit - 1].delivery_id) if len(found) > limit else None
    return DeliveryPage(items=[DeliveryOut.model_validate(each) for each in found[:limit]], next=more)


@router.get("/escalations", dependencies=[_operator])
def list_escalations(request: Request) -> EscalationList:
    """The stages of the escalation chains, in the order in which they are gone through."""
    with borrow(city(request).pool) as connection:
        return EscalationList(items=[EscalationOut.model_validate(each) for each in endpoints.escalations(connection)])


@router.post("/escalations", status_code=201, responses={409: {"description": "There is such a stage"}})
def add_escalation(request: Request, body: EscalationIn, key: AdminKey) -> EscalationOut:  # noqa: ARG001
    """Add a stage to a chain."""
    here = city(request)
    with borrow(here.pool) as connection:
        number = endpoints.escalate(
            connection, body.endpoint, here.clock(), level=Level.from_slug(body.level), after_s=body.after_s,
            network=body.network, team=body.team,
        )  # fmt: skip
        return next(
            EscalationOut.model_validate(each)
            for each in endpoints.escalations(connection)
            if each.escalation_id == number
        )


@router.delete("/escalations/{id}", status_code=204)
def drop_escalation(request: Request, id: SmallId, key: AdminKey) -> None:  # noqa: A002, ARG001
    """Take a stage out of its chain."""
    with borrow(city(request).pool) as connection:
        endpoints.drop_escalation(connection, id)


def _values(here: City, body: EndpointBody) -> dict[str, Any]:
    unknown = set(body.networks or ()) - here.catalogue.networks.keys()
    if unknown:
        raise ProblemError(400, f"unknown network {', '.join(sorted(unknown))}")
    pacing = body.pacing
    return {
        "networks": body.networks, "zones": body.zones, "kinds": body.kinds, "format": body.format, "links": body.links,
        "worst_level": Level.from_slug(body.worst_level), "events": body.events, "scope": body.scope,
        "pacing": Pacing(
            pacing.quiet_from, pacing.quiet_until, pacing.quiet_zone or here.settings.timezone, tuple(pacing.group_by),
            pacing.group_wait_s, pacing.group_interval_s, pacing.repeat_s,
        ),
    }  # fmt: skip
