"""The risk map: rows -> live risk -> GeoJSON bytes with an ETag.

    ground.load   the city as arrays (``Ground``): once per change of the inventory or of standing risk
    build         open alerts and newest readings on that ground -> levels -> ``RiskMap``: once per change, vectorised
    segments      the pipes of one screen, from parts that were encoded before

Three rules make the map honest:
1. A cell is as bad as the worst thing in it: the worst live score of its assets, and the worst open risk alert.
2. No data is unknown, never safe: where no sensor of a cell was heard in time and the level would be the lowest, the
   level is ``unknown``. A red stays red.
3. Every colour can be explained: each cell says its three main reasons, each segment its parts.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import orjson

from api.cells import LEVELS, UNKNOWN, Cells, draw_cells
from api.documents import GEOJSON, Document, collection, document
from api.ground import Bools, Ground, Ints
from lifeline import geo, risk
from lifeline.errors import NotFoundError
from lifeline.geo import Box
from lifeline.model import JsonObject, Level
from lifeline.storage import riskmap as rows
from lifeline.storage.database import Connection
from lifeline.storage.riskmap import Newest, OpenAlert

_KEPT_SCREENS = 64


class AssetRisk(NamedTuple):
    """Live risk of the n assets: score (n,), level number (n,) with 5 for unknown, the part that alerts add (n,)."""

    score: risk.Floats
    level: Ints
    live_points: risk.Floats


@dataclass(slots=True)
class RiskMap:
    """One drawing of the map. It never changes; the next change makes a new one."""

    ground: Ground
    risk: AssetRisk
    cells: dict[int, Cells]
    alerts: list[OpenAlert]
    built_at: datetime
    data_as_of: float | None
    """The newest reading of any sensor, seconds since 1970."""
    screens: dict[tuple[Box | None, int], Document] = field(default_factory=dict)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many cells (by resolution) and segments there are of each level."""
        found = {f"cells_{resolution}": count_levels(drawn.level) for resolution, drawn in self.cells.items()}
        return found | {"segments": count_levels(self.risk.level[self.ground.pipes])}

    def same_colours(self, other: "RiskMap | None") -> bool:
        """Whether a page that shows ``other`` would show the same with this one."""
        return (
            other is not None
            and other.ground is self.ground
            and np.array_equal(other.risk.level, self.risk.level)
            and np.array_equal(other.risk.score, self.risk.score)
            and all(other.cells[r].document.etag == drawn.document.etag for r, drawn in self.cells.items())
        )


def read(connection: Connection) -> tuple[list[OpenAlert], Newest]:
    """What changes all the time: open risk alerts, and when each sensor was heard last."""
    return rows.open_risk_alerts(connection), rows.newest(connection)


def build(
    ground: Ground, alerts: list[OpenAlert], newest: Newest, now: datetime, before: RiskMap | None = None
) -> RiskMap:
    """Draw the map. What is the same as ``before`` is not encoded again."""
    heard = sensors_heard(ground, newest, now)
    scores, live_points = live_scores(ground, alerts)
    cells = {}
    for resolution, layer in ground.layers.items():
        same = before.cells[resolution] if before is not None and before.ground is ground else None
        cells[resolution] = draw_cells(layer, ground, scores, heard, alerts, same)
    covered = np.zeros(len(ground.ids), dtype=bool)
    middle = ground.layers[geo.RESOLUTIONS[1]]
    np.logical_or.at(covered, middle.share_asset, cells[middle.resolution].covered[middle.share_cell])
    levels = risk.levels(scores)
    levels[(levels == Level.BLUE) & ~(covered & ground.known)] = UNKNOWN
    as_of = float(newest.ts.max()) if len(newest.ts) else None
    return RiskMap(ground, AssetRisk(scores, levels, live_points), cells, alerts, now, as_of)


def sensors_heard(ground: Ground, newest: Newest, now: datetime) -> Bools:
    """Which sensors were heard within their longest silence."""
    ts = np.full(len(ground.sensor_ids), -np.inf)
    if len(newest.sensor_id):
        at = np.minimum(np.searchsorted(newest.sensor_id, ground.sensor_ids), len(newest.sensor_id) - 1)
        found = newest.sensor_id[at] == ground.sensor_ids
        ts[found] = newest.ts[at][found]
    return np.asarray(now.timestamp() - ts <= ground.max_silence)


