"""`lifeline load`: packets as the broker reads them, the rate over time, and a publisher that loses nothing."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline import wire
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import ServiceError
from lifeline.loading.drive import Drive
from lifeline.loading.packets import LEAST, NETWORK, PACKET_IDS, QUANTITY, SPREAD, Packets, channel_name, device_name
from lifeline.loading.profile import Profile
from lifeline.loading.publisher import WINDOW, Publisher

NOW_MS = 1_795_000_000_000


@dataclass(frozen=True)
class Message:
    """One PUBLISH packet, taken apart by the letter of the specification."""

    topic: str
    packet_id: int
    ts: int
    values: dict[str, float]
    seq: int


def taken_apart(data: bytes) -> Iterator[Message]:
    while data:
        assert data[0] == 0x32  # PUBLISH, QoS 1
        length, place, shift = 0, 1, 0
        while True:
            length |= (data[place] & 127) << shift
            shift, place = shift + 7, place + 1
            if not data[place - 1] & 128:
                break
        body, data = data[place : place + length], data[place + length :]
        size = int.from_bytes(body[:2], "big")
        content = json.loads(body[size + 4 :])
        yield Message(
            body[2 : 2 + size].decode(), int.from_bytes(body[size + 2 : size + 4], "big"), content["ts"], content["v"],
            content["seq"],
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- packets


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 8), st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_every_packet_is_one_message_of_the_wire_contract(devices: int, channels: int, blocks: list[int]) -> None:
    packets, found = Packets(devices, channels), list[Message]()
    for number, count in enumerate(blocks):
        found += taken_apart(packets.next(count, NOW_MS + 100 * number))
    assert len(found) == sum(blocks) == packets.messages
    for number, message in enumerate(found):
        parsed = wire.parse_topic(message.topic)
        assert parsed is not None
        assert (parsed.network, parsed.device, parsed.leaf) == (NETWORK, device_name(number % devices), "readings")
        assert list(message.values) == [channel_name(n) for n in range(channels)]
        assert message.packet_id == number % PACKET_IDS + 1
    total = round(sum(1000 * value for message in found for value in message.values.values()))
    assert total == packets.thousandths


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), min_size=1, max_size=8))
def test_no_two_messages_of_a_device_have_the_same_time_or_sequence(
    devices: int, blocks: list[tuple[int, int]]
) -> None:
    packets, now, own = Packets(devices, 1), NOW_MS, dict[str, list[Message]]()
    for count, later in blocks:
        now += later
        for message in taken_apart(packets.next(count, now)):
            own.setdefault(message.topic, []).append(message)
    for messages in own.values():
        assert all(a.ts < b.ts for a, b in pairwise(messages))
        assert all(a.seq + 1 == b.seq for a, b in pairwise(messages))


def test_values_lie_in_the_physical_range_and_change_from_reading_to_reading() -> None:
    quantity = shipped_catalogue().quantities[QUANTITY]
    packets = Packets(1, 3)
    found = list(taken_apart(packets.next(2_000, NOW_MS)))
    for message in found:
        assert all(quantity.low <= value <= quantity.high for value in message.values.values())
    assert all(a.values != b.values for a, b in pairwise(found))
    assert max(v for m in found for v in m.values.values()) <= (LEAST + SPREAD) / 1000


def test_names_are_names_of_the_wire_contract() -> None:
    assert wire.is_identifier(device_name(1_999_999))
    assert wire.is_channel(channel_name(199))
    assert channel_name(7).partition(".")[0] in shipped_catalogue().quantities


def test_packet_ids_begin_anew_and_are_never_zero() -> None:
    packets = Packets(10, 1)
    packets.messages = PACKET_IDS - 2
    found = list(taken_apart(packets.next(4, NOW_MS)))
    assert [message.packet_id for message in found] == [PACKET_IDS - 1, PACKET_IDS, 1, 2]
    assert WINDOW < PACKET_IDS


# ------------------------------------------------------------------------------------------------------- profile


@given(st.floats(1, 1e5), st.floats(1, 1000), st.floats(0, 1), st.floats(0, 2000), st.floats(0, 2000))
def test_what_is_due_never_falls_and_stops_at_the_end(
    rate: float, seconds: float, ramp: float, one: float, other: float
) -> None:
    profile = Profile(rate, seconds, ramp * seconds)
    early, late = sorted((one, other))
    assert 0 <= profile.due(early) <= profile.due(late)
    assert profile.due(seconds) == profile.due(seconds + 100)
    assert profile.due(late) <= rate * late + 1e-6


def test_an_even_rate_is_even_and_a_ramp_brings_half_as_much() -> None:
    assert Profile(100, 60).due(30) == 3000
    assert Profile(100, 60, ramp_s=20).due(20) == pytest.approx(1000)
    assert Profile(100, 60, ramp_s=20).due(60) == pytest.approx(5000)


def test_an_outage_lies_in_the_middle_and_what_was_due_waits() -> None:
    profile = Profile(100, 60, outage_s=20)
    assert [profile.silent(since) for since in (0, 19, 20, 39, 40, 59)] == [False, False, True, True, False, False]
    assert profile.due(40) == 4000
    assert not Profile(100, 60).silent(30)


def test_flat_out_is_always_due_until_the_end() -> None:
    assert Profile(0, 10).due(5) > 1e8
    assert Profile(0, 10).due(10) == 0


# ----------------------------------------------------------------------------------------------------- publisher


@dataclass
class Listener:
    """The broker's end of the wire: keeps every message, and can hang up in the middle of one."""

    server: socket.socket
    messages: list[Message] = field(default_factory=list)
    hang_up_after: list[int] = field(default_factory=list)
    acknowledge: bool = True
    refuse: bool = False

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                stream, _ = self.server.accept()
            except OSError:
                return
            with stream:
                self._session(stream)

    def _session(self, stream: socket.socket) -> None:
        stream.recv(1000)
        stream.sendall(b"\x20\x02\x00\x05" if self.refuse else b"\x20\x02\x00\x00")
        left = self.hang_up_after.pop(0) if self.hang_up_after else 10**9
        data = b""
        while True:
            try:
                part = stream.recv(1 << 16)
            except OSError:
                return
            if not part:
                return
            data += part
            while (size := _size(data)) and data[0] == 0x32:
                (message,) = taken_apart(data[:size])
                self.messages.append(message)
                data = data[size:]
                left -= 1
                if left <= 0:
                    return
                if self.acknowledge:
                    stream.sendall(b"\x40\x02" + message.packet_id.to_bytes(2, "big"))


