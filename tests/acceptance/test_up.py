"""`lifeline up` as an operator runs it: one command, a whole system, and nothing left of it afterwards."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.acceptance.commands import Started, gone, lifeline
from tests.api_process import until
from tests.ports import listeners

pytestmark = pytest.mark.usefixtures("programs")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="lifeline-up-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def up(folder: Path) -> Iterator[Started]:
    started = Started(folder)
    yield started
    started.clean_up()
    assert gone(started)


def port_of(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])


def test_up_runs_the_system_and_control_c_leaves_nothing(up: Started, folder: Path) -> None:
    text = up.wait_for("Ctrl-C stops everything")
    running = up.running
    assert running.url in text
    key = re.search(r"key +(llk_\S+)", text)
    assert key is not None
    with urllib.request.urlopen(f"{running.url}health", timeout=60) as answer:
        assert answer.status == 200
    request = urllib.request.Request(f"{running.url}api/v1/system", headers={"Authorization": f"Bearer {key[1]}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200
    status = lifeline("status", "--home", folder)
    assert status.returncode == 0, status.stdout
    assert all(re.search(rf"^{name} ", status.stdout, re.MULTILINE) for name in ("ingest", "alerts", "api", "planning"))
    assert lifeline("check", "--home", folder).returncode == 0
    second = lifeline("up", "--home", folder)
    assert second.returncode == 1
    assert "runs on" in second.stderr
    assert len(up.members()) > 6
    ports = (port_of(running.url), running.mqtt_port)
    sockets = listeners(*ports)
    assert len(sockets) >= 2
    assert up.interrupt() == 0
    assert gone(up)
    until(lambda: not sockets & listeners(*ports), "ports that are closed")
    assert up.text.endswith("stopping\nstopped\n")


def test_a_process_that_is_killed_comes_back_and_down_stops_the_system(up: Started, folder: Path) -> None:
    up.wait_for("Ctrl-C stops everything")
    [victim] = [pid for pid, _ in process_lines(up, "ingest")]
    os.kill(victim, signal.SIGKILL)
    up.wait_for("ingest ended (status -9); again in 1 s")
    deadline = time.monotonic() + 120
    while not (found := [pid for pid, _ in process_lines(up, "ingest") if pid != victim]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(found) == 1
    assert f"stopped the Lifeline on {folder}" in lifeline("down", "--home", folder).stdout
    assert up.process.wait(60) == 0
    assert gone(up)
    assert "nothing runs" in lifeline("down", "--home", folder).stdout


def process_lines(up: Started, module: str) -> list[tuple[int, str]]:
    below = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(up.process.pid)], capture_output=True, text=True)
    lines = [line.strip().partition(" ") for line in below.stdout.splitlines()]
    return [(int(pid), args) for pid, _, args in lines if f"-m {module}" in args and "launcher.py" not in args]


def test_a_lifeline_that_is_killed_takes_everything_with_it_and_starts_again(up: Started, folder: Path) -> None:
    up.wait_for("Ctrl-C stops everything")
    port = port_of(up.running.url)
    sockets = listeners(port)
    assert sockets
    up.process.kill()
    up.process.wait()
    assert gone(up)
    until(lambda: not sockets & listeners(port), "ports that are closed")
    again = Started(folder)
    began = time.monotonic()
    try:
        again.wait_for("Ctrl-C stops everything")
        assert time.monotonic() - began < 20
        assert "(role admin" not in again.text  # the first start's key still holds
        assert again.interrupt(signal.SIGTERM) == 0
    finally:
        again.clean_up()
    assert gone(again)


def test_a_device_gets_a_password_that_the_running_broker_takes_at_once(up: Started, folder: Path) -> None:
    up.wait_for("Ctrl-C stops everything")
    text = lifeline("sensors", "password", "rtu-17", "--home", folder).stdout
    password = re.search(r"password +(\S+)", text)
    assert password is not None
    running = up.running
    topic = "lifeline/v1/water/rtu-17/readings"
    assert publish(
        running.mqtt_port, "rtu-17", password[1], topic, b'{"ts": %d, "v": {"pressure": 30}}' % (time.time() * 1000)
    )
    deadline = time.monotonic() + 120
    while "rtu-17" not in (text := lifeline("sensors", "list", "--home", folder).stdout):
        assert time.monotonic() < deadline, text
    assert lifeline("sensors", "adopt", "rtu-17", "--home", folder).stdout == "adopted rtu-17: pressure\n"
    assert up.interrupt() == 0


def publish(port: int, user: str, password: str, topic: str, payload: bytes) -> bool:
    """Whether the broker took the message within the time; the log-in may need a moment to be known."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=user, protocol=mqtt.MQTTv5)
    client.username_pw_set(user, password)
    client.reconnect_delay_set(1, 1)
    client.connect_async("127.0.0.1", port)
    client.loop_start()
    try:
        deadline = time.monotonic() + 60
        while not client.is_connected() and time.monotonic() < deadline:
            time.sleep(0.05)
        sent = client.publish(topic, payload, qos=1)
        sent.wait_for_publish(60)
        return sent.is_published()
    finally:
        client.disconnect()
        client.loop_stop()
