"""A town as the files that ``lifeline import`` reads: assets.geojson, sensors.csv and facilities.geojson."""

import csv
import json
from pathlib import Path

from lifeline.model import JsonObject
from simulators.planning import CRITICAL
from simulators.streets import to_wgs84
from simulators.town import Instrument, Node, Pipe, Town

SENSOR_COLUMNS = (
    "device", "network", "channel", "asset", "name", "longitude", "latitude", "gateway", "low", "high", "max_silence_s",
)  # fmt: skip
BATTERY_VOLTS = (2.0, 15.0)


def write_inventory(town: Town, folder: Path) -> tuple[Path, Path]:
    """Write both files into ``folder`` (made if needed) and return their paths; the same town gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    assets, sensors = folder / "assets.geojson", folder / "sensors.csv"
    collection = {"type": "FeatureCollection", "features": features(town)}
    assets.write_text(json.dumps(collection, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    with sensors.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SENSOR_COLUMNS)
        writer.writerows(sensor_row(instrument) for instrument in town.instruments)
    return assets, sensors


def write_facilities(town: Town, folder: Path) -> Path:
    """The town's critical facilities as facilities.geojson in ``folder``; gives its path."""
    path = folder / "facilities.geojson"
    text = json.dumps({"type": "FeatureCollection", "features": facilities(town)}, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def facilities(town: Town) -> list[JsonObject]:
    """Every critical facility as a GeoJSON feature: it stands where it takes its water."""
    at = {node.name: to_wgs84(node.at) for node in town.water.nodes.values() if node.critical}
    return [
        {
            "type": "Feature",
            "properties": {"id": f"F-{place}", "kind": kind, "name": name},
            "geometry": {"type": "Point", "coordinates": list(at[name])},
        }
        for place, (name, kind) in enumerate(CRITICAL.items(), 1)
        if name in at
    ]


def features(town: Town) -> list[JsonObject]:
    """Every asset as a GeoJSON feature: nodes before the pipes that refer to them."""
    nodes = [_node_feature(node) for network in town.networks for node in network.nodes.values()]
    pipes = [_pipe_feature(pipe) for network in town.networks for pipe in network.pipes.values()]
    return nodes + pipes


def _node_feature(node: Node) -> JsonObject:
    properties: JsonObject = {
        "id": node.id,
        "network": node.network,
        "kind": str(node.kind),
        "name": node.name,
        "install_year": node.install_year,
        "depth_m": node.depth_m,
        "customers": node.customers,
        "critical": node.critical,
        **node.attributes,
    }
    if node.between:
        properties["from"], properties["to"] = node.between
    geometry = {"type": "Point", "coordinates": list(to_wgs84(node.at))}
    return {"type": "Feature", "id": node.id, "geometry": geometry, "properties": properties}


def _pipe_feature(pipe: Pipe) -> JsonObject:
    properties: JsonObject = {
        "id": pipe.id,
        "network": pipe.network,
        "kind": "pipe",
        "name": pipe.name,
        "from": pipe.a,
        "to": pipe.b,
        "material": pipe.material,
        "diameter_mm": pipe.diameter_mm,
        "install_year": pipe.install_year,
        "length_m": pipe.length_m,
        "depth_m": pipe.depth_m,
        "customers": pipe.customers,
        "critical": pipe.critical,
        **pipe.attributes,
    }
    geometry = {"type": "LineString", "coordinates": [list(to_wgs84(point)) for point in pipe.path]}
    return {"type": "Feature", "id": pipe.id, "geometry": geometry, "properties": properties}


def sensor_row(instrument: Instrument) -> list[object]:
    """The values of ``SENSOR_COLUMNS`` for one sensor."""
    longitude, latitude = to_wgs84(instrument.at)
    low, high = BATTERY_VOLTS if instrument.quantity == "battery" else ("", "")
    return [
        instrument.device, instrument.network, instrument.channel, instrument.asset, instrument.name,
        longitude, latitude, instrument.gateway, low, high, "",
    ]  # fmt: skip
