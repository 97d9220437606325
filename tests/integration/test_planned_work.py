"""Shelving, maintenance windows and the flap guard, on the real database and through the tick."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from lifeline.errors import ConflictError, NotFoundError
from lifeline.lifecycle import Event
from lifeline.model import AlertState, Level, Subject, SubjectKind
from lifeline.storage import alerts, maintenance, shelving
from lifeline.storage.database import Connection
from tests.integration.city import NOON, add_asset, add_device, add_reading, add_sensor, set_status
from tests.integration.test_alerts_storage import actions, messages, move, one_alert
from tests.integration.test_alerts_tick import Town

pytestmark = pytest.mark.usefixtures("clean_database")
HOUR = timedelta(hours=1)


@pytest.fixture
def town(connection: Connection) -> Iterator[Town]:
    yield Town(connection)  # noqa: PT022 - the form that the type checker reads


# -------------------------------------------------------------------------------------------------------- the shelf


def test_a_shelved_alert_comes_back_after_two_hours_by_itself_and_it_is_written_down(connection: Connection) -> None:
    alert = one_alert(connection)
    shelved = shelving.shelve(connection, alert.alert_id, "wang", NOON, note="valve work")
    assert shelved.state is AlertState.SHLVD
    assert shelving.release(connection, NOON + 2 * HOUR - timedelta(seconds=1)) == []
    (back,) = shelving.release(connection, NOON + 2 * HOUR)
    assert (back.state, back.alert_id) == (AlertState.UNACK, alert.alert_id)
    assert shelving.release(connection, NOON + 3 * HOUR) == []
    entries = alerts.history(connection, alert.alert_id)
    assert [(entry.action, entry.actor) for entry in entries[1:]] == [("shelved", "wang"), ("unshelved", "clock")]
    assert entries[1].note == "until 2026-11-21 14:00:00 UTC: valve work"
    assert messages(connection) == ["alert.raised", "alert.shelved", "alert.raised"]


def test_a_shelved_alert_still_tells_its_return_and_closes_when_its_time_is_over(connection: Connection) -> None:
    alert = one_alert(connection)
    shelved = shelving.shelve(connection, alert.alert_id, "wang", NOON, until=NOON + 4 * HOUR)
    move(connection, shelved, Event.RETURN)
    assert messages(connection)[-1] == "alert.cleared"
    assert shelving.release(connection, NOON + 3 * HOUR) == []
    (closed,) = shelving.release(connection, NOON + 4 * HOUR)
    assert closed.state is AlertState.NORM


def test_one_that_was_shelved_without_a_time_has_the_ordinary_one(connection: Connection) -> None:
    alert = one_alert(connection)
    alerts.operate(connection, alert.alert_id, Event.SHELVE, "wang", NOON)
    assert len(shelving.release(connection, NOON + 2 * HOUR)) == 1


def test_an_operator_takes_an_alert_from_the_shelf_before_its_time(connection: Connection) -> None:
    alert = one_alert(connection)
    shelving.shelve(connection, alert.alert_id, "wang", NOON, until=NOON + timedelta(days=6))
    assert shelving.unshelve(connection, alert.alert_id, "li", NOON).state is AlertState.UNACK
    shelving.shelve(connection, alert.alert_id, "wang", NOON)
    assert len(shelving.release(connection, NOON + 2 * HOUR)) == 1


@pytest.mark.parametrize("hours", [0, -1, 7 * 24 + 1])
def test_nothing_is_shelved_into_the_past_or_for_ever(connection: Connection, hours: int) -> None:
    alert = one_alert(connection)
    with pytest.raises(ConflictError, match="seven days"):
        shelving.shelve(connection, alert.alert_id, "wang", NOON, until=NOON + hours * HOUR)
    assert actions(connection, alert) == ["raised"]


# -------------------------------------------------------------------------------------------------- maintenance windows


def window(connection: Connection, **about: Any) -> int:
    found = maintenance.open_window(
        connection, "wang", NOON, begins_at=NOON + timedelta(minutes=2), ends_at=NOON + timedelta(minutes=30), **about
    )
    connection.commit()
    return found


@pytest.mark.parametrize("about", [
    {"asset": "K-7"}, {"network": "gas"}, {"rule": "methane.level"},
    {"asset": "K-7", "network": "gas", "rule": "methane.level"},
])  # fmt: skip
def test_in_a_window_nothing_is_raised_and_afterwards_what_still_holds_is(town: Town, about: dict[str, Any]) -> None:
    window(town.connection, **about)
    town.minute(0.1)
    for _ in range(28):
        assert town.minute(0.6) == []
    assert town.messages() == []
    (alert,) = town.minute(0.6)
    assert (alert.state, alert.level) == (AlertState.UNACK, Level.YELLOW)
    assert town.messages() == ["alert.raised"]


@pytest.mark.parametrize("about", [
    {"asset": "K-8"}, {"network": "water"}, {"rule": "h2s.level"}, {"asset": "K-7", "rule": "h2s.level"},
    {"asset": "K-7", "network": "water"},
])  # fmt: skip
def test_a_window_elsewhere_changes_nothing(town: Town, about: dict[str, Any]) -> None:
    add_asset(town.connection, "K-8")
    window(town.connection, **about)
    for _ in range(3):
        town.minute(0.1)
    (alert,) = town.minute(0.6)
    assert alert.state is AlertState.UNACK


def test_what_is_open_when_the_work_begins_is_out_of_service_and_returns_to_the_list_after_it(town: Town) -> None:
    window(town.connection, asset="K-7")
    (alert,) = town.minute(0.6)
    (resting,) = town.minute(0.6)
    assert resting.state is AlertState.OOSRV
    for _ in range(27):
        assert [one.state for one in town.minute(0.6)] == [AlertState.OOSRV]
    (back,) = town.minute(0.6)
    assert (back.alert_id, back.state) == (alert.alert_id, AlertState.UNACK)
    assert town.messages() == ["alert.raised", "alert.raised"]


def test_a_return_during_the_work_is_told_and_the_alert_closes_with_the_window(town: Town) -> None:
    window(town.connection, asset="K-7")
    town.minute(0.6)
    for _ in range(29):
        town.minute(0.1)
    assert town.minute(0.1) == []
    assert town.messages() == ["alert.raised", "alert.cleared"]


def test_a_device_at_the_asset_may_be_silent_during_the_work(connection: Connection) -> None:
    town = Town(connection)
    other = add_sensor(connection, add_device(connection, "rtu-2"))
    assert other
    window(connection, asset="K-7")
    add_reading(connection, town.sensor, NOON, 0.1)
    set_status(connection, town.device, "offline", NOON + timedelta(minutes=2))
    for _ in range(5):
        assert [alert for alert in town.minute() if alert.subject.id == town.device] == []


def test_out_of_service_is_a_window_without_an_end_until_somebody_ends_it(town: Town) -> None:
    number = maintenance.open_window(town.connection, "wang", NOON, begins_at=NOON, ends_at=None, asset="K-7")
    for _ in range(3):
        assert town.minute(0.6) == []
    maintenance.end_window(town.connection, number, "li", town.now)
    assert len(town.minute(0.6)) == 1
    (ended,) = maintenance.windows(town.connection, NOON)
    assert (ended.ended_by, ended.ends_at, ended.asset) == ("li", town.now - timedelta(minutes=1), "K-7")
    with pytest.raises(NotFoundError):
        maintenance.end_window(town.connection, number, "li", town.now)


def test_a_window_that_makes_no_sense_is_refused(connection: Connection) -> None:
    for options in (
        {"ends_at": NOON + HOUR}, {"ends_at": NOON, "network": "gas"}, {"ends_at": NOON - HOUR, "rule": "x"},
    ):  # fmt: skip
        with pytest.raises(ConflictError):
            maintenance.open_window(connection, "wang", NOON, begins_at=NOON, **options)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        maintenance.open_window(connection, "wang", NOON, begins_at=NOON, ends_at=None, asset="K-99")
    assert maintenance.windows(connection, NOON - HOUR) == []


def test_what_is_asked_about_is_told_apart_by_subject_and_rule(connection: Connection) -> None:
    asset = add_asset(connection, "K-7")
    device = add_device(connection, "rtu-1")
    inside, outside = add_sensor(connection, device, asset=asset), add_sensor(connection, device, "h2s")
    maintenance.open_window(connection, "wang", NOON, begins_at=NOON, ends_at=None, asset="K-7", rule="r")
    asked = [
        (Subject(SubjectKind(kind), number), rule)
        for kind, number in (("sensor", inside), ("sensor", outside), ("device", device), ("asset", asset))
        for rule in ("r", "other")
    ]
    covered = maintenance.covered(connection, asked, NOON)
    assert covered == {asked[0], asked[4], asked[6]}
    assert maintenance.covered(connection, asked, NOON - HOUR) == set()
    assert maintenance.covered(connection, [], NOON) == set()


# ------------------------------------------------------------------------------------------------------- the flap guard


def test_what_comes_and_goes_all_day_is_told_a_few_times_and_its_end_once(town: Town) -> None:
    for _ in range(12):
        town.minute(0.6)
        for _ in range(7):
            town.minute(0.1)
    for _ in range(30):
        town.minute(0.1)
    told = town.messages()
    assert told.count("alert.raised") == 4
    assert told[-1] == "alert.cleared"
    assert told.count("alert.cleared") == 4
