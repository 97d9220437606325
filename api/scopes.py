"""Which routes somebody who sees a part of the city alone may ask.

Closed by default: a route stands here once all that it says comes from tables with row policies, or from the map that
is drawn from them (docs/decisions/0009-scopes-in-the-database.md). What is outside his part is then not there: 404.
"""

from fastapi import Request

_READ = (
    "/metrics", "/api/v1/openapi.json", "/api/v1/catalogue", "/api/v1/me",
    "/api/v1/assets", "/api/v1/assets/{id}",
    "/api/v1/sensors", "/api/v1/sensors/{id}", "/api/v1/devices", "/api/v1/zones", "/api/v1/zones/{id}",
    "/api/v1/alerts", "/api/v1/alerts/{id}", "/api/v1/incidents", "/api/v1/incidents/{id}",
)  # fmt: skip
SCOPED = frozenset(("GET", path) for path in _READ)
"""Method and pattern of each such route."""


def knows_scopes(request: Request) -> bool:
    """Whether the route of this request stands here."""
    method = "GET" if request.method == "HEAD" else request.method
    return (method, getattr(request.scope.get("route"), "path", "")) in SCOPED
