"""Citizens' reports: evidence beside alerts, never an alert by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from lifeline.errors import ConflictError, NotFoundError
from lifeline.geo import Box
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.photos import storable
from lifeline.storage.queries import load

_SQL = load("reports")
MOST_PHOTOS = 5


class Category(StrEnum):
    """What a citizen reports."""

    GAS_SMELL = "gas_smell"
    WATER_LEAK = "water_leak"
    NO_WATER = "no_water"
    FLOODING = "flooding"
    MANHOLE = "manhole"
    COLLAPSE = "collapse"
    ODOUR = "odour"
    OTHER = "other"


NETWORKS = {
    Category.GAS_SMELL: "gas", Category.WATER_LEAK: "water", Category.NO_WATER: "water",
    Category.FLOODING: "drainage", Category.MANHOLE: "drainage", Category.ODOUR: "drainage",
}  # fmt: skip
"""The network that a category speaks of; the others speak of none in particular."""


class Outcome(StrEnum):
    """What became of a report."""

    CONFIRMED = "confirmed"
    UNFOUNDED = "unfounded"
    DUPLICATE = "duplicate"
    PASSED_ON = "passed_on"


@dataclass(frozen=True, slots=True)
class Report:
    """What a citizen saw, where and when. ``reference`` is its number in the system ``source``."""

    category: Category
    text: str
    longitude: float
    latitude: float
    reported_at: datetime
    place: str = ""
    source: str = ""
    reference: str | None = None


class ReportLine(NamedTuple):
    """A report as it stands, with the ids of its photos and of the risk alerts that it lies beside, the worst first."""

    report_id: int
    source: str
    reference: str | None
    category: Category
    network: str | None
    text: str
    place: str
    longitude: float
    latitude: float
    reported_at: datetime
    received_at: datetime
    received_from: str
    state: str
    outcome: Outcome | None
    note: str
    closed_at: datetime | None
    closed_by: str | None
    photos: list[int]
    alerts: list[int]


def keep(connection: Connection, report: Report, actor: str, now: datetime) -> tuple[int, bool]:
    """Keep a report: its id, and whether it is new; its source may send it again."""
    values = {
        "source": report.source, "reference": report.reference, "category": report.category,
        "network": NETWORKS.get(report.category), "text": report.text, "place": report.place,
        "longitude": report.longitude, "latitude": report.latitude, "reported_at": report.reported_at, "now": now,
        "actor": actor,
    }  # fmt: skip
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["keep"], values).fetchone()
        if row is not None:
            connection.execute(_SQL["announce"])
            return int(row[0]), True
        known = connection.execute(_SQL["known"], values).fetchone()
    if known is None:
        raise ConflictError("another request is keeping this report; try again")
    return int(known[0]), False


def reports(
    connection: Connection,
    radius_m: float,
    *,
    limit: int = 100,
    before: int | None = None,
    state: str | None = None,
    categories: Sequence[Category] = (),
    network: str | None = None,
    since: datetime | None = None,
    box: Box | None = None,
    alert_id: int | None = None,
    incident_id: int | None = None,
    report_id: int | None = None,
) -> list[ReportLine]:
    """Reports behind the id ``before``, the newest first; ``alert_id``, ``incident_id``: within ``radius_m`` of it."""
    values: dict[str, Any] = {
        "radius_m": radius_m, "limit": limit, "before": before, "state": state, "network": network, "since": since,
        "categories": [str(each) for each in categories] or None, "alert_id": alert_id, "incident_id": incident_id,
        "report_id": report_id, **dict(zip(Box._fields, box or (None,) * 4, strict=True)),
    }  # fmt: skip
    with storage_errors():
        rows = connection.execute(_SQL["list"], values).fetchall()
    return [_line(row) for row in rows]


def report(connection: Connection, report_id: int, radius_m: float) -> ReportLine:
    """One report. Raises NotFoundError."""
    found = reports(connection, radius_m, report_id=report_id, limit=1)
    if not found:
        raise NotFoundError(f"there is no report {report_id}")
    return found[0]


def close(connection: Connection, report_id: int, outcome: Outcome, note: str, actor: str, now: datetime) -> None:
    """Say what became of a report. Raises NotFoundError, and ConflictError where somebody has said so before."""
    values = {"report_id": report_id, "outcome": outcome, "note": note, "actor": actor, "now": now}
    with storage_errors(), connection.transaction():
        if connection.execute(_SQL["close"], values).fetchone() is None:
            report(connection, report_id, 0.0)
            raise ConflictError(f"report {report_id} is closed already")
        connection.execute(_SQL["announce"])


def keep_photo(connection: Connection, report_id: int, content: bytes, now: datetime) -> int:
    """Keep a photo of a report; its id. The same one again is kept once.

    Raises ValueError for bytes that are no photo or too many; NotFoundError; ConflictError where it has its five.
    """
    values = {"report_id": report_id, "now": now, "most": MOST_PHOTOS, **storable(content)}
    with storage_errors(), connection.transaction():
        report(connection, report_id, 0.0)
        connection.execute(_SQL["lock"], values)
        row = (
            connection.execute(_SQL["known_photo"], values).fetchone()
            or connection.execute(_SQL["keep_photo"], values).fetchone()
        )
    if row is None:
        raise ConflictError(f"report {report_id} has {MOST_PHOTOS} photos already")
    return int(row[0])


def photo(connection: Connection, report_id: int, photo_id: int) -> tuple[str, bytes]:
    """Media type and bytes of a photo of a report. Raises NotFoundError."""
    with storage_errors():
        row = connection.execute(_SQL["photo"], {"report_id": report_id, "photo_id": photo_id}).fetchone()
    if row is None:
        raise NotFoundError(f"report {report_id} has no photo {photo_id}")
    return str(row[0]), bytes(row[1])


def _line(row: Sequence[Any]) -> ReportLine:
    values = list(row)
    values[3], values[13] = Category(row[3]), Outcome(row[13]) if row[13] else None
    return ReportLine(*values)
