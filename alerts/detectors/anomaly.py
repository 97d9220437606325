"""Not as on other days, nor as the neighbours say: for what no rule of its own looks at.

    score = min(chart, residual)  where the sensors of its group explain a sensor out of sample,
            chart / ALONE         where none do,
    chart    = |EWMA of the seasonal z| / the limit that clean days reached with a margin (detectors/seasonal, charts),
    residual = what a sensor reads against its group, in limits of its own (detectors/residual).

Both must agree, as a holiday moves all sensors against the hour and none against the others, and a relation between two
sensors can shift by a valve while each reads as ever. Of a group two sensors must be off, the second by SECOND of the
limit: what happens in a pipe shows on both sides of it, and one that is off alone is sick (detectors/sickness tells).
The one that is furthest off speaks for its group; where a rule that explains it has an alert on the same joined
network, or had one lately, nothing new is said. Judged over a day of quarters; a sensor that is not ready is not
judged.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import residual
from alerts.knowledge import Known
from alerts.learning import chart
from alerts.rules import Anomaly
from alerts.scene import Scene, Scores, judge, number, of_sensors, one_of
from alerts.window import Ints
from lifeline.model import Finding, JsonObject

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


SECOND = 0.75
"""How far the second sensor of a group must be off, in its limit (default)."""


ALONE = 2.0
"""So much further must a sensor be off that none explains, as its clean weeks may have missed a valve (default)."""


class Judged(NamedTuple):
    """A part's sensors (quarter, sensor): the chart's score and the whole one; expected readings, and the readings."""

    chart: Floats
    score: Floats
    expected: Floats
    readings: Floats
    times: Floats
    explained: Bools
    """(sensor,): whether its group explains it."""


def detect(rule: Anomaly, scene: Scene) -> list[Finding]:
    """Findings of every part of the city."""
    return [finding for known in scene.knowledge.parts for finding in _part(rule, scene, known)]


def _part(rule: Anomaly, scene: Scene, known: Known) -> list[Finding]:
    fits = _fitting(rule, scene, known)
    if not fits.any():
        return []
    judged = _judged(scene, known)
    findings = []
    for positions, _ in known.residual_groups():
        mine = positions[judged.explained[positions] & fits[positions]]
        if len(mine):
            held = np.isin(scene.inventory.sensor_ids[known.columns[mine]], list(scene.held[rule.id]))
            score = _of_two(judged.score[:, mine])
            if scene.explained(rule, int(scene.topology.component[known.columns[mine[0]]])) and not held.any():
                score[:] = 0.0
            findings += _told(rule, scene, known, judged, mine, one_of(score, held))
    alone = np.flatnonzero(fits & ~judged.explained)
    score = judged.score[:, alone]
    held = np.isin(scene.inventory.sensor_ids[known.columns[alone]], list(scene.held[rule.id]))
    networks = scene.topology.component[known.columns[alone]]
    score[:, ~held & np.array([scene.explained(rule, int(one)) for one in networks], np.bool_)] = 0.0
    return findings + _told(rule, scene, known, judged, alone, score)


def _fitting(rule: Anomaly, scene: Scene, known: Known) -> Bools:
    """The part's sensors that the rule is for, that serve, and of which enough is known, (sensor,)."""
    inventory = scene.inventory
    fits = (known.columns >= 0) & known.part.baseline.ready
    columns = known.columns[fits]
    wanted = np.isin(inventory.quantities[columns], sorted(rule.quantities)) & inventory.in_service[columns]
    if rule.networks:
        wanted &= np.isin(inventory.networks[columns], sorted(rule.networks))
    fits[fits] = wanted
    return np.asarray(fits, np.bool_)


def _judged(scene: Scene, known: Known) -> Judged:
    told, readings, times = against_neighbours(scene, known, healthy=True)
    _, smooth = chart(known.part.baseline.seasonal, readings, times)
    charted = np.abs(smooth) / known.part.chart_limit
    explained = np.full(readings.shape[1], False)
    for positions, model in known.residual_groups():
        explained[positions] = model.explained > 0
    score = np.where(explained, np.fmin(charted, told.score), charted / ALONE)
    return Judged(charted, score, told.expected, readings, times, explained)


def against_neighbours(scene: Scene, known: Known, *, healthy: bool) -> tuple[residual.Judgement, Floats, Floats]:
    """What a part's sensors say of each other over the last day, their readings and the times; without those that are
    sick or stuck if ``healthy``. Worked out once a moment where there are none."""
    everything = np.maximum(known.columns, 0)
    absent = known.columns < 0
    if healthy:
        absent = absent | scene.sick[everything] | scene.stuck[everything]
    key = f"residual {int(known.part.baseline.sensor_ids[0])} {healthy and bool((absent & (known.columns >= 0)).any())}"
    if key not in scene.once:
        readings, times = scene.trend.values(everything)
        readings[:, absent] = np.nan
        scene.once[key] = residual.judge_groups(known.residual_groups(), readings, times), readings, times
    told: tuple[residual.Judgement, Floats, Floats] = scene.once[key]
    return told


def _of_two(score: Floats) -> Floats:
    """Scores (quarter, sensor) of a group, zero while fewer than two sensors are off."""
    if score.shape[1] < 2:
        return np.where(np.isnan(score), np.nan, 0.0)
    second = np.sort(np.nan_to_num(score), axis=1)[:, -2:-1]
    return np.where(np.isnan(score), np.nan, np.where(second >= SECOND, score, 0.0))


def _told(rule: Anomaly, scene: Scene, known: Known, judged: Judged, wanted: Ints, score: Floats) -> list[Finding]:
    columns = known.columns[wanted]
    order = np.argsort(-np.nan_to_num(judged.score[-1, wanted])) if len(wanted) else wanted

    def evidence(place: int) -> JsonObject:
        position = int(wanted[place])
        row, grouped = scene.inventory.rows[int(columns[place])], bool(judged.explained[position])
        others = [
            wanted[other] for other in order.tolist() if other != place and judged.score[-1, wanted[other]] > SECOND
        ]
        return {
            "quantity": row.quantity,
            "unit": scene.catalogue.quantities[row.quantity].unit,
            "value": number(judged.readings[-1, position]),
            "expected": number(judged.expected[-1, position]) if grouped else None,
            "expected_by": "neighbours, hour and weekday" if grouped else "hour and weekday",
            "chart": number(judged.chart[-1, position]),
            "also_off": [scene.inventory.rows[int(known.columns[other])].name for other in others[:SHOWN] if grouped],
            "baseline": known.part.baseline.version,
            "baseline_days": number(known.part.baseline.days[position]),
        }

    return judge(rule, Scores(of_sensors(scene, columns), score, judged.times, evidence), scene)


SHOWN = 3
"""How many of the others are named."""
