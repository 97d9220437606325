"""Rain by its integral: what fell is what fell, whatever the phase, the pace, the order and the repeats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors.storm import STANDS_S
from alerts.gauges import Gauges
from alerts.scene import CARRIED_S
from alerts.trend import ROWS, STEP_S, Trend
from alerts.window import SLOT_S, Window

NOON = 1_795_262_400.0
"""A full hour, so that it begins a slot and a quarter."""
IDS = np.array([3, 5, 8], np.int32)
RAIN = np.array([False, True, True])
PACES = (10.0, 60.0, 300.0)
Floats = np.ndarray


def told_by_tips(begin: float, lasts_s: float, mm_h: float, times: Floats) -> Floats:
    """What a gauge says of an even rain at ``times``: the mean in mm/h since the time before."""
    before = np.concatenate([2 * times[:1] - times[1:2], times[:-1]])
    wet = np.minimum(times, begin + lasts_s) - np.maximum(before, begin)
    return np.asarray(mm_h * np.clip(wet, 0.0, None) / (times - before))


def gauge(times: Floats, values: Floats) -> Gauges:
    one = Gauges(1)
    one.take(np.zeros(len(times), np.int64), times, values, float(times.max()))
    return one


def minutes_of(one: Gauges, now: float, *, confirmed: bool = False, count: int = 60) -> Floats:
    """mm in each full minute before ``now``."""
    edges = now // SLOT_S * SLOT_S + SLOT_S * np.arange(-count, 1)
    return one.fallen(edges, now, CARRIED_S, -np.inf, confirmed=confirmed)[:, 0]


@given(
    st.sampled_from(PACES), st.floats(0, 300), st.floats(0, 60), st.floats(20, 1500), st.floats(5, 360),
    st.integers(0, 2**31),
)  # fmt: skip
def test_a_storm_is_as_deep_at_every_phase_of_the_minute_and_at_every_pace(pace, speaks, phase, lasts, mm_h, seed):
    begin = NOON - 2400 + phase
    late = np.random.default_rng(seed).uniform(-0.2, 0.2, int(3600 / pace)) * pace
    times = NOON - 3600 + speaks + pace * np.arange(int(3600 / pace)) + late
    now = float(times[-1]) + 120
    fallen = minutes_of(gauge(times, told_by_tips(begin, lasts, mm_h, times)), now, count=75)
    assert np.nansum(fallen) == pytest.approx(mm_h * lasts / 3600, rel=1e-6)


@given(st.sampled_from(PACES), st.floats(0, 60), st.floats(0, 300))
def test_the_day_that_the_detectors_see_has_the_same_depth(pace, phase, speaks):
    """Over the step from its quarters to its minutes too."""
    window, trend = Window(IDS, 3600, RAIN), Trend(IDS, RAIN)
    times = NOON - 7200 + speaks + np.arange(0, 7200, pace)
    told = told_by_tips(NOON - 5000 + phase, 4000.0, 18.0, times)
    for number in range(10):
        now = NOON - 7200 + 900.0 * (number + 1) + 1.0
        new = (times > now - 900) & (times <= now)
        window.merge(np.full(new.sum(), 5, np.int32), times[new], told[new], now)
        trend.advance(window, now)
    values, ends = trend.values(np.array([1]))
    quarters = values[ends <= NOON, 0] * STEP_S / 3600
    minutes = window.rain(np.array([1]), NOON + SLOT_S * np.arange(31), NOON + 1801, CARRIED_S)
    assert len(quarters) == ROWS - 2
    assert np.nansum(quarters) + np.nansum(minutes) == pytest.approx(20.0, rel=1e-4)


READINGS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3600), st.floats(0, 300)),
    min_size=1,
    max_size=40,
    unique_by=lambda one: one[:2],
)


@given(READINGS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_repeats_and_batches_change_nothing(readings, chance, batches):
    once, again = Gauges(3), Gauges(3)
    shuffled = readings + chance.sample(readings, len(readings) // 2)
    chance.shuffle(shuffled)
    for one, told in ((once, [readings]), (again, [shuffled[part::batches] for part in range(batches)])):
        for batch in told:
            place, ts, value = np.array(batch, float).reshape(-1, 3).T
            one.take(place.astype(np.int64), NOON - 3600 + ts, value, NOON)
            one.newest(-np.inf)
    edges = NOON - 3600 + 60.0 * np.arange(61)
    expected = once.fallen(edges, NOON, CARRIED_S, -np.inf)
    np.testing.assert_allclose(again.fallen(edges, NOON, CARRIED_S, -np.inf), expected, atol=1e-9)


@given(READINGS, st.lists(st.floats(-3700, 0), min_size=1, max_size=20))
def test_stretches_add_up_and_each_gauge_is_by_itself(readings, cuts):
    place, ts, value = np.array(readings, float).T
    together = Gauges(3)
    together.take(place.astype(np.int64), NOON - 3600 + ts, value, NOON)
    edges = NOON + np.sort(np.array([-4600.0, *cuts, 0.0]))
    parts = np.nansum(together.fallen(edges, NOON, CARRIED_S, -np.inf), axis=0)
    whole = np.nan_to_num(together.fallen(edges[[0, -1]], NOON, CARRIED_S, -np.inf)[0])
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    for number in range(3):
        mine = place == number
        if mine.any():
            alone = np.nan_to_num(
                gauge(NOON - 3600 + ts[mine], value[mine]).fallen(edges[[0, -1]], NOON, CARRIED_S, -np.inf)
            )
            np.testing.assert_allclose(whole[number], alone[0, 0], atol=1e-6)
        else:
            assert whole[number] == 0.0


def test_a_gauge_that_speaks_faster_in_a_downpour_makes_it_no_deeper():
    """Ten seconds in dry weather, three in rain: the mean of the readings of the minute would be 277 instead of 180."""
    times = NOON - 600 + np.concatenate([np.arange(0, 300, 10), np.arange(300, 330, 3), np.arange(330, 600, 10)])
    told = told_by_tips(NOON - 300, 30.0, 360.0, times)
    assert minutes_of(gauge(times, told), NOON, count=10)[5] == pytest.approx(3.0)


def test_what_a_silent_gauge_saw_is_not_known_and_its_last_reading_does_not_go_on_for_ever():
    one = gauge(NOON - np.array([3000.0, 2990.0, 1000.0, 990.0]), np.full(4, 36.0))
    edges = NOON - np.array([3300.0, 3010.0, 2980.0, 2080.0, 1900.0, 1360.0, 990.0, 630.0, 600.0, 0.0])
    fallen = one.fallen(edges, NOON, STANDS_S, -np.inf)[:, 0] * 100
    # The first of each two tells of six minutes before it, and the last of all goes on for six.
    np.testing.assert_allclose(fallen, [290, 20, np.nan, np.nan, np.nan, 370, 360, np.nan, np.nan], atol=1e-6)


def test_a_minute_that_has_just_begun_is_known_where_the_gauge_lives_and_nothing_fell_in_it():
    one = gauge(NOON - np.array([20.0, 10.0]), np.full(2, 36.0))
    edges = np.array([NOON - 60, NOON, NOON])
    assert one.fallen(edges, NOON, CARRIED_S, -np.inf)[:, 0] == pytest.approx([0.6, 0.0])
    assert np.isnan(one.fallen(edges + 2000, NOON + 2000, CARRIED_S, -np.inf)).all()


def test_a_clock_that_runs_fast_is_taken_for_now_and_once():
    one = Gauges(1)
    for tick in range(12):
        now = NOON + 10 * tick
        ahead = now + 250 - np.array([20.0, 10.0, 0.0])  # what was read is read again
        one.take(np.zeros(3, np.int64), ahead, np.full(3, 36.0), now)
    assert one.newest(-np.inf).tolist() == [NOON + 110]
    assert one.fallen(np.array([NOON, NOON + 110]), NOON + 110, CARRIED_S, -np.inf)[0, 0] == pytest.approx(1.1)


def test_a_knock_is_no_rain_where_rain_must_be_confirmed():
    times = NOON - 600 + np.arange(0.0, 601.0, 10.0)
    told = np.zeros(len(times))
    told[30] = 900.0
    assert minutes_of(gauge(times, told), NOON, count=10).sum() == pytest.approx(2.5)
    assert minutes_of(gauge(times, told), NOON, count=10, confirmed=True).sum() == 0.0
    told[31] = 300.0
    assert minutes_of(gauge(times, told), NOON, count=10, confirmed=True).sum() == pytest.approx(2 * 300 / 360)


def test_the_only_reading_of_five_minutes_is_rain_and_the_first_after_a_silence_is_not_confirmed():
    times = NOON - np.array([1500.0, 1200.0, 900.0, 600.0, 300.0])
    told = np.array([0.0, 0.0, 60.0, 0.0, 0.0])
    assert minutes_of(gauge(times, told), NOON, confirmed=True)[-25:].sum() == pytest.approx(5.0)
    silent = gauge(NOON - np.array([2000.0, 900.0, 600.0]), np.array([0.0, 60.0, 60.0]))
    assert np.nansum(minutes_of(silent, NOON, confirmed=True)) == pytest.approx(15.0), "five minutes and what goes on"


def test_what_is_older_than_the_floor_is_forgotten():
    one = gauge(NOON - np.array([900.0, 10.0]), np.full(2, 36.0))
    both = one.bytes
    assert one.newest(NOON - 60).tolist() == [NOON - 10]
    assert one.bytes == both / 2
    assert one.newest(NOON).tolist() == [-np.inf]
    assert np.isnan(one.fallen(np.array([NOON - 60, NOON]), NOON, CARRIED_S, NOON)).all()


def filled() -> Window:
    window = Window(IDS, 600, RAIN)
    times = NOON - 120 + 10.0 * np.arange(12)
    for number, mm_h in ((3, 999.0), (5, 36.0), (8, 72.0)):
        window.merge(np.full(12, number, np.int32), times, np.full(12, mm_h), NOON)
    return window


def test_a_window_knows_the_rain_of_its_gauges_alone():
    edges = np.array([NOON - 100, NOON - 50])
    assert filled().rain(np.array([2, 1]), edges, NOON, CARRIED_S)[0] == pytest.approx([1.0, 0.5])
    assert filled().rain_until(np.array([1, 2]), NOON).tolist() == [NOON - 10] * 2
    none = Window(IDS, 600)
    assert none.merge(np.array([5], np.int32), np.array([NOON]), np.array([1.0]), NOON) == 1
    assert none.rain(np.array([], int), edges, NOON, CARRIED_S).shape == (1, 0)
    assert filled().bytes > none.bytes


def test_gauges_that_stay_keep_their_rain_in_another_inventory():
    edges = np.array([NOON - 100, NOON - 50])
    other = filled().carried_over(np.array([1, 2, 8, 9], np.int32), np.array([True, False, True, True]))
    fallen = other.rain(np.array([0, 2, 3]), edges, NOON, CARRIED_S)[0]
    assert fallen[1] == pytest.approx(1.0)
    assert np.isnan(fallen[[0, 2]]).all()
    assert other.merge(np.array([9], np.int32), np.array([NOON]), np.array([36.0]), NOON) == 1
    assert other.rain(np.array([3]), edges, NOON, CARRIED_S)[0] == pytest.approx([0.5])
    empty = Window(np.empty(0, np.int32), 600).carried_over(IDS, RAIN)
    assert np.isnan(empty.rain(np.array([1, 2]), edges, NOON, CARRIED_S)).all()
