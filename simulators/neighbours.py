"""Districts beside the one in which things happen: a real-sized town that runs with the clock on two cores.

Nothing happens to them, so that no engine has to run for them: they read off the typical weeks of their layouts, from
which ``simulators.history`` makes a year, each with instruments of its own. One connection speaks for a whole district.
"""

import threading
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from lifeline.catalogue import Catalogue
from lifeline.settings import Settings
from simulators.districts import layouts, prefix
from simulators.fleet import Fleet
from simulators.history import DAY_STEPS, Layout, truth_at, typical
from simulators.town import Town
from simulators.world import HISTORY_STEP_S

DRAIN_S = 600.0
log = structlog.get_logger()


def district(town: Town, number: int) -> Town:
    """A layout's instruments under the names of a district, all behind one gateway, with a seed of its own."""
    name = prefix(number)
    voice = next(i.gateway for i in town.instruments if i.gateway)
    instruments = tuple(
        replace(i, device=name + i.device, gateway="" if i.device == voice else name + voice) for i in town.instruments
    )
    return replace(town, instruments=instruments, seed=town.seed + 1000 * number)


class Neighbours:
    """The districts 1 to ``count`` - 1 of the town of ``seed``; district 0 is the one in which things happen."""

    def __init__(self, settings: Settings, catalogue: Catalogue, seed: int, count: int, token: str) -> None:
        self._towns = layouts(seed, count)
        self._layouts: Sequence[Layout] = ()
        self._fleets = {
            number: Fleet(district(self._towns[number % len(self._towns)], number), catalogue, settings, token)
            for number in range(1, count)
        }

    @property
    def devices(self) -> int:
        return sum(len(fleet.devices) for fleet in self._fleets.values())

    def prepare(self, step: Callable[[], None] = lambda: None) -> None:
        """Run the engines over the typical weeks; ``step`` is called after each day. Before any other world is open:
        SWMM takes one at a time."""
        self._layouts = [typical(town, step) for town in self._towns]

    def start(self, stop: threading.Event) -> None:
        """Connect all. Raises ConfigurationError when the broker refuses them."""
        for fleet in self._fleets.values():
            fleet.start()
        for fleet in self._fleets.values():
            fleet.wait_connected(stop)

    def stop(self) -> None:
        """Deliver what can be delivered and say goodbye."""
        for fleet in self._fleets.values():
            fleet.stop()

    def recall(self, first: float, last: float, stop: threading.Event) -> int:
        """Publish the past from ``first`` to ``last`` day by day, no faster than the broker takes it; readings."""
        begun, readings, steps = clock.monotonic(), 0, int((last - first) // HISTORY_STEP_S) + 1
        for begin in range(0, steps, DAY_STEPS):
            times = [first + step * HISTORY_STEP_S for step in range(begin, min(begin + DAY_STEPS, steps))]
            rows = [[truth_at(layout, moment) for moment in times] for layout in self._layouts]
            for number, fleet in self._fleets.items():
                if stop.is_set():
                    return readings
                readings += fleet.recall(times, rows[number % len(rows)])
            for fleet in self._fleets.values():
                for gateway in fleet.gateways.values():
                    gateway.drain(DRAIN_S, stop)
            done = min(100, round(100 * (begin + len(times)) / steps))
            log.info(
                "neighbours' history", percent=done, readings=readings, seconds=round(clock.monotonic() - begun, 1)
            )
        return readings

    def go_live(self, now: float) -> None:
        """Sample from now on."""
        for fleet in self._fleets.values():
            fleet.go_live(now)

    def sample(self, now: float) -> int:
        """Devices that are due sample and report; readings sent."""
        moments = [truth_at(layout, now) for layout in self._layouts]
        return sum(fleet.sample(now, moments[number % len(moments)]) for number, fleet in self._fleets.items())
