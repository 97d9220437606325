"""The tables under a load: its devices, what is stored, how new it is, and the books."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lifeline.loading.packets import NETWORK, QUANTITY, channel_name, device_name
from lifeline.storage import ingest, loading
from lifeline.storage.database import Connection

pytestmark = pytest.mark.usefixtures("clean_database")
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.fixture
def loaded(connection: Connection) -> Connection:
    devices, channels = [device_name(n) for n in range(4)], [channel_name(n) for n in range(3)]
    loading.add(connection, NETWORK, QUANTITY, devices, channels)
    ingest.register_columns(connection)
    return connection


def store(connection: Connection, sensors: list[int], seconds: list[int], values: list[float]) -> None:
    micros = int(NOW.timestamp() * 1e6)
    rows = ingest.Readings(
        np.array(sensors), micros + np.array(seconds) * 1_000_000, np.array(values), np.zeros(len(sensors), np.int16)
    )
    ingest.copy_readings(connection, rows)
    ingest.update_states(connection, rows, NOW)


def test_every_device_has_every_channel_in_the_order_of_their_numbers(loaded: Connection) -> None:
    rows = ingest.sensors(loaded)
    assert [(row.sensor_id, row.device, row.channel) for row in rows] == [
        (1 + 3 * device + channel, device_name(device), channel_name(channel))
        for device in range(4)
        for channel in range(3)
    ]
    assert {row.network for row in rows} == {NETWORK}


def test_nothing_is_stored_before_anything_came(loaded: Connection) -> None:
    assert loading.stored(loaded) == (0, 0)
    assert loading.books(loaded) == (0, 0, 0, 0)
    assert loading.newest(loaded, device_name(0)) is None


def test_readings_and_their_sum_are_counted_to_the_thousandth(loaded: Connection) -> None:
    values = [1.001, 9.998, 5.5]
    store(loaded, [1, 2, 3], [0, 0, 0], values)
    assert loading.stored(loaded) == (3, 1_001 + 9_998 + 5_500)


def test_the_newest_reading_of_a_device_is_found_by_its_name(loaded: Connection) -> None:
    store(loaded, [1, 4], [5, 9], [1.0, 1.0])
    assert loading.newest(loaded, device_name(0)) == NOW + timedelta(seconds=5)
    assert loading.newest(loaded, device_name(1)) == NOW + timedelta(seconds=9)
    assert loading.newest(loaded, "nobody") is None


def test_the_books_of_all_writers_are_added_up(loaded: Connection) -> None:
    for writer in range(3):
        counts = {"received": 10, "stored": 7, "duplicate": 2, "quarantined": 1}
        ingest.keep_account(loaded, "a", writer, counts, NOW)
    assert loading.books(loaded) == loading.Books(30, 21, 6, 3)
