"""The way from the socket to a batch and back to an acknowledgement, without a broker."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batch import Batch
from ingest.consumer import FULL_BYTES, Consumer, Subscriptions, session_name
from ingest.fastpaho import BufferedSocket, FastClient, MalformedPacketError, packet_end
from ingest.metrics import Metrics
from lifeline import wire
from lifeline.settings import Settings

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
Message = tuple[bytes, bytes, int, int]
"""Topic, payload, packet id, and the bits DUP (8) and RETAIN (1)."""


def length_of(number: int) -> bytes:
    """MQTT's variable byte integer."""
    told = b""
    while True:
        number, part = divmod(number, 128)
        told += bytes([part | (128 if number else 0)])
        if not number:
            return told


def publish(message: Message, properties: bytes = b"") -> bytes:
    topic, payload, mid, flags = message
    body = len(topic).to_bytes(2, "big") + topic + (mid.to_bytes(2, "big") if mid else b"")
    body += length_of(len(properties)) + properties + payload
    return bytes([0x30 | (2 if mid else 0) | flags]) + length_of(len(body)) + body


class Reader(FastClient):
    """Only the cutting of packets: no connection, and what was cut is kept."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def on_publishes(self, topics: list[bytes], payloads: list[bytes], mids: list[int], flags: dict[int, int]) -> None:
        marks = [flags.get(place, 0) & 9 for place in range(len(topics))]
        self.messages += zip(topics, payloads, mids, marks, strict=True)

    def __del__(self) -> None:
        """paho's own closes a connection, which there is none of."""


@contextmanager
def wires() -> Iterator[tuple[BufferedSocket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        yield BufferedSocket(near), far


def read_in_pieces(data: bytes, cuts: list[int]) -> list[Message]:
    reader = Reader()
    with wires() as (stream, far):
        for start, stop in pairwise(sorted({0, len(data), *cuts})):
            far.sendall(data[start:stop])
            assert stream.receive()
            reader._handle(stream)
        assert stream.position == len(stream.data)
    return reader.messages


STREAM: list[tuple[Message, bytes]] = [
    ((b"lifeline/v1/gas/d1/readings", b'{"ts":1,"v":{"methane":1}}', 1, 0), b""),
    ((b"t", b"", 65_535, 8), b""),
    ((b"\xe7\x94\xb2", b"\x00\x30\x32\xff", 0, 1), b"\x26\x00\x01k\x00\x01v"),
    ((b"t" * 130, b"x" * 70, 258, 9), b"\x03\x00\x80" + b"c" * 128),
    ((b"last", b"y", 7, 0), b"\x01\x01"),
]
BYTES = b"".join(publish(message, properties) for message, properties in STREAM)


def test_a_stream_that_is_cut_at_any_one_byte_gives_the_same_messages() -> None:
    for cut in range(len(BYTES) + 1):
        assert read_in_pieces(BYTES, [cut]) == [message for message, _ in STREAM], cut


def test_a_stream_that_comes_byte_by_byte_gives_the_same_messages() -> None:
    assert read_in_pieces(BYTES, list(range(len(BYTES)))) == [message for message, _ in STREAM]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.binary(max_size=6), st.binary(max_size=300), st.integers(0, 65_535), st.sampled_from([0, 1, 8, 9])
        ),
        max_size=6,
    ),
    st.lists(st.integers(0, 2000), max_size=6),
)
def test_any_messages_in_any_pieces_come_out_as_they_went_in(messages: list[Message], cuts: list[int]) -> None:
    data = b"".join(publish(message) for message in messages)
    assert read_in_pieces(data, [cut for cut in cuts if cut < len(data)]) == messages


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40), st.sampled_from([b"", publish(STREAM[0][0])]))
def test_rubbish_is_an_error_or_waits_and_never_costs_the_message_before_it(rubbish: bytes, before: bytes) -> None:
    reader, stream = Reader(), BufferedSocket(None)
    stream.data = before
    reader._cut(stream)
    kept = list(reader.messages)
    stream.data += b"\x32" + rubbish
    with suppress(MalformedPacketError):
        reader._cut(stream)
    assert reader.messages[: len(kept)] == kept
    assert len(before) <= stream.position <= len(stream.data)


