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
from api.risk import CellSize, own
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
    """Of what is drawn, at two moments; null where it was not on the map. ``change`` in points."""

    before: State | None = Field(alias="from", serialization_alias="from")
    after: State | None = Field(alias="to", serialization_alias="to")
    change: float


class CellChange(Change):
    cell: str


class SegmentChange(Change):
    asset: str


class Period(BaseModel):
    since: datetime = Field(alias="from", serialization_alias="from")
    until: datetime = Field(alias="to", serialization_alias="to")


class Counted(Period):
    """``counts`` of each list in full."""

    counts: dict[str, int]
    levels: dict[str, dict[str, int]]


class Comparison(Counted):
    """What changed between two frames: the first of each list."""

    resolution: int
    rose: list[CellChange]
    fell: list[CellChange]
    lost_sight: list[CellChange]
    seen_again: list[CellChange]


class SegmentComparison(Counted):
    """The same of pipes, by the city's own ids."""

    rose: list[SegmentChange]
    fell: list[SegmentChange]
    lost_sight: list[SegmentChange]
    seen_again: list[SegmentChange]


class Drawing(BaseModel):
    at: datetime
    recorded: bool


class Frame(Drawing):
    """The first frame has every cell, the others those that changed: [cell, level or null where gone, score]."""

    cells: list[tuple[str, str | None, float]]


class Play(Period):
    step_s: float
    resolution: int
    frames: list[Frame]


class SegmentFrame(Drawing):
    """The first frame has each pipe that will change, the others those that did: [asset, level or null where gone,
    score]."""

    segments: list[tuple[str, str | None, float]]


class SegmentPlay(Period):
    """``changed``: how many pipes did in the period; the frames hold those that moved most."""

    step_s: float
    changed: int
    frames: list[SegmentFrame]


_From = Annotated[Moment, Query(alias="from", description="With a time zone")]
_Step = Annotated[float | None, Query(ge=0.001, le=86_400 * 31, description="Default: 60 frames")]
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
        return Comparison.model_validate(
            past.compare(connection, since, end, resolution, limit, own(request, resolution))
        )


@router.get("/frames")
def play(
    request: Request,
    since: _From,
    until: _To = None,
    step_s: _Step = None,
    resolution: CellSize = CellSize.MIDDLE,
) -> Play:
    """A period to play: every cell at its beginning, then what changed, step by step."""
    end = _end(request, since, until)
    with borrow(city(request).pool) as connection:
        step, part = _step(since, end, step_s), own(request, resolution)
        return Play.model_validate(past.play(connection, since, end, step, resolution, part))


@router.get("/compare/segments")
def compare_segments(
    request: Request, since: _From, until: _To = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> SegmentComparison:
    """What pipes rose and fell between two moments, the greatest change first; where sight was lost or came back."""
    end = _end(request, since, until)
    with borrow(city(request).pool) as connection:
        return SegmentComparison.model_validate(past.compare_segments(connection, since, end, limit))


@router.get("/frames/segments")
def play_segments(
    request: Request,
    since: _From,
    until: _To = None,
    step_s: _Step = None,
    limit: Annotated[int, Query(ge=1, le=20_000, description="Those that moved most")] = 2000,
) -> SegmentPlay:
    """A period to play: the pipes that changed in it, each at its beginning, then step by step."""
    end = _end(request, since, until)
    with borrow(city(request).pool) as connection:
        return SegmentPlay.model_validate(past.play_segments(connection, since, end, _step(since, end, step_s), limit))


def _step(since: datetime, end: datetime, step_s: float | None) -> timedelta:
    return timedelta(seconds=step_s) if step_s else max((end - since) / 60, timedelta(seconds=1))


def _end(request: Request, since: datetime, until: datetime | None) -> datetime:
    now = city(request).clock()
    end = until or now
    if end > now:
        raise ProblemError(400, "`to` is in the future: there is no map of it yet")
    if since >= end:
        raise ProblemError(400, "`from` must be before `to`")
    return end
