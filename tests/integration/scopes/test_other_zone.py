"""Every route, every role, a caller of another zone, asked about things that are there but not his: each answer."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lifeline.model import Role
from lifeline.principal import Scope
from lifeline.storage import keys
from lifeline.storage.database import connect
from tests.api_process import Api
from tests.integration.role_matrix import ACTS, ALLOWED, CHANGES, filled
from tests.integration.scopes.callers import NOW, Callers
from tests.integration.scopes.test_changes import chamber, inventory_of
from tests.integration.scopes.test_sight import open_to_scopes
from tests.integration.town import SOUTH, WEST
from tests.pictures import picture

OTHER = Scope(None, ("Z-WATER",))
"""Who asks has the street of water; everything that he asks about lies in the street of gas."""
GAS = re.compile(r"\bG-[CP]\d\b|rtu-gas|Z-GAS")
REPORT = {"category": "gas_smell", "text": "told in Z-GAS", "longitude": WEST, "latitude": SOUTH}
BODIES: dict[str, Any] = {
    "steps": {"step": "confirmed"}, "notes": {"note": "x"}, "feedback": {"genuine": True}, "assign": {"assignee": "x"},
    "close": {"outcome": "confirmed"}, "bulk": {"action": "note", "ids": [1], "note": "x"}, "reports": REPORT,
    "sensors": {"device": "N-d", "network": "gas", "channel": "methane", "asset": "G-C0"},
    "maintenance-windows": {"asset": "G-C0", "reason": "x"},
    "PATCH maintenance-windows": {"reason": "x"}, "PATCH assets": {"properties": {"name": "x"}},
    "PUT assets": chamber("G-C0", "gas"), "PATCH sensors": {"name": "x"}, "PATCH devices": {"name": "x"},
}  # fmt: skip
"""What each act takes, so that only what it is about can be what is wrong."""
NAMED = re.compile(r"/(1|G-P0|G-C0|rtu-gas|Z-GAS|\d+)(/|$)|sensor=\d|cells/8")
"""Where a path names one thing."""
EXPECTED = {
    ("GET", "/api/v1/incidents/1/photos"): 200,
    ("GET", "/api/v1/risk/compare"): 400,
    ("GET", "/api/v1/risk/frames"): 400,
    ("POST", "/api/v1/reports"): 404,
    ("POST", "/api/v1/maintenance-windows"): 404,
    ("POST", "/api/v1/sensors"): 404,
    ("POST", "/api/v1/session/password"): 400,
    ("DELETE", "/api/v1/session"): 409,
}
"""Answers that are neither 200 to a list nor 404 to a thing: an incident's photos are none, a span is missing, what is
handed in or planned would lie elsewhere, and who comes with a key has no password and no session."""


@pytest.fixture(scope="module")
def elsewhere(api: Api, callers: Callers) -> Iterator[dict[str, str]]:
    """What stands for the 1 of a path, by the kind before it; nothing of it has changed at the end."""
    with connect(api.dsn) as connection:
        for role in Role:
            callers.texts[role, "other"] = keys.create(connection, f"{role} other", role, NOW, None, OTHER)
        connection.execute(
            "INSERT INTO field_photo (alert_id, nonce, at, name, address, media_type, content, digest)"
            " VALUES (1, 'n', now(), '', '', 'image/png', %s, 'd')",
            [picture()],
        )
        (sensor,) = connection.execute(
            "SELECT sensor_id FROM sensor JOIN device USING (device_id) WHERE network = 'gas'"
        ).fetchone() or (0,)
    report = api.call("POST", "/api/v1/reports", Role.OPERATOR, json=REPORT).json()["id"]
    api.call("POST", f"/api/v1/reports/{report}/photos", Role.OPERATOR, content=picture())
    before = state(api)
    yield {"assets": "G-C0", "devices": "rtu-gas", "zones": "Z-GAS", "sensors": str(sensor), "reports": str(report)}
    assert state(api) == before


def state(api: Api) -> list[Any]:
    with connect(api.dsn) as connection:
        tables = ("alert", "response", "response_history", "feedback", "maintenance_window", "report", "report_photo")
        return [inventory_of(api)] + [
            connection.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM {t} t".encode()).fetchone()
            for t in tables
        ]


def body_of(method: str, path: str) -> dict[str, Any]:
    """What the request carries: JSON, or the bytes of a photo."""
    words = path.strip("/").split("/")
    if method in ("GET", "DELETE"):
        return {}
    if method == "POST" and words[-1] == "photos":
        return {"content": picture()}
    said = BODIES.get(words[-1], {}) if method == "POST" else BODIES.get(f"{method} {words[2]}")
    return {} if said is None else {"json": said}


def routes(elsewhere: dict[str, str]) -> Iterator[tuple[str, str, str, set[Role]]]:
    """Method, pattern as it stands in the matrix, path to ask, roles that may."""
    asked = [("GET", path, allowed) for path, allowed in ALLOWED.items() if not path.endswith("/live")]
    asked += [("POST", path, allowed) for path, allowed in ACTS.items()]
    asked += [(method, path, allowed) for (method, path), allowed in CHANGES.items()]
    for method, path, allowed in asked:
        where = filled(path.replace("{sensor}", elsewhere["sensors"])).replace(
            "sensor=1", f"sensor={elsewhere['sensors']}"
        )
        for kind, name in elsewhere.items():
            where = re.sub(rf"(?<=/{kind}/)1(?=/|$)", name, where)
        yield method, path, where, allowed


@pytest.mark.parametrize("role", Role)
def test_each_route_tells_each_role_of_another_zone_nothing(
    role: Role, elsewhere: dict[str, str], callers: Callers
) -> None:
    wrong = []
    for method, path, where, allowed in routes(elsewhere):
        answer = callers.call(role, "other", method, where, **body_of(method, where))
        if role not in allowed or not open_to_scopes(method, path):
            expected = 403
        else:
            expected = EXPECTED.get((method, path), 404 if NAMED.search(where) else 200)
        if answer.status_code != expected:
            wrong.append((method, where, answer.status_code, answer.text[:200]))
        sent = where + str(body_of(method, where))
        assert not set(GAS.findall(answer.text)) - set(GAS.findall(sent)), (method, where, "nothing of the other zone")
    assert not wrong


def test_the_same_questions_find_something_where_one_has_the_zone(elsewhere: dict[str, str], callers: Callers) -> None:
    """Or the matrix would hold for a city in which there is nothing to see."""
    found = [
        (path, callers.get("zone", where).status_code)
        for method, path, where, _ in routes(elsewhere)
        if method == "GET" and open_to_scopes(method, path) and NAMED.search(where)
    ]
    assert len(found) > 20
    assert not [each for each in found if each[1] != 200]
