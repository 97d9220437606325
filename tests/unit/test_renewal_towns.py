"""The issue's line: on three towns a plan gains more than "oldest first" and "worst first" for the same money."""

import pytest

from lifeline.planning.budget import NEVER
from lifeline.planning.plan import OLDEST, WORST
from tests.benchmarks.plan import planned
from tests.renewal_towns import TOWNS, grid

MEASURED = ("Schutterwald", "ky10", "generated sewers", "make demo")


@pytest.mark.parametrize("town", MEASURED)
def test_the_plan_gains_more_than_plain_lists_for_the_same_money(town: str) -> None:
    network, make = TOWNS[town]
    plan, _ = planned(make(1), seconds=1.0)
    assert plan.ratio(OLDEST) > 1.0
    assert plan.ratio(WORST) > 1.0
    money = plan.question.budgets.sum()
    for choice in (plan.choice, *plan.lists.values()):
        assert choice.spent.sum() <= money * (1 + 1e-9)
        assert plan.question.affordable(choice.spent)
    assert plan.choice.gap < 0.02
    assert network == "all three" or set(plan.segments.network) == {network}


def test_ltown_too_where_its_file_is_there() -> None:
    try:
        assets = TOWNS["L-TOWN"][1](1)
    except FileNotFoundError as missing:
        pytest.skip(f"the shared data is missing: {missing}")
    plan, _ = planned(assets, seconds=1.0)
    assert min(plan.ratio(OLDEST), plan.ratio(WORST)) > 1.0


@pytest.mark.parametrize("seed", [2, 3])
def test_another_history_of_the_town_changes_nothing_about_that(seed: int) -> None:
    plan, _ = planned(TOWNS["generated sewers"][1](seed), seconds=1.0)
    assert min(plan.ratio(OLDEST), plan.ratio(WORST)) > 1.0


def test_a_larger_city_with_shared_roads_everywhere_is_planned_too() -> None:
    plan, _ = planned(grid(2_000), seconds=1.0)
    assert len(plan.segments) > 1_900
    assert len(plan.question.trenches) > 100
    assert plan.choice.detail["open"] < len(plan.works)
    assert (plan.choice.year != NEVER).sum() > 10
    assert plan.choice.gap < 0.02
