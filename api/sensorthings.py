"""OGC SensorThings 1.1, for reading: devices are Things, sensors Datastreams, readings Observations.

A path is walked from left to right, each step a set, an entity of it, a link to the next or a property. The options of
OData say what of the last set is wanted; ``lifeline.storage.sensorthings`` turns both into one statement each.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import Access
from api.city import city
from api.documents import document, respond
from api.parameters import StrictRoute
from api.problems import ProblemError
from lifeline.errors import NotFoundError, RejectedDataError
from lifeline.model import Role
from lifeline.storage import sensorthings as rows
from lifeline.storage.database import Connection, borrow
from lifeline.storage.sensorthings import SETS, EntitySet, Row
from lifeline.storage.sensorthings import Query as Asked

VERSION = "v1.1"
ROOT = f"/sensorthings/{VERSION}"
LARGEST = 10_000
LARGEST_EXPANDED = 1_000
DEEPEST = 4
CONFORMANCE = [
    "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/resource-path/resource-path-to-entities",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/request-data",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/data-array/data-array",
]
router = APIRouter(
    prefix="/sensorthings", route_class=StrictRoute, tags=["SensorThings"], dependencies=[Depends(Access(Role.VIEWER))]
)
_STEP = re.compile(r"(\$?[A-Za-z]+)(?:\(([^()]*)\))?")
_Text = Annotated[str | None, Query(max_length=4000)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path has come to: a set (``row`` None; ``where`` narrows it), an entity of it, or a property of that."""

    known: EntitySet
    where: tuple[str, Any] | None = None
    row: Row | None = None
    attribute: str = ""
    form: str = ""
    """``$ref`` or ``$value`` where the path ends in one."""


@router.get("/v1.1", response_class=Response)
def root(request: Request) -> Response:
    """The entity sets, and which parts of the standard are kept."""
    base = _base(request)
    listed = [{"name": name, "url": f"{base}/{name}"} for name in SETS]
    return _json(request, {"value": listed, "serverSettings": {"conformance": CONFORMANCE}})


@router.get("/v1.1/{path:path}", response_class=Response)
def read(
    request: Request,
    path: str,
    filter_: Annotated[str | None, Query(alias="$filter", examples=["result gt 5"])] = None,
    orderby: Annotated[_Text, Query(alias="$orderby", examples=["phenomenonTime desc"])] = None,
    top: Annotated[int, Query(alias="$top", ge=0, description="More than 10000 means 10000")] = 100,
    skip: Annotated[int, Query(alias="$skip", ge=0, le=2**53)] = 0,
    select: Annotated[_Text, Query(alias="$select")] = None,
    expand: Annotated[_Text, Query(alias="$expand", examples=["Observations($top=1)"])] = None,
    count: Annotated[bool, Query(alias="$count")] = False,
    result_format: Annotated[str | None, Query(alias="$resultFormat", pattern="^dataArray$")] = None,
) -> Response:
    """Whatever the path leads to: a set, an entity, a property, `$ref` or `$value`."""
    try:
        largest = LARGEST_EXPANDED if expand else LARGEST
        asked = Asked(filter_, orderby, min(top, largest), skip, _names(select), expansions(expand), count)
        here = city(request)
        kinds = rows.quantities(here.catalogue)
        with borrow(here.pool) as connection:
            place = walk(connection, kinds, path)
            return _answer(request, Reader(connection, kinds, _base(request)), place, asked, result_format)
    except RejectedDataError as error:
        raise ProblemError(400, str(error)) from error


def _answer(request: Request, reader: "Reader", place: Place, asked: Asked, result_format: str | None) -> Response:
    if place.attribute:
        value = (place.row or {})[place.attribute]
        if place.form == "$value":
            text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()
            return Response(text, media_type="text/plain")
        return _json(request, {place.attribute: value})
    if place.row is not None:
        return _json(request, reader.entities(place.known, [place.row], asked)[0])
    found = reader.collection(place, asked, str(request.url))
    if place.form == "$ref":
        found["value"] = [{"@iot.selfLink": each["@iot.selfLink"]} for each in found["value"]]
    elif result_format is not None:
        if place.known.name != "Observations" or asked.expand:
            raise ProblemError(400, "$resultFormat=dataArray is for Observations that are not expanded")
        found["value"] = data_array(reader.base, found["value"], asked)
    return _json(request, found)


