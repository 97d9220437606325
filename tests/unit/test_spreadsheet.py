"""Rows for a spreadsheet: what comes back out is what went in, and nothing of it is run."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.spreadsheet import MARK, cell, table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (3, 3),
        (-2.5, -2.5),
        (True, True),
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+86 551", "'+86 551"),
        ("-", "'-"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("a=b", "a=b"),
        ([1, 2], "1 2"),
        ([], ""),
        (["=x"], "'=x"),
        ({"zh": "漏"}, '{"zh": "漏"}'),
        ([{"a": 1}], '[{"a": 1}]'),
    ],
)
def test_a_cell_shows_a_value_and_never_runs_it(value: object, shown: object) -> None:
    assert cell(value) == shown


def test_a_number_stays_a_number_also_below_zero() -> None:
    (row,) = csv.DictReader(io.StringIO(table(["x"], [{"x": -1.5}])))
    assert float(row["x"]) == -1.5


def test_columns_come_in_the_order_asked_for_and_others_are_left_out() -> None:
    text = table(["b", "a"], [{"a": 1, "b": 2, "c": 3}, {"a": 4}])
    assert text == "b,a\n2,1\n,4\n"


def test_no_rows_are_a_header_line_alone() -> None:
    assert table(["a"], []) == "a\n"
    assert MARK.decode("utf-8-sig") == ""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=30), max_size=5))
def test_every_text_comes_back_as_it_was_but_for_the_mark_of_a_formula(texts: list[str]) -> None:
    found = list(csv.DictReader(io.StringIO(table(["n", "text"], [{"n": 1, "text": each} for each in texts]))))
    assert len(found) == len(texts)
    for row, text in zip(found, texts, strict=True):
        assert row["text"] in (text, f"'{text}")
        assert row["text"][:1] not in ("=", "+", "-", "@", "\t")


@given(
    st.recursive(st.integers() | st.text(max_size=5), lambda deep: st.lists(deep, min_size=1, max_size=3), max_leaves=6)
)
def test_what_is_deep_comes_back_from_its_json(value: object) -> None:
    shown = cell(value)
    if isinstance(value, list) and any(isinstance(each, list) for each in value):
        assert json.loads(shown) == value
