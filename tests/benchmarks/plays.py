"""What simulated towns lived through, as readings, kept in a cache.

A play is what one town lives through: days of history at five minutes, then a scenario. While something happens the
world steps every twenty seconds, between events every five minutes: sensors of a quiet town say the same either way.
Beside it lives a twin to whom nothing happens: an event is visible from where a true value differs from the twin's.
"""

import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import simulators
from lifeline.catalogue import shipped_catalogue
from lifeline.model import JsonObject
from simulators.device import Meters
from simulators.director import Director
from simulators.planning import make_town
from simulators.scenario import Scenario, parse_scenario
from simulators.town import Town
from simulators.world import HISTORY_STEP_S, World

Floats = NDArray[np.float64]

LIVE_STEP_S = 20.0
DAY_S = 86_400.0
FINE_S, BEFORE_S, AFTER_S = 4500.0, 60.0, 900.0
"""Steps are fine from shortly before an event until shortly after its end, of a long event over its first part."""


@dataclass(frozen=True, slots=True)
class Past:
    """Readings (time, sensor) of a town, its history first; the truth as the simulators write it."""

    town: Town
    times: Floats
    values: Floats
    live_from: float
    truth: list[JsonObject]

    @property
    def sensor_ids(self) -> NDArray[np.int32]:
        """Ids of the columns: 1, 2, ..."""
        return np.arange(1, len(self.town.instruments) + 1, dtype=np.int32)


def play(
    seed: int,
    scenario: str,
    start: float,
    days: float,
    live_s: float,
    calm: tuple[float, float] = (0.0, 0.0),
    *,
    fine: bool = True,
) -> Past:
    """``days`` of history from ``start`` (epoch seconds), then the scenario (TOML) for ``live_s``; from the cache where
    the very same was played before. Fine steps also in ``calm``; without ``fine`` nowhere, and no twin beside it."""
    town, kept = make_town(seed), _kept(f"{seed} {start} {days} {live_s} {calm} {fine} {scenario}")
    if kept.exists():
        with np.load(kept) as archive:
            truth = json.loads(bytes(archive["truth"]).decode())
            return Past(town, archive["times"], archive["values"], start + days * DAY_S, truth)
    parsed = parse_scenario(scenario, "events", "events")
    now = moments(parsed, live_s, calm) if fine else np.arange(0.0, live_s, HISTORY_STEP_S)
    past = lived(town, parsed, start, days, now, twin=fine)
    kept.parent.mkdir(parents=True, exist_ok=True)
    truth = np.frombuffer(json.dumps(past.truth).encode(), np.uint8)
    part = kept.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(part, times=past.times, values=past.values, truth=truth)
    part.replace(kept)
    return past


def _kept(what: str) -> Path:
    """Where a play is kept: ``LIFELINE_BENCH_CACHE`` or the temporary folder; other physics is another play."""
    folder = os.environ.get("LIFELINE_BENCH_CACHE") or Path(tempfile.gettempdir()) / "lifeline-bench-plays"
    return Path(folder) / f"{hashlib.sha256((_physics() + what).encode()).hexdigest()[:24]}.npz"


@cache
def _physics() -> str:
    """A fingerprint of all that a play follows from: this module, and the simulators' modules that it needs."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for file in needed(Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def needed(module: Path) -> list[Path]:
    """The simulators' modules that a module imports, and those that these import, in order."""
    found: set[Path] = set()
    ahead = [module]
    while ahead:
        text = ahead.pop().read_text(encoding="utf-8")
        for name in re.findall(r"^\s*from simulators\.(\w+) import ", text, re.MULTILINE):
            file = Path(simulators.__path__[0]) / f"{name}.py"
            if file not in found:
                found.add(file)
                ahead.append(file)
    return sorted(found)


def moments(scenario: Scenario, live_s: float, calm: tuple[float, float]) -> Floats:
    """Seconds from the begin of a scenario at which its sensors are read."""
    fine = [np.arange(0.0, live_s, HISTORY_STEP_S), np.arange(*calm, LIVE_STEP_S)]
    for event in scenario.events:
        last = event.at_s + min(event.lasts_s + AFTER_S, FINE_S)
        fine.append(np.arange(max(event.at_s - BEFORE_S, 0.0), min(last, live_s), LIVE_STEP_S))
    return np.unique(np.concatenate(fine))


