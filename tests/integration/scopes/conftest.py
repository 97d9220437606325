"""A city of two networks, and who has a part of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from lifeline.model import Level, Role
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api
from tests.integration.scopes.callers import NOW, Callers
from tests.integration.town import SOUTH, STEP, WEST, build, empty, open_alert


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """A town with an alert, an incident, a window and a zone for gas and the same for water: 1 gas, 2 water."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection, NOW)
        for number, network in enumerate(("gas", "water"), 1):
            open_alert(connection, ids[network], Level.RED, now=NOW)
            _incident(connection, number, network)
            connection.execute(
                "INSERT INTO maintenance_window (asset_id, begins_at, created_by, created_at)"
                " SELECT asset_id, now(), 'test', now() FROM asset WHERE external_id = %s",
                [f"{network[0].upper()}-C0"],
            )
    with running_api(database_dsn) as process:
        for row, network in enumerate(("gas", "water")):
            answer = process.call("POST", "/api/v1/zones", Role.ENGINEER, json=_zone(f"Z-{network.upper()}", row))
            assert answer.status_code == 200, answer.text
        yield process


def _incident(connection: Connection, number: int, network: str) -> None:
    connection.execute(
        "INSERT INTO incident (level, worst_level, networks, causes, lead_alert, response_alert, first_seen, opened_at,"
        """ updated_at) VALUES (1, 1, %s, '[{"cause": "unknown", "share": 1, "title": {"en": "x", "zh": "x"},"""
        """ "advice": {"en": "x", "zh": "x"}, "for": [], "against": []}]', %s, %s, now(), now(), now())""",
        [[network], number, number],
    )
    connection.execute("UPDATE alert SET incident_id = %s WHERE alert_id = %s", [number, number])


def _zone(name: str, row: int) -> dict[str, Any]:
    """Around the first chamber of a street and most of its first pipe."""
    west, east, south, north = WEST - 0.002, WEST + 0.8 * STEP, SOUTH + row * STEP - 0.002, SOUTH + row * STEP + 0.002
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": {"id": name, "kind": "district"}, "geometry": geometry}


@pytest.fixture(scope="module")
def callers(api: Api) -> Iterator[Callers]:
    made = Callers(api)
    yield made
    made.client.close()
