"""Delivery to real receivers over HTTP, from the real outbox."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from alerts.delivery import PER_ENDPOINT, Courier
from lifeline.lifecycle import Event, step
from lifeline.model import AlertKind, Finding, Level, Subject, SubjectKind
from lifeline.storage import alerts as alert_storage
from lifeline.storage import outbox
from lifeline.storage.database import Connection, Pool, connect, open_pool
from tests.api_process import until
from tests.integration.city import add_device, add_sensor, count
from tests.integration.dripping import Dripper
from tests.integration.receiver import SECRET, Receiver

pytestmark = pytest.mark.usefixtures("clean_database")
EVIDENCE = {"title": {"en": "Methane", "zh": "甲烷"}, "advice": {"en": "Leave", "zh": "撤离"}, "value": 1.2}


class Office:
    """A courier whose day passes as the test says; receivers live in the same time."""

    def __init__(self, connection: Connection, pool: Pool) -> None:
        self.connection, self.pool = connection, pool
        self.now = datetime.now(UTC)
        self.device = add_device(connection, "rtu-1")
        self.courier = self.new_courier()
        self._sensors = 0

    def new_courier(self, timeout_s: float = 60) -> Courier:
        return Courier(self.pool, lambda: self.now, timeout_s=timeout_s, allowed=["127.0.0.1"])

    def endpoint(
        self, url: str, name: str = "one", worst_level: Level = Level.BLUE, networks: list[str] | None = None
    ) -> None:
        self.connection.execute(
            "INSERT INTO endpoint (name, url, secret, networks, worst_level, created_at) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [name, url, SECRET, networks, worst_level, self.now],
        )
        self.connection.commit()

    def raise_alert(self, level: Level = Level.YELLOW) -> alert_storage.Alert:
        self._sensors += 1
        sensor = add_sensor(self.connection, self.device, f"methane.{self._sensors}")
        finding = Finding(Subject(SubjectKind.SENSOR, sensor), "methane.level", level, self.now, self.now, EVIDENCE)
        opening = alert_storage.Opening(finding, "v1", AlertKind.RISK)
        (alert,) = alert_storage.raise_alerts(self.connection, [opening], self.now)
        self.connection.commit()
        return alert

    def work(self, passed_s: float = 0) -> int:
        """Let time pass and deliver what is due; how many attempts were made."""
        self.now += timedelta(seconds=passed_s)
        made = 0
        while running := self.courier.run(self.now):
            wait(running)
            made += len(running)
        return made

    def states(self) -> list[str]:
        self.connection.commit()
        return [state for (state,) in self.connection.execute("SELECT state FROM delivery ORDER BY delivery_id")]


@pytest.fixture
def office(connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    pool = open_pool(database_dsn, application="delivery test", size=8)
    office = Office(connection, pool)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp(office.now.timestamp(), tz)

    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Clock)
    yield office
    office.courier.close()
    pool.close()


def test_a_message_arrives_signed_and_says_what_where_why_and_what_to_do(office: Office) -> None:
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        alert = office.raise_alert()
        assert office.work() == 1
    (message,) = receiver.accepted
    assert message["type"] == "alert.raised"
    assert datetime.fromisoformat(message["timestamp"]) == office.now
    data = message["data"]
    assert (data["alert_id"], data["level"], data["network"], data["rule"]) == (
        alert.alert_id,
        "yellow",
        "gas",
        "methane.level",
    )
    assert data["title"] == EVIDENCE["title"]
    assert data["advice"] == EVIDENCE["advice"]
    assert data["evidence"] == {"value": 1.2}
    assert data["where"]["device"] == "rtu-1"
    assert office.states() == ["delivered"]
    (attempt,) = outbox.attempts(office.connection, alert.alert_id)
    assert (attempt.status_code, attempt.error, attempt.event_type) == (204, "", "alert.raised")


def test_a_receiver_that_was_down_for_ten_minutes_gets_each_event_exactly_once_with_its_own_id(office: Office) -> None:
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        receiver.status = 500
        for _ in range(5):
            office.raise_alert()
        for _ in range(60):
            office.work(10)
        assert receiver.accepted == []
        tried = set(receiver.attempts)
        assert len(receiver.attempts) == 5 * 3  # at once, after 5 s, after 5 min
        receiver.status = 204
        for _ in range(40):
            office.work(60)
    assert set(receiver.ids) == tried
    assert set(receiver.ids.values()) == {1}
    assert sorted(message["data"]["alert_id"] for message in receiver.accepted) == [1, 2, 3, 4, 5]
    assert office.states() == ["delivered"] * 5


def test_a_red_alert_is_tried_again_within_seconds(office: Office) -> None:
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        receiver.status = 503
        office.raise_alert(Level.RED)
        office.raise_alert(Level.BLUE)
        assert [office.work(passed) for passed in (0, 7, 19, 37, 73)] == [2, 2, 1, 1, 1]


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 500])
def test_only_2xx_is_success_and_a_redirect_is_not_followed(office: Office, status: int) -> None:
    with Receiver() as receiver, Receiver() as elsewhere:
        office.endpoint(receiver.url)
        receiver.status, receiver.headers = status, {"location": elsewhere.url}
        office.raise_alert()
        assert office.work() == 1
        assert elsewhere.attempts == []
    assert office.states() == ["pending"]


def test_gone_disables_the_endpoint_and_what_waits_for_it(office: Office) -> None:
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        receiver.status = 410
        office.raise_alert()
        office.work()
        office.raise_alert()
        assert office.work(3600) == 0
    row = office.connection.execute("SELECT enabled, disabled_reason FROM endpoint").fetchone()
    assert row == (False, "the receiver answered 410 Gone")
    assert office.states() == ["failed"]


def test_who_disables_and_who_claims_never_hold_what_the_other_waits_for(office: Office, database_dsn: str) -> None:
    """A claim waits for nobody; who disables takes the deliveries in order, wherever they lie in the table."""
    office.endpoint("http://127.0.0.1:9/hook")
    for _ in range(3):
        office.raise_alert()
    with connect(database_dsn) as first, connect(database_dsn, autocommit=True) as other:
        outbox.fan_out(first, office.now)
        first.execute("UPDATE delivery SET attempts = 0 WHERE delivery_id = 1")  # its newest version lies last now
        first.commit()
        first.execute("SELECT FROM delivery WHERE delivery_id = 1 FOR UPDATE")
        other.execute("SET lock_timeout = '60s'")
        (endpoint,) = first.execute("SELECT endpoint_id FROM endpoint").fetchone() or (0,)
        with ThreadPoolExecutor(1) as thread, connect(database_dsn, application="disables") as own:
            disabled = thread.submit(outbox.disable, own, endpoint, "gone")
            asleep = "SELECT FROM pg_stat_activity WHERE application_name = 'disables' AND wait_event_type = 'Lock'"
            until(lambda: other.execute(asleep).fetchone() is not None, "who disables waits")
            lease = office.now + timedelta(seconds=80)
            claims = outbox.claim(other, office.now, lease, per_endpoint=4, free={}, limit=9)
            first.commit()
            disabled.result(60)
    assert sorted(claim.delivery_id for claim in claims) == [2, 3]
    assert office.states() == ["failed"] * 3


def test_retry_after_is_waited_for(office: Office) -> None:
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        receiver.status, receiver.headers = 429, {"retry-after": "1000"}
        office.raise_alert(Level.RED)
        assert [office.work(passed) for passed in (0, 900, 150)] == [1, 0, 1]


def test_an_endpoint_gets_what_it_asked_for_and_the_rest_of_that_story(office: Office) -> None:
    with Receiver() as all_of_it, Receiver() as worst, Receiver() as water:
        office.endpoint(all_of_it.url, "all")
        office.endpoint(worst.url, "worst", worst_level=Level.ORANGE)
        office.endpoint(water.url, "water", networks=["water"])
        office.raise_alert(Level.BLUE)
        orange = office.raise_alert(Level.ORANGE)
        office.work()
        taken = step(orange.state, True, Event.LEVEL_FALL)
        assert taken is not None
        change = alert_storage.Change(orange, taken, Level.BLUE, taken.message)
        alert_storage.change_alerts(office.connection, [change], office.now)
        office.connection.commit()
        office.work()
    assert len(all_of_it.accepted) == 3
    assert [message["type"] for message in worst.accepted] == ["alert.raised", "alert.deescalated"]
    assert water.accepted == []


def test_a_slow_endpoint_holds_up_nobody_but_itself(office: Office) -> None:
    office.courier.close()
    office.courier = office.new_courier(timeout_s=120)
    with Receiver() as slow, Receiver() as quick:
        office.endpoint(slow.url, "slow")
        office.endpoint(quick.url, "quick")
        slow.delay_s = 120
        for _ in range(12):
            office.raise_alert()

        def served() -> bool:
            office.courier.run(office.now)
            return len(quick.accepted) == 12 and len(slow.attempts) == 4

        until(served, "all that goes to the quick one, while the slow one has not answered once")
        slow.released.set()


def test_a_time_out_is_a_failure_that_is_tried_again(office: Office) -> None:
    office.courier.close()
    office.courier = office.new_courier(timeout_s=0.2)
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        receiver.delay_s = 0.6
        alert = office.raise_alert()
        office.work()
    (attempt,) = outbox.attempts(office.connection, alert.alert_id)
    assert attempt.status_code is None
    # httpx gives up by itself, or its connection is shut under it: whichever is first.
    assert "Timeout" in attempt.error or "no whole answer within 0.2 s" in attempt.error
    assert office.states() == ["pending"]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1/x",
        "http://169.254.169.254/latest",
        "http://[::1]:9/",
        "http://10.0.0.1/",
        "ftp://x/",
        "http://",
    ],
)
def test_where_a_webhook_must_not_go_it_does_not(office: Office, url: str) -> None:
    office.endpoint(url)
    alert = office.raise_alert()
    office.work()
    (attempt,) = outbox.attempts(office.connection, alert.alert_id)
    assert attempt.status_code is None
    assert attempt.error
    assert office.states() == ["pending"]


def test_a_delivery_whose_process_died_is_taken_up_again_with_the_same_id(office: Office) -> None:
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        office.raise_alert()
        with office.pool.connection() as own:
            outbox.fan_out(own, office.now)
            lease = office.now + timedelta(seconds=80)
            (claim,) = outbox.claim(own, office.now, lease, per_endpoint=4, free={}, limit=9)
            assert outbox.claim(own, office.now, lease, per_endpoint=4, free={}, limit=9) == []
        assert office.work(60) == 0
        assert office.work(30) == 1
        assert receiver.attempts == [claim.message_id]


def test_who_takes_over_does_not_wait_for_the_claims_of_the_dead(office: Office) -> None:
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        office.raise_alert()
        with office.pool.connection() as own:
            outbox.fan_out(own, office.now)
            outbox.claim(own, office.now, office.now + timedelta(days=1), per_endpoint=4, free={}, limit=9)
        assert office.work() == 0
        with office.pool.connection() as own:
            assert outbox.release(own, office.now) == 1
        assert office.work() == 1
        assert office.states() == ["delivered"]
        assert outbox.release(office.connection, office.now) == 0


def test_a_disabled_endpoint_is_left_alone(office: Office) -> None:
    with Receiver() as receiver:
        office.endpoint(receiver.url)
        office.connection.execute("UPDATE endpoint SET enabled = false")
        office.raise_alert()
        assert office.work() == 0
        assert receiver.attempts == []
    assert count(office.connection, "delivery") == 0
    assert outbox.waiting(office.connection).messages == 0


def test_receivers_that_drip_hold_no_thread_beyond_the_time_out_and_others_are_served(office: Office) -> None:
    office.courier = office.new_courier(timeout_s=3)
    with Dripper() as dripper, Receiver() as receiver:
        office.endpoint(dripper.url, "dripping")
        office.endpoint(receiver.url, "good")
        for _ in range(PER_ENDPOINT):
            office.raise_alert()
        started = time.monotonic()
        running = office.courier.run(office.now)
        assert len(running) == 2 * PER_ENDPOINT
        assert not wait(running, timeout=15).not_done
        assert time.monotonic() - started < 10
        assert sum(receiver.ids.values()) == PER_ENDPOINT
        assert all(dripper.ended.acquire(timeout=60) for _ in range(PER_ENDPOINT))
    assert sorted(office.states()) == ["delivered"] * PER_ENDPOINT + ["pending"] * PER_ENDPOINT
    failed = [each for each in outbox.attempts(office.connection, 1) if each.error]
    assert [each.status_code for each in failed] == [None]
    assert "no whole answer within 3 s" in failed[0].error


def test_an_answer_whose_body_never_ends_counts_by_its_status(office: Office) -> None:
    with Dripper(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n") as dripper:
        office.endpoint(dripper.url)
        office.raise_alert()
        assert office.work() == 1
        assert dripper.ended.acquire(timeout=60)
    assert office.states() == ["delivered"]
