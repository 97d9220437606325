"""Logging people in at the city's own log-in service: OpenID Connect's authorization code flow, with PKCE (RFC 7636).

What is remembered while somebody is there is in a cookie that this server signs, so that any API process may finish
what another began. It names the flow alone: nonce and verifier are made of its random state and the page's secret.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore
from urllib.parse import quote, urlencode

import httpx

from api.keyring import TIMEOUT_S, IssuerAwayError, ask, place_of
from api.oidc import Issuer, NoRightError, WrongTokenError, issuer_for
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject
from lifeline.principal import Principal
from lifeline.settings import Settings

CALLBACK = "/api/v1/session/oidc/callback"
FLOW_S = 600
"""Whoever takes longer to log in there begins anew."""
AT_ONCE = 8
"""Codes that are being exchanged: each holds a thread of those that serve all requests, for seconds at worst."""
LONGEST_ONWARD = 2000
_ONWARD = re.compile(r"/(\?[!\x22$-~]*)?")
"""The page with parameters; a fragment is ours to add."""


class RefusedError(Exception):
    """Nobody is logged in. ``word`` is for the page, which has a sentence for it; the text is for the log."""

    def __init__(self, word: str, reason: str) -> None:
        self.word = word
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who has logged in, the issuer's own word for him, and where on the page he goes on."""

    who: Principal
    subject: str
    onward: str


