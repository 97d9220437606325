"""The map through time as clients see it: two real API processes on one real database, and what they served."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from lifeline.model import Level
from lifeline.storage import alerts
from lifeline.storage.database import connect
from tests.api_process import Api, running_api, until
from tests.integration.asking import assert_problem
from tests.integration.town import build, empty, open_alert

CELLS, SEGMENTS = "/api/v1/risk/cells", "/api/v1/risk/segments"
BOX = "bbox=117.19,31.79,117.205,31.83"
PATHS = (
    *(f"{CELLS}?resolution={size}" for size in (8, 9, 10)),
    SEGMENTS,
    f"{SEGMENTS}?{BOX}",
    f"{SEGMENTS}?limit=2",
    f"{CELLS}?{BOX}",
)


class Witness:
    """Writes down what a page was served, and between which moments."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.seen: list[tuple[str, datetime, datetime, str, bytes]] = []

    def look(self) -> None:
        for path in PATHS:
            before = datetime.now(UTC)
            answer = self.api.get(path)
            self.seen.append((path, before, datetime.now(UTC), answer.headers["etag"], answer.content))

    def watch(self, looks: int, pause_s: float) -> None:
        """Some looks, and more until the last two saw the same of each path: a busy machine draws late."""

        def looked() -> bool:
            self.look()
            one, other = self.seen[-2 * len(PATHS) : -len(PATHS)], self.seen[-len(PATHS) :]
            return [each[3] for each in one] == [each[3] for each in other]

        for _ in range(looks - 1):
            time.sleep(pause_s)
            self.look()
        until(looked, "a map that stands still")

    def steady(self) -> list[tuple[str, datetime, str, bytes]]:
        """Of each path: moments between two looks that saw the same. The map was that throughout."""
        found = []
        for path in PATHS:
            looks = [each for each in self.seen if each[0] == path]
            for one, other in pairwise(looks):
                if one[3] == other[3]:
                    found.append((path, one[2] + (other[1] - one[2]) / 2, one[3], one[4]))
        return found


@pytest.fixture(scope="module")
def apis(database_dsn: str) -> Iterator[tuple[Api, Api]]:
    """Two processes on one town. The first records: the second draws the same, and a moment sooner or later."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build(connection)
    with running_api(database_dsn) as one:
        until(lambda: frames(one) > 0, "the first frame")
        with running_api(database_dsn) as other:
            other.keys = one.keys
            yield one, other


def at(path: str, moment: datetime) -> str:
    return f"{path}{'&' if '?' in path else '?'}at={moment.isoformat().replace('+00:00', 'Z')}"


def frames(api: Api) -> float:
    """How many frames this process has recorded."""
    lines = [line for line in api.get("/metrics").text.splitlines() if line.startswith("lifeline_api_map_frames_total")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def drawn(api: Api) -> tuple[int, set[str]]:
    """Cells that show an alert, and how much is known of the cells, on the map that this process serves."""
    cells = [each["properties"] for each in api.get(CELLS).json()["features"]]
    return sum(bool(each["alerts"]) for each in cells), {each["coverage"] for each in cells}


@pytest.fixture(scope="module")
def witness(apis: tuple[Api, Api]) -> Witness:
    """What was served while alerts came and went."""
    api, other = apis
    found = Witness(api)
    with connect(api.dsn) as connection:
        ids = {row[0]: row[1] for row in connection.execute("SELECT quantity, sensor_id FROM sensor")}
        found.look()
        levels = (("methane", Level.RED), ("pressure", Level.ORANGE), ("level", Level.YELLOW))
        for count, (quantity, level) in enumerate(levels, 1):
            open_alert(connection, ids[quantity], level, rule=f"{quantity}.level")
            until(lambda: drawn(api)[0] == count, "the alert on the map")  # noqa: B023 - asked for in this turn alone
            found.watch(3, 0.4)
        connection.execute("UPDATE sensor_state SET ts = ts - interval '1 day'")
        connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "reading"}')""")
        connection.commit()
        until(lambda: drawn(api)[1] == {"silent", "none"}, "silence on the map")
        found.watch(4, 0.7)
        assert alerts.list_open(connection)
    path, _, last, _, body = found.seen[-1]
    until(lambda: other.get(at(path, last)).content == body, "the record of what was seen last")
    return found