def live_scores(ground: Ground, alerts: list[OpenAlert]) -> tuple[risk.Floats, risk.Floats]:
    """Live score of each asset, and how much of it its alerts add: noisy-OR over its own alerts and its neighbours'."""
    n = len(ground.ids)
    on_asset = [(ground.place_of(each.asset_id), int(each.level)) for each in alerts]
    own = np.array([(at, level) for at, level in on_asset if at is not None], dtype=np.int_).reshape(-1, 2)
    spread = [own, *(_across(ground.joints, at, level) for at, level in own)]
    every = np.concatenate(spread)
    weight = np.full(len(every), risk.NEIGHBOUR_WEIGHT)
    weight[: len(own)] = 1.0
    quiet = risk.likelihood_of_quiet(n, every[:, 0], every[:, 1], weight)
    worst = np.full(n, UNKNOWN, dtype=np.int_)
    np.minimum.at(worst, own[:, 0], own[:, 1])
    worst[worst == UNKNOWN] = 0
    scores = risk.live(ground.lof, ground.cof, quiet, worst).score
    return scores, scores - risk.score(ground.lof, ground.cof)


def _across(joints: Ints, at: int, level: int) -> Ints:
    """The alert of asset ``at`` as its neighbours have it."""
    neighbours = np.unique(np.concatenate([joints[joints[:, 0] == at, 1], joints[joints[:, 1] == at, 0]]))
    return np.stack([neighbours, np.full(len(neighbours), level)], axis=1)


def segments(drawn: RiskMap, box: Box | None, limit: int) -> Document:
    """The pipes of a screen as GeoJSON; where there are more than ``limit``, the worst of them (``truncated``)."""
    kept = drawn.screens.get((box, limit))
    if kept is not None:
        return kept
    ground = drawn.ground
    inside = ground.pipes.copy()
    if box is not None:
        west, south, east, north = ground.boxes.T
        inside &= (east >= box.west) & (west <= box.east) & (north >= box.south) & (south <= box.north)
    chosen = np.flatnonzero(inside)
    matched = len(chosen)
    if matched > limit:
        chosen = np.sort(chosen[np.argsort(-drawn.risk.score[chosen], kind="stable")[:limit]])
    body = collection([_segment(drawn, int(at)) for at in chosen], numberMatched=matched, truncated=matched > limit)
    made = document(body, GEOJSON, level=1)  # made for one screen: speed counts more than the last tenth of size
    if len(drawn.screens) >= _KEPT_SCREENS:
        drawn.screens.clear()
    drawn.screens[(box, limit)] = made
    return made


def explain(drawn: RiskMap, external_id: str) -> JsonObject:
    """One asset's live risk by its parts and alerts. Raises NotFoundError."""
    at = drawn.ground.asset_at.get(external_id)
    if at is None:
        raise NotFoundError(f"there is no asset {external_id!r} on the map")
    asset = drawn.ground.assets[at]
    known = bool(drawn.ground.known[at])
    live = float(drawn.risk.live_points[at])
    near = _nearby_alerts(drawn, at)
    parts = [*(asset.parts or []), *([{"part": "live", "value": len(near), "points": live}] if live else [])]
    return {
        "id": asset.external_id,
        "name": asset.name,
        "network": asset.network,
        "kind": asset.kind,
        "level": LEVELS[drawn.risk.level[at]],
        "score": float(drawn.risk.score[at]) if known or live else None,
        "standing_score": asset.score,
        "lof": asset.lof,
        "cof": asset.cof,
        "parts": parts,
        "alerts": near,
    }


def _nearby_alerts(drawn: RiskMap, at: int) -> list[JsonObject]:
    """Open risk alerts on an asset and on those that it is joined to, each with the weight that it counts with."""
    ids, joints = drawn.ground.ids, drawn.ground.joints
    joined = {*joints[joints[:, 0] == at, 1], *joints[joints[:, 1] == at, 0]}
    weights = {int(ids[each]): risk.NEIGHBOUR_WEIGHT for each in joined} | {int(ids[at]): 1.0}
    return [
        {"alert": each.alert_id, "rule": each.rule, "level": each.level.slug, "weight": weights[each.asset_id]}
        for each in drawn.alerts
        if each.asset_id in weights
    ]


def count_levels(level: Ints) -> dict[str, int]:
    """How many there are of each level, by its name."""
    found = np.bincount(level, minlength=len(LEVELS))
    return {name: int(found[number]) for number, name in enumerate(LEVELS) if name}


def _segment(drawn: RiskMap, at: int) -> bytes:
    live = round(float(drawn.risk.live_points[at]), 1)
    parts = [*(drawn.ground.assets[at].parts or [])]
    if live:
        parts.append({"part": "live", "value": None, "points": live})
    known = drawn.ground.known[at] or live
    return (
        drawn.ground.heads[at]
        + orjson.dumps(
            {
                "level": LEVELS[drawn.risk.level[at]],
                "score": round(float(drawn.risk.score[at]), 1) if known else None,
                "parts": parts,
            }
        )[1:]
        + b"}"
    )
