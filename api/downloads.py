"""Readings of many sensors over a span as one file, streamed: CSV, Arrow or Parquet, in constant memory.

A download has a connection of its own, so that it takes none from whoever looks at the map, and a few may run at once.
It sees one moment of the database. What goes wrong on the way breaks the connection off: half a file is no file.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from threading import BoundedSemaphore
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api import columnar
from api.access import Access
from api.city import City, city
from api.columnar import Block
from api.documents import accepted_encodings
from api.listings import CSV
from api.parameters import Moment, StrictRoute, span
from api.problems import ProblemError
from lifeline.errors import NotFoundError
from lifeline.model import Role
from lifeline.storage import series
from lifeline.storage.database import borrow, connect
from lifeline.storage.series import Measured, Resolution

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["inventory"], dependencies=[Depends(Access(Role.VIEWER))]
)
MOST_SENSORS = 500
AT_ONCE = 4
LONGEST_S = 900.0
"""A client that takes longer to take it is cut off: it holds a connection of the database."""
ROWS = 20_000
_slots = BoundedSemaphore(AT_ONCE)


class FileForm(StrEnum):
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA = {
    FileForm.CSV: CSV,
    FileForm.ARROW: "application/vnd.apache.arrow.stream",
    FileForm.PARQUET: "application/vnd.apache.parquet",
}
_SUFFIXES = {FileForm.CSV: "csv", FileForm.ARROW: "arrows", FileForm.PARQUET: "parquet"}


class Download(StreamingResponse):
    """Gives its place to the next one when it ends, however it ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(LONGEST_S):
                await super().__call__(scope, receive, send)
        finally:
            _slots.release()


@router.get(
    "/readings",
    response_class=Response,
    responses={
        200: {"content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()}},
        503: {"description": "As many downloads run as may; `Retry-After`"},
    },
)
def download_readings(
    request: Request,
    sensor: Annotated[list[int], Query(min_length=1, max_length=MOST_SENSORS, description="May be repeated")],
    start: Annotated[Moment | None, Query(alias="from", description="Default: 24 hours before `to`")] = None,
    end: Annotated[Moment | None, Query(alias="to", description="Default: now; itself not included")] = None,
    resolution: Resolution = Resolution.RAW,
    form: Annotated[FileForm | None, Query(alias="format", description="Default: as `Accept` says, else csv")] = None,
) -> Response:
    """Readings of many sensors as a file, by sensor and time. `auto`: raw up to 26 hours, then roll-ups by the span."""
    here = city(request)
    now = here.clock()
    since, until = span(start, end, now)
    if not all(1 <= each < 2**31 for each in sensor):
        raise ProblemError(400, "sensor must be the number of a sensor")
    wanted = sorted(set(sensor))
    with borrow(here.pool) as connection:
        measured = series.measured(connection, wanted)
    if missing := set(wanted) - {each.sensor_id for each in measured}:
        raise NotFoundError(f"there is no sensor {min(missing)}")
    chosen, kind = series.chosen(resolution, until - since), form or _accepted(request)
    packing = columnar.packing(accepted_encodings(request.headers.get("accept-encoding", "")), kind is FileForm.CSV)
    blocks = _blocks(here, measured, since, until, chosen, now)
    units = {name: each.unit for name, each in here.catalogue.quantities.items()}
    body = columnar.WRITERS[kind](blocks, measured, units, rolled=chosen is not Resolution.RAW)
    headers = {
        "Content-Disposition": f'attachment; filename="readings.{_SUFFIXES[kind]}"',
        "Vary": "Accept, Accept-Encoding",
        **({"Content-Encoding": packing} if packing else {}),
    }
    if not _slots.acquire(blocking=False):
        raise ProblemError(503, f"{AT_ONCE} downloads run already; try again", {"Retry-After": "5"})
    return Download(columnar.packed(body, packing), media_type=MEDIA[kind], headers=headers)


def _accepted(request: Request) -> FileForm:
    said = request.headers.get("accept", "")
    return next((kind for kind, media in MEDIA.items() if media in said), FileForm.CSV)


def _blocks(
    here: City, measured: Sequence[Measured], since: datetime, until: datetime, chosen: Resolution, now: datetime
) -> Iterator[Block]:
    with connect(here.settings.require_database(), application="lifeline api download") as connection:
        series.one_moment(connection)
        for place, each in enumerate(measured):
            for points in series.stream(connection, each.sensor_id, since, until, chosen, now, ROWS):
                yield Block(place, points)
