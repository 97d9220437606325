"""Coordinate systems: GCJ-02 and BD-09 against published points, round trips, drawings that are put somewhere."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline import geo
from lifeline.errors import ConfigurationError
from lifeline.exchange.coordinates import (
    Placement,
    bd09_to_wgs84,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    to_wgs84,
    transform_rows,
    wgs84_to_gcj02,
)
from lifeline.exchange.rows import Row

IN_CHINA = st.tuples(st.floats(74.0, 134.0), st.floats(18.5, 53.0))


def metres(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
    return geo.distance_m((float(a[0]), float(a[1])), (float(b[0]), float(b[1])))


def plainly(longitude: float, latitude: float) -> tuple[float, float]:
    """The published scalar formula (eviltransform), written out on its own."""
    x, y = longitude - 105.0, latitude - 35.0
    pi = math.pi
    wave = (20 * math.sin(6 * x * pi) + 20 * math.sin(2 * x * pi)) * 2 / 3
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x)) + wave
    north += (20 * math.sin(y * pi) + 40 * math.sin(y / 3 * pi)) * 2 / 3
    north += (160 * math.sin(y / 12 * pi) + 320 * math.sin(y / 30 * pi)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x)) + wave
    east += (20 * math.sin(x * pi) + 40 * math.sin(x / 3 * pi)) * 2 / 3
    east += (150 * math.sin(x / 12 * pi) + 300 * math.sin(x / 30 * pi)) * 2 / 3
    magic = 1 - 0.00669342162296594323 * math.sin(math.radians(latitude)) ** 2
    north = north * 180 / ((6378245 * (1 - 0.00669342162296594323)) / (magic * math.sqrt(magic)) * pi)
    east = east * 180 / (6378245 / math.sqrt(magic) * math.cos(math.radians(latitude)) * pi)
    return longitude + east, latitude + north


@given(IN_CHINA)
def test_the_forward_formula_is_the_published_one(place: tuple[float, float]) -> None:
    assert wgs84_to_gcj02(np.array([place]))[0] == pytest.approx(plainly(*place), abs=1e-12)


@given(IN_CHINA)
def test_gcj02_and_bd09_there_and_back_stay_within_a_centimetre(place: tuple[float, float]) -> None:
    wgs = np.array([place])
    gcj = wgs84_to_gcj02(wgs)
    assert metres(gcj02_to_wgs84(gcj)[0], wgs[0]) < 0.01
    assert metres(bd09_to_wgs84(gcj02_to_bd09(gcj))[0], wgs[0]) < 0.01


def test_the_offset_in_hefei_is_some_hundred_metres_and_abroad_there_is_none() -> None:
    hefei, rotterdam = np.array([[117.27, 31.86]]), np.array([[4.47, 51.92]])
    assert 300 < metres(wgs84_to_gcj02(hefei)[0], hefei[0]) < 800
    assert metres(wgs84_to_gcj02(rotterdam)[0], rotterdam[0]) == 0


@pytest.mark.parametrize("name", ["gcj02", "GCJ-02", "bd09", "BD_09", "bd09ll"])
def test_the_chinese_systems_are_known_by_their_usual_spellings(name: str) -> None:
    assert to_wgs84(name) in (gcj02_to_wgs84, bd09_to_wgs84)


@pytest.mark.parametrize(("crs", "x", "y"), [("EPSG:4490", 117.27, 31.86), ("EPSG:4548", 525_547.0, 3_526_250.0)])
def test_cgcs2000_lands_in_hefei(crs: str, x: float, y: float) -> None:
    pytest.importorskip("pyproj")
    transform = to_wgs84(crs)
    assert transform is not None
    assert metres(transform(np.array([[x, y]]))[0], np.array([117.27, 31.86])) < 200


def test_wgs84_needs_no_transformation_and_nonsense_is_refused_with_an_example() -> None:
    assert to_wgs84("EPSG:4326") is None
    pytest.importorskip("pyproj")
    with pytest.raises(ConfigurationError, match=r"'EPSG:nine' is no coordinate system.*EPSG:4547"):
        to_wgs84("EPSG:nine")


@given(st.floats(-170, 170), st.floats(-60, 60), st.floats(0, 360), st.floats(0.1, 3.0))
def test_a_placed_drawing_keeps_its_middle_and_its_lengths(lon: float, lat: float, turn: float, scale: float) -> None:
    drawing = np.array([[0.0, 0.0], [100.0, 0.0], [100.0, 50.0], [50.0, 25.0]])
    placed = Placement(lon, lat, scale, turn).transform((50.0, 25.0), scale)(drawing)
    assert metres(placed[3], np.array([lon, lat])) < 0.01
    assert metres(placed[0], placed[1]) == pytest.approx(100 * scale, rel=1e-3)
    assert metres(placed[1], placed[2]) == pytest.approx(50 * scale, rel=1e-3)


def test_a_turn_is_counterclockwise() -> None:
    placed = Placement(117.0, 31.0, 1.0, 90.0).transform((0.0, 0.0), 1.0)(np.array([[100.0, 0.0]]))[0]
    assert placed[1] > 31.0
    assert placed[0] == pytest.approx(117.0)


@pytest.mark.parametrize("text", ["", "117", "117,north", "117,31,0", "117,31,1,2,3", "31.8,117.2", "117,31,nan"])
def test_a_place_that_makes_no_sense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--place .* as 117\.27,31\.86"):
        Placement.parse(text)


def test_rows_keep_their_shape_and_a_geometry_that_is_wrong_is_left_for_the_checks() -> None:
    shapes = [
        {"type": "Point", "coordinates": [1, 2, 3]},
        {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        {"type": "Point", "coordinates": ["a", 2]},
        {"type": "LineString", "coordinates": [[1], [2, 3]]},
        {"type": "Point"},
        None,
    ]
    moved = transform_rows([Row(n, {}, shape) for n, shape in enumerate(shapes)], lambda xy: xy + 10.0)
    assert moved[0].geometry == {"type": "Point", "coordinates": [11, 12]}
    assert moved[1].geometry == {"type": "LineString", "coordinates": [[11, 12], [13, 14]]}
    assert moved[2].geometry == {"type": "Polygon", "coordinates": [[[10, 10], [11, 10], [11, 11], [10, 10]]]}
    assert [row.geometry for row in moved[3:]] == shapes[3:]
