"""Notification on the real database and over HTTP: formats, secrets, tests, replay, chat."""

import time as time_module
from datetime import UTC, datetime, time, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from alerts.chat import ChatError, refusal, send
from alerts.delivery import Courier, Style
from alerts.egress import RefusedAddressError
from lifeline.chat import open_channel, shown
from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.lifecycle import Event, step
from lifeline.model import AlertKind, Finding, Level, Subject, SubjectKind
from lifeline.storage import alerts as alert_storage
from lifeline.storage import endpoints, outbox
from lifeline.storage.endpoints import Pacing
from tests.integration.city import count
from tests.integration.mailbox import Mailbox, add, mailbox, operate, pace  # noqa: F401 - a fixture
from tests.integration.receiver import SECRET
from tests.integration.test_alerts_delivery import Office, office  # noqa: F401 - a fixture
from tests.integration.test_client_guide import GUIDE, blocks
from tests.unit.test_formats import NAMESPACE, check

pytestmark = pytest.mark.usefixtures("clean_database")


# --------------------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize(("form", "media_type"), [
    ("own", "application/json"), ("cloudevents", "application/cloudevents+json"), ("alertmanager", "application/json"),
    ("cap", "application/cap+xml"),
])  # fmt: skip
def test_each_format_arrives_signed_over_its_own_bytes(
    office: Office, mailbox: Mailbox, form: str, media_type: str
) -> None:  # fmt: skip
    secret = add(office, mailbox.url, format=form)
    office.raise_alert()
    office.work()
    ((headers, content),) = mailbox.posts
    assert headers["content-type"] == media_type
    signature = Webhook(secret).sign(headers["webhook-id"], office.now, content.decode())
    assert headers["webhook-signature"] == signature
    assert "井室" in content.decode() or "甲烷" in content.decode()


def test_a_message_that_somebody_sends_again_later_or_under_another_time_is_refused(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    """Whoever listens on the way has good bytes with a good signature: these are good for five minutes, and once by
    their id, which stays the same in all attempts."""
    secret = add(office, mailbox.url)
    office.raise_alert()
    office.work()
    ((headers, content),) = mailbox.posts
    receiver, body = Webhook(secret), content.decode()
    assert receiver.verify(body, headers)
    stamped = int(headers["webhook-timestamp"])
    for forged in (
        headers | {"webhook-timestamp": str(stamped + 60)}, headers | {"webhook-id": headers["webhook-id"] + "x"},
        {name: value for name, value in headers.items() if name != "webhook-signature"},
    ):  # fmt: skip
        with pytest.raises(WebhookVerificationError):
            receiver.verify(body, forged)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body.replace("gas", "air", 1), headers)
    office.now += timedelta(minutes=6)
    with pytest.raises(WebhookVerificationError, match="too old"):
        receiver.verify(body, headers)


