"""The fleet without a broker: who samples when, what is kept, and what a clock that is set back does."""

import threading
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.catalogue import shipped_catalogue
from lifeline.model import JsonObject
from lifeline.settings import load_settings
from simulators.device import BATTERY_S, FAST_S, NORMAL_S, Meters, make_devices, timestamp
from simulators.fleet import BACKLOG_FRAMES, Fleet
from simulators.gateway import Gateway
from simulators.planning import make_town
from simulators.scenario import load_scenario
from simulators.service import Service
from simulators.town import Town
from tests.unit.test_simulators_events import START

CATALOGUE = shipped_catalogue()
QUIET = 0.01
"""A true value at which no quantity is a breach."""


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(1)


class Air:
    """What goes out, message by message, and which gateways are dead."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, list[JsonObject]]] = []
        self.dead: set[str] = set()

    def frames(self) -> dict[str, list[JsonObject]]:
        frames: dict[str, list[JsonObject]] = defaultdict(list)
        for _, device, own in self.messages:
            frames[device] += own
        return frames

    def readings(self) -> int:
        return sum(len(frame["v"]) for own in self.frames().values() for frame in own)


@pytest.fixture
def air(monkeypatch: pytest.MonkeyPatch) -> Air:
    air = Air()
    monkeypatch.setattr(Gateway, "alive", property(lambda self: self.name not in air.dead))
    monkeypatch.setattr(Gateway, "die", lambda self: air.dead.add(self.name))
    monkeypatch.setattr(Gateway, "start", lambda self: air.dead.discard(self.name))
    monkeypatch.setattr(
        Gateway, "publish", lambda _, network, device, frames: air.messages.append((network, device, list(frames)))
    )
    return air


def fleet_of(town: Town) -> Fleet:
    return Fleet(town, CATALOGUE, load_settings(mqtt_host="127.0.0.1", mqtt_port=1), "test")


@pytest.fixture
def fleet(town: Town) -> Fleet:
    return fleet_of(town)


def truth(town: Town, value: float = QUIET) -> np.ndarray:
    return np.full(len(town.instruments), value)


# ---------------------------------------------------------------------------------------------------------- meters


def test_two_meters_of_one_kind_have_each_their_own_bias_that_stays(town: Town) -> None:
    meters = Meters(town.instruments, CATALOGUE, 1)
    shown = np.array([meters.read(truth(town, 50.0)) for _ in range(1500)])
    pressures = [i for i, instrument in enumerate(town.instruments) if instrument.quantity == "pressure"]
    early, late = shown[:750, pressures].mean(axis=0), shown[750:, pressures].mean(axis=0)
    assert np.abs(early - late).max() < 0.015
    assert np.ptp(early) > 0.04


def test_the_same_seed_reads_the_same_and_another_does_not(town: Town) -> None:
    one, same, other = (Meters(town.instruments, CATALOGUE, seed).read(truth(town, 5.0)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@given(st.floats(-1e7, 1e7))
@settings(max_examples=30, deadline=None)
def test_whatever_is_true_a_meter_shows_what_it_can_show(town: Town, value: float) -> None:
    shown = Meters(town.instruments, CATALOGUE, 1).read(truth(town, value))
    for reading, instrument in zip(shown, town.instruments, strict=True):
        quantity = CATALOGUE.quantities[instrument.quantity]
        assert quantity.low <= reading <= quantity.high


def test_a_large_flow_is_noisier_than_a_small_one(town: Town) -> None:
    index = next(i for i, instrument in enumerate(town.instruments) if instrument.quantity == "flow")

    def spread(value: float) -> float:
        meters = Meters(town.instruments, CATALOGUE, 1)
        return float(np.std([meters.read(truth(town, value))[index] for _ in range(300)]))

    assert spread(2000.0) == pytest.approx(np.hypot(0.25 + 0.006 * 2000, 0), rel=0.15)
    assert spread(0.0) == pytest.approx(0.25, rel=0.15)


def test_no_rain_and_a_dry_street_show_no_noise(town: Town) -> None:
    shown = np.array([Meters(town.instruments, CATALOGUE, 3).read(truth(town, 0.0)) for _ in range(5)])
    dry = [i for i, instrument in enumerate(town.instruments) if instrument.quantity in ("rain", "ponding_depth")]
    assert dry
    assert not shown[:, dry].any()


def test_each_sensor_belongs_to_one_device_and_each_device_to_one_gateway(town: Town) -> None:
    devices = make_devices(town.instruments)
    assert sorted(index for device in devices.values() for index in device.sensors) == list(
        range(len(town.instruments))
    )
    assert {device.gateway for device in devices.values()} - {""} == set(town.gateways())
    assert all(device.network == town.device_network()[name] for name, device in devices.items())


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (1_000_000_000.0, "2001-09-09T01:46:40.000Z"),
        (951_782_399.999, "2000-02-28T23:59:59.999Z"),
        (-0.001, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_written_in_utc_whatever_the_clock_of_the_machine_says(
    monkeypatch: pytest.MonkeyPatch, time: float, text: str
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    assert timestamp(time) == text


# -------------------------------------------------------------------------------------------------------- the past


def test_the_past_is_told_whole_in_order_and_in_arrays_of_a_day(town: Town, fleet: Fleet, air: Air) -> None:
    times = [START + 300 * step for step in range(600)]
    count = fleet.recall(times, [truth(town)] * 600)
    assert count == air.readings()
    assert {len(own) for _, device, own in air.messages if not device.startswith("gw-")} == {BACKLOG_FRAMES, 24}
    for device, frames in air.frames().items():
        assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1)), device
        assert all(frame["backlog"] is True for frame in frames)
        stamps = [frame["ts"] for frame in frames]
        assert stamps == sorted(set(stamps))
    assert [frame["ts"] for frame in air.frames()["water-tower"]] == [timestamp(time) for time in times]


def test_a_battery_is_read_every_ten_minutes_only(town: Town, fleet: Fleet, air: Air) -> None:
    fleet.recall([START + 300 * step for step in range(13)], [truth(town)] * 13)
    frames = air.frames()["gw-gas-west"]
    assert [frame["ts"] for frame in frames] == [timestamp(START + BATTERY_S * n) for n in range(7)]


def test_no_past_is_no_message(fleet: Fleet, air: Air) -> None:
    assert fleet.recall([], []) == 0
    assert air.messages == []


# ------------------------------------------------------------------------------------------------------------ live


def seconds(frame: JsonObject) -> float:
    return datetime.fromisoformat(frame["ts"]).timestamp()


def live(
    town: Town, fleet: Fleet, seconds: int, value: float = QUIET, begin: float = START, first: int = 0
) -> list[int]:
    if first == 0:
        fleet.go_live(begin)
    return [fleet.sample(begin + second, truth(town, value)) for second in range(first, seconds)]


def test_devices_do_not_speak_all_at_once(town: Town, fleet: Fleet, air: Air) -> None:
    sent = live(town, fleet, 11)
    assert max(sent) < 0.3 * sum(sent)
    assert {device for _, device, _ in air.messages} == set(fleet.devices)


def test_every_device_speaks_every_ten_seconds_and_what_is_counted_is_what_is_sent(
    town: Town, fleet: Fleet, air: Air
) -> None:
    sent = live(town, fleet, 110)
    assert sum(sent) == air.readings()
    for device, frames in air.frames().items():
        assert not any("backlog" in frame for frame in frames)
        if not device.startswith("gw-"):
            assert np.diff([seconds(frame) for frame in frames]).tolist() == [NORMAL_S] * (len(frames) - 1), device
            assert len(frames) >= 100 / NORMAL_S


def test_a_breach_makes_its_own_device_hurry_and_no_other(town: Town, fleet: Fleet, air: Air) -> None:
    index = next(i for i, instrument in enumerate(town.instruments) if instrument.quantity == "methane")
    device = town.instruments[index].device
    values = truth(town)
    values[index] = 2.0
    fleet.go_live(START)
    for second in range(60):
        fleet.sample(START + second, values)
    counts = {name: len(frames) for name, frames in air.frames().items() if not name.startswith("gw-")}
    assert counts.pop(device) >= 60 / FAST_S - 3
    assert set(counts.values()) <= {5, 6}


def test_who_was_held_up_makes_up_for_nothing(town: Town, fleet: Fleet, air: Air) -> None:
    live(town, fleet, 1)
    air.messages.clear()
    for second in (3600.0, 3600.5, 3601.0):
        fleet.sample(START + second, truth(town))
    assert all(len(frames) == 1 for frames in air.frames().values())


@pytest.mark.parametrize("back", [30.0, 3600.0, 400 * 86_400.0])
def test_a_clock_that_is_set_back_silences_nobody_and_floods_nobody(
    town: Town, fleet: Fleet, air: Air, back: float
) -> None:
    live(town, fleet, 20)
    air.messages.clear()
    for second in range(40):
        fleet.sample(START - back + second, truth(town))
    counts = {name: len(own) for name, own in air.frames().items() if not name.startswith("gw-")}
    assert counts.keys() == {name for name in fleet.devices if not name.startswith("gw-")}
    assert set(counts.values()) <= {4, 5}


def test_nobody_is_due_between_two_samples(town: Town, fleet: Fleet, air: Air) -> None:
    live(town, fleet, 11)
    air.messages.clear()
    assert [fleet.sample(START + 10, truth(town)) for _ in range(5)] == [0] * 5
    assert air.messages == []


# --------------------------------------------------------------------------------------------------- dead gateways


def test_what_a_dead_gateway_misses_comes_afterwards_as_backlog_in_order_and_once(
    town: Town, fleet: Fleet, air: Air
) -> None:
    behind = [*town.gateways()["gw-water-east"], "gw-water-east"]
    live(town, fleet, 30)
    fleet.silence({"gw-water-east"})
    air.messages.clear()
    live(town, fleet, 60, first=30)
    assert not air.frames().keys() & set(behind)
    fleet.silence(set())
    first_words = {device: frames for device, frames in air.frames().items() if device in behind and frames}
    assert first_words.keys() == {device for device in behind if not device.startswith("gw-")}
    assert all(len(frames) == 3 and all(frame["backlog"] for frame in frames) for frames in first_words.values())
    live(town, fleet, 90, first=60)
    fleet.silence({"gw-water-east"})
    fleet.silence(set())
    for device in first_words:
        numbers = [frame["seq"] for frame in air.frames()[device]]
        assert all(b == a + 1 for a, b in pairwise(numbers)), device


def test_a_gateway_dies_alone(town: Town, fleet: Fleet, air: Air) -> None:
    fleet.silence({"gw-gas-west"})
    assert air.dead == {"gw-gas-west"}
    live(town, fleet, 11)
    spoke = {device for _, device, _ in air.messages}
    assert spoke == set(fleet.devices) - {"gw-gas-west", *town.gateways()["gw-gas-west"]}


def test_a_device_forgets_when_its_memory_is_full_and_numbers_only_what_it_kept(
    town: Town, fleet: Fleet, air: Air, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.fleet.STORED_FRAMES", 50)
    fleet.silence({"gw-water-east"})
    fleet.go_live(START)
    for step in range(90):
        fleet.sample(START + NORMAL_S * (step + 1), truth(town))
    fleet.silence(set())
    device = next(name for name in town.gateways()["gw-water-east"])
    numbers = [frame["seq"] for frame in air.frames()[device]]
    assert numbers == list(range(1, 51))


def test_a_town_without_sensors_has_nobody_who_speaks(town: Town, air: Air) -> None:
    nobody = fleet_of(replace(town, instruments=()))
    nobody.go_live(START)
    assert nobody.sample(START, np.empty(0)) == 0
    assert nobody.recall([START], [np.empty(0)]) == 0
    assert nobody.gateways == {}


# --------------------------------------------------------------------------------------------------------- gateway


def gateway() -> Gateway:
    return Gateway("gw-1", "gas", [("gas", "gw-1")], load_settings(mqtt_host="127.0.0.1", mqtt_port=1), "test")


def test_a_gateway_with_nothing_to_say_is_done_at_once_and_one_without_a_broker_is_not() -> None:
    one = gateway()
    assert one.drain(0.0)
    one.publish("gas", "gw-1", [{"ts": 0, "v": {}, "seq": 1}])
    assert not one.drain(0.05)
    assert not one.wait_connected(0.01)


def test_a_gateway_that_never_started_can_die_and_be_stopped() -> None:
    one = gateway()
    one.die()
    assert not one.alive
    assert one.stop()


# -------------------------------------------------------------------------------------------------------------- service


class Still:
    """A world in which nothing ever moves."""

    def __init__(self, town: Town) -> None:
        self._truth = truth(town)

    def go_live(self, time: float) -> None:
        """It is as still then."""

    def at(self, _time: float) -> np.ndarray:
        return self._truth


def test_a_clock_that_is_set_back_by_an_hour_does_not_stop_the_city_for_one(
    town: Town, air: Air, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.service.TICK_S", 0.01)
    readings_of_clock = iter([START, START, *([START - 3600.0] * 40)])
    service: Service

    def now() -> float:
        time = next(readings_of_clock, None)
        if time is None:
            service.stop.set()
        return START - 3600.0 if time is None else time

    service = Service(load_settings(mqtt_host="127.0.0.1", mqtt_port=1), 1, load_scenario("quiet"), None, now)
    world: Any = Still(town)
    thread = threading.Thread(target=service._live, args=(world,), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert {frame["ts"] for own in air.frames().values() for frame in own} >= {timestamp(START - 3600.0)}


def test_a_clock_that_is_set_back_in_the_middle_of_history_is_no_error(town: Town, air: Air) -> None:
    clock = iter([START, START, START + 1, *([START - 86_400.0] * 10)])
    service = Service(
        load_settings(mqtt_host="127.0.0.1", mqtt_port=1), 1, load_scenario("quiet"), None, lambda: next(clock)
    )
    world: Any = Still(town)
    service._history(world, START - 600.0)
    stamps = [frame["ts"] for frame in air.frames()["water-tower"]]
    assert stamps == [timestamp(START - 600 + 300 * step) for step in range(3)]


def test_below_another_root_every_word_of_a_device_stands_there() -> None:
    settings = load_settings(mqtt_host="127.0.0.1", mqtt_port=1, topic_root="lifeline-exercise/7/v1")
    one = Gateway("gw-1", "gas", [("gas", "gw-1")], settings, "test")
    one.publish("gas", "gw-1", [{"ts": 0, "v": {}, "seq": 1}])
    assert [message.topic for message in one._waiting] == ["lifeline-exercise/7/v1/gas/gw-1/readings"]
    assert one._status_topic("gas", "gw-1") == "lifeline-exercise/7/v1/gas/gw-1/status"
    assert one._new_client()._will_topic == b"lifeline-exercise/7/v1/gas/gw-1/status"
