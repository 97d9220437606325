"""What a tick costs: 10,000, 30,000 and 100,000 sensors that report once a minute, with an hour in the window.

Each size runs in a process of its own, so that its memory is its own. Every tick reads from the database; ``start``
fills the window, ``tick`` is one of every five seconds with a twelfth of the sensors reporting, ``burst`` one in which
all of them reported at once, ``storm`` one in which every tenth is in breach: ``raised``, with history and message.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

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
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                figures[size] = json.loads(done.stdout)
    return print_rows("Tick of the detectors", rows(figures))


def rows(figures: dict[int, dict[str, float]]) -> list[Row]:
    """Each figure at each size, beside the smallest size times the number of sensors."""
    found = []
    least = min(figures)
    for name, unit, limit in (
        ("tick", "s", LIMIT_S),
        ("burst", "s", LIMIT_S),
        ("storm", "s", None),
        ("raised", "alerts", None),
        ("start", "s", None),
        ("memory", "MB", LIMIT_MB),
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
    connection.execute(
        """INSERT INTO asset (external_id, network, kind, geometry, west, south, east, north, depth_m)
        VALUES ('m', 'drainage', 'chamber', '{}', 117, 31, 117, 31, 3)"""
    )
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
        """INSERT INTO sensor (device_id, channel, quantity, asset_id)
        SELECT device_id, quantity || '.' || n, quantity,
            CASE quantity WHEN 'level' THEN (SELECT min(asset_id) FROM asset) END
        FROM (SELECT n, (SELECT min(device_id) FROM device) + (n - 1) / 20 AS device_id FROM generate_series(1, %s) n) s
        JOIN device USING (device_id)
        CROSS JOIN LATERAL (
            SELECT CASE network WHEN 'gas' THEN 'methane' WHEN 'water' THEN 'pressure' ELSE 'level' END) q (quantity)
        ORDER BY n""",
        [sensors],
    )
    for minute in range(60):
        connection.execute(_REPORT, {"at": END - timedelta(minutes=60 - minute), "part": 1, "rest": 0, "spread": 60})
    _keep_state(connection, END - timedelta(minutes=2))
    connection.execute("ANALYZE")


_REPORT = """
INSERT INTO reading (sensor_id, ts, value)
SELECT sensor_id, %(at)s::timestamptz + sensor_id %% %(spread)s * interval '1 second',
    CASE quantity WHEN 'methane' THEN 0.02 WHEN 'pressure' THEN 30 ELSE 0.5 END * (1 + 0.1 * sin(sensor_id))
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
    at = END + timedelta(minutes=3)
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
    return seconds


def _tick(watch: Watch, connection: Connection, at: datetime) -> float:
    start = time.perf_counter()
    watch.tick(connection, at)
    return time.perf_counter() - start


if __name__ == "__main__":
    with open_connection(sys.argv[1], application="benchmark", autocommit=True) as one:
        print(json.dumps(measure(one)))
