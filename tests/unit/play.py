"""A scenario over a world without physics, which only remembers what is done to it."""

from dataclasses import dataclass, field
from typing import Any

from lifeline.model import JsonObject
from simulators.director import Director
from simulators.kinds import KINDS
from simulators.scenario import EventSpec, Scenario
from simulators.town import Town
from simulators.weather import Storm, Weather
from simulators.world import Seep

START = 1_795_000_200.0


@dataclass
class Engine:
    """Keeps the setting of each effect and how often one was set."""

    now: dict[tuple[str, str], float] = field(default_factory=dict)
    settings: list[float] = field(default_factory=list)

    def disturb(self, effect: str, asset: str, amount: float) -> None:
        self.now[effect, asset] = amount
        self.settings.append(amount)

    def pressure_in(self, _pipe: str) -> float:
        return 3.5

    def joint(self, pipe: str) -> str:
        return pipe

    def head(self, _joint: str) -> float:
        return 45.0

    mean_use_m3h = 140.0


class Dry(Weather):
    """No shower of its own."""

    def _shower(self, day: int) -> Storm | None:
        return None


class Ledger:
    """A world without physics: it only remembers what is done to it."""

    def __init__(self, town: Town) -> None:
        self.town, self.weather = town, Dry(town.seed)
        self.water, self.drainage, self.gas = Engine(), Engine(), Engine()
        self.seeps: dict[str, tuple[str, Seep]] = {}

    def leak_gas(self, pipe: str, m3h: float, time: float) -> None:
        self.gas.disturb("leak", pipe, m3h)

    def shut_gas(self, regulator: str, shut: float, time: float) -> None:
        self.gas.disturb("shut", regulator, shut)

    def foul(self, cause: str, chamber: str, sludge: float, calm: float) -> None:
        self.drainage.disturb("foul", chamber, sludge - 1)

    def clog(self, place: str, area_ha: float, clogged: float) -> None:
        self.drainage.disturb("clog", place, clogged)

    def unplug(self, pump: str, since: float | None) -> None:
        self.drainage.disturb("unplugged", pump, since or 0.0)

    def engine_of(self, asset: str) -> Engine:
        return self.water if asset.startswith("W") else self.drainage

    def seep(self, cause: str, chamber: str, seep: Seep | None) -> None:
        self.seeps.pop(cause, None)
        if seep is not None:
            self.seeps[cause] = (chamber, seep)

    def effects(self) -> dict[tuple[str, str], float]:
        """What acts now, without what is at 0."""
        everything = self.water.now | self.drainage.now | self.gas.now
        return {effect: amount for effect, amount in everything.items() if amount}


def event(kind: str, at: float, lasts: float, place: str = "any", **parameters: float) -> EventSpec:
    defaults = {key: parameter.default for key, parameter in KINDS[kind].parameters.items()}
    return EventSpec(kind, at, lasts, place, defaults | parameters)


class Play:
    """A scenario over a ledger, told the time by the test."""

    def __init__(self, town: Town, *events: EventSpec, cycle_s: float | None = None) -> None:
        self.records: list[JsonObject] = []
        self.world: Any = Ledger(town)
        self.director = Director(town, Scenario("s", "S", events, cycle_s), START, self.records.append)

    def at(self, *seconds: float) -> dict[tuple[str, str], float]:
        for second in seconds:
            self.director.tick(self.world, START + second)
        effects: dict[tuple[str, str], float] = self.world.effects()
        return effects

    def states(self) -> list[tuple[str, str]]:
        return [(record["id"], record["state"]) for record in self.records]
