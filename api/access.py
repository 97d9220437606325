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
from functools import partial
from threading import Lock

import structlog
from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from api import oidc
from api.keyring import IssuerAwayError
from api.metrics import REFUSED_KEYS
from api.problems import ProblemError
from api.scopes import knows_scopes, why_closed
from lifeline.errors import StorageError
from lifeline.model import Role
from lifeline.principal import Kind, Principal
from lifeline.settings import Settings
from lifeline.storage import keys, sessions
from lifeline.storage.database import Pool, borrow
from lifeline.storage.sessions import Lives

MEMORY_S = 5.0
NOTED_S = 30.0
"""Acts of a session are written down so often at most."""
FAILURES = 10
"""Wrong keys of one address in ``WINDOW_S`` seconds, after which it has to wait."""
WINDOW_S = 60.0
_REMEMBERED = 10_000
SESSION_FAILURES = 100
"""The same of sessions that are none: each page of a control room whose session has ended may come with its own."""
COOKIE = "lifeline_session"
SECURE = "__Host-"
"""Before the name where TLS is on: a browser takes it from this very host alone, and only with Secure."""
CSRF_HEADER = "X-CSRF-Token"
ACT_HEADER = "X-Acted"
"""On what the page asks while somebody is at it. What it fetches by itself is no use of a session, or that of a page
that was left open would never be idle. A change is always somebody's act."""
SAFE = {"GET", "HEAD", "OPTIONS"}

_log = structlog.get_logger()


class Failures:
    """Counts wrong keys by address. Bounded: beyond 10,000 addresses the oldest is forgotten."""

    def __init__(self, limit: int = FAILURES) -> None:
        self._limit = limit
        self._lock = Lock()
        self._seen: OrderedDict[str, list[float]] = OrderedDict()

    def add(self, address: str, at: float) -> None:
        """Note a wrong key at ``at`` seconds of a monotonic clock."""
        with self._lock:
            recent = [moment for moment in self._seen.pop(address, []) if at - moment < WINDOW_S]
            self._seen[address] = [*recent, at][-self._limit :]
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def wait_s(self, address: str, at: float) -> float:
        """How long this address has to wait; 0 where it need not."""
        with self._lock:
            recent = [moment for moment in self._seen.get(address, ()) if at - moment < WINDOW_S]
        return WINDOW_S - (at - recent[0]) if len(recent) >= self._limit else 0.0


class Gate:
    """Looks up who comes, and remembers who was good for a moment."""

    def __init__(
        self, pool: Pool, clock: Callable[[], datetime], lives: Lives, issuer: oidc.Issuer | None = None
    ) -> None:
        self._pool = pool
        self._issuer = issuer
        self._clock = clock
        self._good: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._noted: OrderedDict[bytes, float] = OrderedDict()
        self._failures, self._ended = Failures(), Failures(SESSION_FAILURES)
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
        """Whoever comes under this name is looked up again, also from where somebody guesses."""
        for digest, (found, _) in list(self._good.items()):
            if found.name == name:
                self._good[digest] = (found, 0.0)

    def welcome(self, found: Principal) -> None:
        """Who has just logged in comes in, also from where somebody guesses."""
        self._remember(found, time.monotonic())

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

    def noted(self, digest: bytes) -> bool:
        """Whether it was written down within the last moments that this session is in use."""
        return time.monotonic() < self._noted.get(digest, 0.0)

    def admit_session(self, digest: bytes, address: str, *, used: bool = True) -> Principal:
        """Whose session this is; ``used``: by a person, from whose act its idle time begins anew.

        Raises ProblemError 401, or 429 for an address that makes sessions up.
        """
        at = time.monotonic()
        wait_s = 0.0 if digest in self._good else self._ended.wait_s(address, at)
        if wait_s > 0:
            raise ProblemError(429, "too many sessions that are none; wait", {"Retry-After": str(int(wait_s) + 1)})
        with borrow(self._pool) as connection:
            found = sessions.find(connection, digest, self.lives, self._clock(), used=used)
        if found is None:
            self._good.pop(digest, None)
            self._ended.add(address, at)
            raise refusal("this session has ended; log in again")
        if used:
            self._noted[digest] = at + NOTED_S
            if len(self._noted) > _REMEMBERED:
                self._noted.popitem(last=False)
        return self._remember(found, at)

    def renew(self, principal: Principal) -> bool:
        """Whether who was good when a stream began still is; to ask is no use of a session, or none would ever be idle.

        A database that is away closes no stream.
        """
        now = self._clock()
        try:
            with borrow(self._pool) as connection:
                if principal.kind is Kind.KEY:
                    return keys.find(connection, principal.digest, now) is not None
                if principal.by_session:
                    return sessions.find(connection, principal.digest, self.lives, now, used=False) is not None
                return principal.valid_at(now)
        except StorageError:
            return True

    def _remember(self, found: Principal, at: float) -> Principal:
        self._good[found.digest] = (found, at + MEMORY_S)
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return found


class Access(HTTPBearer):
    """What a route asks for: somebody of ``role`` or a higher one, or of ``also``. The dependency gives who it is.

    It is a coroutine only so that who is remembered costs no change of thread. Who sees a part of the city alone comes
    only to routes that know scopes (api/scopes.py).
    """

    def __init__(self, role: Role, also: Role | None = None) -> None:
        super().__init__(
            scheme_name="key", description="An API key, `llk_...`, or the issuer's token", auto_error=False
        )
        self.role, self.also = role, also

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]
        found = await principal_of(request)
        if not (found.may(self.role) or found.role is self.also):
            raise ProblemError(
                403, f"this takes the role {self.role} or a higher one; this {found.kind} has {found.role}"
            )
        if not found.scope.whole and not knows_scopes(request):
            raise ProblemError(403, f"{why_closed(request)}; this {found.kind} has a part of the city")
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
    used = request.method not in SAFE or ACT_HEADER in request.headers
    if found is None or (used and not gate.noted(digest)):
        found = await run_in_threadpool(partial(gate.admit_session, digest, address_of(request), used=used))
    # After the session: who has none learns nothing of the proof. Equal in constant time.
    proof = request.headers.get(CSRF_HEADER, "").encode()
    if request.method not in SAFE and not hmac.compare_digest(proof, sessions.csrf_of(token).encode()):
        raise ProblemError(403, f"a change by session takes the header {CSRF_HEADER} as GET /api/v1/session gives it")
    return found


def session_token(request: Request) -> str | None:
    """What the session's cookie holds, if there is one."""
    return request.cookies.get(cookie_name(request))


def is_secure(request: Request) -> bool:
    """Whether people reach this server by TLS."""
    settings: Settings = request.app.state.city.settings
    return request.url.scheme == "https" or settings.public_url.startswith("https://")


def cookie_name(request: Request) -> str:
    """The one cookie that this server sets and reads.

    Without TLS anybody on the way, or on a port beside it, can plant the plain name: where there is TLS it counts for
    nothing. An exercise runs beside the city on the same host, whose ports share their cookies: it has its own.
    """
    settings: Settings = request.app.state.city.settings
    name = f"{COOKIE}_exercise" if settings.message_status == "Exercise" else COOKIE
    return SECURE + name if is_secure(request) else name


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
