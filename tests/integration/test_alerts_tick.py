"""Ticks on the real database: from stored readings to alerts, history and messages."""

from datetime import datetime, timedelta

import pytest

from alerts.rules import load_rules
from alerts.tick import Watch
from lifeline.catalogue import shipped_catalogue
from lifeline.lifecycle import Event
from lifeline.model import Alert, AlertState, Level
from lifeline.storage import alerts as alert_storage
from lifeline.storage.database import Connection
from tests.integration.city import (
    NOON,
    add_asset,
    add_device,
    add_reading,
    add_sensor,
    count,
    set_status,
)

pytestmark = pytest.mark.usefixtures("clean_database")
CATALOGUE = shipped_catalogue()


def new_watch() -> Watch:
    return Watch(load_rules(CATALOGUE, 3600), CATALOGUE, 3600)


def told(connection: Connection) -> list[str]:
    """Messages about alerts; what is told of their incidents is in test_incidents."""
    rows = connection.execute("SELECT event_type FROM outbox WHERE incident_id IS NULL ORDER BY outbox_id")
    return [kind for (kind,) in rows]


class Town:
    """One chamber with a methane sensor, watched; ``minute`` is what happens in the next minute."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.now, self.watch = connection, NOON, new_watch()
        self.device = add_device(connection, "rtu-1")
        self.sensor = add_sensor(connection, self.device, asset=add_asset(connection, "K-7"))
        connection.commit()

    def minute(self, *values: float, quality: int = 0) -> list[Alert]:
        """Readings spread over a minute, then a tick; the open alerts."""
        for number, value in enumerate(values, 1):
            at = self.now + timedelta(seconds=60 * number / len(values))
            add_reading(self.connection, self.sensor, at, value, quality=quality)
        self.now += timedelta(seconds=60)
        return self.tick()

    def tick(self) -> list[Alert]:
        self.connection.commit()
        self.watch.tick(self.connection, self.now)
        return alert_storage.list_open(self.connection)

    def messages(self) -> list[str]:
        return told(self.connection)


@pytest.fixture
def town(connection: Connection) -> Town:
    return Town(connection)


def test_a_breach_becomes_one_alert_that_says_what_where_and_why(town: Town) -> None:
    assert town.minute(0.1) == []
    (alert,) = town.minute(1.2)
    assert (alert.rule, alert.level, alert.state) == ("methane.level", Level.ORANGE, AlertState.UNACK)
    assert (alert.sensor_id, alert.longitude) == (town.sensor, 117.27)
    assert alert.evidence["value"] == 1.2
    assert alert.evidence["limit"] == 1.0
    assert alert.evidence["title"]["zh"]
    assert alert.evidence["advice"]["en"]
    assert town.minute(1.3) == [alert]
    assert town.messages() == ["alert.raised"]


def test_a_breach_that_is_over_before_the_tick_is_seen(town: Town) -> None:
    town.minute(0.1)
    (alert,) = town.minute(0.1, 0.1, 3.0, 0.1, 0.1)
    assert alert.level is Level.RED
    assert alert.evidence["peak"] == 3.0


def test_a_value_that_swings_around_a_limit_for_an_hour_is_one_alert_and_two_messages_at_most(town: Town) -> None:
    for minute in range(60):
        town.minute(0.25 + 0.02 * (-1) ** minute)
    assert count(town.connection, "alert") == 1
    # Once an hour of it is known it is told as biogas, which so little of is no event: that is the second message.
    assert town.messages() == ["alert.raised", "alert.cleared"]
    for _ in range(7):
        town.minute(0.1)
    assert count(town.connection, "alert") == 1
    assert town.messages() == ["alert.raised", "alert.cleared"]


def test_the_whole_life_of_an_alert(town: Town) -> None:
    town.minute(0.6)
    (alert,) = town.minute(0.6)
    alert_storage.acknowledge(town.connection, alert.alert_id, "wang", town.now)
    (risen,) = town.minute(3.0)
    assert (risen.state, risen.level) == (AlertState.UNACK, Level.RED)
    alert_storage.acknowledge(town.connection, alert.alert_id, "wang", town.now)
    for _ in range(8):
        town.minute(0.6)
    (fallen,) = town.tick()
    assert (fallen.state, fallen.level) == (AlertState.ACKED, Level.YELLOW)
    for _ in range(8):
        town.minute(0.1)
    assert town.tick() == []
    # The reading of 3.0 was a steep rise too, but not for five minutes: only the ladder speaks.
    assert town.messages() == [
        "alert.raised",
        "alert.acknowledged",
        "alert.escalated",
        "alert.acknowledged",
        "alert.deescalated",
        "alert.cleared",
    ]
    actors = [entry.actor for entry in alert_storage.history(town.connection, alert.alert_id)]
    assert actors == ["detector", "wang", "detector", "wang", "detector", "detector"]


def test_a_shelved_alert_is_silent_and_still_tells_its_return(town: Town) -> None:
    (alert,) = town.minute(0.6)
    alert_storage.operate(town.connection, alert.alert_id, Event.SHELVE, "wang", town.now)
    (muted,) = town.minute(3.0)
    assert (muted.state, muted.level) == (AlertState.SHLVD, Level.RED)
    for _ in range(8):
        town.minute(0.1)
    assert town.messages() == ["alert.raised", "alert.shelved", "alert.cleared"]


@pytest.mark.parametrize("quality", [1, 2, 3])
def test_backlog_and_implausible_readings_never_raise_a_risk(town: Town, quality: int) -> None:
    for _ in range(10):
        assert [alert for alert in town.minute(9.0, 9.0, quality=quality) if alert.kind == "risk"] == []
    assert [alert for alert in new_watch().tick(town.connection, town.now).raised if alert.kind == "risk"] == []


def test_readings_that_jump_impossibly_are_a_maintenance_alert_once_they_are_live(town: Town) -> None:
    for _ in range(16):
        assert town.minute(9.0, quality=3) == []
    for _ in range(16):
        alerts = town.minute(9.0, quality=2)
    assert [(alert.rule, alert.kind) for alert in alerts] == [("sensor.jumps", "maintenance")]


@pytest.mark.parametrize(("ahead_s", "wrong"), [(300.0, True), (-300.0, True), (40.0, False)])
def test_a_device_whose_clock_is_wrong_is_told_once_and_returns_when_it_is_set(
    town: Town, ahead_s: float, wrong: bool
) -> None:
    """Each minute a message, dated by the device's clock and received by ours; a tick closes each quarter."""

    def minutes(count: int, ahead_s: float) -> list[tuple[str, str, AlertState]]:
        for _ in range(count):
            town.now += timedelta(seconds=60)
            dated = town.now + timedelta(seconds=ahead_s)
            add_reading(town.connection, town.sensor, dated, 0.1, received_at=town.now)
            alerts = town.tick()
        return [(alert.rule, alert.kind, alert.state) for alert in alerts]

    told = ("device.clock", "maintenance")
    assert minutes(31, ahead_s) == ([(*told, AlertState.UNACK)] if wrong else [])
    if wrong:
        assert minutes(60, 0.0) == [(*told, AlertState.RTNUN)]
    assert count(town.connection, "alert") == int(wrong)


