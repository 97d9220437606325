"""The question that a plan answers: which work in which year for the money there is; what an answer costs and gains."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lifeline.errors import ConfigurationError
from lifeline.planning.segments import Floats
from lifeline.planning.trenches import Trench

Ints = NDArray[np.int64]

NEVER = -1


@dataclass(frozen=True, slots=True)
class Question:
    """w works over Y years. ``cost`` (w,) and ``gain`` (w, Y) are money, ``budgets`` (Y,) what each year has.

    ``carry_over``: what a year leaves may be spent later. ``before``: pairs (a, b), a is done no later than b, if b is.
    """

    cost: Floats
    gain: Floats
    budgets: Floats
    trenches: Sequence[Trench] = ()
    before: Sequence[tuple[int, int]] = ()
    carry_over: bool = True

    def __post_init__(self) -> None:
        if not len(self.budgets) or not np.isfinite(self.budgets).all() or (self.budgets < 0).any():
            raise ConfigurationError("a budget is a sum of money, 0 or more, for each of one or more years")

    @property
    def years(self) -> int:
        return len(self.budgets)

    def spending(self, year: Ints) -> Floats:
        """Money (Y,) that a choice of years (w,), NEVER for not at all, costs in each year; shared roads paid once."""
        spent = np.zeros(self.years)
        done = year != NEVER
        np.add.at(spent, year[done], self.cost[done])
        for trench in self.trenches:
            when = [int(year[work]) for work in trench.works if year[work] != NEVER]
            for each in set(when):
                spent[each] -= trench.surface * (when.count(each) - 1)
        return spent

    def affordable(self, spent: Floats) -> bool:
        """Whether the spending of each year (Y,) keeps to the budget."""
        slack = 1e-6 + 1e-9 * float(self.budgets.sum())
        if self.carry_over:
            return bool((np.cumsum(spent) <= np.cumsum(self.budgets) + slack).all())
        return bool((spent <= self.budgets + slack).all())

    def gained(self, year: Ints) -> float:
        """The gain of a choice."""
        done = np.flatnonzero(year != NEVER)
        return float(self.gain[done, year[done]].sum())


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer: the year of each work (w,), NEVER for none. ``bound``: no answer gains more (infinite: not known)."""

    year: Ints
    gain: float
    spent: Floats
    bound: float = float("inf")
    seconds: float = 0.0
    detail: dict[str, float] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """How far the gain may be below the best there is, as a share of that; 0 is proven best."""
        return max(0.0, 1.0 - self.gain / self.bound) if self.bound > 0 else 0.0


def choice_of(question: Question, year: Ints) -> Choice:
    """The choice with what it gains and costs."""
    return Choice(year, question.gained(year), question.spending(year))


def fill(question: Question, order: Ints, start: Ints | None = None, first: Ints | None = None) -> Choice:
    """Take works in this order, each in the first year whose money is still enough; leave out what does not fit.

    ``first`` (w,): a year in which each is tried before the others.
    ``start``: a choice that stands already. This is how plain lists ("oldest first") are worked off; what is left in
    the till is spent on whatever further down still fits.
    """
    year = np.full(len(question.cost), NEVER, dtype=np.int64) if start is None else start.copy()
    spent = question.spending(year)
    at: dict[int, list[Trench]] = {}
    for trench in question.trenches:
        for work in trench.works:
            at.setdefault(work, []).append(trench)
    needs: dict[int, list[int]] = {}
    for needed, then in question.before:
        needs.setdefault(then, []).append(needed)
    for work in order.tolist():
        if year[work] != NEVER:
            continue
        years = list(range(_earliest(needs.get(work, ()), year), question.years))
        if first is not None and first[work] in years:
            years.insert(0, int(first[work]))
        for when in years:
            shared = sum(each.surface for each in at.get(work, ()) if any(year[o] == when for o in each.works))
            spent[when] += question.cost[work] - shared
            if question.affordable(spent):
                year[work] = when
                break
            spent[when] -= question.cost[work] - shared
    return choice_of(question, year)


def _earliest(needed: Sequence[int], year: Ints) -> int:
    """The first year that what must be done before allows; beyond the last where it is not done at all."""
    years = [int(year[work]) for work in needed]
    return len(year) + 10_000 if NEVER in years else max(years, default=0)
