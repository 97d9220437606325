"""Hand-over notes: kept with what was open, told in order, and never changed."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from lifeline.model import Level, Role
from lifeline.storage import audit, handovers
from lifeline.storage.database import Connection
from tests.api_process import Api
from tests.integration.asking import assert_problem, get, group, post
from tests.integration.town import open_alert

pytestmark = pytest.mark.usefixtures("rules")
TEXT = "3 号井已关阀 valve 3 is shut"


def test_a_note_keeps_who_when_and_what_was_open_the_worst_first(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    mild = open_alert(db, town["water"], Level.YELLOW, rule="pressure.level")
    worst = open_alert(db, town["gas"])
    before = datetime.now(UTC)
    made = post(api, "handovers", {"note": TEXT}, status=201)
    assert made["note"] == TEXT
    assert made["author"] == f"operator-{api.port}"
    assert before <= datetime.fromisoformat(made["at"]) <= datetime.now(UTC)
    assert made["open_count"] == 2
    assert [(each["kind"], each["id"], each["level"]) for each in made["open"]] == [
        ("alert", worst.alert_id, "red"),
        ("alert", mild.alert_id, "yellow"),
    ]
    assert made["open"][0]["place"] == "0 号井 Chamber 0"
    assert made["open"][0]["title"] == {"en": "Methane", "zh": "甲烷"}
    assert made["open"][0]["step"] == "received"
    assert get(api, "handovers") == {"items": [made], "next": None}


def test_an_incident_stands_for_its_alerts_with_its_step_and_who_has_it(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    alert = open_alert(db, town["gas"])
    group(db)
    (incident,) = get(api, "incidents")["items"]
    post(api, f"alerts/{alert.alert_id}/assign", {"assignee": "王工"})
    post(api, f"alerts/{alert.alert_id}/steps", {"step": "confirmed"})
    (told,) = post(api, "handovers", {"note": TEXT}, status=201)["open"]
    assert (told["kind"], told["id"], told["step"], told["who"]) == ("incident", incident["id"], "confirmed", "王工")
    assert told["title"] == incident["title"]


def test_notes_come_newest_first_page_by_page_and_by_period(api: Api, db: Connection) -> None:
    begun = datetime.now(UTC) - timedelta(hours=20)
    made = [handovers.keep(db, f"note {n}", "ann", begun + timedelta(hours=8 * n)).handover_id for n in range(3)]
    db.commit()
    first = get(api, "handovers?limit=2")
    rest = get(api, f"handovers?limit=2&after={first['next']}")
    assert [each["id"] for each in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
    at = [(begun + timedelta(hours=8 * n)).isoformat().replace("+00:00", "Z") for n in range(3)]
    between = get(api, f"handovers?since={at[1]}&until={at[2]}")["items"]
    assert [each["note"] for each in between] == ["note 1"], "from and with the first, not with the last"


@pytest.mark.parametrize("note", ["", "   ", "x" * 4001, "a\0b", None, 7])
def test_a_note_that_says_nothing_or_cannot_be_kept_is_refused(api: Api, note: object) -> None:
    assert_problem(api.call("POST", "/api/v1/handovers", Role.OPERATOR, json={"note": note}), 400)
    assert get(api, "handovers")["items"] == []


def test_a_note_stands_in_the_audit_and_is_never_changed(api: Api, db: Connection) -> None:
    made = post(api, "handovers", {"note": TEXT}, status=201)
    (change,) = audit.changes(db, what="handover", limit=9)
    assert (change.actor, change.action, change.id) == (f"operator-{api.port}", "insert", str(made["id"]))
    assert change.after is not None
    assert change.after["note"] == TEXT
    with pytest.raises(psycopg.Error, match="append-only"), db.transaction():
        db.execute("UPDATE handover SET note = 'other words'")


def test_of_very_much_that_is_open_the_worst_are_kept_and_all_are_counted(
    api: Api, town: dict[str, int], db: Connection
) -> None:
    for number in range(201):
        open_alert(db, town["gas"], Level.RED if number == 200 else Level.BLUE, rule=f"methane.{number}")
    made = post(api, "handovers", {"note": TEXT}, status=201)
    assert (made["open_count"], len(made["open"]), made["open"][0]["level"]) == (201, 200, "red")
