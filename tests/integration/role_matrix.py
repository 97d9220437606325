"""Who may do what: each route of the API with the roles that reach it."""

from lifeline import geo
from lifeline.model import Role
from tests.api_process import READERS
from tests.integration.town import position

READ_ROUTES = (
    "/api/v1/assets",
    "/api/v1/assets/G-P0",
    "/api/v1/devices",
    "/api/v1/sensors",
    "/api/v1/sensors/{sensor}",
    "/api/v1/sensors/{sensor}/readings",
    "/api/v1/alerts",
    "/api/v1/alerts/{alert}",
    "/api/v1/incidents",
    "/api/v1/risk/cells",
    "/api/v1/risk/cells/{cell}",
    "/api/v1/risk/chains",
    "/api/v1/risk/span",
    "/api/v1/risk/zones",
    "/api/v1/risk/segments",
    "/api/v1/risk/assets/G-P0",
    "/api/v1/risk/summary",
    "/api/v1/catalogue",
    "/api/v1/system",
    "/api/v1/openapi.json",
    "/metrics",
)

CELL = geo.cell_at(*position(0, 0), 9)
"""Where the gas sensor stands."""
ACKNOWLEDGE = "/api/v1/alerts/1/acknowledge"
READABLE = (
    "/api/v1/incidents",
    "/api/v1/incidents/1",
    "/api/v1/live",
    "/api/v1/zones/suggestions",
    "/api/v1/risk/compare",
    "/api/v1/risk/frames",
    "/api/v1/risk/compare/segments",
    "/api/v1/risk/frames/segments",
    "/api/v1/jobs",
    "/api/v1/jobs/1",
    "/api/v1/jobs/kinds",
    "/api/v1/plans",
    "/api/v1/plans/1",
    "/api/v1/plans/1/works.geojson",
    "/api/v1/plans/1/works.csv",
    "/api/v1/plans/1/report.pdf",
    "/api/v1/drills",
    "/api/v1/drills/1",
    "/api/v1/drills/scenarios",
    "/api/v1/drills/schedules",
    "/api/v1/drills/1/report.pdf",
    "/api/v1/effect?before=2021&after=2025",
    "/api/v1/risk/criticality",
    "/api/v1/risk/matrix",
    "/api/v1/stress-tests",
    "/api/v1/stress-tests/1",
    "/api/v1/alerts/1/photos",
    "/api/v1/incidents/1/photos",
    "/api/v1/photos/1",
    "/api/v1/sensors/1/usual",
    "/api/v1/me",
    "/api/v1/session",
    "/api/v1/sessions",
    "/api/v1/caseload",
    "/api/v1/handovers",
    "/api/v1/silent",
    "/api/v1/quarantine",
    "/api/v1/quarantine/reasons",
    "/api/v1/system/storage",
    "/api/v1/zones",
    "/api/v1/zones/1",
    "/api/v1/assets/1/upstream",
    "/api/v1/assets/1/downstream",
    "/api/v1/exports/assets",
    "/api/v1/exports/sensors",
    "/api/v1/exports/zones",
    "/api/v1/facilities",
    "/api/v1/facilities/1",
    "/api/v1/exports/facilities",
    "/api/v1/exports/models/1",
    "/api/v1/assets/1/facilities",
)
OPERATIONS = (
    "/api/v1/alerts/1/response",
    "/api/v1/incidents/1/response",
    "/api/v1/maintenance-windows",
    "/api/v1/maintenance-windows/1",
    "/api/v1/rules",
    "/api/v1/rules/1",
    "/api/v1/rule-overrides",
    "/api/v1/rule-proposals",
    "/api/v1/rule-proposals/1",
    "/api/v1/precision",
    "/api/v1/performance",
)
STANDARDS = (
    "/api/v1/cap",
    "/api/v1/alerts/1/cap",
    "/api/v2/alerts",
    "/api/v2/status",
    "/api/v1/readings?sensor=1",
    "/api/v1/reports",
    "/api/v1/reports/1",
    "/api/v1/reports/1/photos/1",
    "/api/v1/alerts/1/reports",
    "/api/v1/incidents/1/reports",
    "/ogc",
    "/ogc/conformance",
    "/ogc/collections",
    "/ogc/collections/{collection}",
    "/ogc/collections/{collection}/items",
    "/ogc/collections/{collection}/items/G-P0",
    "/sensorthings/v1.1",
    "/sensorthings/v1.1/{things}",
)
ALLOWED = {path: set(READERS) for path in (*READ_ROUTES, *READABLE, *OPERATIONS, *STANDARDS)}
ALLOWED |= {f"/api/v1/{path}": {Role.ADMIN} for path in ("keys", "users", "users/sessions", "audit")}
ALLOWED |= {"/api/v1/inventory/history": {Role.ENGINEER, Role.ADMIN}}
"""Who may read (GET) which route. A new route fails a test until it stands here or in ACTS."""
OPERATORS = {Role.OPERATOR, Role.ENGINEER, Role.ADMIN}
ENGINEERS = {Role.ENGINEER, Role.ADMIN}
ALLOWED |= {f"/api/v1/{path}": OPERATORS for path in ("endpoints", "endpoints/1", "deliveries", "escalations")}
ON_BOTH = [f"/api/v1/{what}/1/" for what in ("alerts", "incidents")]
ACTS = {
    **{f"{path}{act}": OPERATORS | {Role.FIELD} for path in ON_BOTH for act in ("steps", "notes", "feedback")},
    **{f"{path}{act}": OPERATORS for path in ON_BOTH for act in ("shelve", "unshelve", "assign")},
    "/api/v1/incidents/1/acknowledge": OPERATORS | {Role.FIELD},
    "/api/v1/reports": OPERATORS | {Role.FIELD, Role.INTAKE},
    "/api/v1/reports/1/photos": OPERATORS | {Role.FIELD, Role.INTAKE},
    "/api/v1/reports/1/close": OPERATORS,
    "/api/v1/alerts/bulk": OPERATORS,
    "/api/v1/handovers": OPERATORS,
    "/api/v1/alerts/1/out-of-service": OPERATORS,
    "/api/v1/maintenance-windows": OPERATORS,
    **{f"/api/v1/rule-proposals{act}": ENGINEERS for act in ("", "/1/accept", "/1/reject")},
    **{f"/api/v1/endpoints/1/{act}": OPERATORS for act in ("test", "replay")},
    **{f"/api/v1/endpoints{act}": {Role.ADMIN} for act in ("", "/1/enable", "/1/rotate")},
    "/api/v1/escalations": {Role.ADMIN},
    ACKNOWLEDGE: {Role.FIELD, Role.OPERATOR, Role.ENGINEER, Role.ADMIN},
    "/api/v1/zones/suggestions": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/zones/suggestions/1/accept": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/zones/suggestions/1/reject": {Role.ENGINEER, Role.ADMIN},
    **{f"/api/v1/{path}": {Role.ADMIN} for path in ("keys", "users", "users/1/link", "users/1/log-out")},
    "/api/v1/jobs": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/zones": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/imports": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/sensors": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/jobs/1/cancel": {Role.ENGINEER, Role.ADMIN},
    "/api/v1/plans": {Role.ENGINEER, Role.ADMIN},
    **{f"/api/v1/drills{act}": OPERATORS for act in ("", "/1/stop")},
    **{f"/api/v1/drills/schedules{act}": ENGINEERS for act in ("", "/1/stop")},
    "/api/v1/risk/what-if": set(READERS),
    "/api/v1/session/password": set(READERS),
}
"""Who may POST to which route. The tests ask about things that are not there, or ask what makes no sense."""
CHANGES = {
    ("PATCH", "/api/v1/maintenance-windows/1"): OPERATORS,
    ("DELETE", "/api/v1/maintenance-windows/1"): OPERATORS,
    ("PUT", "/api/v1/endpoints/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/endpoints/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/escalations/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/keys/1"): {Role.ADMIN},
    ("PATCH", "/api/v1/users/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/users/1"): {Role.ADMIN},
    ("DELETE", "/api/v1/session"): set(READERS),
    ("DELETE", "/api/v1/sessions/1"): set(READERS),
    ("DELETE", "/api/v1/users/sessions/1"): {Role.ADMIN},
    **{
        (method, f"/api/v1/{what}/1"): ENGINEERS
        for what in ("assets", "zones", "facilities")
        for method in ("PUT", "PATCH", "DELETE")
    },
    **{(method, f"/api/v1/{what}/1"): ENGINEERS for what in ("sensors", "devices") for method in ("PATCH", "DELETE")},
}
"""Who may change or take away what; as for ACTS."""
OPEN = {"/health", "/field/{}", "/api/v1/session/ways"}
"""Without a key: health says only ok or degraded; a field link is its own proof (test_fieldlinks.py); how one logs in
is what the page must know before (test_signon.py, with what only browsers ask for)."""


def filled(path: str) -> str:
    """The path of a route, asked about sensor 1 and alert 1."""
    return path.format(sensor=1, alert=1, cell=CELL, collection="assets", things="Things")
