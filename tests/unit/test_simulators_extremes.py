"""The engines at the ends of what a scenario may ask: balances, monotony, and a way back; and the world around them."""

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.errors import LifelineError
from simulators import orifice
from simulators.chamber import BACKGROUND_VOL, Chamber
from simulators.drainage import DrainageEngine
from simulators.engine import Floats
from simulators.gas import GasEngine, use
from simulators.planning import make_town
from simulators.scenario import KINDS
from simulators.town import Town
from simulators.water import WaterEngine, middle
from simulators.weather import DAY_S, Storm, Weather
from simulators.world import Seep, World
from tests.unit.play import Dry

START = 1_795_000_500.0
SEED = 1


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(SEED)


# ------------------------------------------------------------------------------------------------------------- gas


@pytest.fixture(scope="module")
def gas(town: Town) -> GasEngine:
    return GasEngine(town.gas, [("G-P-901", "gas_flow"), ("G-R-0", "gas_pressure")], SEED, Weather(SEED))


def pressures(gas: GasEngine, town: Town) -> np.ndarray:
    return np.array([gas.value(node, "gas_pressure") for node in town.gas.nodes])


@pytest.mark.parametrize("pipe", ["G-P-000", "G-P-024", "G-P-060", "G-P-108"])
def test_the_largest_hole_in_any_pipe_takes_no_more_gas_than_the_pipes_can_feed(
    gas: GasEngine, town: Town, pipe: str
) -> None:
    usual = gas.step(START)[0]
    asked = orifice.gas_flow(KINDS["gas_leak"].parameters["hole_mm"].high, gas.pressure_in(pipe))
    gas.disturb("leak", pipe, asked)
    supplied = gas.step(START)[0]
    assert 100 < supplied - usual <= asked * 1.001
    assert (pressures(gas, town) > 0).all()
    assert supplied == pytest.approx(sum(gas.value(node, "gas_flow") for node in town.gas.nodes), rel=0.01)
    gas.disturb("leak", pipe, 0.0)
    assert gas.step(START)[0] == pytest.approx(usual, rel=1e-6)


def test_a_network_without_any_steady_state_is_an_error_that_says_so(gas: GasEngine) -> None:
    peak, calm, gas._peak, gas._calm = gas._peak, gas._calm, gas._peak * 1000, {}
    try:
        with pytest.raises(LifelineError, match="no steady state"):
            gas.step(START)
    finally:
        gas._peak, gas._calm = peak, calm
    assert math.isfinite(gas.step(START)[0])


def test_leaks_at_two_pipes_add_up_and_are_mended_one_by_one(gas: GasEngine) -> None:
    supplied = [gas.step(START)[0]]
    for pipe, leak in (("G-P-040", 30.0), ("G-P-010", 50.0), ("G-P-040", 0.0), ("G-P-010", 0.0)):
        gas.disturb("leak", pipe, leak)
        supplied.append(gas.step(START)[0])
    assert np.diff(supplied) == pytest.approx([30, 50, -30, -50], rel=0.01)


@given(st.floats(0, 3), st.floats(-30, 45), st.floats(0, 3), st.floats(-30, 45))
def test_colder_air_and_more_cooking_never_use_less_gas(a: float, warm: float, b: float, other: float) -> None:
    assert use(max(a, b), min(warm, other)) >= use(min(a, b), max(warm, other))
    assert 0 <= use(a, warm) < 1.1


@given(st.floats(0.5, 50), st.floats(0, 10))
def test_gas_grows_with_the_area_of_the_hole(hole_mm: float, gauge: float) -> None:
    assert orifice.gas_flow(2 * hole_mm, gauge) == pytest.approx(4 * orifice.gas_flow(hole_mm, gauge))


@given(st.floats(1.0, 10), st.floats(1.0, 10))
def test_choked_gas_grows_with_the_absolute_pressure_alone(one: float, other: float) -> None:
    ratio = orifice.gas_flow(5, one) / orifice.gas_flow(5, other)
    assert ratio == pytest.approx((one + orifice.ATMOSPHERE_BAR) / (other + orifice.ATMOSPHERE_BAR))


