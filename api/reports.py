"""Routes of citizens' reports (12345 hotline, 随手拍): taken in, shown on the map, laid beside alerts, closed."""

import time
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.access import Access
from api.city import city
from api.documents import document, respond
from api.listings import LISTED, Form, FormChoice, listed
from api.pace import Pace
from api.parameters import After, Bbox, BigId, Limit, Moment, Network, StrictRoute, box_of, decode_cursor, encode_cursor
from api.problems import ProblemError
from lifeline.model import Role
from lifeline.principal import Principal
from lifeline.storage import directory, incidents, reports
from lifeline.storage.database import borrow
from lifeline.storage.photos import LARGEST
from lifeline.storage.reports import Category, Outcome, Report, ReportLine

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["reports"])
_viewer = Depends(Access(Role.VIEWER))
Taker = Annotated[Principal, Depends(Access(Role.FIELD, also=Role.INTAKE))]
MOST_A_MINUTE = 60
"""Reports and photos of one key; a hotline that has more to tell sends the rest a minute later."""
OLDEST = timedelta(days=30)
AHEAD = timedelta(minutes=10)


_pace = Pace(MOST_A_MINUTE)


class ReportIn(BaseModel):
    """What a citizen saw. ``source`` and ``reference`` name it in the system that sends it: then it may send twice."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "category": "gas_smell",
                "text": "小区门口有很浓的燃气味",
                "place": "长江路 12 号",
                "longitude": 117.27,
                "latitude": 31.86,
                "source": "12345",
                "reference": "W2026112200017",
            }
        },
    )

    category: Category
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    latitude: Annotated[float, Field(ge=-90, le=90)]
    place: Annotated[str, Field(max_length=200)] = ""
    reported_at: Annotated[Moment | None, Field(description="When it was seen; default: now")] = None
    source: Annotated[str, Field(max_length=64)] = ""
    reference: Annotated[str | None, Field(min_length=1, max_length=128)] = None

    @field_validator("text", "place", "source", "reference")
    @classmethod
    def _storable(cls, value: str | None) -> str | None:
        return storable(value)


class ClosingIn(BaseModel):
    """What became of a report."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"outcome": "confirmed", "note": "已派单"}})

    outcome: Outcome
    note: Annotated[str, Field(max_length=2000)] = ""

    @field_validator("note")
    @classmethod
    def _storable(cls, value: str) -> str | None:
        return storable(value)


class ReportOut(BaseModel):
    """A report. ``alerts``: risk alerts that it lies beside, the worst first; ``photos``: ids of its photos."""

    id: int
    category: Category
    network: str | None
    text: str
    place: str
    longitude: float
    latitude: float
    source: str
    reference: str | None
    reported_at: datetime
    received_at: datetime
    received_from: str
    state: Literal["open", "closed"]
    outcome: Outcome | None
    note: str
    closed_at: datetime | None
    closed_by: str | None
    photos: list[int]
    alerts: list[int]


class ReportPage(BaseModel):
    items: list[ReportOut]
    next: str | None


class ReportPhotoOut(BaseModel):
    report: int
    photo: int


@router.post(
    "/reports",
    status_code=201,
    responses={200: {"description": "It was kept before", "model": ReportOut}, 429: {"description": "Too many"}},
)
def take_report(
    request: Request, response: Response, body: ReportIn, key: Taker
) -> ReportOut:  # fmt: skip
    """Take a citizen's report in: evidence beside alerts, never an alert by itself. A key that may hand in alone (the
    role intake) is told nothing of alerts, nor of what others sent."""
    here = city(request)
    now = here.clock()
    seen = body.reported_at or now
    if not now - OLDEST <= seen <= now + AHEAD:
        raise ProblemError(400, f"reported_at must lie within the last {OLDEST.days} days")
    _hold_pace(key.name)
    told = Report(**{**body.model_dump(exclude={"reported_at"}), "reported_at": min(seen, now)})
    with borrow(here.pool) as connection:
        report_id, new = reports.keep(connection, told, key.name, now)
        kept = _as_told(reports.report(connection, report_id, here.settings.report_radius_m), key)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/api/v1/reports/{report_id}"
    return _out(kept)


@router.get("/reports", dependencies=[_viewer], response_model=ReportPage, responses=LISTED)
def list_reports(
    request: Request,
    state: Literal["open", "closed"] | None = None,
    category: Annotated[list[Category] | None, Query(description="May be repeated")] = None,
    network: Network = None,
    bbox: Bbox = None,
    since: Annotated[Moment | None, Query(description="Seen at this moment or later")] = None,
    limit: Limit = 100,
    after: After = None,
    form: FormChoice = Form.JSON,
) -> ReportPage | Response:
    """Reports, the newest first."""
    cursor, here = decode_cursor(after, int), city(request)
    with borrow(here.pool) as connection:
        found = reports.reports(
            connection, here.settings.report_radius_m, limit=limit + 1, before=cursor[0] if cursor else None,
            state=state, categories=category or [], network=network, since=since, box=box_of(bbox),
        )  # fmt: skip
    more = encode_cursor(found[limit - 1].report_id) if len(found) > limit else None
    page = ReportPage(items=[_out(each) for each in found[:limit]], next=more)
    return listed(request, form, page, "reports", ReportOut)


