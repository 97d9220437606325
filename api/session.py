"""Routes by which people log in and out, and everybody learns who he is."""

from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.access import (
    COOKIE,
    SECURE_COOKIE,
    Access,
    Gate,
    address_of,
    refusal,
    session_token,
)
from api.city import City, city
from api.metrics import REFUSED_LOGINS
from api.parameters import StrictRoute
from api.problems import ProblemError
from lifeline.model import Role
from lifeline.password import LONGEST
from lifeline.principal import Kind, Principal
from lifeline.storage import sessions, users
from lifeline.storage.behalf import Actor, sign
from lifeline.storage.database import Connection, borrow
from lifeline.storage.users import User

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["session"])
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


@router.post("/session", status_code=201, responses={401: {}, 403: {}, 429: {}})
def log_in(request: Request, response: Response, asked: LogIn) -> MeOut:
    """Log in: opens a session in a cookie that no script can read."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError(403, "log in from this server's own page")
    gate: Gate = request.app.state.gate
    here, address = city(request), address_of(request)
    now = here.clock()
    with borrow(here.pool) as connection:
        user = _by_link(connection, asked.link, now) if asked.link else _by_password(connection, asked, address, now)
        if user is None:
            REFUSED_LOGINS.inc()
            _log.warning("a wrong log-in was refused", address=address)
            raise refusal("this link is used up or too old" if asked.link else "name or password is wrong")
        sign(connection, Actor(user.name, Kind.USER, now, address, "POST /api/v1/session"))
        _end_old(connection, gate, session_token(request))
        token = sessions.begin(connection, user, gate.lives, now, address)
    _give_cookie(request, response, here, token, int(gate.lives.whole.total_seconds()))
    return me(Principal(user.name, user.role, Kind.USER, user.scope, now + gate.lives.whole), sessions.csrf_of(token))


@router.get("/session")
@router.get("/me")
def who_am_i(request: Request, key: Anybody) -> MeOut:
    """Whose key or session this request came with."""
    token = session_token(request) if key.kind is Kind.USER else None
    return me(key, sessions.csrf_of(token) if token else None)


@router.delete("/session", status_code=204)
def log_out(
    request: Request,
    response: Response,
    key: Anybody,
    everywhere: Annotated[bool, Query(description="Also on every other machine")] = False,
) -> None:
    """Log out: the session ends here and now."""
    if key.kind is not Kind.USER:
        raise ProblemError(409, "this request came without a session")
    gate: Gate = request.app.state.gate
    with borrow(request.app.state.pool) as connection:
        sign(
            connection, Actor(key.name, key.kind, city(request).clock(), address_of(request), "DELETE /api/v1/session")
        )
        if everywhere:
            users.log_out(connection, key.name)
        sessions.end(connection, key.digest)
    gate.forget_user(key.name) if everywhere else gate.forget(key.digest)
    for name in (COOKIE, SECURE_COOKIE):
        response.delete_cookie(name, secure=name == SECURE_COOKIE, httponly=True, samesite="strict")


def me(who: Principal, csrf: str | None = None) -> MeOut:
    """Who somebody is, as the routes tell it."""
    networks, zones = (None if side is None else list(side) for side in (who.scope.networks, who.scope.zones))
    return MeOut(
        name=who.name, role=who.role, kind=who.kind, networks=networks, zones=zones,
        expires_at=who.expires_at, csrf=csrf,
    )  # fmt: skip


def _by_link(connection: Connection, link: str, now: datetime) -> User | None:
    return sessions.use_link(connection, link, now)


def _by_password(connection: Connection, asked: LogIn, address: str, now: datetime) -> User | None:
    wait_s = sessions.wait_s(connection, asked.name, address, now)
    if wait_s > 0:
        REFUSED_LOGINS.inc()
        raise ProblemError(429, "too many wrong passwords; wait", {"Retry-After": str(int(wait_s) + 1)})
    return sessions.authenticate(connection, asked.name, asked.password, address, now)


def _end_old(connection: Connection, gate: Gate, token: str | None) -> None:
    """Whatever session the browser came with is not gone on with: nobody can have planted it."""
    digest = sessions.digest_of(token or "", sessions.TOKEN_PREFIX)
    if digest is not None:
        sessions.end(connection, digest)
        gate.forget(digest)


def _give_cookie(request: Request, response: Response, here: City, token: str, life_s: int) -> None:
    secure = request.url.scheme == "https" or here.settings.public_url.startswith("https://")
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        token, max_age=life_s, path="/", secure=secure, httponly=True, samesite="strict",
    )  # fmt: skip
