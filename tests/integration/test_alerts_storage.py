"""Alerts on the real database: one open alert, compare-and-set, history and message in the same transaction."""

import threading
from datetime import timedelta

import psycopg
import pytest

from lifeline.errors import ConflictError, NotFoundError
from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertKind, AlertState, Finding, Level, Subject, SubjectKind
from lifeline.storage import alerts
from lifeline.storage.database import Connection, connect
from tests.integration.city import NOON, add_asset, add_device, add_sensor, count

pytestmark = pytest.mark.usefixtures("clean_database")

EVIDENCE = {"title": {"en": "Methane", "zh": "甲烷"}, "advice": {"en": "Leave", "zh": "撤离"}, "value": 1.2}


def opening(sensor: int, level: Level = Level.YELLOW, rule: str = "methane") -> alerts.Opening:
    finding = Finding(Subject(SubjectKind.SENSOR, sensor), rule, level, NOON, NOON - timedelta(minutes=1), EVIDENCE)
    return alerts.Opening(finding, "v1", AlertKind.RISK)


def one_alert(connection: Connection, level: Level = Level.YELLOW) -> Alert:
    sensor = add_sensor(connection, add_device(connection, "rtu-1"), asset=add_asset(connection, "K-7"))
    (alert,) = alerts.raise_alerts(connection, [opening(sensor, level)], NOON)
    connection.commit()
    return alert


def move(connection: Connection, alert: Alert, event: Event, level: Level | None = None) -> Alert:
    taken = step(alert.state, alerts.is_active(alert), event)
    assert taken is not None
    change = alerts.Change(alert, taken, level or alert.level, taken.message)
    (moved,) = alerts.change_alerts(connection, [change], NOON + timedelta(minutes=5))
    connection.commit()
    return moved


def actions(connection: Connection, alert: Alert) -> list[str]:
    return [entry.action for entry in alerts.history(connection, alert.alert_id)]


def messages(connection: Connection) -> list[str]:
    return [kind for (kind,) in connection.execute("SELECT event_type FROM outbox ORDER BY outbox_id")]


def fallen(connection: Connection, alert: Alert, event: Event, value: float, level: Level | None = None) -> Alert:
    """A step of a pressure alert with what the detector saw then: metres, where 49.8 were expected."""
    taken = step(alert.state, alerts.is_active(alert), event)
    assert taken is not None
    seen = {"unit": "m", "value": value, "expected": 49.8}
    change = alerts.Change(alert, taken, level or alert.level, None, seen)
    (moved,) = alerts.change_alerts(connection, [change], NOON + timedelta(minutes=5))
    connection.commit()
    return moved


def test_the_worst_moment_is_the_newest_of_the_worst_level_that_was_measured_against_what_was_expected(
    connection: Connection,
) -> None:
    alert = one_alert(connection)
    assert alerts.worst_moment(connection, alert.alert_id) is None, "raised by a limit: nothing was expected"
    alert = fallen(connection, alert, Event.LEVEL_RISE, 30.1, Level.ORANGE)
    alert = fallen(connection, alert, Event.LEVEL_FALL, 40.2, Level.YELLOW)
    alert = fallen(connection, alert, Event.LEVEL_RISE, 28.3, Level.ORANGE)
    alert = fallen(connection, alert, Event.LEVEL_FALL, 41.4, Level.YELLOW)
    alert = fallen(connection, alert, Event.RETURN, 49.7)
    assert alerts.worst_moment(connection, alert.alert_id) == {"unit": "m", "value": 28.3, "expected": 49.8}
    fallen(connection, alert, Event.CONDITION, 12.5, Level.RED)
    assert alerts.worst_moment(connection, alert.alert_id) == {"unit": "m", "value": 12.5, "expected": 49.8}
    assert alerts.worst_moment(connection, alert.alert_id + 1) is None


def test_a_raised_alert_knows_its_place_and_network_and_has_history_and_a_message(connection: Connection) -> None:
    alert = one_alert(connection)
    assert (alert.state, alert.level, alert.network) == (AlertState.UNACK, Level.YELLOW, "gas")
    assert (alert.longitude, alert.latitude) == (117.27, 31.86)
    assert alerts.get(connection, alert.alert_id) == alert
    assert alerts.list_open(connection) == [alert]
    assert actions(connection, alert) == ["raised"]
    row = connection.execute("SELECT event_type, body FROM outbox").fetchone()
    assert row is not None
    assert row[0] == row[1]["type"] == "alert.raised"
    assert row[1]["data"]["level"] == "yellow"
    assert row[1]["data"]["title"] == EVIDENCE["title"]
    assert row[1]["data"]["evidence"] == {"value": 1.2}
    assert row[1]["data"]["where"]["asset_name"] == "Chamber K-7"


