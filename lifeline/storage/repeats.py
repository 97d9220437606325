"""Answers kept for requests that are sent again with the same Idempotency-Key."""

from dataclasses import asdict, dataclass
from datetime import datetime

from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("repeats")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: who sent it under which key, and the SHA-256 of all of it."""

    caller: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer."""

    status: int
    media_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Before:
    """What came under a key before; ``kept`` None: it is still at work."""

    fingerprint: bytes
    kept: Kept | None


def begin(connection: Connection, asked: Asked, now: datetime, oldest: datetime, stuck: datetime) -> Before | None:
    """None for a request that comes for the first time, which is at work from now on; else what came before.

    What is older than ``oldest``, or at work since before ``stuck``, never came.
    """
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["forget_old"], {"oldest": oldest, "stuck": stuck})
        if connection.execute(_SQL["begin"], asdict(asked) | {"now": now}).fetchone() is not None:
            return None
        row = connection.execute(_SQL["find"], asdict(asked)).fetchone()
    if row is None:  # it failed and was forgotten in this very moment
        return Before(asked.fingerprint, None)
    fingerprint, status, media_type, body = row
    return Before(bytes(fingerprint), None if status is None else Kept(status, media_type, bytes(body)))


def keep(connection: Connection, asked: Asked, kept: Kept) -> None:
    """The request was answered."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["keep"], asdict(asked) | asdict(kept))


def forget(connection: Connection, asked: Asked) -> None:
    """The request failed: it may be sent again."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["forget"], asdict(asked))
