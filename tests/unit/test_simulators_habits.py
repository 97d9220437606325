"""Devices as they are: what a file of habits may say, and what a device then does with its samples."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import senml as reader
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.settings import load_settings
from simulators.device import timestamp
from simulators.fleet import Fleet
from simulators.gateway import Gateway, own_login
from simulators.habits import (
    PLAIN,
    Habit,
    Habits,
    Manner,
    load_habits,
    own_json,
    parse_habits,
    senml,
    shipped_habits,
)  # fmt: skip
from simulators.planning import make_town
from simulators.town import Town

START = 1_795_000_500.0


def manner(**habit: object) -> Manner:
    return Manner(Habit(**habit), np.random.default_rng(1))  # type: ignore[arg-type]


def frame(at: float, value: float = 0.5, sequence: int = 1) -> JsonObject:
    return {"ts": timestamp(at), "v": {"methane": value}, "seq": sequence}


# ----------------------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("name", shipped_habits())
def test_every_shipped_file_loads_and_means_devices_of_the_town(name: str) -> None:
    habits, devices = load_habits(name), make_town(1).device_network()
    assert habits.profiles
    for pattern, habit in habits.profiles:
        assert any(habits.of(device) == habit for device in devices), pattern


def test_the_first_profile_that_matches_counts_and_who_matches_none_is_plain(tmp_path: Path) -> None:
    text = "[[profile]]\ndevices = ['a-1', 'b-*']\nnormal_s = 60\n[[profile]]\ndevices = ['a-*']\nform = 'senml'\n"
    (tmp_path / "own.toml").write_text(text)
    habits = load_habits(str(tmp_path / "own.toml"))
    assert habits.of("a-1") == habits.of("b-7") == Habit(normal_s=60)
    assert habits.of("a-2") == Habit(form="senml")
    assert habits.of("c") is PLAIN


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[profile]]\nform = 'json'", "profile 1: devices must be a list of patterns"),
        ("[[profile]]\ndevices = ['a']\nform = 'xml'", "form must be json or senml"),
        (
            "[[profile]]\ndevices = ['a']\nduplicates = 1.5\nlate = -1",
            r"duplicates must be 0 to 1; .*late must be 0 to 1",
        ),
        ("[[profile]]\ndevices = ['a']\ngathered = 1.5", "gathered must be 1 to 288"),
        ("[[profile]]\ndevices = ['a']\nnormal = 5", "unknown key 'normal'; there are devices, form, normal_s"),
        ("[[profile]]\ndevices = ['a']\ndead_time_s = true", "dead_time_s must be 0 to 3600"),
        ("profile = 3", r"written as \[\[profile\]\]"),
        ("device = 3", "nothing else stands in the file"),
        ("= 3", "not TOML"),
    ],
)
def test_what_makes_no_sense_is_named_with_the_profile(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_habits(text, "own.toml")


def test_a_name_that_nobody_bears_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no habits 'wild'; there are rough"):
        load_habits("wild")
    with pytest.raises(ConfigurationError, match="none"):
        load_habits(str(tmp_path / "none.toml"))


# ------------------------------------------------------------------------------------------------------- what is spoken


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.integers(0, 10**6))
def test_a_senml_pack_says_what_the_own_form_says(values: list[float], shift: int) -> None:
    frames = [frame(START + shift / 1000 + 0.25 * n, value) for n, value in enumerate(values)]
    found = list(reader.resolve(json.loads(senml("rtu-1", frames)), "rtu-1", 0.0))
    assert [(channel, value) for channel, _, value in found] == [("methane", value) for value in values]  # type: ignore[misc]
    own = json.loads(own_json(frames))
    stamps = [each["ts"] for each in (own if isinstance(own, list) else [own])]
    for text, (_, micros, _) in zip(stamps, found, strict=True):  # type: ignore[misc]
        assert timestamp(micros / 1e6) == text


def test_samples_are_gathered_and_a_breach_is_told_at_once() -> None:
    one = manner(gathered=3)
    out = [one.spoken("d", frame(START + n), breach=False) for n in range(4)]
    assert [len(each) for each in out] == [0, 0, 1, 0]
    assert len(json.loads(out[2][0])) == 3
    (payload,) = one.spoken("d", frame(START + 5), breach=True)
    assert [each["ts"] for each in json.loads(payload)] == [timestamp(START + 3), timestamp(START + 5)]
    assert one.left() == []


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5))
def test_whatever_stumbles_nothing_is_lost_and_only_copies_are_added(twice: float, late: float, gathered: int) -> None:
    one = manner(duplicates=twice, late=late, gathered=gathered)
    sent = [p for n in range(200) for p in one.spoken("d", frame(START, n, n), breach=False)]
    sent += one.rest("d")
    frames = Counter(f["seq"] for p in sent for f in (json.loads(p) if p.startswith(b"[") else [json.loads(p)]))
    assert set(frames) == set(range(200))
    assert max(frames.values()) <= 2
    assert one.rest("d") == []


def test_shares_are_those_of_the_habit_and_the_order_is_not() -> None:
    one = manner(duplicates=0.2, late=0.3)
    numbers = [json.loads(p)["seq"] for n in range(2000) for p in one.spoken("d", frame(START, 0, n), breach=False)]
    assert len(numbers) - len(set(numbers)) == pytest.approx(400, rel=0.25)
    overtaken = sum(later < earlier for earlier, later in pairwise(numbers))
    assert 200 < overtaken < 700


def test_a_dead_time_shows_what_was_there_so_long_ago() -> None:
    one = manner(dead_time_s=20.0)
    shown = [one.measured(START + n, {"methane": float(n)})["methane"] for n in range(0, 60, 10)]
    assert shown == [0, 0, 0, 10, 20, 30]


def test_a_clock_gains_and_a_battery_falls_with_the_days() -> None:
    one = manner(drift_s_per_day=4.0, battery_v_per_day=0.5)
    assert one.measured(START, {"battery": 3.6, "level": 1.0}) == {"battery": 3.6, "level": 1.0}
    assert one.ahead(START + 43_200) == pytest.approx(2.0)
    assert one.measured(START + 86_400, {"battery": 3.6, "level": 1.0}) == {"battery": 3.1, "level": 1.0}
    assert one.measured(START + 30 * 86_400, {"battery": 3.6}) == {"battery": 0.0}


# ----------------------------------------------------------------------------------------------------------- the fleet


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(1)


class Air:
    """Payloads by topic, and the gateways that are dead."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, bytes]] = []
        self.dead: set[str] = set()


