"""Child processes: started with the environment that each needs, started again after a crash, and never left behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from lifeline.cli.console import note
from lifeline.embedded.processes import LAUNCHER, tail
from lifeline.settings import PREFIX, Settings

BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between a crash and the next start; the last one repeats."""
STEADY_S = 60.0
"""A child that lived so long begins at the first wait again."""
GRACE_S = 20.0
"""How long a child may take to end after SIGTERM: ingest drains for up to 15 s."""
LOG_LIMIT_BYTES = 20_000_000

# What a program needs of its surroundings, and nothing that may hold a secret.
SYSTEM_VARIABLES = frozenset(
    ("PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "PYTHONPATH", "SSL_CERT_FILE",
     "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
)  # fmt: skip
_SECRETS = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
# Where a process connects is decided for each: none inherits another's.
_NOT_INHERITED = {
    f"{PREFIX}{name.upper()}{end}" for name in (*_SECRETS, "mqtt_username", "home") for end in ("", "_FILE")
}


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """A child's environment: the system's variables, Lifeline's settings without anybody's secrets, and its own."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in SYSTEM_VARIABLES or (name.startswith(PREFIX) and name.upper() not in _NOT_INHERITED)
    }
    return {**inherited, **own}


@dataclass(slots=True)
class Child:
    """One process of the system. ``once``: it may end by itself with status 0."""

    name: str
    arguments: Sequence[str]
    own: Mapping[str, str]
    log: Path
    once: bool = False
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _began: float = field(default=0.0, init=False)
    _again_at: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def finished(self) -> bool:
        """Whether it has ended well and is not wanted again."""
        return self.once and self._process is not None and self._process.poll() == 0

    def start(self) -> None:
        """Start it. The kernel kills it when this process dies, however it dies.

        Call from the main thread: the kernel watches the thread that started the child.
        """
        cut_log(self.log)
        launch = [sys.executable, "-I", "-S", LAUNCHER, os.getpid(), int(signal.SIGKILL), os.geteuid(), os.getegid()]
        command = [sys.executable, "-P", "-m", *self.arguments]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in (*launch, *command)],
                env=environment(self.own),
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._began = time.monotonic()

    def look_after(self) -> None:
        """Start it again when it has ended and its wait is over."""
        if self._process is None or self._process.poll() is None or self.finished:
            return
        now = time.monotonic()
        if self._again_at == 0.0:
            self._failures = 0 if now - self._began > STEADY_S else self._failures
            wait = BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
            self._failures += 1
            self._again_at = now + wait
            note(f"{self.name} ended (status {self._process.returncode}); again in {wait:g} s, see {self.log}")
        elif now >= self._again_at:
            self._again_at = 0.0
            self.restarts += 1
            self.start()

    def ask_to_end(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to it and to what it started."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def wait_for_end(self, deadline: float) -> None:
        """Wait until it has ended; kill it at ``deadline`` (monotonic). Its own children never outlive it."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, deadline - time.monotonic()))
        self.kill()

    def end_of_log(self) -> str:
        return tail(self.log)

    def _signal(self, number: signal.Signals) -> None:
        """To its whole group, which the launcher makes it the leader of, and which may outlive its leader.

        A process that was started a moment ago leads no group yet, and has nobody behind it: it alone is told.
        """
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
        except PermissionError:
            pass
        except ProcessLookupError:
            self._process.send_signal(number)


def end(children: Sequence[Child], grace_s: float = GRACE_S) -> None:
    """Ask all of them to end at once, and kill what has not after ``grace_s``."""
    for child in children:
        child.ask_to_end()
    deadline = time.monotonic() + grace_s
    for child in children:
        child.wait_for_end(deadline)


def cut_log(log: Path) -> None:
    """Keep a log that has grown large as ``.old`` and begin anew. Writers append, so emptying the file is enough."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        shutil.copyfile(log, log.with_suffix(".old"))
        os.truncate(log, 0)
