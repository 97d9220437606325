"""Where each kind of event can happen, where it is likely to be seen, and which sensors see it."""

import math
from collections.abc import Callable
from itertools import chain

from lifeline.errors import ConfigurationError
from simulators.kinds import CHAMBER, DEVICE, KINDS, PUMP, SENSOR, Nature
from simulators.scenario import ANY, EventSpec, Scenario
from simulators.streets import Point
from simulators.town import Instrument, Node, Pipe, Town

FELT_M = 600.0
"""A burst or a closed valve is looked for on sensors so near, in metres."""
MAIN_MM = 150.0
SEEN_QUANTITIES = ("methane", "pressure", "level", "gas_pressure", "residual_chlorine", "flow")
"""What `any` picks for a sick or tampered sensor."""


def instruments_of(town: Town, quantity: str) -> list[Instrument]:
    return [i for i in town.instruments if i.quantity == quantity]


def key_of(instrument: Instrument) -> str:
    """How scenario files and the truth name a sensor."""
    return f"{instrument.device}/{instrument.channel}"


def _chambers(town: Town) -> list[str]:
    return list(dict.fromkeys(i.asset for i in instruments_of(town, "methane")))


def _manholes(town: Town) -> list[str]:
    return [name for name, node in town.drainage.nodes.items() if "area_ha" in node.attributes]


def _devices(town: Town) -> list[str]:
    gateways = town.gateways()
    return [device for device in town.device_network() if device not in gateways]


_ALLOWED: dict[str, Callable[[Town], list[str]]] = {
    CHAMBER: _chambers,
    "a regulator with a flow sensor": lambda town: [
        i.asset for i in instruments_of(town, "gas_flow") if i.asset in town.gas.nodes
    ],
    "a manhole with a methane sensor": lambda town: [a for a in _chambers(town) if a in town.drainage.nodes],
    "a water pipe": lambda town: list(town.water.pipes),
    "a conduit": lambda town: list(town.drainage.pipes),
    "a manhole": _manholes,
    "a place with a ponding sensor": lambda town: [i.asset for i in instruments_of(town, "ponding_depth")],
    PUMP: lambda town: [i.asset for i in instruments_of(town, "pump_current")],
    "a gateway": lambda town: list(town.gateways()),
    DEVICE: _devices,
    SENSOR: lambda town: [key_of(i) for i in town.instruments],
    "": lambda town: [],  # noqa: ARG005 - everywhere
}


def allowed(town: Town, kind: str) -> list[str]:
    """Every place that an event of this kind can name."""
    return _ALLOWED[KINDS[kind].place](town)


def likely(town: Town, kind: str) -> list[str]:
    """Where ``any`` may put it: places of which the town's sensors can see something."""
    places = allowed(town, kind)
    if kind in ("gas_leak", "third_party_damage"):
        return [place for place in places if place in town.gas.nodes]
    if kind == "burst":
        # Beside the pressure sensors that hang on the thinnest mains: what bursts there is felt there.
        gauged = sorted({i.asset for i in instruments_of(town, "pressure")})
        thin = sorted(gauged, key=lambda node: sum(_conductance(pipe) for pipe in town.water.pipes_at(node)))[:4]
        return [p for p in places if {town.water.pipes[p].a, town.water.pipes[p].b} & set(thin)]
    if kind == "valve_closed":
        metered = [i.asset for i in instruments_of(town, "flow") if i.asset in places and i.asset != _inlet(town)]
        return [pipe for pipe in metered if town.water.pipes[pipe].diameter_mm >= MAIN_MM]
    if kind == "contamination":
        dirty = {i.asset for i in instruments_of(town, "turbidity")}
        # Into thin pipes beside a sensor: what is pressed into a main is washed thin.
        thin_mains = [pipe for pipe in town.water.pipes.values() if pipe.diameter_mm < MAIN_MM]
        return sorted({main.id for main in thin_mains if {main.a, main.b} & dirty})
    levels = {i.asset for i in instruments_of(town, "level")}
    if kind == "blockage":
        return [p for p in places if town.drainage.pipes[p].a in levels and town.drainage.pipes[p].customers >= 250]
    if kind == "inflow":
        return [place for place in places if place in levels and "well_m2" not in town.drainage.nodes[place].attributes]
    if kind == "leak":
        return places if _inlet(town) else []
    if KINDS[kind].place == SENSOR:
        return [key_of(i) for i in town.instruments if i.quantity in SEEN_QUANTITIES]
    return places


