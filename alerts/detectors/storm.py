"""Rain beyond what sewers were designed for, told by the rain itself, before the water is in the sewers.

Sewers are sized by a formula of the rain's intensity over a duration t (minutes) that comes back every P years, which
each city publishes (GB 50014, Standard for design of outdoor wastewater engineering: the general form of China's
暴雨强度公式)

    q(t, P) = A (1 + C lg P) / (t + b)^n      L/(s ha), of which 1 is 0.36 mm/h

Solved for P, what truly fell over each of DURATIONS_S until now tells how rarely so much falls,

    P = 10^((q_fallen(t) / q(t, 1) - 1) / C),

and the rarest of them is the score, in years: pipes designed for P years are beyond their capacity from there on, those
near a sewer's head (the shortest durations) first. No duration is shorter than the shortest inlet time of the standard,
five minutes: so long water takes to the gully. A reading that stands alone is a gauge that was knocked, and no storm
(gauges.py).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import rolling
from alerts.rules import Formula, Storm
from alerts.scene import Scene, Scores, judge, number, of_sensors
from lifeline.model import Finding, JsonObject

Floats = NDArray[np.float64]

DURATIONS_S = (300.0, 600.0, 900.0, 1800.0, 3600.0)
"""Within what such formulas are fitted to (5 to 120 minutes), and within the minutes that are remembered."""
RAREST = 100.0
"""Years: no formula is fitted to rarer rain."""
MM_H = 0.36
STANDS_S = 360.0
"""A reading speaks for no longer than this: a gauge that dies in a shower rains no on."""


class Judgement(NamedTuple):
    """Per (time, gauge): years in which so much rain comes once, the rarest of all durations; which of DURATIONS_S
    that is; and the mm that fell over it. NaN where nothing is known."""

    years: Floats
    duration: NDArray[np.int64]
    fallen: Floats


def intensity(formula: Formula, seconds: float, years: float) -> float:
    """mm/h of the rain of this duration that comes back every so many years."""
    return float(MM_H * formula.a * (1 + formula.c * np.log10(years)) / (seconds / 60 + formula.b) ** formula.n)


def detect(formula: Formula, fallen: Floats, times: Floats) -> Judgement:
    """Judge (time, gauge) mm since the row before; NaN unknown: what is not known did not fall."""
    depth = np.stack([rolling.total(fallen, times, seconds) for seconds in DURATIONS_S])
    one_year = np.array([intensity(formula, seconds, 1.0) for seconds in DURATIONS_S])
    share = depth / (one_year * np.array(DURATIONS_S) / 3600)[:, None, None]
    share = np.where(np.isnan(fallen), np.nan, share)
    rarest = np.argmax(np.nan_to_num(share, nan=-1.0), axis=0)
    largest = np.take_along_axis(share, rarest[None], axis=0)[0]
    years = 10.0 ** np.minimum((largest - 1) / formula.c, np.log10(RAREST))
    return Judgement(years, rarest, np.take_along_axis(depth, rarest[None], axis=0)[0])


def detect_storm(rule: Storm, scene: Scene) -> list[Finding]:
    """A finding for each gauge on which more falls than sewers were designed for.

    Only gauges are looked at that read within the window what the mildest limit asks of the longest duration.
    """
    columns = scene.columns(rule, "rain")
    held = np.isin(scene.inventory.sensor_ids[columns], list(scene.held[rule.id]))
    mildest = intensity(rule.formula, DURATIONS_S[-1], min(rule.limits.values()))
    least = 0.0 if scene.inventory.has_own_rules else mildest
    with np.errstate(invalid="ignore"):
        columns = columns[(scene.highest(columns) >= least) | held]
    if not len(columns):
        return []
    fallen, times = scene.rain(columns, stands_s=STANDS_S, confirmed=True)
    told = detect(rule.formula, fallen, times)
    newest = scene.recent(columns)[0][-1]

    def evidence(place: int) -> JsonObject:
        seconds = DURATIONS_S[told.duration[-1, place]]
        return {
            "quantity": "rain",
            "unit": "mm/h",
            "value": number(newest[place]),
            "fallen_mm": number(told.fallen[-1, place]),
            "within_minutes": number(seconds / 60),
            "comes_once_in_years": number(told.years[-1, place]),
            "mm_of_one_year": number(intensity(rule.formula, seconds, 1.0) * seconds / 3600),
        }

    return judge(rule, Scores(of_sensors(scene, columns), told.years, times, evidence), scene)
