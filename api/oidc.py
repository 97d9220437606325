"""Tokens of another issuer (OpenID Connect): who its signed token says somebody is.

Signatures are RS256, ES256 or EdDSA: never none, never one by a shared secret. The keys are api/keyring.py's.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry, extract_compact

from api.keyring import Keyring
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject, Role
from lifeline.principal import Kind, Principal, scope_of
from lifeline.settings import Settings

ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"]
"""Ed25519 is RFC 9864's name of the EdDSA that is in use."""
LEEWAY_S = 60
LONGEST_TOKEN = 16_384
LONGEST_NAME = 64
EVERYTHING = "*"
"""In a claim that limits: no limit."""


class WrongTokenError(Exception):
    """A token that opens nothing. Its text is for the log, never for who sent it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Where a token says what: names of claims, dots leading inward; an empty limit is not asked for.

    ``roles`` tells which role here each of the issuer's is; empty: they are called as ours are.
    """

    name: str
    role: str
    networks: str
    zones: str
    roles: dict[str, Role]


class _Signatures(JWSRegistry):
    """What signatures are taken. The library's warning of the name EdDSA is passed over: issuers go on saying it.

    What a header says beside what is known is passed over too, as RFC 7515 has it, unless it is called critical.
    """

    def __init__(self) -> None:
        super().__init__(algorithms=ALGORITHMS, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"signatures by {name[:20]!r} are not taken")
        return self.algorithms[name]


class NoRightError(WrongTokenError):
    """The issuer's word for somebody who has no role, or no part of the city, here."""


class Issuer:
    """Who an issuer's tokens are of; safe from any thread."""

    def __init__(self, url: str, audience: str, claims: Claims, clock: Callable[[], datetime]) -> None:
        self.keyring = Keyring(url)
        self.audience = audience
        self._claims = claims
        self._signatures = _Signatures()
        self._checks = jwt.JWTClaimsRegistry(
            now=lambda: int(clock().timestamp()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": url},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def principal(self, text: str) -> Principal:
        """Who a token says somebody is. Raises WrongTokenError, and IssuerAwayError where no key is known."""
        return self._known(text, Kind.TOKEN, "")[0]

    def person(self, text: str, nonce: str) -> tuple[Principal, str]:
        """Who an ID token says has just logged in, and the issuer's own word for him (``sub``). It must be the answer
        to the question with this nonce, and be made for us. Raises as ``principal``."""
        who, subject = self._known(text, Kind.SSO, nonce)
        if who.role is Role.INTAKE:
            raise NoRightError("intake is a role of programs")
        return who, subject

    def _known(self, text: str, kind: Kind, nonce: str) -> tuple[Principal, str]:
        if len(text) > LONGEST_TOKEN:
            raise WrongTokenError("too long")
        try:
            keys = self.keyring.keys_for(self._key_id(text))
            token = jwt.decode(text, keys, algorithms=ALGORITHMS, registry=self._signatures)
            self._checks.validate(token.claims)
            if nonce:
                self._meant_for_us(token.claims, nonce)
            return self._who(token.claims, text, kind), str(token.claims["sub"])
        except (JoseError, ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError) as error:
            raise WrongTokenError(str(error) or repr(error)) from error

    def _key_id(self, text: str) -> str | None:
        """The key that a token says it is signed with. A token that cannot be one asks for none: JoseError."""
        headers = extract_compact(text.encode(), registry=self._signatures).headers()
        self._signatures.get_alg(str(headers.get("alg")))
        return None if headers.get("kid") is None else str(headers["kid"])

    def _meant_for_us(self, claims: JsonObject, nonce: str) -> None:
        """OpenID Connect Core 3.1.3.7: an ID token answers our question; one for others too was given to us."""
        said = claims.get("nonce")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
            raise WrongTokenError("its nonce is of another log-in")
        given_to = claims.get(
            "azp", self.audience if isinstance(claims["aud"], str) or len(claims["aud"]) == 1 else None
        )
        if given_to != self.audience:
            raise WrongTokenError(f"it was given to another, {given_to!r}")

    def _who(self, claims: JsonObject, text: str, kind: Kind) -> Principal:
        name = name_of(_claim(claims, self._claims.name)) or name_of(claims["sub"])
        if not name:
            raise WrongTokenError("nobody's name in it")
        scope = scope_of(_limit(claims, self._claims.networks), _limit(claims, self._claims.zones))
        expires_at = datetime.fromtimestamp(claims["exp"] + LEEWAY_S, UTC)
        return Principal(name, self._role(claims), kind, scope, expires_at, digest_of(text))

    def _role(self, claims: JsonObject) -> Role:
        said = _words(_claim(claims, self._claims.role))
        roles = self._claims.roles or {role.value: role for role in Role}
        found = {roles[each] for each in said if each in roles}
        if not found:
            raise NoRightError(f"no role of ours in the claim {self._claims.role!r}")
        return [role for role in Role if role in found][-1]


def issuer_of(settings: Settings, clock: Callable[[], datetime]) -> Issuer | None:
    """The issuer that the settings name, if they do. Raises ConfigurationError where whom tokens are for is not set."""
    if not settings.oidc_issuer or (settings.oidc_client_id and not settings.oidc_audience):
        return None
    if not settings.oidc_audience:
        raise ConfigurationError(
            "LIFELINE_OIDC_AUDIENCE (whom tokens are for) or LIFELINE_OIDC_CLIENT_ID (people log in) must be set with "
            "LIFELINE_OIDC_ISSUER"
        )
    return issuer_for(settings, settings.oidc_audience, clock)


def issuer_for(settings: Settings, audience: str, clock: Callable[[], datetime]) -> Issuer:
    """The issuer of the settings, of whose tokens those for ``audience`` count."""
    parts = (each.rpartition("=") for each in settings.oidc_roles)
    claims = Claims(
        settings.oidc_name_claim, settings.oidc_role_claim, settings.oidc_networks_claim, settings.oidc_zones_claim,
        {theirs: Role(ours) for theirs, _, ours in parts},
    )  # fmt: skip
    return Issuer(settings.oidc_issuer, audience, claims, clock)


def digest_of(text: str) -> bytes:
    """By what a token is remembered for a moment."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def name_of(said: Any) -> str:
    """A name as it stands in the audit: printable, on one line, 64 characters at most; empty where there is none."""
    text = said if isinstance(said, str) else ""
    return "".join(each for each in text if each.isprintable()).strip()[:LONGEST_NAME]


def _claim(claims: JsonObject, path: str) -> Any:
    """A claim by its name, or by names with dots between them, each within the one before."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _limit(claims: JsonObject, name: str) -> list[str] | None:
    """A claim that limits. Where it is asked for it must be there: a token without it has no part of the city."""
    if not name:
        return None
    found = _words(_claim(claims, name))
    if not found:
        raise NoRightError(f"no limit in the claim {name!r}")
    return None if EVERYTHING in found else found


def _words(said: Any) -> list[str]:
    if isinstance(said, str):
        return said.split()
    return [each for each in said if isinstance(each, str) and each] if isinstance(said, list) else []
