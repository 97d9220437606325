"""How late the messages of each device are dated: the last few of each, for the clock's health."""

from collections import defaultdict, deque

import numpy as np

from alerts.detectors import health
from alerts.inventory import Inventory
from lifeline.model import Quality
from lifeline.storage.window import States

KEPT, ENOUGH = 20, 10
LATE_S = 30.0
"""Only devices with a message so far from its date are followed: the others' clocks are right."""


class Lateness:
    """Arrival less date, seconds, of the newest live messages by device."""

    def __init__(self) -> None:
        self._last: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._seen: dict[int, float] = {}

    def note(self, inventory: Inventory, states: States) -> None:
        """Take in the newest state of each sensor; stored and forwarded data says nothing of a clock."""
        live = (states.quality & int(Quality.BACKLOG)) == 0
        late = states.received_at - states.ts
        followed = live & (np.abs(late) > LATE_S)
        if self._last:
            followed |= live & np.isin(states.sensor_id, list(self._seen))
        column = np.searchsorted(inventory.sensor_ids, states.sensor_id[followed])
        column = np.minimum(column, max(len(inventory.sensor_ids) - 1, 0))
        for place, sensor, ts, seconds in zip(
            column.tolist(), states.sensor_id[followed].tolist(), states.ts[followed].tolist(), late[followed].tolist(),
            strict=True,
        ):  # fmt: skip
            if len(inventory.sensor_ids) and inventory.sensor_ids[place] == sensor and self._seen.get(sensor) != ts:
                self._seen[sensor] = ts
                self._last[inventory.rows[place].device_id].append(seconds)

    def by_device(self) -> dict[int, tuple[float, float]]:
        """Median and least lateness of each device of which enough is known."""
        told = {}
        for device, late in self._last.items():
            if len(late) >= ENOUGH:
                skew = health.clock_skew(np.array(late)[:, None])
                told[device] = (float(skew.median_s[0]), float(skew.least_s[0]))
        return told
