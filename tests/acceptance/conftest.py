"""A browser, and the API with the town of three streets, for the tests of the page."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser

from lifeline.storage import endpoints
from lifeline.storage.database import connect
from tests.acceptance.visits import chromium
from tests.api_process import ROOT, Api, running_api, until
from tests.integration.town import build, empty, open_alert, watched

OLD_S = 60
LONGEST = (
    *("test_page", "test_page_shift", "test_demo", "test_drill", "test_faults"),
    *("test_up", "test_page_planning", "test_page_views"),
)
"""Files that begin first, so that no worker is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; of each, and of the others, the order stays."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, one for a module."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served(database_dsn: str) -> Iterator[Api]:
    """The API with the town of three streets, and the process that works long computations."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build(connection)
        watched(connection)
        endpoints.add(connection, "crew", "https://example.org/", datetime.now(UTC))
    env = {"PATH": os.environ["PATH"], "LIFELINE_DATABASE_URL": database_dsn, "LIFELINE_PLANNING_METRICS_PORT": "0"}
    worker = subprocess.Popen([sys.executable, "-m", "lifeline.planning"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        with running_api(database_dsn, forked=False) as api:
            until(lambda: '"numberMatched":6' in api.get("/api/v1/risk/segments").text, "the map")
            yield api
    finally:
        worker.terminate()
        worker.wait(120)


def refresh(served: Api) -> None:
    """What the sensors told grows old while the tests of a module go on: after five minutes the page warns of it."""

    def age_s() -> float:
        told = datetime.fromisoformat(served.get("/api/v1/risk/summary").json()["data_as_of"])
        return (datetime.now(UTC) - told).total_seconds()

    if age_s() > OLD_S:
        with connect(served.dsn, autocommit=True) as connection:
            connection.execute("UPDATE sensor_state SET ts = now()")
            connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "reading"}')""")
        until(lambda: age_s() < OLD_S, "the map of what was told now")


@pytest.fixture
def alert(served: Api) -> Iterator[int]:
    """One red alert, gone again after the test."""
    refresh(served)
    with connect(served.dsn) as connection:
        found = open_alert(connection, 1, rule=f"methane.{datetime.now(UTC):%f}").alert_id
        yield found
        with connection.transaction():
            connection.execute("UPDATE alert SET state = 'NORM', closed_at = now() WHERE closed_at IS NULL")
            connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "alert"}')""")
