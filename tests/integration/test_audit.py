"""Each change that somebody makes through the API has its row of the audit: who, what, before and after."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from lifeline.model import Level, Role
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api
from tests.integration.test_api_contract import described
from tests.integration.town import SOUTH, WEST, build, empty, open_alert
from tests.pictures import phone_photo

POINT = {"type": "Point", "coordinates": [WEST, SOUTH]}
RING = [[WEST, SOUTH], [WEST + 0.01, SOUTH], [WEST + 0.01, SOUTH + 0.01], [WEST, SOUTH]]
ZONE = {
    "type": "Feature",
    "properties": {"id": "A-Z", "kind": "district"},
    "geometry": {"type": "Polygon", "coordinates": [RING]},
}
CHAMBER = {"properties": {"id": "A-1", "network": "gas", "kind": "chamber"}, "geometry": POINT}
SCHOOL = {"properties": {"id": "A-F", "kind": "school", "name": "x"}, "geometry": POINT}
SENSOR = {"device": "A-d", "network": "gas", "channel": "methane", "asset": "A-1"}
REPORT = {"category": "other", "text": "their words", "longitude": WEST, "latitude": SOUTH}
FILE = b"id,network,kind,longitude,latitude\nA-2,gas,chamber,%f,%f\n" % (WEST, SOUTH)
PHOTO = phone_photo()
URL = "https://hooks.example.com/a"


class Write(NamedTuple):
    """A change: what is sent, and the table of whose row the audit tells. ``{id}`` is that of the answer before."""

    method: str
    path: str
    body: Any
    what: str
    after: str = ""
    """A word that the row's ``after`` holds; "-": what the row was is told alone."""


def acts(of: str) -> list[Write]:
    """What is done to an alert or incident, in an order in which it may be done."""
    return [
        Write("POST", f"{of}/acknowledge", {}, "alert_history", "acknowledged"),
        Write("POST", f"{of}/shelve", {}, "alert_history", "shelved"),
        Write("POST", f"{of}/unshelve", {}, "alert_history"),
        Write("POST", f"{of}/steps", {"step": "confirmed"}, "response_history", "confirmed"),
        Write("POST", f"{of}/assign", {"assignee": "zhang"}, "response_history", "zhang"),
        Write("POST", f"{of}/notes", {"note": "a note"}, "response_history", "a note"),
        Write("POST", f"{of}/feedback", {"genuine": True}, "feedback", "true"),
    ]


