"""The risk map of a city of 100,000 pipes and 20,000 sensors: drawn at once, after one alert, recorded, and served; and
how each grows from 10,000 pipes on. First from rows in memory, then a real API process on a real database."""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx
import numpy as np

from api import riskmap, screens
from api.ground import Ground, make_ground
from api.riskmap import RiskMap
from lifeline import geo, risk
from lifeline.catalogue import shipped_catalogue
from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind, Level, Role, Sensor
from lifeline.storage import inventory
from lifeline.storage.database import Connection, connect
from lifeline.storage.riskmap import AssetRow, CellShare, Newest, OpenAlert, SensorPlace
from tests.api_process import Api, until
from tests.benchmarks.report import Row, print_rows
from tests.benchmarks.scratch import scratch_database
from tests.integration.town import open_alert

T = TypeVar("T")
SIZES = (10_000, 30_000, 100_000)
SENSORS_EACH = 5
"""Pipes for each sensor."""
NOW = datetime.now(UTC)
NETWORKS = ("gas", "water", "drainage")
STREET = 400
"""Pipes in a row."""
SCREENS = 400


def main() -> bool:
    """Print the rows; False when a limit was missed."""
    grown = [row for size in SIZES for row in in_memory(size)]
    served = [row for size in SIZES for row in end_to_end(size)]
    return print_rows("The risk map as the city grows", [*grown, *served])


# ------------------------------------------------------------------------------------------------- from rows in memory


