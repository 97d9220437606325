"""Gas in a chamber: one well-mixed box, ventilated through its cover.

C(t) = C_bg + (Q_leak / Q_vent) (1 - exp(-Q_vent t / V)), and from any C(0) towards the same end. Exact over a step in
which the flows are constant, so the step's length does not matter.
"""

import math
from dataclasses import dataclass

BACKGROUND_VOL = 0.0002
"""Methane in open air, %VOL (2 ppm)."""
BIOGAS_M3H = 0.012
"""Methane that sludge and sewage give off in a manhole at 20 Celsius."""
H2S_PPM = 1.6


@dataclass(slots=True)
class Chamber:
    """A chamber of ``volume_m3``; ``ventilation_m3h`` of air passes it in calm weather; ``methane`` is in %VOL."""

    volume_m3: float
    ventilation_m3h: float
    methane: float = BACKGROUND_VOL

    def step(self, seconds: float, gas_m3h: float, ventilation_m3h: float | None = None) -> float:
        """Methane in %VOL after ``seconds`` in which ``gas_m3h`` of methane came in; never above 100."""
        vent = max(self.ventilation_m3h if ventilation_m3h is None else ventilation_m3h, 1e-6)
        end = BACKGROUND_VOL + 100.0 * gas_m3h / vent
        gone = 1.0 - math.exp(-vent * seconds / 3600 / self.volume_m3)
        self.methane = min(self.methane + (end - self.methane) * gone, 100.0)
        return self.methane


def biogas(sewer_c: float) -> float:
    """Methane in m3/h of one manhole: 7 % more a degree (the usual factor 1.07 of anaerobic decay)."""
    return float(BIOGAS_M3H * 1.07 ** (sewer_c - 20.0))


def hydrogen_sulphide(sewer_c: float, flow_share: float) -> float:
    """ppm above sewage: more when warm, and when it stands (``flow_share`` is the flow against its mean)."""
    return float(H2S_PPM * 1.07 ** (sewer_c - 20.0) / max(flow_share, 0.15) ** 0.5)
