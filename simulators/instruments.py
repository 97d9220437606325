"""Where the sensors are: about 90 on 53 devices behind six gateways, spread over the town, with blind spots.

Two corners have no sensor at all, as in any real town: the map must show them as unknown.
"""

import math
from collections.abc import Iterable, Iterator

from lifeline.model import AssetKind
from simulators.gaslines import spread
from simulators.streets import Point, Streets
from simulators.town import Instrument, Network, Node

BLIND_RADIUS_M = 330.0
QUANTITY_NAMES = {
    "methane": "甲烷 methane",
    "gas_pressure": "压力 pressure",
    "gas_flow": "流量 flow",
    "pressure": "压力 pressure",
    "flow": "流量 flow",
    "level": "液位 level",
    "residual_chlorine": "余氯 chlorine",
    "rain": "雨强 rain",
    "ponding_depth": "积水 ponding",
    "h2s": "硫化氢 H2S",
    "battery": "电池 battery",
    "turbidity": "浊度 turbidity",
    "pump_current": "水泵电流 pump current",
}


def place_instruments(
    streets: Streets, gas: Network, water: Network, drainage: Network, scale: int = 1
) -> tuple[Instrument, ...]:
    """Every sensor of the town, in a fixed order; about 95 times ``scale``."""
    seen = _seen(streets)
    plan = [*_gas(gas, seen, scale), *_water(water, seen, scale), *_drainage(drainage, seen, streets, scale)]
    return tuple(_behind_gateways(plan))


Plan = tuple[str, Network, Node, str, str]
"""Device, network, node where it stands, channel, asset measured."""


def _seen(streets: Streets) -> set[int]:
    """Crossings outside the blind spots."""
    blind = (streets.crossings[streets.nearest((650, 600))], streets.crossings[streets.nearest((-650, 150))])
    return {
        c for c, point in enumerate(streets.crossings) if all(math.dist(point, spot) > BLIND_RADIUS_M for spot in blind)
    }


def _chosen(nodes: Iterable[Node], seen: set[int], count: int) -> list[Node]:
    by_crossing = {node.crossing: node for node in nodes if node.crossing in seen}
    points: dict[int, Point] = {crossing: node.at for crossing, node in by_crossing.items()}
    order = sorted(points)
    picked = spread(tuple(points[c] for c in order), list(range(len(order))), count)
    return [by_crossing[order[i]] for i in picked]


def _gas(gas: Network, seen: set[int], scale: int) -> Iterator[Plan]:
    gate = gas.nodes["G-R-0"]
    main = "G-P-901"
    yield "gas-gate", gas, gate, "gas_pressure", gate.id
    yield "gas-gate", gas, gate, "gas_flow", main
    regulators = [n for n in gas.nodes.values() if n.kind is AssetKind.REGULATOR]
    for number, node in enumerate(_chosen(regulators, seen, 7 * scale), 1):
        device = f"gas-reg-{number:02d}"
        yield device, gas, node, "gas_pressure", node.id
        if number <= 5 * scale:
            yield device, gas, node, "gas_flow", node.id
    chambers = [n for n in gas.nodes.values() if n.kind is AssetKind.CHAMBER]
    for number, node in enumerate(_chosen(chambers, seen, 16 * scale), 1):
        device = f"gas-cham-{number:02d}"
        yield device, gas, node, "methane", node.id
        if number % 2:
            yield device, gas, node, "battery", node.id


def _water(water: Network, seen: set[int], scale: int) -> Iterator[Plan]:
    works = water.nodes["W-D-1"]
    yield "water-works", water, works, "pressure", works.id
    yield "water-works", water, works, "flow", "W-P-901"
    yield "water-works", water, works, "residual_chlorine", works.id
    yield "water-works", water, works, "turbidity", works.id
    yield "water-works", water, works, "pump_current", "W-U-1"
    tower = water.nodes["W-T-1"]
    yield "water-tower", water, tower, "level", tower.id
    yield "water-tower", water, tower, "residual_chlorine", tower.id
    chosen = _chosen(water.nodes.values(), seen, 12 * scale)
    chosen.sort(key=lambda node: -max(pipe.customers for pipe in water.pipes_at(node.id)))  # flow is metered on mains
    for number, node in enumerate(chosen, 1):
        device = f"water-node-{number:02d}"
        yield device, water, node, "pressure", node.id
        if number <= 5 * scale:
            widest = max(water.pipes_at(node.id), key=lambda pipe: (pipe.diameter_mm, pipe.customers))
            yield device, water, node, "flow", widest.id
        elif number <= 8 * scale:
            yield device, water, node, "residual_chlorine", node.id
            yield device, water, node, "turbidity", node.id
        else:
            yield device, water, node, "battery", node.id


