"""Night flow and balance: the leak that runs while the town sleeps, in m3/h."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detectors import balance, night_flow

DAY = 86400.0
MIDNIGHT = 1_767_571_200.0


def inflow(days: int, seed: int = 1, night: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Inflow of a DMA every 5 min, m3/h: little at night, noisy."""
    rng = np.random.default_rng(seed)
    times = MIDNIGHT + 300.0 * np.arange(days * 288)
    hour = times % DAY / 3600
    use = night + 40 * np.exp(-(((hour - 8) / 2.5) ** 2)) + 30 * np.exp(-(((hour - 19) / 3) ** 2))
    nightly = np.repeat(rng.normal(0, 0.4, days), 288)
    return (use + nightly + rng.normal(0, 1, len(times)))[:, None], times


def test_the_minimum_lies_in_the_night_by_the_local_clock():
    flow, times = inflow(10)
    nights = night_flow.minimum_night_flow(flow, times)
    assert nights.flow.shape == (10, 1)
    assert np.nanmedian(nights.flow) == pytest.approx(10, abs=0.6)
    shifted = night_flow.minimum_night_flow(flow, times - 8 * 3600, utc_offset_s=8 * 3600)
    np.testing.assert_allclose(shifted.flow, nights.flow)


def test_a_leak_of_five_percent_of_inflow_is_found_within_days_and_sized():
    flow, times = inflow(40)
    size = 0.05 * flow.mean()
    flow[28 * 288 :] += size
    nights = night_flow.minimum_night_flow(flow, times).flow
    found = night_flow.detect(nights, nights[:28])
    first = np.flatnonzero(found.score[:, 0] > 1)[0]
    assert 28 <= first <= 33
    assert found.leak[-1, 0] == pytest.approx(size, rel=0.4)


def test_a_quiet_year_raises_nothing():
    nights = night_flow.minimum_night_flow(*inflow(365, seed=2)).flow
    assert (night_flow.detect(nights, nights[:28]).score > 1).mean() < 0.01


def test_with_a_known_legitimate_use_the_whole_excess_is_the_leak():
    nights = np.full((14, 1), 12.0)
    assert night_flow.detect(nights, nights, legitimate=9.0).leak[-1, 0] == pytest.approx(3)


def test_a_filling_tank_is_no_leak():
    flow, times = inflow(2)
    level = (times - times[0])[:, None] / 3600 * 0.1
    filled = flow + 0.1 * 200.0
    np.testing.assert_allclose(night_flow.tank_corrected(filled, level, 200.0, times), flow, atol=1e-6)
    assert night_flow.tank_corrected(flow[:1], level[:1], 200.0, times[:1]) == flow[:1]


def test_few_nights_and_nights_with_gaps_say_not_known():
    flow, times = inflow(9)
    flow[times % DAY < 3.6 * 3600] = np.nan
    nights = night_flow.minimum_night_flow(flow, times).flow
    assert np.isnan(nights).all()
    assert np.isnan(night_flow.detect(nights, nights[:5]).score).all()


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100), st.floats(0, 0.3))
def test_night_flow_scales_with_the_unit_and_bears_gaps(unit, missing):
    flow, times = inflow(12)
    flow[np.random.default_rng(1).random(flow.shape) < missing] = np.nan
    nights = night_flow.minimum_night_flow(flow, times).flow
    other = night_flow.minimum_night_flow(flow * unit, times).flow
    np.testing.assert_allclose(other, nights * unit, rtol=1e-6)
    plain, scaled = night_flow.detect(nights, nights[:8]), night_flow.detect(other, other[:8])
    np.testing.assert_allclose(scaled.score, plain.score, rtol=1e-5, atol=1e-7)


def district(days: int, leak: float = 0.0, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Net inflow and supply of a district whose tank fills and empties, with a leak over its last five days; times."""
    supply, times = inflow(days, seed)
    supply = supply + np.where(times > times[-1] - 5 * DAY, leak, 0.0)[:, None]
    stored = 50 + 20 * np.sin(2 * np.pi * times / DAY)[:, None]
    return supply - np.gradient(stored, times / 3600, axis=0), supply, times


def test_what_a_district_takes_in_beyond_usual_days_is_found_and_measured():
    net, supply, times = district(20)
    clean = times <= times[-1] - 5 * DAY
    usual = balance.usual_day(net[clean], supply[clean], times[clean])
    quiet = balance.judge_day(usual, net, supply, times, metered_out=False)
    assert abs(quiet.score) < 1
    lossy, fed, _ = district(20, leak=8.0)
    found = balance.judge_day(usual, lossy, fed, times, metered_out=False)
    assert found.score > 1
    assert found.excess - quiet.excess == pytest.approx(8, rel=0.01)


def test_where_what_leaves_is_metered_a_cold_week_is_no_loss_and_a_leak_is():
    net, supply, times = district(20)
    clean = times <= times[-1] - 5 * DAY
    usual = balance.usual_day(0.2 * net[clean], supply[clean], times[clean])
    cold = 1.6
    used = balance.judge_day(usual, cold * 0.2 * net, cold * supply, times, metered_out=True)
    assert abs(used.score) < 1
    assert balance.judge_day(usual, cold * 0.2 * net, cold * supply, times, metered_out=False).score > 1
    lost = balance.judge_day(usual, cold * 0.2 * net + 8, cold * supply + 8, times, metered_out=True)
    assert lost.score > 1


def test_too_few_days_no_supply_and_missing_meters_claim_nothing():
    net, supply, times = district(4)
    assert np.isnan(balance.usual_day(net, supply, times)).all()
    usual = balance.Day(10.0, 1.0, 0.5, 0.01)
    for gaps in (np.full(net.shape, np.nan), np.where(np.arange(len(net))[:, None] % 2, np.nan, net)):
        assert np.isnan(balance.judge_day(usual, gaps, supply, times, metered_out=False).score)
    assert np.isnan(balance.judge_day(usual, np.zeros((0, 1)), np.zeros((0, 1)), times[:0], metered_out=False).score)


def judged(scale: float, metered_out: bool) -> balance.DayBalance:
    """The balance of a district whose flows are told in another unit."""
    net, supply, times = DISTRICT
    usual = balance.usual_day(scale * net[:1800], scale * supply[:1800], times[:1800])
    return balance.judge_day(usual, scale * net, scale * supply, times, metered_out=metered_out)


DISTRICT = district(8)
PLAIN = {out: judged(1.0, out) for out in (True, False)}


@given(st.floats(0.01, 1000))
@settings(deadline=None, max_examples=20)
def test_the_balance_does_not_depend_on_the_unit(unit):
    for out, plain in PLAIN.items():
        other = judged(unit, out)
        assert other.score == pytest.approx(plain.score, rel=1e-6, abs=1e-9)
        assert other.excess == pytest.approx(unit * plain.excess, rel=1e-6, abs=1e-9 * unit)
