"""Scenario files: checked when they are read, documented, and true."""

import io
import json
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerts.causes import load_causes
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.scoring import CAUSES, LEVELS, SHOWS
from simulators.device import BREACH, FAST_S, NORMAL_S, Meters, make_devices, timestamp
from simulators.director import Director, TruthFile
from simulators.kinds import KINDS, Nature
from simulators.places import allowed, likely
from simulators.planning import make_town
from simulators.scenario import Scenario, load_scenario, parse_scenario, shipped
from simulators.town import Town
from simulators.world import HISTORY_STEP_S, World

START = 1_795_000_337.0
"""At no full step of the history: nobody goes live at one."""
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "scenarios.md"


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(1)


def parse(text: str) -> Scenario:
    return parse_scenario(text, "test", "test.toml")


# ------------------------------------------------------------------------------------------------------ files


def test_every_shipped_scenario_loads_and_has_a_title_in_both_languages() -> None:
    assert {"demo", "gas-leak", "burst", "storm", "blockage", "dead-gateway", "quiet"} <= set(shipped())
    for name in shipped():
        title = load_scenario(name).title
        assert any("\u4e00" <= letter <= "\u9fff" for letter in title)
        assert any(letter.isascii() and letter.isalpha() for letter in title)


def test_the_demo_shows_a_gas_leak_first_and_soon_and_then_something_new_every_few_minutes() -> None:
    demo = load_scenario("demo")
    assert demo.events[0].kind == "gas_leak"
    assert demo.events[0].at_s <= 30
    assert {"burst", "storm", "gateway_dead", "third_party_damage"} <= {event.kind for event in demo.events}
    assert demo.cycle_s is not None
    assert all(b.at_s - a.at_s <= 420 for a, b in pairwise(demo.events))
    assert demo.events[0].at_s + demo.cycle_s - demo.events[-1].at_s <= 450


def test_a_burst_of_the_next_cycle_of_the_demo_is_an_incident_of_its_own() -> None:
    (burst,) = (cause for cause in load_causes() if cause.id == "burst")
    assert (load_scenario("demo").cycle_s or 0) > burst.within_s


def test_what_the_demo_shows_first_is_over_in_time_to_be_seen_recovering_within_ten_minutes() -> None:
    events = {event.kind: event for event in reversed(load_scenario("demo").events)}
    assert max(events[kind].at_s + events[kind].lasts_s for kind in ("gas_leak", "storm", "burst")) <= 420


def test_defaults_are_filled_in_and_events_are_put_in_order() -> None:
    scenario = parse("[[event]]\nkind='burst'\nat_s=90\nlasts_s=60\n[[event]]\nkind='storm'\nat_s=5\nlasts_s=60\n")
    assert [event.kind for event in scenario.events] == ["storm", "burst"]
    assert scenario.events[1].parameters["hole_mm"] == KINDS["burst"].parameters["hole_mm"].default
    assert scenario.events[1].place == "any"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = ", "not TOML"),
        ("colour = 1", "unknown key 'colour'"),
        ("title = 3", "title must be text"),
        ("cycle_s = 5", "cycle_s must be a number of seconds, 60 or more"),
        ("event = 3", r"\[\[event\]\]"),
        ("[[event]]\nkind='flood'\nat_s=1\nlasts_s=1", "kind 'flood' is unknown; there are gas_leak"),
        ("[[event]]\nat_s=1\nlasts_s=1", "kind None is unknown"),
        ("[[event]]\nkind='burst'\nlasts_s=1", "at_s must be a number"),
        ("[[event]]\nkind='burst'\nat_s=-1\nlasts_s=1", "at_s must be a number of seconds, 0 or more"),
        ("[[event]]\nkind='burst'\nat_s=nan\nlasts_s=1", "at_s must be a number"),
        ("[[event]]\nkind='burst'\nat_s=true\nlasts_s=1", "at_s must be a number"),
        ("[[event]]\nkind='burst'\nat_s=1\nlasts_s=0", "lasts_s must be a number of seconds, 1 or more"),
        ("[[event]]\nkind='burst'\nat_s=1\nlasts_s=1\nhole_mm=900", "hole_mm must be 5 to 300 mm"),
        ("[[event]]\nkind='burst'\nat_s=1\nlasts_s=1\nhole_mm='big'", "hole_mm must be 5 to 300 mm"),
        ("[[event]]\nkind='burst'\nat_s=1\nlasts_s=1\nplace=7", "place must name a water pipe"),
        ("[[event]]\nkind='burst'\nat_s=1\nlasts_s=1\ndepth_mm=7", "unknown key 'depth_mm'; burst takes"),
        ("[[event]]\nkind='storm'\nat_s=1\nlasts_s=1\nplace='x'", "unknown key 'place'"),
        ("cycle_s=60\n[[event]]\nkind='storm'\nat_s=60\nlasts_s=1", "event 1: at_s must lie before the cycle's end"),
    ],
)
def test_a_mistake_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        parse(text)
    assert str(caught.value).startswith("test.toml: ")


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("[[event]]\nkind='burst'\nlasts_s=1\n[[event]]\nkind='nothing'\n")
    assert "event 1: at_s" in str(caught.value)
    assert "event 2: kind 'nothing'" in str(caught.value)


