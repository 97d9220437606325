"""Routes of maintenance windows: planned work, by network, zone, asset, sensor, device and rule together."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.access import Access
from api.city import city
from api.parameters import Moment, SmallId, StrictRoute
from api.problems import ProblemError
from lifeline.model import Role
from lifeline.principal import Principal
from lifeline.storage import maintenance
from lifeline.storage.database import borrow
from lifeline.storage.maintenance import Window

router = APIRouter(prefix="/api/v1/maintenance-windows", route_class=StrictRoute, tags=["maintenance"])
_viewer = Depends(Access(Role.VIEWER))
OperatorKey = Annotated[Principal, Depends(Access(Role.OPERATOR))]


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL byte")
    return value


Word = Annotated[str, AfterValidator(_storable), Field(min_length=1, max_length=64)]
Reason = Annotated[str, AfterValidator(_storable), Field(max_length=2000)]


class WindowIn(BaseModel):
    """What the work is about, all of it together; what is left out matches anything. No ``ends_at``: out of service."""

    model_config = ConfigDict(extra="forbid")

    network: Word | None = None
    zone: Word | None = None
    asset: Word | None = None
    sensor: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    rule: Word | None = None
    begins_at: Moment | None = None
    ends_at: Moment | None = None
    reason: Reason = ""


class WindowChange(BaseModel):
    """What is left out stays. ``ends_at`` null: until somebody ends it."""

    model_config = ConfigDict(extra="forbid")

    ends_at: Moment | None = None
    reason: Reason | None = None


class WindowOut(BaseModel):
    """A window; ``ended_by`` says who ended it before its time."""

    model_config = ConfigDict(from_attributes=True)

    id: Annotated[int, Field(validation_alias="window_id")]
    network: str | None
    zone: str | None
    asset: str | None
    sensor: Annotated[int | None, Field(validation_alias="sensor_id")]
    device: str | None
    rule: str | None
    begins_at: datetime
    ends_at: datetime | None
    reason: str
    created_by: str
    ended_by: str | None


class WindowList(BaseModel):
    items: list[WindowOut]


@router.get("", dependencies=[_viewer])
def list_windows(
    request: Request,
    since: Annotated[Moment | None, Query(description="Also those that ended after this moment")] = None,
) -> WindowList:
    """Windows that are open or to come."""
    here = city(request)
    with borrow(here.pool) as connection:
        found = maintenance.windows(connection, since or here.clock())
    return WindowList(items=[window_out(each) for each in found])


@router.post("", status_code=201, responses={409: {"description": "It is about nothing, or ends before it begins"}})
def open_window(request: Request, body: WindowIn, key: OperatorKey) -> WindowOut:
    """Plan work: nothing new is raised in it, and what is open there is out of service."""
    here = city(request)
    now = here.clock()
    if body.network is not None and body.network not in here.catalogue.networks:
        raise ProblemError(400, f"unknown network {body.network!r}")
    with borrow(here.pool) as connection:
        number = maintenance.open_window(
            connection, key.name, now, begins_at=body.begins_at or now, ends_at=body.ends_at, network=body.network,
            zone=body.zone, asset=body.asset, sensor_id=body.sensor, rule=body.rule, reason=body.reason,
        )  # fmt: skip
        return window_out(maintenance.get(connection, number))


@router.get("/{id}", dependencies=[_viewer])
def get_window(request: Request, id: SmallId) -> WindowOut:  # noqa: A002
    """One window."""
    with borrow(city(request).pool) as connection:
        return window_out(maintenance.get(connection, id))


@router.patch("/{id}", responses={409: {"description": "It is over"}})
def change_window(request: Request, id: SmallId, body: WindowChange, key: OperatorKey) -> WindowOut:  # noqa: A002
    """Let the work last longer or shorter, or say why."""
    here = city(request)
    with borrow(here.pool) as connection:
        was = maintenance.get(connection, id)
        ends_at = body.ends_at if "ends_at" in body.model_fields_set else was.ends_at
        reason = was.reason if body.reason is None else body.reason
        maintenance.change_window(connection, id, key.name, here.clock(), ends_at=ends_at, reason=reason)
        return window_out(maintenance.get(connection, id))


@router.delete("/{id}")
def end_window(request: Request, id: SmallId, key: OperatorKey) -> WindowOut:  # noqa: A002
    """End a window now; one that has not begun never does. It stays in the list of the past."""
    here = city(request)
    with borrow(here.pool) as connection:
        maintenance.end_window(connection, id, key.name, here.clock())
        return window_out(maintenance.get(connection, id))


def window_out(window: Window) -> WindowOut:
    """A window as it is sent."""
    return WindowOut.model_validate(window)
