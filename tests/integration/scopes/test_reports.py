"""Citizens' reports for who has a part of the city: those of its networks, told from within its zones."""

import json
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.model import Role
from lifeline.storage.database import connect
from tests.api_process import Api
from tests.integration.scopes.callers import Callers
from tests.integration.town import SOUTH, STEP, WEST
from tests.pictures import picture

TOLD = {
    "gas here": ("gas_smell", 0),
    "water here": ("water_leak", 0),
    "a hole here": ("collapse", 0),
    "gas there": ("gas_smell", 1),
    "a hole there": ("collapse", 1),
}
"""What is reported: category, and the street: 0 lies in Z-GAS, 1 in Z-WATER."""
SEEN = {
    "gas": {"gas here", "gas there", "a hole here", "a hole there"},
    "zone": {"gas here", "water here", "a hole here"},
    "nothing": {"water here", "a hole here"},
}


def told(text: str) -> dict[str, Any]:
    category, row = TOLD[text]
    return {"category": category, "text": text, "longitude": WEST, "latitude": SOUTH + row * STEP}


@pytest.fixture(scope="module")
def reports(api: Api) -> dict[str, int]:
    """Id of each report by its text."""
    return {text: api.call("POST", "/api/v1/reports", Role.OPERATOR, json=told(text)).json()["id"] for text in TOLD}


@pytest.mark.parametrize("scope", SEEN)
def test_reports_of_ones_part_are_seen_and_no_others(scope: str, reports: dict[str, int], callers: Callers) -> None:
    listed = callers.get(scope, "/api/v1/reports").json()["items"]
    assert {each["text"] for each in listed} == SEEN[scope]
    for text, number in reports.items():
        answer = callers.get(scope, f"/api/v1/reports/{number}")
        never = callers.get(scope, "/api/v1/reports/987654")
        if text in SEEN[scope]:
            assert answer.json()["text"] == text
        else:
            assert answer.status_code == 404
            assert answer.text.replace(f"report {number}", "?") == never.text.replace("report 987654", "?"), (
                "as if it did not exist"
            )


@pytest.mark.parametrize("scope", SEEN)
def test_a_map_in_another_program_shows_the_reports_of_ones_part(
    scope: str, reports: dict[str, int], api: Api, callers: Callers
) -> None:
    """The collection of OGC API Features says what the list says, to the city and to each part of it."""
    items = "/ogc/collections/reports/items"
    whole = {each["properties"]["text"] for each in api.get(f"{items}?limit=100").json()["features"]}
    part = {each["properties"]["text"] for each in callers.get(scope, f"{items}?limit=100").json()["features"]}
    assert (set(TOLD) <= whole, part & set(TOLD)) == (True, SEEN[scope])
    for text, number in reports.items():
        assert callers.get(scope, f"{items}/{number}").status_code == (200 if text in SEEN[scope] else 404), text


def test_a_report_names_the_alerts_of_ones_part_alone(reports: dict[str, int], api: Api, callers: Callers) -> None:
    """The street of gas has alert 1 beside every report that was told from there."""
    number = reports["a hole here"]
    assert api.get(f"/api/v1/reports/{number}").json()["alerts"] == [1]
    for scope, alerts in {"gas": [1], "zone": [1], "nothing": []}.items():
        assert callers.get(scope, f"/api/v1/reports/{number}").json()["alerts"] == alerts


@pytest.mark.parametrize("scope", ["gas", "zone"])
def test_beside_an_alert_one_finds_the_reports_of_ones_part(
    scope: str,
    reports: dict[str, int],
    api: Api,
    callers: Callers,
) -> None:
    here = {text for text, (_, row) in TOLD.items() if row == 0}
    for of in ("alerts", "incidents"):
        whole = {each["text"] for each in api.get(f"/api/v1/{of}/1/reports").json()["items"]}
        part = {each["text"] for each in callers.get(scope, f"/api/v1/{of}/1/reports").json()["items"]}
        assert (whole, part) == (here, here & SEEN[scope])
        assert callers.get(scope, f"/api/v1/{of}/2/reports").status_code == 404


