"""What a tick costs: 10,000, 30,000 and 100,000 sensors that report once a minute, with an hour in the window.

Each size runs in a process of its own, so that its memory is its own. Every tick reads from the database; ``start``
fills the window, ``tick`` is one of every five seconds with a twelfth of the sensors reporting, ``burst`` one in which
all of them reported at once, ``quarter`` one that closes a quarter of an hour, so that every learned detector judges
every sensor, ``storm`` one in which every tenth is in breach: ``raised``, with history and message.

All sensors have a baseline: fifty to a joined network, as a DMA or a catchment has, with a rain gauge to each. It is
learned from a week of one part of each network, and lent to the others.

``iforest`` and ``trees`` are pyod's IForest (one forest, sensors as points) and river's HalfSpaceTrees (a model a
sensor, measured on TREES_OF and multiplied) on the matrix of the last hour, readings in hand: what they would take.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from alerts.detection import Detection
from alerts.inventory import Inventory
from alerts.knowledge import Part
from alerts.learning import learn_part, parts_of
from alerts.rules import load_rules
from alerts.tick import Watch
from lifeline.catalogue import shipped_catalogue
from lifeline.embedded import Database
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.migrations import migrate
from tests.benchmarks.report import Row, print_rows

SIZES = [int(size) for size in os.environ.get("LIFELINE_BENCH_TICK", "10000,30000,100000").split(",")]
END = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
LIMIT_S, LIMIT_MB = 5.0, 2000.0


def main() -> bool:
    """False when a limit was missed."""
    figures: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="lifeline-bench-") as folder:
        Path(folder).chmod(0o711)
        with Database(Path(folder)) as database:
            migrate(database.dsn)
            for size in SIZES:
                with open_connection(database.dsn, application="benchmark", autocommit=True) as connection:
                    load(connection, size)
                command = [sys.executable, "-m", "tests.benchmarks.tick", database.dsn]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                figures[size] = json.loads(done.stdout)
    return print_rows("Tick of the detectors", rows(figures))


def rows(figures: dict[int, dict[str, float]]) -> list[Row]:
    """Each figure at each size, beside the smallest size times the number of sensors."""
    found = []
    least = min(figures)
    for name, unit, limit in (
        ("tick", "s", LIMIT_S),
        ("burst", "s", LIMIT_S),
        ("quarter", "s", LIMIT_S),
        ("storm", "s", None),
        ("raised", "alerts", None),
        ("start", "s", None),
        ("memory", "MB", LIMIT_MB),
        ("iforest", "s", None),
        ("trees", "s", None),
    ):
        for size, measured in figures.items():
            value, linear = measured[name], figures[least][name] * size / least
            found.append(
                Row(
                    f"{name}, {size:,} sensors",
                    value,
                    unit,
                    f"linear growth: {linear:.3g} {unit}" if size != least else "",
                    value / linear if size != least else None,
                    f"< {limit:g} {unit}" if limit else "",
                    value < limit if limit else None,
                )
            )
    return found


def load(connection: Connection, sensors: int) -> None:
    """A city of ``sensors``, twenty at a device and fifty devices behind a gateway, and its last hour."""
    connection.execute("TRUNCATE device, sensor, asset, reading, sensor_state, device_state, alert, outbox CASCADE")
    devices = sensors // 20
    connection.execute(
        """INSERT INTO device (external_id, network)
        SELECT 'd' || n, (ARRAY['gas', 'water', 'drainage'])[1 + n %% 3] FROM generate_series(1, %s) n""",
        [devices + devices // 50 + 1],
    )
    connection.execute(
        """UPDATE device SET gateway_id = first.id + %s + (device_id - first.id) / 50
        FROM (SELECT min(device_id) AS id FROM device) first WHERE device_id < first.id + %s""",
        [devices, devices],
    )
    connection.execute(
        """INSERT INTO sensor (device_id, channel, quantity)
        SELECT device_id, quantity || '.' || n, quantity
        FROM (SELECT n, (SELECT min(device_id) FROM device) + (n - 1) / 20 AS device_id FROM generate_series(1, %s) n) s
        JOIN device USING (device_id)
        CROSS JOIN LATERAL (
            SELECT CASE network WHEN 'gas' THEN 'methane' WHEN 'water' THEN 'pressure' ELSE 'level' END) q (quantity)
        ORDER BY n""",
        [sensors],
    )
    connection.execute(_NODES)
    connection.execute("ANALYZE asset")  # without it the self-join below is a nested loop: half an hour
    connection.execute(_PIPES)
    connection.execute(
        """UPDATE sensor SET asset_id = a.asset_id, longitude = a.west, latitude = a.south,
            quantity = CASE WHEN quantity = 'level' AND (a.attributes ->> 'rank')::integer % 50 = 49
                THEN 'rain' ELSE quantity END
        FROM asset a WHERE a.external_id = 'n' || sensor_id"""
    )
    for minute in range(60):
        connection.execute(_REPORT, {"at": END - timedelta(minutes=60 - minute), "part": 1, "rest": 0, "spread": 60})
    _keep_state(connection, END - timedelta(minutes=2))
    connection.execute("ANALYZE")


_NODES = """
INSERT INTO asset (external_id, network, kind, geometry, west, south, east, north, depth_m, attributes)
SELECT 'n' || sensor_id, network, 'chamber', '{}', x, y, x, y, 3, jsonb_build_object('rank', rank)
FROM (
    SELECT sensor_id, network, rank, 117 + 0.003 * (rank % 300), 31 + 0.003 * (rank / 300)
    FROM (SELECT sensor_id, network, (row_number() OVER (PARTITION BY network ORDER BY sensor_id) - 1)::integer AS rank
        FROM sensor JOIN device USING (device_id)) ranked
) s (sensor_id, network, rank, x, y)"""

_PIPES = """
INSERT INTO asset (external_id, network, kind, geometry, west, south, east, north, from_asset, to_asset, length_m)
SELECT 'p' || a.asset_id, a.network, 'pipe', '{}', a.west, a.south, b.east, b.north, a.asset_id, b.asset_id, 280
FROM asset a JOIN asset b
    ON b.network = a.network AND (b.attributes ->> 'rank')::integer = (a.attributes ->> 'rank')::integer + 1
