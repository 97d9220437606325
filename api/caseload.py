"""Route of the caseload: step, team and deadline of every open event, for a list that shows what is due."""

from datetime import datetime

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from api.access import Access
from api.city import city
from api.parameters import StrictRoute
from lifeline.model import Role
from lifeline.response import Step, load_deadlines
from lifeline.storage import caseload
from lifeline.storage.database import borrow

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["handling"])


class CaseOut(BaseModel):
    """``incident`` null: the response to ``alert``, which belongs to none. ``due_at`` null: no deadline, or muted."""

    incident: int | None
    alert: int
    step: Step
    since: datetime
    due_at: datetime | None
    team: str
    assignee: str


class Caseload(BaseModel):
    items: list[CaseOut]


@router.get("/caseload", dependencies=[Depends(Access(Role.VIEWER))])
def get_caseload(request: Request) -> Caseload:
    """How far the response to each open incident is, and when its step is due; the worst thousand."""
    here = city(request)
    deadlines = load_deadlines(here.settings.response)
    with borrow(here.pool) as connection:
        found = caseload.running(connection, deadlines)
    return Caseload(
        items=[
            CaseOut(
                incident=each.incident_id,
                alert=each.alert_id,
                step=each.step,
                since=each.since,
                due_at=each.due_at,
                team=each.team,
                assignee=each.assignee,
            )
            for each in found
        ]
    )
