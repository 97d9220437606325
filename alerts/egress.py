"""Where webhooks may go: the public internet and hosts that the operator named, and nowhere else.

A name is resolved once, its addresses are checked, and the connection is made to the very address that was checked, so
a name that resolves differently a moment later (DNS rebinding) gains nothing. Host header, SNI and certificate check
stay those of the name.
"""

import ipaddress
import socket
from collections.abc import Collection, Iterable

import httpx

from alerts.deadline import in_time
from lifeline.errors import LifelineError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_OWN_SERVICES = (ipaddress.IPv4Network("168.63.129.16/32"), ipaddress.IPv4Network("192.0.0.0/24"))
"""Where clouds keep services of their own in space that counts as public; the others are link-local or private."""
_NO_HOSTS = tuple(ipaddress.ip_network(text) for text in ("192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "fec0::/10"))
"""6to4 relays, a network's own NAT64, examples, the old private IPv6: Python (3.11) takes some of them for public."""


class RefusedAddressError(LifelineError):
    """A webhook's host resolves to an address that it must not reach."""


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet: not loopback, private, link-local, shared, multicast, reserved or
    unspecified, nor an IPv4 address of that kind in IPv6 clothes (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        embedded = [one for one in inner if one is not None]
        if embedded:
            return all(is_public(one) for one in embedded)
    bad = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not bad and not any(address in network for network in (*_OWN_SERVICES, *_NO_HOSTS))


def checked_addresses(host: str, port: int, allowed: Collection[str]) -> list[str]:
    """The addresses of a host, all of them public unless the host is ``allowed`` by name.

    Raises RefusedAddressError, or httpx.ConnectError where the name does not resolve.
    """
    name = host.strip("[]").rstrip(".").lower()
    try:
        found = in_time(lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"{host} does not resolve: {error}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    refuse_private(name, addresses, allowed)
    return addresses


def refuse_private(host: str, addresses: Iterable[str], allowed: Collection[str]) -> None:
    """Raise RefusedAddressError where an address of a host is not public, unless the host is ``allowed`` by name."""
    if host.strip("[]").rstrip(".").lower() in {one.strip("[]").rstrip(".").lower() for one in allowed}:
        return
    for address in addresses:
        if not is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise RefusedAddressError(
                f"{host} resolves to {address}, which is not public; LIFELINE_WEBHOOK_ALLOW names exceptions"
            )


class GuardedTransport(httpx.BaseTransport):
    """Connects to checked addresses only, one after the other until one answers."""

    def __init__(self, allowed: Collection[str], inner: httpx.BaseTransport | None = None) -> None:
        self._allowed = allowed
        # No connection is kept: one whose certificate was checked for a name must not serve another name.
        self._inner = inner or httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host, url = request.url.host, request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = checked_addresses(host, port, self._allowed)
        for number, address in enumerate(addresses, 1):
            request.url = url.copy_with(host=address)
            request.extensions = {**request.extensions, "sni_hostname": host}
            try:
                return self._inner.handle_request(request)
            except httpx.ConnectError:
                if number == len(addresses):
                    raise
        raise httpx.ConnectError(f"{host} has no address")

    def close(self) -> None:
        self._inner.close()
