"""Scenarios out of scenarios: what is included, what comes after what, and what is near what."""

import math
from pathlib import Path
from typing import Any

import pytest

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from simulators.director import Director
from simulators.kinds import KINDS
from simulators.places import likely, nearest, where
from simulators.planning import make_town
from simulators.scenario import Scenario, load_scenario, parse_scenario, shipped
from simulators.town import Town
from tests.unit.test_simulators_events import START, Ledger


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(1)


def parse(text: str, source: str = "test.toml") -> Scenario:
    return parse_scenario(text, "test", source)


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    return str(caught.value)


def event(kind: str, at: float = 10, lasts: float = 100, **more: str) -> str:
    lines = [f"{key} = {value}" for key, value in more.items()]
    return "\n".join(["[[event]]", f"kind = '{kind}'", f"at_s = {at}", f"lasts_s = {lasts}", *lines]) + "\n"


# ------------------------------------------------------------------------------------------------------- after


def test_an_event_after_another_counts_from_its_beginning() -> None:
    text = event("burst", 30, name="'main'") + event("gas_leak", 600, after="'main'")
    assert [(e.kind, e.at_s, e.after) for e in parse(text).events] == [("burst", 30, ""), ("gas_leak", 630, "main")]


def test_a_chain_of_three_adds_up_in_any_order_of_the_file() -> None:
    text = event("storm", 5, name="'c'", after="'b'") + event("burst", 10, name="'b'", after="'a'")
    text += event("blockage", 100, name="'a'")
    assert {e.name: e.at_s for e in parse(text).events} == {"a": 100, "b": 110, "c": 115}


def test_a_chain_that_bites_its_tail_is_refused() -> None:
    text = event("storm", 5, name="'a'", after="'b'") + event("burst", 10, name="'b'", after="'a'")
    assert "goes round in a circle" in refused(text)


@pytest.mark.parametrize("key", ["after", "near"])
def test_a_name_that_nobody_bears_is_refused_with_those_that_there_are(key: str) -> None:
    message = refused(event("burst", name="'one'") + event("gas_leak", **{key: "'two'"}))
    assert f"event 2: {key} names 'two', which no other event bears; there are one" in message


@pytest.mark.parametrize("key", ["after", "near"])
def test_nothing_comes_after_itself(key: str) -> None:
    assert "which no other event bears" in refused(event("burst", name="'one'", **{key: "'one'"}))


def test_a_name_may_be_borne_once_only() -> None:
    assert "the name 'x' is borne twice" in refused(event("burst", name="'x'") + event("storm", name="'x'"))


@pytest.mark.parametrize("value", ["''", "3", "[]", "true"])
def test_a_name_is_a_text_that_is_not_empty(value: str) -> None:
    assert "event 1: name must be a name" in refused(event("burst", name=value))


def test_harmless_is_yes_or_no() -> None:
    assert "harmless must be true or false" in refused(event("storm", harmless="1"))
    assert parse(event("storm", harmless="true")).events[0].harmless
    assert not parse(event("storm")).events[0].harmless


# -------------------------------------------------------------------------------------------------------- near


def test_the_place_is_named_or_near_something_and_never_both() -> None:
    text = event("burst", name="'main'") + event("gas_leak", near="'main'", place="'G-C-001'")
    assert "place and near cannot both say where" in refused(text)


def test_what_is_everywhere_is_near_nothing() -> None:
    assert "unknown key 'near'" in refused(event("burst", name="'main'") + event("storm", near="'main'"))


def test_nothing_is_near_what_comes_later() -> None:
    text = event("burst", 500, name="'main'") + event("gas_leak", 5, near="'main'")
    assert "cannot be near 'main', which begins later" in refused(text)


def test_an_event_near_another_is_put_at_the_nearest_place_that_is_likely(town: Town) -> None:
    text = event("burst", 1, place="'W-P-049'", name="'main'") + event("gas_leak", 5, near="'main'", after="'main'")
    records: list[JsonObject] = []
    world: Any = Ledger(town)
    director = Director(town, parse(text), START, records.append)
    for second in (0, 1, 6):
        director.tick(world, START + second)
    burst, leak = records
    here = where(town, "burst", "W-P-049")
    assert here is not None
    away = {place: math.dist(where(town, "gas_leak", place) or (0, 0), here) for place in likely(town, "gas_leak")}
    assert away[leak["chamber"]] == min(away.values())
    assert leak["caused_by"] == burst["id"]
    assert burst["caused_by"] is None


def test_near_nowhere_is_the_first_likely_place(town: Town) -> None:
    spec = parse(event("gas_leak")).events[0]
    assert nearest(town, spec, None) == likely(town, "gas_leak")[0]


