"""Mosquitto below one folder."""

import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from lifeline.embedded import processes
from lifeline.embedded.acl import acl as default_acl
from lifeline.embedded.packages import Progress
from lifeline.embedded.passwords import password_file
from lifeline.embedded.programs import mosquitto_programs
from lifeline.errors import ServiceError

Durability = Literal["message", "turn", "snapshot"]


class Broker:
    """A private Mosquitto on a port of the loopback interface, with passwords and an ACL.

    Everything is kept below ``home/broker``. ``users`` maps names to passwords; ``acl`` is the text of the ACL
    file. ``max_inflight`` bounds the unacknowledged messages of a client: at least the batch that a consumer commits
    at once. ``max_queued`` bounds what is kept for a consumer that is away: the length of an outage that is survived.
    ``durable`` stores every message before it is acknowledged, at some 10,000 messages a second on two cores; without
    it they are ten times as many, and a kill of the broker loses what came since the last snapshot
    (docs/decisions/0002-broker-durability.md). Raises ServiceError when it cannot be unpacked or started.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        home: Path,
        users: Mapping[str, str],
        *,
        acl: str | None = None,
        max_inflight: int = 20_000,
        max_queued: int = 2_000_000,
        durable: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self.folder = home.resolve() / "broker"
        self.data = self.folder / "data"
        self.log = self.folder / "mosquitto.log"
        self.durable = durable
        self.port = 0
        self._users = dict(users)
        self._acl = default_acl() if acl is None else acl
        self._max_inflight = max_inflight
        self._max_queued = max_queued
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None
        self._owned: IO[str] | None = None

    @property
    def pid(self) -> int:
        """Process id of the broker."""
        if self._process is None:
            raise ServiceError("The broker is not running")
        return self._process.pid

    @property
    def durability(self) -> Durability:
        """When a message is safe from a kill of the broker, once it has started.

        ``message``: before it is acknowledged. ``turn``: when the main loop turns, just after; only where
        ``durable`` is asked for and Mosquitto's plug-in is another than this version knows. ``snapshot``: at
        the next periodic snapshot.
        """
        if not self.durable or self._programs.persist_plugin is None:
            return "snapshot"
        return "message" if self._programs.committing_plugin is not None else "turn"

    def start(self) -> None:
        """Starts it and returns when it takes connections."""
        if self._process is not None and self._process.poll() is None:
            return
        self._programs = mosquitto_programs(self._progress)
        self._account = processes.account_for(self.folder)
        processes.make_folder(self.folder, self._account)
        processes.make_folder(self.data, self._account)
        if self._owned is None:
            self._owned = processes.own(self.folder)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        processes.kill_all(self.data)  # left-overs of a crash; a living owner was excluded above
        self.port = processes.keep_port(self.folder / "port", self._account)
        self._write_access()
        configuration = self.folder / "mosquitto.conf"
        processes.write_private(configuration, self.configuration(), self._account)
        self._process = processes.start(
            [self._programs.mosquitto, "-c", configuration],
            folder=self.data,
            account=self._account,
            log=self.log,
            when_owner_dies=signal.SIGTERM,
        )
        processes.wait_until(self._is_ready, self._process, self.log, what="Mosquitto")

    def stop(self) -> None:
        """Stops it in an orderly way; sessions and queued messages are kept."""
        if self._process is not None:
            processes.stop(self._process, signal.SIGTERM, self.data, seconds=30)
            self._process = None
        if self._owned is not None:
            self._owned.close()
            self._owned = None

    def kill(self) -> None:
        """SIGKILL, as a power cut would; ``start`` recovers."""
        processes.kill_all(self.data)
        if self._process is not None:
            self._process.wait()

    def reload(self, users: Mapping[str, str] | None = None, acl: str | None = None) -> None:
        """Takes other users or another ACL into force without a restart. What it cannot take changes nothing."""
        before = self._users, self._acl
        self._users = self._users if users is None else dict(users)
        self._acl = self._acl if acl is None else acl
        try:
            self._write_access()
        except Exception:
            self._users, self._acl = before
            raise
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGHUP)

    def configuration(self) -> str:
        """Text of mosquitto.conf."""
        durability = self.durability
        if durability == "snapshot":
            persistence = _SNAPSHOT.format(data=self.data)
        else:
            plugin = self._programs.committing_plugin or self._programs.persist_plugin
            persistence = _SQLITE.format(data=self.data, plugin=plugin)
        return persistence + _CONFIGURATION.format(
            folder=self.folder, port=self.port, max_inflight=self._max_inflight, max_queued=self._max_queued
        )

    def _write_access(self) -> None:
        processes.write_private(self.folder / "passwords", password_file(self._users), self._account)
        processes.write_private(self.folder / "acl", self._acl, self._account)

    def _is_ready(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.port)) == 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
max_inflight_messages {max_inflight}
max_queued_messages {max_queued}
max_packet_size 20000000
set_tcp_nodelay true
connection_messages false
log_dest stderr
log_type error
log_type warning
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""

# The plug-in's pages are small, because each message writes some five of them. `sync normal` leaves it to the kernel
# when pages reach the disk: a kill of the broker loses nothing, a power cut may lose the last moments.
_SQLITE = """\
plugin {plugin}
plugin_opt_db_file {data}/mosquitto.sqlite3
plugin_opt_page_size 1024
plugin_opt_sync normal
plugin_opt_flush_period 0
"""

_SNAPSHOT = """\
persistence true
persistence_location {data}/
autosave_interval 10
"""
