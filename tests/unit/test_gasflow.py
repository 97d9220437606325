"""Gas by pressure: as pandapipes says where there is enough, less where there is not, nothing behind a break."""

import pickle

import numpy as np
import pytest

from lifeline.planning import gasflow
from lifeline.planning.gasflow import GasService, gas_model
from lifeline.planning.recovery import recover
from lifeline.planning.service import GraphService
from lifeline.planning.stress import tables
from lifeline.risk.reach import topology

NOTHING = np.empty(0, int)
LENGTH_M = 2000.0


def ring(peak_m3h: float = 50.0, supply_bar: tuple[float, ...] = (3.0,), bore_mm: float = 100.0) -> GasService:
    """A regulator 0 and four junctions 1-4 in a ring of five pipes (5: 0-1, 6: 1-2, 7: 2-3, 8: 3-4, 9: 4-0)."""
    n = 10
    supply, peak, customers = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n)
    supply[: len(supply_bar)] = supply_bar
    peak[1:5], customers[1:5] = peak_m3h, 100
    ends = (np.array([-1] * 5 + [0, 1, 2, 3, 4]), np.array([-1] * 5 + [1, 2, 3, 4, 0]))
    length, bore = np.where(ends[0] >= 0, LENGTH_M, np.nan), np.where(ends[0] >= 0, bore_mm, np.nan)
    model = gas_model(np.arange(len(supply_bar)), supply, peak, customers, ends, length, bore, tables()["gas"])
    assert model is not None
    return GasService(model)


def as_graph() -> GraphService:
    kinds = ["regulator", *["junction"] * 4, *["pipe"] * 5]
    graph = topology("gas", kinds, np.array([-1] * 5 + [0, 1, 2, 3, 4]), np.array([-1] * 5 + [1, 2, 3, 4, 0]))
    return GraphService(graph, np.array([0.0, 1, 1, 1, 1, 0, 0, 0, 0, 0]))


def test_with_pressure_to_spare_it_is_as_the_graph_says():
    service, graph = ring(), as_graph()
    for out in ([], [5, 7], [6, 8], [2], [0]):
        assert service.share(np.array(out, int)) == pytest.approx(graph.share(np.array(out, int))), out
        np.testing.assert_allclose(service.unserved(np.array(out, int))[1:5], graph.unserved(np.array(out, int))[1:5])


def test_with_little_to_spare_the_long_way_round_serves_less_and_the_graph_does_not_know():
    service = ring(peak_m3h=400.0)
    out = np.array([5])
    assert service.share(NOTHING) == pytest.approx(1.0)
    assert as_graph().share(out) == 1.0
    assert 0.3 < service.share(out) < 0.97
    unserved = service.unserved(out)[1:5]
    assert unserved[0] >= unserved[3]  # the farthest from the supply goes short first
    assert unserved[0] > 0.05


def test_what_is_drawn_agrees_with_the_pressure_that_it_leaves():
    service = ring(peak_m3h=400.0)
    model = service.model
    drawn = gasflow._delivered(model, (5,))
    net, pandapipes = gasflow._opened(model)
    net.pipe["in_service"] = [False, True, True, True, True]
    pressure = gasflow._pressure(net, pandapipes, drawn)
    assert pressure is not None
    way = (pressure[1:5] / 3.0 - model.least_share) / (model.full_share - model.least_share)
    np.testing.assert_allclose(drawn[1:5] / 400.0, np.sqrt(np.clip(way, 0, 1)), atol=0.03)


def test_more_out_never_serves_more():
    service = ring(peak_m3h=300.0)
    before = 1.0
    for out in ([5], [5, 7], [5, 7, 8], [5, 7, 8, 9]):
        share = service.share(np.array(out))
        assert share <= before + 0.01
        before = share
    assert before == 0.0


def test_a_second_supply_carries_the_town_when_the_first_is_lost():
    one, two = ring(supply_bar=(3.0,)), ring(supply_bar=(3.0, 3.0))
    assert one.share(np.array([0])) == 0.0
    assert two.share(np.array([0])) == pytest.approx(1.0, abs=0.01)


def test_a_customer_without_a_figure_draws_what_the_table_says():
    ends = (np.array([-1, -1, 0]), np.array([-1, -1, 1]))
    nan = np.full(3, np.nan)
    supply, customers = np.array([1.0, np.nan, np.nan]), np.array([0.0, 10.0, 99.0])
    model = gas_model(np.array([0]), supply, nan, customers, ends, np.array([np.nan, np.nan, 50.0]),
                      np.array([np.nan, np.nan, 80.0]), tables()["gas"])  # fmt: skip
    assert model is not None
    assert model.peak_m3h == (0.0, 10.0 * tables()["gas"]["peak_m3h"], 0.0)


@pytest.mark.parametrize("missing", ["pressure", "diameter", "demand", "pipe"])
def test_without_what_it_needs_there_is_no_model(missing):
    ends = (np.array([-1, -1, 0]), np.array([-1, -1, 1 if missing != "pipe" else -1]))
    supply = np.array([np.nan if missing == "pressure" else 1.0, np.nan, np.nan])
    bore = np.array([np.nan, np.nan, np.nan if missing == "diameter" else 80.0])
    customers = np.array([0.0, 0.0 if missing == "demand" else 5.0, 0.0])
    made = gas_model(
        np.array([0]), supply, np.full(3, np.nan), customers, ends, np.full(3, 50.0), bore, tables()["gas"]
    )
    assert made is None


def test_it_travels_to_a_worker_and_is_mended_there():
    service = pickle.loads(pickle.dumps(ring(peak_m3h=400.0)))
    hours = np.full(10, 6.0)
    found = recover(service, np.array([5, 9]), NOTHING, hours, np.ones(10), 1)
    assert found.share == 0.0
    assert 0.3 < found.resilience < 0.6
    assert found.hours == found.mended == 12.0
