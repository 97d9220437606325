"""Routes for one's own account: the password and the open sessions; administrators see and end those of all."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import Access, Gate, address_of
from api.city import city
from api.parameters import After, BigId, Limit, StrictRoute, decode_cursor, encode_cursor
from api.problems import ProblemError
from api.session import Anybody, LogIn, MeOut, by_password, give_cookie, me
from lifeline.errors import RejectedDataError
from lifeline.model import Role
from lifeline.password import LONGEST
from lifeline.principal import Kind, Principal
from lifeline.storage import sessions, users
from lifeline.storage.behalf import Actor, PoolOnBehalf
from lifeline.storage.database import borrow

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["session"])
Admin = Annotated[Principal, Depends(Access(Role.ADMIN))]


class PasswordIn(BaseModel):
    """``current`` may be left out within a quarter of an hour after one came in by a one-time link."""

    model_config = ConfigDict(extra="forbid")

    current: str = Field("", max_length=LONGEST)
    password: str = Field(max_length=LONGEST, examples=["correct horse battery"])


class SessionOut(BaseModel):
    """An open session; ``this``: the one that this request came with. ``kind`` sso: by the city's log-in service."""

    id: int
    name: str
    role: Role
    kind: Kind
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    this: bool


class SessionPage(BaseModel):
    items: list[SessionOut]
    next: str | None


@router.post("/session/password", responses={400: {}, 403: {}, 409: {}, 429: {}, 503: {}})
def change_password(request: Request, response: Response, asked: PasswordIn, who: Anybody) -> MeOut:
    """Change one's own password: every session of this user ends, and this browser gets a new one."""
    if who.kind is not Kind.USER:
        raise ProblemError(409, "this request came without a user's session: there is no password to change here")
    gate: Gate = request.app.state.gate
    pool, now, address = request.app.state.pool, city(request).clock(), address_of(request)
    with borrow(pool) as connection:
        free = not asked.current and sessions.by_link(connection, who.digest, now)
    if not free and by_password(pool, LogIn(name=who.name, password=asked.current, link=""), address, now)[0] is None:
        raise ProblemError(403, "the current password is wrong")
    with borrow(PoolOnBehalf(pool, Actor(who.name, who.kind, now, address, "POST /api/v1/session/password"))) as lent:
        try:
            users.set_password(lent, who.name, asked.password, now)
        except RejectedDataError as error:
            raise ProblemError(400, str(error)) from error
        user = users.find(lent, who.name)
        if not free:
            sessions.accept(lent, user, address, now)
        token = sessions.begin(lent, user, gate.lives, now, address)
    gate.forget_user(who.name)
    give_cookie(request, response, token, int(gate.lives.whole.total_seconds()))
    return me(user.principal(now + gate.lives.whole), sessions.csrf_of(token))


@router.get("/sessions")
def list_own_sessions(request: Request, who: Anybody, limit: Limit = 100, after: After = None) -> SessionPage:
    """One's own open sessions, the newest first."""
    return _listed(request, who, who.digest, limit, after)


@router.get("/users/sessions")
def list_sessions(request: Request, who: Admin, limit: Limit = 100, after: After = None) -> SessionPage:
    """Everybody's open sessions, the newest first."""
    return _listed(request, who, None, limit, after)


@router.delete("/sessions/{id}", status_code=204)
def end_own_session(request: Request, id: BigId, who: Anybody) -> None:  # noqa: A002
    """End one of one's own sessions: whoever uses it has to log in again."""
    _end(request, who, id, who.digest)


@router.delete("/users/sessions/{id}", status_code=204)
def end_session(request: Request, id: BigId, who: Admin) -> None:  # noqa: A002
    """End anybody's session."""
    _end(request, who, id, None)


def _listed(request: Request, who: Principal, of: bytes | None, limit: int, after: str | None) -> SessionPage:
    gate: Gate = request.app.state.gate
    (last,) = decode_cursor(after, int) or (None,)
    # Not on behalf of a scope: row policies keep everybody's sessions from who has a part of the city.
    with borrow(request.app.state.pool) as connection:
        found = sessions.opened(connection, gate.lives, city(request).clock(), of=of, after=last, limit=limit + 1)
    more = encode_cursor(found[limit - 1].session_id) if len(found) > limit else None
    items = [
        SessionOut(
            id=each.session_id, name=each.name, role=each.role, kind=Kind.SSO if each.by_service else Kind.USER,
            created_at=each.created_at, last_seen_at=each.last_seen_at, expires_at=each.expires_at,
            address=each.address, this=each.digest == who.digest,
        )
        for each in found[:limit]
    ]  # fmt: skip
    return SessionPage(items=items, next=more)


def _end(request: Request, who: Principal, number: int, of: bytes | None) -> None:
    gate: Gate = request.app.state.gate
    actor = Actor(who.name, who.kind, city(request).clock(), address_of(request), f"DELETE {request.url.path}")
    with borrow(PoolOnBehalf(request.app.state.pool, actor)) as connection:
        digest = sessions.end_by_id(connection, number, of)
    gate.forget(digest)
