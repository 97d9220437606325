"""MQTT by hand over a raw socket: a publisher and a reader that cost next to nothing, to find the broker's own limit.

Run as a process: ``python -m tests.benchmarks.wire publish|read '{"port": ...}'``; prints one line of JSON at the end.
"""

import json
import select
import socket
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

WINDOW = 10_000
"""Unacknowledged messages of a publisher at most."""
BARE_READER = "bare-reader"
"""The session of the bare reader, which the broker keeps after it has gone: to be ended before the next part."""


def text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    length, size = len(body), b""
    while True:
        length, part = divmod(length, 128)
        size += bytes([part | (128 if length else 0)])
        if not length:
            return bytes([first]) + size + body


def publish(topic: str, payload: bytes, mid: int) -> bytes:
    """A PUBLISH of QoS 1 in MQTT 3.1.1 form."""
    return packet(0x32, text(topic) + mid.to_bytes(2, "big") + payload)


def connect(port: int, user: str, password: str, client_id: str, *, version: int, clean: bool) -> socket.socket:
    """A connected and accepted session; version 4 is MQTT 3.1.1, 5 is MQTT 5 with the largest receive maximum."""
    stream = socket.create_connection(("127.0.0.1", port))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    properties = b"\x08\x11\x00\x00\x0e\x10\x21\xff\xff" if version == 5 else b""  # session expiry, receive maximum
    flags = 0xC0 | (2 if clean else 0)
    body = text("MQTT") + bytes([version, flags]) + b"\x00\x00" + properties
    stream.sendall(packet(0x10, body + text(client_id) + text(user) + text(password)))
    answer = stream.recv(200)
    assert answer[0] == 0x20, answer
    assert answer[3] == 0, answer
    return stream


@dataclass
class Load:
    """What to publish: ``messages`` over ``devices``, each with these channels, ``rate`` a second (0: flat out).

    ``ts`` counts up from ``start_ms`` by one for each round of the devices, or is the time of sending with a rate.
    Every ``marker_every``-th message comes from the device ``marker``.
    """

    port: int
    password: str
    messages: int
    devices: int
    channels: list[str]
    start_ms: int
    rate: float = 0
    marker_every: int = 0
    connections: int = 2
    with_seq: bool = False


def encode(load: Load, first: int, last: int, start_ms: float) -> list[bytes]:
    """Messages ``first`` to ``last`` as packets."""
    topics = [f"lifeline/v1/gas/d{n}/readings" for n in range(load.devices)]
    values = [
        ",".join(f'"{channel}":{round(n * 0.37 % 4 + k * 0.01, 2)}' for k, channel in enumerate(load.channels))
        for n in range(load.devices)
    ]
    packets = []
    for i in range(first, last):
        device, mid = i % load.devices, i % 65_000 + 1
        seq = f',"seq":{i // load.devices}' if load.with_seq else ""
        topic, value = topics[device], values[device]
        if load.rate:
            ts = int(start_ms + i * 1000 / load.rate)
            if load.marker_every and i % load.marker_every == 0:
                topic, value = "lifeline/v1/gas/marker/readings", '"methane":1.0'
        else:
            ts = int(start_ms) + i // load.devices
        packets.append(publish(topic, b'{"ts":%d,"v":{%s}%s}' % (ts, value.encode(), seq.encode()), mid))
    return packets


def run_publisher(load: Load) -> dict[str, Any]:
    """Publishes all and waits for every PUBACK."""
    streams = [
        connect(load.port, "simulator", load.password, f"load-{n}-{load.start_ms}", version=4, clean=True)
        for n in range(load.connections)
    ]
    print(json.dumps({"ready": True}), flush=True)
    shares = np.linspace(0, load.messages, load.connections + 1).astype(int)
    if load.rate:
        return _at_a_rate(load, streams[0])
    blocks = []
    for first, last in pairwise(shares):
        packets = encode(load, first, last, load.start_ms)
        blocks.append(
            [(b"".join(packets[i : i + 250]), len(packets[i : i + 250])) for i in range(0, len(packets), 250)]
        )
    sys.stdin.readline()
    started = time.time()
    _pump(streams, blocks, load.messages)
    return {"started": started, "ended": time.time(), "messages": load.messages}


