"""Learning what is normal, from the quarters of the past days: pure; the job at the end reads and stores.

Taught by at most HISTORY_DAYS. Left out are periods with an alert: of the sensor itself, or, where the rule judges a
network as a whole (a burst), of every sensor of the part.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo

import numpy as np
import structlog
from numpy.typing import NDArray

from alerts import baseline
from alerts.baseline import Marked
from alerts.detectors import blockage, burst, charts, peers, pump, rain, robust, rolling, seasonal, surge
from alerts.districts import is_anchor, learn_districts
from alerts.inventory import Inventory, build_inventory
from alerts.knowledge import Catchment, Columns, Mains, Part, dump, load
from alerts.rules import Rule
from alerts.topology import Topology, build_topology
from alerts.trend import STEP_S
from lifeline.catalogue import Catalogue
from lifeline.storage import baselines as storage
from lifeline.storage import window
from lifeline.storage.database import Connection
from lifeline.storage.window import ZoneRow

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
SPARE = 0.1
EXPLAINED = ({"pressure", "flow", "level"}, {"gas_pressure", "gas_flow"})
"""Quantities that one hydraulic network ties together."""
WHOLE = frozenset({"burst", "night_flow", "balance"})
"""Detectors whose alert on one sensor speaks for its whole network."""
AGAIN_S, IMPATIENT_S = 86_400.0, 300.0


def parts_of(inventory: Inventory, topology: Topology) -> dict[str, Columns]:
    """Sensors that are learned together, by name of the part: whole components of a network, PART_MOST at most."""
    found: dict[str, Columns] = {}
    networks = np.array([row.network for row in inventory.rows])
    for network in sorted(set(networks.tolist())):
        columns = np.flatnonzero(networks == network)
        columns = columns[np.argsort(topology.component[columns], kind="stable")]
        for number, part in enumerate(_packed(columns, topology.component[columns])):
            found[f"{network}-{number + 1}"] = np.sort(part)
    return found


def _packed(columns: Columns, component: Columns) -> list[Columns]:
    """Columns in order of their component in parts of PART_MOST at most; only what is joined to nothing, or a component
    that is larger by itself, is cut."""
    cuts = np.flatnonzero((np.diff(component) != 0) | (component[1:] < 0)) + 1
    parts: list[Columns] = []
    filled = PART_MOST
    for whole in np.split(columns, cuts):
        for piece in np.array_split(whole, max(1, -(-len(whole) // PART_MOST))):
            if filled + len(piece) > PART_MOST:
                parts.append(piece)
                filled = len(piece)
            else:
                parts[-1] = np.append(parts[-1], piece)
                filled += len(piece)
    return parts


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
    columns: Columns,
    values: Floats,
    times: Floats,
    marked: Collection[Marked],
    now: float,
    zones: Iterable[ZoneRow] = (),
    local_time: tzinfo = UTC,
) -> Part:
    """What (time, column) readings teach of ``columns``; ``marked`` periods name positions in ``columns``.

    Hours are those of ``local_time`` at ``now``: where clocks are changed, the weeks after teach the new hours.
    """
    offset_s = offset_of(local_time, now)
    resolution = inventory.resolution[columns]
    place = {column: position for position, column in enumerate(columns.tolist())}
    groups = [_positions(group, place) for group in _explained(inventory, topology, columns)]
    learned = baseline.learn(
        inventory.sensor_ids[columns].astype(np.int64), values, times, resolution, groups, marked, now, offset_s
    )
    clean = baseline.without(values, times, marked)
    return Part(
        baseline=learned,
        still=_still(clean, times, STILL_S),
        brief=_still(clean, times, BRIEF_S),
        least=robust.quantile(clean, 0.002),
        draws=_draws(inventory, columns, clean),
        chart_limit=_chart_limit(learned.seasonal, clean, times),
        mains=tuple(_mains(inventory, topology, columns, clean, times, resolution)),
        catchments=tuple(_catchments(inventory, topology, columns, clean, times)),
        districts=tuple(learn_districts(inventory, topology, zones, columns, values, clean, times, offset_s)),
    )


def offset_of(local_time: tzinfo, now: float) -> float:
    """Seconds by which local time is ahead of UTC at ``now``."""
    ahead = datetime.fromtimestamp(now, UTC).astimezone(local_time).utcoffset()
    return ahead.total_seconds() if ahead is not None else 0.0


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


def _draws(inventory: Inventory, columns: Columns, clean: Floats) -> Floats:
    found = np.full(len(columns), np.nan)
    currents = np.flatnonzero(inventory.quantities[columns] == "pump_current")
    found[currents] = pump.usual_draw(clean[:, currents])
    return found


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
            c for c in columns.tolist() if topology.component[c] == component and is_anchor(inventory, topology, c)
        ]
        here, there = _positions(group, place), np.array([place[c] for c in anchors], np.int64)
        model = burst.learn(clean[:, here], clean[:, there], times, resolution[here])
        if np.isfinite(model.coefficients).any():
            residual = burst.residuals(model, clean[:, here], clean[:, there], times)
            fall = np.fmax.reduce(-residual, axis=0, initial=0.0)
            sudden = np.maximum(SUDDEN_SIGMAS * model.sigma, MARGIN * fall)
            tanks = np.array([inventory.rows[column].quantity == "level" for column in anchors], np.bool_)
            low, high = _between(clean[:, there], tanks)
            found.append(Mains(here, there, model, sudden, low, high))
    return found


def _between(values: Floats, judged: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Least and greatest of (time, anchor) with a tenth of their distance to spare; infinite where not ``judged``."""
    low = np.fmin.reduce(values, axis=0, initial=np.inf)
    high = np.fmax.reduce(values, axis=0, initial=-np.inf)
    spare = SPARE * np.maximum(high - low, 0.0)
    return np.where(judged, low - spare, -np.inf), np.where(judged, high + spare, np.inf)


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
        beside = peers.learn(clean[:, mine], peers.quiet(stores))
        sudden = surge.learn(clean[:, mine], surge.dry(fallen, times), times)
        found.append(Catchment(np.array([place[gauge]], np.int64), mine, response, usual, most, beside, sudden))
    return found


def outdated(connection: Connection) -> bool:
    """Whether some of what was learned cannot be read, as another version of Lifeline learned it."""
    contents = storage.newest(connection)
    return len(_read(contents)) < len(contents)


def read_parts(connection: Connection) -> list[Part]:
    """The newest of what was learned; a part of another version's format waits to be learned anew."""
    return _read(storage.newest(connection))


def _read(contents: Mapping[str, bytes]) -> list[Part]:
    found = []
    for name, content in contents.items():
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
    local_time: tzinfo = UTC,
) -> int:
    """Learn every part anew and store it, each in a transaction of its own; how many sensors are ready."""
    sensors, devices = window.sensors(connection), window.devices(connection)
    inventory = build_inventory(sensors, devices, catalogue)
    topology = build_topology(sensors, window.assets(connection))
    low, parts, ready = now - HISTORY_DAYS * 86_400, parts_of(inventory, topology), 0
    alarms = storage.alarms(connection, low, now)
    whole = {rule.id for rule in rules if rule.detector in WHOLE}
    zones = window.metered_zones(connection)
    for name, columns in parts.items():
        if not go_on():
            break
        ids = inventory.sensor_ids[columns]
        values, times = matrix(storage.history(connection, ids.tolist(), low, now), ids)
        if len(times):
            marked = marks(alarms, ids.tolist(), whole)
            part = learn_part(inventory, topology, columns, values, times, marked, now, zones, local_time)
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
