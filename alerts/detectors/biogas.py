"""Methane in a chamber: a leak of the gas network, or biogas of the drain?

Huang Ping et al., J. Safety and Environment 19(2):211 (2019), half a year of Hefei data: a leak is a high fraction with
violent fluctuation; biogas is low, stable, and follows temperature and humidity in the hot season. Features per sensor,
over the trailing window, each with its vote for a leak between -1 and 1:

  level          90th percentile of methane, %VOL: -1 at 0.25 (5 %LEL), 1 at 2.5 (50 %LEL), linear in the logarithm
  fluctuation    robust sd / level over the window (after 1 h means of noise below resolution): -1 at 0.05, 1 at 0.5
  rise           largest rise in 10 min, %VOL: -1 at 0.05 (1 %LEL), 1 at 0.5 (10 %LEL), linear in the logarithm
  temperature    correlation with temperature: follows it -> -1, indifferent -> 0
  neighbours     share of neighbouring chambers along the gas pipe that rise at the same time: 0 -> 0, half or more -> 1
  sulphide       H2S beside it, ppm: 5 or more -> -1, as natural gas has none
  with_sulphide  correlation with H2S that gains 1 ppm or more for each %VOL: both come of the sewage -> -1, else 0

P(leak) = 1 / (1 + exp(-(2.5 sum of w vote))). Weights and bounds are defaults of this project shaped by the source's
statements, to be calibrated by fed-back alerts. A feature that was not measured has no vote.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust, rolling

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RISE_S = 600.0
FEATURES = ("level", "fluctuation", "rise", "temperature", "neighbours", "sulphide", "with_sulphide")
WEIGHT = np.array([1.0, 1.0, 1.5, 1.0, 1.5, 1.0, 1.5])
STEEPNESS = 2.5
NOTHING = 0.1
"""Below this fraction (2 %LEL, in %VOL) there is nothing to classify."""
LEAK_FROM, BIOGAS_BELOW = 0.6, 0.4
"""P(leak) above is a leak, below is biogas, between is open and to be treated as a leak."""


class Origin(NamedTuple):
    """P(leak) (sensor,), NaN without methane; features and votes (sensor, feature), NaN where not measured."""

    leak: Floats
    features: Floats
    votes: Floats


def classify(
    methane: Floats,
    times: Floats,
    neighbours: Bools,
    temperature: Floats | None = None,
    sulphide: Floats | None = None,
    resolution: float = 0.01,
) -> Origin:
    """Classify (time, sensor) methane of the last 1 to 6 hours, %VOL.

    `neighbours` (sensor, sensor): chambers next to each other along the gas pipe; `temperature` and `sulphide` (time,
    sensor) measured beside the methane sensor, NaN or None where they are not.
    """
    level = robust.quantile(methane, 0.9)
    sigma = robust.spread(methane, resolution).sigma
    rise = _largest_rise(methane, times)
    empty = np.full(methane.shape[1], np.nan)
    features = np.stack(
        [
            level,
            sigma / np.maximum(level, resolution),
            rise,
            empty if temperature is None else _correlation(methane, temperature, resolution)[0],
            together(rise >= RISES_FROM, neighbours),
            empty if sulphide is None else robust.quantile(sulphide, 0.9),
            empty if sulphide is None else _with_sulphide(methane, sulphide, resolution),
        ],
        axis=1,
    )
    votes = _votes(features)
    evidence = np.nansum(WEIGHT * votes, axis=1)
    leak = 1 / (1 + np.exp(-STEEPNESS * evidence))
    return Origin(np.where(level >= NOTHING, leak, np.nan), features, votes)


RISES_FROM = 0.05
"""A rise of 1 %LEL in 10 min, in %VOL, is a rise."""


def together(rising: Bools, neighbours: Bools) -> Floats:
    """Share of each sensor's neighbours that rise, where it rises itself, else 0; NaN without neighbours. (sensor,)"""
    others = neighbours & ~np.eye(len(neighbours), dtype=bool)
    count = others.sum(axis=1)
    share = np.divide(others @ rising.astype(float), count, out=np.full(len(count), np.nan), where=count > 0)
    return np.where(np.isnan(share), np.nan, np.where(rising, share, 0.0))


