"""Water by EPANET: the network as an input file, and the engine that steps it.

Every pipe has a dry joint in its middle, so that a burst has a place to flow from and the network stays as it is.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from simulators.demand import SHAPES, STEP_S, week, week_step
from simulators.engine import Floats, scratch_folder
from simulators.orifice import emitter_coefficient
from simulators.town import Network, Node, Pipe

CHLORINE_OUT_MG_L = 0.8
YEARS_S = 10 * 366 * 86_400

# EPANET's codes, from its toolkit header epanet2_enums.h.
EMITTER, PRESSURE, QUALITY, DEMAND = 3, 11, 12, 9
FLOW = 8
HYDRAULIC_STEP = 1
MENDED = 1e-4
"""Emitter coefficient of a pipe that was mended: at 0 EPANET 2.2 keeps reporting the leak's last flow as demand."""


def middle(pipe: str) -> str:
    """The joint in the middle of a pipe."""
    return f"{pipe}.m"


def water_input(network: Network, start: float, seed: int) -> str:
    """The network as an EPANET input file that begins at ``start`` (epoch seconds, a multiple of 15 minutes)."""
    junctions = [n for n in network.nodes.values() if "base_demand_m3h" in n.attributes]
    works, tower, pumps = (network.nodes[name] for name in ("W-R-1", "W-T-1", "W-U-1"))
    ground = {n.id: n.ground_m for n in network.nodes.values()}
    sections = {
        "JUNCTIONS": [
            *(f"{n.id} {n.ground_m} {' '.join(map(str, _demand(n)))}" for n in junctions),
            *(f"{middle(p.id)} {(ground[p.a] + ground[p.b]) / 2:.2f} 0" for p in network.pipes.values()),
        ],
        "RESERVOIRS": [f"{works.id} {works.attributes['head_m']}"],
        "TANKS": [_tank(tower)],
        "PIPES": [line for p in network.pipes.values() for line in _halves(p)],
        "PUMPS": [f"{pumps.id} {works.id} W-D-1 HEAD lift"],
        "CURVES": [f"lift {pumps.attributes['rated_flow_m3h']} {pumps.attributes['rated_head_m']}"],
        "CONTROLS": [
            f"LINK {pumps.id} 0.87 IF NODE {tower.id} ABOVE 5.2",
            f"LINK {pumps.id} 1.0 IF NODE {tower.id} BELOW 3.0",
        ],
        "PATTERNS": _patterns(start, seed),
        "QUALITY": [
            *(f"{n} {CHLORINE_OUT_MG_L if n == works.id else 0.5}" for n in network.nodes if n != pumps.id),
            *(f"{middle(p)} 0.5" for p in network.pipes),
        ],
        "REACTIONS": ["GLOBAL BULK -0.4", "GLOBAL WALL -0.15"],
        "OPTIONS": [
            "UNITS CMH", "HEADLOSS H-W", "QUALITY CHLORINE MG/L", "TRIALS 100", "ACCURACY 0.0005",
            "UNBALANCED CONTINUE 10", "DEMAND MODEL PDA", "MINIMUM PRESSURE 0", "REQUIRED PRESSURE 15",
            "PRESSURE EXPONENT 0.5", "EMITTER EXPONENT 0.5", "TOLERANCE 0.03",
        ],
        "TIMES": [
            f"DURATION {YEARS_S} SEC", "HYDRAULIC TIMESTEP 0:05", "QUALITY TIMESTEP 0:05", "PATTERN TIMESTEP 0:15",
            "REPORT TIMESTEP 1:00",
        ],
        "REPORT": ["STATUS NO", "SUMMARY NO", "MESSAGES NO"],
        "END": [],
    }  # fmt: skip
    return "".join(f"[{name}]\n" + "".join(f"{line}\n" for line in lines) + "\n" for name, lines in sections.items())


def _demand(node: Node) -> tuple[float, str]:
    return node.attributes["base_demand_m3h"], node.attributes["demand_kind"]


def _tank(tower: Node) -> str:
    bottom, top, bore = (tower.attributes[key] for key in ("bottom_m", "level_max_m", "bore_m"))
    return f"{tower.id} {bottom} 4.0 0.2 {top} {bore} 0"


