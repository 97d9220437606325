"""Pipes as columns, their streets and joints, and where networks lie beside each other."""

from dataclasses import replace

import numpy as np
import pytest

from lifeline import risk
from lifeline.model import Asset, AssetKind, RoadClass
from lifeline.planning.cost import load_costs
from lifeline.planning.gain import Horizon, as_new, outlook
from lifeline.planning.segments import Known, inventory_of, segments_of
from lifeline.planning.trenches import find_trenches
from lifeline.planning.works import group
from tests.unit.test_renewal_plan import YEAR, pipe, street

CHAMBER = Asset("c", "gas", AssetKind.CHAMBER, {"type": "Point", "coordinates": [0, 0]})


def test_only_pipes_are_segments() -> None:
    assert segments_of([CHAMBER, pipe("a", 0, 0), CHAMBER], YEAR).external_id == ["a"]
    assert len(segments_of([CHAMBER], YEAR)) == 0


def test_what_is_known_is_taken_by_the_place_among_all_assets() -> None:
    nan = float("nan")
    known = Known(np.array([1.0, 4.5]), np.array([1.0, nan]), np.array([0.0, 0.7]))
    segments = segments_of([CHAMBER, pipe("a", 0, 0)], YEAR, known)
    assert segments.lof.tolist() == [4.5]
    assert segments.rate.tolist() == [0.7]
    assert segments.cof == pytest.approx(segments_of([pipe("a", 0, 0)], YEAR).cof)


def test_the_score_is_that_of_the_risk_model() -> None:
    assets = street(4, customers=900)
    segments = segments_of(assets, YEAR)
    assert segments.score == pytest.approx(risk.standing(inventory_of(assets, YEAR)).score)


def test_a_pipe_that_will_only_be_laid_is_of_age_none_and_not_less() -> None:
    assert segments_of([pipe("a", 0, 0, install_year=YEAR + 9)], YEAR).inventory.age_years.tolist() == [0.0]


def test_an_unknown_year_stays_unknown() -> None:
    assert np.isnan(segments_of([pipe("a", 0, 0, install_year=None)], YEAR).inventory.age_years).all()


@pytest.mark.parametrize(
    ("names", "streets", "expected"),
    [
        (("High St", "High St"), (None, None), ["High St", "High St"]),
        (("P 1", "P 2"), (None, None), ["", ""]),
        (("P 1", "P 2"), ("Low St", None), ["Low St", ""]),
        (("High St", "High St"), ("Low St", None), ["Low St", "High St"]),
        (("", ""), (None, None), ["", ""]),
    ],
)
def test_a_street_is_what_is_called_so_or_what_several_pipes_are_called(
    names: tuple[str, str], streets: tuple[str | None, str | None], expected: list[str]
) -> None:
    assets = [replace(pipe(f"p{k}", 100 * k, 0, street=streets[k]), name=names[k]) for k in range(2)]
    assert segments_of(assets, YEAR).street == expected


def test_joints_are_named_nodes_or_places() -> None:
    named = pipe("a", 0, 0, from_asset="J1", to_asset="J2")
    found = segments_of([named, pipe("b", 100, 0), pipe("c", 200, 0)], YEAR)
    assert (found.start[0], found.end[0]) == ("J1", "J2")
    assert found.end[1] == found.start[2]
    assert found.start[1].startswith("water@")


def test_places_that_are_a_centimetre_apart_are_one_joint() -> None:
    a, b = pipe("a", 0, 0), pipe("b", 100.01, 0)
    assert len(group(segments_of([a, b], YEAR), np.ones(2))) == 1


def test_a_length_that_was_given_is_believed_and_else_measured() -> None:
    drawn = replace(pipe("a", 0, 0), length_m=None)
    assert segments_of([drawn], YEAR).length_m == pytest.approx([100.0], rel=1e-3)
    assert segments_of([replace(drawn, length_m=140.0)], YEAR).length_m.tolist() == [140.0]


def test_a_new_pipe_is_of_the_renewal_material_new_and_has_no_condition() -> None:
    segments = segments_of([pipe("a", 0, 0, condition=5), pipe("g", 0, 9, network="gas", condition=4)], YEAR)
    fresh = as_new(segments, load_costs())
    assert list(fresh.material) == ["ductile_iron", "pe"]
    assert fresh.age_years.tolist() == [0.0, 0.0]
    assert np.isnan(fresh.condition).all()
    assert (fresh.diameter_mm == segments.inventory.diameter_mm).all()


def test_a_network_without_a_renewal_material_of_its_own_gets_the_other_one() -> None:
    assert load_costs().new_material("heat") == "pe"


def test_failures_grow_with_age_and_with_length() -> None:
    short, long = pipe("a", 0, 0), pipe("b", 0, 50, 300.0)
    left = outlook(segments_of([short, long], YEAR), load_costs(), Horizon(20)).left
    assert (np.diff(left, axis=1) > 0).all()
    assert left[1].sum() > 2 * left[0].sum()


