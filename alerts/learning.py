"""Learning what is normal, from the quarters of the past days: pure; the job at the end reads and stores.

Taught by at most HISTORY_DAYS. Left out are periods with an alert: of the sensor itself, or, where the rule judges a
network as a whole (a burst), of every sensor of the part.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from alerts import baseline
from alerts.baseline import Marked
from alerts.detectors import blockage, burst, charts, night_flow, rain, robust, rolling, seasonal
from alerts.inventory import Inventory, build_inventory
from alerts.knowledge import Catchment, Columns, District, Mains, Part, dump, load
from alerts.rules import Rule
from alerts.topology import Topology, build_topology
from alerts.trend import STEP_S
from lifeline.catalogue import Catalogue
from lifeline.storage import baselines as storage
from lifeline.storage import window
from lifeline.storage.database import Connection

Floats = NDArray[np.float64]
_log = structlog.get_logger()

HISTORY_DAYS = 28
PART_MOST = 2000
"""Sensors in a part at most: 28 days of them take 43 MB while they are learned."""
STILL_S = 6 * 3600.0
"""Over so long a healthy sensor that moves at all has moved."""
BRIEF_S = 3600.0
"""And over so long one that moves a good deal."""
CHART_WEIGHT = 0.1
MARGIN = 1.5
"""How far beyond the clean days' own extremes an alarm begins (default)."""
SUDDEN_SIGMAS = 6.0
EXPLAINED = ({"pressure", "flow", "level"}, {"gas_pressure", "gas_flow"})
"""Quantities that one hydraulic network ties together."""
LOCAL_S = 8 * 3600.0
"""The day that people keep: China has one time, UTC+8, all year."""
WHOLE = frozenset({"burst", "night_flow"})
"""Detectors whose alert on one sensor speaks for its whole network."""
AGAIN_S, IMPATIENT_S = 86_400.0, 300.0


