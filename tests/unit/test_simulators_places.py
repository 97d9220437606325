"""Where events can happen, which sensors see them, and what their effects tell the engines."""

import math
from typing import Any

import numpy as np
import pytest

from lifeline.model import JsonObject
from simulators import orifice
from simulators.director import Director
from simulators.effects import EFFECTS, LEAK_SEEN
from simulators.events import Event
from simulators.kinds import KINDS, PUMP, SENSOR, Nature
from simulators.places import (
    FELT_M,
    MAIN_MM,
    allowed,
    asset_of,
    floors,
    inlet_meter,
    key_of,
    likely,
    pumped_from,
    watched,
    where,
)
from simulators.planning import make_town
from simulators.scenario import EventSpec, Scenario
from simulators.town import Node, Pipe, Town
from tests.unit.test_simulators_events import START, Ledger


@pytest.fixture(scope="module", params=[1, 7])
def town(request: pytest.FixtureRequest) -> Town:
    return make_town(request.param)


def spec(kind: str, lasts: float = 600.0, place: str = "any", **parameters: float) -> EventSpec:
    defaults = {key: parameter.default for key, parameter in KINDS[kind].parameters.items()}
    return EventSpec(kind, 0.0, lasts, place, defaults | parameters)


class Play:
    """One event over a ledger."""

    def __init__(self, town: Town, *events: EventSpec) -> None:
        self.records: list[JsonObject] = []
        self.world: Any = Ledger(town)
        self.director = Director(town, Scenario("s", "S", events), START, self.records.append)

    def at(self, second: float) -> dict[tuple[str, str], float]:
        self.director.tick(self.world, START + second)
        effects: dict[tuple[str, str], float] = self.world.effects()
        return effects


# ------------------------------------------------------------------------------------------------------- places


@pytest.mark.parametrize("kind", [kind for kind, entry in KINDS.items() if entry.place])
def test_likely_places_are_allowed_ones_and_stand_somewhere(town: Town, kind: str) -> None:
    places = likely(town, kind)
    assert places
    assert set(places) <= set(allowed(town, kind))
    for place in places:
        point = where(town, kind, place)
        assert point is not None
        assert math.hypot(*point) < 2500
        name, asset = asset_of(town, kind, place)
        assert isinstance(asset, Node | Pipe)
        assert asset.id == name


def test_a_storm_is_nowhere_in_particular(town: Town) -> None:
    assert where(town, "storm", "") is None
    assert allowed(town, "storm") == []


def test_sensors_are_named_by_device_and_channel(town: Town) -> None:
    assert allowed(town, "flatline") == [key_of(i) for i in town.instruments]
    assert all(place.count("/") == 1 for place in allowed(town, "drift"))


def test_gateways_are_no_devices_that_fall_silent_alone(town: Town) -> None:
    assert not set(allowed(town, "silence")) & set(town.gateways())
    assert set(allowed(town, "silence")) | set(town.gateways()) == set(town.device_network())


def test_the_inlet_is_metered_where_most_customers_hang(town: Town) -> None:
    assert inlet_meter(town) == "water-works/flow"


def test_a_pump_draws_from_the_well_or_the_reservoir_before_it(town: Town) -> None:
    assert pumped_from(town, "D-U-1") == "D-W-1"
    assert pumped_from(town, "W-U-1") == "W-R-1"
    assert pumped_from(town, "W-D-1") == ""


def test_a_valve_that_matters_is_a_metered_main_and_dirt_goes_into_thin_pipes(town: Town) -> None:
    pipes = town.water.pipes
    assert all(pipes[place].diameter_mm >= MAIN_MM for place in likely(town, "valve_closed"))
    assert "W-P-901" not in likely(town, "valve_closed")
    gauged = {i.asset for i in town.instruments if i.quantity == "turbidity"}
    for place in likely(town, "contamination"):
        assert pipes[place].diameter_mm < MAIN_MM
        assert gauged & {pipes[place].a, pipes[place].b}


# ------------------------------------------------------------------------------------------------------ watched


@pytest.mark.parametrize("kind", [kind for kind, entry in KINDS.items() if entry.sights])
def test_every_kind_is_watched_by_sensors_of_its_quantities_alone(town: Town, kind: str) -> None:
    for place in (likely(town, kind) or [""])[:4]:
        found = watched(town, kind, place)
        quantities = {sight.quantity: sight.change for sight in KINDS[kind].sights}
        assert found, place
        for index, change, _ in found:
            assert quantities[town.instruments[index].quantity] == change


