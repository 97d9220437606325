"""The last day of readings in memory: the last reading of each quarter of an hour, a ring of quarters x sensors.

What takes hours to show (a drift, a dry spell, a slow leak) is judged on it: 4 bytes a sensor and quarter, 39 MB for
100,000 sensors and a day. Filled from the roll-ups at the start, it goes on from the window. Both hold single
readings, so that what was learned of their noise holds. Of rain alone the mean of the quarter: what falls counts.
"""

import numpy as np
from numpy.typing import NDArray

from alerts.window import Floats, Ints, Window

STEP_S = 900.0
ROWS = 97
"""A day and the quarter before it."""


class Trend:
    """Quarters of ``sensor_ids`` (sorted, unique). The quarter that is not over yet is not in it."""

    def __init__(self, sensor_ids: NDArray[np.int32], averaged: NDArray[np.bool_] | None = None) -> None:
        self.sensor_ids = sensor_ids
        self._averaged = np.zeros(len(sensor_ids), np.bool_) if averaged is None else averaged
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

    def fill_readings(
        self, sensor_ids: NDArray[np.int32], ts: NDArray[np.float64], values: NDArray[np.float64]
    ) -> None:
        """The same from readings in order of time."""
        quarter = np.floor(ts / STEP_S)
        order = np.lexsort((np.arange(len(ts)), quarter, sensor_ids))
        ids, quarter, values = sensor_ids[order], quarter[order], values[order]
        if not len(ids):
            return
        begins = np.flatnonzero(np.append(True, (np.diff(ids) != 0) | (np.diff(quarter) != 0)))
        ends = np.append(begins[1:], len(ids)).astype(np.int64)
        mean = np.add.reduceat(values, begins) / (ends - begins)
        averaged = np.isin(ids[ends - 1], self.sensor_ids[self._averaged])
        self.fill(ids[ends - 1], quarter[ends - 1] * STEP_S, np.where(averaged, mean, values[ends - 1]))

    def advance(self, window: Window, now: float) -> bool:
        """Close the quarters that are over, with what the window holds of them; True where there was one."""
        newest = int(now // STEP_S) - 1
        if self._closed is not None and newest <= self._closed:
            return False
        first = newest if self._closed is None else max(self._closed + 1, newest - ROWS + 1)
        for number in range(first, newest + 1):
            self._values[number % ROWS] = window.newest_in(number * STEP_S, (number + 1) * STEP_S)
        self._take_rain(window, np.arange(first - 1, newest + 1), now)
        self._closed = newest
        return True

    def _take_rain(self, window: Window, numbers: Ints, now: float) -> None:
        """Rain of some quarters. A slow gauge tells of the last of one in the next: then it is taken again."""
        averaged = np.flatnonzero(self._averaged)
        fallen = window.rain(averaged, STEP_S * np.append(numbers, numbers[-1] + 1), now, STEP_S)
        row, gauge = np.nonzero(~np.isnan(fallen))
        self._values[numbers[row] % ROWS, averaged[gauge]] = fallen[row, gauge] * 3600.0 / STEP_S

    def values(self, columns: Ints) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The quarters of some columns, (quarter, column), the oldest first, and the end of each, epoch seconds."""
        newest = -1 if self._closed is None else self._closed
        numbers = np.arange(newest - ROWS + 1, newest + 1)
        if self._closed is None:
            return np.empty((0, len(columns))), np.empty(0)
        ends = np.asarray((numbers + 1) * STEP_S, np.float64)
        return self._values[np.ix_(numbers % ROWS, columns)].astype(np.float64), ends

    def carried_over(self, sensor_ids: NDArray[np.int32], averaged: NDArray[np.bool_] | None = None) -> "Trend":
        """A trend for another inventory, with what this one knows of the sensors that both have."""
        other = Trend(sensor_ids, averaged)
        _, mine, theirs = np.intersect1d(self.sensor_ids, sensor_ids, return_indices=True)
        other._values[:, theirs] = self._values[:, mine]
        other._closed = self._closed
        return other
