"""What each kind of event does to the world, where it can happen, and from when it can be seen there."""

from collections.abc import Callable
from dataclasses import dataclass, field

from lifeline.errors import ConfigurationError
from simulators import orifice
from simulators.engine import Floats
from simulators.scenario import ANY, KINDS, EventSpec, Scenario
from simulators.town import Node, Pipe, Town
from simulators.weather import Storm
from simulators.world import Seep, World

BLOWING_S = 900.0
"""How long the crew blows air through a chamber after the repair."""
STEP_OF_STRENGTH = 0.02
VISIBLE = {
    "gas_leak": ("methane", 0.1),
    "burst": ("pressure", -1.0),
    "blockage": ("level", 0.1),
    "inflow": ("level", 0.05),
    "storm": ("rain", 2.0),
}
"""Physically visible: a sensor's true value has moved by so much (in its unit, downwards where negative)."""


@dataclass(slots=True)
class Event:
    """One event at one place, from ``start`` to ``end`` (epoch seconds)."""

    id: str
    spec: EventSpec
    place: str
    start: float
    end: float
    strength: float = 0.0
    visible_from: float | None = None
    visible_at: str = ""
    baseline: Floats | None = None
    watched: list[int] = field(default_factory=list)

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
        """Note the moment from which the event can be seen; True when that is now."""
        if self.baseline is None:
            self.baseline = values
        if self.visible_from is not None or self.spec.kind not in VISIBLE:
            return False
        change = VISIBLE[self.spec.kind][1]
        for index in self.watched:
            if (values[index] - self.baseline[index]) / change >= 1.0:
                self.visible_from, self.visible_at = now, keys[index]
                return True
        return False


def _gas_leak(world: World, event: Event, strength: float, now: float) -> None:
    parameters = event.spec.parameters
    pipe = leaking_pipe(world.town, event.place)
    hole = parameters["hole_mm"] * strength**0.5  # the area grows linearly
    leak = orifice.gas_flow(hole, world.gas.pressure_in(pipe))
    world.leak_gas(pipe, leak, now)
    blower = 0.0 if strength else parameters["blower_m3h"]
    world.seep(event.id, event.place, Seep(leak * parameters["share"], blower))


def _burst(world: World, event: Event, strength: float, _now: float) -> None:
    world.water.disturb("burst", event.place, event.spec.parameters["hole_mm"] * strength**0.5)


def _blockage(world: World, event: Event, strength: float, _now: float) -> None:
    world.drainage.disturb("blockage", event.place, event.spec.parameters["closed"] * strength)


def _inflow(world: World, event: Event, strength: float, _now: float) -> None:
    world.drainage.disturb("inflow", event.place, event.spec.parameters["inflow_m3h"] * strength)


def _storm(world: World, event: Event, strength: float, _now: float) -> None:
    parameters = event.spec.parameters
    if strength:
        lasts = event.end - event.start
        world.weather.add(event.id, Storm(event.start, lasts, parameters["depth_mm"], parameters["peak_share"]))
    else:
        world.weather.remove(event.id)


def _gateway_dead(_world: World, _event: Event, _strength: float, _now: float) -> None:
    """Nothing physical: the radio is dead, the pipes are not. See ``Director.dead_gateways``."""


EFFECTS: dict[str, Callable[[World, Event, float, float], None]] = {
    "gas_leak": _gas_leak,
    "burst": _burst,
    "blockage": _blockage,
    "inflow": _inflow,
    "storm": _storm,
    "gateway_dead": _gateway_dead,
}


def finish(world: World, event: Event) -> None:
    """Long after its end: the crew has packed up."""
    if event.spec.kind == "gas_leak":
        world.seep(event.id, event.place, None)


def leaking_pipe(town: Town, chamber: str) -> str:
    """The gas pipe from which gas comes into a chamber: at it for a valve chamber, else the nearest."""
    at = town.gas.pipes_at(chamber)
    if at:
        return min(at, key=lambda pipe: (pipe.install_year, pipe.id)).id  # the oldest leaks first
    east, north = town.position(chamber)
    return min(town.gas.pipes.values(), key=lambda p: (p.middle[0] - east) ** 2 + (p.middle[1] - north) ** 2).id


