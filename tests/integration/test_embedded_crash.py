"""The owner of the services is killed: nothing of it stays."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lifeline.embedded import Broker, Database, processes
from tests.api_process import until
from tests.ports import listeners

OWNER = """
import json, signal, sys, threading, time
from pathlib import Path
from lifeline.embedded import Broker, Database
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts with & ignore it
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
    sockets = listeners(*started["ports"])
    assert len(sockets) >= 2
    owner.send_signal(how)
    owner.wait(60)
    owner.stdout.close()
    folders = [service_home.resolve() / name for name in ("database/data", "broker/data")]
    until(lambda: not any(processes.running_in(folder) for folder in folders), "the end of every process")
    until(lambda: not sockets & listeners(*started["ports"]), "ports that are closed")


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
