"""Writes what `lifeline export` gives: GeoJSON and CSV row by row, GeoPackage and shapefile by pyogrio.

What is written here, `lifeline.exchange.files` reads back as the same rows. Rows have Lifeline's names, ``attributes``
as one object, and geometry in WGS 84.
"""

import codecs
import csv
import io
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from lifeline.errors import ConfigurationError
from lifeline.exchange.coordinates import CHINESE, WGS84, from_wgs84, plain_name, transform_rows
from lifeline.exchange.layers import library
from lifeline.exchange.rows import Row

SUFFIXES = (".geojson", ".json", ".csv", ".gpkg", ".shp")

COLUMNS: dict[str, dict[str, type]] = {
    "assets": {
        "id": str, "network": str, "kind": str, "name": str, "from": str, "to": str, "material": str,
        "diameter_mm": float, "install_year": int, "length_m": float, "depth_m": float, "customers": int,
        "critical": bool, "road_class": str, "street": str, "soil": str, "condition": int, "in_service": bool,
        "attributes": str,
    },
    "sensors": {
        "device": str, "network": str, "channel": str, "asset": str, "name": str, "gateway": str, "low": float,
        "high": float, "max_silence_s": float, "balance": str, "in_service": bool,
    },
    "zones": {"id": str, "kind": str, "network": str, "name": str, "status": str, "attributes": str},
    "facilities": {"id": str, "kind": str, "name": str, "attributes": str},
}  # fmt: skip
"""What is written of each thing, in this order."""
_BATCH = 2000
_LONGEST_SHAPEFILE_TEXT = 254
_RESERVED = {"attributes", "device", "channel"}
"""Names of attributes by which a reader would take the thing for another."""


def singular(what: str) -> str:
    """What one of them is called."""
    return "facility" if what == "facilities" else what.removesuffix("s")


class Written(NamedTuple):
    """The files that were written (a shapefile is several), and how many rows."""

    files: list[Path]
    rows: int


def write(path: Path, what: str, rows: Iterable[Row], crs: str = WGS84) -> Written:
    """Write the rows to ``path`` in the format of its ending, in place of a file of this name, whole or not at all.

    Raises ConfigurationError where the format or the system is not known, or the format cannot hold a row.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigurationError(f"--out {path}: {suffix or 'no ending'} is none of {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"--out {path}: there is no folder {path.parent}")
    counted = _Counter(rows)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".lifeline-export-") as folder:
            draft = Path(folder) / path.name
            if suffix in (".gpkg", ".shp"):
                _write_layers(draft, what, list(_moved(counted, crs)), crs)
            else:
                with draft.open("wb") as out:
                    out.writelines(chunks(what, counted, suffix, crs))
            written = sorted(Path(folder).iterdir())
            for each in written:
                each.chmod(0o666 & ~_umask())
                each.replace(path.parent / each.name)
    except OSError as error:
        raise ConfigurationError(f"--out {path}: {error.strerror or error}") from error
    return Written([path.parent / each.name for each in written], counted.count)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _Counter:
    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def _moved(rows: Iterable[Row], crs: str) -> Iterator[Row]:
    transform = from_wgs84(crs)
    source = iter(rows)
    while batch := list(islice(source, _BATCH)):
        yield from batch if transform is None else transform_rows(batch, transform, decimals=None)


# ------------------------------------------------------------------------------------------------------------- text


def chunks(what: str, rows: Iterable[Row], suffix: str, crs: str = WGS84) -> Iterator[bytes]:
    """The file as pieces, made as they are asked for."""
    moved = _moved(rows, crs)
    return _csv(what, moved) if suffix == ".csv" else _geojson(moved, crs)


def _geojson(rows: Iterable[Row], crs: str) -> Iterator[bytes]:
    named = b""
    if plain_name(crs) != WGS84:  # RFC 7946 knows WGS 84 alone; the member of its predecessor says what this is
        named = b'"crs": ' + orjson.dumps({"type": "name", "properties": {"name": crs}}) + b",\n"
    yield b'{"type": "FeatureCollection",\n' + named + b'"features": ['
    separator = b"\n"
    for row in rows:
        yield separator + orjson.dumps({"type": "Feature", "properties": properties(row), "geometry": row.geometry})
        separator = b",\n"
    yield b"\n]}\n"


def properties(row: Row) -> dict[str, Any]:
    """The fields of a GeoJSON feature: what is known, attributes beside Lifeline's own."""
    values = {name: value for name, value in row.values.items() if value is not None and name != "attributes"}
    attributes: Mapping[str, Any] = row.values.get("attributes") or {}
    if attributes.keys() & (values.keys() | _RESERVED) or any(value in (None, "") for value in attributes.values()):
        return {**values, "attributes": orjson.dumps(attributes).decode()}
    return {**values, **attributes}


