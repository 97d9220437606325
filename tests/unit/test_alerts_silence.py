"""Silence: one alert for one cause, at whatever height the cause lies."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors import silence
from alerts.inventory import build_inventory
from alerts.rules import Silence, load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Finding, Level, SubjectKind
from lifeline.storage.window import DeviceRow, SensorRow, States

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CLOCK = NOW.timestamp()
RULES = {rule.id: rule for rule in load_rules(shipped_catalogue(), 3600) if isinstance(rule, Silence)}
METHANE_SILENCE = 900


class City:
    """Gateway 1 with devices 2 and 3 of two sensors each (21, 22, 31, 32); device 4 alone with one (41)."""

    def __init__(self) -> None:
        self.ago: dict[int, float] = dict.fromkeys((21, 22, 31, 32, 41), 10.0)
        self.measured_ago: dict[int, float] = {}
        self.gateways: dict[int, int | None] = {1: None, 2: 1, 3: 1, 4: None}
        self.status: dict[int, tuple[str, float]] = {}
        self.resting: set[int] = set()
        self.slow: set[int] = set()

    def find(self, held: dict[str, dict[int, Level]] | None = None) -> tuple[list[Finding], dict[str, set[int]]]:
        sensors = [
            SensorRow(
                sensor,
                sensor // 10,
                "battery" if sensor in self.slow else "methane",
                "gas",
                sensor not in self.resting,
                None,
                {},
            )
            for sensor in (21, 22, 31, 32, 41)
        ]
        devices = [DeviceRow(device, gateway, *self._status(device)) for device, gateway in self.gateways.items()]
        heard = np.array(list(self.ago), np.int32)
        received = CLOCK - np.array(list(self.ago.values()))
        ts = CLOCK - np.array([self.measured_ago.get(sensor, ago) for sensor, ago in self.ago.items()])
        inventory = build_inventory(sensors, devices, shipped_catalogue())
        ears = silence.listen(inventory, States(heard, ts, received, np.zeros(len(heard), np.int32)), devices, CLOCK)
        held = held or {}
        found = [f for r in RULES.values() for f in silence.detect(r, ears[r.subject], held.get(r.id, {}), NOW)]
        return found, {rule.id: silence.suppressed(ears[rule.subject]) for rule in RULES.values()}

    def _status(self, device: int) -> Any:
        status, ago = self.status.get(device, ("unknown", None))
        return status, None if ago is None else CLOCK - ago


def who(found: list[Finding]) -> list[tuple[str, int]]:
    return sorted((finding.rule.removeprefix("silence."), finding.subject.id) for finding in found if finding.level)


def test_who_speaks_is_not_silent() -> None:
    assert City().find()[0] == []


def test_who_brings_what_it_stored_during_an_outage_is_not_silent() -> None:
    city = City()
    city.measured_ago = dict.fromkeys(city.ago, 5 * 86_400.0)
    assert city.find()[0] == []


def test_a_sensor_whose_device_goes_on_speaking_is_silent_alone() -> None:
    city = City()
    city.ago[21] = METHANE_SILENCE + 100
    found, _ = city.find()
    assert who(found) == [("sensor", 21)]
    assert found[0].subject.kind is SubjectKind.SENSOR
    assert found[0].evidence["silent_s"] == 1000
    assert found[0].evidence["longest_silence_s"] == 900


def test_a_sensor_is_silent_only_after_its_patience_and_the_on_delay() -> None:
    city = City()
    for ago in (899, 901, 955):
        city.ago[21] = ago
        assert city.find()[0] == []


@pytest.mark.parametrize("stagger", [0, 40, 300, 800])
def test_a_dead_device_is_one_alert_and_its_sensors_none(stagger: float) -> None:
    """However far apart its sensors spoke for the last time."""
    city = City()
    for passed in range(0, 3000, 20):
        city.ago[21], city.ago[22] = passed, passed + stagger
        assert set(who(city.find()[0])) <= {("device", 2)}
    assert who(city.find()[0]) == [("device", 2)]
    assert city.find()[1]["silence.sensor"] == {21, 22}


def test_a_dead_gateway_is_one_alert_and_its_devices_and_sensors_none() -> None:
    city = City()
    for passed in range(0, 3000, 20):
        city.ago |= {21: passed, 22: passed + 30, 31: passed + 500, 32: passed + 45}
        assert set(who(city.find()[0])) <= {("gateway", 1)}
    found, suppressed = city.find()
    assert who(found) == [("gateway", 1)]
    assert suppressed == {"silence.sensor": {21, 22, 31, 32}, "silence.device": {2, 3}, "silence.gateway": set()}
    assert [finding.evidence["behind"] for finding in found] == [2]


def test_a_last_will_is_told_at_once_but_for_a_short_delay() -> None:
    city = City()
    city.status[4] = ("offline", 5)
    assert city.find()[0] == []
    city.status[4] = ("offline", 40)
    city.ago[41] = 45
    (found,) = city.find()[0]
    assert (found.rule, found.subject.id, found.evidence["condition"]) == ("silence.device", 4, "last_will")


def test_a_last_will_that_later_readings_belie_is_no_silence() -> None:
    city = City()
    city.status[4] = ("offline", 600)
    city.ago[41] = 5
    assert city.find()[0] == []


def test_the_last_will_of_a_gateway_explains_everything_behind_it() -> None:
    city = City()
    city.status[1] = ("offline", 100)
    city.ago |= {21: 110, 22: 120, 31: 130, 32: 140}
    found, suppressed = city.find()
    assert who(found) == [("gateway", 1)]
    assert suppressed["silence.device"] == set()  # they are not dark by themselves yet
    city.ago |= {21: 1110, 22: 1120, 31: 1130, 32: 1140}
    assert city.find()[1]["silence.device"] == {2, 3}


def test_the_last_wills_of_all_devices_behind_a_gateway_are_the_gateway() -> None:
    city = City()
    city.status = {2: ("offline", 60), 3: ("offline", 50)}
    city.ago |= {21: 70, 22: 70, 31: 70, 32: 70}
    assert who(city.find()[0]) == [("gateway", 1)]
    city.status = {2: ("offline", 60)}
    assert who(city.find()[0]) == [("device", 2)]


def test_what_is_held_stays_while_dark_and_returns_when_heard() -> None:
    city = City()
    city.ago[41] = 5000
    (kept,) = city.find({"silence.device": {4: Level.YELLOW}})[0]
    assert kept.level is Level.YELLOW
    city.ago[41] = 1
    (gone,) = city.find({"silence.device": {4: Level.YELLOW}})[0]
    assert gone.level is None


def test_a_device_that_flaps_returns_only_after_the_off_delay() -> None:
    city = City()
    city.status[4] = ("online", 20)
    (kept,) = city.find({"silence.device": {4: Level.YELLOW}})[0]
    assert kept.level is Level.YELLOW
    city.status[4] = ("online", 90)
    (gone,) = city.find({"silence.device": {4: Level.YELLOW}})[0]
    assert gone.level is None


def test_the_fastest_sensor_of_a_device_tells_that_it_is_dead() -> None:
    """The battery speaks once a day: nobody waits for it."""
    city = City()
    city.slow = {22}
    city.ago |= {21: 2000, 22: 3000}
    assert who(city.find()[0]) == [("device", 2)]


def test_sensors_out_of_service_and_those_that_never_spoke_are_not_silent() -> None:
    city = City()
    city.ago = {21: 10_000, 31: 10, 32: 10, 41: 10}
    city.resting = {21}
    assert city.find()[0] == []
    city.resting = {21, 22}
    city.status[2] = ("offline", 500)
    assert city.find()[0] == []


def test_a_city_without_sensors_is_silent_and_well() -> None:
    inventory = build_inventory([], [], shipped_catalogue())
    none = np.empty(0)
    ears = silence.listen(inventory, States(none.astype(np.int32), none, none, none.astype(np.int32)), [], CLOCK)
    assert all(silence.detect(rule, ears[rule.subject], {}, NOW) == [] for rule in RULES.values())
    one = States(np.array([7], np.int32), np.array([CLOCK]), np.array([CLOCK]), np.zeros(1, np.int32))
    ears = silence.listen(inventory, one, [], CLOCK)
    assert silence.suppressed(ears["sensor"]) == set()


AGES = st.one_of(st.floats(-300, 10_000), st.none())
STATUS = st.one_of(st.none(), st.tuples(st.sampled_from(["online", "offline"]), st.floats(0, 5000)))


@given(st.lists(AGES, min_size=5, max_size=5), st.lists(STATUS, min_size=4, max_size=4))
def test_nobody_is_blamed_together_with_what_is_above_it(
    ages: list[float | None], statuses: list[tuple[str, float] | None]
) -> None:
    city = City()
    city.ago = {sensor: age for sensor, age in zip((21, 22, 31, 32, 41), ages, strict=True) if age is not None}
    city.status = {device: status for device, status in enumerate(statuses, 1) if status is not None}
    found, suppressed = city.find()
    blamed = set(who(found))
    if ("gateway", 1) in blamed:
        assert blamed <= {("gateway", 1), ("device", 4)}
    for device in (2, 3, 4):
        if ("device", device) in blamed:
            assert not any(kind == "sensor" and one // 10 == device for kind, one in blamed)
    for rule, ids in suppressed.items():
        assert not {(rule.removeprefix("silence."), one) for one in ids} & blamed
