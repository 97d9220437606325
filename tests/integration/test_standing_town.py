"""Standing risk of a whole town with gas, water and drainage, as the simulators build it."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import psycopg
import pytest

from lifeline import risk
from lifeline.breaks import Break
from lifeline.catalogue import shipped_catalogue
from lifeline.inventory import Entry, parse_assets
from lifeline.model import Level
from lifeline.planning import recalibration
from lifeline.risk.likelihood import expected_failures
from lifeline.storage import inventory, standing
from lifeline.storage.breaks import store_breaks
from lifeline.storage.database import Connection, open_connection
from simulators.inventory import features
from simulators.planning import make_town

NOW = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
NETWORKS = ("gas", "water", "drainage")


@pytest.fixture(scope="module")
def city(database_dsn: str) -> Iterator[Connection]:
    """The town, imported once; every test's changes are rolled back to there."""
    with psycopg.connect(database_dsn, autocommit=True) as cleaner:
        cleaner.execute("TRUNCATE asset, asset_break, deterioration, asset_criticality RESTART IDENTITY CASCADE")
    connection = open_connection(database_dsn, application="standing town")
    collection = {"type": "FeatureCollection", "features": features(make_town(1))}
    inventory.store_assets(connection, parse_assets(json.dumps(collection).encode(), shipped_catalogue()), NOW)
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture
def town(city: Connection) -> Iterator[Connection]:
    city.execute("SAVEPOINT before_test")
    yield city
    city.execute("ROLLBACK TO SAVEPOINT before_test")


def pipes(connection: Connection, network: str) -> list[tuple[str, float, float, float]]:
    """Name, LoF, CoF and score of the pipes of a network."""
    return connection.execute(
        "SELECT external_id, lof, cof, score FROM asset_risk JOIN asset USING (asset_id) "
        "WHERE network = %s AND kind = 'pipe' ORDER BY asset_id",
        [network],
    ).fetchall()


@pytest.mark.parametrize("network", NETWORKS)
def test_no_network_is_of_one_colour(town: Connection, network: str) -> None:
    scores = np.array([row[3] for row in pipes(town, network)])
    levels = risk.levels(scores)
    shares = {level: float((levels == level).mean()) for level in Level}
    assert max(shares.values()) < 0.85, shares
    assert sum(share > 0.05 for share in shares.values()) >= 3, shares
    assert scores.max() - scores.min() > 30


@pytest.mark.parametrize("network", NETWORKS)
def test_likelihood_and_consequence_each_spread_over_three_classes_at_least(town: Connection, network: str) -> None:
    found = np.array([row[1:3] for row in pipes(town, network)])
    for column in found.T:
        counted = np.bincount(risk.classes_of(column), minlength=6)
        assert (counted > 0).sum() >= 3


def test_the_matrix_of_all_networks_counts_every_asset(town: Connection) -> None:
    scored = town.execute("SELECT count(*) FROM asset_risk").fetchone()
    assert scored is not None
    assert np.sum(standing.matrix(town, None)) == scored[0]
    assert sum(np.sum(standing.matrix(town, network)) for network in NETWORKS) == scored[0]


@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_loses_more_customers_than_there_are(town: Connection, network: str) -> None:
    found = standing.columns(town, NOW, [network])
    weight, counted = standing.service_weights(found)
    assert counted
    lost = standing.graph_criticality(network, found)
    assert lost.customers.max() <= weight.sum() + 0.5
    assert np.all((lost.loss >= 0) & (lost.loss <= 1))
    assert (lost.loss > 0).any()


def test_the_waterworks_is_what_costs_most(town: Connection) -> None:
    worst = standing.most_critical(town, "water", 3)
    assert {each.kind for each in worst} & {"tank", "pump"}
    assert worst[0].loss == pytest.approx(1.0)


