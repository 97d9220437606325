"""A time by which an exchange over the network must be over, whatever the other side does.

The time-outs of httpx, requests and smtplib are those of one read: a receiver that sends a byte every few seconds never
meets them, and would hold a delivery thread for good. Here the connections of a thread are shut at the deadline, so
that whoever reads or writes them comes back with an error. apprise shows nobody its sockets, so they are met where all
of them begin: in ``socket.connect``, in a thread that has a deadline, and nowhere else.

Resolving a name is not a connection, and nothing ends the system's resolver: ``in_time`` waits for it no longer than
there is time, and leaves it to its own time-outs.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Deadline:
    """The connections of one exchange and whether its time is over. ``seconds`` counts from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._shut = False

    @property
    def left_s(self) -> float:
        """Seconds that are left, 0 where none are."""
        return max(self._ends_at - time.monotonic(), 0.0)

    @property
    def passed(self) -> bool:
        return self._shut or not self.left_s

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection at the deadline. Raises TimeoutError where that is over already.

        A duplicate is kept: TLS takes the socket itself over, and shutting any of the two ends the connection.
        """
        with self._lock:
            if self.passed:
                raise TimeoutError(f"not done within {self.seconds:g} s")
            self._connections.append(connection.dup())

    def shut(self) -> None:
        """The time is over: every connection ends now."""
        with self._lock:
            self._shut = True
            for connection in self._connections:
                with contextlib.suppress(OSError):  # it is closed or was never open
                    connection.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """The exchange is over; its connections belong to nobody here any more."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()


class _Thread(threading.local):
    deadline: Deadline | None = None


_thread = _Thread()
_connect = socket.socket.connect


@contextmanager
def within(seconds: float) -> Iterator[Deadline]:
    """Connections that this thread opens in the block end after ``seconds`` at the latest."""
    deadline = Deadline(seconds)
    timer = threading.Timer(seconds, deadline.shut)
    timer.daemon = True
    timer.start()
    before, _thread.deadline = _thread.deadline, deadline
    try:
        yield deadline
    finally:
        _thread.deadline = before
        timer.cancel()
        deadline.forget()


def in_time(work: Callable[[], T]) -> T:
    """What ``work`` gives, which nothing can interrupt. Raises TimeoutError where this thread's deadline comes first,
    and what ``work`` raises. It runs in a thread of its own, which has neither this one's deadline nor its allowances.
    """
    deadline = _thread.deadline
    if deadline is None:
        return work()
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits for it
            answer.set_exception(error)

    threading.Thread(target=run, name="resolving", daemon=True).start()
    try:
        return answer.result(deadline.left_s)
    except TimeoutError:
        if answer.done():  # it is the work's own
            raise
        raise TimeoutError(f"not done within {deadline.seconds:g} s") from None


def _watched_connect(self: socket.socket, address: Any) -> None:
    deadline = _thread.deadline
    if deadline is not None:
        deadline.watch(self)
        wait_s = self.gettimeout()
        left_s = max(deadline.left_s, 0.001)  # 0 would make the socket a non-blocking one
        self.settimeout(left_s if wait_s is None else min(wait_s, left_s))
    _connect(self, address)


socket.socket.connect = _watched_connect  # type: ignore[method-assign, assignment]
