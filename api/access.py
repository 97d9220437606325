"""Who may come in, and as what: API keys in ``Authorization: Bearer llk_...``, the page's session in a cookie,
tokens of another issuer; five roles; and a limit on wrong keys.

Who was good a moment ago is remembered for ``MEMORY_S`` seconds, so that a busy page costs the database nothing; a
revoked key or a disabled user works for so long at most. Where one address sends too many wrong keys, keys from there
that were never good are refused for a while without being looked at: those that were are not, or who guesses behind a
proxy that he shares with others would lock the others out.
"""

import hmac
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

from api import oidc
from api.keyring import IssuerAwayError
from api.metrics import REFUSED_KEYS
from api.problems import ProblemError
from api.scopes import knows_scopes
from lifeline.errors import StorageError
from lifeline.model import Role
from lifeline.principal import Kind, Principal
from lifeline.storage import keys, sessions
from lifeline.storage.database import Pool, borrow
from lifeline.storage.sessions import Lives

MEMORY_S = 5.0
FAILURES = 10
"""Wrong keys of one address in ``WINDOW_S`` seconds, after which it has to wait."""
WINDOW_S = 60.0
_REMEMBERED = 10_000
COOKIE = "lifeline_session"
SECURE_COOKIE = "__Host-lifeline_session"
"""The name where TLS is on: a browser takes it from this very host alone, and only with Secure."""
CSRF_HEADER = "X-CSRF-Token"
SAFE = {"GET", "HEAD", "OPTIONS"}

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
    """Looks up who comes, and remembers who was good for a moment."""

    def __init__(
        self, pool: Pool, clock: Callable[[], datetime], lives: Lives, issuer: oidc.Issuer | None = None
    ) -> None:
        self._pool = pool
        self._issuer = issuer
        self._clock = clock
        self._good: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._failures = Failures()
        self.lives = lives

    def remembered(self, digest: bytes) -> Principal | None:
        """Who came with the secret of this digest within the last seconds."""
        found = self._good.get(digest)
        if found is None or time.monotonic() > found[1] or not found[0].valid_at(self._clock()):
            return None
        return found[0]

    def forget(self, digest: bytes) -> None:
        """Who has this secret is looked up again: its session has ended."""
        self._good.pop(digest, None)

    def forget_user(self, name: str) -> None:
        """Whoever comes under this name is looked up again."""
        for digest, (found, _) in list(self._good.items()):
            if found.name == name:
                self.forget(digest)

    def digest_of(self, text: str) -> bytes | None:
        """By what a key or a token is remembered; None for text that cannot be either."""
        if self._issuer is not None and not text.startswith(keys.PREFIX):
            return oidc.digest_of(text)
        return keys.digest_of(text)

    def admit(self, text: str, address: str) -> Principal:
        """Whose key or token this is. Raises ProblemError 401, 429 for an address that guesses, 503 while it cannot be
        told because the issuer is away."""
        at = time.monotonic()
        digest = self.digest_of(text)
        wait_s = 0.0 if digest in self._good else self._failures.wait_s(address, at)
        if wait_s > 0:
            raise ProblemError(429, "too many wrong keys from here; wait", {"Retry-After": str(int(wait_s) + 1)})
        found = self._find(text)
        if found is None:
            self._good.pop(digest or b"", None)
            self._failures.add(address, at)
            REFUSED_KEYS.inc()
            _log.warning("a wrong key was refused", address=address)
            raise refusal("this key is not valid")
        return self._remember(found, at)

    def _find(self, text: str) -> Principal | None:
        if self._issuer is None or text.startswith(keys.PREFIX):
            with borrow(self._pool) as connection:
                key = keys.authenticate(connection, text, self._clock())
            return key.principal() if key else None
        try:
            return self._issuer.principal(text)
        except IssuerAwayError:
            problem = "who this is cannot be told: the issuer of tokens is away"
            raise ProblemError(503, problem, {"Retry-After": "30"}) from None
        except oidc.WrongTokenError as error:
            _log.info("a token opens nothing", reason=str(error))
            return None

    def admit_session(self, digest: bytes) -> Principal:
        """Whose session this is. Raises ProblemError 401."""
        at = time.monotonic()
        with borrow(self._pool) as connection:
            found = sessions.find(connection, digest, self.lives, self._clock())
        if found is None:
            self._good.pop(digest, None)
            raise refusal("this session has ended; log in again")
        return self._remember(found, at)

    def renew(self, principal: Principal) -> bool:
        """Whether who was good when a stream began still is. A database that is away closes no stream."""
        now = self._clock()
        try:
            with borrow(self._pool) as connection:
                if principal.kind is Kind.KEY:
                    return keys.find(connection, principal.digest, now) is not None
                if principal.kind is Kind.USER:
                    return sessions.find(connection, principal.digest, self.lives, now) is not None
                return principal.valid_at(now)
        except StorageError:
            return True

    def _remember(self, found: Principal, at: float) -> Principal:
        self._good[found.digest] = (found, at + MEMORY_S)
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return found


class Access(HTTPBearer):
    """What a route asks for: somebody of ``role`` or a higher one. The dependency gives who it is.

    It is a coroutine only so that who is remembered costs no change of thread. Who sees a part of the city alone comes
    only to routes that know scopes (api/scopes.py).
    """

    def __init__(self, role: Role) -> None:
        super().__init__(
            scheme_name="key", description="An API key, `llk_...`, or the issuer's token", auto_error=False
        )
        self.role = role

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]
        found = await principal_of(request)
        if not found.may(self.role):
            raise ProblemError(
                403, f"this takes the role {self.role} or a higher one; this {found.kind} has {found.role}"
            )
        if not found.scope.whole and not knows_scopes(request):
            raise ProblemError(403, f"this is about the whole city; this {found.kind} has a part of it")
        request.state.principal = found
        return found


async def principal_of(request: Request) -> Principal:
    """Who sent a request. Raises ProblemError 401; 403 for a change by cookie without the page's own proof."""
    gate: Gate = request.app.state.gate
    said = request.headers.get("authorization")
    if said is None and (cookie := session_token(request)) is not None:
        return await _by_session(request, gate, cookie)
    scheme, _, text = (said or "").partition(" ")
    if not text or scheme.lower() != "bearer":
        raise refusal("log in, or send a key: `Authorization: Bearer llk_...`")
    digest = gate.digest_of(text.strip())
    found = gate.remembered(digest) if digest else None
    if found is None:
        found = await run_in_threadpool(gate.admit, text.strip(), address_of(request))
    return found


async def _by_session(request: Request, gate: Gate, token: str) -> Principal:
    digest = sessions.digest_of(token, sessions.TOKEN_PREFIX)
    if digest is None:
        raise refusal("this session has ended; log in again")
    found = gate.remembered(digest)
    if found is None:
        found = await run_in_threadpool(gate.admit_session, digest)
    # After the session: who has none learns nothing of the proof. Equal in constant time.
    proof = request.headers.get(CSRF_HEADER, "").encode()
    if request.method not in SAFE and not hmac.compare_digest(proof, sessions.csrf_of(token).encode()):
        raise ProblemError(403, f"a change by session takes the header {CSRF_HEADER} as GET /api/v1/session gives it")
    return found


def session_token(request: Request) -> str | None:
    """What the session's cookie holds, if there is one."""
    return request.cookies.get(COOKIE) or request.cookies.get(SECURE_COOKIE)


def address_of(request: Request) -> str:
    """Where a request comes from, as addresses are counted."""
    return origin_of(request.client.host if request.client else "")


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
