"""Plays a scenario: starts and ends its events on time, and writes down the truth."""

import json
from collections.abc import Callable, Iterator
from typing import TextIO

import numpy as np

from lifeline.model import JsonObject
from simulators.device import timestamp
from simulators.engine import Floats
from simulators.events import BLOWING_S, Event, check_places, finish, likely, place_of, watched
from simulators.scenario import ANY, KINDS, EventSpec, Scenario
from simulators.streets import to_wgs84
from simulators.town import Node, Town
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
        self._keys = [f"{i.device}/{i.channel}" for i in town.instruments]
        self.active: list[Event] = []
        self._over: list[Event] = []

    @property
    def dead_gateways(self) -> set[str]:
        """Gateways that must not be heard now."""
        return {event.place for event in self.active if event.spec.kind == "gateway_dead"}

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

    def _act_again(self, ended: Event) -> None:
        """Others of its kind at the same asset still go on: their effect is set anew."""
        asset, _ = place_of(self._town, ended)
        for event in self.active:
            if event.spec.kind == ended.spec.kind and place_of(self._town, event)[0] == asset:
                event.strength = 0.0

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
        event.watched = watched(self._town, spec.kind, event.place)
        if spec.kind == "gateway_dead":
            event.visible_from = at  # its last will speaks at once
            event.visible_at = f"{event.place}/status"
        self.active.append(event)
        self._write(event, "began")

    def _place(self, spec: EventSpec) -> str:
        """The place named, or one after the other of the likely ones, in an order that the seed shuffles."""
        if spec.place != ANY:
            return spec.place
        places = likely(self._town, spec.kind)
        if not places:
            return ""
        rng = np.random.default_rng([self._town.seed, 70, list(KINDS).index(spec.kind)])
        order = [int(i) for i in rng.permutation(len(places))]
        turn = self._used.get(spec.kind, 0)
        self._used[spec.kind] = turn + 1
        return places[order[turn % len(places)]]

    def _write(self, event: Event, state: str) -> None:
        asset_id, asset = place_of(self._town, event)
        at = None if asset is None else to_wgs84(asset.at if isinstance(asset, Node) else asset.middle)
        gateway = event.place if event.spec.kind == "gateway_dead" else None
        self._record(
            {
                "id": event.id,
                "state": state,
                "kind": event.spec.kind,
                "network": asset.network if asset else "drainage",
                "asset": asset_id or None,
                "chamber": event.place if event.spec.kind == "gas_leak" else None,
                "gateway": gateway,
                "devices": self._town.gateways()[gateway] if gateway else [],
                "name": asset.name if asset else "",
                "longitude": at[0] if at else None,
                "latitude": at[1] if at else None,
                "from": timestamp(event.start),
                "to": timestamp(event.end),
                "visible_from": None if event.visible_from is None else timestamp(event.visible_from),
                "visible_at": event.visible_at or None,
                "parameters": event.spec.parameters,
                "scenario": self._scenario.name,
                "seed": self._town.seed,
            }
        )


class TruthFile:
    """The truth as JSON lines, each complete in itself; the last line of an id counts."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, record: JsonObject) -> None:
        """Append one line and let readers see it at once."""
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._file.flush()
