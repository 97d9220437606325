"""Geometry: lengths on the globe and shares of hexagons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline import geo

near_hefei = st.tuples(st.floats(117.1, 117.4), st.floats(31.7, 31.9))
lines = st.lists(near_hefei, min_size=2, max_size=6).map(
    lambda points: {"type": "LineString", "coordinates": [list(p) for p in points]}
)


def test_one_degree_of_latitude_is_about_111_kilometres():
    line = {"type": "LineString", "coordinates": [[117.0, 31.0], [117.0, 32.0]]}
    assert geo.length_m(line) == pytest.approx(111_195, rel=1e-4)


def test_a_degree_of_longitude_shrinks_with_the_cosine_of_the_latitude():
    assert geo.distance_m((0, 60), (1, 60)) == pytest.approx(geo.distance_m((0, 0), (1, 0)) / 2, rel=1e-3)


@given(lines, st.sampled_from(geo.RESOLUTIONS))
def test_the_shares_of_a_line_add_up_to_its_length(line, resolution):
    assert sum(geo.cells(line, resolution).values()) == pytest.approx(geo.length_m(line), abs=1e-6)


@given(near_hefei, st.sampled_from(geo.RESOLUTIONS))
def test_a_point_lies_in_one_cell_with_no_length(point, resolution):
    assert geo.cells({"type": "Point", "coordinates": list(point)}, resolution) == {
        geo.cell_at(*point, resolution): 0.0
    }


@given(lines)
def test_the_middle_lies_in_the_box(line):
    box = geo.bbox(line)
    longitude, latitude = geo.middle(line)
    assert box.west - 1e-9 <= longitude <= box.east + 1e-9
    assert box.south - 1e-9 <= latitude <= box.north + 1e-9


def test_the_middle_of_a_bent_line_is_half_way_along_it():
    bent = {"type": "LineString", "coordinates": [[0, 0], [0.01, 0], [0.01, 0.03]]}
    longitude, latitude = geo.middle(bent)
    assert (longitude, latitude) == pytest.approx((0.01, 0.01), abs=1e-6)


def test_a_line_of_no_length_has_its_point_as_middle_and_one_cell():
    dot = {"type": "LineString", "coordinates": [[117.2, 31.8], [117.2, 31.8]]}
    assert geo.middle(dot) == (117.2, 31.8)
    assert len(geo.cells(dot, 9)) == 1


def test_a_boundary_is_a_closed_ring_around_the_point_that_made_it():
    ring = geo.boundary(geo.cell_at(117.2, 31.8, 9))["coordinates"][0]
    assert ring[0] == ring[-1]
    assert len(ring) == 7
    assert min(x for x, _ in ring) < 117.2 < max(x for x, _ in ring)
    assert min(y for _, y in ring) < 31.8 < max(y for _, y in ring)


@pytest.mark.parametrize(
    ("geometry", "complaint"),
    [
        ({"type": "Polygon", "coordinates": []}, "Point or a LineString"),
        ({"type": "LineString", "coordinates": [[117, 31]]}, "two points"),
        ({"type": "Point", "coordinates": [31.8, 117.2]}, "longitude comes first"),
        ({"type": "Point", "coordinates": [117.2]}, "position"),
        ({"type": "Point", "coordinates": ["a", "b"]}, "two numbers"),
        ({"type": "Point", "coordinates": [float("nan"), 0]}, "two numbers"),
        ({"type": "Point", "coordinates": [True, False]}, "two numbers"),
        ({"type": "Point"}, "position"),
        ({"type": "LineString", "coordinates": "x"}, "Point or a LineString"),
        ({}, "Point or a LineString"),
    ],
)
def test_a_geometry_that_is_none_says_why(geometry, complaint):
    with pytest.raises(geo.GeometryError, match=complaint):
        geo.coordinates(geometry)
