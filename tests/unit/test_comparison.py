"""Before and after: known effects are found, dry years are no success, and nothing is claimed without evidence."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.errors import ConfigurationError
from lifeline.planning.comparison import (
    BUCKET_S,
    DRY_S,
    Events,
    Ratio,
    compare_counts,
    compare_night_flow,
    compare_ponding,
    nightly_minima,
    rain_events,
    sentence,
)
from lifeline.planning.effect import parse_span

SHANGHAI = ZoneInfo("Asia/Shanghai")


def season(events: int, effect: float, seed: int, heavy: float = 1.0) -> Events:
    """Events whose ponding grows with their depth, times ``effect``; ``heavy`` makes the season wetter."""
    random = np.random.default_rng(seed)
    depth = random.gamma(1.2, 14.0 * heavy, events) + 1.0
    ponding = np.maximum(depth - 15.0, 0.0) * 4.0 * effect * random.lognormal(0.0, 0.3, events)
    return Events(depth, ponding)


def test_events_are_what_six_dry_hours_keep_apart() -> None:
    quarters = np.arange(0, 4 * 96) * BUCKET_S
    rain = np.zeros(len(quarters))
    rain[[4, 5, 10]] = 8.0  # one event: ten quarters apart at most
    rain[60] = 12.0  # more than six hours later
    rain[200] = 0.4  # a drizzle of 0.1 mm is none
    ponding = np.zeros(len(quarters))
    ponding[[6, 7, 11]] = 15.0
    ponding[62] = 5.0
    ponding[150] = 15.0  # no rain anywhere near
    found = rain_events(quarters, rain, ponding)
    assert found.depth_mm == pytest.approx([6.0, 3.0])
    assert found.ponding_min == pytest.approx([45.0, 5.0])


def test_water_that_stands_after_the_rain_belongs_to_it_for_six_hours() -> None:
    quarters = np.arange(0, 96) * BUCKET_S
    rain = np.zeros(96)
    rain[0] = 20.0
    late = int(DRY_S / BUCKET_S)
    ponding = np.zeros(96)
    ponding[late] = 15.0
    ponding[late + 1] = 15.0
    assert rain_events(quarters, rain, ponding).ponding_min == pytest.approx([15.0])


def test_no_rain_is_no_event() -> None:
    nothing = rain_events(np.arange(5) * BUCKET_S, np.zeros(5), np.ones(5))
    assert len(nothing.depth_mm) == len(nothing.ponding_min) == 0


@pytest.mark.parametrize("effect", [0.4, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("heavy", [0.6, 1.0, 1.6])
def test_a_known_effect_is_found_whatever_the_weather_was(effect: float, heavy: float) -> None:
    found = compare_ponding(season(120, 1.0, 1), season(120, effect, 2, heavy), 365, 365)
    assert found.ratio.value == pytest.approx(effect, rel=0.25)
    assert found.ratio.low <= effect * 1.08
    assert found.ratio.high >= effect * 0.92
    assert found.compared >= 60


def test_the_crude_comparison_would_have_taken_a_dry_year_for_a_success() -> None:
    found = compare_ponding(season(120, 1.0, 1), season(120, 1.0, 2, heavy=0.5), 365, 365)
    assert found.crude.value < 0.6
    assert found.crude.high < 1.0
    assert found.ratio.low < 1.0 < found.ratio.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(12):
        ratio = compare_ponding(season(80, 1.0, seed), season(80, 0.5, 1000 + seed), 365, 365, seed).ratio
        covered += ratio.low <= 0.5 <= ratio.high
    assert covered >= 9


def test_the_same_events_give_the_same_interval() -> None:
    one, other = (compare_ponding(season(40, 1.0, 1), season(40, 0.5, 2), 365, 365) for _ in range(2))
    assert one == other


def test_without_events_nothing_is_told() -> None:
    none = Events(np.empty(0), np.empty(0))
    for before, after in ((none, none), (season(20, 1.0, 1), none), (none, season(20, 1.0, 1))):
        found = compare_ponding(before, after, 365, 365)
        assert not found.ratio.told
        assert found.compared == 0


def test_where_nothing_ponded_before_there_is_no_ratio() -> None:
    dry = Events(np.full(20, 5.0), np.zeros(20))
    assert not compare_ponding(dry, dry, 365, 365).ratio.told


def test_counts_are_compared_as_rates() -> None:
    found = compare_counts(120, 30, 365, 365)
    assert found.value == pytest.approx(0.25)
    assert 0.15 < found.low < 0.25 < found.high < 0.4
    assert compare_counts(120, 30, 365, 91.25).value == pytest.approx(1.0)


def test_few_counts_prove_little_and_none_prove_nothing() -> None:
    few = compare_counts(3, 1, 365, 365)
    assert few.low < 1 < few.high
    assert compare_counts(4, 0, 365, 365).value == 0.0
    assert compare_counts(4, 0, 365, 365).high > 0
    assert not compare_counts(0, 0, 365, 365).told
    assert not compare_counts(0, 4, 365, 365).told


@given(st.integers(1, 500), st.integers(1, 500), st.floats(1, 1000), st.floats(1, 1000))
def test_swapping_before_and_after_turns_the_ratio_over(one: int, other: int, days: float, more: float) -> None:
    forth, back = compare_counts(one, other, days, more), compare_counts(other, one, more, days)
    assert forth.value * back.value == pytest.approx(1.0)
    assert forth.low * back.high == pytest.approx(1.0)
    assert forth.low <= forth.value <= forth.high


def test_night_flow_is_the_median_of_the_smallest_flow_of_each_night() -> None:
    night = np.array([1, 1, 1, 2, 2, 3])
    assert nightly_minima(night, np.array([5.0, 3.0, 4.0, 9.0, 8.0, 7.0])).tolist() == [3.0, 8.0, 7.0]
    random = np.random.default_rng(3)
    before, after = random.normal(10.0, 1.0, 300), random.normal(7.0, 1.0, 300)
    after[:5] = 80.0  # a fire or a full tank on a few nights is no leak
    found = compare_night_flow(before, after)
    assert found.value == pytest.approx(0.7, abs=0.03)
    assert found.high < 0.75
    assert not compare_night_flow(np.empty(0), after).told
    assert not compare_night_flow(np.zeros(9), after).told


def test_the_answer_is_a_sentence_in_both_languages() -> None:
    words = sentence(("主干道积水时间", "Ponding on main roads"), Ratio(0.4, 0.33, 0.48), "2021")
    assert words["en"] == "Ponding on main roads 60% less than in 2021 (95 %: 52% to 67%)"
    assert words["zh"] == "主干道积水时间比 2021 减少 60%(95 % 区间 52%–67%)"
    more = sentence(("预警", "Alerts"), Ratio(1.5, 1.2, 1.9), "2021")
    assert more["en"] == "Alerts 50% more than in 2021 (95 %: 20% to 90%)"


def test_a_change_that_may_be_chance_is_not_claimed() -> None:
    words = sentence(("预警", "Alerts"), Ratio(0.8, 0.5, 1.2), "2021")
    assert "no significant change" in words["en"]
    assert "没有显著变化" in words["zh"]
    nothing = sentence(("预警", "Alerts"), Ratio(math.nan, math.nan, math.nan), "2021")
    assert "not enough data" in nothing["en"]


def test_a_span_is_local_days_and_both_count() -> None:
    span = parse_span("2025-03-01..2025-03-02", SHANGHAI)
    assert span.start == datetime(2025, 2, 28, 16, 0, tzinfo=UTC)
    assert span.days == 2.0
    assert parse_span("2024", SHANGHAI).days == 366.0


@pytest.mark.parametrize(
    "text", ["", "soon", "2025-13-01..2025-12-31", "2025..", "2025-02-02..2025-02-01", "99999", "1900"]
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="span"):
        parse_span(text, SHANGHAI)
