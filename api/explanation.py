"""Why something has the colour that it has: an asset by its parts and alerts, a cell by its assets, what may follow."""

from collections.abc import Iterable

import numpy as np
import orjson

from api.cells import LEVELS, live_parts
from api.riskmap import RiskMap, strengths
from lifeline import risk
from lifeline.errors import NotFoundError
from lifeline.model import JsonObject
from lifeline.risk.coupling import Chain, tell

MOST_CHAINS = 20
MOST_ASSETS = 10


def explain(drawn: RiskMap, external_id: str) -> JsonObject:
    """One asset's live risk by its parts, its alerts, and the chains that it is part of. Raises NotFoundError.

    The points of the parts add up to the score: each is what the score gained when that factor was taken into account.
    """
    at = drawn.ground.asset_at.get(external_id)
    if at is None:
        raise NotFoundError(f"there is no asset {external_id!r} on the map")
    asset = drawn.ground.assets[at]
    live = live_parts(drawn.risk, at)
    return {
        "id": asset.external_id,
        "name": asset.name,
        "network": asset.network,
        "kind": asset.kind,
        "level": LEVELS[drawn.risk.level[at]],
        "score": float(drawn.risk.score[at]) if drawn.ground.known[at] or live else None,
        "standing_score": asset.score,
        "lof": asset.lof,
        "cof": asset.cof,
        "likelihood": float(drawn.risk.likelihood[at]),
        "coverage": _coverage(drawn, at),
        "parts": [*(asset.parts or []), *live],
        "alerts": _bearing(drawn, at),
        "chains": told_chains(drawn, (each for each in drawn.chains if at in _assets(each))),
    }


def explain_cell(drawn: RiskMap, cell: str) -> JsonObject:
    """One cell: what the map says of it, its worst assets by their parts, and the chains that go through it.

    Raises NotFoundError.
    """
    for layer in drawn.cells.values():
        said = layer.said(cell)
        if said is not None:
            break
    else:
        raise NotFoundError(f"there is no cell {cell!r} on the map")
    at = layer.layer.cell_at.get(cell)
    inside = layer.layer.assets.of(at) if at is not None else np.empty(0, dtype=np.int_)
    worst = inside[np.argsort(-drawn.risk.score[inside], kind="stable")][:MOST_ASSETS].tolist()
    here = set(inside.tolist())
    properties: JsonObject = orjson.loads(b"{" + said.text)
    return {
        "cell": cell,
        "resolution": layer.layer.resolution,
        **properties,
        "worst": [
            {
                "asset": drawn.ground.names[each],
                "network": drawn.ground.assets[each].network,
                "kind": drawn.ground.assets[each].kind,
                "level": LEVELS[drawn.risk.level[each]],
                "score": float(drawn.risk.score[each]),
                "parts": [*(drawn.ground.assets[each].parts or []), *live_parts(drawn.risk, each)],
            }
            for each in worst
        ],
        "chains": told_chains(drawn, (each for each in drawn.chains if here & _assets(each))),
    }


def told_chains(drawn: RiskMap, found: Iterable[Chain], limit: int = MOST_CHAINS) -> list[JsonObject]:
    """The first of these chains as JSON, each with the alerts that it begins with."""
    told: list[JsonObject] = []
    for chain in found:
        if len(told) == limit:
            break
        asset_id = int(drawn.ground.ids[chain.source])
        begun = [
            each.alert_id
            for each in drawn.alerts
            if each.asset_id == asset_id
            and chain.hazard in drawn.ground.surroundings.hazards(chain.source, each.quantity)
        ]
        told.append(tell(chain, drawn.ground.names) | {"alerts": begun})
    return told


def _assets(chain: Chain) -> set[int]:
    return {chain.source, *(link.asset for link in chain.links)}


def _coverage(drawn: RiskMap, at: int) -> str:
    """Whether a sensor beside the asset was heard in time: the best of the cells that it lies in."""
    layer = drawn.cells[9].layer
    cells = layer.of_asset.of(at)
    if drawn.cells[9].covered[cells].any():
        return "live"
    return "silent" if any(len(layer.sensors.of(cell)) for cell in cells.tolist()) else "none"


def _bearing(drawn: RiskMap, at: int) -> list[JsonObject]:
    """Alerts on an asset and on those that it is joined to: the weight that each counts with, and how far it faded."""
    weights = dict.fromkeys(drawn.ground.joints.of(at).tolist(), risk.NEIGHBOUR_WEIGHT) | {at: 1.0}
    return [
        {
            "alert": alert.alert_id,
            "rule": alert.rule,
            "level": alert.level.slug,
            "weight": weights[place],
            "open": alert.open,
            "faded": round(1.0 - strength / risk.ALERT_LIKELIHOOD[alert.level], 3),
        }
        for place, alert, strength in strengths(drawn.ground, drawn.alerts, drawn.built_at)
        if place in weights
    ]
