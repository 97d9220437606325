"""A real OpenID Connect issuer on a port of the loopback interface, with keys of its own, for tests."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "lifeline"


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

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers."""
        if path in self.answers:
            return self.answers[path]
        shown = [*(key.as_dict(private=False) for key in self.keys), *self.extra]
        found = {"/.well-known/openid-configuration": self.said, "/keys": {"keys": shown}}.get(path)
        return (404, b"", {}) if found is None else (200, json.dumps(found).encode(), {})


@contextmanager
def running_issuer() -> Iterator[TestIssuer]:
    """An issuer that answers until the end, with no key yet."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            issuer.open.wait(20)
            status, body, headers = issuer.answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = TestIssuer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
