"""What `lifeline export` writes, `lifeline import` reads back as the same things: every format, any text and number."""

import csv
import io
import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeline import geo
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ConfigurationError
from lifeline.exchange.coordinates import from_wgs84, to_wgs84
from lifeline.exchange.files import Options, read_file
from lifeline.exchange.rows import Row
from lifeline.exchange.writers import COLUMNS, chunks, properties, write
from lifeline.inventory import check_assets, check_sensors, check_zones
from lifeline.model import Asset, AssetKind, RoadClass, Sensor, Zone, ZoneKind, ZoneStatus

CATALOGUE = shipped_catalogue()
CHECKS = {"assets": check_assets, "sensors": check_sensors, "zones": check_zones}

names = st.text(string.ascii_letters + string.digits + "._:-", min_size=1, max_size=12).map(lambda tail: f"a{tail}")
# What a person would type; outer spaces are not kept by any file.
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20).map(str.strip)
optional_texts = st.none() | texts.filter(bool)
positions = st.tuples(st.integers(117_000_000, 117_500_000), st.integers(31_000_000, 31_500_000)).map(
    lambda each: [each[0] / 1e6, each[1] / 1e6]
)
scalars = st.booleans() | st.integers(-(2**31), 2**31) | st.floats(-1e6, 1e6, width=32) | texts
attributes = st.dictionaries(
    texts.filter(lambda name: bool(name) and name not in {*COLUMNS["assets"], "longitude", "latitude", "wkt", "zone"}),
    scalars | st.lists(scalars, max_size=2) | st.none(),
    max_size=3,
)


@st.composite
def asset_rows(draw: st.DrawFn) -> list[Row]:
    found = []
    for number, name in enumerate(draw(st.lists(names, min_size=1, max_size=4, unique=True)), 1):
        pipe = draw(st.booleans())
        ends = draw(st.lists(positions, min_size=2, max_size=4))
        geometry = {"type": "LineString", "coordinates": ends} if pipe else {"type": "Point", "coordinates": ends[0]}
        kind = AssetKind.PIPE if pipe else draw(st.sampled_from([k for k in AssetKind if k != AssetKind.PIPE]))
        values = {
            "id": name, "network": draw(st.sampled_from(["gas", "water", "drainage"])), "kind": str(kind),
            "name": draw(texts), "from": None, "to": None, "material": draw(optional_texts),
            "diameter_mm": draw(st.none() | st.floats(1, 20_000)),
            "install_year": draw(st.none() | st.integers(1800, 2200)),
            "length_m": draw(st.floats(0, 1e6)) if pipe else None, "depth_m": draw(st.none() | st.floats(-100, 1000)),
            "customers": draw(st.integers(0, 2**31 - 1)), "critical": draw(st.booleans()),
            "road_class": draw(st.none() | st.sampled_from([str(each) for each in RoadClass])),
            "street": draw(optional_texts), "soil": draw(optional_texts),
            "condition": draw(st.none() | st.integers(1, 5)), "in_service": draw(st.booleans()),
            "attributes": draw(attributes),
        }  # fmt: skip
        found.append(Row(number, values, geometry))
    return found


@st.composite
def zone_rows(draw: st.DrawFn) -> list[Row]:
    found = []
    for number, name in enumerate(draw(st.lists(names, min_size=1, max_size=3, unique=True)), 1):
        west, south = draw(positions)
        shape: Any = shapely.box(west, south, west + 0.01, south + 0.02)
        if draw(st.booleans()):
            shape = shapely.MultiPolygon([shape, shapely.box(west + 0.1, south, west + 0.2, south + 0.1)])
        geometry = geo.area(json.loads(shapely.to_geojson(shape)))
        values = {
            "id": name, "kind": str(draw(st.sampled_from(list(ZoneKind)))),
            "network": draw(st.none() | st.just("water")), "name": draw(texts),
            "status": str(draw(st.sampled_from(list(ZoneStatus)))), "attributes": draw(attributes),
        }  # fmt: skip
        found.append(Row(number, values, geometry))
    return found


@st.composite
def sensor_rows(draw: st.DrawFn) -> list[Row]:
    found = []
    for number, device in enumerate(draw(st.lists(names, min_size=1, max_size=3, unique=True)), 1):
        low = draw(st.none() | st.floats(-100, 100))
        place = draw(st.none() | positions)
        balance = draw(st.none() | st.sampled_from(["Z1:in", "Z1:out;Z2:in"]))
        values = {
            "device": device, "network": "water", "channel": draw(st.sampled_from(["flow", "flow.main"])),
            "asset": None, "name": draw(texts), "gateway": draw(st.none() | st.just("gateway")), "low": low,
            "high": None if low is None else low + 1, "max_silence_s": draw(st.none() | st.floats(1, 1e6)),
            "balance": balance, "in_service": draw(st.booleans()),
        }  # fmt: skip
        found.append(Row(number, values, None if place is None else {"type": "Point", "coordinates": place}))
    return found


