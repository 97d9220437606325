"""A hydraulic model as rows of the inventory: nodes and links become assets, subcatchments zones.

Formats (epanet, swmm) fill a `Model`; this gives its elements ids and puts it on the globe.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from lifeline import geo
from lifeline.errors import ImportRejectedError, Problem
from lifeline.exchange.coordinates import Floats, Placement, Transform, to_wgs84
from lifeline.exchange.rows import Row
from lifeline.model import AssetKind, ZoneKind

_FOREIGN = re.compile(r"[^A-Za-z0-9._:-]")
LEAST_DIAMETER_MM, LARGEST_DIAMETER_MM = 1.0, 20_000.0


class Element(NamedTuple):
    """A node (no ends) or a link of a model; ``values`` by Lifeline's names."""

    line: int
    name: str
    kind: AssetKind
    values: Mapping[str, Any]
    ends: tuple[str, str] | None = None


@dataclass(slots=True)
class Model:
    """What a model holds, in its own coordinates; ``areas`` are rings of subcatchments with the line of each."""

    source: str
    format: str
    network: str
    nodes: list[Element] = field(default_factory=list)
    links: list[Element] = field(default_factory=list)
    positions: dict[str, list[float]] = field(default_factory=dict)
    vertices: dict[str, list[list[float]]] = field(default_factory=dict)
    areas: dict[str, tuple[int, list[list[float]], Mapping[str, Any]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    incredible: list[str] = field(default_factory=list)

    def diameter_of(self, name: str, millimetres: float | None) -> dict[str, object]:
        """The diameter as a value; left out and noted where it stands for none: modellers write 0.0001 or 1000 in."""
        if not millimetres:
            return {}
        if not LEAST_DIAMETER_MM <= millimetres <= LARGEST_DIAMETER_MM:
            self.incredible.append(name)
            return {}
        return {"diameter_mm": round(millimetres, 2)}

    def link_points(self, link: Element) -> list[list[float]] | None:
        """From end to end through the vertices; None where an end has no place."""
        ends = [self.positions.get(end) for end in link.ends or ()]
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            return None
        return [ends[0], *self.vertices.get(link.name, []), ends[1]]


class Rows(NamedTuple):
    """The model as rows in WGS 84, and the metres a unit by which it was placed (None: it has a coordinate system)."""

    assets: list[Row]
    zones: list[Row]
    scale: float | None


def rows_of(model: Model, *, crs: str | None, placement: Placement | None, prefix: str, name: str) -> Rows:
    """Rows of the model's elements; what is wrong is noted in ``model.problems``.

    Raises ImportRejectedError where nothing says where on the globe the model is.
    """
    _check(model)
    transform, scale = _georeference(model, crs, placement)
    moved = _Moved(model, transform)
    ids = _Ids(model, prefix)
    kept = {"model": name}
    assets = [
        Row(node.line, _values(model, ids.node(node.name), node, kept), moved.point(node.name)) for node in model.nodes
    ]
    for link in model.links:
        ends = link.ends or ("", "")
        values = _values(model, ids.link(link), link, kept) | {"from": ids.node(ends[0]), "to": ids.node(ends[1])}
        assets.append(Row(link.line, values, moved.line(link)))
    zones = [
        Row(line, {**values, **kept, "id": ids.area(area), "name": area, "network": model.network,
                   "kind": str(ZoneKind.CATCHMENT)}, moved.ring(ring))
        for area, (line, ring, values) in model.areas.items()
    ]  # fmt: skip
    return Rows(_without_known_problems(model, assets), zones, scale)


def _without_known_problems(model: Model, rows: list[Row]) -> list[Row]:
    """The rows of lines about which nothing was said yet: what is wrong in a model need not be told twice."""
    if not model.problems:
        return rows
    lines = {problem.line for problem in model.problems}
    loose = ({**row.values, "from": None, "to": None} for row in rows)
    return [row._replace(values=values) for row, values in zip(rows, loose, strict=True) if row.line not in lines]


def _values(model: Model, external_id: str, element: Element, kept: Mapping[str, str]) -> dict[str, Any]:
    named = {"id": external_id, "network": model.network, "kind": str(element.kind), "name": element.name}
    return {**element.values, **named, **kept, "element": element.name}


class _Ids:
    """Ids of elements: the prefix and the element's name, what an id must not hold replaced by `_`.

    Where a link has the name of a node, as EPANET allows, every link of the file gets its kind in front: `pipe-10`.
    """

    def __init__(self, model: Model, prefix: str) -> None:
        self._prefix = prefix
        clash = {node.name for node in model.nodes} & {link.name for link in model.links}
        self._by_kind = bool(clash)

    def node(self, name: str) -> str:
        return self._clean(name)

    def link(self, link: Element) -> str:
        return self._clean(f"{link.kind}-{link.name}" if self._by_kind else link.name)

    def area(self, name: str) -> str:
        return self._clean(f"catchment-{name}")

    def _clean(self, name: str) -> str:
        whole = _FOREIGN.sub("_", self._prefix + name)
        return whole if whole[:1].isalnum() else f"x{whole}"


def _check(model: Model) -> None:
    """What one line alone does not show: a name twice, an end or a place that is missing, a link onto itself."""
    for what, elements in (("node", model.nodes), ("link", model.links)):
        first: dict[str, int] = {}
        for element in elements:
            if first.setdefault(element.name, element.line) != element.line:
                _note(model, element.line, f"{what} {element.name!r} is already on line {first[element.name]}")
    names = {node.name for node in model.nodes}
    if model.nodes and not model.positions:
        _note(model, 1, "has no [COORDINATES]: nothing says where its nodes are")
    for node in model.nodes:
        if model.positions and node.name not in model.positions:
            _note(model, node.line, f"node {node.name!r} has no place: it is missing in [COORDINATES]")
    for link in model.links:
        ends = link.ends or ("", "")
        for end in dict.fromkeys(ends):
            if end not in names:
                _note(model, link.line, f"{link.kind} {link.name!r} ends at {end!r}, which the file does not have")
        if ends[0] == ends[1]:
            _note(model, link.line, f"{link.kind} {link.name!r} begins and ends at {ends[0]!r}")


def _note(model: Model, line: int, message: str) -> None:
    model.problems.append(Problem(line, message))


def _georeference(model: Model, crs: str | None, placement: Placement | None) -> tuple[Transform | None, float | None]:
    if crs is not None:
        return to_wgs84(crs), None
    everything = np.array(list(model.positions.values()), dtype=np.float64).reshape(-1, 2)
    if placement is not None:
        scale = placement.scale or _scale(model)
        low, high = (everything.min(axis=0), everything.max(axis=0)) if len(everything) else (np.zeros(2), np.zeros(2))
        middle = (low + high) / 2
        return placement.transform((float(middle[0]), float(middle[1])), scale), scale
    if len(everything) and not _on_globe(model, everything):
        raise ImportRejectedError(
            model.source,
            [
                *model.problems,
                Problem(
                    1,
                    "the coordinates are no longitudes and latitudes, and the file does not say what they are: give "
                    "their system (--crs EPSG:4547), or where the middle of the drawing is (--place LON,LAT, as "
                    "--place 117.27,31.86; metres a unit and a turn may follow)",
                ),
            ],
        )
    return None, None


def _lengths(model: Model) -> Iterator[tuple[float, list[list[float]]]]:
    """(length in metres as the file states it, points) of each link that has both."""
    for link in model.links:
        length, points = link.values.get("length_m"), model.link_points(link)
        if length and points:
            yield length, points


def _scale(model: Model) -> float:
    """Metres a unit: the median over the links of stated length by drawn length; 1 where no link tells."""
    ratios = []
    for length, points in _lengths(model):
        drawn = sum(float(np.hypot(b[0] - a[0], b[1] - a[1])) for a, b in pairwise(points))
        if drawn > 0:
            ratios.append(length / drawn)
    return float(np.median(ratios)) if ratios else 1.0


def _on_globe(model: Model, everything: Floats) -> bool:
    """Whether the numbers are degrees: within the globe's, and the links are about as long as the file states."""
    if (np.abs(everything) > np.array([180.0, 90.0])).any():
        return False
    ratios = []
    for length, points in _lengths(model):
        measured = geo.length_m({"type": "LineString", "coordinates": points})
        if measured > 0:
            ratios.append(length / measured)
    return bool(ratios) and 0.3 < float(np.median(ratios)) < 3.0


class _Moved:
    """The model's geometry in WGS 84."""

    def __init__(self, model: Model, transform: Transform | None) -> None:
        self._model = model
        self._transform = transform
        self._positions = dict(zip(model.positions, self._move(list(model.positions.values())), strict=True))
        bends = [point for points in model.vertices.values() for point in points]
        moved = iter(self._move(bends))
        self._vertices = {name: [next(moved) for _ in points] for name, points in model.vertices.items()}

    def _move(self, points: list[list[float]]) -> list[list[float]]:
        if self._transform is None or not points:
            return points
        moved: list[list[float]] = np.round(self._transform(np.array(points, dtype=np.float64)), 8).tolist()
        return moved

    def point(self, name: str) -> dict[str, Any] | None:
        at = self._positions.get(name)
        return None if at is None else {"type": "Point", "coordinates": at}

    def line(self, link: Element) -> dict[str, Any] | None:
        a, b = (self._positions.get(end) for end in link.ends or ("", ""))
        if a is None or b is None:
            return None
        return {"type": "LineString", "coordinates": [a, *self._vertices.get(link.name, []), b]}

    def ring(self, points: list[list[float]]) -> dict[str, Any]:
        return {"type": "Polygon", "coordinates": [self._move(points)]}
