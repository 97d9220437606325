"""Bursts of water mains, from what was learned of each network (detectors/burst).

r is the pressure's residual against inlets, tanks, hour and the network's median. Per network and minute

    score = max( -r / the deepest fall that clean days showed with a margin,      sudden: within minutes
                 CUSUM of -r over the quarters of a day / LASTING of its limit )  small and lasting

while a second sensor reaches SECOND of its own limit, on the mean of two minutes: several see a burst, and one that
falls alone is more likely sick. At the end of a branch only one can see it, and the inlets are the witness: a fall
ALONE times as deep counts by itself where the inflow has grown by FED since it began, within the window, the reading
itself fell (one that is stuck does not), and both last. An alert that is open needs no second one: of a small leak that
other sensor falls now and then. The one with the largest fall speaks for its network: one alert a burst.

Where a tank stands where it never stood while its network was learned, nothing is known of pressures, but a fall within
minutes is one all the same: r counts then against its own mean of the hour before (burst.since), which needs no
baseline of levels, and from UNSETTLED times the limit.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import burst, charts, rolling
from alerts.knowledge import Columns, Known, Mains
from alerts.rules import Burst
from alerts.scene import Scene, Scores, judge, number, of_sensors, one_of
from alerts.window import Ints
from lifeline.model import Finding, JsonObject

Floats = NDArray[np.float64]

SEARCH_M = 1500.0
"""Pipes no further along the network than this from the largest fall are ranked."""
NAMED = 3
FALL_ROWS = 3
UNSETTLED = 2.0
"""While another rule explains the network, and until its tanks are full again, a fall must be so many times as deep as
what clean days showed: pumps and tanks do then what they never did (default)."""
LASTING = 1.4
"""How far beyond its limit the slow chart must be (default). The tail of a CUSUM is exponential (Page 1954): the most
of n independent spans grows with log n. A clean week has some 33, as the chart forgets within five hours; its limit has
a margin of 1.25, with which this makes 1.75, and 33^1.75 spans are those of fourteen weeks.
"""
ALONE, ALONE_S, FED = 3.0, 120.0, 0.1
"""How many times as deep a fall must be that one sensor sees alone, for how long at least, and what share of the inflow
must have come with it (defaults): a pipe that spills so much is fed so much more."""
SECOND = 0.5
"""How far the second sensor must have fallen, in its own limit (default): three sigma, more where falls are usual."""


class Group(NamedTuple):
    """Pressures of one network with the inventory's columns of them and of their anchors."""

    known: Known
    mains: Mains
    columns: Columns
    anchors: Columns


def detect_burst(rule: Burst, scene: Scene) -> list[Finding]:
    """At most one finding for each network of pressures, and one for each alert that is open.

    Only networks are looked at in which a pressure moved within the window by half of what would be a burst, or whose
    slow chart is half way: in the others nothing can be found.
    """
    groups = _groups(rule, scene)
    lasting = _lasting(scene, groups)
    found = []
    for group, (slow, ends) in zip(groups, lasting, strict=True):
        low, high = scene.window.extremes(group.columns)
        with np.errstate(invalid="ignore"):
            moved = bool((high - low >= SECOND * group.mains.sudden).any())
        held = np.isin(scene.inventory.sensor_ids[group.columns], list(scene.held[rule.id]))
        if moved or held.any() or (len(slow) and np.nanmax(slow[-1], initial=0.0) >= SECOND):
            found += _network(rule, scene, group, slow, ends, held)
    return found


def _groups(rule: Burst, scene: Scene) -> list[Group]:
    found = []
    for known in scene.knowledge.parts:
        for mains in known.part.mains:
            columns, anchors = known.group(mains.pressures), known.group(mains.anchors)
            if columns is not None and anchors is not None and rule.covers(scene.inventory.rows[columns[0]].network):
                found.append(Group(known, mains, columns, anchors))
    return found


def _network(
    rule: Burst, scene: Scene, group: Group, slow: Floats, ends: Floats, held: NDArray[np.bool_]
) -> list[Finding]:
    known, mains, columns, anchors = group
    pressure, times = scene.recent(columns)
    flow, _ = scene.recent(anchors)
    foreign = _foreign(mains, flow)
    quick = burst.residuals(mains.model, pressure, flow, times)
    quick = np.where(foreign, burst.since(quick, times), quick)
    settled = bool(len(ends)) and not scene.explained(rule, int(scene.topology.component[columns[0]]))
    usual = ~foreign & settled
    before = np.searchsorted(ends, times, side="right") - 1
    lasting = slow[np.maximum(before, 0)] * (usual & (before[:, None] >= 0)) if settled else 0.0
    score = np.fmax(-quick / np.where(usual, 1.0, UNSETTLED) / mains.sudden, lasting)
    inflow = np.abs(flow[:, np.isinf(mains.high)]).sum(axis=1)
    alone = alone_with_inlets(-quick / mains.sudden, pressure / mains.sudden, inflow, times)
    score = np.where(_seen_by_two(score) | held.any(), score, np.where(usual, alone, 0.0))
    score = np.where(np.isnan(quick), np.nan, score)

    def evidence(place: int) -> JsonObject:
        residual, falls = quick[-1, place], burst.fall(mains.model, quick, FALL_ROWS)
        return {
            "quantity": "pressure",
            "unit": scene.catalogue.quantities["pressure"].unit,
            "value": number(pressure[-1, place]),
            "expected": number(pressure[-1, place] - residual),
            "fall": number(-residual),
            "fallen_most_on_clean_days": number(mains.sudden[place]),
            "sensors_falling": _falling(scene, columns, falls),
            "pipes": likely_pipes(scene, columns, falls),
            "baseline": known.part.baseline.version,
        }

    return judge(rule, Scores(of_sensors(scene, columns), one_of(score, held), times, evidence), scene)


