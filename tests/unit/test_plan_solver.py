"""The solver of renewal plans: its bound, its order of works, its time, and what must not change its answer."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings

from lifeline.planning.budget import NEVER, Question, fill
from lifeline.planning.sensitivity import sensitivity
from lifeline.planning.solver import Effort, _relax, best_first, merits, shared, solve
from lifeline.planning.trenches import Trench
from tests.unit.test_renewal_plan import QUICK, questions, silent

INSTANT = Effort(seconds=1e-9)


def best_by_hand(question: Question) -> float:
    """By trying every choice."""
    years = range(NEVER, question.years)
    best = 0.0
    for choice in itertools.product(years, repeat=len(question.cost)):
        year = np.array(choice)
        ordered = all(year[b] == NEVER or NEVER < year[a] <= year[b] for a, b in question.before)
        if ordered and question.affordable(question.spending(year)):
            best = max(best, question.gained(year))
    return best


def knapsack(count: int, budget: float, seed: int = 1, years: int = 1) -> Question:
    random = np.random.default_rng(seed)
    cost = random.uniform(5.0, 50.0, count)
    gain = (cost * random.uniform(0.5, 2.0, count))[:, None] * 0.96 ** np.arange(years)
    return Question(cost, gain, np.full(years, budget / years))


@given(questions())
@settings(max_examples=30, deadline=None)
def test_the_relaxation_bounds_every_choice(question: Question) -> None:
    assume(len(question.cost) <= 5)
    assert _relax(question).bound >= best_by_hand(question) * (1 - 1e-6) - 1e-6


def test_a_reduced_cost_never_leaves_out_a_year_of_a_better_choice() -> None:
    """Small questions with a shared road each, where best first is not best: all years of the best choices stay."""
    better = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        question = Question(
            random.uniform(5.0, 30.0, 4), random.uniform(1.0, 40.0, (4, 1)) * np.array([1.0, 0.95]),
            random.uniform(8.0, 40.0, 2), [Trench((0, 1), 50.0, float(random.uniform(0.5, 4.0)))],
        )  # fmt: skip
        relaxed, plain, best = _relax(question), best_first(question).gain, best_by_hand(question)
        left_out = relaxed.bound - relaxed.reduced < plain
        better += best > plain + 1e-6
        for choice in itertools.product(range(NEVER, 2), repeat=4):
            year = np.array(choice)
            if question.affordable(question.spending(year)) and question.gained(year) > max(plain, best - 1e-9):
                done = np.flatnonzero(year != NEVER)
                assert not left_out[done, year[done]].any()
    assert better > 10


def test_without_time_the_bound_is_the_relaxation_and_the_gap_is_not_claimed_to_be_none() -> None:
    """A search that had no time to prove anything once counted as proof."""
    question = knapsack(60, 300.0, years=3)
    hurried = solve(question, INSTANT)
    patient = solve(question, Effort(seconds=2.0))
    assert hurried.bound == pytest.approx(_relax(question).bound)
    assert hurried.gain <= patient.gain <= hurried.bound
    assert hurried.gap > 0
    assert patient.gap <= hurried.gap


@pytest.mark.parametrize("seed", range(4))
def test_a_plain_knapsack_is_solved_to_a_hundredth_of_a_per_cent(seed: int) -> None:
    found = solve(knapsack(80, 600.0, seed), Effort(seconds=4.0))
    assert found.gap <= 2e-4
    assert found.spent.sum() <= 600.0 + 1e-6


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e9])
def test_the_currency_does_not_matter(factor: float) -> None:
    question = knapsack(25, 200.0)
    other = Question(question.cost * factor, question.gain * factor, question.budgets * factor)
    assert solve(other, QUICK).gain == pytest.approx(solve(question, QUICK).gain * factor, rel=2e-4)


def test_the_order_of_the_works_does_not_matter() -> None:
    question = knapsack(25, 200.0)
    turned = np.random.default_rng(5).permutation(25)
    other = Question(question.cost[turned], question.gain[turned], question.budgets)
    assert solve(other, QUICK).gain == pytest.approx(solve(question, QUICK).gain, rel=2e-4)


def test_work_that_gains_nothing_is_never_done() -> None:
    question = Question(np.array([1.0, 1.0]), np.array([[-1.0], [0.0]]), np.array([10.0]))
    assert (solve(question, QUICK).year == NEVER).all()


def test_enough_money_does_everything_in_the_first_year() -> None:
    question = knapsack(30, 1e6, years=3)
    found = solve(question, QUICK)
    assert (found.year == 0).all()
    assert found.gap < 1e-12


def test_a_work_that_must_come_first_is_paid_for_though_it_gains_little() -> None:
    question = Question(
        np.array([10.0, 10.0]), np.array([[1.0, 1.0], [50.0, 45.0]]), np.array([10.0, 10.0]), before=[(0, 1)]
    )
    found = solve(question, QUICK)
    assert found.year[1] == 1
    assert found.gain == pytest.approx(46.0)
    assert question.affordable(found.spent)


def test_a_chain_of_works_is_done_in_its_order_or_in_part() -> None:
    cost, gain = np.full(4, 10.0), np.array([[1.0], [1.0], [1.0], [60.0]]) * np.ones((1, 4))
    chain = [(0, 1), (1, 2), (2, 3)]
    whole = solve(Question(cost, gain, np.full(4, 10.0), before=chain), QUICK)
    assert (np.diff(whole.year) >= 0).all()
    assert whole.year[3] != NEVER
    part = solve(Question(cost, gain, np.array([25.0, 0.0, 0.0, 0.0]), before=chain), QUICK)
    assert part.year[3] == NEVER


def test_what_each_work_pays_without_its_roads_is_its_cost_less_its_trenches() -> None:
    trenches = [Trench((0, 1), 50.0, 5.0), Trench((1, 2), 50.0, 7.0)]
    question = Question(np.full(3, 30.0), np.ones((3, 1)), np.array([100.0]), trenches)
    assert shared(question).tolist() == [5.0, 12.0, 7.0]
    assert question.spending(np.zeros(3, dtype=np.int64)).tolist() == [90.0 - 12.0]


def test_two_works_in_one_trench_are_done_in_the_same_year_where_that_saves_enough() -> None:
    question = Question(
        np.array([50.0, 50.0]), np.array([[30.0, 29.0], [30.0, 29.0]]), np.array([50.0, 30.0]),
        [Trench((0, 1), 100.0, 25.0)],
    )  # fmt: skip
    found = solve(question, QUICK)
    assert found.year.tolist() == [1, 1]
    assert found.spent.tolist() == [0.0, 75.0]


@pytest.mark.parametrize("years", [1, 2, 5])
def test_merit_is_the_best_years_gain_for_the_cost(years: int) -> None:
    question = knapsack(10, 100.0, years=years)
    assert merits(question) == pytest.approx(question.gain[:, 0] / question.cost)


# ---------------------------------------------------------------------------------------------------------- plain lists


def test_a_list_is_worked_off_in_its_order_and_passes_over_what_does_not_fit() -> None:
    question = Question(np.array([6.0, 6.0, 3.0]), np.ones((3, 1)), np.array([10.0]))
    assert fill(question, np.array([0, 1, 2])).year.tolist() == [0, NEVER, 0]
    assert fill(question, np.array([2, 1, 0])).year.tolist() == [NEVER, 0, 0]


def test_a_list_fills_the_first_year_and_goes_on_to_the_next() -> None:
    question = Question(np.full(4, 5.0), np.ones((4, 2)), np.array([10.0, 10.0]))
    assert fill(question, np.arange(4)).year.tolist() == [0, 0, 1, 1]


def test_a_list_knows_that_a_shared_road_is_paid_once() -> None:
    question = Question(np.full(2, 10.0), np.ones((2, 1)), np.array([15.0]), [Trench((0, 1), 50.0, 5.0)])
    assert fill(question, np.arange(2)).year.tolist() == [0, 0]


def test_a_list_keeps_the_order_of_works_that_is_asked_for() -> None:
    question = Question(np.full(2, 5.0), np.ones((2, 2)), np.array([5.0, 5.0]), before=[(0, 1)])
    assert fill(question, np.array([1, 0])).year.tolist() == [0, NEVER]
    assert fill(question, np.array([0, 1])).year.tolist() == [0, 1]


def test_a_choice_that_stands_is_added_to_and_not_changed() -> None:
    question = Question(np.full(3, 5.0), np.ones((3, 1)), np.array([10.0]))
    start = np.array([NEVER, NEVER, 0])
    assert fill(question, np.array([0, 1, 2]), start).year.tolist() == [0, NEVER, 0]
    assert start.tolist() == [NEVER, NEVER, 0]


def test_a_work_is_tried_in_the_year_that_is_named_for_it() -> None:
    question = Question(np.full(2, 5.0), np.ones((2, 2)), np.array([10.0, 10.0]))
    assert fill(question, np.arange(2), first=np.array([1, 0])).year.tolist() == [1, 0]


# ---------------------------------------------------------------------------------------------------------- sensitivity


def test_no_scenarios_are_no_sensitivity() -> None:
    question = knapsack(10, 60.0)
    found = sensitivity(question, solve(question, QUICK), 0, QUICK, silent)
    assert found.scenarios == 0
    assert len(found.share) == 0


def test_a_work_far_better_than_all_others_is_sure_and_one_far_worse_is_never_chosen() -> None:
    cost = np.full(12, 10.0)
    gain = np.array([500.0, *[12.0] * 10, 0.01])[:, None]
    question = Question(cost, gain, np.array([60.0]))
    found = sensitivity(question, solve(question, QUICK), 12, QUICK, silent)
    assert found.share[0] == 1.0
    assert found.share[-1] <= 0.1
    assert 0.0 < found.share[1:-1].mean() < 1.0


def test_more_scenarios_begin_with_the_same_ones() -> None:
    question = knapsack(12, 80.0)
    choice = solve(question, QUICK)
    few = sensitivity(question, choice, 4, QUICK, silent)
    again = sensitivity(question, choice, 4, QUICK, silent)
    assert (few.share == again.share).all()
    assert set(np.round(few.share * 4, 9)) <= {0.0, 1.0, 2.0, 3.0, 4.0}


def test_progress_is_told_from_none_to_nearly_all() -> None:
    question = knapsack(12, 80.0)
    told: list[float] = []
    sensitivity(question, solve(question, QUICK), 5, QUICK, lambda share, _: told.append(share))
    assert told == [0.0, 0.2, 0.4, 0.6, 0.8]


def test_the_solver_says_what_it_is_at() -> None:
    told: list[str] = []
    solve(knapsack(60, 300.0, years=3), QUICK, progress=lambda _, message: told.append(message))
    assert told[0].startswith("bounding")
    assert any(message.startswith("choosing among") for message in told)


def test_a_question_with_other_budgets_is_another_question() -> None:
    question = knapsack(30, 100.0)
    gains = [solve(replace(question, budgets=np.array([money])), QUICK).gain for money in (0.0, 20.0, 80.0, 300.0, 1e5)]
    assert gains == sorted(gains)
    assert gains[0] == 0.0
    assert gains[-1] == pytest.approx(question.gain.sum())
