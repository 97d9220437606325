"""Mosquitto below one folder."""

import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from lifeline.embedded import processes
from lifeline.embedded.acl import acl as default_acl
from lifeline.embedded.packages import Progress
from lifeline.embedded.passwords import password_file
from lifeline.embedded.programs import MosquittoPrograms, mosquitto_programs
from lifeline.embedded.service import Service

Durability = Literal["message", "turn", "snapshot"]


class Broker(Service):
    """A private Mosquitto on a port of the loopback interface, with passwords and an ACL.

    Everything is kept below ``home/broker``. ``users`` maps names to passwords; ``acl`` is the text of the ACL
    file. ``max_inflight`` bounds the unacknowledged messages of a client: at least the batch that a consumer commits
    at once. ``max_queued`` bounds what is kept for a consumer that is away: the length of an outage that is survived.
    ``durable`` stores every message before it is acknowledged, at some 10,000 messages a second on two cores; without
    it they are ten times as many, and a kill of the broker loses what came since the last snapshot
    (docs/decisions/0002-broker-durability.md).
    """

    name = "Mosquitto"
    stop_signal = signal.SIGTERM
    patience_s = 60

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
        super().__init__(home.resolve() / "broker", "mosquitto.log", progress)
        self.durable = durable
        self._users = dict(users)
        self._acl = default_acl() if acl is None else acl
        self._max_inflight = max_inflight
        self._max_queued = max_queued
        self._programs: MosquittoPrograms | None = None

    @property
    def durability(self) -> Durability:
        """When a message is safe from a kill of the broker; before it has started, what is asked of it.

        ``message``: before it is acknowledged. ``turn``: when the main loop turns, just after; only where
        ``durable`` is asked for and Mosquitto's plug-in is another than this version knows. ``snapshot``: at
        the next periodic snapshot.
        """
        programs = self._programs
        if not self.durable or (programs is not None and programs.persist_plugin is None):
            return "snapshot"
        return "turn" if programs is not None and programs.committing_plugin is None else "message"

    def _unpack(self) -> None:
        self._programs = mosquitto_programs(self._progress)

    def _launch(self) -> subprocess.Popen[bytes]:
        programs = self._programs or mosquitto_programs(self._progress)
        processes.make_folder(self.data, self._account)
        self._write_access()
        configuration = self.folder / "mosquitto.conf"
        processes.write_private(configuration, self.configuration(), self._account)
        return processes.start(
            [programs.mosquitto, "-c", configuration],
            folder=self.data,
            account=self._account,
            log=self.log,
            when_owner_dies=signal.SIGTERM,
        )

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
        programs = self._programs
        if programs is None or self.durability == "snapshot":
            persistence = _SNAPSHOT.format(data=self.data)
        else:
            plugin = programs.committing_plugin or programs.persist_plugin
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
