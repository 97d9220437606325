"""When to try a delivery again. Pure: the chance that spreads the attempts is an argument."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from lifeline.model import Level

_MINUTE, _HOUR = 60.0, 3600.0
SLOW = (0, 5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
"""Seconds before each attempt, from the attempt before (Standard Webhooks)."""

FAST = (0, 5, 15, 30, 60)
"""The first ones of a red alert, before it goes on as ``SLOW``: in days gas has long exploded."""

_SLOWED_DOWN = frozenset({429, 502, 504})
_LONGEST_S = 24 * _HOUR
_JITTER = 0.2


def delays(level: Level) -> tuple[float, ...]:
    """Seconds before each attempt, from the attempt before."""
    return (*FAST, *SLOW[2:]) if level is Level.RED else SLOW


def next_delay(
    level: Level, attempts: int, status_code: int | None, retry_after_s: float | None, chance: float
) -> float | None:
    """Seconds until the next attempt after ``attempts`` that failed, None where that was the last.

    A receiver that is overloaded (429, 502, 504) is left alone for twice as long, and never asked before its
    ``retry-after``. ``chance`` in [0, 1) adds up to a fifth, so that receivers are not asked by all at once.
    """
    plan = delays(level)
    if attempts >= len(plan):
        return None
    delay = plan[attempts] * (2 if status_code in _SLOWED_DOWN else 1) * (1 + _JITTER * chance)
    return min(max(delay, retry_after_s or 0), _LONGEST_S)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a ``retry-after`` header asks for: a number, or a date; None where it makes no sense."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - now).total_seconds(), 0)
