"""Who may come in: API keys in ``Authorization: Bearer llk_...``, five roles, and a limit on wrong keys.

A key that was good a moment ago is remembered for ``MEMORY_S`` seconds, so that a busy page costs the database nothing;
a revoked key works for so long at most. Where one address sends too many wrong keys, keys from there that were never
good are refused for a while without being looked at: those that were are not, or who guesses behind a proxy that he
shares with others would lock the others out.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from threading import Lock

import structlog
from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from api.metrics import REFUSED_KEYS
from api.problems import ProblemError
from lifeline.errors import StorageError
from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import Pool, borrow
from lifeline.storage.keys import ApiKey

MEMORY_S = 5.0
FAILURES = 10
"""Wrong keys of one address in ``WINDOW_S`` seconds, after which it has to wait."""
WINDOW_S = 60.0
_REMEMBERED = 10_000

_log = structlog.get_logger()


class Failures:
    """Counts wrong keys by address. Bounded: beyond 10,000 addresses the oldest is forgotten."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: OrderedDict[str, list[float]] = OrderedDict()

    def add(self, address: str, at: float) -> None:
        """Note a wrong key at ``at`` seconds of a monotonic clock."""
        with self._lock:
            recent = [moment for moment in self._seen.pop(address, []) if at - moment < WINDOW_S]
            self._seen[address] = [*recent, at][-FAILURES:]
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def wait_s(self, address: str, at: float) -> float:
        """How long this address has to wait; 0 where it need not."""
        with self._lock:
            recent = [moment for moment in self._seen.get(address, ()) if at - moment < WINDOW_S]
        return WINDOW_S - (at - recent[0]) if len(recent) >= FAILURES else 0.0


class Gate:
    """Looks keys up, and remembers good ones for a moment."""

    def __init__(self, pool: Pool, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._clock = clock
        self._good: OrderedDict[bytes, tuple[ApiKey, float]] = OrderedDict()
        self._failures = Failures()

    def remembered(self, digest: bytes) -> ApiKey | None:
        """The key with this digest where it was good within the last seconds."""
        found = self._good.get(digest)
        if found is None or time.monotonic() > found[1] or not found[0].valid_at(self._clock()):
            return None
        return found[0]

    def admit(self, text: str, address: str) -> ApiKey:
        """The valid key with this text. Raises ProblemError 401, or 429 for an address that guesses."""
        at = time.monotonic()
        digest = keys.digest_of(text)
        wait_s = 0.0 if digest in self._good else self._failures.wait_s(address, at)
        if wait_s > 0:
            raise ProblemError(429, "too many wrong keys from here; wait", {"Retry-After": str(int(wait_s) + 1)})
        with borrow(self._pool) as connection:
            key = keys.authenticate(connection, text, self._clock())
        if key is None:
            self._good.pop(digest or b"", None)
            self._failures.add(address, at)
            REFUSED_KEYS.inc()
            _log.warning("a wrong key was refused", address=address)
            raise refusal("this key is not valid")
        self._good[key.digest] = (key, at + MEMORY_S)
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return key

    def renew(self, key: ApiKey) -> bool:
        """Whether a key that was good when a stream began still is. A database that is away closes no stream."""
        try:
            with borrow(self._pool) as connection:
                return keys.find(connection, key.digest, self._clock()) is not None
        except StorageError:
            return True


class Access(HTTPBearer):
    """What a route asks for: a valid key of ``role`` or a higher one. The dependency gives the key.

    It is a coroutine only so that a remembered key costs no change of thread.
    """

    def __init__(self, role: Role) -> None:
        super().__init__(scheme_name="key", description="An API key, `llk_...`", auto_error=False)
        self.role = role

    async def __call__(self, request: Request) -> ApiKey:  # type: ignore[override]
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        digest = keys.digest_of(text.strip())
        gate: Gate = request.app.state.gate
        if not text or scheme.lower() != "bearer":
            raise refusal("send a key: `Authorization: Bearer llk_...`")
        key = gate.remembered(digest) if digest else None
        if key is None:
            origin = origin_of(request.client.host if request.client else "")
            key = await run_in_threadpool(gate.admit, text.strip(), origin)
        if not key.may(self.role):
            raise ProblemError(403, f"this takes the role {self.role} or a higher one; this key has {key.role}")
        return key


def origin_of(host: str) -> str:
    """Who is counted as one: an IPv4 address, or the /64 of an IPv6 one, which is the least that anybody is given.

    A host that is no address is nobody in particular: a proxy passes on what it was told, and that may be anything.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def refusal(detail: str) -> ProblemError:
    """401, with the scheme that is asked for."""
    return ProblemError(401, detail, {"WWW-Authenticate": 'Bearer realm="lifeline"'})
