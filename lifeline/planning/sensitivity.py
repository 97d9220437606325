"""Which choices stay when costs and failure rates are not what was assumed.

The first four scenarios are the corners: all costs 20 % up, all down, all rates up, all down. In the others each work's
cost and rate has a factor of its own between 0.8 and 1.2: what a tender, or a wrong material in the records, may do.
They are drawn by a seeded generator, so that a plan that is computed again is the same.
"""

from dataclasses import dataclass, replace

import numpy as np

from lifeline.planning import Progress
from lifeline.planning.budget import NEVER, Choice, Question
from lifeline.planning.segments import Floats
from lifeline.planning.solver import Effort, solve
from lifeline.planning.trenches import Trench

SPREAD = 0.2
SURE = 0.9
"""A work that is chosen in so many of the scenarios stays whatever happens."""
_GAP = 2e-3


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """``share`` (w,) of scenarios in which a work is chosen; ``kept``: the share of the money in works that stay."""

    scenarios: int
    share: Floats
    kept: float


def sensitivity(question: Question, choice: Choice, scenarios: int, effort: Effort, progress: Progress) -> Sensitivity:
    """Solve the question again with other costs and rates; give how often each work is chosen."""
    chosen = choice.year != NEVER
    if scenarios == 0:
        return Sensitivity(0, np.empty(0), 0.0)
    quick = replace(effort, seconds=max(0.5, effort.seconds / 10.0), gap=max(effort.gap, _GAP))
    random = np.random.default_rng(effort.seed)
    count = np.zeros(len(question.cost))
    for number in range(scenarios):
        progress(number / scenarios, "trying other costs and rates")
        cost, rate = _factors(number, random, len(question.cost))
        count += solve(_other(question, cost, rate), quick).year != NEVER
    share = count / scenarios
    money = float(question.cost[chosen].sum())
    kept = float(question.cost[chosen & (share >= SURE)].sum()) / money if money else 0.0
    return Sensitivity(scenarios, share, kept)


def _factors(number: int, random: np.random.Generator, works: int) -> tuple[Floats, Floats]:
    corners = ((1 + SPREAD, 1.0), (1 - SPREAD, 1.0), (1.0, 1 + SPREAD), (1.0, 1 - SPREAD))
    if number < len(corners):
        cost, rate = corners[number]
        return np.full(works, cost), np.full(works, rate)
    low, high = 1 - SPREAD, 1 + SPREAD
    return random.uniform(low, high, works), random.uniform(low, high, works)


def _other(question: Question, cost: Floats, rate: Floats) -> Question:
    trenches = [
        Trench(each.works, each.length_m, each.surface * float(cost[list(each.works)].min()))
        for each in question.trenches
    ]
    return replace(question, cost=question.cost * cost, gain=question.gain * rate[:, None], trenches=trenches)
