"""Sick sensors, wrong clocks, broken firmware and tampering: readings change, the city does not."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.catalogue import shipped_catalogue
from lifeline.model import JsonObject
from lifeline.settings import load_settings
from simulators.device import NOISE, Meters
from simulators.director import Director
from simulators.events import Event
from simulators.faults import SEEN_SHARE, STEP, Fault
from simulators.fleet import Fleet, rubbish
from simulators.kinds import KINDS, Nature
from simulators.planning import make_town
from simulators.scenario import EventSpec, Scenario
from simulators.town import Town

START = 1_795_000_200.0
SICK = [kind for kind, entry in KINDS.items() if entry.nature in (Nature.FAULT, Nature.TAMPERING)]


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(1)


def spec(kind: str, lasts: float = 3600.0, place: str = "any", **parameters: float) -> EventSpec:
    defaults = {key: parameter.default for key, parameter in KINDS[kind].parameters.items()}
    return EventSpec(kind, 0.0, lasts, place, defaults | parameters)


def fault(kind: str, quantity: str = "pressure", lasts: float = 3600.0, **parameters: float) -> Fault:
    event = Event("e", spec(kind, lasts, **parameters), "d/pressure", START, START + lasts)
    return Fault(event, 0, quantity, np.random.default_rng(1))


class Play:
    """A scenario of one event over a town in which nothing flows."""

    def __init__(self, town: Town, *events: EventSpec) -> None:
        self.records: list[JsonObject] = []
        self.world: Any = None
        self.director = Director(town, Scenario("s", "S", events), START, self.records.append)

    def told(self, second: float, read: list[float]) -> list[float]:
        self.director.tick(self.world, START + second)
        return self.director.told(read, START + second)


# ---------------------------------------------------------------------------------------------------- what is told


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_a_stuck_sensor_tells_its_first_value_for_ever(values: list[float]) -> None:
    stuck = fault("flatline")
    assert [stuck.told(value, START + n) for n, value in enumerate(values)] == [values[0]] * len(values)


@given(st.floats(0.01, 50), st.floats(0, 3600))
def test_a_drifting_sensor_is_off_in_proportion_to_the_time_that_went_by(size: float, since: float) -> None:
    drifting = fault("drift", size=size)
    off = drifting.told(40.0, START + since) - 40.0
    assert off == pytest.approx(size * STEP["pressure"] * since / 3600, abs=1e-5)


@given(st.floats(0.01, 50), st.floats(-100, 100), st.floats(0, 3600))
def test_a_shifted_sensor_is_off_by_the_same_always(size: float, read: float, since: float) -> None:
    assert fault("offset", size=size).told(read, START + since) - read == pytest.approx(size * STEP["pressure"])


def test_a_noisy_sensor_has_no_bias_and_as_many_times_its_noise_as_is_said() -> None:
    noisy = fault("noise", times=20)
    told = np.array([noisy.told(40.0, START + n) for n in range(3000)])
    spread = max(NOISE["pressure"], STEP["pressure"] / 100)
    assert told.std() == pytest.approx(20 * spread, rel=0.1)
    assert told.mean() == pytest.approx(40.0, abs=20 * spread / 10)


def test_a_jumping_sensor_goes_up_or_down_and_comes_back_each_time() -> None:
    jumping = fault("jumps", size=2.0, every_s=100.0)
    off = [round(jumping.told(40.0, START + n) - 40.0, 6) for n in range(0, 3600, 5)]
    assert set(off) == {0.0, 12.0, -12.0}
    assert off.count(0.0) == pytest.approx(0.8 * len(off), rel=0.1)
    assert off[:4] != [0.0] * 4
    assert off[4:20] == [0.0] * 16


def test_a_replayed_sensor_first_tells_the_truth_and_then_its_own_past() -> None:
    replayed = fault("replay", record_s=60.0)
    read = [math.sin(n / 5) for n in range(240)]
    told = [replayed.told(value, START + n) for n, value in enumerate(read)]
    assert told[:60] == read[:60]
    assert told[60:120] == read[:60]
    assert told[120:180] == read[:60]


def test_a_replay_that_could_record_nothing_has_nothing_to_play() -> None:
    replayed = fault("replay", record_s=60.0)
    assert replayed.told(7.0, START + 1000) == 7.0


@pytest.mark.parametrize("quantity", list(STEP))
def test_every_quantity_that_a_town_measures_has_a_typical_step_above_its_noise(quantity: str) -> None:
    catalogue = shipped_catalogue()
    assert STEP[quantity] > 10 * NOISE[quantity]
    assert STEP[quantity] > 3 * catalogue.quantities[quantity].resolution
    assert STEP[quantity] < catalogue.quantities[quantity].high


def test_steps_and_noises_are_of_the_same_quantities(town: Town) -> None:
    assert set(STEP) == set(NOISE) == {i.quantity for i in town.instruments}


# ------------------------------------------------------------------------------------------------------- visible


@pytest.mark.parametrize("kind", ["offset", "drift", "jumps", "replay"])
def test_a_fault_shows_when_it_is_a_quarter_of_a_step_off(kind: str) -> None:
    sick = fault(kind)
    limit = SEEN_SHARE * STEP["pressure"]
    assert sick.visible(40.0, 40.0 + limit)
    assert sick.visible(40.0, 40.0 - limit)
    assert not sick.visible(40.0, 40.0 + 0.99 * limit)


@pytest.mark.parametrize("kind", ["flatline", "noise"])
def test_what_stays_within_noise_does_not_show(kind: str) -> None:
    sick = fault(kind)
    assert not sick.visible(40.0, 40.0 + NOISE["pressure"] / 2)
    assert sick.visible(40.0, 40.5)


@pytest.mark.parametrize("kind", SICK)
def test_only_the_sensor_that_is_named_tells_something_else(town: Town, kind: str) -> None:
    index = next(n for n, i in enumerate(town.instruments) if i.quantity == "pressure")
    place = "/".join(town.instruments[index].key)
    play = Play(town, spec(kind, 7200, place))
    rng, off = np.random.default_rng(3), 0
    for second in range(0, 7200, 30):
        read = [40.0 + float(rng.normal(0, 0.5)) for _ in town.instruments]
        told = play.told(second, read)
        assert [t for n, t in enumerate(told) if n != index] == [r for n, r in enumerate(read) if n != index]
        off += told[index] != read[index]
    assert off > 10
    read = [40.0] * len(town.instruments)
    assert play.told(7201, read) == read  # it is mended


@pytest.mark.parametrize("kind", [kind for kind in SICK if kind != "replay"])
def test_the_truth_of_a_sick_sensor_names_it_and_from_when_it_shows(town: Town, kind: str) -> None:
    play = Play(town, spec(kind, 3600, "water-works/pressure", **({"size": 3.0} if kind != "noise" else {})))
    rng = np.random.default_rng(4)
    for second in range(0, 3600, 20):
        play.told(second, [40.0 + float(rng.normal(0, 0.5)) for _ in town.instruments])
    states = [record["state"] for record in play.records]
    assert states == ["began", "visible"]
    seen = play.records[-1]
    assert seen["sensor"] == seen["visible_at"] == "water-works/pressure"
    assert seen["devices"] == ["water-works"]
    assert seen["asset"] == "W-D-1"
    assert seen["nature"] in ("fault", "tampering")
    assert seen["from"] <= seen["visible_from"] <= seen["to"]


def test_two_faults_on_one_sensor_add_up_and_end_one_by_one(town: Town) -> None:
    place = "water-works/pressure"
    index = next(n for n, i in enumerate(town.instruments) if "/".join(i.key) == place)
    play = Play(town, spec("offset", 100, place), spec("offset", 200, place, size=2.0))
    read = [40.0] * len(town.instruments)
    assert play.told(10, read)[index] == pytest.approx(40 + 3 * STEP["pressure"])
    assert play.told(150, read)[index] == pytest.approx(40 + 2 * STEP["pressure"])
    assert play.told(250, read)[index] == 40.0


# ------------------------------------------------------------------------------------------------------- devices


def test_a_silent_device_says_nothing_and_all_others_go_on(town: Town) -> None:
    play = Play(town, spec("silence", 100, "water-works"))
    told = play.told(10, [1.0] * len(town.instruments))
    for value, instrument in zip(told, town.instruments, strict=True):
        assert math.isnan(value) == (instrument.device == "water-works")
    assert play.told(200, [1.0] * len(town.instruments)) == [1.0] * len(town.instruments)


def test_a_wrong_clock_is_off_by_what_is_said_and_goes_on_drifting(town: Town) -> None:
    play = Play(town, spec("clock_skew", 86_400, "water-works", skew_s=-240, drift_s_per_day=48))
    play.told(0, [1.0] * len(town.instruments))
    director = play.director
    assert director.clock_offset("water-works", START) == -240
    assert director.clock_offset("water-works", START + 43_200) == pytest.approx(-216)
    assert director.clock_offset("water-tower", START) == 0


def test_the_truth_of_a_sick_device_is_visible_at_once(town: Town) -> None:
    for kind in ("silence", "clock_skew", "garbage"):
        play = Play(town, spec(kind, 100, "gas-gate"))
        play.told(0, [1.0] * len(town.instruments))
        (began,) = play.records
        assert began["visible_from"] == began["from"]
        assert began["devices"] == ["gas-gate"]
        assert began["nature"] == "device"


@given(st.integers(0, 10**9))
def test_what_broken_firmware_sends_is_never_a_reading(now: int) -> None:
    with pytest.raises(ValueError, match=r"(?s).*"):
        json.loads(rubbish(now))


class Air:
    """In place of gateways: keeps what would be sent."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, list[JsonObject]]] = []
        self.bytes: list[tuple[str, bytes]] = []
        self.alive = True

    def publish(self, _network: str, device: str, frames: list[JsonObject]) -> None:
        self.frames.append((device, frames))

    def offer(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.bytes.append((topic, payload))


@pytest.fixture
def air() -> Air:
    return Air()


@pytest.fixture
def fleet(town: Town, air: Air) -> Fleet:
    made = Fleet(town, shipped_catalogue(), load_settings(mqtt_host="nowhere"), "t")
    made.gateways = dict.fromkeys(made.gateways, air)  # type: ignore[arg-type]
    return made


def spoken(fleet: Fleet, play: Play, town: Town, seconds: range) -> None:
    fleet.go_live(START)
    for second in seconds:
        play.director.tick(play.world, START + second)
        fleet.sample(START + second, np.full(len(town.instruments), 3.0), play.director)


def test_a_device_with_broken_firmware_sends_bytes_and_nothing_else(town: Town, fleet: Fleet, air: Air) -> None:
    spoken(fleet, Play(town, spec("garbage", 100, "water-works")), town, range(40))
    assert {topic for topic, _ in air.bytes} == {"lifeline/v1/water/water-works/readings"}
    assert len(air.bytes) == pytest.approx(4, abs=1)
    assert "water-works" not in {device for device, _ in air.frames}


def test_a_device_with_a_wrong_clock_stamps_its_frames_with_it(town: Town, fleet: Fleet, air: Air) -> None:
    spoken(fleet, Play(town, spec("clock_skew", 100, "water-works", skew_s=-3600)), town, range(20))
    stamps = {device: frames[0]["ts"] for device, frames in air.frames}
    assert stamps["water-works"] < stamps["water-tower"]
    assert stamps["water-works"][:13] != stamps["water-tower"][:13]


def test_a_silent_device_sends_nothing_and_makes_up_for_nothing(town: Town, fleet: Fleet, air: Air) -> None:
    play = Play(town, spec("silence", 50, "water-works"))
    spoken(fleet, play, town, range(100))
    mine = [frames for device, frames in air.frames if device == "water-works"]
    assert 4 <= len(mine) <= 6
    assert not any(frame.get("backlog") for frames in mine for frame in frames)


def test_without_a_director_devices_tell_what_they_read(town: Town, fleet: Fleet, air: Air) -> None:
    fleet.go_live(START)
    fleet.sample(START + 60, np.full(len(town.instruments), 3.0))
    assert len(air.frames) == len(fleet.devices)
    assert air.bytes == []


def test_meters_and_faults_do_not_share_their_dice(town: Town) -> None:
    """A fault must not change what the other sensors read: the same seed, with and without, reads the same."""
    truth = np.full(len(town.instruments), 3.0)
    plain = [Meters(town.instruments, shipped_catalogue(), 1).read(truth)]
    play = Play(town, spec("noise", 100, "water-works/pressure"))
    meters = Meters(town.instruments, shipped_catalogue(), 1)
    told = play.told(5, meters.read(truth))
    assert sum(a != b for a, b in zip(plain[0], told, strict=True)) == 1


def test_the_page_of_the_scenarios_is_made_of_the_files() -> None:
    from simulators.handbook import scenarios_page
    from simulators.scenario import load_scenario, shipped

    text = scenarios_page("<!-- a note -->")
    assert text.count("<!-- a note -->") == 1
    for name in shipped():
        assert f"### `{name}`" in text
        assert load_scenario(name).title in text
    for kind in KINDS:
        assert f"#### `{kind}`" in text
    assert (Path(__file__).parents[2] / "docs/reference/scenarios.md").read_text(encoding="utf-8").count(
        "\n### `"
    ) == len(shipped())
