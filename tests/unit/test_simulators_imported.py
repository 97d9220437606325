"""A town from an operator's own model: what is taken over, what is laid along it, and that its physics holds."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lifeline.catalogue import shipped_catalogue
from lifeline.cli.demo import Demo
from lifeline.errors import ConfigurationError
from lifeline.inventory import parse_assets, parse_sensors
from simulators import streets
from simulators.director import Director
from simulators.engine import Floats
from simulators.imported import PRESSURE_M, town_from
from simulators.inventory import write_inventory
from simulators.planning import make_town
from simulators.scenario import load_scenario, shipped
from simulators.town import Town
from simulators.world import World

START = 1_795_000_500.0
SIDE, BLOCK_M, UNIT_M = 9, 130.0, 0.5
"""A grid of streets; the file's coordinates are in half metres."""
L_TOWN = Path(__file__).parents[3] / "shared" / "data" / "ltown" / "L-TOWN.inp"


def model(side: int = SIDE, block_m: float = BLOCK_M, extra: str = "") -> str:
    """A grid of side x side junctions in LPS, falling to the east, with a reservoir and a valve that are left out."""
    names = [(c, r) for c in range(side) for r in range(side)]
    lines = ["[JUNCTIONS]", *(f"J{c}-{r} {20 + 0.4 * (side - c):.2f} {0.2 + 0.01 * r}" for c, r in names)]
    lines += ["[RESERVOIRS]", "R1 80", "[PIPES]"]
    ends = [((c, r), (c + 1, r)) for c, r in names if c + 1 < side] + [
        ((c, r), (c, r + 1)) for c, r in names if r + 1 < side
    ]
    for n, ((c, r), (u, v)) in enumerate(ends):
        lines.append(f"P{n} J{c}-{r} J{u}-{v} {block_m} {250 if r == 4 or c == 4 else 150} {90 + n % 50} 0 Open")
    lines += ["PR R1 J0-0 50 300 120 0 Open", "[VALVES]", "V1 J0-0 J0-1 150 PRV 30 0", extra, "[OPTIONS]", "UNITS LPS"]
    lines += ["[COORDINATES]", *(f"J{c}-{r} {c * block_m / UNIT_M} {r * block_m / UNIT_M}" for c, r in names), "[END]"]
    return "\n".join(lines) + "\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "net.inp"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return town_from(written(tmp_path_factory.mktemp("model"), model()), 1)


# ------------------------------------------------------------------------------------------------------ what is taken


def test_every_pipe_and_junction_of_the_model_is_there_as_it_was(town: Town) -> None:
    pipes = {p.attributes["element"]: p for p in town.water.pipes.values() if "element" in p.attributes}
    assert len(pipes) == 2 * SIDE * (SIDE - 1)
    for name, pipe in pipes.items():
        number = int(name[1:])
        assert pipe.length_m == BLOCK_M
        assert pipe.attributes["hazen_williams_c"] == 90 + number % 50
        assert math.dist(pipe.path[0], pipe.path[-1]) == pytest.approx(BLOCK_M, abs=0.3)  # metres out of half metres
    nodes = {n.attributes["element"]: n for n in town.water.nodes.values() if "element" in n.attributes}
    assert len(nodes) == SIDE * SIDE
    assert nodes["J2-3"].ground_m == pytest.approx(20 + 0.4 * (SIDE - 2))
    assert nodes["J2-3"].attributes["base_demand_m3h"] == pytest.approx(3.6 * 0.23)
    demand = sum(n.attributes.get("base_demand_m3h", 0) for n in town.water.nodes.values())
    assert demand == pytest.approx(3.6 * sum(0.2 + 0.01 * r for r in range(SIDE)) * SIDE, rel=1e-3)


def test_three_networks_lie_in_the_same_streets_and_are_watched(town: Town) -> None:
    crossings = town.streets.crossings
    for network in town.networks:
        here = [node for node in network.nodes.values() if node.crossing >= 0]
        assert len(here) == len(crossings)
        assert all(math.dist(node.at, crossings[node.crossing]) < 15 for node in here)
    assert {i.network for i in town.instruments} == {"gas", "water", "drainage"}
    assert len({i.key for i in town.instruments}) == len(town.instruments) >= 70


def test_the_importer_takes_such_a_town_and_the_same_file_gives_the_same_bytes(town: Town, tmp_path: Path) -> None:
    files = write_inventory(town, tmp_path / "a")
    again = write_inventory(town_from(written(tmp_path, model()), 1), tmp_path / "b")
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]
    catalogue = shipped_catalogue()
    assets = parse_assets(files[0].read_bytes(), catalogue, "assets.geojson")
    assert len(assets) == sum(len(network.nodes) + len(network.pipes) for network in town.networks)
    assert len(parse_sensors(files[1].read_bytes(), catalogue, "sensors.csv")) == len(town.instruments)