@pytest.mark.parametrize("body", [b"\x00\x01t\x00", b"\x00\x01t", b"\x00\x00\x01", b"\x00\x01t\x00\x01"])
def test_a_message_that_wants_an_answer_and_ends_within_its_packet_id_is_no_mqtt(body: bytes) -> None:
    for after in (b"", b"\xd0\x00", publish(STREAM[0][0])):
        reader, stream = Reader(), BufferedSocket(None)
        stream.data = b"\x32" + length_of(len(body)) + body + after
        with pytest.raises(MalformedPacketError):
            reader._cut(stream)
        assert reader.messages == []


@pytest.mark.parametrize("first", [0x34, 0x35, 0x3C, 0x20, 0x90, 0xD0, 0xE0])
def test_other_packets_and_messages_of_qos_2_are_left_in_the_buffer_for_paho(first: int) -> None:
    reader, stream = Reader(), BufferedSocket(None)
    stream.data = publish(STREAM[0][0]) + bytes([first, 2, 0, 0])
    reader._cut(stream)
    assert reader.messages == [STREAM[0][0]]
    assert stream.data[stream.position :] == bytes([first, 2, 0, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 268_435_455) | st.sampled_from([0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]))
def test_the_end_of_a_packet_is_told_from_every_length_that_mqtt_can_say(length: int) -> None:
    head = b"\x30" + length_of(length)
    assert packet_end(b"junk" + head + b"more", 4) == (4 + len(head), 4 + len(head) + length)
    for short in range(1, len(head)):
        assert packet_end(head[:short], 0)[1] == -1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.lists(st.integers(1, 60), max_size=30))
def test_a_buffered_socket_hands_on_every_byte_once_and_in_order(parts: list[bytes], sizes: list[int]) -> None:
    taken = b""
    with wires() as (stream, far):
        for part in parts:
            far.sendall(part)
            assert stream.receive()
            if sizes:
                taken += stream.recv(sizes.pop())
        while stream.position < len(stream.data):
            taken += stream.recv(7)
        with pytest.raises(BlockingIOError):
            stream.recv(1)
    assert taken == b"".join(parts)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.lists(st.integers(1, 100), min_size=1, max_size=12))
def test_parts_are_joined_as_soon_as_what_is_wanted_is_there_and_not_before(wanted: int, parts: list[int]) -> None:
    with wires() as (stream, far):
        stream.want(wanted)
        sent = 0
        for size in parts:
            far.sendall(b"x" * size)
            sent += size
            assert stream.receive()
            assert len(stream.data) == (sent if sent >= wanted else 0)


def test_a_socket_without_news_says_so_and_one_that_was_closed_says_that() -> None:
    with wires() as (stream, far):
        with pytest.raises(BlockingIOError):
            stream.receive()
        far.close()
        assert not stream.receive()


@pytest.mark.parametrize("error", [ssl.SSLWantReadError, ssl.SSLWantWriteError])
def test_a_tls_layer_that_waits_is_a_socket_without_news(error: type[OSError]) -> None:
    class Waiting:
        def recv(self, _size: int) -> bytes:
            raise error

        def pending(self) -> int:
            return 3

    stream = BufferedSocket(Waiting())
    with pytest.raises(BlockingIOError):
        stream.receive()
    assert stream.pending() == 3
    with wires() as (plain, _):
        assert plain.pending() == 0


# --- from messages to batches


class Bench:
    """A consumer that is fed by the test; ``given`` are the batches that it handed over, in order."""

    def __init__(self, **values: Any) -> None:
        self.given: list[Batch] = []
        consumer: Any = Consumer(
            Settings(**{"ingest_idle_ms": 0, "ingest_writers": 2} | values),
            Subscriptions.of([wire.READINGS_FILTER], set()),
            Metrics(),
            self.given.append,
            lambda: None,
            lambda: NOW,
        )
        self.answered: list[int] = []
        consumer._acknowledge = self.answered.extend
        self.consumer = consumer

    def feed(self, *mids: int, payload: bytes = b"{}", flags: dict[int, int] | None = None) -> None:
        self.consumer._take([b"t"] * len(mids), [payload] * len(mids), list(mids), flags or {})

    def online(self) -> "Bench":
        self.consumer._new_generation()
        self.consumer._online = True
        return self


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
def test_messages_are_acknowledged_in_the_order_of_arrival_whatever_the_order_of_commits(
    sizes: list[int], data: st.DataObject
) -> None:
    bench = Bench(ingest_writers=8).online()
    mids = iter(range(1, 100))
    for size in sizes:
        bench.feed(*(next(mids) for _ in range(size)))
        bench.consumer.finish()
    committed: set[int] = set()
    for place in data.draw(st.permutations(range(len(sizes)))):
        bench.given[place].done.set()
        committed.add(place)
        bench.consumer.acknowledge()
        ready = next((n for n in range(len(sizes)) if n not in committed), len(sizes))
        assert bench.answered == list(range(1, 1 + sum(sizes[:ready])))
    assert bench.consumer.idle


