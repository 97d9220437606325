"""Assets, devices and sensors: imported as sets, idempotent by external id, all or nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from psycopg.types.json import Jsonb

from lifeline import geo
from lifeline.catalogue import Catalogue
from lifeline.errors import ImportRejectedError, NotFoundError, Problem
from lifeline.inventory import Entry
from lifeline.model import Asset, Sensor
from lifeline.storage import membership, nearness, standing
from lifeline.storage.database import Connection
from lifeline.storage.queries import load
from lifeline.wire import is_channel, is_identifier

_SQL = load("inventory")

Progress = Callable[[int], None]
"""Called with the number of assets done since the last call."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What an import did with the rows of a file."""

    new: int
    changed: int
    same: int


@dataclass(frozen=True, slots=True)
class UnknownDevice:
    """A device that speaks and is not in the inventory, or of which a channel is not."""

    network: str
    device: str
    channels: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    readings: int


@dataclass(frozen=True, slots=True)
class SensorState:
    """A sensor and its newest reading (None: there is none yet)."""

    device: str
    network: str
    channel: str
    asset: str | None
    name: str
    gateway: str | None
    in_service: bool
    ts: datetime | None
    value: float | None
    received_at: datetime | None
    max_silence_s: float | None

    def silent(self, now: datetime, catalogue: Catalogue) -> bool:
        """Whether the sensor is in service and longer without a reading than it or its quantity may be."""
        if not self.in_service:
            return False
        quantity = catalogue.quantity_of(self.channel)
        limit = self.max_silence_s or (quantity.max_silence_s if quantity else float("inf"))
        return self.ts is None or (now - self.ts).total_seconds() > limit


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device and what is known of its line."""

    device: str
    network: str
    gateway: str | None
    status: str | None
    status_at: datetime | None
    last_seen: datetime | None
    missed: int


@dataclass(frozen=True, slots=True)
class Count:
    """How much of a network is in the inventory."""

    network: str
    assets: int
    devices: int
    sensors: int


def store_assets(
    connection: Connection,
    entries: Sequence[Entry[Asset]],
    now: datetime,
    source: str = "assets.geojson",
    progress: Progress | None = None,
) -> Stored:
    """Insert or update assets with their hexagons and standing risk, in the caller's transaction.

    Raises ImportRejectedError where an end of a pipe is neither in the file nor in the database; the caller rolls back.
    """
    (stored,) = store_asset_files(connection, [entries], now, source, progress)
    return stored


def store_asset_files(
    connection: Connection,
    files: Sequence[Sequence[Entry[Asset]]],
    now: datetime,
    source: str,
    progress: Progress | None = None,
) -> list[Stored]:
    """The same for several files at once, whose pipes may end at each other's nodes; what became of each file's."""
    entries = [entry for file in files for entry in file]
    assets = [entry.item for entry in entries]
    connection.execute(_SQL["inventory_lock"])
    connection.execute(_SQL["stage_assets"])
    with connection.cursor().copy(_SQL["copy_assets"]) as copy:
        for position, asset in enumerate(assets):
            copy.write_row(_asset_row(position, asset))
    connection.execute(_SQL["analyze_assets"])
    touched = connection.execute(_SQL["store_assets"]).fetchall()
    _reject(source, entries, connection, "unknown_ends")
    connection.execute(_SQL["join_assets"])
    numbers = [number for (number,) in connection.execute(_SQL["asset_numbers"])]
    _store_cells(connection, [(numbers[p], assets[p].geometry) for p, _ in touched], progress)
    connection.execute(_SQL["forget_retired"])
    moved = [numbers[position] for position, _ in touched]
    membership.place(connection, assets=moved, sensors=_sensors_on(connection, moved))
    nearness.place(connection, assets=moved)
    connection.execute(_SQL["unstage_assets"])
    # Every asset and not only those that have changed: they have aged since the last import.
    standing.refresh(connection, now, sorted({asset.network for asset in assets}), numbers)
    connection.execute(_SQL["announce"])
    if progress is not None:
        progress(len(assets) - len(touched))
    return _by_file([len(file) for file in files], dict(touched))


def _by_file(sizes: Sequence[int], touched: dict[int, bool]) -> list[Stored]:
    found, begin = [], 0
    for size in sizes:
        own = [touched[at] for at in range(begin, begin + size) if at in touched]
        found.append(Stored(sum(own), len(own) - sum(own), size - len(own)))
        begin += size
    return found


def _jsonb(value: object) -> Jsonb:
    """orjson is several times as fast as psycopg's own json, and an import writes three documents an asset."""
    return Jsonb(value, dumps=orjson.dumps)


def _sensors_on(connection: Connection, assets: Sequence[int]) -> list[int]:
    rows = connection.execute(_SQL["sensors_on"], {"assets": list(assets)})
    return [sensor_id for (sensor_id,) in rows]


def _asset_row(position: int, asset: Asset) -> tuple[object, ...]:
    return (
        position, asset.external_id, asset.network, str(asset.kind), asset.name, _jsonb(asset.geometry),
        *geo.bbox(asset.geometry), asset.from_asset, asset.to_asset, asset.material, asset.diameter_mm,
        asset.install_year, asset.length_m, asset.depth_m, asset.customers, asset.critical, _jsonb(asset.attributes),
        asset.road_class, asset.street, asset.soil, asset.condition, asset.in_service,
    )  # fmt: skip