def test_the_flow_has_no_jump_where_it_chokes() -> None:
    g = orifice.METHANE_GAMMA
    critical = orifice.ATMOSPHERE_BAR * ((g + 1) / 2) ** (g / (g - 1)) - orifice.ATMOSPHERE_BAR
    below, above = orifice.gas_flow(5, critical - 1e-6), orifice.gas_flow(5, critical + 1e-6)
    assert above == pytest.approx(below, rel=1e-5)


# ----------------------------------------------------------------------------------------------------------- water


@pytest.fixture(scope="module")
def water(town: Town) -> Iterator[WaterEngine]:
    junctions = [n.id for n in town.water.nodes.values() if "base_demand_m3h" in n.attributes]
    wanted = [
        *((n, "pressure") for n in junctions),
        *((n, "residual_chlorine") for n in junctions),
        ("W-T-1", "residual_chlorine"),
    ]
    engine = WaterEngine(town.water, wanted, START, SEED)
    engine.step(START + 12 * 3600)
    yield engine
    engine.close()


def later(engine: WaterEngine, seconds: float) -> Floats:
    return engine.step(START + engine.clock + seconds)


def test_chlorine_is_highest_at_the_works_and_decays_on_the_way(water: WaterEngine) -> None:
    row = later(water, 60)
    chlorine = row[len(row) // 2 : -1]
    assert (chlorine > 0).all()
    assert (chlorine < 0.8001).all()
    assert np.median(chlorine) < 0.7
    # It began at 0.5 in the tower; alone it would lose 0.4 a day, and what flows in is younger.
    assert 0.5 * math.exp(-0.4 * water.clock / DAY_S) < row[-1] < 0.5


@pytest.mark.parametrize("pipe", ["W-P-075", "W-P-901", "W-P-902"])
def test_the_largest_burst_in_a_small_pipe_or_a_main_keeps_to_the_orifice_law(water: WaterEngine, pipe: str) -> None:
    before = later(water, 60)
    hole = KINDS["burst"].parameters["hole_mm"].high
    water.disturb("burst", pipe, hole)
    row = later(water, 60)
    assert np.isfinite(row).all()
    head = water.head(middle(pipe))
    assert head > 0
    assert water.demand(middle(pipe)) == pytest.approx(3600 * orifice.water_flow(hole, head), rel=0.01)
    assert (row[: len(row) // 2] <= before[: len(row) // 2] + 0.5).all()
    water.disturb("burst", pipe, 0.0)
    assert (later(water, 60)[: len(row) // 2] > before[: len(row) // 2] - 3).all()


def test_a_larger_hole_lets_more_water_out_and_leaves_less_pressure(water: WaterEngine) -> None:
    flows, heads = [], []
    for hole in (0.0, 20.0, 60.0, 120.0):
        water.disturb("burst", "W-P-049", hole)
        later(water, 10)
        flows.append(water.demand(middle("W-P-049")))
        heads.append(water.head(middle("W-P-049")))
    water.disturb("burst", "W-P-049", 0.0)
    later(water, 10)
    assert flows == sorted(flows)
    assert heads == sorted(heads, reverse=True)


def test_to_ask_again_for_the_same_moment_changes_nothing(water: WaterEngine) -> None:
    first = later(water, 60)
    np.testing.assert_array_equal(later(water, 0), first)


# --------------------------------------------------------------------------------------------------------- drainage


def drained(town: Town, weather: Weather, *wanted: tuple[str, str]) -> Iterator[DrainageEngine]:
    engine = DrainageEngine(town.drainage, wanted, START, SEED, weather)
    engine.step(START + 3 * 3600)
    yield engine
    engine.close()


@pytest.fixture
def weather() -> Weather:
    return Dry(SEED)


@pytest.fixture
def drainage(town: Town, weather: Weather) -> Iterator[DrainageEngine]:
    yield from drained(town, weather, ("D-P-901", "flow"), ("D-P-902", "flow"), ("D-M-075", "level"))


def volume(engine: DrainageEngine, hours: float, step: float = 20) -> float:
    """m3 through the outfalls."""
    begin = engine.clock
    flows = [engine.step(begin + t)[:2].sum() for t in np.arange(0, hours * 3600, step)]
    return float(np.trapezoid(flows, dx=step / 3600))


@pytest.mark.parametrize(("lasts", "depth", "after"), [(60, 20, 30), (720, 24, 30), (720, 24, 130)])
def test_however_short_a_storm_is_and_whenever_it_begins_its_rain_runs_off(
    town: Town, drainage: DrainageEngine, weather: Weather, lasts: float, depth: float, after: float
) -> None:
    weather.add("storm", Storm(drainage.clock + after, lasts, depth))
    dry = drainage.step(drainage.clock)[:2].sum() * 3
    fallen = depth / 1000 * 10_000 * sum(n.attributes.get("area_ha", 0) for n in town.drainage.nodes.values())
    assert 0.55 < (volume(drainage, 3) - dry) / fallen < 0.8  # 62 % of the town is sealed


def test_the_heaviest_storm_fills_the_streets_and_breaks_nothing(
    town: Town, drainage: DrainageEngine, weather: Weather
) -> None:
    most = KINDS["storm"].parameters["depth_mm"].high
    weather.add("storm", Storm(drainage.clock + 10, 600, most))
    for _ in range(30):
        assert np.isfinite(drainage.step(drainage.clock + 60)).all()
    ponds = [
        drainage.value(n, "ponding_depth") for n, node in town.drainage.nodes.items() if "area_ha" in node.attributes
    ]
    assert max(ponds) > 0.3
    assert min(ponds) >= 0


def test_the_more_of_a_sewer_is_closed_the_higher_it_backs_up(drainage: DrainageEngine) -> None:
    levels, flows = [], []
    for closed in (
        0.0,
        0.95,
        1.0,
    ):  # the same hour of three working days; its mean, as the underpass is pumped in strokes
        drainage.disturb("blockage", "D-P-075", closed)
        drainage.step(drainage.clock + DAY_S - 3600)
        hour = []
        for _ in range(180):
            level = drainage.step(drainage.clock + 20)[2]
            hour.append(drainage.value("D-P-075", "flow"))
        levels.append(level)
        flows.append(np.mean(hour))
    assert levels[0] + 0.01 < levels[1] < levels[2] - 0.1
    assert flows[1] == pytest.approx(flows[0], rel=0.3)  # what is not quite closed passes its flow on in the end
    assert flows[2] == pytest.approx(0, abs=0.05 * flows[0])


@given(st.floats(0, 0.999), st.floats(0, 0.999))
def test_a_plate_costs_more_head_the_more_it_closes_and_nothing_when_open(one: float, other: float) -> None:
    assert orifice.plate_loss(0.0) == 0.0
    assert (orifice.plate_loss(one) - orifice.plate_loss(other)) * (one - other) >= 0


def test_a_half_closed_pipe_loses_the_textbook_head() -> None:
    # Idelchik's formula for a sharp orifice, ((1 + 0.707 sqrt(1 - f) - f) / f)^2 at f = 0.5, gives 4.
    assert orifice.plate_loss(0.5) == pytest.approx(4.0, rel=0.05)


def test_all_sewers_closed_and_the_largest_inflow_are_borne_and_drain_away(
    town: Town, drainage: DrainageEngine
) -> None:
    for pipe in town.drainage.pipes:
        drainage.disturb("blockage", pipe, 1.0)
    drainage.disturb("inflow", "D-M-016", KINDS["inflow"].parameters["inflow_m3h"].high)
    row = drainage.step(drainage.clock + 600)
    assert row[:2] == pytest.approx([0, 0], abs=1)
    assert drainage.value("D-M-016", "ponding_depth") > 0
    for pipe in town.drainage.pipes:
        drainage.disturb("blockage", pipe, 0.0)
    drainage.disturb("inflow", "D-M-016", 0.0)
    drainage.step(drainage.clock + 6 * 3600)
    assert drainage.value("D-M-016", "ponding_depth") == 0.0


def test_a_step_of_less_than_a_second_never_goes_back(drainage: DrainageEngine) -> None:
    clocks = []
    for _ in range(5):
        drainage.step(drainage.clock + 0.3)
        clocks.append(drainage.clock)
    assert clocks == sorted(set(clocks))
    assert clocks[-1] - clocks[0] <= 5


# ---------------------------------------------------------------------------------------------------------- chambers

SIZES = st.floats(0.5, 50), st.floats(0, 500)


@given(*SIZES, st.floats(0, 100), st.floats(0, 5), st.lists(st.floats(0, 3600), min_size=1, max_size=20))
def test_a_chamber_goes_straight_to_its_end_and_never_beyond(
    volume_m3: float, vent: float, before: float, gas_m3h: float, steps: list[float]
) -> None:
    chamber = Chamber(volume_m3, vent, methane=before)
    end = min(BACKGROUND_VOL + 100 * gas_m3h / max(vent, 1e-6), 100.0)
    away = [abs(end - before), *(abs(end - chamber.step(seconds, gas_m3h)) for seconds in steps)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(away))
    assert 0 <= chamber.methane <= 100


@given(*SIZES, st.floats(0, 100))
def test_no_time_changes_no_air(volume_m3: float, vent: float, before: float) -> None:
    assert Chamber(volume_m3, vent, methane=before).step(0.0, 5.0) == before


def test_without_any_ventilation_gas_stays_and_is_only_ever_more() -> None:
    chamber = Chamber(5.0, 0.0)
    filled = [chamber.step(600, 0.3) for _ in range(20)]
    assert filled[0] == pytest.approx(BACKGROUND_VOL + 100 * 0.3 / 6 / 5, rel=1e-3)
    assert filled == sorted(filled)


# -------------------------------------------------------------------------------------------------------- the world


@pytest.fixture(scope="module")
def world(town: Town) -> Iterator[World]:
    world = World(town, START)
    yield world
    world.close()


def test_every_instrument_has_a_finite_true_value_from_the_first_moment_on(town: Town, world: World) -> None:
    values = world.at(START)
    assert values.shape == (len(town.instruments),)
    assert np.isfinite(values).all()
    by_quantity = {
        q: values[[i.quantity == q for i in town.instruments]] for q in {i.quantity for i in town.instruments}
    }
    assert (by_quantity["h2s"] > 0).all()
    assert (by_quantity["methane"] < 0.25).all()
    assert (by_quantity["ponding_depth"] == 0).all()


def test_a_gateway_has_a_lead_battery_and_a_device_a_lithium_one(town: Town, world: World) -> None:
    values = world.at(START)
    for value, instrument in zip(values, town.instruments, strict=True):
        if instrument.quantity == "battery":
            assert value == pytest.approx(3.6 if instrument.gateway else 12.7, rel=0.1)


def test_a_clock_that_stands_or_goes_back_neither_fills_nor_empties_a_chamber(town: Town, world: World) -> None:
    chamber = next(i.asset for i in town.instruments if i.quantity == "methane")
    index = next(n for n, i in enumerate(town.instruments) if (i.asset, i.quantity) == (chamber, "methane"))
    world.at(START + 600)
    world.seep("test", chamber, Seep(2.0))
    here = world.at(START + 600)[index]
    assert world.at(START + 600)[index] == here
    assert world.at(START - 3600)[index] == here
    assert np.isfinite(world.at(START + 610)).all()
    world.seep("test", chamber, None)


def test_gas_seeps_into_one_chamber_and_out_again_when_its_cause_is_gone(town: Town, world: World) -> None:
    methane = [n for n, i in enumerate(town.instruments) if i.quantity == "methane"]
    chamber = town.instruments[methane[0]].asset
    before = world.at(START + 1000)[methane]
    world.seep("leak", chamber, Seep(1.5))
    world.seep("other", chamber, Seep(1.5))
    during = world.at(START + 2800)[methane]
    world.seep("leak", chamber, None)
    world.seep("other", chamber, None)
    world.seep("never", chamber, None)
    after = world.at(START + 20_000)[methane]
    assert during[0] > before[0] + 5
    assert during[1:] == pytest.approx(before[1:], abs=0.05)
    assert after[0] < 0.1


def test_gas_seeps_nowhere_where_no_methane_is_measured(world: World) -> None:
    with pytest.raises(KeyError):
        world.seep("leak", "W-T-1", Seep(1.0))


def test_an_engine_that_is_closed_leaves_no_file_behind(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine = WaterEngine(town.water, [("W-T-1", "level")], START, SEED)
    assert list(tmp_path.glob("lifeline-engine-*-epanet-*/town.inp"))
    engine.close()
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_any_moment_can_be_a_start_of_the_water_engine(offset: int) -> None:
    town = make_town(SEED)
    engine = WaterEngine(town.water, [("W-D-1", "pressure")], START + 61 * offset, SEED)
    try:
        first = engine.step(START + 61 * offset)
        assert 20 < first[0] < 80
    finally:
        engine.close()
