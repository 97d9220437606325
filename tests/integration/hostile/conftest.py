"""A city that means well, and clients that do not."""

from collections.abc import Iterator

import pytest

from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api
from tests.integration.town import build, empty, open_alert


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """One process with one town, in which alert 1 is open; no test here changes it."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        assert ids["gas"]
        open_alert(connection, ids["gas"])
    with running_api(database_dsn, LIFELINE_API_SSE_CLIENTS="4") as process:
        yield process


@pytest.fixture
def db(api: Api) -> Iterator[Connection]:
    with connect(api.dsn, autocommit=True) as connection:
        yield connection
