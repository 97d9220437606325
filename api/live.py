"""The live stream (Server-Sent Events): says *what* changed, never the data; the page then asks for it with its ETag.

The one asynchronous module. Each client has room for one event: what changed while it was slow is merged into that,
so a client that does not read costs a few words of memory and is told everything once it reads again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool

from api.access import Access, Gate
from api.metrics import LIVE_CLIENTS
from api.parameters import StrictRoute
from api.problems import ProblemError
from lifeline.model import Role
from lifeline.principal import Principal
from lifeline.storage.changes import EVERYTHING

KEEPALIVE_S = 15.0
PACE_S = 0.25
"""A client is told no more often than this: a burst of changes is two events, and not a page that asks all the time."""

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["live"])


class Client:
    """One open stream: what it has not been told yet."""

    def __init__(self) -> None:
        self.pending: set[str] = set(EVERYTHING)
        self.woken = asyncio.Event()
        self.woken.set()


class Broadcaster:
    """Hands changes to every open stream. ``publish`` may be called from any thread."""

    def __init__(self, most_clients: int) -> None:
        self.most_clients = most_clients
        self.closed = False
        self._clients: set[Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._count = 0

    def open(self) -> None:
        """Call once in the event loop that serves the streams."""
        self._loop = asyncio.get_running_loop()

    def publish(self, what: frozenset[str]) -> None:
        """Tell every client that this has changed."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, what)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self.closed = True
        self.publish(frozenset())

    def join(self) -> Client:
        """A new client. Raises ProblemError 503 where there are too many."""
        if len(self._clients) >= self.most_clients:
            raise ProblemError(503, "too many live streams are open", {"Retry-After": "10"})
        client = Client()
        self._clients.add(client)
        LIVE_CLIENTS.set(len(self._clients))
        return client

    def leave(self, client: Client) -> None:
        """The client is gone."""
        self._clients.discard(client)
        LIVE_CLIENTS.set(len(self._clients))

    def event(self, what: set[str]) -> bytes:
        """One event on the wire; its id only ever grows within a process."""
        self._count += 1
        data = orjson.dumps({"what": sorted(what)}).decode()
        return format_sse_event(event="changed", data_str=data, id=str(self._count), retry=2000)

    def _spread(self, what: frozenset[str]) -> None:
        for client in self._clients:
            client.pending |= what
            client.woken.set()


@router.get("/live", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def live(request: Request, key: Principal = Depends(Access(Role.VIEWER))) -> StreamingResponse:  # noqa: B008
    """`event: changed`, data `{"what": ["alert", "incident"]}`: also `handover`, `inventory`, `job`, `reading`,
    `report` and `risk`; the first event names all."""
    broadcaster: Broadcaster = request.app.state.city.live
    gate: Gate = request.app.state.gate
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    still_valid = partial(run_in_threadpool, gate.renew, key)
    stream = _stream(broadcaster, broadcaster.join(), still_valid)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(
    broadcaster: Broadcaster, client: Client, still_valid: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    checked = loop.time()
    try:
        while not broadcaster.closed:
            try:
                async with asyncio.timeout(KEEPALIVE_S):
                    await client.woken.wait()
            except TimeoutError:
                yield KEEPALIVE_COMMENT
            # Also on a busy stream, which is never silent: a revoked key must not go on listening.
            if loop.time() - checked >= KEEPALIVE_S:
                checked = loop.time()
                if not await still_valid():
                    return
            client.woken.clear()
            what, client.pending = client.pending, set()
            if what:
                yield broadcaster.event(what)
                await asyncio.sleep(PACE_S)
    finally:
        broadcaster.leave(client)