@pytest.mark.parametrize(
    "material", ["grey_cast_iron", "ductile_iron", "steel", "pe", "pvc", "concrete", "moon dust", None]
)
@pytest.mark.parametrize("network", ["gas", "water", "drainage"])
def test_every_material_of_every_network_has_an_outlook(material: str | None, network: str) -> None:
    segments = segments_of([pipe("a", 0, 0, network=network, material=material)], YEAR)
    expected = outlook(segments, load_costs(), Horizon(40))
    for column in (expected.left, expected.renewed, expected.failure_cost):
        assert np.isfinite(column).all()
        assert (column > 0).all()


# --------------------------------------------------------------------------------------------------------- shared roads


def trench_of(distance: float, width: float = 10.0) -> list[float]:
    segments = segments_of([pipe("w", 0, 0, 200.0), pipe("g", 0, distance, 200.0, network="gas")], YEAR)
    return [each.length_m for each in find_trenches(segments, [[0], [1]], np.full(2, 1e5), width)]


@pytest.mark.parametrize(("distance", "beside"), [(1.0, True), (9.5, True), (10.5, False), (50.0, False)])
def test_networks_are_beside_each_other_up_to_the_width(distance: float, beside: bool) -> None:
    assert bool(trench_of(distance)) == beside


def test_the_same_network_twice_in_a_street_shares_no_road_with_itself() -> None:
    segments = segments_of([pipe("a", 0, 0, 200.0), pipe("b", 0, 3, 200.0)], YEAR)
    assert find_trenches(segments, [[0], [1]], np.full(2, 1e5), 10.0) == []


def test_a_trench_is_as_long_as_what_lies_side_by_side() -> None:
    segments = segments_of([pipe("w", 0, 0, 500.0), pipe("g", 100, 5, 120.0, network="gas")], YEAR)
    [trench] = find_trenches(segments, [[0], [1]], segments.length_m * 700.0, 10.0)
    assert trench.length_m == pytest.approx(125.0, abs=15.0)
    assert trench.surface == pytest.approx(700.0 * trench.length_m, rel=0.05)


def test_a_free_road_is_no_reason_to_dig_together() -> None:
    segments = segments_of([*street(1), *street(1, 3.0, "gas")], YEAR)
    assert find_trenches(segments, [[0], [1]], np.zeros(2), 10.0) == []


def test_pipes_of_one_work_count_for_it_together() -> None:
    segments = segments_of([*street(3), *street(3, 4.0, "gas")], YEAR)
    [trench] = find_trenches(segments, [[0, 1, 2], [3, 4, 5]], segments.length_m * 700.0, 10.0)
    assert trench.works == (0, 1)
    assert trench.length_m == pytest.approx(300.0, rel=0.05)


# ----------------------------------------------------------------------------------------------------------- unit costs


@pytest.mark.parametrize(
    ("road", "per_m"),
    [
        (RoadClass.TRUNK, 1500.0),
        (RoadClass.MAIN, 1100.0),
        (RoadClass.STREET, 700.0),
        (RoadClass.LANE, 400.0),
        (RoadClass.NONE, 60.0),
        (None, 600.0),
    ],
)
def test_the_road_above_costs_by_its_class(road: RoadClass | None, per_m: float) -> None:
    segments = segments_of([pipe("a", 0, 0, road_class=road)], YEAR)
    assert load_costs().surfacing(segments)[0] == pytest.approx(per_m * 100.0)


@pytest.mark.parametrize(
    ("diameter", "per_m"),
    [(100.0, 380.0), (125.0, 440.0), (150.0, 500.0), (50.0, 380.0), (1200.0, 7600.0), (1600.0, 7600.0 + 400.0 * 9.0)],
)
def test_a_pipe_costs_by_its_diameter_between_and_beyond_the_points(diameter: float, per_m: float) -> None:
    segments = segments_of([pipe("a", 0, 0, diameter_mm=diameter)], YEAR)
    assert load_costs().laying(segments)[0] == pytest.approx((per_m + 180.0) * 100.0)


def test_an_unknown_diameter_and_depth_cost_as_the_usual_ones() -> None:
    known = segments_of([pipe("a", 0, 0, diameter_mm=150.0, depth_m=1.2)], YEAR)
    unknown = segments_of([pipe("a", 0, 0, diameter_mm=None, depth_m=None)], YEAR)
    assert load_costs().laying(known) == pytest.approx(load_costs().laying(unknown))


def test_a_failure_costs_by_its_class_of_consequence() -> None:
    cost = load_costs().of_failure(np.array([1.0, 2.0, 5.0]))
    assert cost == pytest.approx([30_000.0, 120_000.0, 7_680_000.0])
