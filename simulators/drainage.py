"""Drainage by SWMM: the network as an input file, and the engine that steps it.

SWMM keeps its state in one C library: a process can run one simulation at a time.
"""

import math
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from lifeline.model import AssetKind
from simulators.demand import week
from simulators.drains import MANNING_N
from simulators.engine import Floats, scratch_folder
from simulators.orifice import plate_loss
from simulators.town import Network, Node
from simulators.weather import LOCAL_S, Weather

YEARS = timedelta(days=3650)
ROUTING_STEP_S = 30
RUNOFF_STEP = "00:00:30"
"""In dry weather too: SWMM looks at the rain once a runoff step, and what falls before the next look is lost."""
PONDED_AREA_M2 = 500
LEAST_LOSS = 0.001
DEEPEST_M = 9.0
"""Depth of a wet well and of the cutting above it."""
PUMP_STEP_S = 30
"""The switch of a pump is looked at so often."""
GRAVITY_KN_M3, EFFICIENCY = 9.81, 0.6
VOLTS, POWER_FACTOR = 400.0, 0.85


def drainage_input(network: Network, start: float, seed: int) -> str:
    """The network as a SWMM input file that begins at ``start`` (epoch seconds) in local time."""
    begin = datetime.fromtimestamp(start + LOCAL_S, UTC)
    manholes = [n for n in network.nodes.values() if "area_ha" in n.attributes]
    wells = [n for n in manholes if "well_m2" in n.attributes]
    pumps = [n for n in network.nodes.values() if n.between]
    outfalls = [n for n in network.nodes.values() if n.kind is AssetKind.OUTFALL]
    sections = {
        "OPTIONS": _options(begin),
        "EVAPORATION": ["CONSTANT 0.0"],
        "RAINGAGES": ["sky INTENSITY 1:00 1.0 TIMESERIES dry"],
        "TIMESERIES": ["dry 0:00 0.0", "dry 1:00 0.0"],
        "SUBCATCHMENTS": [
            f"S-{n.id} sky {n.id} {n.attributes['area_ha']} 62 {math.sqrt(n.attributes['area_ha'] * 10_000):.1f} 0.8 0"
            for n in manholes
        ],
        "SUBAREAS": [f"S-{n.id} 0.013 0.2 1.0 4.0 25 OUTLET" for n in manholes],
        "INFILTRATION": [f"S-{n.id} 60 6 4 7 0" for n in manholes],
        "JUNCTIONS": [
            f"{n.id} {n.attributes['invert_m']} {n.attributes['cover_m'] - n.attributes['invert_m']:.3f} "
            f"0.02 0 {PONDED_AREA_M2}"
            for n in manholes
            if n not in wells
        ],
        "STORAGE": [f"{n.id} {n.attributes['invert_m']} {DEEPEST_M} 0.8 TABULAR area-{n.id} 0 0" for n in wells],
        "CURVES": [
            *(line for n in wells for line in _areas(n)),
            *(line for n in pumps for line in _lift(n)),
        ],
        "OUTFALLS": [f"{n.id} {n.attributes['invert_m']} FREE NO" for n in outfalls],
        "PUMPS": [f"{n.id} {_ends(n)[0]} {_ends(n)[1]} lift-{n.id} OFF 0 0" for n in pumps],
        "CONDUITS": [f"{p.id} {p.a} {p.b} {p.length_m} {MANNING_N} 0 0 0 0" for p in network.pipes.values()],
        "XSECTIONS": [f"{p.id} CIRCULAR {p.diameter_mm / 1000} 0 0 0 1" for p in network.pipes.values()],
        # Without any loss at the start SWMM would not look at one that comes later: see DrainageEngine.disturb.
        "LOSSES": [f"{p.id} 0 0 {LEAST_LOSS}" for p in network.pipes.values()],
        "DWF": [f'{n.id} FLOW {n.attributes["sewage_m3h"] / 3.6:.5f} "" hourly "" weekend' for n in manholes],
        "PATTERNS": _patterns(seed),
        "REPORT": ["INPUT NO", "CONTROLS NO", "SUBCATCHMENTS NONE", "NODES NONE", "LINKS NONE"],
    }
    return "".join(f"[{name}]\n" + "".join(f"{line}\n" for line in lines) + "\n" for name, lines in sections.items())


