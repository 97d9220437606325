"""A program below one folder: started once, stopped in order or killed, and started again on the same port."""

import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from lifeline.embedded import processes
from lifeline.embedded.packages import Progress
from lifeline.errors import ServiceError


class Service(ABC):
    """What the database and the broker share. ``with`` starts and stops it; ``start`` after ``kill`` recovers.

    Everything is kept below ``folder``; one process of ours owns it at a time. Raises ServiceError when it cannot be
    unpacked or started.
    """

    host = "127.0.0.1"
    name: ClassVar[str]
    """As messages call it."""
    stop_signal: ClassVar[signal.Signals]
    """Asks it to end in an orderly way."""
    patience_s: ClassVar[float]
    """How long its start may take."""

    def __init__(self, folder: Path, log: str, progress: Progress | None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / log
        self.port = 0
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None
        self._owned: IO[str] | None = None

    @property
    def pid(self) -> int:
        """Process id of the service."""
        if self._process is None:
            raise ServiceError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts it, creating what it needs on the first use, and returns when it takes connections."""
        if self._process is not None and self._process.poll() is None:
            return
        self._unpack()
        self._account = processes.account_for(self.folder)
        processes.make_folder(self.folder, self._account)
        if self._owned is None:
            self._owned = processes.own(self.folder)
        try:
            processes.kill_all(self.data)  # left-overs of a crash; a living owner was excluded above
            self.port = processes.keep_port(self.folder / "port", self._account)
            self._process = self._launch()
            processes.wait_until(self._is_ready, self._process, self.log, what=self.name, seconds=self.patience_s)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops it in an orderly way: what it has taken is kept, what it is at is undone."""
        if self._process is not None:
            processes.stop(self._process, self.stop_signal, self.data, seconds=30)
            self._process = None
        if self._owned is not None:
            self._owned.close()
            self._owned = None

    def kill(self) -> None:
        """SIGKILL to every process of it, as a power cut would; ``start`` recovers."""
        processes.kill_all(self.data)
        if self._process is not None:
            self._process.wait()

    @abstractmethod
    def _unpack(self) -> None:
        """Find its programs, on this machine or in their packages."""

    @abstractmethod
    def _launch(self) -> subprocess.Popen[bytes]:
        """Write its files and start it."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it takes connections."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
