"""What each kind of event does to the world."""

from collections.abc import Callable
from typing import Protocol

from simulators import orifice
from simulators.kinds import KINDS, Nature
from simulators.places import leaking_pipe
from simulators.scenario import EventSpec
from simulators.weather import Storm, design_depth
from simulators.world import Seep, World

LEAK_SEEN = 0.02
"""A leak of this share of the mean inflow is seen at the inlet's meter, at night when little else flows."""


class Cause(Protocol):
    """What an effect needs to know of its event."""

    id: str
    spec: EventSpec
    place: str
    start: float
    end: float
    felt: bool
    """Set where an effect itself knows that it can be seen."""


def _gas_leak(world: World, event: Cause, strength: float, now: float) -> None:
    parameters = event.spec.parameters
    pipe = leaking_pipe(world.town, event.place)
    hole = parameters["hole_mm"] * strength**0.5  # the area grows linearly
    leak = orifice.gas_flow(hole, world.gas.pressure_in(pipe))
    world.leak_gas(pipe, leak, now)
    blower = 0.0 if strength else parameters["blower_m3h"]
    world.seep(event.id, event.place, Seep(leak * parameters["share"], blower))


def _regulator_drowned(world: World, event: Cause, strength: float, now: float) -> None:
    world.shut_gas(event.place, strength, now)


def _biogas(world: World, event: Cause, strength: float, _now: float) -> None:
    parameters = event.spec.parameters
    world.weather.warm(event.id, parameters["warmer_k"] * strength)
    if strength:
        calm = 1 - (1 - parameters["calm"]) * strength
        world.foul(event.id, event.place, 1 + (parameters["sludge"] - 1) * strength, calm)
    else:
        world.foul(event.id, event.place, 1.0, 1.0)


def _burst(world: World, event: Cause, strength: float, _now: float) -> None:
    world.water.disturb("burst", event.place, event.spec.parameters["hole_mm"] * strength**0.5)


def _leak(world: World, event: Cause, strength: float, _now: float) -> None:
    share = event.spec.parameters["share"] * strength
    joint = world.water.joint(event.place)
    hole = orifice.hole_for(share * world.water.mean_use_m3h, world.water.head(joint)) if share else 0.0
    world.water.disturb("leak", event.place, hole)
    event.felt = event.felt or share >= LEAK_SEEN


def _valve_closed(world: World, event: Cause, strength: float, _now: float) -> None:
    world.water.disturb("closed", event.place, strength)


def _contamination(world: World, event: Cause, strength: float, _now: float) -> None:
    parameters = event.spec.parameters
    world.water.disturb("dirt", event.place, parameters["turbidity_ntu"] if strength else 0.0)
    world.water.disturb("inflow", event.place, parameters["inflow_m3h"] * strength)


def _blockage(world: World, event: Cause, strength: float, _now: float) -> None:
    world.drainage.disturb("blockage", event.place, event.spec.parameters["closed"] * strength)


def _inflow(world: World, event: Cause, strength: float, _now: float) -> None:
    world.drainage.disturb("inflow", event.place, event.spec.parameters["inflow_m3h"] * strength)


def _gully_clogged(world: World, event: Cause, strength: float, _now: float) -> None:
    parameters = event.spec.parameters
    world.clog(event.place, parameters["area_ha"], parameters["clogged"] * strength)


def _storm(world: World, event: Cause, strength: float, _now: float) -> None:
    parameters = event.spec.parameters
    if strength:
        lasts, years = event.end - event.start, parameters["return_years"]
        depth = design_depth(years, lasts) if years else parameters["depth_mm"]
        world.weather.add(event.id, Storm(event.start, lasts, depth, parameters["peak_share"]))
    else:
        world.weather.remove(event.id)


def _pump_failure(world: World, event: Cause, strength: float, _now: float) -> None:
    how = 2.0 if event.spec.parameters["runs"] >= 0.5 else 1.0
    world.engine_of(event.place).disturb("stopped", event.place, how if strength else 0.0)


def _power_cut(world: World, event: Cause, strength: float, now: float) -> None:
    world.engine_of(event.place).disturb("stopped", event.place, 1.0 if strength else 0.0)
    world.unplug(event.place, now if strength else None)


def _nothing(_world: World, _event: Cause, _strength: float, _now: float) -> None:
    """Nothing physical: the radio, the sensor or the clock is sick, the pipes are not."""


EFFECTS: dict[str, Callable[[World, Cause, float, float], None]] = {
    "gas_leak": _gas_leak,
    "third_party_damage": _gas_leak,
    "regulator_drowned": _regulator_drowned,
    "biogas": _biogas,
    "burst": _burst,
    "leak": _leak,
    "valve_closed": _valve_closed,
    "contamination": _contamination,
    "blockage": _blockage,
    "inflow": _inflow,
    "gully_clogged": _gully_clogged,
    "storm": _storm,
    "pump_failure": _pump_failure,
    "power_cut": _power_cut,
    **{name: _nothing for name, kind in KINDS.items() if kind.nature is not Nature.PHYSICAL},
}


def finish(world: World, event: Cause) -> None:
    """Long after its end: the crew has packed up."""
    if event.spec.kind in ("gas_leak", "third_party_damage"):
        world.seep(event.id, event.place, None)
