"""A simulated town as the rows that the detectors read, and its past and present as readings."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alerts.detection import Detection
from alerts.learning import learn_part, matrix, parts_of
from alerts.rules import AnyRule
from lifeline.catalogue import Catalogue
from lifeline.model import JsonObject
from lifeline.storage.baselines import RAIN, Quarters
from lifeline.storage.window import AssetRow, DeviceRow, SensorRow
from simulators.device import Meters
from simulators.director import Director
from simulators.inventory import features
from simulators.planning import make_town
from simulators.scenario import Scenario
from simulators.streets import to_wgs84
from simulators.town import Town
from simulators.world import HISTORY_STEP_S, World

Floats = NDArray[np.float64]

LIVE_STEP_S = 20.0
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Past:
    """Readings (time, sensor) of a town, its history at five minutes first; the truth as the simulators write it."""

    town: Town
    times: Floats
    values: Floats
    live_from: float
    truth: list[JsonObject]

    @property
    def sensor_ids(self) -> NDArray[np.int32]:
        """Ids of the columns: 1, 2, ..."""
        return np.arange(1, len(self.town.instruments) + 1, dtype=np.int32)


def play(seed: int, scenario: Scenario, start: float, days: float, live_s: float) -> Past:
    """``days`` of history from ``start`` (epoch seconds), then the scenario for ``live_s``."""
    town, live = make_town(seed), start + days * DAY_S
    world, meters = World(town, start), Meters(town.instruments, _catalogue(), seed)
    times = list(np.arange(start, live, HISTORY_STEP_S))
    values = [meters.read(world.at(time)) for time in times]
    world.go_live(live)
    truth: list[JsonObject] = []
    director = Director(town, scenario, live, truth.append)
    for time in np.arange(live, live + live_s, LIVE_STEP_S).tolist():
        director.tick(world, time)
        exact = world.at(time)
        director.observe(exact, time)
        told = director.told(meters.read(exact), time)
        silent = [i.gateway in director.dead_gateways or i.device in director.dead_gateways for i in town.instruments]
        values.append(np.where(silent, np.nan, told).tolist())
        times.append(time)
    world.close()
    latest = {record["id"]: record for record in truth}
    return Past(town, np.array(times), np.array(values), live, list(latest.values()))


def _catalogue() -> Catalogue:
    from lifeline.catalogue import shipped_catalogue

    return shipped_catalogue()


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
    detection.set_knowledge(learned(past, detection, catalogue))
    return detection


def learned(past: Past, detection: Detection, catalogue: Catalogue) -> list:
    """What the history teaches."""
    quarters = quarters_of(past)
    found = []
    for columns in parts_of(detection.inventory, detection.topology).values():
        ids = past.sensor_ids[columns]
        mine = np.isin(quarters.sensor_id, ids)
        values, times = matrix(Quarters(*(part[mine] for part in quarters)), ids)
        found.append(
            learn_part(detection.inventory, detection.topology, catalogue, columns, values, times, [], past.live_from)
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
