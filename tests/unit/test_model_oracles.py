"""The same models read by Lifeline and by the libraries that run them: wntr for EPANET, pyswmm for SWMM."""

from pathlib import Path

import pytest

from lifeline.exchange.epanet import read_epanet
from lifeline.exchange.models import Model
from lifeline.exchange.sections import read_sections
from lifeline.exchange.swmm import read_swmm
from lifeline.model import AssetKind

NETWORKS = ("Net1", "Net2", "Net3", "ky4")

SWMM = """[OPTIONS]
FLOW_UNITS           CMS
FLOW_ROUTING         KINWAVE
START_DATE           01/01/2026
END_DATE             01/02/2026
[JUNCTIONS]
M1  20.5  2.5  0 0 0
M2  20.0  2.6  0 0 0
[OUTFALLS]
O1  18.0  FREE  NO
[CONDUITS]
C1  M1  M2  120  0.013  0  0  0  0
C2  M2  O1  80   0.015  0  0  0  0
[XSECTIONS]
C1  CIRCULAR   0.6  0 0 0
C2  RECT_CLOSED 0.8  1.2 0 0
[COORDINATES]
M1  117.2000  31.8000
M2  117.2013  31.8000
O1  117.2021  31.8000
"""


def epanet(path: Path) -> Model:
    return read_epanet(read_sections(path.read_bytes(), str(path)), str(path), "water")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
def test_wntr_sees_the_same_nodes_pipes_lengths_diameters_and_places(name: str) -> None:
    wntr = pytest.importorskip("wntr")
    path = Path(wntr.__file__).parent / "library" / "networks" / f"{name}.inp"
    theirs, ours = wntr.network.WaterNetworkModel(str(path)), epanet(path)
    assert {node.name for node in ours.nodes} == set(theirs.node_name_list)
    assert {link.name for link in ours.links} == set(theirs.link_name_list)
    for link in ours.links:
        other = theirs.get_link(link.name)
        assert link.ends == (other.start_node_name, other.end_node_name)
        if link.kind is AssetKind.PIPE:
            assert link.values["length_m"] == pytest.approx(other.length, abs=1e-3)
            assert link.values["diameter_mm"] == pytest.approx(other.diameter * 1000, abs=0.01)
    for node in ours.nodes:
        assert ours.positions[node.name] == pytest.approx(theirs.get_node(node.name).coordinates)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
def test_wntr_sees_the_same_demands_and_elevations(name: str) -> None:
    wntr = pytest.importorskip("wntr")
    path = Path(wntr.__file__).parent / "library" / "networks" / f"{name}.inp"
    theirs, ours = wntr.network.WaterNetworkModel(str(path)), epanet(path)
    for node in ours.nodes:
        other = theirs.get_node(node.name)
        if node.kind is AssetKind.JUNCTION:
            demand = sum(each.base_value for each in other.demand_timeseries_list)
            assert node.values["demand_lps"] == pytest.approx(demand * 1000, abs=1e-4)
            assert node.values["elevation_m"] == pytest.approx(other.elevation, abs=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_swmm_itself_sees_the_same_nodes_and_conduits(tmp_path: Path) -> None:
    pyswmm = pytest.importorskip("pyswmm")
    path = tmp_path / "town.inp"
    path.write_text(SWMM)
    ours = read_swmm(read_sections(path.read_bytes(), str(path)), str(path), "drainage")
    assert ours.problems == []
    with pyswmm.Simulation(str(path)) as simulation:
        nodes, links = list(pyswmm.Nodes(simulation)), list(pyswmm.Links(simulation))
        assert {each.nodeid: each.invert_elevation for each in nodes} == {
            node.name: node.values["elevation_m"] for node in ours.nodes
        }
        assert {each.linkid: tuple(each.connections) for each in links} == {link.name: link.ends for link in ours.links}


def test_ten_planted_mistakes_in_a_swmm_file_are_listed_with_their_lines() -> None:
    text = """[JUNCTIONS]
M1 deep 2
M2
[OUTFALLS]
O1 18 FREE
[STORAGE]
S1 17 -4
[CONDUITS]
C1 M1 O1 long 0.013 0 0
C2 M1 O1 10 rough 0 0
C3 M1 O1
[PUMPS]
PU1 M1
[XSECTIONS]
C1 CIRCULAR wide 0 0 0
[SUBCATCHMENTS]
A1 RG
[COORDINATES]
M1 0 nowhere
O1 east 0
"""
    ours = read_swmm(read_sections(text.encode(), "t"), "t", "drainage")
    lines = [problem.line for problem in ours.problems]
    assert sorted(lines) == [2, 3, 7, 9, 10, 11, 13, 15, 17, 19, 20]
    assert all(problem.message for problem in ours.problems)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[JUNCTIONS]\nJ1 ten", "elevation of 'J1' must be a number, not 'ten'"),
        ("[PIPES]\nP1 J1 J2 -5 100 100", "length of 'P1' must be a number of 0 or more, not '-5'"),
        ("[PIPES]\nP1 J1 J2 5 nan 100", "diameter of 'P1' must be a number of 0 or more, not 'nan'"),
        ("[VALVES]\nV1 J1", "valve 'V1' has 2 fields, and needs 5 at least"),
        ("[COORDINATES]\nJ1 1e999 5", "X of 'J1' must be a number, not '1e999'"),
    ],
)
def test_a_message_names_the_element_the_field_and_what_was_found(text: str, words: str) -> None:
    model = read_epanet(read_sections(text.encode(), "t"), "t", "water")
    assert [(problem.line, problem.message) for problem in model.problems] == [(2, words)]
