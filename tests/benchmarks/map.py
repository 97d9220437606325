"""The risk map of a city with 100,000 sensors: serving it against a static file of the same size, and telling 500
streams of a change. How it grows with the city: map_at_scale.py."""

import asyncio
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind, Role, Sensor
from lifeline.storage import inventory
from lifeline.storage.database import connect
from tests.api_process import Api, running_api
from tests.benchmarks.report import Row, print_rows
from tests.benchmarks.scratch import scratch_database
from tests.integration.town import build

REQUESTS = 3000
CONNECTIONS = 4
STREAMS = 500
CHAMBERS = 2_000
SENSORS_EACH = 50
"""Sensors at each chamber: 100,000 in all, each with a newest reading."""
NOW = datetime.now(UTC)


def main() -> bool:
    """Print the rows; False when a limit was missed."""
    return print_rows("The risk map", serving())


def serving() -> list[Row]:
    """Cells of a screen against a file of the page that is about as large, from one process at once."""
    with scratch_database() as database:
        with connect(database.dsn) as connection:
            build(connection, NOW)
            inventory.store_assets(connection, _chambers(), NOW)
            inventory.store_sensors(connection, _sensors())
            connection.execute(
                "INSERT INTO sensor_state SELECT sensor_id, %s, 0.5, 0, %s FROM sensor ON CONFLICT DO NOTHING",
                [NOW, NOW],
            )
        with running_api(database.dsn, forked=False) as api:
            return _serving(api)


def _serving(api: Api) -> list[Row]:
    key = {"Authorization": f"Bearer {api.key(Role.VIEWER)}", "Accept-Encoding": "zstd"}
    cells, size = "/api/v1/risk/cells", 0
    with httpx.stream("GET", api.url + cells, headers=key) as answer:
        size = len(b"".join(answer.iter_raw()))
    static, file_size = _file_like(api, size)
    rates: dict[str, list[float]] = {cells: [], static: [], "304": []}
    p99: dict[str, list[float]] = {cells: [], static: [], "304": []}
    etag = httpx.get(api.url + cells, headers=key).headers["etag"]
    for _ in range(3):  # in turn, so that the machine's moods meet all alike
        for name, path, headers in (
            (cells, cells, key),
            (static, static, key),
            ("304", cells, key | {"If-None-Match": etag}),
        ):
            rate, slow = asyncio.run(_load(api, path, headers))
            rates[name].append(rate)
            p99[name].append(slow)
    median = {name: statistics.median(each) for name, each in rates.items()}
    slowest = {name: statistics.median(each) for name, each in p99.items()}
    ratio = median[cells] / median[static]
    told = asyncio.run(_streams(api))
    return [
        Row(
            "cells of a screen, requests",
            median[cells],
            "1/s",
            f"file of {file_size:,} bytes: {median[static]:,.0f}/s",
            ratio,
            "> 0.6",
            ratio > 0.6,
        ),
        Row(
            f"cells of a screen ({size:,} bytes, {CHAMBERS * SENSORS_EACH:,} sensors), p99, {CONNECTIONS} connections",
            slowest[cells],
            "ms",
            f"file: {slowest[static]:.1f} ms",
            None,
            "< 20 ms",
            slowest[cells] < 20,
        ),
        Row("cells, not modified (304)", median["304"], "1/s"),
        Row(f"change told to {STREAMS} streams, the last of them", told, "ms", "", None, "< 1000 ms", told < 1000),
    ]


def _chambers() -> list[Entry[Asset]]:
    """Chambers, each in a cell of its own: as many cells as a screen should show."""
    places = [(116.0 + 0.005 * (n % 50), 30.0 + 0.005 * (n // 50)) for n in range(CHAMBERS)]
    return [
        Entry(
            n,
            Asset(
                f"X-{n}",
                "gas",
                AssetKind.CHAMBER,
                {"type": "Point", "coordinates": list(place)},
                install_year=2000 - n % 40,
            ),
        )
        for n, place in enumerate(places, 1)
    ]


def _sensors() -> list[Entry[Sensor]]:
    """A device at each chamber, with many sensors of one quantity."""
    pairs = [(chamber, channel) for chamber in range(1, CHAMBERS + 1) for channel in range(SENSORS_EACH)]
    return [
        Entry(line, Sensor(f"bench-{chamber}", "gas", f"methane.{channel}", f"X-{chamber}"))
        for line, (chamber, channel) in enumerate(pairs, 1)
    ]


def _file_like(api: Api, size: int) -> tuple[str, int]:
    """The page's file whose compressed size is the nearest."""
    web = Path(__file__).parents[2] / "web"
    sizes = {}
    for path in (each.relative_to(web).as_posix() for each in web.rglob("*.*s")):
        with httpx.stream("GET", f"{api.url}/{path}", headers={"Accept-Encoding": "zstd"}) as answer:
            sizes[f"/{path}"] = len(b"".join(answer.iter_raw()))
    nearest = min(sizes, key=lambda name: abs(sizes[name] - size))
    return nearest, sizes[nearest]


async def _load(api: Api, path: str, headers: dict[str, str]) -> tuple[float, float]:
    """Requests a second, and p99 in ms, over keep-alive connections: a bare client, so that the server is the limit."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    taken: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        for _ in range(REQUESTS // CONNECTIONS):
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(row[15:]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")), 0
            )
            await reader.readexactly(length)
            taken.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return len(taken) / (time.perf_counter() - began), float(np.percentile(taken, 99)) * 1000


async def _streams(api: Api) -> float:
    """Milliseconds from NOTIFY until the last of many streams was told."""
    request = f"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.key()}\r\n\r\n".encode()
    told: list[float] = []
    ready = 0

    async def client(go: asyncio.Event) -> None:
        nonlocal ready
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(request)
        await reader.readuntil(b"event: changed")
        ready += 1
        await go.wait()
        await reader.readuntil(b'"inventory"')
        await reader.readuntil(b'["inventory"]')
        told.append(time.perf_counter())
        writer.close()

    go = asyncio.Event()
    clients = [asyncio.create_task(client(go)) for _ in range(STREAMS)]
    while ready < STREAMS:
        await asyncio.sleep(0.05)
    go.set()
    await asyncio.sleep(1)
    with connect(api.dsn, autocommit=True) as connection:
        began = time.perf_counter()
        connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')""")
    await asyncio.gather(*clients)
    return (max(told) - began) * 1000


if __name__ == "__main__":
    main()