def in_memory(pipes: int) -> list[Row]:
    """In a process of its own, so that its memory is its own."""
    command = [sys.executable, "-c", f"from tests.benchmarks.map_at_scale import measure; measure({pipes})"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    largest = pipes == SIZES[-1]
    name = f"{pipes:,} pipes, {pipes // SENSORS_EACH:,} sensors"
    return [
        Row(f"{name}: ground from rows", told["ground"], "s"),
        _held(f"{name}: whole city drawn, 200 alerts", told["whole"], "s", 30 if largest else None),
        _held(f"{name}: after one more alert", told["alert"] * 1000, "ms", 100 if largest else None),
        Row(f"{name}: where nothing changed", told["same"] * 1000, "ms"),
        Row(f"{name}: cells measured after one alert", told["measured"], "cells"),
        Row(f"{name}: cells of a new screen, median", told["screen"] * 1000, "ms"),
        Row(f"{name}: memory of ground and map", told["memory"], "MB"),
    ]


def _held(what: str, measured: float, unit: str, limit: float | None) -> Row:
    if limit is None:
        return Row(what, measured, unit)
    return Row(what, measured, unit, "", None, f"< {limit:g} {unit}", measured < limit)


def measure(pipes: int) -> None:
    """Print the figures of one size as JSON."""
    assets, shares, sensors = rows(pipes)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    ground = make_ground(assets, shares, sensors, shipped_catalogue())
    told: dict[str, float] = {"ground": time.perf_counter() - began}
    newest = Newest(np.arange(1, len(sensors) + 1), np.full(len(sensors), NOW.timestamp() - 10))
    alerts = [_alert(n, 1 + n * (pipes // 250), Level(1 + n % 4)) for n in range(200)]
    told["whole"], first = timed(lambda: riskmap.build(ground, alerts, newest, NOW))
    taken, drawn = [], first
    for number in range(21):  # each an alert on another pipe; the first also warms up
        more = _alert(1000 + number, 1 + (number * 977) % pipes, Level.RED)
        seconds, drawn = timed(lambda a=[*alerts, more], b=drawn: _next(ground, a, newest, b))  # type: ignore[misc]
        taken.append(seconds)
    told["alert"] = statistics.median(taken[1:])
    told["measured"] = float(sum(len(layer.changed) for layer in drawn.cells.values()))
    told["same"], _ = timed(lambda: riskmap.build(ground, drawn.alerts, newest, NOW, drawn))
    told["screen"] = statistics.median(timed(lambda b=box: screens.cells(drawn, 9, b))[0] for box in boxes(pipes, 50))  # type: ignore[misc]
    told["memory"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    print(json.dumps(told))


def _next(ground: Ground, alerts: list[OpenAlert], newest: Newest, before: RiskMap) -> RiskMap:
    return riskmap.build(ground, alerts, newest, NOW + timedelta(seconds=1), before)


def _alert(number: int, asset: int, level: Level) -> OpenAlert:
    return OpenAlert(number, "rule", level, asset, None, None, quantity=("methane", "pressure", "level")[asset % 3])


def timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def boxes(pipes: int, count: int) -> list[geo.Box]:
    """Screens of about 4 by 4 km, each somewhere else."""
    chance = np.random.default_rng(2)
    height = pipes // STREET * 0.0006
    places = zip(chance.random(count) * 0.18, chance.random(count) * max(height - 0.036, 0.001), strict=True)
    return [geo.Box(117.0 + x, 31.0 + y, 117.0 + x + 0.04, 31.0 + y + 0.036) for x, y in places]


def _ends(number: int) -> tuple[float, float]:
    """Streets of 50 m pipes, 400 in a row, rows 60 m apart; three networks in turn."""
    return 117.0 + (number % STREET) * 0.00055, 31.0 + (number // STREET) * 0.0006


def rows(pipes: int) -> tuple[list[AssetRow], dict[int, list[CellShare]], list[SensorPlace]]:
    """The city as the database gives it."""
    chance = np.random.default_rng(1)
    lof, cof = 1 + 4 * chance.random(pipes) ** 3, 1 + 4 * chance.random(pipes) ** 3
    score = risk.score(lof, cof)
    assets, sensors = [], []
    shares: dict[int, list[CellShare]] = {resolution: [] for resolution in geo.RESOLUTIONS}
    for n in range(pipes):
        west, south = _ends(n)
        line = {"type": "LineString", "coordinates": [[west, south], [west + 0.0005, south]]}
        parts = [
            {"part": "mean", "value": 0.07, "points": 7.3},
            {"part": "consequence", "value": 2, "points": float(score[n]) - 7.3},
        ]
        box = (west, south, west + 0.0005, south)
        figures = float(lof[n]), float(cof[n]), float(score[n])
        joined = n if n % STREET else 0
        name = (f"P-{n}", NETWORKS[n % 3], "pipe", "Street", json.dumps(line))
        assets.append(AssetRow(n + 1, *name, *box, joined, 0, *figures, parts))
        for resolution in geo.RESOLUTIONS:
            shares[resolution].append(CellShare(n + 1, geo.cell_at(west, south, resolution), 50.0))
        if n % SENSORS_EACH == 0:
            sensors.append(SensorPlace(n // SENSORS_EACH + 1, "pressure", None, west, south))
    return assets, shares, sensors


# ------------------------------------------------------------------------------------------------------- end to end


def end_to_end(pipes: int) -> list[Row]:
    """A real API process on a real database: its first map, the map after an alert, and the cells of a screen."""
    with scratch_database() as database:
        with connect(database.dsn) as connection:
            _fill(connection, pipes)
        api = Api(database.dsn, forked=False)
        began = time.perf_counter()
        try:
            api.launch()
            until(api.healthy, "the first map", 180)
            first = time.perf_counter() - began
            limit = 30 if pipes == SIZES[-1] else None
            return [
                _held(f"{pipes:,} pipes: from the API's start to its first map", first, "s", limit),
                *_run(api, pipes),
            ]
        finally:
            if api.process is not None:
                api.end()


def _fill(connection: Connection, pipes: int) -> None:
    found = []
    for n in range(pipes):
        west, south = _ends(n)
        line = {"type": "LineString", "coordinates": [[west, south], [west + 0.0005, south]]}
        year = 1950 + n * 7 % 70
        found.append(Asset(f"P-{n}", NETWORKS[n % 3], AssetKind.PIPE, line, install_year=year, diameter_mm=200))
    inventory.store_assets(connection, [Entry(n, each) for n, each in enumerate(found, 1)], NOW)
    channel = {"gas": "methane", "water": "pressure", "drainage": "level"}
    sensors = [
        Sensor(f"rtu-{each.external_id}", each.network, channel[each.network], each.external_id)
        for each in found[::SENSORS_EACH]
    ]
    inventory.store_sensors(connection, [Entry(n, each) for n, each in enumerate(sensors, 1)])
    connection.execute(
        "INSERT INTO sensor_state (sensor_id, ts, value, quality, received_at)"
        " SELECT sensor_id, now(), 1, 0, now() FROM sensor"
    )
    connection.commit()
    connection.execute("ANALYZE")


def _run(api: Api, pipes: int) -> list[Row]:
    headers = {"Authorization": f"Bearer {api.key(Role.VIEWER)}", "Accept-Encoding": "zstd"}
    with httpx.Client(base_url=api.url, headers=headers, timeout=60) as client:
        until(lambda: _metric(client, 'map_frames_total{kind="keyframe"}') > 0, "the first keyframe", 180)
        then = {"at": datetime.now(UTC).isoformat()}
        cold = _screens(client, boxes(pipes, SCREENS))
        seen = _after_alerts(api, client)
        past_s, _ = timed(lambda: client.get("/api/v1/risk/cells", params=then).raise_for_status())
        drawn, whole = (_mean(client, f'map_build_seconds_%s{{ground="{ground}"}}') for ground in ("kept", "new"))
        memory = _metric(client, "process_resident_memory_bytes") / 2**20
    name, largest = f"{pipes:,} pipes, served", pipes == SIZES[-1]
    return [
        _held(f"{name}: whole city, from the database to the map (mean)", whole, "s", 30 if largest else None),
        Row(f"{name}: a change, from the database to the map (mean)", drawn * 1000, "ms"),
        _held(
            f"{name}: commit of an alert to its red cell served (median)", seen * 1000, "ms", 100 if largest else None
        ),
        _held(f"{name}: cells of {SCREENS} new screens, p99", cold[0], "ms", 50 if largest else None),
        Row(f"{name}: cells of a screen, mean body", cold[1], "kB"),
        Row(f"{name}: the whole city's cells of a past moment", past_s * 1000, "ms"),
        Row(f"{name}: memory of the process", memory, "MB"),
    ]


def _mean(client: httpx.Client, name: str) -> float:
    return _metric(client, name % "sum") / max(_metric(client, name % "count"), 1)


def _screens(client: httpx.Client, wanted: list[geo.Box]) -> tuple[float, float]:
    """p99 in ms, and mean size in kB, of screens that nobody has asked for before."""
    taken, sizes = [], []
    for box in wanted:
        seconds, answer = timed(lambda b=box: client.get("/api/v1/risk/cells", params={"bbox": ",".join(map(str, b))}))  # type: ignore[misc]
        taken.append(seconds * 1000)
        sizes.append(len(answer.content) / 1000)
    return float(np.percentile(taken, 99)), statistics.mean(sizes)


def _after_alerts(api: Api, client: httpx.Client) -> float:
    """Median seconds from the commit of an alert until its cell is served red."""
    taken = []
    with connect(api.dsn) as connection:
        sensors = connection.execute("SELECT sensor_id, longitude FROM sensor ORDER BY sensor_id LIMIT 2000").fetchall()
        for number in range(9):
            sensor = int(sensors[number * 211][0])
            where = connection.execute(
                "SELECT a.west, a.south FROM sensor s JOIN asset a USING (asset_id) WHERE s.sensor_id = %s", [sensor]
            ).fetchone()
            assert where is not None
            cell = geo.cell_at(where[0] + 0.00025, where[1], 9)
            open_alert(connection, sensor, Level.RED, rule=f"bench.{number}")
            began = time.perf_counter()
            while client.get(f"/api/v1/risk/cells/{cell}").json()["level"] != "red":
                time.sleep(0.005)
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if name in line and not line.startswith("#")), 0.0)


if __name__ == "__main__":
    main()
