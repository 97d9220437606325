"""Importing a city: 100,000 pipes from GeoJSON with 100 zones in place, then the same file again."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lifeline.catalogue import shipped_catalogue
from lifeline.embedded import Database
from lifeline.exchange.files import Contents, Options, read_file
from lifeline.storage import membership
from lifeline.storage.database import Connection, connect
from lifeline.storage.imports import import_contents
from lifeline.storage.migrations import migrate
from tests.benchmarks.report import Row, print_rows

PIPES, COLUMNS, STEP = 100_000, 400, 0.001
NOW = datetime(2026, 11, 22, tzinfo=UTC)
LIMIT_S = 60.0


def main() -> bool:
    home = Path(tempfile.mkdtemp(prefix="lifeline-benchmark-"))
    home.chmod(0o711)
    try:
        with Database(home, fsync=False) as database:
            migrate(database.dsn)
            with connect(database.dsn) as connection:
                return print_rows("Import of 100,000 pipes", _measure(connection, home))
    finally:
        shutil.rmtree(home)


def _measure(connection: Connection, home: Path) -> list[Row]:
    pipes, zones = home / "pipes.geojson", home / "zones.geojson"
    pipes.write_text(_collection([_pipe(number) for number in range(PIPES)]))
    zones.write_text(_collection([_zone(column, row) for column in range(10) for row in range(10)]))
    read_s, contents = _timed(lambda: read_file(zones, Options()) + read_file(pipes, Options()))
    first_s, _ = _timed(lambda: _store(connection, contents))
    again_s, _ = _timed(lambda: _store(connection, contents))
    ids = [zone for (zone,) in connection.execute("SELECT zone_id FROM zone")]
    place_s, _ = _timed(lambda: membership.place(connection, zones=ids))
    total = read_s + first_s
    return [
        Row("read and transform", read_s, "s"),
        Row("check and store with cells, risk and zones", first_s, "s"),
        Row("whole import", total, "s", f"{LIMIT_S:.0f} s", total / LIMIT_S, f"under {LIMIT_S:.0f} s", total < LIMIT_S),
        Row("the same again (nothing changes)", again_s, "s", "first import", again_s / first_s),
        Row("membership of all zones alone", place_s, "s", "", None, f"{PIPES / place_s:,.0f} pipes a second"),
    ]


def _timed(call: Callable[[], list[Contents] | None]) -> tuple[float, list[Contents]]:
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found or []


def _store(connection: Connection, contents: list[Contents]) -> None:
    import_contents(connection, contents, shipped_catalogue(), NOW, actor="benchmark")
    connection.commit()


def _collection(features: list[dict[str, object]]) -> str:
    return '{"type": "FeatureCollection", "features": [\n' + ",\n".join(map(json.dumps, features)) + "\n]}"


def _pipe(number: int) -> dict[str, object]:
    west, south = 117.0 + number % COLUMNS * STEP, 31.6 + number // COLUMNS * STEP
    given = {"id": f"P{number}", "network": "water", "kind": "pipe", "material": "cast_iron", "diameter_mm": 200,
             "install_year": 1970 + number % 50, "customers": number % 90}  # fmt: skip
    line = {"type": "LineString", "coordinates": [[west, south], [west + STEP / 2, south], [west + STEP, south]]}
    return {"type": "Feature", "geometry": line, "properties": given}


def _zone(column: int, row: int) -> dict[str, object]:
    west, south, width, height = 117.0005 + 0.04 * column, 31.6 + 0.025 * row, 0.04, 0.025
    ring = [[west, south], [west + width, south], [west + width, south + height], [west, south + height], [west, south]]
    given = {"id": f"Z{column}-{row}", "kind": "district"}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": given}


if __name__ == "__main__":
    main()
