"""Break records: imported as a set, idempotent by the utility's number, all or nothing."""

from collections.abc import Sequence

from lifeline.breaks import Break
from lifeline.errors import ImportRejectedError, Problem
from lifeline.inventory import Entry
from lifeline.storage.database import Connection
from lifeline.storage.inventory import Stored
from lifeline.storage.queries import load

_SQL = load("standing")


def store_breaks(connection: Connection, entries: Sequence[Entry[Break]], source: str = "breaks.csv") -> Stored:
    """Insert or update breaks in the caller's transaction; standing risk is another step (``standing.recompute``).

    Raises ImportRejectedError where an asset is not in the database; the caller rolls back.
    """
    connection.execute(_SQL["stage_breaks"])
    with connection.cursor().copy(_SQL["copy_breaks"]) as copy:
        for position, (_, found) in enumerate(entries):
            copy.write_row((position, found.asset, found.at, found.cause, found.external_id))
    unknown = connection.execute(_SQL["broken_unknown"]).fetchall()
    if unknown:
        problems = [Problem(entries[at].line, f"asset {name!r} is not in the database") for at, name in unknown]
        raise ImportRejectedError(source, sorted(problems, key=lambda problem: problem.line))
    touched = connection.execute(_SQL["store_breaks"]).fetchall()
    connection.execute(_SQL["unstage_breaks"])
    new = sum(is_new for (is_new,) in touched)
    return Stored(new, len(touched) - new, len(entries) - len(touched))