def _ends(pump: Node) -> tuple[str, str]:
    if pump.between is None:
        raise KeyError(pump.id)
    return pump.between


def _areas(well: Node) -> list[str]:
    """Surface of a wet well over its depth: a shaft up to the road, then the road itself."""
    shaft, road, level = (well.attributes[key] for key in ("well_m2", "road_m2", "road_m"))
    steps = ((0.0, shaft), (level, shaft), (level + 0.15, road / 2), (level + 0.6, road), (DEEPEST_M, 2 * road))
    return [f"area-{well.id} {'Storage' if not n else ''} {depth} {area}" for n, (depth, area) in enumerate(steps)]


def _lift(pump: Node) -> list[str]:
    """Flow in L/s over the depth in the well: constant, as of a pump with a steep curve."""
    flow = pump.attributes["rated_flow_m3h"] / 3.6
    return [f"lift-{pump.id} {'Pump4' if not n else ''} {depth} {flow:.3f}" for n, depth in enumerate((0.0, DEEPEST_M))]


def _options(begin: datetime) -> list[str]:
    end = begin + YEARS
    reports = end - timedelta(days=1)  # SWMM's result file would grow for ever: nothing is written until the very end
    return [
        "FLOW_UNITS LPS", "INFILTRATION HORTON", "FLOW_ROUTING DYNWAVE", "LINK_OFFSETS DEPTH", "ALLOW_PONDING YES",
        f"START_DATE {begin:%m/%d/%Y}", f"START_TIME {begin:%H:%M:%S}",
        f"REPORT_START_DATE {reports:%m/%d/%Y}", f"REPORT_START_TIME {reports:%H:%M:%S}",
        f"END_DATE {end:%m/%d/%Y}", f"END_TIME {end:%H:%M:%S}",
        "REPORT_STEP 24:00:00", f"WET_STEP {RUNOFF_STEP}", f"DRY_STEP {RUNOFF_STEP}", f"ROUTING_STEP {ROUTING_STEP_S}",
        "INERTIAL_DAMPING PARTIAL", "VARIABLE_STEP 0.75", "MINIMUM_STEP 0.5", "MAX_TRIALS 8", "HEAD_TOLERANCE 0.0015",
        "THREADS 1",
    ]  # fmt: skip


def _patterns(seed: int) -> list[str]:
    """Sewage follows the residential use of water, hour by hour; weekends have their own day."""
    factors = week("residential", np.random.default_rng([seed, 30]))
    hours = factors.reshape(7, 24, 4).mean(axis=2)
    lines = []
    for name, kind, day in (
        ("hourly", "HOURLY", hours[:5].mean(axis=0)),
        ("weekend", "WEEKEND", hours[5:].mean(axis=0)),
    ):
        lines.append(f"{name} {kind} " + " ".join(f"{f:.3f}" for f in day))
    return lines