def _pump(streams: list[socket.socket], blocks: list[list[tuple[bytes, int]]], messages: int) -> None:
    sent, acked, next_block = [0] * len(streams), [0] * len(streams), [0] * len(streams)
    for stream in streams:
        stream.setblocking(False)
    rest = [b""] * len(streams)
    number = {stream: n for n, stream in enumerate(streams)}
    while sum(acked) < messages * 4:
        writers = [
            s
            for s, n in number.items()
            if rest[n] or (next_block[n] < len(blocks[n]) and sent[n] - acked[n] // 4 < WINDOW)
        ]
        readable, writable, _ = select.select(streams, writers, [], 5)
        for stream in readable:
            acked[number[stream]] += len(stream.recv(1 << 20))
        for stream in writable:
            n = number[stream]
            if not rest[n]:
                rest[n], count = blocks[n][next_block[n]]
                next_block[n] += 1
                sent[n] += count
            rest[n] = rest[n][stream.send(rest[n]) :]


def _at_a_rate(load: Load, stream: socket.socket) -> dict[str, Any]:
    """One slice a millisecond, encoded beforehand; the clock starts two seconds from now."""
    begin = time.time() + 2 + load.messages / 400_000
    packets = encode(load, 0, load.messages, begin * 1000)
    per_slice = max(1, round(load.rate / 1000))
    slices = [b"".join(packets[i : i + per_slice]) for i in range(0, len(packets), per_slice)]
    stream.setblocking(False)
    acked, late = 0, 0.0
    for n, part in enumerate(slices):
        due = begin + n * per_slice / load.rate
        while (wait := due - time.time()) > 0:
            time.sleep(min(wait, 0.001))
        late = max(late, time.time() - due)
        while part:
            readable, writable, _ = select.select([stream], [stream], [], 5)
            if readable:
                acked += len(stream.recv(1 << 20))
            if writable:
                part = part[stream.send(part) :]
    while acked < load.messages * 4:
        select.select([stream], [], [], 5)
        acked += len(stream.recv(1 << 20))
    return {"started": begin, "ended": time.time(), "messages": load.messages, "late_s": late}


def run_reader(port: int, password: str, messages: int) -> dict[str, Any]:
    """Reads and acknowledges, nothing else: what the broker can give."""
    stream = connect(port, "ingest", password, BARE_READER, version=5, clean=True)
    body = b"\x00\x01\x00" + text("lifeline/v1/+/+/readings") + b"\x01"
    stream.sendall(packet(0x82, body))
    stream.recv(100)
    print(json.dumps({"ready": True}), flush=True)
    data, got = b"", 0
    while got < messages:
        time.sleep(0.003)
        data += stream.recv(1 << 20)
        mids, data = _mids(data)
        got += len(mids)
        answer = np.empty((len(mids), 2), dtype=">u2")
        answer[:, 0] = 0x4002
        answer[:, 1] = mids
        stream.sendall(answer.tobytes())
    ended = time.time()
    return {"ended": ended, "cpu_s": time.process_time(), "messages": got}


def _mids(data: bytes) -> tuple[list[int], bytes]:
    mids = []
    at, size = 0, len(data)
    while at + 3 < size:
        length, start = data[at + 1], at + 2
        if length > 127:
            length, start = length - 128 + data[at + 2] * 128, at + 3
        if start + length > size:
            break
        topic_end = start + 2 + (data[start] << 8 | data[start + 1])
        mids.append(data[topic_end] << 8 | data[topic_end + 1])
        at = start + length
    return mids, data[at:]


if __name__ == "__main__":
    options = json.loads(sys.argv[2])
    if sys.argv[1] == "publish":
        print(json.dumps(run_publisher(Load(**options))), flush=True)
    else:
        print(json.dumps(run_reader(**options)), flush=True)
