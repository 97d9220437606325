"""Routes that take and give whole files of the inventory."""

import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from api.access import Access
from api.city import city
from api.parameters import Bbox, Name, Network, StrictRoute, box_of
from api.problems import ProblemError
from api.shield import LARGEST_FILE
from lifeline.errors import ConfigurationError, ImportRejectedError, Problem
from lifeline.exchange.coordinates import Placement
from lifeline.exchange.files import SUFFIXES, Contents, Options, read_file
from lifeline.exchange.mapping import KINDS
from lifeline.exchange.writers import write
from lifeline.model import Role
from lifeline.principal import Principal
from lifeline.storage import export, standing
from lifeline.storage.database import borrow
from lifeline.storage.imports import import_contents

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["inventory"], dependencies=[Depends(Access(Role.VIEWER))]
)

Format = Literal["geojson", "csv", "gpkg", "shp"]
INP = "application/octet-stream"
MEDIA = {"geojson": "application/geo+json", "csv": "text/csv", "gpkg": "application/geopackage+sqlite3"}
_FILE_NAME = re.compile(r"[^\x00-\x1f/\\]{1,200}")

Crs = Annotated[str, Query(max_length=64, description="Coordinate system: EPSG:4547, gcj02, bd09 ...")]


class ImportedPart(BaseModel):
    """What became of the assets, sensors, zones or model of the file."""

    what: str
    new: int
    changed: int
    same: int


class ImportOut(BaseModel):
    """``stored`` is false for a dry run."""

    stored: bool
    parts: list[ImportedPart]
    notes: list[str]


# Not below /assets and the like: there "export" would be somebody's id.
@router.get("/exports/assets", response_class=FileResponse)
def export_assets(
    request: Request, format: Format = "geojson", crs: Crs = "WGS84", network: Network = None, bbox: Bbox = None  # noqa: A002
) -> FileResponse:  # fmt: skip
    """Every asset as a file that an import takes; a shapefile as a zip."""
    return exported(request, "assets", format, crs, network, bbox)


@router.get("/exports/sensors", response_class=FileResponse)
def export_sensors(
    request: Request, format: Format = "csv", crs: Crs = "WGS84", network: Network = None, bbox: Bbox = None  # noqa: A002
) -> FileResponse:  # fmt: skip
    """Every sensor as a file that an import takes."""
    return exported(request, "sensors", format, crs, network, bbox)


@router.get("/exports/zones", response_class=FileResponse)
def export_zones(
    request: Request, format: Format = "geojson", crs: Crs = "WGS84", network: Network = None, bbox: Bbox = None  # noqa: A002
) -> FileResponse:  # fmt: skip
    """Every zone as a file that an import takes."""
    return exported(request, "zones", format, crs, network, bbox)


@router.get(
    "/exports/models/{network}",
    response_class=Response,
    responses={200: {"content": {INP: {"schema": {"type": "string", "format": "binary"}}}}},
)
def export_model(request: Request, network: Name) -> Response:
    """The hydraulic model (EPANET, SWMM) of a network that was imported last, byte for byte."""
    with borrow(city(request).pool) as connection:
        found = standing.model_file(connection, network)
    named = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name.removesuffix('.inp'))}.inp"}
    return Response(found.content, media_type=INP, headers=named)


def exported(
    request: Request, what: str, format_: Format, crs: str, network: str | None, bbox: str | None
) -> FileResponse:
    """Written before it is sent: a slow client keeps a file open, and no connection of the database."""
    box = box_of(bbox)
    folder = Path(tempfile.mkdtemp(prefix="lifeline-export-"))
    try:
        with borrow(city(request).pool) as connection:
            rows = export.rows(connection, what, network=network, box=box)
            written = write(folder / f"{what}.{format_}", what, rows, crs)
        path = written.files[0] if format_ != "shp" else _zipped(folder / f"{what}.zip", written.files)
    except ConfigurationError as error:
        shutil.rmtree(folder)
        raise ProblemError(400, _without(str(error), folder)) from None
    except BaseException:
        shutil.rmtree(folder)
        raise
    clean = BackgroundTask(shutil.rmtree, folder)
    return FileResponse(path, media_type=MEDIA.get(format_, "application/zip"), filename=path.name, background=clean)


def _zipped(path: Path, files: list[Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in files:
            archive.write(each, each.name)
    return path


def _without(message: str, folder: Path) -> str:
    return message.replace(f"--out {folder}/", "").replace(f"{folder}/", "")


@router.post("/imports", max_body_size=LARGEST_FILE)
def import_file(
    request: Request,
    content: Annotated[bytes, Body(media_type="application/octet-stream")],
    name: Annotated[str, Query(max_length=200, description="The file's name: its ending says what it is")],
    key: Annotated[Principal, Depends(Access(Role.ENGINEER))],
    dry_run: Annotated[bool, Query(description="Check everything, store nothing")] = False,
    as_: Annotated[str | None, Query(alias="as", description="assets, sensors, zones or facilities")] = None,
    crs: Annotated[str | None, Query(max_length=64)] = None,
    place: Annotated[str | None, Query(max_length=100, description="LON,LAT[,METRES_A_UNIT[,DEGREES]]")] = None,
    network: Network = None,
    prefix: Annotated[str, Query(max_length=32)] = "",
    encoding: Annotated[str | None, Query(max_length=32)] = None,
) -> ImportOut:
    """Take a file as `lifeline import` does: all of it or nothing, with every problem and its line."""
    here = city(request)
    if not _FILE_NAME.fullmatch(name) or Path(name).suffix.lower() not in SUFFIXES:
        raise ProblemError(400, f"name must be a file's name that ends in one of {', '.join(SUFFIXES)}")
    if as_ is not None and as_ not in KINDS:
        raise ProblemError(400, f"as must be one of {', '.join(KINDS)}")
    with tempfile.TemporaryDirectory(prefix="lifeline-import-") as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            options = Options(as_, crs, Placement.parse(place) if place else None, None, network, prefix, encoding)
            contents = _named(read_file(path, options), path)
        except ConfigurationError as error:
            raise ProblemError(400, _without(str(error), Path(folder))) from None
        except ImportRejectedError as error:
            problems = [Problem(p.line, _without(p.message, Path(folder)), p.unit) for p in error.problems]
            raise ImportRejectedError(name, problems) from None
    with borrow(here.pool) as connection:
        outcomes = import_contents(connection, contents, here.catalogue, here.clock(), actor=key.name)
        if dry_run:
            connection.rollback()
    parts = [
        ImportedPart(what=o.what, new=o.stored.new, changed=o.stored.changed, same=o.stored.same) for o in outcomes
    ]
    return ImportOut(stored=not dry_run, parts=parts, notes=[note for each in contents for note in each.notes])


def _named(contents: list[Contents], path: Path) -> list[Contents]:
    """With the file's own name in place of where it lay here."""
    for each in contents:
        each.source = each.source.replace(str(path), path.name)
    return contents