@pytest.mark.parametrize("kind", [kind for kind, entry in KINDS.items() if not entry.sights])
def test_what_shows_on_no_sensor_is_watched_by_none(town: Town, kind: str) -> None:
    for place in likely(town, kind)[:3]:
        assert watched(town, kind, place) == []


def test_a_closed_valve_is_looked_for_nearby_only(town: Town) -> None:
    (place, *_) = likely(town, "valve_closed")
    here = where(town, "valve_closed", place)
    assert here is not None
    for index, _, _ in watched(town, "valve_closed", place):
        instrument = town.instruments[index]
        assert instrument.asset == place or math.dist(instrument.at, here) < FELT_M


def test_a_well_shows_a_failed_pump_only_above_its_start_level(town: Town) -> None:
    found = floors(town, "pump_failure", "D-U-1")
    ((index, level),) = found.items()
    assert town.instruments[index].asset == "D-W-1"
    assert level == town.drainage.nodes["D-U-1"].attributes["start_level_m"]
    assert floors(town, "pump_failure", "W-U-1") == {}
    assert floors(town, "burst", "W-P-001") == {}
    event = Event("e", spec("pump_failure"), "D-U-1", 0, 600, watched=[(index, 0.05, False)], floors=found)
    event.baseline = np.zeros(len(town.instruments))
    values, keys = np.zeros(len(town.instruments)), [key_of(i) for i in town.instruments]
    for now, height, seen in ((1, level - 0.1, False), (2, level + 0.04, False), (3, level + 0.06, True)):
        values[index] = height
        assert event.observe(values, keys, now) is seen


# ------------------------------------------------------------------------------------------------------ effects


def test_every_kind_has_an_effect_and_only_physical_ones_touch_the_engines(town: Town) -> None:
    assert set(EFFECTS) == set(KINDS)
    for kind, entry in KINDS.items():
        if entry.nature is not Nature.PHYSICAL:
            assert Play(town, spec(kind)).at(1) == {}


def test_a_slow_leak_is_a_hole_of_its_share_and_is_felt_when_it_is_large_enough(town: Town) -> None:
    for share in (LEAK_SEEN / 2, 0.05):
        play = Play(town, spec("leak", place="W-P-049", share=share))
        hole = orifice.hole_for(share * Ledger(town).water.mean_use_m3h, 45.0)
        assert play.at(0) == {("leak", "W-P-049"): pytest.approx(hole)}
        play.director.observe(np.zeros(len(town.instruments)), START + 1)
        assert (play.records[-1]["visible_at"] == inlet_meter(town)) is (share >= LEAK_SEEN)
        assert play.at(700) == {}


def test_dirt_stops_when_its_inflow_does(town: Town) -> None:
    play = Play(town, spec("contamination", place="W-P-049", turbidity_ntu=30, inflow_m3h=12))
    assert play.at(0) == {("dirt", "W-P-049"): 30, ("inflow", "W-P-049"): 12}
    assert play.at(700) == {}


@pytest.mark.parametrize(("runs", "how"), [(0.0, 1.0), (1.0, 2.0)])
def test_a_failed_pump_stands_or_runs_in_vain(town: Town, runs: float, how: float) -> None:
    for place in allowed(town, "pump_failure"):
        play = Play(town, spec("pump_failure", place=place, runs=runs))
        assert play.at(0) == {("stopped", place): how}
        assert play.at(700) == {}


def test_a_power_cut_stops_the_pump_and_unplugs_its_gateway(town: Town) -> None:
    assert {KINDS[kind].place for kind in ("pump_failure", "power_cut")} == {PUMP}
    play = Play(town, spec("power_cut", place="W-U-1"))
    assert play.at(0) == {("stopped", "W-U-1"): 1.0, ("unplugged", "W-U-1"): START}
    assert play.at(700) == {}


def test_a_storm_of_a_return_period_rains_its_depth(town: Town) -> None:
    from simulators.weather import design_depth

    play = Play(town, spec("storm", 1800, return_years=10))
    play.at(0)
    rain = [play.world.weather.rain(START + second + 2.5) * 5 / 3600 for second in range(0, 1800, 5)]
    assert sum(rain) == pytest.approx(design_depth(10, 1800), rel=0.01)


def test_faults_are_placed_on_sensors_and_nothing_else() -> None:
    for entry in KINDS.values():
        assert (entry.place == SENSOR) == (entry.nature in (Nature.FAULT, Nature.TAMPERING))
