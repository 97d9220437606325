"""How a town is laid out: trees, loads, sizes and stock by their definitions; and the command that writes it down."""

import csv
import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lifeline.model import AssetKind
from lifeline.risk.deterioration import shipped_deterioration
from simulators.commands import app
from simulators.drains import DESIGN_RAIN_MM_H, RUNOFF, full_flow
from simulators.gaslines import spread
from simulators.instruments import BLIND_RADIUS_M
from simulators.inventory import write_inventory
from simulators.planning import CRITICAL, make_town
from simulators.scenario import load_scenario, shipped
from simulators.stock import (
    GAS_DIAMETERS,
    SEWER_DIAMETERS,
    WATER_DIAMETERS,
    at_least,
    carried,
    gas_material,
    sewer_material,
    thinned,
    water_material,
    year_laid,
)
from simulators.streets import length_of, make_streets, shortest_tree, to_wgs84
from simulators.town import Pipe, Town


@pytest.fixture(scope="module", params=[1, 4, 2**64])
def town(request: pytest.FixtureRequest) -> Town:
    return make_town(request.param)


# ----------------------------------------------------------------------------------------------------------- trees

GRAPHS = st.integers(2, 9).flatmap(
    lambda count: st.lists(
        st.tuples(st.integers(0, count - 1), st.integers(0, count - 1), st.integers(1, 9)), max_size=20
    )
)


@given(GRAPHS, st.sets(st.integers(0, 8), min_size=1, max_size=3))
def test_the_shortest_tree_is_as_short_as_repeated_relaxation_finds(
    edges: list[tuple[int, int, int]], sources: set[int]
) -> None:
    links = [(a, b, index) for index, (a, b, _) in enumerate(edges)]
    tree = shortest_tree(links, sources, lambda link, *_: edges[link][2])
    far = {node: math.inf for a, b, _ in edges for node in (a, b)} | dict.fromkeys(sources, 0.0)
    for _ in far:
        for a, b, cost in edges:
            far[a], far[b] = min(far[a], far[b] + cost), min(far[b], far[a] + cost)
    assert tree.keys() == {node for node, length in far.items() if length < math.inf} - sources
    for node, (towards, link) in tree.items():
        assert {node, towards} == {edges[link][0], edges[link][1]}
        assert far[node] == far[towards] + edges[link][2]


def test_the_way_up_may_cost_more_than_the_way_down() -> None:
    links = [(0, 1, 0), (1, 2, 1), (0, 2, 2)]
    costs = {(0, 0, 1): 1.0, (1, 1, 2): 1.0, (2, 0, 2): 5.0, (0, 1, 0): 9.0, (1, 2, 1): 9.0, (2, 2, 0): 1.0}
    from_the_first = shortest_tree(links, [0], lambda link, a, b: costs[link, a, b])
    from_the_last = shortest_tree(links, [2], lambda link, a, b: costs[link, a, b])
    assert from_the_first == {1: (0, 0), 2: (1, 1)}
    assert from_the_last[0] == (2, 2)


def test_no_streets_are_no_tree() -> None:
    assert shortest_tree([], [0], lambda *_: 1.0) == {}
    assert shortest_tree([(1, 2, 0)], [0], lambda *_: 1.0) == {}


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30), st.lists(st.floats(0, 50), min_size=31, max_size=31))
def test_all_that_is_loaded_arrives_at_the_source(choices: list[int], loads: list[float]) -> None:
    tree = {
        node: (choice % node, node) for node, choice in enumerate(choices, 1)
    }  # the link above a node bears its number
    load = {node: loads[node] for node in range(len(choices) + 1)}
    through = carried(tree, load)
    arriving = sum(through.get(link, 0) for node, (towards, link) in tree.items() if towards == 0)
    assert arriving == pytest.approx(sum(loads[1 : len(choices) + 1]))
    for node in tree:
        from_above = sum(through.get(link, 0) for towards, link in tree.values() if towards == node)
        assert through[node] == pytest.approx(load[node] + from_above)


# --------------------------------------------------------------------------------------------------- sizes and stock


@given(st.floats(0, 5000), st.sampled_from([GAS_DIAMETERS, WATER_DIAMETERS, SEWER_DIAMETERS]))
def test_a_pipe_is_the_smallest_that_is_made_and_large_enough(needed: float, sizes: tuple[int, ...]) -> None:
    chosen = at_least(needed, sizes)
    assert chosen in sizes
    assert chosen >= needed or chosen == max(sizes)
    assert all(size < needed for size in sizes if size < chosen)


@pytest.mark.parametrize("sizes", [GAS_DIAMETERS, WATER_DIAMETERS, SEWER_DIAMETERS])
def test_a_size_that_is_just_made_needs_no_larger_one(sizes: tuple[int, ...]) -> None:
    assert [at_least(float(size), sizes) for size in sizes] == list(sizes)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.26, 1.0])