class RelyingParty:
    """This server as a client of the issuer; safe from any thread. Its redirect address is that of the settings alone:
    no request's Host header has a say in it."""

    def __init__(self, issuer: Issuer, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._issuer = issuer
        self._client_id, self._scopes = settings.oidc_client_id, settings.oidc_scopes
        self._secret = settings.oidc_client_secret.get_secret_value()
        self._home = settings.public_url.rstrip("/")
        self._clock = clock
        self._exchanging = BoundedSemaphore(AT_ONCE)

    def begin(self, onward: str) -> tuple[str, str]:
        """Where to send somebody who wants to log in, and the cookie that he comes back with. Raises RefusedError."""
        state, here = secrets.token_urlsafe(32), _onward(onward)
        challenge = hashlib.sha256(self._made("verifier", state).encode()).digest()
        asked = {
            "response_type": "code", "client_id": self._client_id, "redirect_uri": self._home + CALLBACK,
            "scope": self._scopes, "state": state, "nonce": self._made("nonce", state),
            "code_challenge": _text(challenge), "code_challenge_method": "S256",
        }  # fmt: skip
        address = self._place("authorization_endpoint")
        said = f"{state}.{int(self._clock().timestamp())}.{_text(here.encode())}"
        return _with(address, asked), f"{said}.{self._made('flow', said)}"

    def finish(self, said: Mapping[str, str], cookie: str | None) -> Arrival:
        """Who came back from the issuer with this answer and cookie. Raises RefusedError."""
        state, onward = self._flow(cookie or "")
        if not hmac.compare_digest(said.get("state", "").encode(), state.encode()):
            raise RefusedError("stale", "its state is of another log-in")
        self._from_our_issuer(said)
        if "error" in said:
            raise RefusedError("denied", f"the issuer says {said['error'][:100]!r}")
        if not self._exchanging.acquire(blocking=False):
            raise RefusedError("away", "too many log in at once")
        try:
            who, subject = self._issuer.person(self._exchanged(said.get("code", ""), state), self._made("nonce", state))
        except NoRightError as error:
            raise RefusedError("unknown", str(error)) from error
        except WrongTokenError as error:
            raise RefusedError("broken", str(error)) from error
        except IssuerAwayError as error:
            raise RefusedError("away", "the issuer is away") from error
        finally:
            self._exchanging.release()
        return Arrival(who, subject, onward)

    def farewell(self) -> str:
        """Where who has logged out here logs out there too; the page itself where the issuer knows of no such place."""
        try:
            if not self._issuer.keyring.document().get("end_session_endpoint"):
                return "/"
            address = self._place("end_session_endpoint")
        except (IssuerAwayError, RefusedError):
            return "/"
        return _with(address, {"client_id": self._client_id, "post_logout_redirect_uri": f"{self._home}/"})

    def _flow(self, cookie: str) -> tuple[str, str]:
        """State and onward address of a flow that was begun here, not long ago."""
        said, _, mac = cookie.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._made("flow", said).encode()):
            raise RefusedError("stale", "it was not begun by this browser")
        state, begun, onward = said.split(".")
        if not 0 <= self._clock().timestamp() - int(begun) <= FLOW_S:
            raise RefusedError("stale", "it took too long")
        return state, base64.urlsafe_b64decode(onward + "=" * (-len(onward) % 4)).decode()

    def _from_our_issuer(self, said: Mapping[str, str]) -> None:
        """RFC 9207: an answer that another issuer had the browser bring here is not taken to ours."""
        must = self._document().get("authorization_response_iss_parameter_supported") is True
        if (must or "iss" in said) and said.get("iss") != self._issuer.keyring.url:
            raise RefusedError("broken", f"it is the answer of another issuer, {said.get('iss', '')[:100]!r}")

    def _exchanged(self, code: str, state: str) -> str:
        """The ID token for a code."""
        sent = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self._home + CALLBACK,
            "code_verifier": self._made("verifier", state),
        }  # fmt: skip
        ways = self._document().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = None
        if isinstance(ways, list) and "client_secret_basic" not in ways and "client_secret_post" in ways:
            sent |= {"client_id": self._client_id, "client_secret": self._secret}
        else:  # RFC 6749, 2.3.1: both are encoded before they are put together
            basic = httpx.BasicAuth(quote(self._client_id, safe=""), quote(self._secret, safe=""))
        try:
            found = ask("POST", self._place("token_endpoint"), time.monotonic() + 2 * TIMEOUT_S, data=sent, auth=basic)
        except httpx.HTTPError as error:
            raise RefusedError("away", f"its token endpoint: {error!r}") from error
        except (httpx.InvalidURL, ValueError) as error:
            raise RefusedError("broken", str(error)) from error
        return str(found.get("id_token", ""))

    def _document(self) -> JsonObject:
        try:
            return self._issuer.keyring.document()
        except IssuerAwayError as error:
            raise RefusedError("away", "the issuer is away") from error

    def _place(self, name: str) -> str:
        try:
            return place_of(self._document(), name)
        except ValueError as error:
            raise RefusedError("broken", str(error)) from error

    def _made(self, what: str, of: str) -> str:
        """43 characters that nobody can make who has not the page's secret."""
        return _text(hmac.new(self._secret.encode(), f"lifeline {what} {of}".encode(), hashlib.sha256).digest())


def party_of(settings: Settings, clock: Callable[[], datetime]) -> RelyingParty | None:
    """This server as a client of the issuer, if the settings say so. Raises ConfigurationError if they say half."""
    if not settings.oidc_client_id:
        return None
    needed = {
        "LIFELINE_OIDC_ISSUER": settings.oidc_issuer,
        "LIFELINE_OIDC_CLIENT_SECRET_FILE": settings.oidc_client_secret.get_secret_value(),
        "LIFELINE_PUBLIC_URL": settings.public_url,
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise ConfigurationError(f"{missing[0]}: must be set with LIFELINE_OIDC_CLIENT_ID")
    return RelyingParty(issuer_for(settings, settings.oidc_client_id, clock), settings, clock)


def _onward(asked: str) -> str:
    """Where on the page somebody goes on: the page with its own parameters, and never another place."""
    return asked if len(asked) <= LONGEST_ONWARD and _ONWARD.fullmatch(asked) else "/"


def _with(address: str, parameters: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def _text(made: bytes) -> str:
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
