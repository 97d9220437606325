"""Field links: what is written is read again, and nothing else is."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.fieldlink import Action, FieldLink, ForgedLinkError, actions_for, links_for, nonce_of, read, write
from lifeline.response import Step

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET, OTHER = "a" * 32, "b" * 32
LINK = FieldLink(42, Action.CONFIRMED, NOW + timedelta(hours=1), 7, "abcdefghijklmnop")


@given(
    st.integers(0, 10**18 - 1), st.sampled_from(Action), st.integers(0, 10**6), st.integers(0, 10**9 - 1),
    st.text("abcXYZ019_-", min_size=16, max_size=16),
)  # fmt: skip
def test_what_is_written_is_read_again(alert: int, action: Action, hours: int, endpoint: int, nonce: str) -> None:
    link = FieldLink(alert, action, NOW + timedelta(hours=hours), endpoint, nonce)
    assert read([OTHER, SECRET], write(SECRET, link)) == link


@given(st.integers(0, 200), st.characters())
def test_a_link_that_was_changed_anywhere_is_forged(place: int, character: str) -> None:
    token = write(SECRET, LINK)
    changed = token[: place % len(token)] + character + token[place % len(token) + 1 :]
    if changed != token:
        with pytest.raises(ForgedLinkError):
            read([SECRET], changed)


@given(st.text(max_size=200))
def test_text_that_nobody_signed_is_forged(text: str) -> None:
    with pytest.raises(ForgedLinkError):
        read([SECRET], text)


def test_a_link_is_good_for_nothing_else() -> None:
    """Another alert, another action, another time, another signer: each needs a signature of its own."""
    token = write(SECRET, LINK)
    signature = token.rpartition(".")[2]
    for other in (
        FieldLink(43, LINK.action, LINK.expires_at, 7, LINK.nonce),
        FieldLink(42, Action.FALSE_ALARM, LINK.expires_at, 7, LINK.nonce),
        FieldLink(42, LINK.action, LINK.expires_at + timedelta(days=9), 7, LINK.nonce),
        FieldLink(42, LINK.action, LINK.expires_at, 8, LINK.nonce),
    ):
        with pytest.raises(ForgedLinkError):
            read([SECRET], write(SECRET, other).rpartition(".")[0] + "." + signature)
    with pytest.raises(ForgedLinkError):
        read([OTHER], token)
    with pytest.raises(ForgedLinkError):
        read([], token)


def test_a_link_expires_on_the_second() -> None:
    assert not LINK.expired(LINK.expires_at - timedelta(seconds=1))
    assert LINK.expired(LINK.expires_at)


def test_the_nonce_is_of_the_message_the_endpoint_and_the_action_and_secret() -> None:
    nonces = {
        nonce_of(secret, message, endpoint, action)
        for secret in (SECRET, OTHER)
        for message in ("msg_1", "msg_2")
        for endpoint in (1, 2)
        for action in Action
    }
    assert len(nonces) == 2 * 2 * 2 * len(Action)
    assert all(re.fullmatch("[A-Za-z0-9_-]{16}", nonce) for nonce in nonces)


@pytest.mark.parametrize(("state", "step", "actions"), [
    ("UNACK", "received", ["acknowledge", "confirmed", "false_alarm"]),
    ("ACKED", "received", ["confirmed", "false_alarm"]),
    ("ACKED", "confirmed", ["dispatched", "false_alarm"]),
    ("ACKED", "dispatched", ["on_site", "false_alarm"]),
    ("ACKED", "on_site", ["handled", "false_alarm"]),
    ("ACKED", "handled", ["feed_back"]),
    ("ACKED", "false_alarm", ["feed_back"]),
    ("ACKED", "fed_back", []),
    ("RTNUN", "confirmed", ["acknowledge", "dispatched", "false_alarm"]),
    ("NORM", "received", []),
])  # fmt: skip
def test_a_message_offers_what_can_be_done_next(state: str, step: str, actions: list[str]) -> None:
    data = {"alert_id": 42, "state": state, "response": {"step": step, "team": ""}}
    assert actions_for(data) == actions
    assert all(action != Step.RECEIVED for action in actions)


def test_what_is_no_alert_has_no_links() -> None:
    assert actions_for({"alert_id": None}) == []
    assert actions_for({"alert_id": 42, "state": "UNACK"})[0] is Action.ACKNOWLEDGE


def test_links_run_from_the_time_of_the_message_and_are_the_same_in_every_attempt() -> None:
    body = {"timestamp": NOW.isoformat(), "data": {"alert_id": 42, "state": "UNACK"}}
    links = links_for(SECRET, "https://city.example", "msg_1", 7, body, timedelta(hours=24))
    assert links == links_for(SECRET, "https://city.example", "msg_1", 7, body, timedelta(hours=24))
    for action, url in links.items():
        link = read([SECRET], url.removeprefix("https://city.example/field/"))
        assert (link.alert_id, link.action, link.expires_at) == (42, action, NOW + timedelta(hours=24))
