"""Break records: the CSV file that a utility keeps of its failures. Pure: bytes in, checked records out.

Columns `asset` and `at` (ISO date or time; without a zone it is UTC), and if there are any `cause` and `id`.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lifeline.errors import ImportRejectedError, Problem
from lifeline.inventory import Entry
from lifeline.records import LONGEST_TEXT, storable
from lifeline.wire import is_identifier

BREAK_COLUMNS = ("asset", "at", "cause", "id")
NEEDED = ("asset", "at")


@dataclass(frozen=True, slots=True)
class Break:
    """One failure; ``external_id`` is the utility's number, or made of asset and time."""

    asset: str
    at: datetime
    cause: str
    external_id: str


def is_break_file(data: bytes) -> bool:
    """Whether a CSV file's header is that of break records."""
    first = data.decode("utf-8-sig", errors="replace").partition("\n")[0]
    columns = {field.strip().lower() for field in first.split(",")}
    return set(NEEDED) <= columns <= set(BREAK_COLUMNS)


def parse_breaks(data: bytes, now: datetime, source: str = "breaks.csv") -> list[Entry[Break]]:
    """The records in the file's order. Raises ImportRejectedError, and nothing else, with every problem of the file."""
    problems: list[Problem] = []
    entries: list[Entry[Break]] = []
    first: dict[str, int] = {}
    for line, values in _rows(data, source, problems):
        found = _break(line, values, now, problems)
        if found is None:
            continue
        if found.external_id in first:
            problems.append(Problem(line, f"{found.external_id} is already on line {first[found.external_id]}"))
        first.setdefault(found.external_id, line)
        entries.append(Entry(line, found))
    if problems:
        raise ImportRejectedError(source, sorted(problems, key=lambda problem: problem.line))
    return entries


def _rows(data: bytes, source: str, problems: list[Problem]) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ImportRejectedError(source, [Problem(line, f"is not UTF-8: byte {data[error.start]:#04x}")]) from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for row in rows:
            if header is None:
                header = _header(row, source)
            elif any(field.strip() for field in row):
                if len(row) > len(header):
                    problems.append(Problem(line, f"has {len(row)} fields, and the header names {len(header)}"))
                else:
                    yield line, dict(zip(header, (field.strip() for field in row), strict=False))
            line = rows.line_num + 1
    except csv.Error as error:
        problems.append(Problem(line, f"is not CSV: {error}"))
    if header is None:
        raise ImportRejectedError(source, [Problem(1, "the file is empty: the first line must name the columns")])


def _header(row: Sequence[str], source: str) -> list[str]:
    columns = [field.strip().lower() for field in row]
    wrong = [f"column {name!r} is missing" for name in NEEDED if name not in columns]
    wrong += [
        f"column {name!r} is not one of {', '.join(BREAK_COLUMNS)}" for name in columns if name not in BREAK_COLUMNS
    ]
    wrong += [f"column {name!r} is named twice" for name in dict.fromkeys(columns) if columns.count(name) > 1]
    if wrong:
        raise ImportRejectedError(source, [Problem(1, message) for message in wrong])
    return columns


def _break(line: int, values: Mapping[str, str], now: datetime, problems: list[Problem]) -> Break | None:
    before = len(problems)
    asset, cause, given = values.get("asset", ""), values.get("cause", ""), values.get("id", "")
    if not is_identifier(asset):
        problems.append(Problem(line, f"asset {asset!r} must be the id of an asset" if asset else "asset is missing"))
    for name, text in (("cause", cause), ("id", given)):
        if len(text) > LONGEST_TEXT or not storable(text):
            problems.append(Problem(line, f"{name} is longer than {LONGEST_TEXT} characters or cannot be stored"))
    at = _time(line, values.get("at", ""), now, problems)
    if at is None or len(problems) > before:
        return None
    return Break(asset, at, cause, given or f"{asset}@{at:%Y-%m-%dT%H:%M:%SZ}")


def _time(line: int, text: str, now: datetime, problems: list[Problem]) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        at = (at.replace(tzinfo=UTC) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError):
        problems.append(Problem(line, f"at {text!r} must be a date or time as 2024-05-17 or 2024-05-17T08:30:00+08:00"))
        return None
    if at.year < 1800 or at > now:
        problems.append(Problem(line, f"at {text} lies {'in the future' if at > now else 'before 1800'}"))
        return None
    return at
