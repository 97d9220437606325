"""How a network comes back: crews mend what is out, the most important first, and service returns step by step."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lifeline.planning.course import NEARLY
from lifeline.planning.service import NONE, Service
from lifeline.risk.assets import Floats, Ints


class Recovery(NamedTuple):
    """What is served of a network from a shock until all is as it was.

    ``share``: at once; ``worst``: the least at any time; ``resilience``: the mean until all is as it was (the area over
    the triangle of Bruneau et al. 2003); ``hours_nearly``: until 90 % is served for good; ``hours``: until all is
    mended, served and stored as before; ``mended``: until the last repair; ``lasts``: until the first goes short,
    infinite where nobody does; ``leaked``: share of the demand that the leaks alone take.
    """

    share: float
    worst: float
    resilience: float
    hours_nearly: float
    hours: float
    mended: float
    lasts: float
    leaked: float


def recover(service: Service, out: Ints, leaking: Ints, hours: Floats, rank: Floats, crews: int) -> Recovery:
    """Mend ``out`` and then ``leaking`` with so many crews; ``hours`` and ``rank`` (n,) are of every asset.

    ``rank``: what is lost with an asset alone; the most lost for each hour of work is mended first. What was not seen
    to end counts to the end of what was followed.
    """
    share = service.share(out, leaking)
    if not len(out) and not len(leaking):
        return Recovery(share, share, share, 0.0, 0.0, 0.0, float("inf"), 0.0)
    first = _first_first(out, rank / hours)
    done = finished(hours[np.concatenate([first, leaking])], crews)
    found = service.course(first, leaking, done)
    seen = float(found.hours[-1])
    last = max(min(found.ended, seen), float(done.max()))
    leaked = 1.0 - service.share(NONE, leaking) if len(leaking) else 0.0
    return Recovery(
        share, min(share, found.worst), found.mean(last), min(found.since(NEARLY), last), last,
        float(done.max()), found.lasts, leaked,
    )  # fmt: skip


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


def _first_first(out: Ints, worth: Floats) -> Ints:
    return out[np.argsort(-worth[out], kind="stable")]
