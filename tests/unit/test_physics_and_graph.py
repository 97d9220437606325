"""In a tree of pipes the graph and the hydraulics must agree: what a closed pipe cuts off is what is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.planning.criticality import Closing
from lifeline.planning.hydraulics import Epanet, Model, opened
from lifeline.risk.reach import cut_off, topology

trees = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        st.tuples(*(st.integers(0, at) for at in range(n - 1))), st.tuples(*(st.integers(1, 9) for _ in range(n - 1)))
    )
)


def text_of(above: tuple[int, ...], demand: tuple[int, ...]) -> str:
    """Node 0 is the reservoir; node k + 1 hangs on node above[k]; wide, short pipes lose no pressure."""
    nodes = "".join(f"J{at + 1} 0 {litres}\n" for at, litres in enumerate(demand))
    pipes = "".join(f"P{at + 1} {name(up)} J{at + 1} 50 600 130 0 OPEN\n" for at, up in enumerate(above))
    return f"[JUNCTIONS]\n{nodes}[RESERVOIRS]\nR 60\n[PIPES]\n{pipes}[OPTIONS]\nUNITS LPS\nHEADLOSS H-W\n[END]\n"


def name(node: int) -> str:
    return "R" if node == 0 else f"J{node}"


def by_graph(above: tuple[int, ...], demand: tuple[int, ...]) -> np.ndarray:
    """Share of the demand that each pipe cuts off, by the graph."""
    n = len(above)
    kinds = ["tank", *["junction"] * n, *["pipe"] * n]
    none = np.full(n + 1, -1)
    graph = topology("water", kinds, np.concatenate([none, np.array(above)]),
                     np.concatenate([none, np.arange(1, n + 1)]))  # fmt: skip
    weights = np.array([0.0, *demand, *[0.0] * n])[:, None]
    return cut_off(graph, weights).lost[n + 1 :, 0] / sum(demand)


@settings(max_examples=40, deadline=None)
@given(trees)
def test_the_loss_by_pressure_is_the_loss_by_reach(tree):
    above, demand = tree
    model = Model("tree.inp", text_of(above, demand), 0)
    closing = Closing(model, (), ())
    losses = [closing(f"P{at + 1}").share for at in range(len(above))]
    np.testing.assert_allclose(losses, by_graph(above, demand), atol=2e-3)


@settings(max_examples=20, deadline=None)
@given(trees, st.data())
def test_closing_more_never_delivers_more(tree, data):
    above, demand = tree
    engine = Epanet(Model("tree.inp", text_of(above, demand), 0))
    closed = data.draw(st.lists(st.sampled_from(engine.links), unique=True, max_size=4))
    another = data.draw(st.sampled_from(engine.links))
    assert engine.delivered([*closed, another]).sum() <= engine.delivered(closed).sum() + 1e-2


def test_customers_and_critical_facilities_behind_the_pipe_are_counted():
    model = Model("tree.inp", text_of((0, 1, 1), (5, 5, 5)), 0)
    closing = Closing(model, (("J1", 10), ("J2", 20), ("J3", 40)), ("J3",))
    found = [closing(f"P{at}") for at in (1, 2, 3)]
    assert [round(each.customers) for each in found] == [70, 20, 40]
    assert [each.critical for each in found] == [1, 0, 1]


def test_hours_are_the_mean_of_each_hour_and_an_empty_tank_shows():
    """A tank of 30 m3 behind a closed main serves a junction for some hours and no longer."""
    text = (
        "[JUNCTIONS]\nA 0 5\n[RESERVOIRS]\nR 50\n[TANKS]\nT 30 2 0 4 4 0\n[PIPES]\n1 R A 100 300 130 0 OPEN\n"
        "2 T A 100 300 130 0 OPEN\n[OPTIONS]\nUNITS LPS\nHEADLOSS H-W\n[TIMES]\nDURATION 24:00\n[END]\n"
    )
    moment = Closing(Model("tank.inp", text, 0), (), ())("1").share
    day = Closing(Model("tank.inp", text, 24), (), ())("1").share
    assert moment == pytest.approx(0.0, abs=0.01)
    assert day > 0.5


def test_an_engine_is_let_in_by_one_thread_at_a_time():
    from concurrent.futures import ThreadPoolExecutor

    engine = opened(Model("tree.inp", text_of((0, 1, 1, 2), (1, 2, 3, 4)), 0))
    alone = [engine.delivered([link]) for link in engine.links]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda link: engine.delivered([link]), engine.links * 10))
    for at, found in enumerate(together):
        np.testing.assert_array_equal(found, alone[at % len(alone)])