def test_the_map_of_a_past_moment_is_byte_for_byte_the_one_that_was_served(
    apis: tuple[Api, Api], witness: Witness
) -> None:
    steady = witness.steady()
    assert len({etag for _, _, etag, _ in steady}) >= 8
    for path, moment, etag, body in steady:
        answer = apis[1].get(at(path, moment))  # the other process: the record is in the database
        assert answer.status_code == 200
        assert answer.headers["etag"] == etag, (path, moment)
        assert answer.content == body
        drawn = datetime.fromisoformat(answer.headers["map-drawn-at"]) if "map-drawn-at" in answer.headers else moment
        assert drawn <= moment


def test_of_two_processes_exactly_one_records(apis: tuple[Api, Api], witness: Witness) -> None:
    told = [frames(each) for each in apis]
    assert sorted(told)[0] == 0
    assert max(told) >= 4


def test_a_map_that_is_asked_for_again_is_304(apis: tuple[Api, Api], witness: Witness) -> None:
    path, moment, etag, _ = witness.steady()[0]
    again = apis[0].get(at(path, moment), headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_present_is_the_past_of_now(apis: tuple[Api, Api], witness: Witness) -> None:
    for path in PATHS:
        told = apis[0].get(at(path, datetime.now(UTC) - timedelta(milliseconds=1)))
        assert told.content == apis[0].get(path).content


def test_what_rose_is_told_between_two_moments(apis: tuple[Api, Api], witness: Witness) -> None:
    first, last = witness.seen[0][2], witness.seen[-1][2]
    told = apis[0].get(f"/api/v1/risk/compare?{query(first, last)}").json()
    assert told["counts"]["rose"] >= 3
    assert told["rose"][0]["to"]["level"] == "red"
    assert told["levels"]["to"]["red"] == told["levels"]["from"]["red"] + 2  # some of the town is red by what it is
    assert told["counts"]["lost_sight"] + told["counts"]["rose"] <= sum(told["levels"]["to"].values())


def test_a_period_is_played(apis: tuple[Api, Api], witness: Witness) -> None:
    first, last = witness.seen[0][2], witness.seen[-1][2]
    told = apis[0].get(f"/api/v1/risk/frames?{query(first, last)}&step_s=1").json()
    levels = {cell[1] for frame in told["frames"] for cell in frame["cells"]}
    assert {"red", "orange", "yellow", "unknown"} <= levels
    assert all(frame["recorded"] for frame in told["frames"])
    assert len(apis[0].get(f"/api/v1/risk/frames?{query(first, last)}").json()["frames"]) <= 61


def test_what_pipes_rose_is_told_between_two_moments_and_agrees_with_the_maps(
    apis: tuple[Api, Api], witness: Witness
) -> None:
    first, last = witness.seen[0][2], witness.seen[-1][2]
    told = apis[0].get(f"/api/v1/risk/compare/segments?{query(first, last)}").json()
    maps = [
        {each["properties"]["id"]: each["properties"]["score"] for each in found["features"]}
        for found in (apis[0].get(at(SEGMENTS, when)).json() for when in (first, last))
    ]
    due = {name: round(score - maps[0][name], 1) for name, score in maps[1].items() if score > maps[0][name]}
    assert {each["asset"]: each["change"] for each in told["rose"]} == due
    assert told["counts"]["rose"] == len(due) >= 2
    changes = [each["change"] for each in told["rose"]]
    assert changes == sorted(changes, reverse=True)
    assert all(each["from"]["score"] < each["to"]["score"] for each in told["rose"])
    assert sum(told["levels"]["from"].values()) == len(maps[0])
    one = apis[0].get(f"/api/v1/risk/compare/segments?{query(first, last)}&limit=1").json()
    assert (one["rose"], one["counts"]) == (told["rose"][:1], told["counts"])


def test_pipes_are_played_and_end_as_the_map_does(apis: tuple[Api, Api], witness: Witness) -> None:
    first, last = witness.seen[0][2], witness.seen[-1][2]
    told = apis[0].get(f"/api/v1/risk/frames/segments?{query(first, last)}&step_s=1").json()
    assert told["changed"] == len(told["frames"][0]["segments"]) >= 3
    state = {name: score for frame in told["frames"] for name, _, score in frame["segments"]}
    end = apis[0].get(at(SEGMENTS, last)).json()["features"]
    assert state == {
        each["properties"]["id"]: each["properties"]["score"] for each in end if each["properties"]["id"] in state
    }
    few = apis[0].get(f"/api/v1/risk/frames/segments?{query(first, last)}&step_s=1&limit=1").json()
    assert {name for frame in few["frames"] for name, *_ in frame["segments"]} == {few["frames"][0]["segments"][0][0]}
    assert few["changed"] == told["changed"]


def test_the_span_says_from_when_on_there_is_a_map(apis: tuple[Api, Api], witness: Witness) -> None:
    told = apis[0].get("/api/v1/risk/span").json()
    assert datetime.fromisoformat(told["first"]) <= witness.seen[0][2]
    assert datetime.fromisoformat(told["last"]) > witness.seen[0][2]
    early = datetime.fromisoformat(told["first"]) - timedelta(seconds=1)
    assert_problem(apis[0].get(at(CELLS, early)), 404)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"{CELLS}?at=2100-01-01T00:00:00Z", "future"),
        (f"{SEGMENTS}?at=2100-01-01T00:00:00Z", "future"),
        (f"{CELLS}?at=2026-01-01", "timezone"),
        ("/api/v1/risk/compare", "from"),
        ("/api/v1/risk/compare?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "before"),
        ("/api/v1/risk/frames?from=2026-01-02T00:00:00Z&to=2100-01-01T00:00:00Z", "future"),
        ("/api/v1/risk/frames?from=2026-01-02T00:00:00Z&step_s=0", "step_s"),
        ("/api/v1/risk/frames?from=2026-01-02T00:00:00Z&step_s=5e-324", "step_s"),
        ("/api/v1/risk/frames/segments?from=2026-01-02T00:00:00Z&step_s=1e-7", "step_s"),
        ("/api/v1/risk/frames/segments?from=2026-01-02T00:00:00Z&step_s=1", "too many"),
        ("/api/v1/risk/compare/segments?from=2100-01-02T00:00:00Z", "before"),
    ],
)
def test_a_moment_that_makes_no_sense_is_refused(path: str, told: str, apis: tuple[Api, Api]) -> None:
    answer = apis[0].get(path)
    assert_problem(answer, 400)
    assert told in answer.text


