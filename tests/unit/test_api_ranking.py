"""Risk by zone: highest, mean by length, expected loss, and what is unknown."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import ranking
from api.ground import Ground, zones_of
from api.riskmap import RiskMap, build
from lifeline.model import Level
from lifeline.storage.riskmap import ZoneRow, ZoneShare
from tests.unit.test_api_riskmap import NOW, alert, ground_of, heard, pipe, sensor

SQUARE = '{"type":"Polygon","coordinates":[[[117,31],[118,31],[118,32],[117,31]]]}'


def zone(number: int, kind: str = "dma", network: str = "") -> ZoneRow:
    return ZoneRow(number, f"Z-{number}", kind, network, f"Zone {number}", SQUARE)


def city(shares: list[tuple[int, int, float]], zones: list[ZoneRow] | None = None) -> Ground:
    """Six pipes, each worse than the one before; a sensor hears the first."""
    pipes = [pipe(n, lof=1.0 + n * 0.8, cof=2.0)._replace(probability=n / 10) for n in range(6)]
    ground = ground_of(pipes, [sensor(1, 0)])
    found = zones if zones is not None else [zone(1), zone(2)]
    ground.zones = zones_of(found, [ZoneShare(z, at + 1, share) for z, at, share in shares], ground.ids)
    return ground


def drawn(ground: Ground, *alerts: Any) -> RiskMap:
    return build(ground, list(alerts), heard(1), NOW)


def told(found: RiskMap, **asked: Any) -> dict[str, dict[str, Any]]:
    features = json.loads(ranking.zones(found, **asked).body)["features"]
    return {each["properties"]["zone"]: each["properties"] for each in features}


def test_a_zone_has_the_highest_score_and_the_mean_by_length_of_what_lies_in_it():
    found = drawn(city([(1, 0, 1.0), (1, 4, 0.5), (2, 2, 1.0)]))
    properties = told(found)["Z-1"]
    score, length = found.risk.score, found.ground.length_m
    assert properties["score"] == pytest.approx(score[4], abs=0.05)
    expected = (score[0] * length[0] + score[4] * length[4] / 2) / (length[0] + length[4] / 2)
    assert properties["mean"] == pytest.approx(expected, abs=0.05)
    assert properties["assets"] == 2
    assert properties["length_m"] == pytest.approx(length[0] + length[4] / 2, abs=0.5)
    assert told(found)["Z-2"]["mean"] == pytest.approx(score[2], abs=0.05)


def test_the_expected_loss_is_probability_times_consequence_by_share():
    properties = told(drawn(city([(1, 2, 1.0), (1, 4, 0.5)])))["Z-1"]
    assert properties["expected"] == pytest.approx(0.2 * 2.0 + 0.5 * 0.4 * 2.0)


def test_an_alert_raises_what_is_expected_of_its_zone_and_the_ranking():
    ground = city([(1, 1, 1.0), (2, 3, 1.0)])
    quiet, loud = drawn(ground), drawn(ground, alert(1, Level.RED))
    assert [each["zone"] for each in told(quiet).values()] == ["Z-2", "Z-1"]
    assert [each["zone"] for each in told(loud).values()] == ["Z-1", "Z-2"]
    assert told(loud)["Z-1"]["expected"] > told(quiet)["Z-1"]["expected"]
    assert told(loud)["Z-1"]["level"] == "red"
    assert [each["rank"] for each in told(loud).values()] == [1, 2]


def test_a_zone_that_is_half_unknown_is_never_of_the_lowest_level():
    found = told(drawn(city([(1, 0, 1.0), (2, 0, 1.0), (2, 1, 1.0)])))
    assert (found["Z-1"]["level"], found["Z-1"]["unknown"]) == ("blue", 0)
    assert (found["Z-2"]["level"], found["Z-2"]["unknown"]) == ("unknown", 1)


def test_a_zone_in_which_nothing_lies_is_unknown():
    properties = told(drawn(city([])))["Z-1"]
    assert (properties["level"], properties["assets"], properties["expected"]) == ("unknown", 0, 0.0)


def test_zones_are_asked_for_by_kind_and_network():
    zones = [zone(1), zone(2, "district"), zone(3, "dma", "gas"), zone(4, "dma", "water")]
    found = drawn(city([(4, 5, 1.0)], zones))
    assert set(told(found, kind="dma")) == {"Z-1", "Z-3", "Z-4"}
    assert set(told(found, network="gas")) == {"Z-1", "Z-2", "Z-3"}
    assert set(told(found, kind="dma", network="water")) == {"Z-1", "Z-4"}
    assert told(found, kind="dma", network="water")["Z-4"]["rank"] == 1


@pytest.mark.parametrize("order", ["expected", "mean", "score"])
def test_the_order_is_the_one_that_was_asked_for(order):
    found = told(drawn(city([(1, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0), (2, 4, 0.1)])), order=order)
    figures = [each[order] for each in found.values()]
    assert figures == sorted(figures, reverse=True)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.tuples(st.integers(1, 2), st.integers(0, 5)), max_size=10), st.integers(0, 5))
def test_one_alert_more_never_lowers_a_figure_of_a_zone(pairs, at):
    ground = city([(z, a, 1.0) for z, a in sorted(pairs)])
    before, after = told(drawn(ground)), told(drawn(ground, alert(at, Level.ORANGE)))
    for name, figures in before.items():
        for word in ("score", "mean", "expected"):
            assert after[name][word] >= figures[word] - 1e-9
        assert sum(figures["levels"].values()) == figures["assets"]


def test_an_asset_that_must_fail_keeps_its_own_probability():
    ground = ground_of([pipe(0, lof=5.0, cof=2.0)._replace(probability=0.3)])
    np.testing.assert_allclose(ranking.expected_loss(drawn(ground)), [0.6])
