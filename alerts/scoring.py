"""How good an alarm was, against what is known to have happened: by sample, by event, and as BATADAL scores it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


class Scores(NamedTuple):
    """Shares from 0 to 1, NaN where nothing of the kind happened; `false_episodes` are alarms that touch no event."""

    precision: float
    recall: float
    f1: float
    true_negative_rate: float
    events: int
    events_found: int
    false_episodes: int


class Batadal(NamedTuple):
    """S = 0.5 S_TTD + 0.5 S_CM of the Battle of the Attack Detection Algorithms (Taormina et al. 2018)."""

    s: float
    s_ttd: float
    s_cm: float
    true_positive_rate: float
    true_negative_rate: float


def spans(flags: Bools) -> list[tuple[int, int]]:
    """Runs of True as [first, last) rows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def score(truth: Bools, alarm: Bools) -> Scores:
    """Scores of `alarm` (time,) against `truth` (time,)."""
    hit = int(np.sum(truth & alarm))
    precision, recall = _share(hit, int(alarm.sum())), _share(hit, int(truth.sum()))
    events = spans(truth)
    found = sum(bool(alarm[first:last].any()) for first, last in events)
    false = sum(not truth[first:last].any() for first, last in spans(alarm))
    f1 = _share(2 * hit, int(truth.sum() + alarm.sum()))
    quiet = _share(int(np.sum(~truth & ~alarm)), int(np.sum(~truth)))
    return Scores(precision, recall, f1, quiet, len(events), found, false)


def batadal(truth: Bools, alarm: Bools) -> Batadal:
    """S_TTD = 1 - mean over attacks of (time to detection / duration), an attack that is not found counting 1;
    S_CM = (TPR + TNR) / 2. `truth` and `alarm` (time,) at even steps; raises ValueError without any attack."""
    attacks = spans(truth)
    if not attacks:
        raise ValueError("no attack in the truth: BATADAL's score is not defined")
    delays = [_delay(alarm[first:last]) for first, last in attacks]
    s_ttd = 1 - float(np.mean(delays))
    positive = _share(int(np.sum(truth & alarm)), int(truth.sum()))
    negative = _share(int(np.sum(~truth & ~alarm)), int(np.sum(~truth)))
    s_cm = (positive + negative) / 2
    return Batadal(0.5 * s_ttd + 0.5 * s_cm, s_ttd, s_cm, positive, negative)


def _delay(alarm: Bools) -> float:
    return float(np.argmax(alarm)) / len(alarm) if alarm.any() else 1.0


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
