"""Not as on other days, nor as the neighbours say: for what no rule of its own looks at.

    score = min(chart, residual)  where the sensors of its group explain a sensor out of sample,
            chart                 where none do,
    chart    = |EWMA of the seasonal z| / the limit that clean days reached with a margin (detectors/seasonal, charts),
    residual = what a sensor reads against its group, in limits of its own (detectors/residual).

Both must agree, as a holiday moves all sensors against the hour and none against the others, and a relation between two
sensors can shift by a valve while each reads as ever. Judged over a day of quarters; a sensor that is not ready is not
judged.
"""

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import residual
from alerts.knowledge import Known
from alerts.learning import chart
from alerts.rules import Anomaly
from alerts.scene import Scene, Scores, judge, number, of_sensors
from lifeline.model import Finding, JsonObject

Floats = NDArray[np.float64]


def detect(rule: Anomaly, scene: Scene) -> list[Finding]:
    """Findings of every part of the city."""
    return [finding for known in scene.knowledge.parts for finding in _part(rule, scene, known)]


def _part(rule: Anomaly, scene: Scene, known: Known) -> list[Finding]:
    there = np.flatnonzero((known.columns >= 0) & known.part.baseline.ready)
    rows, serves = scene.inventory.rows, scene.inventory.in_service
    places = [
        place
        for place in there.tolist()
        if rows[c := known.columns[place]].quantity in rule.quantities and rule.covers(rows[c].network) and serves[c]
    ]
    wanted = np.array(places, np.int64)
    if not len(wanted):
        return []
    everything = np.where(known.columns >= 0, known.columns, 0)
    readings, times = scene.trend.values(everything)
    readings[:, (known.columns < 0) | scene.sick[everything]] = np.nan
    season = known.part.baseline.seasonal
    _, smooth = chart(season, readings, times)
    charted = np.abs(smooth) / known.part.chart_limit
    explained = np.full(readings.shape[1], False)
    for positions, model in known.residual_groups():
        explained[positions] = model.explained > 0
    told = residual.judge_groups(known.residual_groups(), readings, times)
    score = np.where(explained, np.fmin(charted, told.score), charted)[:, wanted]
    columns = known.columns[wanted]

    def evidence(place: int) -> JsonObject:
        position = int(wanted[place])
        row = rows[int(columns[place])]
        alone = not explained[position]
        return {
            "quantity": row.quantity,
            "unit": scene.catalogue.quantities[row.quantity].unit,
            "value": number(readings[-1, position]),
            "expected": None if alone else number(told.expected[-1, position]),
            "expected_by": "hour and weekday" if alone else "neighbours, hour and weekday",
            "chart": number(charted[-1, position]),
            "baseline": known.part.baseline.version,
            "baseline_days": number(known.part.baseline.days[position]),
        }

    return judge(rule, Scores(of_sensors(scene, columns), score, times, evidence), scene)
