"""Which critical facilities are near which assets: found by an index, kept in the caller's transaction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from lifeline.geo import Box
from lifeline.risk.assets import Floats
from lifeline.risk.consequence import NEAR_M
from lifeline.storage.database import Connection
from lifeline.storage.queries import load

_SQL = load("facilities")

METRES_PER_DEGREE = 111_195.0


def place(connection: Connection, *, facilities: Sequence[int] = (), assets: Sequence[int] = ()) -> set[int]:
    """Find again what is near these facilities, and what these assets are near; the assets that were or are near."""
    changed = {"facilities": list(facilities), "assets": list(assets)}
    touched = {asset for (asset,) in connection.execute(_SQL["forget_near"], changed)}
    pairs: dict[tuple[int, int], float] = {}
    for wanted, among in ((changed["facilities"], None), (None, changed["assets"])):
        if wanted != [] and among != []:
            pairs |= _near(connection, wanted, among)
    with connection.cursor().copy(_SQL["copy_near"]) as copy:
        for (asset, facility), distance in sorted(pairs.items()):
            copy.write_row((asset, facility, distance))
    return touched | {asset for asset, _ in pairs}


def _near(
    connection: Connection, facilities: list[int] | None, assets: list[int] | None
) -> dict[tuple[int, int], float]:
    """Metres between those of the facilities and of the assets (None: all) that are within ``NEAR_M``."""
    points = connection.execute(_SQL["places_of_facilities"], {"facilities": facilities}).fetchall()
    if not points:
        return {}
    ids, longitude, latitude = (np.array(column) for column in zip(*points, strict=True))
    high = NEAR_M / METRES_PER_DEGREE
    wide = high / np.maximum(np.cos(np.radians(latitude)), 0.01)
    boxes = np.stack([longitude - wide, latitude - high, longitude + wide, latitude + high])
    around = Box(*boxes[:2].min(axis=1).tolist(), *boxes[2:].max(axis=1).tolist())
    shapes = connection.execute(_SQL["shapes_in_box"], {"assets": assets, **around._asdict()}).fetchall()
    if not shapes:
        return {}
    lines = shapely.from_geojson([text for _, text in shapes])
    place, which = shapely.STRtree(lines).query(shapely.box(*boxes), predicate="intersects")
    metres = distances(longitude[place], latitude[place], lines[which])
    numbers = np.array([number for number, _ in shapes])[which]
    kept = metres <= NEAR_M
    found = zip(numbers[kept].tolist(), ids[place][kept].tolist(), strict=True)
    return dict(zip(found, metres[kept].tolist(), strict=True))


def distances(longitude: Floats, latitude: Floats, shapes: Any) -> Floats:
    """Metres from each of m points to its shape (m,), on a plane that touches the globe at the point: exact to a
    thousandth within a kilometre."""
    if not len(shapes):
        return np.empty(0)
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    scale = np.cos(np.radians(latitude))
    east = (xy[:, 0] - longitude[owner]) * scale[owner] * METRES_PER_DEGREE
    north = (xy[:, 1] - latitude[owner]) * METRES_PER_DEGREE
    drawn = shapely.set_coordinates(shapes.copy(), np.stack([east, north], axis=1))
    return np.asarray(shapely.distance(drawn, shapely.Point(0.0, 0.0)), dtype=np.float64)
