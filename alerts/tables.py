"""Any CSV file with a column per sensor, as (time, sensor) matrices: a public data set needs a mapping and no code.

The mapping is a TOML file beside the data:

    delimiter = ";"                    # default ","
    missing = ["", "-999"]             # default: empty, nan, na, null
    ignore = ["changepoint"]           # columns that are neither sensor, time nor label
    learn_rows = 400                   # without learn files: the first rows of each judged file are the clean period

    [time]
    column = "datetime"
    format = "%d/%m/%y %H"             # as strptime; "iso" (default) or "epoch" (seconds)
    utc_offset_h = 8                   # of the clock that wrote the file; default 0

    [label]                            # what is known to be anomalous, if it is known
    column = "ATT_FLAG"
    anomalous = ["1"]

    [files]                            # patterns, relative to the mapping
    learn = ["dataset03.csv"]          # a clean period
    judge = ["dataset04.csv"]

    [sensor.P_J280]                    # optional, for each column: reading = text * factor + offset
    factor = 0.1
    offset = 0.0
    resolution = 0.01                  # else the step in which the column reports
"""

import csv
import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import robust

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MISSING = frozenset({"", "nan", "na", "null", "none"})


class TableError(ValueError):
    """A mapping or a file that cannot be read; says which, where and why."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a column's text becomes a reading."""

    factor: float = 1.0
    offset: float = 0.0
    resolution: float | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """What a CSV file's columns mean; see the module's text."""

    folder: Path
    time: str
    time_format: str = "iso"
    utc_offset_s: float = 0.0
    label: str | None = None
    anomalous: frozenset[str] = frozenset({"1"})
    delimiter: str = ","
    missing: frozenset[str] = MISSING
    ignore: frozenset[str] = frozenset()
    learn: tuple[str, ...] = ()
    judge: tuple[str, ...] = ()
    learn_rows: int = 0
    sensors: dict[str, Column] = field(default_factory=dict)


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


class _Line(NamedTuple):
    """A row of a file and where it stands there: blank lines and line breaks in quotes count."""

    number: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """One file to judge, with the clean period that teaches."""

    clean: Table
    judged: Table


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file. Raises TableError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return _mapping(path.parent, data)
    except (OSError, tomllib.TOMLDecodeError, TypeError, ValueError, AttributeError) as error:
        raise TableError(f"{path}: {error}") from error
    except KeyError as error:
        raise TableError(f"{path}: {error.args[0]!r} is missing") from error


def _mapping(folder: Path, data: dict[str, Any]) -> Mapping:
    known = {"delimiter", "missing", "ignore", "learn_rows", "time", "label", "files", "sensor"}
    unknown = data.keys() - known
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)}; known are {sorted(known)}")
    label, files, time = data.get("label", {}), data.get("files", {}), data["time"]
    mapping = Mapping(
        folder=folder,
        time=time["column"],
        time_format=time.get("format", "iso"),
        utc_offset_s=3600.0 * float(time.get("utc_offset_h", 0)),
        label=label.get("column"),
        anomalous=frozenset(str(text) for text in _list(label, "anomalous", ["1"])),
        delimiter=data.get("delimiter", ","),
        missing=frozenset(text.lower() for text in _list(data, "missing")) | MISSING,
        ignore=frozenset(_list(data, "ignore")),
        learn=tuple(_list(files, "learn")),
        judge=tuple(_list(files, "judge")),
        learn_rows=int(data.get("learn_rows", 0)),
        sensors={name: _column(name, entry) for name, entry in data.get("sensor", {}).items()},
    )
    if mapping.learn_rows < 0:
        raise ValueError("learn_rows must be 0 or more")
    if not isinstance(mapping.delimiter, str) or len(mapping.delimiter) != 1 or mapping.delimiter in '"\r\n':
        raise ValueError(f"delimiter {mapping.delimiter!r} is not one character")
    return mapping


def _list(entry: dict[str, Any], key: str, default: Sequence[str] = ()) -> Sequence[Any]:
    """A list stays a list: text would fall apart into its letters."""
    value = entry.get(key, default)
    if isinstance(value, str):
        raise TypeError(f"{key} must be a list, not {value!r}")
    return list(value)


def _column(name: str, entry: dict[str, Any]) -> Column:
    column = Column(**entry)
    numbers = (column.factor, column.offset, 0.0 if column.resolution is None else column.resolution)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise ValueError(f"sensor {name!r}: factor, offset and resolution must be finite numbers")
    if column.factor == 0 or numbers[2] < 0:
        raise ValueError(f"sensor {name!r}: factor must not be 0, resolution not below it")
    return column


