"""Sensors that say nothing: in service, and not heard within their longest silence, or never."""

from collections.abc import Mapping
from datetime import datetime

from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.directory import SensorLine
from lifeline.storage.queries import load

_SQL = load("silence")


def silent(
    connection: Connection,
    longest_s: Mapping[str, float],
    now: datetime,
    *,
    after: int = 0,
    limit: int = 100,
    network: str | None = None,
) -> list[SensorLine]:
    """The next ``limit`` of them behind the id ``after``. ``longest_s``: the longest silence of each quantity, seconds;
    a sensor's own limit goes before it."""
    values = {
        "quantities": list(longest_s), "longest_s": list(longest_s.values()), "now": now, "after": after,
        "limit": limit, "network": network,
    }  # fmt: skip
    with storage_errors():
        return [SensorLine(*row) for row in connection.execute(_SQL["silent"], values)]
