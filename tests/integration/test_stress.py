"""Stress tests against the database: by the model and by the graph, kept, listed, and the same on any pool."""

from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from lifeline.cli import app
from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.planning import stress
from lifeline.planning.registry import KINDS, checked
from lifeline.storage import inventory
from lifeline.storage.database import Connection
from lifeline.storage.stress import kept_tests
from tests.integration.test_criticality import BRANCH, node, pipe, town
from tests.unit.test_storm import PUMPED, SWMM

NOW = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
pytestmark = pytest.mark.usefixtures("clean_database")


def with_model(connection: Connection, text: str = BRANCH, network: str = "water", kind: str = "epanet") -> None:
    connection.execute(
        "INSERT INTO network_model (name, network, format, content, imported_at) VALUES (%s, %s, %s, %s, %s)",
        [f"{network}.inp", network, kind, text.encode(), NOW],
    )


def outcome_of(connection: Connection, **asked: object) -> dict[str, object]:
    return stress.run_test(connection, stress.Parameters.model_validate(asked), NOW, "test", workers=1)[1]


@pytest.mark.parametrize("graph", [True, False])
def test_the_loss_of_the_only_main_leaves_nobody_served(connection: Connection, graph: bool) -> None:
    inventory.store_assets(connection, town(), NOW)
    with_model(connection)
    found = outcome_of(connection, kind="loss", asset="1", graph=graph)
    assert found["method"] == ("graph" if graph else "hydraulic")
    assert found["share_served"] == pytest.approx(0.0, abs=0.02)
    assert found["customers_without"] == pytest.approx(600, abs=10)
    assert found["critical_without"] == 1
    assert found["recovery_hours"] == 6.0
    assert found["weakest"][0]["asset"] == "W-C"


