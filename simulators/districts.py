"""A larger town as districts side by side: each is a town of its own, with its own sources, engines and river.

One district has about 100 sensors; 50 make a real-sized town (5,000), 1,000 a large one (100,000). Districts repeat a
few layouts, so that their physics has to be computed once a layout. They share no pipes.
"""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

from lifeline.model import JsonObject
from simulators.inventory import SENSOR_COLUMNS, features, sensor_row
from simulators.planning import make_town
from simulators.town import Town

APART_LONGITUDE, APART_LATITUDE = 0.024, 0.019
"""Between the middles of two districts, in degrees: a good 2 km."""
SIZES = {"small": 1, "real": 50, "large": 1000}
"""Districts of the towns that come by name."""
LAYOUTS = 4


def layouts(seed: int, count: int) -> list[Town]:
    """The towns that the districts repeat, ``count`` districts needing no more than that."""
    return [make_town(seed + number) for number in range(min(LAYOUTS, count))]


def prefix(number: int) -> str:
    """What stands before every id of a district; nothing for the first, so that a town of one is the small town."""
    return f"n{number:04d}-" if number else ""


def write_districts(seed: int, count: int, folder: Path) -> tuple[Path, Path]:
    """assets.geojson and sensors.csv of a town of ``count`` districts; the same seed gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    assets, sensors = folder / "assets.geojson", folder / "sensors.csv"
    towns = layouts(seed, count)
    own = [features(town) for town in towns]
    moved = (feature for number in range(count) for feature in _moved(own[number % len(own)], number, count))
    with assets.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [\n')
        for place, feature in enumerate(moved):
            file.write((",\n" if place else "") + json.dumps(feature, ensure_ascii=False))
        file.write("\n]}\n")
    with sensors.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SENSOR_COLUMNS)
        for number in range(count):
            writer.writerows(_rows(towns[number % len(towns)], number, count))
    return assets, sensors


def _shift(number: int, count: int) -> tuple[float, float]:
    """Degrees east and north of the first district: rows of a square."""
    side = math.ceil(math.sqrt(count))
    return (number % side) * APART_LONGITUDE, (number // side) * APART_LATITUDE


def _moved(own: list[JsonObject], number: int, count: int) -> Iterator[JsonObject]:
    name, (east, north) = prefix(number), _shift(number, count)
    for feature in own:
        properties = dict(feature["properties"])
        for key in ("id", "from", "to"):
            if key in properties:
                properties[key] = name + properties[key]
        geometry = feature["geometry"]
        points = geometry["coordinates"]
        if geometry["type"] == "Point":
            points = [round(points[0] + east, 7), round(points[1] + north, 7)]
        else:
            points = [[round(x + east, 7), round(y + north, 7)] for x, y in points]
        moved = {"type": geometry["type"], "coordinates": points}
        yield feature | {"id": properties["id"], "geometry": moved, "properties": properties}


def _rows(town: Town, number: int, count: int) -> Iterator[list[object]]:
    name, (east, north) = prefix(number), _shift(number, count)
    for instrument in town.instruments:
        row = dict(zip(SENSOR_COLUMNS, sensor_row(instrument), strict=True))
        for key in ("device", "asset", "gateway"):
            row[key] = f"{name}{row[key]}" if row[key] else ""
        row["longitude"] = round(float(str(row["longitude"])) + east, 7)
        row["latitude"] = round(float(str(row["latitude"])) + north, 7)
        yield list(row.values())
