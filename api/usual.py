"""Route of what is usual for a sensor at each hour of the day: the band behind its chart."""

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.parameters import SmallId, StrictRoute
from lifeline.model import Role
from lifeline.storage import directory, usual
from lifeline.storage.database import borrow

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["inventory"], dependencies=[Depends(Access(Role.VIEWER))]
)


class UsualHourOut(BaseModel):
    """One hour of the city's day: 5th percentile of the lows, median mean, 95th percentile of the highs."""

    hour: int
    low: float
    middle: float
    high: float


class UsualOut(BaseModel):
    """``days``: on how many days the best known hour was seen; hours seen on fewer than three are left out."""

    sensor: int
    days: int
    timezone: str
    hours: list[UsualHourOut]


@router.get("/sensors/{id}/usual")
def get_usual(request: Request, id: SmallId) -> UsualOut:  # noqa: A002
    """What this sensor measures at each hour of the day, over the four weeks before yesterday."""
    here = city(request)
    zone = here.settings.timezone
    with borrow(here.pool) as connection:
        directory.sensor(connection, id)
        found = usual.hours(connection, id, zone, here.clock())
    return UsualOut(
        sensor=id,
        days=max((each.n for each in found), default=0),
        timezone=zone,
        hours=[UsualHourOut(hour=each.hour, low=each.low, middle=each.middle, high=each.high) for each in found],
    )
