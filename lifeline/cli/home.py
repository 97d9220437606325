"""The folder of one Lifeline on this machine: data, secrets, logs, and the lock that keeps a second one out."""

import atexit
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lifeline.errors import ConfigurationError
from lifeline.settings import Settings

DEMO = "demo"
_PROMISES: dict[int, socket.socket] = {}
"""Ports that this process has chosen, each with what tells other Lifelines of it."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a running Lifeline tells other commands. Written to a file that only its user may read."""

    pid: int
    database_url: str
    mqtt_host: str
    mqtt_port: int
    own_database: bool
    own_broker: bool
    url: str


class Home:
    """One home folder; made when it is first written to."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.secrets = self.path / "secrets"
        self._lock = self.path / "lock"
        self._running = self.path / "running.json"
        self._given: set[int] = set()

    @property
    def demo(self) -> "Home":
        """The demo's own home, below this one."""
        return Home(self.path / DEMO)

    def make(self) -> None:
        """Make the folders. Services run as another user where root starts them: they must be able to pass."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711)
            for folder in (self.logs, self.secrets):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} cannot be used: {error.strerror}. LIFELINE_HOME or --home names another folder"
            ) from error

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the home until the block or the process ends, however it ends. ConfigurationError if it is taken."""
        self.make()
        with self._lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigurationError(
                    f"a Lifeline runs on {self.path} already (process {self.holder()}): `lifeline down` stops it"
                ) from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            try:
                yield
            finally:
                self._running.unlink(missing_ok=True)

    def holder(self) -> int | None:
        """Process that holds the home, or None."""
        try:
            with self._lock.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read().strip() or 0)
        except (OSError, ValueError):
            pass
        return None

    def tell(self, running: Running) -> None:
        """Let other commands find what runs here."""
        write_private(self._running, json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """What runs here, or None."""
        if self.holder() is None:
            return None
        try:
            return Running(**json.loads(self._running.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # on its way up or down
            return None

    def secret(self, name: str) -> Path:
        """File that holds the secret ``name``; a random one is made at the first call."""
        path = self.secrets / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, secrets.token_urlsafe(24))
        return path

    def mqtt_users(self) -> dict[str, str]:
        """Names and passwords that the embedded broker takes."""
        folder = self.secrets / "mqtt"
        if not folder.is_dir():
            return {}
        return {path.name: path.read_text(encoding="utf-8").strip() for path in sorted(folder.glob("[!.]*"))}

    def port(self, name: str, wanted: int, *, insist: bool) -> int:
        """``wanted``, or the one that was found in its stead before, or the next free one above it, which is kept.

        ``insist``: it was asked for by name, so ConfigurationError where it is taken.
        """
        kept = self.path / f"port.{name}"
        if wanted == 0:
            return wanted
        if self._may_give(wanted):
            self._given.add(wanted)
            return wanted
        if insist:
            raise ConfigurationError(f"port {wanted} ({name}) is taken by another program")
        candidates = list(range(wanted + 1, wanted + 200))
        with contextlib.suppress(OSError, ValueError):
            candidates.insert(0, int(kept.read_text(encoding="utf-8")))
        free: int | None = next((port for port in candidates if self._may_give(port)), None)
        if free is None:
            raise ConfigurationError(f"no port from {wanted} to {wanted + 199} ({name}) is free")
        kept.write_text(f"{free}\n")
        self._given.add(free)
        return free

    def _may_give(self, port: int) -> bool:
        """Free, and not promised to another process, of this Lifeline or another, that has not bound it yet."""
        return port not in self._given and _is_free(port) and _promised(port)

    def remove(self) -> None:
        """Start over: everything below the home goes. The caller has made sure that nothing runs on it."""
        for entry in self.path.iterdir() if self.path.is_dir() else ():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != self._lock:
                entry.unlink()


def home_of(settings: Settings, named: Path | None = None) -> Home:
    """``--home``, else LIFELINE_HOME, else /var/lib/lifeline for root and the user's own data folder for others."""
    if named is not None:
        return Home(named)
    if settings.home is not None:
        return Home(settings.home)
    if os.geteuid() == 0:
        return Home(Path("/var/lib/lifeline"))
    return Home(Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "lifeline")


def running_home(home: Home) -> Home | None:
    """The home itself or the demo below it, whichever has a Lifeline running."""
    return next((each for each in (home, home.demo) if each.holder() is not None), None)


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its user may read it."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.rename(path)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def _promised(port: int) -> bool:
    """Whether this process may choose the port: two that start at once would both find it free. A name in the abstract
    namespace of Unix sockets belongs to one process at a time, and is given back however that ends."""
    if port not in _PROMISES:
        promise = socket.socket(socket.AF_UNIX)
        try:
            promise.bind(f"\0lifeline/port/{port}")
        except OSError:
            promise.close()
            return False
        _PROMISES[port] = promise
        atexit.register(promise.close)
    return True
