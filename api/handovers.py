"""Routes of the hand-over: what a shift tells the next one."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.access import Access
from api.alerts import LevelName
from api.city import city
from api.parameters import After, Limit, Moment, StrictRoute, decode_cursor, encode_cursor
from api.reports import storable
from lifeline.model import JsonObject, Level, Role
from lifeline.principal import Principal
from lifeline.response import Step
from lifeline.storage import handovers
from lifeline.storage.database import borrow
from lifeline.storage.handovers import Handover

router = APIRouter(prefix="/api/v1/handovers", route_class=StrictRoute, tags=["handling"])


class HandoverIn(BaseModel):
    """What the next shift must know. What is open is added by itself."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"note": "长江路阀门井 3 号已关阀，抢修队 08:30 到场"}}
    )

    note: Annotated[str, Field(min_length=1, max_length=4000)]

    @field_validator("note")
    @classmethod
    def _storable(cls, value: str) -> str | None:
        if not value.strip():
            raise ValueError("must say something")
        return storable(value)


class OpenEventOut(BaseModel):
    """An incident, or a risk alert that belonged to none, as it stood when the note was written."""

    kind: Literal["incident", "alert"]
    id: int
    level: LevelName
    place: str
    title: JsonObject | None
    step: Step
    who: str


class HandoverOut(BaseModel):
    """A note, by whom and when. ``open``: the worst 200 of the ``open_count`` that were open then."""

    id: int
    at: datetime
    author: str
    note: str
    open: list[OpenEventOut]
    open_count: int


class HandoverPage(BaseModel):
    items: list[HandoverOut]
    next: str | None


@router.get("", dependencies=[Depends(Access(Role.VIEWER))])
def list_handovers(
    request: Request,
    since: Annotated[Moment | None, Query(description="Written at this moment or later")] = None,
    until: Annotated[Moment | None, Query(description="Written before this moment")] = None,
    limit: Limit = 100,
    after: After = None,
) -> HandoverPage:
    """Hand-over notes, the newest first."""
    (before,) = decode_cursor(after, int) or (None,)
    with borrow(city(request).pool) as connection:
        found = handovers.handovers(connection, since=since, until=until, before=before, limit=limit + 1)
    more = encode_cursor(found[limit - 1].handover_id) if len(found) > limit else None
    return HandoverPage(items=[_out(each) for each in found[:limit]], next=more)


@router.post("", status_code=201)
def hand_over(
    request: Request, body: HandoverIn, by: Annotated[Principal, Depends(Access(Role.OPERATOR))]
) -> HandoverOut:
    """Write a note for the next shift; what is open now is kept beside it. It cannot be changed: write another."""
    here = city(request)
    with borrow(here.pool) as connection:
        return _out(handovers.keep(connection, body.note, by.name, here.clock()))


def _out(found: Handover) -> HandoverOut:
    told = [OpenEventOut(**{**each, "level": Level(each["level"]).slug}) for each in found.open]
    return HandoverOut(
        id=found.handover_id, at=found.at, author=found.author, note=found.note, open=told, open_count=found.open_count
    )
