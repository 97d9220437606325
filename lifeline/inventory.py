"""The files that `lifeline import` reads: assets as GeoJSON, sensors as CSV. Pure: bytes in, checked model objects out.

A file is taken whole or not at all. Every mistake is found in one go and comes with its line; whether an asset that is
referred to exists outside the file is for lifeline.storage.inventory to say.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from lifeline import geo
from lifeline.catalogue import Catalogue
from lifeline.errors import ImportRejectedError, Problem
from lifeline.geojson import feature_values
from lifeline.model import Asset, AssetKind, JsonObject, RoadClass, Sensor
from lifeline.wire import is_channel, is_identifier

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)

LONGEST_TEXT = 500
MOST_CUSTOMERS = 2**31 - 1

SENSOR_COLUMNS = (
    "device", "network", "channel", "asset", "name", "longitude", "latitude", "gateway", "low", "high", "max_silence_s",
)  # fmt: skip
NEEDED_COLUMNS = ("device", "network", "channel")


class Entry(NamedTuple, Generic[T]):
    """One thing of a file and the line that it begins on."""

    line: int
    item: T


@dataclass(slots=True)
class _Record:
    """Reads the fields of one record, and notes what is wrong with them instead of raising."""

    line: int
    values: Mapping[str, Any]
    problems: list[Problem]

    def wrong(self, message: str) -> None:
        self.problems.append(Problem(self.line, message))

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.wrong(f"{name} must be text, not {_shown(value)}")
            return ""
        if len(value) > LONGEST_TEXT or not storable(value):
            self.wrong(f"{name} is longer than {LONGEST_TEXT} characters or holds some that cannot be stored")
            return ""
        return value.strip()

    def identifier(self, name: str, *, needed: bool = False) -> str | None:
        value = self.values.get(name)
        if value is None or value == "":
            if needed:
                self.wrong(f"{name} is missing")
            return None
        if not isinstance(value, str) or not is_identifier(value):
            self.wrong(
                f"{name} {_shown(value)} must be 1 to 64 letters, digits or . _ : - and begin with none of these"
            )
            return None
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from ``low`` to ``high``; also from text, as CSV has nothing else."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        try:
            if isinstance(value, bool):
                raise ValueError
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            self.wrong(f"{name} must be a number, not {_shown(value)}")
            return None
        if not low <= number <= high:  # also refuses NaN
            self.wrong(f"{name} must be from {low:g} to {high:g}, not {number:g}")
            return None
        return number

    def integer(self, name: str, low: int, high: int) -> int | None:
        number = self.number(name, low, high)
        if number is None:
            return None
        if number != math.floor(number):
            self.wrong(f"{name} must be a whole number, not {number:g}")
            return None
        return int(number)

    def boolean(self, name: str) -> bool:
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.wrong(f"{name} must be true or false, not {_shown(value)}")
        return False

    def choice(self, name: str, among: type[Choice]) -> Choice | None:
        value = self.text(name)
        if not value:
            return None
        if value not in among.__members__.values():
            self.wrong(f"{name} {_shown(value)} is none of {', '.join(among)}")
            return None
        return among(value)

    def network(self, catalogue: Catalogue) -> str:
        value = self.text("network")
        if value not in catalogue.networks:
            known = ", ".join(sorted(catalogue.networks))
            self.wrong(f"network {_shown(value)} is not in the catalogue ({known})")
        return value


def parse_assets(data: bytes, catalogue: Catalogue, source: str = "assets.geojson") -> list[Entry[Asset]]:
    """The assets of a GeoJSON FeatureCollection, in the file's order; a length that is missing is measured.

    Raises ImportRejectedError, and nothing else, with every problem of the file.
    """
    problems: list[Problem] = []
    entries: list[Entry[Asset]] = []
    first: dict[str, int] = {}
    for line, feature in feature_values(_decoded(data, source), source):
        asset = _asset(line, feature, catalogue, problems)
        if asset is None:
            continue
        if asset.external_id in first:
            problems.append(Problem(line, f"id {asset.external_id!r} is already on line {first[asset.external_id]}"))
        first.setdefault(asset.external_id, line)
        entries.append(Entry(line, asset))
    _reject(source, problems)
    return entries


ASSET_PROPERTIES = frozenset(
    ("id", "network", "kind", "name", "from", "to", "material", "diameter_mm", "install_year", "length_m", "depth_m",
     "customers", "critical", "road_class", "street", "soil", "condition", "in_service")
)  # fmt: skip


def _asset(line: int, feature: object, catalogue: Catalogue, problems: list[Problem]) -> Asset | None:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        problems.append(Problem(line, f"a feature must be an object of type Feature, not {_shown(feature)}"))
        return None
    properties = feature.get("properties")
    if not isinstance(properties, dict):
        problems.append(Problem(line, f"properties must be an object, not {_shown(properties)}"))
        return None
    record = _Record(line, properties, problems)
    before = len(problems)
    kind = record.text("kind")
    if kind not in AssetKind.__members__.values():
        record.wrong(f"kind {_shown(kind)} is none of {', '.join(AssetKind)}")
    geometry, length = _geometry(record, feature.get("geometry"), kind)
    external_id = record.identifier("id", needed=True)
    network = record.network(catalogue)
    ends = record.identifier("from"), record.identifier("to")
    if ends[0] is not None and ends[0] == ends[1]:
        record.wrong(f"from and to are the same asset {ends[0]!r}")
    given = record.number("length_m", 0, 1e7)
    attributes = {name: value for name, value in properties.items() if name not in ASSET_PROPERTIES}
    if not storable_json(attributes):
        record.wrong("a property that is not one of Lifeline's holds text or numbers that cannot be stored")
    plain = _plain_fields(record)
    if len(problems) > before or external_id is None:
        return None
    return Asset(
        external_id=external_id,
        network=network,
        kind=AssetKind(kind),
        geometry=geometry,
        from_asset=ends[0],
        to_asset=ends[1],
        length_m=length if given is None else given,
        attributes=attributes,
        **plain,
    )


def _plain_fields(record: _Record) -> dict[str, Any]:
    """The fields of an asset that stand for themselves."""
    diameter = record.number("diameter_mm", 0, 20_000)
    if diameter == 0:
        record.wrong("diameter_mm must be above 0: leave it out when it is not known")
    return {
        "name": record.text("name"),
        "material": record.text("material") or None,
        "diameter_mm": diameter,
        "install_year": record.integer("install_year", 1800, 2200),
        "depth_m": record.number("depth_m", -100, 1000),
        "customers": record.integer("customers", 0, MOST_CUSTOMERS) or 0,
        "critical": record.boolean("critical"),
        "road_class": record.choice("road_class", RoadClass),
        "street": record.text("street") or None,
        "soil": record.text("soil") or None,
        "condition": record.integer("condition", 1, 5),
        "in_service": None if record.values.get("in_service") is None else record.boolean("in_service"),
    }


def _geometry(record: _Record, geometry: object, kind: str) -> tuple[JsonObject, float | None]:
    """The geometry reduced to type and coordinates, and its length in metres (None for a point)."""
    try:
        if not isinstance(geometry, dict):
            raise geo.GeometryError(f"geometry must be a Point or a LineString, not {_shown(geometry)}")
        positions = [list(position) for position in geo.coordinates(geometry)]
    except (geo.GeometryError, OverflowError) as error:
        record.wrong(str(error))
        return {}, None
    line = geometry["type"] == "LineString"
    if kind == AssetKind.PIPE and not line:
        record.wrong("a pipe's geometry must be a LineString")
    clean = {"type": geometry["type"], "coordinates": positions if line else positions[0]}
    return clean, geo.length_m(clean) if line else None


def parse_sensors(data: bytes, catalogue: Catalogue, source: str = "sensors.csv") -> list[Entry[Sensor]]:
    """The sensors of a CSV file with a header line, in the file's order.

    Raises ImportRejectedError, and nothing else, with every problem of the file.
    """
    problems: list[Problem] = []
    entries = [
        Entry(record.line, sensor)
        for record in _rows(_decoded(data, source), source, problems)
        if (sensor := _sensor(record, catalogue)) is not None
    ]
    _check_together(entries, problems)
    _reject(source, problems)
    return entries


def _rows(text: str, source: str, problems: list[Problem]) -> Iterator[_Record]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    header: list[str] | None = None
    try:
        for row in rows:
            if header is None:
                header = _header(row, source)
            elif any(field.strip() for field in row):
                if len(row) > len(header):
                    problems.append(Problem(line, f"has {len(row)} fields, and the header names {len(header)}"))
                else:
                    fields = (field.strip() for field in row)
                    yield _Record(line, dict(zip(header, fields, strict=False)), problems)
            line = rows.line_num + 1
    except csv.Error as error:
        problems.append(Problem(line, f"is not CSV: {error}"))
    if header is None:
        raise ImportRejectedError(source, [Problem(1, "the file is empty: the first line must name the columns")])


def _header(row: Sequence[str], source: str) -> list[str]:
    columns = [field.strip().lower() for field in row]
    problems = [f"column {name!r} is missing" for name in NEEDED_COLUMNS if name not in columns]
    problems += [
        f"column {name!r} is not one of {', '.join(SENSOR_COLUMNS)}"
        for name in dict.fromkeys(columns)
        if name not in SENSOR_COLUMNS
    ]
    problems += [f"column {name!r} is named twice" for name in dict.fromkeys(columns) if columns.count(name) > 1]
    _reject(source, [Problem(1, message) for message in problems])
    return columns


def _sensor(record: _Record, catalogue: Catalogue) -> Sensor | None:
    before = len(record.problems)
    device = record.identifier("device", needed=True)
    network = record.network(catalogue)
    channel = record.text("channel")
    _check_channel(record, channel, network, catalogue)
    place = record.number("longitude", -180, 180), record.number("latitude", -90, 90)
    if len(record.problems) == before and (place[0] is None) != (place[1] is None):
        record.wrong("longitude and latitude come together or not at all")
    gateway = record.identifier("gateway")
    if gateway is not None and gateway == device:
        record.wrong("a device cannot be its own gateway")
    asset = record.identifier("asset")
    name = record.text("name")
    limits = _limits(record)
    if len(record.problems) > before or device is None:
        return None
    return Sensor(device, network, channel, asset, name, place[0], place[1], gateway, limits)


def _check_channel(record: _Record, channel: str, network: str, catalogue: Catalogue) -> None:
    if not is_channel(channel):
        record.wrong(f"channel {_shown(channel)} must be a quantity, or a quantity, a dot and a suffix")
        return
    quantity = catalogue.quantity_of(channel)
    if quantity is None:
        record.wrong(f"channel {channel!r}: the catalogue has no such quantity")
    elif network in catalogue.networks and network not in quantity.networks:
        record.wrong(f"channel {channel!r} is not measured in network {network!r}")


def _limits(record: _Record) -> JsonObject:
    low, high = record.number("low", -1e12, 1e12), record.number("high", -1e12, 1e12)
    silence = record.number("max_silence_s", 1, 1e9)
    limits: JsonObject = {}
    if low is not None and high is not None:
        if low >= high:
            record.wrong(f"low {low:g} must be below high {high:g}")
        limits["range"] = [low, high]
    elif record.values.get("low") or record.values.get("high"):
        record.wrong("low and high come together or not at all")
    if silence is not None:
        limits["max_silence_s"] = silence
    return limits


def _check_together(entries: Sequence[Entry[Sensor]], problems: list[Problem]) -> None:
    """What no row shows alone: a channel twice, a device in two networks or behind two gateways, gateways in a ring."""
    lines: dict[tuple[str, str], int] = {}
    devices: dict[str, Entry[Sensor]] = {}
    for line, sensor in entries:
        key = (sensor.device, sensor.channel)
        if key in lines:
            problems.append(Problem(line, f"{sensor.device} {sensor.channel} is already on line {lines[key]}"))
        lines.setdefault(key, line)
        first = devices.setdefault(sensor.device, Entry(line, sensor))
        for what in ("network", "gateway"):
            mine, other = getattr(sensor, what), getattr(first.item, what)
            if mine != other:
                problems.append(Problem(line, f"{sensor.device} has {what} {mine!r}, on line {first.line} {other!r}"))
    for device, (line, _) in devices.items():
        if _in_ring(device, devices):
            problems.append(Problem(line, f"{device} is behind itself: its gateways form a ring"))


def _in_ring(device: str, devices: Mapping[str, Entry[Sensor]]) -> bool:
    seen: set[str] = set()
    at: str | None = device
    while at is not None and at not in seen:
        seen.add(at)
        entry = devices.get(at)
        at = entry.item.gateway if entry else None
    return at == device


def storable(text: str) -> bool:
    """Whether PostgreSQL can keep the text: no NUL and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def storable_json(value: object, depth: int = 32) -> bool:
    """Whether PostgreSQL can keep the value as jsonb; what is nested deeper than ``depth`` is refused with it."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) < 1e300
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        return depth > 0 and all(storable_json(each, depth - 1) for each in value)
    return True


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ImportRejectedError(source, [Problem(line, f"is not UTF-8: byte {data[error.start]:#04x}")]) from error


def _reject(source: str, problems: list[Problem]) -> None:
    if problems:
        raise ImportRejectedError(source, sorted(problems, key=lambda problem: problem.line))


def _shown(value: object) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
