"""What is near what: groups of places that chains of short distances join, without looking at every pair. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lifeline.geo import EARTH_RADIUS_M, coordinates
from lifeline.model import JsonObject

Floats = NDArray[np.float64]

BLOCK = 1024
"""Pairs are compared in blocks of so many rows, so that memory stays small."""

_AROUND = [(dx, dy) for dx in range(3) for dy in range(-2, 3) if (dx, dy) > (0, 0)]
"""Half of the cells around one in which something within a cell's diagonal can be; the others find it from there."""


class Groups:
    """Disjoint sets of 0..n-1. The name of a set does not depend on the order of the joins: it is its least member."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def find(self, member: int) -> int:
        """The least member of its group."""
        root = member
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[member] != root:
            self._parent[member], member = root, self._parent[member]
        return root

    def join(self, a: int, b: int) -> None:
        """Make one group of two."""
        a, b = self.find(a), self.find(b)
        self._parent[max(a, b)] = min(a, b)

    def join_all(self, members: Iterable[int]) -> None:
        """Make one group of the groups of all of these."""
        for a, b in pairwise(members):
            self.join(a, b)

    def __iter__(self) -> Iterator[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for member in range(len(self._parent)):
            found[self.find(member)].append(member)
        return iter(found.values())


def plane(longitude: Floats, latitude: Floats, reference: float) -> tuple[Floats, Floats]:
    """Metres east and north in the plane that touches the globe at latitude ``reference``: right to 1 % in a city."""
    metres = np.radians(1.0) * EARTH_RADIUS_M
    return longitude * metres * np.cos(np.radians(reference)), latitude * metres


def join_in_time(groups: Groups, members: Sequence[int], at: Floats, within_s: float) -> list[list[int]]:
    """Join members that are all near each other where their times are; the runs that come of it, each in order of time.

    In order of time, neighbours say it all: who is near in time to anybody is near to the next one.
    """
    runs: list[list[int]] = []
    for member in sorted(members, key=lambda each: (at[each], each)):
        if runs and at[member] - at[runs[-1][-1]] <= within_s:
            groups.join(runs[-1][-1], member)
            runs[-1].append(member)
        else:
            runs.append([member])
    return runs


def join_near(
    groups: Groups, members: Sequence[int], x: Floats, y: Floats, at: Floats, reach_m: float, within_s: float
) -> None:
    """Join every two members that are at most ``reach_m`` and ``within_s`` apart; x, y, at (n,) of all, NaN: nowhere.

    A grid whose cells' diagonal is the reach: in one cell all are near, and only few cells around can hold more.
    """
    if reach_m <= 0:
        return
    side = reach_m / np.sqrt(2.0)
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for member in members:
        if np.isfinite(x[member]) and np.isfinite(y[member]):
            cells[int(x[member] // side), int(y[member] // side)].append(member)
    runs = {cell: join_in_time(groups, inside, at, within_s) for cell, inside in cells.items()}
    for (column, row), here in runs.items():
        for dx, dy in _AROUND:
            for run in here:
                for other in runs.get((column + dx, row + dy), ()):
                    if groups.find(run[0]) != groups.find(other[0]) and _touch(run, other, x, y, at, reach_m, within_s):
                        groups.join(run[0], other[0])


def join_across(
    groups: Groups,
    some: Sequence[int],
    others: Sequence[int],
    x: Floats,
    y: Floats,
    at: Floats,
    reach_m: float,
    within_s: float,
) -> None:
    """Join each of some with every one of the others that is near it; two of one kind only by way of the other kind."""
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for member in others:
        if reach_m > 0 and np.isfinite(x[member]) and np.isfinite(y[member]):
            cells[int(x[member] // reach_m), int(y[member] // reach_m)].append(member)
    for member in some if cells else ():
        if np.isfinite(x[member]) and np.isfinite(y[member]):
            column, row = int(x[member] // reach_m), int(y[member] // reach_m)
            near = [each for dx in (-1, 0, 1) for dy in (-1, 0, 1) for each in cells.get((column + dx, row + dy), ())]
            there = np.array(near, int)
            close = np.hypot(x[member] - x[there], y[member] - y[there]) <= reach_m
            for other in there[close & (np.abs(at[member] - at[there]) <= within_s)].tolist():
                groups.join(member, other)


def _touch(
    run: Sequence[int], other: Sequence[int], x: Floats, y: Floats, at: Floats, reach_m: float, within_s: float
) -> bool:
    """Whether any two of two runs are near each other."""
    if at[run[0]] - at[other[-1]] > within_s or at[other[0]] - at[run[-1]] > within_s:
        return False
    right = np.asarray(other)
    for start in range(0, len(run), BLOCK):
        left = np.asarray(run[start : start + BLOCK])[:, None]
        near = np.hypot(x[left] - x[right], y[left] - y[right]) <= reach_m
        if np.any(near & (np.abs(at[left] - at[right]) <= within_s)):
            return True
    return False


def distance_to(geometry: JsonObject, longitude: float, latitude: float) -> float:
    """Metres from a point to a Point or LineString (GeoJSON), in the plane that touches the globe there."""
    vertices = np.array(coordinates(geometry))
    x, y = plane(vertices[:, 0] - longitude, vertices[:, 1] - latitude, latitude)
    if len(x) == 1:
        return float(np.hypot(x[0], y[0]))
    dx, dy = np.diff(x), np.diff(y)
    square = dx**2 + dy**2
    along = -(x[:-1] * dx + y[:-1] * dy)
    share = np.clip(np.divide(along, square, out=np.zeros_like(square), where=square > 0), 0.0, 1.0)
    return float(np.min(np.hypot(x[:-1] + share * dx, y[:-1] + share * dy)))
