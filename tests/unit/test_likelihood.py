"""Likelihood of failure: the forms of the literature, and the direction of every factor."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lifeline.errors import CatalogueError
from lifeline.risk.assets import Inventory
from lifeline.risk.deterioration import (
    UNKNOWN,
    Deterioration,
    cumulative,
    exponential,
    parse_deterioration,
    power_law,
    shipped_deterioration,
)
from lifeline.risk.likelihood import STEPS, expected_failures, likelihood_of, nearby_boost, to_lof

SHIPPED = shipped_deterioration()
NAMES = [each.name for each in SHIPPED.classes]


def pipes(n: int = 1, **columns: object) -> Inventory:
    """n equal steel pipes of 100 m, but for the columns given."""
    plain: dict[str, object] = {
        "material": ["steel"] * n,
        "age_years": np.full(n, 30.0),
        "diameter_mm": np.full(n, 150.0),
        "customers": np.zeros(n),
        "critical": np.zeros(n, np.bool_),
        "network": ["water"] * n,
        "length_m": np.full(n, 100.0),
    }
    return Inventory(**(plain | columns))  # type: ignore[arg-type]


def rates(**columns: object) -> np.ndarray:
    n = len(next(iter(columns.values())))  # type: ignore[arg-type]
    return likelihood_of(pipes(n, **columns)).rate


def test_the_exponential_form_is_that_of_shamir_and_howard():
    young, old = rates(age_years=np.array([30.0, 50.0]))
    steel = SHIPPED.classes[SHIPPED.index["steel"]]
    assert old / young == pytest.approx(math.exp(steel.growth * 20))


@given(st.floats(0.001, 2), st.floats(5, 80), st.floats(-0.02, 0.1), st.floats(0, 100), st.floats(0.1, 20))
def test_the_exponential_integral_is_the_area_under_its_rate(rate, at, growth, age, years):
    grid = np.linspace(age, age + years, 4001)
    area = np.trapezoid(rate * np.exp(growth * (grid - at)), grid)
    both = exponential(*(np.full(2, x) for x in (rate, at, growth)), np.array([age, age + years]))
    assert both[1] - both[0] == pytest.approx(area, rel=1e-5)


@given(st.floats(0.001, 2), st.floats(5, 80), st.floats(1, 4), st.floats(0, 100), st.floats(0.1, 20))
def test_the_power_law_integral_is_the_area_under_its_rate(rate, at, shape, age, years):
    grid = np.linspace(age, age + years, 4001)
    area = np.trapezoid(rate * (grid / at) ** (shape - 1), grid)
    both = power_law(*(np.full(2, x) for x in (rate, at, shape)), np.array([age, age + years]))
    assert both[1] - both[0] == pytest.approx(area, rel=1e-3)


@pytest.mark.parametrize("form", ["exponential", "power"])
def test_both_forms_give_the_rate_of_the_catalogue_at_its_age(form):
    classes = with_form(SHIPPED, form)
    chosen = np.arange(len(classes.classes))
    at = classes.column("at_age")
    slope = (cumulative(classes, chosen, at + 1e-4) - cumulative(classes, chosen, at - 1e-4)) / 2e-4
    np.testing.assert_allclose(slope, classes.column("rate"), rtol=1e-4)


def with_form(classes: Deterioration, form: str) -> Deterioration:
    return replace(classes, classes=tuple(replace(each, form=form) for each in classes.classes))


@given(st.floats(0, 1, allow_nan=False), st.floats(0, 1, allow_nan=False))
def test_a_higher_probability_never_has_a_lower_class(one, other):
    low, high = to_lof(np.array(sorted((one, other))))
    assert 1 <= low <= high <= 5


def test_the_cuts_of_the_catalogue_are_the_whole_classes():
    cuts = np.array(SHIPPED.factors["likelihood"]["cuts"])
    np.testing.assert_allclose(to_lof(cuts), [1, 2, 3, 4, 5])
    assert np.all(np.diff(cuts) > 0)


def test_the_probability_is_that_of_a_poisson_process_over_the_pipes_length():
    found = likelihood_of(pipes(2, length_m=np.array([100.0, 1000.0])))
    np.testing.assert_allclose(found.probability, -np.expm1(-found.rate * np.array([0.1, 1.0])))
    assert found.rate[0] == pytest.approx(found.rate[1])


@given(st.lists(st.sampled_from([*NAMES, None, "unobtainium"]), min_size=1, max_size=8), st.floats(0, 119))
def test_an_older_pipe_never_fails_less(materials, age):
    n = len(materials)
    young = likelihood_of(pipes(n, material=materials, age_years=np.full(n, age)))
    old = likelihood_of(pipes(n, material=materials, age_years=np.full(n, age + 1)))
    assert np.all(old.lof >= young.lof)


@given(st.integers(0, 20), st.floats(0.25, 60))
def test_a_break_more_on_record_never_lowers_the_rate(breaks, years):
    fewer, more = rates(breaks=np.array([breaks, breaks + 1.0]), record_years=np.full(2, years))
    assert more > fewer


def test_a_long_record_without_a_break_speaks_for_a_pipe_and_no_record_says_nothing():
    none, short, long = rates(
        age_years=np.full(3, 60.0), breaks=np.zeros(3), record_years=np.array([np.nan, 2.0, 40.0])
    )
    assert long < short < none


def test_soil_and_condition_count_and_corrosive_soil_counts_more_for_metal():
    mild, corrosive = rates(soil=["moderate", "very_corrosive"])
    plastic = rates(material=["pe", "pe"], soil=["moderate", "very_corrosive"])
    assert corrosive / mild > plastic[1] / plastic[0] > 1
    grades = rates(condition=np.arange(1.0, 6.0))
    assert np.all(np.diff(grades) > 0)
    assert rates(condition=np.array([np.nan]))[0] == pytest.approx(grades[2])


def test_thin_mains_fail_more_and_each_network_has_its_usual_diameter():
    assert np.all(np.diff(rates(diameter_mm=np.array([80.0, 150.0, 600.0]))) < 0)
    usual = SHIPPED.factors["diameter"]["reference_mm"]
    known = rates(network=list(usual), diameter_mm=np.array(list(usual.values())))
    unknown = rates(network=list(usual), diameter_mm=np.full(len(usual), np.nan))
    np.testing.assert_allclose(known, unknown)


def test_a_chinese_name_or_an_abbreviation_is_the_same_material():
    for alias, name in (
        ("灰口铸铁", "grey_cast_iron"),
        (" DI ", "ductile_iron"),
        ("HDPE", "pe"),
        ("球墨铸铁", "ductile_iron"),
    ):
        one, other = rates(material=[alias, name])
        assert one == other


def test_a_break_nearby_raises_the_rate_and_the_boost_decays_with_time_and_distance():
    one = np.array([0, 0, 0, 0])
    fresh = nearby_boost(2, one[:1], np.array([0.0]), np.array([0.0]))
    assert fresh.tolist() == [1.0 + SHIPPED.factors["nearby"]["boost"], 1.0]
    later = [nearby_boost(1, one[:1], np.array([days]), np.array([0.0]))[0] for days in (0.0, 90.0, 365.0)]
    further = [nearby_boost(1, one[:1], np.array([0.0]), np.array([metres]))[0] for metres in (0.0, 20.0, 60.0)]
    assert later == sorted(later, reverse=True)
    assert further == sorted(further, reverse=True)
    two = nearby_boost(1, one[:2], np.zeros(2), np.zeros(2))
    assert two[0] - 1 == pytest.approx(2 * (fresh[0] - 1))
    assert rates(boost=np.array([1.0, 2.0]))[1] == pytest.approx(2 * rates(boost=np.array([1.0]))[0])


@given(st.floats(0, 60), st.floats(0.5, 20), st.floats(0.5, 20))
def test_expected_failures_add_up_over_time(age, first, second):
    assume(age + first + second < 120)
    pipe = pipes(1, age_years=np.array([age]))
    whole = expected_failures(pipe, first + second)
    parts = expected_failures(pipe, first) + expected_failures(pipe, second, start=first)
    np.testing.assert_allclose(whole, parts, rtol=1e-9)


def test_expected_failures_within_a_year_are_the_rate_times_the_length():
    pipe = pipes(3, material=["pe", "brick", None], length_m=np.array([50.0, 500.0, 5.0]))
    found = likelihood_of(pipe)
    np.testing.assert_allclose(expected_failures(pipe, 1.0), found.rate * pipe.length_m / 1000.0)


def test_the_steps_end_at_the_class_and_begin_at_the_mean():
    found = likelihood_of(pipes(2, material=["pe", "grey_cast_iron"]))
    assert found.steps.shape == (2, len(STEPS))
    np.testing.assert_array_equal(found.steps[:, -1], found.lof)
    assert found.steps[0, 0] == found.steps[1, 0]


def test_what_has_no_length_fails_like_its_length_of_pipe():
    found = likelihood_of(pipes(3, kind=["valve", "pump", "pipe"], length_m=np.array([np.nan, np.nan, 100.0])))
    assert found.probability[1] > found.probability[2] > found.probability[0]


def test_an_empty_inventory_has_no_scores():
    nothing = Inventory([], np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.bool_))
    assert likelihood_of(nothing).lof.shape == (0,)


def test_a_column_of_another_length_is_refused():
    with pytest.raises(ValueError, match="soil has 2 values for 1 assets"):
        pipes(1, soil=["fill", "fill"])


def test_every_figure_of_the_shipped_catalogue_names_its_source_or_says_default():
    assert all("default" in each.source or "20" in each.source for each in SHIPPED.classes)
    for name, table in SHIPPED.factors.items():
        assert name in ("unknown", "mean", "point") or table["source"], name
    assert UNKNOWN in SHIPPED.index


def test_a_calibration_replaces_the_rates_of_its_classes_and_no_others():
    fit = {"rate": 1.0, "at_age": 40.0, "growth": 0.1, "shape": 2.0, "form": "power"}
    fitted = SHIPPED.fitted({"steel": fit}, 3)
    steel = fitted.classes[fitted.index["steel"]]
    assert (steel.rate, steel.form, steel.source, fitted.version) == (1.0, "power", "calibration 3", 3)
    assert [each for each in fitted.classes if each.name != "steel"] == [
        each for each in SHIPPED.classes if each.name != "steel"
    ]


def entry(rate: float = 1, form: str = "power") -> str:
    figures = f'rate = {rate}\nat_age = 1\ngrowth = 0\nshape = 1\nform = "{form}"'
    return f'[class.x]\naliases = []\n{figures}\nmetal = true\nsource = ""'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class = 3", "no attribute|'int'"),
        ("= 3", "not TOML"),
        (entry(form="cubic"), "cubic"),
        (entry(rate=0), "above zero"),
        (entry(), "no class"),
        ("[class.x]\naliases=[]", "'rate' is missing"),
    ],
)  # fmt: skip
def test_a_catalogue_that_makes_no_sense_is_refused_with_the_reason(text, says):
    with pytest.raises(CatalogueError, match=says):
        parse_deterioration(text)
