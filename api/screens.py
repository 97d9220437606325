"""What a screen shows of the map: its cells or its pipes as GeoJSON with an ETag, kept until they change."""

import numpy as np
import orjson

from api.cells import LEVELS, Said, live_parts
from api.documents import GEOJSON, Document, collection, document
from api.ground import Bools, cell_box, cell_head
from api.riskmap import RiskMap
from lifeline.geo import Box
from lifeline.model import JsonObject
from lifeline.risk import Floats

_KEPT_SCREENS = 64


def cells(drawn: RiskMap, resolution: int, box: Box | None = None) -> Document:
    """The hexagons of a screen, in order of their names; without a box all of them."""
    layer = drawn.cells[resolution]
    if (kept := layer.screens.get(box)) is not None:
        return kept
    places = np.arange(len(layer.text)) if box is None else np.flatnonzero(inside(layer.layer.boxes, box))
    heads, text = layer.layer.heads, layer.text
    found = {layer.layer.cells[at]: heads[at] + text[at] + b"}" for at in places.tolist()}
    if layer.bare:
        found |= {name: bare_feature(name, said) for name, said in layer.bare.items() if _cell_inside(name, box)}
        found = dict(sorted(found.items()))
    made = cell_document(list(found.values()), resolution)
    if len(layer.screens) >= _KEPT_SCREENS:
        layer.screens.clear()
    layer.screens[box] = made
    return made


def cell_document(features: list[bytes], resolution: int) -> Document:
    """Cells as a collection."""
    # Made for one screen: speed counts more than the last tenth of size.
    return document(collection(features, resolution=resolution), GEOJSON, level=1)


def segments(drawn: RiskMap, box: Box | None, limit: int, *, parts: bool = True) -> Document:
    """The pipes of a screen; where there are more than ``limit``, the worst of them (``truncated``).

    Without their ``parts`` the body is a third as long: a map that only colours them is there sooner.
    """
    if (kept := drawn.screens.get((box, limit, parts))) is not None:
        return kept
    ground = drawn.ground
    shown = ground.pipes if box is None else ground.pipes & inside(ground.boxes, box)
    chosen = np.flatnonzero(shown)
    kept_places = worst_places(np.round(drawn.risk.score[chosen], 1), limit)
    features = [ground.heads[at] + segment_text(drawn, at, parts) + b"}" for at in chosen[kept_places].tolist()]
    made = segment_document(features, len(chosen))
    if len(drawn.screens) >= _KEPT_SCREENS:
        drawn.screens.clear()
    drawn.screens[(box, limit, parts)] = made
    return made


def segment_document(features: list[bytes], matched: int) -> Document:
    """Pipes as a collection; ``matched`` is how many there are, shown or not."""
    body = collection(features, numberMatched=matched, truncated=matched > len(features))
    return document(body, GEOJSON, level=1)


def worst_places(scores: Floats, limit: int) -> np.ndarray[tuple[int], np.dtype[np.int_]]:
    """Places of the ``limit`` greatest scores in order of place; of equal ones the first."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    return np.sort(np.argsort(-scores, kind="stable")[:limit])


def segment_text(drawn: RiskMap, at: int, parts: bool = True) -> bytes:
    """What the map says of an asset, as JSON from after the brace."""
    live = live_parts(drawn.risk, at)
    known = drawn.ground.known[at] or live
    said: JsonObject = {
        "level": LEVELS[drawn.risk.level[at]],
        "score": round(float(drawn.risk.score[at]), 1) if known else None,
    }
    if parts:
        said["parts"] = [*(drawn.ground.assets[at].parts or []), *live]
    return orjson.dumps(said)[1:]


def inside(boxes: Floats, box: Box) -> Bools:
    """Which of some boxes (n, 4) touch a box."""
    west, south, east, north = boxes.T
    found: Bools = (east >= box.west) & (west <= box.east) & (north >= box.south) & (south <= box.north)
    return found


def bare_feature(cell: str, said: Said) -> bytes:
    """A cell in which there is nothing but an alert, as GeoJSON."""
    return cell_head(cell) + said.text + b"}"


def _cell_inside(cell: str, box: Box | None) -> bool:
    return box is None or bool(inside(np.array([cell_box(cell)]), box)[0])
