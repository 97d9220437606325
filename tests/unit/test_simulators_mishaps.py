"""Mishaps in the engines against closed forms: leaks, valves, pumps, dirt, drowned regulators, gullies, hot weather."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import orifice
from simulators.chamber import BACKGROUND_VOL, biogas
from simulators.drainage import DrainageEngine
from simulators.gas import GasEngine
from simulators.gully import CAPACITY_MM_H, PAN_SHARE, RUNOFF, Gully
from simulators.planning import make_town
from simulators.town import Town
from simulators.water import CHLORINE_OUT_MG_L, TURBIDITY_OUT_NTU, WaterEngine, middle
from simulators.weather import Weather, design_depth
from simulators.world import World
from tests.unit.play import Dry

START, SEED = 1_795_000_500.0, 1


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(SEED)


# ------------------------------------------------------------------------------------------------------- water


WANTED = [
    ("W-P-901", "flow"), ("W-D-1", "pressure"), ("W-U-1", "pump_current"), ("W-J-028", "turbidity"),
    ("W-J-028", "residual_chlorine"), ("W-P-103", "flow"), ("W-T-1", "level"),
]  # fmt: skip


@pytest.fixture
def water(town: Town) -> Iterator[WaterEngine]:
    engine = WaterEngine(town.water, WANTED, START, SEED)
    engine.step(START + 3600)
    yield engine
    engine.close()


def later(engine: WaterEngine, seconds: float) -> np.ndarray:
    return engine.step(START + engine.clock + seconds)


@given(st.floats(0.1, 500), st.floats(1, 100))
def test_the_hole_for_a_flow_lets_just_that_flow_out(flow: float, head: float) -> None:
    assert 3600 * orifice.water_flow(orifice.hole_for(flow, head), head) == pytest.approx(flow)


def test_a_leak_takes_its_share_of_the_mean_use_by_the_orifice_law(water: WaterEngine) -> None:
    share, pipe = 0.05 * water.mean_use_m3h, "W-P-085"
    head = water.head(middle(pipe))
    water.disturb("leak", pipe, orifice.hole_for(share, head))
    later(water, 10)
    left = water.demand(middle(pipe))
    assert left == pytest.approx(
        3600 * orifice.water_flow(orifice.hole_for(share, head), water.head(middle(pipe))), rel=0.01
    )
    assert left == pytest.approx(share, rel=0.1)


def test_a_leak_of_five_percent_is_missing_at_the_inlet_and_the_tower_beside_its_twin(town: Town) -> None:
    """What the truth of a slow leak claims: works and tower together give that much more than without it."""
    twins = [WaterEngine(town.water, WANTED, START, SEED) for _ in range(2)]
    for engine in twins:
        engine.step(START + 3600)
    share = 0.05 * twins[0].mean_use_m3h
    twins[1].disturb("leak", "W-P-085", orifice.hole_for(share, twins[1].head(middle("W-P-085"))))
    bore = town.water.nodes["W-T-1"].attributes["bore_m"]
    given = []
    for engine in twins:
        first, supplied = later(engine, 10)[6], 0.0
        for _ in range(48):
            supplied += later(engine, 150)[0] / 12
            last = later(engine, 150)[6]
        given.append(supplied - (last - first) * math.pi * bore**2 / 4)
        engine.close()
    assert (given[1] - given[0]) / 4 == pytest.approx(share, rel=0.15)  # pressure is not constant


def test_a_burst_and_a_leak_at_one_pipe_add_up_and_are_mended_one_by_one(water: WaterEngine) -> None:
    joint = middle("W-P-049")
    water.disturb("leak", "W-P-049", 20.0)
    water.disturb("burst", "W-P-049", 40.0)
    later(water, 10)
    both = orifice.water_flow(20.0, water.head(joint)) + orifice.water_flow(40.0, water.head(joint))
    assert water.demand(joint) == pytest.approx(3600 * both, rel=0.01)
    water.disturb("burst", "W-P-049", 0.0)
    later(water, 10)
    assert water.demand(joint) == pytest.approx(3600 * orifice.water_flow(20.0, water.head(joint)), rel=0.01)


def test_nothing_passes_a_closed_valve_and_all_is_as_before_when_it_opens(water: WaterEngine) -> None:
    before = later(water, 10)[5]
    water.disturb("closed", "W-P-103", 1.0)
    assert later(water, 10)[5] == pytest.approx(0.0, abs=0.05)
    water.disturb("closed", "W-P-103", 0.0)
    assert later(water, 10)[5] == pytest.approx(before, rel=0.05)


def test_without_pumps_the_tower_alone_feeds_the_town_and_no_motor_draws_current(
    town: Town, water: WaterEngine
) -> None:
    running = later(water, 10)
    assert 10 < running[2] < 200
    water.disturb("stopped", "W-U-1", 1.0)
    stopped = later(water, 60)
    assert stopped[0] == pytest.approx(0.0, abs=0.1)
    assert stopped[2] == 0.0
    assert stopped[1] < running[1] - 1
    assert later(water, 1800)[6] < stopped[6]
    water.disturb("stopped", "W-U-1", 0.0)
    assert later(water, 60)[0] > 100


def test_a_pump_that_moves_nothing_still_draws_some_current(water: WaterEngine) -> None:
    running = later(water, 10)[2]
    water.disturb("stopped", "W-U-1", 2.0)
    idle = later(water, 60)
    assert 0 < idle[2] < running
    assert idle[0] == pytest.approx(0.0, abs=0.1)


def test_the_motor_draws_what_lifting_the_water_takes(town: Town, water: WaterEngine) -> None:
    """P = rho g Q H / eta: EPANET's pumps have an efficiency of 75 % where none is given."""
    flow, pressure, current, *_ = later(water, 10)
    works = town.water.nodes
    lift = works["W-D-1"].ground_m + pressure - works["W-R-1"].attributes["head_m"]
    kilowatt = 9.81 * flow / 3600 * lift / 0.75
    assert current == pytest.approx(1000 * kilowatt / (math.sqrt(3) * 400 * 0.85), rel=0.02)


