"""Stress tests that were computed: kept for comparison and for the page."""

from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from lifeline.errors import NotFoundError
from lifeline.model import JsonObject
from lifeline.storage.database import Connection
from lifeline.storage.queries import load

_SQL = load("standing")


class StressTest(NamedTuple):
    """One stress test with its resilience figures."""

    stress_test_id: int
    kind: str
    network: str
    method: str
    parameters: JsonObject
    result: JsonObject
    computed_at: datetime
    requested_by: str


def store_test(
    connection: Connection, kind: str, network: str, method: str, parameters: JsonObject, result: JsonObject,
    now: datetime, requested_by: str,
) -> int:  # fmt: skip
    """Keep a result; its number."""
    values = {"kind": kind, "network": network, "method": method, "parameters": Jsonb(parameters)}
    row = connection.execute(
        _SQL["store_stress_test"],
        {**values, "result": Jsonb(result), "computed_at": now, "requested_by": requested_by},
    ).fetchone()
    return int(row[0]) if row else 0


def kept_tests(
    connection: Connection, *, number: int | None = None, kind: str | None = None, network: str | None = None,
    before: int | None = None, limit: int = 100,
) -> list[StressTest]:  # fmt: skip
    """The newest first; those made before the test with the number ``before``."""
    values = {"number": number, "kind": kind, "network": network, "before": before, "limit": limit}
    return [StressTest(*row) for row in connection.execute(_SQL["stress_tests"], values)]


def kept_test(connection: Connection, number: int) -> StressTest:
    """One of them. Raises NotFoundError."""
    found = kept_tests(connection, number=number)
    if not found:
        raise NotFoundError(f"there is no stress test {number}")
    return found[0]
