"""PostgreSQL with TimescaleDB below one folder."""

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from lifeline.embedded import processes
from lifeline.embedded.packages import Progress
from lifeline.embedded.programs import postgres_programs
from lifeline.embedded.service import Service
from lifeline.errors import ServiceError

NAME = "lifeline"
"""Name of the database and of its owner."""


class Database(Service):
    """A private PostgreSQL 17 with TimescaleDB on a port of the loopback interface.

    Everything is kept below ``home/database``: the data, the port, and the password, which is needed to connect even
    from this machine (scram-sha-256; there is no socket file). ``with`` starts and stops it; ``start`` after ``kill``
    recovers what was committed, on the same port. Raises ServiceError when it cannot be unpacked or started.

    ``fsync=False`` is for tests alone: a crash of the machine then loses the data, a crash of the database does not.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT
    patience_s = 120

    def __init__(self, home: Path, *, fsync: bool = True, progress: Progress | None = None) -> None:
        super().__init__(home.resolve() / "database", "postgresql.log", progress)
        self._fsync = fsync
        self.password = ""

    @property
    def dsn(self) -> str:
        """Address for psycopg, with the password in it."""
        return f"postgresql://{NAME}:{self.password}@127.0.0.1:{self.port}/{NAME}"

    def _unpack(self) -> None:
        self._programs = postgres_programs(self._progress).bin

    def _launch(self) -> subprocess.Popen[bytes]:
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self.password = self._keep_password()
        if not self.data.exists():
            self._create()
        processes.write_private(self.folder / "lifeline.conf", self.configuration(), self._account)
        return processes.start(
            [self._programs / "postgres", "-D", self.data],
            folder=self.data,
            account=self._account,
            log=self.log,
            when_owner_dies=signal.SIGQUIT,  # all its processes at once; what was committed is in the log
        )

    def configuration(self) -> str:
        """The settings that differ from PostgreSQL's own defaults."""
        return _CONFIGURATION.format(
            port=self.port, fsync="on" if self._fsync else "off", shared_buffers_mb=_shared_buffers_mb()
        )

    def _is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _keep_password(self) -> str:
        path = self.folder / "password"
        if not path.exists():
            processes.write_private(path, secrets.token_urlsafe(24), self._account)
        return path.read_text()

    def _create(self) -> None:
        """Makes the cluster and the database under another name, so that a crash here leaves nothing half made."""
        new = self.folder / "data.new"
        processes.kill_all(new)
        shutil.rmtree(new, ignore_errors=True)
        self._run(
            "initdb",
            "-D",
            new,
            "-U",
            NAME,
            "--pwfile",
            self.folder / "password",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        processes.write_private(self.folder / "lifeline.conf", self.configuration(), self._account)
        for name, text in (("pg_hba.conf", _CLIENTS), ("postgresql.conf", "include '../lifeline.conf'\n")):
            processes.write_private(new / name, text, self._account)
        self._run("postgres", "--single", "-D", new, "postgres", typed=_BOOTSTRAP.read_text())
        new.rename(self.data)

    def _run(self, program: str, *arguments: str | Path, typed: str = "") -> None:
        process = processes.start(
            [self._programs / program, *arguments],
            folder=self.folder,
            account=self._account,
            log=self.log,
            when_owner_dies=signal.SIGKILL,
            typed=typed,
        )
        if process.wait() != 0:
            raise ServiceError(f"{program} failed (status {process.returncode}):\n{processes.tail(self.log)}")


def _shared_buffers_mb() -> int:
    """An eighth of the memory, from 128 MB to 1 GB: the newest chunk's indexes fit, and the rest is left to others."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(128, min(1024, memory // 8 // 1_048_576))


_BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")

_CLIENTS = """\
# Only from this machine, and only with the password.
host all all 127.0.0.1/32 scram-sha-256
"""

# Sized for two cores and a high rate of COPY. A commit is on disk before it is reported (synchronous_commit): the
# acknowledgement to the broker stands on it. max_wal_size spaces checkpoints out: each makes the next touch of a page
# write the whole page to the log. wal_init_zero: filling a new segment with zeros first held every commit up for 50 to
# 300 ms each 16 MB (p99 of publish to queryable 151-243 ms with it, 65-92 ms without, in one run beside other work).
_CONFIGURATION = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 80
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
timescaledb.max_background_workers = 4
max_worker_processes = 16
fsync = {fsync}
synchronous_commit = on
shared_buffers = {shared_buffers_mb}MB
work_mem = 32MB
maintenance_work_mem = 128MB
wal_compression = on
wal_buffers = 16MB
wal_init_zero = off
max_wal_size = 4GB
checkpoint_timeout = 15min
max_wal_senders = 0
wal_level = minimal
jit = off
random_page_cost = 1.1
dynamic_shared_memory_type = mmap
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_line_prefix = '%m [%p] '
"""
