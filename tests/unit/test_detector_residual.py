"""Multi-sensor residual: what the neighbours explain is normal, what they do not is not."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detectors import charts, residual

HOUR = 3600.0


def network(rows: int, seed: int = 1, sensors: int = 8, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Two hidden demands drive all sensors, as in a water network; one sensor more stands alone."""
    rng = np.random.default_rng(seed)
    times = 1.7e9 + HOUR * np.arange(rows)
    day = 1.5 * np.sin(2 * np.pi * (times % 86400) / 86400)
    demand = np.stack([day + 0.3 * rng.normal(size=rows), rng.normal(size=rows) * 0.5], axis=1)
    weights = np.random.default_rng(7).choice([-1, 1], (2, sensors)) * np.linspace(0.6, 1.4, 2 * sensors).reshape(2, -1)
    driven = demand @ weights + noise * rng.normal(size=(rows, sensors))
    return np.hstack([driven, rng.normal(size=(rows, 1))]), times


def quarters(days: int) -> tuple[np.ndarray, np.ndarray]:
    """The network with a reading each quarter of an hour."""
    values, times = network(96 * days)
    return values, times[0] + 900.0 * np.arange(len(times))


def alarms(model: residual.Model, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    return charts.episodes(residual.judge(model, values, times).score)


@pytest.fixture(scope="module")
def learned() -> tuple[residual.Model, np.ndarray, np.ndarray]:
    values, times = network(3000)
    return residual.learn(values[:2000], times[:2000], 0.001), values[2000:], times[2000:]


def test_what_the_neighbours_explain_is_learned_and_what_they_do_not_stands_alone(learned):
    model, *_ = learned
    assert (model.explained[:8] > 0.9).all()
    assert model.explained[8] < 0.05


def test_a_normal_period_raises_hardly_anything(learned):
    model, values, times = learned
    assert alarms(model, values, times).mean() < 0.005


def test_a_small_lasting_shift_that_a_plain_z_cannot_see_is_found_at_its_sensor(learned):
    model, values, times = learned
    shifted = values.copy()
    shifted[500:, 2] += 0.35
    assert 0.35 / np.std(values[:, 2]) < 1
    judged = residual.judge(model, shifted, times)
    assert (judged.score[540:, 2] > 1).mean() > 0.95
    assert judged.smoothed[600:, 2].mean() == pytest.approx(0.35, rel=0.35)


def test_the_expected_reading_is_told_as_evidence(learned):
    model, values, times = learned
    judged = residual.judge(model, values, times)
    np.testing.assert_allclose(judged.expected + judged.residual, values)
    assert np.std(judged.residual[:, 0]) < 0.3 * np.std(values[:, 0])


def test_a_dead_sensor_does_not_blind_the_others(learned):
    model, values, times = learned
    gapped = values.copy()
    gapped[:, 0] = np.nan
    gapped[500:, 2] += 0.5
    judged = residual.judge(model, gapped, times)
    assert np.isnan(judged.score[:, 0]).all()
    assert np.isfinite(judged.score[:, 1:]).all()
    assert (judged.score[540:, 2] > 1).mean() > 0.9
    assert alarms(model, gapped[:500], times[:500]).mean() < 0.01


def test_blocks_judged_one_after_the_other_equal_the_whole(learned):
    model, values, times = learned
    whole = residual.judge(model, values, times)
    first = residual.judge(model, values[:300], times[:300])
    second = residual.judge(model, values[300:], times[300:], first.smoothed[-1])
    np.testing.assert_allclose(second.smoothed, whole.smoothed[300:])
    np.testing.assert_allclose(second.score[2:], whole.score[302:])


def test_one_sample_just_beyond_the_limit_is_no_alarm_two_are_and_so_is_one_far_beyond(learned):
    model, values, times = learned
    limit = model.limit[2] * model.scale[2]
    calm = residual.judge(model, values, times).expected[500:503, 2]
    for beyond, alarm in (((1.5, 0, 0), False), ((1.5, 1.5, 0), True), ((2.5, 0, 0), True), ((1.5, -1.5, 0), False)):
        wild = values.copy()
        wild[500:503, 2] = calm + limit * np.array(beyond)
        assert (residual.judge(model, wild, times).score[500:503, 2] > 1).any() == alarm


def test_coarser_instruments_than_those_that_taught_raise_no_storm():
    values, times = network(3000, noise=0.0005)
    model = residual.learn(values[:2000], times[:2000], 0.1)
    assert alarms(model, np.round(values[2000:], 1), times[2000:]).mean() < 0.01


def test_a_sensor_that_drifts_by_nature_gets_wide_limits_by_itself():
    rng = np.random.default_rng(3)
    times = 1.7e9 + np.arange(1200.0)
    wander, still = np.cumsum(rng.normal(size=1200)) * 0.2, rng.normal(size=1200)
    model = residual.learn(np.stack([wander, still], axis=1)[:600], times[:600])
    assert model.limit_ewma[0] > 2 * model.limit_ewma[1]


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1000, 1000))
def test_scores_are_indifferent_to_zero_and_unit(unit, zero):
    values, times = network(400)
    plain = residual.judge(residual.learn(values, times, 0.001), values, times)
    factor = np.where(np.arange(values.shape[1]) == 1, unit, 1.0)
    other = values * factor + zero * (factor != 1)
    judged = residual.judge(residual.learn(other, times, 0.001 * factor), other, times)
    np.testing.assert_allclose(judged.score, plain.score, rtol=1e-4, atol=1e-6)


