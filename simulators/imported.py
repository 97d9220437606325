"""A town from an operator's own EPANET model: its pipes are the streets, drainage and gas are laid along them.

What is taken: junctions with their levels and demands, pipes with length, diameter and roughness. What is not: its
sources, pumps, valves, tanks and rules; one waterworks and one tower of our own feed the network, high enough for it.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lifeline.errors import ConfigurationError, ImportRejectedError
from lifeline.exchange.epanet import read_epanet
from lifeline.exchange.models import Element, Model
from lifeline.exchange.sections import read_sections
from simulators.drains import lay_drainage
from simulators.gaslines import lay_gas
from simulators.instruments import place_instruments
from simulators.mains import DEMAND_M3H, junction, junction_id, tower, works
from simulators.planning import CRITICAL
from simulators.stock import carried, water_material, year_laid
from simulators.streets import Point, Street, Streets, shortest_tree, stretch_number
from simulators.town import Network, Node, Pipe, Town

FEWEST, MOST = 40, 5_000
"""Crossings: with fewer three networks find no place, with more the layout takes too long."""
LEAST_EXTENT_M = 700.0
CROSSINGS_OF_A_SMALL_TOWN = 100
ARTERIAL_MM = 250.0
PRESSURE_M = 32.0
"""What the works lift above the highest junction."""


class Plan(NamedTuple):
    """The streets of a model; ``demand_m3h`` at each crossing; for each stretch the pipe that it comes from; what was
    left out, by kind."""

    streets: Streets
    names: list[str]
    demand_m3h: list[float]
    pipes: list[Element]
    left_out: int


def town_from(path: Path, seed: int) -> Town:
    """The town of an EPANET file. Raises ConfigurationError that says why there can be none."""
    plan = plan_of(_model(path), path)
    streets = plan.streets
    customers = [max(round(demand / DEMAND_M3H), 0) for demand in plan.demand_m3h]
    rng = np.random.default_rng([seed, 2])
    busiest = sorted(range(len(customers)), key=lambda c: -customers[c])[: 3 * len(CRITICAL)]
    places = rng.permutation(busiest)[: len(CRITICAL)]
    facility = {int(c): name for c, name in zip(places, CRITICAL, strict=False)}
    water = _lay_water(plan, customers, facility, np.random.default_rng([seed, 3]))
    drainage = lay_drainage(streets, customers, facility, np.random.default_rng([seed, 4]))
    gas = lay_gas(streets, customers, facility, np.random.default_rng([seed, 5]))
    scale = max(1, round(len(streets.crossings) / CROSSINGS_OF_A_SMALL_TOWN))
    instruments = place_instruments(streets, gas, water, drainage, scale)
    return Town(seed, streets, water, drainage, gas, instruments)


def _model(path: Path) -> Model:
    try:
        model = read_epanet(read_sections(path.read_bytes(), str(path)), str(path), "water")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except ImportRejectedError as error:
        raise ConfigurationError(str(error)) from error
    if model.problems:
        first = "; ".join(str(problem) for problem in model.problems[:5])
        raise ConfigurationError(f"{path}: {len(model.problems)} mistake(s): {first}")
    return model


def plan_of(model: Model, path: Path) -> Plan:
    """The largest connected part of the pipes between junctions that have coordinates. Raises ConfigurationError."""
    junctions = {node.name: node for node in model.nodes if "demand_lps" in node.values}
    placed = [name for name in junctions if name in model.positions]
    whole = [link for link in model.links if link.values.get("length_m") and "diameter_mm" in link.values]
    pipes = [link for link in whole if link.ends and all(end in placed for end in link.ends)]
    kept = _largest_part(pipes)
    names = [name for name in placed if name in kept]
    if not FEWEST <= len(names) <= MOST:
        raise ConfigurationError(
            f"{path}: {len(names)} junctions with coordinates hang together by pipes; a town takes {FEWEST} to {MOST}"
        )
    number = {name: place for place, name in enumerate(names)}
    metres = _metres(model, pipes)
    pipes = [pipe for pipe in pipes if pipe.ends and pipe.ends[0] in number and pipe.ends[0] != pipe.ends[1]]
    middle = np.mean([model.positions[name] for name in names], axis=0)

    def at(point: list[float]) -> Point:
        east, north = (np.asarray(point) - middle) * metres
        return round(float(east), 1), round(float(north), 1)

    crossings = tuple(at(model.positions[name]) for name in names)
    extent = np.ptp(np.array(crossings), axis=0)
    if extent.min() < LEAST_EXTENT_M:
        raise ConfigurationError(f"{path}: {extent[0]:.0f} m by {extent[1]:.0f} m is too small for a town")
    stretches = tuple(_stretch(model, pipe, number, at) for pipe in pipes)
    ground = tuple(float(junctions[name].values.get("elevation_m", 0.0)) for name in names)
    demand = [max(float(junctions[name].values["demand_lps"]) * 3.6, 0.0) for name in names]
    left_out = len(model.nodes) + len(model.links) - len(names) - len(pipes)
    return Plan(Streets(crossings, ground, stretches), names, demand, pipes, left_out)


def _stretch(model: Model, pipe: Element, number: dict[str, int], at: Callable[[list[float]], Point]) -> Street:
    a, b = pipe.ends or ("", "")
    path = tuple(at(point) for point in model.link_points(pipe) or [])
    if len(path) == 2:
        path = (path[0], ((path[0][0] + path[1][0]) / 2, (path[0][1] + path[1][1]) / 2), path[1])
    wide = float(pipe.values["diameter_mm"]) >= ARTERIAL_MM
    name = f"{pipe.name}街 {pipe.name} St"
    return Street(number[a], number[b], name, wide, path, max(float(pipe.values["length_m"]), 1.0))


def _largest_part(pipes: list[Element]) -> set[str]:
    beside: dict[str, list[str]] = {}
    for pipe in pipes:
        a, b = pipe.ends or ("", "")
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    best, seen = set[str](), set[str]()
    for start in beside:
        part, front = set[str](), {start} - seen
        while front:
            part |= front
            front = {other for name in front for other in beside[name]} - part
        seen |= part
        best = max(best, part, key=len)
    return best


def _metres(model: Model, pipes: list[Element]) -> float:
    """Metres a unit of the coordinates: so that pipes are as long as the model says, in the middle."""
    ratios = []
    for pipe in pipes:
        points = model.link_points(pipe) or []
        drawn = sum(math.dist(p, q) for p, q in pairwise(points))
        if drawn > 0:
            ratios.append(float(pipe.values["length_m"]) / drawn)
    return float(np.median(ratios)) if ratios else 1.0


def _lay_water(plan: Plan, customers: list[int], facility: dict[int, str], rng: np.random.Generator) -> Network:
    streets, total = plan.streets, sum(customers)
    nodes: dict[str, Node] = {}
    for c, demand in enumerate(plan.demand_m3h):
        node = junction(streets, c, customers[c], facility, rng)
        attributes = node.attributes | {"base_demand_m3h": round(demand, 4), "element": plan.names[c]}
        nodes[node.id] = replace(node, attributes=attributes, at=streets.crossings[c])
    first = _inlet(plan)
    links = [(s.a, s.b, i) for i, s in enumerate(streets.stretches)]
    tree = shortest_tree(links, [first], lambda link, *_: streets.stretches[link].length_m)
    through = carried(tree, {c: float(n) for c, n in enumerate(customers)})
    vital = {tree[c][1] for c in facility if c in tree}
    pipes: dict[str, Pipe] = {}
    for index in range(len(streets.stretches)):
        pipe = _pipe(plan, index, int(through.get(index, 0)), index in vital, rng)
        pipes[pipe.id] = pipe
    highest = max(streets.ground_m)
    lift = round(highest + PRESSURE_M - streets.ground_m[first], 1)
    for node, main in works(streets, first, total) + tower(streets, _heart(streets), total):
        higher = node.attributes | {"rated_head_m": lift} if node.between else node.attributes
        nodes[node.id] = replace(node, attributes=higher)
        if main:
            pipes[main.id] = main
    return Network("water", nodes, pipes)


def _pipe(plan: Plan, index: int, served: int, vital: bool, rng: np.random.Generator) -> Pipe:
    stretch, values = plan.streets.stretches[index], plan.pipes[index].values
    year, diameter = year_laid(stretch.path[1], rng), float(values["diameter_mm"])
    roughness = float(values.get("roughness") or 120.0)
    return Pipe(
        f"W-P-{stretch_number(index)}", "water", stretch.name, junction_id(stretch.a),
        junction_id(stretch.b), stretch.path, stretch.length_m, diameter, water_material(year, diameter), year,
        round(0.9 + diameter / 1000, 2), served, vital,
        {"hazen_williams_c": roughness if 40.0 <= roughness <= 160.0 else 120.0, "element": plan.pipes[index].name},
    )  # fmt: skip


def _inlet(plan: Plan) -> int:
    """Where the works feed in: the end of the widest pipe, nearest to the middle of all demand."""
    widest = max(float(pipe.values["diameter_mm"]) for pipe in plan.pipes)
    ends = [s.a for s, p in zip(plan.streets.stretches, plan.pipes, strict=True) if p.values["diameter_mm"] == widest]
    weights = np.array(plan.demand_m3h) + 1e-9
    centre = tuple(np.average(np.array(plan.streets.crossings), axis=0, weights=weights).tolist())
    return plan.streets.nearest((centre[0], centre[1]), ends)


def _heart(streets: Streets) -> int:
    return streets.nearest((0.0, 0.0))