def test_a_drain_never_serves_fewer_than_the_one_above_it(town: Connection) -> None:
    rows = town.execute(
        "SELECT up.external_id, above.customers_lost, below.customers_lost FROM asset up "
        "JOIN asset manhole ON manhole.asset_id = up.to_asset JOIN asset down ON down.from_asset = manhole.asset_id "
        "JOIN asset_criticality above ON above.asset_id = up.asset_id "
        "JOIN asset_criticality below ON below.asset_id = down.asset_id "
        "WHERE up.network = 'drainage' AND up.kind = 'pipe' AND down.kind = 'pipe' AND NOT EXISTS ("
        "  SELECT FROM asset other WHERE other.from_asset = manhole.asset_id AND other.asset_id <> down.asset_id)"
    ).fetchall()
    assert len(rows) > 30
    assert [name for name, above, below in rows if below < above] == []


def test_every_stored_explanation_adds_up(town: Connection) -> None:
    for score, parts in town.execute("SELECT score, parts FROM asset_risk").fetchall():
        assert sum(part["points"] for part in parts) == pytest.approx(score, abs=1e-9)


def test_the_probability_that_is_stored_is_that_of_the_expected_failures(town: Connection) -> None:
    found = standing.columns(town, NOW)
    stored = dict(town.execute("SELECT asset_id, probability FROM asset_risk").fetchall())
    wanted = -np.expm1(-expected_failures(found.inventory, 1.0))
    np.testing.assert_allclose([stored[number] for number in found.asset_id.tolist()], wanted, rtol=1e-9)


def simulated_breaks(connection: Connection, factor: float, years: int, seed: int) -> list[Entry[Break]]:
    """Breaks of every pipe over the last years, as the catalogue would have them, times a factor."""
    found = standing.columns(connection, NOW)
    rng = np.random.default_rng(seed)
    names = dict(connection.execute("SELECT asset_id, external_id FROM asset WHERE kind = 'pipe'").fetchall())
    due = expected_failures(found.inventory, float(years), start=-float(years)) * factor
    laid = np.minimum(found.inventory.age_years, years)
    entries = []
    for at, number in enumerate(found.asset_id.tolist()):
        for each in range(rng.poisson(due[at]) if number in names else 0):
            ago = timedelta(days=365.25 * rng.uniform(0, max(laid[at] - 1, 0.1)))
            entries.append(Entry(2, Break(names[number], NOW - ago, "simulated", f"{number}-{each}-{seed}")))
    return entries


def test_a_town_that_breaks_ten_times_as_often_is_calibrated_to_that(town: Connection) -> None:
    entries = simulated_breaks(town, 10.0, 12, seed=4)
    assert len(entries) > 100
    store_breaks(town, entries)
    before = standing.deterioration(town)
    records = recalibration.records_of(town, NOW)
    assert records.unplaced < len(entries) / 20
    _, fits = recalibration.refit(town, records, "test", NOW)
    after = standing.deterioration(town)
    for fit in fits:
        if fit.breaks >= 30:
            at = after.index[fit.name]
            assert 3 < after.classes[at].rate / before.classes[at].rate < 25, fit


def test_more_breaks_make_the_town_riskier_and_none_makes_it_safer(town: Connection) -> None:
    def total() -> float:
        row = town.execute("SELECT sum(lof) FROM asset_risk").fetchone()
        assert row is not None
        return float(row[0])

    plain = total()
    first = town.execute("SELECT external_id FROM asset WHERE kind = 'pipe' ORDER BY asset_id LIMIT 1").fetchone()
    assert first is not None
    store_breaks(town, [Entry(2, Break(first[0], NOW - timedelta(days=9000), "", "long ago"))])
    standing.recompute(town, NOW)
    quiet = total()
    store_breaks(town, simulated_breaks(town, 10.0, 12, seed=5))
    standing.recompute(town, NOW)
    assert quiet < plain
    assert total() > quiet


def test_the_town_scored_again_tomorrow_is_the_same_town(town: Connection) -> None:
    assert standing.recompute(town, NOW + timedelta(days=1)) == 0
