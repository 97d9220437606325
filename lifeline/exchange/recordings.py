"""Readings that somebody wrote into CSV files: a mapping says what the columns mean, and no code is needed.

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

    [long]                             # a row per reading instead of a column per sensor
    sensor = ["device", "channel"]     # the columns that together name the sensor, or one column
    value = "value"

    [files]                            # patterns, relative to the mapping
    learn = ["dataset03.csv"]          # a clean period
    judge = ["dataset04.csv"]

    [sensor.P_J280]                    # optional, for each column (or name in a long file)
    sensor = "rtu-280/pressure"        # whose readings they are; default the column's own name
    factor = 0.1                       # reading = text * factor + offset
    offset = 0.0
    resolution = 0.01                  # else the step in which the column reports
"""

import csv
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MISSING = frozenset({"", "nan", "na", "null", "none"})
TIME_COLUMNS = ("ts", "time", "timestamp", "datetime")


class TableError(ValueError):
    """A mapping or a file that cannot be read; says which, where and why."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a column's text becomes a reading."""

    factor: float = 1.0
    offset: float = 0.0
    resolution: float | None = None
    sensor: str = ""
    """``device/channel`` whose readings they are; empty: the column's own name."""


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
    long_sensor: tuple[str, ...] = ()
    """Columns that together name the sensor, where a row is one reading."""
    long_value: str = "value"

    def sensor_of(self, column: str) -> str:
        """``device/channel`` of a column, as far as it is known."""
        return self.sensors.get(column, Column()).sensor or column

    def paths(self, patterns: Sequence[str]) -> list[Path]:
        """Files beside the mapping that match, each once. Raises TableError."""
        try:
            return list(dict.fromkeys(path for each in patterns for path in sorted(self.folder.glob(each))))
        except (ValueError, NotImplementedError) as error:
            raise TableError(f"{self.folder}: {list(patterns)}: {error}") from error


@dataclass(frozen=True, slots=True)
class Recording:
    """Readings (time, sensor), NaN for gaps; epoch seconds ascending; labels (time,) or None."""

    name: str
    sensors: tuple[str, ...]
    times: Floats
    values: Floats
    labels: Bools | None


@dataclass(frozen=True, slots=True)
class Events:
    """Readings one by one, ascending in time: epoch seconds, place in ``sensors`` (``device/channel``), value."""

    sensors: tuple[str, ...]
    times: Floats
    sensor: NDArray[np.int64]
    values: Floats


class _Line(NamedTuple):
    """A row of a file and where it stands there: blank lines and line breaks in quotes count."""

    number: int
    cells: list[str]


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
    known = {"delimiter", "missing", "ignore", "learn_rows", "time", "label", "files", "sensor", "long"}
    unknown = data.keys() - known
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)}; known are {sorted(known)}")
    label, files, time, long = data.get("label", {}), data.get("files", {}), data["time"], data.get("long")
    named = () if long is None else long["sensor"]
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
        long_sensor=(named,) if isinstance(named, str) else tuple(named),
        long_value="value" if long is None else str(long.get("value", "value")),
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
    if not isinstance(column.sensor, str):
        raise TypeError(f"sensor {name!r}: sensor must be text: device/channel")
    return column


def read_recording(path: Path, mapping: Mapping) -> Recording:
    """Read a file with a column per sensor. Rows are put in order of time; of rows with the same time the last counts.

    Raises TableError.
    """
    if mapping.long_sensor:
        raise TableError(f"{path}: a column per sensor is needed here, and [long] says that a row is one reading")
    header, body = _lines(path, mapping)
    taken = {mapping.time, mapping.label} | mapping.ignore
    places = [place for place, name in enumerate(header) if name not in taken]
    columns = [_readings(path, header[place], place, body, mapping) for place in places]
    times = _times(path, header.index(mapping.time), body, mapping)
    order = in_order(times)
    values = np.stack(columns, axis=1)[order] if columns else np.empty((len(order), 0))
    labels = None
    if mapping.label in header:
        place = header.index(mapping.label)
        labels = np.array([line.cells[place] in mapping.anomalous for line in body], dtype=bool)[order]
    return Recording(path.name, tuple(header[place] for place in places), times[order], values, labels)


def read_events(path: Path, mapping: Mapping) -> Events:
    """Every reading of a file of either form in order of time; gaps are left out. Raises TableError."""
    if not mapping.long_sensor:
        wide = read_recording(path, mapping)
        row, column = np.nonzero(~np.isnan(wide.values))
        names = tuple(mapping.sensor_of(name) for name in wide.sensors)
        return Events(names, wide.times[row], column, wide.values[row, column])
    header, body = _lines(path, mapping)
    if missing := [name for name in (*mapping.long_sensor, mapping.long_value) if name not in header]:
        raise TableError(f"{path}: no column {missing[0]!r}; there are {header}")
    places = [header.index(name) for name in mapping.long_sensor]
    columns = ["/".join(line.cells[place] for place in places) for line in body]
    texts = list(dict.fromkeys(columns))
    numbers = {text: number for number, text in enumerate(texts)}
    sensor = np.array([numbers[text] for text in columns], np.int64)
    plain = replace(mapping, sensors={})
    values = _readings(path, mapping.long_value, header.index(mapping.long_value), body, plain)
    scale = [mapping.sensors.get(text, Column()) for text in texts]
    values = values * np.array([c.factor for c in scale])[sensor] + np.array([c.offset for c in scale])[sensor]
    times = _times(path, header.index(mapping.time), body, mapping)
    order = np.argsort(times, kind="stable")
    order = order[~np.isnan(values[order])]
    return Events(tuple(mapping.sensor_of(text) for text in texts), times[order], sensor[order], values[order])


def mapping_by_header(path: Path) -> Mapping:
    """What a file says of itself by its header: a column with the time (ISO 8601), then either `value` with `sensor`
    or `device` and `channel`, or a column for each `device/channel`. Raises TableError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = [cell.strip() for cell in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: {error}") from error
    time = next((name for name in TIME_COLUMNS if name in header), None)
    if time is None:
        raise TableError(f"{path}: no column {', '.join(TIME_COLUMNS)} in {header}; a mapping file can name another")
    if "value" not in header:
        return Mapping(path.parent, time)
    named = next((names for names in (("sensor",), ("device", "channel")) if set(names) <= set(header)), None)
    if named is None:
        raise TableError(f"{path}: beside `value` there is neither `sensor` nor `device` and `channel`")
    return Mapping(path.parent, time, long_sensor=named)


def _lines(path: Path, mapping: Mapping) -> tuple[list[str], list[_Line]]:
    """The header, and the rows below it."""
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
    return header, body


def in_order(times: Floats) -> NDArray[np.int64]:
    """Places of the rows in order of time, without those that a later row of the same time replaces."""
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
