"""Silence of sensors, devices and gateways: one alert for one cause. Maintenance, never risk.

With heard(x) the time at which a sensor's newest reading was measured or came, whichever is later (of a device: of
any of its sensors; of a gateway: of any device behind it), and patience(x) the longest silence of the sensor, or the
shortest of those of the device or gateway, x is

    dark         when  now - heard(x) > patience(x), or a device's last will says offline and nothing came since;
                 a gateway also when every device behind it is dark,
    silent       when it is dark and what is above it lives: heard(above) - heard(x) > patience(x), where the above
                 is its device or gateway; so when a gateway dies, the staggered silence behind it raises nothing,
    suppressed   when what is above it is dark.

Delays run from the moment at which it became dark (or online again), read from the times themselves: no memory is
needed. What never spoke is unknown and not silent, except by a last will.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.inventory import Inventory
from alerts.rules import Silence, level_of
from lifeline.model import Finding, JsonObject, Level, Subject, SubjectKind
from lifeline.storage.window import DeviceRow, States

Bools = NDArray[np.bool_]
Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ears:
    """What is heard of sensors, devices or gateways, as columns over ids. Times are epoch seconds."""

    ids: NDArray[np.int32]
    heard: Seconds
    """-inf for what never spoke."""
    patience: Seconds
    dark_at: Seconds
    """When it became dark; NaN while it is not."""
    alone: Bools
    """What is above it (if anything) has been heard since, for longer than its patience."""
    above_dark: Bools
    by_will: Bools
    told_at: Seconds
    """When a last will, or its end, was told; NaN where none ever was."""
    behind: NDArray[np.int64]
    """How many sensors or devices hang on it."""


def listen(inventory: Inventory, states: States, rows: Sequence[DeviceRow], now: float) -> dict[str, Ears]:
    """Ears for the subjects of rules: sensor, device, gateway. ``rows`` in the order of the inventory's devices."""
    with np.errstate(invalid="ignore"):  # -inf minus -inf, where neither ever spoke
        heard, received = _newest(inventory, states, now)
        device = _devices(inventory, heard, received, rows, now)
        gateway = _gateways(inventory, device, now)
        is_gateway = gateway.behind > 0
        whole = np.where(
            is_gateway, gateway.dark_at, device.dark_at
        )  # a gateway is dark as a gateway, never only as a device
        above = inventory.gateway
        has_above = above >= 0
        above_dark = has_above & ~np.isnan(_of(whole, above))
        outlived = _of(gateway.heard, above) - device.heard > device.patience
        devices = replace(
            device,
            dark_at=np.where(is_gateway, np.nan, device.dark_at),
            alone=~has_above | device.by_will | outlived,
            above_dark=above_dark,
        )
        mine = inventory.device
        sensors = Ears(
            inventory.sensor_ids,
            heard,
            inventory.max_silence_s,
            np.where(inventory.in_service, _dark_since(heard, inventory.max_silence_s, now), np.nan),
            _of(device.heard, mine) - heard > inventory.max_silence_s,
            ~np.isnan(_of(whole, mine)) | _of(above_dark, mine),
            np.zeros(len(heard), np.bool_),
            np.full(len(heard), np.nan),
            np.zeros(len(heard), np.int64),
        )
    return {"sensor": sensors, "device": devices, "gateway": replace(gateway, above_dark=above_dark)}


def _newest(inventory: Inventory, states: States, now: float) -> tuple[Seconds, Seconds]:
    """By sensor: when it was heard, and when its newest reading came.

    Heard is the later of measured and received: a device that brings what it stored, or whose clock is slow, speaks.
    """
    heard = np.full(len(inventory.sensor_ids), -np.inf)
    received = heard.copy()
    column = np.searchsorted(inventory.sensor_ids, states.sensor_id)
    column = np.minimum(column, max(len(heard) - 1, 0))
    known = inventory.sensor_ids[column] == states.sensor_id if len(heard) else np.zeros(len(column), np.bool_)
    heard[column[known]] = np.minimum(np.maximum(states.ts[known], states.received_at[known]), now)
    received[column[known]] = states.received_at[known]
    return heard, received


