"""The town in motion: weather, three engines and the air in the chambers, read sensor by sensor at any time.

Values are the truth, in the units of the catalogue; what a device makes of them is ``simulators.device``'s matter.
"""

import math
from typing import NamedTuple

import numpy as np

from simulators.chamber import Chamber, biogas, hydrogen_sulphide
from simulators.demand import STEP_S
from simulators.drainage import DrainageEngine
from simulators.engine import Engine, Floats, Track
from simulators.gas import GasEngine
from simulators.gully import Gully
from simulators.town import Instrument, Node, Town
from simulators.water import WaterEngine
from simulators.weather import DAY_S, Weather

WARM_UP_S = 12 * 3600
HISTORY_STEP_S, GAS_HISTORY_STEP_S = 300, 3600
LIVE_STEP_S, GAS_LIVE_STEP_S = 10, 30
GAS_PACED_STEP_S = 120
VALVE_CHAMBER_BIOGAS = 0.15
"""A dry valve chamber gives off this share of what a manhole does."""

HYDRAULIC = {
    "water": ("pressure", "flow", "level", "residual_chlorine", "turbidity", "pump_current"),
    "drainage": ("level", "flow", "ponding_depth", "rain", "pump_current"),
    "gas": ("gas_pressure", "gas_flow"),
}


class Seep(NamedTuple):
    """Gas that finds its way into a chamber, and the blower that clears it, both in m3/h."""

    gas_m3h: float
    blower_m3h: float = 0.0