def test_an_unknown_scenario_names_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="no scenario 'nope'; there are biogas, blockage, burst"):
        load_scenario("nope")


def test_a_scenario_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("title='x'\n[[event]]\nkind='storm'\nat_s=1\nlasts_s=60\ndepth_mm=5\n", encoding="utf-8")
    assert load_scenario(str(file)).events[0].parameters["depth_mm"] == 5.0
    with pytest.raises(ConfigurationError, match=r"missing\.toml"):
        load_scenario(str(tmp_path / "missing.toml"))


def test_a_place_that_the_town_does_not_have_is_refused_with_examples(town: Town) -> None:
    scenario = parse("[[event]]\nkind='burst'\nat_s=1\nlasts_s=1\nplace='G-P-001'")
    with pytest.raises(ConfigurationError, match=r"event 1: 'G-P-001' is not a water pipe; for example W-P-000"):
        Director(town, scenario, 0.0, print)


def test_the_reference_describes_every_kind_parameter_and_scenario() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    for name, kind in KINDS.items():
        assert f"`{name}`" in text
        assert kind.meaning in text
        for key, parameter in kind.parameters.items():
            row = f"| `{key}` | {parameter.default:g} | {parameter.low:g} to {parameter.high:g} | {parameter.unit} |"
            assert row in text, (name, key)
    for kind in CAUSES:
        section = text.split(f"#### `{kind}`", 1)[1].split("####")[0]
        scored = next(line for line in section.splitlines() if line.startswith("Scored: "))
        assert all(f"`{cause}`" in scored for cause in CAUSES[kind])
        assert all(quantity in scored for quantity in SHOWS[kind])
        if kind in LEVELS:
            assert "worst level {} to {}.".format(*(level.slug for level in LEVELS[kind])) in scored
    for scenario in shipped():
        assert f"`{scenario}`" in text
        assert load_scenario(scenario).title in text


# ------------------------------------------------------------------------------------------------------ truth


class Played(list[JsonObject]):
    """The truth of one run, and what the meters showed and the devices told at each moment."""

    times: list[float]
    shown: list[list[float]]
    told: list[list[float]]


