"""The last day in quarters of an hour."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alerts.trend import ROWS, STEP_S, Trend
from alerts.window import Window

IDS = np.array([3, 5, 8], np.int32)
START = 1_795_219_200.0
"""A full quarter of an hour."""


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


def test_a_quarter_holds_its_last_reading_and_is_not_there_before_it_is_over() -> None:
    window, trend = Window(IDS, 3600), Trend(IDS)
    trend.advance(window, START)
    for minute in range(15):
        at = START + 60 * minute
        window.merge(ids(5), np.array([at]), np.array([float(minute)]), at)
        assert not trend.advance(window, at)
    assert trend.advance(window, START + STEP_S)
    values, ends = trend.values(np.arange(3))
    assert ends[-1] == START + STEP_S
    assert np.isnan(values[-1, 0])
    assert values[-1, 1] == 14.0


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6))
def test_it_always_holds_a_day_however_long_nobody_looked(pauses: list[int]) -> None:
    window, trend = Window(IDS, 3600), Trend(IDS)
    now = START
    for minutes in pauses:
        now += 60.0 * minutes
        window.merge(ids(3), np.array([now - 1]), np.array([now]), now)
        trend.advance(window, now)
    values, ends = trend.values(np.arange(3))
    assert values.shape == (ROWS, 3)
    assert ends[-1] == now // STEP_S * STEP_S
    known = values[~np.isnan(values)]
    assert (known > now - (ROWS + 1) * STEP_S).all()


def test_roll_ups_fill_it_and_those_of_another_day_or_sensor_are_left() -> None:
    trend = Trend(IDS)
    trend.advance(Window(IDS, 3600), START)
    buckets = START - STEP_S * np.array([1.0, 2.0, 200.0, 1.0, -5.0])
    trend.fill(np.array([3, 5, 3, 4, 8], np.int32), buckets, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    values, _ = trend.values(np.arange(3))
    assert values[-1, 0] == 1.0
    assert values[-2, 1] == 2.0
    assert np.sum(~np.isnan(values)) == 2


def test_sensors_that_stay_keep_their_day_in_another_inventory() -> None:
    trend = Trend(IDS)
    trend.advance(Window(IDS, 3600), START)
    trend.fill(np.array([8], np.int32), np.array([START - STEP_S]), np.array([7.0]))
    other = trend.carried_over(ids(1, 8))
    assert other.values(np.arange(2))[0][-1].tolist()[1] == 7.0
    assert other.closed == trend.closed
