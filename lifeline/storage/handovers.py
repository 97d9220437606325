"""Hand-over notes: what a shift tells the next one, kept with who, when, and what was open then."""

from datetime import datetime
from typing import NamedTuple

from lifeline.model import JsonObject
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("handovers")


class Handover(NamedTuple):
    """A note. ``open``: the worst 200 of what was open then (kind incident or alert, id, level 1 to 4, place, title,
    step, who has it); ``open_count``: how many there were in all."""

    handover_id: int
    at: datetime
    author: str
    note: str
    open: list[JsonObject]
    open_count: int


def keep(connection: Connection, note: str, author: str, now: datetime) -> Handover:
    """Keep a note with what is open, and announce it. It is never changed: who has more to tell writes another."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["keep"], {"note": note, "author": author, "now": now}).fetchone()
        assert row is not None
        connection.execute(_SQL["announce"])
    return Handover(*row)


def handovers(
    connection: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Handover]:
    """Notes, the newest first, written from ``since`` until before ``until``, with an id below ``before``."""
    values = {"since": since, "until": until, "before": before, "limit": limit}
    with storage_errors():
        return [Handover(*row) for row in connection.execute(_SQL["list"], values)]
