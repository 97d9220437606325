"""Drainage: blockage, storm, pump and overflow told apart, and told in time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detectors import blockage, overflow, pump, rain, rolling
from alerts.detectors.blockage import Cause
from alerts.detectors.overflow import State

DAY = 86400.0
STEP = 300.0
REACH = np.array([[0, 1]])


def sewer(days: int, seed: int = 1, storms: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels up and downstream (time, 2), rain (time,) in mm a step, and times; level follows a linear reservoir."""
    rng = np.random.default_rng(seed)
    times = 1_767_571_200.0 + STEP * np.arange(int(days * DAY / STEP))
    fallen = np.zeros(len(times))
    for at in rng.integers(0, len(times) - 24, storms):
        fallen[at : at + 18] += rng.gamma(2, 0.6)
    held = np.zeros(len(times))
    for row in range(1, len(times)):
        held[row] = held[row - 1] * np.exp(-STEP / 5400) + fallen[row]
    daily = 0.1 + 0.04 * np.sin(2 * np.pi * times / DAY)
    level = (daily + 0.02 * held)[:, None] * np.array([1.0, 1.2]) + 0.004 * rng.normal(size=(len(times), 2))
    return level, fallen, times


def judged(level: np.ndarray, fallen: np.ndarray, times: np.ndarray) -> blockage.Reaches:
    clean, clean_rain, clean_times = sewer(14, seed=9)
    usual = blockage.learn(clean, blockage.dry(np.stack([clean_rain] * 2, 1), clean_times))
    return blockage.detect(usual, level, blockage.dry(np.stack([fallen] * 2, 1), times), times, REACH)


def test_high_above_low_below_and_no_rain_is_a_blockage_after_four_hours():
    level, fallen, times = sewer(3, seed=2, storms=0)
    cut = 400
    level[cut:, 0] = np.minimum(0.1 + 0.01 * np.arange(len(level) - cut), 1.1)
    level[cut:, 1] *= 0.5
    found = judged(level, fallen, times)
    first = np.flatnonzero(found.confirmed[:, 0])[0]
    assert (found.cause[found.confirmed] == Cause.BLOCKAGE).all()
    assert 4 * 12 <= first - cut <= 6 * 12


def test_a_half_blocked_sewer_that_passes_its_flow_on_is_found_within_a_day():
    level, fallen, times = sewer(4, seed=2, storms=0)
    level[400:, 0] += 0.2
    found = judged(level, fallen, times)
    first = np.flatnonzero(found.confirmed[:, 0] & (found.cause[:, 0] == Cause.BLOCKAGE))[0]
    assert 400 < first < 400 + 288


def test_a_wave_from_above_is_no_blockage():
    level, fallen, times = sewer(4, seed=2, storms=0)
    level[400:700, 0] += 0.5
    level[406:706, 1] += 0.5
    found = judged(level, fallen, times)
    assert not (found.confirmed & (found.cause == Cause.BLOCKAGE)).any()


def test_dry_weather_and_storms_are_no_blockage():
    level, fallen, times = sewer(60, seed=3, storms=30)
    found = judged(level, fallen, times)
    assert not (found.confirmed & (found.cause == Cause.BLOCKAGE)).any()


def test_all_high_with_rain_is_capacity_and_without_rain_is_inflow_or_a_pump():
    level, fallen, times = sewer(3, seed=4, storms=0)
    level[300:] += 0.8
    assert (judged(level, fallen, times).cause[300:] == Cause.INFLOW_OR_PUMP).all()
    fallen[280:500] = 1.0
    assert (judged(level, fallen, times).cause[300:500] == Cause.CAPACITY).all()


def test_unknown_levels_and_unknown_rain_claim_no_blockage():
    level, fallen, times = sewer(1, storms=0)
    level[:, 0], level[:, 1] = 2.0, np.nan
    assert not judged(level, fallen, times).cause.any()
    assert not blockage.dry(np.full((3, 1), np.nan), times[:3]).any()


def test_a_storm_within_the_usual_response_raises_nothing_and_water_beyond_it_does():
    level, fallen, times = sewer(60, seed=5, storms=40)
    response = rain.learn(level, fallen, times)
    wet, wet_rain, wet_times = sewer(10, seed=6, storms=8)
    quiet = rain.detect(response, wet, rain.stores(wet_rain, wet_times), wet_times).score
    assert (quiet[144:] > 1).mean() < 0.01
    wet[2000:2200, 0] += 0.3
    more = rain.detect(response, wet, rain.stores(wet_rain, wet_times), wet_times).score
    assert (more[2000:2200, 0] > 1).mean() > 0.8
    peak = int(np.argmax(np.convolve(wet_rain, np.ones(12), "valid"))) + 12
    assert rain.detect(response, wet, rain.stores(wet_rain, wet_times), wet_times).expected[peak, 0] > 0.2


