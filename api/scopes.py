"""Which routes somebody who sees a part of the city alone may ask.

Closed by default: a route stands here once all that it says comes from tables with row policies, or from the map that
is drawn from them (docs/decisions/0009-scopes-in-the-database.md). What is outside his part is then not there: 404.
"""

from fastapi import Request

_ONE = [f"/api/v1/{what}/{{id}}" for what in ("alerts", "incidents")]
_READ = [
    *(f"/api/v1/{path}" for path in ("openapi.json", "catalogue", "me", "session", "live", "caseload", "silent")),
    "/api/v1/sessions",
    *(f"/api/v1/{what}{one}" for what in ("assets", "sensors", "zones") for one in ("", "/{id}")),
    *(f"/api/v1/exports/{what}" for what in ("assets", "sensors", "zones")),
    *(f"/api/v1/{what}{one}" for what in ("alerts", "incidents", "maintenance-windows") for one in ("", "/{id}")),
    *(f"{one}/{of}" for one in _ONE for of in ("response", "photos", "reports")),
    "/api/v1/reports", "/api/v1/reports/{id}", "/api/v1/reports/{id}/photos/{photo}",
    *(f"/api/v1/risk/{path}" for path in ("cells", "cells/{cell}", "segments", "zones", "chains", "summary")),
    *(f"/api/v1/risk/{path}" for path in ("span", "compare", "frames", "criticality", "matrix")),
    "/api/v1/risk/assets/{id}", "/api/v1/devices", "/api/v1/sensors/{id}/readings", "/api/v1/sensors/{id}/usual",
    "/api/v1/photos/{id}",
    "/api/v1/readings",
    "/api/v1/performance", "/api/v1/cap", "/api/v1/alerts/{id}/cap", "/api/v2/alerts", "/api/v2/status",
    "/ogc", "/ogc/conformance", "/ogc/collections", "/ogc/collections/{collection_id}",
    "/ogc/collections/{collection_id}/items", "/ogc/collections/{collection_id}/items/{feature_id}",
    "/sensorthings/v1.1", "/sensorthings/v1.1/{path:path}",
]  # fmt: skip
_ACTS = ("acknowledge", "shelve", "unshelve", "steps", "assign", "notes", "feedback")
SCOPED = frozenset(
    {
        *(("GET", path) for path in _READ),
        *(("POST", f"{one}/{act}") for one in _ONE for act in _ACTS),
        *((method, "/api/v1/assets/{id}") for method in ("PUT", "PATCH", "DELETE")),
        *((method, f"/api/v1/{what}/{{id}}") for what in ("sensors", "devices") for method in ("PATCH", "DELETE")),
        ("POST", "/api/v1/sensors"),
        *(("POST", f"/api/v1/reports{act}") for act in ("", "/{id}/photos", "/{id}/close")),
        ("POST", "/api/v1/alerts/{id}/out-of-service"),
        ("POST", "/api/v1/alerts/bulk"),
        ("POST", "/api/v1/maintenance-windows"),
        ("PATCH", "/api/v1/maintenance-windows/{id}"),
        ("DELETE", "/api/v1/maintenance-windows/{id}"),
        ("DELETE", "/api/v1/session"),
        ("DELETE", "/api/v1/sessions/{id}"),
        ("POST", "/api/v1/session/password"),
    }
)
"""Method and pattern of each such route."""
_REASONS = {
    ("/api/v1/rule", "/api/v1/precision"): "rules hold for the whole city",
    ("/api/v1/zones",): "zones decide what others see",
    ("/api/v1/imports",): "a file may name anything of the city",
    ("/api/v1/endpoints", "/api/v1/deliveries", "/api/v1/escalations"): "endpoints are told of the whole city",
    ("/api/v1/keys", "/api/v1/users", "/api/v1/audit"): "who may come in is settled for the whole city",
    (
        "/api/v1/facilities",
        "/api/v1/assets/{id}/facilities",
        "/api/v1/exports/facilities",
    ): "critical facilities belong to no network and no zone",
    ("/api/v1/exports/models/",): "a model is of a whole network",
    ("/api/v1/assets/{id}/",): "what feeds an asset, and what it feeds, reaches beyond any part",
    ("/api/v1/plans", "/api/v1/jobs", "/api/v1/stress-tests", "/api/v1/effect", "/api/v1/risk/"): (
        "this is worked out over whole networks"
    ),
    ("/api/v1/handovers",): "a shift watches over the whole city",
    ("/api/v1/drills",): "a drill is of the whole city",
    ("/api/v1/quarantine", "/api/v1/system"): "this is about the installation, which serves the whole city",
}
"""Why a route is closed, by how its pattern begins; the first that fits."""


def knows_scopes(request: Request) -> bool:
    """Whether the route of this request stands here."""
    method = "GET" if request.method == "HEAD" else request.method
    return (method, _pattern(request)) in SCOPED


def why_closed(request: Request) -> str:
    """Why the route of this request is closed to who has a part of the city."""
    pattern = _pattern(request)
    fitting = (reason for begins, reason in _REASONS.items() if pattern.startswith(begins))
    return next(fitting, "this is about the whole city")


def _pattern(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "path", ""))
