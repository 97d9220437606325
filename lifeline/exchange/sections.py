"""The `.inp` files of EPANET and SWMM: sections of lines, read with their line numbers.

They are read here and not by wntr or pyswmm because those stop at the first mistake and give no line for many: an
import lists them all. That both see the same network is held by tests against those two.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from lifeline.errors import ImportRejectedError, Problem
from lifeline.exchange.rows import decoded


class Line(NamedTuple):
    """A line of a section, cut into its fields; ``number`` counts from 1."""

    number: int
    fields: tuple[str, ...]


Sections = dict[str, list[Line]]


def read_sections(data: bytes, source: str, encoding: str = "utf-8") -> Sections:
    """Lines by section, names in upper case and cut to their first word; comments and blank lines are left out.

    A file that is no UTF-8 is read as Latin-1, as EPANET does, unless another encoding is named.
    Raises ImportRejectedError where the text has no section.
    """
    try:
        text = decoded(data, source, encoding)
    except ImportRejectedError:
        if encoding != "utf-8":
            raise
        text = data.decode("latin-1")
    sections: Sections = {}
    current: list[Line] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        body = raw.partition(";")[0].strip()
        if body.startswith("["):
            current = sections.setdefault(body[1:].partition("]")[0].strip().upper(), [])
        elif body and current is not None:
            current.append(Line(number, tuple(body.split())))
    if not sections:
        raise ImportRejectedError(source, [Problem(1, "has no [SECTION]: it is no EPANET or SWMM input file")])
    return sections


class Fields:
    """Reads the fields of lines and notes what is wrong with them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def wrong(self, line: Line, message: str) -> None:
        self.problems.append(Problem(line.number, message))

    def enough(self, line: Line, count: int, what: str) -> bool:
        """Whether the line has ``count`` fields; a line with fewer is noted."""
        if len(line.fields) >= count:
            return True
        self.wrong(line, f"{what} {line.fields[0]!r} has {len(line.fields)} fields, and needs {count} at least")
        return False

    def number(self, line: Line, position: int, name: str, *, above: float = -math.inf) -> float | None:
        """The number in a field; None where it is missing, or is none and was noted."""
        if position >= len(line.fields) or line.fields[position] == "*":
            return None
        try:
            value = float(line.fields[position])
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < above:
            bound = "" if above == -math.inf else f" of {above:g} or more"
            self.wrong(line, f"{name} of {line.fields[0]!r} must be a number{bound}, not {line.fields[position]!r}")
            return None
        return value

    def positions(self, lines: list[Line], what: str) -> Iterator[tuple[Line, list[float]]]:
        """Lines of NAME X Y with the position; those that are wrong are noted."""
        for line in lines:
            if self.enough(line, 3, what):
                x, y = self.number(line, 1, "X"), self.number(line, 2, "Y")
                if x is not None and y is not None:
                    yield line, [x, y]


def option(sections: Sections, name: str, otherwise: str) -> str:
    """The value of a line of [OPTIONS], in upper case."""
    for line in sections.get("OPTIONS", []):
        if line.fields[0].upper() == name and len(line.fields) > 1:
            return line.fields[1].upper()
    return otherwise
