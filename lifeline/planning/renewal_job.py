"""The job `plan`: a renewal plan over the database's pipes, kept with its works and its report."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.planning import Progress
from lifeline.planning.cost import Costs, load_costs
from lifeline.planning.documents import summary, works_of
from lifeline.planning.gain import Horizon
from lifeline.planning.plan import Plan, Request, make_plan
from lifeline.planning.segments import Known, segments_of
from lifeline.planning.solver import Effort
from lifeline.settings import load_settings
from lifeline.storage import health, jobs, plans, standing
from lifeline.storage.database import Connection

Money = Annotated[float, Field(ge=0, le=1e13, allow_inf_nan=False)]


class Parameters(BaseModel):
    """``budget`` is all the money, spread evenly over ``years``; or ``budgets`` says what each year has."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field("", max_length=200)
    budget: Money | None = None
    years: int = Field(5, ge=1, le=50)
    budgets: list[Money] | None = Field(None, min_length=1, max_length=50)
    network: str | None = Field(None, max_length=64)
    zone: str | None = Field(None, max_length=64)
    horizon_years: int = Field(30, ge=1, le=100)
    discount: float = Field(0.04, ge=0, le=0.2)
    longest_m: float = Field(600.0, ge=1, le=100_000)
    shortest_m: float = Field(0.0, ge=0, le=100_000)
    carry_over: bool = True
    before: list[tuple[str, str]] = Field(default_factory=list, max_length=1000)
    scenarios: int = Field(20, ge=0, le=200)
    seconds: float = Field(20.0, gt=0, le=3600)
    seed: int = Field(1, ge=0, le=2**31 - 1)

    def request(self) -> Request:
        """The request. Raises ConfigurationError where no money is named."""
        if (self.budget is None) == (self.budgets is None):
            raise ConfigurationError("say budget (all the money) or budgets (what each year has)")
        budgets = self.budgets or [(self.budget or 0.0) / self.years] * self.years
        return Request(
            budgets=budgets,
            horizon=Horizon(max(self.horizon_years, len(budgets)), self.discount),
            longest_m=self.longest_m,
            shortest_m=self.shortest_m,
            carry_over=self.carry_over,
            before=self.before,
            effort=Effort(self.seconds, seed=self.seed),
            scenarios=self.scenarios,
        )


def run(connection: Connection, parameters: JsonObject, progress: Progress) -> JsonObject:
    """Plan and keep the plan; gives its number and the figures."""
    from lifeline.planning.report import report

    settings = load_settings()
    now = health.database_clock(connection).astimezone(settings.local_time)
    asked = Parameters.model_validate(parameters)
    plan = plan_over(connection, asked, load_costs(settings.costs), now.year, _scaled(progress, 0.9))
    first_year = now.year + 1
    works, figures = works_of(plan, first_year), summary(plan, first_year)
    progress(0.95, "writing the report")
    pdf = report(plan, works, figures, asked.name, now)
    job = jobs.current(connection)
    plan_id = plans.store_plan(
        connection, works, name=asked.name, parameters=parameters, summary=figures, now=now, pdf=pdf,
        actor=job.requested_by if job else "", job_id=job.job_id if job else None,
    )  # fmt: skip
    return {"plan": plan_id, "ratio": figures["ratio"], "gain": figures["plan"]["gain"]}


def plan_over(connection: Connection, asked: Parameters, costs: Costs, year: int, progress: Progress) -> Plan:
    """The plan for the database's pipes as they are in ``year``."""
    progress(0.0, "reading the pipes")
    found = plans.pipes(connection, asked.network, asked.zone)
    classes = standing.deterioration(connection)
    segments = segments_of(found.assets, year, Known(found.lof, found.cof, found.rate), classes)
    return make_plan(segments, costs, asked.request(), progress, classes)


def _scaled(progress: Progress, share: float) -> Progress:
    return lambda done, message: progress(done * share, message)


def costs_of(path: Path | None) -> Costs:
    """The table of a file, else the one that LIFELINE_COSTS names, else the shipped one."""
    return load_costs(path or load_settings().costs)
