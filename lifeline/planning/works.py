"""Segments grouped into works: what one crew digs in one go."""

import numpy as np

from lifeline.planning.segments import Floats, Segments

LONGEST_WORK_M = 600.0
ALIKE = 0.4
"""A neighbour joins a work when its gain per cost is this share of the first pipe's at least (default)."""


def group(segments: Segments, merit: Floats, longest_m: float = LONGEST_WORK_M) -> list[list[int]]:
    """Works as lists of indices of pipes; each pipe is in exactly one.

    A work grows from the best pipe by ``merit`` (n,) along the network: it takes the best neighbour that is in the same
    street (or where neither's is known) and nearly as good, until it is ``longest_m`` long. Deterministic.
    """
    neighbours = _neighbours(segments)
    taken = np.zeros(len(segments), dtype=bool)
    merits, length = merit.tolist(), segments.length_m.tolist()
    works = []
    for seed in np.argsort(-merit, kind="stable").tolist():
        if taken[seed]:
            continue
        taken[seed] = True
        work, metres = [seed], length[seed]
        fits = {other for other in neighbours[seed] if _alike(segments, merits, seed, other)}
        while open_ends := {pipe for pipe in fits if not taken[pipe] and metres + length[pipe] <= longest_m}:
            best = max(open_ends, key=lambda pipe: (merits[pipe], -pipe))
            taken[best] = True
            work.append(best)
            metres += length[best]
            fits |= {other for other in neighbours[best] if _alike(segments, merits, seed, other)}
        works.append(sorted(work))
    return works


def _alike(segments: Segments, merits: list[float], seed: int, other: int) -> bool:
    return segments.street[other] == segments.street[seed] and merits[other] >= ALIKE * merits[seed]


def _neighbours(segments: Segments) -> list[list[int]]:
    """Pipes of the same network that meet each pipe."""
    at: dict[tuple[str, str], list[int]] = {}
    for pipe, network in enumerate(segments.network):
        for node in {segments.start[pipe], segments.end[pipe]}:
            at.setdefault((network, node), []).append(pipe)
    return [
        sorted(
            {
                other
                for node in (segments.start[pipe], segments.end[pipe])
                for other in at[network, node]
                if other != pipe
            }
        )
        for pipe, network in enumerate(segments.network)
    ]