def allowed(town: Town, kind: str) -> list[str]:
    """Every place that an event of this kind can name."""
    if kind == "gas_leak":
        return list(dict.fromkeys(i.asset for i in town.instruments if i.quantity == "methane"))
    if kind == "burst":
        return list(town.water.pipes)
    if kind == "blockage":
        return list(town.drainage.pipes)
    if kind == "inflow":
        return [name for name, node in town.drainage.nodes.items() if "area_ha" in node.attributes]
    return list(town.gateways()) if kind == "gateway_dead" else []


def likely(town: Town, kind: str) -> list[str]:
    """Where ``any`` may put it: places of which the town's sensors can see something."""
    places = allowed(town, kind)
    if kind == "gas_leak":
        return [place for place in places if place in town.gas.nodes]
    if kind == "burst":
        # Beside the pressure sensors that hang on the thinnest mains: what bursts there is felt there.
        gauged = sorted({i.asset for i in town.instruments if i.quantity == "pressure"})
        thin = sorted(gauged, key=lambda node: sum(_conductance(pipe) for pipe in town.water.pipes_at(node)))[:4]
        return [p for p in places if {town.water.pipes[p].a, town.water.pipes[p].b} & set(thin)]
    levels = {i.asset for i in town.instruments if i.quantity == "level"}
    if kind == "blockage":
        return [p for p in places if town.drainage.pipes[p].a in levels and town.drainage.pipes[p].customers >= 250]
    return [place for place in places if place in levels] if kind == "inflow" else places


def _conductance(pipe: Pipe) -> float:
    """How much a main carries for a loss of head, up to a factor (Hazen-Williams)."""
    return float(pipe.attributes["hazen_williams_c"] * pipe.diameter_mm**2.63 / pipe.length_m**0.54)


def watched(town: Town, kind: str, place: str) -> list[int]:
    """Indices of the instruments on which the event shows: at or above the place for what backs up there."""
    if kind not in VISIBLE:
        return []
    quantity, network = VISIBLE[kind][0], {"burst": "water", "gas_leak": ""}.get(kind, "drainage")
    near = {"gas_leak": {place}, "blockage": _above(town, place), "inflow": {place}}.get(kind)
    return [
        index
        for index, i in enumerate(town.instruments)
        if i.quantity == quantity and network in ("", i.network) and (near is None or i.asset in near)
    ]


def _above(town: Town, conduit: str) -> set[str]:
    """Manholes that drain through a conduit."""
    pipes = town.drainage.pipes
    if conduit not in pipes:
        return set()
    found, front = set[str](), {pipes[conduit].a}
    while front:
        found |= front
        front = {pipe.a for pipe in pipes.values() if pipe.b in front} - found
    return found


def check_places(town: Town, scenario: Scenario) -> None:
    """Raises ConfigurationError for a place that the town does not have."""
    for number, spec in enumerate(scenario.events, 1):
        places = allowed(town, spec.kind)
        if spec.place != ANY and spec.place not in places:
            message = f"scenario {scenario.name}, event {number}: {spec.place!r} is not {KINDS[spec.kind].place}"
            raise ConfigurationError(f"{message}; for example {', '.join(places[:3])}")
        if KINDS[spec.kind].place and not likely(town, spec.kind):
            raise ConfigurationError(
                f"scenario {scenario.name}, event {number}: the town has no {KINDS[spec.kind].place}"
            )


def place_of(town: Town, event: Event) -> tuple[str, Node | Pipe | None]:
    """The asset where an event happens and its id: the pipe for a gas leak, the gateway's site, none for a storm."""
    if event.spec.kind == "gas_leak":
        pipe = leaking_pipe(town, event.place)
        return pipe, town.asset(pipe)
    if event.spec.kind == "gateway_dead":
        site = next(town.at_device(event.place)).asset
        return site, town.asset(site)
    return event.place, town.asset(event.place)
