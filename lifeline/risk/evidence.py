"""What is happening, as evidence on assets: open alerts, incidents, and what spreads from them along pipes and between
networks, as the terms of one noisy-OR:

    p = 1 - (1 - p_standing) * product over the evidence of (1 - strength)

Each strength is w p(level) exp(-age / tau): ``age`` is the time since the alert returned to normal, 0 while it has not.
The terms are put in order before they are multiplied, so that the order of arrival does not matter to the last bit; a
term more never lowers a score, a term less or a weaker one never raises it. Weights are defaults of this project.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline import risk
from lifeline.model import Level

Ints = NDArray[np.int_]
Floats = NDArray[np.float64]

INCIDENT_WEIGHT = 0.5
"""w of an incident of very many alerts; of n it is this times (1 - 1/n): an incident of one alert says nothing new."""
WEAKEST = 0.01
"""An alert that has decayed below this share of its strength is forgotten."""
DECAY_STEP_S = 60.0
"""Decay goes by steps, so that two processes agree and the map is not drawn anew for the hundredth of a point."""


class Kind(IntEnum):
    """Where evidence on an asset comes from, in the order in which its points are told."""

    OWN = 0
    INCIDENT = 1
    JOINED = 2
    COUPLED = 3


PARTS = ("live", "incident", "joined", "coupling")
"""Name of each kind's part in the explanation of a score."""


class Evidence(NamedTuple):
    """m pieces of evidence: index of the asset (m,), Kind (m,), strength (m,) from 0 to 1."""

    asset: Ints
    kind: Ints
    strength: Floats


class Raised(NamedTuple):
    """Live risk of the a assets that there is evidence on: ascending indices (a,), score (a,), points by kind (a, 4),
    and likelihood of failure (a,) from 0 to 1."""

    asset: Ints
    score: Floats
    points: Floats
    likelihood: Floats


def decay(now_s: float, returned_s: Floats, tau_s: float) -> Floats:
    """exp(-age / tau) of alerts; ``returned_s`` is NaN for one that has not returned to normal. Seconds since 1970."""
    step = now_s // DECAY_STEP_S * DECAY_STEP_S
    age = np.clip(np.nan_to_num(step - returned_s, nan=0.0), 0.0, None)
    return np.asarray(np.exp(-age / tau_s), dtype=np.float64)


def forgotten_after_s(tau_s: float) -> float:
    """How long after its return an alert still counts."""
    return float(-tau_s * np.log(WEAKEST)) + DECAY_STEP_S


def corroboration(strengths: Floats) -> float:
    """Strength of an incident whose alerts have these strengths: the greatest of them, by how many alerts there are."""
    weight = INCIDENT_WEIGHT * (1.0 - 1.0 / max(1.0, float(len(strengths))))
    return weight * float(strengths.max(initial=0.0))


def chance(strengths: Floats) -> float:
    """1 - product(1 - strength): how likely it is that one of several pieces of evidence is right."""
    return float(1.0 - np.prod(1.0 - np.sort(strengths)))


def gather(pieces: Iterator[tuple[int, Kind, float]]) -> Evidence:
    """Pieces as arrays."""
    rows = list(pieces)
    if not rows:
        return Evidence(np.empty(0, np.int_), np.empty(0, np.int_), np.empty(0))
    asset, kind, strength = zip(*rows, strict=True)
    return Evidence(np.array(asset, np.int_), np.array(kind, np.int_), np.array(strength, np.float64))


def raise_scores(lof: Floats, cof: Floats, evidence: Evidence, worst: dict[int, Level], cuts: Floats) -> Raised:
    """Live score of the assets that there is evidence on, and how many points each kind of it adds.

    ``lof`` and ``cof`` are those of all assets. ``worst`` is the worst level of an asset's own open alerts and ``cuts``
    (5,) the lowest score of each level: a score never stands below the cut of an alert that is open on the asset
    itself, so that map and list cannot disagree. That lift belongs to the asset's own alerts.
    """
    order = np.lexsort((evidence.strength, evidence.kind, evidence.asset))
    asset, kind, strength = evidence.asset[order], evidence.kind[order], evidence.strength[order]
    found, place = np.unique(asset, return_inverse=True)
    quiet = np.ones((len(found), len(Kind)))
    np.multiply.at(quiet, (place, kind), 1.0 - strength)
    standing = (lof[found] - 1.0) / 4.0
    likelihood = 1.0 - (1.0 - standing)[:, None] * np.cumprod(quiet, axis=1)
    scores = risk.score(1.0 + 4.0 * likelihood, cof[found][:, None])
    base = risk.score(lof[found], cof[found])
    points = np.diff(np.column_stack([base, scores]), axis=1)
    floor = np.array([cuts[worst[each]] if each in worst else 0.0 for each in found.tolist()])
    final = np.maximum(scores[:, -1], floor)
    points[:, Kind.OWN] += final - scores[:, -1]
    return Raised(found, final, points, likelihood[:, -1])
