"""Routes of incidents: the list, and one with its alerts, its causes and its history."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from api.access import Access
from api.alerts import LevelName, Order, behind
from api.city import city
from api.listings import LISTED, Form, FormChoice, listed
from api.parameters import After, BigId, Limit, Network, StrictRoute, encode_cursor
from lifeline.model import AlertState, JsonObject, Level, Role
from lifeline.principal import Principal
from lifeline.storage import incidents
from lifeline.storage.database import borrow
from lifeline.storage.incidents import IncidentAlert, IncidentEntry, IncidentFilter, IncidentLine

router = APIRouter(prefix="/api/v1/incidents", route_class=StrictRoute, tags=["incidents"])
_viewer = Depends(Access(Role.VIEWER))


class IncidentState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class IncidentPhase(StrEnum):
    """alarm; muted: all that is in alarm is shelved, suppressed or out of service; returned: nothing is in alarm."""

    ALARM = "alarm"
    MUTED = "muted"
    RETURNED = "returned"


class IncidentOut(BaseModel):
    """Alerts that one event explains. ``causes`` are ranked, each with what speaks for and against it.

    ``alert_ids`` are the worst 100, open ones first; ``asset`` is where the worst of them, ``lead_alert``, stands.
    """

    id: int
    state: IncidentState
    level: LevelName
    worst_level: LevelName
    networks: list[str]
    cause: str
    title: JsonObject
    causes: list[JsonObject]
    alerts: int
    open_alerts: int
    alert_ids: list[int]
    lead_alert: int
    asset: str | None
    asset_name: str | None
    longitude: float | None
    latitude: float | None
    first_seen: datetime
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    merged_into: int | None
    version: int
    phase: IncidentPhase
    unattended_since: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None


class IncidentPage(BaseModel):
    items: list[IncidentOut]
    next: str | None


class MemberOut(BaseModel):
    """An alert of an incident, in short."""

    id: int
    level: LevelName
    state: AlertState
    network: str
    rule: str
    title: JsonObject | None
    asset: str | None
    asset_name: str | None
    longitude: float | None
    latitude: float | None
    first_seen: datetime
    raised_at: datetime
    returned_at: datetime | None
    closed_at: datetime | None


class IncidentHistoryOut(BaseModel):
    """What happened, when. ``alerts`` came to it; ``other`` is the incident that it absorbed or was merged into."""

    at: datetime
    actor: str
    action: str
    from_level: LevelName | None
    to_level: LevelName
    cause: str
    alerts: list[int]
    other: int | None


class WholeIncident(IncidentOut):
    """``members`` are the worst thousand."""

    members: list[MemberOut]
    history: list[IncidentHistoryOut]


@router.get("", dependencies=[_viewer], response_model=IncidentPage, responses=LISTED)
def list_incidents(
    request: Request,
    state: IncidentState | None = None,
    level: Annotated[list[LevelName] | None, Query(description="May be repeated")] = None,
    network: Network = None,
    cause: Annotated[str | None, Query(max_length=64, description="Its likeliest cause")] = None,
    order: Order = Order.NEWEST,
    limit: Limit = 100,
    after: After = None,
    form: FormChoice = Form.JSON,
) -> IncidentPage | Response:
    """Incidents, the newest or the worst first, page by page."""
    wanted = IncidentFilter(
        open=None if state is None else state == IncidentState.OPEN,
        levels=[Level.from_slug(each) for each in level or []],
        network=network,
        cause=cause,
    )
    last_seen = behind(after)
    with borrow(city(request).pool) as connection:
        found = incidents.list_incidents(
            connection, wanted, worst_first=order == Order.WORST, after=last_seen, limit=limit + 1
        )
    last = found[limit - 1] if len(found) > limit else None
    more = encode_cursor(int(last.level), last.opened_at.isoformat(), last.incident_id) if last else None
    page = IncidentPage(items=[IncidentOut(**_incident(_as_seen(request, each))) for each in found[:limit]], next=more)
    return listed(request, form, page, "incidents", IncidentOut)


@router.get("/{id}", dependencies=[_viewer])
def get_incident(request: Request, id: BigId) -> WholeIncident:  # noqa: A002
    """One incident with its alerts, its causes and everything that happened to it."""
    with borrow(city(request).pool) as connection:
        line = incidents.get(connection, id)
        members = [_member(each) for each in incidents.alerts(connection, id)]
        history = [_entry(each) for each in incidents.history(connection, id)]
    return WholeIncident(**_incident(_as_seen(request, line)), members=members, history=history)


def _as_seen(request: Request, line: IncidentLine) -> IncidentLine:
    """An incident without what its causes tell of alerts that lie outside the reader's part of the city."""
    who: Principal = request.state.principal
    return line if who.scope.whole else replace(line, causes=[_cause_as_seen(each, line) for each in line.causes])


def _cause_as_seen(cause: JsonObject, line: IncidentLine) -> JsonObject:
    networks = [each for each in cause.get("networks", []) if each in line.networks]
    seen = cause | {side: [_sign_as_seen(each, line) for each in cause.get(side, [])] for side in ("for", "against")}
    explains = min(cause.get("explains", 0), line.alerts)
    return seen | {"networks": networks, "cross_network": len(networks) > 1, "explains": explains}


def _sign_as_seen(sign: JsonObject, line: IncidentLine) -> JsonObject:
    """What speaks for or against a cause, and which of one's own alerts show it; what stands beside is anybody's."""
    return {"why": sign["why"], "weight": sign["weight"], "alerts": [n for n in sign["alerts"] if n in line.alert_ids]}


def _incident(line: IncidentLine) -> dict[str, Any]:
    likeliest = line.causes[0] if line.causes else {}
    return {
        "id": line.incident_id,
        "state": line.state,
        "level": line.level.slug,
        "worst_level": line.worst_level.slug,
        "networks": line.networks,
        "cause": likeliest.get("cause", "unknown"),
        "title": likeliest.get("title", {}),
        "causes": line.causes,
        "alerts": line.alerts,
        "open_alerts": line.open_alerts,
        "alert_ids": line.alert_ids,
        "lead_alert": line.lead_alert,
        "asset": line.asset,
        "asset_name": line.asset_name,
        "longitude": line.longitude,
        "latitude": line.latitude,
        "first_seen": line.first_seen,
        "opened_at": line.opened_at,
        "updated_at": line.updated_at,
        "closed_at": line.closed_at,
        "merged_into": line.merged_into,
        "version": line.version,
        "phase": line.phase,
        "unattended_since": line.unattended_since,
        "acknowledged_at": line.acknowledged_at,
        "acknowledged_by": line.acknowledged_by,
    }


def _member(alert: IncidentAlert) -> MemberOut:
    return MemberOut(
        id=alert.alert_id,
        level=LevelName(alert.level.slug),
        state=alert.state,
        network=alert.network,
        rule=alert.rule,
        title=alert.title,
        asset=alert.asset,
        asset_name=alert.asset_name,
        longitude=alert.longitude,
        latitude=alert.latitude,
        first_seen=alert.first_seen,
        raised_at=alert.raised_at,
        returned_at=alert.returned_at,
        closed_at=alert.closed_at,
    )


def _entry(entry: IncidentEntry) -> IncidentHistoryOut:
    return IncidentHistoryOut(
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        from_level=LevelName(entry.from_level.slug) if entry.from_level else None,
        to_level=LevelName(entry.to_level.slug),
        cause=entry.cause,
        alerts=entry.alerts,
        other=entry.other,
    )
