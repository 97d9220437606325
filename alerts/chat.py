"""Sends to chat channels and mail through apprise, under the same guard as webhooks.

apprise opens its connections itself (requests, smtplib). All of them resolve names by ``socket.getaddrinfo`` and
connect to what it gives, so that is where addresses are checked: in a thread that sends, and nowhere else. DingTalk and
WeCom answer 200 also when they refuse, with an ``errcode`` that apprise does not look at: the answers are read here.
"""

import json
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import apprise
import requests

from alerts.deadline import in_time
from alerts.egress import RefusedAddressError, refuse_private
from lifeline.chat import open_channel
from lifeline.errors import ConfigurationError, LifelineError

_CODES = ("errcode", "code", "StatusCode")
"""Where the channels' own result stands in their answers; 0 is success."""


class ChatError(LifelineError):
    """A channel did not take a message."""


class _Thread(threading.local):
    """What a thread that sends may reach, and what it met."""

    allowed: Collection[str] | None = None
    refused: str = ""
    answer: requests.Response | None = None


_thread = _Thread()
_getaddrinfo = socket.getaddrinfo
_send = requests.Session.send


def send(address: str, title: str, text: str, *, red: bool, allowed: Collection[str]) -> None:
    """Send one message to the channel at ``address``. Raises ChatError and RefusedAddressError."""
    try:
        channel = open_channel(address)
    except ConfigurationError as error:
        raise ChatError(str(error)) from error
    kind = apprise.NotifyType.FAILURE if red else apprise.NotifyType.WARNING
    with _guarded(allowed):
        taken = channel.notify(body=text, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
        refused, answer = _thread.refused, _thread.answer
    if refused:
        raise RefusedAddressError(refused)
    if answer is not None and (wrong := refusal(answer.status_code, answer.text)):
        raise ChatError(wrong)
    if not taken:
        raise ChatError("the channel did not take the message")


def refusal(status_code: int, text: str) -> str:
    """What a channel's answer says against the message; empty where it took it."""
    if not 200 <= status_code < 300:
        return f"HTTP {status_code}"
    try:
        answer = json.loads(text)
    except ValueError:
        return ""
    codes = [answer.get(name) for name in _CODES] if isinstance(answer, dict) else []
    if any(isinstance(code, int) and code != 0 for code in codes):
        return f"refused: {text[:200]}"
    return ""


@contextmanager
def _guarded(allowed: Collection[str]) -> Iterator[None]:
    _thread.allowed, _thread.refused, _thread.answer = allowed, "", None
    try:
        yield
    finally:
        _thread.allowed, _thread.answer = None, None


def _checked_getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> list[Any]:
    if _thread.allowed is None or host is None:
        return _getaddrinfo(host, port, *arguments, **options)
    name = host.decode() if isinstance(host, bytes) else str(host)
    found = in_time(lambda: _getaddrinfo(host, port, *arguments, **options))
    try:
        refuse_private(name, [str(entry[4][0]) for entry in found], _thread.allowed)
    except RefusedAddressError as error:
        _thread.refused = str(error)
        raise socket.gaierror(socket.EAI_FAIL, str(error)) from error
    return found


def _noted_send(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
    answer = _send(self, request, **options)
    if _thread.allowed is not None:
        _thread.answer = answer
    return answer


socket.getaddrinfo = _checked_getaddrinfo
requests.Session.send = _noted_send  # type: ignore[method-assign]