def test_scores_do_not_depend_on_the_order_of_sensors():
    values, times = network(400)
    order = np.random.default_rng(4).permutation(values.shape[1])
    plain = residual.judge(residual.learn(values, times), values, times).score
    turned = residual.judge(residual.learn(values[:, order], times), values[:, order], times).score
    np.testing.assert_allclose(turned, plain[:, order], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 160),
    st.floats(0, 1),
    st.sampled_from(["constant", "one reading", "none", "spike", "normal"]),
    st.integers(0, 100),
)
def test_gaps_constants_and_single_readings_never_raise_and_never_alarm_unknown_sensors(rows, missing, kind, seed):
    values, times = network(160, seed)
    rng = np.random.default_rng(seed)
    values[rng.random(values.shape) < missing] = np.nan
    if kind == "constant":
        values[:, 0] = 5.0
    elif kind == "one reading":
        values[1:, 0] = np.nan
    elif kind == "none":
        values[:, 0] = np.nan
    elif kind == "spike":
        values[80, 0] = 1e9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = residual.learn(values[:rows], times[:rows])
        judged = residual.judge(model, values, times)
    assert np.isnan(judged.score[:, ~model.known]).all()
    assert not np.isinf(judged.score).any()
    assert np.isnan(judged.residual[np.isnan(values)]).all()


def test_many_groups_at_once_equal_each_by_itself_and_a_sensor_in_none_is_not_judged(learned):
    model, values, times = learned
    both = np.hstack([values, 3 * values[:, ::-1] + 1, values[:, :1]])
    other = residual.learn(both[:500, 9:18], times[:500])
    together = residual.judge_groups([(np.arange(9), model), (np.arange(9, 18), other)], both, times)
    np.testing.assert_allclose(together.score[:, :9], residual.judge(model, values, times).score)
    np.testing.assert_allclose(together.score[:, 9:18], residual.judge(other, both[:, 9:18], times).score)
    assert np.isnan(together.score[:, 18]).all()
    assert np.isnan(together.smoothed[:, 18]).all()


def test_a_group_without_an_input_judges_as_one_that_never_had_it():
    values, times = network(1000)
    gapped = values.copy()
    gapped[:, 3] = np.nan
    with_gap = residual.judge(residual.learn(values, times), gapped, times).residual[:, [0, 1, 2, 4]]
    without = residual.judge(residual.learn(np.delete(values, 3, axis=1), times), np.delete(values, 3, axis=1), times)
    np.testing.assert_allclose(with_gap, without.residual[:, :4], rtol=0.02, atol=0.002)


