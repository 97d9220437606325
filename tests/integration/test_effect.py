"""After the renewal, from the real tables: a history of known effect is told as what it was."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from lifeline.errors import NotFoundError
from lifeline.inventory import Entry
from lifeline.model import RoadClass, Sensor, Zone, ZoneKind
from lifeline.planning.effect import MAIN_ROADS, Area, compare, parse_span
from lifeline.storage import inventory, zones
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.effect import Span
from tests.api_process import Api, running_api
from tests.integration.in_process import lifeline
from tests.integration.test_plans import NOW, square
from tests.unit.test_comparison import SHANGHAI
from tests.unit.test_renewal_plan import pipe

ROOT = Path(__file__).parents[2]
BEFORE, AFTER = "2021-05-01..2021-07-31", "2025-05-01..2025-07-31"
TRUE_PONDING, TRUE_FLOW = 0.4, 0.7


@pytest.fixture(scope="module")
def db(database_dsn: str) -> Iterator[Connection]:
    connection = open_connection(database_dsn, autocommit=True)
    connection.execute("TRUNCATE asset, device, zone, alert, reading_15m RESTART IDENTITY CASCADE")
    with connection.transaction():
        build(connection)
    yield connection
    connection.close()


def build(connection: Connection) -> None:
    """A zone with a main road and a lane that pond, a gauge and a meter, and a summer before and after."""
    roads = [
        pipe("main", 0, 0, network="drainage", road_class=RoadClass.MAIN),
        pipe("lane", 0, 200, network="drainage", road_class=RoadClass.LANE),
    ]
    far = [pipe("far", 0, 5000, network="drainage", road_class=RoadClass.MAIN), pipe("w", 0, 50)]
    inventory.store_assets(connection, [Entry(1, each) for each in (*roads, *far)], NOW)
    sensors = [
        Sensor("P1", "drainage", "ponding_depth", "main"),
        Sensor("P2", "drainage", "ponding_depth", "lane"),
        Sensor("P3", "drainage", "ponding_depth", "far"),
        Sensor("R1", "drainage", "rain", "main"),
        Sensor("F1", "water", "flow", "w"),
    ]
    inventory.store_sensors(connection, [Entry(1, each) for each in sensors])
    zones.store_zones(connection, [Zone("old-town", ZoneKind.RENEWAL, square(400.0))], NOW)
    ids = dict(connection.execute("SELECT external_id, sensor_id FROM sensor JOIN device USING (device_id)").fetchall())
    for year, effect, flow, seed in ((2021, 1.0, 1.0, 1), (2025, TRUE_PONDING, TRUE_FLOW, 2)):
        store_summer(connection, ids, year, effect, flow, seed)
    add_alerts(connection, ids)


def store_summer(connection: Connection, ids: dict[str, int], year: int, effect: float, flow: float, seed: int) -> None:
    """A storm every other day; the main road ponds longer the more it rains, times ``effect``; the lane as ever."""
    random = np.random.default_rng(seed)
    start = datetime(year, 4, 30, 16, tzinfo=UTC)
    quarters = 92 * 96
    rain, main, lane = np.zeros(quarters), np.zeros(quarters), np.zeros(quarters)
    for begin in range(20, quarters - 100, 150):
        depth = float(random.gamma(1.5, 10.0)) + 2.0
        rain[begin : begin + 4] = depth
        wet = depth * 0.8 * float(random.lognormal(0, 0.15))
        main[begin : begin + round(wet * effect)] = 0.2
        lane[begin : begin + round(wet)] = 0.2
    night = flow * random.normal(10.0, 0.5, quarters)
    columns = {"R1": rain, "P1": main, "P2": lane, "P3": lane * 0, "F1": night}
    with connection.cursor().copy(
        "COPY reading_15m (sensor_id, bucket, n, minimum, maximum, mean, last) FROM STDIN"
    ) as copy:
        for name, values in columns.items():
            for k, value in enumerate(values.tolist()):
                copy.write_row((ids[name], start + timedelta(minutes=15 * k), 3, value, value, value, value))


def add_alerts(connection: Connection, ids: dict[str, int]) -> None:
    for year, count, rule in (
        (2021, 40, "ponding_depth.level"),
        (2025, 12, "ponding_depth.level"),
        (2021, 9, "burst.main"),
    ):
        for k in range(count):
            at = datetime(year, 6, 1, tzinfo=UTC) + timedelta(hours=5 * k)
            connection.execute(
                "INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state,"
                " sensor_id, first_seen, raised_at, updated_at, closed_at)"
                " VALUES ('sensor', %s, %s, '1', 'risk', 'drainage', 2, 'NORM', %s, %s, %s, %s, %s)",
                [ids["P1"], rule, ids["P1"], at, at, at, at],
            )


def spans() -> tuple[Span, Span]:
    return parse_span(BEFORE, SHANGHAI), parse_span(AFTER, SHANGHAI)


def test_ponding_on_main_roads_is_told_as_what_it_was(db: Connection) -> None:
    found = compare(db, Area("old-town", MAIN_ROADS), *spans(), "2021", "Asia/Shanghai")
    ponding = found["ponding"]
    assert ponding["ratio"] == pytest.approx(TRUE_PONDING, abs=0.08)
    assert ponding["low"] < TRUE_PONDING + 0.05
    assert ponding["high"] < 0.6
    assert ponding["says"]["en"].startswith("Ponding on main roads for the same rain")
    assert "less than in 2021" in ponding["says"]["en"]
    assert min(ponding["events"]) > 40
    assert ponding["hours"][1] < ponding["hours"][0]


def test_all_roads_together_have_changed_less(db: Connection) -> None:
    main = compare(db, Area("old-town", MAIN_ROADS), *spans(), "2021", "Asia/Shanghai")["ponding"]["ratio"]
    both = compare(db, Area("old-town"), *spans(), "2021", "Asia/Shanghai")["ponding"]["ratio"]
    assert main < both < 1.0
    assert both == pytest.approx((1 + TRUE_PONDING) / 2, abs=0.1)


def test_alerts_bursts_and_night_flow_are_counted_in_the_area(db: Connection) -> None:
    found = compare(db, Area("old-town"), *spans(), "2021", "Asia/Shanghai")
    assert found["alerts"]["count"] == [49, 12]
    assert found["bursts"]["count"] == [9, 0]
    assert found["breaks"]["count"] == [0, 0]
    assert "not enough data" in found["breaks"]["says"]["en"]
    assert found["night_flow"]["ratio"] == pytest.approx(TRUE_FLOW, abs=0.03)
    assert found["night_flow"]["nights"] == [92, 92]
    json.dumps(found, allow_nan=False)


def test_a_span_without_data_claims_nothing(db: Connection) -> None:
    quiet = parse_span("1999", SHANGHAI)
    found = compare(db, Area("old-town"), quiet, quiet, "1999", "Asia/Shanghai")
    for name in ("alerts", "bursts", "breaks", "ponding", "night_flow"):
        assert found[name]["ratio"] is None
        assert "not enough data" in found[name]["says"]["en"]


def test_deeper_water_is_less_ponding(db: Connection) -> None:
    shallow = compare(db, Area(deep_m=0.05), *spans(), "2021", "Asia/Shanghai")["ponding"]["hours"][0]
    deep = compare(db, Area(deep_m=0.5), *spans(), "2021", "Asia/Shanghai")["ponding"]["hours"][0]
    assert shallow > deep == 0.0


def test_a_zone_that_is_not_there_is_told(db: Connection) -> None:
    with pytest.raises(NotFoundError, match="'nowhere'"):
        compare(db, Area("nowhere"), *spans(), "2021", "Asia/Shanghai")


@pytest.fixture(scope="module")
def api(db: Connection, database_dsn: str) -> Iterator[Api]:
    with running_api(database_dsn) as process:
        yield process


def test_the_route_answers_in_figures_and_words(api: Api) -> None:
    answer = api.get(f"/api/v1/effect?zone=old-town&before={BEFORE}&after={AFTER}&main_roads=true")
    assert answer.status_code == 200, answer.text
    assert answer.json()["ponding"]["ratio"] == pytest.approx(TRUE_PONDING, abs=0.08)
    for wrong, status in (("before=soon&after=2025", 400), ("before=2021", 400), ("before=2021&after=2025&zone=x", 404),
                          ("before=2021&after=2025&deep_m=0", 400)):  # fmt: skip
        assert api.get(f"/api/v1/effect?{wrong}").status_code == status, wrong


def test_the_command_says_it_in_both_languages(db: Connection, database_dsn: str) -> None:
    asked = ["--zone", "old-town", "--before", BEFORE, "--after", AFTER, "--main-roads"]
    done = lifeline("effect", *asked, LIFELINE_DATABASE_URL=database_dsn)
    assert done.returncode == 0, done.stderr
    assert "Ponding on main roads for the same rain" in done.stdout
    assert "同等降雨下主干道积水时间" in done.stdout
