"""A private Mosquitto: who may log in and do what, and what survives a kill."""

import queue
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lifeline.embedded import Broker
from lifeline.embedded.acl import acl
from tests.api_process import until
from tests.conftest import PASSWORDS

READINGS = "lifeline/v1/gas/device-1/readings"
SHARED = "$share/ingest/lifeline/v1/#"


@contextmanager
def client(
    broker: Broker,
    name: str,
    password: str | None = None,
    session: str = "",
    on_message: Callable[[mqtt.MQTTMessage], None] = lambda _message: None,
) -> Iterator[mqtt.Client]:
    """A connected MQTT 5 client; ``session`` names one that is kept. Raises PermissionError when refused."""
    answers: queue.Queue[mqtt.ReasonCode] = queue.Queue()
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, session or "", protocol=mqtt.MQTTv5)
    made.username_pw_set(name, PASSWORDS[name] if password is None else password)
    made.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(reason)
    made.on_message = lambda _client, _data, message: on_message(message)  # before what was queued arrives
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600 if session else 0
    made.connect(broker.host, broker.port, clean_start=not session, properties=properties)
    made.loop_start()
    try:
        answer = answers.get(timeout=60)
        if answer.is_failure:
            raise PermissionError(str(answer))
        yield made
    finally:
        made.disconnect()
        made.loop_stop()


def publish(publisher: mqtt.Client, topic: str, payload: bytes = b"{}") -> str:
    """Publishes at QoS 1 and returns what the broker answered."""
    answers: queue.Queue[str] = queue.Queue()
    publisher.on_publish = lambda _client, _data, _mid, reason, _properties: answers.put(str(reason))
    publisher.publish(topic, payload, qos=1)
    return answers.get(timeout=60)


@contextmanager
def listening(
    broker: Broker, name: str, topic: str, password: str | None = None
) -> Iterator["queue.Queue[mqtt.MQTTMessage]"]:
    """Messages as they arrive at a subscriber."""
    heard: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
    subscribed = threading.Event()
    with client(broker, name, password, on_message=heard.put) as subscriber:
        subscriber.on_subscribe = lambda *_: subscribed.set()
        subscriber.subscribe(topic, qos=1)
        assert subscribed.wait(60)
        yield heard


def test_the_hashes_made_here_are_accepted_by_the_real_broker(broker: Broker) -> None:
    for name in PASSWORDS:
        with client(broker, name):
            pass


@pytest.mark.parametrize(("name", "password"), [("device-1", "wrong"), ("device-1", ""), ("stranger", "any"), ("", "")])
def test_a_wrong_password_is_refused(broker: Broker, name: str, password: str) -> None:
    with pytest.raises(PermissionError, match="Not authorized"), client(broker, name, password):
        pass


def test_what_a_device_publishes_reaches_ingest_through_a_shared_subscription(broker: Broker) -> None:
    with listening(broker, "ingest", SHARED) as heard, client(broker, "device-1") as device:
        assert publish(device, READINGS, b"one") == "Success"
        assert heard.get(timeout=60).payload == b"one"


@pytest.mark.parametrize(
    "topic",
    [
        "lifeline/v1/gas/device-2/readings",
        "lifeline/v1/gas/device-1/other",
        "lifeline/v1/gas/device-1",
        "lifeline/v2/gas/device-1/readings",
        "elsewhere",
    ],
)
def test_a_device_cannot_write_anothers_topic(broker: Broker, topic: str) -> None:
    with listening(broker, "ingest", SHARED) as heard, client(broker, "device-1") as device:
        assert publish(device, topic) == "Not authorized"
        assert publish(device, READINGS, b"allowed") == "Success"
        assert heard.get(timeout=60).payload == b"allowed"


def test_a_device_cannot_read_not_even_its_own(broker: Broker) -> None:
    with (
        listening(broker, "device-2", "#") as spied,
        listening(broker, "ingest", SHARED) as heard,
        client(broker, "device-1") as device,
        client(broker, "device-2") as self,
    ):
        publish(device, READINGS)
        publish(self, "lifeline/v1/water/device-2/status")
        heard.get(timeout=60)
        heard.get(timeout=60)
        assert spied.empty()


@pytest.mark.parametrize("topic", [READINGS, "lifeline/v1/gas/ingest/readings", "lifeline/v1/gas/ingest/status"])
def test_ingest_cannot_write(broker: Broker, topic: str) -> None:
    with client(broker, "ingest") as ingest:
        assert publish(ingest, topic) == "Not authorized"


def test_the_simulator_may_speak_for_every_device(broker: Broker) -> None:
    with listening(broker, "ingest", SHARED) as heard, client(broker, "simulator") as simulator:
        assert publish(simulator, "lifeline/v1/drainage/any/readings") == "Success"
        assert publish(simulator, "lifeline/v1/drainage/any/commands") == "Not authorized"
        assert heard.get(timeout=60).topic == "lifeline/v1/drainage/any/readings"


def test_users_and_acl_are_changed_without_a_restart(service_home: Path) -> None:
    with Broker(service_home, {"device-1": "old"}) as broker:
        process = broker.pid
        broker.reload(users={"device-1": "new"}, acl=acl() + "pattern write free\n")
        deadline = time.monotonic() + 60
        while True:
            try:
                with client(broker, "device-1", "new") as device:
                    assert publish(device, "free") in {"Success", "No matching subscribers"}
                break
            except PermissionError:
                assert time.monotonic() < deadline
        with pytest.raises(PermissionError), client(broker, "device-1", "old"):
            pass
        assert broker.pid == process


