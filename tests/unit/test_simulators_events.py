"""Events: they act while the truth says so, at the place that it names, and leave nothing behind."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from simulators.director import Director
from simulators.events import BLOWING_S, STEP_OF_STRENGTH, Event
from simulators.kinds import KINDS, Nature
from simulators.orifice import gas_flow
from simulators.places import allowed, asset_of, leaking_pipe, likely, watched
from simulators.planning import make_town
from simulators.scenario import load_scenario
from simulators.town import Node, Pipe, Town
from simulators.world import Seep
from tests.unit.play import START, Ledger, Play, event

PLACED = [kind for kind, entry in KINDS.items() if entry.place]
PHYSICAL = [kind for kind in PLACED if KINDS[kind].nature is Nature.PHYSICAL]


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(1)


# ----------------------------------------------------------------------------------------------- from when to when


def test_an_event_acts_from_its_first_second_to_its_last(town: Town) -> None:
    play = Play(town, event("burst", 10, 20, "W-P-049"))
    assert play.at(0, 9.9) == {}
    assert play.at(10) == {("burst", "W-P-049"): 100.0}
    assert play.at(29.9) == {("burst", "W-P-049"): 100.0}
    assert play.at(30) == {}
    assert play.states() == [("s-1-1", "began"), ("s-1-1", "ended")]


def test_an_event_at_zero_begins_with_the_first_tick(town: Town) -> None:
    assert Play(town, event("inflow", 0, 5, "D-M-016")).at(0) == {("inflow", "D-M-016"): 200.0}


@pytest.mark.parametrize("kind", PHYSICAL)
def test_every_kind_acts_and_then_leaves_nothing_behind(town: Town, kind: str) -> None:
    play = Play(town, event(kind, 0, 60, **({"grow_s": 0.0} if "grow_s" in KINDS[kind].parameters else {})))
    assert play.at(0, 30)
    play.at(60, 60 + BLOWING_S)
    assert play.world.effects() == {}
    assert play.world.seeps == {}
    assert play.director.active == []


def test_what_was_slept_through_never_happened_and_is_not_told(town: Town) -> None:
    """A laptop is closed for a while: the truth must not name what no sensor could feel."""
    play = Play(town, event("burst", 10, 20), event("gateway_dead", 40, 20), event("blockage", 90, 60, "D-P-075"))
    assert play.at(0, 100) == {("blockage", "D-P-075"): 1.0}
    assert play.states() == [("s-1-3", "began")]
    assert play.director.dead_gateways == set()


@pytest.mark.parametrize(("wakes", "begins"), [(29.0, True), (30.0, False), (31.0, False)])
def test_who_wakes_up_before_the_end_still_sees_it(town: Town, wakes: float, begins: bool) -> None:
    play = Play(town, event("burst", 10, 20, "W-P-049"))
    assert bool(play.at(0, wakes)) is begins
    assert bool(play.records) is begins


def test_after_hours_of_sleep_only_the_cycle_of_now_is_played(town: Town) -> None:
    play = Play(town, event("blockage", 0, 50, "D-P-075"), event("burst", 30, 20, "W-P-049"), cycle_s=60)
    play.at(0)
    effects = play.at(60 * 1000 + 35)
    assert set(effects) == {("blockage", "D-P-075"), ("burst", "W-P-049")}
    assert play.states() == [("s-1-1", "began"), ("s-1001-1", "began"), ("s-1001-2", "began"), ("s-1-1", "ended")]


def test_an_event_that_outlives_its_cycle_runs_on_beside_the_next(town: Town) -> None:
    play = Play(town, event("inflow", 0, 90, "D-M-016", inflow_m3h=50), cycle_s=60)
    for second in range(600):
        assert play.at(second) == {("inflow", "D-M-016"): 50.0}
        assert len(play.director.active) == (1 if second < 60 or second % 60 >= 30 else 2)


@pytest.mark.parametrize(("first_ends", "second_ends"), [(30, 60), (60, 30)])
def test_when_two_act_on_one_conduit_the_one_that_goes_on_is_not_undone(
    town: Town, first_ends: int, second_ends: int
) -> None:
    first = event("blockage", 0, first_ends, "D-P-075", closed=0.5)
    second = event("blockage", 10, second_ends - 10, "D-P-075", closed=0.9)
    play = Play(town, first, second)
    assert play.at(0) == {("blockage", "D-P-075"): 0.5}
    assert play.at(10) == {("blockage", "D-P-075"): 0.9}
    assert play.at(30, 31) == {("blockage", "D-P-075"): 0.9 if first_ends == 30 else 0.5}
    assert play.at(60) == {}


def test_two_chambers_on_one_leaking_pipe_are_a_leak_until_both_are_mended() -> None:
    """In the town of seed 6 gas of one pipe is nearest to a valve chamber and to a manhole."""
    town = make_town(6)
    pipe, one, other = "G-P-082", "G-C-072", "D-M-081"
    assert leaking_pipe(town, one) == leaking_pipe(town, other) == pipe
    play = Play(town, event("gas_leak", 0, 30, one), event("gas_leak", 10, 60, other))
    play.at(0, 10, 30, 31)
    assert play.world.effects() == {("leak", pipe): pytest.approx(gas_flow(4.0, 3.5))}
    assert play.at(70) == {}


def test_nothing_is_ever_written_when_nothing_happens(town: Town) -> None:
    play = Play(town)
    for hour in range(100):
        assert play.at(3600 * hour) == {}
    assert play.records == []


# -------------------------------------------------------------------------------------------------------- strength

SPANS = st.tuples(st.floats(1, 1e5), st.floats(0, 1e5))


@given(SPANS, st.lists(st.floats(-1e5, 3e5), min_size=2, max_size=20))
def test_an_event_grows_and_never_shrinks_before_its_end(span: tuple[float, float], times: list[float]) -> None:
    lasts, grow = span
    one = Event("e", event("burst", 0, lasts, grow_s=grow), "W-P-049", 0.0, lasts)
    inside = [one.strength_at(time) for time in sorted(times) if 0 <= time < lasts]
    outside = [one.strength_at(time) for time in times if not 0 <= time < lasts]
    assert all(0 <= strength <= 1 for strength in inside)
    assert all(earlier <= later for earlier, later in pairwise(inside))
    assert not any(outside)


@pytest.mark.parametrize(("after", "strength"), [(0, 0), (25, 0.25), (50, 0.5), (100, 1), (150, 1)])
def test_it_grows_in_a_straight_line_over_its_time(after: float, strength: float) -> None:
    one = Event("e", event("burst", 0, 200, grow_s=100), "W-P-049", 0.0, 200.0)
    assert one.strength_at(after) == strength


def test_one_that_grows_longer_than_it_lasts_never_reaches_its_full_size(town: Town) -> None:
    play = Play(town, event("burst", 0, 50, "W-P-049", grow_s=200))
    sizes = [play.at(second).get(("burst", "W-P-049"), 0.0) for second in range(60)]
    assert 0.45 < max(sizes) / 100 < 0.5  # a quarter of the area: half the width
    assert sizes[50:] == [0.0] * 10


@pytest.mark.parametrize(
    ("kind", "place", "amount", "power"),
    [("burst", "W-P-049", 100, 0.5), ("blockage", "D-P-075", 1.0, 1.0), ("inflow", "D-M-016", 200, 1.0)],
)
def test_a_hole_grows_by_its_area_and_all_else_by_its_size(
    town: Town, kind: str, place: str, amount: float, power: float
) -> None:
    play = Play(town, event(kind, 0, 300, place, grow_s=100))
    for second in range(0, 101, 5):
        play.at(second)
    engine = play.world.water if kind == "burst" else play.world.drainage
    assert engine.settings == pytest.approx([amount * (share / 20) ** power for share in range(1, 21)])


def test_growth_is_told_to_the_engine_in_few_steps(town: Town) -> None:
    play = Play(town, event("burst", 0, 7200, grow_s=3600))
    for second in range(7300):
        play.at(second)
    settings = play.world.water.settings
    assert len(settings) <= 1 / STEP_OF_STRENGTH + 2
    assert settings[-2:] == [100.0, 0.0]


# ---------------------------------------------------------------------------------------------------- gas and rain


def test_a_share_of_the_leak_enters_the_chamber_and_the_crew_blows_it_out(town: Town) -> None:
    (chamber, *_) = allowed(town, "gas_leak")
    play = Play(town, event("gas_leak", 0, 60, chamber, hole_mm=3, share=0.2, blower_m3h=700))
    leak = gas_flow(3.0, 3.5)
    assert list(play.at(0).values()) == [pytest.approx(leak)]
    assert play.world.seeps == {"s-1-1": (chamber, Seep(pytest.approx(0.2 * leak), 0.0))}
    play.at(60)
    assert play.world.seeps == {"s-1-1": (chamber, Seep(0.0, 700.0))}
    play.at(60 + BLOWING_S - 1)
    assert play.world.seeps
    play.at(60 + BLOWING_S)
    assert play.world.seeps == {}


def test_a_leak_grows_in_a_straight_line_as_its_hole_grows_by_its_area(town: Town) -> None:
    play = Play(town, event("gas_leak", 0, 300, allowed(town, "gas_leak")[0], hole_mm=4, grow_s=100))
    for second in range(0, 101, 10):
        play.at(second)
    assert play.world.gas.settings == pytest.approx(gas_flow(4.0, 3.5) * np.arange(1, 11) / 10)


def test_a_storm_rains_its_depth_between_its_times_and_two_add_up(town: Town) -> None:
    play = Play(town, event("storm", 0, 600, depth_mm=10), event("storm", 300, 600, depth_mm=20))
    fallen = 0.0
    for second in range(0, 1000, 5):
        play.at(second)
        fallen += play.world.weather.rain(START + second + 2.5) * 5 / 3600
    assert fallen == pytest.approx(30.0, rel=0.01)
    assert play.world.weather.rain(START + 901) == 0.0


@pytest.mark.parametrize("kind", sorted({"burst", "blockage", "inflow"}))
def test_a_dead_gateway_does_nothing_to_the_pipes_and_pipes_do_nothing_to_gateways(town: Town, kind: str) -> None:
    play = Play(town, event("gateway_dead", 0, 60, "gw-gas-west"), event(kind, 70, 60))
    assert play.at(10) == {}
    assert play.director.dead_gateways == {"gw-gas-west"}
    assert play.at(80)
    assert play.director.dead_gateways == set()


def test_two_gateways_may_be_dead_at_once_and_one_twice(town: Town) -> None:
    west, east = "gw-gas-west", "gw-gas-east"
    play = Play(town, event("gateway_dead", 0, 50, west), event("gateway_dead", 10, 10, east),
                event("gateway_dead", 20, 80, west))  # fmt: skip
    dead = []
    for second in (0, 10, 20, 50, 100):
        play.at(second)
        dead.append(play.director.dead_gateways)
    assert dead == [{west}, {west, east}, {west}, {west}, set()]


# --------------------------------------------------------------------------------------------------------- visible


def observed(kind: str, before: list[float], after: list[float], watching: list[int]) -> Event:
    change = KINDS[kind].sights[0]
    one = Event("e", event(kind, 0, 60), "x", 0.0, 60.0, watched=[(n, change.change, change.share) for n in watching])
    keys = [f"d{n}/c" for n in range(len(before))]
    assert not one.observe(np.array(before), keys, 0.0)
    one.observe(np.array(after), keys, 7.0)
    return one


@pytest.mark.parametrize("kind", [kind for kind, entry in KINDS.items() if entry.sights])
def test_an_event_is_visible_from_the_change_that_is_told_and_only_in_its_direction(kind: str) -> None:
    sight = KINDS[kind].sights[0]
    change = sight.change * (5.0 if sight.share else 1.0)
    assert observed(kind, [5.0], [5.0 + 1.01 * change], [0]).visible_from == 7.0
    assert observed(kind, [5.0], [5.0 + 0.99 * change], [0]).visible_from is None
    away = 5.0 - 1.9 * change
    assert observed(kind, [5.0], [away], [0]).visible_from is None


def test_only_watched_sensors_can_show_it_and_the_first_of_them_is_named() -> None:
    one = observed("gas_leak", [0, 0, 0, 0], [9, 0, 1, 1], [1, 2, 3])
    assert one.visible_at == "d2/c"
    assert observed("gas_leak", [0, 0], [9, 0], [1]).visible_from is None


def test_what_is_visible_is_told_once() -> None:
    one = observed("gas_leak", [0.0], [1.0], [0])
    assert not one.observe(np.array([9.0]), ["d0/c"], 8.0)
    assert one.visible_from == 7.0


def test_a_burst_shows_on_pressures_a_storm_on_gauges_and_a_leak_in_its_chamber_alone(town: Town) -> None:
    def seen(kind: str, place: str) -> list[tuple[str, str]]:
        return [(town.instruments[i].quantity, town.instruments[i].asset) for i, _, _ in watched(town, kind, place)]

    assert {quantity for quantity, _ in seen("burst", "W-P-049")} == {"pressure"}
    assert len(seen("burst", "W-P-049")) == sum(i.quantity == "pressure" for i in town.instruments)
    assert {quantity for quantity, _ in seen("storm", "")} == {"rain"}
    for chamber in allowed(town, "gas_leak"):
        assert seen("gas_leak", chamber) == [("methane", chamber)]
    assert seen("gateway_dead", "gw-gas-west") == []
    assert seen("blockage", "no such conduit") == []


def test_a_blockage_shows_only_where_the_water_would_have_come_through(town: Town) -> None:
    pipes = town.drainage.pipes
    out_of = {pipe.a: pipe for pipe in pipes.values()}

    def drains_through(manhole: str, conduit: str) -> bool:
        while manhole in out_of:
            if out_of[manhole].id == conduit:
                return True
            manhole = out_of[manhole].b
        return False

    levels = [(index, i.asset) for index, i in enumerate(town.instruments) if i.quantity == "level"]
    sewers = [(index, asset) for index, asset in levels if asset in town.drainage.nodes]
    for conduit in list(pipes)[::4]:
        expected = [index for index, asset in sewers if drains_through(asset, conduit)]
        assert [index for index, _, _ in watched(town, "blockage", conduit)] == expected


# ---------------------------------------------------------------------------------------------------------- places


@pytest.mark.parametrize("kind", PLACED)
def test_any_visits_every_likely_place_before_it_comes_back(town: Town, kind: str) -> None:
    places = likely(town, kind)
    play = Play(town, event(kind, 0, 60), cycle_s=60)
    visited = []
    for cycle in range(2 * len(places)):
        play.at(60 * cycle)
        visited += [one.place for one in play.director.active]
    assert sorted(visited[: len(places)]) == sorted(places)
    assert visited[len(places) :] == visited[: len(places)]


def test_the_seed_decides_the_order_of_places(town: Town) -> None:
    def order(seed: int) -> list[str]:
        play = Play(replace(town, seed=seed), event("burst", 0, 60), cycle_s=60)
        return [place for cycle in range(6) for _ in [play.at(60 * cycle)] for place in _places(play)]

    assert order(3) == order(3)
    assert order(3) != order(4)


def _places(play: Play) -> list[str]:
    return [one.place for one in play.director.active]


def test_a_named_place_stays_the_same_in_every_cycle(town: Town) -> None:
    play = Play(town, event("burst", 5, 10, "W-P-049"), cycle_s=60)
    play.at(*range(0, 300, 5))
    assert {record["asset"] for record in play.records} == {"W-P-049"}
    assert {record["id"] for record in play.records} == {f"s-{cycle}-1" for cycle in range(1, 6)}


def test_gas_comes_out_of_the_oldest_pipe_at_a_valve_chamber_and_the_nearest_to_a_manhole(town: Town) -> None:
    for chamber in allowed(town, "gas_leak"):
        pipe = town.gas.pipes[leaking_pipe(town, chamber)]
        if chamber in town.gas.nodes:
            ends = [one for one in town.gas.pipes.values() if chamber in (one.a, one.b)]
            assert pipe.install_year == min(one.install_year for one in ends)
        else:
            here = np.array(town.position(chamber))
            away = {one.id: np.linalg.norm(here - one.middle) for one in town.gas.pipes.values()}
            assert away[pipe.id] == min(away.values())


@pytest.mark.parametrize("kind", PLACED)
def test_a_wrong_place_of_any_kind_is_refused_with_places_that_are_right(town: Town, kind: str) -> None:
    for place in ("", "nowhere", "D-O-1"):
        with pytest.raises(ConfigurationError, match=f"event 1: '{place}' is not") as caught:
            Play(town, event(kind, 0, 60, place))
        examples = str(caught.value).rpartition("for example ")[2].split(", ")
        assert set(examples) <= set(allowed(town, kind))
        assert examples


@pytest.mark.parametrize("kind", PLACED)
def test_a_town_without_sensors_has_no_place_where_an_event_would_be_seen(town: Town, kind: str) -> None:
    with pytest.raises(ConfigurationError, match="event 1: the town has no"):
        Play(replace(town, instruments=()), event(kind, 0, 60))


def test_a_storm_needs_no_sensor_and_has_no_asset(town: Town) -> None:
    play = Play(replace(town, instruments=()), event("storm", 0, 60))
    play.at(0)
    (record,) = play.records
    assert (record["asset"], record["longitude"], record["latitude"], record["chamber"]) == (None,) * 4
    assert record["network"] == "drainage"


# ----------------------------------------------------------------------------------------------------------- truth


def test_the_truth_of_every_shipped_scenario_tells_each_event_in_order_and_whole(town: Town) -> None:
    for name in ("demo", "gas-leak", "burst", "storm", "blockage", "inflow", "dead-gateway", "sudden-gas-leak"):
        records: list[JsonObject] = []
        world: Any = Ledger(town)
        director = Director(town, load_scenario(name), START, records.append)
        for second in range(0, 7400, 10):
            director.tick(world, START + second)
        told: dict[str, list[JsonObject]] = {}
        for record in records:
            told.setdefault(record["id"], []).append(record)
        assert told
        for own in told.values():
            assert [record["state"] for record in own] in (["began"], ["began", "ended"])
            assert {record["kind"] for record in own} == {own[0]["kind"]}
            assert own[0]["from"] < own[0]["to"]
            assert own[0]["parameters"].keys() == KINDS[own[0]["kind"]].parameters.keys()
            assert {record["seed"] for record in own} == {town.seed}


@pytest.mark.parametrize("kind", PLACED)
def test_the_truth_names_the_asset_at_the_place_where_it_stands(town: Town, kind: str) -> None:
    one = Event("e", event(kind, 0, 60), likely(town, kind)[0], 0.0, 60.0)
    asset_id, asset = asset_of(town, kind, one.place)
    assert asset is not None
    assert asset.id == asset_id
    if KINDS[kind].nature is not Nature.PHYSICAL:
        assert isinstance(asset, Node | Pipe)
        assert any(i.asset == asset_id for i in town.at_device(one.place.partition("/")[0]))
    elif kind not in ("gas_leak", "third_party_damage"):
        assert asset_id == one.place
