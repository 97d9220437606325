"""Who is served while parts are out: graph and EPANET agree on trees, closing a node closes its links."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.errors import ConfigurationError
from lifeline.planning.hydraulics import Model
from lifeline.planning.service import EpanetService, GraphService, epanet_service
from lifeline.risk.reach import topology
from lifeline.storage.standing import Elements
from tests.unit.test_physics_and_graph import name, text_of, trees


def elements_of(above: tuple[int, ...], demand: tuple[int, ...]) -> Elements:
    """The tree of test_physics_and_graph as assets: ids from 1, reservoir, junctions, then pipes."""
    n = len(above)
    nodes = [name(at) for at in range(n + 1)]
    pipes = [f"P{at + 1}" for at in range(n)]
    nothing: list[int | None] = [None] * (n + 1)
    return Elements(
        asset_id=np.arange(1, 2 * n + 2),
        external_id=[*nodes, *pipes],
        kind=["tank", *["junction"] * n, *["pipe"] * n],
        customers=np.array([0, *demand, *[0] * n]),
        critical=np.zeros(2 * n + 1, np.bool_),
        element=[*nodes, *pipes],
        length_m=np.full(2 * n + 1, 50.0),
        diameter_mm=np.full(2 * n + 1, 600.0),
        material=[None] * (2 * n + 1),
        from_asset=[*nothing, *(up + 1 for up in above)],
        to_asset=[*nothing, *range(2, n + 2)],
    )


def both(above: tuple[int, ...], demand: tuple[int, ...]) -> tuple[GraphService, EpanetService]:
    found = elements_of(above, demand)
    from_index = np.array([-1 if each is None else each - 1 for each in found.from_asset])
    to_index = np.array([-1 if each is None else each - 1 for each in found.to_asset])
    graph = topology("water", found.kind, from_index, to_index)
    model = Model("tree.inp", text_of(above, demand), 0)
    return GraphService(graph, found.customers.astype(float)), epanet_service(model, found)


@settings(max_examples=40, deadline=None)
@given(trees, st.data())
def test_the_share_served_is_the_same_by_reach_and_by_pressure(tree, data):
    above, demand = tree
    graph, engine = both(above, demand)
    pipes = st.integers(len(above) + 1, 2 * len(above))
    out = np.array(sorted(data.draw(st.sets(pipes, max_size=3))), dtype=int)
    assert engine.share(out) == pytest.approx(graph.share(out), abs=5e-3)
    held = np.arange(1, len(above) + 1)
    np.testing.assert_allclose(engine.unserved(out)[held], graph.unserved(out)[held], atol=2e-2)


@settings(max_examples=20, deadline=None)
@given(trees, st.data())
def test_a_node_that_is_out_takes_with_it_what_lies_behind(tree, data):
    above, demand = tree
    graph, engine = both(above, demand)
    out = np.array([data.draw(st.integers(1, len(above)))])
    assert engine.share(out) == pytest.approx(graph.share(out), abs=5e-3)


def test_without_the_source_nobody_is_served():
    graph, engine = both((0, 1, 1), (3, 4, 5))
    assert graph.share(np.array([0])) == 0
    assert engine.share(np.array([0])) == pytest.approx(0, abs=5e-3)


def test_with_nothing_out_all_are_served():
    nothing = np.empty(0, int)
    for service in both((0, 1, 1), (3, 4, 5)):
        assert service.share(nothing) == pytest.approx(1.0)
        assert service.unserved(nothing)[1:4] == pytest.approx(0.0, abs=1e-6)


def test_a_service_travels_to_a_worker_and_says_the_same_there():
    for service in both((0, 1, 1, 2), (3, 4, 5, 6)):
        there = pickle.loads(pickle.dumps(service))
        out = np.array([6])
        assert there.share(out) == service.share(out)


def test_a_network_that_delivers_nothing_loses_nothing():
    graph, _ = both((0,), (1,))
    assert GraphService(graph.graph, np.zeros(3)).share(np.array([2])) == 1.0


def test_a_drain_serves_downhill_alone():
    graph = topology("drainage", ["chamber", "pipe", "chamber", "pipe", "outfall"], np.array([-1, 0, -1, 2, -1]),
                     np.array([-1, 2, -1, 4, -1]))  # fmt: skip
    service = GraphService(graph, np.array([10.0, 0, 30.0, 0, 0]))
    assert service.share(np.array([1])) == pytest.approx(0.75)
    assert service.share(np.array([3])) == 0
    assert service.unserved(np.array([1])).tolist() == [1, 1, 0, 0, 0]


def test_a_model_of_other_names_is_refused():
    found = elements_of((0, 1), (1, 1))._replace(element=["x"] * 5)
    with pytest.raises(ConfigurationError, match="import the model first"):
        epanet_service(Model("tree.inp", text_of((0, 1), (1, 1)), 0), found)


def leaky(gap_m: float = 0.01) -> EpanetService:
    """The tree 0-1, 1-2, 1-3 in which every pipe leaks through so wide a gap when asked to."""
    above, demand = (0, 1, 1), (3, 4, 5)
    found = elements_of(above, demand)
    hole = np.where([kind == "pipe" for kind in found.kind], np.pi * 0.6 * gap_m, 0.0)
    return epanet_service(Model("tree.inp", text_of(above, demand), 0), found, hole)


def test_a_leak_is_shared_by_the_ends_of_its_pipe_and_never_put_at_a_source():
    service = leaky()
    from_source, between = service.leaks[4], service.leaks[5]
    assert [node for node, _ in from_source] == [name(1)]
    assert [node for node, _ in between] == [name(1), name(2)]
    assert sum(each for _, each in between) == pytest.approx(from_source[0][1])
    assert service.leaks[0] == ()


def test_leaks_take_water_more_the_wider_they_are_and_the_more_there_are():
    nothing = np.empty(0, int)
    shares = [leaky(gap).share(nothing, np.array([4])) for gap in (0.0, 0.05, 0.5)]
    assert shares[0] == pytest.approx(1.0)
    assert shares[0] > shares[1] > shares[2]
    service = leaky(0.2)
    one, two = service.share(nothing, np.array([5])), service.share(nothing, np.array([5, 6]))
    assert 1 > one > two > 0


def test_a_leak_in_a_pipe_that_serves_is_felt_and_the_graph_feels_none():
    graph, _ = both((0, 1, 1), (3, 4, 5))
    assert graph.share(np.array([6]), np.array([4])) == graph.share(np.array([6]))
    assert not graph.loses_water
    assert leaky().loses_water
