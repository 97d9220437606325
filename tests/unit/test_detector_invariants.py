"""What holds of every detector: the future changes nothing, inputs stay as they were, each sensor stands alone."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from alerts.detectors import (
    balance,
    biogas,
    blockage,
    burst,
    charts,
    health,
    overflow,
    pump,
    rain,
    residual,
    robust,
    rolling,
    seasonal,
)
from tests.unit.sensor_history import ROWS, SENSORS, STEP, TIMES, readings, uneven

WEEK = 7 * 86_400.0

Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]

HISTORY = readings(9)
FLOW = (50 + 20 * np.sin(2 * np.pi * TIMES / 86_400))[:, None]
SEASON = seasonal.learn(np.tile(HISTORY, (6, 1)), 1_767_571_200.0 + STEP * np.arange(6 * ROWS), 0.01)
MODEL = residual.learn(HISTORY, TIMES, 0.01)
PRESSURES = burst.learn(HISTORY, FLOW, TIMES, 0.01)
RESPONSE = rain.learn(HISTORY, np.where(np.arange(ROWS) % 90 < 12, 0.8, 0.0), TIMES)
DRY_WEATHER = blockage.DryWeather(np.full(SENSORS, 0.9), np.full(SENSORS, 1.0), np.full(SENSORS, ROWS))


def rainfall(values: np.ndarray) -> np.ndarray:
    """mm per row, out of whatever the first sensor reads."""
    return np.where(np.nan_to_num(values[:, 0]) > 1.1, 0.5, 0.0)


JUDGES: dict[str, Judge] = {
    "total": lambda v, t: rolling.total(v, t, 1800),
    "mean": lambda v, t: rolling.mean(v, t, 1800),
    "lowest": lambda v, t: rolling.extremes(v, t, 1800)[0],
    "highest": lambda v, t: rolling.extremes(v, t, 1800)[1],
    "slope": lambda v, t: rolling.slope(v, t, 3600) * 3600,
    "carried": lambda v, t: rolling.carried(v, t, 900),
    "held": lambda v, t: rolling.held(v > 1, t, 1200).astype(float),
    "ewma": lambda v, t: charts.ewma(v),
    "cusum": lambda v, t: charts.cusum(v - 1).down,
    "episodes": lambda v, t: charts.episodes(v, 1.2, 0.9).astype(float),
    "most_of": lambda v, t: charts.most_of(v > 1.1, 3, 5).astype(float),
    "seasonal": lambda v, t: seasonal.z_scores(SEASON, v, t),
    "overflow": lambda v, t: np.minimum(overflow.forecast(v, np.full(v.shape[1], 2.0), t).seconds, 1e6),
    "states": lambda v, t: overflow.states(v, np.full(v.shape[1], 0.6), np.full(v.shape[1], 1.8)).astype(float),
    "ponding": lambda v, t: overflow.ponding(v, t, 3600),
    "pump idle": lambda v, t: pump.detect(
        v, np.where(np.isnan(v), np.nan, 0.0), t / 5, np.ones(v.shape[1])
    ).idle.astype(float),
    "pump starts": lambda v, t: pump.starts_per_hour((v > 1).astype(float), t).astype(float),
    "impossible": lambda v, t: health.impossible_rate(v, t, np.full(v.shape[1], 1e-4)).astype(float),
    "rate of rise": lambda v, t: biogas.rate_of_rise(v, t, 1800),
    "balance of a day": lambda v, t: np.column_stack(
        [balance.day_of(column[:, None], column[:, None], t * 24)[0][:, 0] for column in v.T]
    ),
    "dry": lambda v, t: blockage.dry(np.maximum(v - 1, 0), t).astype(float),
}
WHOLE: dict[str, Judge] = {
    "residual": lambda v, t: residual.judge(MODEL, v, t).score,
    "burst": lambda v, t: burst.detect(PRESSURES, v, FLOW[: len(v)], t).score,
    "rain": lambda v, t: rain.detect(RESPONSE, v, rain.stores(rainfall(v), t), t).score,
    "blockage": lambda v, t: blockage.detect(DRY_WEATHER, v, v < 1.3, t, np.array([[0, 1], [2, 3]])).cause.astype(
        float
    ),
}
"""These look at several sensors together."""
ALL = JUDGES | WHOLE
each = pytest.mark.parametrize("name", ALL)
alone = pytest.mark.parametrize("name", JUDGES)


def judged(name: str, values: np.ndarray, times: np.ndarray = TIMES) -> np.ndarray:
    return np.asarray(ALL[name](values, times))


@each
def test_the_readings_move_what_is_judged(name: str) -> None:
    """Else the rest of this file would prove nothing."""
    assert len(np.unique(judged(name, readings(2)))) > 1


@each
@pytest.mark.parametrize("cut", [1, 7, 200, ROWS - 1])
def test_what_comes_later_never_changes_what_was_said(name: str, cut: int) -> None:
    values = readings(2)
    whole = judged(name, values)
    np.testing.assert_allclose(judged(name, values[:cut], TIMES[:cut]), whole[:cut], atol=1e-9)


@each
def test_readings_and_times_are_left_as_they_were(name: str) -> None:
    values, times = readings(3), TIMES.copy()
    before = values.copy()
    values.setflags(write=False)
    times.setflags(write=False)
    judged(name, values, times)
    np.testing.assert_array_equal(values, before)


@alone
def test_each_sensor_is_judged_as_if_it_were_alone(name: str) -> None:
    values = readings(4)
    if name == "seasonal":
        return  # its baseline has a column for each; the order is tested below
    whole = judged(name, values)
    for sensor in range(SENSORS):
        np.testing.assert_allclose(judged(name, values[:, [sensor]])[:, 0], whole[:, sensor], atol=1e-9)


@each
def test_a_whole_number_of_weeks_later_the_same_is_said(name: str) -> None:
    values = readings(5)
    np.testing.assert_allclose(judged(name, values, TIMES + 53 * WEEK), judged(name, values), atol=1e-6)


@each
@pytest.mark.parametrize("rows", [0, 1, 2, ROWS])
def test_sensors_that_say_nothing_are_never_an_alarm_and_never_a_warning(name: str, rows: int) -> None:
    if (name, rows) in (("rain", 0), ("seasonal", 0)):
        return  # their shapes are tested with the detectors themselves
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = judged(name, np.full((rows, SENSORS), np.nan), TIMES[:rows])
    assert len(found) == rows
    quiet = {"states": -1.0, "pump idle": 0.0}.get(name, 0.0)
    assert (np.isnan(found) | (found == quiet)).all()


@each
def test_one_sensor_that_stands_still_is_nothing_new(name: str) -> None:
    found = judged(name, np.full((ROWS, SENSORS), 1.0))
    assert np.isfinite(found[np.isfinite(found)]).all()
    assert not np.isinf(found).any() or name == "overflow"


@each
@pytest.mark.parametrize("times", ["the same", "twice each"])
def test_times_that_repeat_are_borne(name: str, times: str) -> None:
    clock = np.full(ROWS, TIMES[0]) if times == "the same" else np.repeat(TIMES[: ROWS // 2], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(judged(name, readings(6), clock)) == ROWS


# ------------------------------------------------------------------------------------------------- windows and charts


@given(uneven, st.integers(0, 10_000), st.floats(600, 5000))
def test_the_slope_is_that_of_least_squares_over_each_window(times: np.ndarray, seed: int, window: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(times), 1))
    values[rng.random(len(times)) < 0.2] = np.nan
    found = rolling.slope(values, times, window)[:, 0]
    for row, now in enumerate(times):
        inside = (times > now - window) & (times <= now) & ~np.isnan(values[:, 0])
        if inside.sum() < 3:
            assert np.isnan(found[row])
        else:
            expected = np.polyfit(times[inside] - now, values[inside, 0], 1)[0]
            assert found[row] == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_a_spike_leaves_no_trace_once_it_has_left_the_window() -> None:
    values = readings(7, gaps=0.0)
    spiked = values.copy()
    spiked[100] += 1e6
    for name in ("total", "mean", "slope"):
        clean, after = judged(name, values), judged(name, spiked)
        np.testing.assert_allclose(after[120:], clean[120:], atol=1e-4)


@given(st.integers(1, 200), st.floats(0.01, 1.0), st.floats(-100, 100))
def test_ewma_of_a_step_closes_on_it_geometrically(rows: int, weight: float, height: float) -> None:
    charted = charts.ewma(np.full((rows, 1), height), weight)[:, 0]
    np.testing.assert_allclose(charted, height * (1 - (1 - weight) ** np.arange(1, rows + 1)), atol=1e-9)


@given(arrays.arrays(float, (20, 2), elements=st.floats(-50, 50)))
def test_cusum_of_the_mirror_image_is_its_mirror_image(z: np.ndarray) -> None:
    chart, mirrored = charts.cusum(z), charts.cusum(-z)
    np.testing.assert_array_equal(chart.up, mirrored.down)
    assert (chart.up >= 0).all()


@given(arrays.arrays(float, (30, 2), elements=st.floats(0, 3)), st.floats(0, 1))
def test_a_higher_score_is_never_a_shorter_alarm(score: np.ndarray, more: float) -> None:
    assert (charts.episodes(score + more) >= charts.episodes(score)).all()


@given(arrays.arrays(float, (25, 3), elements=st.floats(-1e3, 1e3)), st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_spread_moves_with_the_readings(values: np.ndarray, zero: float, unit: float) -> None:
    plain, moved = robust.spread(values), robust.spread(values * unit + zero)
    np.testing.assert_allclose(moved.median, plain.median * unit + zero, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moved.sigma, plain.sigma * unit, rtol=1e-6, atol=1e-6)


@given(arrays.arrays(float, (21, 1), elements=st.floats(-10, 10)), st.floats(-1e9, 1e9))
def test_ten_liars_of_twenty_one_cannot_move_the_median_beyond_the_honest(values: np.ndarray, lie: float) -> None:
    lied = values.copy()
    lied[:10] = lie
    assert values[10:].min() <= robust.median(lied)[0] <= values[10:].max()


@given(arrays.arrays(float, (30, 1), elements=st.floats(-10, 10)), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_is_never_a_lower_quantile(values: np.ndarray, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert robust.quantile(values, low)[0] <= robust.quantile(values, high)[0]
    assert robust.quantile(values, 0)[0] == values.min()
    assert robust.quantile(values, 1)[0] == values.max()