def walk(connection: Connection, kinds: str, path: str) -> Place:
    """Follow a path from the root. Raises NotFoundError where a step leads nowhere."""
    place: Place | None = None
    for step in path.split("/"):
        parts = _STEP.fullmatch(step)
        if parts is None:
            raise NotFoundError(f"{step!r} is no step of a path")
        place = _next(connection, kinds, place, parts[1])
        if parts[2] is not None:
            place = _pick(connection, kinds, place, parts[2])
    if place is None:
        raise NotFoundError("an empty path")
    return place


def _next(connection: Connection, kinds: str, place: Place | None, name: str) -> Place:
    if place is None:
        if name not in SETS:
            raise NotFoundError(f"there is no set {name!r}; there are: {', '.join(SETS)}")
        return Place(SETS[name])
    if place.form:
        raise NotFoundError(f"nothing comes after {place.form}")
    if name == "$ref" and place.row is None:
        return replace(place, form=name)
    if name == "$value" and place.attribute:
        return replace(place, form=name)
    if place.row is None or place.attribute:
        raise NotFoundError(f"{name!r} needs an entity before it, such as {place.known.name}(1)")
    link = place.known.links.get(name)
    if link is None:
        if name not in place.known.properties:
            raise NotFoundError(f"{place.known.name} have no {name!r}")
        return replace(place, attribute=name)
    value = place.row[link.ours]
    if value is None:
        raise NotFoundError(f"this entity has no {name}")
    target = SETS[link.target]
    if link.many:
        return Place(target, (link.theirs, value))
    return Place(target, row=rows.one(connection, kinds, target.name, [(link.theirs, value)]))


def _pick(connection: Connection, kinds: str, place: Place, text: str) -> Place:
    """One entity of a set by its id: a number, or a text in quotes."""
    if place.row is not None or place.form:
        raise NotFoundError(f"({text}) picks from a set, and there is none here")
    wanted: int | str
    if place.known.text_id:
        wanted = text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text
    elif re.fullmatch(r"[0-9]{1,18}", text):
        wanted = int(text)
    else:
        raise NotFoundError(f"there is no {text} in {place.known.name}")
    conditions = [("id", wanted), *([place.where] if place.where else [])]
    return Place(place.known, row=rows.one(connection, kinds, place.known.name, conditions))


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads sets and puts their rows into the standard's JSON."""

    connection: Connection
    kinds: str
    base: str

    def collection(self, place: Place, asked: Asked, address: str) -> dict[str, Any]:
        """A page of a set, with the address of the next one."""
        found: dict[str, Any] = {}
        if asked.count:
            found["@iot.count"] = rows.count(self.connection, self.kinds, place.known.name, asked, place.where)
        page = rows.find(self.connection, self.kinds, place.known.name, asked, place.where)
        if len(page) > asked.top > 0:
            found["@iot.nextLink"] = _with_skip(address, asked.skip + asked.top)
        return found | {"value": self.entities(place.known, page[: asked.top], asked)}

    def entities(self, known: EntitySet, page: list[Row], asked: Asked) -> list[dict[str, Any]]:
        """Rows as entities, with what is to be expanded in them. Raises RejectedDataError for an unknown name."""
        for name in (*asked.select, *asked.expand):
            if name not in (known.links if name in asked.expand else known.links.keys() | known.properties.keys()):
                raise RejectedDataError(f"{known.name} have no {name!r}")
        shown = [self._entity(known, row, asked) for row in page]
        for name, wanted in asked.expand.items():
            self._expand(known, page, shown, name, wanted)
        return shown

    def links(self, known: EntitySet, row: Row) -> str:
        """The entity's own address."""
        return f"{self.base}/{known.name}({_quoted(row['id'])})"

    def _entity(self, known: EntitySet, row: Row, asked: Asked) -> dict[str, Any]:
        itself = self.links(known, row)
        shown = {"@iot.id": row["id"], "@iot.selfLink": itself}
        shown |= {name: row[name] for name in known.properties if name != "id" and _wanted(name, asked)}
        return shown | {
            f"{name}@iot.navigationLink": f"{itself}/{name}"
            for name in known.links
            if name in asked.select or (not asked.select and name not in asked.expand)
        }

    def _expand(self, known: EntitySet, page: list[Row], shown: list[dict[str, Any]], name: str, wanted: Asked) -> None:
        link = known.links[name]
        target = SETS[link.target]
        parents = list({row[link.ours] for row in page if row[link.ours] is not None})
        found = rows.related(self.connection, self.kinds, link, wanted, parents) if parents else {}
        for row, entity in zip(page, shown, strict=True):
            below = found.get(row[link.ours], [])
            inside = self.entities(target, below[: wanted.top], wanted)
            if link.many:
                entity[name] = inside
                if len(below) > wanted.top:
                    there = f"{self.links(known, row)}/{name}"
                    entity[f"{name}@iot.nextLink"] = f"{there}?$top={wanted.top}&$skip={wanted.skip + wanted.top}"
            else:
                entity[name] = inside[0] if inside else None


