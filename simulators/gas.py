"""Gas by pandapipes: a steady state for each moment, because pressure waves in a town's mains settle within seconds.

A solve costs 50 ms, and while nothing is disturbed the state follows from one number alone: the share of the winter
peak that is used. So the states of a hundred shares are kept, and what lies between two of them is interpolated, which
is off by less than 0.0001 bar and keeps every balance, being linear.
"""

import math
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np

from lifeline.errors import LifelineError
from simulators import demand
from simulators.engine import Floats
from simulators.orifice import METHANE_NORMAL_KG_M3
from simulators.town import Network
from simulators.weather import Weather

ROUGHNESS_MM = {"pe": 0.01, "steel": 0.1, "grey_cast_iron": 0.5}
HEATING_BELOW_C = 16.0
GATE_DROOP_BAR = 0.12
"""How much the gate's regulator gives way between no flow and the winter peak."""
LESS_LEAK, LEAST_LEAK = 0.8, 0.02
"""A leak that the pipes cannot feed gives way in such steps: its pressure falls until no more comes than they carry."""
KG_S_PER_M3H = METHANE_NORMAL_KG_M3 / 3600
SHARES = 100
"""So many states are kept for each unit of the share that is used."""


class State(NamedTuple):
    """Gauge pressure in bar and what is drawn in normal m3/h at each node, flow in normal m3/h in each pipe."""

    pressure: Floats
    drawn: Floats
    flow: Floats


def use(factor: float, air_c: float) -> float:
    """Share of the winter peak that is used: cooking by the hour, heating by the cold (all of it at -2 Celsius)."""
    heating = min(max((HEATING_BELOW_C - air_c) / 18.0, 0.0), 1.0)
    return 0.12 * factor + 0.55 * heating * (0.75 + 0.25 * min(factor, 1.5))


def load_pandapipes() -> ModuleType:
    """pandapipes, which takes a second, and without what its import does to every figure of the process: matplotlib
    would draw no SVG any more."""
    from matplotlib.backend_bases import RendererBase

    drawing = RendererBase.new_gc
    import pandapipes

    RendererBase.new_gc = drawing  # type: ignore[method-assign]
    loaded: ModuleType = pandapipes
    return loaded


class GasEngine:
    """pandapipes, solved at each step. Effects: ``leak`` at a pipe, the amount in normal m3/h; ``shut`` at a regulator
    (1), whose district then gets nothing.

    Quantities: gas_pressure (bar, gauge) at nodes; gas_flow (normal m3/h) in pipes and out of regulators.
    """

    def __init__(self, network: Network, wanted: Sequence[tuple[str, str]], seed: int, weather: Weather) -> None:
        self._pandapipes = pandapipes = load_pandapipes()
        self._network, self._weather = network, weather
        self._factors = demand.week("cooking", np.random.default_rng([seed, 40]))
        self._net = pandapipes.create_empty_network(fluid="hgas")
        self._junctions = {name: i for i, name in enumerate(network.nodes)}
        count = len(network.nodes)
        pandapipes.create_junctions(self._net, count, pn_bar=4.0, tfluid_k=285.0)
        gate = network.nodes["G-R-0"]
        self._gate_bar: float = gate.attributes["pressure_bar"]
        pandapipes.create_ext_grid(self._net, self._junctions[gate.id], p_bar=self._gate_bar, t_k=285.0, type="pt")
        pipes = list(network.pipes.values())
        self._pipes = {pipe.id: i for i, pipe in enumerate(pipes)}
        pandapipes.create_pipes_from_parameters(
            self._net,
            [self._junctions[pipe.a] for pipe in pipes],
            [self._junctions[pipe.b] for pipe in pipes],
            length_km=[pipe.length_m / 1000 for pipe in pipes],
            inner_diameter_mm=[pipe.diameter_mm for pipe in pipes],
            k_mm=[ROUGHNESS_MM[pipe.material] for pipe in pipes],
        )
        # One sink at each node holds its customers and its share of leaks.
        self._peak = np.array([node.attributes["peak_demand_m3h"] for node in network.nodes.values()])
        self._leaks = np.zeros(count)
        pandapipes.create_sinks(self._net, list(range(count)), mdot_kg_per_s=0.0)
        self._wanted = list(wanted)
        self._leak_at: dict[str, float] = {}
        self._open = np.ones(count)
        self._calm: dict[int, State] = {}

    def step(self, to: float) -> Floats:
        share = use(demand.at(self._factors, to), self._weather.air_c(to))
        self._state = self._calm_state(share) if self._undisturbed else self._fed(share)
        return np.array([self.value(asset, quantity) for asset, quantity in self._wanted])

    @property
    def _undisturbed(self) -> bool:
        return not self._leaks.any() and bool(self._open.all())

    def _calm_state(self, share: float) -> State:
        """Between the two states that are kept around a share."""
        place = math.floor(share * SHARES)
        for each in (place, place + 1):
            if each not in self._calm:
                self._calm[each] = self._fed(each / SHARES)
        way = share * SHARES - place
        return State(
            *((1 - way) * low + way * high for low, high in zip(self._calm[place], self._calm[place + 1], strict=True))
        )

    def _fed(self, share: float) -> State:
        """The steady state at a share of the peak; a leak that the pipes cannot feed gives way."""
        self._net.ext_grid["p_bar"] = self._gate_bar - GATE_DROOP_BAR * share
        fed = 1.0
        while (state := self._solved(self._open * self._peak * share + fed * self._leaks)) is None:
            if fed == 0.0:
                raise LifelineError("the gas network has no steady state")
            fed = fed * LESS_LEAK if fed > LEAST_LEAK else 0.0
        return state

    def _solved(self, drawn_m3h: Floats) -> State | None:
        """The steady state with so much drawn at each node, None where there is none."""
        self._net.sink["mdot_kg_per_s"] = drawn_m3h * KG_S_PER_M3H
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pandas' warnings about pandapipes' own code
                self._pandapipes.pipeflow(self._net, friction_model="nikuradse", mode="hydraulics", use_numba=False)
        except self._pandapipes.PipeflowNotConverged:
            return None
        pressure = self._net.res_junction["p_bar"].to_numpy(float, copy=True)
        flow = self._net.res_pipe["mdot_from_kg_per_s"].to_numpy(float, copy=True) / KG_S_PER_M3H
        return State(pressure, drawn_m3h, flow) if (pressure > 0).all() else None

    def value(self, asset: str, quantity: str) -> float:
        if quantity == "gas_pressure":
            return float(self._state.pressure[self._junctions[asset]])
        if asset in self._pipes:
            return float(self._state.flow[self._pipes[asset]])
        return float(self._state.drawn[self._junctions[asset]])

    def pressure_in(self, pipe: str) -> float:
        """Gauge pressure in bar in the middle of a pipe."""
        ends = self._network.pipes[pipe]
        return (self.value(ends.a, "gas_pressure") + self.value(ends.b, "gas_pressure")) / 2

    def disturb(self, effect: str, asset: str, amount: float) -> None:
        if effect == "shut" and asset in self._junctions:
            self._open[self._junctions[asset]] = 0.0 if amount else 1.0
            return
        if effect != "leak" or asset not in self._network.pipes:
            raise KeyError(f"gas has no {effect!r} at {asset!r}")
        self._leak_at[asset] = amount
        self._leaks[:] = 0.0
        for name, leak in self._leak_at.items():
            for end in (self._network.pipes[name].a, self._network.pipes[name].b):
                self._leaks[self._junctions[end]] += leak / 2

    def close(self) -> None:
        """pandapipes holds no files; nothing to give back."""
