"""What tests of the API ask for, and what they hold of every answer."""

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from alerts.casebook import Casebook
from alerts.causes import load_causes
from lifeline.model import Alert, Role
from lifeline.storage.database import Connection
from tests.api_process import Api


def post(api: Api, path: str, body: Any = None, role: Role = Role.OPERATOR, status: int = 200) -> Any:
    answer = api.call("POST", f"/api/v1/{path}", role, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def get(api: Api, path: str, role: Role = Role.VIEWER) -> Any:
    answer = api.get(f"/api/v1/{path}", role)
    assert answer.status_code == 200, answer.text
    return answer.json()


def state(api: Api, alert: Alert) -> str:
    return str(get(api, f"alerts/{alert.alert_id}")["state"])


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def group(db: Connection) -> int:
    """The tick's grouping; the id of the one open incident."""
    with db.transaction():
        Casebook(load_causes()).update(db, datetime.now(UTC))
    row = db.execute("SELECT incident_id FROM incident WHERE closed_at IS NULL").fetchone()
    assert row is not None
    return int(row[0])


def assert_problem(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert told["title"]
    assert told["type"].startswith("urn:lifeline:problem:")
    for secret in ("Traceback", "psycopg", "SELECT", "site-packages", "llk_"):
        assert secret not in response.text.replace("`Authorization: Bearer llk_...`", "")


def raw(api: Api, head: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """A request as it is written here, which no client library would send: status, headers and body of the answer."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as line:
        line.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\nConnection: close\r\n\r\n" + body)
        told = b""
        while block := line.recv(65_536):
            told += block
    top, _, rest = told.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    return int(first.split()[1]), {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}, rest
