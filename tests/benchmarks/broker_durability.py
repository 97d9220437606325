"""Which way of keeping messages survives a kill of Mosquitto, and what it costs.

``python -m tests.benchmarks broker_durability`` prints the table of docs/decisions/0002-broker-durability.md;
``LIFELINE_BENCH_KILLS`` is how often each broker is killed (20).

Each round: four publishers at QoS 1 (120 bytes, 200 in flight each) into a shared subscription whose kept session is
away; SIGKILL of the broker after 0.1-0.6 s; start; the session is drained. Lost is what was acknowledged and never
came. Then the speed with the consumer there. The client here is a bare socket, so that the broker is what is measured.
"""

import os
import random
import re
import shutil
import socket
import statistics
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lifeline.embedded import Broker, programs
from lifeline.embedded import broker as broker_module
from lifeline.embedded.packages import Bundle

USERS = {"ingest": "ingest", "simulator": "simulator"}
PUBLISHERS = 4
WINDOW = 200
PAYLOAD = b"x" * 112
SNAPSHOT_ON_CHANGE = "autosave_interval 1\nautosave_on_changes true"
OLDER = Bundle(name="mosquitto-older", suite="trixie", packages=("mosquitto",), programs=("usr/sbin/mosquitto",))


def length(n: int) -> bytes:
    out = b""
    while True:
        n, digit = n >> 7, n & 127
        out += bytes([digit | 128 if n else digit])
        if not n:
            return out


def text(value: str) -> bytes:
    return struct.pack("!H", len(value)) + value.encode()


def packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + length(len(body)) + body


