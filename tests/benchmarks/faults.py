"""Sick sensors: what a fault makes of healthy readings, and what ingest would have marked of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifeline.catalogue import Catalogue
from simulators.town import Town

Floats = NDArray[np.float64]

SPANS = {"pressure": 8.0, "gas_pressure": 0.4, "level": 0.6}
"""What a drift adds within two days, in the quantity's unit."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, the rule that must find it, and the quantities on which it is tried."""

    name: str
    rule: str
    quantities: tuple[str, ...]
    spoil: Callable[[Floats, np.random.Generator, str], Floats]
    quick: bool = False
    """Told within minutes: tried on readings every twenty seconds, else on days at five minutes."""
    ahead_s: float = 0.0
    """By how much the clock of its device runs fast."""


def _stuck(values: Floats, _rng: np.random.Generator, _quantity: str) -> Floats:
    return np.full(len(values), values[0])


def _noisy(values: Floats, rng: np.random.Generator, quantity: str) -> Floats:
    """Ten times its own step, or a hundredth of what it usually reads, whichever is more."""
    size = max(10 * float(np.nanmedian(np.abs(np.diff(values)))), 0.01 * float(np.nanmedian(np.abs(values))))
    return np.asarray(values + rng.normal(0, size, len(values)))


def _drifting(values: Floats, _rng: np.random.Generator, quantity: str) -> Floats:
    return values + np.linspace(0, SPANS[quantity], len(values))


def _jumping(values: Floats, rng: np.random.Generator, quantity: str) -> Floats:
    """A loose contact: every fifth reading is anything within the range of the instrument."""
    far = {"pressure": 250.0, "gas_pressure": 100.0, "level": 100.0}[quantity]
    return np.where(rng.random(len(values)) < 0.2, rng.uniform(0.2, 1.0, len(values)) * far, values)


def _silent(values: Floats, _rng: np.random.Generator, _quantity: str) -> Floats:
    return np.full(len(values), np.nan)


def _as_it_is(values: Floats, _rng: np.random.Generator, _quantity: str) -> Floats:
    return values


HYDRAULIC = ("pressure", "gas_pressure", "level")
FAULTS = (
    Fault("stuck", "sensor.flatline", HYDRAULIC, _stuck),
    Fault("noisy", "sensor.noise", HYDRAULIC, _noisy, quick=True),
    Fault("drifting", "sensor.drift", HYDRAULIC[:2], _drifting),
    Fault("jumping", "sensor.jumps", HYDRAULIC, _jumping, quick=True),
    Fault("silent", "silence.sensor", HYDRAULIC, _silent, quick=True),
    Fault("clock five minutes fast", "device.clock", HYDRAULIC, _as_it_is, quick=True, ahead_s=300.0),
)


def victims(town: Town, quantity: str, seed: int) -> int:
    """The sensor of a quantity whose turn it is; of a device with more sensors than one, so that it still speaks."""
    places = [
        place
        for place, one in enumerate(town.instruments)
        if one.quantity == quantity and len(list(town.at_device(one.device))) > 1 and one.asset != "W-T-1"
    ]
    return places[seed % len(places)]


def implausible(
    values: Floats, times: Floats, places: list[int], town: Town, catalogue: Catalogue
) -> NDArray[np.bool_]:
    """(time, sensor): what ingest marks, a change per second since the reading before that the quantity cannot do, or
    refuses, a reading outside the physical range."""
    marked = np.zeros(values.shape, np.bool_)
    elapsed = np.maximum(np.diff(times, prepend=times[0] - 300.0), 1.0)
    for place in places:
        quantity = catalogue.quantities[town.instruments[place].quantity]
        change = np.abs(np.diff(values[:, place], prepend=values[0, place]))
        outside = (values[:, place] < quantity.low) | (values[:, place] > quantity.high)
        marked[:, place] = (change > quantity.max_rate * elapsed) | outside
    return marked
