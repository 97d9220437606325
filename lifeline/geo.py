"""Geometry on the globe: lengths, boxes and the hexagons (H3) that a geometry lies in.

A geometry is GeoJSON in WGS 84, longitude first: Point or LineString, which is what assets are; `area` takes the
Polygon or MultiPolygon that a zone is.
"""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import h3
import shapely
from shapely.geometry import mapping

from lifeline.errors import LifelineError
from lifeline.model import JsonObject

EARTH_RADIUS_M = 6_371_008.8
RESOLUTIONS = (8, 9, 10)
"""H3 resolutions of the risk map: 0.74, 0.105 and 0.015 km2 a cell."""

_STEP_M = {8: 60.0, 9: 25.0, 10: 10.0}
"""Spacing of the points at which a line is asked for its cell: an eighth of the cell's edge."""


class GeometryError(LifelineError, ValueError):
    """A geometry that is no Point or LineString of WGS 84 coordinates; the message says why."""


class Box(NamedTuple):
    """west, south, east, north in degrees."""

    west: float
    south: float
    east: float
    north: float


def coordinates(geometry: JsonObject) -> list[tuple[float, float]]:
    """(longitude, latitude) of every vertex. Raises GeometryError."""
    kind = geometry.get("type")
    raw = geometry.get("coordinates")
    vertices = [raw] if kind == "Point" else raw
    if kind not in ("Point", "LineString") or not isinstance(vertices, list | tuple):
        raise GeometryError(f"geometry must be a Point or a LineString, not {kind!r}")
    if kind == "LineString" and len(vertices) < 2:
        raise GeometryError("a LineString needs two points at least")
    return [_position(vertex) for vertex in vertices]


def _position(vertex: object) -> tuple[float, float]:
    if type(vertex) is list and len(vertex) > 1 and type(vertex[0]) is float and type(vertex[1]) is float:
        longitude, latitude = vertex[0], vertex[1]
        if -180.0 <= longitude <= 180.0 and -90.0 <= latitude <= 90.0:  # what nearly every position is, quickly
            return longitude, latitude
    if not isinstance(vertex, list | tuple) or len(vertex) < 2:
        raise GeometryError(f"a position must be [longitude, latitude], not {vertex!r}")
    longitude, latitude = vertex[0], vertex[1]
    for number in (longitude, latitude):
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise GeometryError(f"a position must be two numbers, not {vertex!r}")
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise GeometryError(f"longitude {longitude}, latitude {latitude} is not on the globe (longitude comes first)")
    return float(longitude), float(latitude)


def area(geometry: JsonObject) -> JsonObject:
    """A Polygon or MultiPolygon reduced to type and coordinates, rings closed and turned as RFC 7946 has them.

    Raises GeometryError, also where a ring crosses itself: no point could be said to lie in such an area.
    """
    kind, rings = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon") or not isinstance(rings, list | tuple):
        raise GeometryError(f"geometry must be a Polygon or a MultiPolygon, not {kind!r}")
    polygons = [rings] if kind == "Polygon" else list(rings)
    try:
        parts = [shapely.Polygon(_ring(outer), [_ring(hole) for hole in holes]) for outer, *holes in polygons]
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, GeometryError) else GeometryError(f"a ring is wrong: {error}") from error
    shape = parts[0] if kind == "Polygon" and parts else shapely.MultiPolygon(parts)
    if shape.is_empty:
        raise GeometryError("the area is empty")
    if not shape.is_valid:
        raise GeometryError(f"the area is not valid: {shapely.is_valid_reason(shape)}")
    clean = mapping(shapely.orient_polygons(shape))
    return {"type": kind, "coordinates": _lists(clean["coordinates"])}


def _ring(ring: object) -> list[tuple[float, float]]:
    if not isinstance(ring, list | tuple) or len(ring) < 3:
        raise GeometryError("a ring needs three points at least")
    return [_position(vertex) for vertex in ring]


def _lists(nested: object) -> object:
    return [_lists(each) for each in nested] if isinstance(nested, tuple) else nested


def area_bbox(geometry: JsonObject) -> Box:
    """The smallest box around a Polygon or MultiPolygon that `area` gave."""
    return Box(*shapely.geometry.shape(geometry).bounds)


def distance_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance in metres (haversine)."""
    lat_a, lat_b = math.radians(a[1]), math.radians(b[1])
    h = math.sin((lat_b - lat_a) / 2) ** 2
    h += math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b[0] - a[0]) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(h))


def length_m(geometry: JsonObject) -> float:
    """Length in metres; 0 for a point."""
    return sum(distance_m(a, b) for a, b in pairwise(coordinates(geometry)))


def bbox(geometry: JsonObject) -> Box:
    """The smallest box around the geometry."""
    longitudes, latitudes = zip(*coordinates(geometry), strict=True)
    return Box(min(longitudes), min(latitudes), max(longitudes), max(latitudes))


def middle(geometry: JsonObject) -> tuple[float, float]:
    """(longitude, latitude) half way along the geometry: where its symbol stands."""
    vertices = coordinates(geometry)
    left = sum(distance_m(a, b) for a, b in pairwise(vertices)) / 2
    for a, b in pairwise(vertices):
        span = distance_m(a, b)
        if span > 0 and left <= span:
            share = left / span
            return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
        left -= span
    return vertices[-1]


def cell_at(longitude: float, latitude: float, resolution: int) -> str:
    """The hexagon that a point lies in."""
    return str(h3.latlng_to_cell(latitude, longitude, resolution))


def cells_around(longitude: float, latitude: float, resolution: int) -> list[str]:
    """The hexagon that a point lies in and the six around it: what is within an edge's length lies in them."""
    return sorted(str(cell) for cell in h3.grid_disk(cell_at(longitude, latitude, resolution), 1))


def cells(geometry: JsonObject, resolution: int) -> dict[str, float]:
    """Metres of the geometry in each hexagon; a point lies in one with 0 m.

    A line is asked at even steps of an eighth of the cell's edge or less, so a share is exact to one step; the lengths
    add up to ``length_m``.
    """
    return cells_at(geometry, [resolution])[resolution]


def cells_at(geometry: JsonObject, resolutions: Iterable[int] = RESOLUTIONS) -> dict[int, dict[str, float]]:
    """`cells` of several resolutions at once."""
    vertices = coordinates(geometry)
    spans = [(a, b, distance_m(a, b)) for a, b in pairwise(vertices)]
    return {
        resolution: _shares(spans, resolution) or {cell_at(*vertices[0], resolution): 0.0} for resolution in resolutions
    }


def _shares(spans: list[tuple[tuple[float, float], tuple[float, float], float]], resolution: int) -> dict[str, float]:
    shares: dict[str, float] = {}
    spacing = _STEP_M.get(resolution, 10.0)
    for a, b, span in spans:
        steps = max(1, math.ceil(span / spacing))
        east, north, length = b[0] - a[0], b[1] - a[1], span / steps
        for step in range(steps):
            at = (step + 0.5) / steps
            cell = h3.latlng_to_cell(a[1] + north * at, a[0] + east * at, resolution)
            shares[cell] = shares.get(cell, 0.0) + length
    return shares


def boundary(cell: str) -> JsonObject:
    """The hexagon as a GeoJSON polygon, closed, anticlockwise, six decimals (0.1 m)."""
    ring = [[round(longitude, 6), round(latitude, 6)] for latitude, longitude in h3.cell_to_boundary(cell)]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
