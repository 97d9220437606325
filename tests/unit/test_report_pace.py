"""How many reports one key may send: the newest minute counts, and nobody pays for another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pace import Pace
from api.reports import MOST_A_MINUTE
from lifeline.storage.reports import NETWORKS, Category


def test_a_key_sends_as_many_as_it_may_and_then_waits_for_the_first_to_be_a_minute_old() -> None:
    pace = Pace(3)
    assert [pace.wait_s("hotline", at) for at in (0.0, 10.0, 20.0)] == [0.0] * 3
    assert pace.wait_s("hotline", 25.0) == pytest.approx(35.0)
    assert pace.wait_s("hotline", 59.0) == pytest.approx(1.0)
    assert pace.wait_s("hotline", 60.0) == 0.0
    assert pace.wait_s("hotline", 61.0) == pytest.approx(9.0)


def test_one_key_does_not_wait_for_another() -> None:
    pace = Pace(1)
    assert pace.wait_s("hotline", 0.0) == 0.0
    assert pace.wait_s("hotline", 1.0) > 0
    assert pace.wait_s("app", 1.0) == 0.0


def test_the_memory_is_bounded_and_the_oldest_is_forgotten() -> None:
    pace = Pace(1)
    for number in range(1500):
        assert pace.wait_s(f"key-{number}", 0.0) == 0.0
    assert pace.wait_s("key-1499", 1.0) > 0
    assert pace.wait_s("key-0", 1.0) == 0.0


@given(st.lists(st.floats(0, 5), min_size=1, max_size=80))
def test_never_more_than_the_most_within_any_minute(steps: list[float]) -> None:
    pace, at, taken = Pace(7), 0.0, []
    for step in steps:
        at += step
        if pace.wait_s("hotline", at) == 0.0:
            taken.append(at)
    for place, began in enumerate(taken):
        assert sum(began <= each < began + 60 for each in taken[place:]) <= 7
    assert MOST_A_MINUTE > 7


def test_categories_speak_of_networks_that_there_are_or_of_none() -> None:
    assert set(NETWORKS) < set(Category)
    assert set(NETWORKS.values()) == {"gas", "water", "drainage"}
    assert {Category.COLLAPSE, Category.OTHER} & set(NETWORKS) == set()
