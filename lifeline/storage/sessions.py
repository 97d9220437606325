"""Sessions of the page: a random token in a cookie, of which the SHA-256 alone is kept; links; lock-out."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeline.errors import NotFoundError
from lifeline.model import Role
from lifeline.principal import Kind, Principal, scope_of
from lifeline.storage import users
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.keys import as_list
from lifeline.storage.queries import load
from lifeline.storage.users import User

TOKEN_PREFIX = "lls_"  # noqa: S105 - no password
LINK_PREFIX = "lll_"
LINK_LIFE = timedelta(minutes=15)
FREE_BY_ACCOUNT = 5
"""Wrong passwords in a row for one account, after which each takes a wait that doubles."""
FREE_BY_ADDRESS = 50
"""The same of one address, whoever is tried: a whole control room may come from one."""
LONGEST_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is open. ``by_service``: of somebody whom the city's own log-in service knows."""

    session_id: int
    name: str
    role: Role
    by_service: bool
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    digest: bytes


_SQL = load("users")
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Lives:
    """How long a session lives: while it is used, and in any case."""

    idle: timedelta
    whole: timedelta


def digest_of(text: str, prefix: str) -> bytes | None:
    """SHA-256 of a token, or None for text that cannot be one."""
    if not text.startswith(prefix) or len(text) > _LONGEST:
        return None
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def csrf_of(token: str) -> str:
    """The proof that a request with a session's cookie was made by its page: it takes the token, which no script has
    and no other site learns."""
    return hmac.new(token.encode("utf-8", "replace"), b"lifeline csrf", hashlib.sha256).hexdigest()


def begin(
    connection: Connection, user: User, lives: Lives, now: datetime, address: str = "", *, by_link: bool = False
) -> str:
    """Open a session for a user and give its token; ``by_link``: he came by a one-time link."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    values = {"digest": digest_of(token, TOKEN_PREFIX), "user_id": user.user_id, "now": now, "address": address}
    values |= {"by_link": by_link}
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["begin_session"], values | {"expires_at": now + lives.whole})
        connection.execute(_SQL["came_in"], {"user_id": user.user_id, "now": now})
    return token


def begin_for(
    connection: Connection, who: Principal, subject: str, life: timedelta, now: datetime, address: str = ""
) -> str:
    """Open a session for somebody whom the city's own log-in service knows as ``subject``, with the name, role and
    scope that it told, and give its token."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    values = {
        "digest": digest_of(token, TOKEN_PREFIX), "subject": subject, "name": who.name, "role": who.role,
        "networks": as_list(who.scope.networks), "zones": as_list(who.scope.zones), "now": now,
        "expires_at": now + life, "address": address,
    }  # fmt: skip
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["begin_session_of"], values)
    return token