def _size(data: bytes) -> int:
    """Length of the first packet, 0 where it is not whole."""
    length, place, shift = 0, 1, 0
    while place < len(data):
        length |= (data[place] & 127) << shift
        shift, place = shift + 7, place + 1
        if not data[place - 1] & 128:
            return place + length if len(data) >= place + length else 0
    return 0


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = socket.create_server(("127.0.0.1", 0))
    made = Listener(server)
    threading.Thread(target=made.serve, daemon=True).start()
    yield made
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def turn_until(publisher: Publisher, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        publisher.turn(0.01)


def test_everything_is_sent_in_order_and_acknowledged(listener: Listener) -> None:
    packets, publisher = Packets(7, 2), Publisher("127.0.0.1", listener.port, "u", "p")
    turn_until(publisher, lambda: publisher.room > 0)
    publisher.send(packets.next(500, NOW_MS), 500)
    turn_until(publisher, lambda: publisher.acknowledged == 500)
    assert publisher.unacknowledged == 0
    assert [message.packet_id for message in listener.messages] == list(range(1, 501))
    publisher.close()


@pytest.mark.parametrize("hang_up", [[1], [37], [100, 1, 200], [499]])
def test_what_was_not_acknowledged_is_sent_again_on_the_next_connection(listener: Listener, hang_up: list[int]) -> None:
    listener.hang_up_after = list(hang_up)
    packets, publisher = Packets(7, 1), Publisher("127.0.0.1", listener.port, "u", "p")
    for _ in range(5):
        turn_until(publisher, lambda: publisher.room > 0)
        publisher.send(packets.next(100, NOW_MS), 100)
    turn_until(publisher, lambda: publisher.unacknowledged == 0)
    assert {message.packet_id for message in listener.messages} == set(range(1, 501))
    assert publisher.acknowledged == 500
    assert publisher.connections == len(hang_up) + 1
    assert publisher.sent_again >= 1
    publisher.close()


def test_without_room_nothing_more_may_be_sent(listener: Listener) -> None:
    listener.acknowledge = False
    packets, publisher = Packets(100, 1), Publisher("127.0.0.1", listener.port, "u", "p")
    assert publisher.room == 0  # not connected
    turn_until(publisher, lambda: publisher.room > 0)
    publisher.send(packets.next(WINDOW, NOW_MS), WINDOW)
    assert publisher.room == 0
    turn_until(publisher, lambda: len(listener.messages) == WINDOW)
    assert publisher.room == 0
    publisher.close()


def test_a_broker_that_is_not_there_is_waited_for() -> None:
    publisher = Publisher("127.0.0.1", 1, "u", "p")
    publisher.turn(0.01)
    assert publisher.connections == 0
    publisher.close()


def test_a_refused_user_is_an_error_and_no_endless_loop(listener: Listener) -> None:
    listener.refuse = True
    with pytest.raises(ServiceError, match="refuses 'u': code 5"):
        turn_until(Publisher("127.0.0.1", listener.port, "u", "p"), lambda: False)


def test_a_drive_offers_what_is_due_and_ends_when_the_broker_has_it_all(listener: Listener) -> None:
    packets, publisher = Packets(50, 1), Publisher("127.0.0.1", listener.port, "u", "p")
    drive = Drive(packets, publisher, Profile(2_000, 1.0, ramp_s=0.2, outage_s=0.3))
    drive.start()
    drive.join(60)
    assert not drive.is_alive()
    assert drive.failure is None
    assert packets.messages == pytest.approx(1_800, abs=2)
    assert len({(message.topic, message.ts) for message in listener.messages}) == packets.messages


def test_a_drive_that_is_refused_tells_why(listener: Listener) -> None:
    listener.refuse = True
    drive = Drive(Packets(5, 1), Publisher("127.0.0.1", listener.port, "u", "p"), Profile(100, 1))
    drive.start()
    drive.join(60)
    assert isinstance(drive.failure, ServiceError)
