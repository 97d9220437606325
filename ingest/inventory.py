"""Which sensor a topic and a channel stand for, and what is plausible for it: the database's inventory, in columns."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import structlog

from lifeline import wire
from lifeline.catalogue import Catalogue
from lifeline.model import JsonObject
from lifeline.storage import ingest as storage
from lifeline.storage.columns import Floats, Int64s
from lifeline.storage.database import Connection

REFRESH_S = 10.0
"""Changed limits are taken up after so long at most."""
ASK_AGAIN_S = 1.0
"""An unknown sensor leads to a look at the database, no more often than this."""

log = structlog.get_logger()


@dataclass(slots=True)
class Inventory:
    """All sensors by place, in the order of their ids.

    ``topics`` maps a topic of readings to a place in ``channels`` and ``device_of``; 0 there is what is unknown.
    ``channels`` maps a channel to the place of its sensor.

    ``last_ts`` (microseconds since 1970) and ``last_value`` are what each said last, for the rate check; batches
    change them.
    """

    sensor_id: Int64s
    low: Floats
    high: Floats
    max_rate: Floats
    last_ts: Int64s
    last_value: Floats
    topics: dict[bytes, int] = field(default_factory=dict)
    channels: list[dict[str, int]] = field(default_factory=lambda: [{}])
    device_of: list[int] = field(default_factory=lambda: [0])
    statuses: dict[bytes, int] = field(default_factory=dict)


def build(rows: list[storage.SensorRow], devices: list[tuple[int, str, str]], catalogue: Catalogue) -> Inventory:
    """The inventory of these rows; a limit that makes no sense is logged and the catalogue's stands."""
    limits = [_limits(row, catalogue) for row in rows]
    low, high, rate = (
        (np.array(column, dtype=np.float64) for column in zip(*limits, strict=True)) if rows else (np.empty(0),) * 3
    )
    inventory = Inventory(
        sensor_id=np.array([row.sensor_id for row in rows], dtype=np.int64),
        low=low,
        high=high,
        max_rate=rate,
        last_ts=np.array([row.ts for row in rows], dtype=np.int64),
        last_value=np.array([row.value for row in rows], dtype=np.float64),
    )
    by_device: dict[int, dict[str, int]] = {}
    for place, row in enumerate(rows):
        by_device.setdefault(row.device_id, {})[row.channel] = place
    for device_id, network, device in devices:
        inventory.topics[wire.readings_topic(network, device).encode()] = len(inventory.channels)
        inventory.channels.append(by_device.get(device_id, {}))
        inventory.device_of.append(device_id)
        inventory.statuses[wire.status_topic(network, device).encode()] = device_id
    return inventory


def _limits(row: storage.SensorRow, catalogue: Catalogue) -> tuple[float, float, float]:
    quantity = catalogue.quantity_of(row.channel)
    low, high, rate = (quantity.low, quantity.high, quantity.max_rate) if quantity else (-np.inf, np.inf, np.inf)
    try:
        own_low, own_high = _range(row.limits, low, high)
        own_rate = float(row.limits.get("max_rate", rate))
        if not own_rate > 0:  # it would mark every reading, or none
            raise ValueError("no rate")
    except (TypeError, ValueError):
        log.warning("limits of a sensor make no sense", sensor=row.sensor_id, limits=row.limits)
        return low, high, rate
    return own_low, own_high, own_rate


def _range(limits: JsonObject, low: float, high: float) -> tuple[float, float]:
    own_low, own_high = limits.get("range") or (low, high)
    own_low = low if own_low is None else float(own_low)
    own_high = high if own_high is None else float(own_high)
    if not own_low < own_high:
        raise ValueError("empty range")
    return own_low, own_high


class InventoryKeeper:
    """The present inventory, looked up again when it may have changed. Shared by the writers."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self._version: tuple[object, ...] | None = None
        self._checked = -np.inf
        self.now = build([], [], catalogue)

    def refresh(self, connection: Connection, *, older_than_s: float = REFRESH_S) -> bool:
        """Load it anew if it was not looked at for ``older_than_s`` and has changed since; says whether it was loaded.

        Ends the connection's transaction. Raises StorageError.
        """
        with self._lock:
            if time.monotonic() - self._checked < older_than_s:
                return False
            version = storage.inventory_version(connection)
            changed = version != self._version
            if changed:
                self.now = build(storage.sensors(connection), storage.devices(connection), self._catalogue)
                log.info("inventory loaded", sensors=len(self.now.sensor_id), devices=len(self.now.topics))
            connection.commit()
            self._version = version
            self._checked = time.monotonic()
            return changed