def forget_ended(connection: Connection, lives: Lives, now: datetime) -> None:
    """Remove what nobody can use any more. On nobody's behalf: these sessions ended by themselves."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["forget_ended"], {"now": now, "idle_since": now - lives.idle})


def find(connection: Connection, digest: bytes, lives: Lives, now: datetime, *, used: bool = True) -> Principal | None:
    """Who comes with this session; None where it has ended or its user may not come in.

    That it is ``used`` begins its idle time anew; who only looks whether it lives leaves it.
    """
    with storage_errors(), connection.transaction():
        values = {"digest": digest, "now": now, "idle_since": now - lives.idle}
        row = connection.execute(_SQL["session"], values).fetchone()
        if row is None:
            return None
        if used:
            connection.execute(_SQL["seen"], values)
    by_service, name, role, networks, zones, expires_at = row
    kind = Kind.SSO if by_service else Kind.USER
    return Principal(name, Role(role), kind, scope_of(networks, zones), expires_at, digest)


def opened(
    connection: Connection,
    lives: Lives,
    now: datetime,
    *,
    of: bytes | None = None,
    after: int | None = None,
    limit: int = 100,
) -> list[Session]:
    """Sessions that are open, the newest first: everybody's, or those of the person whose session has the digest
    ``of``. ``after`` is the number of the last one of the page before."""
    values = {"now": now, "idle_since": now - lives.idle, "digest": of, "after": after, "limit": limit}
    with storage_errors():
        rows = connection.execute(_SQL["sessions"], values).fetchall()
    return [Session(number, name, Role(role), *rest) for number, name, role, *rest in rows]


def by_link(connection: Connection, digest: bytes, now: datetime) -> bool:
    """Whether this session was opened by a one-time link, a quarter of an hour ago at most: its user may then give
    himself a password without the old one, which he may have forgotten."""
    with storage_errors():
        row = connection.execute(_SQL["by_link"], {"digest": digest, "since": now - LINK_LIFE}).fetchone()
    return row is not None


def end(connection: Connection, digest: bytes) -> None:
    """End a session; one that is not there has ended."""
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["end_session"], {"digest": digest})


def end_by_id(connection: Connection, session_id: int, of: bytes | None = None) -> bytes:
    """End the session of this number, with ``of`` only one of the same person; its digest. Raises NotFoundError."""
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["end_session_by_id"], {"session_id": session_id, "digest": of}).fetchone()
    if row is None:
        raise NotFoundError(f"there is no session {session_id}")
    return bytes(row[0])


def end_others(connection: Connection, digest: bytes) -> list[bytes]:
    """End every other session of the person whose session this is; their digests."""
    with storage_errors(), connection.transaction():
        return [bytes(other) for (other,) in connection.execute(_SQL["end_other_sessions"], {"digest": digest})]


def make_link(connection: Connection, name: str, now: datetime, life: timedelta = LINK_LIFE) -> str:
    """The token of a link that opens one session of a user, once. Raises NotFoundError for one who may not
    come in."""
    token = LINK_PREFIX + secrets.token_urlsafe(32)
    values = {"digest": digest_of(token, LINK_PREFIX), "name": name, "expires_at": now + life}
    with storage_errors(), connection.transaction():
        if connection.execute(_SQL["make_link"], values).fetchone() is None:
            raise NotFoundError(f"there is no user {name!r} who may come in")
    return token


def use_link(connection: Connection, token: str, now: datetime) -> User | None:
    """The user whose link this is, which is used up by it; None for one that is used, too old or was never made."""
    digest = digest_of(token, LINK_PREFIX)
    if digest is None:
        return None
    with storage_errors(), connection.transaction():
        row = connection.execute(_SQL["use_link"], {"digest": digest, "now": now}).fetchone()
    return users.find(connection, row[0]) if row else None


def wait_s(connection: Connection, name: str, address: str, now: datetime) -> float:
    """How long whoever tries this name from this address has to wait; 0 where he need not. Asks nothing of the user.

    Others' wrong passwords at the address do not count for who has logged in from there before: behind one proxy one
    who guesses would keep a whole control room out.
    """
    waits, limits = [0.0], [(_account(name), FREE_BY_ACCOUNT)]
    with storage_errors():
        if connection.execute(_SQL["place"], {"place": _place(name, address)}).fetchone() is None:
            limits.append((_address(address), FREE_BY_ADDRESS))
    for subject, free in limits:
        with storage_errors():
            row = connection.execute(_SQL["failures"], {"subjects": [subject]}).fetchone()
        if row is not None and row[0] >= free:
            waits.append(wait_after(row[0] - free) - (now - row[1]).total_seconds())
    return max(waits)


def wait_after(beyond: int) -> float:
    """Seconds to wait after so many wrong passwords beyond the free ones: 1, 2, 4 ... 300."""
    return min(2.0 ** min(beyond, 60), LONGEST_WAIT_S)


def attempt(connection: Connection, name: str, address: str, now: datetime) -> User | None:
    """Count an attempt to log in; the user of this name, if he may come in by a password.

    It is counted before the password is looked at, so that many at once gain nothing. The caller gives the connection
    back, then hashes (``lifeline.password.fits``): that takes its time, and waits for others who hash.
    """
    with storage_errors(), connection.transaction():
        connection.execute(_SQL["failed"], {"subjects": [_account(name), _address(address)], "now": now})
    user = users.known(connection, name)
    return None if user is None or user.disabled_at is not None or user.password_hash is None else user


def accept(connection: Connection, user: User, address: str, now: datetime, fresh: str | None = None) -> bool:
    """Take an attempt with the right password back; ``fresh``: the password hashed with today's parameters.

    False where the password changed, or the user was disabled, since ``attempt``.
    """
    with storage_errors(), connection.transaction():
        today = users.known(connection, user.name)
        if today is None or today.disabled_at is not None or today.password_hash != user.password_hash:
            return False
        subjects = {"account": _account(user.name), "address": _address(address), "place": _place(user.name, address)}
        connection.execute(_SQL["succeeded"], subjects | {"now": now})
        if fresh is not None:
            values = {"user_id": user.user_id, "before": user.password_hash, "hash": fresh}
            connection.execute(_SQL["rehash"], values)
    return True


def _account(name: str) -> bytes:
    return hashlib.sha256(f"account {name.strip().lower()}".encode("utf-8", "replace")).digest()


def _address(address: str) -> bytes:
    return hashlib.sha256(f"address {address}".encode("utf-8", "replace")).digest()


def _place(name: str, address: str) -> bytes:
    return hashlib.sha256(f"place {name.strip().lower()}\0{address}".encode("utf-8", "replace")).digest()
