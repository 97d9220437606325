"""The audit: one row for one row that somebody changed, in the change's own transaction (lifeline.storage.behalf)."""

from dataclasses import dataclass
from datetime import datetime

from lifeline.model import JsonObject
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("audit")


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed what. ``before`` and ``after`` hold the fields that changed: never a secret, only that it changed."""

    audit_id: int
    at: datetime
    actor: str
    actor_kind: str
    address: str
    request: str
    action: str
    what: str
    id: str
    before: JsonObject | None
    after: JsonObject | None


def changes(
    connection: Connection,
    *,
    actor: str | None = None,
    what: str | None = None,
    id: str | None = None,  # noqa: A002
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Change]:
    """The newest first; ``before`` is the ``audit_id`` of the last one of the page before."""
    values = {
        "actor": actor, "what": what, "id": id, "since": since, "until": until, "before": before, "limit": limit,
    }  # fmt: skip
    with storage_errors():
        return [Change(*row) for row in connection.execute(_SQL["list"], values)]
