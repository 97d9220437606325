"""A small city whose readings are played through the detectors, and what they find in it."""

from datetime import UTC, datetime

import numpy as np

from alerts.detection import Detection
from alerts.learning import learn_part, parts_of
from alerts.replay import Replay, long_form
from alerts.rules import AnyRule, load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Level
from lifeline.storage.window import AssetRow, DeviceRow, SensorRow

CATALOGUE = shipped_catalogue()
RULES = load_rules(CATALOGUE, 3600)
START = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
DAY_S = 86_400.0
QUARTER_S = 900.0


def sensor(number: int, quantity: str, network: str, asset: int | None = None, metres: float = 0.0) -> SensorRow:
    place = 31.86 + metres / 111_195.0
    return SensorRow(number, 1, quantity, network, True, 3.0, {}, asset, 117.27, place, f"rtu/{quantity}.{number}")


def chain(count: int, network: str) -> list[AssetRow]:
    nodes = [AssetRow(n, f"N-{n}", network, "junction", None, None, None, None, {}) for n in range(1, count + 1)]
    pipes = [AssetRow(100 + n, f"P-{n}", network, "pipe", n, n + 1, 200.0, 150.0, {}) for n in range(1, count)]
    return nodes + pipes


class City:
    """A replay of one inventory at a reading a minute; played, it gives (rule, sensor id, worst level)."""

    def __init__(self, sensors: list[SensorRow], assets: list[AssetRow], rules: list[AnyRule] = RULES) -> None:
        self.detection = Detection(rules, CATALOGUE, 3600)
        self.detection.set_inventory(sensors, [DeviceRow(1, None, "unknown", None)], assets)
        self.ids = np.array([row.sensor_id for row in sensors], np.int32)
        self.replay = Replay(self.detection, lambda _now: [DeviceRow(1, None, "unknown", None)])

    def learn(self, values: np.ndarray, times: np.ndarray) -> None:
        detection, parts = self.detection, []
        for columns in parts_of(detection.inventory, detection.topology).values():
            part = learn_part(
                detection.inventory, detection.topology, columns, values[:, columns], times, [], times[-1]
            )
            parts.append(part)
        detection.set_knowledge(parts)

    def play(
        self, values: np.ndarray, times: np.ndarray, first: float, every_s: float = 60.0
    ) -> list[tuple[str, int, Level]]:
        readings = long_form(values, times, self.ids)
        self.replay.start(readings, first)
        self.replay.run(readings, first, float(times[-1]), every_s)
        episodes = self.replay.book.episodes.values()
        return [(rule, one.alert.subject.id, one.worst) for one in episodes for rule in one.rules]


def water_week(sensors: int, days: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """Pressures that share a daily cycle, with noise of 5 cm."""
    times = START + QUARTER_S * np.arange(int(days * 96)) + QUARTER_S
    rng = np.random.default_rng(1)
    cycle = 30 + 3 * np.sin(2 * np.pi * times / DAY_S)
    return cycle[:, None] + np.arange(sensors) + rng.normal(0, 0.05, (len(times), sensors)), times


def minutes(begin: float, count: int) -> np.ndarray:
    return begin + 60.0 * np.arange(1, count + 1)
