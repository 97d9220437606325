"""What a file says of the inventory, checked: assets, sensors, zones, facilities. Pure: rows in, model objects out.

A file is taken whole or not at all. Every mistake is found in one go and comes with its line; whether what it refers
to exists outside it is for lifeline.storage.inventory to say, which is asked with the `Reference`s. Readers of the many
formats, which make the rows, are in lifeline.exchange.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from lifeline import geo
from lifeline.catalogue import Catalogue
from lifeline.errors import ImportRejectedError, Problem
from lifeline.exchange.geojson import feature_rows
from lifeline.exchange.rows import Row, decoded
from lifeline.exchange.tables import csv_rows
from lifeline.model import (
    Asset,
    AssetKind,
    Facility,
    FacilityKind,
    JsonObject,
    RoadClass,
    Sensor,
    Zone,
    ZoneKind,
    ZoneStatus,
)
from lifeline.records import Record, shown, storable_json
from lifeline.wire import is_channel

T = TypeVar("T")

MOST_CUSTOMERS = 2**31 - 1

ASSET_PROPERTIES = frozenset(
    ("id", "network", "kind", "name", "from", "to", "material", "diameter_mm", "install_year", "length_m", "depth_m",
     "customers", "critical", "road_class", "street", "soil", "condition", "in_service")
)  # fmt: skip
ZONE_PROPERTIES = frozenset(("id", "kind", "network", "name", "status"))
FACILITY_PROPERTIES = frozenset(("id", "kind", "name"))
SENSOR_COLUMNS = (
    "device", "network", "channel", "asset", "name", "longitude", "latitude", "gateway", "low", "high", "max_silence_s",
    "balance", "in_service",
)  # fmt: skip
NEEDED_COLUMNS = ("device", "network", "channel")
DIRECTIONS = {"in": 1, "out": -1}


class Entry(NamedTuple, Generic[T]):
    """One thing of a file and the line that it begins on."""

    line: int
    item: T


class Reference(NamedTuple):
    """A record names an asset or a zone, which must be in the same files or in the database."""

    line: int
    what: str
    kind: str
    name: str


@dataclass(slots=True)
class Checked(Generic[T]):
    """What a file holds: the good entries, every problem, what it refers to, and the ids that it gives."""

    source: str
    entries: list[Entry[T]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def approved(self) -> list[Entry[T]]:
        """The entries. Raises ImportRejectedError with every problem, in the order of their lines."""
        if self.problems:
            raise ImportRejectedError(self.source, sorted(self.problems, key=lambda problem: problem.line))
        return self.entries


def parse_assets(data: bytes, catalogue: Catalogue, source: str = "assets.geojson") -> list[Entry[Asset]]:
    """The assets of a GeoJSON FeatureCollection, in the file's order; a length that is missing is measured.

    Raises ImportRejectedError, and nothing else, with every problem of the file.
    """
    problems: list[Problem] = []
    checked = check_assets(feature_rows(decoded(data, source), source, problems), catalogue, source)
    checked.problems += problems
    return checked.approved()


def parse_sensors(data: bytes, catalogue: Catalogue, source: str = "sensors.csv") -> list[Entry[Sensor]]:
    """The sensors of a CSV file with a header line, in the file's order.

    Raises ImportRejectedError, and nothing else, with every problem of the file.
    """
    problems: list[Problem] = []
    columns, rows = csv_rows(decoded(data, source), source, problems)
    check_sensor_columns(columns, source)
    checked = check_sensors(rows, catalogue, source)
    checked.problems += problems
    return checked.approved()


def check_sensor_columns(columns: Sequence[str], source: str) -> None:
    """Raises ImportRejectedError where a column is missing, foreign or named twice: a typing error would be silent."""
    problems = [f"column {name!r} is missing" for name in NEEDED_COLUMNS if name not in columns]
    problems += [
        f"column {name!r} is not one of {', '.join(SENSOR_COLUMNS)}"
        for name in dict.fromkeys(columns)
        if name not in SENSOR_COLUMNS
    ]
    problems += [f"column {name!r} is named twice" for name in dict.fromkeys(columns) if columns.count(name) > 1]
    if problems:
        raise ImportRejectedError(source, [Problem(1, message) for message in problems])


def check_assets(rows: Iterable[Row], catalogue: Catalogue, source: str) -> Checked[Asset]:
    """Assets of rows by Lifeline's names, WGS 84, in their order; lengths that are missing are measured."""
    checked: Checked[Asset] = Checked(source)
    first: dict[str, int] = {}
    for row in rows:
        record = Record(row.line, row.values, checked.problems)
        asset = _asset(record, row.geometry, catalogue)
        name = row.values.get("id")
        if isinstance(name, str):
            _note_double(record, name, first)
        for what in ("from", "to"):
            if isinstance(end := row.values.get(what), str) and end:
                checked.references.append(Reference(row.line, what, "asset", end))
        checked.references += [Reference(row.line, "zone", "zone", zone) for zone in _zones_named(row.values)]
        if asset is not None:
            checked.entries.append(Entry(row.line, asset))
    checked.names = set(first)
    return checked


