"""A small city for tests of alerts: devices, sensors and their readings, written straight into the tables."""

from datetime import datetime, timedelta

from lifeline.storage.database import Connection

NOON = datetime.fromisoformat("2026-11-21T12:00:00+00:00")


def add_device(connection: Connection, name: str, *, network: str = "gas", gateway: int | None = None) -> int:
    """A device; its id."""
    row = connection.execute(
        "INSERT INTO device (external_id, network, gateway_id, name) VALUES (%s, %s, %s, %s) RETURNING device_id",
        [name, network, gateway, f"Device {name}"],
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_asset(connection: Connection, name: str, *, network: str = "gas", depth_m: float | None = None) -> int:
    """A chamber at 117.27 E, 31.86 N; its id."""
    row = connection.execute(
        """INSERT INTO asset (external_id, network, kind, name, geometry, west, south, east, north, depth_m)
        VALUES (%s, %s, 'chamber', %s, '{"type": "Point", "coordinates": [117.27, 31.86]}',
            117.27, 31.86, 117.27, 31.86, %s)
        RETURNING asset_id""",
        [name, network, f"Chamber {name}", depth_m],
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_sensor(
    connection: Connection, device: int, channel: str = "methane", *, asset: int | None = None, limits: str = "{}"
) -> int:
    """A sensor; its id."""
    row = connection.execute(
        "INSERT INTO sensor (device_id, channel, quantity, asset_id, name, limits) VALUES (%s, %s, %s, %s, %s, %s) "
        "RETURNING sensor_id",
        [device, channel, channel.partition(".")[0], asset, f"Sensor {channel}", limits],
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_reading(
    connection: Connection,
    sensor: int,
    ts: datetime,
    value: float,
    *,
    quality: int = 0,
    received_at: datetime | None = None,
) -> None:
    """A reading as ingest stores it: the row, and the sensor's newest state."""
    connection.execute(
        "INSERT INTO reading (sensor_id, ts, value, quality) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [sensor, ts, value, quality],
    )
    connection.execute(
        "INSERT INTO sensor_state AS s (sensor_id, ts, value, quality, received_at) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (sensor_id) DO UPDATE SET ts = excluded.ts, value = excluded.value, quality = excluded.quality, "
        "received_at = excluded.received_at WHERE excluded.ts > s.ts",
        [sensor, ts, value, quality, received_at or ts + timedelta(milliseconds=50)],
    )


def set_status(connection: Connection, device: int, status: str, at: datetime) -> None:
    """A device's status as ingest keeps it."""
    connection.execute(
        "INSERT INTO device_state (device_id, status, status_at, last_seen) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (device_id) DO UPDATE SET status = excluded.status, status_at = excluded.status_at",
        [device, status, at, at],
    )


def count(connection: Connection, query: str) -> int:
    """The number that ``SELECT count(*) FROM <query>`` gives."""
    row = connection.execute(f"SELECT count(*) FROM {query}".encode()).fetchone()
    assert row is not None
    return int(row[0])
