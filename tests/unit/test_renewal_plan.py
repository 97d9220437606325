"""Renewal plans: works, costs, gain, the choice for the money, and what must hold of any of them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.errors import ConfigurationError
from lifeline.model import Asset, AssetKind, RoadClass
from lifeline.planning.budget import NEVER, Question, choice_of, fill
from lifeline.planning.cost import load_costs
from lifeline.planning.documents import COLUMNS, feature_collection, summary, table, works_of
from lifeline.planning.gain import Horizon, outlook
from lifeline.planning.plan import OLDEST, WORST, Plan, Request, make_plan
from lifeline.planning.segments import Known, segments_of
from lifeline.planning.solver import Effort, best_first, solve
from lifeline.planning.trenches import Trench, find_trenches
from lifeline.planning.works import group

YEAR = 2026
DEGREE_M = 111_195.0
"""Metres of a degree at the equator, where these towns lie."""
QUICK = Effort(seconds=0.4)


def pipe(name: str, x: float, y: float, length: float = 100.0, network: str = "water", **more: object) -> Asset:
    """A pipe eastward from (x, y) in metres."""
    line = [[x / DEGREE_M, y / DEGREE_M], [(x + length) / DEGREE_M, y / DEGREE_M]]
    values: dict[str, object] = {"material": "grey_cast_iron", "diameter_mm": 200.0, "install_year": 1975, **more}
    geometry = {"type": "LineString", "coordinates": line}
    return Asset(name, network, AssetKind.PIPE, geometry, length_m=length, **values)  # type: ignore[arg-type]


def street(count: int, y: float = 0.0, network: str = "water", **more: object) -> list[Asset]:
    return [pipe(f"{network[0]}{y:g}-{k}", 100.0 * k, y, network=network, **more) for k in range(count)]


def silent(share: float, message: str) -> None:
    """Nobody waits."""


def town(seed: int = 3, rows: int = 7, columns: int = 6) -> list[Asset]:
    random = np.random.default_rng(seed)
    materials = ("grey_cast_iron", "ductile_iron", "pe", "steel")
    return [
        pipe(
            f"{network[0]}-{row}-{column}", 100.0 * column, 150.0 * row + offset, network=network,
            material=str(random.choice(materials)), install_year=int(random.integers(1960, 2020)),
            diameter_mm=float(random.choice([100, 200, 400])), customers=int(random.integers(0, 3000)),
            street=f"road {row}", road_class=RoadClass.STREET,
        )
        for network, offset in (("water", 0.0), ("gas", 5.0))
        for row in range(rows)
        for column in range(columns)
    ]  # fmt: skip


def plan_of(assets: Sequence[Asset], *budgets: float, **more: object) -> Plan:
    request = Request(budgets=budgets, effort=QUICK, **{"scenarios": 0, **more})  # type: ignore[arg-type]
    return make_plan(segments_of(assets, YEAR), load_costs(), request, silent)


# ---------------------------------------------------------------------------------------------------------------- works


def test_a_work_is_contiguous_in_one_street_and_no_longer_than_allowed() -> None:
    segments = segments_of([*street(9, street="High St"), *street(3, 500.0, street="Low St")], YEAR)
    works = group(segments, np.ones(len(segments)), longest_m=400.0)
    assert sorted(pipe for work in works for pipe in work) == list(range(12))
    for work in works:
        assert len({segments.street[each] for each in work}) == 1
        assert segments.length_m[work].sum() <= 400.0
        assert work == list(range(min(work), max(work) + 1))


def test_a_pipe_that_is_longer_than_a_work_may_be_is_a_work_of_its_own() -> None:
    segments = segments_of([pipe("a", 0, 0, 900.0), pipe("b", 900, 0)], YEAR)
    assert sorted(group(segments, np.ones(2), longest_m=500.0)) == [[0], [1]]


def test_a_bad_pipe_does_not_drag_good_neighbours_along() -> None:
    segments = segments_of(street(3), YEAR)
    assert sorted(group(segments, np.array([1.0, 0.1, 0.9]))) == [[0], [1], [2]]


def test_networks_never_share_a_work_and_share_a_trench_where_they_lie_side_by_side() -> None:
    assets = [*street(2), *street(2, 6.0, "gas"), *street(2, 400.0, "gas")]
    segments = segments_of(assets, YEAR)
    works = group(segments, np.ones(len(segments)))
    assert all(len({segments.network[each] for each in work}) == 1 for work in works)
    surface = np.full(len(segments), 100.0 * 700.0)
    [trench] = find_trenches(segments, works, surface, width_m=10.0)
    assert {segments.network[works[work][0]] for work in trench.works} == {"water", "gas"}
    assert trench.length_m == pytest.approx(200.0, rel=0.05)
    assert trench.surface == pytest.approx(200.0 * 700.0, rel=0.05)


def test_pipes_that_only_cross_share_no_trench() -> None:
    across = pipe("x", 50, 0, network="gas")
    north = replace(across, geometry={"type": "LineString", "coordinates": [[0.0005, -0.001], [0.0005, 0.001]]})
    segments = segments_of([pipe("a", 0, 0, 200.0), north], YEAR)
    assert find_trenches(segments, [[0], [1]], np.full(2, 1e4), 10.0) == []


def test_three_networks_in_a_street_pay_the_road_once_and_not_less() -> None:
    assets = [*street(1), *street(1, 4.0, "gas"), *street(1, 8.0, "drainage")]
    segments = segments_of(assets, YEAR)
    surface = np.full(3, 700.0 * 100.0)
    trenches = find_trenches(segments, [[0], [1], [2]], surface, 10.0)
    question = Question(np.full(3, 2e5), np.ones((3, 1)), np.array([1e9]), trenches)
    together = question.spending(np.zeros(3, dtype=np.int64))[0]
    assert together == pytest.approx(3 * 2e5 - 2 * 700.0 * 100.0, rel=0.02)


# ---------------------------------------------------------------------------------------------------------------- costs


def test_a_wider_deeper_pipe_under_a_greater_road_costs_more() -> None:
    costs = load_costs()
    plain = segments_of([pipe("a", 0, 0, road_class=RoadClass.LANE)], YEAR)
    for more in ({"diameter_mm": 800.0}, {"depth_m": 4.0}, {"material": "asbestos_cement"}):
        other = segments_of([pipe("a", 0, 0, **{"road_class": RoadClass.LANE, **more})], YEAR)
        assert costs.laying(other)[0] > costs.laying(plain)[0]
    trunk = segments_of([pipe("a", 0, 0, road_class=RoadClass.TRUNK)], YEAR)
    assert costs.surfacing(trunk)[0] > costs.surfacing(plain)[0]
    assert costs.surfacing(plain)[0] == pytest.approx(400.0 * 100.0)


def test_an_own_table_replaces_just_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text('currency = "EUR"\n[surface]\nlane = 90\n')
    costs = load_costs(file)
    assert (costs.currency, costs.surface["lane"], costs.surface["trunk"]) == ("EUR", 90.0, 1500.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[surfaces]\nlane = 1", r"there is no \[surfaces\]"),
        ("[surface]\nalley = 1", r"\[surface\] knows no 'alley'"),
        ("[surface]\nlane = -1", r"\[surface\] lane must be a number, 0 or more"),
        ('[work]\nmobilisation = "much"', "mobilisation must be a number"),
        ("[supply]\npe = [[100, 1]]", r"\[supply\] pe must be two or more pairs"),
        ("[supply]\npe = [[200, 1], [100, 2]]", "diameters ascending"),
        ("[failure]\nfactor = 0.5", "factor must be 1 or more"),
        ("surface = 3", "surface must be a table"),
        ("[surface", "ours.toml"),
    ],
)
def test_a_mistake_in_a_table_is_told_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_costs(file)


# ----------------------------------------------------------------------------------------------------------------- gain


def test_gain_is_what_failures_cost_less_and_falls_with_every_year_of_waiting() -> None:
    segments = segments_of([pipe("old", 0, 0), pipe("new", 500, 0, material="pe", install_year=2024)], YEAR)
    horizon = Horizon(20, 0.0)
    expected = outlook(segments, load_costs(), horizon)
    gains = expected.gains(5, horizon)
    by_hand = (expected.left[0] - expected.renewed[0]).sum() * expected.failure_cost[0]
    assert gains[0, 0] == pytest.approx(by_hand)
    assert (np.diff(gains[0]) < 0).all()
    assert gains[0, 0] > 10 * abs(gains[1, 0])
    late = expected.left[0, 3:].sum() - expected.renewed[0, :17].sum()
    assert gains[0, 3] == pytest.approx(late * expected.failure_cost[0])


def test_what_a_choice_gains_is_the_loss_that_it_takes_away() -> None:
    segments = segments_of(street(4), YEAR)
    horizon = Horizon(15, 0.0)
    expected = outlook(segments, load_costs(), horizon)
    gains = expected.gains(3, horizon)
    when = np.array([0.0, 2.0, np.nan, 1.0])
    never = np.full(4, np.nan)
    saved = (expected.loss(never) - expected.loss(when)).sum()
    assert saved == pytest.approx(gains[0, 0] + gains[1, 2] + gains[3, 1])


def test_a_rate_from_breaks_on_record_sets_the_level_of_what_is_to_come() -> None:
    assets = street(2)
    plain = segments_of(assets, YEAR)
    nan = np.full(2, np.nan)
    known = segments_of(assets, YEAR, Known(nan, nan, plain.rate * np.array([1.0, 3.0])))
    left = outlook(known, load_costs(), Horizon(10)).left
    assert left[1] == pytest.approx(3 * left[0])


# ----------------------------------------------------------------------------------------------------------- the choice


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Small questions with trenches and orders of works."""
    works, years = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    money = st.floats(1.0, 100.0)
    cost = np.array(draw(st.lists(money, min_size=works, max_size=works)))
    first = np.array(draw(st.lists(st.floats(-5.0, 100.0), min_size=works, max_size=works)))
    gain = first[:, None] * 0.95 ** np.arange(years)
    trenches = []
    if works > 2 and draw(st.booleans()):
        share = min(cost[0], cost[1]) * draw(st.floats(0.05, 0.9))
        trenches.append(Trench((0, 1), 100.0, float(share)))
    before = [(works - 1, 0)] if works > 1 and draw(st.booleans()) else []
    budgets = np.array(draw(st.lists(st.floats(0.0, 150.0), min_size=years, max_size=years)))
    return Question(cost, gain, budgets, trenches, before, draw(st.booleans()))


