"""Around the whole application: security headers on every answer, and the request metrics."""

import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import REQUESTS, SECONDS
from api.problems import problem

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
TOO_LARGE = problem(413, f"a body may have {LARGEST_BODY} bytes at most", {"Connection": "close"})


class Shield:
    """ASGI application around another. Outermost, so that an answer to a crash has the headers too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

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
                for name, value in HEADERS.items():
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


def _declares_too_much(scope: Scope) -> bool:
    """Whether the body is too large by its own word. FastAPI stops one that only turns out to be, but answers this
    case itself, in plain text."""
    return any(
        name == b"content-length" and value.isdigit() and int(value) > LARGEST_BODY for name, value in scope["headers"]
    )


def _count(scope: Scope, status: int, seconds: float) -> None:
    # The route's pattern, never the path: a scanner must not fill the metrics with a label for each guess.
    route = getattr(scope.get("route"), "path", "none")
    method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"
    REQUESTS.labels(route, method, str(status)).inc()
    if not route.endswith("/live"):
        SECONDS.labels(route).observe(seconds)
