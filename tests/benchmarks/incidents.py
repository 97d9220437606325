"""What grouping alerts into incidents costs in a city of 100,000 sensors with 2,000 open alerts, and how it grows.

``plan`` is the grouping and ranking alone, in shapes of growing malice; ``first`` the whole update on the database with
everything to be read and written, in the tick's own transaction; ``again`` one more alert after that; ``idle`` one in
which nothing has changed.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from alerts.casebook import Casebook
from alerts.causes import Member, load_causes
from alerts.incidents import plan
from alerts.pipework import Pipework
from lifeline.embedded import Database
from lifeline.geo import cell_at
from lifeline.model import Level
from lifeline.storage.database import Connection, open_connection
from lifeline.storage.migrations import migrate
from tests.benchmarks.report import Row, print_rows

SENSORS, ALERTS = 100_000, 2_000
SIDE = 224
"""Chambers stand in a square grid of so many by so many, 100 m apart: 22 km; half of the sensors in each network."""
END = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
LIMIT_S, TICK_S = 1.0, 5.0
"""Of a grouping, and of a tick that opens more than a thousand incidents at once."""
RULES = {
    "gas": ("methane.level", "methane"),
    "water": ("pressure.fall", "pressure"),
    "drainage": ("level.high", "level"),
}
Shape = Callable[[random.Random], tuple[str, int, int, float]]
"""Network, column, row and seconds after the first alert."""


def everywhere(chance: random.Random) -> tuple[str, int, int, float]:
    return chance.choice(list(RULES)), chance.randrange(SIDE), chance.randrange(SIDE), chance.uniform(0, 86_400)


def storm(chance: random.Random) -> tuple[str, int, int, float]:
    return "drainage", chance.randrange(SIDE), chance.randrange(SIDE), chance.uniform(0, 7200)


def failure(chance: random.Random) -> tuple[str, int, int, float]:
    return "water", chance.randrange(60), chance.randrange(60), chance.uniform(0, 600)


def one_street(chance: random.Random) -> tuple[str, int, int, float]:
    return "gas", chance.randrange(20), 0, chance.uniform(0, 600)


SHAPES: dict[str, Shape] = {
    "all over a day": everywhere,
    "a storm": storm,
    "supply fails": failure,
    "a street": one_street,
}


def main() -> bool:
    """False when a limit was missed."""
    grown = {(name, size): pure(shape, size) for name, shape in SHAPES.items() for size in (ALERTS, 5 * ALERTS)}
    with tempfile.TemporaryDirectory(prefix="lifeline-bench-") as folder:
        Path(folder).chmod(0o711)
        with Database(Path(folder)) as database:
            migrate(database.dsn)
            with open_connection(database.dsn, application="benchmark", autocommit=True) as connection:
                stored = measure(connection)
    return print_rows("Incidents", rows(grown, stored))


def rows(grown: dict[tuple[str, int], float], stored: dict[str, float]) -> list[Row]:
    """The pure part at two sizes, then the whole update."""
    found = []
    for (name, size), seconds in grown.items():
        linear = grown[name, ALERTS] * size / ALERTS
        held = f"linear growth: {linear:.3g} s" if size != ALERTS else ""
        good = seconds < LIMIT_S if size == ALERTS else None
        limit = f"< {LIMIT_S:g} s" if size == ALERTS else ""
        found.append(Row(f"plan, {size:,} alerts, {name}", seconds, "s", held, seconds / linear, limit, good))
    for name, seconds in stored.items():
        what = f"{name}, {SENSORS:,} sensors, {ALERTS:,} open alerts"
        if name == "incidents":
            found.append(Row(what, seconds, ""))
        else:
            least = TICK_S if name == "update, first" else LIMIT_S
            found.append(Row(what, seconds, "s", limit=f"< {least:g} s", ok=seconds < least))
    return found


def chamber(network: str, column: int, row: int) -> int:
    """The asset id of a chamber; its pipe to the next one east follows it."""
    return 1 + 2 * ((list(RULES).index(network) * SIDE + row) * SIDE + column)


def pure(shape: Shape, alerts: int) -> float:
    """Median seconds of three plans for so many alerts."""
    chance = random.Random(1)
    count = 2 * len(RULES) * SIDE * SIDE
    pipes = np.arange(2, count, 2)
    pipes = pipes[(pipes // 2) % SIDE != 0]
    topology = Pipework(np.stack([np.repeat(pipes, 2), np.repeat(pipes, 2) + np.tile([-1, 1], len(pipes))]), 31.86)
    members = []
    for number in range(1, alerts + 1):
        network, column, row, after = shape(chance)
        rule, quantity = RULES[network]
        members.append(
            Member(
                number, rule, network, chance.choice(list(Level)), after, quantity=quantity,
                asset_id=chamber(network, column, row), longitude=117 + column / 945, latitude=31.86 + row / 1112,
                wet=network == "drainage",
            )
        )  # fmt: skip
    causes, taken = load_causes(), []
    for _ in range(3):
        start = time.perf_counter()
        plan(members, [], causes, topology)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def load(connection: Connection) -> None:
    """Chambers and pipes of three networks on one grid, and a sensor in every second chamber or so."""
    connection.execute(
        """INSERT INTO asset (external_id, network, kind, geometry, west, south, east, north)
        SELECT network || ' ' || x || ' ' || y || kind, network, CASE kind WHEN 'c' THEN 'chamber' ELSE 'pipe' END,
            jsonb_build_object('type', CASE kind WHEN 'c' THEN 'Point' ELSE 'LineString' END, 'coordinates',
                CASE kind WHEN 'c' THEN jsonb_build_array(lon, lat)
                ELSE jsonb_build_array(jsonb_build_array(lon, lat), jsonb_build_array(lon + 1 / 945.0, lat)) END),
            lon, lat, lon, lat
        FROM (VALUES (0, 'gas'), (1, 'water'), (2, 'drainage')) n (number, network),
            generate_series(0, %(last)s) y, generate_series(0, %(last)s) x, (VALUES ('c'), ('p')) k (kind),
            LATERAL (SELECT 117 + x / 945.0 AS lon, 31.86 + y / 1112.0 + number * 0.00005 AS lat) p
        ORDER BY number, y, x, kind""",
        {"last": SIDE - 1},
    )
    connection.execute(
        """UPDATE asset SET from_asset = asset_id - 1, to_asset = asset_id + 1
        WHERE kind = 'pipe' AND (asset_id / 2) %% %s <> 0""",
        [SIDE],
    )
    assets = connection.execute("SELECT asset_id, west, south FROM asset").fetchall()
    with connection.cursor().copy("COPY asset_cell (asset_id, resolution, cell, length_m) FROM STDIN") as copy:
        for asset_id, lon, lat in assets:
            copy.write_row((asset_id, 10, cell_at(lon, lat, 10), 100.0))
    for number, network in enumerate(RULES):
        connection.execute("INSERT INTO device (external_id, network) VALUES (%s, %s)", [network, network])
        connection.execute(
            """INSERT INTO sensor (device_id, channel, quantity, asset_id)
            SELECT %s, %s || '.' || asset_id, %s, asset_id FROM asset WHERE network = %s AND kind = 'chamber'
            ORDER BY hashint8(asset_id) LIMIT %s""",
            [number + 1, RULES[network][1], RULES[network][1], network, SENSORS // 3 + 1],
        )
    connection.execute(
        "INSERT INTO sensor (device_id, channel, quantity, asset_id) SELECT 3, 'rain.' || asset_id, 'rain', "
        "asset_id FROM asset WHERE network = 'drainage' AND kind = 'chamber' ORDER BY asset_id % 997 LIMIT 50"
    )
    connection.execute(
        """INSERT INTO reading (sensor_id, ts, value)
        SELECT sensor_id, %s - n * interval '1 minute', 10 FROM sensor, generate_series(0, 400) n
        WHERE quantity = 'rain'""",
        [END],
    )
    connection.execute("ANALYZE")


def raise_alerts(connection: Connection, count: int) -> None:
    """Alerts on sensors all over the city, within two hours."""
    for number, (network, (rule, quantity)) in enumerate(RULES.items()):
        connection.execute(
            """INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state, sensor_id,
                asset_id, longitude, latitude, evidence, first_seen, raised_at, updated_at)
            SELECT 'sensor', sensor_id, %(rule)s, '1', 'risk', %(network)s, 2 + sensor_id %% 3, 'UNACK', sensor_id,
                asset_id, west, south, '{}', %(now)s - sensor_id %% 7200 * interval '1 second', %(now)s, %(now)s
            FROM sensor JOIN asset USING (asset_id) WHERE quantity = %(quantity)s
                AND sensor_id NOT IN (SELECT sensor_id FROM alert)
            ORDER BY hashint4(sensor_id) LIMIT %(count)s""",
            {
                "rule": rule,
                "network": network,
                "quantity": quantity,
                "now": END,
                "count": count // 3 + (number < count % 3),
            },
        )


def measure(connection: Connection) -> dict[str, float]:
    """Seconds of updates on the database."""
    load(connection)
    raise_alerts(connection, ALERTS)
    casebook = Casebook(load_causes())
    seconds = {"update, first": _update(casebook, connection, END)}
    seconds["update, settling"] = _update(casebook, connection, END + timedelta(seconds=5))
    seconds["update, idle"] = _update(casebook, connection, END + timedelta(seconds=10))
    raise_alerts(connection, 1)
    seconds["update, one more alert"] = _update(casebook, connection, END + timedelta(seconds=15))
    (seconds["incidents"],) = connection.execute("SELECT count(*) FROM incident").fetchone() or (0,)
    return seconds


def _update(casebook: Casebook, connection: Connection, at: datetime) -> float:
    start = time.perf_counter()
    with connection.transaction():
        casebook.update(connection, at)
    return time.perf_counter() - start
