"""The newest drawing of the risk map as pages of features: cells, segments and zones for OGC API Features.

A page is told by the key behind which it begins: the number of the H3 cell, the asset's own. So pages neither shift
nor repeat when the map is drawn anew between two of them.
"""

from bisect import bisect_right
from collections.abc import Callable

import numpy as np
import orjson

from api import ranking, screens
from api.cells import Cells
from api.city import City
from api.ground import Ints, cell_box, cell_head
from api.problems import ProblemError
from lifeline import geo
from lifeline.geo import Box
from lifeline.risk import Floats
from lifeline.storage.features import FeatureFilter

Page = list[tuple[int, bytes]]
"""Features of one page, each with the key behind which the next page begins."""
_HEAD = b'{"type":"Feature",'


def cells(resolution: int) -> Callable[[City, FeatureFilter, int, int], Page]:
    """Pages of the hexagons of one resolution, in order of their names. A cell is of every network and of now."""

    def read(here: City, wanted: FeatureFilter, after: int, limit: int) -> Page:
        if wanted.network is not None:
            raise ProblemError(400, "a cell is of every network: ask for it without `network`")
        drawn = here.map.current.cells[resolution]
        if wanted.fid is not None:
            said = drawn.said(wanted.fid)
            return [_cell(wanted.fid, cell_head(wanted.fid) + said.text)] if said is not None else []
        last = f"{after:x}" if after else ""
        found = [_placed(drawn, at) for at in _behind(drawn, last, wanted.box)[:limit].tolist()]
        bare = (name for name in drawn.bare if name > last and _in_box(name, wanted.box))
        found += [_cell(name, cell_head(name) + drawn.bare[name].text) for name in bare]
        return sorted(found)[:limit]

    return read


def segments(here: City, wanted: FeatureFilter, after: int, limit: int) -> Page:
    """A page of pipes with their risk, in order of entry."""
    drawn = here.map.current
    ground = drawn.ground
    chosen = np.flatnonzero(ground.pipes & (ground.ids > after))
    if wanted.fid is not None:
        at = ground.asset_at.get(wanted.fid, -1)
        chosen = chosen[chosen == at]
    chosen = _within(chosen, ground.boxes, wanted.box)
    if wanted.network is not None:
        of_network = [ground.assets[at].network == wanted.network for at in chosen.tolist()]
        chosen = chosen[np.array(of_network, dtype=bool)]
    return [
        (
            int(ground.ids[at]),
            _named(ground.names[at], ground.heads[at] + screens.segment_text(drawn, at), b'"id":%d,' % ground.ids[at]),
        )
        for at in chosen[:limit].tolist()
    ]


def zones(here: City, wanted: FeatureFilter, after: int, limit: int) -> Page:
    """A page of the active zones with their risk, in order of their names."""
    ranked = ranking.ranked(here.map.current, None, wanted.network, "expected")
    found = sorted(ranked, key=lambda each: str(each[1]["zone"]))
    page: Page = []
    for place, (geometry, properties) in enumerate(found, 1):
        name = str(properties["zone"])
        asked = wanted.fid in (None, name) and place > after and len(page) < limit
        if asked and (wanted.box is None or _touches(geometry, wanted.box)):
            body = b'{"type":"Feature","geometry":%b,"properties":%b' % (geometry.encode(), orjson.dumps(properties))
            page.append((place, _named(name, body)))
    return page


def _behind(drawn: Cells, last: str, box: Box | None) -> Ints:
    layer = drawn.layer
    return _within(np.arange(bisect_right(layer.cells, last), len(layer.cells)), layer.boxes, box)


def _placed(drawn: Cells, at: int) -> tuple[int, bytes]:
    return _cell(drawn.layer.cells[at], drawn.layer.heads[at] + drawn.text[at])


def _cell(name: str, body: bytes) -> tuple[int, bytes]:
    return int(name, 16), _named(name, body)


def _named(name: str, body: bytes, number: bytes = b"") -> bytes:
    """A feature under the name by which it is asked for; ``body`` lacks the last brace, ``number`` goes from it."""
    return _HEAD + b'"id":%b,' % orjson.dumps(name) + body.removeprefix(_HEAD).removeprefix(number) + b"}"


def _within(places: Ints, boxes: Floats, box: Box | None) -> Ints:
    return places if box is None else places[screens.inside(boxes[places], box)]


def _in_box(cell: str, box: Box | None) -> bool:
    return box is None or bool(screens.inside(np.array([cell_box(cell)]), box)[0])


def _touches(geometry: str, box: Box) -> bool:
    return bool(screens.inside(np.array([geo.area_bbox(orjson.loads(geometry))]), box)[0])
