"""What requests may say: boxes, moments, cursors, and no word that a route does not know."""

import base64
import binascii
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, AwareDatetime

from api.problems import ProblemError
from lifeline.geo import Box

LARGEST_PAGE = 1000

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class StrictRoute(APIRoute):
    """Refuses query parameters that the route does not know, and NUL bytes, which no text column can hold.

    A misspelt filter would otherwise answer with everything, which looks like an answer.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        known = {field.alias for field in self.dependant.query_params}

        async def strict(request: Request) -> Response:
            if request.url.query:
                unknown = sorted(set(request.query_params) - known)
                if unknown:
                    allowed = ", ".join(sorted(known)) or "none"
                    raise ProblemError(400, f"unknown parameter {unknown[0]!r}; this route knows: {allowed}")
                if any("\0" in value for value in request.query_params.values()):
                    raise ProblemError(400, "a parameter holds a NUL byte")
            if "\0" in request.url.path or "%00" in request.url.path:
                raise ProblemError(400, "the path holds a NUL byte")
            return await answer(request)

        return strict


def box_of(text: str | None) -> Box | None:
    """``west,south,east,north`` in degrees. Raises ProblemError 400."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(side) for side in text.split(","))
    except ValueError:
        raise ProblemError(400, "bbox must be four numbers: west,south,east,north") from None
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ProblemError(400, "bbox must be west,south,east,north in degrees, west before east, south before north")
    return Box(west, south, east, north)


def _in_our_time(moment: datetime) -> datetime:
    # Compared by hand: arithmetic on a moment near the ends of the calendar overflows in another time zone.
    if not EARLIEST.year <= moment.year < LATEST.year:
        raise ValueError("the year must be 1970 to 2199")
    return moment


def encode_cursor(*values: str | int) -> str:
    """An opaque text that says where a page ended."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def decode_cursor(text: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """What ``encode_cursor`` was given. Raises ProblemError 400 for a text that it did not make."""
    if text is None:
        return None
    try:
        values = orjson.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        fits = isinstance(values, list) and len(values) == len(kinds)
        if not fits or any(type(value) is not kind for value, kind in zip(values, kinds, strict=True)):
            raise ValueError(text)
        if any(isinstance(value, int) and not 0 <= value < 2**63 for value in values):
            raise ValueError(text)
    except (ValueError, binascii.Error):
        raise ProblemError(400, "after must be the `next` of an earlier page") from None
    return tuple(values)


Bbox = Annotated[
    str | None, Query(description="west,south,east,north in degrees (WGS 84)", examples=["117.2,31.8,117.3,31.9"])
]
Network = Annotated[str | None, Query(max_length=64, description="A network of the catalogue", examples=["gas"])]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Rows on a page at most")]
After = Annotated[str | None, Query(max_length=512, description="`next` of the page before")]
Moment = Annotated[AwareDatetime, AfterValidator(_in_our_time)]
Name = Annotated[str, Path(max_length=64, description="The city's own name for it", examples=["P-12"])]
SmallId = Annotated[int, Path(ge=1, le=2**31 - 1)]
BigId = Annotated[int, Path(ge=1, le=2**63 - 1)]