def test_a_thinned_network_still_reaches_everyone_and_keeps_every_arterial(share: float) -> None:
    streets = make_streets(3)
    kept = thinned(streets, share, np.random.default_rng(1))
    links = [(streets.stretches[i].a, streets.stretches[i].b, i) for i in kept]
    assert len(shortest_tree(links, [0], lambda *_: 1.0)) == len(streets.crossings) - 1
    assert {i for i, stretch in enumerate(streets.stretches) if stretch.arterial} <= set(kept)
    assert kept == sorted(set(kept))
    fewest = len(streets.stretches) - round(share * len(streets.stretches))
    assert len(kept) == fewest if share < 0.2 else len(kept) >= fewest


COORDINATES = st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000))


@given(st.lists(COORDINATES, min_size=1, max_size=15, unique=True), st.integers(1, 20))
def test_points_are_spread_from_the_middle_each_as_far_as_can_be(points: list[tuple[int, int]], count: int) -> None:
    chosen = spread(tuple(points), list(range(len(points))), count)
    assert len(chosen) == len(set(chosen)) == min(count, len(points))
    assert math.hypot(*points[chosen[0]]) == min(math.hypot(*point) for point in points)
    for number in range(1, len(chosen)):

        def away(point: int, before: list[int] = chosen[:number]) -> float:
            return min(math.dist(points[point], points[other]) for other in before)

        assert away(chosen[number]) == max(away(point) for point in range(len(points)))


@pytest.mark.parametrize("material", [water_material, gas_material, sewer_material])
def test_every_material_that_is_ever_laid_has_a_place_in_the_risk_model(material: object) -> None:
    sizes = {"water_material": WATER_DIAMETERS, "gas_material": GAS_DIAMETERS, "sewer_material": SEWER_DIAMETERS}
    name = material.__name__  # type: ignore[attr-defined]
    laid = {material(year, size) for year in range(1960, 2026) for size in sizes[name]}  # type: ignore[operator]
    assert len(laid) >= 3
    assert laid <= shipped_deterioration().index.keys()


@given(st.integers(0, 2**32), COORDINATES)
def test_no_pipe_is_older_than_the_oldest_or_not_yet_laid(seed: int, at: tuple[int, int]) -> None:
    assert 1968 <= year_laid(at, np.random.default_rng(seed)) <= 2024