def _drainage(drainage: Network, seen: set[int], streets: Streets, scale: int) -> Iterator[Plan]:
    manholes = [n for n in drainage.nodes.values() if n.kind is AssetKind.CHAMBER and n.crossing >= 0]
    # A level says most where much drains through: only manholes with something upstream are watched.
    busy = {pipe.a for pipe in drainage.pipes.values() if pipe.attributes["area_ha"] > 3.0}
    for number, node in enumerate(_chosen([n for n in manholes if n.id in busy], seen, 10 * scale), 1):
        device = f"drain-level-{number:02d}"
        yield device, drainage, node, "level", node.id
        if number <= 4 * scale:
            yield device, drainage, node, "flow", next(p.id for p in drainage.pipes.values() if p.a == node.id)
        elif number <= 7 * scale:
            yield device, drainage, node, "h2s", node.id
            yield device, drainage, node, "methane", node.id
        else:
            yield device, drainage, node, "battery", node.id
    lowest = sorted(
        (n for n in manholes if n.crossing in seen and n.id in busy),
        key=lambda n: n.ground_m - n.attributes["invert_m"],
    )
    for number, node in enumerate(_apart(lowest, 3 * scale), 1):
        yield f"drain-pond-{number:02d}", drainage, node, "ponding_depth", node.id
    pump = drainage.nodes["D-U-1"]
    for channel, asset in (("level", "D-W-1"), ("pump_current", pump.id), ("ponding_depth", "D-W-1")):
        yield "drain-pump-01", drainage, pump, channel, asset
    for number, spot in enumerate(((-300.0, 300.0), (250.0, -250.0)), 1):
        node = drainage.nodes[f"D-M-{streets.nearest(spot, sorted(seen)):03d}"]
        yield f"drain-rain-{number:02d}", drainage, node, "rain", node.id


def _apart(nodes: list[Node], count: int, metres: float = 300.0) -> list[Node]:
    chosen: list[Node] = []
    for node in nodes:
        if len(chosen) < count and all(math.dist(node.at, other.at) > metres for other in chosen):
            chosen.append(node)
    return chosen


def _behind_gateways(plan: list[Plan]) -> Iterator[Instrument]:
    """Each network has a gateway for the west half and one for the east half, at its most central device there."""
    halves: dict[str, list[Plan]] = {}
    for item in plan:
        device, network, node, _, _ = item
        half = "west" if node.at[0] < _middle(plan, network.key) else "east"
        if not any(device == other[0] for other in halves.get(f"gw-{network.key}-{half}", [])):
            halves.setdefault(f"gw-{network.key}-{half}", []).append(item)
    gateway_of = {item[0]: gateway for gateway, items in halves.items() for item in items}
    for gateway, items in sorted(halves.items()):
        centre = tuple(sum(item[2].at[axis] for item in items) / len(items) for axis in (0, 1))
        device, network, node, _, _ = min(items, key=lambda item: math.dist(item[2].at, centre))
        yield Instrument(
            gateway, network.key, "battery", node.id, f"{gateway} {QUANTITY_NAMES['battery']}", node.at, ""
        )
    for device, network, node, channel, asset in plan:
        name = f"{node.name} {QUANTITY_NAMES[channel]}"
        yield Instrument(device, network.key, channel, asset, name, node.at, gateway_of[device])


def _middle(plan: list[Plan], network: str) -> float:
    east = sorted({item[0]: item[2].at[0] for item in plan if item[1].key == network}.values())
    return east[len(east) // 2]
