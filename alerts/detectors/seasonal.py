"""Seasonal robust z: a reading against the same time of day on the same class of day.

Slot b = time of day x weekday class (working day, weekend). z = (x - med_b) / (1.4826 MAD_b), the MAD floored with the
sensor's resolution. Alert at |z| > 5 to 6 for n of m samples (charts.most_of). z is indifferent to the sensor's zero
and unit. A slot with too few days says NaN, that is: not known yet.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust

Floats = NDArray[np.float64]

SLOT_S = 3600.0
MIN_READINGS = 5
"""Fewest readings in a slot from which a spread is believed."""
LIMIT = 6.0
_DAY_S = 86400.0
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Seasonal:
    """What is normal per slot: arrays (slot, sensor); slots of the working day first, then those of the weekend."""

    median: Floats
    sigma: Floats
    count: NDArray[np.int64]
    slot_s: float
    utc_offset_s: float


def slots(times: Floats, slot_s: float = SLOT_S, utc_offset_s: float = 0.0) -> NDArray[np.int64]:
    """Slot of each epoch second in `times`, by local clock. Raises ValueError unless slots divide the day."""
    if slot_s <= 0 or _DAY_S % slot_s:
        raise ValueError(f"slots of {slot_s} s do not divide the day")
    local = np.asarray(times, dtype=float) + utc_offset_s
    day = np.floor(local / _DAY_S)
    weekend = (day + _EPOCH_WEEKDAY) % 7 >= 5
    return (weekend * (_DAY_S // slot_s) + (local - day * _DAY_S) // slot_s).astype(np.int64)


def learn(
    values: Floats,
    times: Floats,
    resolution: Floats | float = 0.0,
    slot_s: float = SLOT_S,
    utc_offset_s: float = 0.0,
) -> Seasonal:
    """The baseline of (time, sensor) readings of a clean period; set readings that must not teach to NaN before."""
    per_day = int(_DAY_S // slot_s)
    shape = (2 * per_day, values.shape[1])
    middle, sigma, count = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    which = slots(times, slot_s, utc_offset_s)
    for slot in np.unique(which):
        middle[slot], sigma[slot], count[slot] = robust.spread(values[which == slot], resolution)
    return Seasonal(middle, sigma, count, slot_s, utc_offset_s)


def z_scores(baseline: Seasonal, values: Floats, times: Floats) -> Floats:
    """Robust z of (time, sensor); NaN in gaps, in slots with fewer than MIN_READINGS, and where nothing ever moved
    and no resolution is known, as then no distance is meaningful."""
    which = slots(times, baseline.slot_s, baseline.utc_offset_s)
    scored = np.empty(values.shape)
    for slot in np.unique(which):
        known = (baseline.count[slot] >= MIN_READINGS) & (baseline.sigma[slot] > 0)
        sigma = np.where(known, baseline.sigma[slot], np.nan)
        for row in np.flatnonzero(which == slot):
            np.subtract(values[row], baseline.median[slot], out=scored[row])
            scored[row] /= sigma
    return scored
