"""Who is cut off: compared with networkx on random graphs, and with removal by hand."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.risk.reach import Topology, cut_off, dominators, topology

graphs = st.integers(2, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3 * n))
)


def ends(links: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([a for a, _ in links], dtype=int), np.array([b for _, b in links], dtype=int)


def served(n: int, links: list[tuple[int, int]], sources: list[int], out: set[int], directed: bool) -> set[int]:
    """What the sources reach when some assets are out, by plain search."""
    graph = nx.DiGraph() if directed else nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(links)
    graph.remove_nodes_from(out)
    return {each for at in sources if at in graph for each in nx.node_connected_component(graph, at)} if not directed \
        else {each for at in sources if at in graph for each in {at} | nx.descendants(graph, at)}  # fmt: skip


@settings(max_examples=200)
@given(graphs)
def test_dominators_are_those_of_networkx(graph):
    n, links = graph
    order, above = dominators(n, *ends(links), 0)
    network = nx.DiGraph()
    network.add_nodes_from(range(n))
    network.add_edges_from(links)
    wanted = nx.immediate_dominators(network, 0)
    assert set(order) == set(wanted) | {0}
    assert {node: above[node] for node in order[1:]} == {node: top for node, top in wanted.items() if node != 0}


@settings(max_examples=200)
@given(graphs, st.booleans(), st.data())
def test_what_is_cut_off_is_what_is_no_longer_reached_without_the_asset(graph, directed, data):
    n, links = graph
    sources = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=3)))
    weights = np.arange(1.0, n + 1)[:, None]
    found = cut_off(Topology(n, *ends(links), np.array(sources), directed), weights)
    before = served(n, links, sources, set(), directed)
    assert set(np.flatnonzero(found.reached)) == before
    for asset in before:
        after = served(n, links, sources, {asset}, directed)
        assert found.lost[asset, 0] == pytest.approx(sum(each + 1 for each in before - after))


def test_pipes_between_the_same_valves_are_lost_together():
    # tank 0 - pipe 1 - valve 2 - pipe 3 - junction 4 - pipe 5 - valve 6 - pipe 7
    links = [(at, at + 1) for at in range(7)]
    valves = np.array([at in (2, 6) for at in range(8)])
    found = cut_off(Topology(8, *ends(links), np.array([0]), False), np.ones((8, 1)), valves)
    assert found.lost[:, 0].tolist() == [8, 8, 6, 5, 5, 5, 2, 1]


def test_water_comes_from_tanks_that_nothing_feeds_and_drains_lead_to_outfalls():
    kind = ["tank", "pipe", "tank", "pipe", "junction"]
    from_index, to_index = np.array([-1, 0, -1, 2, -1]), np.array([-1, 2, -1, 4, -1])
    assert topology("water", kind, from_index, to_index).sources.tolist() == [0]
    sewer = topology("drainage", ["chamber", "pipe", "outfall"], np.array([-1, 0, -1]), np.array([-1, 2, -1]))
    assert sewer.directed
    assert sewer.sources.tolist() == [2]
    found = cut_off(sewer, np.array([[10.0], [0.0], [0.0]]))
    assert found.lost[:, 0].tolist() == [10, 10, 10]


def test_a_network_without_a_known_source_begins_where_nothing_leads_to():
    found = topology("gas", ["junction", "pipe", "junction"], np.array([-1, 0, -1]), np.array([-1, 2, -1]))
    assert found.sources.tolist() == [0]
    ring = topology("gas", ["pipe", "pipe"], np.array([1, 0]), np.array([1, 0]))
    assert ring.sources.tolist() == [0]
