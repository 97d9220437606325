"""Routes of alerts: the worst-first list, one with its evidence and history, acknowledge."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.access import Access
from api.city import city
from api.listings import LISTED, Form, FormChoice, listed
from api.parameters import After, BigId, Limit, Network, StrictRoute, decode_cursor, encode_cursor
from api.problems import ProblemError
from lifeline.model import AlertKind, AlertState, JsonObject, Level, Role, SubjectKind
from lifeline.principal import Principal
from lifeline.storage import alerts, directory
from lifeline.storage.alerts import HistoryEntry
from lifeline.storage.database import borrow
from lifeline.storage.directory import AlertFilter, AlertLine, Behind

router = APIRouter(prefix="/api/v1/alerts", route_class=StrictRoute, tags=["alerts"])
_viewer = Depends(Access(Role.VIEWER))


class LevelName(StrEnum):
    """``Level`` as it is called on every wire."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    BLUE = "blue"


class StateFilter(StrEnum):
    """``open`` and ``closed``, or one of the states of ISA-18.2."""

    OPEN = "open"
    CLOSED = "closed"
    NORM = "NORM"
    UNACK = "UNACK"
    ACKED = "ACKED"
    RTNUN = "RTNUN"
    SHLVD = "SHLVD"
    DSUPR = "DSUPR"
    OOSRV = "OOSRV"


class Order(StrEnum):
    NEWEST = "newest"
    WORST = "worst"


class AlertOut(BaseModel):
    """One problem on one subject by one rule. ``evidence`` says what was measured against what was expected."""

    id: int
    level: LevelName
    state: AlertState
    kind: AlertKind
    network: str
    rule: str
    rule_version: str
    subject_kind: SubjectKind
    subject_id: int
    asset: str | None
    asset_name: str | None
    asset_kind: str | None
    device: str | None
    sensor: int | None
    sensor_name: str | None
    quantity: str | None
    unit: str
    longitude: float | None
    latitude: float | None
    evidence: JsonObject
    first_seen: datetime
    raised_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    returned_at: datetime | None
    closed_at: datetime | None
    incident: int | None
    version: int


class AlertPage(BaseModel):
    items: list[AlertOut]
    next: str | None


class HistoryOut(BaseModel):
    """Who changed what, when, from what, why."""

    at: datetime
    actor: str
    action: str
    from_state: AlertState | None
    to_state: AlertState
    from_level: LevelName | None
    to_level: LevelName
    note: str
    evidence: JsonObject | None


class AlertWithHistory(AlertOut):
    history: list[HistoryOut]


