"""The example networks that wntr ships: imported by the command, closed link by link, shaken, by model and by graph."""

from datetime import datetime
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lifeline.cli import app
from lifeline.planning import criticality, stress
from lifeline.planning.hydraulics import opened
from lifeline.storage import standing
from lifeline.storage.database import Connection

NOW = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
pytestmark = pytest.mark.usefixtures("clean_database")


def shipped(name: str) -> Path:
    return Path(str(resources.files("wntr.library.networks").joinpath(f"{name}.inp")))


def imported(name: str, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network as an operator imports it."""
    monkeypatch.setenv("LIFELINE_DATABASE_URL", dsn)
    place = ["--place", "117.27,31.86", "--prefix", "w-", "--network", "water"]
    told = CliRunner().invoke(app, ["import", str(shipped(name)), *place])
    assert told.exit_code == 0, (told.output, told.exception)


@pytest.mark.parametrize("name", ["Net1", "Net3"])
def test_every_link_of_a_model_gets_its_loss_from_the_model(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    imported(name, database_dsn, monkeypatch)
    by_graph = {each.asset: each.loss for each in standing.most_critical(connection, "water", 1000)}
    model = criticality.model_of(connection, "water", 24)  # a tank serves for some hours
    assert model is not None
    links = opened(model).links
    assert criticality.compute(connection, NOW, ["water"], model, workers=1) == {"water": len(links)}
    found = {each.asset: each for each in standing.most_critical(connection, "water", 1000)}
    hydraulic = {asset: each.loss for asset, each in found.items() if each.method == "hydraulic"}
    assert len(hydraulic) == len(links)
    assert max(hydraulic.values()) > 0.02
    assert set(by_graph) == set(found)
    cut = [asset for asset in hydraulic if by_graph[asset] > 0.05 and found[asset].kind == "pipe"]
    assert all(hydraulic[asset] > 0 for asset in cut)


def test_scores_follow_the_model_and_still_add_up(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported("Net3", database_dsn, monkeypatch)
    scores = "SELECT sum(score) FROM asset_risk"
    before = connection.execute(scores).fetchone()
    criticality.compute(connection, NOW, ["water"], criticality.model_of(connection, "water", 0), workers=1)
    assert connection.execute(scores).fetchone() != before
    for score, parts in connection.execute("SELECT score, parts FROM asset_risk").fetchall():
        assert sum(part["points"] for part in parts) == pytest.approx(score, abs=1e-9)


def test_shaking_a_real_network_by_the_model_and_by_the_graph(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported("Net3", database_dsn, monkeypatch)
    results = {}
    for graph in (True, False):
        asked = stress.Parameters(kind="earthquake", pgv_cm_s=60, runs=25, graph=graph)
        _, results[graph] = stress.run_test(connection, asked, NOW, "test", workers=1)
    assert results[True]["method"] == "graph"
    assert results[False]["method"] == "hydraulic"
    # The same breaks, and water that must also have pressure: the model never serves clearly more than the graph.
    assert results[True]["broken"] == results[False]["broken"] > 0
    assert results[False]["share_served"] <= results[True]["share_served"] + 0.1
    for found in results.values():
        assert 0 < found["share_served"] <= found["resilience"] <= 1 + 1e-9
        assert found["weakest"]


def test_losing_the_river_of_net3_is_worse_than_losing_a_branch(
    connection: Connection, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported("Net3", database_dsn, monkeypatch)
    names = {each.asset for each in standing.most_critical(connection, "water", 1000) if each.kind == "tank"}
    assert names
    worst = {}
    for asset in sorted(names)[:5]:
        asked = stress.Parameters(kind="loss", asset=asset)
        worst[asset] = stress.run_test(connection, asked, NOW, "test")[1]["share_served"]
    assert all(0 <= share <= 1 + 1e-9 for share in worst.values())
    assert min(worst.values()) < 1.0
