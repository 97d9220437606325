"""kill -9 of ingest, broker and database at random moments under load: nothing acknowledged is lost or doubled.

And a million good readings with a thousand malformed messages among them.
"""

import json
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psycopg
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from lifeline.embedded import Broker, Database
from lifeline.storage.migrations import migrate
from tests.ingest_process import books, environment, ingest_process, install_devices, publisher, start_ingest, wait_for

PASSWORDS = {"ingest": "for-ingest", "simulator": "for-simulator"}
KILLS = 54
SEED = 20_261_121
DEVICES = 50


@pytest.fixture
def services(programs: Path) -> Iterator[tuple[Database, Broker]]:
    """A database and a durable broker of this test's own: others must not be killed."""
    home = Path(tempfile.mkdtemp(prefix="lifeline-faults-"))
    home.chmod(0o711)
    with Database(home, fsync=False) as database, Broker(home, PASSWORDS, durable=True) as broker:
        migrate(database.dsn)
        install_devices(database.dsn, DEVICES)
        yield database, broker
    shutil.rmtree(home, ignore_errors=True)


@dataclass
class Publisher:
    """A real paho client that sends readings, each one of its kind, and notes what was acknowledged.

    One in forty is out of range. A reading is known by its device and time.
    """

    broker: Broker
    sent: dict[tuple[str, int], bool] = field(default_factory=dict)
    acknowledged: set[tuple[str, int]] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)
    connections: int = 0

    def __post_init__(self) -> None:
        self._by_mid: dict[int, tuple[str, int]] = {}
        self._heard: SimpleQueue[int] = SimpleQueue()  # paho calls back under its own lock: take none there
        self.client = Client(
            CallbackAPIVersion.VERSION2, "load", protocol=MQTTProtocolVersion.MQTTv311, clean_session=False
        )
        self.client.username_pw_set("simulator", PASSWORDS["simulator"])
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(500)
        self.client.on_publish = self._on_publish
        self.client.on_connect = self._on_connect
        self.client.connect(self.broker.host, self.broker.port)
        self.client.loop_start()

    def _on_connect(self, *_: Any) -> None:
        self.connections += 1

    def _on_publish(self, _client: Client, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
        self._heard.put(mid)

    def note(self) -> None:
        """Take down what was acknowledged since the last call."""
        with suppress(Empty):
            while True:
                self.acknowledged.add(self._by_mid.pop(self._heard.get_nowait()))

    def run(self) -> None:
        """About 1,000 readings a second, no more than 2,000 of them unacknowledged."""
        start_ms, n = int(time.time() * 1000) - 3_600_000, 0
        while not self.stopping.is_set():
            self.note()
            if len(self.sent) - len(self.acknowledged) > 2000:
                time.sleep(0.01)
                continue
            for _ in range(10):
                self._send(f"d{n % DEVICES}", start_ms + n // DEVICES, good=n % 40 != 7)
                n += 1
            time.sleep(0.01)

    def _send(self, device: str, ts: int, *, good: bool) -> None:
        payload = json.dumps({"ts": ts, "v": {"methane": 0.5 if good else 500}})
        self.sent[device, ts] = good
        info = self.client.publish(f"lifeline/v1/gas/{device}/readings", payload, qos=1)
        self._by_mid[info.mid] = (device, ts)


class Victims:
    """The three processes, and their death."""

    def __init__(self, database: Database, broker: Broker, log: Path) -> None:
        self.database, self.broker = database, broker
        self._env = environment(database.dsn, broker, PASSWORDS["ingest"])
        self._log = log
        self.ingest = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return start_ingest(self._env, self._log)

    def kill(self, name: str) -> None:
        if name == "ingest":
            self.ingest.kill()
            self.ingest.wait()
        else:
            getattr(self, name).kill()

    def check(self) -> None:
        """Between the kills every process lives."""
        assert self.ingest.poll() is None, f"ingest died by itself:\n{self._log.read_text()[-3000:]}"

    def revive(self, name: str) -> None:
        if name == "ingest":
            self.ingest = self._start()
        else:
            getattr(self, name).start()


def holdings(dsn: str) -> tuple[Counter[tuple[str, int]], Counter[tuple[str, int]]]:
    """Readings in the table and in quarantine, by device and time, with their number."""
    ms = "(extract(epoch FROM {}) * 1000)::bigint"
    with psycopg.connect(dsn) as connection:
        stored = connection.execute(
            f"SELECT external_id, {ms.format('ts')} FROM reading"
            " JOIN sensor USING (sensor_id) JOIN device USING (device_id)"
        ).fetchall()
        kept = connection.execute(
            f"SELECT split_part(topic, '/', 4), {ms.format('reading_ts')} FROM quarantine"
        ).fetchall()
    return Counter(stored), Counter(kept)


def test_every_acknowledged_reading_survives_fifty_kills_exactly_once(
    services: tuple[Database, Broker], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, broker = services
    dice = random.Random(SEED)
    victims = Victims(database, broker, tmp_path / "ingest.log")
    # before the first subscription there is no session, and nobody for whom the broker would keep anything
    wait_for(lambda: b'"event": "subscribed"' in (tmp_path / "ingest.log").read_bytes(), "the first subscription")
    source = Publisher(broker)
    load = threading.Thread(target=source.run)
    load.start()
    killed: Counter[str] = Counter()
    try:
        for turn in range(KILLS):
            time.sleep(dice.uniform(0.2, 1.6))
            names = ["ingest", "broker", "database"]
            chosen = names if turn % 9 == 8 else [names[turn % 3]]  # now and then all three at once
            victims.check()
            for name in chosen:
                victims.kill(name)
                killed[name] += 1
            time.sleep(dice.uniform(0, 0.4))
            for name in reversed(chosen):
                victims.revive(name)
    finally:
        source.stopping.set()
        load.join()
    wait_for(lambda: source.note() or len(source.acknowledged) == len(source.sent), "the last PUBACK")
    source.client.disconnect()
    source.client.loop_stop()

    def complete() -> bool:
        stored, kept = holdings(database.dsn)
        return len(stored) + len(kept) >= len(source.acknowledged)

    with suppress(TimeoutError):
        wait_for(complete, "all acknowledged readings")
    victims.ingest.terminate()
    assert victims.ingest.wait(120) == 0
    stored, kept = holdings(database.dsn)
    good = {reading for reading in source.acknowledged if source.sent[reading]}
    bad = source.acknowledged - good
    found = {
        "killed -9": sum(killed.values()),
        **{f"  {name}": n for name, n in sorted(killed.items())},
        "connections of the publisher": source.connections,
        "readings sent": len(source.sent),
        "acknowledged to the publisher": len(source.acknowledged),
        "good, stored": len(good & stored.keys()),
        "good, lost": len(good - stored.keys()),
        "stored twice": sum(n > 1 for n in stored.values()),
        "bad, in quarantine": len(bad & kept.keys()),
        "bad, lost": len(bad - kept.keys()),
        "in quarantine twice": sum(n - 1 for n in kept.values()),
        "stored and never sent": len(stored.keys() - source.sent.keys()),
    }
    with capsys.disabled():
        print("\n" + "\n".join(f"| {name:30} | {n:8,} |" for name, n in found.items()))
    assert found["killed -9"] >= 50
    for name in ("good, lost", "bad, lost", "stored twice", "in quarantine twice", "stored and never sent"):
        assert found[name] == 0, name
    account = books(database.dsn)
    assert account["received"] == account["stored"] + account["duplicate"] + account["quarantined"]
    assert (account["stored"], account["quarantined"]) == (account["readings"], account["quarantine"])


def test_a_million_good_readings_with_a_thousand_malformed_messages_among_them(
    services: tuple[Database, Broker], tmp_path: Path
) -> None:
    database, broker = services
    env = environment(database.dsn, broker, PASSWORDS["ingest"])
    start_ms = int(time.time() * 1000) - 3_600_000
    with (
        ingest_process(env, tmp_path / "ingest.log"),
        publisher(broker, "simulator", PASSWORDS["simulator"]) as client,
    ):
        for n in range(1000):
            device = f"lifeline/v1/gas/d{n % DEVICES}/readings"
            first = start_ms + n // DEVICES * 1000
            payload = ",".join(f'{{"ts":{first + i},"v":{{"methane":0.5}}}}' for i in range(1000))
            client.publish(device, f"[{payload}]", qos=1)
            client.publish(device, f"[{payload}"[: 20 + n], qos=1)
        wait_for(lambda: books(database.dsn)["received"] >= 1_001_000, "all of them", 300)
    assert books(database.dsn) == {
        "received": 1_001_000,
        "stored": 1_000_000,
        "duplicate": 0,
        "quarantined": 1000,
        "readings": 1_000_000,
        "quarantine": 1000,
    }
