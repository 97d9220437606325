"""Suggested zones: where risk stands together (风险管控区), and what a critical facility lives on (韧性保护区). Pure.

Risk-control zones are connected groups of hot hexagons. Density clustering (DBSCAN) on a hexagonal grid is just that: a
cell is dense where its own risk is high, and cells are neighbours where they touch or have one cell between them.
Resilience-protection zones hold a facility and the pipes on its shortest way from a source, with a margin.
"""

import heapq
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import h3
import shapely

from lifeline import geo
from lifeline.geo import EARTH_RADIUS_M
from lifeline.model import JsonObject, Zone, ZoneKind, ZoneStatus

BRIDGE = 2
"""Steps on the grid at which two hot cells are one group: 2 leaves room for one cell between them (default)."""
LEAST_LENGTH_M = 300.0
MARGIN_M = 30.0
SOURCES = frozenset({"tank", "regulator", "outfall"})
"""Where a network's service comes from, or in drainage goes to; a pump counts where there is none of these."""
_CHINESE, _LATIN = re.compile("[\u3400-\u9fff]"), re.compile("[A-Za-z]")
CONTROL, RESILIENCE = "suggested:risk_control", "suggested:resilience"


class HotCell(NamedTuple):
    """A hexagon with its highest score, its mean by length, the metres of pipe in it, and the street there or ""."""

    cell: str
    score: float
    mean: float
    length_m: float
    street: str = ""


class Node(NamedTuple):
    """An asset as ways go through it. ``ends``: the assets that it joins; ``geometry``: GeoJSON text; ``name`` may be
    empty."""

    asset_id: int
    external_id: str
    name: str
    network: str
    kind: str
    critical: bool
    length_m: float
    ends: tuple[int, ...]
    geometry: str


def risk_control(cells: Sequence[HotCell], least: float, least_length_m: float = LEAST_LENGTH_M) -> list[Zone]:
    """Groups of cells whose highest score is ``least`` or more, with so many metres of pipe; the worst first."""
    hot = {each.cell: each for each in cells if each.score >= least}
    found = [[hot[cell] for cell in group] for group in groups(hot)]
    kept = [group for group in found if sum(each.length_m for each in group) >= least_length_m]
    kept.sort(key=lambda group: (-sum(each.mean * each.length_m for each in group), min(each.cell for each in group)))
    return _told_apart([_control_zone(group) for group in kept])


def groups(cells: Iterable[str]) -> list[list[str]]:
    """Cells that are joined through one another, each group in order of names."""
    left = set(cells)
    found = []
    while left:
        edge = [min(left)]
        left.discard(edge[0])
        group = list(edge)
        while edge:
            near = set(h3.grid_disk(edge.pop(), BRIDGE)) & left
            left -= near
            group += near
            edge += near
        found.append(sorted(group))
    return found


def _control_zone(group: Sequence[HotCell]) -> Zone:
    # The cells between are of the zone too: a line of holes could not be patrolled.
    inside = {each.cell for each in group}
    around = {cell for each in inside for cell in h3.grid_disk(each, 1)}
    bridges = {cell for cell in around - inside if len(set(h3.grid_disk(cell, 1)) & inside) >= 2}
    shape = shapely.union_all([shapely.geometry.shape(geo.boundary(cell)) for cell in sorted(inside | bridges)])
    length = sum(each.length_m for each in group)
    worst = sorted(group, key=lambda each: (-each.score, each.cell))
    attributes = {
        "cells": len(group),
        "score": round(max(each.score for each in group), 1),
        "mean": round(sum(each.mean * each.length_m for each in group) / max(length, 1e-9), 1),
        "length_m": round(length),
    }
    title = named(next((each.street for each in worst if each.street), ""), "风险管控区", "risk control zone")
    return _zone(f"risk-control-{worst[0].cell}", ZoneKind.RISK_CONTROL, None, title, shape, attributes, CONTROL)


def resilience(nodes: Sequence[Node]) -> list[Zone]:
    """For each critical facility a zone of what it lives on; facilities that share most of their way share a zone."""
    at = {each.asset_id: each for each in nodes}
    beside = neighbours(nodes)
    ways = {
        each.asset_id: way
        for each in nodes
        if each.critical and (way := way_to_source(each.asset_id, at, beside)) is not None
    }
    merged: list[tuple[set[int], set[int]]] = []
    for facility, way in sorted(ways.items(), key=lambda each: (-len(each[1]), each[0])):
        own = set(way)
        for facilities, held in merged:
            if len(own & held) * 2 >= len(own):
                facilities.add(facility)
                held |= own
                break
        else:
            merged.append(({facility}, own))
    return _told_apart([_resilience_zone(sorted(facilities), sorted(held), at) for facilities, held in merged])


