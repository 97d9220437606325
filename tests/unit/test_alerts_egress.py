"""Where webhooks may go: names are resolved once, checked, and the checked address is the one that is connected to."""

import ipaddress
import socket
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.egress import GuardedTransport, RefusedAddressError, checked_addresses, is_public

REFUSED = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_on_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101"])
def test_the_public_internet_is_not(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_every_address_has_an_answer_and_no_clothes_change_it(address: Any) -> None:
    answer = is_public(address)
    assert answer in (True, False)
    if isinstance(address, ipaddress.IPv4Address):
        assert is_public(ipaddress.IPv6Address(f"::ffff:{address}")) == answer


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "localhost.", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "0"]
)
def test_every_spelling_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises((RefusedAddressError, httpx.ConnectError)):
        checked_addresses(host, 80, [])


def test_a_host_may_be_allowed_by_name() -> None:
    assert "127.0.0.1" in checked_addresses("LOCALHOST", 80, ["localhost"])
    with pytest.raises(RefusedAddressError, match="LIFELINE_WEBHOOK_ALLOW"):
        checked_addresses("127.0.0.1", 80, ["localhost"])


def test_a_name_that_does_not_resolve_says_so() -> None:
    with pytest.raises(httpx.ConnectError, match="does not resolve"):
        checked_addresses("no-such-host.invalid", 80, [])


class Wire(httpx.BaseTransport):
    """Notes what would be connected to."""

    def __init__(self, *unreachable: str) -> None:
        self.requests: list[httpx.Request] = []
        self.unreachable = unreachable

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(
            httpx.Request(request.method, request.url, headers=request.headers, extensions=request.extensions)
        )
        if request.url.host in self.unreachable:
            raise httpx.ConnectError("unreachable")
        return httpx.Response(204)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """The resolver gives one answer after the other."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        given = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in given]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def post(wire: Wire, url: str = "https://hooks.example:8443/x") -> httpx.Response:
    with httpx.Client(transport=GuardedTransport([], wire)) as client:
        return client.post(url)


def test_the_connection_goes_to_the_checked_address_and_the_name_stays_in_host_and_sni(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = resolve_to(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    wire = Wire()
    assert post(wire).status_code == 204
    (request,) = wire.requests
    assert str(request.url) == "https://93.184.215.14:8443/x"
    assert request.headers["host"] == "hooks.example:8443"
    assert request.extensions["sni_hostname"] == "hooks.example"
    assert asked == ["hooks.example"]


def test_one_private_address_among_public_ones_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, ["93.184.215.14", "10.1.2.3"])
    wire = Wire()
    with pytest.raises(RefusedAddressError, match=r"10\.1\.2\.3"):
        post(wire)
    assert wire.requests == []


def test_the_next_address_is_tried_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, ["93.184.215.14", "1.1.1.1"])
    wire = Wire("93.184.215.14")
    assert post(wire).status_code == 204
    assert [request.url.host for request in wire.requests] == ["93.184.215.14", "1.1.1.1"]
    with pytest.raises(httpx.ConnectError):
        post(Wire("93.184.215.14", "1.1.1.1"))