def _note_double(record: Record, name: str, first: dict[str, int]) -> None:
    if first.setdefault(name, record.line) != record.line:
        record.wrong(f"id {name!r} is already on line {first[name]}")


def _zones_named(values: Mapping[str, Any]) -> list[str]:
    named = values.get("zone")
    several = named if isinstance(named, list) else [named]
    return [zone for zone in several if isinstance(zone, str) and zone]


def _asset(record: Record, shape: object, catalogue: Catalogue) -> Asset | None:
    before = len(record.problems)
    kind = record.text("kind")
    if kind not in AssetKind.__members__.values():
        record.wrong(f"kind {shown(kind)} is none of {', '.join(AssetKind)}")
    geometry, length = _geometry(record, shape, kind)
    external_id = record.identifier("id", needed=True)
    network = record.network(catalogue)
    ends = record.identifier("from"), record.identifier("to")
    if ends[0] is not None and ends[0] == ends[1]:
        record.wrong(f"from and to are the same asset {ends[0]!r}")
    given = record.number("length_m", 0, 1e7)
    attributes = _attributes(record, ASSET_PROPERTIES)
    plain = _plain_fields(record)
    if len(record.problems) > before or external_id is None:
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


def _attributes(record: Record, own: frozenset[str]) -> JsonObject:
    found = {name: value for name, value in record.values.items() if name not in own}
    if not storable_json(found):
        record.wrong("a property that is not one of Lifeline's holds text or numbers that cannot be stored")
    return found


def _plain_fields(record: Record) -> dict[str, Any]:
    """The fields of an asset that stand for themselves."""
    diameter = record.number("diameter_mm", 0, 20_000)
    if diameter == 0:
        record.wrong("diameter_mm must be above 0: leave it out when it is not known")
    return {
        "name": record.text("name"),
        "material": record.text("material") or None,
        "diameter_mm": diameter,
        "install_year": record.year("install_year"),
        "depth_m": record.number("depth_m", -100, 1000),
        "customers": record.integer("customers", 0, MOST_CUSTOMERS) or 0,
        "critical": record.boolean("critical"),
        "road_class": record.choice("road_class", RoadClass),
        "street": record.text("street") or None,
        "soil": record.text("soil") or None,
        "condition": record.integer("condition", 1, 5),
        "in_service": record.optional_boolean("in_service"),
    }


def _geometry(record: Record, geometry: object, kind: str) -> tuple[JsonObject, float | None]:
    """The geometry reduced to type and coordinates, and its length in metres (None for a point)."""
    try:
        if not isinstance(geometry, dict):
            raise geo.GeometryError(f"geometry must be a Point or a LineString, not {shown(geometry)}")
        positions = [list(position) for position in geo.coordinates(geometry)]
    except (geo.GeometryError, OverflowError) as error:
        record.wrong(str(error))
        return {}, None
    line = geometry["type"] == "LineString"
    if kind == AssetKind.PIPE and not line:
        record.wrong("a pipe's geometry must be a LineString")
    clean = {"type": geometry["type"], "coordinates": positions if line else positions[0]}
    return clean, geo.length_m(clean) if line else None


def check_zones(rows: Iterable[Row], catalogue: Catalogue, source: str) -> Checked[Zone]:
    """Zones of rows by Lifeline's names, WGS 84, in their order."""
    checked: Checked[Zone] = Checked(source)
    first: dict[str, int] = {}
    for row in rows:
        record = Record(row.line, row.values, checked.problems)
        zone = _zone(record, row.geometry, catalogue)
        if isinstance(name := row.values.get("id"), str):
            _note_double(record, name, first)
        if zone is not None:
            checked.entries.append(Entry(row.line, zone))
    checked.names = set(first)
    return checked


