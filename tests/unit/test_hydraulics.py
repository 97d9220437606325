"""EPANET kept open: the answers are those of wntr, do not depend on the order, and closing never delivers more."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

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
    assert 0 < leaking["A"] < 10  # what leaks away there is nobody's, the rest still is
    assert leaking["C"] < 30


ONE_PIPE = """[JUNCTIONS]
A 0 10
[RESERVOIRS]
R 15
[PIPES]
1 R A 500 150 100 0 OPEN
[OPTIONS]
UNITS LPS
HEADLOSS H-W
[END]
"""


def by_hand(coefficient: float) -> float:
    """Litres a second delivered at A of ONE_PIPE: Hazen-Williams, Wagner and the emitter, by bisection."""
    low, high = 0.0, 15.0
    for _ in range(100):
        p = (low + high) / 2
        flow = 10 * (p / 20) ** 0.5 + coefficient * p**0.5
        loss = 10.667 * 500 * (flow / 1000 / 100) ** 1.852 / 0.15**4.871
        low, high = (p, high) if 15 - p > loss else (low, p)
    return 10 * (low / 20) ** 0.5


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 2.0, 8.0])
def test_what_is_delivered_beside_a_leak_is_what_the_orifice_law_leaves(coefficient):
    found = opened(Model("one.inp", ONE_PIPE, 0)).delivered(leaks={"A": coefficient})
    assert found[0] == pytest.approx(by_hand(coefficient), rel=5e-3)


@pytest.mark.parametrize(
    ("units", "per_m3s", "metres"),
    [("LPS", 1e3, 1.0), ("CMH", 3600.0, 1.0), ("MLD", 86.4, 1.0), ("GPM", 15850.3, 0.70325), ("CFS", 35.31, 0.70325)],
)
@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_the_emitter_of_a_hole_lets_out_what_torricelli_says_in_any_units(units, per_m3s, metres, exponent):
    text = ONE_PIPE.replace("UNITS LPS", f"UNITS {units}\nEMITTER EXPONENT {exponent}")
    coefficient = opened(Model("one.inp", text, 0)).orifice(0.001)
    due = 0.75 * 0.001 * (2 * 9.81 * 30) ** 0.5
    assert coefficient * (30 / metres) ** exponent / per_m3s == pytest.approx(due, rel=1e-3)


def test_an_emitter_that_the_model_has_stays_and_counts_as_before():
    own = Model("own.inp", BRANCH.replace("[OPTIONS]", "[EMITTERS]\nB 1.0\n[OPTIONS]"), 0)
    before = opened(own).delivered()
    leaking = opened(own).delivered(leaks={"B": 2.0})
    assert before[1] > 20 > leaking[1] - before[1]
    assert leaking[1] == pytest.approx(before[1], rel=0.05)  # the pressure falls a little, and with it the emitter
    np.testing.assert_array_equal(opened(own).delivered(), before)


def test_of_leaks_that_are_taken_away_again_rounding_leaves_none(branch):
    before = branch.delivered()
    assert ((0.3 + 0.6) - 0.3) - 0.6 < 0, "which EPANET would refuse as an emitter"
    for coefficient in (0.3, 0.6, -0.3, -0.6):
        branch._leak("A", coefficient)
    np.testing.assert_array_equal(branch.delivered(), before)


def test_a_leak_at_a_node_that_the_model_lacks_is_told(branch):
    with pytest.raises(HydraulicError, match="no node 'Z'"):
        branch.delivered(leaks={"A": 1.0, "Z": 1.0})
    assert by_name(branch, branch.delivered())["A"] == pytest.approx(10, abs=1e-3)


def test_the_delivered_demand_is_that_of_wntr(tmp_path):
    import wntr  # takes four seconds, which every worker would spend to collect its tests

    model = read_model(shipped("Net3"), 6)
    engine = opened(model)
    network = wntr.network.WaterNetworkModel(str(shipped("Net3")))
    hydraulic = network.options.hydraulic
    hydraulic.demand_model, hydraulic.required_pressure, hydraulic.minimum_pressure = "PDA", 28 / 1.4219702, 0
    network.options.time.duration = 6 * 3600
    simulated = (
        wntr.sim.EpanetSimulator(network)
        .run_sim(file_prefix=str(tmp_path / "net3"))
        .node["demand"][network.junction_name_list]
    )
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


def test_a_valve_that_was_closed_has_its_setting_again_and_a_pump_its_speed():
    """A status takes the setting of a valve with it: a pressure-reducing valve came back fully open."""
    text = BRANCH.replace("[OPTIONS]", "[VALVES]\n4 A D 200 PRV 12 0\n[PUMPS]\n5 A E POWER 2 SPEED 0.8\n[OPTIONS]")
    engine = Epanet(Model("valve.inp", text.replace("C 0 30", "C 0 30\nD 0 40\nE 0 5"), 0))
    before = engine.delivered()
    for link in engine.links:
        engine.delivered([link])
    np.testing.assert_array_equal(engine.delivered(), before)
    assert by_name(engine, before)["D"] == pytest.approx(40 * (12 / 20) ** 0.5, rel=1e-3)
