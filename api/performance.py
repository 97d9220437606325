"""Route of alarm performance: how well the alarms serve the people who get them, over any period."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.parameters import Moment, Network, StrictRoute
from api.problems import ProblemError
from lifeline.model import AlertKind, Role
from lifeline.storage import performance
from lifeline.storage.database import borrow
from lifeline.storage.performance import Period

router = APIRouter(prefix="/api/v1/performance", route_class=StrictRoute, tags=["performance"])
LONGEST = timedelta(days=400)


class FloodOut(BaseModel):
    start: datetime
    end: datetime
    annunciations: int


class SourceOut(BaseModel):
    """Who asks, and how often."""

    subject_kind: str
    subject_id: int
    rule: str
    network: str
    place: str
    annunciations: int


class StaleOut(BaseModel):
    """An alert that was active for more than a day."""

    alert: int
    network: str
    level: str
    rule: str
    since: datetime
    active_s: float


class ClockOut(BaseModel):
    """How long it took (seconds from the raise), over the alerts of one group: all, a level, network or team."""

    group: str
    name: str
    alerts: int
    acknowledged: int
    mtta_s: float | None
    p90_acknowledged_s: float | None
    on_site: int
    mean_on_site_s: float | None
    handled: int
    mttr_s: float | None
    p90_handled_s: float | None


class RulePrecision(BaseModel):
    rule: str
    network: str
    genuine: int
    false: int
    precision: float


class PerformanceOut(BaseModel):
    """Alarm performance by the measures of ISA-18.2 and EEMUA 191; ``targets`` are the most that is acceptable."""

    start: datetime
    end: datetime
    operators: int
    annunciations: int
    per_hour_per_operator: float
    most_per_hour_per_operator: float
    floods: list[FloodOut]
    flood_share_of_time: float
    chattering: list[SourceOut]
    fleeting: int
    stale: list[StaleOut]
    stale_per_day: float
    top: list[SourceOut]
    top_share: float
    levels: dict[str, int]
    clocks: list[ClockOut]
    precision: list[RulePrecision]
    targets: dict[str, float]


@router.get("", dependencies=[Depends(Access(Role.VIEWER))])
def get_performance(
    request: Request,
    start: Annotated[Moment | None, Query(alias="from", description="Default 24 hours before `to`")] = None,
    end: Annotated[Moment | None, Query(alias="to", description="Not included; default now")] = None,
    network: Network = None,
    kind: AlertKind | None = None,
    operators: Annotated[int, Query(ge=1, le=1000, description="How many people share the alarms")] = 1,
) -> PerformanceOut:
    """Rate, floods, chattering, stale alarms, the worst ten, response times and precision of a period."""
    here = city(request)
    until = end or here.clock()
    since = start or until - timedelta(days=1)
    if not timedelta(0) < until - since <= LONGEST:
        raise ProblemError(400, f"from must lie before to, by {LONGEST.days} days at most")
    with borrow(here.pool) as connection:
        found = performance.performance(connection, Period(since, until, network, kind), operators)
    return PerformanceOut(
        start=since,
        end=until,
        operators=found.operators,
        annunciations=found.annunciations,
        per_hour_per_operator=found.per_hour_per_operator,
        most_per_hour_per_operator=found.most_per_hour_per_operator,
        floods=[FloodOut(start=each.start, end=each.end, annunciations=each.annunciations) for each in found.floods],
        flood_share_of_time=found.flood_share_of_time,
        chattering=[SourceOut(**_fields(each)) for each in found.chattering],
        fleeting=found.fleeting,
        stale=[_stale(each) for each in found.stale],
        stale_per_day=found.stale_per_day,
        top=[SourceOut(**_fields(each)) for each in found.top],
        top_share=found.top_share,
        levels={level.slug: count for level, count in found.levels.items()},
        clocks=[ClockOut(**_fields(each)) for each in found.clocks],
        precision=[
            RulePrecision(rule=p.rule, network=p.network, genuine=p.genuine, false=p.false, precision=p.precision)
            for p in found.precision
        ],
        targets=performance.TARGETS,
    )


def _stale(each: performance.Stale) -> StaleOut:
    return StaleOut(
        alert=each.alert_id, network=each.network, level=each.level.slug, rule=each.rule, since=each.since,
        active_s=each.active.total_seconds(),
    )  # fmt: skip


def _fields(line: Any) -> dict[str, Any]:
    """A dataclass with slots as keyword arguments."""
    return {name: getattr(line, name) for name in line.__slots__}
