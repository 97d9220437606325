"""The map through time in a real database: what was drawn can be read again, word for word."""

import json
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from api import past, riskmap, screens
from api.ground import Ground
from api.past import Archive
from api.problems import ProblemError
from api.recorder import Recorder, recall
from api.riskmap import RiskMap
from lifeline.geo import Box
from lifeline.model import Level
from lifeline.storage import snapshots
from lifeline.storage.database import Connection, Pool, connect, open_pool
from lifeline.storage.riskmap import OpenAlert
from tests.api_process import until
from tests.unit.test_api_riskmap import NOW, SOUTH, WEST, alert, ground_of, heard, pipe, sensor

pytestmark = pytest.mark.usefixtures("clean_database")
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture
def pool(database_dsn: str) -> Iterator[Pool]:
    pool = open_pool(database_dsn, application="test", size=2)
    yield pool
    pool.close()


@pytest.fixture
def recorder(database_dsn: str, pool: Pool) -> Iterator[Recorder]:
    found = recorder_of(database_dsn, pool)
    yield found
    found.stop_leading()


def recorder_of(dsn: str, pool: Pool, keyframe: timedelta = 24 * HOUR, keep: timedelta = 90 * 24 * HOUR) -> Recorder:
    return Recorder(dsn, pool, lambda: NOW, keyframe, keep)


@pytest.fixture
def ground() -> Ground:
    return ground_of([pipe(n, lof=1.0 + n * 0.9, cof=3.0) for n in range(4)], [sensor(1, 0)])


@pytest.fixture
def db(database_dsn: str) -> Iterator[Connection]:
    with connect(database_dsn, autocommit=True) as connection:
        yield connection


def drawings(ground: Ground, *steps: list[OpenAlert]) -> list[RiskMap]:
    """One drawing a minute, each from the one before."""
    found: list[RiskMap] = []
    for number, alerts in enumerate(steps):
        found.append(riskmap.build(ground, alerts, heard(5), NOW + number * MINUTE, found[-1] if found else None))
    return found


def assert_same(connection: Connection, drawn: RiskMap, minutes: float) -> None:
    """What is read for a moment is byte for byte what this drawing serves."""
    found = past.moment(connection, NOW + minutes * MINUTE)
    archive = Archive()
    for resolution in (8, 9, 10):
        for box in (None, Box(WEST - 1, SOUTH - 1, WEST + 0.15, SOUTH + 1)):
            told = archive.cells(connection, found, resolution, box)
            assert told.body == screens.cells(drawn, resolution, box).body
            assert told.etag == screens.cells(drawn, resolution, box).etag
    for box, limit in ((None, 100), (None, 2), (Box(WEST - 1, SOUTH - 1, WEST + 0.15, SOUTH + 1), 100)):
        assert archive.segments(connection, found, box, limit).body == screens.segments(drawn, box, limit).body