class Flood(threading.Thread):
    """Publishes numbered messages as fast as they are acknowledged, until the broker goes away."""

    def __init__(self, broker: Broker, start: int) -> None:
        super().__init__()
        self.acknowledged: list[int] = []
        self._numbers: dict[int, int] = {}
        self._next = start
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        self._client.username_pw_set("simulator", PASSWORDS["simulator"])
        self._client.on_publish = self._on_publish
        self._client.on_connect = lambda *_: [self._publish() for _ in range(50)]
        self._client.connect(broker.host, broker.port)

    def _publish(self) -> None:
        self._numbers[self._client.publish(READINGS, str(self._next).encode(), qos=1).mid] = self._next
        self._next += 1

    def _on_publish(self, _client: mqtt.Client, _data: object, mid: int, *_: object) -> None:
        self.acknowledged.append(self._numbers[mid])
        self._publish()

    def run(self) -> None:
        self._client.loop_forever()


def drained(broker: Broker, idle_s: float, expected: Collection[int] = ()) -> set[int]:
    """Every message of the kept session, taken and acknowledged; a minute is waited for those that must come."""
    deadline = time.monotonic() + 60
    heard: queue.Queue[int] = queue.Queue()
    numbers = set()
    with client(
        broker, "ingest", session="kept", on_message=lambda message: heard.put(int(message.payload))
    ) as subscriber:
        subscribed = threading.Event()
        subscriber.on_subscribe = lambda *_: subscribed.set()
        subscriber.subscribe(SHARED, qos=1)
        assert subscribed.wait(60)
        while True:
            try:
                numbers.add(heard.get(timeout=idle_s))
            except queue.Empty:
                if numbers.issuperset(expected) or time.monotonic() > deadline:
                    return numbers


def test_no_acknowledged_message_is_lost_when_the_broker_is_killed(service_home: Path) -> None:
    users = {name: PASSWORDS[name] for name in ("ingest", "simulator")}
    dice = random.Random(1)
    with Broker(service_home, users) as broker:
        assert broker.durability == "message", "Debian's plug-in has changed: see docs/decisions/0002"
        drained(broker, 0.3)
        total = 0
        for kill in range(8):
            floods = [Flood(broker, kill * 1_000_000 + n * 100_000) for n in range(3)]
            for flood in floods:
                flood.start()
            until(lambda: all(len(flood.acknowledged) > 10 for flood in floods), "a flood")  # noqa: B023
            time.sleep(dice.uniform(0.1, 0.4))
            broker.kill()
            for flood in floods:
                flood.join()
            broker.start()
            acknowledged = {number for flood in floods for number in flood.acknowledged}
            total += len(acknowledged)
            assert acknowledged - drained(broker, 0.7, acknowledged) == set()
        assert total > 100


FOR_NOBODY = "No matching subscribers"
"""Reason 16 of MQTT 5: acknowledged, and kept for nobody. A publisher that reads it may send again."""


@pytest.mark.parametrize(
    ("durable", "topic", "answer"),
    [
        (False, "lifeline/v1/+/+/readings", "Success"),
        (False, SHARED, FOR_NOBODY),
        (True, SHARED, "Success"),
    ],
)
def test_after_a_restart_snapshots_know_ordinary_subscriptions_and_the_plug_in_shared_ones_too(
    service_home: Path, durable: bool, topic: str, answer: str
) -> None:
    """Why ingest is alone on its subscription where the broker writes snapshots (docs/decisions/0002)."""
    heard: queue.Queue[bytes] = queue.Queue()
    with Broker(service_home, {name: PASSWORDS[name] for name in ("ingest", "simulator")}, durable=durable) as broker:
        with client(broker, "ingest", session="away") as consumer:
            subscribed = threading.Event()
            consumer.on_subscribe = lambda *_: subscribed.set()
            consumer.subscribe(topic, qos=1)
            assert subscribed.wait(60)
        with client(broker, "simulator") as simulator:
            assert publish(simulator, READINGS, b"before") == "Success"
        broker.stop()
        broker.start()
        with client(broker, "simulator") as simulator:
            assert publish(simulator, READINGS, b"after") == answer
        with client(broker, "ingest", session="away", on_message=lambda message: heard.put(message.payload)):
            assert heard.get(timeout=60) == b"before"
            if answer == "Success":
                assert heard.get(timeout=60) == b"after"
            else:
                with pytest.raises(queue.Empty):
                    heard.get(timeout=0.3)


def test_without_durability_an_orderly_stop_still_keeps_the_queue(service_home: Path) -> None:
    users = {name: PASSWORDS[name] for name in ("ingest", "simulator")}
    with Broker(service_home, users, durable=False) as broker:
        assert broker.durability == "snapshot"
        drained(broker, 0.3)
        with client(broker, "simulator") as simulator:
            assert publish(simulator, READINGS, b"5") == "Success"
    with Broker(service_home, users, durable=False) as broker:
        assert drained(broker, 0.5, {5}) == {5}