# ----------------------------------------------------------------------------------------------------- include


def test_an_included_scenario_brings_all_its_events_as_much_later_as_is_said() -> None:
    own, storm = parse('include = [{scenario = "storm", at_s = 600}]\n' + event("burst")), load_scenario("storm")
    assert [(e.kind, e.at_s) for e in own.events] == [("burst", 10), ("storm", 600 + storm.events[0].at_s)]
    assert own.events[1].parameters == storm.events[0].parameters


def test_a_scenario_may_be_included_by_its_bare_name() -> None:
    assert [e.kind for e in parse('include = ["burst", "storm"]').events] == ["burst", "storm"]


def test_names_of_an_included_file_keep_to_themselves_and_can_be_referred_to() -> None:
    text = (
        'include = ["chain-burst-gas"]\n'
        + event("storm", 60, name="'burst'")
        + event("blockage", 7, after="'chain-burst-gas.burst'")
    )
    by_kind = {e.kind: e for e in parse(text).events}
    inner = load_scenario("chain-burst-gas").events[0]
    assert by_kind["burst"].name == "chain-burst-gas.burst"
    assert by_kind["gas_leak"].near == by_kind["gas_leak"].after == "chain-burst-gas.burst"
    assert by_kind["gas_leak"].at_s == load_scenario("chain-burst-gas").events[1].at_s
    assert by_kind["blockage"].at_s == inner.at_s + 7


@pytest.mark.parametrize(
    ("include", "complaint"),
    [
        ("'storm'", "include must be a list"),
        ("[3]", "include 1: write the name of a scenario"),
        ("[{at_s = 3}]", "include 1: write the name of a scenario"),
        ("[{scenario = 'storm', later = 3}]", "include 1: it takes scenario and at_s"),
        ("[{scenario = 'storm', at_s = -3}]", "include 1: at_s must be a number of seconds, 0 or more"),
        ("[{scenario = 'storm', at_s = nan}]", "include 1: at_s must be a number of seconds, 0 or more"),
        ("['storms']", "no scenario 'storms'"),
    ],
)
def test_a_wrong_include_is_told(include: str, complaint: str) -> None:
    assert complaint in refused(f"include = {include}")


def test_files_beside_a_file_are_found_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "inner.toml").write_text(event("burst"))
    (tmp_path / "outer.toml").write_text('include = ["inner.toml"]\n' + event("storm", 20))
    assert [e.kind for e in load_scenario(str(tmp_path / "outer.toml")).events] == ["burst", "storm"]


def test_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('include = ["b.toml"]')
    (tmp_path / "b.toml").write_text('include = ["a.toml"]')
    with pytest.raises(ConfigurationError, match="includes itself"):
        load_scenario(str(tmp_path / "a.toml"))


def test_files_within_files_without_end_are_refused(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"f{number}.toml").write_text(f'include = ["f{number + 1}.toml"]')
    (tmp_path / "f20.toml").write_text("")
    with pytest.raises(ConfigurationError, match="too many lie within each other"):
        load_scenario(str(tmp_path / "f0.toml"))


def test_a_mistake_in_an_included_file_is_told_with_that_files_name(tmp_path: Path) -> None:
    (tmp_path / "inner.toml").write_text(event("burst", -1))
    (tmp_path / "outer.toml").write_text('include = ["inner.toml"]')
    with pytest.raises(ConfigurationError, match=r"inner\.toml: event 1: at_s"):
        load_scenario(str(tmp_path / "outer.toml"))


# ----------------------------------------------------------------------------------------------- what is shipped


def test_every_kind_of_event_is_played_by_some_shipped_scenario() -> None:
    played = {e.kind for name in shipped() for e in load_scenario(name).events}
    assert played == set(KINDS)


def test_every_shipped_scenario_fits_a_town_of_any_seed() -> None:
    for seed in (2, 3):
        town = make_town(seed)
        for name in shipped():
            Director(town, load_scenario(name), START, lambda _record: None)


def test_rain_that_the_sewers_carry_is_marked_as_harmless_and_a_gas_leak_is_not() -> None:
    harmless = {(name, e.kind) for name in shipped() for e in load_scenario(name).events if e.harmless}
    assert harmless == {("storm-within-capacity", "storm"), ("half-blocked-sewer", "storm")}


def test_no_shipped_scenario_lasts_longer_than_a_week() -> None:
    for name in shipped():
        assert all(e.at_s + e.lasts_s <= 7 * 86_400 for e in load_scenario(name).events)