def read_table(path: Path, mapping: Mapping) -> Table:
    """Read one file. Rows are put in order of time; of rows with the same time the last counts. Raises TableError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=mapping.delimiter)
            lines = [_Line(reader.line_num, [cell.strip() for cell in line]) for line in reader if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: {error}") from error
    if not lines:
        raise TableError(f"{path}: empty")
    header, body = lines[0].cells, lines[1:]
    for number, line in body:
        if len(line) != len(header):
            raise TableError(f"{path}, line {number}: {len(line)} columns, the header has {len(header)}")
    if mapping.time not in header:
        raise TableError(f"{path}: no column {mapping.time!r}; there are {header}")
    twice = sorted({name for name in header if header.count(name) > 1} - mapping.ignore)
    if twice:
        raise TableError(f"{path}: columns {twice} stand there more than once")
    taken = {mapping.time, mapping.label} | mapping.ignore
    places = [place for place, name in enumerate(header) if name not in taken]
    columns = [_readings(path, header[place], place, body, mapping) for place in places]
    times = _times(path, header.index(mapping.time), body, mapping)
    order = _in_order(times)
    values = np.stack(columns, axis=1)[order] if columns else np.empty((len(order), 0))
    labels = None
    if mapping.label in header:
        place = header.index(mapping.label)
        labels = np.array([line.cells[place] in mapping.anomalous for line in body], dtype=bool)[order]
    sensors = tuple(header[place] for place in places)
    return Table(path.name, sensors, times[order], values, labels, _resolution(sensors, values, mapping))


def runs(mapping: Mapping) -> Iterator[Run]:
    """Each file to judge with its clean period: the learn files together, or the file's own first rows.

    The resolution of a sensor is the coarser of the two periods', as instruments and their rounding change.
    Raises TableError when nothing matches, sensors differ, or there is no clean period.
    """
    learned = [read_table(path, mapping) for path in _paths(mapping, mapping.learn)]
    judged_files = _paths(mapping, mapping.judge)
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


def _paths(mapping: Mapping, patterns: tuple[str, ...]) -> list[Path]:
    try:
        return list(dict.fromkeys(path for pattern in patterns for path in sorted(mapping.folder.glob(pattern))))
    except (ValueError, NotImplementedError) as error:
        raise TableError(f"{mapping.folder}: {list(patterns)}: {error}") from error


def _joined(tables: list[Table], like: Table) -> Table:
    for table in tables:
        if set(table.sensors) != set(like.sensors):
            odd = sorted(set(table.sensors) ^ set(like.sensors))
            raise TableError(f"{table.name} and {like.name} do not have the same sensors: {odd}")
    values = np.concatenate([table.values[:, [table.sensors.index(name) for name in like.sensors]] for table in tables])
    times = np.concatenate([table.times for table in tables])
    order = _in_order(times)
    by_name = [dict(zip(table.sensors, table.resolution, strict=True)) for table in tables]
    resolution = np.array([max(steps[name] for steps in by_name) for name in like.sensors])
    return Table(
        " + ".join(table.name for table in tables), like.sensors, times[order], values[order], None, resolution
    )


def _in_order(times: Floats) -> NDArray[np.int64]:
    order = np.argsort(times, kind="stable")
    last = np.append(np.diff(times[order]) > 0, True) if len(order) else np.empty(0, dtype=bool)
    kept: NDArray[np.int64] = order[last]
    return kept


def _readings(path: Path, name: str, place: int, body: list[_Line], mapping: Mapping) -> Floats:
    column = mapping.sensors.get(name, Column())
    values = np.full(len(body), np.nan)
    for row, (number, line) in enumerate(body):
        if line[place].lower() in mapping.missing:
            continue
        try:
            values[row] = float(line[place])
        except ValueError as error:
            raise TableError(f"{path}, line {number}, column {name!r}: {line[place]!r} is no number") from error
    values[~np.isfinite(values)] = np.nan
    return values * column.factor + column.offset


def _times(path: Path, place: int, body: list[_Line], mapping: Mapping) -> Floats:
    times = np.empty(len(body))
    for row, (number, line) in enumerate(body):
        try:
            times[row] = _epoch(line[place], mapping)
        except ValueError as error:
            raise TableError(f"{path}, line {number}: {error}") from error
        if not math.isfinite(times[row]):
            raise TableError(f"{path}, line {number}: {line[place]!r} is no time")
    return times


def _epoch(text: str, mapping: Mapping) -> float:
    if mapping.time_format == "epoch":
        return float(text)
    iso = mapping.time_format == "iso"
    moment = datetime.fromisoformat(text) if iso else datetime.strptime(text, mapping.time_format)  # noqa: DTZ007 the offset is the mapping's
    if moment.tzinfo is not None:
        return moment.timestamp()
    return moment.replace(tzinfo=UTC).timestamp() - mapping.utc_offset_s


def _resolution(sensors: tuple[str, ...], values: Floats, mapping: Mapping) -> Floats:
    steps = robust.resolution_of(values)
    for place, name in enumerate(sensors):
        told = mapping.sensors.get(name, Column()).resolution
        if told is not None:
            steps[place] = told
    return steps
