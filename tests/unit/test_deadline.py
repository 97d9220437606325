"""A deadline ends connections that no time-out of a read would end, and touches no others."""

import smtplib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import requests

from alerts import chat
from alerts.deadline import Deadline, in_time, within
from alerts.egress import RefusedAddressError, checked_addresses
from tests.integration.dripping import HEADERS, Dripper

LIMIT_S = 0.6
PATIENT_S = 60.0
"""How long a read may wait: the receiver's drops come far more often, so that it is never this that ends anything."""


@pytest.fixture
def dripper() -> Iterator[Dripper]:
    with Dripper() as running:
        yield running


def took(started: float) -> float:
    return time.monotonic() - started


def test_headers_that_drip_end_at_the_deadline_and_the_connection_with_them(dripper: Dripper) -> None:
    with httpx.Client(timeout=PATIENT_S, trust_env=False) as client:  # made before: it reads the certificates
        started = time.monotonic()
        with within(LIMIT_S) as deadline, pytest.raises(httpx.HTTPError):
            client.post(dripper.url, content=b"{}")
    assert LIMIT_S * 0.9 < took(started) < PATIENT_S
    assert deadline.passed
    assert dripper.ended.acquire(timeout=PATIENT_S)


def test_a_body_that_drips_ends_at_the_deadline() -> None:
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
    started = time.monotonic()
    with Dripper(body) as dripper, within(LIMIT_S), pytest.raises(requests.RequestException):
        requests.post(dripper.url, data=b"{}", timeout=PATIENT_S)
    assert took(started) < PATIENT_S


def test_a_handshake_that_drips_ends_at_the_deadline() -> None:
    """Bytes of a TLS record that is announced as 16 kB and takes half an hour to arrive."""
    started = time.monotonic()
    with Dripper(b"\x16\x03\x03\x3f\xff") as dripper, within(LIMIT_S), pytest.raises(httpx.HTTPError):
        httpx.post(dripper.url.replace("http:", "https:"), content=b"{}", timeout=PATIENT_S, trust_env=False)
    assert took(started) < PATIENT_S


def test_a_mail_server_whose_greeting_drips_ends_at_the_deadline() -> None:
    # Whoever reads a moment late meets not the end but the reset with which the system answers the next drop.
    ended = (smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected)
    started = time.monotonic()
    with Dripper(b"", reads=False) as dripper, within(LIMIT_S), pytest.raises(ended):
        smtplib.SMTP("127.0.0.1", dripper.port, timeout=PATIENT_S)
    assert took(started) < PATIENT_S


def test_a_mail_that_goes_through_apprise_ends_at_the_deadline() -> None:
    """apprise has time-outs of its own, and those too are of one read."""
    started = time.monotonic()
    with Dripper(b"", reads=False) as dripper:
        address = f"mailto://127.0.0.1:{dripper.port}?from=a@example.org&to=b@example.org&mode=insecure"
        with within(LIMIT_S), pytest.raises(chat.ChatError):
            chat.send(address, "Alert", "Gas", red=True, allowed=["127.0.0.1"])
    assert LIMIT_S * 0.9 < took(started) < 2 * PATIENT_S


def test_after_the_deadline_nothing_new_is_opened(dripper: Dripper) -> None:
    with within(0.05) as deadline:
        time.sleep(0.1)
        assert deadline.passed
        assert deadline.left_s == 0
        with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
            socket.create_connection(("127.0.0.1", dripper.port), timeout=PATIENT_S)


def test_a_connection_waits_no_longer_than_what_is_left(dripper: Dripper) -> None:
    with within(PATIENT_S):
        for asked, least in ((2 * PATIENT_S, LIMIT_S), (0.01, 0.01), (None, LIMIT_S)):
            with socket.create_connection(("127.0.0.1", dripper.port), timeout=asked) as connection:
                wait_s = connection.gettimeout()
            assert wait_s is not None
            assert least <= wait_s <= PATIENT_S


def test_what_is_done_in_time_is_left_alone() -> None:
    with (
        Dripper(b"hello") as dripper,
        within(PATIENT_S) as deadline,
        socket.create_connection(("127.0.0.1", dripper.port), timeout=PATIENT_S) as connection,
    ):
        connection.sendall(b"?")
        assert connection.recv(5) == b"hello"
    assert not deadline._shut
    assert deadline._connections == []


