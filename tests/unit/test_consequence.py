"""Consequence of failure: bounded, monotone in every factor, and never diluted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.risk.assets import Inventory
from lifeline.risk.consequence import ROADS, WEIGHTS, consequence_of, severities

shares = st.one_of(st.just(float("nan")), st.floats(0, 1))
counts = st.one_of(st.just(float("nan")), st.floats(0, 1e6))
rows = st.tuples(
    shares, counts, counts, st.booleans(), st.sampled_from([*ROADS, None, "motorway"]),
    st.one_of(st.just(float("nan")), st.floats(1, 5000)), st.sampled_from(["water", "gas", "drainage", "heat", None]),
)  # fmt: skip


def one(
    loss: float = float("nan"), lost: float = float("nan"), customers: float = 0, critical: bool = False,
    road: str | None = None, diameter: float = float("nan"), network: str | None = "water",
) -> Inventory:  # fmt: skip
    return Inventory(
        ["steel"], np.array([30.0]), np.array([diameter]), np.array([customers]), np.array([critical]),
        network=[network], road_class=[road], loss=np.array([loss]), customers_lost=np.array([lost]),
    )  # fmt: skip


def cof(asset: Inventory) -> float:
    return float(consequence_of(asset).cof[0])


@given(rows)
def test_the_class_stays_between_one_and_five_whatever_is_missing(row):
    asset = one(*row)
    assert 1 <= cof(asset) <= 5
    assert all(0 <= float(value[0]) <= 1 for value in severities(asset).values())


@given(rows, st.floats(0, 1), st.floats(0, 1e6))
def test_losing_more_never_counts_less(row, loss, customers):
    asset = one(*row)
    more = replace(asset, loss=np.fmax(asset.loss, loss), customers_lost=np.fmax(asset.customers_lost, customers))
    assert cof(more) >= cof(asset) - 1e-12


@given(rows)
def test_a_critical_facility_never_counts_less(row):
    asset = one(*row)
    assert cof(replace(asset, critical=np.array([True]))) >= cof(asset)
    assert cof(replace(asset, critical_lost=np.array([1.0]))) == cof(replace(asset, critical=np.array([True])))


@given(rows)
def test_each_step_adds_and_the_last_is_the_class(row):
    found = consequence_of(one(*row))
    assert np.all(np.diff(found.steps[0]) >= -1e-12)
    assert found.steps[0, -1] == found.cof[0]
    assert found.steps.shape == (1, len(WEIGHTS))


def test_the_roads_are_in_order_and_an_unknown_road_counts_nothing():
    ordered = [cof(one(road=road)) for road in ("trunk", "main", "street", "lane", "none")]
    assert ordered == sorted(ordered, reverse=True)
    assert len(set(ordered)) == 5
    assert cof(one(road="motorway")) == cof(one(road=None)) == cof(one(road="none"))


def test_the_larger_of_what_is_said_and_what_is_cut_off_counts():
    assert cof(one(customers=500, lost=10)) == cof(one(customers=500)) == cof(one(customers=3, lost=500))


def test_a_diameter_is_large_or_small_in_its_own_network():
    assert cof(one(diameter=400, network="gas")) > cof(one(diameter=400, network="drainage"))
    assert cof(one(diameter=2500, network="drainage")) == pytest.approx(1 + 4 * WEIGHTS["size"])


def test_one_severe_factor_is_enough_and_several_reach_the_top():
    assert cof(one(loss=1.0)) == pytest.approx(1 + 4 * (1 - (1 - WEIGHTS["supply"]) * (1 - WEIGHTS["size"] * 0.2)))
    everything = one(loss=1.0, lost=1e6, critical=True, road="trunk", diameter=5000)
    assert cof(everything) > 4.8
