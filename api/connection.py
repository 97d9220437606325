"""One connection of a client, with the patience that uvicorn lacks: a request must be here in time, and its head small.

Without this, a few hundred connections that never finish a request keep everybody else out, and a head without an end
fills the memory; both need no key.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api import refusals

REQUEST_S = 20.0
"""How long a request may take to arrive as a whole; a body has 64 kB at most."""
LARGEST_HEAD = 65_536
"""Bytes of request line and headers that are read before the rest must be there."""


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 that hangs up on who is too slow or says too much before the request begins."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head and self._head_bytes > LARGEST_HEAD:
            self._hang_up("a request without an end was hung up on")
            return
        self._head_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._wait_for_request()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._stop_waiting()
        super().on_message_complete()

    def _wait_for_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self._hang_up("a request that took too long was hung up on")

    def _hang_up(self, why: str) -> None:
        # No header says who it is before the head has ended: behind a proxy this is the proxy.
        refusals.tell(why, self.client[0] if self.client else "")
        self.transport.abort()
