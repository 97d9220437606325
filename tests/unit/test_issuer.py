"""The issuer of the tests itself: what it says of those who go away, and of its own faults."""

import socket
import struct
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest

from tests.api_process import PLAIN, until
from tests.issuer import TestIssuer, running_issuer


@pytest.fixture
def answered() -> Callable[[], bool]:
    """Whether every thread is over that has begun since: each question is answered in one."""
    before = set(threading.enumerate())
    return lambda: not any("process_request" in each.name for each in set(threading.enumerate()) - before)


def test_who_goes_away_before_the_answer_is_no_error(
    answered: Callable[[], bool], capfd: pytest.CaptureFixture[str]
) -> None:
    with running_issuer() as issuer:
        issuer.open.clear()
        with socket.create_connection(("127.0.0.1", urlsplit(issuer.url).port or 0)) as line:
            line.sendall(b"GET /keys HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: issuer.asked, "the question")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # gone at once, by a reset
        issuer.open.set()
        until(answered, "the end of the answer")
    assert capfd.readouterr().err == ""


def test_a_fault_of_its_own_is_told(
    answered: Callable[[], bool], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("no such key")

    monkeypatch.setattr(TestIssuer, "answer", fail)
    with running_issuer() as issuer:
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{issuer.url}/keys", verify=PLAIN)
        until(answered, "the end of the answer")
    assert "LookupError: no such key" in capfd.readouterr().err
