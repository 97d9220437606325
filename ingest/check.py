"""What is a good reading: known, finite, in range and in time; and how good: from a backlog, or implausibly fast.

Everything works on whole columns; a Python loop runs only over what is refused.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from ingest.batch import Batch, Reject
from ingest.decode import Decoded
from ingest.inventory import Inventory
from lifeline import wire
from lifeline.catalogue import Catalogue
from lifeline.model import Quality, Reason
from lifeline.storage.columns import Int64s
from lifeline.storage.ingest import Readings, Unknown

_US = 1_000_000
_NOWHERE = -1
SHORTEST_S = 1.0
"""A change within less than a second counts as a change within one: two samples a millisecond apart have no rate."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How far ahead of the clock, and how old, a reading may be."""

    future_s: float
    max_age_s: float


@dataclass(slots=True)
class Checked:
    """Good readings, sorted by sensor and time, none twice; the newest of each sensor; the rest.

    ``repeated`` counts readings that were in the batch twice.
    """

    readings: Readings
    newest: Readings
    repeated: int
    rejects: list[Reject]
    unknown: list[Unknown] = field(default_factory=list)


def devices_of(batch: Batch, inventory: Inventory) -> Int64s:
    """For each message the place of its device in the inventory, 0 where there is none."""
    return np.fromiter(map(inventory.topics.get, batch.topics, repeat(0)), np.int64, len(batch))


def places_of(devices: Int64s, decoded: Decoded, inventory: Inventory) -> Int64s:
    """For each reading the place of its sensor in the inventory, or -1."""
    channels = map(inventory.channels.__getitem__, devices[decoded.message].tolist())
    found = map(dict.get, channels, decoded.channel, repeat(_NOWHERE))
    return np.fromiter(found, np.int64, len(decoded.channel))


def check(
    batch: Batch,
    decoded: Decoded,
    inventory: Inventory,
    catalogue: Catalogue,
    limits: TimeLimits,
    now: datetime,
    places: Int64s,
) -> Checked:
    """Sort the decoded readings into good ones and rejects."""
    ts, value = decoded.ts, decoded.value
    now_us = round(now.timestamp() * _US)
    known = places >= 0
    at = np.where(known, places, 0) if len(inventory.sensor_id) else None
    low, high = (inventory.low[at], inventory.high[at]) if at is not None else (value, value)
    finite = np.isfinite(value)
    in_range = (value >= low) & (value <= high)
    late = ts < now_us - round(limits.max_age_s * _US)
    early = ts > now_us + round(limits.future_s * _US)
    good = known & finite & in_range & ~late & ~early
    rejects = list(decoded.rejects)
    unknown: list[Unknown] = []
    if not good.all():
        bad = np.flatnonzero(~good)
        rejects += [_reject(row, batch, decoded, inventory, places, early=early[row]) for row in bad.tolist()]
        unknown = _unknown(batch, decoded, np.flatnonzero(~known), catalogue)
    readings, newest, repeated = _sorted(places[good], ts[good], value[good], decoded.backlog[good], inventory)
    return Checked(readings, newest, repeated, rejects, unknown)


def _reject(row: int, batch: Batch, decoded: Decoded, inventory: Inventory, places: Int64s, *, early: bool) -> Reject:
    message = int(decoded.message[row])
    channel = decoded.channel[row]
    value = float(decoded.value[row])
    place = int(places[row])
    if place == _NOWHERE:
        reason, detail = Reason.UNKNOWN_SENSOR, _why_unknown(batch.topics[message], inventory)
    elif not np.isfinite(value):
        reason, detail = Reason.NOT_FINITE, f"the value is {value}"
    elif not inventory.low[place] <= value <= inventory.high[place]:
        reason = Reason.OUT_OF_RANGE
        detail = f"{value:g} is outside {inventory.low[place]:g} to {inventory.high[place]:g}"
    elif early:
        reason, detail = Reason.FROM_THE_FUTURE, f"ahead of {batch.received_at.isoformat()}"
    else:
        reason, detail = Reason.TOO_OLD, f"received {batch.received_at.isoformat()}"
    return Reject(message, reason, detail, channel, int(decoded.ts[row]), value, row)


def _why_unknown(topic: bytes, inventory: Inventory) -> str:
    if topic in inventory.topics:
        return "the device has no such channel"
    parts = wire.parse_topic(topic.decode(errors="replace"))
    if parts is None:
        return "the topic is not one of the contract"
    return "the inventory has no such device in this network"


def _unknown(batch: Batch, decoded: Decoded, rows: Int64s, catalogue: Catalogue) -> list[Unknown]:
    """What could be adopted: names that the inventory could take, in networks that there are."""
    counts: Counter[tuple[bytes, str]] = Counter(
        (batch.topics[decoded.message[row]], decoded.channel[row]) for row in rows.tolist()
    )
    found = []
    for (topic, channel), n in sorted(counts.items()):
        parts = wire.parse_topic(topic.decode(errors="replace"))
        if parts is None or parts.network not in catalogue.networks:
            continue
        if wire.is_identifier(parts.device) and wire.is_channel(channel) and catalogue.quantity_of(channel):
            found.append(Unknown(parts.network, parts.device, channel, n))
    return found


def _sorted(
    places: Int64s, ts: Int64s, value: NDArray[np.float64], backlog: NDArray[np.bool_], inventory: Inventory
) -> tuple[Readings, Readings, int]:
    order = np.lexsort((ts, places))  # stable: of a reading that came twice the first stays
    places, ts, value, backlog = places[order], ts[order], value[order], backlog[order]
    same_sensor = np.concatenate([[False], places[1:] == places[:-1]])[: len(places)]
    again = same_sensor & np.concatenate([[False], ts[1:] == ts[:-1]])[: len(places)]
    if again.any():
        keep = ~again
        places, ts, value, backlog, same_sensor = (c[keep] for c in (places, ts, value, backlog, same_sensor))
    quality = np.where(backlog, int(Quality.BACKLOG), 0).astype(np.int16)
    quality[_implausible(places, ts, value, same_sensor, inventory)] |= int(Quality.IMPLAUSIBLE)
    last = np.concatenate([~same_sensor[1:], [True]])[: len(places)]
    _remember(places[last], ts[last], value[last], inventory)
    sensor_id = inventory.sensor_id[places]
    readings = Readings(sensor_id, ts, value, quality)
    newest = Readings(sensor_id[last], ts[last], value[last], quality[last])
    return readings, newest, int(again.sum())


def _implausible(
    places: Int64s, ts: Int64s, value: NDArray[np.float64], same_sensor: NDArray[np.bool_], inventory: Inventory
) -> NDArray[np.bool_]:
    """|change| > greatest plausible rate x time, against the reading before: in the batch, else the sensor's last one.

    What is older than the sensor's last reading is not judged: the reading before it is not at hand.
    """
    if not len(places):
        return np.empty(0, dtype=np.bool_)
    before_ts = np.where(same_sensor, np.roll(ts, 1), inventory.last_ts[places])
    before = np.where(same_sensor, np.roll(value, 1), inventory.last_value[places])
    newer = ts > before_ts
    elapsed_s = np.maximum((ts - np.where(newer, np.maximum(before_ts, -(2**62)), ts)) / _US, SHORTEST_S)
    return newer & (np.abs(value - before) > inventory.max_rate[places] * elapsed_s)


def _remember(places: Int64s, ts: Int64s, value: NDArray[np.float64], inventory: Inventory) -> None:
    newer = ts > inventory.last_ts[places]
    inventory.last_ts[places[newer]] = ts[newer]
    inventory.last_value[places[newer]] = value[newer]
