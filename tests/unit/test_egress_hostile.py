"""Ways round the guard of webhooks that others have found in guards like it."""

import ipaddress
import socket
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.egress import GuardedTransport, RefusedAddressError, checked_addresses, is_public

PRIVATE_V4 = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.5.5", "169.254.169.254", "100.64.0.1", "0.0.0.0"]


@pytest.mark.parametrize(
    "address",
    ["fec0::1", "feff::1", "192.88.99.1", "3fff::1", "64:ff9b:1::a00:1", "100::1", "2001:db8::1", "5f00::1", "fe80::1"],
)
def test_space_that_no_host_of_the_internet_has_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("inner", PRIVATE_V4)
def test_a_private_address_is_refused_in_every_ipv6_that_can_carry_it(inner: str) -> None:
    number = int(ipaddress.IPv4Address(inner))
    carried = {
        "mapped": 0xFFFF << 32 | number,
        "compatible": number,
        "translated": 0xFFFF << 48 | number,
        "NAT64": int(ipaddress.IPv6Address("64:ff9b::")) | number,
        "6to4": 0x2002 << 112 | number << 80,
        "Teredo client": 0x20010000 << 96 | 0x01010101 << 64 | number ^ 0xFFFFFFFF,
        "Teredo server": 0x20010000 << 96 | number << 64 | 0x01010101 ^ 0xFFFFFFFF,
    }
    for how, value in carried.items():
        assert not is_public(ipaddress.IPv6Address(value)), how


@given(st.ip_addresses(v=4))
def test_an_address_that_python_calls_private_is_never_public(address: ipaddress.IPv4Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.",
        "127.000.000.001",
        "0x7f000001",
        "017700000001",
        "2130706433",
        "127.1",
        "0",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "[::1%25lo]",
        "LOCALHOST",
        "localhost.localdomain",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
    ],
)
def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    with pytest.raises((RefusedAddressError, httpx.ConnectError)):
        checked_addresses(host, 80, [])


@pytest.mark.parametrize("host", ["hooks.example.evil.example", "evil-hooks.example", "hooks.exampl", "example", ""])
def test_a_host_that_is_allowed_allows_no_other_that_looks_like_it(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer: list[Any] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: answer)
    assert checked_addresses("hooks.example", 80, ["hooks.example"]) == ["10.0.0.1"]
    with pytest.raises(RefusedAddressError):
        checked_addresses(host, 80, ["hooks.example"])


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "https://[::1]/", "http://localhost:5432/", "http://0/", "http://127.1:9/"]
)
def test_the_transport_itself_refuses_before_a_single_packet(url: str) -> None:
    class Wire(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise AssertionError(f"connected to {request.url}")

    with (
        httpx.Client(transport=GuardedTransport([], Wire())) as client,
        pytest.raises((RefusedAddressError, httpx.HTTPError)),
    ):
        client.post(url)


def test_a_proxy_of_the_environment_is_not_used_to_get_round_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with httpx.Client(transport=GuardedTransport([]), trust_env=False) as client:
        assert not client._mounts
