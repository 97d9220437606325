"""Up- and downstream in the database, against networkx on the same graph."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

import networkx as nx
import pytest

from lifeline.errors import NotFoundError
from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind
from lifeline.storage import inventory, topology
from lifeline.storage.database import Connection
from tests.integration.town import build

pytestmark = pytest.mark.usefixtures("clean_database")

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def store(connection: Connection, network: str, nodes: dict[str, AssetKind], pipes: Sequence[tuple[str, str]]) -> None:
    """Nodes on a line and pipes `a>b` between them."""
    names = list(nodes)
    places = {name: [117.2 + 0.001 * n, 31.8 + 0.0007 * (n % 3)] for n, name in enumerate(names)}
    assets = [Asset(n, network, kind, {"type": "Point", "coordinates": places[n]}) for n, kind in nodes.items()]
    for a, b in pipes:
        line = {"type": "LineString", "coordinates": [places[a], places[b]]}
        assets.append(Asset(f"{a}:{b}", network, AssetKind.PIPE, line, from_asset=a, to_asset=b))
    inventory.store_assets(connection, [Entry(n, each) for n, each in enumerate(assets, 1)], NOW)


def names(connection: Connection, name: str, direction: topology.Direction, **more: int) -> set[str]:
    return {each.external_id for each in topology.way(connection, name, direction, **more).assets}


def random_network(seed: int, sources: AssetKind) -> tuple[dict[str, AssetKind], list[tuple[str, str]]]:
    """With rings and with parts that hang together by nothing."""
    chance = random.Random(seed)
    nodes = {f"N{n}": sources if n < 2 else AssetKind.JUNCTION for n in range(14)}
    pairs = [(a, b) for a in nodes for b in nodes if a != b]
    return nodes, chance.sample(pairs, 15)


def graph_of(nodes: dict[str, AssetKind], pipes: Sequence[tuple[str, str]]) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    for a, b in pipes:
        graph.add_edges_from([(a, f"{a}:{b}"), (f"{a}:{b}", b)])
    return graph


@pytest.mark.parametrize("seed", range(3))
def test_a_drain_leads_where_its_direction_does(seed: int, connection: Connection) -> None:
    nodes, pipes = random_network(seed, AssetKind.OUTFALL)
    store(connection, "drainage", nodes, pipes)
    graph = graph_of(nodes, pipes)
    for name in graph:
        assert names(connection, name, "downstream") == nx.descendants(graph, name) - {name}
        assert names(connection, name, "upstream") == nx.ancestors(graph, name) - {name}


@pytest.mark.parametrize("seed", range(3))
def test_under_pressure_downstream_is_what_no_source_reaches_any_more(seed: int, connection: Connection) -> None:
    nodes, pipes = random_network(seed, AssetKind.TANK)
    store(connection, "water", nodes, pipes)
    graph = graph_of(nodes, pipes).to_undirected()
    for name in graph:
        rest = graph.subgraph(set(graph) - {name})
        fed = set().union(*(nx.node_connected_component(rest, tank) for tank in ("N0", "N1") if tank != name))
        walled = graph.subgraph(set(graph) - ({"N0", "N1"} - {name}))
        mine = set(nx.node_connected_component(walled, name))
        mine |= {tank for tank in ("N0", "N1") if set(graph[tank]) & mine}
        assert names(connection, name, "upstream") == (mine & fed) - {name}, name
        assert names(connection, name, "downstream") == mine - fed - {name}, name


def test_a_branch_hangs_on_its_pipe_and_a_ring_on_none(connection: Connection) -> None:
    nodes = {"T": AssetKind.TANK, "A": AssetKind.JUNCTION, "B": AssetKind.JUNCTION, "C": AssetKind.JUNCTION}
    store(connection, "water", nodes, [("T", "A"), ("T", "B"), ("B", "A"), ("C", "B")])
    assert names(connection, "C:B", "downstream") == {"C"}
    assert names(connection, "T:A", "downstream") == set()
    assert names(connection, "C:B", "upstream") == {"B", "B:A", "A", "T:A", "T:B", "T"}


def test_a_shut_pipe_leads_nowhere_under_pressure(connection: Connection) -> None:
    nodes = {"T": AssetKind.TANK, "A": AssetKind.JUNCTION, "B": AssetKind.JUNCTION}
    store(connection, "water", nodes, [("T", "A"), ("A", "B"), ("T", "B")])
    connection.execute("UPDATE asset SET in_service = false WHERE external_id = 'T:B'")
    assert names(connection, "A", "downstream") == {"A:B", "B"}


@pytest.mark.parametrize("join", ["nestloop", "hashjoin", "mergejoin"])
def test_the_nearest_come_first_and_a_long_way_is_cut(join: str, connection: Connection) -> None:
    """However the database joins: which way it takes depends on what it last counted, not on the question."""
    for other in {"nestloop", "hashjoin", "mergejoin"} - {join}:
        connection.execute(f"SET enable_{other} = off")
    nodes = {f"N{n}": AssetKind.CHAMBER for n in range(10)}
    store(connection, "drainage", nodes, [(f"N{n}", f"N{n + 1}") for n in range(9)])
    found = topology.way(connection, "N0", "downstream", limit=4)
    assert [each.external_id for each in found.assets] == ["N0:N1", "N1", "N1:N2", "N2"]
    assert found.truncated
    whole = topology.way(connection, "N0", "downstream", limit=18)
    assert (len(whole.assets), whole.truncated) == (18, False)
    assert topology.way(connection, "N9", "downstream").assets == []


def test_what_is_not_there_has_no_way(connection: Connection) -> None:
    build(connection, NOW)
    with pytest.raises(NotFoundError, match="no asset 'nothing'"):
        topology.way(connection, "nothing", "upstream")
