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
from alerts.deadline import Deadline, within
from tests.integration.dripping import HEADERS, Dripper

LIMIT_S = 0.6
PATIENT_S = 5.0
"""How long a read may wait: the receiver's drops come far more often, so that it is never this that ends anything."""


@pytest.fixture
def dripper() -> Iterator[Dripper]:
    with Dripper() as running:
        yield running


def took(started: float) -> float:
    return time.monotonic() - started


def test_headers_that_drip_end_at_the_deadline_and_the_connection_with_them(dripper: Dripper) -> None:
    started = time.monotonic()
    with within(LIMIT_S) as deadline, pytest.raises(httpx.HTTPError):
        httpx.post(dripper.url, content=b"{}", timeout=PATIENT_S, trust_env=False)
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
    started = time.monotonic()
    with Dripper(b"", reads=False) as dripper, within(LIMIT_S), pytest.raises(smtplib.SMTPConnectError):
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
    with within(LIMIT_S):
        for asked, least in ((PATIENT_S, LIMIT_S / 2), (0.01, 0.01), (None, LIMIT_S / 2)):
            with socket.create_connection(("127.0.0.1", dripper.port), timeout=asked) as connection:
                wait_s = connection.gettimeout()
            assert wait_s is not None
            assert least <= wait_s <= LIMIT_S


def test_what_is_done_in_time_is_left_alone() -> None:
    with (
        Dripper(b"hello") as dripper,
        within(LIMIT_S) as deadline,
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
    with within(LIMIT_S) as outer:
        with within(PATIENT_S):
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
