"""A renewal plan: candidates from segments, the best choice for the money, and the plain lists it has to beat. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lifeline.errors import ConfigurationError
from lifeline.planning import Progress
from lifeline.planning.budget import NEVER, Choice, Ints, Question, fill
from lifeline.planning.cost import Costs
from lifeline.planning.gain import Horizon, Outlook, outlook
from lifeline.planning.segments import Floats, Segments
from lifeline.planning.sensitivity import Sensitivity, sensitivity
from lifeline.planning.solver import Effort, solve
from lifeline.planning.trenches import find_trenches
from lifeline.planning.works import LONGEST_WORK_M, group
from lifeline.risk.deterioration import Deterioration

OLDEST, WORST = "oldest_first", "worst_first"


@dataclass(frozen=True, slots=True)
class Request:
    """What a plan is asked for. ``before``: pairs of pipes (a, b), a's work is done no later than b's, if b's is."""

    budgets: Sequence[float]
    horizon: Horizon = field(default_factory=Horizon)
    longest_m: float = LONGEST_WORK_M
    shortest_m: float = 0.0
    carry_over: bool = True
    before: Sequence[tuple[str, str]] = ()
    effort: Effort = field(default_factory=Effort)
    scenarios: int = 20

    def __post_init__(self) -> None:
        if not 1 <= len(self.budgets) <= self.horizon.years:
            raise ConfigurationError("a plan is for one year or more, and no longer than its horizon")
        if not 1 <= self.longest_m <= 100_000 or not 0 <= self.shortest_m <= self.longest_m:
            raise ConfigurationError("works are 1 m to 100 km long, and the shortest no longer than the longest")
        if not 0 <= self.scenarios <= 200:
            raise ConfigurationError("0 to 200 scenarios")


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer. ``works`` are candidates as indices of pipes; arrays (w,) are by work.

    ``choice`` is the plan, ``lists`` the plain lists for the same works and money; ``share`` (w,) is in how many of the
    scenarios of the sensitivity a work is chosen (empty where none was asked for).
    """

    request: Request
    costs: Costs
    segments: Segments
    outlook: Outlook
    works: list[list[int]]
    question: Question
    choice: Choice
    lists: Mapping[str, Choice]
    sensitivity: Sensitivity

    def ratio(self, name: str) -> float:
        """The plan's gain over that of a plain list; infinite where that gains nothing."""
        other = self.lists[name].gain
        return self.choice.gain / other if other > 0 else float("inf")

    def renewal_year(self, choice: Choice) -> Floats:
        """Year (n,) in which each pipe is renewed, NaN for never."""
        found = np.full(len(self.segments), np.nan)
        for work in np.flatnonzero(choice.year != NEVER).tolist():
            found[self.works[work]] = choice.year[work]
        return found


def make_plan(
    segments: Segments, costs: Costs, request: Request, progress: Progress, classes: Deterioration | None = None
) -> Plan:
    """Group, price, choose, compare, and shake. Raises ConfigurationError where there is nothing to plan over."""
    if not len(segments):
        raise ConfigurationError("there is no pipe to renew: the network or zone has none")
    progress(0.02, "what is to be expected of each pipe")
    expected = outlook(segments, costs, request.horizon, classes)
    gains = expected.gains(len(request.budgets), request.horizon)
    laying, surfacing = costs.laying(segments), costs.surfacing(segments)
    progress(0.1, "grouping pipes into works")
    merit = gains[:, 0] / np.maximum(laying + surfacing, 1e-9)
    works = [
        work
        for work in group(segments, merit, request.longest_m)
        if segments.length_m[work].sum() >= request.shortest_m
    ]
    if not works:
        raise ConfigurationError(f"no work is {request.shortest_m:g} m long: the shortest work is too long")
    progress(0.2, "looking for trenches that networks share")
    question = Question(
        cost=costs.work["mobilisation"] + _sums(works, laying + surfacing),
        gain=np.stack([_sums(works, column) for column in gains.T], axis=1),
        budgets=np.array(request.budgets, dtype=np.float64),
        trenches=find_trenches(segments, works, surfacing, costs.work["corridor_width_m"]),
        before=_before(request.before, segments, works),
        carry_over=request.carry_over,
    )
    lists = plain_lists(segments, works, question)
    choice = solve(question, request.effort, tuple(lists.values()), _between(progress, 0.3, 0.7))
    shaken = sensitivity(question, choice, request.scenarios, request.effort, _between(progress, 0.7, 1.0))
    return Plan(request, costs, segments, expected, works, question, choice, lists, shaken)


def plain_lists(segments: Segments, works: Sequence[Sequence[int]], question: Question) -> dict[str, Choice]:
    """What cities do without a model: the oldest pipes first, and the ones of the highest risk score first.

    By the mean over a work's length; unknown ages count as forty years. Works that no longer fit into the money are
    passed over, so that the lists spend as much of it as they can.
    """
    length = _sums(works, segments.length_m)
    age = np.nan_to_num(segments.inventory.age_years, nan=40.0)
    by_age = _sums(works, age * segments.length_m) / length
    by_score = _sums(works, segments.score * segments.length_m) / length
    return {
        OLDEST: fill(question, np.argsort(-by_age, kind="stable")),
        WORST: fill(question, np.argsort(-by_score, kind="stable")),
    }


def _sums(works: Sequence[Sequence[int]], values: Floats) -> Floats:
    """(w,) sums of pipes' values over each work."""
    starts = np.cumsum([0, *(len(work) for work in works[:-1])])
    return np.asarray(np.add.reduceat(values[np.concatenate([np.asarray(work) for work in works])], starts))


def _before(
    pairs: Sequence[tuple[str, str]], segments: Segments, works: Sequence[Sequence[int]]
) -> list[tuple[int, int]]:
    """Pairs of pipes as pairs of works. Raises ConfigurationError for a pipe that is none of the candidates'."""
    if not pairs:
        return []
    numbers = {name: pipe for pipe, name in enumerate(segments.external_id)}
    work_of = {pipe: number for number, work in enumerate(works) for pipe in work}
    found = set()
    for pair in pairs:
        for name in pair:
            if work_of.get(numbers.get(name, -1)) is None:
                raise ConfigurationError(f"the pipe {name!r} that an order of works names is no candidate")
        first, then = (work_of[numbers[name]] for name in pair)
        if first != then:
            found.add((first, then))
    if any((then, first) in found for first, then in found):
        raise ConfigurationError("two works must each be done before the other")
    return sorted(found)


def _between(progress: Progress, low: float, high: float) -> Progress:
    return lambda share, message: progress(low + (high - low) * share, message)


def years_of(choice: Choice) -> Ints:
    """Works of a choice, in the order of their years."""
    done = np.flatnonzero(choice.year != NEVER)
    return done[np.argsort(choice.year[done], kind="stable")]
