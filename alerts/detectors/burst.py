"""Burst of a main: pressure that falls against what the inflow explains and against the rest of the network.

1. Each pressure is regressed, over a clean period, on an anchor a of the network (inlet flow, or an anchor pressure):
   p_j = b0 + b1 a + b2 a|a|, the head loss being near quadratic in flow.
2. The residual of each sensor less the network's median residual: what is common (tank level, pump, demand)
   drops out, what is near a break stays (LILA, BattLeDIM 2020).
3. Standardised by the clean period's robust sigma, then CUSUM downwards: alarm at S > h (Page 1954). Samples count
   for at most 4 sigma, so that one wild reading is no burst.
The sensor with the largest fall localises. Pipes are ranked by how well exp(-distance / L) around them explains the
falls.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import charts, robust

Floats = NDArray[np.float64]

SLACK, LIMIT, CLIP = 1.0, 10.0, 4.0
"""CUSUM's k, h and the most that one sample counts, in sigma: three samples alone raise an alarm, in 4 sigma."""
REACH_M = 500.0
"""L: distance along the pipes over which the fall of pressure decays to 1/e (default)."""


@dataclass(frozen=True, slots=True)
class PressureModel:
    """Regression of each pressure on the anchor: coefficients (3, sensor), anchor's scale, sigma (sensor,)."""

    coefficients: Floats
    anchor_scale: float
    sigma: Floats


class Burst(NamedTuple):
    """Local residual (time, sensor) in the pressure's unit, and the CUSUM score, 1 being the limit."""

    residual: Floats
    score: Floats


def learn(pressure: Floats, anchor: Floats, resolution: Floats | float = 0.0) -> PressureModel:
    """Model from a clean period: `pressure` (time, sensor), `anchor` (time,). Sensors without readings get NaN."""
    known = anchor[np.isfinite(anchor)]
    scale = float(np.sqrt(np.mean(known**2))) if len(known) else 0.0
    terms = _terms(anchor, scale)
    coefficients = np.full((terms.shape[1], pressure.shape[1]), np.nan)
    for sensor, column in enumerate(pressure.T):
        rows = np.isfinite(column) & np.isfinite(terms).all(axis=1)
        if rows.sum() > terms.shape[1]:
            coefficients[:, sensor] = np.linalg.lstsq(terms[rows], column[rows], rcond=None)[0]
    local = _local(pressure - terms @ coefficients)
    sigma = robust.spread(local, resolution).sigma
    return PressureModel(coefficients, scale, np.where(sigma > 0, sigma, np.nan))


def detect(model: PressureModel, pressure: Floats, anchor: Floats, start: tuple[Floats, Floats] | None = None) -> Burst:
    """Residual and score of (time, sensor) pressures. A score above 1 is an alarm; charts.episodes makes it one."""
    residual = _local(pressure - _terms(anchor, model.anchor_scale) @ model.coefficients)
    chart = charts.cusum(residual / model.sigma, SLACK, CLIP, start)
    return Burst(residual, chart.down / LIMIT)


def fall(model: PressureModel, burst: Burst, rows: int) -> Floats:
    """Median fall of each sensor over the last `rows`, in sigma, positive downwards; the largest localises."""
    fallen: Floats = -robust.median(burst.residual[-rows:]) / model.sigma
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


def _terms(anchor: Floats, scale: float) -> Floats:
    if scale == 0:  # no flow ever: each sensor's own mean alone
        return np.tile([1.0, 0.0, 0.0], (len(anchor), 1))
    flow: Floats = np.asarray(anchor, dtype=float) / scale
    return np.stack([np.ones_like(flow), flow, flow * np.abs(flow)], axis=1)


def _local(residual: Floats) -> Floats:
    """Less the network's median at each time; a network of one or two sensors has no rest to compare with."""
    if residual.shape[1] < 3:
        return residual
    local: Floats = residual - robust.median(residual.T)[:, None]
    return local
