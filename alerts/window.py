"""The last hour of readings in memory: a time-major ring of slots x sensors, and beside it every reading of the gauges.

A slot is 60 s wide: most instruments report once a minute or slower, so a narrower slot would be mostly empty, and a
wider one would blur the delays of rules. It keeps the lowest, the highest and the last value with the times of the
first and the last reading, so a breach between two ticks is seen however short it was, and the memory (20 bytes a
sensor and slot: 120 MB for 100,000 sensors and an hour) does not depend on how often sensors speak.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.gauges import Gauges

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Seconds = NDArray[np.float64]

SLOT_S = 60.0
BEFORE_S = 900.0
"""Rain is remembered for so much longer than the ring: a quarter of an hour may have begun before it."""


@dataclass(frozen=True, slots=True)
class Series:
    """Slots x sensors, the oldest slot first; NaN where a slot has no reading. Times are seconds from now, so <= 0."""

    lowest: Floats
    highest: Floats
    last: Floats
    first_at: Seconds
    last_at: Seconds

    def negated(self) -> "Series":
        """The same with its sign turned, so that "below" becomes "above"."""
        return Series(-self.highest, -self.lowest, -self.last, self.first_at, self.last_at)


class Window:
    """Readings of ``sensor_ids`` (sorted, unique) over the last ``seconds``. A column is a position in sensor_ids;
    ``gauges`` (sensor,) says which of them are rain gauges."""

    def __init__(self, sensor_ids: NDArray[np.int32], seconds: float, gauges: NDArray[np.bool_] | None = None) -> None:
        self.sensor_ids = sensor_ids
        gauges = np.zeros(len(sensor_ids), np.bool_) if gauges is None else gauges
        self._gauge = np.where(gauges, np.cumsum(gauges) - 1, -1)
        self._rain = Gauges(int(gauges.sum()))
        self.slots = int(np.ceil(seconds / SLOT_S)) + 1
        self._seen: Seconds = np.zeros(len(sensor_ids))  # 1970: before any reading, and still a time
        self._slot: int | None = None
        self._reach: tuple[Floats, Floats] | None = None
        shape = (self.slots, len(sensor_ids))
        self._lowest, self._highest, self._last, self._first, self._final = (
            np.full(shape, np.nan, np.float32) for _ in range(5)
        )

    @property
    def bytes(self) -> int:
        """Memory of the ring and of the gauges' readings."""
        return 5 * self._last.nbytes + self._seen.nbytes + self._rain.bytes

    def columns_of(self, sensor_ids: NDArray[np.int32]) -> Ints:
        """The column of each sensor, -1 for one that the window does not hold."""
        if not len(self.sensor_ids):
            return np.full(len(sensor_ids), -1, np.int64)
        found = np.minimum(np.searchsorted(self.sensor_ids, sensor_ids), len(self.sensor_ids) - 1)
        return np.where(self.sensor_ids[found] == sensor_ids, found, -1)

    def floor(self, now: float) -> float:
        """The oldest time that the window holds at ``now`` (epoch seconds)."""
        return (now // SLOT_S - self.slots + 1) * SLOT_S

    def advance(self, now: float) -> None:
        """Make room for ``now``: forget what is older than the window. A clock that goes back changes nothing."""
        slot = int(now // SLOT_S)
        self._reach = None
        if self._slot is not None:
            for passed in range(max(self._slot + 1, slot - self.slots + 1), slot + 1):
                for part in self._parts():
                    part[passed % self.slots] = np.nan
        self._slot = slot if self._slot is None else max(slot, self._slot)

    def merge(self, sensor_ids: NDArray[np.int32], ts: Seconds, values: NDArray[np.float64], now: float) -> int:
        """Take readings in, in any order, again or late; give how many lie in the window.

        Times in epoch seconds. A time ahead of ``now`` (a clock that runs fast) counts as now.
        """
        self.advance(now)
        assert self._slot is not None
        self._reach = None
        column = self.columns_of(sensor_ids)
        self._merge_rain(column, ts, values, now)
        ts = np.minimum(ts, now)
        slot = (ts // SLOT_S).astype(np.int64)
        fits = (column >= 0) & (slot > self._slot - self.slots) & np.isfinite(values)
        order = np.argsort(ts[fits], kind="stable")
        column, slot, ts = column[fits][order], slot[fits][order], ts[fits][order]
        value, offset = values[fits][order].astype(np.float32), (ts - slot * SLOT_S).astype(np.float32)
        flat = (slot % self.slots) * len(self.sensor_ids) + column
        np.fmin.at(self._lowest.reshape(-1), flat, value)
        np.fmax.at(self._highest.reshape(-1), flat, value)
        np.fmin.at(self._first.reshape(-1), flat, offset)
        np.fmax.at(self._final.reshape(-1), flat, offset)
        newest = self._final.reshape(-1)[flat] == offset
        self._last.reshape(-1)[flat[newest]] = value[newest]
        return len(column)

    def _merge_rain(self, column: Ints, ts: Seconds, values: NDArray[np.float64], now: float) -> None:
        if self._rain.count:
            rain = (column >= 0) & (self._gauge[column] >= 0) & (ts >= self.floor(now) - BEFORE_S) & np.isfinite(values)
            self._rain.take(self._gauge[column[rain]], ts[rain], values[rain], now)

    def behind(self, sensor_ids: NDArray[np.int32], newest: Seconds) -> tuple[NDArray[np.int32], Seconds]:
        """Of sensors with these newest readings those that have spoken since ``mark_seen``, and up to when each was
        seen."""
        column = self.columns_of(sensor_ids)
        news = (column >= 0) & (newest > self._seen[column]) if len(self._seen) else column >= 0
        return sensor_ids[news], self._seen[column[news]]

    def mark_seen(self, sensor_ids: NDArray[np.int32], newest: Seconds) -> None:
        """The window holds what these sensors said up to their newest reading, fit or not."""
        column = self.columns_of(sensor_ids)
        self._seen[column[column >= 0]] = newest[column >= 0]

    def series(self, columns: Ints, now: float) -> Series:
        """What the window holds of some columns, copied."""
        if self._slot is None:
            self.advance(now)
        assert self._slot is not None
        numbers = np.arange(self._slot - self.slots + 1, self._slot + 1)
        rows = (numbers % self.slots)[:, None], columns[None, :]
        start = (numbers * SLOT_S - now)[:, None]
        return Series(
            self._lowest[rows],
            self._highest[rows],
            self._last[rows],
            np.minimum(start + self._first[rows], 0),
            np.minimum(start + self._final[rows], 0),
        )

    def newest(self, columns: Ints, now: float) -> Floats:
        """The ``last`` of ``series`` alone, at a fifth of the cost."""
        if self._slot is None:
            self.advance(now)
        assert self._slot is not None
        rows = np.arange(self._slot - self.slots + 1, self._slot + 1) % self.slots
        return self._last[rows[:, None], columns[None, :]]

    def newest_in(self, begin: float, end: float) -> Floats:
        """The newest value of every sensor in the slots of ``[begin, end)``, epoch seconds; NaN for none."""
        value = np.full(len(self.sensor_ids), np.nan, np.float32)
        for row in self._rows_in(begin, end):
            np.copyto(value, self._last[row], where=~np.isnan(self._last[row]))
        return value

    def rain(
        self, columns: Ints, edges: Seconds, now: float, stands_s: float, *, confirmed: bool = False
    ) -> NDArray[np.float64]:
        """mm that fell on some gauges between each two ``edges``, (stretch, column): see gauges.py."""
        fallen = self._rain.fallen(edges, now, stands_s, self.floor(now) - BEFORE_S, confirmed=confirmed)
        return fallen[:, self._gauge[columns]]

    def rain_until(self, columns: Ints, now: float) -> Seconds:
        """When some gauges spoke last, (column,), epoch seconds; -inf for one that did not within the window."""
        return self._rain.newest(self.floor(now) - BEFORE_S)[self._gauge[columns]]

    def _rows_in(self, begin: float, end: float) -> list[int]:
        if self._slot is None:
            return []
        first = max(int(begin // SLOT_S), self._slot - self.slots + 1)
        last = min(int(np.ceil(end / SLOT_S)) - 1, self._slot)
        return [number % self.slots for number in range(first, last + 1)]

    def extremes(self, columns: Ints) -> tuple[Floats, Floats]:
        """Lowest and highest value of each column over the whole window; NaN where there is none."""
        if self._reach is None:  # once for all that ask between two readings
            self._reach = np.fmin.reduce(self._lowest, axis=0), np.fmax.reduce(self._highest, axis=0)
        return self._reach[0][columns], self._reach[1][columns]

    def counts(self) -> Ints:
        """In how many slots each column has a reading."""
        return np.asarray((~np.isnan(self._last)).sum(axis=0), np.int64)

    def carried_over(self, sensor_ids: NDArray[np.int32], gauges: NDArray[np.bool_] | None = None) -> "Window":
        """A window for another inventory, with what this one knows of the sensors that both have."""
        other = Window(sensor_ids, (self.slots - 1) * SLOT_S, gauges)
        column = self.columns_of(sensor_ids)
        known = np.flatnonzero(column >= 0)
        for mine, theirs in zip(self._parts(), other._parts(), strict=True):
            theirs[:, known] = mine[:, column[known]]
        other._seen[known] = self._seen[column[known]]
        other._rain = self._rain.carried_over(np.append(self._gauge, -1)[column[other._gauge >= 0]])
        other._slot = self._slot
        return other

    def _parts(self) -> tuple[Floats, ...]:
        return self._lowest, self._highest, self._last, self._first, self._final
