"""Zones over HTTP: read, drawn, changed, and who did it."""

from collections.abc import Iterator
from typing import Any

import pytest

from lifeline.model import Role
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api
from tests.integration.town import SOUTH, WEST, build, empty


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build(connection)
    with running_api(database_dsn) as running:
        yield running


def feature(name: str, south: float, north: float, **more: Any) -> dict[str, Any]:
    west, east = WEST - 0.005, WEST + 0.015
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    values = {"id": name, "kind": "renewal", "name": "老城 Old town", **more}
    return {"type": "Feature", "properties": values, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def draw(api: Api, body: dict[str, Any], role: Role = Role.ENGINEER) -> Any:
    return api.call("POST", "/api/v1/zones", role, json=body)


def test_a_zone_that_is_drawn_is_read_with_what_lies_in_it_and_by_whom(api: Api, connection: Connection) -> None:
    body = feature("Z1", SOUTH - 0.005, SOUTH + 0.005)
    drawn = draw(api, body)
    assert drawn.status_code == 200, drawn.text
    zone = api.get("/api/v1/zones/Z1", Role.VIEWER).json()
    assert zone == drawn.json()
    assert (zone["assets"], zone["sensors"], zone["status"], zone["name"]) == (4, 1, "active", "老城 Old town")
    assert draw(api, body).json() == zone
    accepted = draw(api, feature("Z1", SOUTH - 0.005, SOUTH + 0.005, status="rejected")).json()
    assert (accepted["status"], accepted["assets"]) == ("rejected", 0)
    rows = connection.execute("SELECT action FROM inventory_history WHERE external_id = 'Z1' ORDER BY history_id")
    assert [action for (action,) in rows] == ["created", "changed"]


def test_zones_come_page_by_page_and_by_kind_network_and_status(api: Api) -> None:
    for number in range(3):
        draw(api, feature(f"P{number}", SOUTH, SOUTH + 0.01, kind="district", network="gas" if number else "water"))
    first = api.get("/api/v1/zones?kind=district&limit=2", Role.VIEWER).json()
    second = api.get(f"/api/v1/zones?kind=district&limit=2&after={first['next']}", Role.VIEWER).json()
    assert [each["id"] for each in first["items"] + second["items"]] == ["P0", "P1", "P2"]
    assert second["next"] is None
    gas = api.get("/api/v1/zones?kind=district&network=gas", Role.VIEWER).json()["items"]
    assert [each["id"] for each in gas] == ["P1", "P2"]
    assert api.get("/api/v1/zones?kind=district&status=suggested", Role.VIEWER).json()["items"] == []
    assert api.get("/api/v1/zones?bbox=1,1,2,2", Role.VIEWER).json()["items"] == []


def test_a_zone_that_makes_no_sense_is_refused_with_every_reason(api: Api) -> None:
    bad = feature("Z 9", SOUTH, SOUTH + 0.01, kind="kingdom", network="steam")
    answer = draw(api, bad)
    assert answer.status_code == 400
    assert all(word in answer.json()["detail"] for word in ("'Z 9'", "kingdom", "steam"))
    assert draw(api, feature("Z9", SOUTH, SOUTH)).status_code == 400
    assert api.get("/api/v1/zones/Z9", Role.VIEWER).status_code == 404


def test_a_member_that_a_feature_does_not_have_is_refused_by_its_name(api: Api) -> None:
    """Who writes a field beside the properties would wonder why it is not kept."""
    drawn = feature("Z7", SOUTH, SOUTH + 0.01)
    answer = draw(api, drawn | {"name": "beside them"})
    assert (answer.status_code, "name" in answer.json()["detail"]) == (400, True), answer.text
    assert draw(api, {**drawn, "geometry": None}).status_code == 400
    assert api.get("/api/v1/zones/Z7", Role.VIEWER).status_code == 404


def test_only_an_engineer_draws(api: Api) -> None:
    assert draw(api, feature("Z8", SOUTH, SOUTH + 0.01), Role.OPERATOR).status_code == 403


def test_an_asset_tells_its_street_its_road_and_its_condition(api: Api) -> None:
    asset = api.get("/api/v1/assets/G-P0", Role.VIEWER).json()
    assert {name: asset[name] for name in ("road_class", "street", "soil", "condition", "in_service")} == {
        "road_class": None, "street": None, "soil": None, "condition": None, "in_service": True,
    }  # fmt: skip