def _foreign(mains: Mains, anchors: Floats) -> NDArray[np.bool_]:
    """(row, 1): a tank stands where it never stood while its network was learned."""
    return np.asarray(((anchors < mains.low) | (anchors > mains.high)).any(axis=1, keepdims=True))


def _seen_by_two(score: Floats) -> NDArray[np.bool_]:
    """(row, 1): whether a second sensor fell with the first."""
    falls = np.sort(np.nan_to_num(score, nan=-np.inf), axis=1)[:, -2:-1]
    if not falls.shape[1]:
        return np.zeros((len(score), 1), np.bool_)
    before = np.concatenate([falls[:1], falls[:-1]])
    return np.asarray((falls + before) / 2 >= SECOND)


def alone_with_inlets(fall: Floats, pressure: Floats, inflow: Floats, times: Floats) -> Floats:
    """Score of what one sensor sees alone with the inlets, (row, sensor): its ``fall`` or what its ``pressure`` has
    fallen since, whichever is less (both in its limit), or 0; ``inflow`` (row,) is that of all inlets."""
    rows = np.arange(len(times))[:, None]
    before = np.maximum.accumulate(np.where(fall < SECOND, rows, -1), axis=0)
    fell = np.take_along_axis(pressure, np.maximum(before, 0), axis=0) - pressure
    deep = np.minimum(fall, fell)
    with np.errstate(invalid="ignore"):
        fed = inflow[:, None] >= (1 + FED) * inflow[np.maximum(before, 0)]
        lasts = rolling.held((before >= 0) & fed & (inflow[:, None] > 0) & (deep >= ALONE), times, ALONE_S)
    return np.where(lasts, deep, 0.0)


def _lasting(scene: Scene, groups: Sequence[Group]) -> list[tuple[Floats, Floats]]:
    """Of each network the CUSUM's score over the quarters of a day, and their ends: one chart over all at once, worked
    out once a quarter."""
    ends = scene.trend.values(np.empty(0, np.int64))[1]
    key = ("burst", len(groups))
    if key not in scene.memo:
        z = [_slow_residuals(scene, group, ends) / group.mains.model.sigma for group in groups]
        together = np.hstack(z) if z else np.empty((len(ends), 0))
        limit = np.concatenate([np.empty(0), *(group.mains.model.limit for group in groups)])
        scene.memo[key] = charts.cusum(together, burst.SLACK, burst.CLIP).down / (LASTING * limit)
    score = scene.memo[key]
    starts = np.cumsum([0, *(len(group.columns) for group in groups)]).tolist()
    return [(score[:, begin:end], ends) for begin, end in pairwise(starts)]


def _slow_residuals(scene: Scene, group: Group, ends: Floats) -> Floats:
    pressure, flow = scene.trend.values(group.columns)[0], scene.trend.values(group.anchors)[0]
    pressure[:, scene.sick[group.columns] | scene.stuck[group.columns]] = np.nan
    pressure = np.where(_foreign(group.mains, flow), np.nan, pressure)
    return burst.residuals(group.mains.model, pressure, flow, ends)


def _falling(scene: Scene, columns: Ints, falls: Floats) -> list[JsonObject]:
    order = np.argsort(-np.nan_to_num(falls, nan=-np.inf))[:NAMED]
    return [
        {"sensor": scene.inventory.rows[int(columns[place])].name, "sigma": number(falls[place])}
        for place in order.tolist()
        if falls[place] > 0
    ]


def likely_pipes(scene: Scene, columns: Ints, falls: Floats) -> list[JsonObject]:
    """The pipes that explain the falls best, with their shares of likelihood."""
    topology = scene.topology
    known = np.flatnonzero(np.isfinite(falls))
    start = topology.asset_of[int(columns[int(known[np.argmax(falls[known])])])] if len(known) else None
    if start is None:
        return []
    near = [asset for asset in topology.distances(start, SEARCH_M) if _is_pipe(scene, asset)]
    far = [_distances(scene, int(column)) for column in columns]
    metres = np.array([[reach.get(pipe, 2 * SEARCH_M) for reach in far] for pipe in near])
    if not len(near):
        return []
    share = burst.rank_pipes(falls, metres)
    order = np.argsort(-share, kind="stable")[:NAMED]
    return [
        {"asset": topology.assets[near[place]].external_id, "share": number(share[place])} for place in order.tolist()
    ]


def _distances(scene: Scene, column: int) -> dict[int, float]:
    start = scene.topology.asset_of[column]
    return {} if start is None else scene.topology.distances(start, 2 * SEARCH_M)


def _is_pipe(scene: Scene, asset: int) -> bool:
    row = scene.topology.assets.get(asset)
    return row is not None and row.kind == "pipe"
