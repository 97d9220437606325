"""What ``$expand`` and paths may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.sensorthings import DEEPEST, expansions
from lifeline.errors import RejectedDataError
from lifeline.storage.sensorthings import Query


def test_names_stand_between_commas() -> None:
    assert expansions("Thing,Sensor") == {"Thing": Query(), "Sensor": Query()}
    assert expansions(None) == {}


def test_options_stand_in_brackets_between_semicolons() -> None:
    asked = expansions("Observations($top=2;$skip=1;$orderby=result desc;$select=result,id;$filter=result in (1,2))")
    assert asked == {
        "Observations": Query(
            filter="result in (1,2)", orderby="result desc", top=2, skip=1, select=("result", "id"), expand={}
        )
    }


def test_commas_and_semicolons_in_quotes_belong_to_the_text() -> None:
    asked = expansions("Datastreams($filter=name eq 'a,b;c)'),Locations")
    assert asked["Datastreams"].filter == "name eq 'a,b;c)'"
    assert set(asked) == {"Datastreams", "Locations"}


def test_a_path_is_an_expansion_within_an_expansion() -> None:
    assert expansions("Datastreams/Observations") == expansions("Datastreams($expand=Observations)")
    assert expansions("A/B($top=1)") == expansions("A($expand=B($top=1))")


def test_the_same_name_twice_is_one_expansion_with_both() -> None:
    assert expansions("A/B,A/C") == expansions("A($expand=B,C)")


@pytest.mark.parametrize("text", ["A(", "A($top=-1)", "A($top)", "A($colour=1)", "/".join("A" * (DEEPEST + 1))])
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(RejectedDataError):
        expansions(text)


@given(st.text(alphabet="AB(),;/$=' top1expand", max_size=80))
def test_any_text_is_an_expansion_or_refused(text: str) -> None:
    try:
        found = expansions(text)
    except RejectedDataError:
        return
    assert all(isinstance(each, Query) for each in found.values())