def play(town: Town, name: str, seconds: int, step: int = 2, until_seen: bool = False) -> Played:
    """``until_seen``: no longer than until every event of the scenario has been seen and read three times since."""
    played, scenario = Played(), load_scenario(name)
    history = [START // HISTORY_STEP_S * HISTORY_STEP_S - HISTORY_STEP_S * past for past in range(6, -1, -1)]
    world = World(town, history[0])
    try:
        for past in history:
            world.at(past)
        world.go_live(START, max(step, 10))
        director = Director(town, scenario, START, played.append)
        meters = Meters(town.instruments, shipped_catalogue(), 1)
        played.times, played.shown, played.told, seen_for = [], [], [], 0
        for second in range(0, seconds, step):
            now = START + second
            director.tick(world, now)
            values = world.at(now)
            director.observe(values, now)
            played.times.append(now)
            played.shown.append(meters.read(values))
            played.told.append(director.told(played.shown[-1], now))
            seen = {record["id"] for record in played if record["visible_from"]}
            seen_for += len(seen) == len(scenario.events)
            if until_seen and seen_for > 3:
                break
    finally:
        world.close()
    return played


LONGEST_STEPS = 250


@pytest.fixture(scope="module", params=[name for name in shipped() if name != "quiet"])
def played(request: pytest.FixtureRequest, town: Town) -> Played:
    if request.param == "demo":
        whole: Played = request.getfixturevalue("demo")
        return whole
    lasts = max(event.at_s + event.lasts_s for event in load_scenario(request.param).events)
    step = int(min(max(10.0, lasts / LONGEST_STEPS), 900.0))
    return play(town, request.param, int(lasts), step, until_seen=True)


def seconds_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


LATENT = {("tampering-replay", "burst")}
"""A burst that the replayed sensor hides; other sensors would show it if its hole were larger."""


def test_each_event_can_be_seen_in_the_data_by_the_time_that_its_truth_says(town: Town, played: Played) -> None:
    last = {record["id"]: record for record in played}
    names = [f"{i.device}/{i.channel}" for i in town.instruments]
    assert last
    for record in last.values():
        if (record["scenario"], record["kind"]) in LATENT:
            continue
        assert record["visible_from"], record["id"]
        if record["nature"] == Nature.DEVICE or record["kind"] == "leak":
            continue  # the devices' own words, and a leak beside its twin, are looked at below
        began, visible = seconds_of(record["from"]), seconds_of(record["visible_from"])
        sensor = names.index(record["visible_at"])
        at = next(i for i, time in enumerate(played.times) if time >= visible - 1e-3)
        if record["nature"] == Nature.PHYSICAL:
            before = next(i for i, time in enumerate(played.times) if time >= began - 1e-3)
            first = played.shown[max(before - 1, 0)][sensor]
            change = abs(np.median([row[sensor] for row in played.shown[at : at + 3]]) - first)
            assert change >= evidence(record["kind"], town.instruments[sensor].quantity, first), record["id"]
        else:
            assert played.told[at][sensor] != played.shown[at][sensor], record["id"]


def evidence(kind: str, quantity: str, before: float) -> float:
    """Change that the meters must show; less than what counts as physically visible, because of noise."""
    sight = next(sight for sight in KINDS[kind].sights if sight.quantity == quantity)
    return 0.7 * abs(sight.change) * (abs(before) if sight.share else 1.0)


def test_nothing_is_visible_before_it_begins(played: Played) -> None:
    for record in played:
        if record["visible_from"]:
            assert record["from"] <= record["visible_from"] <= record["to"]


def test_values_stay_physical_and_plausible_whatever_happens(town: Town, played: Played) -> None:
    catalogue = shipped_catalogue()
    shown = np.array(played.shown)
    for index, instrument in enumerate(town.instruments):
        quantity = catalogue.quantities[instrument.quantity]
        column = shown[:, index]
        assert column.min() >= quantity.low
        assert column.max() <= quantity.high
        assert (np.abs(np.diff(column)) / np.diff(played.times)).max() <= quantity.max_rate, instrument.key


@pytest.fixture(scope="module")
def demo(town: Town) -> Played:
    return play(town, "demo", 2400)


def test_the_demo_reaches_five_percent_lel_within_a_minute_and_recovers(town: Town, demo: Played) -> None:
    leak = next(record for record in demo if record["kind"] == "gas_leak")
    sensor = next(i for i, s in enumerate(town.instruments) if s.asset == leak["chamber"] and s.quantity == "methane")
    began, ended = seconds_of(leak["from"]), seconds_of(leak["to"])
    first = next(time for time, row in zip(demo.times, demo.shown, strict=True) if row[sensor] >= 0.25)
    assert first - began < 60
    assert max(row[sensor] for row in demo.shown) > 1.0  # past 20 %LEL
    after = [row[sensor] for time, row in zip(demo.times, demo.shown, strict=True) if time > ended + 900]
    assert max(after) < 0.25


def test_a_burst_lowers_pressure_below_the_ladder_at_some_sensor_and_it_returns(town: Town, demo: Played) -> None:
    burst = next(record for record in demo if record["kind"] == "burst")
    sensors = [i for i, s in enumerate(town.instruments) if s.quantity == "pressure"]
    began, ended = seconds_of(burst["from"]), seconds_of(burst["to"])
    pressure = {time: min(row[i] for i in sensors) for time, row in zip(demo.times, demo.shown, strict=True)}
    assert min(p for time, p in pressure.items() if began + 30 < time < ended) < 16
    assert min(p for time, p in pressure.items() if ended + 30 < time < ended + 300) > 25


def test_a_cycle_repeats_its_events_at_other_places(demo: Played) -> None:
    leaks = {r["id"]: r["chamber"] for r in demo if r["kind"] == "gas_leak"}
    assert sorted(leaks) == ["demo-1-1", "demo-1-7", "demo-2-1"]
    assert len(set(leaks.values())) == 3


def test_the_same_seed_and_time_give_the_same_truth_and_the_same_readings(town: Town) -> None:
    first, second = play(town, "sudden-gas-leak", 120), play(make_town(1), "sudden-gas-leak", 120)
    assert first == second
    assert first.shown == second.shown


def test_truth_lines_are_whole_and_the_last_of_an_id_counts(town: Town, demo: Played) -> None:
    file = io.StringIO()
    for record in demo:
        TruthFile(file).write(record)
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert lines == list(demo)
    for line in lines:
        assert line["state"] in ("began", "visible", "ended")
        if line["kind"] != "storm":
            assert town.asset(line["asset"]) is not None
            assert -180 < line["longitude"] < 180
    ended = {line["id"] for line in lines if line["state"] == "ended"}
    assert {"demo-1-1", "demo-1-2", "demo-1-3", "demo-1-4", "demo-1-5"} <= ended


def test_a_dead_gateway_is_known_by_its_name_and_the_devices_behind_it(town: Town) -> None:
    records: list[JsonObject] = []
    director = Director(town, load_scenario("dead-gateway"), START, records.append)
    world: Any = None  # nothing physical happens
    assert director.dead_gateways == set()
    director.tick(world, START + 20)
    (dead,) = director.dead_gateways
    assert records[0]["gateway"] == dead
    assert records[0]["devices"] == town.gateways()[dead]
    assert records[0]["visible_from"] == records[0]["from"]
    director.tick(world, START + 320)
    assert director.dead_gateways == set()
    assert records[-1]["state"] == "ended"


@pytest.mark.parametrize("seed", [2, 5])
def test_any_town_has_likely_places_that_are_allowed(seed: int) -> None:
    town = make_town(seed)
    for kind in KINDS:
        assert set(likely(town, kind)) <= set(allowed(town, kind))


# ---------------------------------------------------------------------------------------------------- devices


def test_readings_are_multiples_of_the_resolution(town: Town) -> None:
    catalogue = shipped_catalogue()
    meters = Meters(town.instruments, catalogue, 1)
    for shown in (meters.read(np.full(len(town.instruments), 1.234567)) for _ in range(20)):
        for value, instrument in zip(shown, town.instruments, strict=True):
            steps = value / catalogue.quantities[instrument.quantity].resolution
            assert steps == pytest.approx(round(steps), abs=1e-6)


def test_noise_is_small_and_without_a_trend(town: Town) -> None:
    meters = Meters(town.instruments, shipped_catalogue(), 1)
    index = next(i for i, s in enumerate(town.instruments) if s.quantity == "pressure")
    shown = np.array([meters.read(np.full(len(town.instruments), 40.0))[index] for _ in range(400)])
    assert shown.mean() == pytest.approx(40.0, abs=0.2)
    assert 0.02 < shown.std() < 0.2


def test_nothing_that_cannot_be_negative_is(town: Town) -> None:
    meters = Meters(town.instruments, shipped_catalogue(), 1)
    for _ in range(50):
        shown = meters.read(np.zeros(len(town.instruments)))
        assert all(
            value >= 0
            for value, s in zip(shown, town.instruments, strict=True)
            if s.quantity not in ("pressure", "flow", "gas_flow")
        )


def test_devices_number_their_frames_and_mark_backlog(town: Town) -> None:
    device = next(iter(make_devices(town.instruments).values()))
    first, second = device.frame(START, {"battery": 12.7}), device.frame(START, {"battery": 12.7}, backlog=True)
    assert (first["seq"], second["seq"]) == (1, 2)
    assert "backlog" not in first
    assert second["backlog"] is True


def test_timestamps_are_utc_to_the_millisecond() -> None:
    assert timestamp(0.25) == "1970-01-01T00:00:00.250Z"


def test_devices_hurry_on_a_breach() -> None:
    assert FAST_S < NORMAL_S <= 10
    assert BREACH["methane"] <= 0.25


# ------------------------------------------------------------------------------------------------------ recovery


def test_within_ten_minutes_of_the_demo_a_leak_a_storm_and_a_burst_have_come_and_gone(town: Town, demo: Played) -> None:
    """What `make demo` promises to a person at the page: each from its first sign to its recovery."""
    last = {record["id"]: record for record in demo}
    first = {record["kind"]: record for record in reversed(list(last.values()))}
    live = demo.times[0]
    for kind, quantity, calm in (("gas_leak", "methane", 0.25), ("storm", "rain", 0.1), ("burst", "pressure", 25.0)):
        record = first[kind]
        assert record["state"] == "ended"
        assert record["visible_from"]
        assert seconds_of(record["to"]) - live < 600
        assert seconds_of(record["visible_from"]) - seconds_of(record["from"]) <= 30, "no step of history is in its way"
        columns = [n for n, i in enumerate(town.instruments) if i.quantity == quantity]
        at = next(n for n, time in enumerate(demo.times) if time >= live + 600)
        values = [demo.shown[at][n] for n in columns]
        assert min(values) > calm if kind == "burst" else max(values) < calm, kind


def test_the_demo_shows_them_one_after_the_other_and_not_all_at_once(demo: Played) -> None:
    kinds = ("gas_leak", "storm", "burst")
    began = [record["from"] for record in demo if record["state"] == "began" and record["kind"] in kinds][:3]
    assert began == sorted(began)
    assert all(30 <= seconds_of(b) - seconds_of(a) <= 300 for a, b in pairwise(began))
