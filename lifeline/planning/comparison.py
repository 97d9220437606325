"""Before and after a renewal: did it help, or did it just rain less? Pure.

Ponding follows rain. A linear spline tells how long a rain event (apart from others by six dry hours) of a depth ponded
before; what the events after the renewal would have ponded by it is what was to be expected. Observed over expected is
the ratio for the same rain, and a bootstrap over events gives its interval. Counts are compared as Poisson rates,
night flow by the median of the nightly minima.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline.planning.segments import Floats

BUCKET_S = 900.0
DRY_S = 6 * 3600.0
"""So long without rain ends an event; water that stands until then belongs to it."""
SMALLEST_EVENT_MM = 1.0
FEWEST_EVENTS = 10
"""With fewer events before nothing is said of ponding."""
KNOTS = (0.25, 0.5, 0.75)
"""Quantiles of the events' depths before, at which the expectation may bend."""
SAMPLES = 1000
Z95 = 1.959964


class Events(NamedTuple):
    """Rain events of a span: depth in mm (n,), and minutes of ponding of a sensor on average (n,)."""

    depth_mm: Floats
    ponding_min: Floats


class Ratio(NamedTuple):
    """After over before, with its 95 % interval; NaN where it cannot be told."""

    value: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        return math.isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Ponding:
    """``crude``: minutes a day, whatever the rain; ``ratio``: for the same rain; ``compared`` of the events after."""

    crude: Ratio
    ratio: Ratio
    events_before: int
    events_after: int
    compared: int


def rain_events(start_s: Floats, rain_mm_h: Floats, ponding_min: Floats) -> Events:
    """Events from quarter-hours in order of time: begins in seconds, intensity, minutes ponded in each; all (n,)."""
    wet = np.flatnonzero(rain_mm_h > 0)
    if not len(wet):
        return Events(np.empty(0), np.empty(0))
    number = np.cumsum(np.diff(start_s[wet], prepend=start_s[wet[0]]) > DRY_S)
    begins = start_s[wet[np.searchsorted(number, np.arange(number[-1] + 1))]]
    depth = np.asarray(np.bincount(number, weights=rain_mm_h[wet] * BUCKET_S / 3600.0), dtype=np.float64)
    ends = start_s[wet[np.searchsorted(number, np.arange(number[-1] + 1), side="right") - 1]] + BUCKET_S + DRY_S
    owner = np.searchsorted(begins, start_s, side="right") - 1
    within = (owner >= 0) & (start_s < ends[owner])
    ponded = np.bincount(owner[within], weights=ponding_min[within], minlength=len(begins))
    kept = depth >= SMALLEST_EVENT_MM
    return Events(depth[kept], ponded[kept].astype(np.float64))


def compare_ponding(before: Events, after: Events, days_before: float, days_after: float, seed: int = 1) -> Ponding:
    """The ratio of ponding for the same rain, and the crude one, each with a bootstrap interval over events.

    Events after that are deeper than any before are left out: nothing is known of what they would have ponded.
    """
    random = np.random.default_rng(seed)
    crude = _crude(before, after, days_before, days_after, random)
    counts = len(before.depth_mm), len(after.depth_mm)
    known = after.depth_mm <= before.depth_mm.max(initial=0.0)
    after = Events(after.depth_mm[known], after.ponding_min[known])
    knots = np.quantile(before.depth_mm, KNOTS) if len(before.depth_mm) else np.empty(0)
    value = _standardised(before, after, knots)
    drawn = [
        _standardised(_sample(before, random), _sample(after, random), knots)
        for _ in range(SAMPLES if math.isfinite(value) else 0)
    ]
    return Ponding(crude, _ratio(value, drawn), *counts, len(after.depth_mm))


def _standardised(before: Events, after: Events, knots: Floats) -> float:
    """Ponding after over what the depths after would have made before, by a linear spline of ponding on depth."""
    if len(before.depth_mm) < FEWEST_EVENTS or not len(after.depth_mm):
        return math.nan
    fitted = np.linalg.lstsq(_spline(before.depth_mm, knots), before.ponding_min, rcond=None)[0]
    expected = float(np.maximum(_spline(after.depth_mm, knots) @ fitted, 0.0).sum())
    return float(after.ponding_min.sum()) / expected if expected > 1e-6 else math.nan


def _spline(depth: Floats, knots: Floats) -> Floats:
    """(n, 2 + knots) of a function of depth that is linear between the knots and beyond them."""
    bends = np.maximum(depth[:, None] - knots[None, :], 0.0)
    return np.concatenate([np.ones((len(depth), 1)), depth[:, None], bends], axis=1)