def test_the_loss_of_the_supply_closes_every_link_at_it(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    with_model(connection)
    found = outcome_of(connection, kind="loss", asset="W-R")
    assert found["share_served"] == pytest.approx(0.0, abs=0.02)
    assert found["recovery_hours"] == 120.0


def test_an_earthquake_has_the_same_answer_for_the_same_seed_on_any_number_of_workers(connection: Connection) -> None:
    long = [pipe(name, a, b, length_m=3000.0) for name, a, b in (("1", "R", "A"), ("2", "A", "B"), ("3", "A", "C"))]
    inventory.store_assets(connection, [*town()[:4], *long], NOW)
    city = stress.city_of(connection, "water", NOW, graph=True)
    asked = stress.Parameters(kind="earthquake", pgv_cm_s=200, runs=40, seed=7)
    alone = stress.earthquake(city, asked, workers=1)
    assert stress.earthquake(city, asked, workers=2) == alone
    assert stress.earthquake(city, asked.model_copy(update={"seed": 8}), workers=1) != alone
    assert 0 <= alone["share_served_bad"] <= alone["share_served"] < 1
    assert alone["share_served"] <= alone["resilience"] <= 1
    assert 0 < alone["recovery_hours_90"] <= alone["recovery_hours"]


def test_a_stronger_earthquake_breaks_more_and_serves_fewer(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    weak, strong = (outcome_of(connection, kind="earthquake", pgv_cm_s=pgv, runs=200, graph=True) for pgv in (20, 300))
    assert strong["broken"] > weak["broken"]
    assert strong["share_served"] < weak["share_served"]
    assert strong["recovery_hours"] > weak["recovery_hours"]
    assert strong["weakest"][0]["asset"] == "1"  # all hang on it


def test_the_expected_number_of_repairs_is_that_of_the_fragility(connection: Connection) -> None:
    inventory.store_assets(
        connection, [*town()[:4], *(pipe(f"{at}", "R", "A", length_m=2000.0) for at in range(9))], NOW
    )
    found = outcome_of(connection, kind="earthquake", pgv_cm_s=25.4, runs=400, graph=True)
    # K1 of steel 0.6, 10 in/s, 18 km; a pipe with several repairs counts once, and leaks only where nothing broke
    due = 0.6 * 0.00187 * 10 * 1000 / 304.8 * 2.0
    assert found["broken"] == pytest.approx(9 * (1 - 2.718281828 ** (-0.2 * due)), rel=0.25)


def drains() -> list[object]:
    tops = [node("J1", "chamber", 50), node("J2", "chamber", 80), node("O", "outfall")]
    pipes = [
        pipe("C1", "J1", "J2", "drainage", diameter_mm=300.0),
        pipe("C2", "J2", "O", "drainage", diameter_mm=300.0),
    ]
    named = [("J1", {"element": "J1", "area_ha": 6.0}), ("J2", {"element": "J2"}), ("O", {"element": "O"})]
    made = []
    for entry, (_, attributes) in zip(tops, named, strict=True):
        from dataclasses import replace

        made.append(entry._replace(item=replace(entry.item, network="drainage", attributes=attributes)))
    return [*made, *pipes]


def test_a_storm_is_reckoned_without_a_model_and_simulated_with_one(connection: Connection) -> None:
    inventory.store_assets(connection, drains(), NOW)
    reckoned = outcome_of(connection, kind="storm", years=100)
    assert reckoned["method"] == "graph"
    assert reckoned["ponding_m3"] > 0
    assert reckoned["weakest"][0]["asset"] == "C1"
    with_model(connection, SWMM, "drainage", "swmm")
    simulated = outcome_of(connection, kind="storm", years=100)
    assert simulated["method"] == "hydraulic"
    assert simulated["weakest"][0]["asset"] == "W-J1"
    assert simulated["weakest"][0]["hours"] > 0
    assert simulated["share_served"] < 1
    assert simulated["rain_mm"] == reckoned["rain_mm"]


def test_what_makes_no_sense_is_refused(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    with pytest.raises(NotFoundError, match="no asset 'P-99'"):
        outcome_of(connection, kind="loss", asset="P-99")
    with pytest.raises(ConfigurationError, match="needs the id"):
        outcome_of(connection, kind="loss")
    with pytest.raises(NotFoundError, match="network 'gas'"):
        outcome_of(connection, kind="earthquake", network="gas")
    with pytest.raises(ConfigurationError, match="kind"):
        checked(KINDS["stress"], {"kind": "flood"})


def test_the_job_runs_as_its_role_and_keeps_its_result(connection: Connection, database_dsn: str,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    inventory.store_assets(connection, town(), NOW)
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    connection.execute("SET LOCAL ROLE lifeline_planning")
    kind = KINDS["stress"]
    result = kind.run(connection, checked(kind, {"kind": "loss", "asset": "2"}), lambda share, what: None)
    kept = kept_tests(connection, kind="loss")
    assert [each.stress_test_id for each in kept] == [result["stress_test"]]
    assert kept[0].result["share_served"] == result["share_served"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM stress_test")


def test_the_commands_print_the_figures_and_the_weakest(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.store_assets(connection, [*town(), *drains()], NOW)
    connection.commit()
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    for arguments, shown in (
        (["loss", "1"], "customers without 停供用户: 600"),
        (["earthquake", "--pgv", "300", "--runs", "100", "--workers", "1"], "pipes broken 破损管段"),
        (["storm", "--years", "100"], "longest ponding 最长积水"),
    ):
        told = CliRunner().invoke(app, ["stress", *arguments])
        assert told.exit_code == 0, (told.output, told.exception)
        assert shown in told.output
        assert "薄弱环节" in told.output
    listed = CliRunner().invoke(app, ["stress", "list"])
    assert all(kind in listed.output for kind in ("loss", "earthquake", "storm"))


def test_tests_that_were_kept_are_listed_newest_first_and_by_kind(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    for asked in ({"kind": "loss", "asset": "1"}, {"kind": "earthquake", "runs": 3}, {"kind": "loss", "asset": "2"}):
        outcome_of(connection, **asked)
    assert [each.kind for each in kept_tests(connection)] == ["loss", "earthquake", "loss"]
    losses = kept_tests(connection, kind="loss")
    assert [each.parameters["asset"] for each in losses] == ["2", "1"]
    assert kept_tests(connection, number=losses[1].stress_test_id)[0].parameters["asset"] == "1"
    assert kept_tests(connection, network="gas") == []
    assert len(kept_tests(connection, limit=1)) == 1
    assert {each.requested_by for each in losses} == {"test"}


def test_more_crews_bring_the_city_back_sooner(connection: Connection) -> None:
    long = [pipe(f"{at}", "R", "A", length_m=4000.0) for at in range(12)]
    inventory.store_assets(connection, [*town()[:4], *long], NOW)
    few, many = (
        outcome_of(connection, kind="earthquake", pgv_cm_s=150, runs=40, crews=crews, graph=True) for crews in (1, 6)
    )
    assert many["recovery_hours"] < few["recovery_hours"]
    assert many["share_served"] == few["share_served"]
    assert many["broken"] == few["broken"]


def test_a_storm_of_longer_return_period_leaves_fewer_dry(connection: Connection) -> None:
    inventory.store_assets(connection, drains(), NOW)
    usual, rare = (outcome_of(connection, kind="storm", years=years, graph=True) for years in (2, 200))
    assert rare["ponding_m3"] > usual["ponding_m3"]
    assert rare["longest_ponding_hours"] >= usual["longest_ponding_hours"]
    assert rare["share_served"] <= usual["share_served"]
    assert rare["peak_mm_h"] > usual["peak_mm_h"]


def test_leaks_of_an_earthquake_take_water_by_the_model_and_none_by_the_graph(connection: Connection) -> None:
    ends = (("1", "R", "A"), ("2", "A", "B"), ("3", "A", "C"), ("4", "B", "C"))
    long = [pipe(name, a, b, length_m=3000.0) for name, a, b in ends]
    inventory.store_assets(connection, [*town()[:4], *long], NOW)
    with_model(connection, BRANCH.replace("R 50", "R 30").replace("R A 100 300", "R A 3000 300"))
    asked = {"kind": "earthquake", "pgv_cm_s": 60, "runs": 30, "seed": 3}
    by_model, by_graph = (outcome_of(connection, **asked, graph=graph) for graph in (False, True))
    assert by_model["leaking"] == by_graph["leaking"] > 0
    assert by_model["broken"] == by_graph["broken"]
    assert by_graph["share_leaked"] == 0
    assert 0 < by_model["share_leaked"] < 1 - by_model["share_served"]
    assert by_model["share_served"] < by_graph["share_served"]
    assert sum(each["share_lost"] for each in by_model["weakest"]) == pytest.approx(1 - by_model["share_worst"])


def station() -> list[object]:
    """What PUMPED models: a manhole, a wet well, its pumps and the pipe to them."""
    from dataclasses import replace

    from lifeline.model import AssetKind

    made = [*drains()[:2]]  # type: ignore[var-annotated]
    for name, what in (("C1", "pipe"), ("P1", "pump"), ("P2", "pump"), ("P3", "pump")):
        ends = ("J1", "J2") if what == "pipe" else ("J2", "J1")
        entry = pipe(name, *ends, "drainage", diameter_mm=1000.0)
        made.append(entry._replace(item=replace(entry.item, kind=AssetKind(what), attributes={"element": name})))
    return made


def test_the_loss_of_a_pump_station_ponds_by_its_model(connection: Connection) -> None:
    inventory.store_assets(connection, station(), NOW)
    with_model(connection, PUMPED, "drainage", "swmm")
    found = outcome_of(connection, kind="loss", network="drainage", asset="W-J2", years=20)
    assert found["method"] == "hydraulic"
    assert found["pumps"] == ["P1", "P2"]
    assert found["ponding_hours"] > 1 > found["ponding_hours_intact"]
    assert found["ponding_m3"] > found["ponding_m3_intact"]
    assert found["weakest"][0]["asset"] == "W-J2"
    assert found["customers_without"] == 80
    assert found["recovery_hours"] >= found["longest_ponding_hours"]
    one = outcome_of(connection, kind="loss", network="drainage", asset="P2", years=20)
    assert one["pumps"] == ["P2"]
    assert one["ponding_m3"] < found["ponding_m3"]
    assert one["recovery_hours"] == stress.tables()["repair"]["pump"]


def test_the_loss_of_a_drain_or_without_a_model_is_told_by_the_graph(connection: Connection) -> None:
    inventory.store_assets(connection, station(), NOW)
    bare = outcome_of(connection, kind="loss", network="drainage", asset="P1")
    with_model(connection, PUMPED, "drainage", "swmm")
    drain = outcome_of(connection, kind="loss", network="drainage", asset="C1")
    aside = outcome_of(connection, kind="loss", network="drainage", asset="P1", graph=True)
    for found in (bare, drain, aside):
        assert found["method"] == "graph"
        assert "ponding_hours" not in found


def test_a_model_file_is_used_instead_of_what_was_imported(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inventory.store_assets(connection, [*town(), *station()], NOW)
    connection.commit()
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    water, drainage = tmp_path / "water.inp", tmp_path / "drains.inp"
    water.write_text(BRANCH)
    drainage.write_text(PUMPED)
    for arguments, shown in (
        (["loss", "1", "--model", str(water)], "by the model"),
        (["loss", "W-J2", "--network", "drainage", "--model", str(drainage)], "the same with all pumps"),
        (["storm", "--years", "50", "--model", str(drainage)], "by the model"),
        (["earthquake", "--runs", "5", "--workers", "1", "--model", str(water)], "taken by leaks"),
    ):
        told = CliRunner().invoke(app, ["stress", *arguments])
        assert told.exit_code == 0, (told.output, told.exception)
        assert shown in told.output


def gas_town() -> list[object]:
    """A regulator that feeds three junctions by a ring of four pipes, the first of them the only wide one."""
    from dataclasses import replace

    nodes = [node("R", "regulator"), node("A", "junction", 100), node("B", "junction", 200, True)]
    said = ({"pressure_bar": 3.0}, {"peak_demand_m3h": 200.0}, {"peak_demand_m3h": 400.0})
    made = [
        entry._replace(item=replace(entry.item, network="gas", attributes=attributes))
        for entry, attributes in zip(nodes, said, strict=True)
    ]
    pipes = [
        pipe("G1", "R", "A", "gas", diameter_mm=200.0, length_m=2000.0),
        pipe("G2", "A", "B", "gas", diameter_mm=200.0, length_m=2000.0),
        pipe("G3", "R", "B", "gas", diameter_mm=40.0, length_m=2000.0),
    ]
    return [*made, *pipes]


def test_gas_is_lost_by_pressure_where_its_assets_tell_enough_and_by_the_graph_otherwise(
    connection: Connection,
) -> None:
    inventory.store_assets(connection, gas_town(), NOW)
    asked = {"kind": "loss", "network": "gas", "asset": "G1", "repair_hours": 30.0}
    found = outcome_of(connection, **asked)
    assert found["method"] == "hydraulic"
    assert 0.02 < found["share_served"] < 0.5  # the narrow pipe is left
    assert found["customers_without"] > 150
    assert found["mended_hours"] == found["recovery_hours"] == 30.0
    assert found["weakest"][0]["asset"] in ("W-A", "W-B")
    by_graph = outcome_of(connection, **asked, graph=True)
    assert (by_graph["method"], by_graph["share_served"]) == ("graph", 1.0)
    assert outcome_of(connection, kind="loss", network="gas", asset="W-R")["share_served"] == 0.0
    shaken = outcome_of(connection, kind="earthquake", network="gas", pgv_cm_s=250, runs=12)
    assert shaken["method"] == "hydraulic"
    assert (
        shaken["share_served"]
        <= outcome_of(connection, kind="earthquake", network="gas", pgv_cm_s=250, runs=12, graph=True)["share_served"]
    )
    connection.execute("UPDATE asset SET attributes = attributes - 'pressure_bar' WHERE network = 'gas'")
    assert outcome_of(connection, **asked)["method"] == "graph"


def test_the_hours_of_repair_that_are_given_count(connection: Connection) -> None:
    inventory.store_assets(connection, [*town(), *station()], NOW)
    with_model(connection)
    with_model(connection, PUMPED, "drainage", "swmm")
    main = outcome_of(connection, kind="loss", asset="1", repair_hours=17.0)
    assert main["mended_hours"] == main["recovery_hours"] == 17.0
    assert main["lasts_hours"] == 0.0
    asked = {"kind": "loss", "network": "drainage", "asset": "W-J2", "years": 20}
    quick, slow = (outcome_of(connection, **asked, repair_hours=hours) for hours in (1.0, 10.0))
    assert quick["ponding_hours"] < slow["ponding_hours"]
    assert slow["recovery_hours"] >= 10.0
    assert slow["ponding_left"] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["loss", "1", "--model", "none.inp"], "No such file"),
        (["loss", "1", "--graph", "--model", "none.inp"], "leave out --graph or --model"),
        (["loss", "C1", "--network", "drainage", "--model", "drains.inp"], "serves storms and the loss of pumps"),
        (["storm", "--model", "other.inp"], "import the model first"),
        (["loss", "G1", "--network", "gas", "--model", "drains.inp"], "gas is computed from what its assets say"),
    ],
)
def test_a_model_file_that_cannot_serve_is_told(
    arguments: list[str], why: str, connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    inventory.store_assets(connection, [*town(), *station()], NOW)
    connection.commit()
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    monkeypatch.chdir(tmp_path)
    Path("drains.inp").write_text(PUMPED)
    Path("other.inp").write_text(
        SWMM.replace("J1", "X1").replace("J2", "X2").replace("\nO ", "\nXO ").replace(" O ", " XO ")
    )
    told = CliRunner().invoke(app, ["stress", *arguments])
    assert told.exit_code != 0
    assert why in " ".join((told.output + str(told.exception)).split())
    assert kept_tests(connection) == []
