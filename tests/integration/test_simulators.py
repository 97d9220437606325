"""The simulators at a real broker: the wire contract, dead gateways, a broker that dies, a clean end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lifeline import wire
from lifeline.catalogue import shipped_catalogue
from lifeline.embedded import Broker
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.settings import Settings, load_settings
from simulators.districts import layouts
from simulators.fleet import Fleet
from simulators.gateway import Gateway
from simulators.history import WEEK_STEPS, Layout
from simulators.neighbours import Neighbours
from simulators.planning import make_town
from simulators.scenario import Scenario, parse_scenario
from simulators.service import Service
from simulators.town import Town
from tests.api_process import until
from tests.conftest import PASSWORDS

ROOT = Path(__file__).parents[2]


@dataclass
class Heard:
    """Everything that a subscriber heard, in order."""

    messages: list[tuple[str, bytes, bool]] = field(default_factory=list)

    def frames(self) -> dict[str, list[JsonObject]]:
        """Device -> its frames in the order of arrival."""
        frames: dict[str, list[JsonObject]] = defaultdict(list)
        for topic, payload, _ in list(self.messages):
            parsed = wire.parse_topic(topic)
            if parsed and parsed.leaf == "readings":
                content = msgspec.json.decode(payload)
                frames[parsed.device] += content if isinstance(content, list) else [content]
        return frames

    def statuses(self, device: str) -> list[str]:
        """What a device's status topic said, in order."""
        return [
            msgspec.json.decode(payload)["status"]
            for topic, payload, _ in list(self.messages)
            if topic.endswith(f"/{device}/status")
        ]

    def sequences(self) -> dict[str, set[int]]:
        return {device: {frame["seq"] for frame in frames} for device, frames in self.frames().items()}


def listen(broker: Broker) -> tuple[mqtt.Client, Heard]:
    """A subscriber with a persistent session: what it misses while the broker is down comes later."""
    heard, ready = Heard(), threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"listener-{time.time_ns()}", protocol=mqtt.MQTTv5)
    client.username_pw_set("ingest", PASSWORDS["ingest"])
    client.on_message = lambda _c, _u, m: heard.messages.append((m.topic, m.payload, m.retain))
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = lambda c, *_: c.subscribe("lifeline/v1/#", 1)
    client.reconnect_delay_set(1, 1)
    session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    session.SessionExpiryInterval = 600
    client.connect(broker.host, broker.port, clean_start=mqtt.MQTT_CLEAN_START_FIRST_ONLY, properties=session)
    client.loop_start()
    assert ready.wait(60)
    heard.messages.clear()  # what other tests have retained
    return client, heard


@pytest.fixture
def heard(broker: Broker) -> Iterator[Heard]:
    client, messages = listen(broker)
    yield messages
    client.disconnect()
    client.loop_stop()


def settings_for(broker: Broker, user: str = "simulator", password: str | None = None) -> Settings:
    return load_settings(
        mqtt_host=broker.host,
        mqtt_port=broker.port,
        mqtt_username=user,
        mqtt_password=password or PASSWORDS["simulator"],
    )


@pytest.fixture(scope="module")
def town() -> Town:
    return make_town(1)


# -------------------------------------------------------------------------------------------------- one whole run

SCENARIO = """
title = "test"
[[event]]
kind = "gas_leak"
at_s = 1
lasts_s = 600
hole_mm = 8
share = 0.1
[[event]]
kind = "gateway_dead"
at_s = 6
lasts_s = 11
place = "gw-drainage-west"
"""


def scenario() -> Scenario:
    return parse_scenario(SCENARIO, "test", "test.toml")


@dataclass
class Run:
    """A run that is over."""

    heard: Heard
    truth: list[JsonObject]
    live_from: float


def back(heard: Heard, truth: Path) -> bool:
    """Whether every device behind the gateway that died has reported since."""
    dead = msgspec.json.decode(next(line for line in truth.read_text().splitlines() if '"gateway_dead"' in line))
    frames = heard.frames()
    return all(seconds(frames[device][-1]["ts"]) > seconds(dead["to"]) + 1 for device in dead["devices"])