def checked(what: str, rows: list[Row]) -> dict[str, Asset | Sensor | Zone]:
    """The things that the rows describe, by their names. Raises where one is wrong."""
    flat = [
        row._replace(values=properties(row) | unpacked(row) if "attributes" in row.values else row.values)
        for row in rows
    ]
    without = [row._replace(values={k: v for k, v in row.values.items() if k != "attributes"}) for row in flat]
    found = CHECKS[what](without, CATALOGUE, "written")
    return {getattr(item, "external_id", "") or f"{item.device}/{item.channel}": item for _, item in found.approved()}


def unpacked(row: Row) -> dict[str, Any]:
    return dict(row.values["attributes"])


def read_back(what: str, path: Path, **options: Any) -> dict[str, Asset | Sensor | Zone]:
    found: dict[str, Asset | Sensor | Zone] = {}
    for contents in read_file(path, Options(**options)):
        assert contents.problems == []
        rows: list[Row] = getattr(contents, what)
        things = CHECKS[what](rows, CATALOGUE, str(path)).approved()
        found |= {getattr(t, "external_id", "") or f"{t.device}/{t.channel}": t for _, t in things}
    return found


@pytest.mark.parametrize("suffix", [".geojson", ".csv", ".gpkg"])
@pytest.mark.parametrize(
    ("what", "rows"), [("assets", asset_rows()), ("zones", zone_rows()), ("sensors", sensor_rows())]
)
def test_what_is_written_reads_back_as_the_same(what: str, rows: Any, suffix: str, tmp_path: Path) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows)
    def same(given_rows: list[Row]) -> None:
        path = tmp_path / f"out{suffix}"
        assert write(path, what, given_rows).rows == len(given_rows)
        assert read_back(what, path) == checked(what, given_rows)

    same()


PIPE = {
    "id": "P1", "network": "water", "kind": "pipe", "name": "老城 main", "material": "pe", "diameter_mm": 110.5,
    "install_year": 1999, "length_m": 120.25, "customers": 3, "critical": True, "in_service": True,
    "attributes": {"owner": "一公司"},
}  # fmt: skip
LINE = {"type": "LineString", "coordinates": [[117.2, 31.8], [117.21, 31.81], [117.22, 31.8]]}
NODE = {
    "id": "J1", "network": "water", "kind": "junction", "name": "", "in_service": True, "customers": 0,
    "critical": False, "attributes": {},
}  # fmt: skip
POINT = {"type": "Point", "coordinates": [117.2, 31.8]}
TOWN = [Row(1, PIPE, LINE), Row(2, NODE, POINT)]


def test_a_shapefile_is_one_of_points_and_one_of_lines(tmp_path: Path) -> None:
    written = write(tmp_path / "town.shp", "assets", TOWN)
    assert {each.name for each in written.files if each.suffix == ".shp"} == {"town.shp", "town_points.shp"}
    found = read_back("assets", tmp_path / "town.shp") | read_back("assets", tmp_path / "town_points.shp")
    assert found == checked("assets", TOWN)


def test_a_text_that_a_shapefile_cannot_hold_is_refused_with_the_way_out(tmp_path: Path) -> None:
    long = Row(1, PIPE | {"attributes": {"story": "长" * 100}}, LINE)
    with pytest.raises(ConfigurationError, match=r"attributes of P1 has \d+: write a GeoPackage"):
        write(tmp_path / "town.shp", "assets", [long])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("crs", ["gcj02", "bd09", "EPSG:4547", "EPSG:4490"])
