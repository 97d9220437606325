"""Shapefiles, GeoPackages and FlatGeobuf, by pyogrio: rows numbered by feature, and the layer's coordinate system."""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from shapely.geometry import mapping

from lifeline.errors import ConfigurationError, ImportRejectedError, Problem
from lifeline.exchange.rows import Row

SUFFIXES = (".shp", ".gpkg", ".fgb", ".zip")


_BEGINNINGS = {".shp": b"\x00\x00\x27\x0a", ".gpkg": b"SQLite format 3\x00", ".fgb": b"fgb"}
"""GDAL looks at the content and not at the name: what only calls itself a shapefile could have it read anything."""
_BESIDE = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix", ".qmd", ".qpj", ".xml", ".txt", ".pdf")
"""What a zipped shapefile comes with."""


class Layer(NamedTuple):
    """One layer; ``crs`` as the file states it, None where it does not."""

    name: str
    rows: list[Row]
    crs: str | None


def read_layers(path: Path, encoding: str | None = None) -> list[Layer]:
    """Every layer of the file. Raises ImportRejectedError where it cannot be read."""
    pyogrio = library()
    _check_beginning(path)
    where = f"/vsizip/{path}" if path.suffix.lower() == ".zip" else str(path)
    try:
        names = [str(name) for name, _ in pyogrio.list_layers(where)]
        return [_layer(pyogrio, where, name, encoding) for name in names]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, UnicodeDecodeError, ValueError) as error:
        raise ImportRejectedError(str(path), [Problem(1, f"cannot be read: {error}")]) from error


def _check_beginning(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix != ".zip":
        with path.open("rb") as file:
            if not file.read(16).startswith(_BEGINNINGS[suffix]):
                raise ImportRejectedError(str(path), [Problem(1, f"cannot be read: it is no {suffix} file", "file")])
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            foreign = [name for name in names if Path(name).suffix.lower() not in _BESIDE]
            shapes = [name for name in names if name.lower().endswith(".shp")]
            true = all(archive.open(name).read(4) == _BEGINNINGS[".shp"] for name in shapes)
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise ImportRejectedError(str(path), [Problem(1, f"cannot be read: {error}", "file")]) from error
    if foreign or not shapes or not true:
        what = f"{foreign[0]!r} does not belong to one" if foreign else "it holds none"
        raise ImportRejectedError(str(path), [Problem(1, f"a zip must be one of shapefiles: {what}", "file")])


def library() -> Any:
    """pyogrio. Raises ConfigurationError that says how to install it."""
    try:
        import pyogrio
    except ImportError as error:
        raise ConfigurationError("shapefiles and GeoPackages need pyogrio: pip install 'lifeline[planning]'") from error
    return pyogrio


def _layer(pyogrio: Any, where: str, name: str, encoding: str | None) -> Layer:
    meta, _, wkb, columns = pyogrio.raw.read(where, layer=name, encoding=encoding, force_2d=True)
    fields = [str(each) for each in meta["fields"]]
    lists = [[_plain(value) for value in column.tolist()] for column in columns]
    shapes = [None] * (len(lists[0]) if lists else 0) if wkb is None else shapely.from_wkb(wkb)
    records = zip(*lists, strict=True) if lists else ((),) * len(shapes)
    rows = [
        Row(number, dict(zip(fields, record, strict=True)), _geometry(shape))
        for number, (record, shape) in enumerate(zip(records, shapes, strict=True), 1)
    ]
    return Layer(name, rows, meta["crs"])


def _plain(value: object) -> object:
    """What JSON has: no NaN, no numpy, no time."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if np.isnan(value) else int(value) if value.is_integer() and abs(value) < 2**53 else value
    return str(value)


def _geometry(shape: Any) -> dict[str, Any] | None:
    """GeoJSON; a multi-geometry of one part is that part, as shapefiles know no single lines."""
    if shape is None or shape.is_empty:
        return None
    parts = shapely.get_parts(shape)
    if len(parts) == 1:
        shape = parts[0]
    elif shape.geom_type == "MultiLineString":
        shape = shapely.line_merge(shape)
    found: dict[str, Any] = mapping(shape)
    return found