def test_water_is_clear_until_somebody_presses_dirt_into_a_pipe(water: WaterEngine) -> None:
    clear = later(water, 600)
    assert clear[3] == pytest.approx(TURBIDITY_OUT_NTU)
    assert 0 < clear[4] < CHLORINE_OUT_MG_L
    water.disturb("dirt", "W-P-039", 40.0)
    water.disturb("inflow", "W-P-039", 25.0)
    assert water.demand(middle("W-P-039")) == pytest.approx(0.0, abs=0.01)
    dirty = later(water, 1800)
    assert water.demand(middle("W-P-039")) == pytest.approx(-25.0, rel=0.01)
    assert TURBIDITY_OUT_NTU < dirty[3] <= 40.001
    assert dirty[4] < clear[4]
    water.disturb("inflow", "W-P-039", 0.0)
    water.disturb("dirt", "W-P-039", 0.0)
    assert later(water, 6 * 3600)[3] < 1.0


def test_a_mixture_is_as_dirty_as_its_parts(town: Town) -> None:
    """Turbidity is carried and never lost: what 25 m3/h of 40 NTU bring in is in the network's water afterwards."""
    nodes = [(name, "turbidity") for name, node in town.water.nodes.items() if not node.between]
    engine = WaterEngine(town.water, nodes, START, SEED)
    before = engine.step(START + 600)
    engine.disturb("dirt", "W-P-039", 40.0)
    engine.disturb("inflow", "W-P-039", 25.0)
    after = engine.step(START + 1800)
    engine.close()
    assert (before == pytest.approx(TURBIDITY_OUT_NTU)) or np.allclose(before, TURBIDITY_OUT_NTU)
    assert (after >= TURBIDITY_OUT_NTU - 1e-6).all()
    assert after.max() <= 40.0 + 1e-6
    assert (after > TURBIDITY_OUT_NTU + 0.01).sum() < len(after) / 2


# ---------------------------------------------------------------------------------------------------- drainage