def lived(town: Town, scenario: Scenario, start: float, days: float, moments: Floats, *, twin: bool) -> Past:
    """A town through ``days`` of history from ``start``, then through the ``moments`` (seconds) of a scenario; with a
    ``twin`` the truth says from when its sensors differ from those of a town to which nothing happens."""
    live = start + days * DAY_S
    world, meters = World(town, start), Meters(town.instruments, shipped_catalogue(), town.seed)
    times = list(np.arange(start, live, HISTORY_STEP_S))
    values = [meters.read(world.at(time)) for time in times]
    world.go_live(live)
    now = (live + moments).tolist()
    other = Twin(world, now) if twin else None
    truth: list[JsonObject] = []
    exacts = []
    director = Director(town, scenario, live, truth.append)
    for time, pace in zip(now, _paces(now), strict=True):
        world.step_every(pace)
        director.tick(world, time)
        exact = world.at(time)
        exacts.append(exact)
        director.observe(exact, time)
        told = director.told(meters.read(exact), time)
        silent = [i.gateway in director.dead_gateways or i.device in director.dead_gateways for i in town.instruments]
        values.append(np.where(silent, np.nan, told).tolist())
        times.append(time)
    world.close()
    told_of = {record["id"]: record for record in truth}
    change = None if other is None else np.array(exacts) - other.values()
    told = [record if change is None else seen(record, town, np.array(now), change) for record in told_of.values()]
    return Past(town, np.array(times), np.array(values), live, told)


def _paces(now: list[float]) -> list[float]:
    """Seconds until the next moment, of each."""
    return [min(gap, HISTORY_STEP_S) for gap in [*np.diff(now).tolist(), LIVE_STEP_S]]


class Twin:
    """The same world without its events: a fork of the process plays it, so that its history is not played again."""

    def __init__(self, world: World, now: list[float]) -> None:
        self._file = Path(tempfile.mkstemp(suffix=".npy")[1])
        self._child = os.fork()
        if self._child == 0:
            try:
                exact = []
                for time, pace in zip(now, _paces(now), strict=True):
                    world.step_every(pace)
                    exact.append(world.at(time))
                np.save(self._file, np.array(exact))
            finally:
                os._exit(0)  # no clean-up: the engines' files are the parent's

    def values(self) -> Floats:
        """Its true values (time, sensor), once it has lived through all of it."""
        os.waitpid(self._child, 0)
        try:
            return np.asarray(np.load(self._file), np.float64)
        finally:
            self._file.unlink()


SHOWS = {
    "gas_leak": ("methane", 0.1),
    "burst": ("pressure", 1.0),
    "leak": ("pressure", 0.2),
    "blockage": ("level", 0.1),
    "inflow": ("level", 0.05),
    "storm": ("rain", 2.0),
    "pump_failure": ("pump_current", 1.0),
}
"""An event is visible when the true value of a sensor of this quantity differs by so much from the twin's."""


def seen(record: JsonObject, town: Town, times: Floats, change: Floats) -> JsonObject:
    """A record of the truth with ``visible_from`` as the twin tells it, for the kinds that show in a quantity."""
    if record["kind"] not in SHOWS:
        return record
    quantity, least = SHOWS[record["kind"]]
    begin, end = (datetime.fromisoformat(record[key]).timestamp() for key in ("from", "to"))
    columns = [place for place, one in enumerate(town.instruments) if one.quantity == quantity]
    rows = np.flatnonzero((times >= begin) & (times <= end + AFTER_S))
    before = change[max(int(rows[0]) - 1, 0), columns]
    differs = np.flatnonzero((np.abs(change[np.ix_(rows, columns)] - before) >= least).any(axis=1))
    moment = datetime.fromtimestamp(times[rows[differs[0]]], UTC).isoformat() if len(differs) else None
    return record | {"visible_from": moment}
