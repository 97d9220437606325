"""Months of readings of many districts, as fast as the database takes them.

The engines run for one week in January and one in July of each layout. What a district had in any week lies between
the two by the season; every reading then gets its own noise and resolution, and every district its own instruments'
bias. So a day, a week and the year have their shape, and each reading is another; but what is rare (this year's one
flood) is not in it: play a scenario for that. docs/decisions/0008 says why it does not go through MQTT.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from lifeline.catalogue import Catalogue
from lifeline.errors import ConfigurationError
from lifeline.storage import ingest
from lifeline.storage.database import Connection
from simulators.device import Meters
from simulators.districts import layouts, prefix
from simulators.engine import Floats
from simulators.town import Town
from simulators.weather import DAY_S, LOCAL_S, YEAR_S
from simulators.world import HISTORY_STEP_S, World

WEEK_STEPS = int(7 * DAY_S // HISTORY_STEP_S)
DAY_STEPS = int(DAY_S // HISTORY_STEP_S)
# Mondays, 00:00 in China, in winter and in summer.
JANUARY = datetime(2026, 1, 11, 16, tzinfo=UTC).timestamp()
JULY = datetime(2026, 7, 12, 16, tzinfo=UTC).timestamp()
CONSUMER = "history"
"""Under this name the books tell what came this way."""
Week = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layout:
    """One town with the true values of its typical weeks, (WEEK_STEPS, instruments) each."""

    town: Town
    winter: Week
    summer: Week


def typical(town: Town, step: Callable[[], None] = lambda: None) -> Layout:
    """Run the engines over both weeks; ``step`` is called after each day."""
    return Layout(town, *(_week(town, begin, step) for begin in (JANUARY, JULY)))


def _week(town: Town, begin: float, step: Callable[[], None]) -> Week:
    world, rows = World(town, begin), np.empty((WEEK_STEPS, len(town.instruments)), np.float32)
    try:
        for number in range(WEEK_STEPS):
            rows[number] = world.at(begin + HISTORY_STEP_S * number)
            if (number + 1) % DAY_STEPS == 0:
                step()
    finally:
        world.close()
    return rows


def summer_share(time: float) -> float:
    """0 in the middle of January, 1 in the middle of July."""
    return 0.5 * (1 - math.cos(2 * math.pi * ((time + LOCAL_S) / YEAR_S - 15 / 365.25)))


def day_of(layout: Layout, meters: Meters, begin: float) -> Floats:
    """What the instruments showed on the day from ``begin`` (a multiple of the step), (DAY_STEPS, instruments)."""
    first = round((begin - JANUARY) / HISTORY_STEP_S) % WEEK_STEPS
    rows, share = (first + np.arange(DAY_STEPS)) % WEEK_STEPS, summer_share(begin + DAY_S / 2)
    truth = (1 - share) * layout.winter[rows] + share * layout.summer[rows]
    return meters.read_all(truth.astype(np.float64))


def truth_at(layout: Layout, time: float) -> Floats:
    """What was true at the instruments at any moment, (instruments,): between the steps from which ``day_of`` reads."""
    place = (time - JANUARY) / HISTORY_STEP_S
    before, part = math.floor(place) % WEEK_STEPS, place % 1
    rows, share = [before, (before + 1) % WEEK_STEPS], summer_share(time // DAY_S * DAY_S + DAY_S / 2)
    truth = (1 - share) * layout.winter[rows] + share * layout.summer[rows]
    return np.asarray((1 - part) * truth[0] + part * truth[1], np.float64)


class History:
    """Writes days of a town of ``count`` districts. Raises ConfigurationError where its inventory is not there."""

    def __init__(self, connection: Connection, catalogue: Catalogue, seed: int, count: int) -> None:
        self._connection = connection
        self._towns = layouts(seed, count)
        numbers = {(row.device, row.channel): row.sensor_id for row in ingest.sensors(connection)}
        self._ids = [self._numbers(number, numbers) for number in range(count)]
        self._meters = [
            Meters(self._towns[number % len(self._towns)].instruments, catalogue, seed + 1000 * number)
            for number in range(count)
        ]
        self.layouts: list[Layout] = []

    @property
    def sensors(self) -> int:
        return sum(len(ids) for ids in self._ids)

    def prepare(self, step: Callable[[], None] = lambda: None) -> None:
        """Run the engines: two weeks of each layout."""
        self.layouts = [typical(town, step) for town in self._towns]

    def missing(self, first: float, days: int) -> list[float]:
        """Beginnings of those of the ``days`` from ``first`` (midnight UTC, epoch seconds) that are not written yet. A
        day is one transaction, so what one sensor has of it all have."""
        there = ingest.whole_days(
            self._connection, int(self._ids[0][0]), first, first + days * DAY_S, DAY_STEPS
        )  # fmt: skip
        self._connection.commit()
        begins = (first + number * DAY_S for number in range(days))
        return [begin for begin in begins if int(begin // DAY_S) not in there]

    def write(self, begins: Iterable[float]) -> Iterator[int]:
        """Write the days that begin then (epoch seconds), each in a transaction; gives the readings of each.

        Raises ConflictError where readings of that time are there already.
        """
        for begin in begins:
            with self._connection.transaction():
                count = self._day(begin)
            yield count

    def _day(self, begin: float) -> int:
        times = (round(begin) + np.arange(DAY_STEPS) * int(HISTORY_STEP_S)) * 1_000_000
        written, now = 0, datetime.fromtimestamp(begin + DAY_S, UTC)
        for number, ids in enumerate(self._ids):
            values = day_of(self.layouts[number % len(self.layouts)], self._meters[number], begin)
            order = np.argsort(ids)
            rows = ingest.Readings(
                np.repeat(ids[order], DAY_STEPS), np.tile(times, len(ids)), values[:, order].T.reshape(-1),
                np.ones(len(ids) * DAY_STEPS, np.int16),
            )  # fmt: skip
            ingest.copy_readings(self._connection, rows)
            newest = ingest.Readings(
                ids[order], np.full(len(ids), times[-1]), values[-1, order], rows.quality[: len(ids)]
            )
            ingest.update_states(self._connection, newest, now)
            written += len(rows)
        quarters = np.unique(times // 900_000_000) * 900_000_000
        ingest.note_rollups(self._connection, quarters, np.zeros(len(quarters), np.int64))
        counts = {"received": written, "stored": written, "duplicate": 0, "quarantined": 0}
        ingest.keep_account(self._connection, CONSUMER, 0, counts, now)
        return written

    def _numbers(self, number: int, known: dict[tuple[str, str], int]) -> NDArray[np.int64]:
        town, name = self._towns[number % len(self._towns)], prefix(number)
        wanted = [(name + i.device, i.channel) for i in town.instruments]
        if missing := next((key for key in wanted if key not in known), None):
            raise ConfigurationError(
                f"the inventory has no sensor {missing[0]}/{missing[1]}: import the files of `python -m simulators "
                "inventory` with the same --seed and --districts first"
            )
        return np.array([known[key] for key in wanted], np.int64)