def parts_of(inventory: Inventory, topology: Topology) -> dict[str, Columns]:
    """Sensors that are learned together, by name of the part: whole components of a network, PART_MOST at most."""
    found: dict[str, Columns] = {}
    networks = np.array([row.network for row in inventory.rows])
    for network in sorted(set(networks.tolist())):
        columns = np.flatnonzero(networks == network)
        columns = columns[np.argsort(topology.component[columns], kind="stable")]
        for number, part in enumerate(np.array_split(columns, -(-len(columns) // PART_MOST))):
            found[f"{network}-{number + 1}"] = np.sort(part)
    return found


def matrix(quarters: storage.Quarters, sensor_ids: NDArray[np.int32]) -> tuple[Floats, Floats]:
    """(time, sensor) last readings of the quarters, and each quarter's end, epoch seconds; NaN in gaps."""
    if not len(quarters.bucket):
        return np.empty((0, len(sensor_ids))), np.empty(0)
    number = np.round(quarters.bucket / STEP_S).astype(np.int64)
    first, last = int(number.min()), int(number.max())
    values = np.full((last - first + 1, len(sensor_ids)), np.nan)
    order = np.argsort(sensor_ids)
    column = order[np.searchsorted(sensor_ids[order], quarters.sensor_id)]
    values[number - first, column] = quarters.last
    ends = np.asarray((np.arange(first, last + 1) + 1) * STEP_S, np.float64)
    return values, ends


def learn_part(
    inventory: Inventory,
    topology: Topology,
    catalogue: Catalogue,
    columns: Columns,
    values: Floats,
    times: Floats,
    marked: Collection[Marked],
    now: float,
) -> Part:
    """What (time, column) readings teach of ``columns``; ``marked`` periods name positions in ``columns``."""
    resolution = inventory.resolution[columns]
    place = {column: position for position, column in enumerate(columns.tolist())}
    groups = [_positions(group, place) for group in _explained(inventory, topology, columns)]
    learned = baseline.learn(
        inventory.sensor_ids[columns].astype(np.int64), values, times, resolution, groups, marked, now, LOCAL_S
    )
    clean = baseline.without(values, times, marked)
    return Part(
        baseline=learned,
        still=_still(clean, times, STILL_S),
        brief=_still(clean, times, BRIEF_S),
        chart_limit=_chart_limit(learned.seasonal, clean, times),
        mains=tuple(_mains(inventory, topology, columns, clean, times, resolution)),
        catchments=tuple(_catchments(inventory, topology, columns, clean, times)),
        districts=tuple(_districts(inventory, topology, columns, clean, times)),
    )


def _positions(columns: Columns, place: dict[int, int]) -> Columns:
    return np.array([place[column] for column in columns.tolist()], np.int64)


def _explained(inventory: Inventory, topology: Topology, columns: Columns) -> list[Columns]:
    groups = []
    for quantities in EXPLAINED:
        fitting = [c for c in columns.tolist() if _explains(inventory, c, quantities)]
        groups += topology.groups(fitting)
    return groups


def _explains(inventory: Inventory, column: int, quantities: Collection[str]) -> bool:
    """Sewers are left out: rain and topology explain them, not each other's readings."""
    row = inventory.rows[column]
    return row.quantity in quantities and row.network != "drainage"


def _still(clean: Floats, times: Floats, span_s: float) -> Floats:
    """The first percentile of the range over ``span_s``: NaN before there is a day of them."""
    if len(times) < quarters_in(STILL_S):
        return np.full(clean.shape[1], np.nan)
    low, high = rolling.extremes(clean, times, span_s)
    full = rolling.total(np.where(np.isnan(clean), np.nan, 1.0), times, span_s) >= 0.75 * quarters_in(span_s)
    return robust.quantile(np.where(full, high - low, np.nan), 0.01)


def quarters_in(seconds: float) -> int:
    """Quarters in so long a time."""
    return int(seconds // STEP_S)


def chart(season: seasonal.Seasonal, values: Floats, times: Floats) -> tuple[Floats, Floats]:
    """Seasonal z, clipped at 8 so that one wild reading stays one, and its EWMA; (time, sensor)."""
    z = np.clip(seasonal.z_scores(season, values, times), -8.0, 8.0)
    return z, charts.ewma(z, CHART_WEIGHT)


def _chart_limit(season: seasonal.Seasonal, clean: Floats, times: Floats) -> Floats:
    _, smooth = chart(season, clean, times)
    reached = np.fmax.reduce(np.abs(smooth), axis=0, initial=0.0)
    limit: Floats = np.maximum(MARGIN * reached, 4.0 * charts.ewma_spread(CHART_WEIGHT))
    return limit


def _mains(
    inventory: Inventory, topology: Topology, columns: Columns, clean: Floats, times: Floats, resolution: Floats
) -> list[Mains]:
    """The burst model of each group of pressures, with the inlets and tanks of its network as anchors."""
    place = {column: position for position, column in enumerate(columns.tolist())}
    pressures = [c for c in columns.tolist() if inventory.rows[c].quantity == "pressure"]
    found = []
    for group in topology.groups(pressures):
        component = topology.component[group[0]]
        anchors = [
            c for c in columns.tolist() if topology.component[c] == component and _anchors(inventory, topology, c)
        ]
        here, there = _positions(group, place), np.array([place[c] for c in anchors], np.int64)
        model = burst.learn(clean[:, here], clean[:, there], times, resolution[here])
        if np.isfinite(model.coefficients).any():
            residual = burst.residuals(model, clean[:, here], clean[:, there], times)
            fall = np.fmax.reduce(-residual, axis=0, initial=0.0)
            found.append(Mains(here, there, model, np.maximum(SUDDEN_SIGMAS * model.sigma, MARGIN * fall)))
    return found


def _anchors(inventory: Inventory, topology: Topology, column: int) -> bool:
    """The flow of a pipe that leaves a pump, tank or regulator, or the level of a tank."""
    row = inventory.rows[column]
    asset = topology.assets.get(row.asset_id) if row.asset_id is not None else None
    if asset is None or row.network != "water":
        return False
    if row.quantity == "level":
        return asset.kind == "tank"
    ends = [end for end in (asset.from_asset, asset.to_asset) if end is not None]
    sources = {"pump", "tank", "regulator"}
    beside = [topology.assets.get(pipe) for end in ends for _, _, pipe in topology.pipes_at(end)]
    beside += [topology.assets.get(end) for end in ends]
    return row.quantity == "flow" and any(one is not None and one.kind in sources for one in beside)


def _districts(
    inventory: Inventory, topology: Topology, columns: Columns, clean: Floats, times: Floats
) -> list[District]:
    """Each joined water network with a metered inlet, and its nights."""
    found = []
    flows = [c for c in columns.tolist() if inventory.rows[c].quantity == "flow" and _anchors(inventory, topology, c)]
    for component in sorted({int(topology.component[c]) for c in flows} - {-1}):
        mine = [p for p, c in enumerate(columns.tolist()) if topology.component[c] == component]
        tanks = {p: _tank_area(inventory, topology, int(columns[p])) for p in mine}
        tanks = {place: area for place, area in tanks.items() if area is not None}
        filled = {topology.asset_of[int(columns[place])] for place in tanks}
        inlets = [p for p in mine if columns[p] in flows and not _beside(inventory, topology, int(columns[p])) & filled]
        areas = np.array([area for area in tanks.values() if area is not None], np.float64)
        here, there = np.array(inlets, np.int64), np.array(list(tanks), np.int64)
        if len(here):
            nights = nights_of(clean[:, here], clean[:, there], areas, times)
            found.append(District(here, there, areas, nights.day, nights.flow[:, 0]))
    return found


def _tank_area(inventory: Inventory, topology: Topology, column: int) -> float | None:
    """m2 of the tank whose level a sensor measures, by its attribute ``bore_m`` or ``area_m2``."""
    row = inventory.rows[column]
    asset = topology.assets.get(row.asset_id) if row.asset_id is not None and row.quantity == "level" else None
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


def nights_of(flow: Floats, level: Floats, areas: Floats, times: Floats) -> night_flow.Nights:
    """Minimum night flow of a district, (night, 1): the flows of its inlets (time, inlet), m3/h, less what its tanks
    (time, tank) took up. A night that is not over yet is left out."""
    inflow = flow.sum(axis=1, keepdims=True)
    for tank, area in enumerate(areas):
        inflow = night_flow.tank_corrected(inflow, level[:, tank : tank + 1], float(area), times)
    nights = night_flow.minimum_night_flow(inflow, times, LOCAL_S)
    end = (times[-1] + LOCAL_S if len(times) else 0.0) - night_flow.TO_H * night_flow.HOUR_S
    over = (nights.day * night_flow.DAY_S <= end) & np.isfinite(nights.flow[:, 0])
    return night_flow.Nights(nights.day[over], nights.flow[over])


def _catchments(
    inventory: Inventory, topology: Topology, columns: Columns, clean: Floats, times: Floats
) -> list[Catchment]:
    """Levels of sewers by the rain gauge that speaks for them; one without a gauge counts as always dry nowhere."""
    place = {column: position for position, column in enumerate(columns.tolist())}
    levels = [c for c in columns.tolist() if inventory.rows[c].quantity == "level" and topology.gauge[c] in place]
    found = []
    for gauge in sorted({int(topology.gauge[c]) for c in levels}):
        mine = np.array([place[c] for c in levels if topology.gauge[c] == gauge], np.int64)
        fallen = np.nan_to_num(clean[:, place[gauge]]) * STEP_S / 3600
        response = rain.learn(clean[:, mine], fallen, times)
        dry = blockage.dry(fallen[:, None], times)
        stores = rain.stores(fallen, times)
        most = stores.max(axis=0) if len(stores) else np.zeros(len(rain.STORES_S))
        usual = blockage.learn(clean[:, mine], np.broadcast_to(dry, (len(times), len(mine))))
        found.append(Catchment(np.array([place[gauge]], np.int64), mine, response, usual, most))
    return found


def read_parts(connection: Connection) -> list[Part]:
    """The newest of what was learned; a part of another version's format waits to be learned anew."""
    found = []
    for name, content in storage.newest(connection).items():
        try:
            found.append(load(content))
        except ValueError as error:
            _log.warning("baseline is not read", part=name, error=str(error))
    return found


def learn_city(
    connection: Connection,
    catalogue: Catalogue,
    rules: Iterable[Rule],
    now: float,
    go_on: Callable[[], bool] = lambda: True,
) -> int:
    """Learn every part anew and store it, each in a transaction of its own; how many sensors are ready."""
    sensors, devices = window.sensors(connection), window.devices(connection)
    inventory = build_inventory(sensors, devices, catalogue)
    topology = build_topology(sensors, window.assets(connection))
    low, parts, ready = now - HISTORY_DAYS * 86_400, parts_of(inventory, topology), 0
    alarms = storage.alarms(connection, low, now)
    whole = {rule.id for rule in rules if rule.detector in WHOLE}
    for name, columns in parts.items():
        if not go_on():
            break
        ids = inventory.sensor_ids[columns]
        values, times = matrix(storage.history(connection, ids.tolist(), low, now), ids)
        if len(times):
            marked = marks(alarms, ids.tolist(), whole)
            part = learn_part(inventory, topology, catalogue, columns, values, times, marked, now)
            storage.save(connection, _learned(name, part, ids.tolist(), now))
            ready += int(part.baseline.ready.sum())
    storage.keep_parts(connection, list(parts))
    _log.info("learned", parts=len(parts), ready=ready, sensors=len(sensors))
    return ready


def _learned(name: str, part: Part, sensor_ids: list[int], now: float) -> storage.Learned:
    known = part.baseline
    days, ready = known.days.tolist(), known.ready.tolist()
    return storage.Learned(name, part.version, now, known.first, known.last, sensor_ids, days, ready, dump(part))


def marks(alarms: Sequence[storage.Alarm], sensor_ids: Sequence[int], group_rules: Collection[str]) -> list[Marked]:
    """Periods that must not teach, by position in ``sensor_ids``."""
    place = {sensor_id: position for position, sensor_id in enumerate(sensor_ids)}
    return [
        Marked(alarm.first, alarm.last, None if alarm.rule in group_rules else place[alarm.sensor_id])
        for alarm in alarms
        if alarm.sensor_id in place
    ]


def due(standing: storage.Standing, now: float) -> bool:
    """Whether it is time to learn: once a day, and every few minutes while most sensors are not ready."""
    if standing.learned_at is None:
        return True
    most_ready = standing.ready * 2 >= standing.sensors
    return now - standing.learned_at >= (AGAIN_S if most_ready else IMPATIENT_S)
