"""Levels with hysteresis and delays over the slots of a window: what threshold and rate have in common.

For each level with limit x, deadband d, on-delay a and off-delay b the condition

    begins  when  value >= x                  without a break for a seconds (a = 0: at once, be it one reading),
    ends    when  value < x - d               without a break for b seconds,
    stays   as it was                         otherwise.

A reading of a value holds until the next one (``holds``); a rate says nothing of the time after it. Everything
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
    on_delay_s: float,
    off_delay_s: float,
    held: Levels,
    *,
    holds: bool = True,
) -> Standing:
    """Where each sensor stands. ``limits`` is levels (red first) x sensors, NaN where a level has none."""
    level = np.zeros(len(held), np.int8)
    since = np.full(len(held), np.nan)
    for row in range(len(limits), 0, -1):  # the mildest first
        limit = limits[row - 1]
        if np.isnan(limit).all():
            continue
        was = (held > 0) & (held <= row) & ~np.isnan(limit)
        active, began = _walk(series, limit, limit - deadband, on_delay_s, off_delay_s, was, holds)
        since = np.where(active & (level == 0), began, since)
        level = np.where(active, np.int8(row), level)
    return Standing(level, since)


def _walk(
    series: Series,
    limit: Floats,
    calm_limit: Floats,
    on: float,
    off: float,
    active: NDArray[np.bool_],
    holds: bool,
) -> tuple[NDArray[np.bool_], Seconds]:
    """Walk the slots from the oldest. ``run`` and ``calm`` are when the present breach and the present calm began."""
    run = np.full(len(limit), np.nan)
    calm, since = run.copy(), run.copy()

    def let_pass(until: Seconds | float) -> None:
        nonlocal active, since
        ripe = ~active & (until - run >= on)
        since = np.where(ripe, run, since)
        active = (active | ripe) & ~(until - calm >= off)

    for lowest, highest, last, first_at, last_at in zip(
        series.lowest, series.highest, series.last, series.first_at, series.last_at, strict=True
    ):
        some = ~np.isnan(last)
        if not some.any():
            continue
        if holds:
            let_pass(first_at)
        calm_start = np.where(highest < calm_limit, first_at, np.where(last < calm_limit, last_at, np.nan))
        run_start = np.where(lowest >= limit, first_at, np.where(last >= limit, last_at, np.nan))
        goes_on = (highest < calm_limit) & ~np.isnan(calm)
        calm = np.where(some & ~goes_on, calm_start, calm)
        goes_on = (lowest >= limit) & ~np.isnan(run)
        run = np.where(some & ~goes_on, run_start, run)
        if on == 0:
            hit = (highest >= limit) & ~active
            since = np.where(hit, np.where(np.isnan(run_start), first_at, run_start), since)
            active = active | hit
        let_pass(last_at)
    if holds:
        let_pass(0.0)
    return active, since
