"""Seasonal robust z: judged by its own hour and class of day, indifferent to zero and unit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors import seasonal

DAY = 86400.0
MONDAY = 1_767_571_200.0  # 2026-01-05 00:00 UTC


def weeks(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Demand-like flow every 15 min: twice a day a peak on working days, one at noon at the weekend."""
    times = MONDAY + 900.0 * np.arange(count * 7 * 96)
    hour = (times % DAY) / 3600
    weekend = ((times - MONDAY) // DAY) % 7 >= 5
    shape = np.where(weekend, np.exp(-(((hour - 12) / 3) ** 2)), np.exp(-(((hour - 7) / 2) ** 2)))
    flow = 50 + 30 * shape + np.random.default_rng(seed).normal(0, 1, len(times))
    return flow[:, None], times


def test_slots_tell_hours_and_weekends_apart_by_the_local_clock():
    assert seasonal.slots(np.array([MONDAY, MONDAY + 5 * DAY])).tolist() == [0, 24]
    assert seasonal.slots(np.array([MONDAY]), utc_offset_s=8 * 3600).tolist() == [8]
    assert seasonal.slots(np.array([MONDAY + 5 * DAY - 3600]), utc_offset_s=8 * 3600).tolist() == [24 + 7]


def test_slots_that_do_not_divide_the_day_are_refused():
    with pytest.raises(ValueError, match="divide"):
        seasonal.slots(np.array([MONDAY]), slot_s=7000)


def test_the_morning_peak_is_normal_on_monday_and_not_on_sunday():
    flow, times = weeks(4)
    baseline = seasonal.learn(flow, times, 0.01)
    peak = np.array([[80.0]])
    assert abs(seasonal.z_scores(baseline, peak, np.array([MONDAY + 7 * 3600]))[0, 0]) < 5
    assert seasonal.z_scores(baseline, peak, np.array([MONDAY + 6 * DAY + 7 * 3600]))[0, 0] > 6


def test_normal_weeks_raise_hardly_anything_and_a_leak_at_night_does():
    flow, times = weeks(5)
    baseline = seasonal.learn(flow[: 4 * 672], times[: 4 * 672], 0.01)
    z = seasonal.z_scores(baseline, flow[4 * 672 :], times[4 * 672 :])
    assert np.mean(np.abs(z) > seasonal.LIMIT) < 0.002
    night = times[4 * 672 :] % DAY < 4 * 3600
    leak = seasonal.z_scores(baseline, flow[4 * 672 :] + 10, times[4 * 672 :])
    assert (leak[night] > seasonal.LIMIT).mean() > 0.9


@given(st.floats(0.01, 100), st.floats(-1000, 1000))
def test_z_is_indifferent_to_zero_and_unit(unit, zero):
    flow, times = weeks(2)
    z = seasonal.z_scores(seasonal.learn(flow, times, 0.01), flow, times)
    other = flow * unit + zero
    np.testing.assert_allclose(seasonal.z_scores(seasonal.learn(other, times, 0.01 * unit), other, times), z, atol=1e-6)


def test_too_little_history_and_gaps_say_not_known():
    flow, times = weeks(1)
    little = seasonal.learn(flow[:4], times[:4], 0.01)
    assert np.isnan(seasonal.z_scores(little, flow, times)).all()
    assert little.count.sum() == 4
    full = seasonal.learn(flow, times, 0.01)
    assert np.isnan(seasonal.z_scores(full, np.full((3, 1), np.nan), times[:3])).all()


def test_a_sensor_that_never_moved_is_judged_by_its_resolution_or_not_at_all():
    _, times = weeks(2)
    still = np.full((len(times), 1), 3.0)
    moved = np.array([[3.5]])
    assert seasonal.z_scores(seasonal.learn(still, times, 0.1), moved, times[:1])[0, 0] == pytest.approx(5)
    assert np.isnan(seasonal.z_scores(seasonal.learn(still, times), moved, times[:1])[0, 0])
