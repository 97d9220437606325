"""A publisher over a raw socket, MQTT 3.1.1 at QoS 1: what is not acknowledged is sent again on the next connection."""

import contextlib
import select
import socket
import time
from collections import deque

from lifeline.errors import ServiceError

WINDOW = 8_000
"""Unacknowledged messages at most."""
PATIENCE_S = 0.5
_PUBACK_BYTES = 4


class Publisher:
    """One session after another. The broker acknowledges a session's messages in the order in which they were sent."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._address, self._user, self._password = (host, port), user, password
        self._stream: socket.socket | None = None
        self._blocks: deque[tuple[bytes, int]] = deque()
        """Sent and not wholly acknowledged: bytes and messages."""
        self._rest = b""
        self._partial = b""
        self._of_first = 0
        """Acknowledged messages of the first block."""
        self.unacknowledged = 0
        self.acknowledged = 0
        self.connections = 0
        self.sent_again = 0

    @property
    def room(self) -> int:
        """Messages that may be sent now; 0 without a connection."""
        return 0 if self._stream is None or self._rest else max(0, WINDOW - self.unacknowledged)

    def send(self, block: bytes, messages: int) -> None:
        """Send as much as there is room for (``room``)."""
        self._blocks.append((block, messages))
        self.unacknowledged += messages
        self._rest = block

    def turn(self, wait_s: float) -> None:
        """Move bytes both ways for up to ``wait_s``; connect anew where the connection is gone."""
        if self._stream is None and not self._connect():
            time.sleep(wait_s)
            return
        stream = self._stream
        if stream is None:
            return
        try:
            readable, writable, _ = select.select([stream], [stream] if self._rest else [], [], wait_s)
            if writable:
                self._rest = self._rest[stream.send(self._rest) :]
            if readable:
                self._take(stream.recv(1 << 20))
        except (ConnectionError, TimeoutError, OSError):
            self._lost()

    def close(self) -> None:
        """Say goodbye."""
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.sendall(b"\xe0\x00")
            self._stream.close()
            self._stream = None

    def _take(self, data: bytes) -> None:
        if not data:
            self._lost()
            return
        data = self._partial + data
        count, left = divmod(len(data), _PUBACK_BYTES)
        self._partial = data[len(data) - left :]
        self.acknowledged += count
        self.unacknowledged -= count
        self._of_first += count
        while self._blocks and self._of_first >= self._blocks[0][1]:
            self._of_first -= self._blocks.popleft()[1]

    def _lost(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._partial = None, b""
        if self._of_first and self._blocks:  # what the broker has said that it has is not sent again
            block, messages = self._blocks[0]
            size = len(block) // messages
            self._blocks[0] = (block[self._of_first * size :], messages - self._of_first)
            self._of_first = 0
        self._rest = b""

    def _connect(self) -> bool:
        """Connect and send again what was not acknowledged. Raises ServiceError when the broker refuses the user."""
        with contextlib.ExitStack() as unless_admitted:
            try:
                stream = unless_admitted.enter_context(socket.create_connection(self._address, timeout=PATIENCE_S))
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream.settimeout(10.0)
                stream.sendall(self._hello())
                answer = stream.recv(4)
            except OSError:
                return False
            if answer[:1] != b"\x20":
                return False
            if answer[3] != 0:
                raise ServiceError(f"the broker refuses {self._user!r}: code {answer[3]}")
            unless_admitted.pop_all()
        stream.setblocking(False)
        self._stream = stream
        self.connections += 1
        if self._blocks:
            self.sent_again += sum(messages for _, messages in self._blocks)
            self._rest = b"".join(block for block, _ in self._blocks)
        return True

    def _hello(self) -> bytes:
        def text(value: str) -> bytes:
            return len(value.encode()).to_bytes(2, "big") + value.encode()

        name = f"load-{time.monotonic_ns()}"
        body = text("MQTT") + b"\x04\xc2\x00\x3c" + text(name) + text(self._user) + text(self._password)
        length, size = len(body), b""
        while True:
            length, part = divmod(length, 128)
            size += bytes([part | (128 if length else 0)])
            if not length:
                return b"\x10" + size + body