def shower(sensors: int, mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two dry days with a shower of two hours on the second; levels grow by less than in proportion to the rain."""
    times = DAY + 300.0 * np.arange(576)
    fallen = np.where((times - DAY >= 36 * 3600) & (times - DAY < 38 * 3600), mm / 24, 0.0)
    held = rain.stores(fallen, times)[:, 1]
    noise = 0.001 * np.random.default_rng(2).normal(size=(576, sensors))
    return 0.05 + 0.04 * np.arange(1, sensors + 1) * held[:, None] ** 0.4 + noise, fallen, times


@pytest.mark.parametrize("sensors", [3, 6])
def test_what_all_levels_of_a_catchment_exceed_together_is_the_rain_and_what_one_exceeds_is_that_one(sensors):
    """The shower that taught was a great one: by it alone a small one would lift every level too far."""
    response = rain.learn(*shower(sensors, 20.0))
    level, fallen, times = shower(sensors, 4.0)
    held = rain.stores(fallen, times)
    alone = np.stack(
        [rain.detect(pick(response, one), level[:, [one]], held, times).score[:, 0] for one in range(sensors)]
    )
    assert (alone.max(axis=1)[1:] > 1).all(), "by itself each but the shallowest would be told"
    assert rain.detect(response, level, held, times).score.max() < 1
    level[450:, 1] += 0.5
    score = rain.detect(response, level, held, times).score
    assert score[460, 1] > 1
    assert np.delete(score, 1, axis=1).max() < 1


def pick(response: rain.Response, sensor: int) -> rain.Response:
    return rain.Response(response.coefficients[:, [sensor]], response.limit_dry[[sensor]], response.limit_wet[[sensor]])


def test_what_all_levels_exceed_in_dry_weather_no_rain_explains():
    response = rain.learn(*shower(6, 20.0))
    level, fallen, times = shower(6, 0.0)
    score = rain.detect(response, level + 0.3, rain.stores(fallen, times), times).score
    assert (score > 1).all()


def test_the_first_drops_make_an_expectation_less_sure_in_proportion():
    level, fallen, times = sewer(60, seed=5, storms=40)
    response = rain.learn(level, fallen, times)
    assert (response.limit_wet > response.limit_dry).all()
    four_hours = rain.STORES_S.index(14400.0)
    held = np.zeros((5, len(rain.STORES_S)))
    held[:, four_hours] = np.array([0.0, 0.25, 0.5, 1.0, 2.0]) * rain.WET_MM
    moments = np.full(5, times[0])
    expected = rain.detect(response, np.zeros((5, 2)), held, moments).expected
    limit = 1.0 / rain.detect(response, expected + 1.0, held, moments).score
    fallen_part = held @ response.coefficients[5:]
    wet = np.maximum(response.limit_wet, rain.ERROR_SHARE * fallen_part)
    assert limit[0] == pytest.approx(response.limit_dry)
    assert limit[1] == pytest.approx(response.limit_dry + 0.25 * (wet[1] - response.limit_dry))
    assert limit[3:] == pytest.approx(wet[3:])
    assert (np.diff(limit, axis=0) >= -1e-12).all()


@pytest.mark.parametrize(("known", "drops"), [("dry", 0.0), ("wet", 2.0)])
def test_who_has_known_one_weather_alone_judges_that_one_and_not_the_other(known, drops):
    limits = {"limit_dry": np.full(2, np.nan), "limit_wet": np.full(2, np.nan), f"limit_{known}": np.full(2, 0.1)}
    response = replace(LEARNED, **limits)
    held = np.zeros((2, len(rain.STORES_S)))
    held[:, rain.STORES_S.index(14400.0)] = np.array([drops, 2.0 - drops]) * rain.WET_MM
    score = rain.detect(response, np.full((2, 2), 9.0), held, np.full(2, STORMY[2][0])).score
    assert (score[0] > 1).all()
    assert np.isnan(score[1]).all()


@given(st.floats(0.0, 0.6), st.floats(0.0, 0.6))
def test_more_rain_never_makes_a_level_stranger(one, other):
    times = STORMY[2]
    held = np.zeros((2, len(rain.STORES_S)))
    held[:, rain.STORES_S.index(14400.0)] = sorted([one, other])
    found = rain.detect(LEARNED, np.full((2, 2), 1.0), held, np.full(2, times[0])).score
    assert (found[1] <= found[0] + 1e-9).all()


STORMY = sewer(30, seed=11, storms=20)
LEARNED = rain.learn(*STORMY)


LADDER = np.array([[np.nan], [np.nan], [5.0], [2.0]])
"""Limits of one sensor, red first."""


@pytest.mark.parametrize(
    ("minutes_above", "gap_at", "worth"), [(9, None, 2.4), (11, None, 5.0), (30, None, 5.0), (15, 12, 2.4)]
)
def test_an_excess_that_stays_is_worth_a_level_more_and_one_that_passes_is_not(minutes_above, gap_at, worth):
    times = 1.7e9 + 60.0 * np.arange(40)
    score = np.zeros((40, 1))
    score[40 - minutes_above :] = 2.4
    if gap_at is not None:
        score[40 - gap_at + 3] = np.nan
    assert rain.lasting(score, times, LADDER, 600.0)[-1, 0] == worth


def test_where_there_is_no_worse_level_and_where_a_sensor_is_switched_off_nothing_is_raised():
    times, score = 1.7e9 + 60.0 * np.arange(40), np.full((40, 3), 2.4)
    limits = np.full((4, 3), np.nan)
    limits[3, 0], limits[2:, 1] = 2.0, [9.0, 4.0]
    assert (rain.lasting(score, times, limits, 600.0) == score).all()


@given(
    st.lists(st.one_of(st.floats(0, 20), st.just(float("nan"))), min_size=1, max_size=60),
    st.floats(0.5, 5.0),
    st.floats(1.1, 4.0),
)
def test_an_excess_that_lasts_is_never_worth_less_and_never_more_than_the_next_level(scores, mildest, times_worse):
    score, times = np.array(scores)[:, None], 1.7e9 + 60.0 * np.arange(len(scores))
    limits = np.array([[np.nan], [np.nan], [mildest * times_worse], [mildest]])
    worth = rain.lasting(score, times, limits, 600.0)
    assert (np.isnan(worth) == np.isnan(score)).all()
    there = ~np.isnan(score)
    assert (worth[there] >= score[there]).all()
    assert (worth[there] <= np.maximum(score[there], mildest * times_worse)).all()
    assert (worth[there & (score < mildest)] == score[there & (score < mildest)]).all()


def test_rain_never_lowers_the_expected_level():
    level, fallen, times = sewer(20, seed=7, storms=10)
    coefficients = rain.learn(level, fallen, times).coefficients
    assert (coefficients[5:] >= 0).all()


def test_a_level_sensor_without_history_has_no_expectation():
    level, fallen, times = sewer(2)
    level[:, 0] = np.nan
    response = rain.learn(level, fallen, times)
    found = rain.detect(response, np.ones_like(level), rain.stores(fallen, times), times)
    assert np.isnan(found.score[:, 0]).all()
    assert np.isfinite(found.score[:, 1]).all()
    assert np.isnan(rain.learn(level[:20], fallen[:20], times[:20]).coefficients).all()


@given(st.floats(0.5, 5), st.floats(1e-4, 1e-2))
def test_the_time_to_overflow_is_announced_before_it_happens(cover, rise):
    times = 1.7e9 + 60.0 * np.arange(40)
    level = (cover - 0.2 - rise * (times[-1] - times))[:, None]
    found = overflow.forecast(level, np.array([cover]), times)
    assert found.seconds[-1, 0] == pytest.approx(0.2 / rise, rel=1e-3)
    assert found.rise[-1, 0] == pytest.approx(rise, rel=1e-6)


def test_a_rise_that_slows_down_is_not_drawn_out_as_if_it_did_not():
    """A shower has passed: from 0.22 to 0.64 m in ten minutes and then hardly further, a reading in five minutes."""
    readings = np.array([0.05, 0.08, 0.13, 0.22, 0.36, 0.64, 0.66, 0.66])
    times = 1.7e9 + 60.0 * np.arange(40)
    told = overflow.forecast(np.repeat(readings, 5)[:, None], np.array([1.6]), times)
    minutes = told.seconds[:, 0] / 60
    assert minutes[29] < 30, "while it rises so steeply the street will be flooded"
    assert (minutes[33:] > 60).all(), "three minutes after the rise has ended it is an hour away, or not to be feared"


@given(st.lists(st.floats(0.0, 3.0), min_size=20, max_size=60), st.floats(1.0, 4.0))
def test_a_forecast_is_never_sooner_than_the_whole_window_says(levels, cover):
    level, times = np.array(levels)[:, None], 1.7e9 + 60.0 * np.arange(len(levels))
    told = overflow.forecast(level, np.array([cover]), times)
    whole = rolling.slope(level, times, overflow.WINDOW_S)
    known = ~np.isnan(told.seconds) & np.isfinite(told.seconds) & (told.seconds > 0)
    least = np.divide(cover - level, whole, out=np.zeros_like(level), where=whole > 0)
    assert (told.seconds[known] >= least[known] * (1 - 1e-9)).all()


def test_a_still_or_falling_level_never_overflows_and_a_full_one_does_now():
    times = 1.7e9 + 60.0 * np.arange(40)
    ripple = 0.002 * np.random.default_rng(1).normal(size=40)
    level = np.stack([1 + ripple, 1 - 0.01 * np.arange(40), np.full(40, 2.1), np.full(40, np.nan)], axis=1)
    seconds = overflow.forecast(level, np.full(4, 2.0), times).seconds[-1]
    assert seconds[:3].tolist() == [np.inf, np.inf, 0.0]
    assert np.isnan(seconds[3])


def test_the_states_of_a_chamber_follow_its_geometry_and_no_data_is_unknown():
    level = np.array([[0.0, 0.2, 0.45, 0.7, 1.8, 2.0, np.nan]])
    states = overflow.states(level, np.full(7, 0.5), np.full(7, 2.0))
    assert states[0].tolist() == [
        State.DRY, State.FLOWING, State.NEARLY_FULL, State.SURCHARGED, State.LOW_FREEBOARD, State.OVERFLOW,
        State.UNKNOWN,
    ]  # fmt: skip


@given(st.lists(st.floats(0, 3), min_size=2, max_size=20))
def test_a_higher_level_is_never_a_milder_state(levels):
    ordered = np.sort(np.array(levels))[None]
    size = ordered.shape[1]
    states = overflow.states(ordered, np.full(size, 0.5), np.full(size, 2.0))
    assert (np.diff(states[0].astype(int)) >= 0).all()


def test_water_on_the_street_counts_as_deep_as_it_will_be_in_half_an_hour():
    times = 1.7e9 + 60.0 * np.arange(30)
    depth = np.stack([0.005 * np.arange(30), np.full(30, 0.1)], axis=1)
    reckoned = overflow.ponding(depth, times)
    assert reckoned[-1] == pytest.approx([0.145 + 0.15, 0.1])


def wet_well(rows: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A well that fills in 10 min and is pumped out in 5, every minute."""
    times = 1.7e9 + 60.0 * np.arange(rows)
    phase = np.arange(rows) % 15
    running = (phase >= 10).astype(float)
    level = np.where(phase < 10, 0.5 + 0.1 * phase, 1.5 - 0.2 * (phase - 10))
    return level[:, None], running[:, None], times


def test_a_pump_that_works_is_left_alone():
    level, running, times = wet_well()
    found = pump.detect(level, running, times, np.array([1.5]), flow=30 * running, min_flow=1.0)
    assert not np.any(found)


def test_a_pump_that_does_not_start_is_found_five_minutes_after_the_start_level():
    level, running, times = wet_well()
    level[60:, 0], running[60:] = 0.5 + 0.1 * np.arange(60), 0
    idle = np.flatnonzero(pump.detect(level, running, times, np.array([1.5])).idle[:, 0])
    assert 75 <= idle[0] <= 77
    assert idle[-1] == 119


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize(("climb_m", "after"), [(0.02, (3, 5)), (0.005, (10, 18)), (0.0, (10, 18))])
def test_a_pump_that_runs_and_moves_nothing_is_found_the_sooner_the_faster_its_well_climbs(measured, climb_m, after):
    level, running, times = wet_well()
    level[60:, 0], running[60:] = 1.6 + climb_m * np.arange(60), 1
    flow = np.where(np.arange(120) < 60, 30 * running[:, 0], 0.0)[:, None] if measured else None
    found = pump.detect(level, running, times, np.array([1.5]), flow, 1.0)
    assert after[0] <= np.flatnonzero(found.futile[:, 0])[0] - 60 <= after[1]


@given(st.floats(0.005, 0.3), st.floats(0.03, 0.3), st.integers(1, 2))
def test_a_pump_that_brings_its_well_down_moves_something_however_fast_it_filled(fill, draw, draws_after):
    """``draws_after`` minutes the motor runs up and the pipe fills; then the level falls."""
    times = 1.7e9 + 60.0 * np.arange(40)
    minute = np.arange(40) - 20
    level = 1.5 + np.where(minute <= draws_after, fill * minute, fill * draws_after - draw * (minute - draws_after))
    running = (minute >= 0).astype(float)[:, None]
    assert not pump.detect(level[:, None], running, times, np.array([1.5])).futile.any()


def idling(rows: int = 20, amperes: float = 4.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Current, well, times, and which rows were read: a pump that usually draws 12 A and from the tenth minute less."""
    current = np.where(np.arange(rows) >= 10, amperes, 0.0)[:, None]
    return current, (1.0 + 0.02 * np.arange(rows))[:, None], 1.7e9 + 60.0 * np.arange(rows), np.ones(rows, np.bool_)


DRAWS = np.array([12.0])


def test_a_pump_that_runs_without_a_load_is_told_by_its_second_reading():
    current, well, times, read = idling()
    assert np.flatnonzero(pump.unloaded(current, well, times, DRAWS, read)[:, 0]).tolist() == list(range(11, 20))


@pytest.mark.parametrize(
    ("amperes", "draws", "climbs"), [(12.0, 12.0, True), (8.0, 12.0, True), (4.0, np.nan, True), (4.0, 12.0, False)]
)
def test_a_pump_with_its_load_or_that_nobody_knows_or_that_brings_its_well_down_is_left_alone(amperes, draws, climbs):
    current, well, times, read = idling(amperes=amperes)
    told = pump.unloaded(current, well if climbs else 3.0 - well, times, np.array([draws]), read)
    assert not told.any()


@pytest.mark.parametrize(("readings", "told"), [([10], False), ([10, 15], True), ([], False)])
def test_a_reading_that_is_carried_confirms_nothing(readings, told):
    """A pump was read as it stopped: once it draws less than ever."""
    current, well, times, read = idling()
    read[:] = False
    read[readings] = True
    assert pump.unloaded(current, well, times, DRAWS, read).any() == told


@given(st.integers(0, 40), st.integers(0, 40), st.floats(1.0, 50.0))
def test_what_a_pump_draws_is_known_from_a_dozen_runs_and_not_from_one_that_was_stopping(runs, rests, amperes):
    current = np.concatenate([np.full(runs, amperes), np.zeros(rests), np.full(2, np.nan)])[:, None]
    if runs:
        stopping = current.copy()
        stopping[0] = 0.25 * amperes
        current = stopping if runs > 20 else current
    (draw,) = pump.usual_draw(current)
    assert draw == pytest.approx(amperes) if runs >= pump.MIN_RUNS else np.isnan(draw)


def test_too_many_starts_are_counted_and_gaps_are_no_starts():
    times = 1.7e9 + 60.0 * np.arange(120)
    running = np.stack([np.arange(120) % 2, np.where(np.arange(120) % 2, 1.0, np.nan)], axis=1).astype(float)
    starts = pump.starts_per_hour(running, times)
    assert starts[-1].tolist() == [30, 0]
    cycling = pump.detect(np.ones((120, 2)), running, times, np.full(2, 9.0)).cycling
    assert cycling[-1].tolist() == [True, False]


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(0, 80), st.integers(0, 3))
def test_gaps_and_short_windows_are_no_error(missing, rows, seed):
    level, fallen, times = sewer(1, seed, 2)
    level, fallen, times = level[:rows], fallen[:rows].copy(), times[:rows]
    rng = np.random.default_rng(seed)
    level[rng.random(level.shape) < missing] = np.nan
    fallen[rng.random(rows) < missing] = np.nan
    dry = blockage.dry(np.stack([fallen] * 2, 1), times)
    assert blockage.detect(blockage.learn(level, dry), level, dry, times, REACH).cause.shape == (rows, 1)
    response = rain.learn(level, fallen, times)
    assert rain.detect(response, level, rain.stores(fallen, times), times).score.shape == (rows, 2)
    seconds = overflow.forecast(level, np.full(2, 3.0), times).seconds
    assert np.isnan(seconds[np.isnan(level)]).all()
    assert (seconds[~np.isnan(seconds)] >= 0).all()
    assert pump.detect(level, level, times, np.ones(2)).idle.shape == (rows, 2)
