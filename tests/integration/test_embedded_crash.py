"""The owner of the services is killed: nothing of it stays."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifeline.embedded import Broker, Database, processes

OWNER = """
import json, sys, threading, time
from pathlib import Path
from lifeline.embedded import Broker, Database
database, broker = Database(Path(sys.argv[1]), fsync=False), Broker(Path(sys.argv[1]), {"ingest": "secret"})
starter = threading.Thread(target=lambda: (database.start(), broker.start()))
starter.start()
starter.join()
print(json.dumps({"ports": [database.port, broker.port], "pids": [database.pid, broker.pid]}), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_and_no_port_outlives_the_owner(how: signal.Signals, service_home: Path, programs: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(service_home)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout is not None
    started = json.loads(owner.stdout.readline())
    for pid in started["pids"]:
        os.kill(pid, 0)  # they outlived the thread that started them
    owner.send_signal(how)
    owner.wait(20)
    owner.stdout.close()
    folders = [service_home.resolve() / name for name in ("database/data", "broker/data")]
    deadline = time.monotonic() + 15
    while any(processes.running_in(folder) for folder in folders):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for port in started["ports"]:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_services_start_again_where_their_owner_was_killed(service_home: Path, programs: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(service_home)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as owner:
        assert owner.stdout is not None
        ports = json.loads(owner.stdout.readline())["ports"]
        owner.kill()
        owner.wait()
        with Database(service_home, fsync=False) as database, Broker(service_home, {"ingest": "secret"}) as broker:
            assert [database.port, broker.port] == ports
