"""Detectors where pencil and paper tell the answer: nights, rain, wells, chambers, clocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from alerts.detectors import biogas, blockage, burst, health, night_flow, overflow, pump, rain, seasonal
from tests.unit.sensor_history import ROWS, SENSORS, TIMES, readings, uneven

# ------------------------------------------------------------------------------------------------------------- water


def test_the_order_in_which_history_is_told_teaches_the_same_season() -> None:
    values = readings(8)
    order = np.random.default_rng(1).permutation(ROWS)
    plain, shuffled = seasonal.learn(values, TIMES, 0.01), seasonal.learn(values[order], TIMES[order], 0.01)
    np.testing.assert_array_equal(shuffled.median, plain.median)
    np.testing.assert_array_equal(shuffled.sigma, plain.sigma)


def test_the_season_of_a_town_ahead_of_utc_turns_at_its_own_midnight() -> None:
    times = TIMES[0] + 3600.0 * np.arange(24 * 14)
    for offset in (-5.0, 5.5, 8.0, 13.75):
        hours = (seasonal.slots(times - 3600 * offset, utc_offset_s=3600 * offset)) % 24
        np.testing.assert_array_equal(hours, np.arange(24 * 14) % 24)


def nights_of(days: int, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    clock = TIMES[0] + 300.0 * np.arange(288 * days) if times is None else times
    return (20 + 10 * np.sin(2 * np.pi * (clock - TIMES[0]) / 86_400 + 3))[:, None], clock


def test_a_meter_that_tells_everything_twice_has_the_same_night() -> None:
    flow, times = nights_of(4)
    twice = night_flow.minimum_night_flow(np.repeat(flow, 2, axis=0), np.repeat(times, 2))
    np.testing.assert_allclose(twice.flow, night_flow.minimum_night_flow(flow, times).flow)


@given(st.sampled_from([60.0, 300.0, 900.0, 1800.0, 3600.0]), st.floats(1, 500))
def test_a_constant_flow_is_its_own_night_flow_at_any_pace(step: float, flow: float) -> None:
    times = TIMES[0] + step * np.arange(int(3 * 86_400 / step))
    nights = night_flow.minimum_night_flow(np.full((len(times), 1), flow), times)
    np.testing.assert_allclose(nights.flow[:, 0], [flow] * 3)
    assert np.diff(nights.day).tolist() == [1, 1]


def test_a_night_flow_is_never_above_that_of_a_larger_flow() -> None:
    flow, times = nights_of(10)
    more = flow + np.random.default_rng(3).uniform(0, 5, flow.shape)
    low, high = (night_flow.minimum_night_flow(one, times).flow for one in (flow, more))
    assert (low <= high).all()


def test_one_wild_night_is_no_leak_and_three_are() -> None:
    nights = 10 + 0.1 * np.random.default_rng(4).normal(size=(40, 1))
    for wild, alarm in ((1, False), (2, False), (3, True)):
        other = nights.copy()
        other[30 : 30 + wild] = 500.0
        assert bool((night_flow.detect(other, nights[:28]).score[28:] > 1).any()) is alarm


def test_a_night_that_is_missing_is_left_out_and_not_taken_for_zero() -> None:
    nights = np.array([[10.0], [np.nan], [10.0], [np.nan], [10.0], [10.0]])
    assert np.isnan(night_flow.trailing_percentile(nights)[:4]).all()
    assert night_flow.trailing_percentile(nights)[4:].tolist() == [[10.0], [10.0]]


@given(st.floats(0.1, 20), st.integers(1, 6), st.integers(0, 5))
def test_the_pipe_beside_the_only_fall_is_the_likeliest(fall: float, pipes: int, nearest: int) -> None:
    distance = np.full((pipes, 3), 900.0)
    distance[nearest % pipes, 0] = 10.0
    falls = np.array([fall, 0.0, np.nan])
    likely = burst.rank_pipes(falls, distance)
    assert likely.sum() == pytest.approx(1)
    assert likely.argmax() == nearest % pipes
    np.testing.assert_allclose(burst.rank_pipes(7 * falls, distance), likely)


# ---------------------------------------------------------------------------------------------------------- drainage


@given(st.floats(0.1, 50), uneven)
def test_rain_in_a_store_fades_by_its_time_however_often_it_is_looked_at(fallen: float, times: np.ndarray) -> None:
    rainy = np.zeros(len(times))
    rainy[0] = fallen
    held = rain.stores(rainy, times)
    expected = fallen * np.exp(-(times - times[0])[:, None] / np.array(rain.STORES_S))
    np.testing.assert_allclose(held, expected, rtol=1e-9)


@given(arrays.arrays(float, 20, elements=st.floats(0, 5)), arrays.arrays(float, 20, elements=st.floats(0, 5)))
def test_two_rains_fill_the_stores_as_both_together(one: np.ndarray, other: np.ndarray) -> None:
    times = TIMES[:20]
    np.testing.assert_allclose(
        rain.stores(one + other, times), rain.stores(one, times) + rain.stores(other, times), atol=1e-12
    )


@pytest.mark.parametrize(("millimetres", "is_dry"), [(1.99, True), (2.0, False), (50, False)])
def test_it_is_dry_below_two_millimetres_in_six_hours_and_again_six_hours_later(
    millimetres: float, is_dry: bool
) -> None:
    fallen = np.zeros((100, 1))
    fallen[10] = millimetres
    dry = blockage.dry(fallen, TIMES[:100])[:, 0]
    assert dry[:10].all()
    assert (dry[10:82] == is_dry).all()
    assert dry[82:].all()


def test_a_blockage_is_said_after_four_hours_and_not_one_reading_sooner() -> None:
    usual = blockage.DryWeather(np.array([0.1, 0.1]), np.array([0.2, 0.2]), np.array([999, 999]))
    level = np.full((60, 2), 0.1)
    level[5:, 0] = 0.9
    found = blockage.detect(usual, level, np.ones((60, 2), bool), TIMES[:60], np.array([[0, 1], [1, 0]]))
    assert np.flatnonzero(found.confirmed[:, 0])[0] == 5 + 4 * 12
    assert not found.cause[:, 1].any()


@given(st.floats(1e-3, 0.01), st.floats(1e-3, 0.01), st.floats(0.1, 3))
def test_the_faster_the_water_rises_the_sooner_it_overflows(one: float, other: float, freeboard: float) -> None:
    def seconds(rise: float) -> float:
        level = (2.0 - freeboard - rise * (TIMES[9] - TIMES[:10]))[:, None]
        return float(overflow.forecast(level, np.array([2.0]), TIMES[:10]).seconds[-1, 0])

    assert (seconds(one) - seconds(other)) * (one - other) <= 1e-6


@pytest.mark.parametrize(("rise_m", "announced"), [(0.019, False), (0.021, True)])
def test_a_ripple_of_less_than_two_centimetres_is_no_rise(rise_m: float, announced: bool) -> None:
    level = (1.0 + rise_m * (TIMES[:4] - TIMES[0]) / overflow.WINDOW_S)[:, None]
    found = overflow.forecast(level, np.array([2.0]), TIMES[:4]).seconds[-1, 0]
    assert np.isfinite(found) == announced


def test_a_chamber_of_unknown_depth_has_no_time_to_overflow() -> None:
    assert np.isnan(overflow.forecast(readings(1), np.full(SENSORS, np.nan), TIMES).seconds).all()


@pytest.mark.parametrize("minutes", [4, 5, 6])
def test_a_pump_is_idle_after_five_minutes_above_its_start_level(minutes: int) -> None:
    times = TIMES[0] + 30.0 * np.arange(60)
    level = np.where(np.arange(60) < 20, 0.9, 1.1)[:, None]
    found = pump.detect(
        level[: 20 + 2 * minutes], np.zeros((20 + 2 * minutes, 1)), times[: 20 + 2 * minutes], np.ones(1)
    )
    assert bool(found.idle[-1, 0]) == (minutes > 5)


# ----------------------------------------------------------------------------------------------------- gas and health


def chamber(level: float = 0.6, swing: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(5)
    return (level + swing * np.convolve(rng.normal(size=ROWS), np.ones(6) / 6, "same"))[:, None]


NOBODY = np.zeros((1, 1), dtype=bool)


@given(st.floats(0, 20), st.floats(0, 20))
@settings(max_examples=20, deadline=None)
def test_the_more_sulphide_the_less_it_is_a_leak(one: float, other: float) -> None:
    def leak(ppm: float) -> float:
        return float(biogas.classify(chamber(), TIMES, NOBODY, sulphide=np.full((ROWS, 1), ppm)).leak[0])

    assert (leak(one) - leak(other)) * (one - other) <= 0
    assert 0 <= leak(one) <= 1


@given(st.floats(0.01, 1), st.floats(1.0, 5.0))
@settings(max_examples=20, deadline=None)
def test_the_more_it_swings_the_more_it_is_a_leak(swing: float, more: float) -> None:
    calm, wild = (biogas.classify(chamber(6.0, s), TIMES, NOBODY).leak[0] for s in (swing, swing * more))
    assert calm <= wild + 1e-12


def test_methane_that_follows_the_temperature_is_biogas_and_against_it_is_no_vote() -> None:
    heat = 25 + 5 * np.sin(np.arange(ROWS))[:, None]
    temperature = biogas.FEATURES.index("temperature")
    votes = [biogas.classify(0.6 + sign * 0.02 * heat, TIMES, NOBODY, heat).votes[0, temperature] for sign in (1, -1)]
    assert votes == pytest.approx([-1, 0])
    few = np.where(np.arange(ROWS)[:, None] < 9, heat, np.nan)
    assert np.isnan(biogas.classify(0.02 * heat, TIMES, NOBODY, few).votes[0, temperature])


@given(arrays.arrays(bool, 8), arrays.arrays(bool, (8, 8)), st.integers(1, 4))
def test_chambers_that_rise_together_are_the_connected_ones(rising: np.ndarray, along: np.ndarray, least: int) -> None:
    groups = biogas.rising_groups(rising, along, least)
    reach = (along | along.T | np.eye(8, dtype=bool)) & rising & rising[:, None]
    for _ in range(8):
        reach = reach | (reach.astype(int) @ reach.astype(int) > 0)
    expected = {tuple(np.flatnonzero(row).tolist()) for row in reach if row.sum() >= least}
    assert sorted(map(tuple, groups)) == sorted(expected)


@pytest.mark.parametrize(("count", "stuck"), [(health.MIN_FLAT_READINGS - 1, False), (health.MIN_FLAT_READINGS, True)])
def test_a_few_equal_readings_are_not_yet_a_stuck_sensor(count: int, stuck: bool) -> None:
    values = np.full((30, 1), np.nan)
    values[:count] = 4.2
    assert bool(health.flatline(values, 0.01, np.ones(1))[0]) is stuck


def test_the_very_resolution_is_a_movement() -> None:
    values = np.full((30, 2), 4.0)
    values[7] = [4.5, 4.4375]
    assert health.flatline(values, 0.5, np.ones(2)).tolist() == [False, True]


@given(st.floats(-1e4, 1e4), st.floats(0.001, 1e3))
def test_noise_does_not_see_level_and_slope_and_grows_with_the_unit(slope: float, unit: float) -> None:
    values = np.random.default_rng(6).normal(size=(200, 2))
    tilted = values + slope * np.arange(200)[:, None]
    np.testing.assert_allclose(health.noise_sigma(tilted), health.noise_sigma(values), rtol=1e-5)
    np.testing.assert_allclose(health.noise_sigma(unit * values), unit * health.noise_sigma(values))


@pytest.mark.parametrize(("late", "wrong"), [(59, False), (61, True), (-59, False), (-61, True)])
def test_a_clock_is_wrong_beyond_a_minute_on_either_side(late: float, wrong: bool) -> None:
    assert bool(health.skewed(health.clock_skew(np.full((5, 1), float(late))))[0]) is wrong


def test_one_late_message_is_the_network_and_not_the_clock() -> None:
    late = np.array([[900.0], [2.0], [800.0], [700.0]])
    assert not health.skewed(health.clock_skew(late)).any()


def test_the_first_reading_is_never_too_fast_and_two_of_one_second_are_measured_over_one() -> None:
    values = np.array([[1e6], [1e6 + 5], [1e6 + 5]])
    assert health.impossible_rate(values, np.array([0.0, 0.0, 1.0]), np.array([4.0]))[:, 0].tolist() == [
        False,
        True,
        False,
    ]
    assert not health.impossible_rate(values, np.array([0.0, 0.0, 1.0]), np.array([6.0])).any()


def test_more_readings_than_expected_are_all_and_not_more() -> None:
    shares = [health.coverage(np.ones((n, 1)), TIMES[:n], np.array([3600.0]))[0] for n in (1, 2, 100)]
    assert shares == [1.0, 1.0, 1.0]
    sparse = np.where(np.arange(100)[:, None] % 4 == 0, 1.0, np.nan)
    assert health.coverage(sparse, TIMES[:100], np.array([300.0]))[0] == 0.25
