"""Better limits from what people said: never past a genuine alert, never past red, and nothing without enough words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.nightly import better_limits, own_limits
from alerts.review import kept
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.storage.rulebook import order_problem

RULES = {rule.id: rule for rule in load_rules(shipped_catalogue(), 3600.0)}
METHANE = RULES["methane.level"]
LIMITS = own_limits(METHANE) or {}


def test_limits_of_the_shipped_rule_are_in_the_unit_of_overrides() -> None:
    assert LIMITS
    assert order_problem(dict(LIMITS), "above") == ""


def test_a_limit_rises_past_what_was_false_and_stays_under_what_was_genuine() -> None:
    mildest = min(LIMITS.values())
    false = [(mildest + 0.01 * n, False) for n in range(6)]
    found = better_limits(METHANE, [*false, (mildest + 0.25, True)])
    assert found is not None
    assert mildest + 0.05 < min(found.values()) < mildest + 0.25


@pytest.mark.parametrize(
    "peaks",
    [
        [],
        [(0.3, False)] * 4,
        [(0.3, False)] * 9,
        [(0.3, True)] * 9 + [(0.3, False)],
        [(0.3, True), *[(0.4, False)] * 8],
        [(99.0, True), *[(90.0, False)] * 8],
    ],
    ids=["none", "too few", "nothing genuine", "precise enough", "false beyond genuine", "beyond red"],
)
def test_where_nothing_better_can_be_said_nothing_is_proposed(peaks: list[tuple[float, bool]]) -> None:
    assert better_limits(METHANE, peaks) is None


@given(st.lists(st.tuples(st.floats(0, 6), st.booleans()), max_size=30))
def test_no_genuine_alert_is_ever_lost_and_the_order_of_levels_stays(peaks: list[tuple[float, bool]]) -> None:
    found = better_limits(METHANE, peaks)
    if found is not None:
        assert all(peak >= min(found.values()) for peak, genuine in peaks if genuine)
        assert any(peak < min(found.values()) for peak, genuine in peaks if not genuine)
        assert order_problem(found, "above") == ""
        assert found["red"] == LIMITS["red"]


def test_labels_without_a_replayed_alert_are_lost_or_dropped() -> None:
    assert kept([(1, 10.0, True), (2, 10.0, False)], []) == {
        "genuine_kept": 0, "genuine_lost": 1, "false_kept": 0, "false_dropped": 1,
    }  # fmt: skip
