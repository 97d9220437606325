"""What happened in an area, read from the tables: which sensors, which alerts, which nights."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lifeline.errors import NotFoundError
from lifeline.inventory import Entry
from lifeline.model import RoadClass, Sensor, Zone, ZoneKind
from lifeline.storage import effect, inventory, zones
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.effect import Span
from tests.integration.test_plans import NOW, square
from tests.unit.test_renewal_plan import pipe

pytestmark = pytest.mark.usefixtures("clean_database")
START = datetime(2026, 6, 1, tzinfo=UTC)
SPAN = Span(START, START + timedelta(days=2))
LOCAL = "Asia/Shanghai"


@pytest.fixture
def db(clean_database: str) -> Iterator[Connection]:
    connection = open_connection(clean_database, autocommit=True)
    with connection.transaction():
        inventory.store_assets(
            connection,
            [
                Entry(1, pipe("main", 0, 0, network="drainage", road_class=RoadClass.MAIN)),
                Entry(1, pipe("lane", 0, 100, network="drainage", road_class=RoadClass.LANE)),
                Entry(1, pipe("far", 0, 9000, network="drainage", road_class=RoadClass.MAIN)),
                Entry(1, pipe("water", 0, 50)),
            ],
            NOW,
        )
        channels = {
            "P1": ("ponding_depth", "main"), "P2": ("ponding_depth", "lane"), "P3": ("ponding_depth", "far"),
            "R1": ("rain", "far"), "F1": ("flow", "water"), "F2": ("flow", "water"),
        }  # fmt: skip
        inventory.store_sensors(
            connection,
            [Entry(1, Sensor(name, "water" if name[0] == "F" else "drainage", *at)) for name, at in channels.items()],
        )
        zones.store_zones(connection, [Zone("z", ZoneKind.DMA, square(300.0))], NOW)
    yield connection
    connection.close()


def number(db: Connection, device: str) -> int:
    row = db.execute(
        "SELECT sensor_id FROM sensor JOIN device USING (device_id) WHERE external_id = %s", [device]
    ).fetchone()
    assert row is not None
    return int(row[0])


def tell(db: Connection, device: str, quarter: int, value: float, highest: float | None = None) -> None:
    """A quarter of an hour of a sensor, counted from the begin of the span."""
    top = value if highest is None else highest
    db.execute(
        "INSERT INTO reading_15m VALUES (%s, %s, 3, %s, %s, %s, %s)",
        [number(db, device), START + timedelta(minutes=15 * quarter), value, top, value, value],
    )


def test_a_gauge_outside_the_area_stands_in_where_it_has_none(db: Connection) -> None:
    tell(db, "R1", 0, 8.0)
    found = effect.rain_and_ponding(db, "z", (), 0.05, SPAN)
    assert found.rain_mm_h.tolist() == [8.0]
    assert found.start_s.tolist() == [START.timestamp()]


def test_ponding_is_the_share_of_the_areas_sensors_that_stood_under_water(db: Connection) -> None:
    for device, highest in (("P1", 0.2), ("P2", 0.01), ("P3", 0.9)):
        tell(db, device, 0, 0.0, highest)
    tell(db, "R1", 0, 8.0)
    assert effect.rain_and_ponding(db, "z", (), 0.05, SPAN).ponding_min.tolist() == [7.5]
    assert effect.rain_and_ponding(db, "z", (RoadClass.MAIN,), 0.05, SPAN).ponding_min.tolist() == [15.0]
    assert effect.rain_and_ponding(db, "z", (RoadClass.LANE,), 0.05, SPAN).ponding_min.tolist() == [0.0]
    assert effect.rain_and_ponding(db, None, (), 0.05, SPAN).ponding_min.tolist() == [10.0]
    assert effect.rain_and_ponding(db, "z", (), 0.3, SPAN).ponding_min.tolist() == [0.0]


def test_a_quarter_without_rain_told_is_left_out_and_one_without_ponding_told_is_dry(db: Connection) -> None:
    tell(db, "P1", 0, 0.5)
    tell(db, "R1", 1, 4.0)
    found = effect.rain_and_ponding(db, "z", (), 0.05, SPAN)
    assert found.rain_mm_h.tolist() == [4.0]
    assert found.ponding_min.tolist() == [0.0]


def test_a_sensor_that_is_silent_is_not_counted_as_dry(db: Connection) -> None:
    tell(db, "R1", 0, 4.0)
    tell(db, "P1", 0, 0.5)
    assert effect.rain_and_ponding(db, "z", (), 0.05, SPAN).ponding_min.tolist() == [15.0]


def test_nothing_told_is_nothing(db: Connection) -> None:
    found = effect.rain_and_ponding(db, "z", (), 0.05, SPAN)
    assert [len(column) for column in found] == [0, 0, 0]
    nights, flow = effect.night_flow(db, "z", LOCAL, SPAN)
    assert len(nights) == len(flow) == 0


def test_the_end_of_a_span_is_not_in_it(db: Connection) -> None:
    tell(db, "R1", 2 * 96, 8.0)
    tell(db, "R1", 2 * 96 - 1, 3.0)
    assert effect.rain_and_ponding(db, "z", (), 0.05, SPAN).rain_mm_h.tolist() == [3.0]


def test_night_is_two_to_four_of_local_time(db: Connection) -> None:
    # 18:00 UTC is 02:00 in Shanghai.
    for quarter in range(96):
        for device in ("F1", "F2"):
            tell(db, device, quarter, float(quarter))
    nights, flow = effect.night_flow(db, "z", LOCAL, SPAN)
    assert flow.tolist() == [2.0 * quarter for quarter in range(72, 80)]
    assert len(set(nights.tolist())) == 1


def test_a_quarter_that_a_meter_did_not_tell_is_no_balance(db: Connection) -> None:
    tell(db, "F1", 72, 5.0)
    tell(db, "F2", 72, 6.0)
    tell(db, "F1", 73, 1.0)
    assert effect.night_flow(db, "z", LOCAL, SPAN)[1].tolist() == [11.0]


def test_what_flows_out_of_the_zone_is_taken_off(db: Connection) -> None:
    for device, direction in (("F1", 1), ("F2", -1)):
        db.execute(
            "INSERT INTO zone_flow SELECT zone_id, %s, %s FROM zone WHERE external_id = 'z'",
            [number(db, device), direction],
        )
    tell(db, "F1", 72, 10.0)
    tell(db, "F2", 72, 4.0)
    assert effect.night_flow(db, "z", LOCAL, SPAN)[1].tolist() == [6.0]
    assert effect.night_flow(db, None, LOCAL, SPAN)[1].tolist() == [14.0]


def raise_alert(db: Connection, rule: str, *, sensor: str | None, asset: str | None, at: datetime, kind: str) -> None:
    db.execute(
        "INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state, sensor_id,"
        " asset_id, first_seen, raised_at, updated_at, closed_at) VALUES ('sensor', 1, %s, '1', %s, 'drainage', 2,"
        " 'NORM', %s, (SELECT asset_id FROM asset WHERE external_id = %s), %s, %s, %s, %s)",
        [rule, kind, number(db, sensor) if sensor else None, asset, at, at, at, at],
    )


def test_alerts_of_an_area_are_those_of_its_assets_and_its_sensors(db: Connection) -> None:
    at = START + timedelta(hours=1)
    raise_alert(db, "a", sensor="P1", asset=None, at=at, kind="risk")
    raise_alert(db, "a", sensor=None, asset="lane", at=at, kind="risk")
    raise_alert(db, "b", sensor="P1", asset="main", at=at, kind="risk")
    raise_alert(db, "far", sensor="P3", asset="far", at=at, kind="risk")
    raise_alert(db, "sick", sensor="P1", asset=None, at=at, kind="maintenance")
    raise_alert(db, "late", sensor="P1", asset=None, at=SPAN.end, kind="risk")
    raise_alert(db, "early", sensor="P1", asset=None, at=START - timedelta(seconds=1), kind="risk")
    assert effect.alerts_by_rule(db, "z", SPAN) == {"a": 2, "b": 1}
    assert effect.alerts_by_rule(db, None, SPAN) == {"a": 2, "b": 1, "far": 1}


def test_breaks_of_an_area_are_those_of_its_assets(db: Connection) -> None:
    for name, asset, day in (("1", "water", 0), ("2", "far", 0), ("3", "water", 2), ("4", "water", 1)):
        db.execute(
            "INSERT INTO asset_break (asset_id, at, external_id)"
            " SELECT asset_id, %s, %s FROM asset WHERE external_id = %s",
            [START + timedelta(days=day), name, asset],
        )
    assert effect.breaks(db, "z", SPAN) == 2
    assert effect.breaks(db, None, SPAN) == 3


def test_an_unknown_zone_is_told_and_no_zone_is_the_city(db: Connection) -> None:
    effect.check_zone(db, None)
    effect.check_zone(db, "z")
    with pytest.raises(NotFoundError, match="'y'"):
        effect.check_zone(db, "y")


@pytest.mark.parametrize("role", ["lifeline_api", "lifeline_planning"])
def test_the_processes_may_read_all_that_the_comparison_asks(db: Connection, role: str) -> None:
    with db.transaction():
        db.execute("SET LOCAL ROLE " + role)  # type: ignore[arg-type]
        effect.alerts_by_rule(db, "z", SPAN)
        effect.breaks(db, "z", SPAN)
        effect.rain_and_ponding(db, "z", (), 0.05, SPAN)
        effect.night_flow(db, "z", LOCAL, SPAN)
