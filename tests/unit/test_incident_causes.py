"""Hypotheses about a cause: their files, and which comes first for what the issue names."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.causes import Beside, Member, Neighbour, Ranking, load_causes, parse_causes, rank, wanted_beside
from alerts.proximity import Groups, distance_to, plane
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import CatalogueError
from lifeline.model import AlertKind, AssetKind, JsonObject
from tests.unit.test_incidents import alarms, alert, burst, storm

CAUSES = load_causes()
PIPE = Neighbour("gas", "pipe", "G-12", "Long street", 4.2)
REGULATOR = Neighbour("gas", "regulator", "R-3", "North", 22.0)


def likeliest(*members: Member) -> JsonObject:
    return rank(CAUSES, members)[0]


def drainage(rule: str, number: int = 1, **more: object) -> Member:
    return alert(number, rule, network="drainage", asset_id=number, **more)


# ----------------------------------------------------------------------------------------------------- what they say


def test_methane_in_a_drainage_chamber_beside_a_gas_pipe_is_a_leak_and_says_so() -> None:
    found = likeliest(drainage("methane.level", place="M-7", neighbours=(PIPE,)))
    assert (found["cause"], found["cross_network"], found["networks"]) == ("gas_leak", True, ["drainage", "gas"])
    sign = found["for"][0]
    assert "beside a gas pipe" in sign["why"]["en"]
    assert "跨网络" in sign["why"]["zh"]
    assert sign["beside"] == [{"alert": 1, "place": "M-7", **PIPE._asdict()}]


def test_methane_in_a_drainage_chamber_far_from_gas_pipes_is_biogas_where_h2s_is_with_it() -> None:
    found = likeliest(drainage("methane.level"), drainage("h2s.level", 2))
    assert (found["cause"], found["cross_network"]) == ("biogas", False)


def test_what_the_detector_says_of_the_origin_of_methane_counts() -> None:
    assert likeliest(drainage("methane.level", origin="biogas"))["cause"] == "biogas"
    assert likeliest(drainage("methane.level", origin="leak"))["cause"] == "gas_leak"
    ranking = Ranking(CAUSES)
    assert ranking.of([drainage("methane.level", origin="leak")])[0]["cause"] == "gas_leak"
    assert ranking.of([drainage("methane.level", origin="biogas")])[0]["cause"] == "biogas"


def test_a_ranking_remembers_until_nobody_asks() -> None:
    members, ranking = burst(), Ranking(CAUSES)
    first = ranking.of(members)
    ranking.forget()
    assert ranking.of(members[::-1]) is first
    ranking.forget()
    ranking.forget()
    again = ranking.of(members)
    assert again == first
    assert again is not first
    ranking.forget(everything=True)
    assert ranking.of(members) is not again


@pytest.mark.parametrize(
    ("rule", "network", "quantity", "cause"),
    [
        ("methane.neighbours", "gas", "methane", "gas_leak"),
        ("pressure.burst", "water", "pressure", "burst"),
        ("flow.night", "water", "flow", "hidden_leak"),
        ("network.anomaly", "gas", "gas_pressure", None),
        ("network.anomaly", "water", "pressure", None),
        ("sewer.blockage", "drainage", "level", "blockage"),
        ("sewer.response", "drainage", "level", "blockage"),
        ("sewer.overflow", "drainage", "level", None),
        ("pump.failure", "drainage", "level", "pump_failure"),
        ("pump.failure", "water", "pressure", "supply_failure"),
    ],
)
def test_what_detectors_of_phenomena_find_has_its_cause(
    rule: str, network: str, quantity: str, cause: str | None
) -> None:
    found = likeliest(alert(1, rule, network=network, quantity=quantity))["cause"]
    assert found != "unknown"
    assert cause in (None, found)


def test_a_pipe_too_far_away_is_no_sign() -> None:
    for away, signs in ((14.9, 1), (15.1, 0)):
        found = likeliest(drainage("methane.level", neighbours=(PIPE._replace(distance_m=away),)))
        assert len([sign for sign in found["for"] if "beside" in sign]) == signs


def test_a_burst_beside_a_drain_that_rises_says_that_it_crosses_networks() -> None:
    found = likeliest(*burst(), drainage("level.high", 9, wet=False))
    assert (found["cause"], found["cross_network"]) == ("burst", True)
    assert any("Cross-network" in sign["why"]["en"] and sign["alerts"] == [9] for sign in found["for"])


def test_a_drain_that_rises_alone_is_no_burst() -> None:
    ranked = rank(CAUSES, [drainage("level.high", wet=False)])
    assert ranked[0]["cause"] == "blockage"
    (burst_told,) = [each for each in ranked if each["cause"] == "burst"]
    assert any("shows nothing" in sign["why"]["en"] for sign in burst_told["against"])


def test_a_surcharged_drain_beside_a_gas_regulator_says_so_and_what_to_do() -> None:
    found = likeliest(drainage("level.high", neighbours=(REGULATOR,), wet=True))
    assert (found["cause"], found["networks"]) == ("flooded_regulator", ["drainage", "gas"])
    assert found["for"][0]["beside"][0]["asset"] == "R-3"
    assert "vent" in found["advice"]["en"]


def test_every_rule_that_holds_an_alert_speaks_for_its_cause() -> None:
    alone = rank(CAUSES, [drainage("sewer.response", wet=False)])
    both = rank(CAUSES, [drainage("sewer.response", wet=False, rules=("sewer.blockage", "sewer.response"))])
    assert [each["cause"] for each in (alone[0], both[0])] == ["blockage", "blockage"]
    assert not any("low below" in sign["why"]["en"] for sign in alone[0]["for"])
    assert any("low below" in sign["why"]["en"] for sign in both[0]["for"])
    assert both[0]["share"] > alone[0]["share"]


def test_a_cause_covers_an_alert_that_one_of_its_rules_held() -> None:
    (inflow,) = [cause for cause in CAUSES if cause.id == "inflow"]
    assert not inflow.covers(drainage("level.high"))
    assert inflow.covers(drainage("level.high", rules=("level.high", "sewer.response")))


def test_a_pump_that_cannot_keep_up_in_a_storm_is_the_storm_and_in_dry_weather_the_pump() -> None:
    def alerts(wet: bool) -> list[Member]:
        pump = alert(9, "pump.failure", network="drainage", quantity="pump_current", asset_id=9, asset_kind="pump")
        wells = [drainage("level.high", number, wet=wet) for number in range(1, 5)]
        return [*wells, drainage("ponding_depth.level", 5, wet=wet), replace(pump, wet=wet)]

    assert likeliest(*alerts(wet=True))["cause"] == "storm"
    assert likeliest(*alerts(wet=False))["cause"] == "pump_failure"


def test_several_levels_that_rise_along_a_sewer_are_water_that_came_in_unless_one_backs_up() -> None:
    along = [drainage("sewer.response", number, wet=False) for number in (1, 2)]
    assert likeliest(*along)["cause"] == "inflow"
    backs_up = [along[0], replace(along[1], rules=("sewer.blockage", "sewer.response"))]
    assert likeliest(*backs_up)["cause"] == "blockage"
    assert likeliest(*[replace(each, wet=True, quantity="level") for each in along])["cause"] == "storm"


def test_a_sewer_that_is_blocked_soon_after_rain_is_named_so_until_others_rise_or_fill_up_too() -> None:
    """Its rule has taken off what the rain explains: so the rain alone is no reason to think of a storm."""
    blocked = drainage("sewer.response", wet=True, quantity="level")
    assert likeliest(blocked)["cause"] == "blockage"
    full = drainage("level.high", 2, wet=True, quantity="level")
    heavy = drainage("rain.heavy", 3, wet=True, quantity="rain")
    second = drainage("sewer.response", 4, wet=True, quantity="level")
    for other in (full, heavy, second):
        assert likeliest(blocked, other)["cause"] == "storm"
    backs_up = replace(blocked, rules=("sewer.blockage", "sewer.response"))
    assert likeliest(backs_up, second)["cause"] == "blockage"


def test_what_rain_and_other_rules_add_to_an_alert_is_ranked_anew() -> None:
    ranking, seen = Ranking(CAUSES), drainage("level.high", wet=False)
    dry = ranking.of([seen])[0]["cause"]
    wet = ranking.of([replace(seen, wet=True), drainage("level.high", 2, wet=True)])[0]["cause"]
    assert (dry, wet) == ("blockage", "storm")
    assert ranking.of([replace(seen, rules=("sewer.blockage",))]) != ranking.of([seen])


def test_many_levels_in_the_rain_are_a_storm_and_one_in_dry_weather_a_blockage() -> None:
    assert likeliest(*storm())["cause"] == "storm"
    assert likeliest(drainage("level.high", wet=False))["cause"] == "blockage"


def test_a_burst_of_few_sensors_and_a_failure_of_supply_are_told_apart_by_their_reach() -> None:
    assert likeliest(*burst())["cause"] == "burst"
    low = [alert(n, "pressure.low", network="water", asset_id=n) for n in range(1, 13)]
    assert likeliest(*low)["cause"] == "supply_failure"


@pytest.mark.parametrize(
    ("rule", "network", "cause"),
    [
        ("gas_pressure.high", "gas", "gas_pressure_control"),
        ("pressure.high", "water", "water_pressure_control"),
        ("turbidity.high", "water", "water_quality"),
        ("residual_chlorine.low", "water", "water_quality"),
        ("zeta.odd", "water", "unknown"),
    ],
)
def test_alerts_of_one_kind_have_the_cause_that_is_theirs(rule: str, network: str, cause: str) -> None:
    assert likeliest(alert(1, rule, network=network))["cause"] == cause


def test_every_rule_of_risk_that_ships_has_a_cause_of_its_own() -> None:
    for rule in load_rules(shipped_catalogue(), 3600):
        if rule.kind is AlertKind.RISK:
            for network in rule.networks:
                member = alert(1, rule.id, network=network, quantity=getattr(rule, "quantity", ""))
                assert [cause.id for cause in CAUSES if cause.covers(member)][:-1], (rule.id, network)


# --------------------------------------------------------------------------------------------------------- arithmetic


@given(alarms())
def test_shares_add_up_and_fall_and_name_only_alerts_that_are_there(members: list[Member]) -> None:
    ranked = rank(CAUSES, members)
    assert math.isclose(sum(each["share"] for each in ranked), 1.0, abs_tol=0.01)
    assert [each["share"] for each in ranked] == sorted((each["share"] for each in ranked), reverse=True)
    ids = {member.alert_id for member in members}
    for each in ranked:
        assert 1 <= each["explains"] <= len(members)
        assert all(set(sign["alerts"]) <= ids for sign in each["for"] + each["against"])


def test_a_cause_that_explains_half_falls_behind_one_that_explains_all() -> None:
    ranked = rank(CAUSES, [alert(1, "pressure.fall", network="water"), alert(2, "turbidity.high", network="water")])
    explained = {each["cause"]: each["explains"] for each in ranked}
    assert ranked[0]["cause"] == "burst"
    assert (explained["burst"], explained["water_quality"]) == (2, 1)


def test_three_places_are_places_and_not_three_alerts_of_one() -> None:
    one_place = [replace(drainage("methane.level", n), asset_id=5) for n in (1, 2, 3)]
    assert not any("three" in sign["why"]["en"] for sign in rank(CAUSES, one_place)[0]["for"])
    three = [drainage("methane.level", n) for n in (1, 2, 3)]
    (leak,) = [each for each in rank(CAUSES, three) if each["cause"] == "gas_leak"]
    assert any("three" in sign["why"]["en"] for sign in leak["for"])


def test_wet_needs_a_gauge_that_says_so() -> None:
    (sign,) = [sign for cause in CAUSES if cause.id == "storm" for sign in cause.signs if sign.least == 1 and sign.wet]
    assert [sign.holds(drainage("level.high", wet=wet)) for wet in (True, False, None)] == [True, False, False]


def test_what_stands_beside_is_asked_for_where_a_cause_wants_it() -> None:
    kinds = {(beside.network, beside.kind) for _, beside in wanted_beside(CAUSES)}
    assert kinds == {("gas", AssetKind.PIPE), ("gas", AssetKind.REGULATOR)}
    near = alert(1, neighbours=(PIPE, PIPE._replace(asset="G-1", distance_m=2.0)))
    nearest = near.neighbour(Beside("gas", AssetKind.PIPE, 10))
    assert nearest is not None
    assert nearest.asset == "G-1"


# -------------------------------------------------------------------------------------------------------------- files

GOOD = """
[[cause]]
id = "leak"
title = { en = "Leak", zh = "泄漏" }
advice = { en = "Look", zh = "排查" }
within_s = 60
apart_m = 10
explains = [{ rules = ["methane.*"] }]
[[cause.signs]]
weight = 1
rules = ["methane.rise"]
why = { en = "rises", zh = "上升" }
"""


def test_a_file_of_causes_is_read() -> None:
    (cause,) = parse_causes(GOOD)
    assert cause.covers(alert(1, "methane.level"))
    assert not cause.covers(alert(1, "h2s.level"))
    assert cause.signs[0].weight == 1


@pytest.mark.parametrize(
    ("was", "wrong", "message"),
    [
        ('id = "leak"', 'id = ""', "id is empty"),
        ('zh = "泄漏"', 'zh = ""', "needed in en and zh"),
        ("within_s = 60", "within_s = 0", "within_s must be above zero"),
        ("apart_m = 10", "apart_m = -1", "not below it"),
        ("apart_m = 10", "hops = 13", "at most 12"),
        ("apart_m = 10", "apart = 10", "unknown field `apart`"),
        ("weight = 1", "weight = 0", "weight that is not zero"),
        ('explains = [{ rules = ["methane.*"] }]', "explains = []", "explains nothing"),
        ("weight = 1", 'weight = 1\nbeside = { network = "gas", kind = "pipe", within_m = 200 }', "100 m at most"),
        ("weight = 1", 'weight = 1\nbeside = { network = "gas", kind = "duct", within_m = 5 }', "duct"),
        ("[[cause]]", "[[cause", "not TOML"),
        ("[[cause]]\n", "cause = 3\n[x]\n", "stand under"),
    ],
)
def test_each_mistake_in_a_file_is_named(was: str, wrong: str, message: str) -> None:
    assert was in GOOD
    text = GOOD.replace(was, wrong) if "cause = 3" not in wrong else "cause = 3"
    with pytest.raises(CatalogueError, match=message):
        parse_causes(text)


def test_an_id_that_is_there_twice_is_named() -> None:
    with pytest.raises(CatalogueError, match="one of this id already"):
        parse_causes(GOOD + GOOD)


# ----------------------------------------------------------------------------------------------------------- distances


def test_distances_to_points_and_lines_are_metres() -> None:
    point = {"type": "Point", "coordinates": [117.27, 31.86]}
    assert distance_to(point, 117.27, 31.861) == pytest.approx(111.2, abs=0.1)
    street = {"type": "LineString", "coordinates": [[117.26, 31.86], [117.28, 31.86], [117.28, 31.87]]}
    assert distance_to(street, 117.27, 31.8605) == pytest.approx(55.6, abs=0.1)
    assert distance_to(street, 117.2805, 31.865) == pytest.approx(47.2, abs=0.2)
    assert distance_to(street, 117.25, 31.86) == pytest.approx(944.5, abs=2)
    assert distance_to({"type": "LineString", "coordinates": [[1, 1], [1, 1]]}, 1, 1) == 0


def test_the_plane_is_right_to_a_percent_over_a_city() -> None:
    from lifeline.geo import distance_m

    x, y = plane(np.array([117.1, 117.5]), np.array([31.7, 32.0]), 31.86)
    exact = distance_m((117.1, 31.7), (117.5, 32.0))
    assert float(np.hypot(x[1] - x[0], y[1] - y[0])) == pytest.approx(exact, rel=0.01)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_groups_do_not_depend_on_the_order_of_the_joins(joins: list[tuple[int, int]]) -> None:
    one, other = Groups(31), Groups(31)
    for a, b in joins:
        one.join(a, b)
    for a, b in reversed(joins):
        other.join(b, a)
    assert list(one) == list(other)
    assert sum(map(len, one)) == 31
    assert all(one.find(group[0]) == group[0] == min(group) for group in one)
