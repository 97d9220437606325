"""Suggested zones: hot cells that stand together, and what a facility lives on."""

import json

import h3
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline import geo
from lifeline.model import ZoneKind, ZoneStatus
from lifeline.risk import clusters
from lifeline.risk.clusters import HotCell, Node, groups, resilience, risk_control, way_to_source

CENTRE = geo.cell_at(117.25, 31.85, 10)
AREA = sorted(h3.grid_disk(CENTRE, 4))


def at_distance(steps: int) -> str:
    """A cell so many steps from the centre, always on the same side."""
    return min(h3.grid_ring(CENTRE, steps))


def hot(cell: str, score: float = 80.0, length: float = 200.0) -> HotCell:
    return HotCell(cell, score, score / 2, length)


def middle(cell: str) -> shapely.Point:
    latitude, longitude = h3.cell_to_latlng(cell)
    return shapely.Point(longitude, latitude)


def shape_of(zone: object) -> shapely.Geometry:
    return shapely.geometry.shape(zone.geometry)  # type: ignore[attr-defined]


def test_hot_cells_that_touch_or_have_one_between_them_are_one_zone():
    for steps, zones in ((1, 1), (2, 1), (4, 2)):
        found = risk_control([hot(CENTRE, length=400), hot(at_distance(steps), length=400)], 50)
        assert len(found) == zones


def test_a_zone_holds_its_cells_and_the_cell_between_two_of_them():
    ends = [CENTRE, at_distance(2)]
    (zone,) = risk_control([hot(each) for each in ends], 50)
    shape = shape_of(zone)
    assert all(shape.contains(middle(each)) for each in ends)
    between = set(h3.grid_ring(ends[0], 1)) & set(h3.grid_ring(ends[1], 1))
    assert any(shape.contains(middle(each)) for each in between)
    assert shape.geom_type == "Polygon"


def test_cold_cells_and_little_pipe_make_no_zone():
    assert risk_control([hot(CENTRE, score=49.9, length=1000)], 50) == []
    assert risk_control([hot(CENTRE, length=299)], 50) == []
    assert len(risk_control([hot(CENTRE, length=300)], 50)) == 1
    assert risk_control([], 50) == []


def test_a_zone_says_why_and_waits_for_a_person():
    (zone,) = risk_control([hot(CENTRE, 90, 200), hot(at_distance(1), 60, 200)], 50)
    assert zone.attributes == {"cells": 2, "score": 90, "mean": 37.5, "length_m": 400}
    assert (zone.kind, zone.status, zone.source) == (ZoneKind.RISK_CONTROL, ZoneStatus.SUGGESTED, clusters.CONTROL)
    assert zone.external_id == f"risk-control-{CENTRE}"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("桐城路 Tongcheng Rd", "桐城路风险管控区 Tongcheng Rd risk control zone"),
        ("第八中学 No. 8 Middle School", "第八中学风险管控区 No. 8 Middle School risk control zone"),
        ("数据中心 Data Centre 阀井 well", "数据中心 阀井风险管控区 Data Centre well risk control zone"),
        ("3 号路 Street 3", "3 号路风险管控区 Street 3 risk control zone"),
        ("中山路", "中山路风险管控区"),
        ("Main Street 5", "Main Street 5 risk control zone"),
        ("", "风险管控区 risk control zone"),
    ],
)
def test_a_zone_is_named_by_a_place_in_the_languages_in_which_that_has_a_name(place, name):
    assert clusters.named(place, "风险管控区", "risk control zone") == name


def test_a_zone_has_the_name_of_the_worst_street_that_has_one():
    cells = [hot(CENTRE, 95), hot(at_distance(1), 90)._replace(street="桐城路"), hot(at_distance(2), 70)]
    (zone,) = risk_control([each._replace(street=each.street or "芜湖路" * (each.score < 80)) for each in cells], 50)
    assert (zone.name, zone.external_id) == ("桐城路风险管控区", f"risk-control-{CENTRE}")


def test_zones_of_one_street_are_told_apart_by_a_number_the_worst_without():
    apart = [h3.grid_ring(CENTRE, 8)[at] for at in (0, 16, 32)]
    cells = [
        hot(cell, score, 400)._replace(street="桐城路 Tongcheng Rd")
        for cell, score in zip(apart, (55, 95, 75), strict=True)
    ]
    title = "桐城路风险管控区 Tongcheng Rd risk control zone"
    assert [each.name for each in risk_control(cells, 50)] == [title, f"{title} 2", f"{title} 3"]


def test_the_worst_zone_comes_first():
    far = h3.grid_ring(CENTRE, 8)[0]
    told = risk_control([hot(far, 55, 400), hot(CENTRE, 95, 4000)], 50)
    assert [each.attributes["score"] for each in told] == [95, 55]


