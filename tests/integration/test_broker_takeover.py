"""What a device that has gone over to the enemy can do with its own, valid password: nothing to anybody else."""

import queue
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.consumer import session_name
from lifeline.embedded import Broker
from tests.api_process import until
from tests.conftest import PASSWORDS
from tests.integration.test_embedded_broker import READINGS, client, publish


def queue_up(broker: Broker, session: str, n: int) -> None:
    """A session of ingest that is away, with ``n`` acknowledged readings waiting for it."""
    group = f"$share/{session[:20]}/lifeline/v1/#"
    with client(broker, "ingest", session=session) as consumer:
        subscribed: queue.Queue[int] = queue.Queue()
        consumer.on_subscribe = lambda *_: subscribed.put(1)
        consumer.subscribe(group, qos=1)
        subscribed.get(timeout=60)
    with client(broker, "device-1") as device:
        for number in range(n):
            assert publish(device, READINGS, b"%d" % number) == "Success"


def drained(broker: Broker, session: str, wanted: int = 0) -> list[bytes]:
    """What waits in a session of ingest; what is ``wanted`` is waited for, and more than that for half a second."""
    heard: queue.Queue[bytes] = queue.Queue()
    with client(broker, "ingest", session=session, on_message=lambda message: heard.put(message.payload)):
        until(lambda: heard.qsize() >= wanted, "what waits in the session")
        time.sleep(0.5)
    return [heard.get() for _ in range(heard.qsize())]


def test_a_session_whose_name_is_known_can_be_emptied_which_is_why_it_is_a_secret(broker: Broker) -> None:
    """Mosquitto's own behaviour. Where a later one keeps the queue, ``session_name`` may go."""
    queue_up(broker, "known-name", 3)
    stolen: queue.Queue[bytes] = queue.Queue()
    with client(broker, "device-2", session="known-name", on_message=lambda message: stolen.put(message.payload)):
        time.sleep(0.3)
    assert stolen.empty(), "not even then may a device read"
    assert drained(broker, "known-name") == []


def test_a_device_that_knows_the_setting_finds_no_session_and_empties_none(broker: Broker) -> None:
    session = session_name("lifeline-ingest-takeover", PASSWORDS["ingest"])
    queue_up(broker, session, 3)
    for guess in ("lifeline-ingest-takeover", session_name("lifeline-ingest-takeover", PASSWORDS["device-2"])):
        with client(broker, "device-2", session=guess):
            time.sleep(0.1)
    assert drained(broker, session, 3) == [b"0", b"1", b"2"]


@pytest.mark.parametrize("topic", ["$SYS/#", "#", "$share/lifeline/lifeline/v1/#", "lifeline/v1/+/+/status"])
def test_no_subscription_tells_a_device_anything(topic: str, broker: Broker) -> None:
    """Neither the broker's own topics, which name sessions, nor what others say."""
    heard: queue.Queue[bytes] = queue.Queue()
    with client(broker, "device-2", on_message=lambda message: heard.put(message.payload)) as spy:
        spy.subscribe(topic, options=SubscribeOptions(qos=1))
        with client(broker, "device-1") as device:
            assert publish(device, READINGS) == "Success"
            assert publish(device, "lifeline/v1/gas/device-1/status", b"online") == "Success"
        time.sleep(0.2)
    assert heard.empty()


@given(
    st.text(alphabet=string.ascii_lowercase + "-", min_size=1, max_size=30),
    st.text(min_size=1, max_size=40),
    st.text(min_size=1, max_size=40),
)
def test_the_session_of_a_consumer_stays_the_same_and_depends_on_the_password(
    client_id: str, password: str, other: str
) -> None:
    name = session_name(client_id, password)
    assert name == session_name(client_id, password)
    assert name.startswith(f"{client_id}-")
    assert len(name) == len(client_id) + 33
    assert (name == session_name(client_id, other)) == (password == other)


def test_consumers_of_one_password_have_sessions_of_their_own() -> None:
    first, second = session_name("ingest-1", "secret"), session_name("ingest-2", "secret")
    assert first.removeprefix("ingest-1") != second.removeprefix("ingest-2")


def test_a_broker_without_passwords_gets_the_plain_name() -> None:
    assert session_name("lifeline-ingest", "") == "lifeline-ingest"
