"""`lifeline export`."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from lifeline.catalogue import load_catalogue
from lifeline.cli.address import HomeOption, Place, find
from lifeline.cli.console import count_of, note, say
from lifeline.errors import ConfigurationError
from lifeline.exchange.coordinates import CHINESE, WGS84, from_wgs84, plain_name
from lifeline.exchange.rows import Row
from lifeline.exchange.writers import write
from lifeline.geo import Box
from lifeline.storage import export, standing

EXAMPLES = """Examples:

`lifeline export assets --out assets.geojson`

`lifeline export assets --out water.gpkg --network water --crs EPSG:4547`

`lifeline export sensors --out sensors.csv --crs gcj02 --bbox 117.2,31.8,117.3,31.9`

`lifeline export model --network water --out water.inp`"""
MODEL = "model"


def register(app: typer.Typer) -> None:
    app.command("export", epilog=EXAMPLES)(export_)


def export_(
    what: Annotated[str, typer.Argument(help=f"{', '.join(export.KINDS)} or {MODEL}.")],
    out: Annotated[
        Path, typer.Option("--out", help="The file: .geojson, .csv, .gpkg or .shp; a model .inp.", dir_okay=False)
    ],
    home: HomeOption = None,
    crs: Annotated[str, typer.Option(help="Coordinate system to write: EPSG:4547, gcj02, bd09 ...")] = "WGS84",
    network: Annotated[str | None, typer.Option(help="Only this network.")] = None,
    bbox: Annotated[str | None, typer.Option(help="Only what touches WEST,SOUTH,EAST,NORTH (WGS 84).")] = None,
) -> None:
    """Write the inventory to a file that `lifeline import` takes, and takes as unchanged.

    A model (EPANET, SWMM) is written as it was imported last, byte for byte. A file of this name is replaced. Reading
    it back in another system takes --crs where the format cannot state it.
    """
    if what not in (*export.KINDS, MODEL):
        raise ConfigurationError(f"{what!r} is none of {', '.join((*export.KINDS, MODEL))}")
    where = find(home)
    catalogue = load_catalogue(where.settings.catalogue)
    if network is not None and network not in catalogue.networks:
        raise ConfigurationError(f"--network {network!r} is none of {', '.join(sorted(catalogue.networks))}")
    if what == MODEL:
        _export_model(where, network, out)
        return
    box = box_of(bbox)
    from_wgs84(crs)  # a system that does not exist is refused before anything is read
    with where.connection() as connection:
        total = export.count(connection, what, network)
        with count_of(f"{what}", total) as progress:
            found = _counted(export.rows(connection, what, network=network, box=box), progress)
            written = write(out, what, found, crs)
    names = ", ".join(str(each) for each in written.files if each.suffix == out.suffix)
    say(f"{names}: {written.rows} {what}")
    stated = out.suffix.lower() not in (".csv", ".gpkg", ".shp") or plain_name(crs) == WGS84
    if not stated and (plain_name(crs) in CHINESE or out.suffix.lower() == ".csv"):
        note(f"the file does not say that it is in {crs}: import it with --crs {crs}")


def _export_model(where: Place, network: str | None, out: Path) -> None:
    if network is None or out.suffix.lower() != ".inp":
        raise ConfigurationError("a model takes --network NAME and --out FILE.inp")
    with where.connection() as connection:
        found = standing.model_file(connection, network)
    try:
        out.write_bytes(found.content)
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}") from error
    say(f"{out}: {found.format} model {found.name} of {network}, as it was imported")


def box_of(text: str | None) -> Box | None:
    """``WEST,SOUTH,EAST,NORTH`` in degrees. Raises ConfigurationError."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(side) for side in text.split(","))
        if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
            raise ValueError
    except ValueError as error:
        raise ConfigurationError(f"--bbox {text!r} must be WEST,SOUTH,EAST,NORTH in degrees") from error
    return Box(west, south, east, north)


def _counted(rows: Iterable[Row], progress: Callable[[int], None]) -> Iterator[Row]:
    for row in rows:
        progress(1)
        yield row
