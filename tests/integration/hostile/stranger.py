"""Who asks with a key of any kind, from an address of his own."""

import ipaddress

import httpx

from tests.api_process import PLAIN, Api

ADDRESSES = ipaddress.ip_network("198.51.100.0/24").hosts()


def with_key(api: Api, text: str, path: str = "/api/v1/catalogue", **more: str) -> httpx.Response:
    return httpx.get(api.url + path, headers={"Authorization": f"Bearer {text}", **more}, timeout=30, verify=PLAIN)


def stranger(api: Api, text: str) -> httpx.Response:
    """The same from an address that nobody else has, so that no test makes another wait."""
    return with_key(api, text, **{"X-Forwarded-For": str(next(ADDRESSES))})
