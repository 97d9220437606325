"""A plan as files: GeoJSON for a map, CSV for a spreadsheet, and the figures that sum it up."""

import numpy as np

from lifeline import spreadsheet
from lifeline.model import JsonObject
from lifeline.planning.budget import Choice
from lifeline.planning.plan import Plan, years_of
from lifeline.planning.segments import Floats

COLUMNS = (
    "work", "year", "networks", "street", "pipes", "length_m", "cost", "gain", "gain_per_cost", "failures_avoided",
    "score", "oldest", "materials", "sure", "assets",
)  # fmt: skip


def works_of(plan: Plan, first_year: int) -> list[JsonObject]:
    """The plan's works as rows of ``COLUMNS`` with ``lines``, by year and gain per cost."""
    question, choice, segments = plan.question, plan.choice, plan.segments
    score = segments.score
    saved = _avoided(plan)
    rows: list[JsonObject] = []
    for work in years_of(choice).tolist():
        pipes, year = plan.works[work], int(choice.year[work])
        cost, gain = float(question.cost[work]), float(question.gain[work, year])
        age = segments.inventory.age_years[pipes]
        rows.append(
            {
                "year": first_year + year,
                "networks": sorted({segments.network[pipe] for pipe in pipes}),
                "street": segments.street[pipes[0]],
                "pipes": len(pipes),
                "length_m": round(float(segments.length_m[pipes].sum()), 1),
                "cost": round(cost, 2),
                "gain": round(gain, 2),
                "gain_per_cost": round(gain / cost, 3) if cost else None,
                "failures_avoided": round(float(saved[pipes].sum()), 3),
                "score": round(float(score[pipes].max()), 1),
                "oldest": None if np.isnan(age).all() else first_year - int(np.nanmax(age)),
                "materials": sorted({segments.inventory.material[pipe] or "unknown" for pipe in pipes}),
                "sure": round(float(plan.sensitivity.share[work]), 2) if len(plan.sensitivity.share) else None,
                "assets": [segments.external_id[pipe] for pipe in pipes],
                "lines": [segments.lines[pipe] for pipe in pipes],
            }
        )
    rows.sort(key=_rank)
    return [{"work": number, **row} for number, row in enumerate(rows, 1)]


def _rank(row: JsonObject) -> tuple[int, float]:
    return row["year"], -(row["gain_per_cost"] or 0.0)


def _avoided(plan: Plan) -> Floats:
    """Failures (n,) that the plan avoids within the horizon."""
    renewed = plan.outlook.failures(plan.renewal_year(plan.choice))
    return np.asarray((plan.outlook.left - renewed).sum(axis=1), dtype=np.float64)


def summary(plan: Plan, first_year: int) -> JsonObject:
    """The figures of a plan beside those of the plain lists for the same money."""
    never = np.full(len(plan.segments), np.nan)
    losses = {"nothing": plan.outlook.loss(never), "plan": plan.outlook.loss(plan.renewal_year(plan.choice))}
    losses |= {name: plan.outlook.loss(plan.renewal_year(each)) for name, each in plan.lists.items()}
    return {
        "currency": plan.costs.currency,
        "first_year": first_year,
        "budgets": [float(each) for each in plan.question.budgets],
        "horizon_years": plan.request.horizon.years,
        "discount": plan.request.horizon.discount,
        "pipes": len(plan.segments),
        "length_m": round(float(plan.segments.length_m.sum()), 1),
        "candidates": len(plan.works),
        "shared_trenches": len(plan.question.trenches),
        "plan": _figures(plan, plan.choice) | {"bound": plan.choice.bound, "gap": plan.choice.gap},
        **{name: _figures(plan, each) for name, each in plan.lists.items()},
        "ratio": {name: plan.ratio(name) if np.isfinite(plan.ratio(name)) else None for name in plan.lists},
        "failures_avoided": float(_avoided(plan).sum()),
        "failures_left": float(plan.outlook.left.sum()),
        "scenarios": plan.sensitivity.scenarios,
        "kept": plan.sensitivity.kept,
        "loss_by_year": {name: [round(float(each), 2) for each in loss] for name, loss in losses.items()},
        "seconds": round(plan.choice.seconds, 3),
    }


def _figures(plan: Plan, choice: Choice) -> JsonObject:
    done = years_of(choice)
    apart = float(plan.question.cost[done].sum())
    return {
        "gain": choice.gain,
        "cost": float(choice.spent.sum()),
        "spent": [float(each) for each in choice.spent],
        "saved_by_sharing": apart - float(choice.spent.sum()),
        "works": len(done),
        "length_m": float(sum(plan.segments.length_m[plan.works[work]].sum() for work in done.tolist())),
    }


def feature_collection(works: list[JsonObject], figures: JsonObject) -> JsonObject:
    """The works as GeoJSON: a MultiLineString each."""
    return {
        "type": "FeatureCollection",
        "summary": {name: value for name, value in figures.items() if name != "loss_by_year"},
        "features": [
            {
                "type": "Feature",
                "id": work["work"],
                "geometry": {"type": "MultiLineString", "coordinates": work["lines"]},
                "properties": {name: work[name] for name in COLUMNS},
            }
            for work in works
        ],
    }


def table(works: list[JsonObject]) -> str:
    """The works as CSV with a header line; lists are separated by spaces."""
    return spreadsheet.table(COLUMNS, works)
