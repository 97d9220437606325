"""Methane in chambers: neighbours that rise together, and a leak told from biogas (detectors/biogas).

Neighbours. Per minute and chamber the score is the lesser of its own rate of rise (%LEL a minute, least squares over
five minutes) and that of the neighbour that rises fastest: gas that rises in one chamber is local, in two it spreads.
The chamber that rises fastest speaks for its neighbours.

Origin. A methane alert says how likely a leak is, and why. Biogas (P < 0.4) falls by one level: below 10 %LEL it is
nothing, as a sewer on a warm day is no event, and red stays red, as what explodes need not come from a pipe. That
biogas with hydrogen sulphide rises is nothing: the ladder of its level tells how much there is; where that gas is not
measured, a rise is told, as every leak begins low. What was told a leak stays one until P < 0.25, what was told biogas
stays so until P > 0.6. Where less than most of an hour is known, it is a leak.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import biogas
from alerts.rules import Neighbours, Rate, Threshold
from alerts.scene import Scene, Scores, judge, number, of_sensors
from alerts.window import Ints
from lifeline.model import Finding, JsonObject, Level

Floats = NDArray[np.float64]

RATE_S = 300.0
CALM_VOL = 0.02
"""A chamber whose methane moved by less than this within the window (%VOL) is not looked at."""
LEAK_UNTIL = 0.25
KNOWN_SHARE = 0.75
"""Share of the window that must be known before anything is called biogas."""
SULPHIDE = [biogas.FEATURES.index(name) for name in ("sulphide", "with_sulphide")]
TITLE = {"en": "Biogas in a chamber", "zh": "井室沼气积聚"}
ADVICE = {
    "en": "Low, steady and without a neighbour that rises: biogas of the sewer rather than a leak. Ventilate on the "
    "next round and measure; no ignition source, nobody enters. It becomes a leak alert once it behaves like one.",
    "zh": "浓度低且平稳、相邻井室未同步上升:更可能是沼气而非燃气泄漏。"
    "下次巡检时通风复测;严禁火源,未检测严禁下井。"
    "一旦呈泄漏特征将自动升级。",
}


def detect_neighbours(rule: Neighbours, scene: Scene) -> list[Finding]:
    """At most one finding for each cluster of chambers that rise together, and one for each alert that is open."""
    held = scene.held[rule.id]
    pairs = scene.topology.chambers
    low, high = scene.window.extremes(np.arange(len(scene.inventory.sensor_ids)))
    lively = (high - low >= CALM_VOL) & scene.inventory.in_service & ~scene.sick
    open_columns = scene.window.columns_of(np.array(list(held), np.int32))
    lively[open_columns[open_columns >= 0]] = True
    pairs = pairs[lively[pairs].all(axis=1)] if len(pairs) else pairs
    columns = np.union1d(pairs.ravel(), open_columns[open_columns >= 0]).astype(np.int64)
    if not len(columns):
        return []
    methane, times = scene.recent(columns)
    rise = biogas.rate_of_rise(methane, times, RATE_S)
    place = np.searchsorted(columns, pairs)
    score = np.where(np.isnan(rise), np.nan, np.maximum(shared_rise(rise, place), 0.0))
    mine = np.isin(scene.inventory.sensor_ids[columns], list(held))
    for one in _outshone(rise, place, mine):
        score[:, one] = 0.0

    def evidence(one: int) -> JsonObject:
        others = {b if a == one else a for a, b in place.tolist() if one in (a, b)}
        return {
            "quantity": "methane",
            "unit": "%LEL/min",
            "value": number(rise[-1, one]),
            "methane": number(methane[-1, one]),
            "neighbours": [
                {
                    "sensor": scene.inventory.rows[int(columns[other])].name,
                    "methane": number(methane[-1, other]),
                    "rise": number(rise[-1, other]),
                }
                for other in sorted(others)
            ],
        }

    return judge(rule, Scores(of_sensors(scene, columns), score, times, evidence), scene)


def shared_rise(rise: Floats, pairs: Ints) -> Floats:
    """(row, chamber): the lesser of its own rise and that of its fastest neighbour; -inf without one. ``pairs``
    (pair, 2) are positions."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    shared = np.full(rise.shape, -np.inf)
    if len(both):
        chambers, first = np.unique(both[:, 0], return_index=True)
        lesser = np.fmin(rise[:, both[:, 0]], rise[:, both[:, 1]])
        shared[:, chambers] = np.fmax(shared[:, chambers], np.fmax.reduceat(lesser, first, axis=1))
    return shared


