"""Risk by zone: how bad each planning zone is, and which comes first."""

from typing import Literal

import numpy as np
import orjson

from api.cells import LEVELS, UNKNOWN
from api.documents import GEOJSON, Document, collection, document
from api.ground import Ints
from api.riskmap import RiskMap, count_levels
from lifeline.model import JsonObject, Level
from lifeline.risk import Floats

Order = Literal["expected", "mean", "score"]


def zones(drawn: RiskMap, kind: str | None = None, network: str | None = None, order: Order = "expected") -> Document:
    """The active zones with their risk, worst first, as GeoJSON with an ETag."""
    features = [_feature(geometry, told) for geometry, told in ranked(drawn, kind, network, order)]
    return document(collection(features, order=order), GEOJSON, level=1)


def ranked(drawn: RiskMap, kind: str | None, network: str | None, order: Order) -> list[tuple[str, JsonObject]]:
    """(geometry, properties) of zones, worst first.

    ``score`` is the highest of its assets, ``mean`` the mean by length, ``expected`` the sum over its assets of
    probability of failure within a year x consequence (CoF, 1 to 5) x share, with what is happening taken in. The level
    is that of the highest score; where that is the lowest and half of what the zone holds is unknown, it is unknown.
    """
    found = drawn.ground.zones
    size = len(found.zones)
    length = found.share * drawn.ground.length_m[found.asset]
    score, level = drawn.risk.score[found.asset], drawn.risk.level[found.asset]
    highest = np.zeros(size)
    np.maximum.at(highest, found.zone, score)
    held = np.bincount(found.zone, minlength=size)
    total = np.bincount(found.zone, length, minlength=size)
    weight = np.where(total[found.zone] > 0, length, 1.0)  # a zone of points alone: each counts alike
    summed = np.bincount(found.zone, weight * score, minlength=size)
    mean = summed / np.maximum(np.bincount(found.zone, weight, minlength=size), 1e-9)
    expected = np.bincount(found.zone, found.share * expected_loss(drawn)[found.asset], minlength=size)
    counts = np.zeros((size, len(LEVELS)), dtype=np.int_)
    np.add.at(counts, (found.zone, level), 1)
    told: list[tuple[str, JsonObject]] = []
    for at, zone in enumerate(found.zones):
        if (kind and zone.kind != kind) or (network and zone.network not in ("", network)):
            continue
        properties: JsonObject = {
            "zone": zone.external_id,
            "name": zone.name,
            "kind": zone.kind,
            "network": zone.network or None,
            "level": LEVELS[_level(drawn, highest[at], counts[at])],
            "score": round(float(highest[at]), 1),
            "mean": round(float(mean[at]), 1),
            "expected": round(float(expected[at]), 4),
            "assets": int(held[at]),
            "length_m": round(float(total[at])),
            "unknown": int(counts[at, UNKNOWN]),
            "levels": count_levels(level[found.zone == at]),
        }
        told.append((zone.geometry, properties))
    told.sort(key=lambda each: (-each[1][order], each[1]["zone"]))
    return [(geometry, {"rank": rank, **properties}) for rank, (geometry, properties) in enumerate(told, 1)]


def expected_loss(drawn: RiskMap) -> Floats:
    """(n,) probability of failure within a year x CoF. What is happening makes quiet less likely by the same factor as
    it does in the score: 1 - P = (1 - P_standing) x (1 - p) / (1 - p_standing)."""
    ground = drawn.ground
    standing = (ground.lof - 1.0) / 4.0
    quiet = np.ones(len(standing))
    able = standing < 1.0
    quiet[able] = (1.0 - drawn.risk.likelihood[able]) / (1.0 - standing[able])
    return np.asarray((1.0 - (1.0 - ground.probability) * quiet) * ground.cof, dtype=np.float64)


def _level(drawn: RiskMap, score: float, counts: Ints) -> int:
    level = int(drawn.ground.scheme.levels(np.array([score]))[0])
    return UNKNOWN if level == Level.BLUE and 2 * counts[UNKNOWN] >= counts.sum() else level


def _feature(geometry: str, properties: JsonObject) -> bytes:
    return b'{"type":"Feature","geometry":%b,"properties":%b}' % (geometry.encode(), orjson.dumps(properties))
