"""Better limits from what people said: never past a genuine alert, never past red, and nothing without enough words."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.nightly import better_limits, own_limits
from alerts.review import kept
from alerts.rules import Scored, Silence, Text, Threshold, load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.model import AlertKind
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


def ladder(**limits: float) -> Threshold:
    """A rule of these limits on the value of methane; red below blue makes it one that looks downwards."""
    downwards = limits["red"] < limits["blue"]
    return Threshold(
        id="pressure.low" if downwards else "methane.level",
        kind=AlertKind.RISK,
        title=Text("T", "题"),
        advice=Text("A", "议"),
        quantity="pressure" if downwards else "methane",
        limits=limits,  # type: ignore[arg-type]
        when="below" if downwards else "above",
    )


UP = ladder(blue=1.0, yellow=2.0, orange=3.0, red=4.0)
DOWN = ladder(blue=4.0, yellow=3.0, orange=2.0, red=1.0)


@pytest.mark.parametrize(
    ("false", "genuine", "limits"),
    [
        ([1.1, 1.2, 1.3, 1.4], [1.8], {"blue": 1.6, "yellow": 2.0, "orange": 3.0, "red": 4.0}),
        ([1.1, 1.2, 2.1, 2.2], [2.8], {"yellow": 2.5, "orange": 3.0, "red": 4.0}),
        ([1.1, 2.2, 3.1, 3.2], [3.8], {"orange": 3.5, "red": 4.0}),
        ([1.1, 2.2, 3.1, 4.2], [4.4], None),
        ([1.1, 1.2, 1.3, 5.0], [1.8], {"blue": 1.55, "yellow": 2.0, "orange": 3.0, "red": 4.0}),
        ([1.1, 5.0, 5.0, 5.0], [1.8], None),
        ([1.8, 1.9, 1.9, 1.9], [1.8], None),
        ([1.1, 1.1, 1.1, 1.1], [1.1], None),
    ],
    ids=[
        "within blue",
        "past yellow",
        "past orange",
        "past red",
        "one false beyond what is genuine",
        "most false beyond what is genuine",
        "genuine before false",
        "not to be told apart",
    ],
)
def test_limits_go_up_as_far_as_words_carry_them(
    false: list[float], genuine: list[float], limits: dict[str, float] | None
) -> None:
    peaks = [(peak, False) for peak in false] + [(peak, True) for peak in genuine]
    found = better_limits(UP, peaks)
    assert found == (None if limits is None else pytest.approx(limits))


@pytest.mark.parametrize(
    ("false", "genuine", "limits"),
    [
        ([3.9, 3.8, 3.7, 3.6], [3.2], {"blue": 3.4, "yellow": 3.0, "orange": 2.0, "red": 1.0}),
        ([3.9, 2.9, 2.8, 2.7], [2.3], {"yellow": 2.5, "orange": 2.0, "red": 1.0}),
        ([3.9, 2.9, 1.9, 0.9], [0.7], None),
    ],
    ids=[
        "within blue",
        "past yellow",
        "past red",
    ],
)
def test_limits_that_look_downwards_go_down(
    false: list[float], genuine: list[float], limits: dict[str, float] | None
) -> None:
    peaks = [(peak, False) for peak in false] + [(peak, True) for peak in genuine]
    found = better_limits(DOWN, peaks)
    assert found == (None if limits is None else pytest.approx(limits))
    if found is not None:
        assert order_problem(found, "below") == ""


@pytest.mark.parametrize(
    ("percent_of", "limits"),
    [
        (None, {"blue": 1.0, "yellow": 2.0, "orange": 3.0, "red": 4.0}),
        (5.0, {"blue": 0.05, "yellow": 0.1, "orange": 0.15, "red": 0.2}),
        ("depth", None),
    ],
)
def test_limits_in_percent_become_the_unit_of_the_evidence(
    percent_of: float | str | None, limits: dict[str, float] | None
) -> None:
    found = own_limits(msgspec.structs.replace(UP, percent_of=percent_of))
    assert found == (None if limits is None else pytest.approx(limits))


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES.values() if isinstance(rule, Silence)], ids=lambda rule: rule.id
)
def test_a_rule_without_limits_has_no_better_ones(rule: Silence) -> None:
    assert own_limits(rule) is None
    assert better_limits(rule, [(1.0, False)] * 9 + [(2.0, True)]) is None


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES.values() if isinstance(rule, Scored)], ids=lambda rule: rule.id
)
def test_scores_have_limits_of_their_own(rule: Scored) -> None:
    assert own_limits(rule) == {str(level): limit for level, limit in rule.limits.items()}
