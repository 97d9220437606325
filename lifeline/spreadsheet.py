"""Rows as CSV that a spreadsheet opens without harm."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MARK = b"\xef\xbb\xbf"
"""In front of a file: Excel reads UTF-8 only so."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header line. Lists of plain values are separated by spaces, what is deeper is JSON."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: cell(row.get(name)) for name in columns})
    return text.getvalue()


def cell(value: Any) -> Any:
    """A value as a cell holds it. A spreadsheet takes a leading = + - @ for a formula; names come from anybody."""
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        value = " ".join(map(str, value))
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
