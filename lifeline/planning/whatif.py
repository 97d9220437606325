"""What if: close, renew or add pipes, and see the risk change. Pure: the city before, the changes, the city after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lifeline import risk
from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import Asset, JsonObject, Level
from lifeline.planning.cost import Costs
from lifeline.planning.segments import Known, Segments, segments_of
from lifeline.risk.deterioration import Deterioration


@dataclass(frozen=True, slots=True)
class Changes:
    """What is tried. ``close``: out of service; ``renew``: laid anew, of the renewal material; ``add``: new pipes."""

    close: Sequence[str] = ()
    renew: Sequence[str] = ()
    add: Sequence[Asset] = ()


def what_if(
    pipes: Sequence[Asset],
    known: Known,
    changes: Changes,
    costs: Costs,
    year: int,
    classes: Deterioration | None = None,
    served: Mapping[str, int] | None = None,
) -> JsonObject:
    """Figures before and after, by network too, each pipe that changes with its score, and what is cut off.

    ``known`` is the pipes' standing risk; ``served`` the customers at each joint, where joints hold them. Raises
    NotFoundError for a name that is no pipe's, ConflictError for a new pipe whose name is taken or one that is both
    closed and renewed.
    """
    _check(pipes, changes)
    before = segments_of(pipes, year, known, classes)
    after = _after(pipes, known, changes, costs, year, classes)
    networks = sorted({*before.network, *after.network})
    return {
        "before": _figures(before, costs),
        "after": _figures(after, costs),
        "networks": {
            name: {"before": _figures(before, costs, name), "after": _figures(after, costs, name)} for name in networks
        },
        "changed": _changed(before, after, changes),
        "cut_off": _cut_off(before, after, frozenset(changes.close), served or {}),
    }


def _check(pipes: Sequence[Asset], changes: Changes) -> None:
    names = {pipe.external_id for pipe in pipes}
    for name in (*changes.close, *changes.renew):
        if name not in names:
            raise NotFoundError(f"there is no pipe {name!r} in service")
    both = set(changes.close) & set(changes.renew)
    if both:
        raise ConflictError(f"{min(both)!r} cannot be closed and renewed")
    added = [pipe.external_id for pipe in changes.add]
    taken = [name for place, name in enumerate(added) if name in names or name in added[:place]]
    if taken:
        raise ConflictError(f"there is a pipe {taken[0]!r} already")


def _after(
    pipes: Sequence[Asset], known: Known, changes: Changes, costs: Costs, year: int, classes: Deterioration | None
) -> Segments:
    """Renewed pipes lose their history and keep their consequence; new ones have only what they say of themselves."""
    closed, renewed = set(changes.close), set(changes.renew)
    stay = [place for place, pipe in enumerate(pipes) if pipe.external_id not in closed]
    anew = np.array([pipes[place].external_id in renewed for place in stay], dtype=np.bool_)
    kept = [
        replace(pipes[place], material=costs.new_material(pipes[place].network), install_year=year, condition=None)
        if new
        else pipes[place]
        for place, new in zip(stay, anew.tolist(), strict=True)
    ]
    unknown = np.full(len(changes.add), np.nan)
    columns = Known(
        np.concatenate([np.where(anew, np.nan, known.lof[stay]), unknown]),
        np.concatenate([known.cof[stay], unknown]),
        np.concatenate([np.where(anew, np.nan, known.rate[stay]), unknown]),
    )
    return segments_of([*kept, *changes.add], year, columns, classes)


def _figures(segments: Segments, costs: Costs, network: str | None = None) -> JsonObject:
    """Failures a year and what they cost, the mean score by length, metres by level; of one network or of all."""
    here: NDArray[np.bool_] = np.array([network in (None, name) for name in segments.network], dtype=np.bool_)
    length, score = segments.length_m[here], segments.score[here]
    failures = segments.rate[here] * length / 1000.0
    level, total = risk.levels(score), float(length.sum())
    return {
        "pipes": int(here.sum()),
        "length_m": total,
        "failures_per_year": float(failures.sum()),
        "loss_per_year": float((failures * costs.of_failure(segments.cof[here])).sum()),
        "score": float((score * length).sum() / total) if total else None,
        "length_by_level": {each.slug: float(length[level == each].sum()) for each in Level},
    }


def _changed(before: Segments, after: Segments, changes: Changes) -> list[JsonObject]:
    was = dict(zip(before.external_id, before.score.tolist(), strict=True))
    will = dict(zip(after.external_id, after.score.tolist(), strict=True))
    words = dict.fromkeys(changes.close, "closed") | dict.fromkeys(changes.renew, "renewed")
    words |= {pipe.external_id: "added" for pipe in changes.add}
    return [
        {"asset": name, "change": word, "score_before": was.get(name), "score_after": will.get(name)}
        for name, word in words.items()
    ]


def _cut_off(before: Segments, after: Segments, closed: frozenset[str], served: Mapping[str, int]) -> JsonObject:
    """Pipes that hung on what is closed: no longer joined to the longest part of what they were joined to.

    By the graph alone: it knows nothing of pressure. Where a network has several sources, each part may have one.
    """
    whole = _parts(before)
    touched = {whole[pipe] for pipe, name in enumerate(before.external_id) if name in closed}
    whole_of = dict(zip(before.external_id, whole, strict=True))
    length: dict[tuple[int, int], float] = {}
    part_of: dict[int, tuple[int, int]] = {}
    for pipe, part in enumerate(_parts(after)):
        origin = whole_of.get(after.external_id[pipe], -1)
        if origin in touched:
            part_of[pipe] = (origin, part)
            length[origin, part] = length.get((origin, part), 0.0) + float(after.length_m[pipe])
    longest = {
        max((key for key in length if key[0] == origin), key=lambda key: length[key], default=None)
        for origin in touched
    }
    lost = [pipe for pipe, key in part_of.items() if key not in longest]
    return {
        "pipes": sorted(after.external_id[pipe] for pipe in lost),
        "length_m": float(after.length_m[lost].sum()),
        "customers": _customers(before, after, closed, set(lost), served),
    }


def _customers(
    before: Segments, after: Segments, closed: frozenset[str], lost: set[int], served: Mapping[str, int]
) -> int:
    """Customers without service: at joints that no pipe in service leads to any more, as ``risk.reach`` counts them.

    Customers of a network whose joints hold none are those of its pipes that are closed or cut off.
    """
    of_joints = {
        network
        for network, *ends in zip(before.network, before.start, before.end, strict=True)
        if any(served.get(end) for end in ends)
    }
    stays = set(range(len(after.external_id))) - lost
    reached = {end for pipe in stays for end in (after.start[pipe], after.end[pipe])}
    joints = {*before.start, *before.end} - reached
    gone = closed | {after.external_id[pipe] for pipe in lost}
    held = np.nan_to_num(before.inventory.customers)
    on_pipes = sum(
        held[pipe]
        for pipe, name in enumerate(before.external_id)
        if name in gone and before.network[pipe] not in of_joints
    )
    return sum(served.get(joint, 0) for joint in joints) + int(on_pipes)


def _parts(segments: Segments) -> list[int]:
    """For each pipe, the joined part of its network that it lies in (union-find)."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def top(node: tuple[str, str]) -> tuple[str, str]:
        while above.setdefault(node, node) != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    ends = list(zip(segments.network, segments.start, segments.end, strict=True))
    for network, start, end in ends:
        above[top((network, start))] = top((network, end))
    numbers: dict[tuple[str, str], int] = {}
    return [numbers.setdefault(top((network, start)), len(numbers)) for network, start, _ in ends]
