"""Figures of alarm performance, from histories written by the real life cycle."""

from datetime import datetime, timedelta

import pytest

from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertKind, Finding, Level, Subject, SubjectKind
from lifeline.response import Step
from lifeline.storage import alerts, performance, response
from lifeline.storage.database import Connection
from lifeline.storage.performance import Period
from tests.integration.city import NOON, add_asset, add_device, add_sensor

pytestmark = pytest.mark.usefixtures("clean_database")
DAY = Period(NOON, NOON + timedelta(days=1))
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Town:
    """Raises alerts at any time, each on a sensor of its own or on one that is named."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.devices = {
            network: add_device(connection, f"rtu-{network}", network=network) for network in ("gas", "water")
        }
        self.asset = add_asset(connection, "K-7")
        self._sensors: dict[str, int] = {}

    def sensor(self, name: str, network: str) -> int:
        if name not in self._sensors:
            asset = self.asset if network == "gas" else None
            self._sensors[name] = add_sensor(self.connection, self.devices[network], f"methane.{name}", asset=asset)
        return self._sensors[name]

    def raised(
        self,
        at: datetime,
        level: Level = Level.YELLOW,
        *,
        name: str = "",
        network: str = "gas",
        rule: str = "methane.level",
        kind: AlertKind = AlertKind.RISK,
    ) -> Alert:
        sensor = self.sensor(name or f"s{len(self._sensors)}", network)
        finding = Finding(Subject(SubjectKind.SENSOR, sensor), rule, level, at, at, {})
        (alert,) = alerts.raise_alerts(self.connection, [alerts.Opening(finding, "v1", kind)], at)
        return alert

    def does(self, alert: Alert, event: Event, at: datetime, level: Level | None = None) -> Alert:
        now = alerts.get(self.connection, alert.alert_id)
        taken = step(now.state, alerts.is_active(now), event)
        assert taken is not None
        change = alerts.Change(now, taken, level or now.level, taken.message)
        (moved,) = alerts.change_alerts(self.connection, [change], at)
        return moved


@pytest.fixture
def town(connection: Connection) -> Town:
    return Town(connection)


def test_the_rate_counts_what_asks_for_attention_by_operator_and_hour(town: Town) -> None:
    for number in range(24):
        town.raised(NOON + number * HOUR)
    alert = town.raised(NOON + 30 * SECOND)
    town.does(alert, Event.LEVEL_RISE, NOON + MINUTE, Level.RED)
    town.does(alert, Event.LEVEL_FALL, NOON + 2 * MINUTE, Level.YELLOW)
    town.does(alert, Event.ACKNOWLEDGE, NOON + 3 * MINUTE)
    town.raised(NOON - SECOND)
    town.raised(NOON + 24 * HOUR)
    found = performance.performance(town.connection, DAY, operators=2)
    assert found.annunciations == 26
    assert found.per_hour_per_operator == pytest.approx(26 / 24 / 2)
    assert found.most_per_hour_per_operator == 1.5
    assert found.levels == {Level.RED: 1, Level.ORANGE: 0, Level.YELLOW: 25, Level.BLUE: 0}


def test_a_period_may_be_of_one_network_and_one_kind(town: Town) -> None:
    town.raised(NOON)
    town.raised(NOON, network="water")
    town.raised(NOON, kind=AlertKind.MAINTENANCE)
    for network, kind, count in (
        (None, None, 3), ("gas", None, 2), ("water", None, 1), ("gas", AlertKind.RISK, 1), ("heat", None, 0),
    ):  # fmt: skip
        found = performance.performance(town.connection, Period(DAY.start, DAY.end, network, kind))
        assert found.annunciations == sum(found.levels.values()) == sum(one.annunciations for one in found.top) == count


def test_an_empty_period_has_figures_too_and_one_that_ends_before_it_starts_has_none(town: Town) -> None:
    found = performance.performance(town.connection, DAY)
    assert (found.annunciations, found.floods, found.top_share, found.stale, found.clocks) == (0, [], 0.0, [], [])
    with pytest.raises(ValueError, match="ends after"):
        Period(NOON, NOON)


def test_a_storm_is_a_flood_and_takes_its_share_of_the_time(town: Town) -> None:
    for number in range(20):
        town.raised(NOON + number * SECOND)
    found = performance.performance(town.connection, DAY)
    (flood,) = found.floods
    assert flood.annunciations == 20
    assert found.flood_share_of_time == pytest.approx((flood.end - flood.start) / timedelta(days=1))


def test_what_is_raised_three_times_in_a_minute_chatters(town: Town) -> None:
    for number in range(4):
        alert = town.raised(NOON + 12 * number * SECOND, name="bad")
        town.does(alert, Event.ACKNOWLEDGE, NOON + (12 * number + 2) * SECOND)
        town.does(alert, Event.RETURN, NOON + (12 * number + 4) * SECOND)
    alert = town.raised(NOON, name="good")
    town.does(alert, Event.RETURN, NOON + 20 * SECOND)
    town.does(alert, Event.CONDITION, NOON + 40 * SECOND)
    (found,) = performance.chattering(town.connection, DAY)
    assert (found.subject_id, found.rule, found.annunciations) == (town.sensor("bad", "gas"), "methane.level", 2)


@pytest.mark.parametrize(("lasts_s", "again_s", "count"), [(5, None, 1), (15, None, 0), (5, 30, 0), (5, 120, 1)])
def test_what_is_over_in_ten_seconds_and_does_not_come_again_is_fleeting(
    town: Town, lasts_s: int, again_s: int | None, count: int
) -> None:
    alert = town.raised(NOON)
    town.does(alert, Event.RETURN, NOON + lasts_s * SECOND)
    if again_s is not None:
        town.does(alert, Event.CONDITION, NOON + again_s * SECOND)
    assert performance.fleeting(town.connection, DAY) == count


def test_what_is_active_for_more_than_a_day_is_stale_while_it_is(town: Town) -> None:
    stands = town.raised(NOON - 30 * HOUR)
    returned = town.raised(NOON - 30 * HOUR)
    town.does(returned, Event.RETURN, NOON - 20 * HOUR)
    long_ago = town.raised(NOON - 80 * HOUR)
    town.does(long_ago, Event.RETURN, NOON - 10 * HOUR)
    town.raised(NOON + HOUR)
    (found,) = performance.stale(town.connection, DAY)
    assert (found.alert_id, found.active) == (stands.alert_id, 54 * HOUR)
    assert performance.performance(town.connection, DAY).stale_per_day == 1.0
    earlier = performance.stale(town.connection, Period(NOON - 12 * HOUR, NOON))
    assert {one.alert_id for one in earlier} == {stands.alert_id, long_ago.alert_id}


def test_the_ten_who_ask_most_are_named_with_their_share(town: Town) -> None:
    for number in range(12):
        for turn in range(number + 1):
            alert = town.raised(NOON + (turn * 20 + number) * MINUTE, name=f"n{number}")
            town.does(alert, Event.ACKNOWLEDGE, NOON + (turn * 20 + number) * MINUTE)
            town.does(alert, Event.RETURN, NOON + (turn * 20 + number) * MINUTE + 30 * SECOND)
    found = performance.performance(town.connection, DAY)
    assert [source.annunciations for source in found.top] == list(range(12, 2, -1))
    assert found.top[0].place == "Chamber K-7"
    assert found.top_share == pytest.approx(75 / 78)


def test_what_has_no_name_is_told_by_the_citys_own_id(town: Town) -> None:
    town.raised(NOON, network="water")
    town.connection.execute("UPDATE sensor SET name = ''")
    town.connection.execute("UPDATE device SET name = ''")
    (source,) = performance.top(town.connection, DAY)
    assert source.place == "rtu-water", "no asset there: the device"
    town.connection.execute("UPDATE asset SET name = ''")
    town.raised(NOON)
    assert {each.place for each in performance.top(town.connection, DAY)} == {"rtu-water", "K-7"}


def test_clocks_run_from_the_raise_by_level_network_and_team(town: Town) -> None:
    gas, water = town.raised(NOON, Level.RED), town.raised(NOON, Level.BLUE, network="water")
    town.raised(NOON, Level.BLUE)
    town.does(gas, Event.ACKNOWLEDGE, NOON + 2 * MINUTE)
    for minutes, to in ((3, Step.CONFIRMED), (5, Step.DISPATCHED), (20, Step.ON_SITE), (60, Step.HANDLED)):
        response.advance(town.connection, gas.alert_id, to, "wang", NOON + minutes * MINUTE, team="gas 2")
    response.advance(town.connection, water.alert_id, Step.FALSE_ALARM, "li", NOON + 4 * MINUTE)
    clocks = {(clock.group, clock.name): clock for clock in performance.clocks(town.connection, DAY)}
    everything = clocks["all", ""]
    assert (everything.alerts, everything.acknowledged, everything.mtta_s) == (3, 2, 180.0)
    assert (everything.on_site, everything.mean_on_site_s) == (1, 1200.0)
    assert (everything.handled, everything.mttr_s, everything.p90_handled_s) == (1, 3600.0, 3600.0)
    assert clocks["level", "red"].mtta_s == 120.0
    assert (clocks["level", "blue"].alerts, clocks["level", "blue"].mttr_s) == (2, None)
    assert clocks["network", "water"].mtta_s == 240.0
    assert clocks["team", "gas 2"].handled == 1
    assert clocks["team", ""].alerts == 2
    assert len(clocks) == 1 + 2 + 2 + 2


def test_precision_is_of_the_newest_label_of_each_alert(town: Town) -> None:
    for number, verdicts in enumerate([(True,), (True,), (False, True), (True, False)]):
        alert = town.raised(NOON + number * MINUTE)
        for verdict in verdicts:
            response.feed_back(town.connection, alert.alert_id, "wang", NOON, genuine=verdict)
    response.feed_back(
        town.connection, town.raised(NOON, network="water", rule="pressure.low").alert_id, "li", NOON, genuine=False
    )
    found = performance.precision(town.connection, DAY)
    assert [(one.rule, one.network, one.genuine, one.false, one.precision) for one in found] == [
        ("methane.level", "gas", 3, 1, 0.75),
        ("pressure.low", "water", 0, 1, 0.0),
    ]


def test_the_api_may_read_all_of_it(town: Town) -> None:
    town.raised(NOON)
    town.connection.execute("SET ROLE lifeline_api")
    assert performance.performance(town.connection, DAY).annunciations == 1
