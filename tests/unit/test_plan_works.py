"""Works of any town: every pipe in one, all of a work joined, none longer than allowed; and plans of any town hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.model import Asset
from lifeline.planning.budget import NEVER
from lifeline.planning.plan import OLDEST, WORST
from lifeline.planning.segments import Segments, segments_of
from lifeline.planning.works import ALIKE, group
from tests.unit.test_renewal_plan import YEAR, pipe, plan_of, town


@st.composite
def towns(draw: st.DrawFn) -> list[Asset]:
    """Up to 24 pipes between named nodes, in two networks and three streets or none."""
    count = draw(st.integers(1, 24))
    found = []
    for number in range(count):
        ends = draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
        network = draw(st.sampled_from(["water", "gas"]))
        made = pipe(
            f"p{number}", 60.0 * ends[0], 40.0 * number, draw(st.floats(1.0, 400.0)), network,
            install_year=draw(st.one_of(st.none(), st.integers(1950, 2024))),
            material=draw(st.sampled_from(["pe", "steel", "grey_cast_iron", None])),
            diameter_mm=draw(st.one_of(st.none(), st.floats(25.0, 1500.0))),
            customers=draw(st.integers(0, 20_000)), street=draw(st.sampled_from([None, "a", "b", "c"])),
        )  # fmt: skip
        found.append(replace(made, from_asset=f"{network}{ends[0]}", to_asset=f"{network}{ends[1]}x"))
    return found


def joined(segments: Segments, work: list[int]) -> bool:
    """Whether one can walk along the work's pipes from the first to every other."""
    reached, left = {work[0]}, set(work[1:])
    while left:
        near = {
            other
            for other in left
            for pipe_ in reached
            if {segments.start[other], segments.end[other]} & {segments.start[pipe_], segments.end[pipe_]}
        }
        if not near:
            return False
        reached |= near
        left -= near
    return True


@given(towns(), st.floats(20.0, 800.0), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_every_pipe_is_in_one_work_that_hangs_together(assets: list[Asset], longest: float, seed: int) -> None:
    segments = segments_of(assets, YEAR)
    merit = np.random.default_rng(seed).uniform(0.1, 1.0, len(segments))
    works = group(segments, merit, longest)
    assert sorted(number for work in works for number in work) == list(range(len(segments)))
    for work in works:
        assert joined(segments, work)
        assert len({segments.network[number] for number in work}) == 1
        assert len({segments.street[number] for number in work}) == 1
        assert len(work) == 1 or segments.length_m[work].sum() <= longest
        assert merit[work].min() >= ALIKE * merit[work].max()


@given(towns())
@settings(max_examples=30, deadline=None)
def test_works_do_not_depend_on_what_is_not_asked(assets: list[Asset]) -> None:
    segments = segments_of(assets, YEAR)
    merit = np.linspace(1.0, 0.5, len(segments))
    assert group(segments, merit) == group(segments, merit * 7.0)


@given(towns(), st.floats(0.0, 2e7), st.integers(1, 4))
@settings(max_examples=8, deadline=None)
def test_any_town_can_be_planned_within_its_money(assets: list[Asset], money: float, years: int) -> None:
    plan = plan_of(assets, *[money / years] * years)
    assert plan.choice.spent.sum() <= money * (1 + 1e-9) + 1e-5
    assert all(plan.choice.gain >= each.gain - 1e-6 for each in plan.lists.values())
    assert plan.choice.gain <= plan.choice.bound * (1 + 1e-6) + 1e-6
    assert np.isfinite(plan.question.gain).all()
    assert (plan.question.cost > 0).all()


def test_a_negative_merit_makes_a_work_of_its_own_and_no_error() -> None:
    segments = segments_of(town(3, 2), YEAR)
    works = group(segments, np.full(len(segments), -1.0))
    assert sorted(number for work in works for number in work) == list(range(len(segments)))


@pytest.mark.parametrize("longest", [100.0, 250.0, 600.0])
def test_longer_works_are_fewer_works(longest: float) -> None:
    segments = segments_of(town(), YEAR)
    merit = np.ones(len(segments))
    assert len(group(segments, merit, longest)) >= len(group(segments, merit, 2 * longest))


@pytest.mark.parametrize("seed", range(5))
def test_in_town_after_town_the_plan_beats_both_lists(seed: int) -> None:
    plan = plan_of(town(seed), 1.5e6, 1.5e6)
    assert plan.ratio(OLDEST) > 1.0
    assert plan.ratio(WORST) >= 1.0
    assert (plan.choice.year != NEVER).any()


def test_the_longer_the_horizon_the_more_a_plan_is_worth() -> None:
    from lifeline.planning.gain import Horizon

    worth = [plan_of(town(3, 4), 2e6, horizon=Horizon(years)).choice.gain for years in (5, 15, 40)]
    assert worth == sorted(worth)
    assert worth[0] < worth[-1] / 3


def test_a_higher_discount_rate_makes_a_plan_worth_less() -> None:
    from lifeline.planning.gain import Horizon

    worth = [plan_of(town(3, 4), 2e6, horizon=Horizon(30, rate)).choice.gain for rate in (0.0, 0.04, 0.12)]
    assert worth == sorted(worth, reverse=True)


def test_money_spent_late_gains_less_than_the_same_money_now() -> None:
    early = plan_of(town(3, 4), 3e6, 0.0, 0.0).choice.gain
    late = plan_of(town(3, 4), 0.0, 0.0, 3e6).choice.gain
    assert early > late > 0
