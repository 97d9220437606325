"""Fields of one record: what is taken, what is noted."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.catalogue import shipped_catalogue
from lifeline.errors import Problem
from lifeline.model import RoadClass
from lifeline.records import LONGEST_TEXT, Record, shown, storable, storable_json


def record(**values: object) -> Record:
    return Record(7, values, [])


@pytest.mark.parametrize(
    ("value", "truth"),
    [(True, True), ("true", True), ("FALSE", False), (1, True), ("0", False), ("", False), (None, False)],
)
def test_a_truth_may_be_text_or_a_number_as_tables_have_nothing_else(value: object, truth: bool) -> None:
    found = record(critical=value)
    assert found.boolean("critical") is truth
    assert found.problems == []


@pytest.mark.parametrize("value", ["yes", 2, "是", [1]])
def test_what_is_no_truth_is_noted_with_its_line(value: object) -> None:
    found = record(critical=value)
    assert found.boolean("critical") is False
    assert found.problems[0].line == 7
    assert "must be true or false" in found.problems[0].message


def test_a_truth_that_is_missing_is_not_known() -> None:
    assert record().optional_boolean("in_service") is None
    assert record(in_service="").optional_boolean("in_service") is None
    assert record(in_service="false").optional_boolean("in_service") is False


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_is_within_its_bounds_or_noted(value: float) -> None:
    found = record(depth_m=value)
    number = found.number("depth_m", -100, 1000)
    assert (number is None) == bool(found.problems)
    assert (number is None) == (not -100 <= value <= 1000)
    assert not math.isnan(value) or number is None


@pytest.mark.parametrize("value", [True, "wide", [1], {}, 10**400])
def test_what_is_no_number_is_noted(value: object) -> None:
    found = record(depth_m=value)
    assert found.number("depth_m", -100, 1000) is None
    assert len(found.problems) == 1


@pytest.mark.parametrize(("value", "whole"), [("3", 3), (3.0, 3), ("", None)])
def test_a_whole_number_may_be_text(value: object, whole: int | None) -> None:
    assert record(customers=value).integer("customers", 0, 10) == whole


def test_a_broken_number_is_noted_where_a_whole_one_is_meant() -> None:
    found = record(customers=2.5)
    assert found.integer("customers", 0, 10) is None
    assert found.problems == [Problem(7, "customers must be a whole number, not 2.5")]


@pytest.mark.parametrize(
    ("value", "year"),
    [("1998-05-01", 1998), ("1998.5", 1998), (2003, 2003), ("2003年10月", 2003), ("1066-01-01", None)],
)
def test_a_year_is_read_from_a_date_and_a_broken_one_is_noted(value: object, year: int | None) -> None:
    found = record(install_year=value)
    assert found.year("install_year") == year
    assert len(found.problems) == (year is None)


def test_a_choice_is_one_of_its_words() -> None:
    assert record(road_class="main").choice("road_class", RoadClass) is RoadClass.MAIN
    assert record().choice("road_class", RoadClass) is None
    found = record(road_class="motorway")
    assert found.choice("road_class", RoadClass) is None
    assert "trunk, main, street, lane, none" in found.problems[0].message


def test_text_is_trimmed_and_what_cannot_be_kept_is_refused() -> None:
    assert record(name="  北区 ").text("name") == "北区"
    for bad in ("x" * (LONGEST_TEXT + 1), "\0", 7):
        found = record(name=bad)
        assert found.text("name") == ""
        assert len(found.problems) == 1


@pytest.mark.parametrize("value", ["P 1", "-P", "", "ü", "x" * 65, 7])
def test_an_id_that_no_topic_could_carry_is_noted(value: object) -> None:
    found = record(id=value)
    assert found.identifier("id", needed=True) is None
    assert len(found.problems) == 1


def test_a_network_is_one_of_the_catalogue() -> None:
    found = record(network="steam")
    found.network(shipped_catalogue())
    assert "drainage, gas, water" in found.problems[0].message


@given(st.text())
def test_what_is_storable_has_no_nul_and_no_half_of_a_pair(text: str) -> None:
    assert storable(text) == ("\0" not in text)
    assert storable_json({"a": [text]}) == storable(text)


@given(st.one_of(st.text(), st.integers(), st.lists(st.integers()), st.none()))
def test_a_value_is_shown_in_forty_characters(value: object) -> None:
    assert len(shown(value)) <= 40 * 10 + 2  # an escape takes up to ten for one


def test_a_problem_of_a_feature_says_so() -> None:
    assert str(Problem(3, "is wrong", "feature")) == "feature 3: is wrong"
    assert str(Problem(3, "is wrong")) == "line 3: is wrong"
