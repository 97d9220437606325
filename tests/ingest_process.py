"""Runs the real ``python -m ingest`` for tests and benchmarks, against an inventory of gas detectors."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from lifeline.embedded import Broker

ROOT = Path(__file__).parent.parent


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 120) -> None:
    """Waits until the condition is true; a TimeoutError that says for what when it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def install_devices(
    dsn: str, devices: int, channels: tuple[str, ...] = ("methane", "level"), network: str = "gas"
) -> None:
    """Devices ``d0``, ``d1``, ... each with these channels."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO device (external_id, network) SELECT 'd' || i, %s FROM generate_series(0, %s) i",
            [network, devices - 1],
        )
        connection.execute(
            "INSERT INTO sensor (device_id, channel, quantity) SELECT device_id, c, split_part(c, '.', 1)"
            " FROM device CROSS JOIN unnest(%s::text[]) c ORDER BY device_id, c",
            [list(channels)],
        )


def books(dsn: str) -> dict[str, int]:
    """The account and what the tables hold."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(received), 0)::bigint, coalesce(sum(stored), 0)::bigint,"
            " coalesce(sum(duplicate), 0)::bigint, coalesce(sum(quarantined), 0)::bigint,"
            " (SELECT count(*) FROM reading), (SELECT count(*) FROM quarantine) FROM ingest_account"
        ).fetchone()
    assert row is not None
    names = ("received", "stored", "duplicate", "quarantined", "readings", "quarantine")
    return dict(zip(names, row, strict=True))


def environment(dsn: str, broker: Broker, password: str, **settings: Any) -> dict[str, str]:
    """The environment of an ingest process; ``settings`` override, named as in Settings."""
    values = {
        "database_url": dsn,
        "mqtt_host": broker.host,
        "mqtt_port": broker.port,
        "mqtt_username": "ingest",
        "mqtt_password": password,
        "ingest_metrics_port": 0,
        "log_format": "json",
        **settings,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIFELINE_")}
    return kept | {f"LIFELINE_{name.upper()}": str(value) for name, value in values.items()}


def start_ingest(env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """The real process; its log is appended to ``log``."""
    with log.open("ab") as output:
        return subprocess.Popen([sys.executable, "-m", "ingest"], cwd=ROOT, env=env, stdout=output, stderr=output)


@contextmanager
def ingest_process(env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process, once it is subscribed; told to stop at the end, which must then succeed."""
    start = log.stat().st_size if log.exists() else 0
    process = start_ingest(env, log)
    try:
        wait_for(lambda: b'"event": "subscribed"' in log.read_bytes()[start:] or process.poll() is not None, "ingest")
        assert process.poll() is None, log.read_text()[-3000:]
        yield process
        if process.poll() is None:
            process.terminate()
            assert process.wait(60) == 0, log.read_text()[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def publisher(broker: Broker, username: str, password: str) -> Iterator[Client]:
    """A connected paho client with its own thread."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.username_pw_set(username, password)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        wait_for(client.is_connected, "the publisher's connection")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()
