"""The best choice of works: a linear relaxation by HiGHS that bounds it, and CP-SAT on what the bound leaves open.

A knapsack over several years with interactions. With x[w, y] = 1 where work w is done in year y, and u[t, y] = 1 where
anything of trench t is,

    maximise   sum gain[w, y] x[w, y]
    such that  sum over y of x[w, y] <= 1                                             for each work
               sum (cost[w] - shared[w]) x[w, y] + sum surface[t] u[t, y] <= budget   for each year, with what was left
               u[t, y] >= x[w, y]                                                     for each work w of trench t
               sum over y' <= y of x[a, y'] >= sum over y' <= y of x[b, y']           for a before b

where shared[w] is what the roads of w's trenches cost. The relaxation gives an upper bound U and reduced costs r; a
plain order, or the relaxation rounded, gives a lower bound L. Where U - r[w, y] < L no better choice has x[w, y] = 1,
and it is left out (reduced-cost fixing; Dantzig, Fulkerson and Johnson 1954): a city's question becomes a small one.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeline.errors import ConfigurationError
from lifeline.planning import Progress
from lifeline.planning.budget import NEVER, Choice, Ints, Question, choice_of, fill
from lifeline.planning.segments import Floats

ENOUGH_GAP = 1e-4
_TOO_DEAR = 1e3
"""What costs so many times all the money is as impossible as what costs more."""
_WORK_PER_S = 0.25
"""CP-SAT's deterministic time in a second of one processor, as measured here."""
_WORTH_UNITS, _MONEY_UNITS, _SLACK = 10**8, 10**10, 9
"""Gain is counted in whole units of 1e-8 of the bound, money in units of 1e-10 of all there is. Costs are rounded up;
nine units of grace, less than ``affordable`` allows, let works that fit exactly still fit."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to try. ``seconds`` are counted in CP-SAT's deterministic time, not by the clock: the same run, the same
    answer, on a slow machine too."""

    seconds: float = 20.0
    gap: float = ENOUGH_GAP
    seed: int = 1


