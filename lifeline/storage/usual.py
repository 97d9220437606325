"""What is usual for a sensor at each hour of the day: plain percentiles of its own history, for the eye of a person.

Detectors have baselines of their own; this is what a chart draws behind a measurement so that "unusual" can be seen.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

HISTORY = timedelta(days=28)
LEAST_DAYS = 3
"""An hour that was seen on fewer days has no usual."""

_SQL = load("usual")


@dataclass(frozen=True, slots=True)
class UsualHour:
    """One hour of the local day: 5th percentile of the lows, median mean, 95th percentile of the highs; ``n`` days."""

    hour: int
    low: float
    middle: float
    high: float
    n: int


def hours(connection: Connection, sensor_id: int, zone: str, now: datetime) -> list[UsualHour]:
    """The hours that are known well enough, over 28 days that end a day before ``now``: what goes on is not usual."""
    end = now - timedelta(days=1)
    values = {"sensor_id": sensor_id, "zone": zone, "start": end - HISTORY, "end": end}
    with storage_errors():
        rows = connection.execute(_SQL["hours"], values).fetchall()
    return [UsualHour(*row) for row in rows if row[4] >= LEAST_DAYS]
