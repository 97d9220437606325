"""The hexagons of the risk map at one resolution: how bad each is, whether anybody watches it, and why."""

from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from api.documents import GEOJSON, Document, collection, document
from api.ground import Bools, CellLayer, Ground, Ints, cell_head
from lifeline import geo, risk
from lifeline.model import JsonObject, Level
from lifeline.storage.riskmap import OpenAlert

LEVELS = ("", *(level.slug for level in Level), "unknown")
"""Name of each level number; 5 is unknown."""
UNKNOWN = 5

COVERAGE = ("none", "silent", "live")
_CUTS = np.array([0.0, *(risk.CUTS[level] for level in Level)])
REASONS = 3


class Cells(NamedTuple):
    """One drawing of a layer, and what is needed to draw the next one quickly."""

    level: Ints
    covered: Bools
    """Whether a sensor in the cell was heard in time."""
    state: NDArray[np.float64]
    """(k, columns) everything that a feature says, as numbers: a row that is the same needs no new encoding."""
    features: list[bytes]
    document: Document


class _Found(NamedTuple):
    """What is known of each of k cells."""

    level: Ints
    score: risk.Floats
    mean: risk.Floats
    coverage: Ints
    assets: Ints
    sensors: Ints
    silent: Ints
    length_m: risk.Floats
    worst_asset: Ints
    alerts: Ints
    """(k, 5) open risk alerts by level number."""


def draw_cells(
    layer: CellLayer, ground: Ground, scores: risk.Floats, heard: Bools, alerts: list[OpenAlert], before: Cells | None
) -> Cells:
    """Level, coverage and reasons of each cell, as GeoJSON. Cells that are as they were keep their bytes."""
    placed = place_alerts(layer, ground, alerts)
    elsewhere = sorted(placed.keys() - layer.cell_at.keys())
    found = _measure(layer, ground, scores, heard, placed)
    which_alerts = np.zeros(len(layer.cells))
    for cell, there in placed.items():
        if cell in layer.cell_at:
            which_alerts[layer.cell_at[cell]] = hash(tuple((each.alert_id, each.level) for each in there))
    state = np.column_stack([*found[:-1], found.alerts, which_alerts])
    features = list(before.features) if before is not None else [b""] * len(layer.cells)
    changed = np.ones(len(layer.cells), dtype=bool) if before is None else (state != before.state).any(axis=1)
    for at in np.flatnonzero(changed):
        features[at] = _feature(layer.heads[at], found, int(at), ground, placed.get(layer.cells[at], []))
    bare = [_bare_feature(cell, placed[cell]) for cell in elsewhere]
    if before is not None and not changed.any() and not elsewhere and len(before.level) == len(layer.cells):
        return before._replace(state=state)
    body = collection(features + bare, resolution=layer.resolution)
    drawn = document(body, GEOJSON)
    level = np.concatenate([found.level, [min(each.level for each in placed[cell]) for cell in elsewhere]])
    return Cells(level.astype(np.int_), found.coverage == COVERAGE.index("live"), state, features, drawn)


def place_alerts(layer: CellLayer, ground: Ground, alerts: list[OpenAlert]) -> dict[str, list[OpenAlert]]:
    """The alerts in each cell: where an alert stands, else in every cell of its asset. Worst first, as they come."""
    placed: dict[str, list[OpenAlert]] = {}
    for alert in alerts:
        if alert.longitude is not None and alert.latitude is not None:
            cells = [geo.cell_at(alert.longitude, alert.latitude, layer.resolution)]
        else:
            asset = ground.place_of(alert.asset_id)
            cells = [] if asset is None else [layer.cells[at] for at in layer.share_cell[layer.share_asset == asset]]
        for cell in cells:
            placed.setdefault(cell, []).append(alert)
    return placed


