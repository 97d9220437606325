"""Routes of the map through time: two moments compared, a period to play, and from when to when there is a map."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from api import past
from api.access import Access
from api.city import city
from api.parameters import Moment, StrictRoute
from api.problems import ProblemError
from api.risk import CellSize
from lifeline.model import Role
from lifeline.storage import snapshots
from lifeline.storage.database import borrow

router = APIRouter(
    prefix="/api/v1/risk", route_class=StrictRoute, tags=["risk"], dependencies=[Depends(Access(Role.VIEWER))]
)


class Span(BaseModel):
    """The first and the newest moment of which there is a map; null where nothing is recorded yet."""

    first: datetime | None
    last: datetime | None


class State(BaseModel):
    level: str
    score: float


class Change(BaseModel):
    """A cell at two moments; null where it was not on the map. ``change`` in points."""

    cell: str
    before: State | None = Field(alias="from", serialization_alias="from")
    after: State | None = Field(alias="to", serialization_alias="to")
    change: float


class Comparison(BaseModel):
    """What changed between two frames: ``counts`` of each list in full, and the first of each."""

    since: datetime = Field(alias="from", serialization_alias="from")
    until: datetime = Field(alias="to", serialization_alias="to")
    resolution: int
    counts: dict[str, int]
    levels: dict[str, dict[str, int]]
    rose: list[Change]
    fell: list[Change]
    lost_sight: list[Change]
    seen_again: list[Change]


class Frame(BaseModel):
    """The first frame has every cell, the others those that changed: [cell, level or null where gone, score]."""

    at: datetime
    recorded: bool
    cells: list[tuple[str, str | None, float]]


class Play(BaseModel):
    since: datetime = Field(alias="from", serialization_alias="from")
    until: datetime = Field(alias="to", serialization_alias="to")
    step_s: float
    resolution: int
    frames: list[Frame]


_From = Annotated[Moment, Query(alias="from", description="With a time zone")]
_To = Annotated[Moment | None, Query(alias="to", description="With a time zone; default now")]


@router.get("/span")
def get_span(request: Request) -> Span:
    """From when to when the map can be asked for with `at`."""
    with borrow(city(request).pool) as connection:
        first, last = snapshots.span(connection)
    return Span(first=first, last=last)


@router.get("/compare")
def compare(
    request: Request,
    since: _From,
    until: _To = None,
    resolution: CellSize = CellSize.MIDDLE,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Comparison:
    """What rose and what fell between two moments, the greatest change first; where sight was lost or came back."""
    end = _end(request, since, until)
    with borrow(city(request).pool) as connection:
        return Comparison.model_validate(past.compare(connection, since, end, resolution, limit))


@router.get("/frames")
def play(
    request: Request,
    since: _From,
    until: _To = None,
    step_s: Annotated[float | None, Query(gt=0, le=86_400 * 31, description="Default: 60 frames")] = None,
    resolution: CellSize = CellSize.MIDDLE,
) -> Play:
    """A period to play: every cell at its beginning, then what changed, step by step."""
    end = _end(request, since, until)
    step = timedelta(seconds=step_s) if step_s else max((end - since) / 60, timedelta(seconds=1))
    with borrow(city(request).pool) as connection:
        return Play.model_validate(past.play(connection, since, end, step, resolution))


def _end(request: Request, since: datetime, until: datetime | None) -> datetime:
    now = city(request).clock()
    end = until or now
    if end > now:
        raise ProblemError(400, "`to` is in the future: there is no map of it yet")
    if since >= end:
        raise ProblemError(400, "`from` must be before `to`")
    return end
