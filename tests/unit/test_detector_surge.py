"""A sewer that rises within the hour, though no rain fell, as it never did in dry weather."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors import rolling, surge
from lifeline.model import Level
from tests.unit.test_detection import DAY_S, QUARTER_S, START, City, chain, minutes, sensor

QUARTERS = START + QUARTER_S * np.arange(7 * 96)
DRY = np.ones(len(QUARTERS), np.bool_)


def daily(times: np.ndarray) -> np.ndarray:
    """A level that people's day lifts by 10 cm over six hours, twice a day."""
    return 0.15 + 0.05 * np.sin(4 * np.pi * times / DAY_S)


def test_the_morning_is_usual_and_its_steepest_hour_is_the_limit():
    limit = surge.learn(daily(QUARTERS)[:, None], DRY, QUARTERS)
    steepest = 0.1 * np.sin(2 * np.pi * 2250 / DAY_S)
    assert limit == pytest.approx([max(surge.FLOOR_M, steepest)], rel=0.05)
    score = surge.detect(limit, daily(QUARTERS)[:, None], DRY, QUARTERS).score
    assert np.nanmax(score) <= 1.0 + 1e-9


def test_what_a_shower_lifted_teaches_nothing_and_less_than_a_day_is_not_known():
    level = daily(QUARTERS)[:, None].repeat(2, axis=1)
    level[300:304, 0] += 0.8
    dry = DRY.copy()
    dry[296:320] = False
    level[50:, 1] = np.nan
    limit = surge.learn(level, dry, QUARTERS)
    assert limit[0] < 0.06
    assert np.isnan(limit[1])


@pytest.mark.parametrize(
    ("ago_s", "mm", "is_dry"), [(300, 1.0, False), (4800, 1.0, False), (6000, 1.0, True), (300, 0.1, True)]
)
def test_rain_has_run_off_after_an_hour_and_a_half_and_one_tip_is_no_rain(ago_s, mm, is_dry):
    times = minutes(START, 180)
    fallen = np.zeros(180)
    fallen[-1 - int(ago_s / 60)] = mm
    assert surge.dry(fallen, times)[-1] == is_dry


def test_unknown_rain_is_no_dry_weather():
    fallen = np.zeros(180)
    fallen[120] = np.nan
    assert not surge.dry(fallen, minutes(START, 180))[-1]
    assert surge.dry(np.zeros(180), minutes(START, 180)).all()


@given(
    st.lists(st.floats(0, 3), min_size=2, max_size=90),
    st.floats(0.03, 0.5),
    st.floats(-5, 5),
)
def test_a_rise_is_the_same_on_every_datum_and_never_more_than_the_levels_range(levels, limit, datum):
    level, times = np.array(levels)[:, None], minutes(START, len(levels))
    dry = np.ones(len(levels), np.bool_)
    told = surge.detect(np.array([limit]), level, dry, times)
    assert np.nanmax(told.score * limit, initial=0.0) <= np.ptp(level) + 1e-9
    moved = surge.detect(np.array([limit]), level + datum, dry, times)
    assert moved.score == pytest.approx(told.score, abs=1e-4, nan_ok=True)
    assert np.isnan(surge.detect(np.array([limit]), level, ~dry, times).score).all()


def lived(live: np.ndarray, before: float) -> City:
    """Two levels and a gauge: a dry week with one small shower; then ``before`` mm in ten minutes, two hours of calm in
    which the sewers run off, and ``live`` at a reading a minute."""
    rows = [sensor(1, "level", "drainage", 1), sensor(2, "level", "drainage", 3), sensor(3, "rain", "drainage")]
    city = City(rows, chain(3, "drainage"))
    times = START + QUARTER_S * np.arange(8 * 96) + QUARTER_S
    rng = np.random.default_rng(4)
    shower = np.zeros(len(times))
    shower[300] = 4.0
    levels = np.column_stack([daily(times), daily(times)]) + rng.normal(0, 0.001, (len(times), 2))
    history = np.column_stack([levels, shower])
    city.learn(history, times)
    clock = minutes(times[-1], 130 + len(live))
    rain = np.zeros(len(clock))
    rain[:10] = 6.0 * before
    more = np.column_stack([daily(clock), daily(clock), rain])
    more[130:, 0] += live
    city.play(np.concatenate([history, more]), np.append(times, clock), times[-1])
    return city


def sewer(live: np.ndarray, before: float) -> list[tuple[str, int, Level]]:
    """What is told of a sewer that so lived."""
    alerts = [one.alert for one in lived(live, before).replay.book.episodes.values()]
    return [(one.rule, one.subject.id, one.level) for one in alerts]


@pytest.mark.parametrize("sigma", [0.05, 0.2, 1.0])
def test_a_probe_that_is_noisy_does_not_rise(sigma):
    """Four minutes on end, as the rule asks."""
    level = 0.2 + np.random.default_rng(7).normal(0, sigma, (600, 10))
    told = surge.detect(np.full(10, surge.FLOOR_M), level, np.ones(600, np.bool_), minutes(START, 600))
    on_end = rolling.held(told.score >= 2.0, minutes(START, 600), 240.0)
    assert not on_end.any()


INFLOW = np.where(np.arange(40) >= 5, 0.2, 0.0)


def test_an_inflow_is_told_also_after_a_shower_that_was_greater_than_any_that_taught():
    told = sewer(INFLOW, before=20.0)
    assert ("sewer.response", 1) in {(rule, one) for rule, one, _ in told}
    assert 2 not in {one for _, one, _ in told}


def test_a_sewer_that_runs_off_after_a_shower_says_nothing():
    assert {rule for rule, _, _ in sewer(np.zeros(40), before=20.0)} <= {"rain.heavy"}


@pytest.mark.parametrize("minutes_on_end", [1, 2])
@pytest.mark.parametrize("before", [0.0, 20.0])
def test_a_reading_that_stands_alone_does_not_live_on_where_nothing_else_is_known(before, minutes_on_end):
    """A loose contact: two readings by chance alike, before its health is told; most rain ever fell hours before."""
    loose = np.zeros(40)
    loose[5 : 5 + minutes_on_end] = 3.0
    assert "sewer.response" not in {rule for rule, _, _ in sewer(loose, before)}


def test_a_surge_that_no_longer_rises_is_not_yet_over_while_nothing_else_is_known():
    """An hour later the mean of the hour before has caught up: that is no news of the water."""
    (told,) = [
        one
        for one in lived(np.where(np.arange(100) >= 5, 0.2, 0.0), before=20.0).replay.book.episodes.values()
        if "sewer.response" in one.rules
    ]
    assert told.returned_at is None


@pytest.mark.parametrize(
    ("rise", "least", "most"), [(0.9, 0.85, 0.95), (1.2, 1.15, 1.25), (1.3, 2.0, 2.0), (3.0, 2.9, 3.1)]
)
def test_a_little_more_than_dry_weather_ever_did_is_strange_and_much_more_counts_as_it_is(rise, least, most):
    """In the most that it did; up to MARGIN of it it is told as it is, from there as what a rule asks for at least."""
    level = np.full((90, 1), 0.2)
    level[80:] += 0.1 * rise
    score = surge.detect(np.array([0.1]), level, np.ones(90, np.bool_), minutes(START, 90)).score
    assert least <= score[-1, 0] <= most