def _csv(what: str, rows: Iterable[Row]) -> Iterator[bytes]:
    places = ["longitude", "latitude"] if what == "sensors" else ["wkt"]
    yield codecs.BOM_UTF8 + _line([*COLUMNS[what], *places])  # Excel takes Chinese for something else without it
    for row in rows:
        yield _line([*(_text(row.values.get(name)) for name in COLUMNS[what]), *_place(what, row)])


def _line(fields: Sequence[str]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue().encode()


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode() if isinstance(value, dict) else str(value)


def _place(what: str, row: Row) -> list[str]:
    if what == "sensors":
        return [repr(float(each)) for each in row.geometry["coordinates"]] if row.geometry else ["", ""]
    return [shapely.to_wkt(_shape(row), rounding_precision=-1) if row.geometry else ""]


def _shape(row: Row) -> Any:
    return shapely.geometry.shape(row.geometry) if row.geometry else None


# ----------------------------------------------------------------------------------------------------------- layers


def _write_layers(path: Path, what: str, rows: list[Row], crs: str) -> None:
    """Points before lines: what a pipe ends at is then there when it is read back."""
    shapes = np.array([_shape(row) for row in rows], dtype=object)
    kinds = np.array(["" if shape is None else shape.geom_type.removeprefix("Multi") for shape in shapes], dtype=object)
    parts = [kind for kind in ("Point", "LineString", "Polygon") if (kinds == kind).any()] or ["Point"]
    kinds[kinds == ""] = parts[0]
    is_shapefile = path.suffix.lower() == ".shp"
    for kind in parts:
        chosen = np.flatnonzero(kinds == kind)
        several = len(parts) > 1 and kind != parts[-1]
        named = {"Point": "points", "LineString": "lines", "Polygon": "areas"}[kind]
        where = path.with_stem(f"{path.stem}_{named}") if several and is_shapefile else path
        layer = where.stem if is_shapefile else f"{what}_{named}" if len(parts) > 1 else what
        multi = any(shape is not None and shape.geom_type.startswith("Multi") for shape in shapes[chosen])
        _write_layer(where, layer, what, [rows[n] for n in chosen], shapes[chosen], "Unknown" if multi else kind, crs)


def _write_layer(
    path: Path, layer: str, what: str, rows: list[Row], shapes: NDArray[Any], geometry_type: str, crs: str
) -> None:
    pyogrio = library()
    is_shapefile = path.suffix.lower() == ".shp"
    names = list(COLUMNS[what])
    columns = [_column(name, COLUMNS[what][name], rows, is_shapefile) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no system is stated where none is registered: meant so
        try:
            pyogrio.raw.write(
                str(path),
                shapely.to_wkb(shapes),
                [values for values, _ in columns],
                [name[:10] for name in names] if is_shapefile else names,
                field_mask=[mask for _, mask in columns],
                layer=layer,
                driver="ESRI Shapefile" if is_shapefile else "GPKG",
                geometry_type="Polygon" if is_shapefile and geometry_type == "Unknown" else geometry_type,
                crs=None if plain_name(crs) in CHINESE else "EPSG:4326" if plain_name(crs) == WGS84 else crs,
                encoding="UTF-8",
                append=path.exists(),
            )
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as error:
            raise ConfigurationError(f"{path.name} cannot be written: {error}") from error


def _column(name: str, kind: type, rows: Sequence[Row], is_shapefile: bool) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values and where there is none. A shapefile knows neither booleans nor long texts."""
    values = [row.values.get(name) for row in rows]
    missing = np.array([value is None for value in values], dtype=np.bool_)
    if kind is str or (kind is bool and is_shapefile):
        texts = [_text(value) for value in values]
        if is_shapefile:
            _check_lengths(name, texts, rows)
        return np.array(texts, dtype=object), missing
    dtype = {float: np.float64, int: np.int64, bool: np.bool_}[kind]
    return np.array([0 if value is None else value for value in values], dtype=dtype), missing


def _check_lengths(name: str, texts: Sequence[str], rows: Sequence[Row]) -> None:
    for text, row in zip(texts, rows, strict=True):
        if len(text.encode()) > _LONGEST_SHAPEFILE_TEXT:
            thing = row.values.get("id") or f"{row.values.get('device')}/{row.values.get('channel')}"
            raise ConfigurationError(
                f"a shapefile holds texts of {_LONGEST_SHAPEFILE_TEXT} bytes at most, and {name} of {thing} has "
                f"{len(text.encode())}: write a GeoPackage (.gpkg) instead"
            )
