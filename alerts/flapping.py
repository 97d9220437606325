"""The flap guard: an alert that keeps coming and going stays until it is away for good.

Condition: a (subject, rule) that returned ``RETURNS`` times within ``SPAN`` does not return again before its condition
has been away for ``AWAY`` without a break, however long that takes. So whatever swings is told at most ``RETURNS`` + 1
times, and its end is always told.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from lifeline.model import Subject
from lifeline.storage.alerts import Change

Key = tuple[Subject, str]

RETURNS = 3
SPAN = timedelta(hours=1)
AWAY = timedelta(minutes=15)
RETURNED = "returned"


def returning(changes: Iterable[Change]) -> list[Key]:
    """What would return."""
    return [_key(change) for change in changes if change.step.action == RETURNED]


class FlapGuard:
    """Remembers what flaps, and since when its condition is away. Losing that costs a message or two, never an end."""

    def __init__(self) -> None:
        self._flapping: set[Key] = set()
        self._away: dict[Key, datetime] = {}

    def hold(self, changes: Iterable[Change], returns: Mapping[Key, int], now: datetime) -> list[Change]:
        """The changes without the returns that are held back. ``returns`` counts those within ``SPAN``, by key."""
        passed, away = [], {}
        for change in changes:
            key = _key(change)
            if change.step.action != RETURNED or (returns.get(key, 0) < RETURNS and key not in self._flapping):
                passed.append(change)
                continue
            since = self._away.get(key, now)
            if now - since >= AWAY:
                self._flapping.discard(key)
                passed.append(change)
            else:
                self._flapping.add(key)
                away[key] = since
        self._away = away
        return passed


def _key(change: Change) -> Key:
    return change.alert.subject, change.alert.rule
