"""Hears what other processes changed: LISTEN on the channel ``lifeline_changed``."""

import json
import time
from collections.abc import Iterator
from threading import Event

import psycopg

from lifeline.storage.database import Connection, open_connection

CHANNEL = "lifeline_changed"
EVERYTHING = frozenset({"alert", "incident", "reading", "inventory", "risk", "job", "report"})
"""What may have changed while nobody listened."""

_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)


def listen(dsn: str, stop: Event, *, application: str, debounce_s: float = 0.25) -> Iterator[frozenset[str]]:
    """What changed, as sets of words (those of EVERYTHING), until ``stop``.

    A change waits ``debounce_s`` for others, so that a burst is one set. An empty set says: still listening, nothing
    new (once a second at least). Connects again by itself when the database goes away, and then yields EVERYTHING,
    since what happened meanwhile was not heard; the first set is EVERYTHING too.
    """
    failures = 0
    while not stop.is_set():
        try:
            with open_connection(dsn, application=application, autocommit=True) as connection:
                connection.execute("LISTEN lifeline_changed")
                failures = 0
                yield EVERYTHING
                while not stop.is_set():
                    yield _gather(connection, debounce_s)
        except psycopg.Error:
            stop.wait(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            failures += 1


def _gather(connection: Connection, debounce_s: float) -> frozenset[str]:
    heard: set[str] = set()
    for notice in connection.notifies(timeout=1.0, stop_after=1):
        heard |= words(notice.payload)
    deadline = time.monotonic() + debounce_s
    while heard and (left := deadline - time.monotonic()) > 0:
        for notice in connection.notifies(timeout=left, stop_after=1):
            heard |= words(notice.payload)
    return frozenset(heard)


def words(payload: str) -> frozenset[str]:
    """What a payload says changed; a payload that says nothing we know may mean anything."""
    try:
        what = json.loads(payload)["what"]
    except (ValueError, TypeError, KeyError):
        return EVERYTHING
    return frozenset({what}) if isinstance(what, str) and what in EVERYTHING else EVERYTHING