def test_a_late_reading_is_seen_as_well_as_a_punctual_one(town: Town) -> None:
    town.minute(0.1)
    for _ in range(20):
        town.now += timedelta(seconds=60)
        town.tick()
    add_reading(town.connection, town.sensor, town.now - timedelta(minutes=15), 3.0)
    assert town.tick()[0].rule == "methane.level"


def test_readings_that_overtake_each_other_by_half_a_minute_are_all_seen(town: Town) -> None:
    town.minute(0.1)
    add_reading(town.connection, town.sensor, town.now + timedelta(seconds=59), 0.1)
    town.now += timedelta(seconds=60)
    assert town.tick() == []
    add_reading(town.connection, town.sensor, town.now - timedelta(seconds=30), 3.0)
    assert len(town.minute(0.1)) == 1


def test_another_process_takes_over_without_a_word(town: Town) -> None:
    """It has no memory but the database: the same alerts, no message more."""
    town.minute(0.6)
    for _ in range(20):
        town.minute(0.47)
    town.watch = new_watch()
    (alert,) = town.tick()
    assert alert.level is Level.YELLOW
    for _ in range(8):
        town.watch = new_watch()
        town.minute(0.1)
    assert town.messages() == ["alert.raised", "alert.cleared"]


def test_two_who_tick_at_once_double_nothing(town: Town) -> None:
    other = new_watch()
    for value in (0.6, 3.0, 3.0, *[0.1] * 8):
        town.minute(value)
        other.tick(town.connection, town.now)
    assert town.messages() == ["alert.raised", "alert.escalated", "alert.cleared"]


def test_new_sensors_and_changed_ones_are_watched_without_a_restart(town: Town) -> None:
    town.minute(0.1)
    second = add_sensor(town.connection, town.device, "methane.b")
    add_reading(town.connection, second, town.now, 3.0)
    (alert,) = town.minute(0.1)
    assert alert.sensor_id == second
    town.connection.execute("UPDATE sensor SET in_service = false WHERE sensor_id = %s", [second])
    (resting,) = town.minute(0.1)
    assert resting.state is AlertState.OOSRV


