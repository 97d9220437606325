"""numpy columns in PostgreSQL's binary formats, without a Python object a value: COPY blocks, array parameters and
results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

from lifeline.storage.database import Connection, storage_errors

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]

EPOCH_OFFSET_US = 946_684_800_000_000
"""Microseconds from 1970 to 2000: PostgreSQL counts from 2000-01-01."""

_COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_READING_ROW = np.dtype(
    [
        ("fields", ">i2"),
        *[("size_id", ">i4"), ("sensor_id", ">i4"), ("size_ts", ">i4"), ("ts", ">i8")],
        *[("size_value", ">i4"), ("value", ">f8"), ("size_quality", ">i4"), ("quality", ">i2")],
    ]
)
_ARRAY_HEADER = np.dtype([("dimensions", ">i4"), ("nulls", ">i4"), ("element", ">i4"), ("n", ">i4"), ("base", ">i4")])


@dataclass(frozen=True, slots=True)
class Column:
    """A numpy column as an array parameter.

    ``kind``: int2, int4, int8, float8 or timestamptz (microseconds since 1970).
    """

    values: NDArray[Any]
    kind: str


# kind: oid of the element, oid of the array, size in bytes, numpy's form
_KINDS = {
    "int2": (21, 1005, 2, ">i2"),
    "int4": (23, 1007, 4, ">i4"),
    "int8": (20, 1016, 8, ">i8"),
    "float8": (701, 1022, 8, ">f8"),
    "timestamptz": (1184, 1185, 8, ">i8"),
}
_ELEMENTS = {kind: np.dtype([("size", ">i4"), ("value", f">{kind}")]) for kind in ("i4", "i8", "f8")}


def array_columns(
    connection: Connection, statement: LiteralString, values: Mapping[str, object], kinds: Sequence[str]
) -> list[NDArray[Any]]:
    """The one row of arrays that a statement gives, in PostgreSQL's binary form: five integers of head for an array of
    one dimension, then size and value of each element; NULL where there was no row. ``kinds``: i4, i8, f8."""
    with storage_errors(), connection.cursor(binary=True) as cursor:
        cursor.execute(statement, values)
        result = cursor.pgresult
        raw = [result.get_value(0, column) if result else None for column in range(len(kinds))]
    return [
        np.frombuffer(data, _ELEMENTS[kind], offset=20)["value"] if data else np.empty(0, kind)
        for data, kind in zip(raw, kinds, strict=True)
    ]


def seconds(ts: NDArray[Any]) -> Floats:
    """PostgreSQL's timestamps as epoch seconds."""
    return (ts.astype(np.int64) + EPOCH_OFFSET_US).astype(np.float64) / 1e6


def array_bytes(column: Column) -> bytes:
    """The column in the binary form of a one-dimensional array without NULLs."""
    element, _, size, form = _KINDS[column.kind]
    values = column.values - EPOCH_OFFSET_US if column.kind == "timestamptz" else column.values
    header = np.array([(1, 0, element, len(values), 1)], dtype=_ARRAY_HEADER)
    body = np.empty(len(values), dtype=[("size", ">i4"), ("value", form)])
    body["size"] = size
    body["value"] = values
    return header.tobytes() + body.tobytes()


def reading_block(sensor_id: Int64s, ts: Int64s, value: Floats, quality: NDArray[np.int16]) -> bytes:
    """Rows of ``reading`` as one block for binary COPY; ``ts`` in microseconds since 1970."""
    rows = np.empty(len(sensor_id), dtype=_READING_ROW)
    rows["fields"] = 4
    rows["size_id"] = 4
    rows["size_ts"] = rows["size_value"] = 8
    rows["size_quality"] = 2
    rows["sensor_id"] = sensor_id
    rows["ts"] = ts - EPOCH_OFFSET_US
    rows["value"] = value
    rows["quality"] = quality
    return _COPY_HEADER + rows.tobytes() + _COPY_TRAILER


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def get_key(self, obj: Column, format: Any) -> Any:  # noqa: A002, ARG002 - psycopg's own names
        return (self.cls, obj.kind)

    def upgrade(self, obj: Column, format: Any) -> Dumper:  # noqa: A002, ARG002
        dumper = type(self)(self.cls)
        dumper.oid = _KINDS[obj.kind][1]
        return dumper

    def dump(self, obj: Column) -> bytes:
        return array_bytes(obj)


def register_columns(connection: Connection) -> None:
    """Let ``Column`` stand as a parameter of this connection's statements."""
    connection.adapters.register_dumper(Column, _ColumnDumper)
