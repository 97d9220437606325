"""Rain beyond what sewers were designed for: by the city's own formula, within minutes, and never by a shower."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detectors import storm
from alerts.rules import Formula
from lifeline.model import Level
from tests.unit.test_detection import RULES, START, City, minutes, sensor

BEIJING = Formula(a=2001, c=0.811, b=8, n=0.711)
SHOWERS = st.lists(st.floats(0, 300), min_size=3, max_size=180)
Told = list[tuple[str, int, Level]]


def years(rain: np.ndarray, formula: Formula = BEIJING) -> np.ndarray:
    """Of the mm/h of each minute on one gauge."""
    return np.asarray(storm.detect(formula, rain[:, None] / 60, minutes(START, len(rain))).years[:, 0])


@pytest.mark.parametrize(
    ("minutes_long", "once_in", "litres"),
    [(5, 1, 2001 / 13**0.711), (10, 2, 2001 * 1.24414 / 18**0.711), (60, 10, 2001 * 1.811 / 68**0.711)],
)
def test_the_formula_gives_litres_a_second_and_hectare_as_handbooks_do(minutes_long, once_in, litres):
    assert storm.intensity(BEIJING, 60.0 * minutes_long, once_in) == pytest.approx(0.36 * litres, rel=1e-4)


@given(
    st.sampled_from(storm.DURATIONS_S),
    st.floats(0.2, 90.0),
    st.builds(Formula, a=st.floats(500, 9000), c=st.floats(0.5, 1.2), b=st.floats(2, 25), n=st.floats(0.4, 0.95)),
)
def test_the_storm_of_a_duration_and_period_is_told_as_that(seconds, period, formula):
    """Whatever the city's formula: over every other duration so much rain is less rare."""
    rows = int(seconds / 60)
    fallen = np.where(np.arange(rows + 30) >= 20, storm.intensity(formula, seconds, period), 0.0)
    fallen[20 + rows :] = 0.0
    told = storm.detect(formula, fallen[:, None] / 60, minutes(START, rows + 30))
    most = int(np.argmax(told.years[:, 0]))
    assert told.years[most, 0] == pytest.approx(period, rel=1e-6)
    assert storm.DURATIONS_S[told.duration[most, 0]] == seconds
    assert told.fallen[most, 0] == pytest.approx(storm.intensity(formula, seconds, period) * seconds / 3600)


@given(SHOWERS, st.floats(1.0, 3.0))
def test_more_rain_is_never_less_rare_and_never_rarer_than_formulas_know(shower, more):
    rain = np.array(shower)
    assert (years(rain * more) >= years(rain) * (1 - 1e-9)).all()
    assert (years(rain * more) <= storm.RAREST).all()


@given(SHOWERS, st.lists(st.integers(0, 179), max_size=40))
def test_what_is_not_known_did_not_fall_and_is_not_told(shower, silent):
    rain = np.array(shower)
    rain[[row for row in silent if row < len(rain)]] = np.nan
    told = years(rain)
    assert (np.isnan(told) == np.isnan(rain)).all()
    known = ~np.isnan(rain)
    assert (told[known] <= years(np.nan_to_num(rain))[known] * (1 + 1e-9)).all()


def test_a_gauge_that_was_knocked_is_no_storm():
    rain = np.zeros(60)
    rain[30] = 1000.0
    assert city(rain) == []
    rain[31] = 1000.0
    assert [worst for _, _, worst in city(rain)] == [Level.RED], "two readings one after the other are rain"


def city(rain: np.ndarray) -> Told:
    """What the rules that ship make of one gauge."""
    rules = [rule for rule in RULES if rule.id == "rain.heavy"]
    return City([sensor(1, "rain", "drainage")], [], rules).play(rain[:, None], minutes(START, len(rain)), START)


def test_a_cloudburst_is_told_within_five_minutes_and_worse_as_it_goes_on():
    rain = np.where(np.arange(60) >= 20, 130.0, 0.0)
    one = City([sensor(1, "rain", "drainage")], [])
    one.play(rain[:, None], minutes(START, 60), START)
    (told,) = one.replay.book.episodes.values()
    begun = START + 60.0 * 20
    assert told.alert.rule == "rain.heavy"
    assert told.raised_at - begun <= 300
    assert [level for _, level in told.levels] == [Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED]
    evidence = told.alert.evidence
    assert evidence["quantity"] == "rain"
    assert evidence["within_minutes"] == 5
    assert evidence["comes_once_in_years"] >= 0.5
    assert evidence["mm_of_one_year"] == pytest.approx(9.69, abs=0.01)


@pytest.mark.parametrize(("mm_h", "lasts"), [(8.0, 60), (25.0, 60), (60.0, 5), (34.0, 20)])
def test_a_shower_that_sewers_take_is_no_alert(mm_h, lasts):
    assert city(np.where((np.arange(110) >= 20) & (np.arange(110) < 20 + lasts), mm_h, 0.0)) == []


def test_gusts_of_one_storm_are_one_alert_and_a_gauge_that_dies_rains_no_on():
    gusts = np.where((np.arange(170) // 10) % 2 == 1, 140.0, 2.0)
    gusts[100:] = 0.0
    assert [rule for rule, _, _ in city(gusts)] == ["rain.heavy"]
    died = np.full(60, np.nan)
    died[:3] = 55.0
    assert city(died) == [], "its last reading would be a storm if it stood for an hour"


def test_the_rule_that_ships_grows_worse_with_rarer_rain():
    (rule,) = [one for one in RULES if one.id == "rain.heavy"]
    assert rule.limits == {"blue": 0.5, "yellow": 1, "orange": 3, "red": 10}
    assert rule.formula == BEIJING
