"""When messages go out, on the real database and over HTTP: quiet hours, groups, reminders and chains."""

from datetime import datetime, time, timedelta

import pytest

from lifeline.errors import ConflictError, NotFoundError
from lifeline.lifecycle import Event, step
from lifeline.model import Level
from lifeline.storage import alerts as alert_storage
from lifeline.storage import endpoints, outbox, pacing
from lifeline.storage.endpoints import Pacing
from tests.integration.mailbox import Mailbox, add, mailbox, operate, pace  # noqa: F401 - a fixture
from tests.integration.test_alerts_delivery import Office, office  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("clean_database")

# ------------------------------------------------------------------------------------------------------ quiet hours


@pytest.mark.parametrize(("clock", "waits_h"), [("22:00", 8), ("23:30", 6.5), ("00:30", 5.5), ("05:59:59", 1 / 3600)])
def test_quiet_hours_wait_for_the_morning_and_red_does_not(
    office: Office, mailbox: Mailbox, clock: str, waits_h: float
) -> None:  # fmt: skip
    office.now = datetime.fromisoformat(f"2026-11-21T{clock}+08:00")
    add(office, mailbox.url, pacing=Pacing(time(22), time(6)))
    office.raise_alert(Level.ORANGE)
    assert office.work() == 0
    office.raise_alert(Level.RED)
    assert office.work() == 1
    assert mailbox.messages[0]["data"]["level"] == "red"
    assert office.work(waits_h * 3600 - 0.5) == 0
    assert office.work(0.5) == 1


@pytest.mark.parametrize("clock", ["06:00", "12:00", "21:59:59"])
def test_outside_of_quiet_hours_nothing_waits(office: Office, mailbox: Mailbox, clock: str) -> None:
    office.now = datetime.fromisoformat(f"2026-11-21T{clock}+08:00")
    add(office, mailbox.url, pacing=Pacing(time(22), time(6)))
    office.raise_alert(Level.ORANGE)
    assert office.work() == 1


def test_quiet_hours_within_a_day_and_in_another_zone_are_kept(office: Office, mailbox: Mailbox) -> None:
    office.now = datetime.fromisoformat("2026-11-21T12:30+00:00")
    add(office, mailbox.url, pacing=Pacing(time(12), time(14), "UTC"))
    office.raise_alert()
    assert (office.work(), office.work(3600), office.work(1800)) == (0, 0, 1)


# ----------------------------------------------------------------------------------------------------------- groups


def test_messages_of_a_group_go_out_together_and_a_red_one_at_once(office: Office, mailbox: Mailbox) -> None:
    add(office, mailbox.url, pacing=Pacing(group_wait_s=30, group_interval_s=300))
    for _ in range(40):
        office.raise_alert(Level.ORANGE)
    office.raise_alert(Level.RED)
    assert office.work() == 1
    assert pace(office, 29).groups == 0
    assert pace(office, 1).groups == 1
    assert mailbox.types == ["alert.raised", "alert.group"]
    data = mailbox.messages[1]["data"]
    assert (data["count"], len(data["messages"]), data["level"]) == (40, 30, "orange")
    assert data["group"] == "gas / methane.level"
    assert "evidence" not in data["messages"][0]["data"]
    assert len(mailbox.posts[1][1]) < 20_000
    assert outbox.waiting(office.connection).deliveries == 0


