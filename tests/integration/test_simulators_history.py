"""A past written straight into the tables: whole, once, and in the books."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg
import pytest
from pydantic import SecretStr

from lifeline.catalogue import shipped_catalogue
from lifeline.cli.inventory import import_files
from lifeline.errors import ConfigurationError, ConflictError, ServiceError
from lifeline.settings import Settings
from lifeline.storage import health, rollups
from lifeline.storage.database import connect, open_connection
from lifeline.storage.ingest import connect_writer
from simulators.districts import layouts, write_districts
from simulators.historian import READING_BYTES, room_for, told_where_it_stopped, write_history
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


def days(count: int) -> list[float]:
    return [FIRST + number * 86_400 for number in range(count)]


def test_a_day_of_every_sensor_is_there_once_and_in_the_books_and_rolls_up(town: str) -> None:
    with connect_writer(town) as connection:
        history = flat(History(connection, shipped_catalogue(), 1, 2))
        connection.commit()
        counts = list(history.write(days(2)))
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
        (count,) = history.write(days(1))
        with pytest.raises(ConflictError):
            list(history.write(days(1)))
    with psycopg.connect(town) as connection:
        assert connection.execute("SELECT stored FROM ingest_account").fetchall() == [(count,)]
        assert connection.execute("SELECT count(*) FROM reading").fetchone() == (count,)


def test_a_town_that_is_not_in_the_inventory_is_told_what_to_import(town: str) -> None:
    with connect_writer(town) as connection, pytest.raises(ConfigurationError, match=r"n0002-.*import the files of"):
        History(connection, shipped_catalogue(), 1, 3)


def test_what_was_cut_goes_on_with_the_days_that_are_missing(town: str) -> None:
    with connect_writer(town) as connection:
        history = flat(History(connection, shipped_catalogue(), 1, 2))
        connection.commit()
        assert history.missing(FIRST, 3) == days(3)
        list(history.write([days(3)[1]]))
        assert history.missing(FIRST, 3) == [days(3)[0], days(3)[2]]
        list(history.write(history.missing(FIRST, 3)))
        assert history.missing(FIRST, 3) == []


def test_a_run_that_has_all_its_days_says_so_and_does_not_start_the_engines(town: str) -> None:
    with connect_writer(town) as connection:
        history = flat(History(connection, shipped_catalogue(), 1, 2))
        connection.commit()
        list(history.write(days(4)))
    settings = Settings(database_url=SecretStr(town))
    assert list(write_history(settings, 1, 2, 4, NOW)) == ["4 of the 4 days are there already"]


def test_a_cut_run_says_how_far_it_came_and_that_the_same_command_goes_on(town: str) -> None:
    with connect_writer(town) as connection:
        history = flat(History(connection, shipped_catalogue(), 1, 2))
        connection.commit()
        list(history.write([days(2)[1]]))
        counts = list[int]()
        with (
            pytest.raises(ServiceError, match=r"1 of 2 days are written, each whole; the same command goes on"),
            told_where_it_stopped(counts, 2),
        ):
            counts.extend(history.write(days(2)))
        with pytest.raises(ServiceError, match="interrupted: 1 of 2 days"), told_where_it_stopped(counts, 2):
            raise KeyboardInterrupt


def test_more_days_than_the_disk_has_room_for_are_refused_before_anything_is_written(
    town: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect_writer(town) as connection:
        free, log = health.room(connection)
        assert log > 1e6
        if free is None:
            pytest.skip("this role may not know where the database keeps its tables")
        told = re.search(r"about ([\d.]+) GB of disk.*has ([\d.]+) GB free", room_for(connection, 5_000, 100))
        assert told is not None
        assert float(told[1]) == pytest.approx((5_000 * DAY_STEPS * 100 * READING_BYTES + log) / 1e9, abs=0.1)
        assert float(told[2]) == pytest.approx(free / 1e9, abs=10)  # others use the disk too
        with pytest.raises(
            ConfigurationError, match=r"need about [\d.]+ GB of disk.* has [\d.]+ GB free: fewer --days"
        ):
            room_for(connection, 10_000_000, 3_660)
        monkeypatch.setattr(health, "LOOPBACK", frozenset())
        assert connection.info.host.startswith("/") or "not on this machine" in room_for(connection, 5_000, 1)
