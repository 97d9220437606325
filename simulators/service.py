"""The run itself: history first, as fast as the engines go, then live with the clock."""

import threading
import time as clock
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import structlog

from lifeline.catalogue import load_catalogue
from lifeline.errors import ConfigurationError, StorageError
from lifeline.model import JsonObject
from lifeline.settings import Settings
from lifeline.storage.database import connect
from lifeline.storage.truth import write as write_truth
from simulators.director import Director, Record, TruthFile
from simulators.districts import LAYOUTS
from simulators.fleet import Fleet
from simulators.habits import Habits
from simulators.neighbours import Neighbours
from simulators.planning import make_town
from simulators.scenario import Scenario
from simulators.town import Town
from simulators.weather import DAY_S
from simulators.world import HISTORY_STEP_S, World

TICK_S = 1.0
CHUNK_STEPS = 288
DRAIN_S = 600.0
log = structlog.get_logger()


class Service:
    """One town at one broker. ``now`` tells the time in epoch seconds; only ``run`` asks it."""

    def __init__(
        self,
        settings: Settings,
        seed: int,
        scenario: Scenario,
        truth: Path | None,
        now: Callable[[], float] = clock.time,
        habits: Habits | None = None,
        passwords: Path | None = None,
        town: Town | None = None,
        districts: int = 1,
    ) -> None:
        settings.require_broker()
        _check_writable(truth)  # wrong places and files are an error now, not in an hour
        self._settings, self._scenario, self._truth, self._now = settings, scenario, truth, now
        self._town = make_town(seed) if town is None else town
        Director(self._town, scenario, 0.0, _ignore)
        catalogue = load_catalogue(settings.catalogue)
        token = uuid.uuid4().hex[:8]
        self._fleet = Fleet(self._town, catalogue, settings, token, habits, passwords)
        self._neighbours = Neighbours(settings, catalogue, seed, districts, token) if districts > 1 else None
        self.stop = threading.Event()

    def run(self, history_days: float) -> None:
        """Until ``stop`` is set. Raises ConfigurationError when the broker refuses the user."""
        if self._neighbours is not None:
            log.info("engines run over typical weeks", layouts=LAYOUTS)
            self._neighbours.prepare()
            self._neighbours.start(self.stop)
        self._fleet.start()
        world: World | None = None
        try:
            start = self._now() - history_days * DAY_S
            start -= start % HISTORY_STEP_S
            world = World(self._town, start)
            self._fleet.wait_connected(self.stop)
            self._history(world, start)
            if self._neighbours is not None:
                self._neighbours.recall(start, self._now(), self.stop)
            if not self.stop.is_set():
                self._live(world)
        finally:
            self._fleet.stop()
            if self._neighbours is not None:
                self._neighbours.stop()
            if world is not None:
                world.close()

    def _history(self, world: World, start: float) -> None:
        """Chunk by chunk, so that the broker works while the engines do; it ends at the last full step before now."""
        begun, time, readings = clock.monotonic(), start, 0
        steps = max(1, int((self._now() - start) // HISTORY_STEP_S))
        while time <= (now := self._now()) and not self.stop.is_set():
            times = [time + step * HISTORY_STEP_S for step in range(CHUNK_STEPS)]
            times = [moment for moment in times if moment <= now]
            rows = []
            for moment in times:
                if self.stop.is_set():
                    return
                rows.append(world.at(moment))
            readings += self._fleet.recall(times, rows)
            time = times[-1] + HISTORY_STEP_S
            done = min(100, round(100 * (time - start) / HISTORY_STEP_S / steps))
            log.info("history", percent=done, readings=readings, seconds=round(clock.monotonic() - begun, 1))
        for gateway in self._fleet.gateways.values():
            gateway.drain(DRAIN_S, self.stop)
        log.info("history delivered", readings=readings, seconds=round(clock.monotonic() - begun, 1))

    def _live(self, world: World) -> None:
        now = self._now()
        world.go_live(now)
        self._fleet.go_live(now)
        devices = len(self._fleet.devices)
        if self._neighbours is not None:
            self._neighbours.go_live(now)
            devices += self._neighbours.devices
        truth = None if self._truth is None else self._truth.open("a", encoding="utf-8")
        record = self._recorder(truth)
        director = Director(self._town, self._scenario, now, record)
        log.info("live", scenario=self._scenario.name, devices=devices)
        try:
            # Never longer than a tick, also where the clock was set back.
            while not self.stop.wait(min(max(0.0, now + TICK_S - self._now()), TICK_S)):
                now = self._now()
                self.tick(world, director, now)
        finally:
            if truth is not None:
                truth.close()

    def _recorder(self, file: TextIO | None) -> Record:
        """Writes the truth to the file, and to the database where one is given."""
        to_file = _ignore if file is None else TruthFile(file).write
        dsn = self._settings.database_url.get_secret_value()

        def record(told: JsonObject) -> None:
            to_file(told)
            if dsn:
                try:
                    with connect(dsn, application="lifeline simulators") as connection:
                        write_truth(connection, [told], datetime.now(UTC))
                except StorageError as error:  # the file has it, and `lifeline score` brings it in
                    log.warning("truth not written to the database", error=str(error))

        return record

    def tick(self, world: World, director: Director, now: float) -> None:
        """One second of the city: events, physics, devices."""
        director.tick(world, now)
        self._fleet.silence(director.dead_gateways)
        values = world.at(now)
        director.observe(values, now)
        self._fleet.sample(now, values, director)
        if self._neighbours is not None:
            self._neighbours.sample(now)


def _check_writable(truth: Path | None) -> None:
    if truth is not None:
        try:
            truth.open("a", encoding="utf-8").close()
        except OSError as error:
            raise ConfigurationError(f"the truth cannot be written: {error}") from error


def _ignore(_record: object) -> None:
    """The truth of who asked for none."""
