"""The readings of a sensor over a span, raw and by roll-ups, with the newest data in them."""

import threading
import time
from datetime import datetime, timedelta
from itertools import islice

import pytest

from lifeline.storage import changes
from lifeline.storage.database import Connection, connect
from lifeline.storage.series import Resolution, Series, series
from tests.integration.city import NOON, add_device, add_reading, add_sensor

pytestmark = pytest.mark.usefixtures("clean_database")


@pytest.fixture
def sensor(connection: Connection) -> int:
    return add_sensor(connection, add_device(connection, "rtu-1"))


def read(connection: Connection, sensor: int, resolution: Resolution, *, days: float = 1, limit: int = 3000) -> Series:
    return series(connection, sensor, NOON - timedelta(days=days), NOON, resolution, limit, NOON)


def roll(connection: Connection, sensor: int, table: str, bucket: datetime, n: int, mean: float) -> None:
    connection.execute(
        f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s, %s, %s)".encode(),
        [sensor, bucket, n, mean - 1, mean + 1, mean, mean],
    )


def test_raw_readings_come_oldest_first_with_their_marks(connection: Connection, sensor: int) -> None:
    for minutes, quality in ((3, 0), (1, 2), (2, 1)):
        add_reading(connection, sensor, NOON - timedelta(minutes=minutes), float(minutes), quality=quality)
    found = read(connection, sensor, Resolution.RAW)
    assert [(point.last, point.quality) for point in found.points] == [(3.0, 0), (2.0, 1), (1.0, 2)]


def test_the_end_of_a_span_is_not_in_it_and_the_start_is(connection: Connection, sensor: int) -> None:
    for moment in (NOON, NOON - timedelta(days=1)):
        add_reading(connection, sensor, moment, 1.0)
    assert [point.ts for point in read(connection, sensor, Resolution.RAW).points] == [NOON - timedelta(days=1)]


@pytest.mark.parametrize(
    ("days", "resolution"), [(1, "raw"), (1.05, "raw"), (2, "15m"), (15, "15m"), (16, "1h"), (100, "1h"), (101, "1d")]
)
def test_auto_chooses_by_the_span(connection: Connection, sensor: int, days: float, resolution: str) -> None:
    assert read(connection, sensor, Resolution.AUTO, days=days).resolution == resolution


def test_auto_tells_a_dense_day_by_quarters(connection: Connection, sensor: int) -> None:
    for seconds in range(40):
        add_reading(connection, sensor, NOON - timedelta(seconds=seconds + 1), 1.0)
    found = read(connection, sensor, Resolution.AUTO, limit=30)
    assert (found.resolution, found.truncated) == (Resolution.QUARTER, False)


def test_the_open_bucket_is_computed_from_the_readings(connection: Connection, sensor: int) -> None:
    hour = NOON - timedelta(hours=1)
    roll(connection, sensor, "reading_15m", hour - timedelta(hours=1), 15, 7.0)
    for minutes, value in ((2, 1.0), (4, 3.0)):
        add_reading(connection, sensor, NOON - timedelta(minutes=minutes), value)
    points = read(connection, sensor, Resolution.QUARTER).points
    assert [(point.n, point.mean) for point in points] == [(15, 7.0), (2, 2.0)]
    assert (points[-1].minimum, points[-1].maximum, points[-1].last) == (1.0, 3.0, 1.0)


def test_an_hour_that_is_rolled_up_in_part_is_completed(connection: Connection, sensor: int) -> None:
    hour = NOON - timedelta(hours=1)
    for minutes in range(60):
        add_reading(connection, sensor, hour + timedelta(minutes=minutes), float(minutes))
    roll(connection, sensor, "reading_1h", hour, 15, 7.0)
    (point,) = read(connection, sensor, Resolution.HOUR).points
    assert (point.n, point.mean, point.last) == (60, 29.5, 59.0)


def test_a_roll_up_whose_readings_are_gone_still_stands(connection: Connection, sensor: int) -> None:
    old = NOON.replace(hour=0) - timedelta(days=300)
    roll(connection, sensor, "reading_1d", old, 1440, 5.0)
    (point,) = read(connection, sensor, Resolution.DAY, days=365).points
    assert (point.ts, point.n) == (old, 1440)


def test_implausible_readings_enter_no_bucket(connection: Connection, sensor: int) -> None:
    add_reading(connection, sensor, NOON - timedelta(minutes=1), 1.0)
    add_reading(connection, sensor, NOON - timedelta(minutes=2), 900.0, quality=2)
    (point,) = read(connection, sensor, Resolution.QUARTER).points
    assert (point.n, point.maximum) == (1, 1.0)


def test_another_sensors_readings_stay_out(connection: Connection, sensor: int) -> None:
    other = add_sensor(connection, add_device(connection, "rtu-2"))
    add_reading(connection, other, NOON - timedelta(minutes=1), 1.0)
    for resolution in Resolution:
        assert read(connection, sensor, resolution).points == []


def test_changes_are_heard_gathered_and_everything_comes_first(clean_database: str) -> None:
    stop = threading.Event()
    heard = changes.listen(clean_database, stop, application="test")
    assert next(heard) == changes.EVERYTHING
    with connect(clean_database) as connection:  # told together when it is committed, however slow the machine
        for number, what in enumerate(("alert", "reading", "alert")):
            connection.execute("SELECT pg_notify('lifeline_changed', %s)", [f'{{"what": "{what}", "n": {number}}}'])
    assert next(each for each in islice(heard, 60) if each) == {"alert", "reading"}
    stop.set()
    assert list(heard) == []


def test_a_change_is_told_at_once_however_lately_another_kind_was_and_its_own_kind_only_after_the_pause(
    clean_database: str,
) -> None:
    stop, pause = threading.Event(), 30.0
    heard = changes.listen(clean_database, stop, application="test", debounce_s=pause)
    assert next(heard) == changes.EVERYTHING
    with connect(clean_database, autocommit=True) as connection:
        for what in ("reading", "alert"):  # each told long before the pause of the other is over
            began = time.monotonic()
            connection.execute("SELECT pg_notify('lifeline_changed', %s)", [f'{{"what": "{what}"}}'])
            assert next(each for each in heard if each) == {what}
            assert time.monotonic() - began < pause / 3
    stop.set()
    assert list(heard) == []


def test_a_burst_of_one_kind_is_two_sets(clean_database: str) -> None:
    stop, pause = threading.Event(), 0.4
    heard = changes.listen(clean_database, stop, application="test", debounce_s=pause)
    next(heard)
    began = time.monotonic()
    with connect(clean_database, autocommit=True) as connection:
        for _ in range(2):
            connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "alert"}')""")
            assert next(each for each in heard if each) == {"alert"}
    assert time.monotonic() - began >= pause
    stop.set()
    assert list(heard) == []
