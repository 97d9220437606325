"""Minimum night flow of a DMA: the leak that runs while the town sleeps.

MNF = smallest mean over a rolling hour between 02 and 04 h by local clock; its trailing 7-day 20th percentile is the
baseline against single noisy nights (UKWIR 99/WM/08/21). CUSUM of the nights against the clean period finds a lasting
rise; leak estimate = 7-day percentile - legitimate night use, in the flow's unit. Inflow is corrected beforehand by
what a tank inside the DMA took up (`tank_corrected`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import charts, robust, rolling

Floats = NDArray[np.float64]

FROM_H, TO_H = 2.0, 4.0
HOUR_S, DAY_S = 3600.0, 86400.0
TRAILING_NIGHTS, SHARE = 7, 0.2
MIN_COVER = 0.75
"""Share of the hour's rows that must be present (default)."""
MIN_CLEAN_NIGHTS = 7
SIGMA_SHARE = 0.02
"""Least sigma of the nights, as a share of the baseline (default): no flow meter at night is better."""


class Nights(NamedTuple):
    """Local day numbers since 1970 (night,), and each DMA's minimum night flow (night, dma)."""

    day: NDArray[np.int64]
    flow: Floats


class NightFlow(NamedTuple):
    """Per (night, dma): 7-day 20th percentile, CUSUM score (1 is the limit), and the rise over the baseline."""

    percentile: Floats
    score: Floats
    leak: Floats


def tank_corrected(flow: Floats, level: Floats, area_m2: Floats | float, times: Floats) -> Floats:
    """Inflow less what tanks took up: q - A dh/dt, in m3/h for q in m3/h, h in m, A in m2; (time, dma)."""
    if len(times) < 2:
        return flow.copy()
    hours = np.asarray(times, dtype=float) / HOUR_S
    return flow - area_m2 * np.gradient(level, hours, axis=0)


def minimum_night_flow(flow: Floats, times: Floats, utc_offset_s: float = 0.0) -> Nights:
    """MNF of (time, dma) flows; NaN for a night with less than three quarters of its rows."""
    local = np.asarray(times, dtype=float) + utc_offset_s
    day = np.floor(local / DAY_S).astype(np.int64)
    hour = (local - day * DAY_S) / HOUR_S
    within = (hour >= FROM_H) & (hour < TO_H)
    nights = np.unique(day[within])
    least = np.full((len(nights), flow.shape[1]), np.nan)
    steps = np.diff(np.unique(times))
    step = float(np.median(steps)) if len(steps) else HOUR_S
    needed = max(1.0, MIN_COVER * HOUR_S / step)
    for number, night in enumerate(nights):
        rows = np.flatnonzero(within & (day == night))
        smooth = rolling.mean(flow[rows], times[rows], HOUR_S)
        present = rolling.total(np.where(np.isnan(flow[rows]), np.nan, 1.0), times[rows], HOUR_S)
        full = np.where(np.nan_to_num(present) >= needed, smooth, np.inf)
        best = np.fmin.reduce(full, axis=0)
        least[number] = np.where(np.isfinite(best), best, np.nan)
    return Nights(nights, least)


def trailing_percentile(nights: Floats) -> Floats:
    """20th percentile of the last seven nights, (night, dma); NaN before there are three."""
    trailing = np.full_like(nights, np.nan)
    for night in range(len(nights)):
        window = nights[max(0, night - TRAILING_NIGHTS + 1) : night + 1]
        enough = np.sum(~np.isnan(window), axis=0) >= 3
        trailing[night] = np.where(enough, robust.quantile(window, SHARE), np.nan)
    return trailing


def detect(nights: Floats, clean: Floats, legitimate: Floats | float | None = None) -> NightFlow:
    """Judge (night, dma) minimum flows by the `clean` nights (night, dma), each night to count for at most 4 sigma.

    `legitimate` night use (dma,), in the flow's unit, if known: the leak is then the whole of what exceeds it; else the
    leak is what came on top of the clean period. Fewer than MIN_CLEAN_NIGHTS clean nights give NaN.
    """
    base, sigma, count = robust.spread(clean)
    sigma = np.maximum(sigma, SIGMA_SHARE * np.abs(base))
    sigma = np.where((count >= MIN_CLEAN_NIGHTS) & (sigma > 0), sigma, np.nan)
    chart = charts.cusum((nights - base) / sigma, clip=4.0)
    percentile = trailing_percentile(nights)
    usual = robust.quantile(clean, SHARE) if legitimate is None else legitimate
    score = np.where(np.isnan(sigma), np.nan, chart.up / charts.CUSUM_LIMIT)
    return NightFlow(percentile, score, np.maximum(percentile - usual, 0.0))
