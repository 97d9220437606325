"""Physics against closed forms and balances, never against stored output of this code."""

import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import demand, orifice
from simulators.chamber import BACKGROUND_VOL, Chamber, biogas, hydrogen_sulphide
from simulators.drainage import DrainageEngine
from simulators.drains import full_flow
from simulators.engine import Floats, Track, scratch_folder
from simulators.gas import GasEngine, use
from simulators.planning import make_town
from simulators.town import Town
from simulators.water import WaterEngine, middle
from simulators.weather import DAY_S, Storm, Weather
from tests.unit.play import Dry

START = 1_795_000_500.0  # a Wednesday evening in Hefei, a multiple of 15 minutes
SEED = 1


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(SEED)


# ---------------------------------------------------------------------------------------- closed forms


@given(st.floats(1, 300), st.floats(0.1, 100))
def test_water_leaves_a_hole_by_the_orifice_law(diameter_mm: float, head_m: float) -> None:
    area = math.pi * (diameter_mm / 1000) ** 2 / 4
    assert orifice.water_flow(diameter_mm, head_m) == pytest.approx(0.75 * area * math.sqrt(2 * 9.81 * head_m))
    assert orifice.emitter_coefficient(diameter_mm) * math.sqrt(head_m) == pytest.approx(
        3600 * orifice.water_flow(diameter_mm, head_m)
    )


def test_nothing_flows_out_of_a_hole_without_pressure() -> None:
    assert orifice.water_flow(50, -3.0) == 0.0
    assert orifice.gas_flow(5, 0.0) == 0.0


def test_choked_gas_flow_is_the_textbook_value() -> None:
    # Choked: m = Cd A p sqrt(g / (R T)) (2 / (g + 1)) ^ ((g + 1) / (2 (g - 1))).
    g, gas, kelvin, gauge = orifice.METHANE_GAMMA, orifice.METHANE_R, 285.0, 3.5
    flux = (gauge + 1.01325) * 1e5 * math.sqrt(g / (gas * kelvin)) * (2 / (g + 1)) ** ((g + 1) / (2 * (g - 1)))
    mass = orifice.GAS_DISCHARGE * math.pi * 0.0025**2 * flux
    assert orifice.gas_flow(5.0, gauge) == pytest.approx(mass / orifice.METHANE_NORMAL_KG_M3 * 3600, rel=1e-9)


