"""What every reader gives: rows with the line that they begin on."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lifeline.errors import ImportRejectedError, Problem
from lifeline.model import JsonObject


class Row(NamedTuple):
    """One record of a file: its line (or the number of the feature), its fields, its GeoJSON geometry if it has one."""

    line: int
    values: Mapping[str, Any]
    geometry: JsonObject | None


def decoded(data: bytes, source: str, encoding: str = "utf-8") -> str:
    """The file's text. Raises ImportRejectedError with the line of the first byte that is none."""
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "" if encoding != "utf-8" else " (a Chinese file may be GBK: give --encoding gb18030)"
        message = f"is not {encoding.upper()}: byte {data[error.start]:#04x}{hint}"
        raise ImportRejectedError(source, [Problem(line, message)]) from error