def test_a_receiver_that_keeps_ids_as_the_guide_says_takes_a_message_once_however_it_comes_again(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    """Again because its answer was an error, by `lifeline endpoints replay`, and from who listened on the way."""
    (program,) = [block for block in blocks("python") if "def take(" in block]
    receiver: dict[str, Any] = {"time": time_module}
    exec(compile(program, str(GUIDE), "exec"), receiver)
    secret = add(office, mailbox.url)
    mailbox.status = 500
    alert = office.raise_alert()
    office.work()
    mailbox.status = 204
    office.work(600)
    ((lost, first), (headers, content)) = mailbox.posts
    assert (lost["webhook-id"], first) == (headers["webhook-id"], content)
    with pytest.raises(WebhookVerificationError, match="too old"):
        receiver["take"](secret, lost, first)
    assert receiver["take"](secret, headers, content)["data"]["alert_id"] == alert.alert_id
    assert receiver["take"](secret, headers, content) is None, "the very bytes once more"
    office.now += timedelta(minutes=6)
    with pytest.raises(WebhookVerificationError, match="too old"):
        receiver["take"](secret, headers, content)
    assert endpoints.replay(office.connection, "one", office.now, message_id=headers["webhook-id"]) == 1
    office.connection.commit()
    office.work()
    again, same = mailbox.posts[-1]
    assert (again["webhook-id"], again["webhook-signature"] == headers["webhook-signature"]) == (
        headers["webhook-id"], False
    )  # fmt: skip
    assert receiver["take"](secret, again, same) is None, "signed anew, and still the message that it had"
    office.raise_alert()
    office.work()
    stranger, other = mailbox.posts[-1]
    assert receiver["take"](secret, stranger, other) is not None
    for forged, body in ((stranger | {"webhook-id": "msg_other"}, other), (stranger, content), (again, other)):
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            receiver["take"](secret, forged, body)


def test_cap_tells_one_story_alert_update_cancel_each_referring_to_those_before(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    add(office, mailbox.url, format="cap")
    alert = office.raise_alert(Level.ORANGE)
    office.work()
    operate(office, alert, Event.ACKNOWLEDGE)
    office.work(60)
    operate(office, alert_storage.get(office.connection, alert.alert_id), Event.RETURN)
    office.work(60)
    roots = [ElementTree.fromstring(content) for _, content in mailbox.posts]
    for root in roots:
        check(root)
    told = [
        tuple(root.findtext(f"{{{NAMESPACE}}}{name}") for name in ("sender", "identifier", "sent", "msgType"))
        for root in roots
    ]
    assert [kind for *_, kind in told] == ["Alert", "Update", "Cancel"]
    names = [",".join(map(str, each[:3])) for each in told]
    assert roots[1].findtext(f"{{{NAMESPACE}}}references") == names[0]
    assert roots[2].findtext(f"{{{NAMESPACE}}}references") == " ".join(names[:2])


def test_an_endpoint_gets_the_types_of_message_that_it_asked_for(office: Office, mailbox: Mailbox) -> None:
    add(office, mailbox.url, events=["alert.acknowledged"])
    operate(office, office.raise_alert(), Event.ACKNOWLEDGE)
    office.work()
    assert mailbox.types == ["alert.acknowledged"]


def test_a_message_carries_the_same_field_links_in_every_attempt(office: Office, mailbox: Mailbox) -> None:
    office.courier.close()
    style = Style("https://city.example", link_secret="s" * 32)
    office.courier = Courier(office.pool, lambda: office.now, allowed=["127.0.0.1"], style=style)
    add(office, mailbox.url)
    add(office, mailbox.url, "no-links", links=False)
    mailbox.status = 500
    alert = office.raise_alert()
    office.work()
    office.work(7)
    with_links = [message["data"]["links"] for message in mailbox.messages if "links" in message["data"]]
    assert len(mailbox.posts) == 4
    assert len(with_links) == 2
    assert with_links[0] == with_links[1]
    assert set(with_links[0]) == {"acknowledge", "confirmed", "false_alarm"}
    prefix = f"https://city.example/field/v1.{alert.alert_id}."
    assert all(url.startswith(prefix) for url in with_links[0].values())


# --------------------------------------------------------------------------------------- secrets, tests and replay


def test_while_a_secret_is_replaced_the_old_one_verifies_and_afterwards_not(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    old = add(office, mailbox.url)
    new = endpoints.rotate(office.connection, "one", office.now, timedelta(hours=24))
    assert new != old
    office.raise_alert()
    office.work()
    office.raise_alert()
    office.work(25 * 3600)
    signatures = [headers["webhook-signature"].split(" ") for headers, _ in mailbox.posts]
    assert [len(each) for each in signatures] == [2, 1]
    headers, content = mailbox.posts[0]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert signatures[0] == [Webhook(one).sign(headers["webhook-id"], at, content.decode()) for one in (new, old)]
    with pytest.raises(NotFoundError):
        endpoints.rotate(office.connection, "nobody", office.now, timedelta(hours=1))


def test_a_test_message_reaches_the_one_endpoint_past_its_filters_and_quiet_hours(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    everything = Pacing(time(0, 0), time(23, 59, 59), group_wait_s=60)
    add(office, mailbox.url, worst_level=Level.RED, events=[], pacing=everything)
    add(office, mailbox.url, "other")
    message_id = endpoints.send_test(office.connection, "one", office.now, "hello")
    office.connection.commit()
    assert office.work() == 1
    ((headers, _),) = mailbox.posts
    assert headers["webhook-id"] == message_id
    assert mailbox.messages[0]["type"] == "endpoint.test"
    assert mailbox.messages[0]["data"]["note"] == "hello"
    with pytest.raises(NotFoundError):
        endpoints.send_test(office.connection, "nobody", office.now)


def test_a_delivery_is_replayed_under_its_own_id(office: Office, mailbox: Mailbox) -> None:
    add(office, mailbox.url)
    office.raise_alert()
    office.raise_alert()
    office.work()
    first, second = (headers["webhook-id"] for headers, _ in mailbox.posts)
    assert endpoints.replay(office.connection, "one", office.now, message_id=first) == 1
    office.connection.commit()
    assert office.work() == 1
    since = office.now - timedelta(hours=1)
    assert endpoints.replay(office.connection, "one", office.now, since=since, failed_only=True) == 0
    assert endpoints.replay(office.connection, "one", office.now, since=since) == 2
    office.connection.commit()
    office.work()
    ids = [headers["webhook-id"] for headers, _ in mailbox.posts]
    assert (ids.count(first), ids.count(second)) == (3, 2)
    assert office.states() == ["delivered"] * 2
    with pytest.raises(NotFoundError):
        endpoints.replay(office.connection, "one", office.now, message_id="msg_none")


def test_what_has_failed_for_good_is_replayed_from_its_first_attempt_on(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    add(office, mailbox.url)
    mailbox.status = 410
    office.raise_alert()
    office.work()
    assert office.states() == ["failed"]
    mailbox.status = 204
    endpoints.enable(office.connection, "one")
    since = office.now - timedelta(hours=1)
    assert endpoints.replay(office.connection, "one", office.now, since=since, failed_only=True) == 1
    office.connection.commit()
    office.work()
    assert office.states() == ["delivered"]


@pytest.mark.parametrize("pacing_", [
    Pacing(quiet_from=time(22)), Pacing(time(1), time(1)), Pacing(quiet_zone="Nowhere/Else"), Pacing(group_wait_s=-1),
    Pacing(group_by=("colour",)), Pacing(repeat_s=5),
])  # fmt: skip
def test_pacing_that_makes_no_sense_is_refused(office: Office, pacing_: Pacing) -> None:
    with pytest.raises(ConfigurationError):
        add(office, "https://example.org/", pacing=pacing_)
    assert endpoints.list_endpoints(office.connection) == []


def test_cap_has_no_groups_and_chat_alone_has_a_channel(office: Office) -> None:
    for options in (
        {"format": "cap", "pacing": Pacing(group_wait_s=30)}, {"format": "chat"}, {"format": "own", "channel": "x://"},
        {"format": "telex"},
    ):  # fmt: skip
        with pytest.raises(ConfigurationError):
            add(office, "https://example.org/", **options)


# ------------------------------------------------------------------------------------------------------------- chat

DINGTALK = "dingtalk://" + "a" * 64 + "/"


def test_a_channel_shows_no_key_and_only_known_ones_are_let_in() -> None:
    assert "a" * 64 not in shown(DINGTALK)
    for address in ("file:///etc/passwd", "exec://x", "json://127.0.0.1/", "dingtalk://", "https://example.org/",
                    "workflows://a.example/a/b/?template=/etc/passwd"):  # fmt: skip
        with pytest.raises(ConfigurationError):
            open_channel(address)


def test_a_chat_channel_gets_words_and_its_own_refusal_is_a_failure_that_is_tried_again(
    office: Office, mailbox: Mailbox
) -> None:  # fmt: skip
    # Teams' address names its host, so it can be one of the test's own.
    host = mailbox.url.removeprefix("http://").removesuffix("/hook")
    add(office, "workflows://***", format="chat", channel=f"workflows://{host}/{'a' * 40}/{'b' * 40}/")
    alert = office.raise_alert()
    office.work()
    (attempt,) = outbox.attempts(office.connection, alert.alert_id)
    assert attempt.error  # TLS is what it speaks, and the test's receiver does not
    assert office.states() == ["pending"]


def test_mail_and_chat_must_not_reach_private_addresses() -> None:
    mail = "mailto://user:secret@127.0.0.1:9?from=a@example.org&to=b@example.org"
    for address in (
        mail,
        f"workflows://10.0.0.1/{'a' * 40}/{'b' * 40}/",
    ):
        with pytest.raises(RefusedAddressError):
            send(address, "title", "text", red=False, allowed=[])
    with pytest.raises(ChatError):
        send(mail, "title", "text", red=False, allowed=["127.0.0.1"])


@pytest.mark.parametrize(("status", "text", "wrong"), [
    (200, '{"errcode": 0, "errmsg": "ok"}', False), (200, '{"errcode": 310000}', True),
    (200, '{"code": 19001}', True), (200, '{"StatusCode": 0}', False), (200, "ok", False), (404, "", True),
    (302, "", True), (200, "[1]", False), (202, "", False),
])  # fmt: skip
def test_an_answer_of_200_that_is_a_refusal_is_read(status: int, text: str, wrong: bool) -> None:
    assert bool(refusal(status, text)) is wrong


def test_kinds_and_secret_are_those_of_the_foundation(office: Office) -> None:
    office.endpoint("https://example.org/", "old")
    row = office.connection.execute("SELECT secret, format, links, group_wait_s FROM endpoint").fetchone()
    assert row == (SECRET, "own", True, 0)
    (found,) = endpoints.list_endpoints(office.connection)
    assert found.kinds == tuple(AlertKind)
    assert count(office.connection, "endpoint_secret") == 0


def test_cap_begins_a_new_story_where_the_old_one_was_cancelled(office: Office, mailbox: Mailbox) -> None:
    add(office, mailbox.url, format="cap")
    alert = office.raise_alert()
    office.work()
    for event in (Event.RETURN, Event.CONDITION, Event.LEVEL_FALL, Event.RETURN):
        now = alert_storage.get(office.connection, alert.alert_id)
        taken = step(now.state, alert_storage.is_active(now), event)
        assert taken is not None
        office.now += timedelta(seconds=1)
        alert_storage.change_alerts(
            office.connection,
            [alert_storage.Change(now, taken, now.level, taken.message)],
            office.now,
        )
        office.connection.commit()
        office.work()
    told = [ElementTree.fromstring(content) for _, content in mailbox.posts]
    kinds = [each.findtext(f"{{{NAMESPACE}}}msgType") for each in told]
    references = [len((each.findtext(f"{{{NAMESPACE}}}references") or "").split()) for each in told]
    assert kinds == ["Alert", "Cancel", "Alert", "Update", "Cancel"]
    assert references == [0, 1, 0, 1, 4], "what was cancelled is not updated; the end names all"


@pytest.mark.parametrize("scope", ["incident", "alert"])
def test_a_silent_gateway_is_told_to_every_scope(office: Office, mailbox: Mailbox, scope: str) -> None:
    add(office, mailbox.url, scope=scope)
    finding = Finding(
        Subject(SubjectKind.DEVICE, office.device),
        "silence.device",
        Level.YELLOW,
        office.now,
        office.now,
        {"title": {"en": "Silent", "zh": "离线"}},
    )
    opening = alert_storage.Opening(
        finding,
        "v1",
        AlertKind.MAINTENANCE,
        "sensor.offline",
    )
    alert_storage.raise_alerts(
        office.connection,
        [opening],
        office.now,
    )
    office.connection.commit()
    office.work()
    assert mailbox.types == ["sensor.offline"]