class DrainageEngine:
    """SWMM, stepped. Effects: ``blockage`` at a conduit, the amount is the share of its section that is closed (0..1);
    ``inflow`` at a manhole, the amount in m3/h; ``stopped`` at a pump, 1: it stands, 2: it runs and moves nothing.

    Quantities: level (m above the invert), ponding_depth (m above the cover or the road) at manholes and wet wells,
    flow (m3/h) in conduits, pump_current (A) at pumps, rain (mm/h) anywhere.
    """

    def __init__(
        self, network: Network, wanted: Sequence[tuple[str, str]], start: float, seed: int, weather: Weather
    ) -> None:
        from pyswmm import Links, Nodes, RainGages, Simulation  # an optional extra

        self.clock = start
        self._start, self._weather, self._network = start, weather, network
        self._folder = scratch_folder("swmm")
        folder = Path(self._folder.name)
        (folder / "town.inp").write_text(drainage_input(network, start, seed), encoding="ascii")
        self._swmm = Simulation(*(str(folder / f"town.{ending}") for ending in ("inp", "rpt", "out")))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyswmm asks for a with block; close() does what its __exit__ does
            self._swmm.start()
        nodes, links = Nodes(self._swmm), Links(self._swmm)
        self._sky = RainGages(self._swmm)["sky"]
        self._nodes: dict[str, Any] = {name: nodes[name] for name, n in network.nodes.items() if not n.between}
        moved = [*network.pipes, *(name for name, node in network.nodes.items() if node.between)]
        self._links: dict[str, Any] = {name: links[name] for name in moved}
        self._wanted = list(wanted)
        self._pumps = {name: node for name, node in network.nodes.items() if node.between}
        self._runs = dict.fromkeys(self._pumps, False)
        self._stopped: dict[str, float] = {}

    def step(self, to: float) -> Floats:
        while self.clock < to:
            # Rain is constant over a step, so a step in rain is short; SWMM's own steps are shorter still.
            longest = PUMP_STEP_S if self._pumps else 60 if self._weather.rain(self.clock) > 0 else 300
            seconds = min(to - self.clock, longest)
            self._switch()
            self._sky.total_precip = self._weather.rain(self.clock + seconds / 2)
            self._swmm.step_advance(math.ceil(seconds))
            next(self._swmm)
            self.clock = self._start + (self._swmm.current_time - self._swmm.start_time).total_seconds()
        return np.array([self.value(asset, quantity) for asset, quantity in self._wanted])

    def _switch(self) -> None:
        """Each pump starts at the level where it must and stops where it may; a failed one does neither."""
        for name, pump in self._pumps.items():
            level = self._nodes[_ends(pump)[0]].depth
            start, stop = pump.attributes["start_level_m"], pump.attributes["stop_level_m"]
            self._runs[name] = level >= start or (self._runs[name] and level > stop)
            self._links[name].target_setting = 1.0 if self._runs[name] and not self._stopped.get(name) else 0.0

    def current(self, pump: str) -> float:
        """A of a pump's motor from what it lifts; a third of it where it runs and moves nothing."""
        failed = self._stopped.get(pump, 0.0)
        if not self._runs[pump] or failed == 1.0:
            return 0.0
        flow, head = (self._pumps[pump].attributes[key] for key in ("rated_flow_m3h", "rated_head_m"))
        kilowatt = GRAVITY_KN_M3 * flow / 3600 * head / EFFICIENCY
        full = float(1000 * kilowatt / (math.sqrt(3) * VOLTS * POWER_FACTOR))
        return full / 3 if failed else full

    def value(self, asset: str, quantity: str) -> float:
        if quantity == "rain":
            return self._weather.rain(self.clock)
        if quantity == "flow":
            return float(self._links[asset].flow) * 3.6
        if quantity == "pump_current":
            return self.current(asset)
        node = self._nodes[asset]
        # With ponding allowed the depth goes on above the cover, over the ponded area.
        cover = self._network.nodes[asset].attributes.get("road_m", node.full_depth)
        above = max(0.0, node.depth - cover)
        return float(above if quantity == "ponding_depth" else node.depth)

    def disturb(self, effect: str, asset: str, amount: float) -> None:
        if effect == "blockage" and asset in self._links:
            # SWMM knows a conduit as open or closed: what is half closed costs head, and passes its flow on in the end.
            self._links[asset].target_setting = 0.0 if amount >= 1.0 else 1.0
            self._links[asset].average_head_loss = max(plate_loss(amount), LEAST_LOSS) if amount < 1.0 else LEAST_LOSS
        elif effect == "inflow" and asset in self._nodes:
            self._nodes[asset].generated_inflow(amount / 3.6)
        elif effect == "stopped" and asset in self._pumps:
            self._stopped[asset] = amount
        else:
            raise KeyError(f"drainage has no {effect!r} at {asset!r}")

    def close(self) -> None:
        self._swmm.__exit__()
        self._folder.cleanup()