def _measure(
    layer: CellLayer, ground: Ground, scores: risk.Floats, heard: Bools, placed: dict[str, list[OpenAlert]]
) -> _Found:
    k = len(layer.cells)
    share_score = scores[layer.share_asset]
    worst = np.zeros(k)
    np.maximum.at(worst, layer.share_cell, share_score)
    order = np.lexsort((-share_score, layer.share_cell))
    worst_asset = np.full(k, -1, dtype=np.int_)
    in_order, first = np.unique(layer.share_cell[order], return_index=True)
    worst_asset[in_order] = layer.share_asset[order][first]

    length = np.bincount(layer.share_cell, layer.share_m, minlength=k)
    weight = np.where(length[layer.share_cell] > 0, layer.share_m, 1.0)  # a cell of points alone: each counts alike
    total = np.bincount(layer.share_cell, weight, minlength=k)
    mean = np.bincount(layer.share_cell, weight * share_score, minlength=k) / np.where(total > 0, total, 1.0)

    standing = layer.sensor_cell >= 0
    sensors = np.bincount(layer.sensor_cell[standing], minlength=k)
    live = np.bincount(layer.sensor_cell[standing & heard], minlength=k)
    coverage = np.where(live > 0, 2, np.where(sensors > 0, 1, 0))

    by_level = np.zeros((k, len(Level) + 1), dtype=np.int_)
    for cell in placed.keys() & layer.cell_at.keys():
        for alert in placed[cell]:
            by_level[layer.cell_at[cell], alert.level] += 1
    worst_alert = np.where(by_level.any(axis=1), (by_level > 0).argmax(axis=1), 0)
    worst = np.maximum(worst, _CUTS[worst_alert])
    level = risk.levels(worst)
    assets = np.bincount(layer.share_cell, minlength=k)
    assessed = np.bincount(layer.share_cell, ground.known[layer.share_asset], minlength=k)
    unwatched = (live == 0) | ((assets > 0) & (assessed == 0))
    level[(level == Level.BLUE) & unwatched & (worst_alert == 0)] = UNKNOWN
    rounded = np.round(worst, 1), np.round(mean, 1)
    return _Found(level, *rounded, coverage, assets, sensors, sensors - live, np.round(length), worst_asset, by_level)


def _feature(head: bytes, found: _Found, at: int, ground: Ground, alerts: list[OpenAlert]) -> bytes:
    properties = {
        "level": LEVELS[found.level[at]],
        "score": float(found.score[at]),
        "mean": float(found.mean[at]),
        "coverage": COVERAGE[found.coverage[at]],
        "reasons": _reasons(ground, int(found.worst_asset[at]), alerts),
        "assets": int(found.assets[at]),
        "length_m": int(found.length_m[at]),
        "sensors": int(found.sensors[at]),
        "sensors_silent": int(found.silent[at]),
        "alerts": {level.slug: int(found.alerts[at, level]) for level in Level if found.alerts[at, level]},
    }
    return head + orjson.dumps(properties)[1:] + b"}"


def _reasons(ground: Ground, worst_asset: int, alerts: list[OpenAlert]) -> list[JsonObject]:
    """The three main reasons: alerts first, then what makes the worst asset's standing risk."""
    reasons: list[JsonObject] = [_alert_reason(each) for each in alerts[:REASONS]]
    if worst_asset >= 0:
        asset = ground.assets[worst_asset]
        parts = sorted(asset.parts or [], key=lambda part: -float(part["points"]))
        reasons += [{"reason": "part", "asset": asset.external_id, **part} for part in parts if part["points"] > 0]
    return reasons[:REASONS]


def _alert_reason(alert: OpenAlert) -> JsonObject:
    return {"reason": "alert", "alert": alert.alert_id, "rule": alert.rule, "level": alert.level.slug}


def _bare_feature(cell: str, alerts: list[OpenAlert]) -> bytes:
    """A cell in which there is nothing but an alert."""
    worst = min(each.level for each in alerts)
    properties = {
        "level": worst.slug,
        "score": risk.CUTS[worst],
        "mean": risk.CUTS[worst],
        "coverage": "none",
        "reasons": [_alert_reason(each) for each in alerts[:REASONS]],
        "assets": 0,
        "length_m": 0,
        "sensors": 0,
        "sensors_silent": 0,
        "alerts": {level.slug: n for level in Level if (n := sum(each.level == level for each in alerts))},
    }
    return cell_head(cell) + orjson.dumps(properties)[1:] + b"}"
