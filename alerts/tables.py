"""Any CSV file with a column per sensor, as (time, sensor) matrices: a public data set needs a mapping and no code.

What a mapping file says is told in ``lifeline.exchange.recordings``, which reads it; here lies what judging needs
besides: the clean period that teaches, and the resolution of each sensor.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alerts.detectors import robust
from lifeline.exchange.recordings import (
    Bools,
    Column,
    Floats,
    Mapping,
    TableError,
    in_order,
    read_mapping,
    read_recording,
)

__all__ = ["Column", "Mapping", "Run", "Table", "TableError", "read_mapping", "read_table", "runs"]


@dataclass(frozen=True, slots=True)
class Table:
    """Readings (time, sensor), NaN for gaps; epoch seconds ascending; labels (time,) or None; resolution (sensor,)."""

    name: str
    sensors: tuple[str, ...]
    times: Floats
    values: Floats
    labels: Bools | None
    resolution: Floats

    def rows(self, first: int, last: int | None = None) -> "Table":
        """A part of the rows."""
        part = slice(first, last)
        labels = None if self.labels is None else self.labels[part]
        return Table(self.name, self.sensors, self.times[part], self.values[part], labels, self.resolution)


@dataclass(frozen=True, slots=True)
class Run:
    """One file to judge, with the clean period that teaches."""

    clean: Table
    judged: Table


def read_table(path: Path, mapping: Mapping) -> Table:
    """Read one file. Rows are put in order of time; of rows with the same time the last counts. Raises TableError."""
    found = read_recording(path, mapping)
    steps = _resolution(found.sensors, found.values, mapping)
    return Table(found.name, found.sensors, found.times, found.values, found.labels, steps)


def runs(mapping: Mapping) -> Iterator[Run]:
    """Each file to judge with its clean period: the learn files together, or the file's own first rows.

    The resolution of a sensor is the coarser of the two periods', as instruments and their rounding change.
    Raises TableError when nothing matches, sensors differ, or there is no clean period.
    """
    learned = [read_table(path, mapping) for path in mapping.paths(mapping.learn)]
    judged_files = mapping.paths(mapping.judge)
    if not judged_files:
        raise TableError(f"{mapping.folder}: no file matches {list(mapping.judge)}")
    for path in judged_files:
        table = read_table(path, mapping)
        clean = _joined(learned, table) if learned else table.rows(0, mapping.learn_rows)
        if not len(clean.times):
            raise TableError(f"{path}: no clean period; name learn files or learn_rows in the mapping")
        step = np.maximum(clean.resolution, table.resolution)
        parts = (Table(part.name, part.sensors, part.times, part.values, part.labels, step) for part in (clean, table))
        yield Run(*parts)


def _joined(tables: list[Table], like: Table) -> Table:
    for table in tables:
        if set(table.sensors) != set(like.sensors):
            odd = sorted(set(table.sensors) ^ set(like.sensors))
            raise TableError(f"{table.name} and {like.name} do not have the same sensors: {odd}")
    values = np.concatenate([table.values[:, [table.sensors.index(name) for name in like.sensors]] for table in tables])
    times = np.concatenate([table.times for table in tables])
    order = in_order(times)
    by_name = [dict(zip(table.sensors, table.resolution, strict=True)) for table in tables]
    resolution = np.array([max(steps[name] for steps in by_name) for name in like.sensors])
    return Table(
        " + ".join(table.name for table in tables), like.sensors, times[order], values[order], None, resolution
    )


def _resolution(sensors: tuple[str, ...], values: Floats, mapping: Mapping) -> Floats:
    steps = robust.resolution_of(values)
    for place, name in enumerate(sensors):
        told = mapping.sensors.get(name, Column()).resolution
        if told is not None:
            steps[place] = told
    return steps
