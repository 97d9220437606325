"""CSV with a header line: rows with their line numbers."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import shapely
from shapely.geometry import mapping

from lifeline.errors import ImportRejectedError, Problem
from lifeline.exchange.rows import Row


def csv_rows(text: str, source: str, problems: list[Problem]) -> tuple[list[str], Iterator[Row]]:
    """The columns in lower case, and the rows; a row that is wrong is noted in ``problems`` and left out.

    Raises ImportRejectedError where there is no header.
    """
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(rows, None)
    except csv.Error as error:
        raise ImportRejectedError(source, [Problem(1, f"is not CSV: {error}")]) from error
    if header is None:
        raise ImportRejectedError(source, [Problem(1, "the file is empty: the first line must name the columns")])
    columns = [field.strip().lower() for field in header]
    return columns, _rows(rows, lambda: rows.line_num + 1, columns, problems)


def _rows(
    rows: Iterator[list[str]], next_line: Callable[[], int], columns: Sequence[str], problems: list[Problem]
) -> Iterator[Row]:
    line = next_line()
    try:
        for row in rows:
            if any(field.strip() for field in row):
                if len(row) > len(columns):
                    problems.append(Problem(line, f"has {len(row)} fields, and the header names {len(columns)}"))
                else:
                    yield Row(line, dict(zip(columns, (field.strip() for field in row), strict=False)), None)
            line = next_line()
    except csv.Error as error:
        problems.append(Problem(line, f"is not CSV: {error}"))


def with_geometry(rows: Iterable[Row], problems: list[Problem]) -> list[Row]:
    """The rows with the geometry that their columns hold: `wkt` (or `geometry`), else `longitude` and `latitude`."""
    return [_with_geometry(row, problems) for row in rows]


def _with_geometry(row: Row, problems: list[Problem]) -> Row:
    values = dict(row.values)
    text = next((values.pop(name) for name in ("wkt", "geometry") if name in values), None)
    place = values.pop("longitude", ""), values.pop("latitude", "")
    if text:
        return Row(row.line, values, _from_wkt(row.line, text, problems))
    if any(part in (None, "") for part in place):
        return Row(row.line, values, None)
    try:
        return Row(row.line, values, {"type": "Point", "coordinates": [float(place[0]), float(place[1])]})
    except ValueError:
        problems.append(Problem(row.line, f"longitude {place[0]!r} and latitude {place[1]!r} must be numbers"))
        return Row(row.line, values, None)


def _from_wkt(line: int, text: str, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        shape = shapely.from_wkt(text)
    except shapely.errors.ShapelyError as error:
        problems.append(Problem(line, f"the geometry is no WKT: {str(error)[:100]}"))
        return None
    found: dict[str, Any] = mapping(shapely.force_2d(shape))
    return found
