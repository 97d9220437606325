"""EPANET kept open: the answers are those of wntr, do not depend on the order, and closing never delivers more."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import wntr

from lifeline.errors import ConfigurationError
from lifeline.planning.hydraulics import Epanet, HydraulicError, Model, opened, pressure_driven, read_model

BRANCH = """[JUNCTIONS]
A 0 10
B 0 20
C 0 30
[RESERVOIRS]
R 50
[PIPES]
1 R A 100 300 100 0 OPEN
2 A B 100 200 100 0 OPEN
3 A C 100 200 100 0 CV
[OPTIONS]
UNITS LPS
HEADLOSS H-W
[END]
"""


def shipped(name: str) -> Path:
    return Path(str(resources.files("wntr.library.networks").joinpath(f"{name}.inp")))


@pytest.fixture(scope="module")
def branch() -> Epanet:
    return opened(Model("branch.inp", BRANCH, 0))


def by_name(engine: Epanet, values: np.ndarray) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(engine.nodes, values, strict=True)}


def test_everything_is_delivered_where_nothing_is_closed(branch):
    assert by_name(branch, branch.delivered()) == pytest.approx({"A": 10, "B": 20, "C": 30, "R": 0}, abs=1e-3)


@pytest.mark.parametrize(("closed", "left"), [("1", {}), ("2", {"A": 10, "C": 30}), ("3", {"A": 10, "B": 20})])
def test_what_lies_behind_a_closed_link_gets_next_to_nothing(branch, closed, left):
    found = by_name(branch, branch.delivered([closed]))
    for node in ("A", "B", "C"):
        assert found[node] == pytest.approx(left.get(node, 0.0), abs=0.05), (closed, node)


def test_what_was_closed_is_open_again_afterwards(branch):
    before = branch.delivered()
    for link in branch.links:
        branch.delivered([link])
    branch.delivered(["1", "2", "3"], {"A": 5.0})
    np.testing.assert_array_equal(branch.delivered(), before)


def test_a_leak_takes_from_what_lies_behind_it(branch):
    leaking = by_name(branch, branch.delivered(leaks={"A": 500.0}))
    assert leaking["A"] == 0
    assert leaking["C"] < 30


def test_the_delivered_demand_is_that_of_wntr():
    model = read_model(shipped("Net3"), 6)
    engine = opened(model)
    network = wntr.network.WaterNetworkModel(str(shipped("Net3")))
    hydraulic = network.options.hydraulic
    hydraulic.demand_model, hydraulic.required_pressure, hydraulic.minimum_pressure = "PDA", 28 / 1.4219702, 0
    network.options.time.duration = 6 * 3600
    simulated = wntr.sim.EpanetSimulator(network).run_sim().node["demand"][network.junction_name_list]
    wanted = simulated.clip(lower=0).loc[simulated.index % 3600 == 0].mean().sum() * 15850.323
    assert engine.delivered().sum() == pytest.approx(wanted, rel=1e-3)


def test_the_answer_does_not_depend_on_what_was_asked_before():
    first, second = opened(read_model(shipped("Net3"), 3)), Epanet(read_model(shipped("Net3"), 3))
    links = first.links[:12]
    forward = [first.delivered([link]) for link in links]
    backward = [second.delivered([link]) for link in reversed(links)][::-1]
    np.testing.assert_array_equal(np.array(forward), np.array(backward))


def test_a_process_opens_a_model_once():
    model = Model("branch.inp", BRANCH, 0)
    assert opened(model) is opened(Model("branch.inp", BRANCH, 0))
    assert opened(model) is not opened(model._replace(hours=1))


def test_a_model_that_says_how_pressure_counts_is_left_alone():
    own = BRANCH.replace("HEADLOSS H-W", "HEADLOSS H-W\nDEMAND MODEL PDA\nREQUIRED PRESSURE 15")
    assert pressure_driven(own) == own
    assert "REQUIRED PRESSURE 20" in pressure_driven(BRANCH)
    assert "REQUIRED PRESSURE 28" in pressure_driven(BRANCH.replace("LPS", "gpm"))
    assert pressure_driven("[JUNCTIONS]\n").endswith("[END]\n")


def test_a_link_that_the_model_lacks_and_a_file_that_is_none_are_told(tmp_path, branch):
    with pytest.raises(HydraulicError, match="no link '99'"):
        branch.delivered(["99"])
    with pytest.raises(HydraulicError, match=r"EPANET refuses bad.inp"):
        Epanet(Model("bad.inp", "[JUNCTIONS]\nA 0 10\n[PIPES]\n1 A B 1 1 1\n", 0))
    with pytest.raises(ConfigurationError, match="No such file"):
        read_model(tmp_path / "none.inp")