def query(since: datetime, until_: datetime) -> str:
    return "&".join(
        f"{name}={each.isoformat().replace('+00:00', 'Z')}" for name, each in (("from", since), ("to", until_))
    )


def test_many_ask_for_the_past_at_once(apis: tuple[Api, Api], witness: Witness) -> None:
    path, moment, etag, _ = witness.steady()[1]

    def ask(_: int) -> Any:
        return apis[0].get(at(path, moment)).headers["etag"]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(24))) == {etag}


def test_the_other_process_takes_the_record_over(apis: tuple[Api, Api], witness: Witness) -> None:
    one, other = sorted(apis, key=frames, reverse=True)
    code, log = one.end()
    assert code == 0, log
    with connect(other.dsn) as connection:
        (sensor,) = connection.execute("SELECT min(sensor_id) FROM sensor").fetchone() or (0,)
        open_alert(connection, sensor, Level.RED, rule="another")
    until(lambda: frames(other) > 0, "a frame of the other")
    until(lambda: "another" in other.get("/api/v1/risk/assets/G-C0").text, "the alert on its map")
    known = datetime.now(UTC)
    served = httpx.get(other.url + CELLS, headers={"Authorization": f"Bearer {other.key()}"}).content
    until(lambda: other.get(at(CELLS, known)).content == served, "the record of it")
