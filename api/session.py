"""Routes by which people log in and out, and everybody learns who he is."""

from datetime import datetime
from threading import BoundedSemaphore
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.access import Access, Gate, address_of, cookie_name, is_secure, refusal, session_token
from api.city import city
from api.metrics import REFUSED_LOGINS
from api.parameters import StrictRoute
from api.problems import ProblemError
from lifeline import password as passwords
from lifeline.model import Role
from lifeline.password import LONGEST
from lifeline.principal import Kind, Principal
from lifeline.storage import sessions, users
from lifeline.storage.behalf import Actor, PoolOnBehalf
from lifeline.storage.database import Connection, Pool, borrow
from lifeline.storage.users import User

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["session"])
AT_ONCE = 8
"""Log-ins whose password is looked at or waits for it: each holds a thread of those that serve all requests."""
_LOGGING_IN = BoundedSemaphore(AT_ONCE)
Anybody = Annotated[Principal, Depends(Access(Role.VIEWER))]

_log = structlog.get_logger()


class LogIn(BaseModel):
    """A name and a password, or the token of a one-time link."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=64, examples=["li.wei"])
    password: str = Field("", max_length=LONGEST, examples=["correct horse battery"])
    link: str = Field("", max_length=128)

    @model_validator(mode="after")
    def _one_of_them(self) -> "LogIn":
        if bool(self.link) == bool(self.name or self.password):
            raise ValueError("give name and password, or link")
        return self


class MeOut(BaseModel):
    """Who this request came from, and what he may. ``networks`` and ``zones`` null: no limit. ``csrf`` is what each
    change by this session takes as the header X-CSRF-Token; null for who came otherwise."""

    name: str
    role: Role
    kind: Kind
    networks: list[str] | None
    zones: list[str] | None
    expires_at: datetime | None
    csrf: str | None = None


@router.post("/session", status_code=201, responses={401: {}, 403: {}, 429: {}, 503: {}})
def log_in(request: Request, response: Response, asked: LogIn) -> MeOut:
    """Log in: opens a session in a cookie that no script can read."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError(403, "log in from this server's own page")
    gate: Gate = request.app.state.gate
    pool: Pool = request.app.state.pool
    address, now = address_of(request), city(request).clock()
    fresh = None
    if asked.link:
        with borrow(pool) as connection:
            user = sessions.use_link(connection, asked.link, now)
    else:
        user, fresh = by_password(pool, asked, address, now)
    if user is None:
        raise _refused(asked, address)
    with borrow(pool) as connection:
        sessions.forget_ended(connection, gate.lives, now)
    with borrow(PoolOnBehalf(pool, Actor(user.name, Kind.USER, now, address, "POST /api/v1/session"))) as connection:
        if not asked.link and not sessions.accept(connection, user, address, now, fresh):
            raise _refused(asked, address)
        end_old(connection, gate, session_token(request))
        token = sessions.begin(connection, user, gate.lives, now, address, by_link=bool(asked.link))
    give_cookie(request, response, token, int(gate.lives.whole.total_seconds()))
    digest = sessions.digest_of(token, sessions.TOKEN_PREFIX)
    who = user.principal(now + gate.lives.whole, digest or b"")
    gate.welcome(who)
    return me(who, sessions.csrf_of(token))


@router.get("/session")
@router.get("/me")
def who_am_i(request: Request, key: Anybody) -> MeOut:
    """Whose key or session this request came with."""
    token = session_token(request) if key.by_session else None
    return me(key, sessions.csrf_of(token) if token else None)


@router.delete("/session", status_code=204)
def log_out(
    request: Request,
    response: Response,
    key: Anybody,
    everywhere: Annotated[bool, Query(description="Also on every other machine")] = False,
) -> None:
    """Log out: the session ends here and now."""
    if not key.by_session:
        raise ProblemError(409, "this request came without a session")
    gate: Gate = request.app.state.gate
    now = city(request).clock()
    actor = Actor(key.name, key.kind, now, address_of(request), "DELETE /api/v1/session")
    with borrow(PoolOnBehalf(request.app.state.pool, actor)) as connection:
        ended = sessions.end_others(connection, key.digest) if everywhere else []
        if everywhere and key.kind is Kind.USER:
            users.log_out(connection, key.name)  # his links too
        sessions.end(connection, key.digest)
    for digest in (*ended, key.digest):
        gate.forget(digest)
    secure = is_secure(request)
    response.delete_cookie(cookie_name(request), secure=secure, httponly=True, samesite="strict")


def me(who: Principal, csrf: str | None = None) -> MeOut:
    """Who somebody is, as the routes tell it."""
    networks, zones = (None if side is None else list(side) for side in (who.scope.networks, who.scope.zones))
    return MeOut(
        name=who.name, role=who.role, kind=who.kind, networks=networks, zones=zones,
        expires_at=who.expires_at, csrf=csrf,
    )  # fmt: skip


def by_password(pool: Pool, asked: LogIn, address: str, now: datetime) -> tuple[User | None, str | None]:
    """Whose name and password these are, and the password hashed anew where its hash is outdated.

    No connection is held while a password is hashed, or waits for others that are: the pool has few.
    """
    if not _LOGGING_IN.acquire(blocking=False):
        raise ProblemError(503, "too many log in at once; try again", {"Retry-After": "2"})
    try:
        with borrow(pool) as connection:
            wait_s = sessions.wait_s(connection, asked.name, address, now)
            user = sessions.attempt(connection, asked.name, address, now) if wait_s <= 0 else None
        if wait_s > 0:
            REFUSED_LOGINS.inc()
            raise ProblemError(429, "too many wrong passwords; wait", {"Retry-After": str(int(wait_s) + 1)})
        known = user.password_hash if user else None
        if not passwords.fits(asked.password, known) or known is None:
            return None, None
        return user, passwords.hashed(asked.password) if passwords.outdated(known) else None
    finally:
        _LOGGING_IN.release()


def _refused(asked: LogIn, address: str) -> ProblemError:
    REFUSED_LOGINS.inc()
    _log.warning("a wrong log-in was refused", address=address)
    return refusal("this link is used up or too old" if asked.link else "name or password is wrong")


def end_old(connection: Connection, gate: Gate, token: str | None) -> None:
    """Whatever session the browser came with is not gone on with: nobody can have planted it."""
    digest = sessions.digest_of(token or "", sessions.TOKEN_PREFIX)
    if digest is not None:
        sessions.end(connection, digest)
        gate.forget(digest)


def give_cookie(request: Request, response: Response, token: str, life_s: int) -> None:
    response.set_cookie(
        cookie_name(request), token, max_age=life_s, path="/", secure=is_secure(request), httponly=True,
        samesite="strict",
    )  # fmt: skip
