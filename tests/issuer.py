"""A real OpenID Connect issuer on a port of the loopback interface, with keys of its own, for tests."""

import base64
import hashlib
import json
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "lifeline"
CLIENT, SECRET = "the page", "s3cret: of the page"
"""As what the page is known, and its secret: with characters that must be encoded before they are sent."""


class _Registry(JWSRegistry):
    """Signs with any algorithm without a word, also those that nobody should."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]

    def check_header(self, header: dict[str, Any]) -> None: ...


class TestIssuer:
    """Its address, the keys that it shows, what it was asked, and tokens signed by it."""

    __test__ = False

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys: list[Key] = []
        self.extra: list[Any] = []
        self.asked: list[str] = []
        self.said: dict[str, Any] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        """Instead of the right ones, by path."""
        self.codes: dict[str, dict[str, str]] = {}
        """Codes that are good once, with what was asked when they were given."""
        self.person: dict[str, Any] = {}
        """What is said of whoever logs in, beside good claims; None takes one out."""
        self.added: dict[str, str] = {"iss": self.url}
        """What the browser brings back beside code and state; an `error` comes in place of a code."""
        self.open = threading.Event()
        """While it is not set, whoever asks waits."""
        self.open.set()

    def rotate(self, kind: str = "RS256", kid: str | None = None) -> Key:
        """A new key, which is shown beside the ones before; it is the last of ``keys``."""
        named: Any = {"kid": kid or f"key-{len(self.keys)}"}
        made: dict[str, Any] = {
            "RS256": lambda: RSAKey.generate_key(2048, named),
            "ES256": lambda: ECKey.generate_key("P-256", named),
            "EdDSA": lambda: OKPKey.generate_key("Ed25519", named),
        }
        self.keys.append(made[kind]())
        return self.keys[-1]

    def claims(self, now: float, **said: Any) -> dict[str, Any]:
        """Good claims at ``now``, but for what is said; None takes one out."""
        good: dict[str, Any] = {
            "iss": self.url, "aud": AUDIENCE, "sub": "f3a1", "preferred_username": "li.wei", "roles": ["operator"],
            "iat": int(now), "nbf": int(now), "exp": int(now) + 300,
        }  # fmt: skip
        return {name: value for name, value in (good | said).items() if value is not None}

    def token(self, now: float, *, key: Key | None = None, header: dict[str, Any] | None = None, **said: Any) -> str:
        """A token of good claims but for ``said``, signed with the newest key or ``key``."""
        signer = key or self.keys[-1]
        by = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA", "oct": "HS256"}[signer.key_type]
        headers = {"alg": by, "kid": signer.kid} | (header or {})
        headers = {name: value for name, value in headers.items() if value is not None}
        return jwt.encode(headers, self.claims(now, **said), signer, registry=_Registry(strict_check_header=False))

    def offers_log_in(self) -> None:
        """Say where people log in and codes are exchanged; everybody who comes is logged in at once."""
        named = ("authorization", "authorize"), ("token", "token"), ("end_session", "out")
        self.said |= {f"{name}_endpoint": f"{self.url}/{path}" for name, path in named}
        self.said["authorization_response_iss_parameter_supported"] = True

    def authorize(self, asked: dict[str, str]) -> str:
        """Where a browser that asks to be logged in is sent back to."""
        right = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        assert {name: asked.get(name) for name in right} == right
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        brought = {"code": code, "state": asked["state"]} | self.added
        if "error" in brought:
            del brought["code"]
        return f"{asked['redirect_uri']}?{urlencode(brought)}"

    def exchange(self, sent: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Status and answer for a code: RFC 6749 and 7636 as an issuer must hold them."""
        said = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        by_header = [unquote(part) for part in said] == [CLIENT, SECRET]
        if not by_header and (sent.get("client_id"), sent.get("client_secret")) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(sent.get("code", ""), None)
        challenge = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        good = asked is not None and (
            sent.get("grant_type") == "authorization_code"
            and sent.get("redirect_uri") == asked["redirect_uri"]
            and base64.urlsafe_b64encode(challenge).decode().rstrip("=") == asked["code_challenge"]
        )
        if asked is None or not good:
            return 400, {"error": "invalid_grant"}
        claims = {"aud": CLIENT, "nonce": asked["nonce"]} | self.person
        return 200, {"token_type": "Bearer", "access_token": "x", "id_token": self.token(time.time(), **claims)}

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers."""
        if path in self.answers:
            return self.answers[path]
        shown = [*(key.as_dict(private=False) for key in self.keys), *self.extra]
        found = {"/.well-known/openid-configuration": self.said, "/keys": {"keys": shown}}.get(path)
        return (404, b"", {}) if found is None else (200, json.dumps(found).encode(), {})


def page_settings(issuer: TestIssuer) -> dict[str, str]:
    """Settings of an API whose page people come to by this issuer."""
    return {
        "LIFELINE_OIDC_ISSUER": issuer.url,
        "LIFELINE_OIDC_CLIENT_ID": CLIENT,
        "LIFELINE_OIDC_CLIENT_SECRET": SECRET,
        "LIFELINE_OIDC_LABEL": "City log-in",
        "LIFELINE_PUBLIC_URL": "{url}",
    }


@contextmanager
def running_issuer(*kinds: str, log_in: bool = False) -> Iterator[TestIssuer]:
    """An issuer that answers until the end, with a key of each kind; people log in there where ``log_in``."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who asked may have gone away before the answer: of that nothing is said, of all else as ever."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            issuer.open.wait(20)
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                self.reply(302, b"", {"Location": issuer.authorize(dict(parse_qsl(parts.query)))})
            else:
                self.reply(*issuer.answer(self.path))

        def do_POST(self) -> None:
            issuer.asked.append(self.path)
            issuer.open.wait(20)
            sent = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            if self.path in issuer.answers:
                self.reply(*issuer.answers[self.path])
            else:
                status, told = issuer.exchange(sent, self.headers.get("Authorization", ""))
                self.reply(status, json.dumps(told).encode(), {})

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    issuer = TestIssuer(server.server_port)
    for kind in kinds:
        issuer.rotate(kind)
    if log_in:
        issuer.offers_log_in()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
