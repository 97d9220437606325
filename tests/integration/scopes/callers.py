"""Who has a part of the city: a key for each role and scope, and the names in what they are told."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx

from lifeline.model import Role
from lifeline.principal import Scope
from lifeline.storage import keys
from lifeline.storage.database import connect
from tests.api_process import PLAIN, Api

NOW = datetime.now(UTC)
GAS, ZONE = Scope(("gas",)), Scope(None, ("Z-GAS",))
SCOPES = {"gas": GAS, "zone": ZONE, "nothing": Scope(("water",), ("Z-GAS",))}
NAMES = re.compile(r"\b[GWD]-[CP]\d\b|rtu-\w+")


class Callers:
    """A key for each role and scope."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.texts: dict[tuple[Role, str], str] = {}
        self.client = httpx.Client(base_url=api.url, timeout=30, verify=PLAIN)

    def call(
        self, role: Role, scope: str, method: str, path: str, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        if (role, scope) not in self.texts:
            with connect(self.api.dsn) as connection:
                name = f"{role} {scope}"
                self.texts[role, scope] = keys.create(connection, name, role, NOW, None, SCOPES[scope])
        proof = {"Authorization": f"Bearer {self.texts[role, scope]}"}
        return self.client.request(method, path, headers=proof | (headers or {}), **options)

    def get(self, scope: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.call(Role.VIEWER, scope, "GET", path, headers=headers)


def things(answer: httpx.Response) -> set[str]:
    """Names of assets and devices in an answer."""
    assert answer.status_code == 200, answer.text
    return set(NAMES.findall(answer.text))