@pytest.fixture
def air(monkeypatch: pytest.MonkeyPatch) -> Air:
    air = Air()
    monkeypatch.setattr(Gateway, "alive", property(lambda self: self.name not in air.dead))
    monkeypatch.setattr(Gateway, "die", lambda self: air.dead.add(self.name))
    monkeypatch.setattr(Gateway, "start", lambda self: air.dead.discard(self.name))
    monkeypatch.setattr(
        Gateway, "offer", lambda self, topic, payload, **_: air.messages.append((self.name, topic, payload))
    )
    return air


def fleet_of(town: Town, habits: Habits | None = None, passwords: Path | None = None) -> Fleet:
    settings = load_settings(mqtt_host="127.0.0.1", mqtt_port=1, mqtt_username="all")
    return Fleet(town, shipped_catalogue(), settings, "test", habits, passwords)


def run(fleet: Fleet, town: Town, seconds: int, begin: float = START) -> None:
    for second in range(seconds):
        fleet.sample(begin + second, np.full(len(town.instruments), 0.01))


def test_devices_keep_the_rhythm_of_their_habit_and_others_the_plain_one(town: Town, air: Air) -> None:
    habits = Habits((("water-tower", Habit(form="senml", normal_s=60.0, gathered=2)),))
    fleet = fleet_of(town, habits)
    fleet.go_live(START)
    run(fleet, town, 600)
    tower = [p for _, topic, p in air.messages if "/water-tower/" in topic]
    assert len(tower) == 5
    assert all("bn" in json.loads(p)[0] for p in tower)
    other = [p for _, topic, p in air.messages if "/water-works/" in topic]
    assert len(other) == 60
    assert all("v" in json.loads(p) for p in other)


def test_what_was_gathered_when_the_gateway_died_comes_as_backlog(town: Town, air: Air) -> None:
    fleet = fleet_of(town, Habits((("water-tower", Habit(gathered=10)),)))
    fleet.go_live(START)
    gateway = fleet.gateway_of(fleet.devices["water-tower"]).name
    run(fleet, town, 50)
    assert not any("/water-tower/" in topic for _, topic, _ in air.messages)
    fleet.silence({gateway})
    run(fleet, town, 30, START + 50)
    fleet.silence(set())
    (payload,) = [p for _, topic, p in air.messages if "/water-tower/" in topic]
    frames = json.loads(payload)
    assert len(frames) == fleet.devices["water-tower"].sequence >= 8
    assert all(each["backlog"] for each in frames)


def test_a_device_with_a_password_logs_in_as_itself_and_dies_with_its_gateway(
    town: Town, air: Air, tmp_path: Path
) -> None:
    (tmp_path / "water-tower").write_text("secret\n")
    fleet = fleet_of(town, None, tmp_path)
    device = fleet.devices["water-tower"]
    assert fleet.gateway_of(device).name == "water-tower"
    assert fleet.gateway_of(fleet.devices["water-works"]).name in town.gateways()
    fleet.silence({device.gateway})
    assert air.dead == {device.gateway, "water-tower"}
    fleet.silence(set())
    assert air.dead == set()


def test_a_log_in_is_a_devices_own_only_where_there_is_a_file_of_its_name(tmp_path: Path) -> None:
    settings = load_settings(mqtt_username="all")
    (tmp_path / "rtu-1").write_text("secret\n")
    login = own_login(settings, tmp_path, "rtu-1")
    assert login is not None
    assert (login.mqtt_username, login.mqtt_password.get_secret_value()) == ("rtu-1", "secret")
    assert own_login(settings, tmp_path, "rtu-2") is None
    assert own_login(settings, None, "rtu-1") is None