@pytest.fixture(scope="module")
def run(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six hours of history, then half a minute live in which a gas leak begins and a gateway dies and returns."""
    client, heard = listen(broker)
    truth = tmp_path_factory.mktemp("simulators") / "truth.jsonl"
    service = Service(settings_for(broker), 1, scenario(), truth)
    thread = threading.Thread(target=service.run, args=(0.25,))
    thread.start()
    try:
        until(lambda: truth.exists() and truth.read_text().count("gateway_dead") >= 2, "two dead gateways", 240)
        until(lambda: back(heard, truth), "what waited")
    finally:
        service.stop.set()
        thread.join(30)
    assert not thread.is_alive()
    until(lambda: heard.statuses("gw-drainage-west")[-1:] == ["offline"])
    client.disconnect()
    client.loop_stop()
    records = [msgspec.json.decode(line) for line in truth.read_text().splitlines()]
    first = min(seconds(f["ts"]) for frames in heard.frames().values() for f in frames if not f.get("backlog"))
    return Run(heard, records, first)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_every_message_obeys_the_wire_contract(run: Run, town: Town) -> None:
    catalogue, networks = shipped_catalogue(), town.device_network()
    channels = {device: {i.channel for i in town.at_device(device)} for device in networks}
    for topic, payload, retained in run.heard.messages:
        parsed = wire.parse_topic(topic)
        assert parsed is not None
        assert networks[parsed.device] == parsed.network
        content = msgspec.json.decode(payload)
        if parsed.leaf == "status":
            assert content["status"] in ("online", "offline")
            continue
        assert not retained
        for frame in content if isinstance(content, list) else [content]:
            assert set(frame) - {"backlog"} == {"ts", "v", "seq"}
            assert datetime.fromisoformat(frame["ts"]).tzinfo is not None
            assert frame["v"].keys() <= channels[parsed.device]
            assert frame["v"]
            for channel, value in frame["v"].items():
                quantity = catalogue.quantity_of(channel)
                assert quantity is not None
                assert quantity.low <= value <= quantity.high


def test_history_comes_first_whole_and_marked_as_backlog(run: Run, town: Town) -> None:
    frames = run.heard.frames()
    assert frames.keys() == town.device_network().keys()
    for device, own in frames.items():
        past = [frame for frame in own if seconds(frame["ts"]) < run.live_from - 1]
        assert all(frame.get("backlog") is True for frame in past)
        assert [frame["ts"] for frame in past] == sorted(frame["ts"] for frame in past)
        if not device.startswith("gw-"):
            steps = (run.live_from - seconds(past[0]["ts"])) / 300  # six hours and what their computing took
            assert steps >= 70
            assert steps - 2 <= len(past) <= steps + 1
            steps = np.diff([seconds(frame["ts"]) for frame in past])
            assert set(steps.tolist()) == {300.0}


def test_no_frame_is_missing_from_any_sequence(run: Run) -> None:
    for device, numbers in run.heard.sequences().items():
        assert numbers == set(range(1, max(numbers) + 1)), device


def test_live_readings_come_every_ten_seconds_and_faster_on_a_breach(run: Run, town: Town) -> None:
    leak = next(record for record in run.truth if record["kind"] == "gas_leak")
    device = next(i.device for i in town.instruments if i.asset == leak["chamber"] and i.quantity == "methane")
    frames = run.heard.frames()
    quiet = [seconds(f["ts"]) for f in frames["water-tower"] if not f.get("backlog")]
    assert np.diff(quiet).max() <= 12
    loud = [seconds(f["ts"]) for f in frames[device] if f["v"].get("methane", 0) >= 0.25]
    assert np.median(np.diff(loud)) <= 5


def test_a_gas_leak_is_seen_in_the_readings_once_the_truth_says_so(run: Run, town: Town) -> None:
    last = {record["id"]: record for record in run.truth}
    leak = next(record for record in last.values() if record["kind"] == "gas_leak")
    device, channel = leak["visible_at"].split("/")
    after = [f["v"][channel] for f in run.heard.frames()[device] if seconds(f["ts"]) >= seconds(leak["visible_from"])]
    assert max(after) > 0.1
    assert seconds(leak["visible_from"]) - seconds(leak["from"]) < 20


def test_a_dead_gateway_is_announced_by_its_last_will_and_delivers_what_was_stored(run: Run) -> None:
    last = {record["id"]: record for record in run.truth}
    dead = next(record for record in last.values() if record["kind"] == "gateway_dead")
    assert run.heard.statuses(dead["gateway"]) == ["online", "offline", "online", "offline"]
    begin, end = seconds(dead["from"]) + 1.5, seconds(dead["to"])
    frames = run.heard.frames()
    stored = 0
    for device in dead["devices"]:
        meanwhile = [frame for frame in frames[device] if begin < seconds(frame["ts"]) < end]
        assert all(frame.get("backlog") is True for frame in meanwhile)
        stored += len(meanwhile)
        again = [frame for frame in frames[device] if seconds(frame["ts"]) > end + 1]
        assert again
        assert not any(frame.get("backlog") for frame in again)
    assert stored >= len(dead["devices"])
    elsewhere = [f for f in frames["water-tower"] if begin < seconds(f["ts"]) < end]
    assert elsewhere
    assert not any(frame.get("backlog") for frame in elsewhere)


def test_every_device_says_online_at_the_start_and_offline_at_the_end(run: Run, town: Town) -> None:
    for device in town.device_network():
        said = run.heard.statuses(device)
        assert said[0] == "online", device
        assert said[-1] == "offline", device


def test_status_is_retained(run: Run, broker: Broker) -> None:
    heard, client = Heard(), mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set("ingest", PASSWORDS["ingest"])
    client.on_message = lambda _c, _u, m: heard.messages.append((m.topic, m.payload, m.retain))
    client.connect(broker.host, broker.port)
    client.subscribe("lifeline/v1/water/water-tower/status", 1)
    client.loop_start()
    until(lambda: heard.messages)
    client.disconnect()
    client.loop_stop()
    assert heard.messages == [("lifeline/v1/water/water-tower/status", b'{"status":"offline"}', True)]


# -------------------------------------------------------------------------------------------- the broker, and faults


def test_a_wrong_password_is_a_clear_error(broker: Broker, town: Town) -> None:
    fleet = Fleet(town, shipped_catalogue(), settings_for(broker, password="wrong"), "wrong")
    fleet.start()
    try:
        with pytest.raises(ConfigurationError, match="the broker refuses gw-"):
            fleet.wait_connected(threading.Event())
    finally:
        fleet.stop()


def test_nothing_is_lost_when_the_broker_dies_under_way(service_home: Path, town: Town) -> None:
    with Broker(service_home, PASSWORDS) as broker:
        client, heard = listen(broker)
        fleet = Fleet(town, shipped_catalogue(), settings_for(broker), "restart")
        fleet.start()
        fleet.wait_connected(threading.Event())
        truth = np.ones(len(town.instruments))
        now = time.time()
        fleet.go_live(now)
        for second in range(60):
            if second == 20:
                broker.kill()
            if second == 40:
                broker.start()
            fleet.sample(now + second, truth)
            time.sleep(0.02)
        for gateway in fleet.gateways.values():
            assert gateway.drain(60)
        sent = {name: device.sequence for name, device in fleet.devices.items()}
        until(lambda: {d: len(s) for d, s in heard.sequences().items()} == {d: n for d, n in sent.items() if n})
        fleet.stop()
        client.disconnect()
        client.loop_stop()


def test_the_brokers_receive_maximum_is_respected(service_home: Path) -> None:
    with Broker(service_home, PASSWORDS, max_inflight=3) as broker:
        client, heard = listen(broker)
        gateway = Gateway("gw-1", "gas", [("gas", "gw-1")], settings_for(broker), "window")
        gateway.start()
        assert gateway.wait_connected(60)
        for number in range(500):
            gateway.publish("gas", "gw-1", [{"ts": 0, "v": {"methane": 0.0}, "seq": number}])
        assert gateway.drain(60)
        until(lambda: len(heard.sequences().get("gw-1", ())) == 500)
        # A client that sends more than that is thrown out: it would have come back and said so.
        assert heard.statuses("gw-1") == ["online"]
        assert gateway.stop()
        client.disconnect()
        client.loop_stop()


def test_a_gateway_that_dies_with_its_hands_full_delivers_everything_when_it_is_back(
    broker: Broker, heard: Heard
) -> None:
    gateway = Gateway("gw-dies", "gas", [("gas", "gw-dies")], settings_for(broker), "dies")
    gateway.start()
    assert gateway.wait_connected(60)
    until(lambda: heard.statuses("gw-dies") == ["online"])
    for number in range(400):
        gateway.publish("gas", "gw-dies", [{"ts": 0, "v": {"methane": 0.0}, "seq": number}])
        if number == 200:
            gateway.die()
            assert not gateway.alive
            until(lambda: heard.statuses("gw-dies")[-1:] == ["offline"])
    gateway.start()
    assert gateway.drain(60)
    until(lambda: heard.sequences().get("gw-dies") == set(range(400)))
    assert heard.statuses("gw-dies") == ["online", "offline", "online"]
    assert gateway.stop()
    assert gateway.dropped == 0


def test_a_gateway_that_died_says_its_status_anew_and_repeats_no_old_one(broker: Broker, heard: Heard) -> None:
    gateway = Gateway("gw-unheard", "gas", [("gas", "gw-unheard")], settings_for(broker), "unheard")
    gateway.start()
    assert gateway.wait_connected(60)
    for number in range(200):  # some are acknowledged, a window full is under way, the rest waits
        gateway.publish("gas", "gw-unheard", [{"ts": 0, "v": {"methane": 0.0}, "seq": number}])
        gateway.offer(wire.status_topic("gas", "gw-unheard"), b'{"status":"busy"}', retain=True)
    gateway.die()
    until(lambda: "offline" in heard.statuses("gw-unheard"))
    gateway.start()
    assert gateway.drain(60)
    until(lambda: heard.sequences().get("gw-unheard") == set(range(200)))
    said = heard.statuses("gw-unheard")
    assert said[said.index("offline") :] == ["offline", "online"]
    assert gateway.stop()


def test_the_past_is_not_begun_when_the_end_is_asked_for_first(broker: Broker, heard: Heard, tmp_path: Path) -> None:
    service = Service(settings_for(broker), 1, scenario(), tmp_path / "truth.jsonl")
    service.stop.set()
    service.run(400.0)
    until(lambda: heard.statuses("water-tower")[-1:] == ["offline"])
    assert heard.frames() == {}
    assert (tmp_path / "truth.jsonl").read_text() == ""


def test_a_full_buffer_forgets_the_oldest_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.gateway.BUFFERED_MESSAGES", 10)
    gateway = Gateway("gw-1", "gas", [], load_settings(mqtt_host="127.0.0.1", mqtt_port=1), "full")
    for number in range(25):
        gateway.publish("gas", "d", [{"ts": 0, "v": {}, "seq": number}])
    assert gateway.dropped == 15
    assert gateway.stop() is False


# --------------------------------------------------------------------------------------------------- the command


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LIFELINE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "simulators", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_runs_and_ends_cleanly_on_sigterm(broker: Broker, heard: Heard, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORDS["simulator"])
    process = command(
        "run", "--seed", "1", "--history-days", "0.05", "--scenario", "quiet", "--truth", str(tmp_path / "truth"),
        LIFELINE_MQTT_HOST=broker.host, LIFELINE_MQTT_PORT=str(broker.port), LIFELINE_MQTT_USERNAME="simulator",
        LIFELINE_MQTT_PASSWORD_FILE=str(secret), TMPDIR=str(tmp_path), LIFELINE_LOG_FORMAT="json",
    )  # fmt: skip
    try:
        until(lambda: any(not f.get("backlog") for own in heard.frames().values() for f in own), "what is live", 240)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=120)
    finally:
        process.kill()  # or the tests that follow would hear it
    assert process.returncode == 0, log
    assert '"percent": 100' in log
    assert '"event": "live"' in log
    assert not list(tmp_path.glob("lifeline-engine-*"))
    until(lambda: heard.statuses("water-tower")[-1:] == ["offline"])


def test_the_command_says_what_is_missing() -> None:
    for arguments, complaint in (
        (("run",), "no broker: set LIFELINE_MQTT_HOST"),
        (("run", "--scenario", "nope"), "no scenario 'nope'"),
    ):
        process = command(*arguments)
        _, error = process.communicate(timeout=120)
        assert process.returncode == 2
        assert complaint in error


def test_help_shows_examples() -> None:
    for arguments in (("--help",), ("run", "--help"), ("inventory", "--help"), ("scenarios",)):
        process = command(*arguments)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert out.strip()


# ------------------------------------------------------------------------------------------- districts beside it


def test_neighbours_come_online_are_heard_and_say_goodbye_one_connection_a_district(
    broker: Broker, heard: Heard
) -> None:
    neighbours = Neighbours(settings_for(broker), shipped_catalogue(), 1, 3, "test")
    weeks = [(one, np.full((WEEK_STEPS, len(one.instruments)), 0.5, np.float32)) for one in layouts(1, 3)]
    neighbours._layouts = [Layout(one, week, week) for one, week in weeks]
    now, stop = time.time(), threading.Event()
    neighbours.start(stop)
    neighbours.go_live(now)
    sent = sum(neighbours.sample(now + second) for second in range(11))
    names = {device for fleet in neighbours._fleets.values() for device in fleet.devices}
    until(lambda: sum(len(frame["v"]) for own in heard.frames().values() for frame in own) >= sent)
    assert heard.frames().keys() <= names
    assert {name[:6] for name in heard.frames()} == {"n0001-", "n0002-"}
    neighbours.stop()
    until(lambda: all(heard.statuses(name)[-1:] == ["offline"] for name in names))
    assert all(heard.statuses(name)[0] == "online" for name in names)
