"""One record of a file: reads its fields, checks them, and notes what is wrong with them instead of raising."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from lifeline.catalogue import Catalogue
from lifeline.errors import Problem
from lifeline.wire import is_identifier

Choice = TypeVar("Choice", bound=StrEnum)

LONGEST_TEXT = 500
_DATE = re.compile(r"((?:18|19|20|21)\d\d)[-/.年]\d{1,2}.*")
_TRUTH = {"true": True, "1": True, "false": False, "0": False, "": False}


@dataclass(slots=True)
class Record:
    """The fields of one record of a file by Lifeline's names; ``problems`` collects what is wrong with them."""

    line: int
    values: Mapping[str, Any]
    problems: list[Problem]

    def wrong(self, message: str) -> None:
        self.problems.append(Problem(self.line, message))

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.wrong(f"{name} must be text, not {shown(value)}")
            return ""
        if len(value) > LONGEST_TEXT or not storable(value):
            self.wrong(f"{name} is longer than {LONGEST_TEXT} characters or holds some that cannot be stored")
            return ""
        return value.strip()

    def identifier(self, name: str, *, needed: bool = False) -> str | None:
        value = self.values.get(name)
        if value is None or value == "":
            if needed:
                self.wrong(f"{name} is missing")
            return None
        if not isinstance(value, str) or not is_identifier(value):
            self.wrong(f"{name} {shown(value)} must be 1 to 64 letters, digits or . _ : - and begin with none of these")
            return None
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from ``low`` to ``high``; also from text, as CSV has nothing else."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        try:
            if isinstance(value, bool):
                raise ValueError
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            self.wrong(f"{name} must be a number, not {shown(value)}")
            return None
        if not low <= number <= high:  # also refuses NaN
            self.wrong(f"{name} must be from {low:g} to {high:g}, not {number:g}")
            return None
        return number

    def year(self, name: str) -> int | None:
        """A year, also from a date that begins with it."""
        value = self.values.get(name)
        date = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
        return int(date[1]) if date else self.integer(name, 1800, 2200)

    def integer(self, name: str, low: int, high: int) -> int | None:
        number = self.number(name, low, high)
        if number is None:
            return None
        if number != math.floor(number):
            self.wrong(f"{name} must be a whole number, not {number:g}")
            return None
        return int(number)

    def boolean(self, name: str) -> bool:
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        if str(value).strip().lower() in _TRUTH:  # CSV has text alone, a shapefile numbers
            return _TRUTH[str(value).strip().lower()]
        self.wrong(f"{name} must be true or false, not {shown(value)}")
        return False

    def optional_boolean(self, name: str) -> bool | None:
        value = self.values.get(name)
        return None if value is None or value == "" else self.boolean(name)

    def choice(self, name: str, among: type[Choice]) -> Choice | None:
        value = self.text(name)
        if not value:
            return None
        if value not in among.__members__.values():
            self.wrong(f"{name} {shown(value)} is none of {', '.join(among)}")
            return None
        return among(value)

    def network(self, catalogue: Catalogue) -> str:
        value = self.text("network")
        if value not in catalogue.networks:
            known = ", ".join(sorted(catalogue.networks))
            self.wrong(f"network {shown(value)} is not in the catalogue ({known})")
        return value


def storable(text: str) -> bool:
    """Whether PostgreSQL can keep the text: no NUL and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def storable_json(value: object, depth: int = 32) -> bool:
    """Whether PostgreSQL can keep the value as jsonb; what is nested deeper than ``depth`` is refused with it."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) < 1e300
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        return depth > 0 and all(storable_json(each, depth - 1) for each in value)
    return True


def shown(value: object) -> str:
    """The value as it is named in a message: 40 characters at most."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
