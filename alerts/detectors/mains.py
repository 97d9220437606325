"""Bursts of water mains, from what was learned of each network (detectors/burst).

r is the pressure's residual against inlets, tanks, hour and the network's median. Per network and minute

    score = max( -r / the deepest fall that clean days showed with a margin,      sudden: within minutes
                 CUSUM of -r over the quarters of a day / its limit )             small and lasting

while a second sensor reaches SECOND of its own limit, on the mean of two minutes: several see a burst, and one that
falls alone is more likely sick. The one with the largest fall speaks for its network: one alert a burst.
"""

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import burst
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
SECOND = 0.5
"""How far the second sensor must have fallen, in its own limit (default): three sigma, more where falls are usual."""


def detect_burst(rule: Burst, scene: Scene) -> list[Finding]:
    """At most one finding for each network of pressures, and one for each alert that is open."""
    found = []
    for known in scene.knowledge.parts:
        for mains in known.part.mains:
            columns, anchors = known.group(mains.pressures), known.group(mains.anchors)
            if columns is not None and anchors is not None and rule.covers(scene.inventory.rows[columns[0]].network):
                found += _network(rule, scene, known, mains, columns, anchors)
    return found


def _network(
    rule: Burst, scene: Scene, known: Known, mains: Mains, columns: Columns, anchors: Columns
) -> list[Finding]:
    pressure, times = scene.recent(columns)
    flow, _ = scene.recent(anchors)
    pressure = np.where(_foreign(mains, flow), np.nan, pressure)
    quick = burst.residuals(mains.model, pressure, flow, times)
    slow, ends = _lasting(scene, mains, columns, anchors)
    before = np.searchsorted(ends, times, side="right") - 1
    settled = len(ends) and not scene.explained(rule, int(scene.topology.component[columns[0]]))
    lasting = np.where(before[:, None] >= 0, slow[np.maximum(before, 0)], 0.0) if settled else 0.0
    score = np.fmax(-quick / mains.sudden, np.where(np.isnan(quick), np.nan, lasting))
    score = np.where(np.isnan(quick), np.nan, np.where(_seen_by_two(score), score, 0.0))
    held = np.isin(scene.inventory.sensor_ids[columns], list(scene.held[rule.id]))

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
    """(row, 1): a tank stands where it never stood while its network was learned: nothing is known of pressures."""
    return np.asarray(((anchors < mains.low) | (anchors > mains.high)).any(axis=1, keepdims=True))


def _seen_by_two(score: Floats) -> NDArray[np.bool_]:
    """(row, 1): whether a second sensor fell with the first."""
    falls = np.sort(np.nan_to_num(score, nan=-np.inf), axis=1)[:, -2:-1]
    if not falls.shape[1]:
        return np.zeros((len(score), 1), np.bool_)
    before = np.concatenate([falls[:1], falls[:-1]])
    return np.asarray((falls + before) / 2 >= SECOND)


def _lasting(scene: Scene, mains: Mains, columns: Columns, anchors: Columns) -> tuple[Floats, Floats]:
    """The CUSUM's score over the quarters of a day, and their ends."""
    key = ("burst", int(columns[0]))
    quarters, ends = scene.trend.values(columns)
    if key not in scene.memo:
        quarters[:, scene.sick[columns] | scene.stuck[columns]] = np.nan
        flow = scene.trend.values(anchors)[0]
        quarters = np.where(_foreign(mains, flow), np.nan, quarters)
        scene.memo[key] = burst.detect(mains.model, quarters, flow, ends).score
    return scene.memo[key], ends


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
