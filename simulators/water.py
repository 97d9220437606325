"""Water by EPANET: the network as an input file, and the engine that steps it.

Every pipe has a dry joint in its middle, so that a burst has a place to flow from and the network stays as it is.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from simulators.demand import SHAPES, STEP_S, season, week, week_step
from simulators.engine import Floats, scratch_folder
from simulators.orifice import emitter_coefficient
from simulators.town import Network, Node, Pipe

CHLORINE_OUT_MG_L = 0.8
TURBIDITY_OUT_NTU = 0.2
YEARS_S = 10 * 366 * 86_400

# EPANET's codes, from its toolkit header epanet2_enums.h.
BASE_DEMAND, EMITTER, SOURCE, SOURCE_TYPE, DEMAND, PRESSURE, QUALITY = 1, 3, 5, 7, 9, 11, 12
FLOW, STATUS, ENERGY = 8, 11, 13
HYDRAULIC_STEP, DEMAND_FACTOR, CONCENTRATION = 1, 4, 0
VOLTS, POWER_FACTOR, IDLING_A = 400.0, 0.85, 9.0
"""Of the pumps' motors: I = P / (sqrt(3) U cos phi); what they draw while they move nothing."""
MENDED = 1e-4
"""Emitter coefficient of a pipe that was mended: at 0 EPANET 2.2 keeps reporting the leak's last flow as demand."""


def outlet(pump: str) -> str:
    """The joint behind a pump, and the short pipe from there."""
    return f"{pump}.o"


def middle(pipe: str) -> str:
    """The joint in the middle of a pipe."""
    return f"{pipe}.m"


