"""Connections that are slow, endless or broken, against a real server with a tiny application behind it."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from api import connection, refusals
from api.connection import LARGEST_HEAD, PatientProtocol
from api.pace import Pace

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LIMIT_S = 0.8


@dataclass
class Server:
    """A server of an application that answers with the length of the body that it read."""

    port: int = 0
    answered: list[int] = field(default_factory=list)

    async def app(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        if scope["path"] == "/slow":
            await asyncio.sleep(2 * LIMIT_S)
        self.answered.append(size)
        body = str(size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    patience = pytest.MonkeyPatch()
    patience.setattr(connection, "REQUEST_S", LIMIT_S)
    made = Server()
    options = {"port": 0, "ws": "none", "log_config": None, "interface": "asgi3", "lifespan": "off"}
    config = uvicorn.Config(made.app, http=PatientProtocol, **options)  # type: ignore[arg-type]
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    made.port = running.servers[0].sockets[0].getsockname()[1]
    yield made
    running.should_exit = True
    thread.join(5)
    patience.undo()


def ended_after(client: socket.socket, began: float | None = None) -> float:
    """Seconds until the server hung up, from ``began`` (else from now)."""
    began = time.monotonic() if began is None else began
    try:
        while client.recv(65_536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - began


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["nothing", "a word", "half a head", "half a body", "half a chunk"],
)
def test_who_does_not_finish_a_request_is_hung_up_on(said: bytes, server: Server) -> None:
    began = time.monotonic()  # before: the server counts from when it hears, and this thread may come on later
    with server.connect() as client:
        client.sendall(said)
        assert LIMIT_S * 0.7 < ended_after(client, began) < LIMIT_S * 4


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (b"GET / HTTP/1.1\r\nX-Key: llk_s3cret", "a request that took too long was hung up on"),
        (b"GET / HTTP/1.1\r\nX-Key: " + b"llk_s3cret" * LARGEST_HEAD, "a request without an end was hung up on"),
    ],
    ids=["too slow", "too long"],
)
def test_who_is_hung_up_on_is_told_of_and_what_he_said_is_not(
    said: bytes, event: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_pace", Pace(1))
    with capture_logs() as told:
        for _ in range(2):
            with server.connect() as client, suppress(ConnectionError):
                client.sendall(said)
                ended_after(client)
    assert told == [{"event": event, "address": "127.0.0.1", "log_level": "warning"}], "once a minute, for this address"


def test_a_byte_now_and_then_buys_no_time(server: Server) -> None:
    began = time.monotonic()
    with server.connect() as client, pytest.raises(OSError):  # noqa: PT012
        for letter in b"GET / HTTP/1.1\r\nX-Slow: " + b"a" * 200:
            client.send(bytes([letter]))
            time.sleep(LIMIT_S / 20)
    assert time.monotonic() - began < LIMIT_S * 4


def test_the_second_request_of_a_connection_has_to_come_in_time_too(server: Server) -> None:
    with server.connect() as client:
        client.sendall(GET)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET / HTT")
        assert ended_after(client) < LIMIT_S * 4


def test_an_answer_may_take_longer_than_the_request(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_connection_that_waits_between_requests_is_kept(server: Server) -> None:
    with server.connect() as client:
        for _ in range(3):
            client.sendall(GET)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(1.3 * LIMIT_S)


@pytest.mark.parametrize("line", [b"X-A: " + b"a" * 900 + b"\r\n", b"b" * 907], ids=["many headers", "one header"])
def test_a_head_without_an_end_is_cut_off(line: bytes, server: Server) -> None:
    with server.connect() as client:
        sent = 0
        with pytest.raises(OSError):  # noqa: PT012
            client.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
            while sent < 100 * LARGEST_HEAD:
                client.sendall(line)
                sent += len(line)
        assert sent < 50 * LARGEST_HEAD, "what the kernel's buffers took, and no more"


def test_a_large_head_that_ends_is_read(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * 30_000 + b"\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_large_body_does_not_count_as_head(server: Server) -> None:
    size = 3 * LARGEST_HEAD
    with server.connect() as client:
        for _ in range(2):
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
            told = b""
            while not told.endswith(str(size).encode()):  # head and body are sent one after the other
                block = client.recv(4096)
                assert block, told
                told += block
            assert told.startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_each_answered(server: Server) -> None:
    with server.connect() as client:
        client.sendall(GET * 20)
        told = b""
        while told.count(b"HTTP/1.1 200") < 20 and (block := client.recv(65_536)):
            told += block
        assert told.count(b"HTTP/1.1 200") == 20


SMUGGLED = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    "two lengths": b"Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}" + GET,
    "a negative length": b"Content-Length: -1\r\n\r\n" + GET,
    "a length with a sign": b"Content-Length: +2\r\n\r\n{}" + GET,
    "a length beyond all numbers": b"Content-Length: 99999999999999999999999\r\n\r\n",
    "a folded header": b"A: b\r\n c\r\n\r\n" + GET,
    "a NUL in a header": b"A: b\0c\r\n\r\n" + GET,
    "a space before the colon": b"Content-Length : 2\r\n\r\n{}" + GET,
    "a bare line feed": b"A: b\nTransfer-Encoding: chunked\n\n0\n\n" + GET,
    "a chunk size that is none": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + GET,
}


@pytest.mark.parametrize("head", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_what_a_proxy_could_read_otherwise_is_refused_as_a_whole(head: bytes, server: Server) -> None:
    """Request smuggling: of two requests that might be one, not even the first is answered well."""
    with server.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head)
        told = b""
        while block := client.recv(65_536):
            told += block
    assert told.count(b"HTTP/1.1 ") == 1
    assert told.startswith(b"HTTP/1.1 400")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(min_size=1, max_size=200))
def test_garbage_is_refused_and_the_server_goes_on(garbage: bytes, server: Server) -> None:
    with server.connect() as client:
        client.sendall(garbage + b"\r\n\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert ended_after(client) < 5
    with server.connect() as client:
        client.sendall(GET)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_an_upgrade_to_web_sockets_is_no_way_in(server: Server) -> None:
    with server.connect() as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b"101" not in client.recv(4096).split(b"\r\n")[0]
