"""Balance of a district: what goes in, less what comes out, less what is stored, is what is lost.

loss = supply - drawn - d(stored)/dt. For water: DMA inflow, metered outflow and use, tank volume. For gas: city gate,
metered use, line pack. The loss is averaged over a window long enough for meters that are not read at the same moment,
and judged as a share of supply against the clean period: alarm where it exceeds the usual share by 5 robust sigma, and
by at least MIN_SHARE of supply (the meters' own error).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust, rolling

Floats = NDArray[np.float64]

WINDOW_S = 6 * 3600.0
MIN_SHARE = 0.02
SIGMAS = 5.0


@dataclass(frozen=True, slots=True)
class Usual:
    """Usual share of supply that is lost, and its sigma, (district,)."""

    share: Floats
    sigma: Floats


class Balance(NamedTuple):
    """Per (time, district): loss in the unit of supply, its share of supply, and the score (1 is the limit)."""

    loss: Floats
    share: Floats
    score: Floats


def loss(supply: Floats, drawn: Floats, stored: Floats | None, times: Floats, window_s: float = WINDOW_S) -> Floats:
    """Mean loss per hour over the trailing window, (time, district): flows per hour, `stored` in the same volume."""
    missing = supply - drawn
    if stored is not None and len(times) > 1:
        missing = missing - np.gradient(stored, np.asarray(times, dtype=float) / 3600.0, axis=0)
    return rolling.mean(missing, times, window_s)


def learn(supply: Floats, drawn: Floats, stored: Floats | None, times: Floats, window_s: float = WINDOW_S) -> Usual:
    """The usual share of a clean period of (time, district) flows."""
    middle, sigma, _ = robust.spread(_share(loss(supply, drawn, stored, times, window_s), supply, times, window_s))
    return Usual(middle, sigma)


def detect(
    usual: Usual, supply: Floats, drawn: Floats, stored: Floats | None, times: Floats, window_s: float = WINDOW_S
) -> Balance:
    """Loss, share and score of (time, district) flows; NaN where supply is zero or a meter is missing throughout."""
    lost = loss(supply, drawn, stored, times, window_s)
    share = _share(lost, supply, times, window_s)
    allowed = np.maximum(SIGMAS * usual.sigma, MIN_SHARE)
    return Balance(lost, share, (share - usual.share) / allowed)


def _share(lost: Floats, supply: Floats, times: Floats, window_s: float) -> Floats:
    supplied = rolling.mean(supply, times, window_s)
    usable = np.isfinite(supplied) & (supplied > 0) & np.isfinite(lost)
    return np.divide(lost, supplied, out=np.full_like(lost, np.nan), where=usable)