def test_a_report_is_handed_in_for_ones_own_part_alone(reports: dict[str, int], api: Api, callers: Callers) -> None:
    before = len(api.get("/api/v1/reports").json()["items"])
    refused = callers.call(Role.FIELD, "zone", "POST", "/api/v1/reports", json=told("gas there"))
    assert refused.status_code == 404, refused.text
    assert len(api.get("/api/v1/reports").json()["items"]) == before
    taken = callers.call(Role.FIELD, "zone", "POST", "/api/v1/reports", json=told("gas here"))
    assert taken.status_code == 201, taken.text


def test_a_reference_that_another_part_has_sent_tells_nothing_of_it(api: Api, callers: Callers) -> None:
    named = {"source": "12345", "reference": "there"}
    kept = api.call("POST", "/api/v1/reports", Role.OPERATOR, json=told("gas there") | named)
    assert kept.status_code == 201
    answer = callers.call(Role.FIELD, "zone", "POST", "/api/v1/reports", json=told("gas here") | named)
    assert (answer.status_code, "there" in answer.text) == (409, False), answer.text


def test_only_reports_of_ones_part_get_photos_and_are_closed(
    reports: dict[str, int], api: Api, callers: Callers
) -> None:
    for text, status in {"gas here": 201, "gas there": 404}.items():
        path = f"/api/v1/reports/{reports[text]}"
        sent = callers.call(Role.FIELD, "zone", "POST", f"{path}/photos", content=picture())
        assert sent.status_code == status, sent.text
        closed = callers.call(Role.OPERATOR, "zone", "POST", f"{path}/close", json={"outcome": "confirmed"})
        assert closed.status_code == (200 if status == 201 else 404), closed.text
        other = api.call("POST", f"{path}/photos", Role.FIELD, content=picture(7)).json()["photo"]
        assert callers.get("zone", f"{path}/photos/{other}").status_code == (200 if status == 201 else 404)
    assert api.get(f"/api/v1/reports/{reports['gas there']}").json()["state"] == "open"


# ------------------------------------------------------------------------------------------- the place of a report

CORNER = st.integers(-8, 8).map(float)
BOX = st.tuples(CORNER, CORNER, st.integers(1, 8), st.integers(1, 8)).map(
    lambda each: shapely.box(each[0], each[1], each[0] + each[2], each[1] + each[3])
)
SHAPES = st.lists(BOX, min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(added=SHAPES, cut=SHAPES, column=st.integers(-9, 16), row=st.integers(-9, 16))
def test_the_database_holds_a_point_in_a_zone_as_shapely_does(
    database_dsn: str, added: list[Any], cut: list[Any], column: int, row: int
) -> None:
    """Parts, corners that turn inwards and holes; asked between the lines, where both must say the same."""
    zone = shapely.union_all(added).difference(shapely.union_all([each.buffer(-0.25) for each in cut]))
    at = (column + 0.37, row + 0.41)
    if zone.is_empty:
        return
    with connect(database_dsn) as connection:
        (held,) = connection.execute(
            "SELECT polygon_holds(%s::jsonb, %s, %s)", [json.dumps(shapely.geometry.mapping(zone)), *at]
        ).fetchone() or (None,)
    assert held is bool(shapely.contains_xy(zone, *at))


def test_what_stands_is_told_of_ones_own_assets_alone(api: Api, callers: Callers) -> None:
    """The matrix counts, and the most critical are, assets of the part."""
    whole = {each["asset"] for each in api.get("/api/v1/risk/criticality").json()["items"]}
    assert {f"{name}-P{n}" for name in "GWD" for n in range(2)} <= whole
    everywhere = {each["network"]: each["assets"] for each in api.get("/api/v1/risk/matrix").json()["items"]}
    for scope, mine in {
        "gas": {"G-C0", "G-C1", "G-C2", "G-P0", "G-P1"},
        "zone": {"G-C0", "G-P0"},
        "nothing": set(),
    }.items():
        found = {each["asset"] for each in callers.get(scope, "/api/v1/risk/criticality").json()["items"]}
        assert found == whole & mine
        matrix = {each["network"]: each["assets"] for each in callers.get(scope, "/api/v1/risk/matrix").json()["items"]}
        assert matrix == ({"gas": len(mine)} if mine else {})
    assert everywhere == dict.fromkeys(("gas", "water", "drainage"), 5)