def _store_cells(
    connection: Connection, changed: Sequence[tuple[int, dict[str, object]]], progress: Progress | None
) -> None:
    connection.execute(_SQL["forget_cells"], {"assets": [number for number, _ in changed]})
    with connection.cursor().copy(_SQL["copy_cells"]) as copy:
        for number, geometry in changed:
            for resolution, shares in geo.cells_at(geometry).items():
                for cell, length in shares.items():
                    copy.write_row((number, resolution, cell, length))
            if progress is not None:
                progress(1)


def store_sensors(connection: Connection, entries: Sequence[Entry[Sensor]], source: str = "sensors.csv") -> Stored:
    """Insert or update sensors and the devices that carry them, in the caller's transaction.

    Raises ImportRejectedError where a sensor's asset or zone does not exist or a device would change its network; the
    caller rolls back.
    """
    connection.execute(_SQL["inventory_lock"])
    connection.execute(_SQL["stage_sensors"])
    with connection.cursor().copy(_SQL["copy_sensors"]) as copy:
        for position, entry in enumerate(entries):
            copy.write_row(_sensor_row(position, entry.item))
    connection.execute(_SQL["analyze_sensors"])
    _reject(source, entries, connection, "unknown_assets", "moved_devices", "unknown_zones")
    connection.execute(_SQL["store_devices"])
    connection.execute(_SQL["join_gateways"])
    is_new: dict[int, bool] = dict(connection.execute(_SQL["store_sensors"]).fetchall())
    rebalanced = {sensor_id for (sensor_id,) in connection.execute(_SQL["store_flows"])}
    connection.execute(_SQL["forget_unknown"])
    connection.execute(_SQL["unstage_sensors"])
    membership.place(connection, sensors=list(is_new))
    connection.execute(_SQL["announce"])
    new, touched = sum(is_new.values()), len(is_new.keys() | rebalanced)
    return Stored(new, touched - new, len(entries) - touched)


def _sensor_row(position: int, sensor: Sensor) -> tuple[object, ...]:
    return (
        position, sensor.device, sensor.network, sensor.channel, sensor.quantity, sensor.asset, sensor.name,
        sensor.longitude, sensor.latitude, sensor.gateway, _jsonb(sensor.limits),
        None if sensor.balance is None else _jsonb(sensor.balance), sensor.in_service,
    )  # fmt: skip


_MESSAGES = {
    "unknown_ends": "{} {!r} is neither in this file nor in the database",
    "unknown_assets": "asset {!r} is not in the database: import the assets first or with it",
    "unknown_zones": "zone {!r} in balance is not in the database: import the zones first or with it",
    "moved_devices": "device {!r} would move to network {!r}, and it is known in {!r}",
}


def _reject(
    source: str, entries: Sequence[Entry[Asset]] | Sequence[Entry[Sensor]], connection: Connection, *checks: str
) -> None:
    problems = [
        Problem(entries[position].line, _MESSAGES[check].format(*values))
        for check in checks
        for position, *values in connection.execute(_SQL[check])
    ]
    if problems:
        raise ImportRejectedError(source, sorted(problems, key=lambda problem: problem.line))


def unknown_devices(
    connection: Connection, device: str | None = None, network: str | None = None
) -> list[UnknownDevice]:
    """Devices that `adopt` can take in."""
    rows = connection.execute(_SQL["unknown_devices"], {"device": device, "network": network})
    return [UnknownDevice(net, name, tuple(channels), *rest) for net, name, channels, *rest in rows]


def adopt(connection: Connection, device: str, catalogue: Catalogue, network: str | None = None) -> list[str]:
    """Take an unknown device into the inventory with every channel that it was heard on; give those that are new.

    Raises NotFoundError where nothing was heard of it, or where it speaks in several networks and none is named, or
    where no channel is one of the catalogue's.
    """
    found = unknown_devices(connection, device, network)
    if not found:
        where = f" in network {network!r}" if network else ""
        raise NotFoundError(f"no unknown device {device!r} was heard{where}")
    if len(found) > 1:
        networks = ", ".join(each.network for each in found)
        raise NotFoundError(f"{device!r} was heard in several networks ({networks}): say which with --network")
    heard = found[0]
    known = device_state(connection, device)
    have = {sensor.channel for sensor in sensors(connection, device)}
    channels = [channel for channel in heard.channels if _measurable(channel, heard.network, catalogue)]
    if not channels or not is_identifier(device):
        raise NotFoundError(
            f"{device!r} cannot be adopted: none of its channels ({', '.join(heard.channels)}) is a quantity of "
            f"network {heard.network!r} in the catalogue"
        )
    new = [channel for channel in channels if channel not in have]
    gateway = known.gateway if known else None
    entries = [Entry(1, Sensor(device, heard.network, channel, gateway=gateway)) for channel in new]
    store_sensors(connection, entries, source=device)
    return new


def _measurable(channel: str, network: str, catalogue: Catalogue) -> bool:
    quantity = catalogue.quantity_of(channel)
    return is_channel(channel) and quantity is not None and network in quantity.networks


def sensors(connection: Connection, device: str | None = None, network: str | None = None) -> list[SensorState]:
    """Sensors with their newest reading, by device and channel."""
    rows = connection.execute(_SQL["sensors"], {"device": device, "network": network})
    return [SensorState(*row) for row in rows]


def device_state(connection: Connection, device: str) -> DeviceState | None:
    """One device, or None."""
    row = connection.execute(_SQL["device"], {"device": device}).fetchone()
    return DeviceState(*row) if row else None


def counts(connection: Connection) -> list[Count]:
    """Assets, devices and sensors of each network."""
    return [Count(*row) for row in connection.execute(_SQL["counts"])]


def newest(connection: Connection) -> datetime | None:
    """Time of the newest reading of all; None where there is none."""
    row = connection.execute(_SQL["newest"]).fetchone()
    return row[0] if row else None