@pytest.mark.parametrize("suffix", [".geojson", ".csv", ".gpkg", ".shp"])
def test_another_system_comes_back_to_the_same_coordinates(crs: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"town{suffix}"
    write(path, "assets", TOWN[:1], crs)
    known = suffix == ".geojson" or (suffix != ".csv" and crs.startswith("EPSG"))
    assert read_back("assets", path, crs=None if known else crs) == checked("assets", TOWN[:1])
    if crs in ("gcj02", "bd09", "EPSG:4547"):
        (shifted,) = read_back("assets", path, crs="EPSG:4326").values() if crs != "EPSG:4547" else (None,)
        if shifted is not None:
            assert 200 < geo.distance_m(shifted.geometry["coordinates"][0], (117.2, 31.8)) < 2000  # type: ignore[union-attr]


def test_sensors_of_a_csv_are_moved_too(tmp_path: Path) -> None:
    values = {"device": "d1", "network": "water", "channel": "flow", "name": "", "in_service": True}
    rows = [Row(1, values, POINT), Row(2, values | {"device": "d2"}, None)]
    path = tmp_path / "sensors.csv"
    write(path, "sensors", rows, "bd09")
    [_, first, second] = csv.reader(io.StringIO(path.read_text("utf-8-sig")))
    assert float(first[-2]) == pytest.approx(117.2 + 0.0118, abs=1e-3)
    assert second[-2:] == ["", ""]
    assert read_back("sensors", path, crs="bd09") == checked("sensors", rows)


@given(st.lists(positions, min_size=1, max_size=20))
@pytest.mark.parametrize("crs", ["gcj02", "bd09"])
def test_there_and_back_is_exact_to_a_millimetre(crs: str, points: list[list[float]]) -> None:
    there, back = from_wgs84(crs), to_wgs84(crs)
    assert there is not None
    assert back is not None
    given_points = np.array(points)
    assert np.abs(back(there(given_points)) - given_points).max() < 1e-8
    assert np.abs(there(given_points) - given_points).max() > 1e-4


def test_a_system_by_its_several_names_is_one() -> None:
    for name in ("WGS84", "wgs-84", "EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84"):
        assert from_wgs84(name) is None
        assert to_wgs84(name) is None
    with pytest.raises(ConfigurationError, match="is no coordinate system"):
        from_wgs84("EPSG:nine")


def test_a_geojson_of_before_2016_is_read_in_the_system_that_it_states(tmp_path: Path) -> None:
    """QGIS still writes the member; read as degrees such a file would be refused, or land in the sea."""
    path = tmp_path / "town.geojson"
    write(path, "assets", TOWN, "EPSG:4547")
    document = json.loads(path.read_text())
    assert document["crs"]["properties"]["name"] == "EPSG:4547"
    assert document["features"][1]["geometry"]["coordinates"][0] > 100_000
    assert read_back("assets", path) == checked("assets", TOWN)
    document["crs"]["properties"]["name"] = "urn:ogc:def:crs:OGC:1.3:CRS84"
    document["features"][1]["geometry"] = POINT
    document["features"][0]["geometry"] = LINE
    path.write_text(json.dumps(document))
    assert read_back("assets", path) == checked("assets", TOWN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("town.dwg", r"\.dwg is none of \.geojson"),
        ("town", "no ending is none of"),
        ("no/town.csv", "there is no folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(
    name: str, message: str, tmp_path: Path
) -> None:
    def never() -> Any:
        raise AssertionError("read")
        yield

    with pytest.raises(ConfigurationError, match=message):
        write(tmp_path / name, "assets", never())


def test_a_file_that_is_there_stays_when_the_export_fails(tmp_path: Path) -> None:
    path = tmp_path / "town.geojson"
    path.write_text("before")

    def broken() -> Any:
        yield TOWN[0]
        raise RuntimeError("the database is gone")

    with pytest.raises(RuntimeError):
        write(path, "assets", broken())
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["town.geojson"]
    write(path, "assets", TOWN)
    assert len(json.loads(path.read_text())["features"]) == 2


def test_a_file_of_nothing_is_a_file(tmp_path: Path) -> None:
    for suffix in (".geojson", ".csv", ".gpkg", ".shp"):
        assert write(tmp_path / f"none{suffix}", "assets", []).rows == 0
        assert read_back("assets", tmp_path / f"none{suffix}") == {}


def test_text_comes_in_pieces_as_it_is_asked_for() -> None:
    asked = 0

    def rows() -> Any:
        nonlocal asked
        for number in range(10_000):
            asked += 1
            yield Row(number, NODE | {"id": f"J{number}"}, POINT)

    pieces = chunks("assets", rows(), ".geojson")
    next(pieces)
    next(pieces)
    assert asked < 5000


def test_attributes_by_which_a_reader_would_be_misled_are_packed() -> None:
    plain = Row(1, {"id": "a", "attributes": {"owner": "x"}}, None)
    assert properties(plain) == {"id": "a", "owner": "x"}
    for attributes_ in ({"device": "d", "channel": "c"}, {"id": "b"}, {"owner": ""}, {"owner": None}):
        packed = properties(Row(1, {"id": "a", "attributes": attributes_}, None))
        assert packed["id"] == "a"
        assert json.loads(packed["attributes"]) == attributes_
