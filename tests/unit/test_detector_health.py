"""Sensor health: each fault is found, and a healthy sensor in an event is not called sick."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detectors import charts, health

TIMES = 1.7e9 + 60.0 * np.arange(60)


def readings(sensors: int = 4, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 20 + np.sin(np.arange(60) / 10)[:, None] + 0.1 * rng.normal(size=(60, sensors))


def test_a_stuck_sensor_is_flat_and_one_that_always_stands_still_is_healthy():
    values = readings()
    values[:, 1] = 20.004
    values[:, 2] = 0.0
    values[5:, 3] = np.nan
    usual = np.array([0.7, 0.7, 0.0, 0.7])
    assert health.flatline(values, 0.01, usual).tolist() == [False, True, False, False]


@given(st.floats(-100, 100), st.floats(0.1, 100))
def test_flatline_is_indifferent_to_zero_and_unit(zero, unit):
    values = readings()
    values[:, 1] = 20.0
    found = health.flatline(values * unit + zero, 0.01 * unit, np.full(4, 0.7 * unit))
    assert found.tolist() == [False, True, False, False]


def test_noise_is_measured_under_any_level_and_trend():
    rng = np.random.default_rng(2)
    trend = np.linspace(0, 500, 2000)[:, None]
    values = trend + rng.normal(size=(2000, 3)) * np.array([0.1, 1.0, 5.0])
    np.testing.assert_allclose(health.noise_sigma(values), [0.1, 1.0, 5.0], rtol=0.1)


def test_a_noisy_sensor_is_sick_and_a_steep_rise_is_not_noise():
    usual = health.noise_sigma(readings(seed=3))
    values = readings()
    values[:, 0] += np.random.default_rng(4).normal(size=60)
    values[:, 1] += np.linspace(0, 50, 60)
    ratio = health.noise(values, usual, 0.01).ratio
    assert ratio[0] > health.NOISE_RATIO
    assert (ratio[1:] < 2).all()
    assert np.isnan(health.noise_sigma(values[:2])).all()


def test_one_sensor_on_one_side_for_long_drifts_and_several_are_an_event():
    along = ~np.eye(4, dtype=bool)
    smoothed = charts.ewma(0.1 * np.random.default_rng(5).normal(size=(200, 4)))
    smoothed[:, 0] += 3.0
    assert (health.drift(smoothed, np.ones(4), along) > 1).tolist() == [True, False, False, False]
    smoothed[:, 1] += 3.0
    assert not (health.drift(smoothed, np.ones(4), along) > 1).any()
    swinging = np.where(np.arange(200) % 2, 3.0, -3.0)[:, None] * np.array([1.0, 0, 0, 0])
    assert not health.drift(swinging, np.ones(4), along).any()


def test_a_sensor_without_neighbours_is_judged_by_its_own_model():
    assert health.drift(np.full((10, 1), 2.0), np.ones(1), np.zeros((1, 1), bool)).tolist() == [2.0]


def test_a_jump_faster_than_physics_is_impossible_also_across_a_gap():
    values = np.array([[1.0, 1.0], [np.nan, 1.1], [50.0, 1.2], [50.0, 1.3]])
    times = np.array([0.0, 1.0, 2.0, 3.0])
    found = health.impossible_rate(values, times, np.array([10.0, 10.0]))
    assert found[:, 0].tolist() == [False, False, True, False]
    assert not found[:, 1].any()
    assert not health.impossible_rate(values, 10 * times, np.array([10.0, 10.0])).any()


@given(st.floats(0.01, 10), st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_changes_within_the_greatest_rate_are_never_impossible(rate, shares):
    values = np.cumsum(rate * 60 * 0.999 * np.array(shares))[:, None]
    times = 1.7e9 + 60.0 * np.arange(len(shares))
    assert not health.impossible_rate(values, times, np.array([rate])).any()


def test_a_slow_network_is_no_skew_and_a_wrong_clock_is():
    late = np.random.default_rng(6).exponential(20, size=(100, 3))
    late[:, 1] += 600
    late[:, 2] -= 600
    late[50:, 0] = np.nan
    skew = health.clock_skew(late)
    assert health.skewed(skew).tolist() == [False, True, True]
    assert not health.skewed(health.clock_skew(np.full((5, 2), np.nan))).any()
    assert not health.skewed(health.clock_skew(np.empty((0, 2)))).any()


def test_coverage_is_the_share_of_expected_readings():
    values = readings(3)
    values[::2, 1] = np.nan
    values[:, 2] = np.nan
    assert health.coverage(values, TIMES, np.full(3, 60.0)) == pytest.approx([1.0, 0.5, 0.0])
    assert health.coverage(values[:0], TIMES[:0], np.full(3, 60.0)).tolist() == [0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.integers(0, 60), st.integers(0, 4), st.booleans())
def test_gaps_one_reading_and_constants_are_no_error(missing, rows, sensors, constant):
    values = np.full((rows, sensors), 3.0) if constant else readings()[:rows, :sensors]
    values[np.random.default_rng(rows).random(values.shape) < missing] = np.nan
    usual = np.full(sensors, 0.5)
    assert health.flatline(values, 0.01, usual).shape == (sensors,)
    assert health.noise(values, usual, 0.01).ratio.shape == (sensors,)
    assert health.impossible_rate(values, TIMES[:rows], usual).shape == values.shape
    assert (health.drift(values, np.ones(sensors), np.zeros((sensors, sensors), bool)) >= 0).all()
    share = health.coverage(values, TIMES[:rows], np.full(sensors, 60.0))
    assert ((share >= 0) & (share <= 1)).all()


def test_readings_that_stand_alone_are_counted_and_steps_ramps_and_gaps_are_not():
    rng = np.random.default_rng(1)
    calm = 10 + rng.normal(0, 0.1, 60)
    lonely = calm.copy()
    lonely[[5, 20, 40]] += [30, -30, 50]
    step, ramp = np.where(np.arange(60) < 30, calm, calm + 30), calm + 5 * np.arange(60)
    gaps = np.where(np.arange(60) % 3 == 0, lonely, np.nan)
    values = np.column_stack([calm, lonely, step, ramp, gaps])
    assert health.spikes(values, np.full(5, 0.1)).tolist() == [0, 3, 0, 0, int(sum(i % 3 == 0 for i in (5, 20, 40)))]


@given(st.floats(-1e4, 1e4), st.floats(0.01, 100), st.integers(0, 1000))
def test_spikes_are_indifferent_to_zero_and_unit(zero, unit, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(50, 2)) + 40 * (rng.random((50, 2)) < 0.1)
    plain = health.spikes(values, np.ones(2))
    assert health.spikes(zero + unit * values, np.full(2, unit)).tolist() == plain.tolist()


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_a_few_readings_or_none_are_no_spike(rows):
    assert health.spikes(np.full((rows, 2), np.nan), np.ones(2)).tolist() == [0, 0]
    assert health.spikes(np.arange(rows * 2.0).reshape(rows, 2), np.zeros(2)).tolist() == [0, 0]