class Acknowledgement(BaseModel):
    """``version`` makes it conditional: 409 where the alert has changed since it was read."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=2000)] = ""
    version: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None

    @field_validator("note")
    @classmethod
    def _storable(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("must not hold a NUL byte")
        return value


@router.get("", dependencies=[_viewer], response_model=AlertPage, responses=LISTED)
def list_alerts(
    request: Request,
    state: Annotated[list[StateFilter] | None, Query(description="May be repeated")] = None,
    level: Annotated[list[LevelName] | None, Query(description="May be repeated")] = None,
    network: Network = None,
    kind: AlertKind | None = None,
    asset: Annotated[str | None, Query(max_length=64)] = None,
    sensor: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    order: Order = Order.NEWEST,
    limit: Limit = 100,
    after: After = None,
    form: FormChoice = Form.JSON,
) -> AlertPage | Response:
    """Alerts, the newest or the worst first, page by page."""
    wanted = AlertFilter(
        open=_openness(state or []),
        states=[AlertState(each) for each in state or [] if each not in (StateFilter.OPEN, StateFilter.CLOSED)],
        levels=[Level.from_slug(each) for each in level or []],
        network=network,
        kind=kind,
        asset=asset,
        sensor_id=sensor,
    )
    here = city(request)
    last_seen = behind(after)
    with borrow(here.pool) as connection:
        found = directory.alerts(connection, wanted, worst_first=order == Order.WORST, after=last_seen, limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    more = encode_cursor(int(last.level), last.raised_at.isoformat(), last.alert_id) if last else None
    page = AlertPage(items=[AlertOut(**_alert(each, request)) for each in found[:limit]], next=more)
    return listed(request, form, page, "alerts", AlertOut)


@router.get("/{id}", dependencies=[_viewer])
def get_alert(request: Request, id: BigId) -> AlertWithHistory:  # noqa: A002
    """One alert with its evidence and everything that happened to it."""
    with borrow(city(request).pool) as connection:
        return _whole(request, directory.alert(connection, id), alerts.history(connection, id))


@router.post("/{id}/acknowledge", responses={409: {"description": "The alert's state does not allow it"}})
def acknowledge(
    request: Request,
    id: BigId,  # noqa: A002
    key: Annotated[Principal, Depends(Access(Role.FIELD))],
    body: Acknowledgement | None = None,
) -> AlertWithHistory:
    """Say that a person has taken note. An alert that has returned to normal is closed by it."""
    given = body or Acknowledgement()
    here = city(request)
    with borrow(here.pool) as connection:
        alerts.acknowledge(connection, id, key.name, here.clock(), given.note, given.version)
        return _whole(request, directory.alert(connection, id), alerts.history(connection, id))


def _openness(states: list[StateFilter]) -> bool | None:
    wanted = {StateFilter.OPEN, StateFilter.CLOSED} & set(states)
    return wanted == {StateFilter.OPEN} if len(wanted) == 1 else None


def behind(cursor: str | None) -> Behind | None:
    """Level, moment and id of the last row of the page before. Raises ProblemError 400."""
    values = decode_cursor(cursor, int, str, int)
    if values is None:
        return None
    level, moment, alert_id = values
    try:
        raised_at = datetime.fromisoformat(moment)
    except ValueError:
        raised_at = None
    if raised_at is None or raised_at.tzinfo is None or not 1970 <= raised_at.year < 2200:
        raise ProblemError(400, "after must be the `next` of an earlier page")
    return Behind(level, raised_at, alert_id)


def _whole(request: Request, line: AlertLine, history: list[HistoryEntry]) -> AlertWithHistory:
    entries = [
        HistoryOut(
            at=each.at,
            actor=each.actor,
            action=each.action,
            from_state=each.from_state,
            to_state=each.to_state,
            from_level=LevelName(each.from_level.slug) if each.from_level else None,
            to_level=LevelName(each.to_level.slug),
            note=each.note,
            evidence=each.evidence,
        )
        for each in history
    ]
    return AlertWithHistory(**_alert(line, request), history=entries)


def _alert(line: AlertLine, request: Request) -> dict[str, Any]:
    quantity = city(request).catalogue.quantities.get(line.quantity or "")
    return {
        "id": line.alert_id,
        "level": line.level.slug,
        "state": line.state,
        "kind": line.kind,
        "network": line.network,
        "rule": line.rule,
        "rule_version": line.rule_version,
        "subject_kind": line.subject_kind,
        "subject_id": line.subject_id,
        "asset": line.asset,
        "asset_name": line.asset_name,
        "asset_kind": line.asset_kind,
        "device": line.device,
        "sensor": line.sensor_id,
        "sensor_name": line.sensor_name,
        "quantity": line.quantity,
        "unit": quantity.unit if quantity else "",
        "longitude": line.longitude,
        "latitude": line.latitude,
        "evidence": line.evidence,
        "first_seen": line.first_seen,
        "raised_at": line.raised_at,
        "updated_at": line.updated_at,
        "acknowledged_at": line.acknowledged_at,
        "acknowledged_by": line.acknowledged_by,
        "returned_at": line.returned_at,
        "closed_at": line.closed_at,
        "incident": line.incident_id,
        "version": line.version,
    }