def test_other_threads_and_what_comes_after_have_no_deadline() -> None:
    waits: list[float | None] = []

    def open_one(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENT_S) as connection:
            waits.append(connection.gettimeout())

    with Dripper(HEADERS) as dripper:
        with within(0.05):
            thread = threading.Thread(target=open_one, args=[dripper.port])
            thread.start()
            thread.join()
        time.sleep(0.1)
        open_one(dripper.port)
    assert waits == [PATIENT_S, PATIENT_S]


def test_a_deadline_in_a_deadline_gives_the_outer_one_back(dripper: Dripper) -> None:
    with within(LIMIT_S), within(PATIENT_S):
        pass
    with within(PATIENT_S) as outer:
        with within(LIMIT_S):
            pass
        with socket.create_connection(("127.0.0.1", dripper.port), timeout=PATIENT_S):
            assert len(outer._connections) == 1


def test_shutting_what_is_closed_or_was_never_open_is_no_error() -> None:
    deadline = Deadline(PATIENT_S)
    with socket.socket() as connection:
        deadline.watch(connection)
    deadline.shut()
    deadline.forget()
    assert deadline.passed


# ------------------------------------------------------------------------------------------- the resolver of the system


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A resolver that says nothing until the test is over, for egress and for apprise alike."""
    over = threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        over.wait(PATIENT_S)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(chat, "_getaddrinfo", resolve)
    yield over
    over.set()


@pytest.mark.usefixtures("hanging")
def test_a_resolver_that_hangs_holds_a_webhook_no_longer_than_the_deadline() -> None:
    started = time.monotonic()
    with within(LIMIT_S), pytest.raises(httpx.ConnectError, match=r"does not resolve: not done within 0\.6 s"):
        checked_addresses("hooks.example", 443, [])
    assert LIMIT_S * 0.9 < took(started) < PATIENT_S * 0.8


def test_a_resolver_that_hangs_holds_a_chat_message_no_longer_than_the_deadline(
    hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", chat._checked_getaddrinfo)
    started = time.monotonic()
    with within(LIMIT_S), pytest.raises(chat.ChatError):
        chat.send(
            "mailto://chat.example:25?from=a@example.org&to=b@example.org&mode=insecure",
            "Alert",
            "Gas",
            red=True,
            allowed=[],
        )
    assert LIMIT_S * 0.9 < took(started) < PATIENT_S * 0.8
    assert not hanging.is_set()


def test_an_answer_that_comes_in_time_is_checked_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    private = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(chat, "_getaddrinfo", lambda *_, **__: private)
    monkeypatch.setattr(socket, "getaddrinfo", chat._checked_getaddrinfo)
    with within(PATIENT_S), pytest.raises(RefusedAddressError, match=r"10\.0\.0\.1"):
        checked_addresses("hooks.example", 443, [])
    with within(PATIENT_S), pytest.raises(RefusedAddressError, match=r"10\.0\.0\.1"):
        chat.send(
            "mailto://chat.example:25?from=a@example.org&to=b@example.org&mode=insecure",
            "Alert",
            "Gas",
            red=True,
            allowed=[],
        )


def test_what_fails_in_time_fails_as_it_would_by_itself() -> None:
    def fail() -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    def give_up() -> None:
        raise TimeoutError("the resolver gave up")

    with within(PATIENT_S), pytest.raises(socket.gaierror, match="no such name"):
        in_time(fail)
    with within(PATIENT_S), pytest.raises(TimeoutError, match="gave up"):
        in_time(give_up)


def test_without_a_deadline_it_is_done_here_and_now() -> None:
    assert in_time(threading.get_ident) == threading.get_ident()
    with within(PATIENT_S):
        assert in_time(threading.get_ident) != threading.get_ident()


def test_once_the_time_is_over_nothing_is_waited_for() -> None:
    asked, ended = threading.Event(), threading.Event()

    def resolve() -> None:
        asked.wait(PATIENT_S)
        ended.set()

    with within(0.05):
        time.sleep(0.1)
        with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
            in_time(resolve)
        assert not ended.is_set()
    asked.set()
    assert ended.wait(PATIENT_S)