def _zone(record: Record, shape: object, catalogue: Catalogue) -> Zone | None:
    before = len(record.problems)
    external_id = record.identifier("id", needed=True)
    kind = record.choice("kind", ZoneKind)
    if kind is None and len(record.problems) == before:
        record.wrong(f"kind is missing: one of {', '.join(ZoneKind)}")
    network = record.network(catalogue) if record.values.get("network") else None
    status = record.choice("status", ZoneStatus) or ZoneStatus.ACTIVE
    name = record.text("name")
    attributes = _attributes(record, ZONE_PROPERTIES)
    try:
        geometry = geo.area(shape) if isinstance(shape, dict) else None
    except (geo.GeometryError, OverflowError) as error:
        record.wrong(str(error))
        return None
    if geometry is None:
        record.wrong(f"geometry must be a Polygon or a MultiPolygon, not {shown(shape)}")
    if len(record.problems) > before or external_id is None or kind is None or geometry is None:
        return None
    return Zone(external_id, kind, geometry, network, name, attributes, status=status)


def check_facilities(rows: Iterable[Row], catalogue: Catalogue, source: str) -> Checked[Facility]:  # noqa: ARG001
    """Critical facilities of rows by Lifeline's names, WGS 84, in their order."""
    checked: Checked[Facility] = Checked(source)
    first: dict[str, int] = {}
    for row in rows:
        record = Record(row.line, row.values, checked.problems)
        facility = _facility(record, row.geometry)
        if isinstance(name := row.values.get("id"), str):
            _note_double(record, name, first)
        if facility is not None:
            checked.entries.append(Entry(row.line, facility))
    checked.names = set(first)
    return checked


def _facility(record: Record, shape: object) -> Facility | None:
    before = len(record.problems)
    external_id = record.identifier("id", needed=True)
    kind = record.choice("kind", FacilityKind)
    if kind is None and len(record.problems) == before:
        record.wrong(f"kind is missing: one of {', '.join(FacilityKind)}")
    name = record.text("name")
    attributes = _attributes(record, FACILITY_PROPERTIES)
    try:
        if not isinstance(shape, dict) or shape.get("type") != "Point":
            raise geo.GeometryError("a facility's geometry must be a Point: give the middle of its area, or its door")
        ((longitude, latitude),) = geo.coordinates(shape)
    except (geo.GeometryError, OverflowError) as error:
        record.wrong(str(error))
        return None
    if len(record.problems) > before or external_id is None or kind is None:
        return None
    return Facility(external_id, kind, longitude, latitude, name, attributes)


def check_sensors(rows: Iterable[Row], catalogue: Catalogue, source: str) -> Checked[Sensor]:
    """Sensors of rows by Lifeline's names, in their order; a Point is the sensor's place."""
    checked: Checked[Sensor] = Checked(source)
    for row in rows:
        values = dict(row.values)
        if row.geometry is not None and row.geometry.get("type") == "Point":
            values["longitude"], values["latitude"] = row.geometry["coordinates"][:2]
        sensor = _sensor(Record(row.line, values, checked.problems), catalogue)
        if isinstance(asset := values.get("asset"), str) and asset:
            checked.references.append(Reference(row.line, "asset", "asset", asset))
        if sensor is not None:
            checked.entries.append(Entry(row.line, sensor))
            named = sensor.balance or {}
            checked.references += [Reference(row.line, "balance", "zone", zone) for zone in named]
    _check_together(checked.entries, checked.problems)
    return checked


def _sensor(record: Record, catalogue: Catalogue) -> Sensor | None:
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
    balance = _balance(record, channel)
    in_service = record.optional_boolean("in_service")
    if len(record.problems) > before or device is None:
        return None
    return Sensor(
        device, network, channel, asset, name, place[0], place[1], gateway, limits, balance, in_service
    )  # fmt: skip


def _check_channel(record: Record, channel: str, network: str, catalogue: Catalogue) -> None:
    if not is_channel(channel):
        record.wrong(f"channel {shown(channel)} must be a quantity, or a quantity, a dot and a suffix")
        return
    quantity = catalogue.quantity_of(channel)
    if quantity is None:
        record.wrong(f"channel {channel!r}: the catalogue has no such quantity")
    elif network in catalogue.networks and network not in quantity.networks:
        record.wrong(f"channel {channel!r} is not measured in network {network!r}")


def _limits(record: Record) -> JsonObject:
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


def _balance(record: Record, channel: str) -> dict[str, int] | None:
    """``ZONE:in;OTHER:out`` as zones and directions; None where the column is not there."""
    if record.values.get("balance") is None:
        return None
    balance: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in record.text("balance").split(";"))):
        zone, _, direction = part.rpartition(":")
        if direction not in DIRECTIONS or not zone:
            record.wrong(f"balance {shown(part)} must be the id of a zone, a colon, and `in` or `out`")
        elif zone in balance:
            record.wrong(f"balance names zone {zone!r} twice")
        else:
            balance[zone] = DIRECTIONS[direction]
    if balance and not channel.startswith("flow"):
        record.wrong(f"balance is for sensors of flow, and this is {shown(channel)}")
    return balance


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
