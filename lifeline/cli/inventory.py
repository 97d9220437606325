"""`lifeline import`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeline.catalogue import Catalogue, load_catalogue
from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import count_of, say
from lifeline.errors import ConfigurationError, ImportRejectedError
from lifeline.inventory import Entry, parse_assets, parse_sensors
from lifeline.model import Asset, Sensor
from lifeline.storage import inventory
from lifeline.storage.database import Connection

ASSETS, SENSORS = (".geojson", ".json"), (".csv",)


def register(app: typer.Typer) -> None:
    app.command("import", epilog="Example: `lifeline import assets.geojson sensors.csv --dry-run`")(import_)


def import_(
    files: Annotated[
        list[Path], typer.Argument(help="Assets as .geojson, sensors as .csv.", exists=True, dir_okay=False)
    ],
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and store nothing.")] = False,
) -> None:
    """Load assets and sensors: all of the files or nothing. What is there already is brought up to date by its id.

    Every mistake is listed with its line. docs/reference/inventory.md describes the files.
    """
    place = find(home)
    catalogue = load_catalogue(place.settings.catalogue)
    with place.connection() as connection:
        for line in import_files(connection, files, catalogue, datetime.now(UTC)):
            say(line)
        if dry_run:
            connection.rollback()
            say("nothing was stored (--dry-run)")


def import_files(connection: Connection, files: Sequence[Path], catalogue: Catalogue, now: datetime) -> list[str]:
    """Check all files, then store them in the caller's transaction, assets first; give a line about each.

    Raises ImportRejectedError, and nothing may be committed then.
    """
    assets: list[tuple[Path, list[Entry[Asset]]]] = []
    sensors: list[tuple[Path, list[Entry[Sensor]]]] = []
    rejected: list[ImportRejectedError] = []
    for path in files:
        try:
            if path.suffix.lower() in ASSETS:
                assets.append((path, parse_assets(_content(path), catalogue, str(path))))
            elif path.suffix.lower() in SENSORS:
                sensors.append((path, parse_sensors(_content(path), catalogue, str(path))))
            else:
                raise ConfigurationError(f"{path}: assets are {' or '.join(ASSETS)}, sensors are {SENSORS[0]}")
        except ImportRejectedError as error:
            rejected.append(error)
    if rejected:
        raise rejected[0] if len(rejected) == 1 else _together(rejected)
    done = [_store_assets(connection, path, entries, now) for path, entries in assets]
    done += [
        _line(path, "sensors", inventory.store_sensors(connection, entries, str(path))) for path, entries in sensors
    ]
    return done


def _store_assets(connection: Connection, path: Path, entries: Sequence[Entry[Asset]], now: datetime) -> str:
    with count_of(path.name, len(entries)) as progress:
        return _line(path, "assets", inventory.store_assets(connection, entries, now, str(path), progress))


def _line(path: Path, what: str, stored: inventory.Stored) -> str:
    return f"{path.name}: {what}: {stored.new} new, {stored.changed} changed, {stored.same} as they were"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def _together(rejected: Sequence[ImportRejectedError]) -> ConfigurationError:
    return ConfigurationError("\n".join(str(error) for error in rejected))
