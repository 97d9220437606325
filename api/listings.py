"""A page of a list as JSON, CSV or GeoJSON: the same rows, for a program, a spreadsheet or a map."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Protocol, TypeVar

import orjson
from fastapi import Query, Request, Response
from pydantic import BaseModel

from api.documents import GEOJSON, collection, document, respond
from lifeline.model import JsonObject
from lifeline.spreadsheet import MARK, table

CSV = "text/csv"


class Form(StrEnum):
    JSON = "json"
    CSV = "csv"
    GEOJSON = "geojson"


FormChoice = Annotated[
    Form, Query(alias="format", description="csv for a spreadsheet, geojson for a map; the next page is in `Link`")
]
LISTED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            CSV: {"schema": {"type": "string"}, "example": "id,level\n1,red\n"},
            GEOJSON: {"schema": {"type": "object"}, "example": {"type": "FeatureCollection", "features": []}},
        }
    },
    304: {"description": "As the ETag says"},
}
"""What a route that gives lists declares beside its JSON."""


class Listing(Protocol):
    """A page of rows and the cursor of the next one."""

    @property
    def items(self) -> Sequence[BaseModel]: ...

    @property
    def next(self) -> str | None: ...


P = TypeVar("P", bound=Listing)


def listed(request: Request, form: Form, page: P, name: str, row: type[BaseModel]) -> P | Response:
    """The page itself for JSON, else as a file called after ``name``; ``row`` says which columns there are."""
    if form is Form.JSON:
        return page
    rows = [each.model_dump(mode="json") for each in page.items]
    headers = {}
    if page.next is not None:
        headers["Link"] = f'<{request.url.include_query_params(after=page.next)}>; rel="next"'
    if form is Form.CSV:
        return as_csv(request, list(row.model_fields), rows, name, headers)
    body = collection([orjson.dumps(_feature(each)) for each in rows])
    return respond(request, document(body, GEOJSON), headers | _attached(f"{name}.geojson"))


def as_csv(
    request: Request,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    name: str,
    headers: dict[str, str] | None = None,
) -> Response:
    """Rows as a CSV file."""
    found = document(MARK + table(columns, rows).encode(), f"{CSV}; charset=utf-8")
    return respond(request, found, (headers or {}) | _attached(f"{name}.csv"))


def features_as_csv(request: Request, geojson: bytes, name: str, headers: dict[str, str] | None = None) -> Response:
    """The properties of a FeatureCollection's features as a CSV file."""
    rows = [each["properties"] for each in orjson.loads(geojson)["features"]]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return as_csv(request, columns, rows, name, headers)


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _feature(row: JsonObject) -> JsonObject:
    geometry = row.pop("geometry", None)
    if geometry is None and row.get("longitude") is not None and row.get("latitude") is not None:
        geometry = {"type": "Point", "coordinates": [row["longitude"], row["latitude"]]}
    return {"type": "Feature", "id": row.get("id"), "geometry": geometry, "properties": row}