@given(st.floats(0.5, 50), st.floats(0.01, 10), st.floats(0.01, 10))
def test_more_pressure_never_lets_less_gas_out(hole_mm: float, first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert orifice.gas_flow(hole_mm, low) <= orifice.gas_flow(hole_mm, high) * (1 + 1e-12)


@given(st.floats(1, 20), st.floats(1, 100), st.floats(0, 1.0), st.floats(1, 86_400))
def test_a_chamber_follows_its_formula(volume: float, vent: float, leak: float, seconds: float) -> None:
    expected = BACKGROUND_VOL + 100 * leak / vent * (1 - math.exp(-vent * seconds / 3600 / volume))
    assert Chamber(volume, vent).step(seconds, leak) == pytest.approx(min(expected, 100.0))


@given(st.integers(1, 50))
def test_a_chamber_does_not_care_how_its_time_is_cut(pieces: int) -> None:
    whole, cut = Chamber(5.0, 15.0), Chamber(5.0, 15.0)
    whole.step(1800, 1.2)
    for _ in range(pieces):
        cut.step(1800 / pieces, 1.2)
    assert cut.methane == pytest.approx(whole.methane)


def test_a_blower_clears_a_chamber() -> None:
    chamber = Chamber(5.0, 15.0, methane=4.0)
    assert chamber.step(300, 0.0, 415.0) < 0.01


def test_air_in_a_chamber_is_never_more_than_all_gas() -> None:
    assert Chamber(3.0, 0.5).step(86_400, 1000.0) == 100.0


def test_sewers_gas_more_in_the_warm_season() -> None:
    assert biogas(28) / biogas(18) == pytest.approx(1.07**10)
    assert hydrogen_sulphide(25, 0.3) > hydrogen_sulphide(25, 1.0) > hydrogen_sulphide(10, 1.0)


@given(st.floats(300, 7200), st.floats(1, 200), st.floats(0.1, 0.9))
def test_a_design_storm_brings_its_depth_and_peaks_on_time(lasts: float, depth: float, share: float) -> None:
    storm = Storm(0.0, lasts, depth, share)
    times = np.linspace(0, lasts, 20_001)[:-1] + lasts / 40_000
    rain = np.array([storm.intensity(time) for time in times])
    assert rain.mean() * lasts / 3600 == pytest.approx(depth, rel=0.002)
    assert times[rain.argmax()] == pytest.approx(share * lasts, abs=lasts / 500)
    assert storm.intensity(-1) == storm.intensity(lasts) == 0.0


def test_manning_gives_the_flow_of_a_full_pipe() -> None:
    # Handbook value: DN 600 at 0.3 % with n = 0.013 carries about 336 l/s.
    assert full_flow(0.6, 0.003, 0.013) == pytest.approx(0.336, rel=0.01)


def test_summer_is_warmer_than_winter_and_noon_than_night() -> None:
    weather = Weather(3)
    july, january = 1_784_000_000.0, 1_768_000_000.0
    week = [7 * DAY_S * share / 50 for share in range(50)]
    assert np.mean([weather.air_c(july + t) for t in week]) > np.mean([weather.air_c(january + t) for t in week]) + 15
    assert all(0.4 < weather.wind(july + t) < 1.6 for t in week)
    assert 10 < weather.sewer_c(january) < weather.sewer_c(july) < 26


def test_weather_is_the_same_in_any_order() -> None:
    times = [START + 3600 * hour for hour in range(72)]
    forwards = [(w.rain(t), w.air_c(t)) for w in [Weather(4)] for t in times]
    backwards = [(w.rain(t), w.air_c(t)) for w in [Weather(4)] for t in reversed(times)]
    assert forwards == backwards[::-1]


def test_demand_is_a_mean_of_one_with_a_quiet_night() -> None:
    for kind in demand.SHAPES:
        factors = demand.week(kind, np.random.default_rng(1))
        assert factors.shape == (672,)
        assert factors.mean() == pytest.approx(1.0)
    home = demand.week("residential", np.random.default_rng(1)).reshape(7, 96)
    assert (home[:, 8:16].mean(axis=1) < 0.4).all()  # 02 to 04 h
    assert home[5:].mean() > home[:5].mean()


def test_a_week_begins_on_monday_at_local_midnight() -> None:
    monday = datetime(2026, 11, 22, 16, tzinfo=UTC).timestamp()  # Monday 23 November, 00:00 in China
    assert demand.week_step(monday) == 0
    assert demand.week_step(monday - 1) == 671
    factors = np.arange(672.0)
    assert demand.at(factors, monday + 450) == pytest.approx(0.5)


# ---------------------------------------------------------------------------------------------- tracks


class Line:
    """An engine whose value is the time itself."""

    def __init__(self) -> None:
        self.steps: list[float] = []

    def step(self, to: float) -> Floats:
        self.steps.append(to)
        return np.array([to])

    def disturb(self, effect: str, asset: str, amount: float) -> None:
        raise KeyError(effect)

    def close(self) -> None:
        """It holds nothing."""


@given(st.lists(st.floats(0, 5000), min_size=1, max_size=30))
def test_a_track_interpolates_and_never_steps_back(times: list[float]) -> None:
    line = Line()
    track = Track(line, 0.0, 60.0)
    for time in sorted(times):
        assert track.at(time)[0] == pytest.approx(time, abs=1e-6)
    assert line.steps == sorted(line.steps)
    assert line.steps[-1] < max(times) + 60.0 + 1e-9 or line.steps == [0.0]


def test_scratch_folders_of_dead_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive = tmp_path / "lifeline-engine-999999999-swmm-x", tmp_path / f"lifeline-engine-{os.getpid()}-swmm-x"
    dead.mkdir()
    alive.mkdir()
    with scratch_folder("epanet") as folder:
        assert Path(folder).is_dir()
        assert not dead.exists()
        assert alive.exists()
    assert not Path(folder).exists()


# ----------------------------------------------------------------------------------------------- water


@pytest.fixture(scope="module")
def water(town: Town) -> Iterator[WaterEngine]:
    wanted = [("W-D-1", "pressure"), ("W-P-901", "flow"), ("W-T-1", "level"), ("W-D-1", "residual_chlorine")]
    engine = WaterEngine(town.water, wanted, START, SEED)
    engine.step(START + 6 * 3600)
    yield engine
    engine.close()


def test_water_is_neither_made_nor_lost(water: WaterEngine, town: Town) -> None:
    def used() -> float:
        return sum(water.demand(n.id) for n in town.water.nodes.values() if "base_demand_m3h" in n.attributes)

    bore = town.water.nodes["W-T-1"].attributes["bore_m"]
    clock = START + water.clock
    supplied = consumed = 0.0
    level = water.step(clock)[2]
    for _ in range(72):
        clock += 300
        _, before, *_ = water.step(clock - 150)
        consumed += used() / 12
        supplied += before / 12
        last = water.step(clock)[2]
    stored = (last - level) * math.pi * bore**2 / 4
    assert supplied == pytest.approx(consumed + stored, rel=0.01)


def test_a_burst_flows_by_the_orifice_law_and_pulls_pressure_down(water: WaterEngine, town: Town) -> None:
    pipe = town.water.pipes["W-P-049"]
    clock = START + water.clock
    before = water.head(middle(pipe.id))
    water.disturb("burst", pipe.id, 60.0)
    water.step(clock + 10)
    head = water.head(middle(pipe.id))
    assert 0 < head < before - 5
    assert water.demand(middle(pipe.id)) == pytest.approx(3600 * orifice.water_flow(60.0, head), rel=0.01)
    water.disturb("burst", pipe.id, 0.0)
    water.step(clock + 20)
    assert water.demand(middle(pipe.id)) == pytest.approx(0.0, abs=0.5)
    assert water.head(middle(pipe.id)) == pytest.approx(before, abs=0.5)


def test_pressure_and_chlorine_are_those_of_a_town(water: WaterEngine, town: Town) -> None:
    water.step(START + water.clock)
    pressures = [water.head(n.id) for n in town.water.nodes.values() if n.crossing >= 0]
    assert min(pressures) > 20
    assert max(pressures) < 75
    chlorine = water.step(START + water.clock)[3]
    assert chlorine == pytest.approx(0.8, abs=0.05)


def test_water_has_no_burst_where_it_has_no_pipe(water: WaterEngine) -> None:
    for effect, asset in (("burst", "W-P-999"), ("leek", "W-P-001"), ("stopped", "W-P-001")):
        with pytest.raises(KeyError, match="water has no"):
            water.disturb(effect, asset, 1.0)


# -------------------------------------------------------------------------------------------- drainage


@pytest.fixture
def weather() -> Weather:
    return Dry(SEED)


@pytest.fixture
def drainage(town: Town, weather: Weather) -> Iterator[DrainageEngine]:
    wanted = [("D-P-901", "flow"), ("D-P-902", "flow"), ("D-M-075", "level"), ("D-M-016", "ponding_depth")]
    engine = DrainageEngine(town.drainage, wanted, START, SEED, weather)
    yield engine
    engine.close()


def volume_out(engine: DrainageEngine, start: float, seconds: int, step: int = 300) -> float:
    """m3 through both outfalls, by trapezoids."""
    flows = [engine.step(start + t)[:2].sum() for t in range(0, seconds + 1, step)]
    return float(np.trapezoid(flows, dx=step / 3600))


def test_what_houses_discharge_reaches_the_river(drainage: DrainageEngine, town: Town) -> None:
    drainage.step(START + DAY_S)  # filled
    out = volume_out(drainage, START + DAY_S, int(DAY_S))
    pattern = demand.week("residential", np.random.default_rng([SEED, 30])).reshape(7, 24, 4).mean(axis=2)[:5]
    discharged = sum(n.attributes.get("sewage_m3h", 0) for n in town.drainage.nodes.values()) * pattern.mean() * 24
    assert out == pytest.approx(discharged, rel=0.01)


def test_a_storm_runs_off_and_ponds_no_more_than_fell(drainage: DrainageEngine, town: Town, weather: Weather) -> None:
    drainage.step(START + 6 * 3600)
    begin = START + 6 * 3600
    weather.add("storm", Storm(begin + 600, 1800, 30.0))
    flows, ponds = [], []
    for t in range(0, 4 * 3600, 60):
        row = drainage.step(begin + t)
        flows.append(row[:2].sum())
        ponds.append(row[3])
    out = np.trapezoid(flows, dx=1 / 60)
    fallen = 0.030 * 10_000 * sum(n.attributes.get("area_ha", 0) for n in town.drainage.nodes.values())
    assert 0.45 * fallen < out < 0.95 * fallen  # 62 % of the town is sealed
    assert max(flows) > 20 * flows[0]
    assert max(ponds) > 0.02
    assert ponds[-1] == 0.0


def test_swmm_itself_finds_less_than_one_percent_made_or_lost_in_a_storm(town: Town, weather: Weather) -> None:
    engine = DrainageEngine(town.drainage, [("D-P-901", "flow")], START, SEED, weather)
    try:
        weather.add("storm", Storm(START + 3600, 1800, 30.0))
        engine.step(START + 3 * 3600)
        model = engine._swmm._model
        model.swmm_end()
        runoff, routing, _quality = model.swmm_getMassBalErr()
        assert abs(runoff) < 1.0
        assert abs(routing) < 1.0
    finally:
        engine.close()


def test_a_blocked_sewer_backs_up_above_and_runs_dry_below(drainage: DrainageEngine) -> None:
    drainage.step(START + 6 * 3600)
    level, flow = drainage.value("D-M-075", "level"), drainage.value("D-P-075", "flow")
    drainage.disturb("blockage", "D-P-075", 1.0)
    drainage.step(START + 9 * 3600)
    assert drainage.value("D-M-075", "level") > level + 0.1
    assert drainage.value("D-P-075", "flow") < 0.05 * flow
    drainage.disturb("blockage", "D-P-075", 0.0)
    drainage.step(START + 11 * 3600)
    assert drainage.value("D-M-075", "level") < level + 0.1


def test_an_inflow_arrives_at_the_river(drainage: DrainageEngine) -> None:
    drainage.step(START + 6 * 3600)
    before = drainage.value("D-P-901", "flow") + drainage.value("D-P-902", "flow")
    drainage.disturb("inflow", "D-M-016", 360.0)
    drainage.step(START + 7.5 * 3600)
    after = drainage.value("D-P-901", "flow") + drainage.value("D-P-902", "flow")
    assert after - before == pytest.approx(360.0, rel=0.1)
    with pytest.raises(KeyError, match="drainage has no"):
        drainage.disturb("inflow", "D-X-1", 1.0)


def test_rain_is_what_the_weather_says(town: Town, drainage: DrainageEngine, weather: Weather) -> None:
    weather.add("storm", Storm(START, 3600, 20.0))
    drainage.step(START + 1440)
    assert drainage.value("D-M-001", "rain") == pytest.approx(weather.rain(drainage.clock))


# ------------------------------------------------------------------------------------------------- gas


@pytest.fixture(scope="module")
def gas(town: Town) -> GasEngine:
    wanted = [("G-R-0", "gas_pressure"), ("G-P-901", "gas_flow")]
    return GasEngine(town.gas, wanted, SEED, Weather(SEED))


def test_the_gate_supplies_what_is_used_and_what_leaks(gas: GasEngine, town: Town) -> None:
    _, supplied = gas.step(START)
    used = sum(gas.value(name, "gas_flow") for name in town.gas.nodes)
    assert supplied == pytest.approx(used, rel=0.01)
    gas.disturb("leak", "G-P-040", 50.0)
    _, leaking = gas.step(START)
    assert leaking - supplied == pytest.approx(50.0, rel=0.01)
    gas.disturb("leak", "G-P-040", 0.0)
    assert gas.step(START)[1] == pytest.approx(supplied, rel=1e-6)


def test_calm_states_that_are_kept_are_those_that_a_solve_gives_and_keep_the_balance(town: Town) -> None:
    wanted = [*((name, "gas_pressure") for name in town.gas.nodes), ("G-P-901", "gas_flow")]
    engine = GasEngine(town.gas, wanted, SEED, Weather(SEED))
    worst = 0.0
    for hour in (0, 7, 12, 19):
        kept = engine.step(START + hour * 3600)
        share = use(demand.at(engine._factors, START + hour * 3600), engine._weather.air_c(START + hour * 3600))
        solved = engine._fed(share)
        worst = max(worst, float(np.abs(kept[:-1] - solved.pressure).max()))
        used = sum(engine.value(name, "gas_flow") for name in town.gas.nodes)
        assert kept[-1] == pytest.approx(used, rel=1e-3)
    assert worst < 1e-4
    before = len(engine._calm)
    engine.step(START + 19 * 3600)
    assert len(engine._calm) == before, "nothing is solved twice"


def test_a_leak_is_solved_and_never_taken_from_what_was_kept(gas: GasEngine) -> None:
    calm, flow = gas.step(START)
    gas.disturb("leak", "G-P-040", 300.0)
    leaking, more = gas.step(START)
    gas.disturb("leak", "G-P-040", 0.0)
    assert leaking == pytest.approx(calm, abs=1e-3), "the gate gives way by use alone"
    assert more > flow + 250
    assert gas.step(START).tolist() == [calm, flow]


def test_a_large_leak_lowers_pressure_most_beside_it(gas: GasEngine, town: Town) -> None:
    pipe = town.gas.pipes["G-P-040"]
    gas.step(START)
    before = {name: gas.value(name, "gas_pressure") for name in town.gas.nodes}
    gas.disturb("leak", pipe.id, 500.0)
    gas.step(START)
    drop = {name: before[name] - gas.value(name, "gas_pressure") for name in town.gas.nodes}
    gas.disturb("leak", pipe.id, 0.0)
    assert min(drop.values()) > -1e-6
    worst = max(drop, key=lambda name: drop[name])
    here = town.gas.nodes[pipe.a].at
    assert math.dist(town.gas.nodes[worst].at, here) < 500
    assert gas.pressure_in(pipe.id) == pytest.approx(3.5, abs=0.3)


def test_gas_has_no_leak_where_it_has_no_pipe(gas: GasEngine) -> None:
    with pytest.raises(KeyError, match="gas has no"):
        gas.disturb("leak", "G-P-999", 1.0)


def test_cold_evenings_use_most_gas() -> None:
    assert use(2.0, -2.0) > use(2.0, 10.0) > use(0.3, 10.0) > use(0.3, 25.0)
    assert use(2.5, -10.0) < 1.1
