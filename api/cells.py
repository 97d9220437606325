"""The hexagons of the risk map at one resolution: how bad each is, whether anybody watches it, and why.

Only cells that a change can have touched are measured again: ``touched`` finds them, ``draw_cells`` measures them,
and a cell that then says the same as before has not changed. A city drawn at once is the same with every cell touched.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import orjson

from api.documents import Document
from api.ground import Bools, CellLayer, Ground, Ints
from lifeline import geo, risk
from lifeline.geo import Box
from lifeline.model import JsonObject, Level
from lifeline.risk import evidence
from lifeline.storage.riskmap import OpenAlert

LEVELS = ("", *(level.slug for level in Level), "unknown")
"""Name of each level number; 5 is unknown."""
UNKNOWN = 5

COVERAGE = ("none", "silent", "live")
LIVE = COVERAGE.index("live")
REASONS = 3


class AssetRisk(NamedTuple):
    """Live risk of the n assets: score (n,), level number (n,) with 5 for unknown, likelihood of failure (n,) from 0
    to 1, and the points that live evidence adds (n, 4), by its kind."""

    score: risk.Floats
    level: Ints
    likelihood: risk.Floats
    points: risk.Floats


class Said(NamedTuple):
    """What the map says of a cell: level number, score, and its further properties as JSON, from after their brace."""

    level: int
    score: float
    text: bytes


@dataclass(slots=True)
class Cells:
    """One drawing of a layer, and what is needed to draw the next one quickly."""

    layer: CellLayer
    level: Ints
    score: risk.Floats
    covered: Bools
    """Whether a sensor in the cell was heard in time."""
    text: list[bytes]
    """What ``Said`` has of each cell."""
    placed: dict[str, list[OpenAlert]]
    bare: dict[str, Said]
    """Cells in which there is nothing but an alert."""
    changed: list[str]
    """Cells that say something else than in the drawing before; those that are gone too."""
    screens: dict[Box | None, Document] = field(default_factory=dict)

    def said(self, cell: str) -> Said | None:
        """What the map says of a cell; None where it has none of this name."""
        at = self.layer.cell_at.get(cell)
        if at is None:
            return self.bare.get(cell)
        return Said(int(self.level[at]), float(self.score[at]), self.text[at])

    def levels(self) -> Ints:
        """Level number of every cell."""
        return np.concatenate([self.level, np.array([each.level for each in self.bare.values()], dtype=np.int_)])


class _Found(NamedTuple):
    """What is known of each of k cells."""

    level: Ints
    score: risk.Floats
    mean: risk.Floats
    coverage: Ints
    assets: Ints
    sensors: Ints
    silent: Ints
    worst_asset: Ints


def draw_cells(
    layer: CellLayer,
    ground: Ground,
    state: AssetRisk,
    heard: Bools,
    placed: dict[str, list[OpenAlert]],
    before: Cells | None,
    touched: Ints | None,
) -> Cells:
    """Level, coverage and reasons of the cells that were ``touched`` (indices; None: all), the rest as before."""
    k = len(layer.cells)
    if before is None:
        level, score = np.zeros(k, dtype=np.int_), np.zeros(k)
        covered, text = np.zeros(k, dtype=bool), [b""] * k
    else:
        level, score = before.level.copy(), before.score.copy()
        covered, text = before.covered.copy(), list(before.text)
    chosen = np.arange(k) if touched is None else touched
    here = [placed.get(layer.cells[at], []) for at in chosen.tolist()]
    found = _measure(layer, ground, state, heard, chosen, here)
    level[chosen], score[chosen], covered[chosen] = found.level, found.score, found.coverage == LIVE
    changed = []
    for place, at in enumerate(chosen.tolist()):
        said = _say(found, place, layer, at, ground, state, here[place])
        if said != text[at]:
            text[at] = said
            changed.append(layer.cells[at])
    bare = {cell: _bare(placed[cell], ground) for cell in sorted(placed.keys() - layer.cell_at.keys())}
    earlier = before.bare if before is not None else {}
    changed += [cell for cell in sorted(bare.keys() | earlier.keys()) if bare.get(cell) != earlier.get(cell)]
    drawn = Cells(layer, level, score, covered, text, placed, bare, changed)
    if before is not None and not changed:
        drawn.screens = before.screens
    return drawn


def touched(layer: CellLayer, assets: Ints, sensors: Ints, placed: dict[str, list[OpenAlert]], before: Cells) -> Ints:
    """Cells in which assets, sensors or alerts changed, ascending."""
    of_assets = layer.of_asset.to[layer.of_asset.among(assets)[0]]
    of_sensors = layer.sensor_cell[sensors]
    names = [cell for cell in placed.keys() | before.placed.keys() if placed.get(cell) != before.placed.get(cell)]
    of_alerts = np.array([layer.cell_at[cell] for cell in names if cell in layer.cell_at], dtype=np.int_)
    return np.unique(np.concatenate([of_assets, of_sensors[of_sensors >= 0], of_alerts]))


def place_alerts(layer: CellLayer, ground: Ground, alerts: list[OpenAlert]) -> dict[str, list[OpenAlert]]:
    """The open alerts in each cell, worst first: where an alert stands, else in every cell of its asset."""
    placed: dict[str, list[OpenAlert]] = {}
    for alert in sorted(alerts, key=lambda each: (each.level, each.alert_id)):
        if not alert.open:
            continue
        if alert.longitude is not None and alert.latitude is not None:
            cells = [_cell_at(alert.longitude, alert.latitude, layer.resolution)]
        else:
            asset = ground.place_of(alert.asset_id)
            cells = [] if asset is None else [layer.cells[at] for at in layer.of_asset.of(asset).tolist()]
        for cell in cells:
            placed.setdefault(cell, []).append(alert)
    return placed


_cell_at = lru_cache(maxsize=100_000)(geo.cell_at)


def _measure(
    layer: CellLayer, ground: Ground, state: AssetRisk, heard: Bools, chosen: Ints, here: list[list[OpenAlert]]
) -> _Found:
    k = len(chosen)
    share, cell = layer.assets.among(chosen)
    asset, metres = layer.assets.to[share], layer.share_m[share]
    scores = state.score[asset]
    worst = np.zeros(k)
    np.maximum.at(worst, cell, scores)
    order = np.lexsort((asset, -scores, cell))
    worst_asset = np.full(k, -1, dtype=np.int_)
    in_order, first = np.unique(cell[order], return_index=True)
    worst_asset[in_order] = asset[order][first]

    length = np.bincount(cell, metres, minlength=k)
    weight = np.where(length[cell] > 0, metres, 1.0)  # a cell of points alone: each counts alike
    total = np.bincount(cell, weight, minlength=k)
    mean = np.bincount(cell, weight * scores, minlength=k) / np.where(total > 0, total, 1.0)

    sensor, place = layer.sensors.among(chosen)
    sensors = np.bincount(place, minlength=k)
    live = np.bincount(place, heard[layer.sensors.to[sensor]], minlength=k).astype(np.int_)
    coverage = np.where(live > 0, LIVE, np.where(sensors > 0, 1, 0))

    worst_alert = np.array([min((each.level for each in alerts), default=0) for alerts in here], dtype=np.int_)
    worst = np.maximum(worst, ground.scheme.lowest[worst_alert])
    level = ground.scheme.levels(worst)
    assets = np.bincount(cell, minlength=k)
    assessed = np.bincount(cell, ground.known[asset], minlength=k)
    unwatched = (live == 0) | ((assets > 0) & (assessed == 0))
    level[(level == Level.BLUE) & unwatched & (worst_alert == 0)] = UNKNOWN
    return _Found(level, np.round(worst, 1), np.round(mean, 1), coverage, assets, sensors, sensors - live, worst_asset)


def _say(
    found: _Found,
    place: int,
    layer: CellLayer,
    at: int,
    ground: Ground,
    state: AssetRisk,
    alerts: list[OpenAlert],
) -> bytes:
    properties = {
        "level": LEVELS[found.level[place]],
        "score": float(found.score[place]),
        "mean": float(found.mean[place]),
        "coverage": COVERAGE[found.coverage[place]],
        "reasons": _reasons(ground, state, int(found.worst_asset[place]), alerts),
        "assets": int(found.assets[place]),
        "length_m": int(layer.length_m[at]),
        "sensors": int(found.sensors[place]),
        "sensors_silent": int(found.silent[place]),
        "alerts": _count(alerts),
    }
    return orjson.dumps(properties)[1:]


def _reasons(ground: Ground, state: AssetRisk, worst_asset: int, alerts: list[OpenAlert]) -> list[JsonObject]:
    """The three main reasons: alerts first, then what makes the worst asset's risk."""
    reasons: list[JsonObject] = [_alert_reason(each) for each in alerts[:REASONS]]
    if worst_asset >= 0:
        name = ground.names[worst_asset]
        spread = [part for part in live_parts(state, worst_asset) if not (alerts and part["part"] == "live")]
        parts = sorted([*(ground.assets[worst_asset].parts or []), *spread], key=lambda part: -float(part["points"]))
        reasons += [{"reason": "part", "asset": name, **part} for part in parts if part["points"] > 0]
    return reasons[:REASONS]


def live_parts(state: AssetRisk, at: int) -> list[JsonObject]:
    """What is happening, as parts of an asset's score: those that add points."""
    named = zip(evidence.PARTS, state.points[at].tolist(), strict=True)
    return [{"part": name, "value": None, "points": points} for name, points in named if points]


def _alert_reason(alert: OpenAlert) -> JsonObject:
    return {"reason": "alert", "alert": alert.alert_id, "rule": alert.rule, "level": alert.level.slug}


def _count(alerts: list[OpenAlert]) -> dict[str, int]:
    return {level.slug: n for level in Level if (n := sum(each.level == level for each in alerts))}


def _bare(alerts: list[OpenAlert], ground: Ground) -> Said:
    """A cell in which there is nothing but an alert."""
    worst = min(each.level for each in alerts)
    score = float(ground.scheme.lowest[worst])
    properties = {
        "level": worst.slug,
        "score": score,
        "mean": score,
        "coverage": "none",
        "reasons": [_alert_reason(each) for each in alerts[:REASONS]],
        "assets": 0,
        "length_m": 0,
        "sensors": 0,
        "sensors_silent": 0,
        "alerts": _count(alerts),
    }
    return Said(int(worst), score, orjson.dumps(properties)[1:])
