"""Which routes somebody who sees a part of the city alone may ask.

Closed by default: a route stands here once all that it says comes from tables with row policies, or from the map that
is drawn from them (docs/decisions/0009-scopes-in-the-database.md). What is outside his part is then not there: 404.
"""

from fastapi import Request

_ONE = [f"/api/v1/{what}/{{id}}" for what in ("alerts", "incidents")]
_READ = [
    *(f"/api/v1/{path}" for path in ("openapi.json", "catalogue", "me", "session", "live", "caseload", "silent")),
    *(f"/api/v1/{what}{one}" for what in ("assets", "sensors", "zones") for one in ("", "/{id}", "/export")),
    *(f"/api/v1/{what}{one}" for what in ("alerts", "incidents", "maintenance-windows") for one in ("", "/{id}")),
    *(f"{one}/{of}" for one in _ONE for of in ("response", "photos")),
    *(f"/api/v1/risk/{path}" for path in ("cells", "cells/{cell}", "segments", "zones", "chains", "summary")),
    "/api/v1/risk/assets/{id}", "/api/v1/devices", "/api/v1/sensors/{id}/readings", "/api/v1/sensors/{id}/usual",
    "/api/v1/photos/{id}",
    "/ogc", "/ogc/conformance", "/ogc/collections", "/ogc/collections/{collection_id}",
    "/ogc/collections/{collection_id}/items", "/ogc/collections/{collection_id}/items/{feature_id}",
    "/sensorthings/v1.1", "/sensorthings/v1.1/{path:path}",
]  # fmt: skip
_ACTS = ("acknowledge", "shelve", "unshelve", "steps", "assign", "notes", "feedback")
SCOPED = frozenset(
    {
        *(("GET", path) for path in _READ),
        *(("POST", f"{one}/{act}") for one in _ONE for act in _ACTS),
        ("POST", "/api/v1/alerts/{id}/out-of-service"),
        ("POST", "/api/v1/alerts/bulk"),
        ("POST", "/api/v1/maintenance-windows"),
        ("PATCH", "/api/v1/maintenance-windows/{id}"),
        ("DELETE", "/api/v1/maintenance-windows/{id}"),
        ("DELETE", "/api/v1/session"),
    }
)
"""Method and pattern of each such route."""


def knows_scopes(request: Request) -> bool:
    """Whether the route of this request stands here."""
    method = "GET" if request.method == "HEAD" else request.method
    return (method, getattr(request.scope.get("route"), "path", "")) in SCOPED
