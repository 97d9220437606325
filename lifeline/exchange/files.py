"""Any file that `lifeline import` takes, as rows by Lifeline's names in WGS 84."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeline.errors import ConfigurationError, Problem
from lifeline.exchange import layers, mapping
from lifeline.exchange.coordinates import Placement, to_wgs84, transform_rows
from lifeline.exchange.epanet import read_epanet
from lifeline.exchange.geojson import feature_rows
from lifeline.exchange.mapping import ColumnMap
from lifeline.exchange.models import rows_of
from lifeline.exchange.rows import Row, decoded
from lifeline.exchange.sections import read_sections
from lifeline.exchange.swmm import read_swmm
from lifeline.exchange.tables import csv_rows, with_geometry
from lifeline.inventory import ASSET_PROPERTIES, NEEDED_COLUMNS, SENSOR_COLUMNS, ZONE_PROPERTIES, check_sensor_columns
from lifeline.model import AssetKind, FacilityKind, ZoneKind

GEOJSON, TABLES, MODELS = (".geojson", ".json"), (".csv",), (".inp",)
SUFFIXES = GEOJSON + TABLES + MODELS + layers.SUFFIXES

_SHORT = {name[:10]: name for name in ASSET_PROPERTIES | ZONE_PROPERTIES | set(SENSOR_COLUMNS) if len(name) > 10}
"""A shapefile cuts names to ten characters."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user says about a file that the file does not say itself."""

    as_: str | None = None
    crs: str | None = None
    placement: Placement | None = None
    columns: ColumnMap | None = None
    network: str | None = None
    prefix: str = ""
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A hydraulic model's own bytes, kept for who computes with it."""

    name: str
    network: str
    format: str
    prefix: str
    content: bytes


@dataclass(slots=True)
class Contents:
    """What one file or layer holds; ``unit`` is what its rows are counted in."""

    source: str
    unit: str = "line"
    assets: list[Row] = field(default_factory=list)
    sensors: list[Row] = field(default_factory=list)
    zones: list[Row] = field(default_factory=list)
    facilities: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    model: ModelFile | None = None
    notes: list[str] = field(default_factory=list)


