"""The water network: waterworks in the north-west, looped mains under most streets, a water tower in the south."""

import math

import numpy as np

from lifeline.model import AssetKind
from simulators.stock import WATER_DIAMETERS, at_least, carried, thinned, water_material, year_laid
from simulators.streets import Point, Streets, length_of, shortest_tree
from simulators.town import Network, Node, Pipe

OFFSET: Point = (8.0, 3.6)
"""Water lies on this side of the street's middle, in metres east and north."""
DEMAND_M3H = 0.02
"""Mean demand of one household: 480 litres a day."""
KINDS = ("residential", "commercial", "industrial")


def lay_water(streets: Streets, customers: list[int], facility: dict[int, str], rng: np.random.Generator) -> Network:
    """Nodes ``W-J-nnn``, pipes ``W-P-nnn``, the waterworks ``W-R-1`` with its pumps ``W-U-1``, the tower ``W-T-1``."""
    nodes = {
        node.id: node for node in (junction(streets, c, customers[c], facility, rng) for c in range(len(customers)))
    }
    used = thinned(streets, 0.1, rng)
    first = streets.nearest((-900, 700))
    high = streets.nearest((-350, -750))
    links = [(streets.stretches[i].a, streets.stretches[i].b, i) for i in used]
    tree = shortest_tree(links, [first], lambda link, *_: _cost(streets, link))
    through = carried(tree, {c: float(n) for c, n in enumerate(customers)})
    vital = {tree[c][1] for c in facility if c in tree}
    pipes: dict[str, Pipe] = {}
    for number, index in enumerate(used):
        stretch = streets.stretches[index]
        served = int(through.get(index, 0) or (customers[stretch.a] + customers[stretch.b]) // 8)
        pipe = _pipe(f"W-P-{number:03d}", streets, index, served, index in vital, rng)
        pipes[pipe.id] = pipe
    total = sum(customers)
    for node, main in works(streets, first, total) + tower(streets, high, total):
        nodes[node.id] = node
        if main:
            pipes[main.id] = main
    return Network("water", nodes, pipes)


def junction_id(crossing: int) -> str:
    return f"W-J-{crossing:03d}"


def _cost(streets: Streets, link: int) -> float:
    stretch = streets.stretches[link]
    return stretch.length_m * (0.6 if stretch.arterial else 1.0)


def _shift(point: Point) -> Point:
    return (round(point[0] + OFFSET[0], 1), round(point[1] + OFFSET[1], 1))


def junction(
    streets: Streets, crossing: int, customers: int, facility: dict[int, str], rng: np.random.Generator
) -> Node:
    at = _shift(streets.crossings[crossing])
    centre = math.hypot(*at) < 450
    kind = str(rng.choice(KINDS, p=(0.6, 0.38, 0.02) if centre else (0.75, 0.1, 0.15)))
    return Node(
        id=junction_id(crossing),
        network="water",
        kind=AssetKind.JUNCTION,
        name=facility.get(crossing) or streets.crossing_name(crossing),
        at=at,
        ground_m=streets.ground_m[crossing],
        crossing=crossing,
        depth_m=1.0,
        install_year=year_laid(at, rng),
        customers=customers,
        critical=crossing in facility,
        attributes={
            "ground_m": streets.ground_m[crossing],
            "base_demand_m3h": round(customers * DEMAND_M3H, 3),
            "demand_kind": kind,
        },
    )


def _pipe(name: str, streets: Streets, index: int, served: int, vital: bool, rng: np.random.Generator) -> Pipe:
    stretch = streets.stretches[index]
    path = tuple(_shift(point) for point in stretch.path)
    peak_m3s = served * DEMAND_M3H * 1.9 / 3600
    needed = 1000 * math.sqrt(4 * peak_m3s / (math.pi * 0.8))  # 0.8 m/s at the peak
    diameter = at_least(max(needed, 200 if stretch.arterial else 100), WATER_DIAMETERS)
    year = year_laid(path[1], rng)
    material = water_material(year, diameter)
    roughness = {"pe": 140, "ductile_iron": 125, "steel": 110, "grey_cast_iron": 85}[material]
    return Pipe(
        id=name,
        network="water",
        name=stretch.name,
        a=junction_id(stretch.a),
        b=junction_id(stretch.b),
        path=path,
        length_m=stretch.length_m,
        diameter_mm=diameter,
        material=material,
        install_year=year,
        depth_m=round(0.9 + diameter / 1000 + float(rng.uniform(0, 0.4)), 2),
        customers=served,
        critical=vital,
        attributes={"hazen_williams_c": roughness},
    )


def works(streets: Streets, first: int, customers: int) -> list[tuple[Node, Pipe | None]]:
    """Clear-water reservoir, then pumps, then a main to the first crossing."""
    end = _shift(streets.crossings[first])
    ground = streets.ground_m[first]
    reservoir_at, pumps_at = (end[0] - 150, end[1] + 60), (end[0] - 120, end[1] + 48)
    reservoir = Node(
        "W-R-1", "water", AssetKind.TANK, "城西水厂清水池 West waterworks reservoir", reservoir_at, ground, -1, 4.0,
        1996, customers=customers, critical=True, attributes={"type": "reservoir", "head_m": round(ground + 2.0, 2)},
    )  # fmt: skip
    pumps = Node(
        "W-U-1", "water", AssetKind.PUMP, "城西水厂送水泵房 West waterworks pumps", pumps_at, ground, -1, 0.0, 1996,
        customers=customers, critical=True, between=("W-R-1", "W-D-1"),
        attributes={"rated_flow_m3h": round(customers * DEMAND_M3H * 2.2), "rated_head_m": 40.0},
    )  # fmt: skip
    delivery_at = (pumps_at[0] + 12, pumps_at[1] - 5)
    delivery = Node(
        "W-D-1", "water", AssetKind.JUNCTION, "城西水厂出厂 West waterworks outlet", delivery_at, ground, -1, 1.5, 1996,
        customers=customers, critical=True,
        attributes={"ground_m": ground, "base_demand_m3h": 0.0, "demand_kind": KINDS[0]},
    )  # fmt: skip
    main = _trunk("W-P-901", "出厂干管 Works main", "W-D-1", junction_id(first), (delivery_at, end), 500, customers)
    return [(reservoir, None), (pumps, None), (delivery, main)]


def tower(streets: Streets, crossing: int, customers: int) -> list[tuple[Node, Pipe | None]]:
    """A water tower whose full level is a little under what the pumps can reach there."""
    end = _shift(streets.crossings[crossing])
    at = (end[0] - 60, end[1] - 50)
    highest = max(streets.ground_m)
    node = Node(
        "W-T-1", "water", AssetKind.TANK, "城南水塔 South water tower", at, streets.ground_m[crossing], -1, 0.0, 2003,
        customers=customers // 3,
        attributes={"type": "tank", "bottom_m": round(highest + 33.0, 2), "level_max_m": 6.0, "bore_m": 15.0},
    )  # fmt: skip
    main = _trunk("W-P-902", "水塔干管 Tower main", junction_id(crossing), "W-T-1", (end, at), 300, customers // 3)
    return [(node, main)]


def _trunk(name: str, title: str, a: str, b: str, path: tuple[Point, ...], diameter: float, customers: int) -> Pipe:
    return Pipe(
        name, "water", title, a, b, path, length_of(path), diameter, "ductile_iron", 1999, 1.8, customers, True,
        {"hazen_williams_c": 125},
    )  # fmt: skip
