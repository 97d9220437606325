"""Features as the database makes them: GeoJSON that is valid, pages without gap or repetition, filters that hold."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shapely.geometry import shape

from lifeline.geo import Box
from lifeline.storage import reports
from lifeline.storage.database import Connection, connect
from lifeline.storage.features import SOURCES, FeatureFilter, extent, features
from lifeline.storage.reports import Category, Report
from tests.integration.town import NETWORKS, SOUTH, STEP, WEST, assets, build, empty, open_alert

EVERYTHING = FeatureFilter()


@pytest.fixture(scope="module")
def db(database_dsn: str) -> Iterator[Connection]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        for network in NETWORKS:
            open_alert(connection, ids[network])
        for number, category in enumerate((Category.GAS_SMELL, Category.WATER_LEAK, Category.FLOODING)):
            report = Report(category, "as seen", WEST + number * STEP, SOUTH + STEP, datetime.now(UTC))
            reports.keep(connection, report, "hotline", datetime.now(UTC))
        connection.commit()
        yield connection


def read(db: Connection, source: str, wanted: FeatureFilter = EVERYTHING, limit: int = 1000) -> list[dict[str, Any]]:
    return [json.loads(each) for _, each in features(db, source, wanted, after=0, limit=limit)]


@pytest.mark.parametrize("source", SOURCES)
def test_each_feature_is_geojson_with_an_id_of_its_own(source: str, db: Connection) -> None:
    found = read(db, source)
    assert found
    assert len({each["id"] for each in found}) == len(found)
    for each in found:
        assert each["type"] == "Feature"
        assert each["properties"]["network"] in NETWORKS
        if each["geometry"] is not None:
            west, south, east, north = shape(each["geometry"]).bounds
            assert WEST <= west <= east <= WEST + 3 * STEP
            assert SOUTH <= south <= north <= SOUTH + 3 * STEP


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages_of_any_size_give_every_feature_once(source: str, size: int, db: Connection) -> None:
    after, seen = 0, []
    while page := features(db, source, EVERYTHING, after=after, limit=size):
        assert len(page) <= size
        seen += [json.loads(each)["id"] for _, each in page]
        after = page[-1][0]
    assert seen == [each["id"] for each in read(db, source)]


@pytest.mark.parametrize("source", SOURCES)
def test_one_is_found_by_its_id_and_only_by_that(source: str, db: Connection) -> None:
    first = read(db, source)[0]
    assert read(db, source, FeatureFilter(fid=str(first["id"]))) == [first]
    assert read(db, source, FeatureFilter(fid="no such thing")) == []


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("network", [*NETWORKS, "heat"])
def test_a_network_keeps_its_own(source: str, network: str, db: Connection) -> None:
    expected = [each for each in read(db, source) if each["properties"]["network"] == network]
    assert read(db, source, FeatureFilter(network=network)) == expected
    assert bool(expected) == (network != "heat")


@pytest.mark.parametrize(
    "box",
    [
        Box(WEST - 1, SOUTH - 1, WEST + 1, SOUTH + 1),
        Box(WEST - STEP / 2, SOUTH - STEP / 2, WEST + STEP / 2, SOUTH + STEP / 2),
        Box(WEST + STEP / 4, SOUTH + STEP / 4, WEST + STEP / 2, SOUTH + STEP / 2),
        Box(0, 0, 1, 1),
    ],
)
def test_a_box_keeps_the_assets_whose_own_box_touches_it(box: Box, db: Connection) -> None:
    expected = set()
    for each in assets():
        west, south, east, north = shape(each.geometry).bounds
        if east >= box.west and west <= box.east and north >= box.south and south <= box.north:
            expected.add(each.external_id)
    assert {each["id"] for each in read(db, "assets", FeatureFilter(box=box))} == expected


def test_time_keeps_the_alerts_that_were_open_in_it(db: Connection) -> None:
    now = datetime.now(UTC)
    rows = db.execute("SELECT alert_id FROM alert ORDER BY alert_id").fetchall()
    first = rows[0][0]
    db.execute(
        "UPDATE alert SET state = 'NORM', raised_at = %s, first_seen = %s, closed_at = %s WHERE alert_id = %s",
        [now - timedelta(hours=3), now - timedelta(hours=3), now - timedelta(hours=2), first],
    )
    try:
        during = FeatureFilter(since=now - timedelta(minutes=170), until=now - timedelta(minutes=130))
        assert [each["id"] for each in read(db, "alerts", during)] == [first]
        after = FeatureFilter(since=now - timedelta(hours=1))
        assert first not in [each["id"] for each in read(db, "alerts", after)]
        before = FeatureFilter(until=now - timedelta(hours=4))
        assert read(db, "alerts", before) == []
        assert first not in [each["id"] for each in read(db, "alerts", FeatureFilter(open=True))]
        assert len(read(db, "alerts", FeatureFilter(open=True))) == len(rows) - 1
    finally:
        db.rollback()


def test_a_sensor_says_what_it_said_last_and_when(db: Connection) -> None:
    for each in read(db, "sensors"):
        told = each["properties"]
        row = db.execute("SELECT value, ts FROM sensor_state WHERE sensor_id = %s", [told["id"]]).fetchone()
        assert row is not None
        assert told["value"] == row[0]
        assert datetime.fromisoformat(told["at"]) == row[1]


def test_a_sensor_that_nobody_placed_stands_at_its_asset(db: Connection) -> None:
    for each in read(db, "sensors"):
        place = next(asset for asset in assets() if asset.external_id == each["properties"]["asset"])
        assert each["geometry"]["coordinates"] == pytest.approx(place.geometry["coordinates"])


def test_a_sensor_without_any_place_has_no_geometry(db: Connection) -> None:
    try:
        db.execute("UPDATE sensor SET asset_id = NULL, longitude = NULL, latitude = NULL")
        db.execute("UPDATE device SET longitude = NULL, latitude = NULL")
        assert {each["geometry"] for each in read(db, "sensors")} == {None}
        assert read(db, "sensors", FeatureFilter(box=Box(-180, -90, 180, 90))) == []
    finally:
        db.rollback()


def test_the_extent_is_the_box_around_all_assets(db: Connection) -> None:
    found = extent(db)
    bounds = [shape(each.geometry).bounds for each in assets()]
    assert found == Box(
        min(each[0] for each in bounds),
        min(each[1] for each in bounds),
        max(each[2] for each in bounds),
        max(each[3] for each in bounds),
    )


def test_a_city_without_assets_has_no_extent(database_dsn: str, db: Connection) -> None:
    try:
        db.execute("TRUNCATE asset CASCADE")
        assert extent(db) is None
        assert read(db, "assets") == []
    finally:
        db.rollback()