WRITES = [
    *acts("alerts/1"),
    *acts("incidents/1"),
    Write("POST", "alerts/1/out-of-service", {}, "maintenance_window"),
    Write("POST", "alerts/bulk", {"action": "note", "ids": [1], "note": "many"}, "response_history", "many"),
    Write("POST", "maintenance-windows", {"network": "gas", "reason": "works"}, "maintenance_window", "works"),
    Write("PATCH", "maintenance-windows/{id}", {"reason": "other works"}, "maintenance_window", "other works"),
    Write("DELETE", "maintenance-windows/2", None, "maintenance_window", "ended_by"),
    Write("POST", "endpoints", {"name": "a-e", "url": URL}, "endpoint", "a-e"),
    Write("PUT", "endpoints/a-e", {"url": URL, "networks": ["gas"]}, "endpoint", "gas"),
    Write("POST", "endpoints/a-e/test", {}, "delivery", "pending"),
    Write("POST", "endpoints/a-e/replay", {"since": "2020-01-01T00:00:00Z"}, "delivery", "pending"),
    Write("POST", "endpoints/a-e/rotate", None, "endpoint", "new"),
    Write("POST", "escalations", {"endpoint": "a-e", "after_s": 60}, "escalation", "60"),
    Write("DELETE", "escalations/{id}", None, "escalation", "-"),
    Write("DELETE", "endpoints/a-e", None, "endpoint", "false"),
    Write("POST", "endpoints/a-e/enable", None, "endpoint", "true"),
    Write("PUT", "assets/A-1", CHAMBER, "inventory_history", "created"),
    Write("PATCH", "assets/A-1", {"properties": {"name": "n"}}, "inventory_history", "changed"),
    Write("POST", "sensors", SENSOR, "inventory_history", "created"),
    Write("PATCH", "sensors/{sensor}", {"name": "n"}, "inventory_history", "changed"),
    Write("PATCH", "devices/A-d", {"name": "n"}, "inventory_history", "changed"),
    Write("DELETE", "sensors/{sensor}", None, "inventory_history", "removed"),
    Write("DELETE", "devices/A-d", None, "inventory_history", "removed"),
    Write("DELETE", "assets/A-1", None, "inventory_history", "removed"),
    Write("POST", "zones", ZONE, "inventory_history", "A-Z"),
    Write("PUT", "zones/A-Z", {**ZONE, "properties": {"id": "A-Z", "kind": "renewal"}}, "inventory_history", "changed"),
    Write("PATCH", "zones/A-Z", {"properties": {"name": "n"}}, "inventory_history", "changed"),
    Write("DELETE", "zones/A-Z", None, "inventory_history", "removed"),
    Write("PUT", "facilities/A-F", SCHOOL, "inventory_history", "created"),
    Write("PATCH", "facilities/A-F", {"properties": {"name": "y"}}, "inventory_history", "changed"),
    Write("DELETE", "facilities/A-F", None, "inventory_history", "removed"),
    Write("POST", "imports?name=a.csv&as=assets", FILE, "inventory_history", "a.csv"),
    Write("POST", "reports", REPORT, "report", "other"),
    Write("POST", "reports/{id}/photos", PHOTO, "report_photo", "image/jpeg"),
    Write("POST", "reports/1/close", {"outcome": "confirmed"}, "report", "confirmed"),
    Write("POST", "handovers", {"note": "for the next shift"}, "handover", "for the next shift"),
    Write("POST", "jobs", {"kind": "criticality"}, "job", "criticality"),
    Write("POST", "jobs/{id}/cancel", None, "job"),
    Write("POST", "plans", {"name": "p", "budget": 1_000_000}, "job", "p"),
    Write("POST", "keys", {"name": "a-k", "role": "intake"}, "api_key", "intake"),
    Write("DELETE", "keys/a-k", None, "api_key", "revoked_at"),
    Write("POST", "users", {"name": "a-u"}, "app_user", "a-u"),
    Write("PATCH", "users/a-u", {"role": "field"}, "app_user", "field"),
    Write("POST", "users/a-u/link", None, "login_link"),
    Write("DELETE", "users/a-u", None, "app_user", "disabled_at"),
]
ELSEWHERE = {
    "/session", "/session/password", "/sessions/{}", "/users/sessions/{}", "/users/{}/log-out",  # test_sessions.py
    "/drills", "/drills/{}/stop", "/drills/schedules", "/drills/schedules/{}/stop",  # test_drills_api.py
    "/rule-proposals", "/rule-proposals/{}/accept", "/rule-proposals/{}/reject",  # test_api_operations.py
    "/zones/suggestions/{}/accept", "/zones/suggestions/{}/reject",  # edits of zones: inventory_history
    "/zones/suggestions", "/risk/what-if",  # change nothing
}  # fmt: skip
UNTOLD = {
    # Told by the row of their history, in the same transaction.
    "alert", "response", "asset", "device", "sensor", "zone", "facility", "rule_override", "network_model",
    # Worked out from what was changed.
    "asset_cell", "asset_criticality", "asset_facility", "asset_risk", "zone_asset", "zone_flow", "zone_sensor",
    "unknown_device", "outbox", "drill_event",
    # The machinery: nobody's change.
    "heartbeat", "kept_answer", "login_failure", "login_place", "map_asset", "map_cell", "map_frame", "map_segment",
    "field_link_use",
}  # fmt: skip
"""Tables that the API writes without a trigger of the audit."""