def _halves(pipe: Pipe) -> tuple[str, str]:
    joint, half, roughness = middle(pipe.id), pipe.length_m / 2, pipe.attributes["hazen_williams_c"]
    tail = f"{half:.2f} {pipe.diameter_mm} {roughness} 0 OPEN"
    return f"{pipe.id} {pipe.a} {joint} {tail}", f"{pipe.id}.2 {joint} {pipe.b} {tail}"


def _patterns(start: float, seed: int) -> list[str]:
    """A week of factors each, turned so that the first is the one at ``start``."""
    lines = []
    for number, kind in enumerate(SHAPES):
        factors = np.roll(week(kind, np.random.default_rng([seed, 20, number])), -week_step(start))
        lines += [f"{kind} " + " ".join(f"{f:.4f}" for f in factors[i : i + 8]) for i in range(0, len(factors), 8)]
    return lines


class WaterEngine:
    """EPANET, stepped. Effects: ``burst`` at a pipe, the amount is the hole's diameter in mm.

    Quantities: pressure (m), level (m) and residual_chlorine (mg/L) at nodes, flow (m3/h) in pipes.
    """

    def __init__(self, network: Network, wanted: Sequence[tuple[str, str]], start: float, seed: int) -> None:
        from wntr.epanet.toolkit import ENepanet  # takes a second: only who simulates water waits for it

        self._start = math.floor(start / STEP_S) * STEP_S
        self._folder = scratch_folder("epanet")
        folder = Path(self._folder.name)
        (folder / "town.inp").write_text(water_input(network, self._start, seed), encoding="ascii")
        self._epanet = ENepanet()
        self._epanet.ENopen(*(str(folder / f"town.{ending}") for ending in ("inp", "rpt", "out")))
        self._epanet.ENopenH()
        self._epanet.ENinitH(0)
        self._epanet.ENopenQ()
        self._epanet.ENinitQ(0)
        self._pipes = network.pipes
        self._read = [self._reader(asset, quantity) for asset, quantity in wanted]
        self._solve()

    def _reader(self, asset: str, quantity: str) -> tuple[bool, int, int]:
        """(is it a link, index, what to ask)."""
        if quantity == "flow":
            return True, self._epanet.ENgetlinkindex(asset), FLOW
        code = {"pressure": PRESSURE, "level": PRESSURE, "residual_chlorine": QUALITY}[quantity]
        return False, self._epanet.ENgetnodeindex(asset), code

    def _solve(self) -> None:
        self.clock = self._epanet.ENrunH()
        self._epanet.ENrunQ()

    def step(self, to: float) -> Floats:
        goal = round(to - self._start)
        while self.clock < goal:
            # EPANET takes its own shorter steps at tank and pattern events; ours never jumps over the goal.
            self._epanet.ENsettimeparam(HYDRAULIC_STEP, min(300, goal - self.clock))
            self._epanet.ENnextH()
            self._epanet.ENnextQ()
            self._solve()
        self._epanet.errcodelist.clear()  # wntr keeps every warning for ever
        return np.array([self.value(*reader) for reader in self._read])

    def value(self, link: bool, index: int, code: int) -> float:
        get = self._epanet.ENgetlinkvalue if link else self._epanet.ENgetnodevalue
        return float(get(index, code))

    def demand(self, node: str) -> float:
        """m3/h that leave the network at a node, by use and by leak; negative where water comes in."""
        return self.value(False, self._epanet.ENgetnodeindex(node), DEMAND)

    def head(self, node: str) -> float:
        """Pressure in m at a node or at the middle of a pipe."""
        return self.value(False, self._epanet.ENgetnodeindex(node), PRESSURE)

    def disturb(self, effect: str, asset: str, amount: float) -> None:
        if effect != "burst" or asset not in self._pipes:
            raise KeyError(f"water has no {effect!r} at {asset!r}")
        joint = self._epanet.ENgetnodeindex(middle(asset))
        self._epanet.ENsetnodevalue(joint, EMITTER, max(emitter_coefficient(amount), MENDED))

    def close(self) -> None:
        self._epanet.ENclose()
        self._folder.cleanup()