@router.get("/reports/{id}", dependencies=[_viewer])
def get_report(request: Request, id: BigId) -> ReportOut:  # noqa: A002
    """One report."""
    here = city(request)
    with borrow(here.pool) as connection:
        return _out(reports.report(connection, id, here.settings.report_radius_m))


@router.post("/reports/{id}/close", responses={409: {"description": "It is closed already"}})
def close_report(
    request: Request,
    id: BigId,  # noqa: A002
    body: ClosingIn,
    key: Annotated[Principal, Depends(Access(Role.OPERATOR))],
) -> ReportOut:
    """Say what became of a report."""
    here = city(request)
    with borrow(here.pool) as connection:
        reports.close(connection, id, body.outcome, body.note, key.name, here.clock())
        return _out(reports.report(connection, id, here.settings.report_radius_m))


@router.post(
    "/reports/{id}/photos",
    status_code=201,
    max_body_size=LARGEST,
    responses={409: {"description": "It has its five photos"}, 415: {"description": "Not a JPEG, PNG or WebP"}},
)
def add_photo(
    request: Request,
    id: BigId,  # noqa: A002
    content: Annotated[bytes, Body(media_type="application/octet-stream")],
    key: Taker,
) -> ReportPhotoOut:
    """Keep a photo of a report: its bytes; the same one twice is kept once, five for a report. A key that may hand in
    alone does so for its own reports."""
    here = city(request)
    _hold_pace(key.name)
    with borrow(here.pool) as connection:
        if key.role is Role.INTAKE and reports.report(connection, id, 0.0).received_from != key.name:
            raise ProblemError(404, f"there is no report {id}")
        try:
            return ReportPhotoOut(report=id, photo=reports.keep_photo(connection, id, content, here.clock()))
        except ValueError as error:
            raise ProblemError(415, str(error)) from None


@router.get(
    "/reports/{id}/photos/{photo}",
    dependencies=[_viewer],
    response_class=Response,
    responses={200: {"content": {"image/*": {}}}},
)
def get_photo(request: Request, id: BigId, photo: BigId) -> Response:  # noqa: A002
    """One photo of a report."""
    with borrow(city(request).pool) as connection:
        media_type, content = reports.photo(connection, id, photo)
    headers = {"Content-Disposition": f'inline; filename="report-{id}-{photo}"'}
    return respond(request, document(content, media_type, compressible=False), headers)


@router.get("/alerts/{id}/reports", dependencies=[_viewer])
def list_reports_of_alert(request: Request, id: BigId) -> ReportPage:  # noqa: A002
    """The newest hundred reports beside an alert: within the radius, from a day before it began until its end."""
    here = city(request)
    with borrow(here.pool) as connection:
        directory.alert(connection, id)
        return _beside(reports.reports(connection, here.settings.report_radius_m, alert_id=id))


@router.get("/incidents/{id}/reports", dependencies=[_viewer])
def list_reports_of_incident(request: Request, id: BigId) -> ReportPage:  # noqa: A002
    """The newest hundred reports beside any alert of an incident."""
    here = city(request)
    with borrow(here.pool) as connection:
        incidents.get(connection, id)
        return _beside(reports.reports(connection, here.settings.report_radius_m, incident_id=id))


def storable(value: str | None) -> str | None:
    """The text itself. Raises ValueError for one with a NUL byte, which no column holds."""
    if value is not None and "\0" in value:
        raise ValueError("must not hold a NUL byte")
    return value


def _hold_pace(name: str) -> None:
    wait_s = _pace.wait_s(name, time.monotonic())
    if wait_s > 0:
        said = f"{MOST_A_MINUTE} reports and photos a minute are taken from one key; wait"
        raise ProblemError(429, said, {"Retry-After": str(int(wait_s) + 1)})


def _as_told(kept: ReportLine, key: Principal) -> ReportLine:
    """What a sender learns of his report. Raises ProblemError 409 for one that may hand in alone, of another's."""
    if key.role is not Role.INTAKE:
        return kept
    if kept.received_from != key.name:
        raise ProblemError(409, "this reference of this source was sent by another key")
    return kept._replace(alerts=[], note="", closed_by=None)


def _beside(found: list[ReportLine]) -> ReportPage:
    return ReportPage(items=[_out(each) for each in found], next=None)


def _out(line: ReportLine) -> ReportOut:
    return ReportOut(
        id=line.report_id, **{name: getattr(line, name) for name in ReportOut.model_fields if name != "id"}
    )
