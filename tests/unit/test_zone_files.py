"""Zones, balances, layers and tables: what is taken, what is refused, and with which line."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline import geo
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ConfigurationError, ImportRejectedError, Problem
from lifeline.exchange import layers
from lifeline.exchange.files import Contents, Options, read_file
from lifeline.exchange.rows import Row, decoded
from lifeline.exchange.tables import csv_rows, with_geometry
from lifeline.inventory import check_assets, check_sensors, check_zones
from lifeline.model import Sensor, Zone, ZoneKind, ZoneStatus

CATALOGUE = shipped_catalogue()
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[117.0, 31.0], [117.1, 31.0], [117.1, 31.1], [117.0, 31.1], [117.0, 31.0]]],
}
BOWTIE = {"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]]}
LINE = {"type": "LineString", "coordinates": [[117.2, 31.8], [117.21, 31.8]]}
POINT = {"type": "Point", "coordinates": [117.2, 31.8]}


def zones(*rows: tuple[dict[str, Any], Any]) -> list[Zone]:
    found = [Row(line, values, shape) for line, (values, shape) in enumerate(rows, 2)]
    return [entry.item for entry in check_zones(found, CATALOGUE, "zones.geojson").approved()]


def wrong_zones(*rows: tuple[dict[str, Any], Any]) -> list[tuple[int, str]]:
    found = [Row(line, values, shape) for line, (values, shape) in enumerate(rows, 2)]
    return [(p.line, p.message) for p in check_zones(found, CATALOGUE, "zones.geojson").problems]


def test_a_zone_keeps_every_property_and_the_rest_become_attributes() -> None:
    values = {"id": "Z1", "kind": "dma", "network": "water", "name": "北区", "status": "suggested", "people": 9}
    [zone] = zones((values, SQUARE))
    assert zone == Zone("Z1", ZoneKind.DMA, SQUARE, "water", "北区", {"people": 9}, status=ZoneStatus.SUGGESTED)


@pytest.mark.parametrize("kind", list(ZoneKind))
def test_all_six_kinds_of_zones_are_taken_with_and_without_a_network(kind: ZoneKind) -> None:
    first, second = zones(({"id": "a", "kind": kind}, SQUARE), ({"id": "b", "kind": kind, "network": "gas"}, SQUARE))
    assert (first.network, second.network) == (None, "gas")


def test_ten_planted_mistakes_in_zones_are_listed_with_their_lines() -> None:
    good = {"id": "Z", "kind": "dma"}
    found = wrong_zones(
        ({"kind": "dma"}, SQUARE),
        ({"id": "Z 2", "kind": "dma"}, SQUARE),
        ({"id": "Z3", "kind": "kingdom"}, SQUARE),
        ({"id": "Z4"}, SQUARE),
        ({"id": "Z5", "kind": "dma", "network": "steam"}, SQUARE),
        ({"id": "Z6", "kind": "dma", "status": "asleep"}, SQUARE),
        ({"id": "Z7", "kind": "dma"}, BOWTIE),
        ({"id": "Z8", "kind": "dma"}, LINE),
        ({"id": "Z9", "kind": "dma"}, None),
        (good, SQUARE),
        (good, SQUARE),
    )
    assert [line for line, _ in found] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    words = ("id is missing", "'Z 2'", "kingdom", "kind is missing", "steam", "asleep", "Self-intersection",
             "LineString", "geometry must be", "already on line 11")  # fmt: skip
    assert all(word in message for (_, message), word in zip(found, words, strict=True))


@pytest.mark.parametrize(
    "shape",
    [
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Polygon", "coordinates": 3},
        {"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [2, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 95], [1, 1], [2, 0]]]},
        {"type": "MultiPolygon", "coordinates": []},
        {"type": "MultiPolygon", "coordinates": [[3]]},
        {"type": "Circle"},
        {},
    ],
)
def test_an_area_that_is_none_is_refused(shape: dict[str, Any]) -> None:
    with pytest.raises(geo.GeometryError):
        geo.area(shape)


@given(st.floats(-170, 169), st.floats(-80, 79), st.floats(0.001, 1.0), st.booleans(), st.booleans())
def test_a_ring_is_closed_and_turned_anticlockwise_however_it_came(
    west: float, south: float, size: float, clockwise: bool, closed: bool
) -> None:
    ring = [[west, south], [west + size, south], [west + size, south + size], [west, south + size]]
    given_ring = ring[::-1] if clockwise else ring
    area = geo.area({"type": "Polygon", "coordinates": [[*given_ring, given_ring[0]] if closed else given_ring]})
    clean = area["coordinates"][0]
    assert clean[0] == clean[-1]
    assert len(clean) == 5
    turned = sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in pairwise(clean))
    assert turned < 0
    assert geo.area(area) == area
    assert geo.area_bbox(area) == pytest.approx((west, south, west + size, south + size))


def sensor(**values: Any) -> tuple[list[Sensor], list[str]]:
    row = Row(2, {"device": "m1", "network": "water", "channel": "flow", **values}, None)
    checked = check_sensors([row], CATALOGUE, "sensors.csv")
    return [entry.item for entry in checked.entries], [problem.message for problem in checked.problems]


@pytest.mark.parametrize(
    ("text", "balance"),
    [
        ("Z1:in", {"Z1": 1}),
        ("Z1:out; Z2:in", {"Z1": -1, "Z2": 1}),
        ("city:north:in", {"city:north": 1}),
        ("", {}),
        (None, None),
    ],
)
def test_a_balance_names_zones_and_directions(text: str | None, balance: dict[str, int] | None) -> None:
    [found], problems = sensor(**({} if text is None else {"balance": text}))
    assert (found.balance, problems) == (balance, [])


@pytest.mark.parametrize("text", ["Z1", "Z1:up", ":in", "Z1:in;Z1:out"])
def test_a_balance_that_makes_no_sense_is_refused(text: str) -> None:
    found, problems = sensor(balance=text)
    assert found == []
    assert "balance" in problems[0]


def test_only_a_flow_has_a_balance() -> None:
    assert "balance is for sensors of flow" in sensor(channel="pressure", balance="Z1:in")[1][0]


def test_a_point_is_a_sensors_place() -> None:
    row = Row(1, {"device": "m1", "network": "water", "channel": "flow"}, POINT)
    [entry] = check_sensors([row], CATALOGUE, "s").entries
    assert (entry.item.longitude, entry.item.latitude) == (117.2, 31.8)


def test_what_a_record_refers_to_is_listed_though_the_record_is_wrong() -> None:
    values = {"id": "P1", "network": "water", "kind": "castle", "from": "A", "to": "B", "zone": ["Z1", "Z2"]}
    checked = check_assets([Row(7, values, LINE)], CATALOGUE, "x")
    assert [(r.what, r.kind, r.name) for r in checked.references] == [
        ("from", "asset", "A"), ("to", "asset", "B"), ("zone", "zone", "Z1"), ("zone", "zone", "Z2"),
    ]  # fmt: skip
    assert checked.names == {"P1"}
    assert checked.entries == []


@pytest.mark.parametrize(
    ("text", "year"), [("1998", 1998), ("1998-05-01", 1998), ("2003/7", 2003), ("1987年6月", 1987)]
)
def test_a_year_may_be_a_date(text: str, year: int) -> None:
    values = {"id": "P1", "network": "water", "kind": "pipe", "install_year": text, "critical": "TRUE"}
    [entry] = check_assets([Row(1, values, LINE)], CATALOGUE, "x").entries
    assert (entry.item.install_year, entry.item.critical) == (year, True)


def test_a_table_takes_wkt_or_longitude_and_latitude() -> None:
    problems: list[Problem] = []
    text = "id,wkt,Longitude,latitude\na,POINT (1 2),,\nb,,3,4\nc,,,\nd,,x,4\ne,CIRCLE,,\nf,POINT Z (1 2 3),,"
    columns, rows = csv_rows(text, "t.csv", problems)
    shapes = [row.geometry and row.geometry["coordinates"] for row in with_geometry(rows, problems)]
    assert columns == ["id", "wkt", "longitude", "latitude"]
    assert [shape and list(shape) for shape in shapes] == [[1, 2], [3, 4], None, None, None, [1, 2]]
    assert [problem.line for problem in problems] == [5, 6]


def test_a_chinese_file_in_another_encoding_says_what_to_give() -> None:
    data = "a\n管".encode("gb18030")
    with pytest.raises(ImportRejectedError, match=r"(?s)line 2.*--encoding gb18030"):
        decoded(data, "t.csv")
    assert decoded(data, "t.csv", "gb18030") == "a\n管"


def layer(path: Path, rows: list[dict[str, Any]], shapes: list[Any], crs: str | None, **more: Any) -> None:
    pyogrio = pytest.importorskip("pyogrio")
    import numpy as np
    import shapely

    names = list(rows[0])
    columns = [np.array([row[name] for row in rows], dtype=object) for name in names]
    wkb = shapely.to_wkb(shapely.from_geojson([json.dumps(shape) for shape in shapes]))
    kind = shapes[0]["type"]
    pyogrio.raw.write(path, wkb, columns, names, geometry_type=kind, crs=crs, encoding="UTF-8", **more)


def one(path: Path, **options: Any) -> Contents:
    [contents] = read_file(path, Options(**options))
    return contents


PIPE = {"id": "P1", "network": "water", "kind": "pipe", "install_year": 1999, "name": "主干管"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".fgb"])
def test_a_layer_is_read_with_its_own_coordinate_system(tmp_path: Path, suffix: str) -> None:
    flat = {"type": "LineString", "coordinates": [[500_000, 3_500_000], [500_100, 3_500_000]]}
    layer(tmp_path / f"pipes{suffix}", [PIPE], [flat], "EPSG:4547")
    contents = one(tmp_path / f"pipes{suffix}")
    [entry] = check_assets(contents.assets, CATALOGUE, "x").approved()
    assert contents.unit == "feature"
    assert entry.item.geometry["coordinates"][0] == pytest.approx([114.0, 31.62], abs=0.01)
    assert (entry.item.install_year, entry.item.name) == (1999, "主干管")
    assert entry.item.length_m == pytest.approx(100, rel=0.01)


@pytest.mark.filterwarnings("ignore")
def test_a_shapefile_without_a_coordinate_system_says_what_to_give(tmp_path: Path) -> None:
    layer(tmp_path / "pipes.shp", [PIPE], [LINE], None)
    assert "--crs" in one(tmp_path / "pipes.shp").problems[0].message
    assert one(tmp_path / "pipes.shp", crs="EPSG:4326").problems == []


@pytest.mark.filterwarnings("ignore")
def test_polygons_are_zones_and_numbers_that_are_ids_become_text(tmp_path: Path) -> None:
    layer(tmp_path / "z.gpkg", [{"id": 12, "kind": "district"}], [SQUARE], "EPSG:4326", layer="z")
    contents = one(tmp_path / "z.gpkg", prefix="d-")
    [entry] = check_zones(contents.zones, CATALOGUE, "x").approved()
    assert entry.item.external_id == "d-12"


def test_a_layer_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    pytest.importorskip("pyogrio")
    (tmp_path / "x.gpkg").write_bytes(b"no geopackage")
    with pytest.raises(ImportRejectedError, match="cannot be read"):
        layers.read_layers(tmp_path / "x.gpkg")


def geojson(path: Path, *features: tuple[dict[str, Any], Any]) -> Path:
    body = [{"type": "Feature", "properties": values, "geometry": shape} for values, shape in features]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": body}))
    return path


def test_one_collection_may_hold_assets_zones_and_sensors(tmp_path: Path) -> None:
    contents = one(
        geojson(
            tmp_path / "all.geojson",
            (PIPE, LINE),
            ({"id": "Z1", "kind": "dma"}, SQUARE),
            ({"device": "d1", "channel": "flow", "network": "water", "note": "dropped"}, POINT),
        )
    )
    assert [len(part) for part in (contents.assets, contents.zones, contents.sensors)] == [1, 1, 1]
    assert "note" not in contents.sensors[0].values


def test_the_network_that_is_asked_for_and_packed_attributes_are_taken(tmp_path: Path) -> None:
    file = geojson(tmp_path / "a.geojson", ({**PIPE, "attributes": '{"lining": "epoxy"}'}, LINE))
    values = one(file, network="gas").assets[0].values
    assert (values["network"], values["lining"]) == ("gas", "epoxy")
    bad = geojson(tmp_path / "b.geojson", ({**PIPE, "attributes": "[1]"}, LINE))
    assert "attributes must be a JSON object" in one(bad).problems[0].message


def test_an_encoding_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'klingon' is not known"):
        one(geojson(tmp_path / "a.geojson"), encoding="klingon")
