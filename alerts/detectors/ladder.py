"""Levels with hysteresis and delays over the slots of a window: what threshold and rate have in common.

For each level with limit x, deadband d, on-delay a and off-delay b the condition

    begins  when  value >= x                  without a break for a seconds (a = 0: at once, be it one reading),
    ends    when  value < x - d               without a break for b seconds,
    stays   as it was                         otherwise.

A reading of a value holds until the next one (``holds``), and not at its moment: one alone that lies a in the past
raises nothing if the next is calm. A rate says nothing of the time after it. Everything
follows from the window and ``held``, the level of the alert that is open: a second process that takes over needs no
memory of the first. Delays are known to one slot.
A sensor that falls silent keeps its level: no data is unknown, never safe.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.window import Floats, Seconds, Series

Levels = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Standing:
    """The level (1 red ... 4 blue, 0 normal) of each sensor, and since when its mildest level holds.

    ``since`` is in seconds from now; NaN where it began before the window.
    """

    level: Levels
    since: Seconds


def stand(
    series: Series,
    limits: Floats,
    deadband: Floats,
    on_delay_s: float | Seconds,
    off_delay_s: float,
    held: Levels,
    *,
    holds: bool = True,
) -> Standing:
    """Where each sensor stands. ``limits`` is levels (red first) x sensors, NaN where a level has none; ``on_delay_s``
    may be each sensor's own, above zero."""
    used = np.flatnonzero(~np.isnan(limits).all(axis=1))
    rows = limits[used].astype(np.float64)
    was = (held > 0) & (held <= used[:, None] + 1) & ~np.isnan(rows)
    active, began = _walk(series, rows, rows - deadband, on_delay_s, off_delay_s, was, holds)
    level, since = np.zeros(len(held), np.int8), np.full(len(held), np.nan)
    for place in range(len(used) - 1, -1, -1):  # the mildest first
        since = np.where(active[place] & (level == 0), began[place], since)
        level = np.where(active[place], np.int8(used[place] + 1), level)
    return Standing(level, since)


def _walk(
    series: Series,
    limit: Seconds,
    calm_limit: Seconds,
    on: float | Seconds,
    off: float,
    active: NDArray[np.bool_],
    holds: bool,
) -> tuple[NDArray[np.bool_], Seconds]:
    """Walk the slots from the oldest, all levels (level, sensor) at once. ``run`` and ``calm`` are when the present
    breach and the present calm began; ``heard`` until when is known how it stands."""
    was = active
    run = np.full(limit.shape, np.nan)
    calm, since, heard = run.copy(), run.copy(), run.copy()

    def let_pass(until: Seconds | float, reached: np.ufunc = np.greater_equal) -> None:
        nonlocal active, since
        ripe = ~active & reached(until - run, on)
        since = np.where(ripe, run, since)
        active = (active | ripe) & ~reached(until - calm, off)

    for slot in _telling(series, limit, was):
        lowest, highest, last = series.lowest[slot], series.highest[slot], series.last[slot]
        first_at, last_at = series.first_at[slot], series.last_at[slot]
        some = ~np.isnan(last)
        if holds:
            let_pass(first_at, np.greater)
        below, above = highest < calm_limit, lowest >= limit
        calm_start = np.where(below, first_at, np.where(last < calm_limit, last_at, np.nan))
        run_start = np.where(above, first_at, np.where(last >= limit, last_at, np.nan))
        calm = np.where(some & ~(below & ~np.isnan(calm)), calm_start, calm)
        run = np.where(some & ~(above & ~np.isnan(run)), run_start, run)
        if isinstance(on, int | float) and on == 0:
            hit = (highest >= limit) & ~active
            since = np.where(hit, np.where(np.isnan(run_start), first_at, run_start), since)
            active = active | hit
        let_pass(last_at)
        heard = np.where(some, last_at, heard)
    if holds:
        let_pass(0.0)
        heard = np.zeros_like(heard)
    # A calm of long ago is over: what is held was raised after it, by what its slots told then.
    return active | (was & ~(heard - calm >= off)), since


def _telling(series: Series, limit: Seconds, active: NDArray[np.bool_]) -> list[int]:
    """Slots that have a reading; those before the first breach change nothing where no alert is held."""
    some = ~np.isnan(series.last)
    if not active.any() and len(limit):
        reached = (series.highest >= np.fmin.reduce(limit)).any(axis=1)
        some[: int(np.argmax(reached)) if reached.any() else len(some)] = False
    return np.flatnonzero(some.any(axis=1)).tolist()
