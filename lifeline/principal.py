"""Who acts: a key, a user or a token of another issuer, with the role and the part of the city that it has."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lifeline.model import Role


class Kind(StrEnum):
    """As what somebody came in."""

    KEY = "key"
    USER = "user"
    TOKEN = "token"  # noqa: S105 - no password
    SSO = "sso"
    """By a session, as somebody whom the city's own log-in service knows."""
    LINK = "link"
    """A field link: it is its own proof, for one alert."""
    COMMAND = "command"
    """Somebody at the command line."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of the city that somebody sees: what is of one of the networks and in one of the zones.

    None is no limit. Zones are told by the city's own names for them.
    """

    networks: tuple[str, ...] | None = None
    zones: tuple[str, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether it is the whole city."""
        return self.networks is None and self.zones is None


WHOLE = Scope()


def scope_of(networks: list[str] | tuple[str, ...] | None, zones: list[str] | tuple[str, ...] | None) -> Scope:
    """A scope from lists, sorted and each name once; an empty list is no limit, as none is."""
    return Scope(tuple(sorted(set(networks))) if networks else None, tuple(sorted(set(zones))) if zones else None)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who came in with a request. ``digest`` is of the secret that was shown."""

    name: str
    role: Role
    kind: Kind
    scope: Scope = WHOLE
    expires_at: datetime | None = None
    digest: bytes = b""

    def valid_at(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at

    @property
    def by_session(self) -> bool:
        """Whether he came by a session of the page."""
        return self.kind in (Kind.USER, Kind.SSO)

    def may(self, role: Role) -> bool:
        """Whether it may do what ``role`` may."""
        return at_least(self.role, role)


def at_least(mine: Role, role: Role) -> bool:
    """Whether a role may do what another may: each role may do what the ones before it may."""
    order = list(Role)
    return order.index(mine) >= order.index(role)
