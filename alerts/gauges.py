"""Rain by its integral: what fell between any two moments, whatever the pace of the gauges and the phase of the minute.

The window keeps the last reading of each minute: of a level that is enough, of rain it is not. A cloudburst of a minute
counts for all or nothing then, as its last reading falls in or out of it, and a gauge that speaks faster in a downpour
would make the mean of its readings too great. What fell is the integral

    mm(a, b) = sum of value * |(since, at] and (a, b]| / 3600,

where a reading (mm/h) speaks for the time since the one before it, as a gauge that counts tips measures it, and the
newest goes on until the next is here; neither for longer than ``stands_s``. Gauges are few, so every reading of the
last hour is kept: the sum follows from the readings alone, in whatever order and however often they come.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KNOCK_S = 60.0
"""A gauge that is knocked or flushed reads rain for less than this (default)."""


class Gauges:
    """Readings of ``count`` gauges, each known by its place."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._place: Ints = np.empty(0, np.int64)
        self._told: Floats = np.empty((0, 3))
        self._fresh: list[tuple[Ints, Floats]] = []

    @property
    def bytes(self) -> int:
        """Memory of the readings."""
        return sum(place.nbytes + told.nbytes for place, told in [(self._place, self._told), *self._fresh])

    def take(self, place: Ints, ts: Floats, values: Floats, now: float) -> None:
        """Readings in mm/h, in any order, again or late. One from ahead of ``now`` is of the moment when it came."""
        if len(place):
            self._fresh.append((place, np.column_stack([ts, np.minimum(ts, now), values])))

    def newest(self, floor: float) -> Floats:
        """When each gauge spoke last, (gauge,), -inf for one that did not since ``floor``; epoch seconds."""
        place, at, _ = self._readings(floor)
        last = np.full(self.count, -np.inf)
        np.maximum.at(last, place, at)
        return last

    def fallen(self, edges: Floats, now: float, stands_s: float, floor: float, *, confirmed: bool = False) -> Floats:
        """mm between each two ``edges`` (ascending, epoch seconds), (stretch, gauge); NaN where nothing is known of a
        stretch. What is forgotten is older than ``floor``. ``confirmed``: see ``_confirmed``."""
        place, at, value = self._readings(floor)
        if not len(place):
            return np.full((len(edges) - 1, self.count), np.nan)
        first = np.diff(place, prepend=-1) != 0
        gap = np.where(first, np.inf, np.diff(at, prepend=0.0))
        if confirmed:
            value = _confirmed(place, gap, value, stands_s)
        since = np.where(gap <= stands_s, np.concatenate([at[:1], at[:-1]]), at - stands_s)
        newest = np.flatnonzero(np.diff(place, append=self.count))
        until = np.clip(now, at[newest], at[newest] + stands_s)
        place = np.insert(place, newest + 1, place[newest])
        since, at = np.insert(since, newest + 1, at[newest]), np.insert(at, newest + 1, until)
        value = np.insert(value, newest + 1, value[newest])
        begin = edges[:-1] - (edges[:-1] == edges[1:])  # a stretch that has just begun is known if the second before is
        known = _between(place, since, at, np.ones(len(at)), begin, edges[1:], self.count)
        mm = _between(place, since, at, value, edges[:-1], edges[1:], self.count) / 3600.0
        return np.where(known > 0, mm, np.nan)

    def carried_over(self, places: Ints) -> "Gauges":
        """Gauges of another inventory; ``places`` gives the place there was for each of them, -1 for none."""
        other = Gauges(len(places))
        place, told = self._all()
        becomes = np.full(self.count + 1, -1)
        becomes[places] = np.arange(len(places))
        becomes[-1] = -1
        kept = becomes[place] >= 0
        other._fresh.append((becomes[place[kept]], told[kept]))
        return other

    def _all(self) -> tuple[Ints, Floats]:
        places, told = zip((self._place, self._told), *self._fresh, strict=True)
        return np.concatenate(places), np.concatenate(told)

    def _readings(self, floor: float) -> tuple[Ints, Floats, Floats]:
        """Place, time and value of every reading since ``floor`` once, by place and time."""
        if self._fresh:
            place, told = self._all()
            order = np.lexsort((told[:, 0], place))  # the one that came first stays first
            place, told = place[order], told[order]
            once = (np.diff(place, prepend=-1) != 0) | (np.diff(told[:, 0], prepend=-np.inf) != 0)
            place, told = place[once], told[once]
            order = np.lexsort((told[:, 0], told[:, 1], place))
            self._place, self._told, self._fresh = place[order], told[order], []
        held = self._told[:, 0] >= floor
        if not held.all():
            self._place, self._told = self._place[held], self._told[held]
        return self._place, self._told[:, 1], self._told[:, 2]


def _confirmed(place: Ints, gap: Floats, value: Floats, stands_s: float) -> Floats:
    """Values as far as they are rain and no knock: one that speaks for KNOCK_S or less counts for no more than the
    greater of those beside it, and one after a silence of more than ``stands_s`` for nothing."""
    none = np.zeros(1)
    before = np.where(np.diff(place, prepend=-1) == 0, np.concatenate([none, value[:-1]]), 0.0)
    after = np.where(np.diff(place, append=-1) == 0, np.concatenate([value[1:], none]), 0.0)
    beside = np.where(gap > KNOCK_S, value, np.minimum(value, np.maximum(before, after)))
    return np.where(gap > stands_s, 0.0, beside)


def _between(place: Ints, since: Floats, at: Floats, value: Floats, begin: Floats, end: Floats, count: int) -> Floats:
    """Integral of ``value`` over ``(since, at]`` within each ``(begin, end]``, (stretch, gauge); all gauges one after
    the other on one line of time."""
    origin = min(float(since.min()), float(begin.min()))
    length = max(float(at.max()), float(end.max())) - origin + 1.0
    steps = np.cumsum(value * (at - since))
    line = np.column_stack([since, at]) - origin + (length * place)[:, None]
    total = np.column_stack([np.concatenate([np.zeros(1), steps[:-1]]), steps])
    shift = length * np.arange(count)[None, :] - origin
    upto = [np.interp(edge[:, None] + shift, line.reshape(-1), total.reshape(-1)) for edge in (begin, end)]
    return np.asarray(upto[1] - upto[0], np.float64)