@settings(max_examples=50, deadline=None)
@given(st.sets(st.sampled_from(AREA), max_size=20), st.randoms())
def test_every_cell_is_in_one_group_and_the_order_does_not_matter(cells, random):
    shuffled = sorted(cells)
    random.shuffle(shuffled)
    found = groups(shuffled)
    assert sorted(cell for group in found for cell in group) == sorted(cells)
    assert sorted(found) == sorted(groups(cells))
    for one in found:
        for other in found:
            apart = min(h3.grid_distance(a, b) for a in one for b in other)
            assert one is other or apart > clusters.BRIDGE


@settings(max_examples=25, deadline=None)
@given(st.sets(st.sampled_from(AREA), min_size=1, max_size=12))
def test_every_zone_is_a_valid_area_and_holds_all_of_its_cells(cells):
    zones = risk_control([hot(each, length=400) for each in sorted(cells)], 50)
    shapes = [shape_of(each) for each in zones]
    assert all(shape.is_valid for shape in shapes)
    for cell in cells:
        assert sum(shape.contains(middle(cell)) for shape in shapes) >= 1
    assert len({each.external_id for each in zones}) == len(zones)


def street(*kinds: str, critical: int, network: str = "water", branch: bool = True) -> list[Node]:
    """Points in a row, 100 m apart, with pipes between them; a branch that leads nowhere hangs on the first."""
    nodes = []
    for n, kind in enumerate(kinds):
        point = json.dumps({"type": "Point", "coordinates": [117.2 + n * 0.001, 31.8]})
        nodes.append(Node(n + 1, f"N{n}", "", network, kind, n == critical, 0.0, (), point))
    for n in range(len(kinds) - 1):
        line = {"type": "LineString", "coordinates": [[117.2 + n * 0.001, 31.8], [117.201 + n * 0.001, 31.8]]}
        nodes.append(Node(100 + n, f"P{n}", "", network, "pipe", False, 94.6, (n + 1, n + 2), json.dumps(line)))
    if branch:
        line = {"type": "LineString", "coordinates": [[117.2, 31.8], [117.2, 31.81]]}
        nodes.append(Node(999, "B", "", network, "pipe", False, 1100.0, (1,), json.dumps(line)))
    return nodes


def way(nodes: list[Node], start: int) -> list[str] | None:
    by_id = {each.asset_id: each for each in nodes}
    found = way_to_source(start, by_id, clusters.neighbours(nodes))
    return None if found is None else [by_id[each].external_id for each in found]


def test_the_way_leads_to_the_nearest_source():
    nodes = street("junction", "junction", "tank", "junction", "tank", critical=0)
    assert way(nodes, 1) == ["N0", "P0", "N1", "P1", "N2"]


def test_a_pump_is_a_source_where_there_is_no_other():
    assert way(street("junction", "pump", "junction", critical=0), 1) == ["N0", "P0", "N1"]
    assert way(street("junction", "pump", "tank", critical=0), 1) == ["N0", "P0", "N1", "P1", "N2"]
    assert way(street("junction", "junction", critical=0), 1) is None


def test_a_way_stays_in_its_network():
    water, gas = street("junction", critical=0), street("tank", critical=9, network="gas")
    moved = [each._replace(asset_id=each.asset_id + 5000, ends=(1,)) for each in gas]
    assert way([*water, *moved], 1) is None


def test_a_resilience_zone_holds_the_facility_its_way_and_a_margin():
    (zone,) = resilience(street("junction", "junction", "tank", critical=0))
    assert zone.attributes == {"facilities": ["N0"], "assets": 5, "sources": ["N2"], "length_m": 189}
    shape = shape_of(zone)
    assert shape.is_valid
    assert shape.contains(shapely.LineString([[117.2, 31.8], [117.202, 31.8]]))
    assert shape.contains(shapely.Point(117.201, 31.80025))
    assert not shape.contains(shapely.Point(117.201, 31.8004))
    assert not shape.contains(shapely.Point(117.2, 31.806))
    assert (zone.kind, zone.network, zone.status) == (ZoneKind.RESILIENCE, "water", ZoneStatus.SUGGESTED)
    assert zone.name == "韧性保护区 N0 resilience protection zone", "a facility without a name"
    hospital = [each._replace(name="医院 Hospital") for each in street("junction", "tank", critical=0)]
    assert [each.name for each in resilience(hospital)] == ["医院韧性保护区 Hospital resilience protection zone"]


def test_facilities_on_one_way_share_a_zone():
    nodes = [
        each._replace(critical=each.asset_id in (1, 2)) for each in street("junction", "junction", "tank", critical=0)
    ]
    (zone,) = resilience(nodes)
    assert zone.attributes["facilities"] == ["N0", "N1"]


def test_a_facility_without_a_source_has_no_zone():
    assert resilience(street("junction", "junction", critical=0)) == []
    assert resilience([]) == []