def _outshone(rise: Floats, pairs: Ints, held: NDArray[np.bool_]) -> list[int]:
    """Chambers beside one that speaks for them: it has an alert already, or it rises faster."""
    newest = np.nan_to_num(np.fmax.reduce(np.minimum(rise, 1e9), axis=0, initial=-np.inf), neginf=-1e9)
    rank = newest + np.where(held, 1e12, 0.0) - np.arange(len(newest)) * 1e-9
    silent = {int(a if rank[a] < rank[b] else b) for a, b in pairs.tolist()}
    return [one for one in silent if not held[one]]


def with_origin(rule: Threshold | Rate, found: list[Finding], scene: Scene) -> list[Finding]:
    """Methane findings with the likely origin as evidence, and with the level that it deserves."""
    active = [finding for finding in found if finding.level is not None]
    if not active:
        return found
    columns = scene.window.columns_of(np.array([finding.subject.id for finding in active], np.int32))
    origin, among = _origin(scene, columns)
    told = {}
    for finding, place in zip(active, among.tolist(), strict=True):
        likely = float(origin.leak[place])
        held = scene.held[rule.id].get(finding.subject.id)
        told[finding.subject] = _said(rule, finding, likely, origin, place, held)
    judged = [told.get(finding.subject, finding) if finding.level is not None else finding for finding in found]
    before = scene.held[rule.id]
    return [finding for finding in judged if finding.level is not None or finding.subject.id in before]


def _origin(scene: Scene, columns: Ints) -> tuple[biogas.Origin, Ints]:
    """The classification of chambers with their neighbours beside them, and where ``columns`` stand in it."""
    pairs = scene.topology.chambers
    around = pairs[np.isin(pairs, columns).any(axis=1)].ravel() if len(pairs) else np.empty(0, np.int64)
    everyone = np.union1d(columns, around).astype(np.int64)
    methane, times = scene.recent(everyone)
    neighbours = np.zeros((len(everyone), len(everyone)), np.bool_)
    near = pairs[np.isin(pairs, everyone).all(axis=1)] if len(pairs) else pairs
    place = np.searchsorted(everyone, near)
    neighbours[place[:, 0], place[:, 1]] = neighbours[place[:, 1], place[:, 0]] = True
    sulphide = np.full(methane.shape, np.nan)
    for position, beside in _beside(scene, everyone, "h2s").items():
        sulphide[:, position] = scene.recent(np.array([beside]))[0][:, 0]
    told = biogas.classify(methane, times, neighbours, None, sulphide)
    unknown = np.isnan(methane).mean(axis=0) > 1 - KNOWN_SHARE
    return told._replace(leak=np.where(unknown, np.nan, told.leak)), np.searchsorted(everyone, columns)


def _beside(scene: Scene, columns: Ints, quantity: str) -> dict[int, int]:
    """The sensor of another quantity at the asset of each column, where there is one; by position in ``columns``."""
    asset_of = scene.topology.asset_of
    there = {asset_of[c]: c for c in scene.inventory.by_quantity.get(quantity, np.empty(0, np.int64)).tolist()}
    there.pop(None, None)
    return {p: there[asset_of[c]] for p, c in enumerate(columns.tolist()) if asset_of[c] in there}


def _said(
    rule: Threshold | Rate, finding: Finding, likely: float, origin: biogas.Origin, place: int, held: Level | None
) -> Finding:
    assert finding.level is not None
    was_biogas, was_leak = held is not None and held > finding.level, held is not None and held <= finding.level
    until = biogas.LEAK_FROM if was_biogas else LEAK_UNTIL if was_leak else biogas.BIOGAS_BELOW
    is_biogas = likely < until
    if isinstance(rule, Rate):
        is_nothing = is_biogas and finding.level is not Level.RED and (origin.votes[place, SULPHIDE] < 0).any()
        return replace(finding, level=None) if is_nothing else finding
    features = zip(biogas.FEATURES, origin.features[place], origin.votes[place], strict=True)
    evidence = finding.evidence | {
        "origin": {
            "verdict": "biogas" if is_biogas else "leak" if likely >= biogas.LEAK_FROM else "open",
            "leak_probability": number(likely),
            "features": {name: {"value": number(value), "vote": number(vote)} for name, value, vote in features},
        }
    }
    if not is_biogas or finding.level is Level.RED:
        return replace(finding, evidence=evidence)
    return replace(finding, level=_milder(finding.level), evidence=evidence | {"title": TITLE, "advice": ADVICE})


def _milder(level: Level) -> Level | None:
    """What biogas deserves: a sewer that gives off a little on every warm day is no event."""
    return {Level.ORANGE: Level.YELLOW, Level.YELLOW: Level.BLUE}.get(level)
