"""A past written straight into the tables: whole, once, and in the books."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg
import pytest

from lifeline.catalogue import shipped_catalogue
from lifeline.cli.inventory import import_files
from lifeline.errors import ConfigurationError, ConflictError
from lifeline.storage import rollups
from lifeline.storage.database import connect, open_connection
from lifeline.storage.ingest import connect_writer
from simulators.districts import layouts, write_districts
from simulators.history import DAY_STEPS, WEEK_STEPS, History, Layout

pytestmark = pytest.mark.usefixtures("clean_database")
FIRST = datetime(2026, 11, 18, tzinfo=UTC).timestamp()
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def town(clean_database: str, tmp_path: Path) -> str:
    """A town of two districts in the inventory."""
    with connect(clean_database) as connection:
        import_files(connection, list(write_districts(1, 2, tmp_path)), shipped_catalogue(), NOW)
    return clean_database


def flat(history: History) -> History:
    """The engines would take a minute: a week in which nothing moves is as good for the tables."""
    history.layouts = [
        Layout(one, *(np.full((WEEK_STEPS, len(one.instruments)), 3.0, np.float32) for _ in range(2)))
        for one in layouts(1, 2)
    ]
    return history


def test_a_day_of_every_sensor_is_there_once_and_in_the_books_and_rolls_up(town: str) -> None:
    with connect_writer(town) as connection:
        history = flat(History(connection, shipped_catalogue(), 1, 2))
        connection.commit()
        counts = list(history.write(FIRST, 2))
    assert counts == [history.sensors * DAY_STEPS] * 2
    with psycopg.connect(town) as connection:
        rows = connection.execute("SELECT count(*), min(extract(epoch FROM ts)) FROM reading").fetchone()
        assert rows == (sum(counts), FIRST)
        each = connection.execute("SELECT DISTINCT n FROM (SELECT count(*) n FROM reading GROUP BY sensor_id) c")
        assert each.fetchall() == [(2 * DAY_STEPS,)]
        books = connection.execute("SELECT consumer, received, stored, duplicate FROM ingest_account").fetchall()
        assert books == [("history", sum(counts), sum(counts), 0)]
        newest = connection.execute("SELECT count(*), max(extract(epoch FROM ts)) FROM sensor_state").fetchone()
        assert newest == (history.sensors, FIRST + 2 * 86_400 - 300)
    connection = open_connection(town)
    report = rollups.run(connection, datetime.fromtimestamp(FIRST + 3 * 86_400, UTC))
    connection.close()
    assert report.rows_15m == 2 * 96 * history.sensors


def test_a_day_that_is_there_already_is_refused_and_leaves_the_books_as_they_were(town: str) -> None:
    with connect_writer(town) as connection:
        history = flat(History(connection, shipped_catalogue(), 1, 2))
        connection.commit()
        (count,) = history.write(FIRST, 1)
        with pytest.raises(ConflictError):
            list(history.write(FIRST, 1))
    with psycopg.connect(town) as connection:
        assert connection.execute("SELECT stored FROM ingest_account").fetchall() == [(count,)]
        assert connection.execute("SELECT count(*) FROM reading").fetchone() == (count,)


def test_a_town_that_is_not_in_the_inventory_is_told_what_to_import(town: str) -> None:
    with connect_writer(town) as connection, pytest.raises(ConfigurationError, match=r"n0002-.*import the files of"):
        History(connection, shipped_catalogue(), 1, 3)
