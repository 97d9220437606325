"""The public keys of the issuer of tokens: found by discovery, kept, and fetched anew when one is not among them.

The issuer's address comes from the settings alone, that of its keys from its discovery document; both over https unless
the issuer is on this machine, without redirects, bounded in size and time. Nothing that a token says is ever asked for.
"""

import ssl
import time
import warnings
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet, RSAKey

from lifeline.model import JsonObject
from lifeline.settings import HERE

REFRESH_S = 30.0
"""Unknown key ids have the keys fetched at most so often: anybody can send them."""
LIFE_S = 3600.0
"""Keys are fetched anew after so long, so that a key that was withdrawn ends."""
STALE_S = 86_400.0
"""While the issuer is away its keys are good for so long at most."""
TIMEOUT_S = 5.0
LARGEST = 1_048_576
LEAST_RSA_BITS = 2048

_log = structlog.get_logger()


class IssuerAwayError(Exception):
    """No keys are known: whether a token is good cannot be told now."""


class Keyring:
    """An issuer's keys; safe from any thread. Raises nothing but IssuerAwayError, whatever the issuer answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = Lock()
        self._keys: KeySet | None = None
        self._document: JsonObject = {}
        self._fetched = self._tried = float("-inf")

    def keys_for(self, key_id: str | None) -> KeySet:
        """The keys, fetched where ``key_id`` is not among them or they are old. Raises IssuerAwayError.

        Who has a known key never waits while another fetches; who has none waits for what comes.
        """
        keys = self._keys
        known = keys is not None and any(key_id in (None, each.kid) for each in keys.keys)
        old = time.monotonic() - self._fetched > LIFE_S
        if (not known or old) and self._lock.acquire(blocking=not known):
            try:
                self._refresh()
            finally:
                self._lock.release()
        keys = self._keys
        if keys is None or time.monotonic() - self._fetched > STALE_S:
            raise IssuerAwayError
        return keys

    def document(self) -> JsonObject:
        """What the issuer says of itself, as old as its keys are. Raises IssuerAwayError."""
        self.keys_for(None)
        return self._document

    def _refresh(self) -> None:
        if time.monotonic() - self._tried <= REFRESH_S:
            return
        self._tried = time.monotonic()
        try:
            keys, document = _fetch(self.url)
        except (httpx.HTTPError, httpx.InvalidURL, JoseError, ValueError, TypeError, KeyError) as error:
            left_s = max(0.0, self._fetched + STALE_S - time.monotonic()) if self._keys else 0.0
            _log.error(
                "the issuer of tokens gave no keys; tokens of keys known so far stay good for a while",
                issuer=self.url, reason=str(error) or repr(error), known_keys_good_for_s=round(left_s),
            )  # fmt: skip
            return
        self._document, self._keys, self._fetched = document, keys, time.monotonic()
        _log.info("the issuer's keys were fetched", issuer=self.url, keys=[each.kid for each in keys.keys])


def _fetch(url: str) -> tuple[KeySet, JsonObject]:
    deadline = time.monotonic() + 2 * TIMEOUT_S
    found = ask("GET", f"{url.rstrip('/')}/.well-known/openid-configuration", deadline)
    if found.get("issuer") != url:
        raise ValueError(f"its discovery document is of another issuer, {found.get('issuer')!r}")
    address = place_of(found, "jwks_uri")
    said = ask("GET", address, deadline).get("keys")
    keys = [key for each in (said if isinstance(said, list) else []) if (key := _key(each)) is not None]
    if not keys:
        raise ValueError(f"{address} holds no key that can be used")
    return KeySet(keys), found


def place_of(document: JsonObject, name: str) -> str:
    """An address that an issuer gives in its discovery document. Raises ValueError where it is not https: an issuer
    elsewhere must not send us to what listens on this machine."""
    address = str(document.get(name, ""))
    if urlsplit(address).scheme != "https" and not (is_here(address) and is_here(str(document.get("issuer")))):
        raise ValueError(f"its {name} {address!r} is not https")
    return address


def _key(said: Any) -> Key | None:
    """A public key for signatures, or None for one that is none, or is weak, or of a kind that is not known here."""
    # A shared secret among them could only be meant to be used as one.
    if not isinstance(said, dict) or said.get("kty") not in ("RSA", "EC", "OKP") or said.get("use", "sig") != "sig":
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            key = JWKRegistry.import_key(said)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None if isinstance(key, RSAKey) and key.raw_value.key_size < LEAST_RSA_BITS else key


@cache
def _authorities() -> ssl.SSLContext:
    """The certificates that are trusted, read once: that takes as long as a request."""
    return httpx.create_ssl_context()


def ask(method: str, url: str, deadline: float, **sent: Any) -> JsonObject:
    """A JSON object of the issuer's, until ``deadline`` (monotonic). Raises httpx.HTTPError, httpx.InvalidURL and
    ValueError; whoever answers learns nothing but ``sent`` (of httpx: data, auth)."""
    with httpx.stream(method, url, timeout=TIMEOUT_S, follow_redirects=False, verify=_authorities(), **sent) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{url} answered {answer.status_code}")
        body = bytearray()
        for block in answer.iter_bytes():
            body += block
            if len(body) > LARGEST:
                raise ValueError(f"{url} answered with more than {LARGEST} bytes")
            if time.monotonic() > deadline:
                raise ValueError(f"{url} takes too long to answer")
    found = orjson.loads(body)
    if not isinstance(found, dict):
        raise ValueError(f"{url} is no JSON object")
    return found


def is_here(url: str) -> bool:
    """Whether an address is http:// on this very machine, which needs no encryption."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in HERE