def test_a_message_of_qos_0_is_not_acknowledged() -> None:
    bench = Bench().online()
    bench.feed(1, 0, 2)
    bench.consumer.finish()
    bench.given[0].done.set()
    bench.consumer.acknowledge()
    assert bench.answered == [1, 2]


def test_what_came_on_an_earlier_connection_is_not_acknowledged_on_this_one() -> None:
    bench = Bench().online()
    bench.feed(1)
    bench.online()
    bench.feed(2)
    bench.consumer.finish()
    assert [batch.connection for batch in bench.given] == [1, 2]
    for batch in bench.given:
        batch.done.set()
    bench.consumer.acknowledge()
    assert bench.answered == [2]


def test_a_batch_of_the_next_connection_waits_until_those_of_the_last_are_committed() -> None:
    bench = Bench(ingest_batch_messages=1).online()
    bench.feed(1)
    bench.online()
    bench.feed(2)
    bench.consumer._flush(bench.consumer._collecting.born)
    assert len(bench.given) == 1
    bench.given[0].done.set()
    bench.consumer.acknowledge()
    bench.consumer._flush(bench.consumer._collecting.born)
    assert len(bench.given) == 2


def test_no_more_batches_are_under_way_than_there_are_writers() -> None:
    bench = Bench(ingest_batch_messages=1).online()
    for mid in (1, 2, 3):
        bench.feed(mid)
        bench.consumer._flush(bench.consumer._collecting.born)
    assert [batch.mids for batch in bench.given] == [[1], [2]]
    bench.given[1].done.set()
    bench.consumer.acknowledge()  # the first is not done: both still count
    bench.consumer._flush(bench.consumer._collecting.born)
    assert len(bench.given) == 2


def test_while_a_writer_is_at_work_a_batch_gathers_until_it_is_full_or_old() -> None:
    bench = Bench(ingest_batch_messages=3, ingest_batch_age_ms=1000).online()
    bench.feed(1)
    bench.consumer._flush(bench.consumer._collecting.born + 0.1)
    assert len(bench.given) == 1  # nobody was at work
    bench.feed(2, 3)
    bench.consumer._flush(bench.consumer._collecting.born + 0.9)
    assert len(bench.given) == 1
    bench.consumer._flush(bench.consumer._collecting.born + 1.0)
    assert bench.given[1].mids == [2, 3]


def test_a_batch_of_many_bytes_is_full_and_many_bytes_held_stop_the_reading() -> None:
    bench = Bench(ingest_max_pending=10).online()
    bench.feed(1)
    bench.consumer.finish()
    bench.feed(2, payload=b"x" * FULL_BYTES)
    bench.consumer._flush(bench.consumer._collecting.born)
    assert len(bench.given) == 2
    assert not bench.consumer._must_wait()
    bench.feed(*range(3, 11))
    assert bench.consumer._must_wait()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(1020, 1030)), min_size=1, max_size=4), max_size=5))
def test_marks_and_cuts_are_kept_by_the_place_of_their_message(reads: list[list[tuple[int, int]]]) -> None:
    bench = Bench(ingest_max_payload_bytes=1024).online()
    for read in reads:
        flags = {place: 0x32 | flag & 9 for place, (flag, _) in enumerate(read) if flag & 9}
        payloads = [b"x" * size for _, size in read]
        bench.consumer._take([b"t"] * len(read), payloads, [1] * len(read), flags)
    everything = [each for read in reads for each in read]
    batch: Batch = bench.consumer._collecting
    assert batch.redelivered == {place for place, (flag, _) in enumerate(everything) if flag & 8}
    assert batch.retained == {place for place, (flag, _) in enumerate(everything) if flag & 1}
    assert batch.cut == {place: size for place, (_, size) in enumerate(everything) if size > 1024}
    assert [len(payload) for payload in batch.payloads] == [min(size, 1024) for _, size in everything]
    assert batch.size == sum(size for _, size in everything)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 10_000), max_size=40), st.integers(0, 50), st.integers(1, 2000))