def _devices(inventory: Inventory, heard: Seconds, received: Seconds, rows: Sequence[DeviceRow], now: float) -> Ears:
    """Each device by its own sensors and its last will; one whose sensors are all out of service is never dark."""
    count = len(inventory.device_ids)
    mine, serves = inventory.device, inventory.in_service
    device_heard, last_received = np.full(count, -np.inf), np.full(count, -np.inf)
    np.maximum.at(device_heard, mine[serves], heard[serves])
    np.maximum.at(last_received, mine[serves], received[serves])
    patience = np.full(count, np.inf)
    spoke = serves & (heard > -np.inf)
    np.minimum.at(patience, mine[spoke], inventory.max_silence_s[spoke])
    sensors = np.bincount(mine, minlength=count)
    in_use = (sensors == 0) | (np.bincount(mine, weights=serves, minlength=count) > 0)

    told_at = np.array([np.nan if row.status_at is None else row.status_at for row in rows], np.float64)
    offline = np.array([row.status == "offline" for row in rows], np.bool_)
    by_will = offline & in_use & ~(last_received > told_at)
    dark_at = _dark_since(device_heard, patience, now)
    dark_at = np.where(by_will, np.fmin(dark_at, np.where(np.isnan(told_at), now, told_at)), dark_at)
    yes = np.ones(count, np.bool_)
    return Ears(inventory.device_ids, device_heard, patience, dark_at, yes, ~yes, by_will, told_at, sensors)


def _gateways(inventory: Inventory, device: Ears, now: float) -> Ears:
    """Each device as a gateway: heard through all that is behind it, and dark when all of that is. ``behind`` is 0 and
    ``dark_at`` NaN for a device that is none."""
    count = len(inventory.device_ids)
    children = np.flatnonzero(inventory.gateway >= 0)
    parents = inventory.gateway[children]
    behind = np.bincount(parents, minlength=count)
    heard, patience = device.heard.copy(), device.patience.copy()
    np.maximum.at(heard, parents, device.heard[children])
    np.minimum.at(patience, parents, device.patience[children])

    own_dark = ~np.isnan(device.dark_at) | (device.heard == -np.inf)
    lost = np.bincount(parents, weights=~np.isnan(device.dark_at[children]), minlength=count) == behind
    lost_at = np.nan_to_num(device.dark_at, nan=-np.inf)
    np.maximum.at(lost_at, parents, np.nan_to_num(device.dark_at[children], nan=-np.inf))

    dark_at = _dark_since(heard, patience, now)
    dark_at = np.where(lost & own_dark, np.fmin(dark_at, lost_at), dark_at)
    dark_at = np.where(device.by_will, np.fmin(dark_at, device.dark_at), dark_at)
    return replace(device, heard=heard, patience=patience, dark_at=np.where(behind > 0, dark_at, np.nan), behind=behind)


def _dark_since(heard: Seconds, patience: Seconds, now: float) -> Seconds:
    """When the silence became longer than the patience; NaN where it has not, or where nothing was ever heard."""
    return np.where((now - heard > patience) & (heard > -np.inf), heard + patience, np.nan)


def _of(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """``values[places]``, where a place may be -1 (of no meaning then) and there may be no values at all."""
    return values[places] if len(values) else np.zeros(len(places), values.dtype)


def detect(rule: Silence, ears: Ears, held: Mapping[int, Level], now: datetime) -> list[Finding]:
    """A finding for each subject that is silent, and one without a level for each of ``held`` that is heard again.

    ``held`` is keyed by sensor or device id; what is held and suppressed stays as it is.
    """
    clock = now.timestamp()
    with np.errstate(invalid="ignore"):
        silent = (clock - ears.dark_at >= rule.on_delay_s) & ears.alone & ~ears.above_dark
    is_held = np.isin(ears.ids, np.array(list(held), np.int64))
    dark = ~np.isnan(ears.dark_at)
    settling = ~dark & ~(clock - np.nan_to_num(ears.told_at, nan=-np.inf) >= rule.off_delay_s)
    present = silent | (is_held & (dark | settling))
    kind = SubjectKind.SENSOR if rule.subject == "sensor" else SubjectKind.DEVICE
    found = []
    for place in np.flatnonzero(present | is_held).tolist():
        level = level_of(rule.level) if present[place] else None
        dark_at = ears.dark_at[place]
        first_seen = now if np.isnan(dark_at) else datetime.fromtimestamp(float(dark_at), UTC)
        subject = Subject(kind, int(ears.ids[place]))
        found.append(
            Finding(subject, rule.id, level, now, first_seen, rule.words() | _evidence(rule, ears, place, clock))
        )
    return found


def suppressed(ears: Ears) -> set[int]:
    """Ids whose silence what is above them explains."""
    return set(ears.ids[ears.above_dark & ~np.isnan(ears.dark_at)].tolist())


def _evidence(rule: Silence, ears: Ears, place: int, clock: float) -> JsonObject:
    heard, patience = float(ears.heard[place]), float(ears.patience[place])
    spoke = np.isfinite(heard)
    return {
        "detector": rule.detector,
        "condition": "last_will" if ears.by_will[place] else "silence",
        "last_heard": datetime.fromtimestamp(heard, UTC).isoformat(timespec="seconds") if spoke else None,
        "silent_s": round(clock - heard) if spoke else None,
        "longest_silence_s": patience if np.isfinite(patience) else None,
        **({} if rule.subject == "sensor" else {"behind": int(ears.behind[place])}),
    }