def test_limits_in_percent_of_the_depth(connection: Connection) -> None:
    device = add_device(connection, "rtu-9", network="drainage")
    sensor = add_sensor(
        connection, device, "level", asset=add_asset(connection, "M-1", network="drainage", depth_m=2.0)
    )
    watch = new_watch()
    for minute in range(3):
        add_reading(connection, sensor, NOON + timedelta(minutes=minute), 1.85)
    connection.commit()
    report = watch.tick(connection, NOON + timedelta(minutes=3))
    assert [(alert.rule, alert.level, alert.network) for alert in report.raised] == [
        ("level.high", Level.ORANGE, "drainage")
    ]


class GatewayTown:
    """A gateway with ten devices of three sensors each, that all speak every minute."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.watch = connection, new_watch()
        self.gateway = add_device(connection, "gw-1")
        self.devices = [add_device(connection, f"rtu-{n}", gateway=self.gateway) for n in range(10)]
        self.sensors = [add_sensor(connection, one, f"methane.{n}") for one in self.devices for n in range(3)]

    def speak(self, at: datetime) -> None:
        for number, sensor in enumerate(self.sensors):
            add_reading(self.connection, sensor, at + timedelta(seconds=number), 0.05)

    def tick(self, at: datetime) -> list[tuple[str, AlertState]]:
        self.connection.commit()
        self.watch.tick(self.connection, at)
        return sorted((alert.rule, alert.state) for alert in alert_storage.list_open(self.connection))


def test_a_gateway_that_goes_down_is_one_alert(connection: Connection) -> None:
    town = GatewayTown(connection)
    town.speak(NOON)
    for seconds in range(60, 2400, 20):
        town.tick(NOON + timedelta(seconds=seconds))
    assert town.tick(NOON + timedelta(seconds=2400)) == [("silence.gateway", AlertState.UNACK)]
    back = NOON + timedelta(seconds=2460)
    town.speak(back)
    assert town.tick(back + timedelta(seconds=60)) == [("silence.gateway", AlertState.RTNUN)]
    assert count(connection, "alert") == 1
    types = told(connection)
    assert types == ["sensor.offline", "sensor.online"]


def test_a_last_will_of_the_gateway_suppresses_what_was_silent_already(connection: Connection) -> None:
    town = GatewayTown(connection)
    town.speak(NOON)
    set_status(connection, town.devices[0], "offline", NOON + timedelta(seconds=60))
    assert town.tick(NOON + timedelta(seconds=100)) == [("silence.device", AlertState.UNACK)]
    set_status(connection, town.gateway, "offline", NOON + timedelta(seconds=120))
    later = NOON + timedelta(seconds=160)
    assert town.tick(later) == [("silence.device", AlertState.DSUPR), ("silence.gateway", AlertState.UNACK)]
    set_status(connection, town.gateway, "online", NOON + timedelta(seconds=200))
    town.speak(NOON + timedelta(seconds=200))
    set_status(connection, town.devices[0], "offline", NOON + timedelta(seconds=240))
    assert town.tick(NOON + timedelta(seconds=300)) == [
        ("silence.device", AlertState.UNACK),
        ("silence.gateway", AlertState.RTNUN),
    ]


def test_the_database_role_of_the_process_may_do_all_this(town: Town) -> None:
    town.connection.execute("SET ROLE lifeline_alerts")
    assert new_watch().tick(town.connection, NOON).sensors == 1
    town.connection.execute("RESET ROLE")
    add_reading(town.connection, town.sensor, NOON, 3.0)
    town.connection.execute("SET ROLE lifeline_alerts")
    assert len(town.tick()) == 1


@pytest.mark.parametrize(
    ("scope", "target"), [("network", "gas"), ("asset_kind", "chamber"), ("asset", "K-7"), ("sensor", "rtu-1/methane")]
)
def test_an_override_of_a_place_is_in_force_at_the_next_tick(town: Town, scope: str, target: str) -> None:
    assert town.minute(0.2) == []
    town.connection.execute(
        "INSERT INTO rule_override (rule, scope, target, limits) VALUES ('methane.level', %s, %s, '{\"red\": 0.15}')",
        [scope, target],
    )
    (alert,) = town.minute(0.2)
    assert alert.level is Level.RED
    town.connection.execute("UPDATE rule_override SET limits = NULL")
    for _ in range(8):
        (alert,) = town.minute(0.2)
    assert alert.state is AlertState.RTNUN


def test_the_narrowest_override_wins(town: Town) -> None:
    for scope, target, limit in (("asset", "K-7", 0.15), ("network", "gas", 9.0)):
        town.connection.execute(
            "INSERT INTO rule_override (rule, scope, target, limits) VALUES ('methane.level', %s, %s, %s)",
            [scope, target, f'{{"red": {limit}}}'],
        )
    assert town.minute(0.2)[0].level is Level.RED
