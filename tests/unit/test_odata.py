"""OData's filters become SQL in which nothing of the request stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from lifeline.errors import RejectedDataError
from lifeline.storage.odata import LONGEST, Field, Values, condition, order
from lifeline.storage.sensorthings import SETS

FIELDS = {
    "result": Field("result", "number"),
    "name": Field("name", "text"),
    "at": Field("ts", "time"),
    "properties": Field("properties", "json"),
    "Thing/id": Field("_thing", "number"),
}


def compiled(text: str) -> tuple[str, dict[str, object]]:
    values = Values()
    return condition(text, FIELDS, values).as_string(None), values.by_name


def test_a_literal_is_a_parameter() -> None:
    text, values = compiled("name eq 'x%s'' OR 1=1 --'")
    assert text == '(e."name" = %(v0)s::text)'
    assert values == {"v0": "x%s' OR 1=1 --"}


def test_and_or_and_not_keep_their_order() -> None:
    text, values = compiled("result gt 1 and not (result lt 2 or name ne 'a')")
    assert text == (
        '((e."result" > %(v0)s::float8) AND (NOT ((e."result" < %(v1)s::float8) OR (e."name" <> %(v2)s::text))))'
    )
    assert list(values.values()) == [1.0, 2.0, "a"]


def test_a_path_names_the_column_behind_it() -> None:
    assert compiled("Thing/id eq 5")[0] == '(e."_thing" = %(v0)s::float8)'


def test_null_is_compared_as_a_value() -> None:
    assert compiled("name eq null")[0] == '(e."name" IS NOT DISTINCT FROM NULL)'
    assert compiled("name ne null")[0] == '(e."name" IS DISTINCT FROM NULL)'


def test_a_time_without_a_zone_is_utc() -> None:
    [moment] = compiled("at gt 2026-11-21T08:00:00")[1].values()
    assert str(moment) == "2026-11-21 08:00:00+00:00"


def test_division_by_nothing_meets_no_condition() -> None:
    assert "nullif" in compiled("result div 0 eq 1")[0]
    assert "nullif" in compiled("result mod 0 eq 1")[0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("colour eq 1", "there is no 'colour'.*name"),
        ("result", "must be a condition"),
        ("name gt 5", "text with number"),
        ("properties eq 5", "json with number"),
        ("result gt null", "only be compared by eq and ne"),
        ("tolower(result) eq 'a'", "text is wanted where there is number"),
        ("name eq 'a' and result", "boolean is wanted"),
        ("result in (1,'a')", "number is wanted"),
        ("matchesPattern(name,'(a+)+')", "not supported; there are: .*startswith"),
        ("result eq", "cannot be read"),
        ("name eq '" + "x" * LONGEST + "'", "longer than"),
        ("name eq 'a\0b'", "NUL"),
        ("any(x:x eq 1)", "cannot be read|not supported"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(RejectedDataError, match=complaint):
        compiled(text)


def test_an_order_names_columns_and_a_direction() -> None:
    found = sql.SQL(", ").join(order("at desc, name", FIELDS)).as_string(None)
    assert found == 'e."ts" DESC NULLS LAST, e."name" ASC NULLS FIRST'


@pytest.mark.parametrize("text", ["colour", "at sideways", "properties", "", "at;drop", 'at" desc'])
def test_an_order_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(RejectedDataError):
        order(text, FIELDS)


@given(st.text(max_size=200))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        compiled(text)
    except RejectedDataError:
        return


@given(st.text(alphabet=st.characters(exclude_characters="\0"), max_size=50))
def test_no_text_of_a_literal_ever_stands_in_the_statement(text: str) -> None:
    quoted = text.replace("'", "''")
    try:
        found, values = compiled(f"name eq '{quoted}'")
    except RejectedDataError:
        return
    assert found == '(e."name" = %(v0)s::text)'
    assert values["v0"] == text


def test_each_set_can_be_filtered_by_what_it_shows() -> None:
    for known in SETS.values():
        shown = {name for name in known.fields if "/" not in name}
        assert shown == set(known.properties)
        assert set(known.order) <= shown | {link.ours for link in known.links.values()}
