"""The page of the API names the least role of each route of the operations, and the code asks for that very role."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from api import endpoints, handling, maintenance, performance, rules
from api.access import Access
from lifeline.model import Role

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
ROUTES = [
    ("GET", "/api/v1/alerts/{id}/response", Role.VIEWER),
    ("POST", "/api/v1/alerts/{id}/shelve", Role.OPERATOR),
    ("POST", "/api/v1/alerts/{id}/unshelve", Role.OPERATOR),
    ("POST", "/api/v1/alerts/{id}/out-of-service", Role.OPERATOR),
    ("POST", "/api/v1/alerts/{id}/steps", Role.FIELD),
    ("POST", "/api/v1/alerts/{id}/assign", Role.OPERATOR),
    ("POST", "/api/v1/alerts/{id}/notes", Role.FIELD),
    ("POST", "/api/v1/alerts/{id}/feedback", Role.FIELD),
    ("POST", "/api/v1/alerts/bulk", Role.OPERATOR),
    ("GET", "/api/v1/incidents/{id}/response", Role.VIEWER),
    ("POST", "/api/v1/incidents/{id}/acknowledge", Role.FIELD),
    ("POST", "/api/v1/incidents/{id}/shelve", Role.OPERATOR),
    ("POST", "/api/v1/incidents/{id}/unshelve", Role.OPERATOR),
    ("POST", "/api/v1/incidents/{id}/steps", Role.FIELD),
    ("POST", "/api/v1/incidents/{id}/assign", Role.OPERATOR),
    ("POST", "/api/v1/incidents/{id}/notes", Role.FIELD),
    ("POST", "/api/v1/incidents/{id}/feedback", Role.FIELD),
    ("GET", "/api/v1/maintenance-windows", Role.VIEWER),
    ("POST", "/api/v1/maintenance-windows", Role.OPERATOR),
    ("GET", "/api/v1/maintenance-windows/{id}", Role.VIEWER),
    ("PATCH", "/api/v1/maintenance-windows/{id}", Role.OPERATOR),
    ("DELETE", "/api/v1/maintenance-windows/{id}", Role.OPERATOR),
    ("GET", "/api/v1/rules", Role.VIEWER),
    ("GET", "/api/v1/rules/{rule}", Role.VIEWER),
    ("GET", "/api/v1/rule-overrides", Role.VIEWER),
    ("GET", "/api/v1/rule-proposals", Role.VIEWER),
    ("POST", "/api/v1/rule-proposals", Role.ENGINEER),
    ("GET", "/api/v1/rule-proposals/{id}", Role.VIEWER),
    ("POST", "/api/v1/rule-proposals/{id}/accept", Role.ENGINEER),
    ("POST", "/api/v1/rule-proposals/{id}/reject", Role.ENGINEER),
    ("GET", "/api/v1/precision", Role.VIEWER),
    ("GET", "/api/v1/performance", Role.VIEWER),
    ("GET", "/api/v1/endpoints", Role.OPERATOR),
    ("POST", "/api/v1/endpoints", Role.ADMIN),
    ("GET", "/api/v1/endpoints/{name}", Role.OPERATOR),
    ("PUT", "/api/v1/endpoints/{name}", Role.ADMIN),
    ("DELETE", "/api/v1/endpoints/{name}", Role.ADMIN),
    ("POST", "/api/v1/endpoints/{name}/enable", Role.ADMIN),
    ("POST", "/api/v1/endpoints/{name}/test", Role.OPERATOR),
    ("POST", "/api/v1/endpoints/{name}/rotate", Role.ADMIN),
    ("POST", "/api/v1/endpoints/{name}/replay", Role.OPERATOR),
    ("GET", "/api/v1/deliveries", Role.OPERATOR),
    ("GET", "/api/v1/escalations", Role.OPERATOR),
    ("POST", "/api/v1/escalations", Role.ADMIN),
    ("DELETE", "/api/v1/escalations/{id}", Role.ADMIN),
]


def asked() -> Iterator[tuple[str, str, Role]]:
    """Method, path and role of each route, as the code has them."""
    routers: list[APIRouter] = [
        handling.router,
        maintenance.router,
        rules.router,
        performance.router,
        endpoints.router,
    ]
    for router in routers:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            gates = [each.call for each in route.dependant.dependencies if isinstance(each.call, Access)]
            assert len(gates) == 1, f"{route.path} asks for {len(gates)} roles"
            for method in route.methods or ():
                yield method, route.path, gates[0].role


def test_every_route_asks_for_the_role_that_it_should() -> None:
    assert sorted(asked()) == sorted(ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "role"),
    ROUTES,
    ids=[f"{method} {path}" for method, path, _ in ROUTES],
)
def test_the_page_says_so(method: str, path: str, role: Role) -> None:
    assert f"| {method} `{path}` | {role} |" in PAGE
