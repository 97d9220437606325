"""The last day of readings in memory: the last reading of each quarter of an hour, a ring of quarters x sensors.

What takes hours to show (a drift, a dry spell, a slow leak) is judged on it: 4 bytes a sensor and quarter, 39 MB for
100,000 sensors and a day. It is filled from the roll-ups at the start and goes on from the window, and both hold single
readings, so that what was learned of their noise holds.
"""

import numpy as np
from numpy.typing import NDArray

from alerts.window import Floats, Ints, Window

STEP_S = 900.0
ROWS = 97
"""A day and the quarter before it."""


class Trend:
    """Quarters of ``sensor_ids`` (sorted, unique). The quarter that is not over yet is not in it."""

    def __init__(self, sensor_ids: NDArray[np.int32]) -> None:
        self.sensor_ids = sensor_ids
        self._values: Floats = np.full((ROWS, len(sensor_ids)), np.nan, np.float32)
        self._closed: int | None = None

    @property
    def bytes(self) -> int:
        """Memory of the ring."""
        return self._values.nbytes

    @property
    def closed(self) -> int | None:
        """Number of the newest quarter that is over (epoch seconds / STEP_S); None before the first."""
        return self._closed

    def fill(self, sensor_ids: NDArray[np.int32], buckets: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        """Take roll-ups in; ``buckets`` are the begins of their quarters. Ones that the ring does not hold are left."""
        if self._closed is None or not len(self.sensor_ids):
            return
        number = np.round(buckets / STEP_S).astype(np.int64)
        column = np.minimum(np.searchsorted(self.sensor_ids, sensor_ids), len(self.sensor_ids) - 1)
        fits = (number > self._closed - ROWS) & (number <= self._closed) & (self.sensor_ids[column] == sensor_ids)
        self._values[number[fits] % ROWS, column[fits]] = values[fits]

    def advance(self, window: Window, now: float) -> bool:
        """Close the quarters that are over, with what the window holds of them; True where there was one."""
        newest = int(now // STEP_S) - 1
        if self._closed is not None and newest <= self._closed:
            return False
        first = newest if self._closed is None else max(self._closed + 1, newest - ROWS + 1)
        for number in range(first, newest + 1):
            self._values[number % ROWS], _ = window.newest_in(number * STEP_S, (number + 1) * STEP_S)
        self._closed = newest
        return True

    def values(self, columns: Ints) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The quarters of some columns, (quarter, column), the oldest first, and the end of each, epoch seconds."""
        newest = -1 if self._closed is None else self._closed
        numbers = np.arange(newest - ROWS + 1, newest + 1)
        if self._closed is None:
            return np.empty((0, len(columns))), np.empty(0)
        ends = np.asarray((numbers + 1) * STEP_S, np.float64)
        return self._values[np.ix_(numbers % ROWS, columns)].astype(np.float64), ends

    def carried_over(self, sensor_ids: NDArray[np.int32]) -> "Trend":
        """A trend for another inventory, with what this one knows of the sensors that both have."""
        other = Trend(sensor_ids)
        _, mine, theirs = np.intersect1d(self.sensor_ids, sensor_ids, return_indices=True)
        other._values[:, theirs] = self._values[:, mine]
        other._closed = self._closed
        return other
