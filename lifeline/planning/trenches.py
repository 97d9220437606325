"""Where works of different networks lie beside each other: dug in one year, they pay the road above them once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lifeline.geo import EARTH_RADIUS_M
from lifeline.planning.segments import Floats, Segments

STEP_M = 5.0
"""Distance of the points along a pipe at which it is asked who lies beside it."""
SHORTEST = 2.5
"""A trench is so many widths long at least: pipes that only cross are beside each other for two."""


@dataclass(frozen=True, slots=True)
class Trench:
    """``works`` (indices) lie beside each other for ``length_m``; the road above that costs ``surface``."""

    works: tuple[int, ...]
    length_m: float
    surface: float


def find_trenches(
    segments: Segments, works: Sequence[Sequence[int]], surfacing: Floats, width_m: float
) -> list[Trench]:
    """Every set of works of different networks that lie within ``width_m`` of each other.

    ``surfacing`` (n,) is what the road above each pipe costs. A stretch counts for the whole set of works there,
    so that three networks in a street save the road twice and not three times.
    """
    if len(set(segments.network)) < 2 or not len(segments):
        return []
    work_of = np.zeros(len(segments), dtype=np.int64)
    for number, work in enumerate(works):
        work_of[list(work)] = number
    per_m = surfacing / np.maximum(segments.length_m, 1e-9)
    metres: dict[tuple[int, ...], float] = {}
    money: dict[tuple[int, ...], float] = {}
    for pipe, step, near in _stretches(segments, width_m):
        members = tuple(sorted({int(work_of[pipe]), *(int(work_of[other]) for other in near)}))
        if len(members) > 1:
            metres[members] = metres.get(members, 0.0) + step / len(members)
            money[members] = money.get(members, 0.0) + step * float(per_m[pipe]) / len(members)
    return [
        Trench(members, metres[members], money[members])
        for members in sorted(metres)
        if metres[members] >= SHORTEST * width_m and money[members] > 0
    ]


def _stretches(segments: Segments, width_m: float) -> Iterator[tuple[int, float, list[int]]]:
    """(pipe, metres, pipes of other networks beside it) for every stretch of every pipe that has any beside it."""
    from shapely import STRtree, line_interpolate_point

    lines = _on_a_plane(segments)
    counts = np.maximum(1, np.round(segments.length_m / STEP_M)).astype(np.int64)
    pipe = np.repeat(np.arange(len(segments)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    points = line_interpolate_point(lines[pipe], (np.arange(len(pipe)) - first + 0.5) / counts[pipe], normalized=True)
    asked, hit = STRtree(lines).query(points, predicate="dwithin", distance=width_m)
    network = np.unique(np.array(segments.network), return_inverse=True)[1]
    other = network[pipe[asked]] != network[hit]
    asked, hit = asked[other], hit[other]
    order = np.argsort(asked, kind="stable")
    asked, hit = asked[order], hit[order]
    starts = np.flatnonzero(np.diff(asked, prepend=-1))
    for begin, end in pairwise([*starts.tolist(), len(asked)]):
        mine = int(pipe[asked[begin]])
        yield mine, float(segments.length_m[mine] / counts[mine]), hit[begin:end].tolist()


def _on_a_plane(segments: Segments) -> NDArray[np.object_]:
    """The pipes as lines in metres: equirectangular about the city's middle, right to 0.1 % over 50 km."""
    from shapely import linestrings

    sizes = [len(line) for line in segments.lines]
    positions = np.array([position for line in segments.lines for position in line], dtype=np.float64)
    latitude = np.radians((positions[:, 1].min() + positions[:, 1].max()) / 2)
    metres = np.radians(positions) * EARTH_RADIUS_M * np.array([np.cos(latitude), 1.0])
    made: NDArray[np.object_] = linestrings(metres, indices=np.repeat(np.arange(len(segments)), sizes))
    return made
