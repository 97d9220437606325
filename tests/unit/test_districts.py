"""Districts: which meters and tanks belong to one, and slow leaks that no pressure sensor sees."""

from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from msgspec import structs

from alerts.detection import Detection
from alerts.districts import metered
from alerts.knowledge import dump, load
from alerts.learning import learn_part, offset_of, parts_of
from alerts.replay import Replay, long_form
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Level
from lifeline.storage.window import AssetRow, DeviceRow, SensorRow, ZoneRow

CATALOGUE = shipped_catalogue()
RULES = [
    structs.replace(rule, voice="") for rule in load_rules(CATALOGUE, 3600) if rule.id in ("flow.night", "flow.balance")
]
"""Each by itself: night flow and balance share a voice, and here each one's own words are read. And they alone: all
rules together take twice as long."""
DAY_S, QUARTER_S = 86_400.0, 900.0
START = 1_780_272_000.0
"""Monday 2026-06-01 00:00 UTC."""
CITY = timezone(timedelta(hours=8))


def asset(number: int, kind: str, ends: tuple[int, int] | None = None, **attributes: float) -> AssetRow:
    a, b = ends or (None, None)
    return AssetRow(number, f"A-{number}", "water", kind, a, b, 100.0 if ends else None, 300.0, attributes)


def sensor(number: int, quantity: str, at: int, network: str = "water") -> SensorRow:
    return SensorRow(number, 1, quantity, network, True, None, {}, at, 117.27, 31.86, f"rtu/{quantity}.{number}")


PUMP, TANK, NODE = asset(1, "pump"), asset(2, "tank", area_m2=100.0), asset(3, "junction")
MAIN, RISER = asset(11, "pipe", (1, 3)), asset(12, "pipe", (3, 2))
ASSETS = [PUMP, TANK, NODE, MAIN, RISER]
SENSORS = [sensor(1, "flow", 11), sensor(2, "level", 2), sensor(3, "flow", 12)]


class Water:
    """A pump main, a tank and its riser: flow of the main, level of the tank and flow of the riser at each quarter."""

    def __init__(self, zones: tuple[ZoneRow, ...] = (), rows: list[SensorRow] = SENSORS) -> None:
        self.detection, self.zones = Detection(RULES, CATALOGUE, 3600), zones
        self.detection.set_inventory(rows, [DeviceRow(1, None, "unknown", None)], ASSETS)
        self.ids = np.array([row.sensor_id for row in rows], np.int32)

    def learn(self, values: np.ndarray, times: np.ndarray) -> None:
        inventory, topology = self.detection.inventory, self.detection.topology
        parts = [
            learn_part(inventory, topology, columns, values[:, columns], times, [], times[-1], self.zones, CITY)
            for columns in parts_of(inventory, topology).values()
        ]
        self.detection.set_knowledge([load(dump(part)) for part in parts])

    def play(self, values: np.ndarray, times: np.ndarray, first: float) -> dict[str, tuple[float, Level, dict]]:
        replay = Replay(self.detection, lambda _now: [DeviceRow(1, None, "unknown", None)])
        readings = long_form(values, times, self.ids)
        replay.start(readings, first)
        replay.run(readings, first, float(times[-1]), 2 * QUARTER_S)
        episodes = sorted(replay.book.episodes.values(), key=lambda one: -one.raised_at)
        return {one.alert.rule: (one.raised_at, one.worst, one.alert.evidence) for one in episodes}


