"""The streets that a town's three networks share: a warped, thinned and cut grid that looks like a real town.

Coordinates are metres east and north of the town's origin; ``to_wgs84`` places them on the map. A river runs
along the east edge, below everything else, so that sewers have somewhere to fall to.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

ORIGIN = (117.23, 31.82)
"""Longitude and latitude of (0, 0): beside Hefei."""

Point = tuple[float, float]

COLUMNS, ROWS = 12, 10
ROW_NAMES = (
    "人民路 Renmin Rd",
    "长江路 Changjiang Rd",
    "淮河路 Huaihe Rd",
    "中山路 Zhongshan Rd",
    "解放路 Jiefang Rd",
    "徽州大道 Huizhou Ave",
    "桐城路 Tongcheng Rd",
    "芜湖路 Wuhu Rd",
    "望江路 Wangjiang Rd",
    "九华山路 Jiuhuashan Rd",
)
COLUMN_NAMES = (
    "环城西路 Huancheng West Rd",
    "金寨路 Jinzhai Rd",
    "六安路 Lu'an Rd",
    "蒙城路 Mengcheng Rd",
    "阜阳路 Fuyang Rd",
    "宿州路 Suzhou Rd",
    "寿春路 Shouchun Rd",
    "庐江路 Lujiang Rd",
    "巢湖路 Chaohu Rd",
    "马鞍山路 Ma'anshan Rd",
    "铜陵路 Tongling Rd",
    "滨河路 Binhe Rd",
)
DIAGONAL_NAMES = ("延安大道 Yan'an Ave", "南淝河路 Nanfeihe Rd")
ARTERIAL_ROWS, ARTERIAL_COLUMNS = (3, 7), (4, 8)


@dataclass(frozen=True, slots=True)
class Street:
    """One stretch between two crossings; ``path`` runs from ``a`` to ``b``."""

    a: int
    b: int
    name: str
    arterial: bool
    path: tuple[Point, ...]
    length_m: float


@dataclass(frozen=True, slots=True)
class Streets:
    """Crossings (metres east and north, ground in metres above sea level) and the stretches between them."""

    crossings: tuple[Point, ...]
    ground_m: tuple[float, ...]
    stretches: tuple[Street, ...]

    def crossing_name(self, crossing: int) -> str:
        """``人民路/金寨路 Renmin Rd/Jinzhai Rd``, from the streets that meet there."""
        names = sorted({s.name for s in self.stretches if crossing in (s.a, s.b)})[:2]
        chinese, english = zip(*(name.split(" ", 1) for name in names), strict=True)
        return f"{'/'.join(chinese)} {'/'.join(english)}"

    def nearest(self, point: Point, among: Iterable[int] | None = None) -> int:
        """The crossing nearest to ``point``."""
        choices = range(len(self.crossings)) if among is None else among
        return min(choices, key=lambda crossing: math.dist(self.crossings[crossing], point))


def to_wgs84(point: Point) -> tuple[float, float]:
    """Longitude and latitude of a point given in metres east and north (local tangent plane, good to 1 m over 3 km)."""
    longitude, latitude = ORIGIN
    metres_a_degree = 111_320.0
    return (
        round(longitude + point[0] / (metres_a_degree * math.cos(math.radians(latitude))), 7),
        round(latitude + point[1] / 110_870.0, 7),
    )


def make_streets(seed: int) -> Streets:
    """The streets of the town with this seed: about 100 crossings and 170 stretches."""
    rng = np.random.default_rng([seed, 1])
    grid = _warped_grid(rng)
    kept = _without_river_and_parks(grid, rng)
    links = _links(kept, rng)
    used = sorted({end for a, b, *_ in links for end in (a, b)})
    number = {place: index for index, place in enumerate(used)}
    crossings = tuple(grid[place] for place in used)
    stretches = []
    for a, b, name, arterial in links:
        path = _bent(grid[a], grid[b], rng)
        stretches.append(Street(number[a], number[b], name, arterial, path, length_of(path)))
    return Streets(crossings, _ground(crossings, rng), tuple(stretches))


Place = tuple[int, int]
Link = tuple[Place, Place, str, bool]


def _warped_grid(rng: np.random.Generator) -> dict[Place, Point]:
    def axis(count: int) -> np.ndarray:
        middle = np.abs(np.arange(count - 1) - (count - 2) / 2) / count
        widths = rng.uniform(110, 165, count - 1) * (0.78 + 0.62 * middle)  # blocks are small in the old centre
        line = np.concatenate([[0.0], np.cumsum(widths)])
        return np.asarray(line - line[-1] / 2)

    east, north = np.meshgrid(axis(COLUMNS), axis(ROWS), indexing="ij")
    phase = rng.uniform(0, 2 * math.pi, 3)
    x = east + 42 * np.sin(north / 260 + phase[0]) + rng.normal(0, 10, east.shape)
    y = north + 34 * np.sin(east / 310 + phase[1]) + 14 * np.sin(east / 120 + phase[2]) + rng.normal(0, 10, east.shape)
    turn = math.radians(rng.uniform(8, 16))
    turned = (x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn))
    return {
        (c, r): (round(float(turned[0][c, r]), 1), round(float(turned[1][c, r]), 1))
        for c in range(COLUMNS)
        for r in range(ROWS)
    }


def _without_river_and_parks(grid: dict[Place, Point], rng: np.random.Generator) -> dict[Place, Point]:
    phase = rng.uniform(0, 2 * math.pi)
    park = (int(rng.integers(2, COLUMNS - 4)), int(rng.integers(1, ROWS - 2)))
    gone = {park, (park[0] + 1, park[1])}
    gone |= {(0, 0), (0, ROWS - 1)}
    outer = [p for p in sorted(grid) if p[0] in (0, 1, COLUMNS - 1) or p[1] in (0, ROWS - 1)]
    gone |= {outer[i] for i in rng.choice(len(outer), 6, replace=False)}
    bank = 640 + 25 * rng.standard_normal()
    return {
        place: point
        for place, point in grid.items()
        if place not in gone and point[0] < bank + 70 * math.sin(point[1] / 240 + phase)
    }


def _links(kept: dict[Place, Point], rng: np.random.Generator) -> list[Link]:
    links: list[Link] = []
    for c, r in sorted(kept):
        if (c + 1, r) in kept:
            links.append(((c, r), (c + 1, r), ROW_NAMES[r], r in ARTERIAL_ROWS))
        if (c, r + 1) in kept:
            links.append(((c, r), (c, r + 1), COLUMN_NAMES[c], c in ARTERIAL_COLUMNS))
    for name, start, step in ((DIAGONAL_NAMES[0], (2, 2), 1), (DIAGONAL_NAMES[1], (5, 8), -1)):
        for i in range(4):
            here, there = (start[0] + i, start[1] + i * step), (start[0] + i + 1, start[1] + (i + 1) * step)
            if here in kept and there in kept:
                links.append((here, there, name, True))
    links = _largest_part(links)
    for link in [links[i] for i in rng.permutation(len(links)) if not links[i][3]][: len(links) // 7]:
        without = [other for other in links if other is not link]
        if len(_largest_part(without)) == len(without) and _ends(without) == _ends(links):
            links = without
    return links


def _ends(links: list[Link]) -> set[Place]:
    return {end for a, b, *_ in links for end in (a, b)}


def _largest_part(links: list[Link]) -> list[Link]:
    """The links of the largest connected part."""
    beside: dict[Place, list[Place]] = {}
    for a, b, *_ in links:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    best: set[Place] = set()
    seen: set[Place] = set()
    for start in beside:
        part, stack = set[Place](), [start]
        while stack:
            place = stack.pop()
            if place not in seen:
                seen.add(place)
                part.add(place)
                stack.extend(beside[place])
        best = max(best, part, key=len)
    return [link for link in links if link[0] in best]


def _bent(a: Point, b: Point, rng: np.random.Generator) -> tuple[Point, ...]:
    """``a`` to ``b`` over one point a little off the straight line."""
    off = float(np.clip(rng.normal(0, 0.025), -0.05, 0.05))
    share = float(rng.uniform(0.4, 0.6))
    dx, dy = b[0] - a[0], b[1] - a[1]
    return (a, (round(a[0] + share * dx - off * dy, 1), round(a[1] + share * dy + off * dx, 1)), b)


def _ground(crossings: tuple[Point, ...], rng: np.random.Generator) -> tuple[float, ...]:
    """0.6 % down to the river in the east, a little down to the south, and gentle hills."""
    phase = rng.uniform(0, 2 * math.pi, 2)
    return tuple(
        round(
            16.0 + 0.006 * (700 - x) + 0.0015 * y + 0.5 * math.sin(x / 190 + phase[0]) * math.cos(y / 230 + phase[1]),
            2,
        )
        for x, y in crossings
    )


def length_of(path: Iterable[Point]) -> float:
    """Length of a polyline in metres."""
    points = list(path)
    return round(sum(math.dist(p, q) for p, q in itertools.pairwise(points)), 1)


def stretch_number(number: int) -> str:
    """Digits of a pipe's id; those from 900 on belong to the mains of works, towers, gates and outfalls."""
    return f"{number if number < 900 else number + 1000:03d}"


def shortest_tree(
    links: Iterable[tuple[int, int, int]], sources: Iterable[int], cost: Callable[[int, int, int], float]
) -> dict[int, tuple[int, int]]:
    """Dijkstra from ``sources`` over undirected (a, b, link); ``cost(link, from, to)``.

    Returns node -> (next node towards its source, link); sources are absent.
    """
    beside: dict[int, list[tuple[int, int]]] = {}
    for a, b, link in links:
        beside.setdefault(a, []).append((b, link))
        beside.setdefault(b, []).append((a, link))
    heap = [(0.0, source, -1, -1) for source in sources]
    tree: dict[int, tuple[int, int]] = {}
    done: set[int] = set()
    while heap:
        far, node, towards, link = heapq.heappop(heap)
        if node in done:
            continue
        done.add(node)
        if towards >= 0:
            tree[node] = (towards, link)
        for other, way in beside.get(node, []):
            if other not in done:
                heapq.heappush(heap, (far + cost(way, node, other), other, node, way))
    return tree