WHERE (a.attributes ->> 'rank')::integer % 50 <> 49 AND a.kind = 'chamber' AND b.kind = 'chamber'"""

_REPORT = """
INSERT INTO reading (sensor_id, ts, value)
SELECT sensor_id, %(at)s::timestamptz + sensor_id %% %(spread)s * interval '1 second',
    CASE quantity WHEN 'methane' THEN 0.1 WHEN 'pressure' THEN 30 WHEN 'rain' THEN 0 ELSE 0.5 END
        + CASE quantity WHEN 'rain' THEN 0
            ELSE 0.02 * sin(extract(epoch FROM %(at)s::timestamptz) + 12.9898 * sensor_id) END
FROM sensor WHERE sensor_id %% %(part)s = %(rest)s ORDER BY sensor_id ON CONFLICT DO NOTHING"""


def _keep_state(connection: Connection, since: datetime) -> None:
    connection.execute(
        """INSERT INTO sensor_state (sensor_id, ts, value, quality, received_at)
        SELECT DISTINCT ON (sensor_id) sensor_id, ts, value, quality, ts FROM reading
        WHERE ts > %s ORDER BY sensor_id, ts DESC
        ON CONFLICT (sensor_id)
        DO UPDATE SET ts = excluded.ts, value = excluded.value, received_at = excluded.received_at""",
        [since],
    )


def measure(connection: Connection) -> dict[str, float]:
    """Seconds of a start, of ordinary ticks (median of 12), of a burst and of a storm; MB at their end."""
    catalogue = shipped_catalogue()
    watch = Watch(load_rules(catalogue, 3600), catalogue, 3600)
    seconds: dict[str, float] = {"start": _tick(watch, connection, END)}
    ordinary = []
    for number in range(12):
        at = END + timedelta(seconds=5 * number)
        connection.execute(_REPORT, {"at": at, "part": 12, "rest": number, "spread": 1})
        _keep_state(connection, at - timedelta(seconds=1))
        ordinary.append(_tick(watch, connection, at + timedelta(seconds=5)))
    seconds["tick"] = statistics.median(ordinary)
    at = END + timedelta(minutes=2)
    connection.execute(_REPORT, {"at": at, "part": 1, "rest": 0, "spread": 5})
    _keep_state(connection, at - timedelta(seconds=1))
    seconds["burst"] = _tick(watch, connection, at + timedelta(seconds=5))
    watch.detection.set_knowledge(taught(watch.detection))
    _tick(watch, connection, at + timedelta(seconds=10))
    for minute in range(3, 16):
        _tick(watch, connection, END + timedelta(minutes=minute - 1, seconds=59))
    at = END + timedelta(minutes=15)
    connection.execute(_REPORT, {"at": at, "part": 12, "rest": 0, "spread": 1})
    _keep_state(connection, at - timedelta(seconds=1))
    seconds["quarter"] = _tick(watch, connection, at + timedelta(seconds=5))
    at = END + timedelta(minutes=16)
    connection.execute(
        """INSERT INTO reading (sensor_id, ts, value)
        SELECT sensor_id, %s, CASE quantity WHEN 'pressure' THEN 200 ELSE 3 END
        FROM sensor WHERE sensor_id %% 10 = 0""",
        [at],
    )
    _keep_state(connection, at - timedelta(seconds=1))
    seconds["storm"] = _tick(watch, connection, at + timedelta(seconds=200))
    (raised,) = connection.execute("SELECT count(*) FROM alert").fetchone() or (0,)
    seconds["raised"] = raised
    seconds["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    columns = np.arange(len(watch.window.sensor_ids))
    hour = np.nan_to_num(watch.window.series(columns, (at + timedelta(seconds=200)).timestamp()).last).astype(
        np.float64
    )
    return seconds | {"iforest": isolation_forest(hour), "trees": half_space_trees(hour)}


def taught(detection: Detection) -> list[Part]:
    """What a week of synthetic quarters teaches of the first part of each network, lent to each part of the network."""
    inventory, topology, lent = detection.inventory, detection.topology, {}
    found = []
    for name, columns in parts_of(inventory, topology).items():
        key = name.partition("-")[0], len(columns)
        if key not in lent:
            lent[key] = learn_part(inventory, topology, columns, *week(inventory, columns), [], END.timestamp())
        baseline = replace(lent[key].baseline, sensor_ids=inventory.sensor_ids[columns].astype(np.int64))
        found.append(replace(lent[key], baseline=baseline))
    return found


def week(inventory: Inventory, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quarters of eight days: a daily cycle that all share, noise of their own, a shower a day at the gauges."""
    rng = np.random.default_rng(1)
    times = END.timestamp() - 900.0 * np.arange(8 * 96, 0, -1)
    cycle = np.sin(2 * np.pi * times / 86_400)[:, None]
    quantities = np.array([inventory.rows[column].quantity for column in columns.tolist()])
    usual = np.select([quantities == "methane", quantities == "pressure"], [0.1, 30.0], 0.5)
    values = usual + 0.02 * cycle + rng.normal(0, 0.02, (len(times), len(columns)))
    rain = quantities == "rain"
    values[:, rain] = np.where(np.arange(len(times)) % 96 < 8, 4.0, 0.0)[:, None]
    return values, times


def isolation_forest(hour: np.ndarray) -> float:
    """Seconds of one forest over all sensors as points of their last hour: the quickest way to use it."""
    from pyod.models.iforest import IForest

    begin = time.perf_counter()
    IForest(random_state=1).fit(hour.T)
    return time.perf_counter() - begin


TREES_OF = 20


def half_space_trees(hour: np.ndarray) -> float:
    """Seconds of a model a sensor, fed one reading after the other, measured on TREES_OF sensors and multiplied."""
    from river.anomaly import HalfSpaceTrees

    begin = time.perf_counter()
    for column in hour[:, :TREES_OF].T.tolist():
        trees = HalfSpaceTrees(seed=1)
        for value in column:
            trees.score_one({"x": value})
            trees.learn_one({"x": value})
    return (time.perf_counter() - begin) * hour.shape[1] / TREES_OF


def _tick(watch: Watch, connection: Connection, at: datetime) -> float:
    start = time.perf_counter()
    watch.tick(connection, at)
    return time.perf_counter() - start


if __name__ == "__main__":
    with open_connection(sys.argv[1], application="benchmark", autocommit=True) as one:
        print(json.dumps(measure(one)))
