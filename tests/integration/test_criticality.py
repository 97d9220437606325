"""Criticality and calibration against the database: by the model, by the graph, on two workers of a Dask cluster."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from typer.testing import CliRunner

from lifeline.breaks import Break
from lifeline.cli import app
from lifeline.errors import ConfigurationError, ImportRejectedError
from lifeline.inventory import Entry
from lifeline.model import Asset, AssetKind
from lifeline.planning import criticality, recalibration
from lifeline.planning.hydraulics import Model
from lifeline.planning.registry import KINDS, checked
from lifeline.storage import inventory, standing
from lifeline.storage.breaks import store_breaks
from lifeline.storage.database import Connection

NOW = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
pytestmark = pytest.mark.usefixtures("clean_database")

BRANCH = """[JUNCTIONS]
A 0 10
B 0 20
C 0 30
[RESERVOIRS]
R 50
[PIPES]
1 R A 100 300 100 0 OPEN
2 A B 100 200 100 0 OPEN
3 A C 100 200 100 0 OPEN
4 B C 100 200 100 0 OPEN
[OPTIONS]
UNITS LPS
HEADLOSS H-W
[END]
"""
MODEL = Model("branch.inp", BRANCH, 0)


def node(name: str, kind: str, customers: int = 0, critical: bool = False) -> Entry[Asset]:
    place = {"type": "Point", "coordinates": [117.27, 31.86]}
    return Entry(1, Asset(f"W-{name}", "water", AssetKind(kind), place, customers=customers, critical=critical,
                          attributes={"element": name}))  # fmt: skip


def pipe(name: str, a: str, b: str, network: str = "water", **more: object) -> Entry[Asset]:
    line = {"type": "LineString", "coordinates": [[117.27, 31.86], [117.271, 31.86]]}
    plain: dict[str, object] = {"material": "steel", "install_year": 1990, "diameter_mm": 200.0, "length_m": 100.0}
    return Entry(1, Asset(name, network, AssetKind.PIPE, line, from_asset=f"W-{a}", to_asset=f"W-{b}",
                          **(plain | more)))  # type: ignore[arg-type]  # fmt: skip


def town() -> list[Entry[Asset]]:
    return [
        node("R", "tank"), node("A", "junction", 100), node("B", "junction", 200), node("C", "junction", 300, True),
        pipe("1", "R", "A"), pipe("2", "A", "B"), pipe("3", "A", "C"), pipe("4", "B", "C"),
    ]  # fmt: skip


def lost(connection: Connection) -> dict[str, standing.Critical]:
    return {each.asset: each for each in standing.most_critical(connection, "water", 20)}


def test_closing_a_link_costs_what_the_model_no_longer_delivers(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    assert criticality.compute(connection, NOW, ["water"], MODEL, workers=1) == {"water": 4}
    found = lost(connection)
    assert found["1"].method == "hydraulic"
    assert (round(found["1"].loss, 2), found["1"].customers_lost, found["1"].critical_lost) == (1.0, 600, 1)
    assert found["4"].loss < 0.05  # a ring: the way round carries it
    assert found["W-R"].method == "graph"  # a tank is no link


def test_two_processes_and_a_cluster_of_two_workers_give_the_same(connection: Connection) -> None:
    from distributed import LocalCluster

    inventory.store_assets(connection, town(), NOW)
    found = standing.elements(connection, "water")
    alone = criticality.hydraulic(MODEL, found, workers=1)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        shared = criticality.hydraulic(MODEL, found, cluster=cluster.scheduler_address)
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(alone, criticality.hydraulic(MODEL, found, workers=2), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_of_another_network_is_refused_with_what_to_do(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    other = MODEL._replace(text=BRANCH.replace("\n1 R", "\nX1 R").replace("\n2 A", "\nX2 A").replace("\n3 A", "\nX3 A")
                           .replace("\n4 B", "\nX4 B"))  # fmt: skip
    with pytest.raises(ConfigurationError, match="import the model first"):
        criticality.hydraulic(other, standing.elements(connection, "water"), workers=1)


def test_the_nightly_job_uses_the_model_that_was_imported(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.store_assets(connection, town(), NOW)
    connection.execute(
        "INSERT INTO network_model (name, network, format, content, imported_at) "
        "VALUES ('b', 'water', 'epanet', %s, %s)",
        [BRANCH.encode(), NOW],
    )
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    told: list[float] = []
    kind = KINDS["criticality"]
    result = kind.run(connection, checked(kind, {"hours": 0}), lambda share, what: told.append(share))
    assert result == {"assets": {"water": 4}}
    assert told[-1] == 1.0
    assert lost(connection)["2"].method == "hydraulic"
    assert kind.nightly is not None


def test_the_planning_role_may_do_what_its_jobs_do_and_no_more(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.store_assets(connection, town(), NOW)
    store_breaks(connection, breaks_of({"1": 6, "3": 5}))
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    connection.execute("SET LOCAL ROLE lifeline_planning")
    for name in ("criticality", "calibrate"):
        kind = KINDS[name]
        assert kind.run(connection, checked(kind, {}), lambda share, what: None)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM asset_break")


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [("criticality", {"hours": -1}, "hours"), ("criticality", {"hours": "many"}, "hours")],
)
def test_a_job_with_parameters_that_make_no_sense_is_refused(
    kind: str, parameters: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        checked(KINDS[kind], parameters)


def test_a_network_that_is_not_there_is_refused_with_those_that_are(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.store_assets(connection, town(), NOW)
    connection.commit()
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    told = CliRunner().invoke(app, ["criticality", "--network", "gas"])
    assert told.exit_code != 0
    assert "there are: water" in str(told.exception)


def breaks_of(assets: dict[str, int], years: float = 12.0) -> list[Entry[Break]]:
    """So many breaks of each asset, evenly over the last years."""
    return [
        Entry(line, Break(name, NOW - timedelta(days=365.25 * years * (at + 1) / count), "", f"{name}-{at}"))
        for line, (name, count) in enumerate(assets.items(), 2)
        for at in range(count)
    ]


def test_breaks_are_stored_once_and_an_unknown_asset_rejects_the_file(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    records = breaks_of({"1": 3, "2": 1})
    assert store_breaks(connection, records) == inventory.Stored(4, 0, 0)
    assert store_breaks(connection, records) == inventory.Stored(0, 0, 4)
    with pytest.raises(ImportRejectedError, match="line 2: asset 'P-99' is not in the database"):
        store_breaks(connection, breaks_of({"P-99": 1}))


def test_a_calibration_raises_the_rates_of_a_city_that_breaks_often(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    store_breaks(connection, breaks_of({str(at): 6 for at in range(1, 5)}))
    before = standing.deterioration(connection)
    city = recalibration.records_of(connection, NOW)
    assert city.unplaced == 0
    assert len(city.records["steel"].ages) == 24
    version, fits = recalibration.refit(connection, city, "test", NOW)
    after = standing.deterioration(connection)
    steel = after.index["steel"]
    assert (version, after.version) == (1, 1)
    assert after.classes[steel].rate > 2 * before.classes[steel].rate
    assert fits[0].breaks == 24


def test_breaks_before_a_pipe_was_laid_are_left_out_and_counted(connection: Connection) -> None:
    young = [*town()[:4], pipe("1", "R", "A", install_year=2024), *town()[5:]]
    inventory.store_assets(connection, young, NOW)
    store_breaks(connection, breaks_of({"1": 4, "2": 2}))
    city = recalibration.records_of(connection, NOW)
    assert city.unplaced == 4
    assert len(city.records["steel"].ages) == 2


def test_the_job_fits_and_tells_what_it_found(connection: Connection) -> None:
    inventory.store_assets(connection, town(), NOW)
    store_breaks(connection, breaks_of({"1": 6, "3": 5}))
    kind = KINDS["calibrate"]
    result = kind.run(connection, checked(kind, {}), lambda share, what: None)
    assert result["version"] == 1
    assert result["classes"]["steel"]["breaks"] == 11


def test_the_command_calibrates_draws_and_with_dry_run_stores_nothing(
    connection: Connection, database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.store_assets(connection, town(), NOW)
    connection.commit()
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    file = tmp_path / "breaks.csv"
    days = [datetime.now(UTC) - timedelta(days=200 * at + 1) for at in range(12)]
    file.write_text("asset,at\n" + "".join(f"{1 + at % 4},{day:%Y-%m-%d}\n" for at, day in enumerate(days)))
    asked = ["calibrate", "--breaks", str(file), "--plot", str(tmp_path / "rates.svg")]
    dry = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "12 new" in dry.output
    assert "nothing was stored" in dry.output
    assert "steel: 12 breaks" in (tmp_path / "rates.svg").read_text()
    assert connection.execute("SELECT count(*) FROM deterioration").fetchone() == (0,)
    done = CliRunner().invoke(app, asked)
    assert "version 1 counts now" in done.output
    connection.rollback()
    assert standing.deterioration(connection).version == 1


def test_import_takes_break_records_with_the_rest_and_scores_anew(
    connection: Connection, database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.store_assets(connection, town(), NOW)
    connection.commit()
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    file = tmp_path / "breaks.csv"
    file.write_text("asset,at,cause\n2,2025-01-03,corrosion\n2,2026-03-01,\n")
    dry = CliRunner().invoke(app, ["import", str(file), "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "breaks: 2 new" in dry.output
    assert connection.execute("SELECT count(*) FROM asset_break").fetchone() == (0,)
    connection.rollback()
    rate = "SELECT rate FROM asset_risk JOIN asset USING (asset_id) WHERE external_id = '2'"
    before = connection.execute(rate).fetchone()
    connection.rollback()
    assert CliRunner().invoke(app, ["import", str(file)]).exit_code == 0
    after = connection.execute(rate).fetchone()
    assert before is not None
    assert after is not None
    assert after[0] > before[0]
    file.write_text("asset,at\nP-99,2025-01-03\n")
    refused = CliRunner().invoke(app, ["import", str(file)])
    assert refused.exit_code != 0
    assert "line 2" in str(refused.exception)


def test_the_command_of_criticality_prints_the_worst_first(
    connection: Connection, database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.store_assets(connection, town(), NOW)
    connection.commit()
    monkeypatch.setenv("LIFELINE_DATABASE_URL", database_dsn)
    (tmp_path / "branch.inp").write_text(BRANCH)
    told = CliRunner().invoke(
        app, ["criticality", "--model", str(tmp_path / "branch.inp"), "--hours", "0", "--workers", "1", "--top", "3"]
    )
    assert told.exit_code == 0, told.output
    assert "water: 4 assets by branch.inp" in told.output
    assert "600" in told.output
    graph = CliRunner().invoke(app, ["criticality", "--graph"])
    assert "water: 8 assets by the graph" in graph.output
