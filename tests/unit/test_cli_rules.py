"""What `lifeline rules` reads and says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.cli.rules import LEVELS, effect_in_words, own_limits, read_limits
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject


def effect(genuine_lost: int = 0, genuine_kept: int = 0, false_dropped: int = 0, false_kept: int = 0) -> JsonObject:
    labels = {
        "genuine_lost": genuine_lost, "genuine_kept": genuine_kept, "false_dropped": false_dropped,
        "false_kept": false_kept,
    }  # fmt: skip
    return {"before": {"alerts": 24}, "after": {"alerts": 3}, "sensors": 2, "labels": labels}


@given(st.dictionaries(st.sampled_from(LEVELS), st.floats(allow_nan=False), min_size=1))
def test_limits_are_read_as_they_are_written(limits: dict[str, float]) -> None:
    assert read_limits([f" {level} = {value!r} " for level, value in limits.items()]) == limits


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["yellow"], "LEVEL=NUMBER"),
        (["yellow="], "is no number"),
        (["=1"], "LEVEL=NUMBER"),
        (["yellow=high"], "'high' is no number"),
        (["purple=1"], "of blue, yellow, orange, red"),
        (["red=1", "red=2"], "each level once"),
        (["Red=1"], "LEVEL=NUMBER"),
    ],
)
def test_limits_that_are_none_are_refused_with_how_to_write_them(texts: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_limits(texts)


def test_the_mildest_level_comes_first() -> None:
    assert LEVELS == ("blue", "yellow", "orange", "red")


def test_an_effect_says_alerts_before_and_after_and_what_people_had_called_them() -> None:
    assert effect_in_words(effect()) == "alerts 24 -> 3 (2 sensors)"
    assert effect_in_words(effect(1, 2, 5, 1)) == (
        "alerts 24 -> 3 (2 sensors); genuine lost 1 of 3, false dropped 5 of 6"
    )
    assert effect_in_words(effect(false_kept=1)).endswith("genuine lost 0 of 0, false dropped 0 of 1")


@pytest.mark.parametrize(
    ("given_", "said"),
    [(None, "not judged yet"), ({"error": "watches no sensor"}, "watches no sensor"), ({"x": 1}, "not judged")],
)
def test_without_an_effect_it_says_why(given_: JsonObject | None, said: str) -> None:
    assert effect_in_words(given_) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"limits": {"red": 3.0, "blue": 1.5}}, "blue 1.5, red 3"),
        ({"limits": {"yellow": 10.0}, "percent_of": 5.0}, "yellow 10 % of 5.0"),
        ({"limits": {"yellow": 75.0}, "percent_of": "depth"}, "yellow 75 % of depth"),
        ({"level": "orange"}, ""),
    ],
)
def test_a_rules_own_limits_say_of_what_they_are_percent(content: JsonObject, said: str) -> None:
    assert own_limits(content) == said
