"""Assets as GeoJSON, sensors as CSV: what is taken, what is refused, and with which line."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ImportRejectedError
from lifeline.inventory import Entry, parse_assets, parse_sensors
from lifeline.model import Asset, Sensor
from lifeline.records import storable_json

CATALOGUE = shipped_catalogue()
POINT = {"type": "Point", "coordinates": [117.2, 31.8]}
LINE = {"type": "LineString", "coordinates": [[117.2, 31.8], [117.21, 31.8]]}


def feature(geometry: object = POINT, **properties: object) -> dict[str, Any]:
    given = {"id": "J1", "network": "water", "kind": "junction", **properties}
    return {"type": "Feature", "geometry": geometry, "properties": given}


def collection(*features: object) -> bytes:
    """One feature a line, the first on line 2."""
    body = ",\n".join(json.dumps(each) for each in features)
    return f'{{"type": "FeatureCollection", "features": [\n{body}\n]}}'.encode()


def assets(*features: object) -> list[Entry[Asset]]:
    return parse_assets(collection(*features), CATALOGUE)


def sensors(*rows: str, header: str = "device,network,channel") -> list[Entry[Sensor]]:
    return parse_sensors("\n".join((header, *rows)).encode(), CATALOGUE)


def problems_of(call: Any, *arguments: Any, **named: Any) -> list[tuple[int, str]]:
    with pytest.raises(ImportRejectedError) as rejected:
        call(*arguments, **named)
    return [(problem.line, problem.message) for problem in rejected.value.problems]


def test_an_asset_keeps_every_property_and_the_rest_become_attributes() -> None:
    pipe = feature(
        LINE, id="P1", kind="pipe", name="主干管", **{"from": "J1", "to": "J2"}, material="pe", diameter_mm=200,
        install_year=1999, length_m=12.5, depth_m=1.2, customers=40, critical=True, dma="north", rough=0.1,
    )  # fmt: skip
    [(line, asset)] = assets(pipe)
    assert line == 2
    assert asset == Asset(
        "P1", "water", asset.kind, LINE, "主干管", "J1", "J2", "pe", 200.0, 1999, 12.5, 1.2, 40, True,
        {"dma": "north", "rough": 0.1},
    )  # fmt: skip


def test_a_length_that_is_missing_is_measured() -> None:
    [(_, pipe), (_, point)] = assets(feature(LINE, id="P1", kind="pipe"), feature())
    assert pipe.length_m == pytest.approx(945, rel=0.01)
    assert point.length_m is None


def test_a_third_coordinate_and_foreign_members_of_a_geometry_are_dropped() -> None:
    [(_, asset)] = assets(feature({"type": "Point", "coordinates": [117.2, 31.8, 40.0], "crs": "x"}))
    assert asset.geometry == POINT


def test_ten_planted_mistakes_are_listed_with_their_lines() -> None:
    found = problems_of(
        assets,
        feature(id="J 1"),
        feature(id="J2", network="steam"),
        feature(id="J3", kind="castle"),
        feature(id="J4", geometry={"type": "Point", "coordinates": [31.8, 117.2]}),
        feature(id="J5", install_year=1066),
        feature(id="J6", customers=-1),
        feature(id="J7", critical="yes"),
        feature(POINT, id="P8", kind="pipe"),
        feature(id="J9", diameter_mm=0),
        feature(id="J10"),
        feature(id="J10"),
    )
    assert [line for line, _ in found] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    expected = ("id", "steam", "castle", "117.2", "1066", "customers", "critical", "LineString", "diameter", "line 11")
    assert all(word in message for (_, message), word in zip(found, expected, strict=True))


def test_one_feature_may_have_several_mistakes() -> None:
    found = problems_of(assets, feature(None, id=None, network=7, kind=None))
    assert len(found) == 5
    assert {line for line, _ in found} == {2}


def test_lines_are_right_where_features_span_many_and_the_file_is_indented() -> None:
    features = [feature(id="J1"), feature(id="J 2"), feature(id="J 3")]
    text = json.dumps({"features": features, "type": "FeatureCollection"}, indent=2)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line == "    {"]
    assert [line for line, _ in problems_of(parse_assets, text.encode(), CATALOGUE)] == lines[1:]


def test_the_word_features_inside_a_property_is_no_trap() -> None:
    text = b'{"note": {"features": [1]}, "type": "FeatureCollection", "features": []}'
    assert parse_assets(text, CATALOGUE) == []


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"", 1, "must be a JSON object"),
        (b"[]", 1, "must be a JSON object"),
        (b"{}", 1, "'type' is missing"),
        (b'{"type": "FeatureCollection"}', 1, "'features' is missing"),
        (b'{"type": "Feature", "features": []}', 1, "must be a FeatureCollection, not 'Feature'"),
        (b'{"type": "FeatureCollection", "features": {}}', 1, "'features' must be an array"),
        (b'{"type": "FeatureCollection",\n "features": [\n{"a": tru}]}', 3, "is not JSON: Expecting value"),
        (b'{"type": "FeatureCollection",\n "features": [\n{} {}]}', 3, "',' or ']' is missing after a feature"),
        (b'{"type": "FeatureCollection",\n "features": [\nNaN]}', 3, "NaN is no JSON number"),
        (b'{"type": "FeatureCollection",\n "features": []}\n{}', 3, "something follows the end"),
        (b'{"type": "FeatureCollection", "features": [' + b"[" * 100_000, 1, "nested too deeply"),
        (b'{"type": "FeatureCollection", "features": [' + b"9" * 10_000 + b"]}", 1, "is not JSON"),
        (b'{\n"type": "\xff"}', 2, "is not UTF-8: byte 0xff"),
        (b"\xef\xbb\xbf{}", 1, "'type' is missing"),
    ],
)
def test_a_file_that_is_no_feature_collection_is_rejected(data: bytes, line: int, message: str) -> None:
    [(found_line, found)] = problems_of(parse_assets, data, CATALOGUE)[:1]
    assert found_line == line
    assert message in found


@pytest.mark.parametrize("text", ["\u0000", "\ud800", "x" * 501])
def test_text_that_the_database_cannot_keep_is_refused(text: str) -> None:
    assert problems_of(assets, feature(name=text))[0][0] == 2


@pytest.mark.parametrize(
    "value", ["\u0000", {"\u0000": 1}, [["\udfff"]], 1e308, {"a": [1e305]}, json.loads("[" * 40 + "]" * 40)]
)
def test_attributes_that_the_database_cannot_keep_are_refused(value: object) -> None:
    assert not storable_json({"x": value})
    assert "cannot be stored" in problems_of(assets, feature(extra=value))[0][1]


def test_a_sensor_keeps_every_column() -> None:
    header = "device,network,channel,asset,name,longitude,latitude,gateway,low,high,max_silence_s"
    [(line, sensor)] = sensors('d1,water,pressure.a,J1,"one, two",117.2,31.8,gw,0,80,60', header=header)
    limits = {"range": [0.0, 80.0], "max_silence_s": 60.0}
    assert line == 2
    assert sensor == Sensor("d1", "water", "pressure.a", "J1", "one, two", 117.2, 31.8, "gw", limits)
    assert sensor.quantity == "pressure"


def test_columns_come_in_any_order_and_most_may_be_missing() -> None:
    [(_, sensor)] = sensors("pressure,d1,water", header="Channel, device ,NETWORK")
    assert sensor == Sensor("d1", "water", "pressure")


def test_ten_planted_mistakes_in_a_sensor_file_are_listed_with_their_lines() -> None:
    found = problems_of(
        sensors,
        "d 1,water,pressure,,,,",
        "d2,steam,pressure,,,,",
        "d3,water,mood,,,,",
        "d4,water,methane,,,,",
        "d5,water,pressure,200,31.8,,",
        "d6,water,pressure,117.2,,,",
        "d7,water,pressure,,,9,3",
        "d8,water,pressure,,,nan,3",
        "d9,water,pressure,,,,",
        "d9,water,pressure,,,,",
        "d9,water,flow,,,,,,,",
        header="device,network,channel,longitude,latitude,low,high",
    )
    assert [line for line, _ in found] == [2, 3, 4, 5, 6, 7, 8, 9, 9, 11, 12]


def test_a_device_is_in_one_network_and_behind_one_gateway() -> None:
    rows = ("d1,water,pressure,g1", "d1,water,flow,g2", "d2,water,pressure,", "d2,drainage,level,")
    found = problems_of(sensors, *rows, header="device,network,channel,gateway")
    assert found == [
        (3, "d1 has gateway 'g2', on line 2 'g1'"),
        (5, "d2 has network 'drainage', on line 4 'water'"),
    ]


def test_gateways_in_a_ring_are_found() -> None:
    rows = ("a,water,pressure,b", "b,water,pressure,c", "c,water,pressure,a", "d,water,pressure,a")
    found = problems_of(sensors, *rows, header="device,network,channel,gateway")
    assert [line for line, _ in found] == [2, 3, 4]


def test_lines_are_right_where_a_field_spans_several() -> None:
    rows = ('d1,water,pressure,"one\ntwo"', "", "d 2,water,pressure,x")
    [(line, _)] = problems_of(sensors, *rows, header="device,network,channel,name")
    assert line == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty"),
        (b"device,network", "column 'channel' is missing"),
        (b"device,network,channel,colour", "column 'colour' is not one of"),
        (b"device,network,channel,device", "column 'device' is named twice"),
        (b'device,network,channel\n"d1,water,pressure', "is not CSV"),
        (b"device,network,channel\n\xff", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_sensor_table_is_rejected(text: bytes, message: str) -> None:
    assert any(message in found for _, found in problems_of(parse_sensors, text, CATALOGUE))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
properties = st.dictionaries(
    st.sampled_from(
        ["id", "network", "kind", "from", "to", "install_year", "customers", "critical", "diameter_mm", "x"]
    ),
    json_values | st.sampled_from(["water", "pipe", "J1"]),
)
geometries = json_values | st.fixed_dictionaries(
    {"type": st.sampled_from(["Point", "LineString", "Polygon"]), "coordinates": json_values}
)
features = json_values | st.fixed_dictionaries(
    {"type": st.just("Feature"), "geometry": geometries, "properties": properties | json_values}
)


def outcome(call: Any, *arguments: Any, **named: Any) -> Any:
    """What a call gives, or how it rejects its input; any other error ends the test."""
    try:
        return call(*arguments, **named)
    except ImportRejectedError as rejected:
        return rejected


def is_good_rejection(found: object) -> bool:
    """With problems, each on a line, and fit to be printed."""
    assert isinstance(found, ImportRejectedError)
    str(found).encode("utf-8")
    return len(found.problems) > 0 and all(problem.line >= 1 for problem in found.problems)


@given(st.lists(features, max_size=4))
def test_no_feature_raises_anything_but_a_rejection(given_features: list[object]) -> None:
    found = outcome(assets, *given_features)
    assert is_good_rejection(found) if isinstance(found, Exception) else len(found) == len(given_features)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":, ntf0e.\\u-', max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_a_rejection(data: bytes) -> None:
    for parse in (parse_assets, parse_sensors):
        found = outcome(parse, data, CATALOGUE)
        assert found == [] or is_good_rejection(found)


@given(st.lists(st.text(alphabet='dw1.,"\n\x00 -pé', max_size=30), max_size=5))
def test_no_rows_raise_anything_but_a_rejection(rows: list[str]) -> None:
    header = "device,network,channel,longitude,latitude,low,high,gateway"
    found = outcome(sensors, *rows, "d1,water,pressure", header=header)
    assert is_good_rejection(found) if isinstance(found, Exception) else found[-1].item.device == "d1"


def test_twenty_thousand_sensors_are_read() -> None:
    rows = [f"d{number},water,pressure" for number in range(20_000)]
    assert len(sensors(*rows)) == 20_000
