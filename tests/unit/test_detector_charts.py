"""Charts, windows and robust statistics: closed forms against plain loops, and safe with whatever arrives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from alerts.detectors import charts, robust, rolling

readings = st.one_of(st.just(float("nan")), st.floats(-1e3, 1e3, width=32))
matrices = arrays.arrays(float, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=readings)


def clock(values: np.ndarray, step: float = 60.0) -> np.ndarray:
    return 1.7e9 + step * np.arange(len(values))


@given(matrices)
def test_cusum_in_closed_form_equals_the_recursion(z):
    chart = charts.cusum(z, slack=0.5, clip=4)
    up = down = np.zeros(z.shape[1])
    for row, sample in enumerate(np.nan_to_num(np.clip(z, -4, 4), nan=np.nan)):
        up = np.where(np.isnan(sample), up, np.maximum(0, up + sample - 0.5))
        down = np.where(np.isnan(sample), down, np.maximum(0, down - sample - 0.5))
        np.testing.assert_allclose(chart.up[row], up, atol=1e-8)
        np.testing.assert_allclose(chart.down[row], down, atol=1e-8)


@given(matrices, st.integers(0, 12))
def test_charts_of_two_blocks_equal_the_chart_of_the_whole(z, cut):
    cut = min(cut, len(z))
    if not 0 < cut < len(z):
        return
    whole, first = charts.cusum(z), charts.cusum(z[:cut])
    second = charts.cusum(z[cut:], start=first.last)
    np.testing.assert_allclose(whole.up[cut:], second.up, atol=1e-7)
    np.testing.assert_allclose(whole.down[cut:], second.down, atol=1e-7)
    smooth = charts.ewma(z)
    np.testing.assert_allclose(smooth[cut:], charts.ewma(z[cut:], start=smooth[cut - 1]), atol=1e-9)
    flags = charts.episodes(z, 2.0, 1.0)
    np.testing.assert_array_equal(flags[cut:], charts.episodes(z[cut:], 2.0, 1.0, start=flags[cut - 1]))


def test_one_wild_sample_is_no_alarm_when_samples_are_clipped():
    z = np.zeros((50, 1))
    z[20] = 1000.0
    assert charts.cusum(z, clip=4.0).up.max() < charts.CUSUM_LIMIT
    z[20:24] = 1000.0
    assert charts.cusum(z, clip=4.0).up.max() > charts.CUSUM_LIMIT


def test_ewma_spreads_as_its_formula_says_and_holds_in_a_gap():
    noise = np.random.default_rng(1).normal(size=(20_000, 3))
    np.testing.assert_allclose(charts.ewma(noise)[200:].std(axis=0), charts.ewma_spread(), rtol=0.05)
    gap = np.array([[1.0], [np.nan], [np.nan]])
    assert charts.ewma(gap).tolist() == [[0.1], [0.1], [0.1]]


def test_a_value_that_swings_between_clear_and_begin_is_one_episode():
    score = np.array([0.5, 1.1, 0.95, 1.05, np.nan, 0.85, 1.2, 0.7, 0.9])[:, None]
    assert charts.episodes(score)[:, 0].tolist() == [False, True, True, True, True, True, True, False, False]


@pytest.mark.parametrize(
    "call",
    [
        lambda: charts.ewma(np.zeros((1, 1)), weight=0),
        lambda: charts.episodes(np.zeros((1, 1)), begin=1, clear=2),
        lambda: charts.most_of(np.zeros((1, 1), bool), 3, 2),
    ],
)
def test_settings_without_sense_are_refused(call):
    with pytest.raises(ValueError):
        call()


@given(arrays.arrays(bool, (15, 3)), st.integers(1, 5), st.integers(0, 4))
def test_n_of_m_counts_the_last_m_rows(flags, count, more):
    window = count + more
    found = charts.most_of(flags, count, window)
    for row in range(len(flags)):
        expected = flags[max(0, row - window + 1) : row + 1].sum(axis=0) >= count
        np.testing.assert_array_equal(found[row], expected)


@given(matrices)
def test_median_and_quantile_equal_numpy_where_there_is_a_reading(values):
    middle, high = robust.median(values), robust.quantile(values, 0.9)
    for sensor, column in enumerate(values.T):
        kept = column[~np.isnan(column)]
        if not len(kept):
            assert np.isnan(middle[sensor])
            assert np.isnan(high[sensor])
            continue
        assert middle[sensor] == pytest.approx(np.median(kept))
        assert high[sensor] == np.quantile(kept, 0.9, method="inverted_cdf")


def test_the_resolution_is_the_step_in_which_a_sensor_reports():
    fine = np.random.default_rng(2).normal(20, 3, size=(500, 1))
    values = np.hstack([np.round(fine, 2), np.full((500, 1), 7.0), np.full((500, 1), np.nan)])
    assert robust.resolution_of(values) == pytest.approx([0.01, 0.0, 0.0])
    assert robust.resolution_of(values[:1]).tolist() == [0, 0, 0]


@given(matrices, st.floats(30, 600))
def test_trailing_windows_equal_plain_loops(values, window):
    times = clock(values)
    total, mean = rolling.total(values, times, window), rolling.mean(values, times, window)
    low, high = rolling.extremes(values, times, window)
    for row in range(len(values)):
        part = values[(times > times[row] - window) & (times <= times[row])]
        for sensor, column in enumerate(part.T):
            kept = column[~np.isnan(column)]
            got = [total[row, sensor], mean[row, sensor], low[row, sensor], high[row, sensor]]
            expected = [kept.sum(), kept.mean(), kept.min(), kept.max()] if len(kept) else [np.nan] * 4
            np.testing.assert_allclose(got, expected, atol=1e-7)


@given(matrices, st.floats(30, 600))
def test_a_trailing_total_does_not_depend_on_how_many_other_sensors_there_are(values, window):
    times = clock(values)
    many = rolling.total(np.tile(values, rolling.NARROW + 1), times, window)
    few = rolling.total(values, times, window)
    np.testing.assert_allclose(many[:, -values.shape[1] :], few, atol=1e-7)


@given(st.floats(-2, 2), st.floats(-100, 100), st.lists(st.floats(1, 90), min_size=4, max_size=30))
def test_the_slope_of_a_line_is_found_at_uneven_times_and_with_gaps(rise, level, steps):
    times = 1.7e9 + np.cumsum(steps)
    values = (level + rise * (times - times[0]))[:, None]
    values[1] = np.nan
    slope = rolling.slope(values, times, 1e5)
    np.testing.assert_allclose(slope[3:, 0], rise, atol=1e-4)
    assert np.isnan(slope[:2, 0]).all()


@given(arrays.arrays(bool, (10, 3)), st.floats(0, 400))
def test_held_is_true_only_after_its_time_without_a_break(flags, duration):
    times = clock(flags)
    found = rolling.held(flags, times, duration)
    for sensor in range(3):
        since = None
        for row in range(10):
            since = (times[row] if since is None else since) if flags[row, sensor] else None
            assert found[row, sensor] == (since is not None and times[row] - since >= duration)


def test_nothing_at_all_is_no_error():
    empty = np.empty((0, 2))
    assert charts.ewma(empty).shape == charts.cusum(empty).up.shape == charts.episodes(empty).shape == (0, 2)
    assert rolling.held(empty.astype(bool), np.empty(0), 60).shape == (0, 2)
    assert rolling.slope(empty, np.empty(0), 60).shape == rolling.total(empty, np.empty(0), 60).shape == (0, 2)
    assert np.isnan(robust.median(empty)).all()
    assert np.isnan(robust.quantile(empty, 0.5)).all()
    assert robust.resolution_of(empty).tolist() == [0, 0]


@given(matrices, st.floats(0, 600))
def test_a_reading_is_carried_over_gaps_while_it_is_young_enough(values, age):
    times = clock(values)
    filled = rolling.carried(values, times, age)
    for row in range(len(values)):
        for sensor in range(values.shape[1]):
            known = np.flatnonzero(~np.isnan(values[: row + 1, sensor]))
            young = len(known) > 0 and times[row] - times[known[-1]] <= age
            expected = values[known[-1], sensor] if young else np.nan
            np.testing.assert_equal(filled[row, sensor], expected)


@given(matrices, st.floats(0.1, 2), st.sampled_from([2.0, np.inf]))
def test_cusum_is_to_the_last_bit_that_of_one_sensor_and_one_row_after_the_other(z, slack, clip):
    chart = charts.cusum(z, slack=slack, clip=clip)
    for sensor in range(z.shape[1]):
        up = down = 0.0
        for row, sample in enumerate(z[:, sensor].tolist()):
            if not np.isnan(sample):
                bounded = min(max(sample, -clip), clip)
                up, down = max(up + bounded - slack, 0.0), max(down - bounded - slack, 0.0)
            assert (chart.up[row, sensor], chart.down[row, sensor]) == (up, down)


@given(matrices, st.integers(1, 11))
def test_a_cusum_that_goes_on_is_the_one_that_was_never_cut(z, cut):
    cut = min(cut, len(z))
    whole, first = charts.cusum(z), charts.cusum(z[:cut])
    before = [part.copy() for part in first.last]
    rest = charts.cusum(z[cut:], start=first.last)
    np.testing.assert_array_equal(np.concatenate([first.up, rest.up]), whole.up)
    np.testing.assert_array_equal(np.concatenate([first.down, rest.down]), whole.down)
    np.testing.assert_array_equal(first.last, before)