def weeks(days: int, leak: float = 0.0, leak_from: float = np.inf, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Quarters of (main, tank, riser): use by the local hour, a tank that fills at night; the leak is in the main."""
    times = START + QUARTER_S * np.arange(1, int(days * 96) + 1)
    rng = np.random.default_rng(seed)
    hour = (times + 8 * 3600) % DAY_S / 3600
    fill = np.where(hour < 6, 12.0, -4.0)
    use = 60 + 40 * np.sin(2 * np.pi * (hour - 9) / 24) + rng.normal(0, 1.0, len(times))
    level = 3 + np.cumsum(fill) * 0.25 / 100
    lost = np.where(times >= leak_from, leak, 0.0)
    return np.column_stack([use + fill + lost, level, fill + rng.normal(0, 0.05, len(times))]), times


def test_a_joined_network_without_zones_is_one_district_with_its_tank() -> None:
    detection = Water().detection
    (one,) = metered(detection.inventory, detection.topology, [], np.arange(3))
    assert (one.meters, one.tanks) == ({0: 1}, {1: 100.0})


def test_a_zone_takes_its_meters_with_their_directions_and_the_tanks_within() -> None:
    detection = Water().detection
    zone = ZoneRow("DMA-1", {1: 1, 3: -1}, [1, 3])
    (one,) = metered(detection.inventory, detection.topology, [zone], np.arange(3))
    assert (one.name, one.meters, one.tanks) == ("DMA-1", {0: 1, 2: -1}, {})


def test_a_zone_whose_meters_are_gone_or_only_let_water_out_is_no_district() -> None:
    detection = Water().detection
    gone = [ZoneRow("DMA-1", {99: 1}, []), ZoneRow("DMA-2", {3: -1}, [])]
    assert [one.name for one in metered(detection.inventory, detection.topology, gone, np.arange(3))] == ["0"]


@pytest.mark.parametrize("zones", [(), (ZoneRow("DMA-1", {1: 1}, [1, 2]),)], ids=["no zones", "a zone"])
def test_a_leak_that_no_pressure_sees_is_found_by_its_nights_with_its_size_in_m3_an_hour(
    zones: tuple[ZoneRow, ...],
) -> None:
    water, live = Water(zones), START + 8 * DAY_S
    values, times = weeks(16, leak=5.0, leak_from=live + DAY_S)
    water.learn(values[times <= live], times[times <= live])
    found = water.play(values, times, live)
    at, level, evidence = found["flow.night"]
    assert live + DAY_S < at < live + 6 * DAY_S
    assert level is not None
    assert evidence["zone"] == (zones[0].name if zones else "0")
    assert evidence["value"] - evidence["expected"] == pytest.approx(5, abs=2)


def test_a_larger_leak_shows_in_the_balance_within_a_day_and_quiet_weeks_show_nothing() -> None:
    live = START + 8 * DAY_S
    water = Water()
    values, times = weeks(12)
    water.learn(values[times <= live], times[times <= live])
    assert not {"flow.night", "flow.balance"} & water.play(values, times, live).keys()
    water = Water()
    values, times = weeks(11, leak=15.0, leak_from=live + DAY_S)
    water.learn(values[times <= live], times[times <= live])
    at, _, evidence = water.play(values, times, live)["flow.balance"]
    assert live + DAY_S < at < live + 2.2 * DAY_S
    assert 0 < evidence["leak_estimate"] < 16
    assert evidence["expected"] == pytest.approx(60, abs=3)


def test_a_transfer_to_the_next_zone_is_no_leak_of_this_one() -> None:
    live = START + 8 * DAY_S
    water = Water((ZoneRow("DMA-1", {1: 1, 3: -1}, [1, 3]),))
    values, times = weeks(12)
    values[times > live + DAY_S] += np.array([25.0, 0.0, 25.0])
    water.learn(values[times <= live], times[times <= live])
    assert not {"flow.night", "flow.balance"} & water.play(values, times, live).keys()


@pytest.mark.parametrize(
    ("zone", "at", "hours"), [("Asia/Shanghai", START, 8), ("Europe/Berlin", START, 2), ("Europe/Berlin", 1.8e9, 1)]
)
def test_local_time_is_that_of_the_city_at_the_moment_of_learning(zone: str, at: float, hours: int) -> None:
    assert offset_of(ZoneInfo(zone), at) == hours * 3600


def test_nights_are_those_of_the_city_and_not_of_greenwich() -> None:
    """By the clock of UTC the tank's filling falls into the forenoon, and the least flow is another."""
    water, live = Water(), START + 8 * DAY_S
    values, times = weeks(8)
    water.learn(values, times)
    ((district,),) = [known.part.districts for known in water.detection.knowledge.parts]
    assert district.nights == pytest.approx(np.full(len(district.nights), 20.0), abs=1.5)
    assert len(district.nights) == 8
    assert district.clean.all()
    assert live == times[-1]
