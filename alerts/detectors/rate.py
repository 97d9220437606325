"""A ladder of limits on how fast a value rises ("above") or falls ("below").

Condition of each level: for each reading of the last ``on_delay_s`` seconds

    (value(t) - value(s)) / (t - s) >= limit per minute,   s: the newest slot's last reading with s <= t - span_s,

so the value kept rising at this rate for so long; one step, however high, is over after ``span_s`` and is the
threshold's to tell. The breach counts from s of its first reading. Deadband (per minute too) and delays as in
detectors/ladder.py.
"""

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.detectors.ladder import stand
from alerts.detectors.threshold import Held, findings, held_levels
from alerts.inventory import Inventory
from alerts.rules import Rate
from alerts.window import SLOT_S, Ints, Series, Window
from lifeline.catalogue import Catalogue
from lifeline.model import Finding


def detect(
    rule: Rate, window: Window, inventory: Inventory, catalogue: Catalogue, held: Held, now: datetime
) -> list[Finding]:
    """A finding for each sensor that moves too fast, and one without a level for each of ``held`` that calmed down."""
    columns, limits, deadband = inventory.ladder(rule)
    levels = held_levels(held, window, columns)
    lowest, highest = window.extremes(columns)
    with np.errstate(invalid="ignore"):
        moved = highest - lowest >= np.fmin.reduce(np.abs(limits)) * rule.span_s / 60
    places = np.flatnonzero(moved | (levels > 0))
    if not len(places):
        return []
    values = window.series(columns[places], now.timestamp())
    rates = rate_series(values if rule.when == "above" else values.negated(), rule.span_s)
    standing = stand(
        rates,
        np.abs(limits[:, places]),
        deadband[places],
        rule.on_delay_s,
        rule.off_delay_s,
        levels[places],
        holds=False,
    )
    unit = f"{catalogue.quantities[rule.quantity].unit}/min"
    shown = rates if rule.when == "above" else rates.negated()
    return findings(rule, window, columns[places], limits[:, places], shown, standing, levels[places], unit, now)


def rate_series(values: Series, span_s: float) -> Series:
    """Change per minute from reading to reading, each over ``span_s`` or the least that the readings allow above it.

    A slot's rate covers the time from ``first_at`` (the earlier reading) to ``last_at``.
    """
    before = _slots_before(values)
    earlier = before
    for _ in range(int(np.ceil(span_s / SLOT_S)) + 1):
        too_near = (earlier >= 0) & (_at(values.last_at, earlier) > values.last_at - span_s)
        earlier = np.where(too_near, _at(before, earlier), earlier)
    began = np.where(earlier >= 0, _at(values.last_at, earlier), np.nan)
    minutes = (values.last_at - began) / 60
    change = values.last - _at(values.last, earlier)
    with np.errstate(invalid="ignore"):
        rates = np.divide(change, minutes, out=np.full_like(minutes, np.nan), where=minutes > 0).astype(np.float32)
    begins = np.where(np.isnan(rates), np.nan, began)
    ends = np.where(np.isnan(rates), np.nan, values.last_at)
    return Series(rates, rates, rates, begins, ends)


def _at(values: NDArray[Any], slots: Ints) -> NDArray[Any]:
    """``values`` of each sensor at its own slot; whatever it is where the slot is -1."""
    return np.take_along_axis(values, np.maximum(slots, 0), axis=0)


def _slots_before(values: Series) -> Ints:
    """For each slot and sensor the newest slot before it that has a reading, -1 where there is none."""
    numbers = np.arange(len(values.last))[:, None]
    own = np.where(np.isnan(values.last), -1, numbers)
    before = np.full(own.shape, -1, np.int64)
    before[1:] = np.maximum.accumulate(own, axis=0)[:-1]
    return before
