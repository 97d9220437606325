"""Sick sensors, and sensors that somebody tampers with: what is told instead of what was read.

They change readings and never the city: the truth behind a sick sensor stays what it is.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from simulators.device import NOISE, NOISE_SHARE
from simulators.events import Event

STEP = {
    "methane": 1.0, "gas_pressure": 0.2, "gas_flow": 60.0, "pressure": 6.0, "flow": 25.0, "level": 0.3,
    "residual_chlorine": 0.2, "rain": 6.0, "ponding_depth": 0.1, "h2s": 6.0, "battery": 0.6, "turbidity": 1.0,
    "pump_current": 5.0,
}  # fmt: skip
"""One typical step of each quantity, in its unit: the ``size`` of a fault counts these."""
SEEN_SHARE = 0.25
"""A fault is visible when the reading is this share of a step off what would have been read."""
JUMP_LASTS = 0.2
"""Share of the mean time between two jumps for which one stays."""


@dataclass(slots=True)
class Fault:
    """One fault of one sensor while it lasts. ``index``: which instrument."""

    event: Event
    index: int
    quantity: str
    rng: np.random.Generator
    held: float = math.nan
    tape: list[tuple[float, float]] = field(default_factory=list)

    def told(self, read: float, now: float) -> float:
        """What is told instead of what was ``read`` at ``now``."""
        parameters, since = self.event.spec.parameters, now - self.event.start
        step = STEP[self.quantity] * parameters.get("size", 0.0)
        match self.event.spec.kind:
            case "flatline":
                self.held = read if math.isnan(self.held) else self.held
                return self.held
            case "noise":
                spread = NOISE[self.quantity] + NOISE_SHARE.get(self.quantity, 0.0) * abs(read)
                return read + float(self.rng.normal(0, parameters["times"] * max(spread, STEP[self.quantity] / 100)))
            case "drift":
                return read + step * since / (self.event.end - self.event.start)
            case "jumps":
                turn = int(since // parameters["every_s"])
                phase = since / parameters["every_s"] - turn
                sign = 1 if np.random.default_rng([turn, self.index]).random() < 0.5 else -1
                return read + (sign * step if phase < JUMP_LASTS else 0.0)
            case "offset":
                return read + step
        return self._replayed(read, now, since)

    def _replayed(self, read: float, now: float, since: float) -> float:
        """The recorded time over and over, once there is one."""
        record_s = self.event.spec.parameters["record_s"]
        if since < record_s or not self.tape:
            self.tape.append((now, read))
            return read
        moment = self.event.start + since % record_s
        place = np.searchsorted([time for time, _ in self.tape], moment, side="right") - 1
        return self.tape[max(int(place), 0)][1]

    def visible(self, read: float, told: float) -> bool:
        """Whether what is told is off what was read by more than noise."""
        if self.event.spec.kind in ("flatline", "noise"):
            spread = NOISE[self.quantity] + NOISE_SHARE.get(self.quantity, 0.0) * abs(read)
            return abs(told - read) >= max(3 * spread, STEP[self.quantity] / 100)
        return abs(told - read) >= SEEN_SHARE * STEP[self.quantity]