DEFAULT = Effort()


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Upper bound of the gain, and by how much it falls (w, Y) where a work is forced into a year."""

    bound: float
    reduced: Floats
    share: Floats
    """(w, Y) of each work in each year that the relaxation takes."""


def merits(question: Question) -> Floats:
    """Gain per cost (w,) of doing each work at once."""
    return np.asarray(question.gain.max(axis=1, initial=0.0) / np.maximum(question.cost, 1e-9), dtype=np.float64)


def best_first(question: Question) -> Choice:
    """Best gain per cost first, as long as there is gain."""
    merit = merits(question)
    order = np.argsort(-merit, kind="stable")
    return fill(question, order[merit[order] > 0])


def solve(
    question: Question, effort: Effort = DEFAULT, starts: tuple[Choice, ...] = (), progress: Progress | None = None
) -> Choice:
    """The best choice found, never worse than any of ``starts`` or best first, with a bound on what is possible."""
    began = time.monotonic()
    tell = progress or _silent
    start = max((best_first(question), *starts), key=lambda choice: choice.gain)
    tell(0.1, "bounding what the money can gain")
    relaxed = _relax(question)
    start = max(start, _rounded(question, relaxed), key=lambda choice: choice.gain)
    payable = question.cost - shared(question) <= question.budgets.sum() * (1 + 1e-9)
    worth = (question.gain > 0) | _opens_the_way(question)[:, None]
    open_ = (relaxed.bound - relaxed.reduced >= start.gain) & worth & payable[:, None]
    bound, best = max(relaxed.bound, start.gain), start
    if open_.any() and start.gain < bound * (1 - effort.gap):
        tell(0.3, f"choosing among {int(open_.any(axis=1).sum())} works")
        found, proven = _search(question, open_, start, bound, effort)
        bound = min(bound, max(proven, found.gain, start.gain))
        best = max(start, found, key=lambda choice: choice.gain)
    order = np.argsort(-merits(question), kind="stable")
    topped = fill(question, order[question.gain[order].max(axis=1, initial=0.0) > 0], best.year)
    best = topped if topped.gain > best.gain else best
    detail = {"works": len(question.cost), "open": int(open_.any(axis=1).sum()), "relaxed": relaxed.bound}
    return replace(best, bound=max(bound, best.gain), seconds=time.monotonic() - began, detail=detail)


def _opens_the_way(question: Question) -> NDArray[np.bool_]:
    """Which works (w,) must be done before one that gains: worth their cost even where they gain nothing themselves."""
    gains = question.gain.max(axis=1, initial=0.0) > 0
    opens = np.zeros(len(question.cost), dtype=np.bool_)
    found = -1
    while found != (found := int(opens.sum())):
        for first, then in question.before:
            opens[first] |= gains[then] or opens[then]
    return opens


def _silent(share: float, message: str) -> None:
    """Nobody waits to be told."""


def _relax(question: Question) -> Relaxation:
    """The linear relaxation, by HiGHS."""
    from scipy.optimize import linprog

    w, years = question.gain.shape
    n_trench = len(question.trenches)
    rows, limits = _constraints(question)
    objective = -np.concatenate([question.gain.ravel(), np.zeros(n_trench * years)])
    scale = max(float(np.abs(objective).max(initial=0.0)), 1e-12)
    found = linprog(objective / scale, A_ub=rows, b_ub=limits, bounds=(0, 1), method="highs")
    if found.status != 0:
        raise ConfigurationError(f"the plan cannot be bounded: {found.message}")
    reduced = np.maximum(found.lower.marginals[: w * years], 0.0).reshape(w, years) * scale
    return Relaxation(-float(found.fun) * scale, reduced, found.x[: w * years].reshape(w, years))


def _rounded(question: Question, relaxed: Relaxation) -> Choice:
    """What the relaxation takes, most of it first and in its years, then what still fits by gain per cost."""
    taken = relaxed.share.sum(axis=1)
    order = np.lexsort((-merits(question), -np.round(taken, 6)))
    gains = question.gain.max(axis=1, initial=0.0) > 0
    return fill(question, order[gains[order]], first=relaxed.share.argmax(axis=1))


def _constraints(question: Question) -> tuple[Any, Floats]:
    """Rows (sparse) and limits of A z <= b with z = (x by work and year, u by trench and year); money in budgets."""
    from scipy.sparse import csr_array

    w, years = question.gain.shape
    money = max(float(question.budgets.sum()), 1e-9)
    row: list[Ints] = []
    column: list[Ints] = []
    value: list[Floats] = []
    limits: list[Floats] = []
    count = 0

    def add(rows: Ints, columns: Ints, values: Floats, limit: Floats) -> None:
        nonlocal count
        row.append(rows + count)
        column.append(columns)
        value.append(values)
        limits.append(limit)
        count += len(limit)

    x = np.arange(w * years)
    add(x // years, x, np.ones(len(x)), np.ones(w))
    add(*_money_rows(question, money))
    for t, trench in enumerate(question.trenches):
        members = np.repeat(np.array(trench.works), years) * years + np.tile(np.arange(years), len(trench.works))
        u = w * years + t * years + np.tile(np.arange(years), len(trench.works))
        rows = np.arange(len(members))
        add(np.tile(rows, 2), np.concatenate([members, u]), np.repeat([1.0, -1.0], len(rows)), np.zeros(len(rows)))
    for first, then in question.before:
        for year in range(years):
            done = np.arange(year + 1)
            columns = np.concatenate([then * years + done, first * years + done])
            add(np.zeros(len(columns), dtype=np.int64), columns, np.repeat([1.0, -1.0], year + 1), np.zeros(1))
    shape = (count, (w + len(question.trenches)) * years)
    rows_of = csr_array((np.concatenate(value), (np.concatenate(row), np.concatenate(column))), shape=shape)
    return rows_of, np.concatenate(limits)


def _money_rows(question: Question, money: float) -> tuple[Ints, Ints, Floats, Floats]:
    years = question.years
    own = np.concatenate([question.cost - shared(question), [each.surface for each in question.trenches]]) / money
    own = np.minimum(own, _TOO_DEAR)  # a relaxation all the same, and one that HiGHS can scale
    rows, columns, values = [], [], []
    for year in range(years):
        spent_in = np.arange(year + 1) if question.carry_over else np.array([year])
        for each in spent_in:
            rows.append(np.full(len(own), year))
            columns.append(np.arange(len(own)) * years + each)
            values.append(own)
    limits = (np.cumsum(question.budgets) if question.carry_over else question.budgets) / money
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values), limits


def shared(question: Question) -> Floats:
    """Money (w,) that the roads of each work's trenches cost: paid by the trench, not by the work."""
    found = np.zeros(len(question.cost))
    for trench in question.trenches:
        found[list(trench.works)] += trench.surface
    return found


