"""Criticality, the 5x5 matrix and stress tests through the API."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lifeline.planning import criticality, stress
from lifeline.storage import inventory
from lifeline.storage.database import connect
from tests.api_process import Api, running_api
from tests.integration.test_criticality import MODEL, town
from tests.integration.town import empty

NOW = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
ASKED = (
    {"kind": "loss", "asset": "1"},
    {"kind": "earthquake", "runs": 3, "pgv_cm_s": 200},
    {"kind": "loss", "asset": "2"},
    {"kind": "loss", "asset": "W-R"},
)


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """A town of four nodes and four pipes, its criticality by the model, and four stress tests, oldest first."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        connection.execute("TRUNCATE stress_test")
        inventory.store_assets(connection, town(), NOW)
        criticality.compute(connection, NOW, ["water"], MODEL, workers=1)
        for at, asked in enumerate(ASKED):
            moment = NOW + timedelta(minutes=at)
            stress.run_test(connection, stress.Parameters.model_validate(asked), moment, "ann", workers=1)
    with running_api(database_dsn) as process:
        yield process
    empty(database_dsn)
    with connect(database_dsn) as connection:
        connection.execute("TRUNCATE stress_test")


def test_the_most_critical_come_first_with_who_is_lost_and_how_it_was_found(api: Api) -> None:
    found = api.get("/api/v1/risk/criticality").json()["items"]
    assert {each["asset"] for each in found} == {entry.item.external_id for entry in town()}
    lost = [each["customers_lost"] for each in found]
    assert lost == sorted(lost, reverse=True)
    by_asset = {each["asset"]: each for each in found}
    assert by_asset["1"]["method"] == "hydraulic"
    assert by_asset["1"]["customers_lost"] == 600
    assert by_asset["1"]["critical_lost"] == 1
    assert by_asset["1"]["loss"] == pytest.approx(1.0, abs=0.02)
    assert by_asset["W-R"]["method"] == "graph"
    assert datetime.fromisoformat(by_asset["1"]["computed_at"]) == NOW


def test_criticality_is_asked_by_network_and_by_how_many(api: Api) -> None:
    assert api.get("/api/v1/risk/criticality?network=gas").json() == {"items": []}
    whole = api.get("/api/v1/risk/criticality?network=water").json()["items"]
    assert api.get("/api/v1/risk/criticality?limit=2").json()["items"] == whole[:2]
    assert api.get("/api/v1/risk/criticality?limit=0").status_code == 400
    assert api.get("/api/v1/risk/criticality?net=water").status_code == 400


def test_the_matrix_counts_each_asset_of_a_network_in_one_field(api: Api) -> None:
    (water,) = api.get("/api/v1/risk/matrix").json()["items"]
    assert water["network"] == "water"
    assert [len(row) for row in water["counts"]] == [5] * 5
    assert sum(map(sum, water["counts"])) == water["assets"] == len(town())
    assert api.get("/api/v1/risk/matrix?network=water").json()["items"] == [water]
    assert api.get("/api/v1/risk/matrix?network=gas").json()["items"] == []


def test_the_matrix_agrees_with_the_likelihood_and_consequence_that_each_asset_shows(api: Api) -> None:
    (water,) = api.get("/api/v1/risk/matrix").json()["items"]
    counted = [[0] * 5 for _ in range(5)]
    with connect(api.dsn) as connection:
        for lof, cof in connection.execute("SELECT lof, cof FROM asset_risk"):
            counted[int(lof + 0.5) - 1][int(cof + 0.5) - 1] += 1
    assert water["counts"] == counted


def test_stress_tests_come_newest_first_with_their_figures_and_without_their_lists(api: Api) -> None:
    page = api.get("/api/v1/stress-tests").json()
    assert page["next"] is None
    assert [each["kind"] for each in page["items"]] == [each["kind"] for each in reversed(ASKED)]
    for each in page["items"]:
        assert "weakest" not in each["result"]
        assert 0 <= each["result"]["share_served"] <= 1
        assert each["requested_by"] == "ann"
    moments = [datetime.fromisoformat(each["computed_at"]).astimezone(UTC) for each in page["items"]]
    assert moments == [NOW + timedelta(minutes=at) for at in (3, 2, 1, 0)]


def test_stress_tests_are_asked_by_kind_and_network(api: Api) -> None:
    losses = api.get("/api/v1/stress-tests?kind=loss").json()["items"]
    assert [each["parameters"]["asset"] for each in losses] == ["W-R", "2", "1"]
    assert api.get("/api/v1/stress-tests?network=gas").json()["items"] == []
    assert api.get("/api/v1/stress-tests?kind=flood").status_code == 400


def test_pages_of_stress_tests_hold_each_once(api: Api) -> None:
    seen, after = [], ""
    for _ in ASKED:
        page = api.get(f"/api/v1/stress-tests?limit=1{after}").json()
        seen += [each["id"] for each in page["items"]]
        after = f"&after={page['next']}"
    assert page["next"] is None
    assert seen == [each["id"] for each in api.get("/api/v1/stress-tests").json()["items"]]


def test_one_stress_test_shows_its_weakest_and_another_is_not_there(api: Api) -> None:
    listed = api.get("/api/v1/stress-tests?kind=loss").json()["items"][-1]
    whole = api.get(f"/api/v1/stress-tests/{listed['id']}").json()
    assert whole["result"]["weakest"][0]["asset"] == "W-C"
    assert whole["parameters"]["asset"] == "1"
    assert whole["id"] == listed["id"]
    missing = api.get("/api/v1/stress-tests/999999")
    assert missing.status_code == 404
    assert "999999" in missing.text
