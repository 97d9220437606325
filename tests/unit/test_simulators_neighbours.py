"""Districts beside the one in which things happen: who speaks under which name, and what is true there."""

import csv
import math
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lifeline import wire
from lifeline.catalogue import shipped_catalogue
from lifeline.settings import load_settings
from simulators import commands
from simulators.districts import layouts, prefix, write_districts
from simulators.gateway import Gateway
from simulators.history import DAY_STEPS, JANUARY, WEEK_STEPS, Layout, day_of, truth_at
from simulators.neighbours import Neighbours, district
from simulators.world import HISTORY_STEP_S

COUNT = 6
"""More districts than layouts, so that some repeat."""
SETTINGS = load_settings(mqtt_host="127.0.0.1", mqtt_port=1)
Said = dict[str, list[tuple[str, Any]]]


def made_up(number: int, town: Any) -> Layout:
    """A week in which every value tells its step and its layout; summer is 20 higher."""
    winter = np.repeat(np.arange(WEEK_STEPS, dtype=np.float32)[:, None] / 100, len(town.instruments), axis=1) + number
    return Layout(town, winter, winter + 20)


@pytest.fixture(scope="module")
def towns() -> list[Layout]:
    return [made_up(number, town) for number, town in enumerate(layouts(1, COUNT))]


@pytest.fixture(scope="module")
def one() -> Neighbours:
    return Neighbours(SETTINGS, shipped_catalogue(), 1, COUNT, "token")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, one: Neighbours, towns: list[Layout]) -> Said:
    """Who said what through which gateway; nothing leaves this process."""
    said: Said = defaultdict(list)

    def offer(gateway: Gateway, topic: str, payload: bytes, *, retain: bool = False) -> None:
        parsed = wire.parse_topic(topic)
        assert parsed is not None
        assert not retain
        content = orjson.loads(payload)
        said[parsed.device] += [
            (gateway.name, frame) for frame in (content if isinstance(content, list) else [content])
        ]

    monkeypatch.setattr(Gateway, "offer", offer)
    monkeypatch.setattr(Gateway, "alive", property(lambda _self: True))
    one._layouts = towns
    return said


def frames(said: Said) -> list[Any]:
    return [frame for own in said.values() for _, frame in own]


def test_they_speak_under_the_names_of_the_inventory_and_leave_out_the_first_district(
    one: Neighbours, said: Said, tmp_path: Path
) -> None:
    _, sensors = write_districts(1, COUNT, tmp_path)
    rows = list(csv.DictReader(sensors.read_text(encoding="utf-8").splitlines()))
    first = {row["device"] for row in rows if not row["device"].startswith("n0")}
    one.recall(JANUARY, JANUARY, threading.Event())
    assert said.keys() == {row["device"] for row in rows} - first
    assert one.devices == len(said)
    spoken = {(device, channel) for device, own in said.items() for _, frame in own for channel in frame["v"]}
    assert spoken == {(row["device"], row["channel"]) for row in rows if row["device"] not in first}


def test_one_connection_speaks_for_a_district_and_for_no_other(one: Neighbours, said: Said) -> None:
    one.recall(JANUARY, JANUARY, threading.Event())
    voices = {name for own in said.values() for name, _ in own}
    assert len(voices) == COUNT - 1
    assert all(device[:6] == name[:6] for device, own in said.items() for name, _ in own)
    for number, fleet in one._fleets.items():
        (gateway,) = fleet.gateways.values()
        assert {device for _, device in gateway._devices} == set(fleet.devices), prefix(number)


def test_the_past_is_backlog_and_every_five_minutes_of_every_sensor_are_there_once(one: Neighbours, said: Said) -> None:
    steps = DAY_STEPS + 1  # into a second day
    count = one.recall(JANUARY, JANUARY + steps * HISTORY_STEP_S - 1, threading.Event())
    assert all(frame["backlog"] for frame in frames(said))
    assert count == sum(len(frame["v"]) for frame in frames(said))
    for own in said.values():
        assert Counter(frame["ts"] for _, frame in own).most_common(1)[0][1] == 1
    assert max(len(own) for own in said.values()) == steps


def test_who_is_told_to_stop_recalls_no_more(one: Neighbours, said: Said) -> None:
    stop = threading.Event()
    stop.set()
    assert one.recall(JANUARY, JANUARY + 86_400, stop) == 0
    assert not said


def test_live_every_device_speaks_every_ten_seconds_and_not_all_at_once(one: Neighbours, said: Said) -> None:
    start = JANUARY + 3 * 86_400
    one.go_live(start)
    at_once = [one.sample(start + second) for second in range(10)]
    assert said.keys() >= {device for fleet in one._fleets.values() for device in fleet.devices if "gas-reg" in device}
    assert not any("backlog" in frame for frame in frames(said))
    assert max(at_once) < 3 * sum(at_once) / len(at_once)


def test_districts_of_one_layout_tell_the_same_truth_each_with_its_own_noise(one: Neighbours, said: Said) -> None:
    one.recall(JANUARY, JANUARY + 7_200, threading.Event())
    twins = [said[prefix(number) + "water-node-01"] for number in (1, 5)]  # 5 repeats layout 1
    told = np.array([[frame["v"]["pressure"] for _, frame in own] for own in twins])
    assert not np.array_equal(told[0], told[1])
    assert abs(told[0].mean() - told[1].mean()) < 0.5


@given(st.integers(0, 10 * WEEK_STEPS), st.floats(0, 1))
def test_what_is_true_between_two_steps_lies_between_them(towns: list[Layout], step: int, part: float) -> None:
    layout = towns[0]
    moment = JANUARY + (step + part) * HISTORY_STEP_S
    value = float(truth_at(layout, moment)[0])
    low, high = (float(truth_at(layout, JANUARY + (step + n) * HISTORY_STEP_S)[0]) for n in (0, 1))
    assert min(low, high) - 0.05 <= value <= max(low, high) + 0.05  # the season moves at midnight, by 0.3 at most
    assert not math.isnan(value)


def test_a_year_that_was_copied_and_a_town_that_runs_on_tell_the_same_truth(towns: list[Layout]) -> None:
    class Honest:
        def read_all(self, truth: Any) -> Any:
            return truth

    begin = (JANUARY + 250 * 86_400) // 86_400 * 86_400
    day = day_of(towns[0], Honest(), begin)  # type: ignore[arg-type]
    for step in (0, 1, DAY_STEPS // 2, DAY_STEPS - 1):
        assert truth_at(towns[0], begin + step * HISTORY_STEP_S) == pytest.approx(day[step], abs=1e-4)


def test_the_district_in_which_things_happen_keeps_its_names() -> None:
    town = layouts(1, 1)[0]
    assert {i.device for i in district(town, 0).instruments} == {i.device for i in town.instruments}


@pytest.mark.parametrize("command", ["run", "inventory"])
def test_a_town_from_a_file_has_no_districts(command: str, tmp_path: Path) -> None:
    town = tmp_path / "net.inp"
    town.write_text("")
    out = ["--out", str(tmp_path)] if command == "inventory" else []
    done = CliRunner().invoke(
        commands.app, [command, *out, "--town", str(town), "--districts", "3"],
        env={"LIFELINE_MQTT_HOST": "127.0.0.1"},
    )  # fmt: skip
    assert done.exit_code == 2
    assert "--town has no --districts" in done.output
