"""Blocks of readings as CSV, as an Arrow IPC stream and as Parquet, written as they come: memory holds one block."""

import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import zstandard

from api.inventory import marks
from lifeline.storage.series import Measured, Point

_NAME = pa.dictionary(pa.int16(), pa.string())
_COLUMNS = [("sensor", pa.int32()), ("quantity", _NAME), ("unit", _NAME), ("ts", pa.timestamp("us", "UTC"))]
_RAW = [("value", pa.float64()), ("quality", pa.string())]
_ROLLED = [("n", pa.int32()), *((name, pa.float64()) for name in ("minimum", "maximum", "mean", "last"))]


class Block(NamedTuple):
    """Points of the sensor at ``place`` of those that were asked for."""

    place: int
    points: Sequence[Point]


class Writer(Protocol):
    """Readings to bytes. ``units`` by quantity; ``rolled``: the points are buckets and not single readings."""

    def __call__(
        self, blocks: Iterator[Block], measured: Sequence[Measured], units: Mapping[str, str], *, rolled: bool
    ) -> Iterator[bytes]: ...


class Sheets:
    """Makes record batches of blocks, all with one schema and the same dictionaries."""

    def __init__(self, measured: Sequence[Measured], units: Mapping[str, str], *, rolled: bool) -> None:
        self._measured, self._rolled = measured, rolled
        quantities = sorted({each.quantity for each in measured})
        self._code = {name: code for code, name in enumerate(quantities)}
        self._names = pa.array(quantities, pa.string())
        self._units = pa.array([units.get(name, "") for name in quantities], pa.string())
        told = [each._asdict() for each in measured]
        fields = [*_COLUMNS, *(_ROLLED if rolled else _RAW)]
        self.schema = pa.schema(fields, {"lifeline.sensors": json.dumps(told, ensure_ascii=False)})

    def batch(self, block: Block) -> Any:
        """A block as a record batch."""
        sensor, points = self._measured[block.place], block.points
        codes = pa.array([self._code[sensor.quantity]] * len(points), pa.int16())
        columns = [
            pa.array([sensor.sensor_id] * len(points), pa.int32()),
            pa.DictionaryArray.from_arrays(codes, self._names),
            pa.DictionaryArray.from_arrays(codes, self._units),
            pa.array([each.ts for each in points], pa.timestamp("us", "UTC")),
        ]
        if self._rolled:
            columns += [pa.array([getattr(each, name) for each in points], kind) for name, kind in _ROLLED]
        else:
            columns.append(pa.array([each.last for each in points], pa.float64()))
            columns.append(pa.array([" ".join(marks(each.quality)) for each in points], pa.string()))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def csv(
    blocks: Iterator[Block], measured: Sequence[Measured], units: Mapping[str, str], *, rolled: bool
) -> Iterator[bytes]:
    """CSV with a header line; times as RFC 3339 in UTC."""
    sheets = Sheets(measured, units, rolled=rolled)
    yield ",".join(sheets.schema.names).encode() + b"\n"
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    for block in blocks:
        batch = sheets.batch(block)
        plain = [
            pc.strftime(column.cast(pa.timestamp("us")), "%Y-%m-%dT%H:%M:%SZ")
            if pa.types.is_timestamp(column.type)
            else column.cast(pa.string())
            if pa.types.is_dictionary(column.type)
            else column
            for column in batch.columns
        ]
        text = io.BytesIO()
        pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(plain, names=batch.schema.names), text, options)
        yield text.getvalue()


def arrow(
    blocks: Iterator[Block], measured: Sequence[Measured], units: Mapping[str, str], *, rolled: bool
) -> Iterator[bytes]:
    """An Arrow IPC stream, its buffers packed by zstd."""
    sheets, sink = Sheets(measured, units, rolled=rolled), _Sink()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, sheets.schema, options=options) as writer:
        for block in blocks:
            writer.write_batch(sheets.batch(block))
            yield sink.taken()
    yield sink.taken()


def parquet(
    blocks: Iterator[Block], measured: Sequence[Measured], units: Mapping[str, str], *, rolled: bool
) -> Iterator[bytes]:
    """Parquet, a row group for each block."""
    sheets, sink = Sheets(measured, units, rolled=rolled), _Sink()
    with pyarrow.parquet.ParquetWriter(sink, sheets.schema, compression="zstd") as writer:
        for block in blocks:
            writer.write_batch(sheets.batch(block))
            yield sink.taken()
    yield sink.taken()


WRITERS: dict[str, Writer] = {"csv": csv, "arrow": arrow, "parquet": parquet}


def packing(accepted: set[str], compressible: bool) -> str:
    """The encoding that a stream goes out in; empty for none. Arrow and Parquet are packed already."""
    return next((name for name in ("zstd", "gzip") if name in accepted), "") if compressible else ""


def packed(parts: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """A stream in its encoding, what is empty left out."""
    if not encoding:
        return (part for part in parts if part)
    if encoding == "zstd":
        packer = zstandard.ZstdCompressor(level=3).compressobj()
        return _through(parts, packer.compress, packer.flush)
    zipper = zlib.compressobj(6, zlib.DEFLATED, 31)
    return _through(parts, zipper.compress, zipper.flush)


def _through(parts: Iterator[bytes], compress: Callable[[bytes], bytes], flush: Callable[[], bytes]) -> Iterator[bytes]:
    for part in parts:
        if made := compress(part):
            yield made
    yield flush()


class _Sink(io.RawIOBase):
    """What a writer has written since it was asked last."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        """The bytes since the last call."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found
