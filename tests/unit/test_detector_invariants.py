"""What holds of every detector: the future changes nothing, inputs stay as they were, each sensor stands alone."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from alerts.detectors import (
    balance,
    biogas,
    blockage,
    burst,
    charts,
    health,
    night_flow,
    overflow,
    pump,
    rain,
    residual,
    robust,
    rolling,
    seasonal,
)

WEEK = 7 * 86_400.0
STEP = 300.0
ROWS, SENSORS = 400, 4
TIMES = 1_767_571_200.0 + STEP * np.arange(ROWS)

Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]


def readings(seed: int = 1, gaps: float = 0.05) -> np.ndarray:
    """Levels of about 1 m that swing, jump and have gaps."""
    rng = np.random.default_rng(seed)
    values = (
        1 + 0.3 * np.sin(2 * np.pi * TIMES / 86_400)[:, None] + 0.1 * np.cumsum(rng.normal(size=(ROWS, SENSORS)), 0) / 5
    )
    values[rng.random(values.shape) < gaps] = np.nan
    return values


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

uneven = st.lists(st.floats(1, 600), min_size=6, max_size=40).map(lambda steps: 1.7e9 + np.cumsum(steps))


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
