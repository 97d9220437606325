"""The town: whole, plausible, the same for the same seed, and fit for the wire and the importer."""

import csv
import json
import math
from collections import Counter
from pathlib import Path

import h3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.catalogue import shipped_catalogue
from lifeline.inventory import parse_assets, parse_sensors
from lifeline.model import AssetKind
from lifeline.risk.deterioration import shipped_deterioration
from lifeline.wire import is_channel, is_identifier
from simulators.inventory import SENSOR_COLUMNS, features, write_inventory
from simulators.planning import make_town
from simulators.streets import length_of, make_streets, shortest_tree, to_wgs84
from simulators.town import Network, Pipe, Town

SEEDS = (0, 1, 2, 3, 7, 11)


@pytest.fixture(scope="module", params=SEEDS)
def town(request: pytest.FixtureRequest) -> Town:
    return make_town(request.param)


def test_the_same_seed_gives_the_same_files_to_the_byte(tmp_path: Path) -> None:
    first = write_inventory(make_town(5), tmp_path / "a")
    second = write_inventory(make_town(5), tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_another_seed_gives_another_town() -> None:
    assert features(make_town(1)) != features(make_town(2))


def test_streets_are_a_town_and_not_a_grid(town: Town) -> None:
    streets = town.streets
    assert 85 <= len(streets.crossings) <= 130
    assert 1.3 < len(streets.stretches) / len(streets.crossings) < 1.8
    bearings = {
        round(math.degrees(math.atan2(s.path[-1][1] - s.path[0][1], s.path[-1][0] - s.path[0][0])) % 90)
        for s in streets.stretches
    }
    assert len(bearings) > 20
    lengths = [s.length_m for s in streets.stretches]
    assert min(lengths) > 40
    assert max(lengths) < 400


def test_every_crossing_can_be_reached_from_every_other(town: Town) -> None:
    links = [(s.a, s.b, i) for i, s in enumerate(town.streets.stretches)]
    assert len(shortest_tree(links, [0], lambda *_: 1.0)) == len(town.streets.crossings) - 1


def test_streets_have_chinese_and_english_names(town: Town) -> None:
    for stretch in town.streets.stretches:
        chinese, _, english = stretch.name.partition(" ")
        assert not chinese.isascii()
        assert english.isascii()


def connected(network: Network) -> bool:
    number = {name: index for index, name in enumerate(network.nodes)}
    edges = [(pipe.a, pipe.b) for pipe in network.pipes.values()]
    edges += [node.between for node in network.nodes.values() if node.between]
    links = [(number[a], number[b], i) for i, (a, b) in enumerate(edges)]
    if network.key == "drainage":  # two catchments, each with its outfall
        outfalls = [number[name] for name, node in network.nodes.items() if node.kind is AssetKind.OUTFALL]
        pumps = sum(node.between is not None for node in network.nodes.values())
        return len(shortest_tree(links, outfalls, lambda *_: 1.0)) == len(number) - len(outfalls) - pumps
    # A pump stands between two nodes and is itself none.
    own = {number[name] for name, node in network.nodes.items() if node.between}
    reached = shortest_tree(links, [next(iter(set(number.values()) - own))], lambda *_: 1.0)
    return len(reached) == len(number) - len(own) - 1


def test_each_network_hangs_together(town: Town) -> None:
    for network in town.networks:
        assert connected(network), network.key


def test_pipes_run_from_their_first_node_to_their_second(town: Town) -> None:
    for network in town.networks:
        for pipe in network.pipes.values():
            assert pipe.path[0] == pytest.approx(network.nodes[pipe.a].at)
            assert pipe.path[-1] == pytest.approx(network.nodes[pipe.b].at)
            assert pipe.length_m == pytest.approx(length_of(pipe.path), rel=0.05)


def test_sewers_fall_all_the_way_to_the_river(town: Town) -> None:
    nodes = town.drainage.nodes
    for pipe in town.drainage.pipes.values():
        fall = nodes[pipe.a].attributes["invert_m"] - nodes[pipe.b].attributes["invert_m"]
        assert fall / pipe.length_m > 0.0025, pipe.id
    for node in [node for node in nodes.values() if not node.between]:
        assert node.attributes["cover_m"] > node.attributes["invert_m"]


def test_sewers_never_narrow_much_downstream(town: Town) -> None:
    below = {pipe.a: pipe for pipe in town.drainage.pipes.values()}
    for pipe in town.drainage.pipes.values():
        if pipe.b in below:
            assert below[pipe.b].diameter_mm >= 0.6 * pipe.diameter_mm


def test_the_networks_lie_beside_each_other_and_not_on_top(town: Town) -> None:
    for network, other in ((town.water, town.drainage), (town.gas, town.drainage), (town.water, town.gas)):
        where = {node.at for node in network.nodes.values()}
        assert where.isdisjoint(node.at for node in other.nodes.values())


def test_the_stock_is_of_every_age_and_material(town: Town) -> None:
    pipes = [pipe for network in town.networks for pipe in network.pipes.values()]
    assert {pipe.material for pipe in pipes} <= shipped_deterioration().index.keys()
    assert len({pipe.material for pipe in pipes}) >= 6
    years = [pipe.install_year for pipe in pipes]
    assert min(years) < 1985
    assert max(years) > 2015
    assert all(1960 < year < 2026 for year in years)


def test_the_centre_is_older_than_the_outskirts(town: Town) -> None:
    def mean(pipes: list[Pipe]) -> float:
        return sum(pipe.install_year for pipe in pipes) / len(pipes)

    pipes = [pipe for network in town.networks for pipe in network.pipes.values()]
    inner = [pipe for pipe in pipes if math.hypot(*pipe.middle) < 350]
    outer = [pipe for pipe in pipes if math.hypot(*pipe.middle) > 700]
    assert mean(inner) + 8 < mean(outer)


def test_mains_serve_everyone_and_side_streets_few(town: Town) -> None:
    for network in town.networks:
        served = [pipe.customers for pipe in network.pipes.values()]
        assert max(served) > 10 * sorted(served)[len(served) // 2]
    assert any(node.critical for node in town.water.nodes.values() if node.crossing >= 0)


def test_ids_are_unique_and_safe_on_the_wire(town: Town) -> None:
    ids = [name for network in town.networks for name in (*network.nodes, *network.pipes)]
    assert len(ids) == len(set(ids))
    assert all(map(is_identifier, ids))
    assert all(is_identifier(i.device) and is_channel(i.channel) for i in town.instruments)
    assert len({i.key for i in town.instruments}) == len(town.instruments)


def test_every_sensor_measures_a_quantity_of_the_catalogue_on_an_asset_of_its_network(town: Town) -> None:
    catalogue = shipped_catalogue()
    for instrument in town.instruments:
        quantity = catalogue.quantity_of(instrument.channel)
        assert quantity is not None
        assert instrument.network in quantity.networks
        asset = town.asset(instrument.asset)
        assert asset is not None
        assert asset.network == instrument.network


def test_there_are_as_many_sensors_and_devices_as_a_small_town_has(town: Town) -> None:
    per_network = Counter(i.network for i in town.instruments if i.quantity != "battery")
    assert per_network["water"] == 30
    assert per_network["drainage"] == 28
    assert 22 <= per_network["gas"] <= 30
    assert 45 <= len({i.device for i in town.instruments}) <= 60
    assert len(town.gateways()) == 6
    assert {i.quantity for i in town.instruments} == {
        "methane", "gas_pressure", "gas_flow", "pressure", "flow", "level", "residual_chlorine",
        "rain", "ponding_depth", "h2s", "battery", "turbidity", "pump_current",
    }  # fmt: skip


def test_devices_speak_through_a_gateway_of_their_own_network(town: Town) -> None:
    networks = town.device_network()
    for instrument in town.instruments:
        if instrument.gateway:
            assert networks[instrument.gateway] == instrument.network
    behind = [device for devices in town.gateways().values() for device in devices]
    assert len(behind) == len(set(behind))
    assert all(len(devices) >= 5 for devices in town.gateways().values())


def test_most_cells_have_a_sensor_and_some_have_none(town: Town) -> None:
    def cell(point: tuple[float, float]) -> str:
        longitude, latitude = to_wgs84(point)
        return str(h3.latlng_to_cell(latitude, longitude, 9))

    cells = {cell(p) for network in town.networks for pipe in network.pipes.values() for p in pipe.path}
    watched = {cell(i.at) for i in town.instruments} & cells
    assert 0.55 < len(watched) / len(cells) < 0.95


def test_the_town_lies_beside_hefei(town: Town) -> None:
    for feature in features(town):
        coordinates = feature["geometry"]["coordinates"]
        for longitude, latitude in [coordinates] if feature["geometry"]["type"] == "Point" else coordinates:
            assert 117.2 < longitude < 117.26
            assert 31.8 < latitude < 31.84


def test_files_have_the_form_that_the_importer_reads(town: Town, tmp_path: Path) -> None:
    assets, sensors = write_inventory(town, tmp_path)
    collection = json.loads(assets.read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    ids = {feature["properties"]["id"] for feature in collection["features"]}
    assert len(ids) == len(collection["features"])
    for feature in collection["features"]:
        properties = feature["properties"]
        assert AssetKind(properties["kind"])
        assert {properties.get("from"), properties.get("to")} - {None} <= ids
    with sensors.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == SENSOR_COLUMNS
    assert {row["asset"] for row in rows} <= ids
    assert {row["gateway"] for row in rows} - {""} <= {row["device"] for row in rows}


def test_a_town_answers_for_its_assets() -> None:
    town = make_town(1)
    pipe = next(iter(town.gas.pipes.values()))
    assert town.asset(pipe.id) is pipe
    assert town.position(pipe.id) == pipe.middle
    assert town.asset("nothing") is None
    with pytest.raises(KeyError):
        town.position("nothing")


@given(st.integers(min_value=0, max_value=2**31))
@settings(max_examples=15, deadline=None)
def test_any_seed_gives_streets_that_hang_together(seed: int) -> None:
    streets = make_streets(seed)
    links = [(s.a, s.b, i) for i, s in enumerate(streets.stretches)]
    assert len(shortest_tree(links, [0], lambda *_: 1.0)) == len(streets.crossings) - 1
    assert len(streets.crossings) > 75


@given(st.integers(min_value=0, max_value=10_000))
@settings(max_examples=6, deadline=None)
def test_any_seed_gives_a_town_with_a_place_for_every_kind_of_event(seed: int) -> None:
    from simulators.kinds import KINDS
    from simulators.places import likely

    town = make_town(seed)
    for kind in KINDS:
        if KINDS[kind].place:
            assert likely(town, kind), kind


def test_the_importer_takes_both_files_without_a_complaint(town: Town, tmp_path: Path) -> None:
    assets, sensors = write_inventory(town, tmp_path)
    catalogue = shipped_catalogue()
    taken = parse_assets(assets.read_bytes(), catalogue, assets.name)
    assert len(taken) == sum(len(network.nodes) + len(network.pipes) for network in town.networks)
    assert len(parse_sensors(sensors.read_bytes(), catalogue, sensors.name)) == len(town.instruments)
