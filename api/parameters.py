"""What requests may say: boxes, moments, cursors, and no word that a route does not know."""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_args, get_origin

import orjson
from fastapi import Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, AwareDatetime

from api import repeats
from api.access import Access
from api.problems import ProblemError
from lifeline.geo import Box
from lifeline.records import storable_json

LARGEST_PAGE = 1000

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class StrictRoute(APIRoute):
    """Asks for the key before anything else; then refuses query parameters that the route does not know or that say
    two things at once, and text that no column can hold: NUL bytes, and in a JSON body halves of surrogate pairs.

    A misspelt filter would otherwise answer with everything, which looks like an answer.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        known = {field.alias for field in self.dependant.query_params}
        lists = {field.alias for field in self.dependant.query_params if _holds_list(field.field_info.annotation)}
        gates = [each.call for each in self.dependant.dependencies if isinstance(each.call, Access)]

        async def strict(request: Request) -> Response:
            for gate in gates:  # again as a dependency, from memory: FastAPI would read the body first
                await gate(request)
            if request.url.query:
                unknown = sorted(set(request.query_params) - known)
                if unknown:
                    allowed = ", ".join(sorted(known)) or "none"
                    raise ProblemError(400, f"unknown parameter {unknown[0]!r}; this route knows: {allowed}")
                given = Counter(name for name, _ in request.query_params.multi_items() if name not in lists)
                twice = sorted(name for name, times in given.items() if times > 1)
                if twice:
                    raise ProblemError(400, f"{twice[0]!r} is given more than once")
                if any("\0" in value for _, value in request.query_params.multi_items()):
                    raise ProblemError(400, "a parameter holds a NUL byte")
            if "\0" in request.url.path or "%00" in request.url.path:
                raise ProblemError(400, "the path holds a NUL byte")
            if self.body_field is not None and _is_json(request) and not _storable(await request.body()):
                raise ProblemError(
                    400, "the body holds what cannot be kept: a NUL character or half of a surrogate pair"
                )
            return await repeats.once(request, answer)

        return strict


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))


def _storable(body: bytes) -> bool:
    """Whether the text in a JSON body can be kept. Only an escape brings what cannot: UTF-8 has no half pairs, and JSON
    no bare NUL."""
    if b"\\u" not in body:
        return True
    try:
        return storable_json(json.loads(body))
    except (ValueError, RecursionError):
        return True  # it is no JSON, and FastAPI says so


def _holds_list(annotation: Any) -> bool:
    """Whether a parameter may be repeated: ``list[...]`` or ``list[...] | None``."""
    return any(get_origin(each) is list for each in (annotation, *get_args(annotation)))


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


def span(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From and to of what is asked for: by default the 24 hours up to now. Raises ProblemError if none lies between."""
    until = end or now + timedelta(seconds=1)
    since = start or until - timedelta(hours=24)
    if since >= until:
        raise ProblemError(400, "from must be before to")
    return since, until
