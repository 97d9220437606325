"""Loads the statements of a ``.sql`` file.

A file holds statements under ``-- name: some_name`` headers; the comment lines below a header say what it is for.
"""

import re
from functools import cache
from importlib import resources
from typing import LiteralString, cast

_HEADER = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load(noun: str) -> dict[str, LiteralString]:
    """The statements of ``sql/<noun>.sql`` by name.

    They are LiteralString for psycopg's sake: they ship with the package and no input ever becomes part of one.
    """
    text = resources.files("lifeline.storage.sql").joinpath(f"{noun}.sql").read_text(encoding="utf-8")
    parts = _HEADER.split(text)
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