def rising_groups(rising: Bools, neighbours: Bools, least: int = 2) -> list[list[int]]:
    """Connected groups of at least `least` neighbouring chambers that rise together: one event, not many."""
    left, groups = {int(sensor) for sensor in np.flatnonzero(rising)}, []
    linked = neighbours | neighbours.T
    while left:
        frontier, group = [left.pop()], []
        while frontier:
            sensor = frontier.pop()
            group.append(sensor)
            found = left.intersection(np.flatnonzero(linked[sensor]).tolist())
            left -= found
            frontier.extend(found)
        if len(group) >= least:
            groups.append(sorted(group))
    return sorted(groups)


def rate_of_rise(methane: Floats, times: Floats, window_s: float = 300.0) -> Floats:
    """Slope of methane over the trailing window in %LEL per minute, from %VOL (1 %LEL = 0.05 %VOL); (time, sensor).

    Rule (default, no norm found): 1 %LEL/min over 5 min. A least-squares slope over the window must be held by it.
    """
    return rolling.slope(methane, times, window_s) * 60.0 / 0.05


def _largest_rise(methane: Floats, times: Floats) -> Floats:
    """Largest rise of a reading over the least of the 10 min before it, (sensor,)."""
    low, _ = rolling.extremes(methane, times, RISE_S)
    rise = np.fmax.reduce(methane - low, axis=0, initial=-np.inf)
    return np.where(np.isfinite(rise), rise, np.nan)


SULPHIDE_GAIN = 1.0
"""ppm for each %VOL of methane: raw gas of digesters has 100 to 10,000 ppm beside some 60 %VOL, so 1.7 and more."""


def _with_sulphide(methane: Floats, sulphide: Floats, resolution: float) -> Floats:
    """Correlation with hydrogen sulphide (ppm), 0 where that gains too little; NaN as in `_correlation`. (sensor,)"""
    correlation, gain = _correlation(methane, sulphide, resolution)
    return np.where(np.isnan(correlation), np.nan, np.where(gain >= SULPHIDE_GAIN, correlation, 0.0))


def _correlation(methane: Floats, other: Floats, resolution: float) -> tuple[Floats, Floats]:
    """Correlation and slope (unit of the other for each %VOL) over rows with both; NaN where either hardly moves or
    fewer than 10 rows are shared. (sensor,) each."""
    both = np.isfinite(methane) & np.isfinite(other)
    count = both.sum(axis=0)
    x, y = (_centred(values, both, count) for values in (methane, other))
    power_x, power_y = (x**2).sum(axis=0), (y**2).sum(axis=0)
    moves = (count >= 10) & (power_x > count * resolution**2) & (power_y > 0.01 * count)
    shared = (x * y).sum(axis=0)
    unknown = np.full(len(shared), np.nan)
    correlation: Floats = np.divide(shared, np.sqrt(power_x * power_y), out=unknown.copy(), where=moves)
    slope: Floats = np.divide(shared, power_x, out=unknown.copy(), where=moves)
    return correlation, slope


def _centred(values: Floats, rows: Bools, count: NDArray[np.int64]) -> Floats:
    kept = np.where(rows, values, 0.0)
    return np.where(rows, kept - kept.sum(axis=0) / np.maximum(count, 1), 0.0)


def _votes(features: Floats) -> Floats:
    level, fluctuation, rise, temperature, neighbours, sulphide, with_sulphide = features.T
    return np.stack(
        [
            _between(np.log(np.maximum(level, 1e-6)), np.log(0.25), np.log(2.5)),
            _between(fluctuation, 0.05, 0.5),
            _between(np.log(np.maximum(rise, 1e-6)), np.log(0.05), np.log(0.5)),
            -np.clip(temperature, 0.0, 1.0),
            np.clip(2 * neighbours, 0.0, 1.0),
            -np.clip(sulphide / 5.0, 0.0, 1.0),
            -np.clip(with_sulphide, 0.0, 1.0),
        ],
        axis=1,
    )


def _between(values: Floats, low: float, high: float) -> Floats:
    """-1 at `low` and below, 1 at `high` and above, linear between."""
    return np.clip(2 * (values - low) / (high - low) - 1, -1.0, 1.0)
