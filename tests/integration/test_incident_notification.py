"""One event, one message: what goes out by incident, when it is told again, to whom next, and by which deadline."""

from datetime import time, timedelta

import pytest

from lifeline.fieldlink import Action, actions_for, links_for, read
from lifeline.lifecycle import Event
from lifeline.model import AlertKind, AlertState, Level
from lifeline.response import Step, load_deadlines
from lifeline.storage import alerts, endpoints, fieldlinks, incidents, outbox, pacing, response, shelving
from lifeline.storage.database import Connection
from lifeline.storage.fieldlinks import Outcome, Report
from tests.integration.city import NOON, count
from tests.integration.test_incidents import City

pytestmark = pytest.mark.usefixtures("clean_database")

STREET = [(f"G-C{number}", "methane.level") for number in range(8)] + [
    (f"G-C{number}", "methane.rise") for number in range(3)
]
DEADLINES = load_deadlines()


class Post(City):
    """A city with somebody who is told, and what has been sent to whom."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.add("duty")

    def add(self, name: str, **options: object) -> None:
        endpoints.add(self.connection, name, f"https://{name}.example/", NOON, **options)  # type: ignore[arg-type]
        self.connection.commit()

    def street(self, level: Level = Level.YELLOW) -> list[alerts.Alert]:
        return [self.raise_alert(asset, rule, level) for asset, rule in STREET]

    def operate(self, alert: alerts.Alert, event: Event, who: str = "wang") -> None:
        alerts.operate(self.connection, alert.alert_id, event, who, self.now)

    def back(self, members: list[alerts.Alert]) -> None:
        """They return to normal."""
        for alert in members:
            self.operate(alert, Event.RETURN, "detector")

    def told(self, name: str = "duty") -> list[str]:
        outbox.fan_out(self.connection, self.now)
        rows = self.connection.execute(
            """SELECT o.event_type FROM delivery d JOIN outbox o USING (outbox_id) JOIN endpoint e USING (endpoint_id)
            WHERE e.name = %s ORDER BY o.outbox_id""",
            [name],
        )
        return [row[0] for row in rows]

    def pass_time(self, seconds: float) -> pacing.Paced:
        self.now += timedelta(seconds=seconds)
        return pacing.pace(self.connection, self.now)


@pytest.fixture
def post(connection: Connection) -> Post:
    return Post(connection)


# ----------------------------------------------------------------------------------------------------------- one story


def test_an_event_that_makes_eleven_alerts_is_one_message_then_updates_and_its_end(post: Post) -> None:
    members = post.street()
    post.tick()
    assert post.only().alerts == 11
    assert post.told() == ["incident.opened"]
    post.operate(members[3], Event.LEVEL_RISE, "detector")
    post.connection.execute(
        "UPDATE alert SET level = 1, version = version + 1 WHERE alert_id = %s", [members[3].alert_id]
    )
    post.tick()
    assert post.told() == ["incident.opened", "incident.updated"]
    post.back(members[:10])
    post.tick()
    assert post.told()[-1] == "incident.updated", "one is still in alarm, and the worst has not been acknowledged"
    post.back(members[10:])
    post.tick()
    post.tick()
    assert post.told()[-1] == "incident.cleared"
    assert post.only().phase == "returned"
    for member in members:
        post.operate(member, Event.ACKNOWLEDGE)
    post.tick()
    assert post.told()[-1] == "incident.closed"
    assert len(post.told()) == 4
    assert post.open() == []


def test_alerts_that_come_one_by_one_over_minutes_are_no_storm_of_messages(post: Post) -> None:
    for asset, rule in STREET:
        post.raise_alert(asset, rule, Level.YELLOW)
        post.tick()
    changes = [entry.action for entry in incidents.history(post.connection, post.only().incident_id)]
    assert changes.count("grown") == 10
    assert post.told().count("incident.updated") == changes.count("explained")
    assert len(post.told()) <= 3


def test_who_asked_for_single_alerts_gets_them_and_nothing_twice(post: Post) -> None:
    post.add("single", scope="alert")
    post.add("steps", events=["incident.opened", "alert.acknowledged"])
    members = post.street()
    post.tick()
    post.operate(members[0], Event.ACKNOWLEDGE)
    post.tick()
    assert post.told("single") == ["alert.raised"] * 11 + ["alert.acknowledged"]
    assert post.told("steps") == ["incident.opened", "alert.acknowledged"], "what events name comes in any case"
    assert post.told() == ["incident.opened", "incident.acknowledged"]


def test_a_sick_sensor_has_no_incident_and_is_told_by_itself(post: Post) -> None:
    post.raise_alert("G-C0", "methane.level", Level.BLUE, AlertKind.MAINTENANCE)
    post.tick()
    assert post.told() == ["alert.raised"]


def test_of_a_shelved_event_the_return_is_told_and_its_coming_back_as_well(post: Post) -> None:
    members = [post.raise_alert(f"G-C{number}", "methane.level") for number in range(2)]
    post.tick()
    for member in members:
        shelving.shelve(post.connection, member.alert_id, "wang", post.now, until=post.now + timedelta(hours=1))
    post.tick()
    assert (post.only().phase, post.told()) == ("muted", ["incident.opened"])
    post.now += timedelta(hours=1)
    shelving.release(post.connection, post.now)
    post.tick()
    assert (post.only().phase, post.told()[1:]) == ("alarm", ["incident.updated"])
    for member in members:
        shelving.shelve(post.connection, member.alert_id, "wang", post.now)
    post.tick()
    post.back(members)
    post.tick()
    assert (post.only().phase, post.told()[2:]) == ("returned", ["incident.cleared"])


def test_of_an_acknowledged_event_the_end_is_told_once(post: Post) -> None:
    members = post.street()
    post.tick()
    for member in members:
        post.operate(member, Event.ACKNOWLEDGE)
    post.tick()
    post.back(members)
    post.tick()
    assert post.told() == ["incident.opened", "incident.acknowledged", "incident.closed"]


# ------------------------------------------------------------------------------------------- again, and to whom next


def test_one_reminder_for_the_whole_event_until_somebody_takes_it(post: Post) -> None:
    post.add("nag", pacing=endpoints.Pacing(repeat_s=600))
    members = post.street()
    post.tick()
    assert post.told("nag") == ["incident.opened"]
    assert post.pass_time(590).reminders == 0
    assert post.pass_time(20).reminders == 1
    assert post.pass_time(20).reminders == 0
    assert post.told("nag") == ["incident.opened", "incident.reminder"]
    post.operate(members[5], Event.ACKNOWLEDGE)
    assert post.pass_time(600).reminders == 0, "somebody is at it, also before the next tick says so"
    post.tick()
    assert post.pass_time(600).reminders == 0
    assert post.told("nag")[-1] == "incident.acknowledged"


def test_a_chain_is_gone_through_once_for_an_event_and_anew_when_its_level_rises(post: Post) -> None:
    for name, level, after in (("chief", Level.YELLOW, 300), ("mayor", Level.RED, 900)):
        post.add(name, events=[])
        endpoints.escalate(post.connection, name, NOON, level=level, after_s=after)
    members = post.street()
    post.tick()
    assert post.pass_time(200).escalated == 0
    assert post.pass_time(110).escalated == 1
    assert post.pass_time(2000).escalated == 0, "yellow does not go to the mayor"
    assert (post.told("chief"), post.told("mayor")) == (["incident.unattended"], [])
    post.operate(members[0], Event.ACKNOWLEDGE)
    post.tick()
    post.connection.execute("UPDATE alert SET level = 1, state = 'UNACK', version = version + 1 WHERE alert_id = %s",
                            [members[1].alert_id])  # fmt: skip
    post.tick()
    post.pass_time(310)
    assert post.told("chief") == ["incident.unattended"] * 2
    assert post.told("mayor") == []
    post.pass_time(600)
    assert post.told("mayor") == ["incident.unattended"]


def test_a_chain_of_a_team_waits_for_an_event_that_the_team_has(post: Post) -> None:
    post.add("gas-chief", events=[])
    endpoints.escalate(post.connection, "gas-chief", NOON, level=Level.BLUE, after_s=60, team="gas 2", network="gas")
    (first, *_) = post.street()
    post.tick()
    assert post.pass_time(120).escalated == 0
    response.assign(post.connection, first.alert_id, "li", post.now, team="gas 2", assignee="zhao")
    assert post.pass_time(1).escalated == 1


def test_red_that_reaches_nobody_goes_up_at_once(post: Post) -> None:
    post.add("chief", events=[])
    endpoints.escalate(post.connection, "chief", NOON, level=Level.RED, after_s=3600)
    post.street(Level.RED)
    post.tick()
    post.told()
    assert post.pass_time(30).escalated == 0
    post.connection.execute("UPDATE delivery SET attempts = 5")
    assert post.pass_time(1).escalated == 1


def test_in_quiet_hours_an_orange_event_waits_and_a_red_one_does_not(post: Post) -> None:
    quiet = endpoints.Pacing(time(19), time(23), "Asia/Shanghai")  # noon in UTC is eight in the evening there
    endpoints.add(post.connection, "sleeper", "https://sleeper.example/", NOON, pacing=quiet)
    post.raise_alert("W-C1", "pressure.low", Level.ORANGE)
    post.raise_alert("G-C1", "methane.level", Level.RED)
    post.tick()
    post.told("sleeper")
    rows = post.connection.execute(
        """SELECT d.level, d.next_attempt_at FROM delivery d JOIN endpoint e USING (endpoint_id)
        WHERE e.name = 'sleeper' ORDER BY d.level"""
    ).fetchall()
    assert rows == [(1, post.now), (2, NOON.replace(hour=15))]


def test_groups_hold_incidents_together(post: Post) -> None:
    grouped = endpoints.Pacing(group_wait_s=30, group_by=("network",))
    endpoints.add(post.connection, "calm", "https://calm.example/", NOON, pacing=grouped)
    post.raise_alert("W-C0", "pressure.low")
    post.raise_alert("G-C0", "methane.level")
    post.tick()
    post.raise_alert("G-C7", "methane.level", minutes=600)
    post.tick()
    assert post.told("calm") == ["incident.opened"] * 3
    assert post.pass_time(40).groups == 2
    rows = post.connection.execute("SELECT body #>> '{data,group}', body #>> '{data,count}' FROM outbox "
                                   "WHERE event_type = 'alert.group'").fetchall()  # fmt: skip
    assert rows == [("gas", "2")]


# ------------------------------------------------------------------------------------------------ response and links


def test_one_response_for_the_event_whichever_alert_is_named(post: Post) -> None:
    members = post.street(Level.RED)
    post.tick()
    confirmed = response.advance(post.connection, members[7].alert_id, Step.CONFIRMED, "wang", post.now)
    assert confirmed.alert_id == post.only().response_alert
    for member in members:
        assert response.get(post.connection, member.alert_id).step is Step.CONFIRMED
        assert alerts.get(post.connection, member.alert_id).state is AlertState.ACKED
    post.tick()
    assert post.told() == ["incident.opened", "response.changed", "incident.acknowledged"]
    response.add_note(post.connection, members[2].alert_id, "wang", post.now, "smell at the kiosk")
    written = response.history(post.connection, members[9].alert_id)
    assert [entry.action for entry in written] == ["step", "note"]


def test_one_deadline_for_the_event_by_its_worst_level(post: Post) -> None:
    post.street(Level.RED)
    post.tick()
    post.now += timedelta(minutes=5)
    late = response.tell_overdue(post.connection, DEADLINES, post.now)
    assert [(each.step, each.level, each.incident_id) for each in late] == [
        (Step.RECEIVED, Level.RED, post.only().incident_id)
    ]
    assert response.tell_overdue(post.connection, DEADLINES, post.now) == []
    assert post.told() == ["incident.opened", "response.overdue"]
    assert count(post.connection, "response_history") == 1


def test_feedback_on_the_event_labels_all_of_its_alerts(post: Post) -> None:
    members = post.street()
    post.tick()
    response.feed_back(post.connection, members[0].alert_id, "wang", post.now, genuine=True, cause="leak", whole=True)
    assert count(post.connection, "feedback WHERE genuine AND cause = 'leak'") == 11
    response.feed_back(post.connection, members[0].alert_id, "wang", post.now, genuine=False)
    assert count(post.connection, "feedback") == 12


def test_an_event_that_is_still_open_is_not_archived(post: Post) -> None:
    members = post.street()
    post.tick()
    for to in (Step.CONFIRMED, Step.FALSE_ALARM):
        response.advance(post.connection, members[0].alert_id, to, "wang", post.now)
    response.feed_back(post.connection, members[0].alert_id, "wang", post.now, genuine=False, whole=True)
    post.back(members[:10])
    post.tick()
    post.now += timedelta(days=2)
    assert response.archive(post.connection, post.now) == 0
    post.back(members[10:])
    post.tick()
    post.now += timedelta(days=2)
    assert response.archive(post.connection, post.now) == 1


def test_of_two_events_that_prove_to_be_one_the_response_that_is_further_goes_on(post: Post) -> None:
    one = post.raise_alert("G-C0", "methane.level")
    post.tick()
    other = post.raise_alert("G-C7", "methane.level", minutes=10)
    post.tick()
    assert len(post.open()) == 2
    for to in (Step.CONFIRMED, Step.DISPATCHED):
        response.advance(post.connection, other.alert_id, to, "wang", post.now, team="gas 2")
    for number in range(1, 7):
        post.raise_alert(f"G-C{number}", "methane.level", minutes=5)
    post.tick()
    assert post.only().alerts == 8
    now = response.get(post.connection, one.alert_id)
    assert (now.step, now.team, now.alert_id) == (Step.DISPATCHED, "gas 2", other.alert_id)


def test_a_link_in_the_message_takes_the_whole_event_once(post: Post) -> None:
    post.street()
    post.tick()
    (body,) = post.messages()
    assert actions_for(body["data"]) == [Action.ACKNOWLEDGE, Action.CONFIRMED, Action.FALSE_ALARM]
    (endpoint_id,) = post.connection.execute("SELECT endpoint_id FROM endpoint").fetchone() or (0,)
    links = links_for("secret", "https://city.example", "msg_1", endpoint_id, body, timedelta(hours=24))
    link = read(["secret"], links["acknowledge"].rpartition("/")[2])
    assert fieldlinks.use(post.connection, link, Report(name="赵"), post.now)[0] is Outcome.DONE
    assert count(post.connection, "alert WHERE state = 'ACKED'") == 11
    post.tick()
    assert post.only().acknowledged_by == "赵 (link, duty)"
    assert post.told() == ["incident.opened", "incident.acknowledged"]
    assert fieldlinks.use(post.connection, link, Report(), post.now)[0] is Outcome.REPEATED
    assert Action.ACKNOWLEDGE not in actions_for(post.messages()[-1]["data"])
