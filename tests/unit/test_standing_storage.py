"""What storage computes by itself: distances between geometries, places of ids, which valves isolate a pipe."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.risk.assets import Inventory
from lifeline.risk.deterioration import cumulative, shipped_deterioration
from lifeline.storage.standing import Columns, _index, _metres, _valves, service_weights


def point(longitude: float, latitude: float) -> str:
    return f'{{"type":"Point","coordinates":[{longitude},{latitude}]}}'


@pytest.mark.parametrize("latitude", [0.0, 31.86, 60.0])
def test_a_distance_is_that_on_the_globe_whatever_the_latitude(latitude):
    east = 100 / (111_195 * math.cos(math.radians(latitude)))
    found = _metres(point(10, latitude), [point(10 + east, latitude), point(10, latitude + 100 / 111_195)], latitude)
    np.testing.assert_allclose(found, [100, 100], rtol=1e-6)


@given(st.lists(st.integers(1, 50), unique=True), st.lists(st.integers(1, 60), max_size=20))
def test_an_id_is_found_where_it_stands_or_not_at_all(ids, wanted):
    known = np.array(sorted(ids), dtype=int)
    for number, at in zip(wanted, _index(known, np.array(wanted, dtype=int)), strict=True):
        assert (known[at] == number) if at >= 0 else (number not in ids)


def test_valves_isolate_where_there_are_enough_and_never_in_drains():
    enough, few = ["pipe"] * 20 + ["valve"], ["pipe"] * 21 + ["valve"]
    assert _valves("water", enough) is not None
    assert _valves("water", few) is None
    assert _valves("drainage", enough) is None


@pytest.mark.parametrize(
    ("customers", "demand", "wanted", "counted"),
    [([5, 7], [1, 1], [5, 0], True), ([0, 7], [1, 1], [0, 7], True), ([0, 0], [2, -3], [2, 0], False),
     ([0, 0], [math.nan] * 2, [0, 90], False)],
)  # fmt: skip
def test_service_is_weighed_by_customers_then_by_demand_then_by_length(customers, demand, wanted, counted):
    inventory = Inventory(
        [None] * 2, np.full(2, math.nan), np.full(2, math.nan), np.array(customers, float), np.zeros(2, bool),
        kind=["junction", "pipe"], length_m=np.array([math.nan, 90.0]),
    )  # fmt: skip
    none = np.zeros(2, int)
    weight, by_customers = service_weights(
        Columns(np.arange(1, 3), none, none, inventory, np.array(demand, float), np.zeros(2), np.zeros(2))
    )
    assert (weight.tolist(), by_customers) == (wanted, counted)


def test_nothing_fails_before_it_is_laid():
    classes = shipped_deterioration()
    chosen = np.arange(len(classes.classes))
    assert cumulative(classes, chosen, np.full(len(chosen), -5.0)).tolist() == [0.0] * len(chosen)