def _search(question: Question, open_: Any, start: Choice, bound: float, effort: Effort) -> tuple[Choice, float]:
    """CP-SAT over the variables that are open; the choice and the bound that it proves."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    unit, worth = max(float(question.budgets.sum()), 1e-9) / _MONEY_UNITS, _WORTH_UNITS / bound
    x = {(int(w), int(y)): model.new_bool_var(f"x{w}_{y}") for w, y in zip(*np.nonzero(open_), strict=True)}
    by_work: dict[int, list[Any]] = {}
    for (work, _), variable in x.items():
        by_work.setdefault(work, []).append(variable)
    for variables in by_work.values():
        model.add_at_most_one(variables)
    _add_money(model, question, x, unit, start)
    for first, then in question.before:
        for year in range(question.years):
            done = [[x[w, y] for y in range(year + 1) if (w, y) in x] for w in (first, then)]
            model.add(sum(done[0]) >= sum(done[1]))
    gains = [int(question.gain[key] * worth) for key in x]
    model.maximize(cp_model.LinearExpr.weighted_sum(list(x.values()), gains))
    for (work, year), variable in x.items():
        model.add_hint(variable, int(start.year[work]) == year)
    solver = cp_model.CpSolver()
    solver.parameters.max_deterministic_time = effort.seconds * _WORK_PER_S
    solver.parameters.max_time_in_seconds = effort.seconds * 20
    solver.parameters.relative_gap_limit = effort.gap
    solver.parameters.random_seed = effort.seed
    solver.parameters.linearization_level = 2  # three quarters of the gap are the relaxation's
    solver.parameters.num_workers = 1  # several race each other: another run, another answer
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return start, float("inf")  # the time was too short to find or to prove anything
    chosen = np.full(len(question.cost), NEVER, dtype=np.int64)
    for (work, when), variable in x.items():
        if solver.value(variable):
            chosen[work] = when
    proven = (solver.best_objective_bound + len(x)) / worth  # each gain was rounded down by less than a unit
    return choice_of(question, chosen), proven


def _add_money(model: Any, question: Question, x: dict[tuple[int, int], Any], unit: float, start: Choice) -> None:
    """Each year's budget, costs rounded up; a trench's road is paid where anything of it is done."""
    paid = np.ceil((question.cost - shared(question)) / unit).astype(np.int64).tolist()
    spent: list[list[tuple[Any, int]]] = [[] for _ in range(question.years)]
    for (work, year), variable in x.items():
        spent[year].append((variable, paid[work]))
    for number, trench in enumerate(question.trenches):
        for year in range(question.years):
            members = [x[work, year] for work in trench.works if (work, year) in x]
            if members:
                used = model.new_bool_var(f"u{number}_{year}")
                model.add_hint(used, any(start.year[work] == year for work in trench.works))
                for member in members:
                    model.add_implication(member, used)
                spent[year].append((used, int(np.ceil(trench.surface / unit))))
    left = np.floor((np.cumsum(question.budgets) if question.carry_over else question.budgets) / unit)
    for year in range(question.years):
        years = range(year + 1) if question.carry_over else (year,)
        terms = [term for each in years for term in spent[each]]
        model.add(sum(variable * money for variable, money in terms) <= int(left[year]) + _SLACK)