def data_array(base: str, value: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    """Observations by column names, one array a datastream: a fifth of the size."""
    columns = ["id", *(name for name in SETS["Observations"].properties if name != "id" and _wanted(name, asked))]
    by_stream: dict[str, list[list[Any]]] = {}
    for each in value:
        line = [each["@iot.id"], *(each[name] for name in columns[1:])]
        by_stream.setdefault(str(each["@iot.id"]).partition("-")[0], []).append(line)
    return [
        {
            "Datastream@iot.navigationLink": f"{base}/Datastreams({stream})",
            "components": columns,
            "dataArray@iot.count": len(lines),
            "dataArray": lines,
        }
        for stream, lines in by_stream.items()
    ]


def expansions(text: str | None, depth: int = 1) -> dict[str, Asked]:
    """``$expand``: names between commas, each with options in brackets or a path. Raises RejectedDataError."""
    if text is None:
        return {}
    if depth > DEEPEST:
        raise RejectedDataError(f"$expand goes deeper than {DEEPEST} steps")
    found: dict[str, Asked] = {}
    for each in _split(text, ","):
        path, bracket, inside = each.strip().partition("(")
        if bracket and not inside.endswith(")"):
            raise RejectedDataError(f"$expand: {each!r} has no closing bracket")
        name, slash, rest = path.partition("/")
        options = _options(inside[:-1] if bracket and not slash else "", depth)
        if slash:
            deeper = expansions(rest + (f"({inside}" if bracket else ""), depth + 1)
            options = replace(options, expand=options.expand | deeper)
        before = found.get(name)
        found[name] = replace(options, expand=before.expand | options.expand) if before else options
    return found


def _options(text: str, depth: int) -> Asked:
    asked = Asked()
    for each in _split(text, ";") if text else ():
        name, equals, value = each.strip().partition("=")
        if not equals:
            raise RejectedDataError(f"$expand: {each!r} is no option")
        if name in ("$top", "$skip"):
            if not re.fullmatch("[0-9]{1,9}", value):
                raise RejectedDataError(f"{name} must be a number")
            number = int(value)
            asked = replace(asked, top=min(number, LARGEST_EXPANDED)) if name == "$top" else replace(asked, skip=number)
        elif name == "$filter":
            asked = replace(asked, filter=value)
        elif name == "$orderby":
            asked = replace(asked, orderby=value)
        elif name == "$select":
            asked = replace(asked, select=_names(value))
        elif name == "$expand":
            asked = replace(asked, expand=expansions(value, depth + 1))
        elif name != "$count":
            raise RejectedDataError(f"$expand knows no option {name!r}")
    return asked


def _split(text: str, mark: str) -> Iterator[str]:
    """Parts between ``mark``, but not inside brackets or quotes."""
    depth, quoted, start = 0, False, 0
    for at, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted and letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == mark and not quoted and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",")) if text else ()


def _wanted(name: str, asked: Asked) -> bool:
    return not asked.select or name in asked.select


def _quoted(identity: object) -> str:
    return "'{}'".format(identity.replace("'", "''")) if isinstance(identity, str) else str(identity)


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}{ROOT}"


def _with_skip(address: str, skip: int) -> str:
    """The same address with another ``$skip``; what stands in it is left as it was written."""
    address, _, query = address.partition("?")
    kept = [each for each in query.split("&") if each and not re.match(r"(\$|%24)skip=", each)]
    return f"{address}?{'&'.join([*kept, f'$skip={skip}'])}"


def _json(request: Request, body: Any) -> Response:
    return respond(request, document(orjson.dumps(body, option=orjson.OPT_UTC_Z), "application/json", level=1))
