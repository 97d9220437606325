"""How much faster than real time the past is run again: a day of 1,000 sensors that report once a minute, read from the
database, with everything learned, a tick every five minutes; the size with ``LIFELINE_BENCH_BACKTEST=1000``."""

import os
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from alerts.backtest import run_stored
from alerts.detection import Detection
from alerts.replay import Replay
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.embedded import Database
from lifeline.storage import window
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.migrations import migrate
from tests.benchmarks import tick
from tests.benchmarks.report import Row, print_rows

SENSORS = int(os.environ.get("LIFELINE_BENCH_BACKTEST", "1000"))
DAY = timedelta(days=1)
STEP_S = 300.0
LEAST = 10_000.0


def main() -> bool:
    """False when it is slower than LEAST times real time."""
    with tempfile.TemporaryDirectory(prefix="lifeline-bench-") as folder:
        Path(folder).chmod(0o711)
        with Database(Path(folder)) as database:
            migrate(database.dsn)
            with open_connection(database.dsn, application="benchmark", autocommit=True) as connection:
                tick.load(connection, SENSORS)
                _report(connection, tick.END - 2 * DAY, tick.END - DAY, "15 minutes")
                _report(connection, tick.END - DAY, tick.END, "1 minute")
                wall, cpu, alerts = measure(connection)
    span = DAY.total_seconds()
    return print_rows(
        "Backtest",
        [
            Row(f"{SENSORS:,} sensors, a day", wall, "s", f"{span:,.0f} s of real time"),
            Row("times real time", span / wall, "x", "", None, f"> {LEAST:,.0f} x", span / wall > LEAST),
            Row("times real time, by CPU of the process", span / cpu, "x"),
            Row("alerts", alerts, "alerts"),
        ],
    )


def _report(connection: Connection, first: datetime, last: datetime, every: str) -> None:
    """Calm readings of every sensor, as those of the tick's benchmark."""
    connection.execute(
        """INSERT INTO reading (sensor_id, ts, value)
        SELECT sensor_id, at + sensor_id %% 60 * interval '1 second',
            CASE quantity WHEN 'methane' THEN 0.1 WHEN 'pressure' THEN 30 WHEN 'rain' THEN 0 ELSE 0.5 END
                + CASE quantity WHEN 'rain' THEN 0 ELSE 0.02 * sin(extract(epoch FROM at) + 12.9898 * sensor_id) END
        FROM sensor CROSS JOIN generate_series(%s::timestamptz, %s::timestamptz, %s::interval) AS at
        ORDER BY sensor_id, at ON CONFLICT DO NOTHING""",
        [first, last - timedelta(minutes=1), every],
    )


def measure(connection: Connection) -> tuple[float, float, int]:
    """Seconds by the wall and of the process, and how many alerts there were."""
    catalogue = shipped_catalogue()
    detection = Detection(load_rules(catalogue, 3600), catalogue, 3600)
    devices = window.devices(connection)
    detection.set_inventory(window.sensors(connection), devices, window.assets(connection))
    detection.set_knowledge(tick.taught(detection))
    unknown = [window.DeviceRow(device.device_id, device.gateway_id, "unknown", None) for device in devices]
    replay = Replay(detection, lambda _now: unknown)
    begun = time.process_time()
    wall = run_stored(connection, replay, (tick.END - DAY).timestamp(), tick.END.timestamp(), STEP_S)
    return wall, time.process_time() - begun, len(replay.book.episodes)