@pytest.fixture
def weather() -> Weather:
    return Dry(SEED)


@pytest.fixture
def drainage(town: Town, weather: Weather) -> Iterator[DrainageEngine]:
    wanted = [("D-W-1", "level"), ("D-U-1", "pump_current"), ("D-W-1", "ponding_depth")]
    engine = DrainageEngine(town.drainage, wanted, START, SEED, weather)
    yield engine
    engine.close()


def test_a_pump_starts_and_stops_at_its_levels(town: Town, drainage: DrainageEngine) -> None:
    rows = np.array([drainage.step(START + t) for t in range(0, 4 * 3600, 30)])
    levels, runs = rows[40:, 0], rows[40:, 1] > 0
    pump = town.drainage.nodes["D-U-1"].attributes
    assert levels.max() < pump["start_level_m"] + 0.15
    assert levels.min() > pump["stop_level_m"] - 0.35
    assert 2 <= np.count_nonzero(np.diff(runs.astype(int)) == 1) <= 20
    assert levels[runs].mean() != pytest.approx(levels[~runs].mean(), abs=1e-3)


def test_a_well_without_its_pump_fills_by_what_runs_in(town: Town, drainage: DrainageEngine) -> None:
    """Volume balance: the level rises by inflow over the shaft's area until it stands on the road."""
    well = town.drainage.nodes["D-W-1"].attributes
    drainage.step(START + 3600)
    drainage.disturb("stopped", "D-U-1", 1.0)
    first = drainage.step(START + 3660)
    last = drainage.step(START + 3660 + 900)
    inflow = (last[0] - first[0]) * well["well_m2"] * 4
    assert inflow == pytest.approx(well["sewage_m3h"], rel=0.9)  # by the hour of the day
    assert inflow > 0.2 * well["sewage_m3h"]
    assert last[1] == 0.0
    flooded = drainage.step(START + 6 * 3600)
    assert flooded[2] == pytest.approx(flooded[0] - well["road_m"])
    assert flooded[2] > 0
    drainage.disturb("stopped", "D-U-1", 0.0)
    assert drainage.step(START + 10 * 3600)[2] == 0.0


def test_a_pump_that_runs_in_vain_draws_a_third(drainage: DrainageEngine) -> None:
    drainage.step(START + 3600)
    drainage.disturb("stopped", "D-U-1", 2.0)
    level, current, _ = drainage.step(START + 3 * 3600)
    assert level > 1.65
    drainage.disturb("stopped", "D-U-1", 0.0)
    assert drainage.current("D-U-1") == pytest.approx(3 * current)


@given(st.floats(0.05, 5), st.floats(0, 1), st.lists(st.floats(0, 150), min_size=1, max_size=20))
def test_a_gully_neither_makes_nor_loses_water(area_ha: float, clogged: float, rain: list[float]) -> None:
    gully, fell, went = Gully(area_ha, clogged), 0.0, 0.0
    for mm_h in rain:
        before = gully.volume_m3
        depth = gully.step(60, mm_h)
        comes = RUNOFF * mm_h / 1000 * area_ha * 1e4 / 60
        took = before + comes - gully.volume_m3
        fell, went = fell + comes, went + took
        assert -1e-9 <= took <= (1 - clogged) * CAPACITY_MM_H / 1000 * area_ha * 1e4 / 60 + 1e-9
        assert depth == pytest.approx(gully.volume_m3 / (PAN_SHARE * area_ha * 1e4))
    assert fell == pytest.approx(went + gully.volume_m3, abs=1e-6)


def test_clean_gullies_keep_the_street_dry_in_rain_that_they_were_built_for() -> None:
    gully = Gully(0.4)
    assert max(gully.step(60, CAPACITY_MM_H) for _ in range(60)) == 0.0
    gully.clogged = 0.9
    assert max(gully.step(60, 20) for _ in range(60)) > 0.05


# ------------------------------------------------------------------------------------------------ rain and warmth


@given(st.floats(1, 100), st.floats(600, 86_400))
def test_rarer_storms_bring_more_and_longer_ones_too(years: float, lasts: float) -> None:
    assert design_depth(2 * years, lasts) > design_depth(years, lasts)
    assert design_depth(years, 2 * lasts) > design_depth(years, lasts)


