"""Multi-sensor residual: what a sensor reads against what the other sensors of its group say that it should read.

From a clean period, each sensor's standardised reading z_j is regressed on all others, the daily cycle and a constant
(ridge). All regressions at once come from one inverse: with S the second moments of [z, cycle, 1] plus a penalty on the
diagonal and P = S^-1, the residual of sensor j is r_j = (P z)_j / P_jj (the ridge identity of the precision matrix).

Four rules make it trustworthy on any set of sensors, and they hold no figure of any data set:
- The penalty is the noise that an input may carry: a share of its spread, plus its resolution. A relation tighter than
  its instruments is no evidence (errors in variables).
- Residuals are judged out of sample: the clean period is cut into contiguous blocks, each predicted from the others.
  A sensor that drifts, or whose neighbours do not explain it in the block left out, so gets wider limits by itself.
- Where the neighbours explain nothing out of sample, the sensor stands on its own median.
- Two charts, the residual itself (sudden) and its EWMA (small and lasting), each against a limit of its own:
  max(5 robust sigma, the 99.9 % quantile of the clean period), as a chart of autocorrelated residuals spreads wider
  than the formula for independent ones says. One sample just beyond the limit is no alarm: two of three on the same
  side are, or one beyond twice the limit (a runs rule, Western Electric 1956). What the EWMA holds for LASTS_S has a
  limit by itself: an event of an hour widens the others' and says little of how far off a sensor stays for half a day.

Everything is indifferent to each sensor's zero and unit when `resolution` is scaled alike. A missing reading leaves the
regression (P of the inputs that remain, per pattern of gaps), so that one dead sensor does not blind the group.
Readings that come at different moments are to be carried over before (rolling.carried).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import charts, robust, rolling

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MIN_ROWS = 100
"""Fewest clean readings of a sensor from which it is judged."""
INPUT_NOISE = 0.1
"""Share of its own spread by which an input may be wrong (default)."""
RESIDUAL_FLOOR = 0.05
"""Share of a sensor's spread below which a residual is not told from the instrument's accuracy (default)."""
SIGMAS, QUANTILE = 5.0, 0.999
SPIKE_PASSES, SPIKE_SHARE = 2, 0.01
"""Single wild samples are left out of what is learned, unless more than this share of a sensor's are (default)."""
FOLDS = 5
CYCLE_HARMONICS = 3
MIN_CYCLE_DAYS = 3.0
"""The daily cycle is an input from this length of history on."""
LASTS_S = 12 * 3600.0
"""What is on one side of what its neighbours say for so long lasts (default)."""
LASTS_STEP_S = 3 * 3600.0
"""The clean period's stretches of that length begin so far apart."""
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Model:
    """What was learned: arrays (sensor,), and P (input, input): the inverse of all inputs' penalised moments."""

    centre: Floats
    scale: Floats
    precision: Floats
    explained: Floats
    """Share of the variance that the other sensors explain out of sample; at or below 0 the sensor stands alone."""
    limit: Floats
    limit_ewma: Floats
    limit_lasting: Floats
    """Of what the EWMA holds on one side for LASTS_S (charts.lasting)."""
    harmonics: int

    @property
    def known(self) -> Bools:
        """Sensors with history enough to be judged, (sensor,)."""
        return np.isfinite(self.scale)


Groups = Sequence[tuple[NDArray[np.int64], Model]]


class Judgement(NamedTuple):
    """All (time, sensor): the score (1 is the limit), residual and EWMA in the sensor's unit, expected reading."""

    score: Floats
    residual: Floats
    smoothed: Floats
    expected: Floats


def learn(values: Floats, times: Floats, resolution: Floats | float = 0.0) -> Model:
    """Model of (time, sensor) readings of a clean period; set readings that must not teach to NaN before.

    `times` epoch seconds (time,), ascending; `resolution` (sensor,). A sensor with fewer than MIN_ROWS readings, or
    that never moved and has no resolution, is not judged and says NaN. Spikes of a single sample are left out: they are
    the instrument's, and would widen every limit (two passes; the second learns from what is left).
    """
    for _ in range(SPIKE_PASSES):
        model, residual, floor = _learn(values, times, resolution)
        spikes = _spikes(residual, floor)
        if not spikes.any():
            return model
        values = np.where(spikes, np.nan, values)
    return _learn(values, times, resolution)[0]