@pytest.mark.parametrize("name", [name for name in shipped() if name not in ("valve-closed", "contamination")])
def test_shipped_scenarios_find_their_places_in_it(town: Town, name: str) -> None:
    Director(town, load_scenario(name), START, lambda _record: None)


def test_numbers_of_pipes_never_meet_those_of_the_mains() -> None:
    numbers = [streets.stretch_number(n) for n in range(3000)]
    assert numbers[:901] == [f"{n:03d}" for n in range(900)] + ["1900"]
    assert len(set(numbers)) == 3000
    assert not {"901", "902"} & set(numbers)


# -------------------------------------------------------------------------------------------------------- its physics


@pytest.fixture(scope="module")
def world(town: Town) -> Iterator[World]:
    world = World(town, START)
    world.at(START)
    yield world
    world.close()


def test_all_have_pressure_and_water_is_neither_made_nor_lost(town: Town, world: World) -> None:
    places = [n.id for n in town.water.nodes.values() if n.crossing >= 0]
    flow = next(n for n, i in enumerate(town.instruments) if i.asset == "W-P-901" and i.quantity == "flow")
    level = next(n for n, i in enumerate(town.instruments) if i.asset == "W-T-1" and i.quantity == "level")
    users = [n.id for n in town.water.nodes.values() if "base_demand_m3h" in n.attributes]
    area = math.pi * town.water.nodes["W-T-1"].attributes["bore_m"] ** 2 / 4
    rows: list[Floats] = []
    used = []
    for step in range(13):
        rows.append(world.at(START + 300 * step))
        used.append(sum(world.water.demand(name) for name in users))
        assert 15 < min(world.water.head(name) for name in places) < 2 * PRESSURE_M + 20
    inflow, levels = np.array([row[flow] for row in rows]), np.array([row[level] for row in rows])
    supplied, consumed = np.trapezoid(inflow) / 12, np.trapezoid(used) / 12
    assert supplied == pytest.approx(consumed + area * (levels[-1] - levels[0]), rel=0.01)


def test_gas_and_sewers_of_it_work(town: Town, world: World) -> None:
    supplied = world.gas.value("G-P-901", "gas_flow")
    assert supplied == pytest.approx(sum(world.gas.value(name, "gas_flow") for name in town.gas.nodes), rel=0.01)
    assert all(2.5 < world.gas.value(name, "gas_pressure") <= 3.6 for name in town.gas.nodes)
    out = sum(world.drainage.value(name, "flow") for name in ("D-P-901", "D-P-902"))
    assert out > 0.2 * sum(n.attributes.get("sewage_m3h", 0) for n in town.drainage.nodes.values())


# ----------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (model(4), "16 junctions with coordinates hang together by pipes; a town takes 40 to 5000"),
        (model(block_m=40), "320 m by 320 m is too small for a town"),
        (model().partition("[COORDINATES]")[0], "0 junctions with coordinates"),
        (model(extra="[PIPES]\nPX J0-0 J1-1 long 150 100 0 Open"), r"1 mistake\(s\): line \d+: length of 'PX'"),
        ("no section at all\n", "it is no EPANET or SWMM input file"),
    ],
)
def test_a_model_that_makes_no_town_is_told_why(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        town_from(written(tmp_path, text), 1)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.inp"):
        town_from(tmp_path / "none.inp", 1)


# ------------------------------------------------------------------------------------------------------ a real network


def test_l_town_is_a_town_of_four_hundred_sensors() -> None:
    if not L_TOWN.exists():
        pytest.skip("../shared/data/ltown is not there")
    town = town_from(L_TOWN, 1)
    assert len(town.streets.crossings) > 600
    assert len(town.instruments) > 400
    ids = [name for network in town.networks for name in (*network.nodes, *network.pipes)]
    assert len(set(ids)) == len(ids)
    Director(town, load_scenario("demo"), START, lambda _record: None)


def test_a_larger_scale_watches_more_and_one_is_the_small_town() -> None:
    own = make_town(1)
    assert len(own.instruments) == len(town_of_scale(own, 1))
    assert len(own.instruments) < len(town_of_scale(own, 3)) <= 3 * len(own.instruments)


def town_of_scale(own: Town, scale: int) -> tuple[object, ...]:
    from simulators.instruments import place_instruments

    return place_instruments(own.streets, own.gas, own.water, own.drainage, scale)


def test_the_demo_hands_the_file_on_by_its_whole_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = Demo(None, 1, False, "", Path("net.inp"))  # type: ignore[arg-type]
    assert own._size() == ["--town", str((tmp_path / "net.inp").resolve())]
    assert Demo(None, 1, False)._size() == []  # type: ignore[arg-type]
