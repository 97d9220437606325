"""Plays a scenario: starts and ends its events on time, and writes down the truth."""

import json
import math
from collections.abc import Callable, Iterator
from typing import TextIO

import numpy as np

from lifeline.model import JsonObject
from simulators.device import timestamp
from simulators.effects import finish
from simulators.engine import Floats
from simulators.events import BLOWING_S, Event
from simulators.faults import Fault
from simulators.kinds import KINDS, Nature
from simulators.places import asset_of, check_places, floors, inlet_meter, key_of, likely, nearest, watched, where
from simulators.scenario import ANY, EventSpec, Scenario
from simulators.streets import to_wgs84
from simulators.town import Node, Pipe, Town
from simulators.weather import DAY_S
from simulators.world import World

Record = Callable[[JsonObject], None]


class Director:
    """One scenario in one town from ``live_from`` (epoch seconds). Raises ConfigurationError for an unknown place."""

    def __init__(self, town: Town, scenario: Scenario, live_from: float, record: Record) -> None:
        check_places(town, scenario)
        self._town, self._scenario, self._live_from, self._record = town, scenario, live_from, record
        self._coming = self._schedule()
        self._next = next(self._coming, None)
        self._used: dict[str, int] = {}
        self._keys = [key_of(i) for i in town.instruments]
        self._devices = [i.device for i in town.instruments]
        self.active: list[Event] = []
        self._over: list[Event] = []
        self._faults: list[Fault] = []
        self._placed: dict[str, Event] = {}
        self._latest: Floats | None = None

    @property
    def dead_gateways(self) -> set[str]:
        """Gateways that must not be heard now."""
        return self._places_of("gateway_dead")

    @property
    def silent_devices(self) -> set[str]:
        """Devices that say nothing now, and will not make up for it."""
        return self._places_of("silence")

    @property
    def garbling_devices(self) -> set[str]:
        """Devices that send bytes that are no reading."""
        return self._places_of("garbage")

    def clock_offset(self, device: str, now: float) -> float:
        """Seconds by which a device's clock is ahead of the true time."""
        return sum(
            event.spec.parameters["skew_s"] + event.spec.parameters["drift_s_per_day"] * (now - event.start) / DAY_S
            for event in self.active
            if event.spec.kind == "clock_skew" and event.place == device
        )

    def told(self, read: list[float], now: float) -> list[float]:
        """What sick and tampered sensors tell instead of what they ``read``; NaN for those of a silent device."""
        if not self._faults and not self._places_of("silence"):
            return read
        told = list(read)
        for fault in self._faults:
            honest = told[fault.index]
            told[fault.index] = fault.told(honest, now)
            if fault.event.visible_from is None and fault.visible(honest, told[fault.index]):
                fault.event.seen(self._keys[fault.index], now)
                self._write(fault.event, "visible")
        silent = self.silent_devices
        return [math.nan if device in silent else value for device, value in zip(self._devices, told, strict=True)]

    def _places_of(self, kind: str) -> set[str]:
        return {event.place for event in self.active if event.spec.kind == kind}

    def tick(self, world: World, now: float) -> None:
        """Start what is due, drive what goes on, end what is over."""
        while self._next and self._next[0] <= now:
            at, spec, name = self._next
            if at + spec.lasts_s > now:  # what was slept through (a laptop was closed) never happened
                self._begin(at, spec, name)
            self._next = next(self._coming, None)
        for event in list(self.active):
            event.drive(world, now)
            if now >= event.end:
                self.active.remove(event)
                self._over.append(event)
                self._faults = [fault for fault in self._faults if fault.event is not event]
                self._write(event, "ended")
                self._act_again(event)
        for event in [event for event in self._over if now >= event.end + BLOWING_S]:
            self._over.remove(event)
            finish(world, event)

    def observe(self, values: Floats, now: float) -> None:
        """Look at the true values of all instruments and note what can be seen from now on."""
        for event in self.active:
            if event.observe(values, self._keys, now):
                self._write(event, "visible")
        self._latest = values

    def _act_again(self, ended: Event) -> None:
        """Others of its kind at the same asset still go on: their effect is set anew."""
        asset, _ = self._asset_of(ended)
        for event in self.active:
            if event.spec.kind == ended.spec.kind and self._asset_of(event)[0] == asset:
                event.strength = 0.0

    def _asset_of(self, event: Event) -> tuple[str, Node | Pipe | None]:
        return asset_of(self._town, event.spec.kind, event.place)

    def _schedule(self) -> Iterator[tuple[float, EventSpec, str]]:
        cycle = 0
        while self._scenario.events:
            base = self._live_from + cycle * (self._scenario.cycle_s or 0.0)
            for number, spec in enumerate(self._scenario.events, 1):
                yield base + spec.at_s, spec, f"{self._scenario.name}-{cycle + 1}-{number}"
            cycle += 1
            if self._scenario.cycle_s is None:
                return

    def _begin(self, at: float, spec: EventSpec, name: str) -> None:
        event = Event(name, spec, self._place(spec), at, at + spec.lasts_s)
        if spec.name:
            self._placed[spec.name] = event
        event.watched = watched(self._town, spec.kind, event.place)
        event.floors = floors(self._town, spec.kind, event.place)
        event.baseline = self._latest  # as it was before: some effects show at once
        nature = KINDS[spec.kind].nature
        if spec.kind == "leak":
            event.meter = inlet_meter(self._town)
        elif nature is Nature.DEVICE:  # its last will speaks at once, or it is missed from its next reading on
            event.seen(f"{event.place}/status", at)
        elif nature in (Nature.FAULT, Nature.TAMPERING):
            index = self._keys.index(event.place)
            quantity = self._town.instruments[index].quantity
            self._faults.append(Fault(event, index, quantity, np.random.default_rng([self._town.seed, 71, index])))
        self.active.append(event)
        self._write(event, "began")

    def _place(self, spec: EventSpec) -> str:
        """The place named, the one nearest to another event's, or the likely ones in turn, shuffled by the seed."""
        if spec.place != ANY:
            return spec.place
        places = likely(self._town, spec.kind)
        if not places:
            return ""
        if spec.near in self._placed:
            other = self._placed[spec.near]
            return nearest(self._town, spec, where(self._town, other.spec.kind, other.place))
        rng = np.random.default_rng([self._town.seed, 70, list(KINDS).index(spec.kind)])
        order = [int(i) for i in rng.permutation(len(places))]
        turn = self._used.get(spec.kind, 0)
        self._used[spec.kind] = turn + 1
        return places[order[turn % len(places)]]

    def _write(self, event: Event, state: str) -> None:
        spec, town = event.spec, self._town
        asset_id, asset = self._asset_of(event)
        point = where(town, spec.kind, event.place)
        at = None if point is None else to_wgs84(point)
        gateway = event.place if spec.kind == "gateway_dead" else None
        nature = KINDS[spec.kind].nature
        cause = self._placed.get(spec.after)
        self._record(
            {
                "id": event.id,
                "state": state,
                "kind": spec.kind,
                "nature": str(nature),
                "network": asset.network if asset else KINDS[spec.kind].network,
                "asset": asset_id or None,
                "chamber": event.place if spec.kind in ("gas_leak", "third_party_damage") else None,
                "gateway": gateway,
                "devices": town.gateways()[gateway] if gateway else self._device_of(event),
                "sensor": event.place if nature in (Nature.FAULT, Nature.TAMPERING) else None,
                "name": asset.name if asset else "",
                "longitude": at[0] if at else None,
                "latitude": at[1] if at else None,
                "from": timestamp(event.start),
                "to": timestamp(event.end),
                "visible_from": None if event.visible_from is None else timestamp(event.visible_from),
                "visible_at": event.visible_at or None,
                "caused_by": cause.id if cause else None,
                "harmless": spec.harmless,
                "parameters": spec.parameters,
                "scenario": self._scenario.name,
                "seed": town.seed,
            }
        )

    def _device_of(self, event: Event) -> list[str]:
        physical = KINDS[event.spec.kind].nature is Nature.PHYSICAL
        return [] if physical else [event.place.partition("/")[0]]


class TruthFile:
    """The truth as JSON lines, each complete in itself; the last line of an id counts."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, record: JsonObject) -> None:
        """Append one line and let readers see it at once."""
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._file.flush()
