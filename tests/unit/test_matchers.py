"""Matchers of Alertmanager: what amtool sends keeps what Alertmanager would keep."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.messages.matchers import Matcher, parse

LABELS = [{"level": "red", "rule": "methane.level"}, {"level": "blue", "rule": 'a "b"\n'}, {}]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('level="red"', [True, False, False]),
        ("level=red", [True, False, False]),
        ('level!="red"', [False, True, True]),
        ('level=~"red|blue"', [True, True, False]),
        ('level=~"re"', [False, False, False]),
        ('level!~"r.*"', [False, True, True]),
        ('level=""', [False, False, True]),
        ('"level"="red"', [True, False, False]),
        (r'rule="a \"b\"\n"', [False, True, False]),
        ('rule=~".*b.*"', [False, True, False]),
        (" level =~ red ", [True, False, False]),
    ],
)
def test_a_matcher_keeps_what_alertmanager_would_keep(text: str, kept: list[bool]) -> None:
    assert parse(text).keeps(LABELS) == kept


@pytest.mark.parametrize(
    "text", ["", "level", "=red", "1level=red", 'level="red', "level=~(", 'level=~"a{2"b', "a b=c"]
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_an_expression_that_would_take_for_ever_elsewhere_is_quick() -> None:
    started = time.thread_time()
    assert parse('rule=~"(a+)+b"').keeps([{"rule": "a" * 5000}]) == [False]
    assert time.thread_time() - started < 1


@given(st.text(max_size=40))
def test_any_text_is_a_matcher_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    assert isinstance(found, Matcher)
    assert len(found.keeps(LABELS)) == len(LABELS)


@given(st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cs"]), max_size=20))
def test_equal_and_not_equal_divide_the_alerts(value: str) -> None:
    labels = [{"level": value}, {"level": value + "x"}]
    assert parse(f'level="{value}"').keeps(labels) == [True, False]
    assert parse(f'level!="{value}"').keeps(labels) == [False, True]
