"""The ring of slots: late, repeated and future readings, other inventories, clocks that jump."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.window import SLOT_S, Window

NOW = 1_795_262_430.0  # half a minute past noon


def ids(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(numbers, np.int32)


def merge(window: Window, *readings: tuple[int, float, float], now: float = NOW) -> int:
    sensors, ts, values = (np.array(column) for column in zip(*readings, strict=True))
    return window.merge(sensors.astype(np.int32), NOW + ts.astype(float), values.astype(float), now)


def last(window: Window, now: float = NOW) -> list[float]:
    """Newest first."""
    values = window.series(np.array([0]), now).last[:, 0]
    return values[~np.isnan(values)][::-1].tolist()


def test_a_slot_keeps_lowest_highest_and_last_with_the_times_of_first_and_last() -> None:
    window = Window(ids(5), 600)
    merge(window, (5, -10, 2.0), (5, -25, 9.0), (5, -20, -4.0))
    series = window.series(np.array([0]), NOW)
    row = [getattr(series, part)[-1, 0] for part in ("lowest", "highest", "last", "first_at", "last_at")]
    assert row == [-4.0, 9.0, 2.0, -25.0, -10.0]
    assert window.extremes(np.array([0])) == (np.float32(-4), np.float32(9))


def test_late_readings_find_their_slot_and_do_not_become_the_last() -> None:
    window = Window(ids(5), 600)
    merge(window, (5, -10, 2.0))
    merge(window, (5, -130, 1.0), (5, -12, 7.0))
    assert last(window) == [2.0, 1.0]


def test_what_is_older_than_the_window_or_unknown_or_not_finite_is_left_out() -> None:
    window = Window(ids(5), 600)
    assert merge(window, (5, -900, 1.0), (6, -5, 1.0), (5, -5, np.nan), (5, -5, np.inf)) == 0
    assert last(window) == []


def test_the_future_counts_as_now() -> None:
    window = Window(ids(5), 600)
    merge(window, (5, 250, 3.0))
    assert window.series(np.array([0]), NOW).last_at[-1, 0] == 0
    assert last(window) == [3.0]


def test_the_ring_forgets_what_is_past() -> None:
    window = Window(ids(5), 600)
    merge(window, (5, -5, 1.0))
    window.advance(NOW + 9 * SLOT_S)
    assert last(window, NOW + 9 * SLOT_S) == [1.0]
    window.advance(NOW + 11 * SLOT_S)
    assert last(window, NOW + 11 * SLOT_S) == []
    merge(window, (5, 11 * SLOT_S, 2.0), now=NOW + 11 * SLOT_S)
    window.advance(NOW + 1e6)
    assert last(window, NOW + 1e6) == []


def test_a_clock_that_goes_back_loses_nothing() -> None:
    window = Window(ids(5), 600)
    merge(window, (5, -5, 1.0))
    merge(window, (5, -400, 2.0), now=NOW - 300)
    assert last(window) == [1.0, 2.0]


def test_another_inventory_keeps_what_is_known() -> None:
    window = Window(ids(3, 5), 600)
    merge(window, (3, -5, 1.0), (5, -5, 2.0))
    window.mark_seen(ids(5), np.array([NOW]))
    other = window.carried_over(ids(4, 5, 6))
    assert np.isnan(other.series(np.array([0, 2]), NOW).last).all()
    assert other.series(np.array([1]), NOW).last[-1, 0] == 2.0
    seen, since = other.behind(ids(4, 5, 9), np.full(3, NOW))
    assert (seen.tolist(), since.tolist()) == ([4], [0.0])


def test_an_empty_window_is_no_trouble() -> None:
    window = Window(ids(), 600)
    assert merge(window, (5, -5, 1.0)) == 0
    assert window.behind(ids(5), np.array([NOW]))[0].tolist() == []
    window.mark_seen(ids(5), np.array([NOW]))
    assert window.series(np.array([], int), NOW).last.shape == (11, 0)


def test_the_memory_is_twenty_bytes_a_sensor_and_slot() -> None:
    assert Window(np.arange(1000, dtype=np.int32), 3600).bytes == pytest.approx(1000 * 61 * 20, rel=0.01)


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(-700, 0), st.floats(-9, 9, width=32)), min_size=1, max_size=60))
def test_extremes_are_those_of_the_readings(readings: list[tuple[int, float, float]]) -> None:
    window = Window(ids(1, 2, 3), 600)
    floor = window.floor(NOW) - NOW
    merge(window, *readings)
    lowest, highest = window.extremes(np.arange(3))
    for column, sensor in enumerate((1, 2, 3)):
        mine = [value for one, ago, value in readings if one == sensor and NOW + ago >= NOW + floor]
        assert (lowest[column], highest[column]) == (min(mine), max(mine)) if mine else np.isnan(lowest[column])


def test_the_reach_of_a_window_is_that_of_what_came_last_and_forgets_what_is_over() -> None:
    window = Window(np.array([1, 2], np.int32), 600)
    both = np.array([0, 1])
    window.merge(np.array([1, 2], np.int32), np.array([1000.0, 1000.0]), np.array([5.0, 7.0]), 1000.0)
    assert [part.tolist() for part in window.extremes(both)] == [[5.0, 7.0], [5.0, 7.0]]
    window.merge(np.array([1], np.int32), np.array([1060.0]), np.array([9.0]), 1060.0)
    assert [part.tolist() for part in window.extremes(both)] == [[5.0, 7.0], [9.0, 7.0]]
    window.advance(1000.0 + 1200)
    assert np.isnan(window.extremes(both)).all()
    assert window.counts().tolist() == [0, 0]


@given(st.lists(st.tuples(st.sampled_from([5, 7, 9]), st.floats(-800, 100), st.floats(-5, 5)), max_size=40))
def test_the_newest_of_each_slot_are_those_of_the_series(readings: list[tuple[int, float, float]]) -> None:
    window = Window(ids(5, 7, 9), 600)
    if readings:
        merge(window, *readings)
    for columns in (np.array([0, 1, 2]), np.array([2]), np.array([1, 1, 0]), np.empty(0, np.int64)):
        newest = window.newest(columns, NOW)
        np.testing.assert_array_equal(newest, window.series(columns, NOW).last)
        newest[:] = 0  # a copy: who works on it changes nothing
    np.testing.assert_array_equal(window.newest(np.array([0]), NOW), window.series(np.array([0]), NOW).last)
