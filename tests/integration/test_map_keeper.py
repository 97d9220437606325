"""What keeps the map drawn: how often it reads the city, and what it reads after a change."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from api.keeper import MapKeeper
from api.live import Broadcaster
from api.metrics import MAP_SECONDS
from api.problems import ProblemError
from api.recorder import Recorder
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Level
from lifeline.risk.scheme import shipped_scheme
from lifeline.storage.database import Connection, connect, open_pool
from tests.api_process import until
from tests.integration.town import build, open_alert

pytestmark = pytest.mark.usefixtures("clean_database")


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def db(database_dsn: str) -> Iterator[Connection]:
    with connect(database_dsn) as connection:
        yield connection


@contextmanager
def keeping(dsn: str) -> Iterator[MapKeeper]:
    """A keeper and its recorder; the test starts it or calls it."""
    pool = open_pool(dsn, application="test keeper", size=3)
    recorder = Recorder(dsn, pool, now, timedelta(hours=6), timedelta(days=30))
    keeper = MapKeeper(dsn, pool, shipped_catalogue(), shipped_scheme(), Broadcaster(1), recorder, now)
    try:
        yield keeper
    finally:
        if any(thread.is_alive() for thread in keeper._threads):
            keeper.stop()
        recorder.stop_leading()
        pool.close()


def drawings(ground: str) -> float:
    """How many drawings this process has made, on new or on kept ground."""
    (found,) = MAP_SECONDS.collect()
    return next(
        sample.value
        for sample in found.samples
        if sample.name.endswith("_count") and sample.labels == {"ground": ground}
    )


def test_the_city_is_read_once_at_the_start_and_not_for_an_alert(database_dsn: str, db: Connection) -> None:
    sensors = build(db, now())
    db.commit()
    MAP_SECONDS.labels("new")
    whole = drawings("new")
    with keeping(database_dsn) as keeper:
        with pytest.raises(ProblemError):
            _ = keeper.current
        keeper.start()
        until(lambda: keeper.healthy, "the first map")
        ground = keeper.current.ground
        open_alert(db, sensors["gas"], Level.RED)
        until(lambda: keeper.current.alerts, "the alert on the map")
        assert keeper.current.ground is ground
    assert drawings("new") == whole + 1


def test_an_alert_does_not_have_the_readings_fetched_and_a_reading_does(database_dsn: str, db: Connection) -> None:
    sensors = build(db, now())
    db.commit()
    with keeping(database_dsn) as keeper:
        keeper.draw(frozenset({"inventory"}), now())
        first = keeper.current
        db.execute("UPDATE sensor_state SET ts = ts + interval '1 second'")
        open_alert(db, sensors["gas"], Level.RED)
        assert keeper.draw(frozenset({"alert"}), now())
        second = keeper.current
        assert second.newest is first.newest
        assert [each.level for each in second.alerts] == [Level.RED]
        keeper.draw(frozenset({"reading"}), now())
        third = keeper.current
    assert first.data_as_of is not None
    assert third.data_as_of == pytest.approx(first.data_as_of + 1)
    assert (second.follows, third.follows) == (first.number, second.number)


def test_what_is_near_what_is_known_before_the_first_alert_needs_it(database_dsn: str, db: Connection) -> None:
    build(db, now())
    db.commit()
    with keeping(database_dsn) as keeper:
        keeper.draw(frozenset({"risk"}), now())
        assert "surroundings" in vars(keeper.current.ground)
        assert gc.isenabled()


def test_readings_wait_for_their_turn_while_alerts_do_not(database_dsn: str, db: Connection) -> None:
    sensors = build(db, now())
    db.commit()
    with keeping(database_dsn) as keeper:
        keeper.start()
        until(lambda: keeper.healthy, "the first map")
        first = keeper.current.newest
        db.execute("""SELECT pg_notify('lifeline_changed', '{"what": "reading"}')""")
        db.commit()
        began = time.monotonic()
        open_alert(db, sensors["gas"], Level.RED)
        until(lambda: keeper.current.alerts, "the alert on the map")
        drawn = keeper.current
        if time.monotonic() - began < 1.0:  # on a machine that stood still meanwhile the readings may be due
            assert drawn.newest is first
        until(lambda: keeper.current.newest is not first, "the readings' turn")


def test_after_a_drawing_that_failed_garbage_is_collected_again(database_dsn: str, db: Connection) -> None:
    with keeping(database_dsn) as keeper:
        keeper._pool.close()
        with pytest.raises(Exception, match="closed"):
            keeper.draw(frozenset({"inventory"}), now())
        assert gc.isenabled()
