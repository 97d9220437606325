"""Shares of lines in areas."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from lifeline.storage.membership import overlap

UNIT = shapely.box(117.0, 31.0, 118.0, 32.0)


def shapes(*texts: str) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([shapely.from_wkt(text) for text in texts])


def areas(count: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([UNIT] * count)


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("LINESTRING (117.2 31.5, 117.4 31.5)", 1.0),
        ("LINESTRING (116.5 31.5, 117.5 31.5)", 0.5),
        ("LINESTRING (116.0 31.5, 119.0 31.5)", 1 / 3),
        ("LINESTRING (117.5 30.5, 117.5 31.5)", 0.5),
        ("LINESTRING (116.0 31.5, 116.5 31.5)", 0.0),
        ("POINT (117.5 31.5)", 1.0),
    ],
)
def test_a_share_is_of_the_length(line: str, share: float) -> None:
    assert overlap(areas(1), shapes(line))[0] == pytest.approx(share, abs=1e-9)


def test_a_degree_of_longitude_counts_less_than_one_of_latitude() -> None:
    corner = "LINESTRING (116.5 31.5, 117.5 31.5, 117.5 32.5)"
    inside, whole = 0.5 * np.cos(np.radians(31.83)) + 0.5, np.cos(np.radians(31.83)) + 1.0
    assert overlap(areas(1), shapes(corner))[0] == pytest.approx(inside / whole, rel=1e-3)


def test_nothing_in_nothing_out_and_a_line_without_length_lies_in_no_doubt() -> None:
    assert len(overlap(areas(0), shapes())) == 0
    assert overlap(areas(1), shapes("LINESTRING (117.5 31.5, 117.5 31.5)"))[0] in (0.0, 1.0)


PLACES = st.tuples(st.floats(116.5, 118.5), st.floats(30.5, 32.5))


@given(st.lists(PLACES, min_size=2, max_size=6, unique=True))
def test_shares_of_areas_that_tile_the_plane_add_up_to_one(places: list[tuple[float, float]]) -> None:
    line = shapely.LineString(places)
    assume(line.is_simple)  # of a line that runs back over itself a polygon cuts out the ground that it covers
    tiles = np.array([shapely.box(116 + x, 30 + y, 117 + x, 31 + y) for x in range(3) for y in range(3)])
    total = overlap(tiles, np.array([line] * len(tiles))).sum()
    assert total == pytest.approx(1.0, abs=1e-6) or total > 1.0  # along an edge a line lies in two tiles


@given(st.lists(PLACES, min_size=2, max_size=6, unique=True))
def test_a_share_is_never_below_zero_or_above_one_nor_turned_by_the_direction(
    places: list[tuple[float, float]],
) -> None:
    there = overlap(areas(1), np.array([shapely.LineString(places)]))[0]
    back = overlap(areas(1), np.array([shapely.LineString(places[::-1])]))[0]
    assert 0.0 <= there <= 1.0
    assert there == pytest.approx(back, abs=1e-9)
