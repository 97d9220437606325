"""The networks as a graph: which assets are joined, and how many pipes lie between them. Pure."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

REMEMBERED = 50_000
"""How many neighbourhoods are kept."""


class Pipework:
    """Assets joined by ``from_asset`` and ``to_asset``. ``latitude`` is about where the city is.

    ``joints`` (2, n): each column is an asset and an asset at its end. From a chamber over a pipe to the next chamber
    are two joints, and one hop.
    """

    def __init__(self, joints: Ints, latitude: float = 0.0) -> None:
        self.latitude = latitude
        ordered = np.sort(joints, axis=None)
        self._assets = ordered[np.diff(ordered, prepend=-1) > 0]  # np.unique takes ten times as long
        ends = np.searchsorted(self._assets, np.concatenate([joints, joints[::-1]], axis=1))
        order = np.argsort(ends[0], kind="stable")
        self._neighbours = ends[1][order]
        self._starts = np.searchsorted(ends[0][order], np.arange(len(self._assets) + 1))
        self._components = _components(len(self._assets), ends)
        self._within = lru_cache(REMEMBERED)(self._search)

    def component(self, asset_id: int) -> int:
        """Equal for two assets that pipes join, however far apart; -1 for an asset that nothing is joined to."""
        place = self._place(asset_id)
        return -1 if place is None else int(self._components[place])

    def within(self, asset_id: int, hops: int) -> tuple[int, ...]:
        """Assets at most so many hops away, itself included."""
        return self._within(asset_id, hops)

    def _search(self, asset_id: int, hops: int) -> tuple[int, ...]:
        place = self._place(asset_id)
        if place is None:
            return (asset_id,)
        seen = {place}
        frontier = [place]
        for _ in range(2 * hops):
            frontier = [found for each in frontier for found in self._next(each, seen)]
        return tuple(self._assets[sorted(seen)].tolist())

    def _next(self, place: int, seen: set[int]) -> Iterator[int]:
        for neighbour in self._neighbours[self._starts[place] : self._starts[place + 1]].tolist():
            if neighbour not in seen:
                seen.add(neighbour)
                yield neighbour

    def _place(self, asset_id: int) -> int | None:
        place = int(np.searchsorted(self._assets, asset_id))
        found = place < len(self._assets) and self._assets[place] == asset_id
        return place if found else None


def _components(count: int, edges: Ints) -> Ints:
    """The least vertex that each is connected to: labels spread along edges, and each round shortens all chains."""
    labels = np.arange(count)
    while True:
        before = labels.copy()
        np.minimum.at(labels, edges[0], before[edges[1]])
        # Also the label's own vertex takes the smaller one, so that whole trees move at once.
        np.minimum.at(labels, before[edges[0]], before[edges[1]])
        labels = labels[labels]
        if np.array_equal(labels, before):
            return labels
