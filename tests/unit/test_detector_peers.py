"""Levels of a catchment against each other: what lifts one of them is told, what lifts all is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors import peers

DAY_S = 86_400.0
SENSORS = 6
USUAL = np.array([0.02, 0.05, 0.03, 0.04, 0.08, 0.03])
POWER = np.array([0.5, 0.6, 0.55, 0.6, 0.65, 0.5])
"""Each pipe answers to the same flow by a depth of its own."""


def catchment(days: float, seed: int = 1, demand: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Levels (time, sensor) that follow one daily demand, with noise of 1 mm, and times; by quarters of an hour."""
    times = 1_767_571_200.0 + 900.0 * np.arange(int(days * 96))
    flow = demand * (1 + 0.6 * np.sin(2 * np.pi * times / DAY_S))
    noise = np.random.default_rng(seed).normal(0, 0.001, (len(times), SENSORS))
    return USUAL * flow[:, None] ** POWER + noise, times


def taught(days: float = 7.0) -> peers.Peers:
    level, times = catchment(days)
    return peers.learn(level, np.ones(len(times), np.bool_))


def judged(level: np.ndarray, model: peers.Peers) -> peers.Judgement:
    return peers.detect(model, level, np.ones(len(level), np.bool_))


def test_days_as_they_were_learned_are_as_expected() -> None:
    level, _ = catchment(3, seed=2)
    told = judged(level, taught())
    assert np.abs(told.score).max() < 1
    np.testing.assert_allclose(told.expected, level, atol=0.006)


def test_three_centimetres_above_one_half_blocked_pipe_stand_out_at_every_hour() -> None:
    level, _ = catchment(3, seed=2)
    level[:, 3] += 0.03
    score = judged(level, taught()).score
    assert (score[:, 3] > 2).all()
    assert np.delete(score, 3, axis=1).max() < 1


@pytest.mark.parametrize("demand", [0.8, 1.1])
def test_a_day_on_which_everyone_uses_more_or_less_raises_nothing(demand: float) -> None:
    level, _ = catchment(1, seed=3, demand=demand)
    assert np.nanmax(judged(level, taught()).score) < 1


def test_nothing_is_claimed_where_all_stand_higher_than_they_ever_did() -> None:
    level, _ = catchment(1, seed=3)
    assert np.isnan(judged(level * 3, taught()).score[:40]).all()


def test_nothing_is_claimed_while_rain_runs_off_nor_learned_from_it() -> None:
    level, times = catchment(7)
    wet = np.arange(len(times)) < 200
    stirred = np.where(wet[:, None], level * np.linspace(1, 4, SENSORS), level)
    model = peers.learn(stirred, ~wet)
    assert model.limit.max() < 0.02
    assert np.isnan(peers.detect(model, stirred, ~wet).score[wet]).all()


def test_rain_has_run_off_once_its_slowest_store_is_empty() -> None:
    stores = np.array([[0.0, 0.0, 0.0, 0.0], [3.0, 3.0, 3.0, 3.0], [0.0, 0.0, 0.1, 1.0], [0.0, 0.0, 0.0, 0.4]])
    assert peers.quiet(stores).tolist() == [True, False, False, True]


def test_less_than_a_dry_day_teaches_nothing() -> None:
    level, times = catchment(3)
    model = peers.learn(level, np.arange(len(times)) < peers.MIN_ROWS - 1)
    assert np.isnan(model.limit).all()
    assert np.isnan(judged(level, model).score).all()


def test_fewer_than_four_levels_have_no_middle_that_one_of_them_cannot_move() -> None:
    level, _ = catchment(7)
    few = level.copy()
    few[:, peers.FEWEST - 1 :] = np.nan
    assert np.isnan(judged(few, taught()).score).all()
    assert np.isnan(peers.common(few, USUAL)).all()


def test_a_sewer_that_is_always_empty_is_left_out() -> None:
    level, times = catchment(7)
    level[:, 0] = 0.0
    model = peers.learn(level, np.ones(len(times), np.bool_))
    told = judged(level, model)
    assert np.isnan(told.score[:, 0]).all()
    assert np.abs(told.score[:, 1:]).max() < 1


@given(st.permutations(range(SENSORS)), st.integers(0, 100))
def test_the_order_of_the_sensors_changes_nothing(order: list[int], seed: int) -> None:
    level, _ = catchment(1, seed=seed)
    history, times = catchment(4)
    everything = np.ones(len(times), np.bool_)
    straight = judged(level, peers.learn(history, everything))
    turned = judged(level[:, order], peers.learn(history[:, order], everything))
    np.testing.assert_allclose(turned.score, straight.score[:, order], atol=1e-6)


@given(st.integers(0, SENSORS - 1), st.floats(0.0, 1.0), st.integers(0, 100))
def test_a_level_that_rises_alone_is_never_less_unusual_than_before(sensor: int, rise: float, seed: int) -> None:
    """Its own rise lifts the middle of all by less than itself, however high it goes."""
    level, _ = catchment(1, seed=seed)
    model = taught(4)
    before = judged(level, model).score[:, sensor]
    level[:, sensor] += rise
    after = judged(level, model).score[:, sensor]
    assert (after[~np.isnan(after)] >= before[~np.isnan(after)] - 1e-9).all()


@given(st.floats(0.0, 0.9), st.integers(0, 1000))
def test_gaps_make_nothing_unusual(share: float, seed: int) -> None:
    level, _ = catchment(1, seed=4)
    level[np.random.default_rng(seed).random(level.shape) < share] = np.nan
    score = judged(level, taught(4)).score
    assert not (np.nan_to_num(score) > 1.5).any()
