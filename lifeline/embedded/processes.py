"""Child processes that never outlive their owner, and are found again by the folder that they run in.

Every process of a service has the service's data folder as its working directory. That finds left-overs of a crash
more surely than a pid file: a number is used again, a folder is not.
"""

import contextlib
import fcntl
import functools
import os
import pwd
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lifeline.errors import ServiceError

LAUNCHER = Path(__file__).with_name("launcher.py")
# Below the range that the kernel gives to outgoing connections, which would take the port while the service is down.
PORTS = range(20_000, 32_000)
LOG_LIMIT_BYTES = 20_000_000


@functools.cache
def _starter(process_id: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a forked child needs a thread of its own
    """The one thread that starts children: the kernel's "parent died" comes when the starting *thread* ends."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-starter")


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a service runs as."""

    uid: int
    gid: int


def account_for(folder: Path) -> Account:
    """Who owns ``folder`` if it exists; else this user, and in the place of root ``postgres`` or ``nobody``.

    PostgreSQL refuses to run as root, and looks its user up by name, so a number without a name does not serve.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if folder.exists() and folder.stat().st_uid != 0:
        return Account(folder.stat().st_uid, folder.stat().st_gid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise ServiceError("Running as root needs an unprivileged user `postgres` or `nobody` for the services to run as")


def make_folder(folder: Path, account: Account) -> None:
    """Makes a private folder (0700) of the account's; every folder above must let the account pass.

    A link in its place is followed where this user made it (to another disk), and nobody else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink() and folder.lstat().st_uid == os.geteuid():
        folder = folder.resolve()
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise ServiceError(f"{folder} is not a folder of its own: {error.strerror}") from error
    try:
        if os.geteuid() == 0:
            os.fchown(handle, account.uid, account.gid)
        os.fchmod(handle, 0o700)
    finally:
        os.close(handle)
    if os.geteuid() == 0:
        for above in folder.resolve().parents:
            state = above.stat()
            if not state.st_mode & 0o001 and state.st_uid != account.uid:
                raise ServiceError(
                    f"{above} is closed to the unprivileged user that the services run as (uid {account.uid}): put the "
                    f"home folder elsewhere, /var/lib/lifeline for instance, or `chmod o+x {above}`"
                )


def write_private(path: Path, text: str, account: Account) -> None:
    """Replaces a file in one step, readable by the account alone."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if os.geteuid() == 0:
            os.fchown(file.fileno(), account.uid, account.gid)  # by handle: the name is in a folder of the account's
    new.rename(path)


def open_plain(path: Path, flags: int) -> int:
    """A file of ours in a folder that a service owns: made if missing, for this user alone, and never through a link.

    A service that was taken over could put a link to any file of root's in its place. Raises ServiceError.
    """
    try:
        handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise ServiceError(f"{path} cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ServiceError(f"{path} is no file")
    os.set_blocking(handle, True)
    return handle


def own(folder: Path) -> IO[str]:
    """Takes the folder for this process until the returned file is closed or the process ends, however it ends."""
    file = os.fdopen(open_plain(folder / "owner", os.O_RDWR | os.O_APPEND), "a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise ServiceError(f"{folder} is in use by another Lifeline (process {owner})") from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def keep_port(path: Path, account: Account) -> int:
    """The port written in ``path``, so that addresses survive a restart; another one when something else took it."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        port = int(path.read_text())
        if _is_free(port):
            return port
    port = next(port for port in random.sample(PORTS, len(PORTS)) if _is_free(port))
    write_private(path, f"{port}\n", account)
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def start(
    command: Sequence[str | Path],
    *,
    folder: Path,
    account: Account,
    log: Path,
    when_owner_dies: signal.Signals,
    typed: str = "",
) -> subprocess.Popen[bytes]:
    """Starts a program with ``folder`` as its working directory; the kernel signals it when this process dies.

    ``typed`` is what the program reads from its standard input.
    """
    launch = [
        sys.executable,
        "-I",
        "-S",
        LAUNCHER,
        os.getpid(),
        int(when_owner_dies),
        account.uid,
        account.gid,
        *command,
    ]
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.rename(log.with_suffix(".old"))

    def spawn() -> subprocess.Popen[bytes]:
        with (
            os.fdopen(open_plain(log, os.O_WRONLY | os.O_APPEND), "ab") as output,
            tempfile.TemporaryFile() as keyboard,
        ):
            keyboard.write(typed.encode())
            keyboard.seek(0)
            return subprocess.Popen(
                [str(part) for part in launch],
                cwd=folder,
                env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": str(folder)},
                stdin=keyboard,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    return _starter(os.getpid()).submit(spawn).result()


def running_in(folder: Path) -> list[int]:
    """Processes that have ``folder`` as their working directory, this one excepted."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # ended meanwhile, or another user's
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
    return found


def kill_all(folder: Path) -> None:
    """SIGKILL to every process of the folder, until none is left."""
    deadline = time.monotonic() + 10
    while pids := [pid for pid in running_in(folder) if not _is_zombie(pid)]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ServiceError(f"Processes {pids} of {folder} cannot be killed")
        time.sleep(0.005)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def stop(process: subprocess.Popen[bytes], how: signal.Signals, folder: Path, seconds: float) -> None:
    """Asks the process to end, and kills whatever is left of the folder after ``seconds``."""
    if process.poll() is None:
        process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    kill_all(folder)
    process.wait()


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, *, what: str, seconds: float = 60
) -> None:
    """Waits until ``ready``; a ServiceError with the end of the log when the process ends first or time runs out."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            raise ServiceError(f"{what} ended while it started (status {process.returncode}):\n{tail(log)}")
        if time.monotonic() > deadline:
            raise ServiceError(f"{what} was not ready within {seconds:.0f} s:\n{tail(log)}")
        time.sleep(0.01)


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