class Connection:
    """A bare MQTT 5 connection: no thread, no checks."""

    def __init__(self, port: int, user: str, session: str, *, kept: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        expiry = b"\x11" + struct.pack("!I", 0xFFFFFFFF if kept else 0) + b"\x21" + struct.pack("!H", 60_000)
        flags = 0xC0 if kept else 0xC2
        head = text("MQTT") + bytes([5, flags]) + struct.pack("!H", 60) + length(len(expiry)) + expiry
        self.socket.sendall(packet(0x10, head + text(session) + text(user) + text(USERS[user])))

    def packets(self) -> list[tuple[int, bytes]]:
        """What one read brings, cut into (first byte, body)."""
        received = self.socket.recv(1 << 20)
        if not received:
            raise ConnectionError
        data, at, found = self._rest + received, 0, []
        while at + 2 <= len(data):
            size, shift, i = 0, 0, at + 1
            while i < len(data):
                size |= (data[i] & 127) << shift
                shift, i = shift + 7, i + 1
                if data[i - 1] < 128:
                    break
            else:
                break
            if i + size > len(data):
                break
            found.append((data[at], data[i : i + size]))
            at = i + size
        self._rest = data[at:]
        return found


class Publisher(threading.Thread):
    """Keeps WINDOW messages in flight until ``limit`` messages are acknowledged or the broker is gone."""

    def __init__(self, port: int, number: int, start: int, limit: int | None = None) -> None:
        super().__init__()
        self.acknowledged: list[int] = []
        self.seconds = 0.0
        self._connection = Connection(port, "simulator", f"publisher-{number}", kept=False)
        self._topic = text(f"lifeline/v1/gas/device-{number}/readings")
        self._next, self._end = start, None if limit is None else start + limit
        self._in_flight: dict[int, int] = {}

    def run(self) -> None:
        started = time.perf_counter()
        try:
            while self._end is None or len(self._in_flight) or self._next < self._end:
                self._fill()
                self._take()
        except OSError:
            self._take_the_rest()
        self.seconds = time.perf_counter() - started

    def _fill(self) -> None:
        out = []
        while len(self._in_flight) < WINDOW and (self._end is None or self._next < self._end):
            mid = self._next % 65_000 + 1
            self._in_flight[mid] = self._next
            body = self._topic + struct.pack("!H", mid) + b"\0" + struct.pack("!Q", self._next) + PAYLOAD
            out.append(packet(0x32, body))
            self._next += 1
        if out:
            self._connection.socket.sendall(b"".join(out))

    def _take(self) -> None:
        for first, body in self._connection.packets():
            if first == 0x40:
                self.acknowledged.append(self._in_flight.pop(struct.unpack("!H", body[:2])[0]))

    def _take_the_rest(self) -> None:
        """Acknowledgements that were on the wire when the broker was killed count."""
        try:
            while True:
                self._take()
        except OSError:
            self._connection.socket.close()


def drain(port: int, *, idle_s: float = 1.0, until: int | None = None) -> tuple[list[int], float]:
    """Everything that the kept session holds, and how many messages came in a second."""
    connection = Connection(port, "ingest", "consumer", kept=True)
    connection.socket.sendall(packet(0x82, b"\0\1\0" + text("$share/ingest/lifeline/v1/#") + b"\1"))
    connection.socket.settimeout(idle_s)
    seen: list[int] = []
    started = last = time.perf_counter()
    try:
        while until is None or len(seen) < until:
            acknowledgements = []
            for first, body in connection.packets():
                if first & 0xF6 == 0x32:
                    topic = struct.unpack("!H", body[:2])[0]
                    properties = 4 + topic + 1 + body[4 + topic]
                    seen.append(struct.unpack("!Q", body[properties : properties + 8])[0])
                    acknowledgements.append(b"\x40\x02" + body[2 + topic : 4 + topic])
                    last = time.perf_counter()
            connection.socket.sendall(b"".join(acknowledgements))
    except TimeoutError:
        pass
    connection.socket.sendall(b"\xe0\0")
    connection.socket.close()
    return seen, len(seen) / max(last - started, 1e-6)


def variant(change: Callable[[Broker, str], str]) -> type[Broker]:
    """A broker whose configuration is changed before it starts."""

    class Variant(Broker):
        def configuration(self) -> str:
            return change(self, super().configuration())

    return Variant


def as_packaged(broker: Broker, configuration: str) -> str:
    return re.sub(r"^plugin .*", f"plugin {broker._programs.persist_plugin}", configuration, flags=re.M)


def on_change(_broker: Broker, configuration: str) -> str:
    return configuration.replace("autosave_interval 10", SNAPSHOT_ON_CHANGE)


def measure(name: str, kind: type[Broker], *, durable: bool, kills: int, messages: int) -> None:
    home = Path(tempfile.mkdtemp(prefix="lifeline-benchmark-"))
    home.chmod(0o711)
    acknowledged = lost = lossy = number = 0
    drains = []
    with kind(home, USERS, durable=durable) as broker:
        drain(broker.port, idle_s=0.2)
        for _ in range(kills):
            publishers = [Publisher(broker.port, n, number + n * 10_000_000) for n in range(PUBLISHERS)]
            number += PUBLISHERS * 10_000_000
            for publisher in publishers:
                publisher.start()
            time.sleep(random.uniform(0.1, 0.6))
            broker.kill()
            for publisher in publishers:
                publisher.join()
            broker.start()
            seen, rate = drain(broker.port)
            drains.append(rate)
            sent = {n for publisher in publishers for n in publisher.acknowledged}
            missing = len(sent - set(seen))
            acknowledged, lost, lossy = acknowledged + len(sent), lost + missing, lossy + (missing > 0)
        speeds = [online(broker, messages) for _ in range(3)]
    shutil.rmtree(home)
    print(
        f"| {name} | {kills} | {acknowledged:,} | {lost:,} in {lossy} kills | "
        f"{statistics.median(speeds):,.0f} | {statistics.median(drains):,.0f} |",
        flush=True,
    )


def online(broker: Broker, messages: int) -> float:
    """Messages a second through the broker with the consumer there."""
    each = messages // PUBLISHERS
    publishers = [Publisher(broker.port, n, n * 10_000_000, limit=each) for n in range(PUBLISHERS)]
    consumer = threading.Thread(target=drain, args=(broker.port,), kwargs={"idle_s": 10, "until": each * PUBLISHERS})
    started = time.perf_counter()
    for thread in (consumer, *publishers):
        thread.start()
    for thread in (*publishers, consumer):
        thread.join()
    return each * PUBLISHERS / (time.perf_counter() - started)


def main() -> None:
    kills = int(os.environ.get("LIFELINE_BENCH_KILLS", "20"))
    print("| persistence | kills | acknowledged | lost | messages/s | drained/s |\n|---|---|---|---|---|---|")
    measure("2.1 plug-in, each message (durable=True)", Broker, durable=True, kills=kills, messages=40_000)
    measure("2.1 plug-in as packaged, flush_period 0", variant(as_packaged), durable=True, kills=kills, messages=80_000)
    five = variant(lambda broker, text: as_packaged(broker, text).replace("flush_period 0", "flush_period 5"))
    measure("2.1 plug-in as packaged, flush_period 5", five, durable=True, kills=kills, messages=80_000)
    measure("2.1 snapshot every 10 s (durable=False)", Broker, durable=False, kills=kills, messages=80_000)
    measure("2.1 snapshot on each change", variant(on_change), durable=False, kills=kills, messages=4_000)
    older = programs.MosquittoPrograms(programs._unpacked(OLDER, None) / "usr/sbin/mosquitto", None, None)
    broker_module.mosquitto_programs = lambda _progress=None: older
    measure("2.0.21 snapshot on each change", variant(on_change), durable=False, kills=kills, messages=4_000)