def water_input(network: Network, start: float, seed: int, quality: str = "CHLORINE MG/L") -> str:
    """The network as an EPANET input file that begins at ``start`` (epoch seconds, a multiple of 15 minutes).

    ``quality``: chlorine, which decays; anything else is carried along unchanged. The joint behind each pump belongs to
    a short pipe that is closed when the pump fails: EPANET's own controls would start a pump that was switched off.
    """
    junctions = [n for n in network.nodes.values() if "base_demand_m3h" in n.attributes]
    reservoirs = [n for n in network.nodes.values() if n.attributes.get("type") == "reservoir"]
    tanks = [n for n in network.nodes.values() if n.attributes.get("type") == "tank"]
    pumps = [n for n in network.nodes.values() if n.between]
    ground = {n.id: n.ground_m for n in network.nodes.values()}
    sections = {
        "JUNCTIONS": [
            *(f"{n.id} {n.ground_m} {' '.join(map(str, _demand(n)))}" for n in junctions),
            *(f"{middle(p.id)} {(ground[p.a] + ground[p.b]) / 2:.2f} 0" for p in network.pipes.values()),
            *(f"{outlet(n.id)} {n.ground_m} 0" for n in pumps),
        ],
        "RESERVOIRS": [f"{n.id} {n.attributes['head_m']}" for n in reservoirs],
        "TANKS": [_tank(n) for n in tanks],
        "PIPES": [
            *(line for p in network.pipes.values() for line in _halves(p)),
            *(f"{outlet(n.id)} {outlet(n.id)} {_ends(n)[1]} 1 1000 140 0 OPEN" for n in pumps),
        ],
        "PUMPS": [f"{n.id} {_ends(n)[0]} {outlet(n.id)} HEAD lift-{n.id}" for n in pumps],
        "CURVES": [f"lift-{n.id} {n.attributes['rated_flow_m3h']} {n.attributes['rated_head_m']}" for n in pumps],
        "CONTROLS": [line for n in pumps for tank in tanks[:1] for line in _speed(n.id, tank)],
        "PATTERNS": _patterns(start, seed),
        "QUALITY": _qualities(network, [n.id for n in reservoirs], quality.startswith("CHLORINE")),
        "REACTIONS": ["GLOBAL BULK -0.4", "GLOBAL WALL -0.15"] if quality.startswith("CHLORINE") else [],
        "OPTIONS": [
            "UNITS CMH", "HEADLOSS H-W", f"QUALITY {quality}", "TRIALS 100", "ACCURACY 0.0005",
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


def _ends(pump: Node) -> tuple[str, str]:
    if pump.between is None:
        raise KeyError(pump.id)
    return pump.between


def _speed(pump: str, tank: Node) -> tuple[str, str]:
    """A pump runs slower while the tank is nearly full, and at full speed when it has fallen to half."""
    top = tank.attributes["level_max_m"]
    return (
        f"LINK {pump} 0.87 IF NODE {tank.id} ABOVE {0.867 * top:.2f}",
        f"LINK {pump} 1.0 IF NODE {tank.id} BELOW {0.5 * top:.2f}",
    )


def _qualities(network: Network, reservoirs: list[str], chlorine: bool) -> list[str]:
    """What is in the water at the start: as it leaves the works there, and somewhat aged elsewhere."""
    fresh, aged = (CHLORINE_OUT_MG_L, 0.5) if chlorine else (TURBIDITY_OUT_NTU, TURBIDITY_OUT_NTU)
    return [
        *(
            f"{name} {fresh if name in reservoirs else aged}"
            for name, node in network.nodes.items()
            if not node.between
        ),
        *(f"{middle(p)} {aged}" for p in network.pipes),
    ]


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


class Project:
    """One EPANET project: the network with one thing that its water carries."""

    def __init__(self, folder: Path, name: str, text: str) -> None:
        from wntr.epanet.toolkit import ENepanet  # takes a second: only who simulates water waits for it

        (folder / f"{name}.inp").write_text(text, encoding="ascii")
        self.epanet = ENepanet()
        self.epanet.ENopen(*(str(folder / f"{name}.{ending}") for ending in ("inp", "rpt", "out")))
        self.epanet.ENopenH()
        self.epanet.ENinitH(0)
        self.epanet.ENopenQ()
        self.epanet.ENinitQ(0)
        self.clock = 0
        self.solve()

    def solve(self) -> None:
        self.clock = self.epanet.ENrunH()
        self.epanet.ENrunQ()

    def step(self, goal: int, demand_factor: float) -> None:
        """Advance to ``goal``, seconds since its start."""
        while self.clock < goal:
            # wntr's class has no name for this call of the toolkit.
            self.epanet.ENlib.EN_setoption(self.epanet._project, DEMAND_FACTOR, ctypes.c_double(demand_factor))
            # EPANET takes its own shorter steps at tank and pattern events; ours never jumps over the goal.
            self.epanet.ENsettimeparam(HYDRAULIC_STEP, min(300, goal - self.clock))
            self.epanet.ENnextH()
            self.epanet.ENnextQ()
            self.solve()
        self.epanet.errcodelist.clear()  # wntr keeps every warning for ever

    def node(self, name: str, code: int) -> float:
        return float(self.epanet.ENgetnodevalue(self.epanet.ENgetnodeindex(name), code))

    def link(self, name: str, code: int) -> float:
        return float(self.epanet.ENgetlinkvalue(self.epanet.ENgetlinkindex(name), code))

    def set_node(self, name: str, code: int, value: float) -> None:
        self.epanet.ENsetnodevalue(self.epanet.ENgetnodeindex(name), code, value)

    def set_link(self, name: str, code: int, value: float) -> None:
        self.epanet.ENsetlinkvalue(self.epanet.ENgetlinkindex(name), code, value)


class WaterEngine:
    """EPANET, stepped: once with chlorine, and once more with turbidity where that is asked for.

    Effects: ``burst`` and ``leak`` at a pipe, the amount is the hole's diameter in mm; ``closed`` at a pipe (1);
    ``inflow`` at a pipe in m3/h, whose turbidity ``dirt`` (NTU) says; ``stopped`` at a pump, 1: it stands, 2: it runs
    and moves nothing.

    Quantities: pressure (m), level (m), residual_chlorine (mg/L) and turbidity (NTU) at nodes, flow (m3/h) in pipes,
    pump_current (A) at pumps.
    """

    def __init__(self, network: Network, wanted: Sequence[tuple[str, str]], start: float, seed: int) -> None:
        self._start = math.floor(start / STEP_S) * STEP_S
        self._folder = scratch_folder("epanet")
        folder = Path(self._folder.name)
        self._main = Project(folder, "town", water_input(network, self._start, seed))
        self._dirt: Project | None = None
        if any(quantity == "turbidity" for _, quantity in wanted):
            self._dirt = Project(folder, "dirt", water_input(network, self._start, seed, "TURBIDITY MG/L"))
        self._pipes = network.pipes
        self._pumps = {node.id for node in network.nodes.values() if node.between}
        self.mean_use_m3h = sum(node.attributes.get("base_demand_m3h", 0.0) for node in network.nodes.values())
        self._holes: dict[str, dict[str, float]] = {}
        self._stopped: dict[str, float] = {}
        self._read = [self._reader(asset, quantity) for asset, quantity in wanted]

    @property
    def clock(self) -> int:
        """Seconds since the start."""
        return self._main.clock

    @property
    def _projects(self) -> list[Project]:
        return [self._main] if self._dirt is None else [self._main, self._dirt]

    def _reader(self, asset: str, quantity: str) -> Callable[[], float]:
        epanet = self._main.epanet
        if quantity == "pump_current":
            return lambda: self.current(asset)
        if quantity == "flow":
            link = epanet.ENgetlinkindex(asset)
            return lambda: float(epanet.ENgetlinkvalue(link, FLOW))
        if quantity == "turbidity" and self._dirt is not None:
            other = self._dirt.epanet
            place = other.ENgetnodeindex(asset)
            return lambda: float(other.ENgetnodevalue(place, QUALITY))
        node, code = epanet.ENgetnodeindex(asset), QUALITY if quantity == "residual_chlorine" else PRESSURE
        return lambda: float(epanet.ENgetnodevalue(node, code))

    def step(self, to: float) -> Floats:
        goal = round(to - self._start)
        for project in self._projects:
            project.step(goal, season(self._start + self.clock))
        return np.array([read() for read in self._read])

    def joint(self, pipe: str) -> str:
        """The joint in the middle of a pipe, for ``head`` and ``demand``."""
        return middle(pipe)

    def demand(self, node: str) -> float:
        """m3/h that leave the network at a node, by use and by leak; negative where water comes in."""
        return self._main.node(node, DEMAND)

    def head(self, node: str) -> float:
        """Pressure in m at a node or at the middle of a pipe."""
        return self._main.node(node, PRESSURE)

    def current(self, pump: str) -> float:
        """A of a pump's motor, from the power that it takes; idling at a third where it moves nothing."""
        stopped = self._stopped.get(pump, 0.0)
        if stopped == 1.0:
            return 0.0
        full = 1000 * self._main.link(pump, ENERGY) / (math.sqrt(3) * VOLTS * POWER_FACTOR)
        return full if not stopped else IDLING_A

    def disturb(self, effect: str, asset: str, amount: float) -> None:
        known = self._pumps if effect == "stopped" else self._pipes
        if effect not in ("burst", "leak", "closed", "inflow", "dirt", "stopped") or asset not in known:
            raise KeyError(f"water has no {effect!r} at {asset!r}")
        if effect in ("burst", "leak"):
            self._holes.setdefault(asset, {})[effect] = emitter_coefficient(amount)
        for project in self._projects:
            if effect in ("burst", "leak"):
                project.set_node(middle(asset), EMITTER, max(sum(self._holes[asset].values()), MENDED))
            elif effect == "closed":
                project.set_link(asset, STATUS, 0.0 if amount else 1.0)
            elif effect == "stopped":
                project.set_link(outlet(asset), STATUS, 0.0 if amount else 1.0)
                self._stopped[asset] = amount
            elif effect == "inflow":
                project.set_node(middle(asset), BASE_DEMAND, -amount / season(self._start + self.clock))
            elif project is self._dirt:
                project.set_node(middle(asset), SOURCE_TYPE, CONCENTRATION)
                project.set_node(middle(asset), SOURCE, amount)

    def close(self) -> None:
        for project in self._projects:
            project.epanet.ENclose()
        self._folder.cleanup()