def test_a_sensor_alone_is_judged_by_its_own_daily_cycle():
    times = 1.7e9 + 900.0 * np.arange(96 * 21)
    rng = np.random.default_rng(5)
    flow = (50 + 20 * np.sin(2 * np.pi * times / 86400) + rng.normal(size=len(times)))[:, None]
    model = residual.learn(flow[: 96 * 14], times[: 96 * 14], 0.01)
    assert model.explained[0] > 0.9
    fresh = flow[96 * 14 :].copy()
    assert alarms(model, fresh, times[96 * 14 :]).mean() < 0.01
    fresh[300:, 0] += 4
    assert (residual.judge(model, fresh, times[96 * 14 :]).score[320:, 0] > 1).mean() > 0.9


def test_rare_spikes_in_the_history_do_not_widen_the_limits():
    values, times = network(3000)
    spiked = values.copy()
    places = np.random.default_rng(6).random(values.shape) < 0.002
    spiked[places] += 50 * np.std(values)
    clean, taught = residual.learn(values, times), residual.learn(spiked, times)
    np.testing.assert_allclose(taught.limit[:8], clean.limit[:8], rtol=0.5)
    np.testing.assert_allclose(taught.limit_ewma[:8], clean.limit_ewma[:8], rtol=0.5)


def test_an_hour_in_which_a_main_burst_hardly_widens_what_lasts():
    values, times = quarters(14)
    calm = residual.learn(values, times)
    stirred = values.copy()
    stirred[700:704, 3] -= 40
    taught = residual.learn(stirred, times)
    assert taught.limit_ewma[3] > 10 * calm.limit_ewma[3]
    assert taught.limit_lasting[3] < taught.limit_ewma[3] / 3


def test_a_sensor_that_strayed_from_its_neighbours_for_days_may_do_so_again():
    values, times = quarters(14)
    strayed = values.copy()
    strayed[600:800, 0] += 3 * np.std(values[:, 0])
    calm, taught = residual.learn(values, times), residual.learn(strayed, times)
    assert taught.limit_lasting[0] > 3 * calm.limit_lasting[0]
    assert (taught.limit_lasting <= taught.limit_ewma + 1e-9).all()


def test_a_sensor_that_jumps_by_nature_keeps_limits_that_bear_it():
    rng = np.random.default_rng(7)
    values = np.where(rng.random((3000, 1)) < 0.05, 5.0, 0.0) + 0.1 * rng.normal(size=(3000, 1))
    times = 1.7e9 + np.arange(3000.0)
    model = residual.learn(values[:2000], times[:2000])
    assert alarms(model, values[2000:], times[2000:]).mean() < 0.01


def test_sensors_of_no_group_are_not_judged_and_say_nothing():
    values, times = network(10)
    for groups in ([], [(np.arange(0), residual.learn(values[:, :0], times))]):
        judged = residual.judge_groups(groups, values, times)
        assert all(part.shape == values.shape and np.isnan(part).all() for part in judged)
        judged.score[0, 0] = 1.0
        assert np.isnan(judged.residual[0, 0]), "each part is its own"


@given(st.lists(st.one_of(st.just(float("nan")), st.floats(-4, 4)), min_size=1, max_size=20))
def test_sudden_is_the_middle_of_three_or_half_of_the_last(ratio):
    told = residual._sudden(np.array(ratio)[:, None])[:, 0]
    known = [0.0, 0.0, *np.nan_to_num(ratio).tolist()]
    for row, value in enumerate(ratio):
        middle = sorted(known[row : row + 3])[1]
        if np.isnan(value):
            assert np.isnan(told[row])
        else:
            assert told[row] == max(abs(middle), abs(value) / 2)
