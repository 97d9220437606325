"""Around the whole application: security headers on every answer, the request metrics, a line for the refused."""

import re
import time
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import refusals
from api.metrics import REQUESTS, SECONDS
from api.problems import problem
from lifeline.storage.photos import LARGEST

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LARGEST_BODY = 65_536
"""Bytes; an acknowledgement with the longest note takes about 8,000."""
LARGEST_FILE = 64 * 2**20
"""Bytes of a file to import: 100,000 pipes of GeoJSON are about 40 MB."""
LARGER_BODY = {
    re.compile(r"(/field|/api/v1/reports)/[^/]+/photos"): LARGEST,
    re.compile("/api/v1/imports"): LARGEST_FILE,
}
"""Paths that take more, and how much."""
TOO_LARGE = problem(413, "the body is larger than this route takes", {"Connection": "close"})


class Shield:
    """ASGI application around another. Outermost, so that an answer to a crash has the headers too."""

    def __init__(self, app: ASGIApp, base_map: str = "") -> None:
        self.app = app
        self.headers = HEADERS | {"Content-Security-Policy": policy(base_map)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        # HEAD is GET without the body, on every route; a live stream has nothing but its body.
        bodiless = scope["method"] == "HEAD" and not scope["path"].endswith("/live")
        scope = {**scope, "method": "GET"} if bodiless else scope

        async def shielded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            elif bodiless:
                message = {**message, "body": b""}
            await send(message)

        try:
            if _declares_too_much(scope):
                await TOO_LARGE(scope, receive, shielded)
            else:
                await self.app(scope, receive, shielded)
        finally:
            _count(scope, status, time.perf_counter() - started)


def policy(base_map: str = "") -> str:
    """The content security policy; with a base map its host may be asked for pictures, and nothing else."""
    if not base_map:
        return POLICY
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_map))
    return POLICY.replace("img-src 'self'", f"img-src 'self' {origin}").replace(
        "connect-src 'self'", f"connect-src 'self' {origin}"
    )


def _declares_too_much(scope: Scope) -> bool:
    """Whether the body is too large by its own word. FastAPI stops one that only turns out to be, but answers this
    case itself, in plain text."""
    most = next((limit for path, limit in LARGER_BODY.items() if path.fullmatch(scope["path"])), LARGEST_BODY)
    return any(name == b"content-length" and value.isdigit() and int(value) > most for name, value in scope["headers"])


def _count(scope: Scope, status: int, seconds: float) -> None:
    # The route's pattern, never the path: a scanner must not fill the metrics with a label for each guess.
    route = getattr(scope.get("route"), "path", "none")
    method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"
    refusals.answered(status, method, route, (scope.get("client") or ("",))[0])
    REQUESTS.labels(route, method, str(status)).inc()
    if not route.endswith("/live"):
        SECONDS.labels(route).observe(seconds)
