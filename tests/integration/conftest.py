"""What most tests of the API begin with. A module that wants another city or other settings has an `api` of its own."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from alerts import review
from alerts.rules import AnyRule, load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.storage import rulebook, users
from lifeline.storage.database import Connection, connect
from tests.api_process import READERS, Api, running_api, until
from tests.integration.town import build, empty, open_alert
from tests.logging_in import PASSWORD


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """One API process with default settings for all tests of a module."""
    with running_api(database_dsn) as process:
        yield process


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    """A connection beside the API, each statement committed at once."""
    with connect(api.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def town(api: Api) -> dict[str, int]:
    """Sensor ids by network, of a town in which nothing is open; keys are made anew."""
    api.keys.clear()
    empty(api.dsn)
    with connect(api.dsn) as connection:
        return build(connection)


@pytest.fixture
def drawn(api: Api, town: dict[str, int], db: Connection) -> dict[str, int]:
    """The town, once the map shows it; before, it is the map of the test before."""
    mark = str(uuid.uuid4())
    db.execute("UPDATE asset SET name = %s WHERE external_id = 'G-P1'", [mark])
    db.execute("""SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')""")
    until(lambda: mark in api.get("/api/v1/risk/segments").text, "the map of the new town")
    return town


@pytest.fixture(scope="module")
def people(database_dsn: str) -> str:
    """A town with an open gas alert, and one user of each role, named as the role, with one password."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        open_alert(connection, build(connection)["gas"])
        for role in READERS:
            users.add(connection, role, role, datetime.now(UTC), PASSWORD)
    return database_dsn


@pytest.fixture
def rules(town: dict[str, int], db: Connection) -> list[AnyRule]:
    """The shipped rules, beside the town and a zone, as the alerts process publishes them."""
    db.execute(
        """INSERT INTO zone (external_id, kind, geometry, west, south, east, north)
        VALUES ('Z', 'district', '{"type": "Polygon", "coordinates": []}', 0, 0, 1, 1)"""
    )
    shipped = load_rules(shipped_catalogue(), 3600.0)
    rulebook.publish(db, review.lines(shipped, datetime.now(UTC)))
    return shipped
