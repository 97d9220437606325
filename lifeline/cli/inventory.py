"""`lifeline import`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lifeline.breaks import is_break_file, parse_breaks
from lifeline.catalogue import Catalogue, load_catalogue
from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import count_of, out, say, table
from lifeline.errors import ConfigurationError, ImportRejectedError
from lifeline.exchange.coordinates import Placement
from lifeline.exchange.files import Contents, Options, read_file
from lifeline.exchange.mapping import KINDS, read_mapping
from lifeline.storage import standing
from lifeline.storage.breaks import store_breaks
from lifeline.storage.database import Connection
from lifeline.storage.imports import Outcome, import_contents

EXAMPLES = """Examples:

`lifeline import assets.geojson zones.geojson sensors.csv --dry-run`

`lifeline import breaks.csv`

`lifeline import pipes.shp --mapping pipes.toml --crs EPSG:4547`

`lifeline import town.inp --place 117.27,31.86 --prefix w-`"""


def register(app: typer.Typer) -> None:
    app.command("import", epilog=EXAMPLES)(import_)


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(help="GeoJSON, CSV, .shp, .gpkg, .fgb, or .inp of EPANET or SWMM.", exists=True, dir_okay=False),
    ],
    home: HomeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and store nothing.")] = False,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML: columns, words and units of the source.", exists=True, dir_okay=False)
    ] = None,
    crs: Annotated[
        str | None, typer.Option(help="Coordinate system of the files: EPSG:4547, EPSG:4490, gcj02, bd09 ...")
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(help="For a model without a system: LON,LAT of its middle[,METRES_A_UNIT[,DEGREES]]."),
    ] = None,
    as_: Annotated[str | None, typer.Option("--as", help="What the rows are: assets, sensors or zones.")] = None,
    network: Annotated[str | None, typer.Option(help="The network of everything in the files.")] = None,
    prefix: Annotated[str, typer.Option(help="Put before every id, so that two sources cannot clash.")] = "",
    encoding: Annotated[str | None, typer.Option(help="Of text files; a Chinese one may be gb18030.")] = None,
) -> None:
    """Load assets, zones, sensors and breaks: all of the files or nothing. What is there already is updated by its id.

    Every mistake is listed with its line. docs/reference/inventory.md describes the files.
    """
    where = find(home)
    catalogue = load_catalogue(where.settings.catalogue)
    if as_ is not None and as_ not in KINDS:
        raise ConfigurationError(f"--as {as_!r} is none of {', '.join(KINDS)}")
    if network is not None and network not in catalogue.networks:
        raise ConfigurationError(f"--network {network!r} is none of {', '.join(sorted(catalogue.networks))}")
    columns = read_mapping(mapping) if mapping else None
    options = Options(as_, crs, Placement.parse(place) if place else None, columns, network, prefix, encoding)
    now = datetime.now(UTC)
    records = [path for path in files if path.suffix.lower() == ".csv" and is_break_file(content(path))]
    with where.connection() as connection:
        contents = read_files([path for path in files if path not in records], options)
        if contents:
            _show(contents, _import(connection, contents, catalogue, now))
        for path in records:
            say(import_breaks(connection, path, now))
        if records:
            standing.recompute(connection, now)
        if dry_run:
            connection.rollback()
            say("nothing was stored (--dry-run)")


def import_files(connection: Connection, files: Sequence[Path], catalogue: Catalogue, now: datetime) -> list[str]:
    """Check all files, then store them in the caller's transaction; give a line about each.

    Raises ImportRejectedError, and nothing may be committed then.
    """
    return [_line(outcome) for outcome in _import(connection, read_files(files, Options()), catalogue, now)]


def import_breaks(connection: Connection, path: Path, now: datetime) -> str:
    """Store the break records of a file in the caller's transaction; a line about it. Raises ImportRejectedError."""
    done = store_breaks(connection, parse_breaks(content(path), now, str(path)), str(path))
    return f"{path.name}: breaks: {done.new} new, {done.changed} changed, {done.same} unchanged"


def content(path: Path) -> bytes:
    """The bytes of a file. Raises ConfigurationError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def read_files(files: Sequence[Path], options: Options) -> list[Contents]:
    """Contents of all files. A file that cannot be read at all keeps none of the others' problems from being listed."""
    contents: list[Contents] = []
    with count_of("reading files", len(files)) as progress:
        for path in files:
            try:
                contents += read_file(path, options)
            except ImportRejectedError as error:
                contents.append(Contents(error.source, problems=list(error.problems)))
            progress(1)
    return contents


def _import(connection: Connection, contents: Sequence[Contents], catalogue: Catalogue, now: datetime) -> list[Outcome]:
    return import_contents(connection, contents, catalogue, now, actor="lifeline import", bars=count_of)


def _show(contents: Sequence[Contents], outcomes: Sequence[Outcome]) -> None:
    columns = table("file", "", "new", "changed", "unchanged")
    for source, what, (new, changed, same) in ((o.source, o.what, _numbers(o)) for o in outcomes):
        columns.add_row(Path(source).name, what, f"{new}", f"{changed}", f"{same}")
    out.print(columns)
    for each in contents:
        for line in each.notes:
            say(f"{Path(each.source).name}: {line}")
    if not any(o.stored.new or o.stored.changed for o in outcomes):
        say("nothing has changed")


def _numbers(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.stored.new, outcome.stored.changed, outcome.stored.same


def _line(outcome: Outcome) -> str:
    new, changed, same = _numbers(outcome)
    return f"{Path(outcome.source).name}: {outcome.what}: {new} new, {changed} changed, {same} unchanged"
