"""The words of the domain (design: "The words"). Pure data, no behaviour that needs a clock or a database."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag, StrEnum
from typing import Any

JsonObject = dict[str, Any]


class Level(IntEnum):
    """The four levels of risk. Lower is worse, as in 一级 to 四级, so ``min`` of levels is the worst."""

    RED = 1
    ORANGE = 2
    YELLOW = 3
    BLUE = 4

    @property
    def slug(self) -> str:
        """``red``, ``orange``, ``yellow`` or ``blue``: the form used on every wire."""
        return self.name.lower()

    @classmethod
    def from_slug(cls, slug: str) -> "Level":
        return cls[slug.upper()]


class AssetKind(StrEnum):
    PIPE = "pipe"
    JUNCTION = "junction"
    VALVE = "valve"
    CHAMBER = "chamber"
    PUMP = "pump"
    TANK = "tank"
    REGULATOR = "regulator"
    OUTFALL = "outfall"


class RoadClass(StrEnum):
    """The road above an asset: what a break there would close."""

    TRUNK = "trunk"
    MAIN = "main"
    STREET = "street"
    LANE = "lane"
    NONE = "none"


class ZoneKind(StrEnum):
    DMA = "dma"
    CATCHMENT = "catchment"
    DISTRICT = "district"
    RENEWAL = "renewal"
    RISK_CONTROL = "risk_control"
    """风险管控区."""
    RESILIENCE = "resilience"
    """韧性保护区."""


class ZoneStatus(StrEnum):
    """A suggested zone waits for a person to accept or reject it."""

    ACTIVE = "active"
    SUGGESTED = "suggested"
    REJECTED = "rejected"


class Quality(IntFlag):
    """Marks on a stored reading; 0 is good. Ingest sets them, detectors and the API honour them."""

    GOOD = 0
    BACKLOG = 1
    """Store-and-forward data: kept, and never raises a live alert."""
    IMPLAUSIBLE = 2
    """Moved faster than the catalogue's greatest plausible rate: evidence of a sick sensor, not of a sick pipe."""


class Reason(StrEnum):
    """Why a message or a reading is in quarantine."""

    UNPARSABLE = "unparsable"
    UNKNOWN_SENSOR = "unknown_sensor"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    FROM_THE_FUTURE = "from_the_future"
    TOO_OLD = "too_old"


class AlertState(StrEnum):
    """ISA-18.2 states. NORM is the only one that is not open."""

    NORM = "NORM"
    UNACK = "UNACK"
    ACKED = "ACKED"
    RTNUN = "RTNUN"
    SHLVD = "SHLVD"
    DSUPR = "DSUPR"
    OOSRV = "OOSRV"


class AlertKind(StrEnum):
    """A sick sensor is a maintenance alert, never a risk alert; only risk alerts colour the map."""

    RISK = "risk"
    MAINTENANCE = "maintenance"


class FacilityKind(StrEnum):
    """What a critical facility is; how much its kind counts is in lifeline.risk.consequence."""

    HOSPITAL = "hospital"
    SCHOOL = "school"
    CARE_HOME = "care_home"
    SUBWAY = "subway"
    FIRE_STATION = "fire_station"
    POLICE = "police"
    POWER = "power"
    GOVERNMENT = "government"
    DATA_CENTRE = "data_centre"
    STATION = "station"
    MARKET = "market"
    OTHER = "other"


class SubjectKind(StrEnum):
    SENSOR = "sensor"
    DEVICE = "device"
    ASSET = "asset"
    ZONE = "zone"


class Role(StrEnum):
    """Roles, each may do what the ones before it may (field: acts on alerts only). Intake is of keys alone, which hand
    citizens' reports in and read nothing."""

    INTAKE = "intake"
    VIEWER = "viewer"
    FIELD = "field"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about."""

    kind: SubjectKind
    id: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector saw at one subject, now. ``level`` is None when the condition does not hold any more.

    ``first_seen`` is the reading's time at which the present condition began (physically visible), for delay figures.
    ``evidence`` holds what was measured against what was expected; it must be JSON and explain the alert.
    """

    subject: Subject
    rule: str
    level: Level | None
    at: datetime
    first_seen: datetime
    evidence: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """One problem on one subject by one rule."""

    alert_id: int
    subject: Subject
    rule: str
    kind: AlertKind
    network: str
    level: Level
    state: AlertState
    raised_at: datetime
    updated_at: datetime
    version: int
    evidence: JsonObject
    sensor_id: int | None = None
    device_id: int | None = None
    asset_id: int | None = None
    longitude: float | None = None
    latitude: float | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    returned_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """A physical thing of a network. ``geometry`` is GeoJSON in WGS 84, longitude first."""

    external_id: str
    network: str
    kind: AssetKind
    geometry: JsonObject
    name: str = ""
    from_asset: str | None = None
    to_asset: str | None = None
    material: str | None = None
    diameter_mm: float | None = None
    install_year: int | None = None
    length_m: float | None = None
    depth_m: float | None = None
    customers: int = 0
    critical: bool = False
    attributes: JsonObject = field(default_factory=dict)
    road_class: RoadClass | None = None
    street: str | None = None
    soil: str | None = None
    condition: int | None = None
    """As inspected: 1 as new, 5 about to fail."""
    in_service: bool | None = None
    """None leaves what is stored as it is; a new asset is in service."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A Polygon or MultiPolygon by which people plan; ``network`` None means every network."""

    external_id: str
    kind: ZoneKind
    geometry: JsonObject
    network: str | None = None
    name: str = ""
    attributes: JsonObject = field(default_factory=dict)
    source: str = "imported"
    status: ZoneStatus = ZoneStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Facility:
    """A place that a failure nearby would hit hard; WGS 84. It belongs to no network."""

    external_id: str
    kind: FacilityKind
    longitude: float
    latitude: float
    name: str = ""
    attributes: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sensor:
    """One quantity measured at one asset. ``channel`` is its name on the wire: ``quantity`` or ``quantity.suffix``.

    ``balance`` says of a flow sensor which zones it meters: external id to 1 (into the zone) or -1 (out of it). None
    leaves what is stored as it is, and so for ``in_service``.
    """

    device: str
    network: str
    channel: str
    asset: str | None = None
    name: str = ""
    longitude: float | None = None
    latitude: float | None = None
    gateway: str | None = None
    limits: JsonObject = field(default_factory=dict)
    balance: dict[str, int] | None = None
    in_service: bool | None = None

    @property
    def quantity(self) -> str:
        return self.channel.partition(".")[0]
