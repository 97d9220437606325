"""Routes by which administrators say who may come in: users and keys."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from api.access import Access, Gate
from api.city import city
from api.parameters import StrictRoute
from api.problems import ProblemError
from lifeline.errors import RejectedDataError
from lifeline.model import Role
from lifeline.password import LONGEST
from lifeline.principal import Scope, scope_of
from lifeline.storage import keys, sessions, users
from lifeline.storage.database import Connection, borrow
from lifeline.storage.keys import ApiKey
from lifeline.storage.users import User

router = APIRouter(
    prefix="/api/v1", route_class=StrictRoute, tags=["access"], dependencies=[Depends(Access(Role.ADMIN))]
)
UserName = Annotated[str, Path(max_length=64, examples=["li.wei"])]
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]] | None, Field(min_length=1, max_length=500)]


class KeyIn(BaseModel):
    """A new key. ``networks`` and ``zones`` (the city's own names): it sees and changes only what lies in them."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$", examples=["scada"])
    role: Role = Role.VIEWER
    days: float | None = Field(None, gt=0, le=3650, description="Expires after so many days; null: never")
    networks: Names = None
    zones: Names = None


class KeyOut(BaseModel):
    """A key as it stands in the table; the key itself is known to nobody but its holder."""

    name: str
    role: Role
    networks: list[str] | None
    zones: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    valid: bool


class NewKeyOut(KeyOut):
    """``key`` is told here, once, and kept nowhere."""

    key: str


class KeyList(BaseModel):
    items: list[KeyOut]


class UserIn(BaseModel):
    """A new user; without a password he comes in by a link."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=64, examples=["li.wei"])
    role: Role = Role.VIEWER
    password: str | None = Field(None, max_length=LONGEST)
    networks: Names = None
    zones: Names = None


class UserChange(BaseModel):
    """What is to change; what is left out stays. ``networks`` or ``zones`` null takes that limit off."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    password: str | None = Field(None, max_length=LONGEST)
    networks: Names = None
    zones: Names = None
    disabled: bool | None = None


class UserOut(BaseModel):
    """A user. ``has_password`` false: comes in by a link alone."""

    name: str
    role: Role
    networks: list[str] | None
    zones: list[str] | None
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None
    password_changed_at: datetime | None
    last_login_at: datetime | None


class UserList(BaseModel):
    items: list[UserOut]


class LinkOut(BaseModel):
    """The token of a one-time link, for the page's address: `/#link=lll_...`."""

    link: str
    expires_at: datetime


@router.get("/keys")
def list_keys(request: Request) -> KeyList:
    """Every key by name, revoked and expired ones too."""
    here = city(request)
    with borrow(here.pool) as connection:
        return KeyList(items=[_key(each, here.clock()) for each in keys.list_keys(connection)])


@router.post("/keys", status_code=201)
def make_key(request: Request, wanted: KeyIn) -> NewKeyOut:
    """Make a key. It is told in this answer alone."""
    here = city(request)
    now = here.clock()
    expires_at = now + timedelta(days=wanted.days) if wanted.days else None
    scope = scope_of(wanted.networks, wanted.zones)
    with borrow(here.pool) as connection:
        _check(connection, here.catalogue.networks.keys(), scope)
        if any(each.name == wanted.name for each in keys.list_keys(connection)):
            raise ProblemError(409, f"there is a key {wanted.name!r} already")
        text = keys.create(connection, wanted.name, wanted.role, now, expires_at, scope)
        (made,) = [each for each in keys.list_keys(connection) if each.name == wanted.name]
    return NewKeyOut(key=text, **_key(made, now).model_dump())


@router.delete("/keys/{name}", status_code=204)
def revoke_key(request: Request, name: UserName) -> None:
    """End a key; it stands in the list for good."""
    gate: Gate = request.app.state.gate
    with borrow(city(request).pool) as connection:
        keys.revoke(connection, name, city(request).clock())
    gate.forget_user(name)


@router.get("/users")
def list_users(request: Request) -> UserList:
    """Every user by name, disabled ones too."""
    with borrow(city(request).pool) as connection:
        return UserList(items=[_user(each) for each in users.every(connection)])


@router.post("/users", status_code=201)
def add_user(request: Request, wanted: UserIn) -> UserOut:
    """Make a user."""
    here = city(request)
    scope = scope_of(wanted.networks, wanted.zones)
    with borrow(here.pool) as connection, _sensible():
        _check(connection, here.catalogue.networks.keys(), scope)
        return _user(users.add(connection, wanted.name, wanted.role, here.clock(), wanted.password, scope))


@router.patch("/users/{name}")
def change_user(request: Request, name: UserName, change: UserChange) -> UserOut:
    """Change a user's role, scope or password, or whether he may come in; 409 for the last administrator."""
    here, gate = city(request), request.app.state.gate
    now, given = here.clock(), change.model_fields_set
    with borrow(here.pool) as connection, _sensible():

        def rescoped(before: Scope) -> Scope:
            networks = change.networks if "networks" in given else before.networks
            scope = scope_of(networks, change.zones if "zones" in given else before.zones)
            if scope != before:
                _check(connection, here.catalogue.networks.keys(), scope)
            return scope

        wanted = rescoped if given & {"networks", "zones"} else None
        users.change(connection, name, now, role=change.role, scope=wanted, disabled=change.disabled)
        if change.password is not None:
            users.set_password(connection, name, change.password, now)
        found = users.find(connection, name)
    gate.forget_user(found.name)
    return _user(found)


@router.delete("/users/{name}", status_code=204)
def disable_user(request: Request, name: UserName) -> None:
    """Log a user out and let him in no more; he stands in the list for good, as in what he did."""
    here, gate = city(request), request.app.state.gate
    with borrow(here.pool) as connection:
        found = users.change(connection, name, here.clock(), disabled=True)
    gate.forget_user(found.name)


@router.post("/users/{name}/link", status_code=201)
def make_link(request: Request, name: UserName) -> LinkOut:
    """A link that opens one session of a user, once, within a quarter of an hour."""
    here = city(request)
    now = here.clock()
    with borrow(here.pool) as connection:
        link = sessions.make_link(connection, users.find(connection, name).name, now)
    return LinkOut(link=link, expires_at=now + sessions.LINK_LIFE)


@router.post("/users/{name}/log-out", status_code=204)
def log_user_out(request: Request, name: UserName) -> None:
    """End every session of a user."""
    gate: Gate = request.app.state.gate
    with borrow(city(request).pool) as connection:
        found = users.find(connection, name)
        users.log_out(connection, found.name)
    gate.forget_user(found.name)


@contextmanager
def _sensible() -> Iterator[None]:
    """Names and passwords that will not do are a bad request."""
    try:
        yield
    except RejectedDataError as error:
        raise ProblemError(400, str(error)) from error


def _check(connection: Connection, networks: Collection[str], scope: Scope) -> None:
    """Refuse a scope that names what is not there: it would be taken for one that sees something."""
    strange = sorted(set(scope.networks or ()) - set(networks))
    if strange:
        raise ProblemError(400, f"unknown network {strange[0]!r}")
    strange = users.unknown_zones(connection, scope.zones or ())
    if strange:
        raise ProblemError(400, f"unknown zone {strange[0]!r}")


def _sides(scope: Scope) -> dict[str, list[str] | None]:
    pairs = {"networks": scope.networks, "zones": scope.zones}
    return {name: None if side is None else list(side) for name, side in pairs.items()}


def _key(each: ApiKey, now: datetime) -> KeyOut:
    return KeyOut(
        name=each.name, role=each.role, created_at=each.created_at, expires_at=each.expires_at,
        revoked_at=each.revoked_at, last_used_at=each.last_used_at, valid=each.valid_at(now), **_sides(each.scope),
    )  # fmt: skip


def _user(each: User) -> UserOut:
    return UserOut(
        name=each.name, role=each.role, has_password=each.password_hash is not None, created_at=each.created_at,
        disabled_at=each.disabled_at, password_changed_at=each.password_changed_at,
        last_login_at=each.last_login_at, **_sides(each.scope),
    )  # fmt: skip