def test_a_group_is_told_again_after_its_interval_and_one_message_goes_as_it_is(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    add(office, mailbox.url, pacing=Pacing(group_wait_s=30, group_interval_s=300))
    office.raise_alert()
    office.work()
    assert pace(office, 30).groups == 1
    assert mailbox.types == ["alert.raised"]
    office.raise_alert()
    office.work()
    assert pace(office, 60).groups == 0
    assert pace(office, 240).groups == 1
    assert mailbox.types == ["alert.raised"] * 2


# --------------------------------------------------------------------------------------------- reminders and chains


def test_an_alert_is_told_again_until_somebody_acknowledges_it(office: Office, mailbox: Mailbox) -> None:
    add(office, mailbox.url, pacing=Pacing(repeat_s=600))
    alert = office.raise_alert()
    office.work()
    assert [pace(office, 300).reminders for _ in range(6)] == [0, 1, 0, 1, 0, 1]
    operate(office, alert, Event.ACKNOWLEDGE)
    assert pace(office, 3600).reminders == 0
    assert mailbox.types == ["alert.raised", *["alert.reminder"] * 3, "alert.acknowledged"]
    assert len({headers["webhook-id"] for headers, _ in mailbox.posts}) == 5


@pytest.mark.parametrize("join", ["nestloop", "hashjoin", "mergejoin"])
def test_what_is_due_in_the_same_moment_is_told_in_order_of_the_alerts_and_of_the_endpoints(
    join: str, office: Office
) -> None:
    """Reminders and stages of alerts that were raised together, however the database joins them."""
    for name in ("one", "two"):
        add(office, "http://127.0.0.1:9/hook", name, pacing=Pacing(repeat_s=600))
        endpoints.escalate(office.connection, name, office.now, level=Level.YELLOW, after_s=600)
    made = [office.raise_alert().alert_id for _ in range(60)]
    office.connection.execute("UPDATE alert SET updated_at = updated_at WHERE alert_id <= 30")  # these lie last now
    outbox.fan_out(office.connection, office.now)
    for other in {"nestloop", "hashjoin", "mergejoin"} - {join}:
        office.connection.execute(f"SET enable_{other} = off")
    office.now += timedelta(seconds=600)
    assert pacing.pace(office.connection, office.now) == pacing.Paced(0, 120, 120)
    for kind in ("alert.reminder", "alert.unattended"):
        rows = office.connection.execute(
            "SELECT alert_id, endpoint_id FROM outbox JOIN delivery USING (outbox_id) WHERE event_type = %s"
            " ORDER BY outbox_id",
            [kind],
        ).fetchall()
        assert rows == [(alert, endpoint) for alert in made for endpoint in (1, 2)]


def test_a_shelved_alert_is_not_told_again(office: Office, mailbox: Mailbox) -> None:
    add(office, mailbox.url, pacing=Pacing(repeat_s=600))
    operate(office, office.raise_alert(), Event.SHELVE)
    office.work()
    assert pace(office, 3600).reminders == 0


def test_a_chain_goes_on_until_somebody_acknowledges_and_begins_anew_with_a_rise(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    add(office, "https://nobody.example/", "crew", events=["none"])
    for name in ("chief", "mayor"):
        add(office, mailbox.url, name, events=[])
    endpoints.escalate(office.connection, "chief", office.now, level=Level.ORANGE, after_s=300)
    endpoints.escalate(office.connection, "mayor", office.now, level=Level.RED, after_s=600)
    endpoints.escalate(office.connection, "mayor", office.now, level=Level.ORANGE, after_s=900, network="water")
    alert = office.raise_alert(Level.ORANGE)
    office.raise_alert(Level.YELLOW)
    assert [pace(office, 150).escalated for _ in range(8)] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert mailbox.types == ["alert.unattended"]
    operate(office, alert, Event.ACKNOWLEDGE)
    risen = alert_storage.get(office.connection, alert.alert_id)
    taken = step(risen.state, True, Event.LEVEL_RISE)
    assert taken is not None
    change = alert_storage.Change(risen, taken, Level.RED, taken.message)
    alert_storage.change_alerts(office.connection, [change], office.now)
    office.connection.commit()
    assert [pace(office, 150).escalated for _ in range(6)] == [0, 1, 0, 1, 0, 0]
    assert [each["data"]["level"] for each in mailbox.messages] == ["orange", "red", "red"]


def test_red_that_reaches_nobody_goes_to_the_next_at_once(office: Office, mailbox: Mailbox) -> None:
    with Mailbox() as dead:
        dead.status = 500
        add(office, dead.url, "crew")
        add(office, mailbox.url, "chief", events=[])
        endpoints.escalate(office.connection, "chief", office.now, level=Level.RED, after_s=3600)
        office.raise_alert(Level.RED)
        for passed in (0, 7, 19, 37, 73):
            assert pace(office).escalated == 0
            office.work(passed)
        assert len(dead.posts) == 5
        assert pace(office).escalated == 1
    assert mailbox.types == ["alert.unattended"]


def test_stages_are_listed_in_order_and_can_be_taken_out(office: Office) -> None:
    add(office, "https://example.org/", "chief")
    late = endpoints.escalate(office.connection, "chief", office.now, level=Level.RED, after_s=600)
    early = endpoints.escalate(office.connection, "chief", office.now, level=Level.RED, after_s=60, network="gas")
    assert [each.escalation_id for each in endpoints.escalations(office.connection)] == [late, early]
    endpoints.drop_escalation(office.connection, late)
    assert [each.after_s for each in endpoints.escalations(office.connection)] == [60]
    with pytest.raises(NotFoundError):
        endpoints.drop_escalation(office.connection, late)
    with pytest.raises(NotFoundError):
        endpoints.escalate(office.connection, "nobody", office.now, level=Level.RED, after_s=60)
    with pytest.raises(ConflictError):
        endpoints.escalate(office.connection, "chief", office.now, level=Level.RED, after_s=90, network="gas")
