"""Standing risk in the database: scored on import, changed by breaks, criticality and calibration."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind, RoadClass
from lifeline.risk.deterioration import shipped_deterioration
from lifeline.storage import inventory, standing
from lifeline.storage.database import Connection

NOW = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
pytestmark = pytest.mark.usefixtures("clean_database")


def point(name: str, kind: str, east: float = 0.0, customers: int = 0, critical: bool = False) -> Entry[Asset]:
    geometry = {"type": "Point", "coordinates": [117.27 + east, 31.86]}
    return Entry(1, Asset(name, "water", AssetKind(kind), geometry, customers=customers, critical=critical))


def pipe(name: str, a: str, b: str, east: float, **more: object) -> Entry[Asset]:
    line = [[117.27 + east, 31.86], [117.27 + east + 0.001, 31.86]]
    plain = {"material": "grey_cast_iron", "install_year": 1980, "diameter_mm": 150.0, "length_m": 94.0}
    return Entry(
        1,
        Asset(
            name, "water", AssetKind.PIPE, {"type": "LineString", "coordinates": line}, from_asset=a, to_asset=b,
            **(plain | more),  # type: ignore[arg-type]
        ),
    )  # fmt: skip


TOWN = [
    point("T", "tank"),
    point("J1", "junction", 0.001, customers=100),
    point("J2", "junction", 0.002, customers=300, critical=True),
    pipe("P1", "T", "J1", 0.0),
    pipe("P2", "J1", "J2", 0.001, soil="very_corrosive", road_class=RoadClass.TRUNK, condition=4),
]


def scores(connection: Connection) -> dict[str, float]:
    return dict(connection.execute("SELECT external_id, score FROM asset_risk JOIN asset USING (asset_id)").fetchall())


def part(connection: Connection, asset: str, name: str) -> dict[str, object] | None:
    row = connection.execute(
        "SELECT parts FROM asset_risk JOIN asset USING (asset_id) WHERE external_id = %s", [asset]
    ).fetchone()
    assert row is not None
    return next((each for each in row[0] if each["part"] == name), None)


def add_break(connection: Connection, asset: str, days_ago: int, number: int = 1) -> None:
    connection.execute(
        "INSERT INTO asset_break (asset_id, at, external_id) SELECT asset_id, %s, %s FROM asset WHERE external_id = %s",
        [NOW - timedelta(days=days_ago), f"B{number}", asset],
    )


def test_an_import_scores_every_asset_with_what_it_cuts_off(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    assert set(scores(connection)) == {"T", "J1", "J2", "P1", "P2"}
    lost = {each.asset: each for each in standing.most_critical(connection, "water", 10)}
    assert (lost["P1"].customers_lost, lost["P1"].loss, lost["P1"].critical_lost) == (400, 1.0, 1)
    assert (lost["P2"].customers_lost, lost["P2"].loss) == (300, 0.75)
    assert {each.method for each in lost.values()} == {"graph"}
    assert part(connection, "P1", "supply")["value"] == 1.0


def test_soil_road_and_condition_count_where_they_are_known(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    assert part(connection, "P2", "soil")["value"] == "very_corrosive"
    assert part(connection, "P2", "soil")["points"] > 0
    assert part(connection, "P2", "road")["points"] > 0
    assert part(connection, "P2", "condition")["value"] == 4
    assert part(connection, "P1", "soil") is None


def test_what_is_out_of_service_has_no_score_and_serves_nobody(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    retired = [Entry(1, replace(TOWN[4].item, in_service=False))]
    inventory.store_assets(connection, retired, NOW)
    assert "P2" not in scores(connection)
    assert {each.asset: each.customers_lost for each in standing.most_critical(connection, "water", 10)}["P1"] == 100


def test_a_break_raises_its_pipe_and_its_neighbour_and_wears_off(connection: Connection) -> None:
    plastic = {"material": "pe", "install_year": 2005}
    rest = TOWN[:3]
    inventory.store_assets(
        connection, [*rest, pipe("P1", "T", "J1", 0.0, **plastic), pipe("P2", "J1", "J2", 0.001, **plastic)], NOW
    )
    add_break(connection, "P1", 3650, 1)  # the record is ten years long
    standing.recompute(connection, NOW)
    before = scores(connection)
    add_break(connection, "P1", 10, 2)
    assert standing.recompute(connection, NOW) > 0
    after = scores(connection)
    assert after["P1"] > before["P1"]
    assert after["P2"] > before["P2"]
    standing.recompute(connection, NOW + timedelta(days=300))
    later = scores(connection)
    assert before["P2"] <= later["P2"] < after["P2"]
    assert part(connection, "P1", "breaks")["value"] == 2


def test_a_break_after_that_moment_is_not_known_yet(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    before = scores(connection)
    add_break(connection, "P1", -5)
    standing.recompute(connection, NOW)
    assert scores(connection) == before


def test_computing_again_changes_no_row(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    assert standing.recompute(connection, NOW) == 0
    assert standing.recompute(connection, NOW + timedelta(days=800)) > 0


def test_what_a_model_computed_is_not_replaced_by_the_graph(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    found = standing.columns(connection, NOW, ["water"])
    n = len(found.asset_id)
    lost = standing.Lost(found.asset_id, np.full(n, 0.125), np.full(n, 50), np.zeros(n, dtype=int))
    standing.store_criticality(connection, lost, "hydraulic", NOW)
    inventory.store_assets(connection, TOWN, NOW)
    assert {(each.loss, each.method) for each in standing.most_critical(connection, None, 10)} == {(0.125, "hydraulic")}


def test_a_calibration_is_kept_as_a_version_and_scores_follow_it(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    assert standing.deterioration(connection).version == 0
    before = scores(connection)
    fit = {"rate": 0.001, "at_age": 60.0, "growth": 0.0, "shape": 1.0, "form": "exponential"}
    version = standing.store_deterioration(connection, {"classes": {"grey_cast_iron": fit}}, 7, "test", NOW)
    assert standing.deterioration(connection).version == version == 1
    standing.recompute(connection, NOW)
    assert scores(connection)["P1"] < before["P1"]


def test_only_the_assets_asked_for_are_scored(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    connection.execute("DELETE FROM asset_risk")
    row = connection.execute("SELECT asset_id FROM asset WHERE external_id = 'P2'").fetchone()
    assert standing.recompute(connection, NOW, ["water"], [row[0]]) == 1
    assert set(scores(connection)) == {"P2"}


def test_an_edit_in_a_large_network_scores_what_was_edited_alone(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    monkeypatch.setattr(standing, "SMALL", 1)
    monkeypatch.setattr(standing, "WHOLE_AFTER", 0.5)
    connection.execute("DELETE FROM asset_criticality")
    changed = [pipe("P1", "T", "J1", 0.0, material="pe")]
    before = scores(connection)
    inventory.store_assets(connection, changed, NOW)
    assert scores(connection)["P1"] < before["P1"]
    assert standing.most_critical(connection, None, 10) == []


def test_the_matrix_counts_each_asset_once(connection: Connection) -> None:
    inventory.store_assets(connection, TOWN, NOW)
    assert sum(map(sum, standing.matrix(connection, "water"))) == len(TOWN)
    assert sum(map(sum, standing.matrix(connection, "gas"))) == 0


def test_a_network_without_customers_is_weighed_by_length(connection: Connection) -> None:
    bare = [point("T", "tank"), point("J1", "junction", 0.001), point("J2", "junction", 0.002), TOWN[3],
            pipe("P2", "J1", "J2", 0.001, length_m=282.0)]  # fmt: skip
    inventory.store_assets(connection, bare, NOW)
    lost = {each.asset: each for each in standing.most_critical(connection, "water", 10)}
    assert lost["P2"].loss == pytest.approx(0.75)
    assert lost["P2"].customers_lost == 0


def test_the_shipped_catalogue_counts_until_there_is_a_calibration(connection: Connection) -> None:
    assert standing.deterioration(connection) is shipped_deterioration()
