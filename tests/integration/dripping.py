"""A receiver that answers a byte at a time and never comes to an end: what holds a thread for good."""

import contextlib
import socket
import threading
from types import TracebackType

HEADERS = b"HTTP/1.1 200 OK\r\nx-drip: "


class Dripper:
    """Accepts connections; on each it says ``first`` and then a byte every ``every_s``.

    ``reads`` False: it speaks first, as a mail server does. ``ended`` counts the connections that the other side ended.
    """

    def __init__(self, first: bytes = HEADERS, every_s: float = 0.1, *, reads: bool = True) -> None:
        self._first, self._every_s, self._reads = first, every_s, reads
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.ended = threading.Semaphore(0)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                thread = threading.Thread(target=self._drip, args=[connection], daemon=True)
                thread.start()
                self._threads.append(thread)

    def _drip(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._reads:
                connection.recv(65536)
            connection.sendall(self._first)
            while not self._over.wait(self._every_s):
                connection.sendall(b"x")
        if not self._over.is_set():
            self.ended.release()

    def __enter__(self) -> "Dripper":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._over.set()
        self._server.shutdown(socket.SHUT_RDWR)  # wakes accept; close alone does not
        self._server.close()
        for thread in self._threads:
            thread.join(5)
