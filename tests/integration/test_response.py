"""The response loop on the real database: steps, history, messages, deadlines, labels."""

import threading
from datetime import timedelta

import psycopg
import pytest

from lifeline.errors import ConflictError, NotFoundError
from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertKind, AlertState, Level
from lifeline.response import Step, load_deadlines
from lifeline.storage import alerts, response
from lifeline.storage.database import Connection, connect
from tests.integration.city import NOON, add_device, add_sensor, count
from tests.integration.test_alerts_storage import messages, move, one_alert, opening

pytestmark = pytest.mark.usefixtures("clean_database")
DEADLINES = load_deadlines()
MINUTE = timedelta(minutes=1)
WAY = (Step.CONFIRMED, Step.DISPATCHED, Step.ON_SITE, Step.HANDLED)


def go(connection: Connection, alert: Alert, *steps: Step, every: timedelta = MINUTE) -> response.Response:
    for number, each in enumerate(steps, 1):
        found = response.advance(connection, alert.alert_id, each, "wang", NOON + number * every)
        connection.commit()
    return found


def test_an_alert_that_nobody_has_looked_at_is_received_since_it_was_raised(connection: Connection) -> None:
    alert = one_alert(connection)
    found = response.get(connection, alert.alert_id)
    assert (found.step, found.since, found.version) == (Step.RECEIVED, NOON, 0)
    assert response.history(connection, alert.alert_id) == []
    with pytest.raises(NotFoundError):
        response.get(connection, 4711)


def test_the_whole_way_is_written_down_and_told_step_by_step(connection: Connection) -> None:
    alert = one_alert(connection)
    go(connection, alert, *WAY)
    response.feed_back(
        connection, alert.alert_id, "li", NOON + 5 * MINUTE, genuine=True, cause="corrosion", note="clamped"
    )
    connection.commit()
    entries = response.history(connection, alert.alert_id)
    assert [entry.to_step for entry in entries] == [*WAY, Step.FED_BACK]
    assert [entry.from_step for entry in entries] == [Step.RECEIVED, *WAY]
    assert entries[-1].note == "true corrosion: clamped"
    assert messages(connection) == ["alert.raised", "alert.acknowledged", *["response.changed"] * 5]
    told = [
        each
        for (each,) in connection.execute(
            "SELECT body #>> '{data,response,step}' FROM outbox WHERE event_type LIKE 'response.%' ORDER BY outbox_id"
        )
    ]
    assert told == [*WAY, Step.FED_BACK]


def test_who_confirms_has_acknowledged_and_a_returned_alert_is_closed_by_it(connection: Connection) -> None:
    alert = one_alert(connection)
    go(connection, alert, Step.CONFIRMED)
    acked = alerts.get(connection, alert.alert_id)
    assert (acked.state, acked.acknowledged_by) == (AlertState.ACKED, "wang")
    sensor = add_sensor(connection, add_device(connection, "rtu-2"))
    (other,) = alerts.raise_alerts(connection, [opening(sensor)], NOON)
    returned = move(connection, other, Event.RETURN)
    go(connection, returned, Step.FALSE_ALARM)
    assert alerts.get(connection, returned.alert_id).state is AlertState.NORM


def test_a_step_that_does_not_follow_is_refused_and_leaves_nothing(connection: Connection) -> None:
    alert = one_alert(connection)
    for each in (Step.DISPATCHED, Step.HANDLED, Step.ARCHIVED, Step.RECEIVED):
        with pytest.raises(ConflictError, match="does not follow"):
            go(connection, alert, each)
        connection.rollback()
    with pytest.raises(NotFoundError):
        response.advance(connection, 4711, Step.CONFIRMED, "wang", NOON)
    assert count(connection, "response") == count(connection, "response_history") == 0
    assert messages(connection) == ["alert.raised"]


def test_who_acts_on_what_somebody_else_changed_is_refused(connection: Connection) -> None:
    alert = one_alert(connection)
    confirmed = go(connection, alert, Step.CONFIRMED)
    assert confirmed.version == 1
    with pytest.raises(ConflictError, match="version 1, not 0"):
        response.advance(connection, alert.alert_id, Step.DISPATCHED, "li", NOON, expected_version=0)
    connection.rollback()
    moved = response.advance(connection, alert.alert_id, Step.DISPATCHED, "li", NOON, team="gas 2", expected_version=1)
    assert (moved.version, moved.team) == (2, "gas 2")
    kept = response.advance(connection, alert.alert_id, Step.ON_SITE, "li", NOON)
    assert kept.team == "gas 2"


