"""Hears what other processes changed: LISTEN on the channel ``lifeline_changed``."""

import json
import time
from collections.abc import Iterator
from threading import Event

import psycopg

from lifeline.storage.database import Connection, open_connection

CHANNEL = "lifeline_changed"
EVERYTHING = frozenset({"alert", "incident", "reading", "inventory", "risk", "job", "report", "handover"})
"""What may have changed while nobody listened."""

SETTLE_S = 0.005
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)


def listen(dsn: str, stop: Event, *, application: str, debounce_s: float = 0.25) -> Iterator[frozenset[str]]:
    """What changed, as sets of words (those of EVERYTHING), until ``stop``.

    A word is passed on at once, and then not again for ``debounce_s``, so that a burst is two sets; each word has a
    pause of its own, since readings come all the time and an alert must not wait for them. An empty set says: still
    listening, nothing new (once a second at least). Connects again by itself when the database goes away, and then
    yields EVERYTHING, since what happened meanwhile was not heard; the first set is EVERYTHING too.
    """
    failures = 0
    while not stop.is_set():
        try:
            with open_connection(dsn, application=application, autocommit=True) as connection:
                connection.execute("LISTEN lifeline_changed")
                failures = 0
                yield EVERYTHING
                told: dict[str, float] = {}
                while not stop.is_set():
                    heard = _gather(connection, debounce_s, told)
                    told |= dict.fromkeys(heard, time.monotonic())
                    yield heard
        except psycopg.Error:
            stop.wait(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            failures += 1


def _gather(connection: Connection, debounce_s: float, told: dict[str, float]) -> frozenset[str]:
    """The next words that may be passed on; ``told`` is when each was passed on last, by the monotonic clock."""
    heard: set[str] = set()
    for notice in connection.notifies(timeout=1.0, stop_after=1):
        heard |= words(notice.payload)
    if heard:  # what one transaction says arrives together
        for notice in connection.notifies(timeout=SETTLE_S):
            heard |= words(notice.payload)
    while heard and (left := _earliest(heard, debounce_s, told) - time.monotonic()) > 0:
        for notice in connection.notifies(timeout=left, stop_after=1):
            heard |= words(notice.payload)
    return frozenset(heard)


def _earliest(heard: set[str], debounce_s: float, told: dict[str, float]) -> float:
    return min(told[word] + debounce_s if word in told else 0.0 for word in heard)


def words(payload: str) -> frozenset[str]:
    """What a payload says changed; a payload that says nothing we know may mean anything."""
    try:
        what = json.loads(payload)["what"]
    except (ValueError, TypeError, KeyError):
        return EVERYTHING
    return frozenset({what}) if isinstance(what, str) and what in EVERYTHING else EVERYTHING
