"""When a monthly drill comes: on a day of the month, at a time of the city's own clock."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def next_occurrence(day: int, at: time, zone: ZoneInfo, after: datetime) -> datetime:
    """The first moment after ``after`` that is the ``day`` (1 to 28) of a month, ``at`` o'clock in ``zone``; in UTC.

    A clock time that a change to summer time leaves out comes an hour later, as clocks then do.
    """
    month = after.astimezone(zone).date().replace(day=1)
    while (found := _moment(month.replace(day=day), at, zone)) <= after:
        month = (month + timedelta(days=32)).replace(day=1)
    return found


def last_occurrence(day: int, at: time, zone: ZoneInfo, now: datetime) -> datetime:
    """The newest such moment that is not after ``now``; in UTC."""
    month = now.astimezone(zone).date().replace(day=1)
    while (found := _moment(month.replace(day=day), at, zone)) > now:
        month = (month - timedelta(days=1)).replace(day=1)
    return found


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
