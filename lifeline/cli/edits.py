"""What the commands that edit single things have in common: key=value, --dry-run, and what is said of a change."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from lifeline.catalogue import load_catalogue
from lifeline.cli.address import find
from lifeline.cli.console import out, say, table
from lifeline.errors import ConfigurationError
from lifeline.exchange.writers import COLUMNS, singular
from lifeline.storage.editing import Edit, Editor

Fields = Annotated[
    list[str], typer.Argument(help="Fields as key=value; `key=` takes one away.", metavar="KEY=VALUE...")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]


def edit(home: Path | None, what: str, name: str, fields: list[str], dry_run: bool) -> None:
    """Change fields of one thing, and say what has changed."""
    wanted = parsed(what, fields)
    place = find(home)
    with place.connection() as connection:
        editor = Editor(connection, load_catalogue(place.settings.catalogue), _actor(), datetime.now(UTC))
        show(editor.patch(what, name, wanted))
        if dry_run:
            connection.rollback()
            say("nothing was stored (--dry-run)")


def remove(home: Path | None, what: str, name: str, dry_run: bool) -> None:
    """Remove one thing."""
    place = find(home)
    with place.connection() as connection:
        editor = Editor(connection, load_catalogue(place.settings.catalogue), _actor(), datetime.now(UTC))
        editor.remove(what, name)
        if dry_run:
            connection.rollback()
    say(f"{singular(what)} {name}: {'would be removed (--dry-run)' if dry_run else 'removed'}")


def parsed(what: str, fields: list[str]) -> dict[str, Any]:
    """``key=value`` of each; what is no field of Lifeline's is an attribute, and JSON where it reads as such.

    Raises ConfigurationError.
    """
    wanted: dict[str, Any] = {}
    for field in fields:
        key, equals, text = field.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"{field!r} must be key=value, as material=pe")
        if key in wanted:
            raise ConfigurationError(f"{key!r} is given twice")
        known = key in COLUMNS[what] or key in ("longitude", "latitude")
        if what == "sensors" and not known:
            raise ConfigurationError(f"{key!r} is none of {', '.join(COLUMNS[what])}, longitude, latitude")
        wanted[key] = None if text == "" else text if known else _value(text)
    return wanted


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def show(edit_: Edit) -> None:
    """A table of what each field was and is."""
    if edit_.action is None:
        say(f"{singular(edit_.what)} {edit_.name}: nothing has changed")
        return
    say(f"{singular(edit_.what)} {edit_.name}: {edit_.action}")
    columns = table("field", "before", "after")
    for field, (before, after) in edit_.changes.items():
        columns.add_row(field, _short(before), _short(after))
    out.print(columns)


def _short(value: object) -> str:
    text = "-" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _actor() -> str:
    try:
        return f"lifeline ({getpass.getuser()})"
    except (OSError, KeyError):  # a container's user need not have a name
        return "lifeline"