def _learn(values: Floats, times: Floats, resolution: Floats | float) -> tuple[Model, Floats, Floats]:
    """The model, its residuals out of sample, and their floor."""
    centre, scale = _standard(values, resolution)
    days = (times[-1] - times[0]) / _DAY_S if len(times) else 0.0
    harmonics = CYCLE_HARMONICS if days >= MIN_CYCLE_DAYS else 0
    inputs = _inputs((values - centre) / scale, times, harmonics)
    noise = np.full(inputs.shape[1], INPUT_NOISE**2)
    noise[: len(scale)] += np.nan_to_num(np.broadcast_to(resolution, scale.shape) / scale) ** 2
    regressed, alone = _out_of_sample(inputs, noise, len(scale))
    # A sum of squares per sensor, over the readings that both predicted
    power = np.nansum(np.where(np.isnan(regressed), np.nan, alone) ** 2, axis=0)
    explained = 1 - np.divide(np.nansum(regressed**2, axis=0), power, out=np.ones_like(power), where=power > 0)
    residual = np.where(explained > 0, regressed, alone)
    floor = np.maximum(RESIDUAL_FLOOR, np.broadcast_to(resolution, scale.shape) / scale)
    smoothed, floor_ewma = charts.ewma(residual), floor * charts.ewma_spread()
    model = Model(
        centre=centre,
        scale=scale,
        precision=_inverse(_moments(inputs), noise),
        explained=explained,
        limit=_limit(residual, floor),
        limit_ewma=_limit(smoothed, floor_ewma),
        limit_lasting=_limit_lasting(smoothed, times, floor_ewma),
        harmonics=harmonics,
    )
    return model, residual, floor


def _spikes(residual: Floats, floor: Floats) -> Bools:
    """Single samples beyond twice SIGMAS, the furthest off of their row, between samples that are within SIGMAS.

    Where they are frequent they are how the sensor reports, and none is a fault.
    """
    size = np.abs(residual)
    ratio = np.nan_to_num(size / (SIGMAS * np.maximum(robust.MAD_TO_SIGMA * robust.median(size), floor)))
    calm = np.ones((len(ratio) + 2, ratio.shape[1]), dtype=bool)
    calm[1:-1] = ratio < 1
    furthest = ratio >= ratio.max(axis=1, keepdims=True, initial=0.0)
    single: Bools = (ratio > 2) & furthest & calm[:-2] & calm[2:]
    rare = single.sum(axis=0) <= SPIKE_SHARE * np.sum(~np.isnan(residual), axis=0)
    kept: Bools = single & rare
    return kept


def judge(model: Model, values: Floats, times: Floats, ewma_start: Floats | None = None) -> Judgement:
    """Score (time, sensor) readings of one group. An alarm is a score above 1, made an episode by `charts.episodes`.

    `ewma_start` (sensor,), in the sensor's unit, is the last row of the block before (`smoothed[-1]`). The rule of two
    of three counts within the block: the first two rows of one that goes on from another may score lower.
    """
    return judge_groups([(np.arange(values.shape[1]), model)], values, times, ewma_start)


def judge_groups(groups: Groups, values: Floats, times: Floats, ewma_start: Floats | None = None) -> Judgement:
    """Score (time, sensor) readings of many groups, each its columns and model; a column in no group gets NaN."""
    sensors = values.shape[1]
    raw = np.full(values.shape, np.nan)
    if not groups:  # a part of sewers or of chambers: none of its sensors explains another
        return Judgement(raw, raw.copy(), raw.copy(), raw.copy())
    scale, limit, limit_ewma = (np.full(sensors, np.nan) for _ in range(3))
    for columns, model in groups:
        raw[:, columns] = _standing(model, values[:, columns], times) * model.scale
        scale[columns] = model.scale
        limit[columns] = model.limit * model.scale
        limit_ewma[columns] = model.limit_ewma * model.scale
    begin = np.zeros(sensors) if ewma_start is None else np.nan_to_num(ewma_start)
    score, smoothed = np.empty(values.shape), np.empty(values.shape)
    for left in range(0, sensors, rolling.BLOCK):
        part = slice(left, left + rolling.BLOCK)
        smoothed[:, part] = np.where(np.isnan(scale[part]), np.nan, charts.ewma(raw[:, part], start=begin[part]))
        lasting = np.abs(smoothed[:, part]) / limit_ewma[part]
        score[:, part] = np.maximum(_sudden(raw[:, part] / limit[part]), lasting)
    return Judgement(score, raw, smoothed, values - raw)


def _sudden(ratio: Floats) -> Floats:
    """Two of three samples beyond the limit on the same side, or one beyond twice: max(|median of three|, |x| / 2)."""
    known = np.nan_to_num(ratio)
    before, earlier = np.zeros_like(known), np.zeros_like(known)
    before[1:], earlier[2:] = known[:-1], known[:-2]
    middle = np.maximum(before, earlier)
    np.minimum(middle, known, out=middle)
    np.maximum(np.minimum(before, earlier, out=before), middle, out=middle)
    alone = np.abs(known, out=known)
    alone /= 2
    score = np.maximum(np.abs(middle, out=middle), alone, out=middle)
    score[np.isnan(ratio)] = np.nan
    return score


def _standing(model: Model, values: Floats, times: Floats) -> Floats:
    """Standardised residual: against the others where they explain the sensor, else against its median."""
    z = (values - model.centre) / model.scale
    regressed = _residuals(model.precision, _inputs(z, times, model.harmonics), values.shape[1])
    return np.where(model.explained > 0, regressed, z)


