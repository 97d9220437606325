"""Readings as CSV, Arrow and Parquet: the same rows in each, written block by block."""

import csv
import io
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from api import columnar
from api.columnar import WRITERS, Block, packed, packing
from lifeline.storage.series import Measured, Point

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MEASURED = [
    Measured(3, "rtu-1", "methane", "methane", "K-7"),
    Measured(9, "rtu-2", "level.b", "level", None),
]
UNITS = {"methane": "%VOL"}


def point(second: float, value: float, quality: int = 0) -> Point:
    return Point(NOON + timedelta(seconds=second), 4, value - 1, value + 1, value, value, quality)


BLOCKS = [Block(0, [point(0, 0.5), point(0.25, 0.125, 1)]), Block(0, [point(9, 2.0, 3)]), Block(1, [point(1, -7.0)])]


def written(form: str, blocks: list[Block], *, rolled: bool = False) -> bytes:
    return b"".join(WRITERS[form](iter(blocks), MEASURED, UNITS, rolled=rolled))


def read(form: str, content: bytes) -> pa.Table:
    if form == "arrow":
        return pa.ipc.open_stream(content).read_all()
    return pyarrow.parquet.read_table(io.BytesIO(content))


def test_csv_tells_times_in_utc_and_marks_by_name() -> None:
    lines = list(csv.reader(io.StringIO(written("csv", BLOCKS).decode())))
    assert [",".join(line) for line in lines] == [
        "sensor,quantity,unit,ts,value,quality",
        "3,methane,%VOL,2026-11-21T12:00:00.000000Z,0.5,",
        "3,methane,%VOL,2026-11-21T12:00:00.250000Z,0.125,backlog",
        "3,methane,%VOL,2026-11-21T12:00:09.000000Z,2,backlog implausible",
        "9,level,,2026-11-21T12:00:01.000000Z,-7,",
    ]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_a_table_has_the_rows_of_every_block_in_order(form: str) -> None:
    found = read(form, written(form, BLOCKS)).to_pydict()
    assert found["sensor"] == [3, 3, 3, 9]
    assert found["quantity"] == ["methane"] * 3 + ["level"]
    assert found["unit"] == ["%VOL"] * 3 + [""]
    assert found["ts"] == [each.ts for block in BLOCKS for each in block.points]
    assert found["value"] == [0.5, 0.125, 2.0, -7.0]
    assert found["quality"] == ["", "backlog", "backlog implausible", ""]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_roll_ups_have_their_figures_and_no_marks(form: str) -> None:
    found = read(form, written(form, BLOCKS, rolled=True)).to_pydict()
    assert "quality" not in found
    assert found["n"] == [4] * 4
    assert found["minimum"] == [-0.5, -0.875, 1.0, -8.0]
    assert found["maximum"] == [1.5, 1.125, 3.0, -6.0]
    assert found["mean"] == found["last"] == [0.5, 0.125, 2.0, -7.0]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_the_schema_says_which_sensors_these_are(form: str) -> None:
    metadata = read(form, written(form, BLOCKS)).schema.metadata
    assert json.loads(metadata[b"lifeline.sensors"]) == [each._asdict() for each in MEASURED]


@pytest.mark.parametrize("form", ["csv", "arrow", "parquet"])
def test_no_readings_are_a_whole_file_without_rows(form: str) -> None:
    content = written(form, [])
    if form == "csv":
        assert content == b"sensor,quantity,unit,ts,value,quality\n"
    else:
        assert read(form, content).num_rows == 0


@pytest.mark.parametrize("form", ["csv", "arrow"])
def test_a_block_goes_out_before_the_next_is_read(form: str) -> None:
    """Else a year of readings would stand in memory."""
    asked = 0

    def blocks() -> Iterator[Block]:
        nonlocal asked
        for number in range(5):
            asked = number
            yield Block(0, [point(number, float(number))])

    parts = (part for part in WRITERS[form](blocks(), MEASURED, UNITS, rolled=False) if part)
    seen = []
    for _ in parts:
        seen.append(asked)
    assert seen[:4] == sorted(seen[:4])
    assert seen[1] <= 1


@pytest.mark.parametrize(
    ("accepted", "compressible", "encoding"),
    [
        ({"gzip", "zstd"}, True, "zstd"), ({"gzip", "br"}, True, "gzip"), ({"identity"}, True, ""), (set(), True, ""),
        ({"zstd"}, False, ""),
    ],
)  # fmt: skip
def test_the_encoding_is_the_best_that_the_client_accepts(
    accepted: set[str], compressible: bool, encoding: str
) -> None:
    assert packing(accepted, compressible) == encoding


def unpacked(content: bytes, encoding: str) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return zlib.decompress(content, 31) if encoding == "gzip" else content


@pytest.mark.parametrize("encoding", ["zstd", "gzip", ""])
@given(parts=st.lists(st.binary(max_size=50), max_size=6))
def test_a_packed_stream_is_the_same_bytes_and_sends_no_empty_part(encoding: str, parts: list[bytes]) -> None:
    sent = list(packed(iter(parts), encoding))
    assert all(sent)
    assert unpacked(b"".join(sent), encoding) == b"".join(parts)


def test_what_is_wrong_on_the_way_is_not_swallowed() -> None:
    def broken() -> Iterator[Block]:
        yield BLOCKS[0]
        raise RuntimeError("the database went away")

    for form in WRITERS:
        with pytest.raises(RuntimeError, match="went away"):
            list(WRITERS[form](broken(), MEASURED, UNITS, rolled=False))


def test_every_column_of_a_batch_has_the_schema_of_all() -> None:
    sheets = columnar.Sheets(MEASURED, UNITS, rolled=False)
    batches: list[Any] = [sheets.batch(block) for block in BLOCKS]
    assert {batch.schema for batch in batches} == {sheets.schema}
