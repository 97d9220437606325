"""The pipe stock: what was laid when. An old centre, younger outskirts, and stretches that were renewed since."""

import math

import numpy as np

from simulators.streets import Point, Streets, shortest_tree

GAS_DIAMETERS = (63, 90, 110, 160, 200, 250, 315, 400)
WATER_DIAMETERS = (100, 150, 200, 300, 400, 500)
SEWER_DIAMETERS = (300, 400, 500, 600, 800, 1000, 1200, 1500, 1800, 2000)


def year_laid(at: Point, rng: np.random.Generator) -> int:
    """1976-1992 in the centre, up to 2020 at the edge; one stretch in eight was renewed after 2012."""
    if rng.random() < 0.125:
        return int(rng.integers(2012, 2025))
    out = min(math.hypot(at[0], at[1]) / 800, 1.0)
    return int(np.clip(1979 + 36 * out + rng.normal(0, 5), 1968, 2024))


def water_material(year: int, diameter_mm: float) -> str:
    if year < 1993:
        return "grey_cast_iron" if diameter_mm < 400 else "steel"
    if diameter_mm >= 300:
        return "ductile_iron"
    return "ductile_iron" if year < 2004 else "pe"


def gas_material(year: int, diameter_mm: float) -> str:
    if year < 1986:
        return "grey_cast_iron"
    return "steel" if year < 2001 or diameter_mm >= 315 else "pe"


def sewer_material(year: int, diameter_mm: float) -> str:
    if year < 1982:
        return "brick" if diameter_mm >= 600 else "concrete"
    if year < 2003:
        return "concrete" if diameter_mm < 600 else "reinforced_concrete"
    return "hdpe" if diameter_mm <= 600 else "reinforced_concrete"


def at_least(needed_mm: float, sizes: tuple[int, ...]) -> float:
    """The smallest size made that is not below ``needed_mm``, or the largest."""
    return float(next((size for size in sizes if size >= needed_mm), sizes[-1]))


def thinned(streets: Streets, share: float, rng: np.random.Generator) -> list[int]:
    """Indices of the stretches that a network lies in: all but ``share`` of the side streets, still connected."""
    kept = list(range(len(streets.stretches)))
    side = [i for i in kept if not streets.stretches[i].arterial]
    goal = len(kept) - round(share * len(kept))
    for stretch in rng.permutation(side):
        if len(kept) <= goal:
            break
        without = [i for i in kept if i != stretch]
        links = [(streets.stretches[i].a, streets.stretches[i].b, i) for i in without]
        if len(shortest_tree(links, [0], lambda *_: 1.0)) == len(streets.crossings) - 1:
            kept = without
    return sorted(int(i) for i in kept)


def carried(tree: dict[int, tuple[int, int]], load: dict[int, float]) -> dict[int, float]:
    """Link -> sum of the loads of all nodes whose way to the source runs over it."""
    total: dict[int, float] = {}
    for node, amount in load.items():
        here = node
        while here in tree:
            here, link = tree[here]
            total[link] = total.get(link, 0.0) + amount
    return total