def test_a_hundred_concurrent_breaches_of_one_sensor_open_one_alert(connection: Connection, database_dsn: str) -> None:
    sensor = add_sensor(connection, add_device(connection, "rtu-1"))
    connection.commit()
    start = threading.Barrier(20)
    opened: list[Alert] = []

    def breach() -> None:
        with connect(database_dsn) as own:
            start.wait()
            for _ in range(5):
                opened.extend(alerts.raise_alerts(own, [opening(sensor)], NOON))

    threads = [threading.Thread(target=breach) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    assert len(alerts.list_open(connection)) == 1
    assert count(connection, "alert_history") == count(connection, "outbox") == 1


def test_an_alert_its_history_and_its_message_are_one_transaction(connection: Connection) -> None:
    sensor = add_sensor(connection, add_device(connection, "rtu-1"))
    connection.commit()
    with connection.transaction(force_rollback=True):
        alerts.raise_alerts(connection, [opening(sensor)], NOON)
        assert count(connection, "outbox") == 1
    assert [count(connection, table) for table in ("alert", "alert_history", "outbox")] == [0, 0, 0]


def test_listeners_hear_of_a_change_when_it_is_committed(connection: Connection, database_dsn: str) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as listener:
        listener.execute("LISTEN lifeline_changed")
        one_alert(connection)
        heard = list(listener.notifies(timeout=30, stop_after=1))
    assert '"what": "alert"' in heard[0].payload


def test_acknowledged_alert_that_returns_is_closed(connection: Connection) -> None:
    alert = one_alert(connection)
    acked = alerts.acknowledge(connection, alert.alert_id, "wang", NOON, "on it", expected_version=1)
    assert (acked.state, acked.acknowledged_by, acked.version) == (AlertState.ACKED, "wang", 2)
    closed = move(connection, acked, Event.RETURN)
    assert closed.state is AlertState.NORM
    assert closed.closed_at == closed.returned_at
    assert alerts.list_open(connection) == []
    assert messages(connection) == ["alert.raised", "alert.acknowledged", "alert.cleared"]
    entries = alerts.history(connection, alert.alert_id)
    assert [(entry.from_state, entry.to_state) for entry in entries] == [
        (None, "UNACK"),
        ("UNACK", "ACKED"),
        ("ACKED", "NORM"),
    ]
    assert (entries[1].actor, entries[1].note) == ("wang", "on it")


def test_returned_alert_waits_for_its_acknowledgement_and_then_closes(connection: Connection) -> None:
    returned = move(connection, one_alert(connection), Event.RETURN)
    assert (returned.state, returned.closed_at) == (AlertState.RTNUN, None)
    closed = alerts.acknowledge(connection, returned.alert_id, "wang", NOON)
    assert closed.state is AlertState.NORM
    assert messages(connection) == ["alert.raised", "alert.cleared", "alert.closed"]


def test_returned_alert_is_raised_again_as_the_same_alert(connection: Connection) -> None:
    returned = move(connection, one_alert(connection), Event.RETURN)
    again = move(connection, returned, Event.CONDITION)
    assert (again.alert_id, again.state, again.returned_at) == (returned.alert_id, AlertState.UNACK, None)


def test_a_rise_of_the_level_alarms_an_acknowledged_alert_again(connection: Connection) -> None:
    alert = one_alert(connection)
    acked = alerts.acknowledge(connection, alert.alert_id, "wang", NOON)
    risen = move(connection, acked, Event.LEVEL_RISE, Level.RED)
    assert (risen.state, risen.level, risen.acknowledged_by) == (AlertState.UNACK, Level.RED, None)
    fallen = move(connection, risen, Event.LEVEL_FALL, Level.ORANGE)
    assert (fallen.state, fallen.level) == (AlertState.UNACK, Level.ORANGE)
    assert messages(connection)[2:] == ["alert.escalated", "alert.deescalated"]


def test_a_shelved_alert_still_tells_its_return(connection: Connection) -> None:
    alert = one_alert(connection)
    shelved = alerts.operate(connection, alert.alert_id, Event.SHELVE, "wang", NOON)
    returned = move(connection, shelved, Event.RETURN)
    assert (returned.state, alerts.is_active(returned)) == (AlertState.SHLVD, False)
    closed = alerts.operate(connection, alert.alert_id, Event.UNSHELVE, "wang", NOON)
    assert closed.state is AlertState.NORM
    assert messages(connection) == ["alert.raised", "alert.shelved", "alert.cleared"]


def test_who_acts_on_what_somebody_else_changed_is_refused(connection: Connection) -> None:
    alert = one_alert(connection)
    alerts.acknowledge(connection, alert.alert_id, "wang", NOON)
    with pytest.raises(ConflictError, match="version 2, not 1"):
        alerts.acknowledge(connection, alert.alert_id, "li", NOON, expected_version=1)
    with pytest.raises(ConflictError, match="not possible"):
        alerts.acknowledge(connection, alert.alert_id, "li", NOON)
    with pytest.raises(NotFoundError):
        alerts.acknowledge(connection, 4711, "li", NOON)
    stale = alerts.Change(alert, step(alert.state, True, Event.RETURN), alert.level, "alert.cleared")  # type: ignore[arg-type]
    assert alerts.change_alerts(connection, [stale], NOON) == []
    assert actions(connection, alert) == ["raised", "acknowledged"]


def test_of_many_who_acknowledge_at_once_one_does(connection: Connection, database_dsn: str) -> None:
    alert = one_alert(connection)
    outcomes: list[str] = []

    def attempt(name: str) -> None:
        with connect(database_dsn) as own:
            try:
                alerts.acknowledge(own, alert.alert_id, name, NOON)
                outcomes.append("done")
            except ConflictError:
                outcomes.append("refused")

    threads = [threading.Thread(target=attempt, args=[f"operator-{n}"]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["refused"] * 7


def test_history_can_be_added_to_and_not_changed(connection: Connection) -> None:
    one_alert(connection)
    for statement in ("UPDATE alert_history SET note = 'x'", "DELETE FROM alert_history"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"), connection.transaction():
            connection.execute(statement.encode())


@pytest.mark.parametrize("role", ["lifeline_api", "lifeline_alerts"])
def test_the_roles_of_the_processes_may_acknowledge(connection: Connection, role: str) -> None:
    alert = one_alert(connection)
    connection.execute(f"SET ROLE {role}".encode())
    assert alerts.acknowledge(connection, alert.alert_id, "wang", NOON).state is AlertState.ACKED


def test_ten_thousand_findings_are_two_statements(connection: Connection) -> None:
    device = add_device(connection, "rtu-1")
    ids = [
        sensor
        for (sensor,) in connection.execute(
            "INSERT INTO sensor (device_id, channel, quantity) SELECT %s, 'methane.' || n, 'methane' "
            "FROM generate_series(1, 10000) n RETURNING sensor_id",
            [device],
        )
    ]
    opened = alerts.raise_alerts(connection, [opening(sensor) for sensor in ids], NOON)
    assert len(opened) == 10_000
    assert alerts.open_by_level(connection) == {("gas", AlertKind.RISK, Level.YELLOW): 10_000}
    assert count(connection, "outbox") == count(connection, "alert_history") == 10_000


@pytest.mark.parametrize("join", ["nestloop", "hashjoin", "mergejoin"])
def test_alerts_and_their_messages_come_in_order_of_their_ids_however_the_database_joins(
    join: str, connection: Connection
) -> None:
    device = add_device(connection, "rtu-1")
    sensors = [add_sensor(connection, device, f"methane.{n}") for n in range(5)]
    for other in {"nestloop", "hashjoin", "mergejoin"} - {join}:
        connection.execute(f"SET enable_{other} = off")
    wanted = [opening(sensor, rule=rule) for sensor in sensors[::-1] for rule in ("zeta", "alpha")]
    raised = alerts.raise_alerts(connection, wanted, NOON)
    assert [(each.subject.id, each.rule) for each in raised] == [(s, r) for s in sensors for r in ("alpha", "zeta")]
    ids = [each.alert_id for each in raised]
    changes = []
    for alert in raised[3:] + raised[:3][::-1]:
        taken = step(alert.state, True, Event.ACKNOWLEDGE)
        assert taken is not None
        changes.append(alerts.Change(alert, taken, alert.level, taken.message))
    assert [each.alert_id for each in alerts.change_alerts(connection, changes, NOON)] == ids
    told = [each for (each,) in connection.execute("SELECT alert_id FROM outbox ORDER BY outbox_id")]
    noted = [each for (each,) in connection.execute("SELECT alert_id FROM alert_history ORDER BY history_id")]
    assert (told, noted) == (ids * 2, ids * 2)
