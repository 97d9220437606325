"""What comes out of a hole."""

import math

GRAVITY = 9.81
WATER_DISCHARGE = 0.75
GAS_DISCHARGE = 0.8
METHANE_GAMMA, METHANE_R = 1.31, 518.3
METHANE_NORMAL_KG_M3 = 0.717
ATMOSPHERE_BAR = 1.01325


def hole_area(diameter_mm: float) -> float:
    """Area in m2 of a round hole."""
    return math.pi * (diameter_mm / 2000) ** 2


def water_flow(diameter_mm: float, head_m: float) -> float:
    """Q = Cd A sqrt(2 g h) in m3/s; nothing flows in where the head is negative."""
    return WATER_DISCHARGE * hole_area(diameter_mm) * math.sqrt(2 * GRAVITY * max(head_m, 0.0))


def emitter_coefficient(diameter_mm: float) -> float:
    """C of EPANET's emitter Q = C p^0.5 that equals ``water_flow``, in m3/h per m^0.5."""
    return 3600 * WATER_DISCHARGE * hole_area(diameter_mm) * math.sqrt(2 * GRAVITY)


def plate_loss(closed: float) -> float:
    """K of the head K v^2 / 2g that is lost at a plate that closes this share of a pipe's section, 0 <= closed < 1.

    (1 / (Cc s) - 1)^2 with s the share that is open and Cc = 0.63 + 0.37 s^3 the jet's contraction (Weisbach 1855).
    """
    opened = 1.0 - closed
    return float((1.0 / (opened * (0.63 + 0.37 * opened**3)) - 1.0) ** 2)


def gas_flow(diameter_mm: float, gauge_bar: float, kelvin: float = 285.0) -> float:
    """Normal m3/h of methane through a hole: isentropic nozzle, choked where the pressure ratio is above critical.

    Source: Perry's Chemical Engineers' Handbook, discharge of a perfect gas through an orifice.
    """
    upstream, ratio = (
        (gauge_bar + ATMOSPHERE_BAR) * 1e5,
        ATMOSPHERE_BAR / max(gauge_bar + ATMOSPHERE_BAR, ATMOSPHERE_BAR),
    )
    g = METHANE_GAMMA
    ratio = max(ratio, (2 / (g + 1)) ** (g / (g - 1)))
    flux = upstream * math.sqrt(
        2 * g / (g - 1) / (METHANE_R * kelvin) * max(ratio ** (2 / g) - ratio ** ((g + 1) / g), 0.0)
    )
    return GAS_DISCHARGE * hole_area(diameter_mm) * flux / METHANE_NORMAL_KG_M3 * 3600


def hole_for(flow_m3h: float, head_m: float) -> float:
    """Diameter in mm of the hole from which so much water comes at this head: ``water_flow`` turned round."""
    area = flow_m3h / 3600 / (WATER_DISCHARGE * math.sqrt(2 * GRAVITY * max(head_m, 0.1)))
    return 2000 * math.sqrt(area / math.pi)
