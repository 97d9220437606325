"""Rain on a street whose gullies take less than falls: a shallow pan that fills and empties.

dV/dt = runoff * i * A - open * capacity while there is anything to take; the depth is V over the pan's surface.
Water is neither made nor lost: what does not go down stands.
"""

from dataclasses import dataclass

RUNOFF = 0.9
CAPACITY_MM_H = 36.0
"""Rain that clean gullies take from the whole of their area."""
PAN_SHARE = 0.12
"""Share of the area over which water stands: the low side of the road."""


@dataclass(slots=True)
class Gully:
    """The street above one place: ``area_ha`` drains to gullies of which ``clogged`` (0..1) is shut."""

    area_ha: float
    clogged: float = 0.0
    volume_m3: float = 0.0

    def step(self, seconds: float, rain_mm_h: float) -> float:
        """Depth in m after ``seconds`` of even rain."""
        area_m2 = self.area_ha * 10_000
        comes = RUNOFF * rain_mm_h / 1000 * area_m2 * seconds / 3600
        goes = (1 - self.clogged) * CAPACITY_MM_H / 1000 * area_m2 * seconds / 3600
        self.volume_m3 = max(0.0, self.volume_m3 + comes - goes)
        return self.volume_m3 / (PAN_SHARE * area_m2)
