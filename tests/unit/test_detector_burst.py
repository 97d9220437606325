"""Burst: found by the fall of pressure that inflow and network do not explain, and placed at the right pipe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detectors import burst, charts

PLACE = np.array([[0, 0], [400, 0], [800, 0], [0, 400], [400, 400], [800, 400], [1200, 200]], dtype=float)


Network = tuple[np.ndarray, np.ndarray, np.ndarray]


def pressures(rows: int, seed: int = 1, noise: float = 0.1) -> Network:
    """Pressure, inflow and times: head loss quadratic in inflow, by distance from the source at the origin; 5 min."""
    rng = np.random.default_rng(seed)
    flow = 100 + 40 * np.sin(2 * np.pi * np.arange(rows) / 288) + 5 * rng.normal(size=rows)
    loss = np.linalg.norm(PLACE, axis=1) / 1000
    tank = 0.5 * np.sin(2 * np.pi * np.arange(rows) / 500)[:, None]
    head = 50 + tank - (flow[:, None] / 50) ** 2 * loss
    times = 1_767_571_200.0 + 300.0 * np.arange(rows)
    return head + noise * rng.normal(size=(rows, len(PLACE))), flow[:, None], times


def with_burst(pressure: np.ndarray, at: int, where: tuple[float, float], drop: float) -> np.ndarray:
    away = np.linalg.norm(PLACE - np.array(where), axis=1)
    broken = pressure.copy()
    broken[at:] -= drop * np.exp(-away / 400) + 0.2 * drop
    return broken


@pytest.fixture(scope="module")
def model() -> burst.PressureModel:
    return burst.learn(*pressures(2016), 0.01)


def test_a_normal_month_raises_nothing(model):
    found = burst.detect(model, *pressures(8640, seed=2))
    assert charts.episodes(found.score).sum() == 0


@pytest.mark.parametrize("where", [(400.0, 0.0), (1200.0, 200.0), (0.0, 400.0)])
def test_a_burst_is_found_within_minutes_and_its_nearest_sensor_first(model, where):
    pressure, flow, times = pressures(600, seed=3)
    found = burst.detect(model, with_burst(pressure, 300, where, 1.5), flow, times)
    nearest = int(np.argmin(np.linalg.norm(PLACE - np.array(where), axis=1)))
    first = np.flatnonzero((found.score > 1).any(axis=1))[0]
    assert 300 <= first <= 308
    assert int(np.nanargmax(burst.fall(model, found.residual, 100))) == nearest


def test_pipes_near_the_burst_rank_first(model):
    pressure, flow, times = pressures(600, seed=4)
    found = burst.detect(model, with_burst(pressure, 300, (800, 300), 1.5), flow, times)
    pipes = np.array([[x, y] for x in range(0, 1300, 100) for y in range(0, 500, 100)], dtype=float)
    distance = np.linalg.norm(pipes[:, None] - PLACE[None], axis=2)
    likely = burst.rank_pipes(burst.fall(model, found.residual, 200), distance)
    assert likely.sum() == pytest.approx(1)
    best = pipes[np.argsort(likely)[-3:]]
    assert np.linalg.norm(best - [800, 300], axis=1).min() <= 150


def test_higher_demand_and_a_lower_tank_are_no_burst(model):
    pressure, flow, times = pressures(600, seed=5)
    more = flow.copy()
    more[300:] *= 1.3
    loss = np.linalg.norm(PLACE, axis=1) / 1000
    thirsty = pressure - ((more / 50) ** 2 - (flow / 50) ** 2) * loss
    thirsty[300:] -= 1.0
    assert not (burst.detect(model, thirsty, more, times).score > 1).any()


def test_one_wild_reading_is_no_burst(model):
    pressure, flow, times = pressures(600, seed=6)
    pressure[300, 2] = 0.0
    assert not (burst.detect(model, pressure, flow, times).score > 1).any()


def test_blocks_judged_one_after_the_other_equal_the_whole(model):
    pressure, flow, times = pressures(600, seed=7)
    whole = burst.detect(model, pressure, flow, times)
    first = burst.detect(model, pressure[:300], flow[:300], times[:300])
    second = burst.detect(model, pressure[300:], flow[300:], times[300:], start=first.chart.last)
    np.testing.assert_allclose(second.score, whole.score[300:], atol=1e-9)


def test_a_pressure_that_the_inflow_does_not_explain_gets_a_wide_limit_and_no_false_alarm():
    pressure, flow, times = pressures(4032, seed=8)
    pressure[:, 2] += np.sin(np.arange(4032) / 100)
    model = burst.learn(pressure[:2016], flow[:2016], times[:2016], 0.01)
    assert model.limit[2] > 1.2 * burst.LIMIT
    assert (np.delete(model.limit, 2) == burst.LIMIT).all()
    assert not (burst.detect(model, pressure[2016:], flow[2016:], times[2016:]).score > 1).any()


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 50), st.floats(-100, 100))
def test_the_score_is_indifferent_to_zero_and_unit(unit, zero):
    pressure, flow, times = pressures(300)
    plain = burst.detect(burst.learn(pressure, flow, times), pressure, flow, times).score
    scaled = pressure * unit + zero
    other = burst.detect(burst.learn(scaled, flow * unit, times), scaled, flow * unit, times).score
    np.testing.assert_allclose(other, plain, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.floats(0, 1), st.integers(1, 4), st.booleans())
def test_gaps_and_a_constant_anchor_claim_nothing_unknown(rows, missing, sensors, constant):
    pressure, flow, times = pressures(50)
    pressure = pressure[:, :sensors]
    pressure[np.random.default_rng(rows).random(pressure.shape) < missing] = np.nan
    flow = np.zeros((50, 2)) if constant else flow
    model = burst.learn(pressure[:rows], flow[:rows], times[:rows])
    found = burst.detect(model, pressure, flow, times)
    assert np.isnan(found.residual[np.isnan(pressure)]).all()
    assert np.isfinite(found.score[:, np.isfinite(model.sigma)]).all()
    assert not (found.score > 1)[:, np.isnan(model.sigma)].any()


def test_without_any_fall_every_pipe_is_as_likely_as_the_next():
    distance = np.random.default_rng(1).uniform(0, 1000, (4, 3))
    assert burst.rank_pipes(np.array([-1.0, 0.0, np.nan]), distance).tolist() == [0.25] * 4


def test_what_came_within_minutes_is_told_whatever_the_level():
    """A level that is off by ten metres, as where a tank stands where it never stood, and a fall of two."""
    times = 1.7e9 + 60.0 * np.arange(60)
    residual = np.full((60, 2), [10.0, -10.0])
    residual[50:] -= [2.0, 0.0]
    change = burst.since(residual, times)
    assert change[49] == pytest.approx([0, 0])
    assert change[50:59] == pytest.approx(np.tile([-2.0, 0.0], (9, 1)))
    assert np.isnan(change[:14]).all(), "with fewer readings before nothing is known"


@given(
    st.lists(st.floats(-5, 5), min_size=30, max_size=61),
    st.floats(-50, 50),
    st.lists(st.integers(0, 60), max_size=20),
)
def test_a_change_is_the_same_on_every_level_and_gaps_are_no_error(readings, offset, missing):
    residual, times = np.array(readings)[:, None], 1.7e9 + 60.0 * np.arange(len(readings))
    residual[[row for row in missing if row < len(readings)]] = np.nan
    change = burst.since(residual, times)
    assert burst.since(residual + offset, times) == pytest.approx(change, abs=1e-6, nan_ok=True)
    assert np.isnan(change[np.isnan(residual)]).all()
    assert np.nanmax(np.abs(change), initial=0.0) <= 10.0 + 1e-6
