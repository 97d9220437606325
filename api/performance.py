"""Route of alarm performance: how well the alarms serve the people who get them, over any period."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

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


class _Line(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class FloodOut(_Line):
    start: datetime
    end: datetime
    annunciations: int


class SourceOut(_Line):
    """Who asks, and how often."""

    subject_kind: str
    subject_id: int
    rule: str
    network: str
    place: str
    annunciations: int


class StaleOut(_Line):
    """An alert that was active for more than a day."""

    alert: Annotated[int, Field(validation_alias="alert_id")]
    network: str
    level: Annotated[str, BeforeValidator(lambda level: level.slug)]
    rule: str
    since: datetime
    active: timedelta


class ClockOut(_Line):
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


class RulePrecision(_Line):
    rule: str
    network: str
    genuine: int
    false: int
    precision: float


class PeriodOut(_Line):
    start: datetime
    end: datetime


class PerformanceOut(_Line):
    """Alarm performance by the measures of ISA-18.2 and EEMUA 191; ``targets`` are the most that is acceptable."""

    period: PeriodOut
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
    levels: Annotated[dict[str, int], BeforeValidator(lambda found: {level.slug: n for level, n in found.items()})]
    clocks: list[ClockOut]
    precision: list[RulePrecision]
    targets: dict[str, float] = performance.TARGETS


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
        return PerformanceOut.model_validate(
            performance.performance(connection, Period(since, until, network, kind), operators)
        )