def test_of_many_who_confirm_at_once_one_does(connection: Connection, database_dsn: str) -> None:
    alert = one_alert(connection)
    outcomes: list[str] = []

    def attempt(name: str) -> None:
        with connect(database_dsn) as own:
            try:
                response.advance(own, alert.alert_id, Step.CONFIRMED, name, NOON)
                outcomes.append("done")
            except ConflictError:
                outcomes.append("refused")

    threads = [threading.Thread(target=attempt, args=[f"p{number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", *["refused"] * 7]
    assert count(connection, "response_history") == 1


@pytest.mark.parametrize("table", ["response_history", "feedback", "field_link_use"])
def test_history_labels_and_audit_are_append_only(connection: Connection, table: str) -> None:
    alert = one_alert(connection)
    go(connection, alert, Step.CONFIRMED)
    response.feed_back(connection, alert.alert_id, "li", NOON, genuine=False)
    connection.execute(
        "INSERT INTO field_link_use (nonce, alert_id, action, at, endpoint_id, outcome) "
        "VALUES ('n', 1, 'x', now(), 1, 'done')"
    )
    for statement in (f"UPDATE {table} SET note = ''", f"DELETE FROM {table}"):
        with pytest.raises(psycopg.errors.RestrictViolation), connection.transaction():
            connection.execute(statement.replace("note", "name" if table == "field_link_use" else "note").encode())


# --------------------------------------------------------------------------------------------------------- deadlines


def test_a_step_over_its_deadline_is_told_once_and_the_next_step_anew(connection: Connection) -> None:
    alert = one_alert(connection, Level.RED)
    assert response.tell_overdue(connection, DEADLINES, NOON + 4 * MINUTE) == []
    (late,) = response.tell_overdue(connection, DEADLINES, NOON + 5 * MINUTE)
    assert (late.alert_id, late.step, late.due_at) == (alert.alert_id, Step.RECEIVED, NOON + 5 * MINUTE)
    assert response.tell_overdue(connection, DEADLINES, NOON + 6 * MINUTE) == []
    assert [each.told for each in response.overdue(connection, DEADLINES, NOON + 6 * MINUTE)] == [True]
    connection.commit()
    response.advance(connection, alert.alert_id, Step.CONFIRMED, "wang", NOON + 7 * MINUTE, expected_version=0)
    assert response.tell_overdue(connection, DEADLINES, NOON + 11 * MINUTE) == []
    (late,) = response.tell_overdue(connection, DEADLINES, NOON + 12 * MINUTE)
    assert late.step is Step.CONFIRMED
    assert messages(connection).count("response.overdue") == 2
    assert [entry.action for entry in response.history(connection, alert.alert_id)] == ["overdue", "step", "overdue"]


def test_a_storm_is_told_in_portions_the_worst_first(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "_AT_ONCE", 3)
    device = add_device(connection, "rtu-storm")
    for number in range(4):
        sensor = add_sensor(connection, device, f"methane.{number}")
        alerts.raise_alerts(connection, [opening(sensor, Level.RED if number == 3 else Level.YELLOW)], NOON)
    first = response.tell_overdue(connection, DEADLINES, NOON + timedelta(hours=1))
    second = response.tell_overdue(connection, DEADLINES, NOON + timedelta(hours=1))
    assert [late.level for late in first] == [Level.RED, Level.YELLOW, Level.YELLOW]
    assert len(second) == 1
    assert response.tell_overdue(connection, DEADLINES, NOON + timedelta(hours=1)) == []


def test_a_rise_of_the_level_gives_the_deadline_of_the_new_level_from_then_on(connection: Connection) -> None:
    alert = one_alert(connection, Level.BLUE)
    risen_at = NOON + timedelta(hours=3)
    taken = step(alert.state, True, Event.LEVEL_RISE)
    assert taken is not None
    alerts.change_alerts(connection, [alerts.Change(alert, taken, Level.RED, taken.message)], risen_at)
    assert response.tell_overdue(connection, DEADLINES, risen_at + 4 * MINUTE) == []
    assert len(response.tell_overdue(connection, DEADLINES, risen_at + 5 * MINUTE)) == 1


def test_a_shelved_or_closed_alert_that_nobody_began_with_is_not_overdue(connection: Connection) -> None:
    alert = one_alert(connection, Level.RED)
    alerts.operate(connection, alert.alert_id, Event.SHELVE, "wang", NOON)
    assert response.overdue(connection, DEADLINES, NOON + timedelta(days=9)) == []


def test_a_team_that_is_out_is_overdue_although_the_alert_is_closed(connection: Connection) -> None:
    alert = one_alert(connection, Level.RED)
    go(connection, alert, Step.CONFIRMED, Step.DISPATCHED)
    move(connection, alerts.get(connection, alert.alert_id), Event.RETURN)
    assert alerts.get(connection, alert.alert_id).state is AlertState.NORM
    (late,) = response.overdue(connection, DEADLINES, NOON + timedelta(hours=1))
    assert late.step is Step.DISPATCHED


def test_a_sick_sensor_has_no_deadline(connection: Connection) -> None:
    sensor = add_sensor(connection, add_device(connection, "rtu-9"))
    sick = opening(sensor, Level.YELLOW, "silence.sensor")
    alerts.raise_alerts(connection, [alerts.Opening(sick.finding, "v1", AlertKind.MAINTENANCE)], NOON)
    assert response.overdue(connection, DEADLINES, NOON + timedelta(days=9)) == []


# ------------------------------------------------------------------------------------------------ labels and archive


def test_the_newest_label_counts_and_all_are_kept(connection: Connection) -> None:
    alert = one_alert(connection)
    response.feed_back(connection, alert.alert_id, "li", NOON, genuine=True, cause="leak")
    response.feed_back(connection, alert.alert_id, "wang", NOON + MINUTE, genuine=False, cause="biogas", note="sampled")
    (label,) = response.labels(connection, NOON, NOON + MINUTE)
    assert (label.genuine, label.cause, label.actor, label.rule) == (False, "biogas", "wang", "methane")
    assert count(connection, "feedback") == 2
    assert response.get(connection, alert.alert_id).step is Step.RECEIVED
    assert [entry.action for entry in response.history(connection, alert.alert_id)] == ["feedback"] * 2
    assert response.labels(connection, NOON + MINUTE, NOON + 2 * MINUTE) == []
    assert response.labels(connection, NOON, NOON + MINUTE, rule="other") == []
    with pytest.raises(NotFoundError):
        response.feed_back(connection, 4711, "li", NOON, genuine=True)


def test_what_is_fed_back_and_closed_is_archived_after_a_day_and_an_open_alert_never(connection: Connection) -> None:
    alert = one_alert(connection)
    go(connection, alert, Step.FALSE_ALARM)
    response.feed_back(connection, alert.alert_id, "li", NOON, genuine=False)
    with pytest.raises(ConflictError, match="is open"):
        response.advance(connection, alert.alert_id, Step.ARCHIVED, "wang", NOON)
    connection.commit()
    assert response.archive(connection, NOON + timedelta(days=9)) == 0
    move(connection, alerts.get(connection, alert.alert_id), Event.RETURN)
    assert response.archive(connection, NOON + timedelta(hours=1)) == 0
    assert response.archive(connection, NOON + timedelta(days=2)) == 1
    assert response.get(connection, alert.alert_id).step is Step.ARCHIVED


@pytest.mark.parametrize("role", ["lifeline_api"])
def test_the_api_may_do_all_that_people_do(connection: Connection, role: str) -> None:
    alert = one_alert(connection)
    connection.execute(f"SET ROLE {role}".encode())
    go(connection, alert, *WAY)
    response.feed_back(connection, alert.alert_id, "li", NOON, genuine=True)


def test_the_alerts_process_may_tell_and_archive(connection: Connection) -> None:
    alert = one_alert(connection, Level.RED)
    connection.execute("SET ROLE lifeline_alerts")
    assert len(response.tell_overdue(connection, DEADLINES, NOON + timedelta(hours=1))) == 1
    assert response.archive(connection, NOON + timedelta(days=9)) == 0
    assert response.get(connection, alert.alert_id).version == 0