@given(questions())
@settings(max_examples=40, deadline=None)
def test_no_plan_is_over_budget_or_worse_than_a_plain_list_or_above_its_bound(question: Question) -> None:
    order = np.argsort(-question.cost, kind="stable")
    plain = (fill(question, order), best_first(question))
    found = solve(question, QUICK, plain)
    assert question.affordable(found.spent)
    assert found.spent == pytest.approx(question.spending(found.year))
    assert found.gain == pytest.approx(question.gained(found.year))
    assert all(found.gain >= each.gain - 1e-9 for each in plain)
    assert found.gain <= found.bound * (1 + 1e-6) + 1e-6
    for first, then in question.before:
        assert found.year[then] == NEVER or NEVER < found.year[first] <= found.year[then]


@given(questions(), st.floats(0.0, 80.0))
@settings(max_examples=40, deadline=None)
def test_more_money_never_gains_less(question: Question, more: float) -> None:
    poor = solve(question, QUICK)
    rich = solve(replace(question, budgets=question.budgets + more), QUICK)
    assert rich.gain >= poor.gain * (1 - rich.gap) - 1e-3 * max(1.0, poor.gain)


@given(questions())
@settings(max_examples=40, deadline=None)
def test_small_questions_are_solved_to_the_best_there_is(question: Question) -> None:
    """By trying every choice; with no more than seven works and two years that is at most 2187."""
    if len(question.cost) > 7 or question.years > 2:
        return
    best = 0.0
    for code in range((question.years + 1) ** len(question.cost)):
        year = np.array(
            [code // (question.years + 1) ** k % (question.years + 1) - 1 for k in range(len(question.cost))]
        )
        ordered = all(year[then] == NEVER or NEVER < year[first] <= year[then] for first, then in question.before)
        if ordered and question.affordable(question.spending(year)):
            best = max(best, question.gained(year))
    assert solve(question, QUICK).gain == pytest.approx(best, rel=2e-4, abs=1e-6)


def test_a_work_that_gains_nothing_is_done_where_one_that_gains_must_wait_for_it() -> None:
    chain = [(1, 0), (2, 1)]  # 2 before 1 before 0, and only 0 gains
    question = Question(np.ones(4), np.array([[9.0], [0.0], [-1.0], [0.0]]), np.array([4.0]), [], chain)
    found = solve(question, QUICK)
    assert found.year.tolist() == [0, 0, 0, NEVER]
    assert found.gain == pytest.approx(8.0)


def test_the_solver_takes_two_that_share_a_road_where_each_alone_is_too_dear() -> None:
    trench = Trench((0, 1), 100.0, 40.0)
    question = Question(np.array([60.0, 60.0, 80.0]), np.array([[50.0], [50.0], [70.0]]), np.array([80.0]), [trench])
    found = solve(question, QUICK)
    assert found.year.tolist() == [0, 0, NEVER]
    assert found.spent[0] == pytest.approx(80.0)


def test_what_a_year_leaves_is_spent_later_only_where_that_is_allowed() -> None:
    cost, gain = np.array([15.0]), np.array([[9.0, 8.0]])
    carried = solve(Question(cost, gain, np.array([10.0, 10.0])), QUICK)
    assert carried.year.tolist() == [1]
    assert solve(Question(cost, gain, np.array([10.0, 10.0]), carry_over=False), QUICK).year.tolist() == [NEVER]


def test_no_money_is_no_plan_and_not_an_error() -> None:
    plan = plan_of(street(3), 0.0, 0.0)
    assert (plan.choice.year == NEVER).all()
    assert plan.ratio(OLDEST) == float("inf")


@pytest.mark.parametrize("budget", [-1.0, float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(budget: float) -> None:
    with pytest.raises(ConfigurationError, match="budget"):
        Question(np.ones(1), np.ones((1, 1)), np.array([budget]))


# ------------------------------------------------------------------------------------------------------------- the plan


def test_the_plan_beats_oldest_first_and_worst_first_and_says_by_how_much() -> None:
    plan = plan_of(town(), 2e6, 2e6, 2e6)
    figures = summary(plan, 2027)
    for name in (OLDEST, WORST):
        assert figures["ratio"][name] > 1.0
        assert figures["plan"]["gain"] / figures[name]["gain"] == pytest.approx(figures["ratio"][name])
        assert figures[name]["cost"] <= 6e6 + 1
    assert figures["plan"]["cost"] <= 6e6 + 1
    assert 0 <= figures["plan"]["gap"] < 0.05
    assert sum(figures["loss_by_year"]["plan"]) < sum(figures["loss_by_year"]["nothing"])


def test_the_same_plan_is_the_same_plan() -> None:
    one, other = (plan_of(town(3, 4), 2e6, 1e6, scenarios=3) for _ in range(2))
    assert (one.choice.year == other.choice.year).all()
    assert (one.sensitivity.share == other.sensitivity.share).all()


def test_sensitivity_tells_sure_works_from_doubtful_ones() -> None:
    plan = plan_of(town(), 3e6, scenarios=10)
    chosen = plan.choice.year != NEVER
    assert plan.sensitivity.share[chosen].mean() > plan.sensitivity.share[~chosen].mean() + 0.3
    assert 0.0 < plan.sensitivity.kept <= 1.0
    assert ((plan.sensitivity.share >= 0) & (plan.sensitivity.share <= 1)).all()


def test_an_order_of_works_is_kept_and_one_that_contradicts_itself_refused() -> None:
    assets = [*street(3, street="a"), *street(3, 300.0, street="b", install_year=2022, material="pe", customers=0)]
    young, old = "w300-0", "w0-0"
    plan = plan_of(assets, 1e6, 1e6, before=[(young, old)])
    numbers = {name: k for k, name in enumerate(plan.segments.external_id)}
    year = plan.renewal_year(plan.choice)
    assert np.isnan(year[numbers[old]]) or year[numbers[young]] <= year[numbers[old]]
    with pytest.raises(ConfigurationError, match="before the other"):
        plan_of(assets, 1e6, before=[(young, old), (old, young)])
    with pytest.raises(ConfigurationError, match="'nobody'"):
        plan_of(assets, 1e6, before=[("nobody", old)])


def test_works_that_are_too_short_are_no_candidates() -> None:
    assets = [*street(4, street="long"), pipe("stub", 0, 900, 20.0)]
    assert len(plan_of(assets, 1e6, shortest_m=50.0).works) == 1
    with pytest.raises(ConfigurationError, match="no work is 9999 m long"):
        plan_of(assets, 1e6, shortest_m=9999.0, longest_m=9999.0)


def test_nothing_to_renew_is_told() -> None:
    with pytest.raises(ConfigurationError, match="there is no pipe to renew"):
        plan_of([], 1e6)


def test_files_carry_every_work_with_its_pipes_and_lines() -> None:
    plan = plan_of(town(), 2e6, 2e6)
    works = works_of(plan, 2027)
    collection = feature_collection(works, summary(plan, 2027))
    rows = list(csv.DictReader(io.StringIO(table(works))))
    assert len(works) == len(rows) == len(collection["features"]) == int((plan.choice.year != NEVER).sum())
    assert tuple(rows[0]) == COLUMNS
    assert {row["year"] for row in rows} <= {"2027", "2028"}
    assert [work["work"] for work in works] == list(range(1, len(works) + 1))
    for work, feature in zip(works, collection["features"], strict=True):
        assert len(feature["geometry"]["coordinates"]) == len(work["assets"]) == work["pipes"]
    assert sum(work["gain"] for work in works) == pytest.approx(plan.choice.gain, rel=1e-6)
    avoided = sum(work["failures_avoided"] for work in works)
    assert avoided == pytest.approx(summary(plan, 2027)["failures_avoided"], abs=0.01 * len(works))


def test_a_name_that_a_spreadsheet_takes_for_a_formula_stays_a_name() -> None:
    plan = plan_of([pipe("a", 0, 0, street="=cmd()"), pipe("b", 100, 0, street="=cmd()")], 1e7)
    assert "'=cmd()" in table(works_of(plan, 2027))


def test_choosing_a_year_beyond_the_last_costs_and_gains_nothing_by_mistake() -> None:
    question = Question(np.array([5.0]), np.array([[3.0, 2.0]]), np.array([5.0, 5.0]))
    assert choice_of(question, np.array([NEVER])).spent.tolist() == [0.0, 0.0]
    assert choice_of(question, np.array([1])).gain == 2.0
