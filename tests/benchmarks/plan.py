"""Renewal plans: how much more they gain than plain lists for the same money, how near the best, how fast.

Towns: tests/renewal_towns.py says where each comes from. Money: two per cent of what renewing everything would
cost, a year, for five years. ``--long`` adds 100,000 segments.
"""

import resource
import sys
import time

import numpy as np

from lifeline.model import Asset
from lifeline.planning.cost import load_costs
from lifeline.planning.plan import OLDEST, WORST, Plan, Request, make_plan
from lifeline.planning.segments import segments_of
from lifeline.planning.solver import Effort, best_first
from tests.benchmarks.report import Row, print_rows
from tests.renewal_towns import TOWNS, grid

YEAR, YEARS, SHARE = 2026, 5, 0.02
LIMIT_S = {1_000: 60.0, 10_000: 120.0, 30_000: 240.0, 100_000: 600.0}


def silent(share: float, message: str) -> None:
    """Nobody waits."""


def planned(assets: list[Asset], seconds: float = 20.0) -> tuple[Plan, float]:
    """A plan for the standard money, and how long it took."""
    began = time.perf_counter()
    segments = segments_of(assets, YEAR)
    costs = load_costs()
    money = SHARE * float((costs.laying(segments) + costs.surfacing(segments)).sum())
    plan = make_plan(segments, costs, Request([money] * YEARS, effort=Effort(seconds), scenarios=0), silent)
    return plan, time.perf_counter() - began


def rows_of(town: str, assets: list[Asset]) -> list[Row]:
    """Ratio to each list, gap and time of one town."""
    plan, seconds = planned(assets)
    greedy = best_first(plan.question).gain
    what = (
        f"{town}: {len(plan.segments):,} pipes, {plan.segments.length_m.sum() / 1000:.0f} km, {len(plan.works):,} works"
    )
    rows = [
        Row(f"{what}; gain", plan.choice.gain / 1e6, "million", label, plan.ratio(name), "> 1", plan.ratio(name) > 1)
        for name, label in ((OLDEST, "oldest first"), (WORST, "worst first"))
    ]
    rows.append(
        Row(f"{town}; gain", plan.choice.gain / 1e6, "million", "best gain per cost first", plan.choice.gain / greedy)
    )
    rows.append(
        Row(f"{town}; gap to the bound", 100 * plan.choice.gap, "%", limit="<= 1 %", ok=plan.choice.gap <= 0.01)
    )
    rows.append(Row(f"{town}; time", seconds, "s"))
    return rows


def growth(sizes: list[int]) -> list[Row]:
    """Time, memory and gap by the number of segments."""
    rows = []
    for size in sizes:
        plan, seconds = planned(grid(size), seconds=20.0)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        detail = plan.choice.detail
        what = (
            f"{len(plan.segments):,} segments, {len(plan.works):,} works, {len(plan.question.trenches):,} shared roads"
        )
        limit = LIMIT_S[size]
        rows.append(Row(f"{what}; time", seconds, "s", limit=f"<= {limit:.0f} s", ok=seconds <= limit))
        rows.append(Row(f"{len(plan.segments):,}; works that the bound leaves open", detail["open"], "works"))
        rows.append(
            Row(f"{len(plan.segments):,}; gap", 100 * plan.choice.gap, "%", limit="<= 1 %", ok=plan.choice.gap <= 0.01)
        )
        rows.append(Row(f"{len(plan.segments):,}; memory of the process", memory, "MB"))
    return rows


def more_money() -> list[Row]:
    """The ratio by how much money there is, in the town of the demo."""
    segments, costs = segments_of(TOWNS["make demo"][1](1), YEAR), load_costs()
    whole = float((costs.laying(segments) + costs.surfacing(segments)).sum())
    rows = []
    for share in (0.01, 0.05, 0.1, 0.3):
        request = Request(np.full(YEARS, share * whole / YEARS).tolist(), effort=Effort(10.0), scenarios=0)
        plan = make_plan(segments, costs, request, silent)
        for name, label in ((OLDEST, "oldest first"), (WORST, "worst first")):
            ratio = plan.ratio(name)
            what = f"make demo, {share:.0%} of the whole renewal; gain"
            rows.append(Row(what, plan.choice.gain / 1e6, "million", label, ratio, ">= 1", ratio >= 1))
    return rows


def main() -> bool:
    """Print the tables; False where a limit was missed."""
    rows: list[Row] = []
    for town, (_, make) in TOWNS.items():
        try:
            rows += rows_of(town, make(1))
        except FileNotFoundError as missing:
            print(f"{town} is left out: {missing} is missing")
    good = print_rows("Renewal plan against plain lists", rows)
    good = print_rows("Renewal plan by the money there is", more_money()) and good
    sizes = [1_000, 10_000, 30_000] + ([100_000] if "--long" in sys.argv else [])
    return print_rows("Renewal plan by size", growth(sizes)) and good


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
