"""One event of a scenario at its place: how strong it is when, and from when it can be seen."""

from dataclasses import dataclass, field

from simulators.effects import EFFECTS
from simulators.engine import Floats
from simulators.scenario import EventSpec
from simulators.world import World

BLOWING_S = 900.0
"""How long the crew blows air through a chamber after the repair."""
STEP_OF_STRENGTH = 0.02


@dataclass(slots=True)
class Event:
    """One event at one place, from ``start`` to ``end`` (epoch seconds).

    ``watched``: (instrument, change, is it a share) of those on which it shows; ``floors``: values below which such an
    instrument shows nothing; ``felt``: its effect can be seen at ``meter``.
    """

    id: str
    spec: EventSpec
    place: str
    start: float
    end: float
    strength: float = 0.0
    visible_from: float | None = None
    visible_at: str = ""
    baseline: Floats | None = None
    watched: list[tuple[int, float, bool]] = field(default_factory=list)
    floors: dict[int, float] = field(default_factory=dict)
    meter: str = ""
    felt: bool = False

    def strength_at(self, now: float) -> float:
        """0 to 1: growing linearly over ``grow_s``, gone at the end."""
        if not self.start <= now < self.end:
            return 0.0
        grow = self.spec.parameters.get("grow_s", 0.0)
        return 1.0 if grow <= 0 else min(1.0, (now - self.start) / grow)

    def drive(self, world: World, now: float) -> None:
        """Make the world feel it; small changes of strength wait for the next."""
        strength = self.strength_at(now)
        if strength != self.strength and (strength in (0.0, 1.0) or abs(strength - self.strength) >= STEP_OF_STRENGTH):
            EFFECTS[self.spec.kind](world, self, strength, now)
            self.strength = strength

    def observe(self, values: Floats, keys: list[str], now: float) -> bool:
        """Note the moment from which the event can be seen in the true ``values``; True when that is now."""
        if self.baseline is None:
            self.baseline = values
        if self.visible_from is not None:
            return False
        if self.felt and self.meter:
            return self.seen(self.meter, now)
        for index, change, share in self.watched:
            before = float(self.baseline[index])
            before = max(before, self.floors.get(index, before))
            if _moved(before, float(values[index]), change, share):
                return self.seen(keys[index], now)
        return False

    def seen(self, key: str, now: float) -> bool:
        """Note that it can be seen from now on at this sensor."""
        self.visible_from, self.visible_at = now, key
        return True


def _moved(before: float, value: float, change: float, share: bool) -> bool:
    """Whether a value has moved by ``change``; a share is of the size that it had, whatever its direction."""
    if share:
        return abs(before) >= 1.0 and (abs(value) - abs(before)) / (change * abs(before)) >= 1.0
    return (value - before) / change >= 1.0
