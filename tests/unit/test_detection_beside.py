"""What one sensor says is judged beside others: the inlets, the other levels of its catchment, their noise in rain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors import mains
from lifeline.model import Level
from lifeline.storage.window import AssetRow
from tests.unit.replayed_city import DAY_S, QUARTER_S, START, City, chain, minutes, sensor

FALL_M = 6.0
Told = list[tuple[str, int, Level]]


def day(times: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * times / DAY_S)


def supplied(count: int, seed: int, times: np.ndarray) -> np.ndarray:
    """Six pressures and the flow of the inlet that feeds them."""
    rng = np.random.default_rng(seed)
    pressure = (30 - 3 * day(times))[:, None] + np.arange(6) + rng.normal(0, 0.05, (count, 6))
    return np.column_stack([pressure, 200 + 40 * day(times) + rng.normal(0, 1, count)])


def branch(fall: float, more: float) -> Told:
    """The last pressure falls by so many m, and the inflow grows by such a share, for half an hour."""
    nodes = [AssetRow(n, f"N-{n}", "water", "junction", None, None, None, None, {}) for n in range(1, 7)]
    works = AssetRow(7, "W-1", "water", "pump", None, None, None, None, {})
    inlet = AssetRow(107, "P-7", "water", "pipe", 7, 1, 200.0, 300.0, {})
    sensors = [*(sensor(n, "pressure", "water", n) for n in range(1, 7)), sensor(7, "flow", "water", 107)]
    city = City(sensors, [*nodes, works, *chain(6, "water")[6:], inlet])
    times = START + QUARTER_S * np.arange(8 * 96) + QUARTER_S
    history = supplied(len(times), 1, times)
    city.learn(history, times)
    live = minutes(times[-1], 90)
    values = supplied(90, 2, live)
    values[60:, 5] -= fall
    values[60:, 6] *= 1 + more
    return city.play(np.concatenate([history, values]), np.append(times, live), times[-1])


def test_a_burst_that_only_the_end_of_a_branch_feels_is_told_where_the_inlet_feeds_it() -> None:
    assert ("pressure.burst", 6, Level.ORANGE) in branch(FALL_M, 0.3)


def test_one_sensor_that_was_knocked_is_no_burst_as_the_inlet_feeds_nothing_more() -> None:
    assert "pressure.burst" not in {rule for rule, _, _ in branch(FALL_M, 0.0)}


ROWS = 60
CLOCK = 60.0 * np.arange(ROWS)


def alone(fall: np.ndarray, inflow: np.ndarray, pressure: np.ndarray | None = None) -> np.ndarray:
    told = mains.alone_with_inlets(fall[:, None], (-fall if pressure is None else pressure)[:, None], inflow, CLOCK)
    return np.asarray(told[:, 0])


def test_a_fall_counts_once_it_has_lasted_for_two_minutes() -> None:
    fall, inflow = np.where(CLOCK >= 1800, 10.0, 0.0), np.where(CLOCK >= 1800, 130.0, 100.0)
    told = alone(fall, inflow)
    assert (told[:32] == 0).all()
    assert (told[32:] == 10.0).all()


def test_a_probe_that_is_stuck_while_its_network_rises_has_not_fallen() -> None:
    fall, inflow = np.where(CLOCK >= 1800, 10.0, 0.0), np.where(CLOCK >= 1800, 130.0, 100.0)
    assert (alone(fall, inflow, np.zeros(ROWS)) == 0).all()


def test_a_drift_began_before_the_window_and_never_counts() -> None:
    fall = 2.0 + 3.0 * CLOCK / CLOCK[-1]
    assert (alone(fall, np.linspace(100, 200, ROWS)) == 0).all()


@given(
    st.lists(st.floats(-20, 20), min_size=ROWS, max_size=ROWS),
    st.lists(st.floats(0, 500) | st.just(float("nan")), min_size=ROWS, max_size=ROWS),
)
def test_it_is_never_more_than_the_fall_and_never_told_without_more_inflow(
    fall: list[float], inflow: list[float]
) -> None:
    falls, flows = np.array(fall), np.array(inflow)
    told = alone(falls, flows)
    assert (told >= 0).all()
    assert (told <= np.maximum(falls, 0)).all()
    assert (told[told > 0] >= mains.ALONE).all()
    assert (alone(falls, np.full(ROWS, 100.0)) == 0).all()
    assert (alone(falls, np.zeros(ROWS)) == 0).all(), "a network that is fed by nothing known has no witness"


SHAPE = np.array([0.02, 0.03, 0.025, 0.04, 0.05, 0.03])


def depths(times: np.ndarray, seed: int, demand: float = 1.0) -> np.ndarray:
    """Six sewers of one catchment: of the same daily flow each makes a depth of its own."""
    flow = demand * (1 + 0.6 * day(times))
    return SHAPE * flow[:, None] ** 0.6 + np.random.default_rng(seed).normal(0, 0.001, (len(times), 6))


def catchment(live: np.ndarray, rain: float, every_s: float = 120.0) -> tuple[City, Told]:
    """Eight days teach, with one shower; then ``live`` levels at a minute each, and rain of so many mm/h."""
    sensors = [*(sensor(n, "level", "drainage", n) for n in range(1, 7)), sensor(7, "rain", "drainage")]
    city = City(sensors, chain(6, "drainage")[:6])
    times = START + QUARTER_S * np.arange(8 * 96) + QUARTER_S
    shower = np.where((np.arange(len(times)) >= 300) & (np.arange(len(times)) < 304), 8.0, 0.0)
    history = np.column_stack([depths(times, 1), shower])
    city.learn(history, times)
    values = np.column_stack([live, np.broadcast_to(rain, len(live))])
    return city, city.play(np.concatenate([history, values]), np.append(times, clock(len(live))), times[-1], every_s)


def clock(count: int) -> np.ndarray:
    """Minutes after the eight days that teach."""
    return minutes(START + 8 * DAY_S, count)


def of_response(found: Told) -> Told:
    return [one for one in found if one[0] == "sewer.response"]


def test_a_level_that_stands_three_centimetres_above_its_peers_is_told_once_and_says_what_it_is_beside() -> None:
    level = depths(clock(150), 2)
    level[60:, 3] += 0.04
    city, found = catchment(level, 0.0)
    assert of_response(found) == [("sewer.response", 4, Level.YELLOW)]
    (alert,) = [e.alert for e in city.replay.book.episodes.values() if e.alert.rule == "sewer.response"]
    assert alert.evidence["expected_by"] == "the other levels of its catchment"
    assert alert.evidence["value"] - alert.evidence["expected"] == pytest.approx(0.04, abs=0.01)


def test_what_lifts_all_levels_and_a_probe_that_stands_still_among_them_are_nothing() -> None:
    level = depths(clock(120), 2, demand=1.15)
    assert of_response(catchment(level, 0.0)[1]) == []
    stuck = depths(clock(120), 2)
    stuck[:, 3] = SHAPE[3] * 1.4
    assert of_response(catchment(stuck, 0.0)[1]) == []


def test_an_alert_outlasts_the_hours_in_which_all_are_low_and_ends_with_its_cause() -> None:
    """Three hours above the others, of which in one by half as much; then as ever."""
    level = depths(clock(270), 2)
    level[30:210, 3] += 0.035
    level[90:150, 3] -= 0.018
    city, found = catchment(level, 0.0)
    assert of_response(found) == [("sewer.response", 4, Level.YELLOW)]
    (one,) = [e for e in city.replay.book.episodes.values() if e.alert.rule == "sewer.response"]
    assert [level for _, level in one.levels] == [Level.BLUE, Level.YELLOW]
    assert one.returned_at is not None
    assert 0 < one.returned_at - clock(270)[210] < 2400


@pytest.mark.parametrize("rain", [0.0, 6.0])
def test_a_level_that_scatters_alone_is_sick_in_dry_weather_and_in_rain(rain: float) -> None:
    level = depths(clock(150), 2)
    level[:, 2] += np.random.default_rng(7).normal(0, 0.02, 150)
    assert ("sensor.noise", 3, Level.BLUE) in catchment(level, rain)[1]


def test_levels_that_rain_stirs_together_are_not_sick() -> None:
    level = depths(clock(150), 2)
    level[:, :2] += np.random.default_rng(7).normal(0, 0.02, (150, 2))
    assert "sensor.noise" not in {rule for rule, _, _ in catchment(level, 6.0)[1]}


def with_a_tank(fall: float, tank_m: float, drifts: float = 0.0) -> Told:
    """Six pressures that follow the tank above them, and two of which fall by so many m for ten minutes while the tank
    stands ``tank_m`` higher than on any day before; ``drifts``: m that one pressure loses over the hour before."""
    nodes = [AssetRow(n, f"N-{n}", "water", "junction", None, None, None, None, {}) for n in range(1, 7)]
    tank = AssetRow(7, "W-T-1", "water", "tank", None, None, None, None, {})
    joint = AssetRow(107, "P-7", "water", "pipe", 7, 1, 200.0, 300.0, {})
    sensors = [*(sensor(n, "pressure", "water", n) for n in range(1, 7)), sensor(7, "level", "water", 7)]
    city = City(sensors, [*nodes, tank, *chain(6, "water")[6:], joint])
    times = START + QUARTER_S * np.arange(8 * 96) + QUARTER_S
    live = minutes(times[-1], 120)
    clock = np.append(times, live)
    rng = np.random.default_rng(3)
    level = 3.0 + 0.5 * day(clock)
    level[len(times) :] += tank_m
    pressure = (30 + level)[:, None] + np.arange(6) + rng.normal(0, 0.05, (len(clock), 6))
    pressure[-25:-15, 3:5] -= fall
    pressure[-85:-25, 1] -= drifts * np.linspace(0, 1, 60)
    pressure[-25:, 1] -= drifts
    values = np.column_stack([pressure, level])
    city.learn(values[: len(times)], times)
    return [one for one in city.play(values, clock, times[-1]) if one[0] == "pressure.burst"]


@pytest.mark.parametrize("tank_m", [0.0, 2.0])
def test_a_sudden_fall_is_a_burst_wherever_the_tank_stands(tank_m: float) -> None:
    (told,) = with_a_tank(FALL_M, tank_m)
    assert told[1] in (4, 5)


def test_where_the_tank_stands_as_never_before_no_level_of_a_pressure_is_strange() -> None:
    assert with_a_tank(0.0, 2.0) == []
    assert with_a_tank(0.0, 2.0, drifts=1.0) == []
