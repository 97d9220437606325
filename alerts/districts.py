"""Districts whose inflow is metered: which meters and tanks belong to one, what its nights were, and its usual balance.

A district is an active zone of kind ``dma`` or ``district`` whose meters were imported with their directions (column
``balance`` of sensors.csv), with the tanks that lie in it. A joined water network of which no zone has a meter is a
district of its own: its inlets are the metered pipes that leave a pump, a regulator or a tank without a level.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import balance, night_flow
from alerts.inventory import Inventory
from alerts.knowledge import Columns, District
from alerts.topology import Topology
from lifeline.storage.window import ZoneRow

Floats = NDArray[np.float64]

SOURCES = frozenset({"pump", "tank", "regulator"})


class Metered(NamedTuple):
    """A district as the inventory tells it: direction of each meter and area in m2 of each tank, by column."""

    name: str
    meters: dict[int, int]
    tanks: dict[int, float]


def learn_districts(
    inventory: Inventory,
    topology: Topology,
    zones: Iterable[ZoneRow],
    columns: Columns,
    values: Floats,
    clean: Floats,
    times: Floats,
    offset_s: float,
) -> list[District]:
    """Every district all of whose sensors are among ``columns``: its nights by (time, column) ``values``, those
    being clean that ``clean`` (the same, without what must not teach) still has; its usual balance by ``clean``."""
    place = {column: position for position, column in enumerate(columns.tolist())}
    found = []
    for one in metered(inventory, topology, zones, columns):
        if not {*one.meters, *one.tanks} <= place.keys():
            continue
        inlets = np.array([place[column] for column in one.meters], np.int64)
        tanks = np.array([place[column] for column in one.tanks], np.int64)
        directions, areas = np.array(list(one.meters.values()), np.float64), np.array(list(one.tanks.values()))
        nights = nights_of(values[:, inlets] * directions, values[:, tanks], areas, times, offset_s)
        undisturbed = nights_of(clean[:, inlets] * directions, clean[:, tanks], areas, times, offset_s)
        told = net_of(clean[:, inlets] * directions, clean[:, tanks], areas, times)
        usual = balance.usual_day(told.net, told.supply, times)
        found.append(
            District(
                np.array(one.name), inlets, directions, tanks, areas, nights.day, nights.flow[:, 0],
                np.isin(nights.day, undisturbed.day), np.array(usual, np.float64),
            )
        )  # fmt: skip
    return found


def metered(inventory: Inventory, topology: Topology, zones: Iterable[ZoneRow], columns: Columns) -> Sequence[Metered]:
    """The districts that have a meter among ``columns``."""
    of_id = {int(sensor): column for column, sensor in enumerate(inventory.sensor_ids.tolist())}
    mine, found = set(columns.tolist()), []
    for zone in zones:
        meters = {of_id[sensor]: way for sensor, way in zone.meters.items() if sensor in of_id}
        within = [of_id[sensor] for sensor in zone.sensors if sensor in of_id]
        if meters.keys() & mine and 1 in meters.values():
            network = inventory.rows[next(iter(meters))].network
            tanks = {column: area for column in within if (area := _tank_area(inventory, topology, column, network))}
            found.append(Metered(zone.name, meters, tanks))
    by_zone = {int(topology.component[column]) for one in found for column in one.meters}
    return found + [one for one in _joined(inventory, topology, columns) if one.name not in map(str, by_zone)]


def _joined(inventory: Inventory, topology: Topology, columns: Columns) -> list[Metered]:
    """Each joined water network with a metered inlet, under the number of its component."""
    found = []
    mine = columns.tolist()
    flows = [c for c in mine if inventory.rows[c].quantity == "flow" and is_anchor(inventory, topology, c)]
    for component in sorted({int(topology.component[c]) for c in flows} - {-1}):
        here = [c for c in mine if topology.component[c] == component]
        tanks = {c: area for c in here if (area := _tank_area(inventory, topology, c, "water"))}
        filled = {topology.asset_of[c] for c in tanks}
        inlets = [c for c in here if c in flows and not _beside(inventory, topology, c) & filled]
        if inlets:
            found.append(Metered(str(component), dict.fromkeys(inlets, 1), tanks))
    return found


def is_anchor(inventory: Inventory, topology: Topology, column: int) -> bool:
    """Whether it is the flow of a water pipe that leaves a pump, tank or regulator, or the level of a tank."""
    row = inventory.rows[column]
    asset = topology.assets.get(row.asset_id) if row.asset_id is not None else None
    if asset is None or row.network != "water":
        return False
    if row.quantity == "level":
        return asset.kind == "tank"
    ends = [end for end in (asset.from_asset, asset.to_asset) if end is not None]
    beside = [topology.assets.get(pipe) for end in ends for _, _, pipe in topology.pipes_at(end)]
    beside += [topology.assets.get(end) for end in ends]
    return row.quantity == "flow" and any(one is not None and one.kind in SOURCES for one in beside)


def _tank_area(inventory: Inventory, topology: Topology, column: int, network: str) -> float | None:
    """m2 of the tank whose level a sensor measures, by its attribute ``bore_m`` or ``area_m2``."""
    row = inventory.rows[column]
    wanted = row.asset_id is not None and row.quantity == "level" and row.network == network
    asset = topology.assets.get(row.asset_id or -1) if wanted else None
    if asset is None or asset.kind != "tank":
        return None
    bore, area = asset.attributes.get("bore_m"), asset.attributes.get("area_m2")
    if isinstance(area, int | float):
        return float(area)
    return math.pi * float(bore) ** 2 / 4 if isinstance(bore, int | float) else None


def _beside(inventory: Inventory, topology: Topology, column: int) -> set[int | None]:
    """The ends of the pipe that a sensor is at."""
    asset = topology.assets.get(inventory.rows[column].asset_id or -1)
    return set() if asset is None else {asset.from_asset, asset.to_asset}


class Net(NamedTuple):
    """Of a district, (time, 1): inflow less outflow less what its tanks took up; and the inflow alone; m3/h."""

    net: Floats
    supply: Floats


def net_of(flow: Floats, level: Floats, areas: Floats, times: Floats) -> Net:
    """Net and supply by the signed flows (time, meter), m3/h, and the tanks' levels (time, tank), m."""
    net = flow.sum(axis=1, keepdims=True)
    for tank, area in enumerate(areas):
        net = night_flow.tank_corrected(net, level[:, tank : tank + 1], float(area), times)
    return Net(net, np.maximum(flow, 0.0).sum(axis=1, keepdims=True))


def nights_of(flow: Floats, level: Floats, areas: Floats, times: Floats, offset_s: float) -> night_flow.Nights:
    """Minimum night flow of a district, (night, 1), by the clock ``offset_s`` ahead of UTC; a night that is not over
    yet is left out."""
    nights = night_flow.minimum_night_flow(net_of(flow, level, areas, times).net, times, offset_s)
    end = (times[-1] + offset_s if len(times) else 0.0) - night_flow.TO_H * night_flow.HOUR_S
    over = (nights.day * night_flow.DAY_S <= end) & np.isfinite(nights.flow[:, 0])
    return night_flow.Nights(nights.day[over], nights.flow[over])
