"""Balance of a district: what goes in, less what comes out, less what is stored, against what days are like.

Net inflow = supply - outflow - d(stored)/dt, its mean over a whole day, so that neither the hour nor meters that are
not read at the same moment matter. For water: a DMA's inlets, its metered outflow, its tanks. For gas: city gate and
metered use. Alarm where a day exceeds the usual one by SIGMAS of clean days, and by at least MIN_SHARE of supply (the
meters' own error). Where what leaves is metered, the share of supply that goes missing is judged instead: it bears cold
days and holidays. The excess is the leak's estimate.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust, rolling

Floats = NDArray[np.float64]

MIN_SHARE = 0.02
SIGMAS = 5.0
DAY_S = 86_400.0
MIN_DAYS = 5.0
"""Fewest clean days from which the spread of a day's balance is believed (default)."""
MIN_COVER = 0.95
"""Share of a day's rows that must be known (default)."""


class Day(NamedTuple):
    """Of the mean over a day: of the net inflow, in its unit, and of its share of supply; NaN where not known."""

    net: float
    net_sigma: float
    share: float
    share_sigma: float


def day_of(net: Floats, supply: Floats, times: Floats) -> tuple[Floats, Floats]:
    """Means over the trailing day of (time, 1) net inflow and supply; NaN where less than MIN_COVER of it is known."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    count = rolling.total(np.where(np.isnan(net), np.nan, 1.0), times, DAY_S)
    full = np.nan_to_num(count) >= MIN_COVER * DAY_S / max(step, 1.0)  # one row alone is no day
    full &= (times - times[:1] >= DAY_S - step)[:, None]  # nor is one that begins before what is known
    return tuple(np.where(full, rolling.mean(flow, times, DAY_S), np.nan) for flow in (net, supply))  # type: ignore[return-value]


def usual_day(net: Floats, supply: Floats, times: Floats) -> Day:
    """What days of a clean period of (time, 1) flows are like: median, and sigma by the MAD and by the whole range.

    Days overlap, and a week holds both working days and weekends: sigma is no less than a third of the largest distance
    from the median, so that no clean day is beyond three of it. NaN below MIN_DAYS.
    """
    known = float(np.sum(~np.isnan(net))) * (float(np.median(np.diff(times))) if len(times) > 1 else 0.0) / DAY_S
    daily, fed = day_of(net, supply, times)
    share = np.divide(daily, fed, out=np.full_like(daily, np.nan), where=fed > 0)
    if known < MIN_DAYS or np.isnan(daily).all():
        return Day(np.nan, np.nan, np.nan, np.nan)
    return Day(*_spread(daily), *_spread(share))


def _spread(values: Floats) -> tuple[float, float]:
    middle, sigma, _ = robust.spread(values)
    furthest = np.fmax.reduce(np.abs(values - middle), axis=None, initial=0.0)
    return float(middle[0]), max(float(sigma[0]), float(furthest) / 3)


class DayBalance(NamedTuple):
    """Of the newest day: mean net inflow, what was expected, what runs more than usual (a leak's estimate), all in the
    flow's unit; and the score, 1 being the limit."""

    net: float
    expected: float
    excess: float
    score: float


def judge_day(usual: Day, net: Floats, supply: Floats, times: Floats, *, metered_out: bool) -> DayBalance:
    """The trailing day of (time, 1) flows against usual days; NaN where either is not known.

    Where what leaves is metered too, the share of supply that goes missing is judged, which bears cold and holidays;
    else the net inflow itself. The limit is SIGMAS of clean days, and MIN_SHARE of supply at least.
    """
    daily, fed = (float(column[-1, 0]) if len(column) else np.nan for column in day_of(net, supply, times))
    expected = usual.share * fed if metered_out else usual.net
    sigma = usual.share_sigma * fed if metered_out else usual.net_sigma
    limit = max(SIGMAS * sigma, MIN_SHARE * abs(fed)) if np.isfinite(sigma + fed) else np.nan
    excess = daily - expected
    return DayBalance(daily, expected, excess, excess / limit if limit > 0 else np.nan)
