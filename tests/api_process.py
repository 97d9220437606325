"""Runs the real API as a process for tests and benchmarks, with a key for each role.

As ``python -m api``, or forked from a process that has imported it, which saves two seconds of a core at each start.
"""

import multiprocessing
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import httpx

from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import connect
from tests.ports import free_port

ROOT = Path(__file__).parent.parent

READERS = tuple(role for role in Role if role is not Role.INTAKE)
"""Roles that read; intake hands in alone."""
PLAIN = ssl.create_default_context()
"""No request here goes over TLS: one context for all, as reading the authorities' certificates for each takes 28 ms."""


def until(condition: Callable[[], Any], what: str = "it", seconds: float = 120) -> None:
    """Wait until the condition is true.

    ``seconds`` is given where the time is what is claimed. On a machine that is so busy that it is looked at less
    often than ten times a second the time is longer by as much, since the process that is waited for is no faster.
    """
    deadline, looks = time.monotonic() + seconds, 0
    while not condition():
        looks += 1
        late = time.monotonic() > deadline and looks > 10 * min(seconds, 10)
        assert not late, f"{what} did not happen in {seconds} s"
        time.sleep(0.03)


def soonest(work: Callable[[], Any], limit_s: float, tries: int = 6) -> Any:
    """What ``work`` gives, once it took less than ``limit_s``: the fastest time tells how fast it can be.

    A machine that is busy elsewhere adds to some of the times; work that is slow is so every time, and fails.
    """
    took = []
    for _ in range(tries):
        began = time.monotonic()
        result = work()
        took.append(time.monotonic() - began)
        if took[-1] < limit_s:
            return result
    raise AssertionError(f"none took less than {limit_s} s: {took}")


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["api.__main__", "tests.api_process"])


class Forked:
    """An API that has the environment and the log of a started one; what is used here of ``subprocess.Popen``."""

    def __init__(self, environment: dict[str, str], log: str) -> None:
        self._process = FORKS.Process(target=_serve, args=(environment, log))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("api", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _serve(environment: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    with Path(log).open("ab") as errors:
        os.dup2(errors.fileno(), sys.stderr.fileno())
    from api.__main__ import main

    sys.exit(main())


class Api:
    """One API process on a port of its own, and the keys that it knows. ``{url}`` in a setting is its own address."""

    def __init__(self, dsn: str, *, forked: bool = True, **settings: str) -> None:
        self.dsn = dsn
        self.forked = forked
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "LIFELINE_DATABASE_URL": dsn,
            "LIFELINE_API_PORT": str(self.port),
            "LIFELINE_LOG_FORMAT": "json",
            **{name: value.replace("{url}", self.url) for name, value in settings.items()},
        }
        self.keys: dict[Role, str] = {}
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.log: IO[bytes] | None = None
        """No pipe: nobody reads it while the API runs, and one that is full stops the API."""

    def start(self, patience_s: float = 180) -> None:
        """Start, and wait until it says that it is healthy."""
        self.launch()
        until(self.healthy, "a healthy API", patience_s)

    def launch(self) -> None:
        """Start, and wait for nothing."""
        self.log = log = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by ``running_api``, or gone with this object
        if self.forked:
            self.process = Forked(self.environment, log.name)
        else:
            command = [sys.executable, "-m", "api"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=log)

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=10, verify=PLAIN).status_code == 200
        except httpx.TransportError:
            return False

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code and its log."""
        assert self.process is not None
        assert self.log is not None
        self.process.send_signal(number)
        status = self.process.wait(timeout=120)
        with self.log as log:
            log.seek(0)
            return status, log.read().decode()

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
        return httpx.request(method, self.url + path, headers=headers, timeout=30, verify=PLAIN, **options)


@contextmanager
def running_api(dsn: str, *, patience_s: float = 180, forked: bool = True, **settings: str) -> Iterator[Api]:
    """An API process that is killed at the end if it still runs."""
    api = Api(dsn, forked=forked, **settings)
    try:
        api.start(patience_s)
        yield api
    finally:
        if api.process is not None and api.process.poll() is None:
            api.process.send_signal(signal.SIGTERM)
            try:
                api.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                api.process.send_signal(signal.SIGKILL)
                api.process.wait()
        if api.log is not None:
            api.log.close()
