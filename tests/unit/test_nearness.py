"""How much critical facilities near an asset count, as a part of the consequence that adds up; and files of them."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from lifeline import risk
from lifeline.catalogue import shipped_catalogue
from lifeline.exchange.rows import Row
from lifeline.geo import distance_m
from lifeline.inventory import check_facilities
from lifeline.model import FacilityKind
from lifeline.risk.assets import Inventory
from lifeline.risk.consequence import FACILITIES, NEAR_M, consequence_of, nearness_of
from lifeline.storage.nearness import distances

KINDS = st.sampled_from(sorted(FACILITIES))
NEAR = st.lists(st.tuples(st.integers(0, 3), KINDS, st.floats(0, 2 * NEAR_M)), max_size=12)


def nearness(pairs: list[tuple[int, str, float]]) -> np.ndarray:
    return nearness_of(
        4,
        np.array([asset for asset, _, _ in pairs], dtype=np.int_),
        [kind for _, kind, _ in pairs],
        np.array([metres for _, _, metres in pairs], dtype=np.float64),
    )


def inventory(near: np.ndarray, count: np.ndarray | None = None) -> Inventory:
    n = len(near)
    unknown = np.full(n, np.nan)
    counted = np.where(near > 0, 1.0, 0.0) if count is None else count
    return Inventory(
        [None] * n, unknown, unknown, np.zeros(n), np.zeros(n, bool), nearness=near, facilities_near=counted
    )


def test_every_kind_of_facility_has_a_severity_and_no_other_has() -> None:
    assert FACILITIES.keys() == set(FacilityKind.__members__.values())
    assert all(0 < severity <= 1 for severity in FACILITIES.values())


@given(NEAR, st.tuples(st.integers(0, 3), KINDS, st.floats(0, 2 * NEAR_M)))
def test_a_facility_more_never_lowers_and_a_nearer_one_never_counts_less(
    pairs: list[tuple[int, str, float]], more: tuple[int, str, float]
) -> None:
    before, after = nearness(pairs), nearness([*pairs, more])
    assert ((before >= 0) & (before <= 1)).all()
    assert (after >= before).all()
    asset, kind, metres = more
    assert (nearness([*pairs, (asset, kind, metres / 2)]) >= after).all()


@given(NEAR, st.randoms(use_true_random=False))
def test_the_order_in_which_facilities_come_does_not_matter(
    pairs: list[tuple[int, str, float]], chance: object
) -> None:
    mixed = list(pairs)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert nearness(mixed).tolist() == nearness(pairs).tolist()


def test_a_hospital_at_the_door_counts_whole_one_out_of_reach_nothing() -> None:
    told = nearness([(0, "hospital", 0.0), (1, "hospital", NEAR_M / 2), (2, "hospital", NEAR_M), (3, "other", 0.0)])
    assert told.tolist() == pytest.approx([1.0, 0.5, 0.0, 0.3])


@given(st.lists(st.just(0.0) | st.floats(1e-3, 1), min_size=1, max_size=5))
def test_what_is_near_is_a_part_of_the_score_and_the_parts_add_up(near: list[float]) -> None:
    city = inventory(np.array(near))
    standing = risk.standing(city)
    assert standing.points.sum(axis=1) == pytest.approx(standing.score)
    without = risk.standing(inventory(np.zeros(len(near))))
    assert (standing.score >= without.score - 1e-12).all()
    gained = standing.points[:, risk.PART_NAMES.index("nearby")]
    assert (gained >= 0).all()
    assert (gained > 0).tolist() == [each > 0 for each in near]
    assert (consequence_of(city).cof <= 5).all()


def test_the_part_says_how_many_facilities_are_near() -> None:
    city = inventory(np.array([0.9, 0.0]), np.array([3.0, 0.0]))
    first, second = risk.parts(city, risk.standing(city))
    (part,) = [each for each in first if each["part"] == "nearby"]
    assert (part["value"], part["points"] > 0) == (3, True)
    assert "nearby" not in {each["part"] for each in second}


@given(st.floats(-60, 60), st.floats(-170, 170), st.floats(-0.001, 0.001), st.floats(-0.001, 0.001))
def test_distances_are_those_on_the_globe(latitude: float, longitude: float, east: float, north: float) -> None:
    shape = np.array([shapely.Point(longitude + east, latitude + north)])
    (told,) = distances(np.array([longitude]), np.array([latitude]), shape)
    assert told == pytest.approx(
        distance_m((longitude, latitude), (longitude + east, latitude + north)), rel=2e-3, abs=0.01
    )


def test_the_distance_to_a_line_is_that_to_its_nearest_point() -> None:
    line = np.array([shapely.LineString([(117.0, 31.0), (117.01, 31.0)])])
    (told,) = distances(np.array([117.005]), np.array([31.001]), line)
    assert told == pytest.approx(111.2, abs=0.2)
    assert distances(np.empty(0), np.empty(0), np.empty(0, dtype=object)).tolist() == []


def rows(*given: dict[str, object], shape: object = None) -> list[Row]:
    point = {"type": "Point", "coordinates": [117.2, 31.8]}
    return [Row(number, each, shape or point) for number, each in enumerate(given, 1)]  # type: ignore[arg-type]


def test_a_file_of_facilities_is_read_with_what_else_it_says() -> None:
    found = check_facilities(
        rows({"id": "H-1", "kind": "hospital", "name": "市一院", "beds": 900}), shipped_catalogue(), "f"
    )
    (entry,) = found.approved()
    assert (entry.item.external_id, entry.item.kind, entry.item.name) == ("H-1", FacilityKind.HOSPITAL, "市一院")
    assert (entry.item.longitude, entry.item.latitude, entry.item.attributes) == (117.2, 31.8, {"beds": 900})


@pytest.mark.parametrize(
    ("wrong", "shape", "told"),
    [
        ({"id": "H-1", "kind": "castle"}, None, "castle"),
        ({"id": "H-1"}, None, "kind is missing"),
        ({"kind": "school"}, None, "id is missing"),
        ({"id": "H-1", "kind": "school"}, {"type": "Polygon", "coordinates": []}, "must be a Point"),
        ({"id": "H-1", "kind": "school"}, {"type": "Point", "coordinates": [200, 0]}, "not on the globe"),
    ],
)
def test_a_mistake_in_a_facility_is_told_with_its_line(wrong: dict[str, object], shape: object, told: str) -> None:
    found = check_facilities(rows(wrong, shape=shape), shipped_catalogue(), "f")
    assert [problem.line for problem in found.problems] == [1]
    assert told in found.problems[0].message
    assert found.entries == []


def test_an_id_that_comes_twice_is_told() -> None:
    twice = {"id": "H-1", "kind": "school"}
    (problem,) = check_facilities(rows(twice, twice), shipped_catalogue(), "f").problems
    assert "already on line 1" in problem.message
