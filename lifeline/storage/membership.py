"""What lies in which zone: computed for many at once with a spatial index, kept in the caller's transaction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from lifeline.storage.database import Connection
from lifeline.storage.queries import load

_SQL = load("zones")

LEAST_SHARE = 1e-6
"""A line that merely touches a zone's edge does not lie in it."""

Shapes = NDArray[Any]
Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]


def place(
    connection: Connection, *, zones: Sequence[int] = (), assets: Sequence[int] = (), sensors: Sequence[int] = ()
) -> None:
    """Find again what lies in these zones, and in which zones these assets and sensors lie.

    A zone holds what belongs to its network, or to any where it has none; a rejected zone and an asset out of service
    take no part. An asset whose own record names its DMA (attribute ``zone``) is in that one, wherever it lies.
    """
    changed = {"zones": list(zones), "assets": list(assets), "sensors": list(sensors)}
    _place_assets(connection, changed)
    _place_sensors(connection, changed)


def _place_assets(connection: Connection, changed: dict[str, list[int]]) -> None:
    connection.execute(_SQL["forget_zone_assets"], changed)
    pairs: dict[tuple[int, int], float] = {}
    for zones, assets in _rounds(changed["zones"], changed["assets"]):
        areas = connection.execute(_SQL["shapes_of_zones"], {"zones": zones}).fetchall()
        things = connection.execute(_SQL["shapes_of_assets"], {"assets": assets}).fetchall() if areas else []
        if things:
            pairs |= _shares(areas, things)
    with connection.cursor().copy(_SQL["copy_zone_assets"]) as copy:
        for (zone, asset), share in pairs.items():
            copy.write_row((zone, asset, share))
    connection.execute(_SQL["name_zone_assets"], changed)


def _place_sensors(connection: Connection, changed: dict[str, list[int]]) -> None:
    connection.execute(_SQL["forget_zone_sensors"], changed)
    pairs: set[tuple[int, int]] = set()
    for zones, sensors in _rounds(changed["zones"], changed["sensors"]):
        areas = connection.execute(_SQL["shapes_of_zones"], {"zones": zones}).fetchall()
        found = connection.execute(_SQL["places_of_sensors"], {"sensors": sensors}).fetchall() if areas else []
        stands = [row for row in found if row[2] is not None and row[3] is not None]
        if stands:
            points = shapely.points([row[2] for row in stands], [row[3] for row in stands])
            pairs |= _holding(areas, points, stands, [row[4] for row in stands])
    with connection.cursor().copy(_SQL["copy_zone_sensors"]) as copy:
        for pair in sorted(pairs):
            copy.write_row(pair)
    connection.execute(_SQL["name_zone_sensors"], changed)


def _rounds(zones: list[int], things: list[int]) -> list[tuple[list[int] | None, list[int] | None]]:
    """Changed zones against everything, and every zone against what has changed."""
    rounds: list[tuple[list[int] | None, list[int] | None]] = []
    if zones:
        rounds.append((zones, None))
    if things:
        rounds.append((None, things))
    return rounds


def _shares(areas: Sequence[Sequence[Any]], things: Sequence[Sequence[Any]]) -> dict[tuple[int, int], float]:
    shapes = shapely.from_geojson([row[2] for row in things])
    named = np.array([row[3] for row in things])
    where, which = _candidates(areas, shapes, things, named)
    polygons = shapely.from_geojson([row[3] for row in areas])
    shares = overlap(polygons[where], shapes[which])
    zone_ids = np.array([row[0] for row in areas])
    asset_ids = np.array([row[0] for row in things])
    inside = shares > LEAST_SHARE
    keys = zip(zone_ids[where[inside]].tolist(), asset_ids[which[inside]].tolist(), strict=True)
    return dict(zip(keys, shares[inside].tolist(), strict=True))


def _holding(
    areas: Sequence[Sequence[Any]], points: Shapes, things: Sequence[Sequence[Any]], named: Sequence[bool]
) -> set[tuple[int, int]]:
    where, which = _candidates(areas, points, things, np.array(named))
    return {(areas[a][0], things[b][0]) for a, b in zip(where.tolist(), which.tolist(), strict=True)}


def _candidates(
    areas: Sequence[Sequence[Any]], shapes: Shapes, things: Sequence[Sequence[Any]], named: NDArray[np.bool_]
) -> tuple[Int64s, Int64s]:
    """Indices of zones and things that touch each other and may: of one network, no DMA for what names its own."""
    polygons = shapely.from_geojson([row[3] for row in areas])
    shapely.prepare(polygons)
    where, which = shapely.STRtree(shapes).query(polygons, predicate="intersects")
    networks = np.array([row[1] or "" for row in areas])[where]
    allowed = (networks == "") | (networks == np.array([row[1] for row in things])[which])
    allowed &= ~(named[which] & (np.array([row[2] for row in areas])[where] == "dma"))
    return where[allowed], which[allowed]


def overlap(polygons: Shapes, shapes: Shapes) -> Floats:
    """Share of each shape's length that lies in its polygon, both (n,); 1 for a point.

    Lengths are taken on a plane where a degree of longitude is shortened by the cosine of the latitude: within a city
    that is exact to a millionth.
    """
    shares = np.ones(len(shapes))
    open_ = np.flatnonzero((shapely.get_type_id(shapes) == 1) & ~shapely.covers(polygons, shapes))
    if len(open_) == 0:
        return shares
    whole = shapes[open_]
    cut = shapely.intersection(whole, polygons[open_])
    latitude = shapely.get_coordinates(whole)[:, 1].mean()
    scale = np.array([np.cos(np.radians(latitude)), 1.0])
    lengths, parts = (shapely.length(shapely.transform(each, lambda xy: xy * scale)) for each in (whole, cut))
    shares[open_] = np.clip(np.divide(parts, lengths, out=np.ones_like(parts), where=lengths > 0), 0.0, 1.0)
    return shares
