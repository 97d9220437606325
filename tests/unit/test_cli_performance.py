"""`lifeline performance`: what is beyond the most that is acceptable stands out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.cli.performance import _measure
from lifeline.storage.performance import TARGETS


@pytest.mark.parametrize(
    ("value", "told"),
    [(6.0, ("rate", "6.00", "6")), (6.01, ("rate", "6.01 !", "6")), (0.0, ("rate", "0.00", "6"))],
)
def test_a_measure_is_marked_from_beyond_its_target_on(value: float, told: tuple[str, str, str]) -> None:
    assert _measure("rate", value, "{:.2f}", "per_hour_per_operator", "{:g}") == told


def test_a_measure_without_a_target_is_never_marked() -> None:
    assert _measure("blue share", 1.0, "{:.1%}", "blue_share", "{:.0%}") == ("blue share", "100.0%", "")


@given(st.floats(0, 1e6), st.sampled_from(sorted(TARGETS)))
def test_the_mark_says_just_whether_it_is_beyond(value: float, target: str) -> None:
    _, told, most = _measure("x", value, "{:g}", target, "{:g}")
    assert told.endswith(" !") is (value > TARGETS[target])
    assert most == f"{TARGETS[target]:g}"