def test_the_depth_of_a_storm_is_that_of_its_formula() -> None:
    # q = 3600 (1 + 0.76 lg 10) / (60 + 14)^0.84 L/(s ha) for an hour: 1 L/(s ha) is 0.36 mm/h.
    assert design_depth(10, 3600) == pytest.approx(0.36 * 3600 * 1.76 / 74**0.84)


@given(st.floats(0, 20))
def test_a_hot_spell_warms_the_air_by_what_is_said_and_sewers_with_it(kelvin: float) -> None:
    usual, hot = Weather(4), Weather(4)
    hot.warm("spell", kelvin)
    assert hot.air_c(START) - usual.air_c(START) == pytest.approx(kelvin)
    assert hot.sewer_c(START) - usual.sewer_c(START) == pytest.approx(kelvin)
    hot.warm("spell", 0.0)
    assert hot.sewer_c(START) == pytest.approx(usual.sewer_c(START))


# -------------------------------------------------------------------------------------------------- the whole town


@pytest.fixture(scope="module")
def world(town: Town) -> Iterator[World]:
    made = World(town, START)
    made.weather = Dry(SEED)
    made.at(START)
    made.go_live(START)
    yield made
    made.close()


def test_deposits_and_calm_raise_methane_to_the_closed_forms_end(town: Town, world: World) -> None:
    place = next(i.asset for i in town.instruments if i.quantity == "methane" and i.network == "drainage")
    index = next(n for n, i in enumerate(town.instruments) if i.asset == place and i.quantity == "methane")
    world.foul("spell", place, 5.0, 0.4)
    clock = world._clock
    for step in range(100):
        value = world.at(clock + 150 * step)[index]
    vent = world.chambers[place].ventilation_m3h * 0.4 * world.weather.wind(clock + 14850)
    end = BACKGROUND_VOL + 100 * 5 * biogas(world.weather.sewer_c(clock + 14850)) / vent
    assert value == pytest.approx(end, rel=0.15)  # the wind never stands still
    world.foul("spell", place, 1.0, 1.0)
    with pytest.raises(KeyError):
        world.foul("spell", "W-D-1", 2.0, 1.0)


def test_a_gateway_without_power_lives_on_a_battery_that_falls(town: Town, world: World) -> None:
    gateway = next(i.gateway for i in town.instruments if i.asset == "W-U-1")
    index = next(n for n, i in enumerate(town.instruments) if i.device == gateway and i.quantity == "battery")
    clock = world._clock
    before = world.at(clock)[index]
    world.unplug("W-U-1", clock)
    assert world.at(clock)[index] == pytest.approx(before - 0.5)
    assert world.at(clock + 3600)[index] == pytest.approx(before - 0.62, abs=0.1)
    world.unplug("W-U-1", None)
    assert world.at(clock + 3600)[index] == pytest.approx(before, abs=0.1)


def test_a_shut_regulator_passes_nothing_and_its_district_is_without_gas(town: Town) -> None:
    regulator = next(i.asset for i in town.instruments if i.quantity == "gas_flow" and i.asset in town.gas.nodes)
    engine = GasEngine(town.gas, [(regulator, "gas_flow"), ("G-P-901", "gas_flow")], SEED, Weather(SEED))
    own, gate = engine.step(START)
    assert own > 1.0
    engine.disturb("shut", regulator, 1.0)
    shut = engine.step(START)
    assert shut[0] == 0.0
    assert shut[1] == pytest.approx(gate - own, rel=0.01)
    engine.disturb("shut", regulator, 0.0)
    assert engine.step(START)[0] == pytest.approx(own)


def test_every_asset_has_the_engine_of_its_network(world: World) -> None:
    assert world.engine_of("W-U-1") is world.water
    assert world.engine_of("D-P-035") is world.drainage
    assert world.engine_of("G-R-0") is world.gas
    with pytest.raises(KeyError):
        world.engine_of("X")
