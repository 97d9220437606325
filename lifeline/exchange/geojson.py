"""Reads a GeoJSON FeatureCollection feature by feature, with the line that each begins on.

`json` alone gives no lines; this walks the outermost object and its `features` and leaves every value to `json`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from lifeline.errors import ImportRejectedError, Problem
from lifeline.exchange.rows import Row
from lifeline.records import shown

_SPACE = re.compile(r"[ \t\r\n]*")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def feature_values(text: str, source: str, systems: list[str] | None = None) -> Iterator[tuple[int, Any]]:
    """(line, value) of each member of ``features``; the caller checks that it is a feature.

    The name of the coordinate system, where the file states one as GeoJSON of before 2016 does, is put into
    ``systems``. Raises ImportRejectedError where the text is no JSON or no FeatureCollection.
    """
    walk = _Walk(text, source)
    seen: set[str] = set()
    for key in walk.members():
        seen.add(key)
        if key == "features":
            yield from walk.elements()
            continue
        value = walk.value()
        if key == "type" and value != "FeatureCollection":
            walk.reject(f"the file must be a FeatureCollection, not {str(value)[:40]!r}")
        elif key == "crs" and systems is not None:
            systems += _system(value)
    for key in ("type", "features"):
        if key not in seen:
            walk.reject(f"{key!r} is missing: the file must be a FeatureCollection", at=0)
    walk.end()


def _system(crs: object) -> list[str]:
    stated = crs.get("properties") if isinstance(crs, dict) else None
    name = stated.get("name") if isinstance(stated, dict) else None
    return [name] if isinstance(name, str) else []


def feature_rows(text: str, source: str, problems: list[Problem], systems: list[str] | None = None) -> Iterator[Row]:
    """The features as rows; what is none is noted in ``problems`` and left out."""
    for line, feature in feature_values(text, source, systems):
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            problems.append(Problem(line, f"a feature must be an object of type Feature, not {shown(feature)}"))
        elif not isinstance(feature.get("properties"), dict):
            problems.append(Problem(line, f"properties must be an object, not {shown(feature.get('properties'))}"))
        else:
            yield Row(line, feature["properties"], feature.get("geometry"))


class _Walk:
    """A position in the text."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._at = 0
        self._counted = 0
        self._line = 1

    def reject(self, message: str, at: int | None = None) -> NoReturn:
        line = self._text.count("\n", 0, self._at if at is None else at) + 1
        raise ImportRejectedError(self._source, [Problem(line, message)])

    def value(self) -> Any:
        """The value that begins here."""
        self._skip()
        try:
            value, self._at = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self.reject(f"is not JSON: {error.msg}", at=error.pos)
        except RecursionError:
            self.reject("is nested too deeply")
        except ValueError as error:
            self.reject(f"is not JSON: {error}")
        return value

    def members(self) -> Iterator[str]:
        """The keys of the object that begins here; the caller reads each value before it asks for the next."""
        self._take("{", "the file must be a JSON object")
        if self._found("}"):
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                self.reject("is not JSON: a key must be text")
            self._take(":", "is not JSON: ':' is missing after a key")
            yield key
            if self._found("}"):
                return
            self._take(",", "is not JSON: ',' or '}' is missing")

    def elements(self) -> Iterator[tuple[int, Any]]:
        """(line, value) of the members of the array that begins here."""
        self._take("[", "'features' must be an array")
        if self._found("]"):
            return
        while True:
            self._skip()
            line = self._line_here()
            yield line, self.value()
            if self._found("]"):
                return
            self._take(",", "is not JSON: ',' or ']' is missing after a feature")

    def end(self) -> None:
        self._skip()
        if self._at != len(self._text):
            self.reject("is not JSON: something follows the end")

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _found(self, mark: str) -> bool:
        self._skip()
        found = self._text.startswith(mark, self._at)
        self._at += found
        return found

    def _take(self, mark: str, otherwise: str) -> None:
        if not self._found(mark):
            self.reject(otherwise)

    def _line_here(self) -> int:
        """Counts on from the last question, so that asking for every feature stays linear."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
