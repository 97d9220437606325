"""What was measured before, to be played again: CSV files, or any period of the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeline.errors import ConfigurationError
from lifeline.exchange.recordings import Events, Mapping, TableError, mapping_by_header, read_events, read_mapping
from lifeline.storage import window
from lifeline.storage.database import Connection
from simulators.engine import Floats

Ints = NDArray[np.int64]
BLOCK_S = 3600.0
"""Stretch of the database that is in memory at a time."""


class Sensor(NamedTuple):
    """Whose readings they are."""

    network: str
    device: str
    channel: str


class Block(NamedTuple):
    """Readings in order of time: epoch seconds, place in the recording's ``sensors``, value."""

    times: Floats
    sensor: Ints
    values: Floats


def inventory(connection: Connection, wanted: Sequence[str] = ()) -> dict[str, tuple[int, Sensor]]:
    """``device/channel`` -> its id and topic, of devices that match one of the patterns ``wanted`` (none: all)."""
    found = {}
    for row in window.sensors(connection):
        device, _, channel = row.name.partition("/")
        if not wanted or any(fnmatchcase(device, pattern) for pattern in wanted):
            found[row.name] = (row.sensor_id, Sensor(row.network, device, channel))
    if not found:
        raise ConfigurationError(f"the inventory has no device {' or '.join(wanted)}" if wanted else "no inventory")
    return found


@dataclass(frozen=True, slots=True)
class Past:
    """A period of the database, ``first`` <= time <= ``last``."""

    connection: Connection
    known: dict[str, tuple[int, Sensor]]
    first: float
    last: float
    left_out: Sequence[str] = ()

    @property
    def sensors(self) -> list[Sensor]:
        return [sensor for _, sensor in self.known.values()]

    def blocks(self) -> Iterator[Block]:
        """All readings, hour by hour in order of time."""
        ids = np.array([sensor_id for sensor_id, _ in self.known.values()])
        order = np.argsort(ids)
        low = np.nextafter(self.first, -np.inf)
        while low < self.last:
            high = min(low + BLOCK_S, self.last)
            found = window.stored_between(self.connection, low, high)
            self.connection.rollback()  # a replay may last days: no transaction stays open so long
            place = np.searchsorted(ids[order], found.sensor_id)
            ours = np.isin(found.sensor_id, ids)
            rows = np.flatnonzero(ours)[np.argsort(found.ts[ours], kind="stable")]
            yield Block(found.ts[rows], order[place[rows]], found.value[rows])
            low = high


class Files:
    """CSV files, from their first reading to their last or as far as ``first`` and ``last`` say.

    ``path``: a CSV file that says by its header what its columns mean, or a mapping file (.toml). Columns that name no
    sensor of the inventory are left out. Raises ConfigurationError where a file cannot be read or nothing is left.
    """

    def __init__(
        self, path: Path, known: dict[str, tuple[int, Sensor]], first: float | None = None, last: float | None = None
    ) -> None:
        try:
            events = [read_events(file, mapping) for file, mapping in _files(path)]
        except TableError as error:
            raise ConfigurationError(str(error)) from error
        names = list(dict.fromkeys(name for each in events for name in each.sensors))
        self.left_out = [name for name in names if name not in known]
        kept = [name for name in names if name in known]
        self.sensors = [known[name][1] for name in kept]
        if not kept:
            raise ConfigurationError(
                f"{path}: no column names a sensor of the inventory as device/channel: {', '.join(names[:5])} ...; "
                "a mapping file says whose they are ([sensor.COLUMN] sensor = ...)"
            )
        self._block = _joined(events, {name: place for place, name in enumerate(kept)}, first, last)
        if not len(self._block.times):
            raise ConfigurationError(f"{path}: no reading of a known sensor in the period that was asked for")
        self.first, self.last = float(self._block.times[0]), float(self._block.times[-1])

    def blocks(self) -> Iterator[Block]:
        """All readings in order of time."""
        yield self._block


Recorded = Past | Files
"""A recording of ``sensors`` from ``first`` to ``last`` (epoch seconds); ``left_out`` are names that nobody bears."""


def _files(path: Path) -> list[tuple[Path, Mapping]]:
    if path.suffix != ".toml":
        return [(path, mapping_by_header(path))]
    mapping = read_mapping(path)
    files = mapping.paths([*mapping.learn, *mapping.judge])
    if not files:
        raise ConfigurationError(f"{path}: no file matches what [files] says")
    return [(file, mapping) for file in files]


def _joined(events: Sequence[Events], places: dict[str, int], first: float | None, last: float | None) -> Block:
    times, sensor, values = [], [], []
    for each in events:
        own = np.array([places.get(name, -1) for name in each.sensors], np.int64)[each.sensor]
        kept = own >= 0
        if first is not None:
            kept &= each.times >= first
        if last is not None:
            kept &= each.times <= last
        times.append(each.times[kept])
        sensor.append(own[kept])
        values.append(each.values[kept])
    order = np.argsort(np.concatenate(times), kind="stable")
    return Block(np.concatenate(times)[order], np.concatenate(sensor)[order], np.concatenate(values)[order])