def _sample(events: Events, random: np.random.Generator) -> Events:
    chosen = random.integers(0, len(events.depth_mm), len(events.depth_mm))
    return Events(events.depth_mm[chosen], events.ponding_min[chosen])


def _crude(before: Events, after: Events, days_before: float, days_after: float, random: np.random.Generator) -> Ratio:
    one, other = before.ponding_min / max(days_before, 1e-9), after.ponding_min / max(days_after, 1e-9)
    if not len(one) or one.sum() <= 0:
        return Ratio(math.nan, math.nan, math.nan)
    drawn = [float(_again(other, random).sum() / max(_again(one, random).sum(), 1e-9)) for _ in range(SAMPLES)]
    return _ratio(float(other.sum() / one.sum()), drawn)


def _again(values: Floats, random: np.random.Generator) -> Floats:
    return values[random.integers(0, len(values), len(values))] if len(values) else values


def _ratio(value: float, drawn: list[float]) -> Ratio:
    known = [each for each in drawn if math.isfinite(each)]
    if not math.isfinite(value) or len(known) < SAMPLES // 2:
        return Ratio(value, math.nan, math.nan)
    low, high = np.quantile(known, [0.025, 0.975])
    return Ratio(value, float(low), float(high))


def compare_counts(before: int, after: int, days_before: float, days_after: float) -> Ratio:
    """Ratio of two Poisson rates with the interval of its logarithm; half an event more on each side where one is 0."""
    if days_before <= 0 or days_after <= 0 or before + after == 0:
        return Ratio(math.nan, math.nan, math.nan)
    one, other = (before, after) if before and after else (before + 0.5, after + 0.5)
    value = (other / days_after) / (one / days_before)
    wide = math.exp(Z95 * math.sqrt(1 / one + 1 / other))
    told = (after / days_after) / (before / days_before) if before else math.inf
    return Ratio(told if math.isfinite(told) else math.nan, value / wide, value * wide)


def compare_night_flow(before: Floats, after: Floats, seed: int = 1) -> Ratio:
    """Ratio of the medians of nightly minima (n,) with a bootstrap interval over nights."""
    if not len(before) or not len(after) or np.median(before) <= 0:
        return Ratio(math.nan, math.nan, math.nan)
    random = np.random.default_rng(seed)
    drawn = [
        float(np.median(_again(after, random)) / max(float(np.median(_again(before, random))), 1e-12))
        for _ in range(SAMPLES // 2)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Ratio(float(np.median(after) / np.median(before)), float(low), float(high))


def nightly_minima(night: NDArray[np.int64], flow: Floats) -> Floats:
    """The smallest flow of each night; ``night`` (n,) numbers the night of each value."""
    numbers, place = np.unique(night, return_inverse=True)
    found = np.full(len(numbers), np.inf)
    np.minimum.at(found, place, flow)
    return found


def sentence(what: tuple[str, str], ratio: Ratio, since: str) -> dict[str, str]:
    """ "Ponding on main roads 60 % shorter than in 2021 (95 %: 52 to 67 %)", in Chinese and English.

    ``what`` is the thing in Chinese and English; nothing is claimed where the interval holds no change.
    """
    if not ratio.told:
        return {
            "zh": f"{what[0]}:数据不足,无法与 {since} 比较",
            "en": f"{what[1]}: not enough data to compare with {since}",
        }
    change = abs(1.0 - ratio.value)
    less = ratio.value < 1
    ends = sorted((abs(1 - ratio.low), abs(1 - ratio.high))) if (ratio.low - 1) * (ratio.high - 1) > 0 else None
    if ends is None:
        interval = f"{ratio.low - 1:+.0%} … {ratio.high - 1:+.0%}"
        return {
            "zh": f"{what[0]}与 {since} 相比没有显著变化({ratio.value - 1:+.0%},95 % 区间 {interval})",
            "en": f"{what[1]}: no significant change from {since} ({ratio.value - 1:+.0%}, 95 %: {interval})",
        }
    low, high = ends
    return {
        "zh": f"{what[0]}比 {since} {'减少' if less else '增加'} {change:.0%}(95 % 区间 {low:.0%}–{high:.0%})",
        "en": f"{what[1]} {change:.0%} {'less' if less else 'more'} than in {since} (95 %: {low:.0%} to {high:.0%})",
    }
