"""OGC API Features 1.0 (Part 1: Core): QGIS, ArcGIS and GDAL open the city as layers, without a plug-in.

The collections are pages of the tables (assets, sensors, alerts, reports) and the newest drawing of the risk map
(cells, segments, zones). ``next`` links carry an opaque cursor, so that a page costs the same wherever it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from api import layers
from api.access import Access
from api.city import City, city
from api.documents import GEOJSON, collection, document, respond
from api.layers import Page
from api.parameters import After, Network, StrictRoute, box_of, decode_cursor, encode_cursor
from api.problems import ProblemError
from lifeline import geo
from lifeline.errors import NotFoundError
from lifeline.geo import Box
from lifeline.model import JsonObject, Role
from lifeline.storage import features as rows
from lifeline.storage.database import borrow
from lifeline.storage.features import FeatureFilter

router = APIRouter(
    prefix="/ogc", route_class=StrictRoute, tags=["OGC API Features"], dependencies=[Depends(Access(Role.VIEWER))]
)
CONFORMANCE = [
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
]
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
LARGEST = 10_000


@dataclass(frozen=True, slots=True)
class Layer:
    """One collection: what it is called, and how a page of it is read."""

    title: str
    description: str
    read: Callable[[City, FeatureFilter, int, int], Page]


def _table(source: str, *, open_only: bool = False) -> Callable[[City, FeatureFilter, int, int], Page]:
    def read(here: City, wanted: FeatureFilter, after: int, limit: int) -> Page:
        asked = FeatureFilter(wanted.box, wanted.since, wanted.until, wanted.network, open_only, wanted.fid)
        with borrow(here.pool) as connection:
            return rows.features(connection, source, asked, after=after, limit=limit)

    return read


LAYERS = {
    "assets": Layer("Assets 设施", "Pipes, chambers, valves and the like, with their standing risk", _table("assets")),
    "sensors": Layer("Sensors 传感器", "Sensors with their newest reading", _table("sensors")),
    "alerts": Layer("Alerts 告警", "Every alert, open or closed", _table("alerts")),
    "open-alerts": Layer("Open alerts 未结告警", "Alerts that are open now", _table("alerts", open_only=True)),
    "reports": Layer("Reports 市民上报", "What citizens told: evidence, never an alert by itself", _table("reports")),
    **{
        f"cells-{resolution}": Layer(
            f"Risk, cells {resolution} 风险网格",
            f"Hexagons (H3 resolution {resolution}) of the risk map as it is now",
            layers.cells(resolution),
        )
        for resolution in geo.RESOLUTIONS
    },
    "segments": Layer("Risk, pipes 风险管段", "Pipes with their risk as it is now", layers.segments),
    "zones": Layer("Risk, zones 风险分区", "Active zones with their risk as it is now, ranked", layers.zones),
}
CollectionId = Annotated[str, Path(max_length=64, examples=["assets"])]
FeatureId = Annotated[str, Path(max_length=64, examples=["P-12"])]


def layer_of(name: str) -> Layer:
    """The collection of this name. Raises NotFoundError."""
    found = LAYERS.get(name)
    if found is None:
        raise NotFoundError(f"there is no collection {name!r}")
    return found


@router.get("")
def landing(request: Request) -> JSONResponse:
    """Where everything else is."""
    base = _base(request)
    return JSONResponse(
        {
            "title": "Lifeline",
            "description": "A city's gas, water and drainage: assets, sensors, alerts and risk",
            "links": [
                _link(base, "self", "This document"),
                _link(f"{base}/conformance", "conformance", "Conformance classes"),
                _link(f"{base}/collections", "data", "Collections"),
                _link(
                    f"{request.base_url}api/v1/openapi.json",
                    "service-desc",
                    "The API as OpenAPI",
                    "application/vnd.oai.openapi+json;version=3.1",
                ),
            ],
        }
    )


@router.get("/conformance")
def conformance() -> JSONResponse:
    """The parts of the standard that are kept."""
    return JSONResponse({"conformsTo": CONFORMANCE})


@router.get("/collections")
def collections(request: Request) -> JSONResponse:
    """Every collection with its extent."""
    base, extent = _base(request), _extent(request)
    return JSONResponse(
        {
            "links": [_link(f"{base}/collections", "self", "Collections")],
            "collections": [_described(base, name, extent) for name in LAYERS],
        }
    )


@router.get("/collections/{collection_id}")
def describe(request: Request, collection_id: CollectionId) -> JSONResponse:
    """One collection."""
    layer_of(collection_id)
    return JSONResponse(_described(_base(request), collection_id, _extent(request)))


@router.get("/collections/{collection_id}/items", response_class=Response, responses={200: {"content": {GEOJSON: {}}}})
def items(
    request: Request,
    collection_id: CollectionId,
    bbox: Annotated[str | None, Query(description="minLon,minLat[,minH],maxLon,maxLat[,maxH]")] = None,
    moment: Annotated[
        str | None, Query(alias="datetime", max_length=100, description="An instant, or start/end; .. is open")
    ] = None,
    network: Network = None,
    limit: Annotated[int, Query(ge=1, description="More than 10000 means 10000")] = 100,
    after: After = None,
) -> Response:
    """A page of features."""
    layer, here = layer_of(collection_id), city(request)
    since, until = interval_of(moment)
    wanted = FeatureFilter(box=_box(bbox), since=since, until=until, network=network)
    (behind,) = decode_cursor(after, int) or (0,)
    size = min(limit, LARGEST)
    found = layer.read(here, wanted, behind, size + 1)
    links = [_link(str(request.url), "self", "This page", GEOJSON)]
    if len(found) > size:
        address = request.url.include_query_params(after=encode_cursor(found[size - 1][0]))
        links.append(_link(str(address), "next", "The next page", GEOJSON))
    stamp = here.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = collection([feature for _, feature in found[:size]], links=links, timeStamp=stamp)
    return respond(request, document(body, GEOJSON, level=1))


@router.get("/collections/{collection_id}/items/{feature_id}", response_class=Response)
def item(request: Request, collection_id: CollectionId, feature_id: FeatureId) -> Response:
    """One feature."""
    found = layer_of(collection_id).read(city(request), FeatureFilter(fid=feature_id), 0, 1)
    if not found:
        raise NotFoundError(f"there is no {feature_id!r} in {collection_id}")
    there = f"{_base(request)}/collections/{collection_id}"
    links = [_link(str(request.url), "self", "This feature", GEOJSON), _link(there, "collection", "Its collection")]
    return respond(request, document(found[0][1][:-1] + b',"links":' + orjson.dumps(links) + b"}", GEOJSON))


def interval_of(text: str | None) -> tuple[datetime | None, datetime | None]:
    """``datetime`` of OGC API Features: an instant, or ``start/end`` with ``..`` or nothing for an open end.

    Raises ProblemError 400.
    """
    if text is None:
        return None, None
    start, slash, end = text.partition("/")
    since = _instant(start)
    until = _instant(end) if slash else since
    if (not slash and since is None) or (slash and since is None and until is None):
        raise ProblemError(400, "datetime must name at least one moment")
    if since is not None and until is not None and since > until:
        raise ProblemError(400, "datetime must begin before it ends")
    return since, until


def _instant(text: str) -> datetime | None:
    if text in ("", ".."):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ProblemError(400, f"{text!r} is no moment such as 2026-11-21T08:00:00Z") from None
    if found.tzinfo is None or not 1970 <= found.year < 2200:
        raise ProblemError(400, f"{text!r} needs a time zone and a year from 1970 to 2199")
    return found


def _box(text: str | None) -> Box | None:
    """Heights are allowed by the standard and mean nothing here."""
    sides = text.split(",") if text is not None else []
    return box_of(",".join(sides[:2] + sides[3:5]) if len(sides) == 6 else text)


def _base(request: Request) -> str:
    return f"{request.base_url}ogc"


def _extent(request: Request) -> JsonObject:
    with borrow(city(request).pool) as connection:
        box = rows.extent(connection)
    return {"spatial": {"bbox": [list(box)], "crs": CRS84}} if box else {}


def _described(base: str, name: str, extent: JsonObject) -> dict[str, Any]:
    layer, there = LAYERS[name], f"{base}/collections/{name}"
    return {
        "id": name,
        "title": layer.title,
        "description": layer.description,
        "itemType": "feature",
        "crs": [CRS84],
        **({"extent": extent} if extent else {}),
        "links": [
            _link(there, "self", layer.title),
            _link(f"{there}/items", "items", f"Features of {layer.title}", GEOJSON),
        ],
    }


def _link(href: str, rel: str, title: str, media_type: str = "application/json") -> dict[str, str]:
    return {"href": href, "rel": rel, "type": media_type, "title": title}
