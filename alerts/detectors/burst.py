"""Burst of a main: pressure that falls against what the inflow explains and against the rest of the network.

1. Each pressure is regressed, over a clean period, on the anchors a of the network (the flow of each inlet, or anchor
   pressures) and the daily cycle: p_j = b0 + sum (b1 a + b2 a|a|) + cycle, the head loss being near quadratic in flow.
2. The residual of each sensor less the network's median residual: what is common (tank level, pump, demand) drops out,
   what is near a break stays (LILA, BattLeDIM 2020).
3. Standardised by robust sigma, then CUSUM downwards: S > limit (Page 1954). Samples count for at most 4 sigma, so that
   one wild reading is no burst. The limit is h, or what the chart of the clean period itself reached, each block of it
   predicted by the others, with a margin: what the regression leaves unexplained is not independent noise.
The sensor with the largest fall localises. Pipes are ranked by how well exp(-distance / L) around them explains the
falls.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import charts, robust, rolling

Floats = NDArray[np.float64]

SLACK, LIMIT, CLIP = 1.0, 15.0, 4.0
"""CUSUM's k, h and the most that one sample counts, in sigma: no fewer than five samples raise an alarm."""
MARGIN = 1.25
"""How far beyond the clean period's chart an alarm begins (default)."""
FOLDS = 5
REACH_M = 500.0
"""L: distance along the pipes over which the fall of pressure decays to 1/e (default)."""
HARMONICS = 3
RIDGE = 1e-6
FEWEST = 5
"""So many readings at least there must be of the hour before (default)."""
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class PressureModel:
    """Regression of each pressure: coefficients (term, sensor), the anchors' scale (anchor,); sigma of the local
    residual and limit of its CUSUM in sigma, (sensor,)."""

    coefficients: Floats
    anchor_scale: Floats
    sigma: Floats
    limit: Floats


class Burst(NamedTuple):
    """Local residual (time, sensor) in the pressure's unit, its CUSUM in sigma, and the score, 1 being the limit."""

    residual: Floats
    chart: charts.Cusum
    score: Floats


def learn(pressure: Floats, anchors: Floats, times: Floats, resolution: Floats | float = 0.0) -> PressureModel:
    """Model from a clean period of days: `pressure` (time, sensor), `anchors` (time, anchor), epoch seconds (time,).

    A sensor without readings enough for the terms gets NaN, that is: it is not judged.
    """
    known = np.where(np.isfinite(anchors), anchors, 0.0)
    scale = np.sqrt((known**2).mean(axis=0)) if len(anchors) else np.zeros(anchors.shape[1])
    terms = _terms(anchors, scale, times)
    residual = np.full(pressure.shape, np.nan)
    for block in np.array_split(np.arange(len(pressure)), FOLDS):
        rest = np.delete(np.arange(len(pressure)), block)
        residual[block] = pressure[block] - terms[block] @ _fit(terms[rest], pressure[rest])
    local = _local(residual)
    sigma = robust.spread(local, resolution).sigma
    sigma = np.where(sigma > 0, sigma, np.nan)
    reached = charts.cusum(local / sigma, SLACK, CLIP).down.max(axis=0, initial=0.0)
    return PressureModel(_fit(terms, pressure), scale, sigma, np.maximum(LIMIT, MARGIN * reached))


def detect(
    model: PressureModel,
    pressure: Floats,
    anchors: Floats,
    times: Floats,
    start: tuple[Floats, Floats] | None = None,
) -> Burst:
    """Judge (time, sensor) pressures. A score above 1 is an alarm; charts.episodes makes it one.

    `start` is `chart.last` of the block before.
    """
    residual = residuals(model, pressure, anchors, times)
    chart = charts.cusum(residual / model.sigma, SLACK, CLIP, start)
    return Burst(residual, chart, chart.down / model.limit)


def residuals(model: PressureModel, pressure: Floats, anchors: Floats, times: Floats) -> Floats:
    """Local residual (time, sensor): what neither the anchors nor the hour nor the network explain."""
    return _local(pressure - _terms(anchors, model.anchor_scale, times) @ model.coefficients)


def since(residual: Floats, times: Floats) -> Floats:
    """Residual (time, sensor) less its own mean of the hour before: what came within minutes, whatever the level."""
    return rolling.change(residual, times, FEWEST)


def fall(model: PressureModel, residual: Floats, rows: int) -> Floats:
    """Median fall of each sensor over the last `rows` of its `residual`, in sigma, positive downwards; the largest
    localises."""
    fallen: Floats = -robust.median(residual[-rows:]) / model.sigma
    return fallen


def rank_pipes(falls: Floats, distance_m: Floats, reach_m: float = REACH_M) -> Floats:
    """How likely each pipe holds the burst, (pipe,), summing to 1; `distance_m` (pipe, sensor) along the network.

    The share of the falls' energy that a pattern exp(-d / L) around the pipe explains: squared cosine between the two,
    for falls only (a rise tells nothing). Without any fall all pipes are equally likely.
    """
    known = np.isfinite(falls)
    fallen = np.where(known, np.maximum(np.nan_to_num(falls), 0.0), 0.0)
    pattern = np.where(known, np.exp(-distance_m / reach_m), 0.0)
    norm = np.linalg.norm(pattern, axis=1) * np.linalg.norm(fallen)
    match = np.divide(pattern @ fallen, norm, out=np.zeros(len(pattern)), where=norm > 0) ** 2
    if not match.sum() > 0:
        return np.full(len(pattern), 1 / max(len(pattern), 1))
    likely: Floats = match / match.sum()
    return likely


def _terms(anchors: Floats, scale: Floats, times: Floats) -> Floats:
    """1, each anchor and its signed square, and the daily cycle; an anchor that never flowed is left out by zero."""
    flow = np.divide(anchors, scale, out=np.zeros(anchors.shape), where=scale > 0)
    angle = 2 * np.pi * (np.asarray(times, dtype=float) % _DAY_S) / _DAY_S
    cycle = [wave(k * angle) for k in range(1, HARMONICS + 1) for wave in (np.cos, np.sin)]
    return np.column_stack([np.ones(len(anchors)), flow, flow * np.abs(flow), *cycle])


def _fit(terms: Floats, pressure: Floats) -> Floats:
    """Least squares of each sensor over the rows that it shares with all anchors; NaN with fewer rows than terms."""
    width = terms.shape[1]
    complete = np.isfinite(terms).all(axis=1)
    coefficients = np.full((width, pressure.shape[1]), np.nan)
    for sensor, column in enumerate(pressure.T):
        rows = complete & np.isfinite(column)
        if rows.sum() > width:
            used = terms[rows]
            gram = used.T @ used
            gram[np.diag_indices(width)] += RIDGE * len(used)
            level = float(column[rows].mean())
            coefficients[:, sensor] = np.linalg.solve(gram, used.T @ (column[rows] - level))
            coefficients[0, sensor] += level
    return coefficients


def _local(residual: Floats) -> Floats:
    """Less the network's median at each time; a network of one or two sensors has no rest to compare with."""
    if residual.shape[1] < 3:
        return residual
    local: Floats = residual - robust.median(residual.T)[:, None]
    return local