def neighbours(nodes: Sequence[Node]) -> dict[int, set[int]]:
    """What is joined to what, within a network."""
    network = {each.asset_id: each.network for each in nodes}
    found: dict[int, set[int]] = defaultdict(set)
    for each in nodes:
        for end in each.ends:
            if network.get(end) == each.network and end != each.asset_id:
                found[each.asset_id].add(end)
                found[end].add(each.asset_id)
    return found


def way_to_source(start: int, nodes: Mapping[int, Node], beside: Mapping[int, set[int]]) -> list[int] | None:
    """Assets on the shortest way from a facility to a source of its network (Dijkstra), the source last; None where
    none can be reached."""
    queue = [(0.0, start)]
    came: dict[int, int] = {start: start}
    least = {start: 0.0}
    pump: int | None = None
    while queue:
        metres, here = heapq.heappop(queue)
        if metres > least[here]:
            continue
        if nodes[here].kind in SOURCES and here != start:
            return _trace(here, came)
        if nodes[here].kind == "pump" and pump is None and here != start:
            pump = here
        for other in sorted(beside.get(here, ())):
            further = metres + nodes[other].length_m + 1.0
            if further < least.get(other, math.inf):
                least[other], came[other] = further, here
                heapq.heappush(queue, (further, other))
    return None if pump is None else _trace(pump, came)


def _trace(end: int, came: Mapping[int, int]) -> list[int]:
    way = [end]
    while came[way[-1]] != way[-1]:
        way.append(came[way[-1]])
    return way[::-1]


def _resilience_zone(facilities: Sequence[int], held: Sequence[int], nodes: Mapping[int, Node]) -> Zone:
    first = nodes[facilities[0]]
    shapes = [shapely.geometry.shape(json.loads(nodes[each].geometry)) for each in held]
    latitude = shapes[0].bounds[1]
    metres = math.radians(1.0) * EARTH_RADIUS_M
    scale = (metres * math.cos(math.radians(latitude)), metres)
    flat = shapely.transform(shapely.GeometryCollection(shapes), lambda degrees: degrees * scale)
    wide = shapely.simplify(shapely.buffer(flat, MARGIN_M, quad_segs=2), 2.0)
    attributes = {
        "facilities": [nodes[each].external_id for each in facilities],
        "assets": len(held),
        "sources": sorted(nodes[each].external_id for each in held if nodes[each].kind in SOURCES | {"pump"}),
        "length_m": round(sum(nodes[each].length_m for each in held)),
    }
    zh, en = "韧性保护区", "resilience protection zone"
    title = named(first.name, zh, en) if first.name else f"{zh} {first.external_id} {en}"
    shape = shapely.transform(wide, lambda plane: plane / scale)
    return _zone(
        f"resilience-{first.external_id}", ZoneKind.RESILIENCE, first.network, title, shape, attributes, RESILIENCE
    )


def named(place: str, zh: str, en: str) -> str:
    """A zone's name by a place in it, in the languages in which that has a name: "中山路 Zhongshan Rd" gives
    "中山路风险管控区 Zhongshan Rd risk control zone"."""
    halves: dict[bool, list[str]] = {True: [], False: []}
    chinese = bool(_CHINESE.search(place))
    for word in place.split():
        if chinese or _CHINESE.search(word):  # a number goes with what stands before it
            chinese = bool(_CHINESE.search(word)) or not _LATIN.search(word)
        halves[chinese].append(word)
    told = ((" ".join(halves[True]), zh, ""), (" ".join(halves[False]), en, " "))
    return " ".join(f"{half}{gap}{what}" for half, what, gap in told if half) or f"{zh} {en}"


def _told_apart(zones: Sequence[Zone]) -> list[Zone]:
    """The second zone of one name is number 2, and so on."""
    met: Counter[str] = Counter()
    found = []
    for each in zones:
        met[each.name] += 1
        found.append(replace(each, name=f"{each.name} {met[each.name]}") if met[each.name] > 1 else each)
    return found


def _zone(
    name: str, kind: ZoneKind, network: str | None, title: str, shape: shapely.Geometry, attributes: JsonObject, by: str
) -> Zone:
    rounded = shapely.make_valid(shapely.set_precision(shape, 1e-6))
    polygons = [each for each in shapely.get_parts(rounded) if each.geom_type == "Polygon"]
    geometry = shapely.geometry.mapping(polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons))
    return Zone(name, kind, geo.area(geometry), network, title, attributes, by, ZoneStatus.SUGGESTED)
