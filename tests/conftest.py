"""Real services for the tests that ask for them: one TimescaleDB and one Mosquitto for each pytest process.

Unit tests ask for none of these fixtures, and then nothing is started.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from lifeline.embedded import Broker, Database, unpack
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.migrations import migrate
from tests.emptying import empty

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

PASSWORDS = {name: secrets.token_urlsafe(12) for name in ("ingest", "simulator", "device-1", "device-2")}
"""Names and passwords that the broker of the tests knows; a device's name is its user name."""


@dataclass(frozen=True, slots=True)
class Services:
    """The services of this test run."""

    home: Path
    database: Database
    broker: Broker


@pytest.fixture(scope="session")
def programs() -> Path:
    """The database's and the broker's programs; downloaded on the first run on a machine."""
    return unpack()


@pytest.fixture
def service_home() -> Iterator[Path]:
    """An empty folder that an unprivileged user can enter, as pytest's own cannot be by another than its owner."""
    home = Path(tempfile.mkdtemp(prefix="lifeline-test-"))
    home.chmod(0o711)
    yield home
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def embedded(programs: Path) -> Iterator[Services]:
    """TimescaleDB (without fsync, for speed) and a durable Mosquitto."""
    home = Path(tempfile.mkdtemp(prefix="lifeline-tests-"))
    home.chmod(0o711)
    with Database(home, fsync=False) as database, Broker(home, PASSWORDS) as broker:
        yield Services(home, database, broker)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def broker(embedded: Services) -> Broker:
    """The running broker; log in with a name and password of ``PASSWORDS``."""
    return embedded.broker


@pytest.fixture(scope="session")
def database_dsn(embedded: Services) -> str:
    """A migrated database of this run. Tests share it: take ``clean_database`` too."""
    migrate(embedded.database.dsn)
    return embedded.database.dsn


@pytest.fixture
def connection(database_dsn: str) -> Iterator[Connection]:
    """A connection of its own; what the test does not commit is rolled back."""
    connection = open_connection(database_dsn, application=os.environ.get("PYTEST_CURRENT_TEST", "test")[:60])
    yield connection
    connection.close()


@pytest.fixture
def clean_database(database_dsn: str) -> str:
    """Empties every table before the test; ``pytestmark = pytest.mark.usefixtures("clean_database")`` for a module."""
    empty(database_dsn)
    return database_dsn
