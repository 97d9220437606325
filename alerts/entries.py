"""Reads what stands in a TOML file as a list of tables, such as rules and causes; each mistake is told by its entry."""

import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec

from lifeline.errors import CatalogueError


def entries(text: str, noun: str, kind: Any, source: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """Name and content of each table ``[[noun]]``; one that is no ``kind`` is told in ``problems`` and left out.

    Raises CatalogueError where the text is not TOML, or the tables stand elsewhere.
    """
    try:
        tables = tomllib.loads(text).get(noun, [])
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{source}: not TOML: {error}") from error
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise CatalogueError(f"{source}: {noun}s stand under [[{noun}]]")
    for number, table in enumerate(tables, 1):
        name = f"{noun} {table.get('id', number)!r}"
        try:
            yield name, msgspec.convert(table, type=kind)
        except msgspec.ValidationError as error:
            problems.append(f"{name}: {error}")


def refuse(problems: list[str], source: str) -> None:
    """Raises CatalogueError with a line for each problem, if there is any."""
    if problems:
        raise CatalogueError("\n".join(f"{source}: {problem}" for problem in problems))
