"""A simulated town as the rows that the detectors read, and what its history teaches."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np

from alerts.detection import Detection
from alerts.knowledge import Part
from alerts.learning import learn_part, matrix, parts_of
from alerts.rules import AnyRule
from lifeline.catalogue import Catalogue
from lifeline.storage.baselines import RAIN, Quarters
from lifeline.storage.window import AssetRow, DeviceRow, SensorRow
from simulators.inventory import features
from simulators.streets import to_wgs84
from simulators.town import Town
from tests.benchmarks.plays import Past

LOCAL = timezone(timedelta(hours=8))


def rows_of(town: Town) -> tuple[list[SensorRow], list[DeviceRow], list[AssetRow]]:
    """The town's inventory as storage gives it."""
    properties = [feature["properties"] for feature in features(town)]
    number = {one["id"]: place for place, one in enumerate(properties, 1)}
    assets = [
        AssetRow(
            number[one["id"]], one["id"], one["network"], str(one["kind"]), number.get(one.get("from")),
            number.get(one.get("to")), one.get("length_m"), one.get("diameter_mm"), json.loads(json.dumps(one)),
        )
        for one in properties
    ]  # fmt: skip
    names = list(dict.fromkeys(instrument.device for instrument in town.instruments))
    device = {name: place for place, name in enumerate(names, 1)}
    gateway = {i.device: device[i.gateway] for i in town.instruments if i.gateway}
    depth = {one["id"]: one.get("depth_m") for one in properties}
    sensors = []
    for place, i in enumerate(town.instruments, 1):
        longitude, latitude = to_wgs84(i.at)
        sensors.append(
            SensorRow(
                place, device[i.device], i.quantity, i.network, True, depth.get(i.asset), {}, number.get(i.asset),
                longitude, latitude, f"{i.device}/{i.channel}",
            )
        )  # fmt: skip
    return sensors, [DeviceRow(device[name], gateway.get(name), "unknown", None) for name in names], assets


def wills_of(past: Past) -> Callable[[float], list[DeviceRow]]:
    """The devices with their last wills, by the truth: a dead gateway's is told at once, and when it is back."""
    _, rows, _ = rows_of(past.town)
    names = list(dict.fromkeys(instrument.device for instrument in past.town.instruments))
    deaths = [
        (names.index(record["gateway"]) + 1, _seconds(record["from"]), _seconds(record["to"]))
        for record in past.truth
        if record["kind"] == "gateway_dead"
    ]

    def at(now: float) -> list[DeviceRow]:
        told = list(rows)
        for device, begin, end in deaths:
            if now >= begin:
                status, since = ("offline", begin) if now < end else ("online", end)
                told[device - 1] = replace(rows[device - 1], status=status, status_at=since)
        return told

    return at


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def detection_of(past: Past, rules: list[AnyRule], catalogue: Catalogue, window_s: float = 3600.0) -> Detection:
    """Detection that knows the town, and has learned from its history as the scheduled job does."""
    detection = Detection(rules, catalogue, window_s)
    detection.set_inventory(*rows_of(past.town))
    detection.set_knowledge(learned(past, detection))
    return detection


def learned(past: Past, detection: Detection) -> list[Part]:
    """What the history teaches."""
    quarters = quarters_of(past)
    found = []
    for columns in parts_of(detection.inventory, detection.topology).values():
        ids = past.sensor_ids[columns]
        mine = np.isin(quarters.sensor_id, ids)
        values, times = matrix(Quarters(*(part[mine] for part in quarters)), ids)
        found.append(
            learn_part(
                detection.inventory, detection.topology, columns, values, times, [], past.live_from, local_time=LOCAL
            )
        )
    return found


def quarters_of(past: Past) -> Quarters:
    """The last reading of each quarter of the history."""
    rows = past.times < past.live_from
    times, values = past.times[rows], past.values[rows]
    bucket = np.floor(times / 900) * 900
    last = np.append(np.flatnonzero(np.diff(bucket)), len(bucket) - 1)
    kept = values[last]
    rain = [place for place, i in enumerate(past.town.instruments) if i.quantity == RAIN]
    first = np.append(0, last[:-1] + 1)
    kept[:, rain] = np.add.reduceat(np.nan_to_num(values[:, rain]), first, axis=0) / (last - first + 1)[:, None]
    row, column = np.nonzero(~np.isnan(kept))
    return Quarters(past.sensor_ids[column], bucket[last][row], kept[row, column])
