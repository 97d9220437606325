"""Who changes several alerts at once waits for others who do, and never for one who waits for him."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import pytest

from alerts.casebook import Casebook
from alerts.rules import load_rules
from alerts.tick import Watch
from lifeline.catalogue import shipped_catalogue
from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertState, Level
from lifeline.response import Step
from lifeline.storage import alerts, response
from lifeline.storage.database import Connection, connect
from tests.api_process import until
from tests.integration.city import NOON
from tests.integration.streets import City

pytestmark = pytest.mark.usefixtures("clean_database")
BULK = "bulk acknowledge"
Bulk = tuple[list[Alert], dict[int, str]]
Somebody = Callable[[Sequence[int]], Future[Bulk]]


@pytest.fixture
def somebody(database_dsn: str) -> Iterator[Somebody]:
    """Acknowledges these alerts at once in a session of his own, as soon as he may; he is waiting when it returns."""

    def acknowledge(ids: Sequence[int]) -> Bulk:
        with connect(database_dsn, application=BULK) as connection:
            connection.execute("SET lock_timeout = '60s'")
            return alerts.operate_many(connection, ids, Event.ACKNOWLEDGE, "li", NOON)

    def begin(ids: Sequence[int]) -> Future[Bulk]:
        asleep = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
        begun = threads.submit(acknowledge, ids)
        with connect(database_dsn, autocommit=True) as beside:
            until(lambda: begun.done() or beside.execute(asleep, [BULK]).fetchone(), "somebody waits")
        return begun

    with ThreadPoolExecutor(1) as threads:
        yield begin


@pytest.fixture
def city(connection: Connection) -> City:
    return City(connection)


def test_who_confirms_an_incident_and_who_acknowledges_its_alerts_both_come_through(
    city: City, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response is kept under an alert that is not the first of the incident."""
    for number in range(2):
        city.raise_alert(f"W-C{number}", "pressure.fall")
    city.tick()
    first, second = city.only().alert_ids
    city.connection.execute("UPDATE incident SET response_alert = %s", [max(first, second)])
    city.connection.commit()
    begun: list[Future[Bulk]] = []
    note = response._note

    def noted(connection: Connection, *line: object) -> None:
        begun.append(somebody([first, second]))
        note(connection, *line)  # type: ignore[arg-type]

    monkeypatch.setattr(response, "_note", noted)
    with city.connection.transaction():
        assert response.advance(city.connection, first, Step.CONFIRMED, "wang", NOON).step is Step.CONFIRMED
    moved, refused = begun[0].result(60)
    assert moved == []
    assert set(refused) == {first, second}, "acknowledged already, by who confirmed"


def test_a_tick_and_who_acknowledges_what_it_groups_both_come_through(
    city: City, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick changes the second alert, and then joins the first, which it has not changed, to an incident."""
    for number in range(2):
        city.raise_alert(f"W-C{number}", "pressure.fall", Level.YELLOW)
    city.connection.commit()
    first, second = sorted(alerts.list_open(city.connection), key=lambda alert: alert.alert_id)
    taken = step(second.state, True, Event.LEVEL_RISE)
    assert taken is not None
    begun: list[Future[Bulk]] = []
    update = Casebook.update

    def grouped(casebook: Casebook, connection: Connection, now: datetime) -> int:
        alerts.change_alerts(connection, [alerts.Change(second, taken, Level.RED, None)], now)
        begun.append(somebody([first.alert_id, second.alert_id]))
        return update(casebook, connection, now)

    monkeypatch.setattr(Casebook, "update", grouped)
    catalogue = shipped_catalogue()
    city.connection.commit()
    Watch(load_rules(catalogue, 3600), catalogue, 3600).tick(city.connection, NOON)
    moved, refused = begun[0].result(60)
    assert [alert.alert_id for alert in moved] == [first.alert_id, second.alert_id]
    assert refused == {}
    city.connection.commit()
    assert {alert.state for alert in alerts.list_open(city.connection)} == {AlertState.ACKED}
    assert city.only().alerts == 2


def test_what_refers_to_an_alert_does_not_wait_for_who_writes_about_it(city: City, database_dsn: str) -> None:
    city.raise_alert("W-C0", "pressure.fall")
    city.connection.commit()
    (alert,) = alerts.list_open(city.connection)
    with city.connection.transaction(), connect(database_dsn) as escalation:
        response.add_note(city.connection, alert.alert_id, "wang", NOON, "on the way")
        as_a_foreign_key_asks = "SELECT 1 FROM alert WHERE alert_id = %s FOR KEY SHARE NOWAIT"
        assert escalation.execute(as_a_foreign_key_asks, [alert.alert_id]).fetchall() == [(1,)]
