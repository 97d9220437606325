"""The gas network: a city gate in the south-west, mains at 0.4 MPa, district regulators, valve chambers."""

import math

import numpy as np

from lifeline.model import AssetKind
from simulators.stock import GAS_DIAMETERS, at_least, carried, gas_material, thinned, year_laid
from simulators.streets import Point, Streets, length_of, shortest_tree, stretch_number
from simulators.town import Network, Node, Pipe

OFFSET: Point = (-7.5, -4.2)
GATE = "G-R-0"
GATE_BAR = 3.6
"""Gauge pressure behind the city gate."""
PEAK_M3H = 0.32
"""Normal cubic metres an hour of one household at the winter peak."""
CHAMBERS, REGULATORS = 18, 9


def lay_gas(streets: Streets, customers: list[int], facility: dict[int, str], rng: np.random.Generator) -> Network:
    """Junctions ``G-J-nnn``, valve chambers ``G-C-nnn``, regulators ``G-R-nnn``, pipes ``G-P-nnn``, gate ``G-R-0``."""
    used = thinned(streets, 0.26, rng)
    links = [(streets.stretches[i].a, streets.stretches[i].b, i) for i in used]
    first = streets.nearest((-850, -650))
    tree = shortest_tree(links, [first], lambda link, *_: _cost(streets, link))
    role = _roles(streets, tree, first)
    nodes = {}
    for c in range(len(customers)):
        node = _node(streets, c, role.get(c, AssetKind.JUNCTION), customers[c], facility, rng)
        nodes[c] = node
    through = carried(tree, {c: float(n) for c, n in enumerate(customers)})
    vital = {tree[c][1] for c in facility if c in tree}
    pipes: dict[str, Pipe] = {}
    for number, index in enumerate(used):
        stretch = streets.stretches[index]
        served = int(through.get(index, 0) or (customers[stretch.a] + customers[stretch.b]) // 8)
        ends = nodes[stretch.a].id, nodes[stretch.b].id
        pipe = _pipe(f"G-P-{stretch_number(number)}", streets, index, ends, served, index in vital, rng)
        pipes[pipe.id] = pipe
    gate, main = _gate(streets, nodes[first], sum(customers))
    return Network("gas", {gate.id: gate, **{n.id: n for n in nodes.values()}}, {**pipes, main.id: main})


def _cost(streets: Streets, link: int) -> float:
    stretch = streets.stretches[link]
    return stretch.length_m * (0.6 if stretch.arterial else 1.0)


def _shift(point: Point) -> Point:
    return (round(point[0] + OFFSET[0], 1), round(point[1] + OFFSET[1], 1))


def _roles(streets: Streets, tree: dict[int, tuple[int, int]], first: int) -> dict[int, AssetKind]:
    """Chambers where mains meet and regulators near the ends, each kind far from its own."""
    ends = set(range(len(streets.crossings))) - {towards for towards, _ in tree.values()}
    middle = [c for c in range(len(streets.crossings)) if c not in ends and c != first]
    role = dict.fromkeys(spread(streets.crossings, sorted(ends), REGULATORS), AssetKind.REGULATOR)
    role |= dict.fromkeys(spread(streets.crossings, middle, CHAMBERS), AssetKind.CHAMBER)
    return role


def spread(points: tuple[Point, ...], among: list[int], count: int) -> list[int]:
    """``count`` of the points ``among``, each as far as can be from those before it; the first is the most central."""
    chosen = [min(among, key=lambda c: math.hypot(*points[c]))]
    while len(chosen) < min(count, len(among)):
        chosen.append(max(among, key=lambda c: min(math.dist(points[c], points[other]) for other in chosen)))
    return chosen


LETTER = {AssetKind.JUNCTION: "J", AssetKind.CHAMBER: "C", AssetKind.REGULATOR: "R"}
TITLE = {
    AssetKind.JUNCTION: "{}",
    AssetKind.CHAMBER: "{} 阀井 valve chamber",
    AssetKind.REGULATOR: "{} 调压站 regulator",
}


def _node(
    streets: Streets,
    crossing: int,
    kind: AssetKind,
    customers: int,
    facility: dict[int, str],
    rng: np.random.Generator,
) -> Node:
    at = _shift(streets.crossings[crossing])
    attributes: dict[str, object] = {"peak_demand_m3h": round(customers * PEAK_M3H, 2)}
    if kind is AssetKind.CHAMBER:
        attributes |= chamber_size(rng)
    return Node(
        id=f"G-{LETTER[kind]}-{crossing:03d}",
        network="gas",
        kind=kind,
        name=TITLE[kind].format(facility.get(crossing) or streets.crossing_name(crossing)),
        at=at,
        ground_m=streets.ground_m[crossing],
        crossing=crossing,
        depth_m=round(float(rng.uniform(1.6, 2.4)), 2) if kind is AssetKind.CHAMBER else 1.2,
        install_year=year_laid(at, rng),
        customers=customers,
        critical=crossing in facility,
        attributes=attributes,
    )


def chamber_size(rng: np.random.Generator) -> dict[str, object]:
    """Volume of a chamber and how much air passes through its cover in calm weather."""
    return {
        "volume_m3": round(float(rng.uniform(3.0, 7.0)), 2),
        "ventilation_m3h": round(float(rng.uniform(8.0, 22.0)), 2),
    }


def _pipe(
    name: str,
    streets: Streets,
    index: int,
    ends: tuple[str, str],
    served: int,
    vital: bool,
    rng: np.random.Generator,
) -> Pipe:
    stretch = streets.stretches[index]
    path = tuple(_shift(point) for point in stretch.path)
    normal_m3s = served * PEAK_M3H / 3600
    actual_m3s = normal_m3s * 1.013 / (1.013 + GATE_BAR)
    needed = 1000 * math.sqrt(4 * actual_m3s / (math.pi * 14.0))  # 14 m/s at the peak
    diameter = at_least(max(needed, 110 if stretch.arterial else 63), GAS_DIAMETERS)
    year = year_laid(path[1], rng)
    return Pipe(
        id=name,
        network="gas",
        name=stretch.name,
        a=ends[0],
        b=ends[1],
        path=path,
        length_m=stretch.length_m,
        diameter_mm=diameter,
        material=gas_material(year, diameter),
        install_year=year,
        depth_m=round(0.9 + float(rng.uniform(0, 0.5)), 2),
        customers=served,
        critical=vital,
    )


def _gate(streets: Streets, first: Node, customers: int) -> tuple[Node, Pipe]:
    at = (first.at[0] - 140, first.at[1] - 60)
    ground = streets.ground_m[first.crossing]
    gate = Node(
        GATE, "gas", AssetKind.REGULATOR, "城西门站 West city gate", at, ground, -1, 0.0, 1998,
        customers=customers, critical=True, attributes={"pressure_bar": GATE_BAR, "peak_demand_m3h": 0.0},
    )  # fmt: skip
    path = (at, first.at)
    main = Pipe(
        "G-P-901", "gas", "门站干管 Gate main", GATE, first.id, path, length_of(path), 400.0, "steel", 1998, 1.4,
        customers, True,
    )  # fmt: skip
    return gate, main