def _standard(values: Floats, resolution: Floats | float) -> tuple[Floats, Floats]:
    """Median, and the wider of standard deviation, MAD and resolution, per sensor; NaN where too little is known."""
    centre, mad, count = robust.spread(values, resolution)
    scale = np.maximum(np.sqrt(_mean((values - centre) ** 2)), mad)
    return centre, np.where((count >= MIN_ROWS) & (scale > 0), scale, np.nan)


def _mean(values: Floats) -> Floats:
    count = np.sum(~np.isnan(values), axis=0)
    mean: Floats = np.nansum(values, axis=0) / np.maximum(count, 1)
    return mean


def _inputs(z: Floats, times: Floats, harmonics: int) -> Floats:
    """[z, cos, sin, ..., 1]; (time, sensor + 2 harmonics + 1)."""
    angle = 2 * np.pi * (np.asarray(times, dtype=float) % _DAY_S) / _DAY_S
    cycle = [wave(k * angle)[:, None] for k in range(1, harmonics + 1) for wave in (np.cos, np.sin)]
    return np.hstack([z, *cycle, np.ones((len(z), 1))])


def _moments(inputs: Floats) -> Floats:
    """Second moments over the rows that hold both inputs; made positive semidefinite, as gaps can break it."""
    present = (~np.isnan(inputs)).astype(float)
    filled = np.nan_to_num(inputs)
    moments: Floats = filled.T @ filled / np.maximum(present.T @ present, 1)
    if present.all():
        return moments
    eigenvalues, vectors = np.linalg.eigh(moments)
    repaired: Floats = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
    return repaired


def _inverse(moments: Floats, noise: Floats) -> Floats:
    return np.asarray(np.linalg.inv(moments + np.diag(noise)), dtype=np.float64)


def _out_of_sample(inputs: Floats, noise: Floats, sensors: int) -> tuple[Floats, Floats]:
    """Residuals of each block by what the other blocks taught: regressed, and against the median alone."""
    regressed, alone = np.full((len(inputs), sensors), np.nan), np.full((len(inputs), sensors), np.nan)
    for block in np.array_split(np.arange(len(inputs)), FOLDS):
        rest = np.delete(inputs, block, axis=0)
        precision = _inverse(_moments(rest), noise)
        regressed[block] = _residuals(precision, inputs[block], sensors)
        alone[block] = inputs[block, :sensors] - robust.median(rest[:, :sensors])
    return regressed, alone


def _residuals(precision: Floats, inputs: Floats, sensors: int) -> Floats:
    """r = (P z) / diag(P) of the sensors, P being that of the inputs present: once per pattern of gaps."""
    missing = np.isnan(inputs)
    gapped = missing.any(axis=1)
    residual = np.full((len(inputs), sensors), np.nan)
    residual[~gapped] = inputs[~gapped] @ precision[:, :sensors] / np.diagonal(precision)[:sensors]
    patterns: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(gapped).tolist():
        patterns.setdefault(missing[row].tobytes(), []).append(row)
    for rows in patterns.values():
        there = np.flatnonzero(~missing[rows[0]])
        columns = there[there < sensors]
        remaining = _without(precision, missing[rows[0]])[:, : len(columns)]
        residual[np.ix_(np.array(rows), columns)] = (
            inputs[np.ix_(np.array(rows), there)] @ remaining / np.diagonal(remaining)
        )
    return residual


def _without(precision: Floats, absent: Bools) -> Floats:
    """P when inputs are absent: the inverse of the moments of the rest, P_oo - P_om P_mm^-1 P_mo (Schur complement)."""
    there, gone = np.flatnonzero(~absent), np.flatnonzero(absent)
    across = precision[np.ix_(gone, there)]
    kept = precision[np.ix_(there, there)]
    remaining: Floats = kept - across.T @ np.linalg.solve(precision[np.ix_(gone, gone)], across)
    return remaining


def _limit(charted: Floats, floor: Floats) -> Floats:
    """max(SIGMAS robust sigma, QUANTILE of the absolute value) over the clean period, (sensor,)."""
    return np.maximum(_sigmas(charted, floor), robust.quantile(np.abs(charted), QUANTILE))


def _limit_lasting(charted: Floats, times: Floats, floor: Floats) -> Floats:
    """max(SIGMAS robust sigma, the most that lasted for LASTS_S in the clean period), (sensor,)."""
    limit = _sigmas(charted, floor)
    begins = np.arange(times[0], times[-1] - LASTS_S, LASTS_STEP_S) if len(times) else times
    for first, last in np.searchsorted(times, np.stack([begins, begins + LASTS_S], axis=1)).tolist():
        limit = np.maximum(limit, charts.lasting(charted[first:last]))
    return limit


def _sigmas(charted: Floats, floor: Floats) -> Floats:
    sigma = np.maximum(robust.MAD_TO_SIGMA * robust.median(np.abs(charted)), floor)
    several: Floats = SIGMAS * sigma
    return several