def read_file(path: Path, options: Options) -> list[Contents]:
    """The file's contents, layer by layer. What is wrong with single rows is in their problems.

    Raises ImportRejectedError where the file cannot be read as what it is, ConfigurationError where an option is wrong.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigurationError(f"{path}: {suffix or 'a file without a suffix'} is none of {', '.join(SUFFIXES)}")
    if suffix in layers.SUFFIXES:
        return list(_layers(path, options))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    contents = Contents(str(path))
    if suffix in MODELS:
        _read_model(data, path.stem, contents, options)
        return [contents]
    text = decoded(data, str(path), _encoding(options))
    if suffix in GEOJSON:
        systems: list[str] = []
        rows = list(feature_rows(text, str(path), contents.problems, systems))
        _sort(rows, contents, options, options_crs(options) or next(iter(systems), None))
    else:
        _read_table(text, contents, options)
    return [contents]


def options_crs(options: Options) -> str | None:
    """The coordinate system that the command or the mapping file names; the command wins."""
    return options.crs or (options.columns.crs if options.columns else None)


def _encoding(options: Options) -> str:
    name = options.encoding or (options.columns.encoding if options.columns else None) or "utf-8"
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise ConfigurationError(f"--encoding {name!r} is not known: a Chinese file is utf-8 or gb18030") from error
    return name


def _read_model(data: bytes, name: str, contents: Contents, options: Options) -> None:
    sections = read_sections(data, contents.source, _encoding(options))
    is_swmm = "CONDUITS" in sections or "SUBCATCHMENTS" in sections or "RAINGAGES" in sections
    reader, network = (read_swmm, "drainage") if is_swmm else (read_epanet, "water")
    model = reader(sections, contents.source, options.network or network)
    rows = rows_of(model, crs=options_crs(options), placement=options.placement, prefix=options.prefix, name=name)
    contents.problems += model.problems
    if options.columns is not None:  # constants and words; a model has no columns to rename
        rows = rows._replace(assets=mapping.apply(options.columns, rows.assets))
    contents.assets, contents.zones = rows.assets, rows.zones
    if not rows.assets and not model.problems:
        contents.problems.append(Problem(1, "holds no node and no link"))
    if model.incredible:
        names = ", ".join(model.incredible[:3]) + (", ..." if len(model.incredible) > 3 else "")
        contents.notes.append(f"{len(model.incredible)} diameters left out, as none is that small or large: {names}")
    if rows.scale is not None:
        contents.notes.append(f"placed at {rows.scale:g} m a unit")
    if model.nodes and not model.positions:  # one line says it; no element can be checked further
        contents.assets = []
    contents.model = ModelFile(name, model.network, model.format, options.prefix, data)


def _read_table(text: str, contents: Contents, options: Options) -> None:
    columns, found = csv_rows(text, contents.source, contents.problems)
    rows = list(found)
    as_ = _asked(options)
    if as_ is None and set(NEEDED_COLUMNS) <= set(columns):
        as_ = "sensors"
    if as_ is None and not {"wkt", "geometry", "longitude"} & set(columns) and options.columns is None:
        as_ = "sensors"
    if as_ == "sensors" and options.columns is None:
        check_sensor_columns(columns, contents.source)
    if options.columns is not None:
        rows = _mapped(rows, contents, options)
    crs = options_crs(options)
    if as_ != "sensors" or (crs is not None and to_wgs84(crs) is not None):
        rows = with_geometry(rows, contents.problems)
    _sort(rows, contents, options, crs, as_=as_, mapped=True)


def _layers(path: Path, options: Options) -> Iterator[Contents]:
    encoding = options.encoding or (options.columns.encoding if options.columns else None)
    found = layers.read_layers(path, encoding)
    for layer in found:
        contents = Contents(f"{path}:{layer.name}" if len(found) > 1 else str(path), "feature")
        crs = options_crs(options) or layer.crs
        if crs is None and any(row.geometry for row in layer.rows):
            contents.problems.append(
                Problem(
                    1, "the file does not state its coordinate system (a .prj is missing): give it by --crs", "layer"
                )
            )
        rows = [
            row._replace(values={_SHORT.get(name, name): value for name, value in row.values.items()})
            for row in layer.rows
        ]
        _sort(rows, contents, options, crs)
        yield contents


def _asked(options: Options) -> str | None:
    return options.as_ or (options.columns.as_ if options.columns else None)


def _mapped(rows: list[Row], contents: Contents, options: Options) -> list[Row]:
    columns = options.columns or ColumnMap()
    missing = mapping.missing_columns(columns, rows)
    contents.problems += [Problem(1, f"column {name!r} of the mapping file is not in this file") for name in missing]
    return mapping.apply(columns, rows)


def _sort(
    rows: list[Row],
    contents: Contents,
    options: Options,
    crs: str | None,
    *,
    as_: str | None = None,
    mapped: bool = False,
) -> None:
    """Give each row to assets, sensors, zones or facilities: as asked, else by what it says and by its geometry."""
    if not mapped or options.columns is None:
        rows = _mapped(rows, contents, options)
    rows = [_named(row, options, contents) for row in rows]
    transform = to_wgs84(crs) if crs else None
    if transform is not None:
        rows = transform_rows(rows, transform)
    for row in rows:
        kind = as_ or _asked(options) or _kind_of(row)
        if kind == "sensors":
            known = {name: value for name, value in row.values.items() if name in SENSOR_COLUMNS}
            contents.sensors.append(row._replace(values=known))
        else:
            {"zones": contents.zones, "facilities": contents.facilities}.get(kind, contents.assets).append(row)


def _kind_of(row: Row) -> str:
    kind, shape = row.values.get("kind"), (row.geometry or {}).get("type") if isinstance(row.geometry, dict) else None
    if row.values.get("device") and row.values.get("channel"):
        return "sensors"
    if kind in ZoneKind.__members__.values():
        return "zones"
    if kind in FacilityKind.__members__.values():
        return "facilities"
    return "zones" if shape in ("Polygon", "MultiPolygon") and kind not in AssetKind.__members__.values() else "assets"


def _named(row: Row, options: Options, contents: Contents) -> Row:
    """Ids as text with the prefix, the network that was asked for, attributes unpacked from their JSON column."""
    values: dict[str, Any] = {name: value for name, value in row.values.items() if value is not None and value != ""}
    for name in ("id", "from", "to", "asset", "zone"):
        value = values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            values[name] = str(value)
        if options.prefix and isinstance(values.get(name), str):
            values[name] = options.prefix + values[name]
    if options.network:
        values["network"] = options.network
    if isinstance(packed := values.get("attributes"), str):
        try:
            values = {**_object(packed), **{name: value for name, value in values.items() if name != "attributes"}}
        except ValueError:
            contents.problems.append(Problem(row.line, "attributes must be a JSON object", contents.unit))
    return row._replace(values=values)


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(text)
    return found
