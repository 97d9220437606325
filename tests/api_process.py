"""Runs the real ``python -m api`` for tests and benchmarks, with a key for each role."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import connect

ROOT = Path(__file__).parent.parent

PLAIN = ssl.create_default_context()
"""No request here goes over TLS: one context for all, as reading the authorities' certificates for each takes 28 ms."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], what: str = "it", seconds: float = 15) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s"
        time.sleep(0.03)


class Api:
    """One API process on a port of its own, and the keys that it knows."""

    def __init__(self, dsn: str, **settings: str) -> None:
        self.dsn = dsn
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "LIFELINE_DATABASE_URL": dsn,
            "LIFELINE_API_PORT": str(self.port),
            "LIFELINE_LOG_FORMAT": "json",
            **settings,
        }
        self.keys: dict[Role, str] = {}
        self.process: subprocess.Popen[str] | None = None

    def start(self, patience_s: float = 30) -> None:
        """Start, and wait until it says that it is healthy."""
        self.launch()
        until(self.healthy, "a healthy API", patience_s)

    def launch(self) -> None:
        """Start, and wait for nothing."""
        command = [sys.executable, "-m", "api"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=subprocess.PIPE, text=True)

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2, verify=PLAIN).status_code == 200
        except httpx.TransportError:
            return False

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code and its log."""
        assert self.process is not None
        self.process.send_signal(number)
        log = self.process.communicate(timeout=20)[1]
        return self.process.returncode, log

    def key(self, role: Role = Role.VIEWER) -> str:
        """A key of this role, made in the database at the first call."""
        if role not in self.keys:
            with connect(self.dsn) as connection:
                self.keys[role] = keys.create(connection, f"{role}-{self.port}", role, datetime.now(UTC))
        return self.keys[role]

    def get(self, path: str, role: Role | None = Role.VIEWER, **options: Any) -> httpx.Response:
        return self.call("GET", path, role, **options)

    def call(self, method: str, path: str, role: Role | None = Role.VIEWER, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key(role)}"} if role else {}
        headers |= options.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, timeout=10, verify=PLAIN, **options)


@contextmanager
def running_api(dsn: str, *, patience_s: float = 30, **settings: str) -> Iterator[Api]:
    """An API process that is killed at the end if it still runs."""
    api = Api(dsn, **settings)
    try:
        api.start(patience_s)
        yield api
    finally:
        if api.process is not None and api.process.poll() is None:
            api.process.terminate()
            try:
                api.process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                api.process.kill()
                api.process.communicate()
