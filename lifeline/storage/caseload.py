"""What is on whose desk: how far the response to each open event is, and when its step is due."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeline.model import Level
from lifeline.response import Deadlines, Step
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load

_SQL = load("caseload")


@dataclass(frozen=True, slots=True)
class Case:
    """The response to an open incident, or to a risk alert that belongs to none (``incident_id`` None).

    ``due_at``: None where the step has no deadline or the event is muted.
    """

    incident_id: int | None
    alert_id: int
    level: Level
    step: Step
    since: datetime
    team: str
    assignee: str
    due_at: datetime | None


def running(connection: Connection, deadlines: Deadlines, limit: int = 1000) -> list[Case]:
    """Every open event, the worst level first."""
    with storage_errors():
        rows = connection.execute(_SQL["running"], {"limit": limit}).fetchall()
    found = []
    for incident_id, alert_id, level, step, since, team, assignee, clock, muted in rows:
        seconds = None if muted else deadlines.get((Step(step), Level(level)))
        due_at = None if seconds is None else clock + timedelta(seconds=seconds)
        found.append(Case(incident_id, alert_id, Level(level), Step(step), since, team, assignee, due_at))
    return found