def _conductance(pipe: Pipe) -> float:
    """How much a main carries for a loss of head, up to a factor (Hazen-Williams)."""
    return float(pipe.attributes["hazen_williams_c"] * pipe.diameter_mm**2.63 / pipe.length_m**0.54)


def _inlet(town: Town) -> str | None:
    """The pipe with a flow sensor through which the most customers get their water."""
    metered = [i.asset for i in instruments_of(town, "flow") if i.asset in town.water.pipes]
    return max(metered, key=lambda pipe: town.water.pipes[pipe].customers, default=None)


def inlet_meter(town: Town) -> str:
    """The sensor of the whole network's inflow, as device/channel; "" where there is none."""
    pipe = _inlet(town)
    return next((key_of(i) for i in instruments_of(town, "flow") if i.asset == pipe), "")


def leaking_pipe(town: Town, chamber: str) -> str:
    """The gas pipe from which gas comes into a chamber: at it for a valve chamber, else the nearest."""
    at = town.gas.pipes_at(chamber)
    if at:
        return min(at, key=lambda pipe: (pipe.install_year, pipe.id)).id  # the oldest leaks first
    east, north = town.position(chamber)
    return min(town.gas.pipes.values(), key=lambda p: (p.middle[0] - east) ** 2 + (p.middle[1] - north) ** 2).id


def pumped_from(town: Town, pump: str) -> str:
    """The node that a pump draws from."""
    node = town.asset(pump)
    return node.between[0] if isinstance(node, Node) and node.between else ""


def watched(town: Town, kind: str, place: str) -> list[tuple[int, float, bool]]:
    """(index of the instrument, change, is it a share) of all on which the event shows, by the sights of its kind."""
    found = []
    for sight in KINDS[kind].sights:
        near = _near(town, kind, place, sight.quantity)
        found += [
            (index, sight.change, sight.share)
            for index, i in enumerate(town.instruments)
            if i.quantity == sight.quantity and near(i)
        ]
    return found


def _near(town: Town, kind: str, place: str, quantity: str) -> Callable[[Instrument], bool]:
    network = KINDS[kind].network
    if quantity == "methane" or kind in ("inflow", "gully_clogged", "regulator_drowned"):
        return lambda i: i.asset == place
    if kind == "blockage":
        above = _above(town, place)
        return lambda i: i.asset in above
    if KINDS[kind].place == PUMP:
        return _at_pump(town, place, quantity)
    if kind in ("valve_closed", "contamination"):
        here = town.position(place)
        return lambda i: i.network == "water" and (i.asset == place or math.dist(i.at, here) < FELT_M)
    return lambda i: i.network == network


def _at_pump(town: Town, pump: str, quantity: str) -> Callable[[Instrument], bool]:
    instrument = next(i for i in instruments_of(town, "pump_current") if i.asset == pump)
    well = pumped_from(town, pump)
    if quantity == "battery":
        return lambda i: i.device == instrument.gateway
    if quantity == "pressure":
        return lambda i: i.network == instrument.network == "water"
    return lambda i: i.asset == well


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


def floors(town: Town, kind: str, place: str) -> dict[int, float]:
    """Instruments on which only what lies above a level of its own can be seen: a wet well above its start level."""
    pump = town.asset(place) if KINDS[kind].place == PUMP else None
    start = pump.attributes.get("start_level_m") if pump else None
    if start is None:
        return {}
    well = pumped_from(town, place)
    return {n: float(start) for n, i in enumerate(town.instruments) if i.asset == well and i.quantity == "level"}


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


def asset_of(town: Town, kind: str, place: str) -> tuple[str, Node | Pipe | None]:
    """The asset where an event happens and its id: the pipe for a gas leak, the site of a device, none for a storm."""
    if kind in ("gas_leak", "third_party_damage"):
        pipe = leaking_pipe(town, place)
        return pipe, town.asset(pipe)
    if KINDS[kind].nature is not Nature.PHYSICAL:
        here = chain(town.at_device(place), (i for i in town.instruments if key_of(i) == place))
        site = next(here).asset
        return site, town.asset(site)
    return place, town.asset(place)


def where(town: Town, kind: str, place: str) -> Point | None:
    """Where a place is, in metres of the plan; None for everywhere."""
    _, asset = asset_of(town, kind, place)
    return None if asset is None else asset.at if isinstance(asset, Node) else asset.middle


def nearest(town: Town, spec: EventSpec, point: Point | None) -> str:
    """Of the likely places of an event the nearest to a point."""
    places = likely(town, spec.kind)
    if not places or point is None:
        return places[0] if places else ""
    return min(places, key=lambda place: math.dist(where(town, spec.kind, place) or (1e9, 1e9), point))
