"""The drainage network: combined sewers that fall with the ground to two outfalls at the river."""

import math
from typing import NamedTuple

import numpy as np

from lifeline.model import AssetKind
from simulators.gaslines import chamber_size
from simulators.stock import SEWER_DIAMETERS, at_least, carried, sewer_material, year_laid
from simulators.streets import Streets, length_of, shortest_tree, stretch_number
from simulators.town import Network, Node, Pipe

LEAST_SLOPE = 0.003
COVER_M = 1.6
"""Depth of a sewer's invert where nothing forces it deeper."""
SEWAGE_M3H = 0.017
"""Dry-weather flow of one household: 85 % of its water."""
DESIGN_RAIN_MM_H = 42.0
"""What the pipes were sized for: about a one-year storm of half an hour."""
RUNOFF = 0.6
MANNING_N = 0.014
TOWN_AREA_HA = 190.0


class _Levels(NamedTuple):
    invert: dict[int, float]
    cover: dict[int, float]


def lay_drainage(streets: Streets, customers: list[int], facility: dict[int, str], rng: np.random.Generator) -> Network:
    """Manholes ``D-M-nnn``, outfalls ``D-O-1`` and ``D-O-2``, conduits ``D-P-nnn`` from the upper to the lower end."""
    lowest = _outfall_crossings(streets)
    links = [(s.a, s.b, i) for i, s in enumerate(streets.stretches)]
    tree = shortest_tree(links, lowest, lambda link, below, above: _cost(streets, link, below, above))
    levels = _levels(streets, tree, lowest)
    area = _areas(streets, rng)
    area_through = carried(tree, area)
    people_through = carried(tree, {c: float(n) for c, n in enumerate(customers)})
    vital = {tree[c][1] for c in facility if c in tree}
    nodes: dict[str, Node] = {}
    pipes: dict[str, Pipe] = {}
    for c in range(len(customers)):
        node = _manhole(streets, c, levels, customers[c], area[c], facility, rng)
        nodes[node.id] = node
    for number, (above, (below, index)) in enumerate(sorted(tree.items())):
        pipe = _conduit(
            f"D-P-{stretch_number(number)}", streets, index, (above, below), levels, area_through[index],
            int(people_through.get(index, 0)), index in vital, rng,
        )  # fmt: skip
        pipes[pipe.id] = pipe
    for number, crossing in enumerate(lowest, 1):
        reached = area[crossing] + sum(area_through[link] for b, link in tree.values() if b == crossing)
        outfall, pipe = _outfall(number, streets, nodes[manhole_id(crossing)], reached, sum(customers) // len(lowest))
        nodes[outfall.id] = outfall
        pipes[pipe.id] = pipe
    for node in underpass(nodes, pipes):
        nodes[node.id] = node
    return Network("drainage", nodes, pipes)


UNDERPASS_SPOT = (60.0, -180.0)
ROAD_M = 4.0
"""The road of an underpass lies so far above the bottom of its wet well."""


def underpass(nodes: dict[str, Node], pipes: dict[str, Pipe]) -> tuple[Node, Node]:
    """A road below the railway, its wet well ``D-W-1`` and the pump ``D-U-1`` that lifts into the next large sewer.

    The well takes the rain of the cutting and what seeps in, about 30 m3/h. Above ``road_m`` it stands on the road.
    """
    large = [pipe for pipe in pipes.values() if pipe.attributes["area_ha"] > 8.0 and pipe.a in nodes]
    to = nodes[min(large, key=lambda pipe: math.dist(nodes[pipe.a].at, UNDERPASS_SPOT)).a]
    at = (to.at[0] + 34.0, to.at[1] - 22.0)
    cover = to.ground_m - 4.5
    well = Node(
        "D-W-1", "drainage", AssetKind.CHAMBER, "铁路下穿集水池 Underpass wet well", at, cover, -1, ROAD_M, 2006,
        attributes={
            "invert_m": round(cover - ROAD_M, 3), "cover_m": round(cover, 3), "area_ha": 0.4, "sewage_m3h": 30.0,
            "road_m": ROAD_M, "well_m2": 6.0, "road_m2": 600.0,
        },
    )  # fmt: skip
    pump = Node(
        "D-U-1", "drainage", AssetKind.PUMP, "铁路下穿泵站 Underpass pumps", (at[0] + 3.0, at[1]), cover, -1, 0.0, 2006,
        between=(well.id, to.id),
        attributes={
            "start_level_m": 1.6, "stop_level_m": 0.6, "rated_flow_m3h": 200.0,
            "rated_head_m": round(to.attributes["invert_m"] - well.attributes["invert_m"] + 1.0, 2),
        },
    )  # fmt: skip
    return well, pump


def manhole_id(crossing: int) -> str:
    return f"D-M-{crossing:03d}"


def _outfall_crossings(streets: Streets) -> list[int]:
    """The lowest crossing in the north and the lowest in the south."""
    everyone = range(len(streets.crossings))
    north = [c for c in everyone if streets.crossings[c][1] > 150]
    south = [c for c in everyone if streets.crossings[c][1] < -150]
    return [min(half, key=lambda c: -streets.crossings[c][0]) for half in (north, south)]


def _cost(streets: Streets, link: int, below: int, above: int) -> float:
    """Length, dearer where the sewer would have to run against the ground."""
    rise = streets.ground_m[above] - streets.ground_m[below]
    length = streets.stretches[link].length_m
    wanted = LEAST_SLOPE * length
    return length + 120.0 * max(0.0, wanted - rise)


def _levels(streets: Streets, tree: dict[int, tuple[int, int]], lowest: list[int]) -> _Levels:
    """Inverts from the outfalls upwards; where the sewer comes too near to the surface the ground was filled."""
    invert = {c: streets.ground_m[c] - 4.6 for c in lowest}
    cover = {c: streets.ground_m[c] for c in lowest}
    waiting = list(tree)
    while waiting:
        later = []
        for c in waiting:
            below, link = tree[c]
            if below not in invert:
                later.append(c)
                continue
            least = invert[below] + LEAST_SLOPE * streets.stretches[link].length_m
            invert[c] = round(max(least, min(streets.ground_m[c] - COVER_M, least + 3.0)), 3)
            cover[c] = round(max(streets.ground_m[c], invert[c] + COVER_M), 3)
        waiting = later
    return _Levels(invert, cover)


def _areas(streets: Streets, rng: np.random.Generator) -> dict[int, float]:
    """Hectares that drain to each crossing, by the length of street around it."""
    street = dict.fromkeys(range(len(streets.crossings)), 0.0)
    for stretch in streets.stretches:
        street[stretch.a] += stretch.length_m / 2
        street[stretch.b] += stretch.length_m / 2
    total = sum(street.values())
    return {c: round(TOWN_AREA_HA * s / total * float(rng.uniform(0.8, 1.2)), 3) for c, s in street.items()}


def _manhole(
    streets: Streets,
    crossing: int,
    levels: _Levels,
    customers: int,
    area_ha: float,
    facility: dict[int, str],
    rng: np.random.Generator,
) -> Node:
    at = streets.crossings[crossing]
    return Node(
        id=manhole_id(crossing),
        network="drainage",
        kind=AssetKind.CHAMBER,
        name=f"{facility.get(crossing) or streets.crossing_name(crossing)} 检查井 manhole",
        at=at,
        ground_m=levels.cover[crossing],
        crossing=crossing,
        depth_m=round(levels.cover[crossing] - levels.invert[crossing], 2),
        install_year=year_laid(at, rng),
        customers=customers,
        critical=crossing in facility,
        attributes={
            "invert_m": levels.invert[crossing],
            "cover_m": levels.cover[crossing],
            "area_ha": area_ha,
            "sewage_m3h": round(customers * SEWAGE_M3H, 3),
            **chamber_size(rng),
        },
    )


def full_flow(diameter_m: float, slope: float, roughness: float = MANNING_N) -> float:
    """Manning: m3/s of a circular pipe running just full."""
    area = math.pi * diameter_m**2 / 4
    return float(area / roughness * (diameter_m / 4) ** (2 / 3) * math.sqrt(slope))


def _sized(area_ha: float, slope: float) -> float:
    """Diameter in mm by the rational method at the design rain."""
    flow = RUNOFF * DESIGN_RAIN_MM_H / 1000 / 3600 * area_ha * 10_000
    needed = next((d for d in SEWER_DIAMETERS if full_flow(d / 1000, slope) >= flow), SEWER_DIAMETERS[-1])
    return at_least(needed, SEWER_DIAMETERS)


def _conduit(
    name: str,
    streets: Streets,
    index: int,
    ends: tuple[int, int],
    levels: _Levels,
    area_ha: float,
    served: int,
    vital: bool,
    rng: np.random.Generator,
) -> Pipe:
    above, below = ends
    stretch = streets.stretches[index]
    path = stretch.path if stretch.a == above else stretch.path[::-1]
    slope = (levels.invert[above] - levels.invert[below]) / stretch.length_m
    diameter = _sized(area_ha, slope)
    year = year_laid(path[1], rng)
    return Pipe(
        id=name,
        network="drainage",
        name=stretch.name,
        a=manhole_id(above),
        b=manhole_id(below),
        path=path,
        length_m=stretch.length_m,
        diameter_mm=diameter,
        material=sewer_material(year, diameter),
        install_year=year,
        depth_m=round((levels.cover[above] + levels.cover[below] - levels.invert[above] - levels.invert[below]) / 2, 2),
        customers=served,
        critical=vital,
        attributes={"slope": round(slope, 5), "area_ha": round(area_ha, 2)},
    )


def _outfall(number: int, streets: Streets, last: Node, area_ha: float, customers: int) -> tuple[Node, Pipe]:
    at = (last.at[0] + 70, last.at[1] - 12)
    length = length_of((last.at, at))
    invert = round(last.attributes["invert_m"] - 0.006 * length, 3)
    outfall = Node(
        f"D-O-{number}", "drainage", AssetKind.OUTFALL, f"南淝河{number}号排口 River outfall {number}", at,
        streets.ground_m[last.crossing], -1, 0.0, 1988, attributes={"invert_m": invert, "cover_m": last.ground_m},
    )  # fmt: skip
    diameter = _sized(area_ha, 0.006)
    pipe = Pipe(
        f"D-P-90{number}", "drainage", "排口干管 Outfall main", last.id, outfall.id, (last.at, at), length, diameter,
        "reinforced_concrete", 1988, 3.5, customers, False, {"slope": 0.006, "area_ha": round(area_ha, 2)},
    )  # fmt: skip
    return outfall, pipe
