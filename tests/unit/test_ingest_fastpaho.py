"""The fast reader against the paho release in use: the names it needs, and the same messages as paho's parser."""

import inspect
import socket
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from ingest import fastpaho
from ingest.fastpaho import FastClient

Message = tuple[bytes, bytes, int, int]
"""Topic, payload, packet id, and the bits DUP (8) and RETAIN (1)."""
CONNACK = b"\x20\x03\x00\x00\x00"
PINGRESP = b"\xd0\x00"


def packet(first: int, body: bytes) -> bytes:
    length, size = len(body), b""
    while True:
        length, part = divmod(length, 128)
        size += bytes([part | (128 if length else 0)])
        if not length:
            return bytes([first]) + size + body


def publish(topic: bytes, payload: bytes, mid: int, flags: int = 0, properties: bytes = b"") -> bytes:
    qos = 2 if mid else 0
    name = len(topic).to_bytes(2, "big") + topic
    return packet(
        0x30 | qos | flags, name + (mid.to_bytes(2, "big") if mid else b"") + packet(0, properties)[1:] + payload
    )


class Session:
    """A client on one end of a socket pair; the test is the broker on the other."""

    def __init__(self, kind: type[Client]) -> None:
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
        self.messages: list[Message] = []
        near = self.near

        class Wired(kind):  # type: ignore[valid-type, misc]
            def _create_socket_connection(self) -> socket.socket:
                return near

        self.client: Any = Wired(
            CallbackAPIVersion.VERSION2, "test", protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        self.client.on_message = self._on_message
        self.client.on_publishes = self._on_publishes
        self.client.connect("broker.invalid", clean_start=False)
        self.connect_packet = self.far.recv(1000)
        self.say(CONNACK)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        flags = message.dup << 3 | message.retain
        self.messages.append((message._topic, bytes(message.payload), message.mid if message.qos else 0, flags))

    def _on_publishes(self, topics: list[bytes], payloads: list[bytes], mids: list[int], flags: dict[int, int]) -> None:
        marks = [flags.get(place, 0) & 9 for place in range(len(topics))]
        self.messages += zip(topics, payloads, mids, marks, strict=True)

    def say(self, data: bytes, *, turns: int = 3) -> MQTTErrorCode:
        self.far.sendall(data)
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        for _ in range(turns):
            result = self.client.loop(timeout=0)
            if result:
                break
        return result

    def close(self) -> None:
        self.client.on_disconnect = None
        self.client.disconnect()
        self.client._reset_sockets()
        self.near.close()
        self.far.close()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastpaho, "PAUSE_S", 0.0)


def heard(kind: type[Client], data: bytes, cuts: list[int], turns: int) -> list[Message]:
    """What the client makes of ``data``, sent in pieces."""
    session = Session(kind)
    try:
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for start, stop in pairwise(edges):
            session.say(data[start:stop], turns=turns)
        return session.messages
    finally:
        session.close()


def test_paho_still_has_what_the_fast_reader_relies_on() -> None:
    for name in ("_create_socket", "_packet_read", "_loop_rc_handle", "_packet_queue", "_loop", "loop_read"):
        assert callable(getattr(Client, name)), name
    client = Client(CallbackAPIVersion.VERSION2)
    assert client._sock is None
    assert hasattr(client._msgtime_mutex, "__enter__")
    assert isinstance(client._last_bytes_received, float)
    assert list(inspect.signature(Client._packet_queue).parameters)[1:5] == ["command", "packet", "mid", "qos"]
    assert list(inspect.signature(Client.loop_read).parameters) == ["self", "max_packets"]
    loop = inspect.getsource(Client._loop)
    assert "self.loop_read()" in loop
    assert "self._sock.pending()" in loop
    assert "self._create_socket()" in inspect.getsource(Client.reconnect)
    assert "_sock_recv" in inspect.getsource(Client._packet_read)
    assert inspect.getmodule(Client).time_func is time.monotonic  # type: ignore[union-attr]


messages = st.tuples(
    st.text(alphabet="abc/\u7532", min_size=1, max_size=20).map(str.encode),
    st.one_of(st.binary(max_size=60), st.integers(100, 40_000).map(lambda n: b"x" * n)),
    st.integers(0, 65_535),
    st.sampled_from([0, 1, 8, 9]),
).map(lambda m: m if m[2] else (m[0], m[1], 0, m[3] & 1))  # QoS 0 has no DUP
properties = st.sampled_from(
    [b"", b"\x01\x01", b"\x02\x00\x00\x00\x09", b"\x26\x00\x01k\x00\x01v", b"\x03\x00\x80" + b"t" * 128]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(messages, properties, st.booleans()), max_size=12),
    st.lists(st.integers(0, 1_000_000), max_size=4),
)
def test_any_stream_in_any_pieces_gives_what_paho_gives(
    stream: list[tuple[Message, bytes, bool]], cuts: list[int]
) -> None:
    data = b"".join(
        publish(*message, properties=extra) + (PINGRESP if ping else b"") for message, extra, ping in stream
    )
    fast = heard(FastClient, data, cuts, 3)
    assert fast == [message for message, _, _ in stream]
    assert fast == heard(Client, data, cuts, 2 * len(stream) + 8)


def test_a_packet_of_several_megabytes_comes_in_many_reads() -> None:
    session = Session(FastClient)
    try:
        payload = bytes(range(256)) * 40_000
        data = publish(b"t", b"before", 1) + publish(b"t", payload, 2) + publish(b"t", b"after", 3)
        for start in range(0, len(data), 300_000):
            assert session.say(data[start : start + 300_000], turns=4) == 0
        assert [len(m[1]) for m in session.messages] == [6, len(payload), 5]
        assert session.messages[1][1] == payload
    finally:
        session.close()


def test_the_acknowledgements_of_a_batch_are_one_send_of_four_bytes_each() -> None:
    session = Session(FastClient)
    try:
        assert session.client.acknowledge([1, 258, 65_535]) == 0
        assert session.far.recv(1000) == b"\x40\x02\x00\x01\x40\x02\x01\x02\x40\x02\xff\xff"
        assert session.client.acknowledge([]) == 0
    finally:
        session.close()


def test_no_topic_alias_is_announced_so_none_can_come() -> None:
    session = Session(FastClient)
    try:
        assert b"\x22" not in session.connect_packet[10:16]
        properties_length = session.connect_packet[12]
        assert properties_length == 0
    finally:
        session.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\x32\xff\xff\xff\xff\x01",
        b"\x32\x04\x00\x09ab",
        b"\x32\x03\x00\x01t",
        b"\x32\x07\x00\x01t\x00\x01\x09x",
        b"\x30\x01\x00",
        b"\x00\x00",
    ],
)
def test_what_is_no_mqtt_ends_the_connection(data: bytes) -> None:
    session = Session(FastClient)
    try:
        assert session.say(data, turns=4) != MQTTErrorCode.MQTT_ERR_SUCCESS
        assert session.messages == []
    finally:
        session.close()


def test_the_end_of_the_stream_is_a_lost_connection_after_the_last_message() -> None:
    session = Session(FastClient)
    try:
        session.far.sendall(publish(b"t", b"last", 1))
        session.far.shutdown(socket.SHUT_WR)
        results = [session.client.loop(timeout=0.01) for _ in range(3)]
        assert MQTTErrorCode.MQTT_ERR_CONN_LOST in results
        assert session.messages == [(b"t", b"last", 1, 0)]
    finally:
        session.close()