def test_gathering_follows_the_commits_within_its_bounds(commits: list[float], idle: int, age: int) -> None:
    bench = Bench(ingest_idle_ms=idle, ingest_batch_age_ms=age)
    for commit_ms in commits:
        bench.consumer._adapt(commit_ms)
        assert max(idle, 1) <= bench.consumer._linger_ms <= max(age / 20, idle, 1)


def test_a_broker_whose_host_is_no_name_is_a_broker_that_is_away() -> None:
    bench = Bench(mqtt_host="broker..example")
    bench.consumer.step()
    assert not bench.consumer.subscribed
    assert bench.consumer.idle
    assert bench.consumer._next_attempt > bench.consumer._attempted


# --- parts of a batch, names


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 12), st.data())
def test_the_halves_of_a_batch_hold_every_message_with_its_marks_once(size: int, data: st.DataObject) -> None:
    places = st.sets(st.integers(0, size - 1))
    batch = Batch(
        3, [b"t%d" % n for n in range(size)], [b"p%d" % n for n in range(size)], list(range(size)),
        data.draw(places), data.draw(places), {place: place + 5000 for place in data.draw(places)},
        suspect=data.draw(st.booleans()), received_at=NOW,
    )  # fmt: skip
    middle = data.draw(st.integers(0, size))
    halves = [(0, batch.part(0, middle)), (middle, batch.part(middle, size))]
    assert [topic for _, half in halves for topic in half.topics] == batch.topics
    assert [payload for _, half in halves for payload in half.payloads] == batch.payloads
    assert [mid for _, half in halves for mid in half.mids] == batch.mids
    assert {start + place for start, half in halves for place in half.redelivered} == batch.redelivered
    assert {start + place for start, half in halves for place in half.retained} == batch.retained
    assert {start + place: n for start, half in halves for place, n in half.cut.items()} == batch.cut
    for _, half in halves:
        assert (half.connection, half.suspect, half.received_at) == (3, batch.suspect, NOW)
        assert not half.done.is_set()
        assert all(0 <= place < len(half) for place in half.redelivered | half.retained | half.cut.keys())


def test_a_session_is_named_by_who_has_the_password_and_stays_the_same() -> None:
    name = session_name("lifeline-ingest", "word")
    assert name == session_name("lifeline-ingest", "word")
    assert "word" not in name
    assert len({name, session_name("lifeline-ingest", "other"), session_name("second", "word")}) == 3
    assert session_name("lifeline-ingest", "") == "lifeline-ingest"


def test_readings_are_shared_among_consumers_and_what_is_not_wanted_any_more_is_given_up() -> None:
    found = Subscriptions.of(["a/#", "b/#"], {wire.shared("b/#"), wire.shared("c/#"), wire.STATUS_FILTER})
    assert found.wanted == [wire.shared("a/#"), wire.shared("b/#"), wire.STATUS_FILTER]
    assert found.obsolete == [wire.shared("c/#")]


@pytest.mark.parametrize("root", [wire.ROOT, wire.exercise_root(7)])
def test_a_consumer_alone_gives_up_the_shared_filter_that_it_held_and_back_again(root: str) -> None:
    """A session that held both would be sent each message twice."""
    topic = wire.readings_topic("+", "+", root)
    together = Subscriptions.of([topic], set(), root)
    alone = Subscriptions.of([topic], set(together.wanted), root, shared=False)
    assert alone.wanted == [topic, wire.status_topic("+", "+", root)]
    assert alone.obsolete == [wire.shared(topic)]
    assert Subscriptions.of([topic], set(alone.wanted), root) == Subscriptions(together.wanted, [topic])


def test_below_another_root_a_topic_is_read_as_the_contract_has_it_and_any_other_is_left_alone() -> None:
    root = wire.exercise_root(7)
    found = Subscriptions.of([wire.readings_topic("+", "+", root)], set(), root)
    assert found.wanted == [
        "$share/lifeline/lifeline-exercise/7/v1/+/+/readings",
        "lifeline-exercise/7/v1/+/+/status",
    ]
    bench = Bench(topic_root=root).online()
    topics = [wire.readings_topic("gas", "rtu-1", root), wire.readings_topic("gas", "rtu-1"), f"{root}x/gas/r/readings"]
    bench.consumer._take([topic.encode() for topic in topics], [b"{}"] * 3, [1, 2, 3], {})
    bench.consumer._flush(1e9)
    assert bench.given[0].topics == [b"lifeline/v1/gas/rtu-1/readings"] * 2 + [topics[2].encode()]
    assert wire.parse_topic(topics[0]) is None