@pytest.fixture(scope="module")
def told(database_dsn: str) -> Iterator[dict[tuple[str, str], list[tuple[Any, ...]]]]:
    """Rows of the audit by the request that made them, once every change was made in order."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        open_alert(connection, ids["gas"], Level.RED)
        connection.execute(
            "INSERT INTO incident (level, worst_level, networks, causes, lead_alert, response_alert, first_seen,"
            " opened_at, updated_at) VALUES (1, 1, '{water}', '[]', 2, 2, now(), now(), now())"
        ) if open_alert(connection, ids["water"]) else None
        connection.execute("UPDATE alert SET incident_id = 1 WHERE alert_id = 2")
    with running_api(database_dsn) as api:
        yield {(each.method, each.path): rows for each, rows in made(api)}


def made(api: Api) -> Iterator[tuple[Write, list[tuple[Any, ...]]]]:
    number = 0
    for each in WRITES:
        sensors = api.get("/api/v1/sensors?device=A-d").json()["items"] if "{sensor}" in each.path else []
        path = "/api/v1/" + each.path.format(id=number, sensor=sensors[0]["id"] if sensors else 0)
        sent = {"content": each.body} if isinstance(each.body, bytes) else {"json": each.body}
        headers = {"Content-Type": "application/octet-stream"} if isinstance(each.body, bytes) else {}
        if path.endswith("/replay"):  # there must be something to send again
            with connect(api.dsn) as connection:
                connection.execute("UPDATE delivery SET state = 'failed'")
        since = last_row(api.dsn)
        answer = api.call(each.method, path, Role.ADMIN, headers=headers, **(sent if each.body is not None else {}))
        assert answer.status_code < 300, (each.method, path, answer.text)
        found = answer.json() if answer.content else {}
        number = found["id"] if isinstance(found, dict) and isinstance(found.get("id"), int) else number
        yield each, rows_after(api.dsn, since)


def last_row(dsn: str) -> int:
    with connect(dsn) as connection:
        return int((connection.execute("SELECT coalesce(max(audit_id), 0) FROM audit").fetchone() or (0,))[0])


def rows_after(dsn: str, since: int) -> list[tuple[Any, ...]]:
    asked = (
        "SELECT what, actor_kind, request, before::text, after::text, at FROM audit WHERE audit_id > %s"
        " ORDER BY audit_id"
    )
    with connect(dsn) as connection:
        return connection.execute(asked, [since]).fetchall()


@pytest.mark.parametrize("write", WRITES, ids=lambda each: f"{each.method} {each.path}")
def test_a_change_has_its_row_with_what_was_and_what_is(
    write: Write, told: dict[tuple[str, str], list[tuple[Any, ...]]]
) -> None:
    rows = [row for row in told[write.method, write.path] if row[0] == write.what]
    assert rows, [row[0] for row in told[write.method, write.path]]
    for _, kind, request, before, after, at in rows:
        assert (kind, request.partition(" ")[0]) == ("key", write.method)
        assert request.partition("?")[0].startswith(
            f"{write.method} /api/v1/{write.path.partition('{')[0].partition('?')[0]}"
        )
        assert datetime.now(UTC) >= at
        assert (after is None) == (write.after == "-")
        assert before is not None or after is not None
    assert write.after in ("", "-") or any(write.after in row[4] for row in rows)
    assert "their words" not in str(rows), "a citizen's words stand in the report alone"
    assert "llk_" not in str(rows)


def test_every_change_that_the_api_takes_is_looked_at() -> None:
    tried = {
        (each.method, re.sub(r"(?<=/)(\d+|A-\w+|a-\w|\{\w+\})(?=/|$)", "{}", f"/{each.path.partition('?')[0]}"))
        for each in WRITES
    }
    for path, methods in described()["paths"].items():
        shape = re.sub(r"\{\w+\}", "{}", path).removeprefix("/api/v1")
        for method in methods.keys() - {"get"}:
            if not shape.startswith("/field/"):  # test_fieldlinks.py
                assert (method.upper(), shape) in tried or shape in ELSEWHERE, (method, path)


def test_every_table_that_the_api_writes_is_told_or_known_not_to_be(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT c.relname, EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE t.tgrelid = c.oid AND p.proname = 'note_change') FROM pg_class c"
        " CROSS JOIN LATERAL (SELECT * FROM aclexplode(c.relacl) UNION ALL SELECT x.* FROM pg_attribute a"
        " CROSS JOIN LATERAL aclexplode(a.attacl) x WHERE a.attrelid = c.oid) g"
        " WHERE c.relnamespace = 'public'::regnamespace AND g.grantee = 'lifeline_api'::regrole"
        " AND g.privilege_type IN ('INSERT', 'UPDATE', 'DELETE') GROUP BY c.oid, c.relname"
    ).fetchall()
    assert {name for name, noted in rows if not noted} == UNTOLD


def test_no_function_that_works_past_the_policies_takes_names_from_its_caller(connection: Connection) -> None:
    """SECURITY DEFINER with a search path of its own, pg_temp last: nobody can put a table of his before ours."""
    rows = connection.execute(
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    ).fetchall()
    assert rows
    for name, settings in rows:
        paths = [each for each in settings or () if each.startswith("search_path=")]
        assert paths, name
        assert paths[0].endswith(", pg_temp"), name


def test_no_role_of_a_process_goes_past_the_policies(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'lifeline\\_%' AND (rolsuper OR rolbypassrls OR rolcreaterole)"
    ).fetchall()
    assert rows == []