class World:
    """One town from ``start`` (epoch seconds) on. Time runs forward only; ``close`` gives back the engines' files."""

    def __init__(self, town: Town, start: float) -> None:
        self.town = town
        self.weather = Weather(town.seed)
        begin = math.floor((start - WARM_UP_S) / STEP_S) * STEP_S
        wanted = {network: _wanted(town, network) for network in HYDRAULIC}
        self._sewers = _sewer_flows(town)
        self.water = WaterEngine(town.water, wanted["water"], begin, town.seed)
        self.drainage = DrainageEngine(
            town.drainage, wanted["drainage"] + list(self._sewers.values()), begin, town.seed, self.weather
        )
        self.gas = GasEngine(town.gas, wanted["gas"], town.seed, self.weather)
        self._tracks = {
            "water": Track(self.water, begin, HISTORY_STEP_S),
            "drainage": Track(self.drainage, begin, HISTORY_STEP_S),
            "gas": Track(self.gas, start, GAS_HISTORY_STEP_S),
        }
        self._wanted = wanted
        self.chambers = {i.asset: _chamber(town, i.asset) for i in town.instruments if i.quantity == "methane"}
        self._seeps: dict[str, tuple[str, Seep]] = {}
        self._fouled: dict[str, tuple[str, float, float]] = {}
        self._gullies: dict[str, Gully] = {}
        self._unplugged: dict[str, float] = {}
        self._phases = np.random.default_rng([town.seed, 50]).uniform(0, 2 * math.pi, 3)
        self._clock = start - 3600
        self._dry_flow = {asset: _dry_flow(town, asset) for asset in self._sewers}

    def at(self, time: float) -> Floats:
        """The true value at each instrument, in the order of ``town.instruments``."""
        values: dict[tuple[str, str], float] = {}
        for network, track in self._tracks.items():
            row = track.at(time)
            values |= zip(self._wanted[network], row.tolist(), strict=False)
            if network == "drainage":
                self._air(
                    time, dict(zip(self._sewers, row[len(self._wanted[network]) :].tolist(), strict=True)), values
                )
        return np.array(
            [
                self._battery(i, time) if i.quantity == "battery" else values[i.asset, i.quantity]
                for i in self.town.instruments
            ]
        )

    def go_live(self, time: float, step_s: float = LIVE_STEP_S) -> None:
        """From now on step finely, so that what happens shows within seconds; gas at three times ``step_s``."""
        for track in self._tracks.values():
            # Finely up to this moment too: a step of history that reached beyond it would be blind to what happens now.
            track.every_s = step_s
            track.at(time)
        self._tracks["gas"].every_s = step_s * GAS_LIVE_STEP_S / LIVE_STEP_S
        self._tracks["gas"].restart(time)

    def step_every(self, seconds: float) -> None:
        """Once live: step the engines this often, never finer than live; gas settles at once and is solved seldom."""
        for network, track in self._tracks.items():
            track.every_s = max(seconds, LIVE_STEP_S)
            if network == "gas":
                track.every_s = GAS_HISTORY_STEP_S if seconds >= HISTORY_STEP_S else GAS_PACED_STEP_S

    def engine_of(self, asset: str) -> Engine:
        """The engine of the network to which an asset belongs. Raises KeyError."""
        for network in self.town.networks:
            if asset in network.nodes or asset in network.pipes:
                return self._tracks[network.key].engine
        raise KeyError(asset)

    def leak_gas(self, pipe: str, m3h: float, time: float) -> None:
        """Gas leaves a pipe from now on; the steady state is solved anew at once."""
        self.gas.disturb("leak", pipe, m3h)
        self._tracks["gas"].restart(time)

    def seep(self, cause: str, chamber: str, seep: Seep | None) -> None:
        """Gas enters a chamber by one cause, or no more. Raises KeyError where no methane is measured."""
        if chamber not in self.chambers:
            raise KeyError(chamber)
        if seep is None:
            self._seeps.pop(cause, None)
        else:
            self._seeps[cause] = (chamber, seep)

    def shut_gas(self, regulator: str, shut: float, time: float) -> None:
        """A regulator shuts from now on (1) or opens again (0)."""
        self.gas.disturb("shut", regulator, shut)
        self._tracks["gas"].restart(time)

    def foul(self, cause: str, chamber: str, sludge: float, calm: float) -> None:
        """Deposits give off so many times the usual biogas, and so much of the usual air passes; 1 and 1 ends it."""
        if chamber not in self.chambers:
            raise KeyError(chamber)
        self._fouled[cause] = (chamber, sludge, calm)

    def clog(self, place: str, area_ha: float, clogged: float) -> None:
        """The gullies of a street are clogged by so much; 0: they are clean, and what stands runs off."""
        gully = self._gullies.setdefault(place, Gully(area_ha))
        gully.area_ha, gully.clogged = area_ha, clogged

    def unplug(self, pump: str, since: float | None) -> None:
        """The gateway beside a pump lives on its battery from a moment on; None: there is power again."""
        gateway = next(i.gateway or i.device for i in self.town.instruments if i.asset == pump)
        if since is None:
            self._unplugged.pop(gateway, None)
        else:
            self._unplugged[gateway] = since

    def close(self) -> None:
        """Close the engines."""
        for track in self._tracks.values():
            track.engine.close()

    def _air(self, time: float, flows: dict[str, float], values: dict[tuple[str, str], float]) -> None:
        warm, wind = self.weather.sewer_c(time), self.weather.wind(time)
        seconds, self._clock = time - self._clock, time
        # Gas through soil comes in gusts with wind and traffic: what tells a leak from biogas (Huang Ping et al. 2019).
        gusty = 1 + 0.3 * math.sin(time / 9 + self._phases[0]) * math.sin(time / 31 + self._phases[1])
        for place, gully in self._gullies.items():
            depth = gully.step(max(seconds, 0.0), self.weather.rain(time))
            values[place, "ponding_depth"] = values.get((place, "ponding_depth"), 0.0) + depth
        for asset, chamber in self.chambers.items():
            seeps = [seep for where, seep in self._seeps.values() if where == asset]
            sludge = math.prod(times for where, times, _ in self._fouled.values() if where == asset)
            calm = math.prod(share for where, _, share in self._fouled.values() if where == asset)
            own = biogas(warm) * sludge * (1.0 if asset in flows else VALVE_CHAMBER_BIOGAS)
            vent = chamber.ventilation_m3h * wind * calm + sum(seep.blower_m3h for seep in seeps)
            gas = own + gusty * sum(seep.gas_m3h for seep in seeps)
            values[asset, "methane"] = chamber.step(max(seconds, 0.0), gas, vent)
            if asset in flows:
                values[asset, "h2s"] = hydrogen_sulphide(warm, flows[asset] / self._dry_flow[asset])

    def _battery(self, instrument: Instrument, time: float) -> float:
        """Lithium cells of devices at 3.6 V, lead of gateways (none is above them) at 12.7 V; cold lowers both.

        Without power from outside a lead battery falls by 0.5 V at once, off its float charge, and 0.12 V an hour.
        """
        cold = 0.002 * (self.weather.air_c(time) - 20)
        unplugged = self._unplugged.get(instrument.device)
        lost = 0.0 if unplugged is None else 0.5 + 0.12 * max(time - unplugged, 0.0) / 3600
        return (3.6 if instrument.gateway else 12.7) * (1 + cold) - 2e-5 * (time % (365 * DAY_S)) / DAY_S - lost


def _wanted(town: Town, network: str) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys(
            (i.asset, i.quantity) for i in town.instruments if i.network == network and i.quantity in HYDRAULIC[network]
        )
    )


def _sewer_flows(town: Town) -> dict[str, tuple[str, str]]:
    """Manhole whose air is measured -> the conduit that leaves it, whose flow says how long the sewage has stood."""
    air = {i.asset for i in town.instruments if i.network == "drainage" and i.quantity == "methane"}
    return {pipe.a: (pipe.id, "flow") for pipe in town.drainage.pipes.values() if pipe.a in air}


def _dry_flow(town: Town, manhole: str) -> float:
    conduit = next(pipe for pipe in town.drainage.pipes.values() if pipe.a == manhole)
    return max(conduit.customers * 0.017, 0.5)


def _chamber(town: Town, asset: str) -> Chamber:
    node = town.asset(asset)
    if not isinstance(node, Node):
        raise KeyError(asset)
    return Chamber(node.attributes["volume_m3"], node.attributes["ventilation_m3h"])