def count(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


STORY: list[list[OpenAlert]] = [
    [],
    [alert(1, Level.RED)],
    [alert(1, Level.RED), alert(2, Level.YELLOW, 2)],
    [alert(1, Level.RED)._replace(returned_at=NOW.timestamp(), open=False)],
    [OpenAlert(9, "rule", Level.ORANGE, 0, 118.0, 32.0)],
    [],
]


def test_every_moment_of_a_story_reads_as_it_was_drawn(recorder: Recorder, ground: Ground, db: Connection) -> None:
    drawn = drawings(ground, *STORY)
    for number, each in enumerate(drawn):
        assert recorder.record(each, NOW + number * MINUTE)
    for number, each in enumerate(drawn):
        assert_same(db, each, number)
        assert_same(db, each, number + 0.5)


def test_only_what_changed_is_written(recorder: Recorder, ground: Ground, db: Connection) -> None:
    first, second = drawings(ground, [], [alert(1, Level.RED)])
    recorder.record(first, NOW)
    cells, pipes = count(db, "map_cell"), count(db, "map_segment")
    assert pipes == 4
    recorder.record(second, NOW + MINUTE)
    assert 0 < count(db, "map_cell") - cells < cells / 2
    assert count(db, "map_segment") == pipes + 1
    assert count(db, "map_asset") == 4
    assert db.execute("SELECT keyframe FROM map_frame ORDER BY at").fetchall() == [(True,), (False,)]


def test_where_nothing_changes_a_frame_says_so_once_a_minute(
    recorder: Recorder, ground: Ground, db: Connection
) -> None:
    drawn = drawings(ground, [], [], [], [])
    told = [recorder.record(each, NOW + number * 20 * SECOND) for number, each in enumerate(drawn)]
    assert told == [True, False, False, True]
    assert count(db, "map_frame") == 2


def test_a_whole_picture_comes_as_often_as_is_set(
    database_dsn: str, pool: Pool, ground: Ground, db: Connection
) -> None:
    recorder = recorder_of(database_dsn, pool, keyframe=2 * MINUTE)
    drawn = drawings(ground, *STORY)
    for number, each in enumerate(drawn):
        recorder.record(each, NOW + number * MINUTE)
    recorder.stop_leading()
    found = db.execute("SELECT keyframe FROM map_frame ORDER BY at").fetchall()
    assert [row[0] for row in found] == [True, False, True, False, True, False]
    for number, each in enumerate(drawn):
        assert_same(db, each, number)


def test_another_process_takes_over_where_the_record_ended(
    database_dsn: str, pool: Pool, recorder: Recorder, ground: Ground, db: Connection
) -> None:
    drawn = drawings(ground, *STORY)
    other = recorder_of(database_dsn, pool)
    assert recorder.record(drawn[0], NOW)
    assert not other.record(drawn[0], NOW)
    assert recorder.record(drawn[1], NOW + MINUTE)
    recorder.stop_leading()
    anew = riskmap.build(
        ground_of([pipe(n, lof=1.0 + n * 0.9, cof=3.0) for n in range(4)], [sensor(1, 0)]),
        STORY[2],
        heard(5),
        NOW + 2 * MINUTE,
    )
    assert other.record(anew, NOW + 2 * MINUTE)
    assert not recorder.record(drawn[2], NOW + 2 * MINUTE)
    other.stop_leading()
    assert_same(db, drawn[1], 1.9)
    assert_same(db, anew, 2)
    assert count(db, "map_frame WHERE keyframe") == 1


def test_two_that_both_believe_to_record_store_no_frame_twice(
    recorder: Recorder, ground: Ground, db: Connection
) -> None:
    first, second, third = drawings(ground, [], [alert(1, Level.RED)], [alert(2, Level.RED)])
    recorder.record(first, NOW)
    written = recall(db)
    assert snapshots.add(db, written.frame(second, NOW + MINUTE, keyframe=False), written.at)
    assert not recorder.record(second, NOW + MINUTE)  # it believed that its own frame was the newest
    assert recorder.record(third, NOW + 2 * MINUTE)
    assert_same(db, second, 1.5)
    assert_same(db, third, 2)


def test_a_pipe_that_is_taken_out_stays_in_the_past(recorder: Recorder, ground: Ground, db: Connection) -> None:
    before = riskmap.build(ground, [], heard(5), NOW)
    after = riskmap.build(ground_of([pipe(n, lof=1.0 + n * 0.9, cof=3.0) for n in range(3)]), [], heard(5), NOW)
    recorder.record(before, NOW)
    recorder.record(after, NOW + MINUTE)
    assert_same(db, before, 0.5)
    assert_same(db, after, 1)


def test_a_pipe_that_is_renamed_has_its_old_name_in_the_past(
    recorder: Recorder, ground: Ground, db: Connection
) -> None:
    rows = [pipe(n, lof=1.0 + n * 0.9, cof=3.0)._replace(name="renamed") for n in range(4)]
    before, after = (riskmap.build(each, [], heard(5), NOW) for each in (ground, ground_of(rows, [sensor(1, 0)])))
    recorder.record(before, NOW)
    recorder.record(after, NOW + MINUTE)
    assert count(db, "map_segment") == 4
    assert_same(db, before, 0.5)
    assert_same(db, after, 1)


def test_a_moment_at_which_nobody_drew_is_not_made_up(recorder: Recorder, ground: Ground, db: Connection) -> None:
    with pytest.raises(ProblemError, match="nothing is recorded yet"):
        past.moment(db, NOW)
    (drawn,) = drawings(ground, [])
    recorder.record(drawn, NOW)
    assert past.moment(db, NOW + 2 * MINUTE).at == NOW
    with pytest.raises(ProblemError, match="nobody drew the map"):
        past.moment(db, NOW + 3 * MINUTE)
    with pytest.raises(ProblemError, match="the first recorded moment"):
        past.moment(db, NOW - SECOND)


def test_two_moments_are_compared_by_what_rose_and_what_fell(
    recorder: Recorder, ground: Ground, db: Connection
) -> None:
    for number, each in enumerate(drawings(ground, [], [alert(1, Level.RED)], [alert(2, Level.RED)])):
        recorder.record(each, NOW + number * MINUTE)
    told = past.compare(db, NOW, NOW + MINUTE, 9, 100)
    assert told["counts"]["rose"] == len(told["rose"]) > 0
    assert told["counts"]["fell"] == 0
    assert {each["to"]["level"] for each in told["rose"]} >= {"red"}
    assert told["rose"][0]["change"] == max(each["change"] for each in told["rose"])
    back = past.compare(db, NOW + MINUTE, NOW + 2 * MINUTE, 9, 1)
    assert back["counts"]["rose"] > 0
    assert back["counts"]["fell"] == told["counts"]["rose"]
    assert len(back["fell"]) == 1
    same = past.compare(db, NOW, NOW + 30 * SECOND, 9, 100)
    assert set(same["counts"].values()) == {0}
    assert same["levels"]["from"] == same["levels"]["to"]


def test_a_cell_whose_sensors_fall_silent_is_told_as_lost_from_sight(recorder: Recorder, db: Connection) -> None:
    ground = ground_of([pipe(0)], [sensor(1, 0)])
    seen = riskmap.build(ground, [], heard(5), NOW)
    silent = riskmap.build(ground, [], heard(5000), NOW, seen)
    recorder.record(seen, NOW)
    recorder.record(silent, NOW + MINUTE)
    told = past.compare(db, NOW, NOW + MINUTE, 9, 100)
    assert told["counts"] == {"rose": 0, "fell": 0, "lost_sight": 1, "seen_again": 0}
    again = past.compare(db, NOW + MINUTE, NOW + MINUTE + SECOND, 9, 100)
    assert set(again["counts"].values()) == {0}


def test_a_period_plays_to_the_same_pictures(recorder: Recorder, ground: Ground, db: Connection) -> None:
    drawn = drawings(ground, *STORY)
    for number, each in enumerate(drawn):
        recorder.record(each, NOW + number * MINUTE)
    told = past.play(db, NOW, NOW + 5 * MINUTE, 30 * SECOND, 9)
    picture: dict[str, tuple[str, float]] = {}
    assert len(told["frames"]) == 11
    for number, frame in enumerate(told["frames"]):
        assert frame["recorded"]
        for cell, level, score in frame["cells"]:
            if level is None:
                picture.pop(cell)
            else:
                picture[cell] = (level, score)
        features = json.loads(screens.cells(drawn[number // 2], 9).body)["features"]
        wanted = {p["cell"]: (p["level"], p["score"]) for p in (each["properties"] for each in features)}
        assert picture == wanted, number
    assert sum(len(frame["cells"]) for frame in told["frames"][1:]) < 5 * len(told["frames"][0]["cells"])


def test_a_period_says_where_nobody_drew(recorder: Recorder, ground: Ground, db: Connection) -> None:
    first, second = drawings(ground, [], [])
    recorder.record(first, NOW)
    recorder.record(second, NOW + 10 * MINUTE)
    told = past.play(db, NOW, NOW + 11 * MINUTE, MINUTE, 9)
    assert [each["recorded"] for each in told["frames"]] == [True] * 3 + [False] * 7 + [True] * 2
    with pytest.raises(ProblemError, match="too many"):
        past.play(db, NOW, NOW + 11 * MINUTE, SECOND, 9)


def test_old_frames_go_and_the_first_kept_moment_still_reads(
    database_dsn: str, pool: Pool, ground: Ground, db: Connection
) -> None:
    recorder = recorder_of(database_dsn, pool, keyframe=24 * HOUR)
    drawn = drawings(ground, [], [alert(1, Level.RED)], [], [alert(2, Level.RED)])
    days = 24 * 60
    for number, each in enumerate(drawn):
        recorder.record(each, NOW + number * days * MINUTE)
    recorder.stop_leading()
    assert snapshots.drop_old(db, NOW + 2 * days * MINUTE + HOUR) == 2
    assert snapshots.span(db) == (NOW + 2 * days * MINUTE, NOW + 3 * days * MINUTE)
    assert_same(db, drawn[2], 2 * days)
    assert_same(db, drawn[3], 3 * days)
    assert db.execute("SELECT min(at) > %s FROM map_cell", [NOW]).fetchone() == (True,)
    assert snapshots.drop_old(db, NOW) == 0


def test_the_role_of_the_api_may_add_to_the_record_and_change_nothing(database_dsn: str, db: Connection) -> None:
    with connect(database_dsn) as connection:
        connection.execute("SET ROLE lifeline_api")
        assert snapshots.span(connection) == (None, None)
        for table in ("map_frame", "map_cell", "map_segment", "map_asset"):
            for statement in (f"UPDATE {table} SET at = now()", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute(statement.encode())
        assert snapshots.drop_old(connection, NOW) == 0


def test_the_role_of_the_api_records(database_dsn: str, ground: Ground) -> None:
    with connect(database_dsn) as connection:
        connection.execute("SET ROLE lifeline_api")
        (drawn,) = drawings(ground, [])
        written = recall(connection)
        assert snapshots.add(connection, written.frame(drawn, NOW, keyframe=True), None)
        assert_same(connection, drawn, 1)


def test_drawings_wait_in_order_while_the_database_is_slow(
    database_dsn: str, pool: Pool, ground: Ground, db: Connection
) -> None:
    recorder = recorder_of(database_dsn, pool)
    drawn = drawings(ground, *STORY)
    recorder.start()
    with connect(database_dsn) as other:
        other.execute("LOCK TABLE map_frame IN ACCESS EXCLUSIVE MODE")
        for number, each in enumerate(drawn):
            recorder.offer(each, NOW + number * MINUTE)
        other.rollback()
    until(lambda: count(db, "map_frame") == len(drawn), "every frame")
    recorder.stop()
    for number, each in enumerate(drawn):
        assert_same(db, each, number)


def test_what_waits_is_stored_before_the_process_ends(
    database_dsn: str, pool: Pool, ground: Ground, db: Connection
) -> None:
    recorder = recorder_of(database_dsn, pool)
    first, second = drawings(ground, [], [alert(1, Level.RED)])
    recorder.offer(first, NOW)
    recorder.offer(second, NOW + MINUTE)
    recorder.start()
    recorder.stop()
    assert_same(db, second, 1)


def test_a_frame_never_begins_before_the_one_before_it(recorder: Recorder, ground: Ground, db: Connection) -> None:
    first, second = drawings(ground, [], [alert(1, Level.RED)])
    recorder.record(first, NOW)
    assert recorder.record(second, NOW - HOUR)  # the clock was set back
    assert count(db, "map_frame") == 2
    assert_same(db, second, 0.1)


def test_nothing_is_recalled_of_an_empty_record(db: Connection) -> None:
    written = recall(db)
    assert (written.at, written.keyframe_at, written.cells, written.segments) == (None, None, {}, {})
    assert written.next_at < NOW


def test_what_is_recalled_is_what_was_written(recorder: Recorder, ground: Ground, db: Connection) -> None:
    for number, each in enumerate(drawings(ground, *STORY)):
        recorder.record(each, NOW + number * MINUTE)
    again = recall(db)
    (still,) = drawings(ground, STORY[-1])
    frame = again.frame(still, NOW + HOUR, keyframe=False)
    assert (frame.segments, frame.shapes) == ([], [])
    assert not any(frame.cells.values())


def test_the_same_moment_is_read_from_the_database_once(recorder: Recorder, ground: Ground, db: Connection) -> None:
    (drawn,) = drawings(ground, [])
    recorder.record(drawn, NOW)
    archive, found = Archive(), past.moment(db, NOW)
    assert archive.cells(db, found, 9, None) is archive.cells(db, found, 9, None)
    assert archive.segments(db, found, None, 5) is archive.segments(db, found, None, 5)
    assert archive.segments(db, found, None, 5) is not archive.segments(db, found, None, 6)
    for number in range(100):
        archive.cells(db, found, 9, Box(0, 0, 1 + number / 100, 1))
    assert len(archive._kept) <= 64
