"""What is on whose desk: step, team and deadline of every open event."""

from datetime import UTC, datetime, timedelta

from lifeline.lifecycle import Event
from lifeline.model import AlertKind, Level
from lifeline.response import Step, load_deadlines
from lifeline.storage import alerts, caseload, response
from lifeline.storage.database import Connection
from tests.api_process import Api
from tests.integration.town import open_alert

DEADLINES = load_deadlines()


def test_an_event_that_nobody_has_looked_at_is_received_and_due_by_its_level(
    town: dict[str, int], db: Connection
) -> None:
    alert = open_alert(db, town["gas"])
    (case,) = caseload.running(db, DEADLINES)
    assert (case.alert_id, case.incident_id, case.step) == (alert.alert_id, None, Step.RECEIVED)
    assert case.due_at == alert.raised_at + timedelta(seconds=DEADLINES[Step.RECEIVED, Level.RED])


def test_a_step_moves_the_deadline_and_names_the_team(town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    later = datetime.now(UTC) + timedelta(minutes=3)
    response.advance(db, alert.alert_id, Step.CONFIRMED, "op", later, team="gas 2")
    (case,) = caseload.running(db, DEADLINES)
    assert (case.step, case.team, case.since) == (Step.CONFIRMED, "gas 2", later)
    assert case.due_at == later + timedelta(seconds=DEADLINES[Step.CONFIRMED, Level.RED])


def test_a_muted_event_has_no_deadline(town: dict[str, int], db: Connection) -> None:
    alert = open_alert(db, town["gas"])
    alerts.operate(db, alert.alert_id, Event.SHELVE, "op", datetime.now(UTC))
    (case,) = caseload.running(db, DEADLINES)
    assert case.due_at is None


def test_what_is_closed_and_what_is_maintenance_is_on_nobodys_desk(town: dict[str, int], db: Connection) -> None:
    open_alert(db, town["water"], rule="sensor.flatline", kind=AlertKind.MAINTENANCE)
    assert caseload.running(db, DEADLINES) == []


def test_the_worst_come_first_and_the_api_tells_them(api: Api, town: dict[str, int], db: Connection) -> None:
    mild = open_alert(db, town["water"], Level.YELLOW)
    grave = open_alert(db, town["gas"], Level.RED)
    told = api.get("/api/v1/caseload").json()["items"]
    assert [each["alert"] for each in told] == [grave.alert_id, mild.alert_id]
    assert told[0]["step"] == "received"
    assert datetime.fromisoformat(told[0]["due_at"]) < datetime.fromisoformat(told[1]["due_at"])
