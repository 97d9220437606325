"""How a network comes back: crews mend what is out, the most important first, and service returns step by step."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lifeline.planning.service import Service
from lifeline.risk.assets import Floats, Ints

LOOKS = 12
"""Moments of the recovery at which service is computed: more would cost time and say no more."""
NEARLY = 0.9


class Recovery(NamedTuple):
    """Share served at once, mean share until all is mended, hours until 90 % and until all is mended.

    ``leaked``: share of the demand that the leaks alone take.
    """

    share: float
    resilience: float
    hours_nearly: float
    hours: float
    leaked: float = 0.0


def recover(service: Service, out: Ints, leaking: Ints, hours: Floats, rank: Floats, crews: int) -> Recovery:
    """Mend ``out`` and then ``leaking`` with so many crews; ``hours`` and ``rank`` (n,) are of every asset.

    ``rank``: what is lost with an asset alone; the most lost for each hour of work is mended first. Resilience is the
    mean share served until the last repair (the area over the triangle of Bruneau et al. 2003).
    """
    share = service.share(out, leaking)
    if not len(out) and not len(leaking):
        return Recovery(share, share, 0.0, 0.0)
    order = np.concatenate([_first_first(out, rank / hours), leaking])
    done = finished(hours[order], crews)
    looks = _looks(0, len(out))
    if service.loses_water:
        looks += _looks(len(out), len(order))
    times, shares, leaked = [0.0], [share], 0.0
    for count in looks:
        times.append(float(done[:count].max()))
        shares.append(service.share(order[count : len(out)], order[max(count, len(out)) :]))
        leaked = 1.0 - shares[-1] if count == len(out) else leaked
    if not len(out):
        leaked = 1.0 - share
    last = float(done.max())
    times.append(last)
    shares.append(shares[-1])
    held = float((np.diff(times) * np.array(shares[:-1])).sum())
    nearly = next((when for when, each in zip(times, shares, strict=True) if each >= NEARLY), last)
    return Recovery(share, held / last if last > 0 else share, nearly, last, leaked)


def finished(hours: Floats, crews: int) -> Floats:
    """When each job of a list is done: the next job goes to the crew that is free first."""
    free = np.zeros(max(crews, 1))
    done = np.empty(len(hours))
    for at, need in enumerate(hours.tolist()):
        crew = int(free.argmin())
        free[crew] += need
        done[at] = free[crew]
    return done


def repair_hours(kinds: list[str], diameter_mm: Floats, table: Mapping[str, Any]) -> Floats:
    """Hours that one crew needs for each asset."""
    pipe = np.where(np.nan_to_num(diameter_mm, nan=0.0) > 300, table["large"], table["small"])
    by_kind = np.array([float(table.get(kind, table["small"])) for kind in kinds], dtype=np.float64)
    return np.where([kind == "pipe" for kind in kinds], pipe, by_kind)


def _looks(begin: int, end: int) -> list[int]:
    """How many are mended at the moments that are looked at, between two counts."""
    points = np.linspace(begin, end, min(LOOKS, end - begin) + 1)
    return [int(each) for each in np.unique(points.round())[1:]]


def _first_first(out: Ints, worth: Floats) -> Ints:
    return out[np.argsort(-worth[out], kind="stable")]
