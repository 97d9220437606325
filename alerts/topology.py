"""How sensors lie to each other: along the pipes where assets are joined, else by distance. Columns as the inventory's.

Built once for an inventory. Groups are sensors that explain each other (one network's hydraulics): those whose assets
are joined by pipes, cut in halves by place until each holds GROUP_MOST at most.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from lifeline.storage.window import AssetRow, SensorRow

Columns = NDArray[np.int64]

GROUP_MOST = 60
"""Sensors in a group at most: a DMA, a station, a district have tens."""
CHAMBERS_M = 300.0
"""Chambers so near to each other are neighbours: gas creeps along pipes and ducts (default)."""
GAUGE_M = 10_000.0
"""A rain gauge speaks for levels no further away than this (default)."""
REACH_PIPES = 40
"""How many pipes further down the next level may be, to judge the reach between."""
METRES_PER_DEGREE = 111_195.0
UNKNOWN_LENGTH_M = 100.0


@dataclass(frozen=True)
class Topology:
    """Columns of sensors in relation to each other; ``position`` is (sensor, 2) in metres, NaN unknown."""

    position: NDArray[np.float64]
    component: NDArray[np.int64]
    """Number of the joined network that each sensor is on; -1 for one whose asset is joined to nothing."""
    reaches: Columns
    """(reach, 2): level upstream, and the next level downstream of it."""
    chambers: Columns
    """(pair, 2): methane sensors in neighbouring chambers, each pair once."""
    gauge: Columns
    """The nearest rain gauge of each sensor, -1 for none."""
    pumped: NDArray[np.bool_]
    """Sensors at a pump or at what it draws from: they go up and down as it starts and stops."""
    assets: dict[int, AssetRow]
    asset_of: Sequence[int | None]
    _edges: dict[int, list[tuple[int, float, int]]] = field(default_factory=dict)

    def groups(self, columns: Iterable[int]) -> list[Columns]:
        """Sensors among ``columns`` that explain each other, at least three to a group."""
        by_component: dict[int, list[int]] = defaultdict(list)
        for column in columns:
            if self.component[column] >= 0:
                by_component[int(self.component[column])].append(column)
        found: list[Columns] = []
        for members in by_component.values():
            found += self._halved(np.array(members, np.int64))
        return [group for group in found if len(group) >= 3]

    def _halved(self, columns: Columns) -> list[Columns]:
        if len(columns) <= GROUP_MOST:
            return [columns]
        place = np.nan_to_num(self.position[columns])
        axis = int(np.argmax(np.ptp(place, axis=0)))
        order = np.argsort(place[:, axis], kind="stable")
        half = len(columns) // 2
        return self._halved(np.sort(columns[order[:half]])) + self._halved(np.sort(columns[order[half:]]))

    def pipes_at(self, asset_id: int) -> list[tuple[int, float, int]]:
        """What joins at an asset: the other end, the length in metres, and the pipe."""
        return self._edges.get(asset_id, [])

    def distances(self, start: int, most_m: float) -> dict[int, float]:
        """Metres along the network from an asset to each asset within ``most_m``, pipes by their nearer end."""
        asset = self.assets.get(start)
        ends = [start] if asset is None or start in self._edges else [asset.from_asset, asset.to_asset]
        far: dict[int, float] = {}
        front = [(0.0, end) for end in ends if end is not None]
        while front:
            metres, node = heappop(front)
            if node in far or metres > most_m:
                continue
            far[node] = metres
            for other, length, pipe in self._edges.get(node, []):
                far.setdefault(pipe, metres)
                heappush(front, (metres + length, other))
        return far


def build_topology(sensors: Sequence[SensorRow], assets: Sequence[AssetRow]) -> Topology:
    """Relations of the sensors by the assets that they are at."""
    by_id = {asset.asset_id: asset for asset in assets}
    edges = _edges(assets)
    position = _positions(sensors)
    quantity: dict[str, list[int]] = defaultdict(list)
    for column, row in enumerate(sensors):
        quantity[row.quantity].append(column)
    levels = [c for c in quantity["level"] if sensors[c].network == "drainage"]
    return Topology(
        position=position,
        component=_components(sensors, by_id, edges),
        reaches=_reaches(sensors, levels, assets, by_id),
        chambers=_near(quantity["methane"], position, CHAMBERS_M),
        gauge=_nearest(quantity["rain"], position, GAUGE_M),
        pumped=_pumped(sensors, assets),
        assets=by_id,
        asset_of=[row.asset_id for row in sensors],
        _edges=edges,
    )


def _positions(sensors: Sequence[SensorRow]) -> NDArray[np.float64]:
    """Metres east and north on a plane around the middle: good to a thousandth over a city."""
    degrees = np.array(
        [[math.nan if part is None else part for part in (row.longitude, row.latitude)] for row in sensors], np.float64
    ).reshape(-1, 2)
    known = degrees[~np.isnan(degrees).any(axis=1)]
    middle = np.median(known, axis=0) if len(known) else np.zeros(2)
    scale = METRES_PER_DEGREE * np.array([math.cos(math.radians(float(middle[1]))), 1.0])
    return (degrees - middle) * scale


def _edges(assets: Sequence[AssetRow]) -> dict[int, list[tuple[int, float, int]]]:
    edges: dict[int, list[tuple[int, float, int]]] = defaultdict(list)
    for asset in assets:
        if asset.from_asset is not None and asset.to_asset is not None:
            length = UNKNOWN_LENGTH_M if asset.length_m is None else asset.length_m
            edges[asset.from_asset].append((asset.to_asset, length, asset.asset_id))
            edges[asset.to_asset].append((asset.from_asset, length, asset.asset_id))
    return dict(edges)


def _components(
    sensors: Sequence[SensorRow], by_id: dict[int, AssetRow], edges: dict[int, list[tuple[int, float, int]]]
) -> NDArray[np.int64]:
    number: dict[int, int] = {}
    component, marks = np.full(len(sensors), -1, np.int64), 0
    for column, row in enumerate(sensors):
        node = _node(row, by_id)
        if node is None or node not in edges:
            continue
        if node not in number:
            _flood(node, edges, number, marks)
            marks += 1
        component[column] = number[node]
    return component


def _pumped(sensors: Sequence[SensorRow], assets: Iterable[AssetRow]) -> NDArray[np.bool_]:
    beside = {end for asset in assets if asset.kind == "pump" for end in (asset.asset_id, asset.from_asset)}
    return np.array([row.asset_id is not None and row.asset_id in beside for row in sensors], np.bool_)


def _flood(start: int, edges: dict[int, list[tuple[int, float, int]]], number: dict[int, int], mark: int) -> None:
    front = [start]
    number[start] = mark
    while front:
        for other, _, _ in edges.get(front.pop(), []):
            if other not in number:
                number[other] = mark
                front.append(other)


def _node(row: SensorRow, by_id: dict[int, AssetRow]) -> int | None:
    """Where a sensor touches its network: its asset, or the upper end of its pipe."""
    asset = by_id.get(row.asset_id) if row.asset_id is not None else None
    if asset is None:
        return None
    return asset.asset_id if asset.from_asset is None else asset.from_asset


def _reaches(
    sensors: Sequence[SensorRow], levels: Sequence[int], assets: Sequence[AssetRow], by_id: dict[int, AssetRow]
) -> Columns:
    """Each level with the next one down the sewer: the way water takes, ``from`` to ``to``, where it runs by itself. A
    well that is high above its pump tells of the pump."""
    below = {
        asset.from_asset: asset.to_asset
        for asset in assets
        if asset.network == "drainage" and asset.kind != "pump"
        if asset.from_asset is not None and asset.to_asset is not None
    }
    nodes = {column: _node(sensors[column], by_id) for column in levels}
    at = {node: column for column, node in nodes.items() if node is not None}
    found = []
    for node, column in at.items():
        place = below.get(node)
        for _ in range(REACH_PIPES):
            if place is None or place in at:
                break
            place = below.get(place)
        if place is not None and place in at and place != node:
            found.append((column, at[place]))
    return np.array(found, np.int64).reshape(-1, 2)


def _near(columns: Sequence[int], position: NDArray[np.float64], metres: float) -> Columns:
    """Pairs no further apart than ``metres``, each once, by a grid."""
    grid: dict[tuple[int, int], list[int]] = defaultdict(list)
    pairs: list[tuple[int, int]] = []
    for column in columns:
        place = position[column]
        if np.isnan(place).any():
            continue
        cell = (int(place[0] // metres), int(place[1] // metres))
        around = (grid.get((cell[0] + i, cell[1] + j), ()) for i in (-1, 0, 1) for j in (-1, 0, 1))
        pairs += [(other, column) for part in around for other in part if math.dist(position[other], place) <= metres]
        grid[cell].append(column)
    return np.array(pairs, np.int64).reshape(-1, 2)


def _nearest(columns: Sequence[int], position: NDArray[np.float64], most_m: float) -> Columns:
    nearest = np.full(len(position), -1, np.int64)
    best = np.full(len(position), most_m)
    for column in columns:
        metres = np.hypot(*(position - position[column]).T)
        closer = metres < best
        nearest[closer], best[closer] = column, metres[closer]
    return nearest