# --------------------------------------------------------------------------------------------------------- geometry


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great circle between two of longitude, latitude (haversine on a sphere of 6,371,008.8 m)."""
    (a, b), (c, d) = (tuple(map(math.radians, point)) for point in (one, other))
    return (
        2
        * 6_371_008.8
        * math.asin(math.sqrt(math.sin((d - b) / 2) ** 2 + math.cos(b) * math.cos(d) * math.sin((c - a) / 2) ** 2))
    )


@given(COORDINATES, COORDINATES)
def test_metres_of_the_plan_are_metres_on_the_map(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert metres(to_wgs84(one), to_wgs84(other)) == pytest.approx(math.dist(one, other), rel=0.005, abs=0.1)


def test_east_is_east_and_north_is_north() -> None:
    (west, south), (east, north) = to_wgs84((-10, -10)), to_wgs84((10, 10))
    assert west < east
    assert south < north


@given(st.lists(COORDINATES, min_size=2, max_size=8))
def test_a_path_is_as_long_there_as_back_and_never_shorter_than_straight(path: list[tuple[int, int]]) -> None:
    assert length_of(path) == length_of(path[::-1])
    assert length_of(path) >= math.dist(path[0], path[-1]) - 0.05
    assert length_of(path[:1]) == 0


def test_the_middle_of_a_pipe_lies_between_its_ends(town: Town) -> None:
    pipes = [pipe for network in town.networks for pipe in network.pipes.values()]
    assert any(len(pipe.path) == 2 for pipe in pipes)
    for pipe in pipes:
        whole = length_of(pipe.path)
        to_start, to_end = math.dist(pipe.path[0], pipe.middle), math.dist(pipe.middle, pipe.path[-1])
        assert 0.35 * whole < to_start < 0.65 * whole, pipe.id
        assert 0.35 * whole < to_end < 0.65 * whole, pipe.id


def test_lengths_are_those_of_the_paths(town: Town) -> None:
    for network in town.networks:
        for pipe in network.pipes.values():
            assert pipe.length_m == pytest.approx(length_of(pipe.path), abs=1.0)


# ------------------------------------------------------------------------------------------------------------ networks


@given(st.floats(0.1, 3), st.floats(1e-4, 0.1))
def test_a_full_pipe_follows_mannings_powers(diameter: float, slope: float) -> None:
    assert full_flow(2 * diameter, slope) == pytest.approx(full_flow(diameter, slope) * 2 ** (8 / 3))
    assert full_flow(diameter, 4 * slope) == pytest.approx(full_flow(diameter, slope) * 2)
    assert full_flow(diameter, slope, 0.028) == pytest.approx(full_flow(diameter, slope, 0.014) / 2)


def test_every_sewer_carries_the_design_rain_of_what_drains_into_it(town: Town) -> None:
    for pipe in town.drainage.pipes.values():
        rain_m3s = RUNOFF * DESIGN_RAIN_MM_H / 1000 / 3600 * pipe.attributes["area_ha"] * 10_000
        carries = full_flow(pipe.diameter_mm / 1000, pipe.attributes["slope"])
        assert carries >= 0.98 * rain_m3s or pipe.diameter_mm == max(SEWER_DIAMETERS), pipe.id


def test_what_drains_into_a_sewer_is_all_that_lies_above_it(town: Town) -> None:
    pipes, nodes = town.drainage.pipes.values(), town.drainage.nodes
    for pipe in pipes:
        above = sum(other.attributes["area_ha"] for other in pipes if other.b == pipe.a)
        assert pipe.attributes["area_ha"] == pytest.approx(above + nodes[pipe.a].attributes["area_ha"], abs=0.1)


def test_a_manhole_is_as_deep_as_its_cover_lies_above_its_invert(town: Town) -> None:
    for node in town.drainage.nodes.values():
        if node.kind is AssetKind.CHAMBER:
            assert node.depth_m == pytest.approx(node.attributes["cover_m"] - node.attributes["invert_m"], abs=0.01)
            assert node.depth_m >= 1.59


def test_every_critical_facility_stands_once_in_each_network(town: Town) -> None:
    for network in town.networks:
        critical = [node for node in network.nodes.values() if node.critical and node.crossing >= 0]
        assert len(critical) == len(CRITICAL)
        assert {name for name in CRITICAL if any(name in node.name for node in critical)} == set(CRITICAL)


def test_what_people_use_of_water_is_what_the_works_are_built_for(town: Town) -> None:
    used = sum(node.attributes.get("base_demand_m3h", 0) for node in town.water.nodes.values())
    assert town.water.nodes["W-U-1"].attributes["rated_flow_m3h"] == pytest.approx(2.2 * used, rel=0.01)


def test_gas_gets_from_the_gate_to_every_customer(town: Town) -> None:
    reached, front = {"G-R-0"}, ["G-R-0"]
    while front:
        here = front.pop()
        for pipe in town.gas.pipes_at(here):
            for end in {pipe.a, pipe.b} - reached:
                reached.add(end)
                front.append(end)
    assert reached == town.gas.nodes.keys()


# ---------------------------------------------------------------------------------------------------------- sensors


def test_two_corners_of_the_town_are_blind(town: Town) -> None:
    streets = town.streets
    for corner in ((650, 600), (-650, 150)):
        spot = streets.crossings[streets.nearest(corner)]
        assert min(math.dist(spot, instrument.at) for instrument in town.instruments) > BLIND_RADIUS_M - 15


def test_a_gateway_stands_where_one_of_its_devices_does(town: Town) -> None:
    for gateway, devices in town.gateways().items():
        (own,) = town.at_device(gateway)
        assert own.at in {instrument.at for device in devices for instrument in town.at_device(device)}
        assert own.gateway == ""


def test_a_device_stands_at_one_place_and_has_each_channel_once(town: Town) -> None:
    for device in town.device_network():
        own = list(town.at_device(device))
        assert len({instrument.at for instrument in own}) == 1
        assert len({instrument.channel for instrument in own}) == len(own)
        assert len({instrument.gateway for instrument in own}) == 1


# ------------------------------------------------------------------------------------------------------------- files


def test_no_feature_refers_to_one_that_comes_later(town: Town, tmp_path: Path) -> None:
    assets, _ = write_inventory(town, tmp_path)
    told: set[str] = set()
    pumps = []
    for feature in json.loads(assets.read_text(encoding="utf-8"))["features"]:
        properties = feature["properties"]
        ends = {properties[key] for key in ("from", "to") if key in properties}
        if properties["kind"] == "pump":
            pumps.append((feature["id"], ends))
        else:
            assert ends <= told, feature["id"]
        assert feature["id"] == properties["id"]
        assert feature["id"] not in told
        told.add(feature["id"])
    assert pumps[0] == ("W-U-1", {"W-R-1", "W-D-1"})
    assert [(name, "D-W-1" in ends) for name, ends in pumps[1:]] == [("D-U-1", True)]
    assert all(ends <= told for _, ends in pumps)


def test_a_sensor_stands_on_the_map_where_it_stands_in_the_town(town: Town, tmp_path: Path) -> None:
    _, sensors = write_inventory(town, tmp_path)
    with sensors.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["device"], row["channel"]) for row in rows] == [instrument.key for instrument in town.instruments]
    for row, instrument in zip(rows, town.instruments, strict=True):
        assert (float(row["longitude"]), float(row["latitude"])) == to_wgs84(instrument.at)
        assert (row["low"], row["high"]) == (("2.0", "15.0") if instrument.quantity == "battery" else ("", ""))


def test_files_are_written_anew_over_those_of_another_town(tmp_path: Path) -> None:
    write_inventory(make_town(1), tmp_path)
    fresh = write_inventory(make_town(2), tmp_path / "fresh")
    again = write_inventory(make_town(2), tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in fresh]


# ----------------------------------------------------------------------------------------------------------- command


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, list(arguments), env=environment)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


def test_the_inventory_command_says_which_files_it_wrote(tmp_path: Path) -> None:
    code, out = run("inventory", "--out", str(tmp_path / "a" / "b"), "--seed", "3")
    assert code == 0
    names = ("assets.geojson", "sensors.csv", "facilities.geojson")
    assert sorted(Path(line) for line in out.split()) == sorted(tmp_path / "a/b" / name for name in names)
    assert (tmp_path / "a/b/sensors.csv").is_file()


def test_a_folder_that_cannot_be_made_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out = run("inventory", "--out", str(tmp_path / "file" / "town"))
    assert code == 2
    assert "simulators: " in out
    assert "file" in out


@pytest.mark.parametrize(
    "arguments", [("--seed", "-1"), ("--seed", "x"), ("--history-days", "-1"), ("--history-days", "nan")]
)
def test_senseless_options_are_refused(arguments: tuple[str, str]) -> None:
    assert run("run", *arguments)[0] == 2


BROKER = {"LIFELINE_MQTT_HOST": "127.0.0.1", "LIFELINE_MQTT_PORT": "1"}


def test_a_truth_that_cannot_be_written_is_told_before_an_hour_of_history(tmp_path: Path) -> None:
    code, out = run("run", "--truth", str(tmp_path / "none" / "truth.jsonl"), "--scenario", "quiet", **BROKER)
    assert code == 2
    assert "the truth cannot be written" in out


def test_a_scenario_at_a_place_of_another_town_is_told_at_once(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[[event]]\nkind='burst'\nat_s=1\nlasts_s=60\nplace='W-P-999'\n")
    code, out = run("run", "--scenario", str(own), **BROKER)
    assert code == 2
    assert "'W-P-999' is not a water pipe" in out


def test_the_list_of_scenarios_tells_each_with_its_title() -> None:
    code, out = run("scenarios")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == shipped()
    assert all(load_scenario(name).title in out for name in shipped())


def test_names_of_crossings_are_told_in_both_languages_and_in_one_order() -> None:
    streets = make_streets(1)
    for crossing in range(len(streets.crossings)):
        name = streets.crossing_name(crossing)
        chinese, _, english = name.partition(" ")
        assert chinese.count("/") == english.count("/") <= 1
        meeting = {stretch.name for stretch in streets.stretches if crossing in (stretch.a, stretch.b)}
        assert all(any(part in whole for whole in meeting) for part in chinese.split("/"))


def test_stretches_begin_and_end_at_their_crossings() -> None:
    streets = make_streets(2)
    for stretch in streets.stretches:
        assert stretch.path[0] == streets.crossings[stretch.a]
        assert stretch.path[-1] == streets.crossings[stretch.b]
        assert all(one != other for one, other in pairwise(stretch.path))


def test_the_nearest_crossing_is_the_nearest_of_those_that_may_be_chosen() -> None:
    streets = make_streets(2)
    spot = streets.crossings[5]
    assert streets.nearest(spot) == 5
    others = [crossing for crossing in range(len(streets.crossings)) if crossing != 5]
    second = streets.nearest(spot, others)
    assert math.dist(spot, streets.crossings[second]) == min(math.dist(spot, streets.crossings[c]) for c in others)


def test_a_pipe_belongs_to_both_its_ends_and_to_nobody_else(town: Town) -> None:
    for network in town.networks:
        ends: dict[str, set[str]] = {}
        for node in network.nodes:
            ends[node] = {pipe.id for pipe in network.pipes_at(node)}
        counted = [pipe for own in ends.values() for pipe in own]
        assert sorted(counted) == sorted(list(network.pipes) * 2)


def test_an_asset_that_does_not_exist_has_no_position(town: Town) -> None:
    with pytest.raises(KeyError, match="X-1"):
        town.position("X-1")
    pipe = town.asset("W-P-000")
    assert isinstance(pipe, Pipe)
    assert town.position("W-P-000") == pipe.middle
