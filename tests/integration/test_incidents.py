"""Incidents on the real database: opened, grown, merged and closed in the transaction of their alerts."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
import pytest

from alerts.casebook import Casebook
from alerts.causes import load_causes
from alerts.rules import load_rules
from alerts.tick import Watch
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import NotFoundError
from lifeline.lifecycle import Event, step
from lifeline.model import AlertKind, Level
from lifeline.storage import alerts, endpoints, incidents, outbox
from lifeline.storage.database import Connection, connect
from lifeline.storage.incidents import IncidentFilter
from tests.integration.city import NOON, add_reading, count
from tests.integration.streets import City

pytestmark = pytest.mark.usefixtures("clean_database")

KEYS = {
    *("alert_id", "version", "network", "kind", "rule", "level", "state", "first_seen", "raised_at", "actor", "note"),
    *("title", "advice", "evidence", "where"),
}
"""What a message about an alert has."""


@pytest.fixture
def city(connection: Connection) -> City:
    return City(connection)


def test_a_burst_that_six_sensors_see_is_one_incident_with_a_cause_and_one_level(city: City) -> None:
    for number in range(6):
        city.raise_alert(f"W-C{number}", "pressure.fall", Level.ORANGE if number == 3 else Level.YELLOW)
    assert city.tick() == 1
    incident = city.only()
    assert (incident.alerts, incident.open_alerts, incident.level) == (6, 6, Level.ORANGE)
    assert (incident.asset, incident.networks, incident.causes[0]["cause"]) == ("W-C3", ["water"], "burst")
    assert incident.causes[0]["title"]["zh"] == "供水爆管"
    assert [each.alert_id for each in incidents.alerts(city.connection, incident.incident_id)] == incident.alert_ids
    assert count(city.connection, "alert WHERE incident_id IS NULL") == 0


def test_gas_that_rises_in_three_chambers_is_one_incident_that_grows(city: City) -> None:
    for number in range(3):
        city.raise_alert(f"G-C{2 + number}", "methane.level", minutes=40 * number)
        assert city.tick() == 1
    incident = city.only()
    assert incident.alerts == 3
    assert city.actions(incident.incident_id) == ["opened", "grown", "grown"]
    (first, second, third) = incidents.history(city.connection, incident.incident_id)
    assert len(first.alerts) == len(second.alerts) == len(third.alerts) == 1
    assert any("three chambers" in sign["why"]["en"] for sign in incident.causes[0]["for"])


def test_methane_in_a_drain_beside_a_gas_pipe_says_so_with_the_pipe_and_the_distance(city: City) -> None:
    city.raise_alert("D-C3", "methane.level")
    city.tick()
    likeliest = city.only().causes[0]
    assert (likeliest["cause"], likeliest["cross_network"]) == ("gas_leak", True)
    (beside,) = likeliest["for"][0]["beside"]
    assert (beside["network"], beside["kind"], beside["distance_m"]) == ("gas", "pipe", 10.0)
    assert beside["asset"] in ("G-P2", "G-P3")


@pytest.mark.parametrize(
    ("rain", "causes"), [(0.0, ["blockage", "blockage"]), (20.0, ["storm"]), (None, ["blockage"] * 2)]
)
def test_rain_makes_one_storm_of_what_would_be_blockages_in_dry_weather(
    city: City, rain: float | None, causes: list[str]
) -> None:
    for minute in range(0, 60, 5):
        if rain is not None:
            add_reading(city.connection, city.sensors["rain-1", "rain"], NOON - timedelta(minutes=minute), rain)
    for number in (0, 7):
        city.raise_alert(f"D-C{number}", "level.high")
    city.tick()
    assert [each.causes[0]["cause"] for each in city.open()] == causes


def test_a_cloudburst_is_a_storm_though_the_first_manholes_fill_before_two_millimetres_fell(city: City) -> None:
    """60 mm/h from noon on: after a minute 1 mm has fallen, after three minutes 3 mm."""
    rain = city.sensors["rain-1", "rain"]
    for minute in range(1, 180):
        add_reading(city.connection, rain, NOON - timedelta(minutes=minute), 0.0)
    add_reading(city.connection, rain, NOON + timedelta(seconds=30), 60.0)
    for number in (0, 7):
        city.raise_alert(f"D-C{number}", "level.high", minutes=0.5)
    city.tick()
    assert [each.causes[0]["cause"] for each in city.open()] == ["blockage", "blockage"], "so far nobody knows better"
    for minute in range(1, 5):
        for second in range(0, 60, 5):
            add_reading(city.connection, rain, NOON + timedelta(minutes=minute, seconds=second), 60.0)
    city.now = NOON + timedelta(minutes=4)
    city.tick()
    assert [each.causes[0]["cause"] for each in city.open()] == ["storm"]
    city.now = NOON + timedelta(minutes=20)
    assert city.tick() == 0


def test_a_gauge_that_speaks_faster_in_a_downpour_makes_it_no_wetter(city: City) -> None:
    """36 mm/h for the last of 180 minutes are 0.6 mm, however many of the readings tell of it."""
    rain = city.sensors["rain-1", "rain"]
    for minute in range(1, 180):
        add_reading(city.connection, rain, NOON - timedelta(minutes=minute), 0.0)
    for second in range(0, 60, 3):
        add_reading(city.connection, rain, NOON - timedelta(seconds=second), 36.0)
    city.raise_alert("D-C0", "level.high")
    city.tick()
    assert city.only().causes[0]["cause"] == "blockage"


def test_rain_that_comes_after_the_moment_of_an_alert_does_not_explain_it(city: City) -> None:
    rain = city.sensors["rain-1", "rain"]
    for minute in range(1, 180):
        add_reading(city.connection, rain, NOON - timedelta(minutes=minute), 0.0)
    city.raise_alert("D-C0", "level.high")
    city.tick()
    for minute in range(6, 40):
        add_reading(city.connection, rain, NOON + timedelta(minutes=minute), 60.0)
    city.now = NOON + timedelta(minutes=40)
    city.tick()
    assert city.only().causes[0]["cause"] == "blockage"
    assert not any("rain" in sign["why"]["en"] for sign in city.only().causes[0]["against"])


def test_every_rule_that_holds_an_alert_is_a_sign_of_its_incident(city: City) -> None:
    """A level that is high and backs up speaks with one voice: what the second rule saw counts as well."""
    alert = city.raise_alert("D-C2", "level.high")
    city.tick()
    assert not any("low below" in sign["why"]["en"] for sign in city.only().causes[0]["for"])
    told = {"rules": {"level.high": "yellow", "sewer.blockage": "yellow"}}
    now = alerts.get(city.connection, alert.alert_id)
    taken = step(now.state, alerts.is_active(now), Event.EXPLAIN)
    assert taken is not None
    alerts.change_alerts(city.connection, [alerts.Change(now, taken, now.level, None, now.evidence | told)], city.now)
    city.tick()
    assert any("low below" in sign["why"]["en"] for sign in city.only().causes[0]["for"])


def test_incidents_that_prove_to_be_one_merge_and_the_oldest_keeps_its_name(city: City) -> None:
    city.raise_alert("G-C0", "methane.level")
    city.tick()
    city.raise_alert("G-C7", "methane.level", Level.RED)
    city.tick()
    first, second = sorted(each.incident_id for each in city.open())
    city.raise_alert("G-C4", "methane.level")
    assert city.tick() == 2
    kept = city.only()
    assert (kept.incident_id, kept.alerts, kept.level) == (first, 3, Level.RED)
    merged = incidents.get(city.connection, second)
    assert (merged.state, merged.merged_into, merged.alerts) == ("closed", first, 0)
    assert city.actions(first) == ["opened", "absorbed", "grown", "escalated"]
    assert city.actions(second) == ["opened", "merged"]
    assert [body["type"] for body in city.messages()][-2:] == ["incident.updated", "incident.closed"]
    assert city.messages()[-1]["data"]["merged_into"] == first


def test_an_incident_closes_when_all_of_its_alerts_have_and_not_before(city: City) -> None:
    one, two = city.raise_alert("G-C1", "methane.level"), city.raise_alert("G-C2", "methane.level")
    city.tick()
    city.close(one)
    city.tick()
    assert (city.only().alerts, city.only().open_alerts) == (2, 1)
    city.close(two)
    assert city.tick() == 1
    assert city.open() == []
    (closed,) = incidents.list_incidents(
        city.connection, IncidentFilter(open=False), worst_first=True, after=None, limit=9
    )
    assert (closed.state, closed.alerts, closed.open_alerts) == ("closed", 2, 0)
    assert closed.causes[0]["cause"] == "gas_leak"
    assert city.tick() == 0
    city.raise_alert("G-C1", "methane.level")
    city.tick()
    assert city.only().incident_id != closed.incident_id


def test_maintenance_alerts_belong_to_no_incident(city: City) -> None:
    city.raise_alert("G-C1", "methane.level", kind=AlertKind.MAINTENANCE)
    assert city.tick() == 0
    assert city.open() == []


def test_where_nothing_changed_nothing_is_written(city: City) -> None:
    city.raise_alert("G-C1", "methane.level")
    assert [city.tick() for _ in range(4)] == [1, 0, 0, 0]
    assert city.tick(Casebook(load_causes())) == 0
    assert city.only().version == 1


def test_the_order_of_arrival_changes_nothing(city: City) -> None:
    alarms = [("G-C0", "methane.level"), ("G-C2", "methane.rise"), ("D-C4", "methane.level"), ("W-C0", "pressure.fall"),
              ("W-C1", "pressure.low"), ("G-C6", "methane.level"), ("G-C4", "methane.level")]  # fmt: skip
    found = []
    for order in (alarms, alarms[::-1], alarms[3:] + alarms[:3]):
        for asset, rule in order:
            city.raise_alert(asset, rule)
            city.tick()
        rows = city.connection.execute(
            """SELECT array_agg(external_id || rule ORDER BY external_id, rule) FROM alert JOIN asset USING (asset_id)
            GROUP BY incident_id ORDER BY 1"""
        ).fetchall()
        found.append(rows)
        city.connection.execute("TRUNCATE alert, incident, outbox RESTART IDENTITY CASCADE")
        city.connection.commit()
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 2


def test_a_message_has_the_form_of_an_alerts_and_names_its_alerts(city: City) -> None:
    city.raise_alert("G-C1", "methane.level", Level.RED)
    city.raise_alert("D-C1", "methane.level")
    city.tick()
    (body,) = city.messages()
    assert body["type"] == "incident.opened"
    data = body["data"]
    assert data.keys() >= KEYS
    assert (data["alert_id"], data["level"], data["state"], data["network"]) == (None, "red", "open", "gas")
    assert (data["title"]["en"], data["count"], data["open"]) == ("Gas leak", 2, 2)
    assert [each["asset"] for each in data["alerts"]] == ["G-C1", "D-C1"]
    assert data["where"]["asset"] == "G-C1"


def test_a_message_about_a_thousand_alerts_stays_under_20_kb(city: City) -> None:
    city.connection.execute(
        """INSERT INTO sensor (device_id, channel, quantity, asset_id)
        SELECT device_id, 'pressure.' || n, 'pressure', (SELECT asset_id FROM asset WHERE external_id = 'W-C1')
        FROM device, generate_series(1, 1000) n WHERE external_id = 'rtu-W-C1'"""
    )
    city.connection.execute(
        """INSERT INTO alert (subject_kind, subject_id, rule, rule_version, kind, network, level, state, sensor_id,
            asset_id, longitude, latitude, first_seen, raised_at, updated_at)
        SELECT 'sensor', sensor_id, 'pressure.fall', 'v1', 'risk', 'water', 3, 'UNACK', sensor_id,
            asset_id, 117.27, 31.87, %s, %s, %s FROM sensor WHERE channel LIKE 'pressure.%%'""",
        [NOON, NOON, NOON],
    )
    city.tick()
    assert city.only().alerts == 1000
    assert len(city.only().alert_ids) == 100
    row = city.connection.execute("SELECT length(body::text) FROM outbox WHERE incident_id IS NOT NULL").fetchone()
    assert row is not None
    assert row[0] < 20_000


def test_an_endpoint_is_told_of_incidents_of_its_networks_and_levels_or_of_alerts_if_it_asked(city: City) -> None:
    for name in ("duty", "single", "water"):
        scope = "alert" if name == "single" else "incident"
        endpoints.add(city.connection, name, f"https://{name}.example/", NOON, scope=scope)
    city.connection.execute("UPDATE endpoint SET networks = '{water}' WHERE name = 'water'")
    city.connection.execute("UPDATE endpoint SET worst_level = 2 WHERE name = 'duty'")
    city.raise_alert("G-C1", "methane.level", Level.RED)
    city.raise_alert("W-C1", "pressure.low", Level.YELLOW)
    city.tick()
    outbox.fan_out(city.connection, city.now)
    rows = city.connection.execute(
        """SELECT e.name, o.event_type, d.level FROM delivery d JOIN outbox o USING (outbox_id)
        JOIN endpoint e USING (endpoint_id) ORDER BY e.name, d.level"""
    ).fetchall()
    assert rows == [
        ("duty", "incident.opened", 1),
        ("single", "alert.raised", 1),
        ("single", "alert.raised", 3),
        ("water", "incident.opened", 3),
    ]
    claims = outbox.claim(city.connection, city.now, city.now, per_endpoint=4, free={}, limit=10)
    assert {claim.endpoint for claim in claims if claim.body["type"].startswith("incident")} == {"duty", "water"}


def test_listeners_hear_of_incidents_when_they_are_committed(city: City, database_dsn: str) -> None:
    with psycopg.connect(database_dsn, autocommit=True) as listener:
        listener.execute("LISTEN lifeline_changed")
        city.raise_alert("G-C1", "methane.level")
        city.tick()
        heard = [notice.payload for notice in listener.notifies(timeout=30, stop_after=2)]
    assert any('"incident"' in payload for payload in heard)


def test_history_of_incidents_can_be_added_to_and_not_changed(city: City) -> None:
    city.raise_alert("G-C1", "methane.level")
    city.tick()
    for statement in ("UPDATE incident_history SET cause = 'x'", "DELETE FROM incident_history"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"), city.connection.transaction():
            city.connection.execute(statement.encode())


def test_a_change_of_an_incident_that_somebody_else_changed_is_refused(city: City) -> None:
    city.raise_alert("G-C1", "methane.level")
    city.tick()
    (was,) = incidents.open_incidents(city.connection)
    change = incidents.Change(was, Level.RED, was.networks, was.causes, was.lead, was.first_seen, ["escalated"], None)
    assert incidents.write(city.connection, [], [change], city.now) == 1
    assert incidents.write(city.connection, [], [change], city.now) == 0
    assert city.actions(was.incident_id) == ["opened", "escalated"]


def test_of_eight_processes_that_group_at_once_one_opens_the_incident(city: City, database_dsn: str) -> None:
    city.raise_alert("G-C1", "methane.level")
    city.connection.commit()
    start, done = threading.Barrier(8), []

    def run() -> None:
        with connect(database_dsn) as own:
            start.wait()
            done.append(Casebook(load_causes()).update(own, NOON))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0] * 7 + [1]
    assert count(city.connection, "incident") == 1


def test_a_tick_that_fails_leaves_neither_alert_nor_incident_and_the_next_one_does_it(city: City) -> None:
    with city.connection.transaction(force_rollback=True):
        city.raise_alert("G-C1", "methane.level")
        city.casebook.update(city.connection, NOON)
    assert [count(city.connection, table) for table in ("alert", "incident", "incident_history", "outbox")] == [0] * 4
    city.raise_alert("G-C1", "methane.level")
    city.connection.commit()
    with city.connection.transaction(force_rollback=True):
        city.casebook.update(city.connection, NOON)
    assert city.tick() == 1
    assert city.only().alerts == 1


def test_the_role_of_the_alerts_process_may_group_and_that_of_the_api_may_read(city: City) -> None:
    city.raise_alert("G-C1", "methane.level")
    city.connection.commit()
    city.connection.execute("SET ROLE lifeline_alerts")
    assert city.tick() == 1
    city.connection.execute("SET ROLE lifeline_api")
    incident = city.only()
    assert incidents.history(city.connection, incident.incident_id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), city.connection.transaction():
        city.connection.execute("UPDATE incident SET level = 4")


def test_an_incident_that_does_not_exist_is_not_found(connection: Connection) -> None:
    with pytest.raises(NotFoundError):
        incidents.get(connection, 4711)
    assert incidents.history(connection, 4711) == []


def test_networks_that_are_joined_later_are_seen_without_a_restart(city: City) -> None:
    city.connection.execute("UPDATE asset SET from_asset = NULL WHERE external_id = 'G-P3'")
    city.raise_alert("G-C3", "methane.level")
    city.tick()
    city.connection.execute(
        """UPDATE asset SET from_asset = (SELECT asset_id FROM asset WHERE external_id = 'G-C3')
        WHERE external_id = 'G-P3'"""
    )
    city.raise_alert("G-C4", "methane.level")
    city.tick()
    assert city.only().alerts == 2


class Tapped:
    """A watch on the real rules, and how often something was told."""

    def __init__(self, connection: Connection) -> None:
        catalogue = shipped_catalogue()
        self.watch = Watch(load_rules(catalogue, 3600), catalogue, 3600)
        self.connection = connection

    def minutes(self, start: datetime, number: int, value: Callable[[int], dict[int, float]]) -> None:
        for minute in range(number):
            now = start + timedelta(minutes=minute)
            for sensor, reading in value(minute).items():
                add_reading(self.connection, sensor, now, reading)
            self.connection.commit()
            self.watch.tick(self.connection, now)


def test_from_readings_to_one_incident_and_back_through_the_whole_tick(city: City) -> None:
    """Methane rises in three chambers one after the other, and falls; people acknowledge; the incident closes."""
    three = [city.sensors[f"G-C{n}", "methane"] for n in (2, 3, 4)]
    tapped = Tapped(city.connection)
    tapped.minutes(NOON, 20, lambda minute: {s: 0.1 + 0.1 * max(minute - 3 * n, 0) for n, s in enumerate(three)})
    incident = city.only()
    assert incident.alerts >= 3
    assert incident.level == min(alert.level for alert in alerts.list_open(city.connection, kind=AlertKind.RISK))
    assert incident.causes[0]["cause"] == "gas_leak"
    assert count(city.connection, "incident") == 1
    tapped.minutes(NOON + timedelta(minutes=20), 30, lambda minute: dict.fromkeys(three, 0.05))
    for alert in alerts.list_open(city.connection, kind=AlertKind.RISK):
        alerts.acknowledge(city.connection, alert.alert_id, "wang", NOON + timedelta(minutes=50))
    tapped.minutes(NOON + timedelta(minutes=50), 2, lambda minute: dict.fromkeys(three, 0.05))
    assert city.open() == []
    assert city.actions(incident.incident_id)[-1] == "closed"
