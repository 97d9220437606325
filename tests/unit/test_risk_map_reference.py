"""The vectorised risk map against a plain loop over rows that follows the rules of ``api.riskmap`` by the letter."""

import json
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.cells import place_alerts
from api.explanation import explain
from api.ground import make_ground
from api.riskmap import build, count_levels, sensors_heard, weigh
from api.screens import cells, segments
from lifeline import geo
from lifeline.geo import Box
from lifeline.model import Level
from lifeline.storage.riskmap import CellShare, Newest, OpenAlert, SensorPlace
from tests.unit.naive_map import (
    CATALOGUE,
    FINE,
    NOW,
    PLACES,
    City,
    asset,
    cells_of_alert,
    cities,
    features,
    naive_cells,
    naive_scores,
)


@settings(max_examples=50, deadline=None)
@given(cities())
def test_every_cell_is_what_a_loop_over_the_rows_makes_of_it(city: City) -> None:
    drawn, wanted = features(city.draw()), naive_cells(city)
    assert drawn.keys() == wanted.keys()
    for cell, expected in wanted.items():
        found = drawn[cell]
        mean = expected["score"] if expected["bare"] else expected["mean"]
        assert found["mean"] == pytest.approx(mean, abs=0.051)
        assert found["score"] == pytest.approx(expected["score"], abs=0.051)
        for key in ("level", "coverage", "assets", "length_m", "sensors", "sensors_silent", "alerts"):
            assert found[key] == expected[key], (cell, key)


@settings(max_examples=50, deadline=None)
@given(cities())
def test_live_scores_are_what_a_loop_over_alerts_and_neighbours_makes_of_them(city: City) -> None:
    drawn = city.draw()
    scores, points = drawn.risk.score, drawn.risk.points.sum(axis=1)
    wanted = naive_scores(city)
    assert scores.tolist() == pytest.approx([wanted[each.asset_id] for each in city.assets])
    standing = [((each.lof or 1.0) * (each.cof or 1.0) - 1) / 24 * 100 for each in city.assets]
    assert (scores - points).tolist() == pytest.approx(standing, abs=1e-9)
    assert (points >= -1e-9).all()


@settings(max_examples=25, deadline=None)
@given(cities(), st.data())
def test_the_order_of_shares_and_alerts_does_not_matter(city: City, data: st.DataObject) -> None:
    first = features(city.draw())
    city.shares = data.draw(st.permutations(city.shares))
    city.alerts = data.draw(st.permutations(city.alerts))
    second = features(city.draw())
    assert first.keys() == second.keys()
    for cell, one in first.items():
        for key in ("level", "score", "coverage", "assets", "length_m", "sensors", "sensors_silent", "alerts"):
            assert one[key] == second[cell][key]
        assert one["mean"] == pytest.approx(second[cell]["mean"], abs=0.11)


@settings(max_examples=25, deadline=None)
@given(cities(), st.data())
def test_no_cell_and_no_pipe_falls_when_an_alert_comes_or_rises_when_it_is_cleared(
    city: City, data: st.DataObject
) -> None:
    """Over whole maps and in steps: alerts come in one order and are cleared in another, each drawn from the last."""
    ground, newest, drawn = city.ground(), city.newest(), None
    coming = data.draw(st.permutations(city.alerts))
    going = data.draw(st.permutations(city.alerts))
    there: list[OpenAlert] = []
    for turn, each in [*((1, alert) for alert in coming), *((-1, alert) for alert in going)]:
        before = drawn or build(ground, there, newest, NOW)
        there = [*there, each] if turn > 0 else [other for other in there if other is not each]
        drawn = build(ground, there, newest, NOW, before)
        assert (turn * (drawn.risk.score - before.risk.score) >= -1e-9).all()
        earlier, later = features(before), features(drawn)
        low, high = (earlier, later) if turn > 0 else (later, earlier)
        assert low.keys() <= high.keys()  # an alert alone in its cell comes and goes with it
        assert all(high[cell]["score"] >= said["score"] for cell, said in low.items())
    assert drawn is None or features(drawn) == features(build(ground, [], newest, NOW))


@settings(max_examples=30, deadline=None)
@given(cities())
def test_no_cell_without_a_sensor_that_was_heard_is_of_the_lowest_level_unless_an_alert_says_so(city: City) -> None:
    for cell in features(city.draw()).values():
        if cell["coverage"] != "live" and not cell["alerts"]:
            assert cell["level"] != "blue"


@settings(max_examples=30, deadline=None)
@given(cities())
def test_no_pipe_is_of_the_lowest_level_without_data_and_none_is_better_than_its_own_alert(city: City) -> None:
    drawn = city.draw()
    heard = city.heard()
    for at, row in enumerate(city.assets):
        level = int(drawn.risk.level[at])
        own = [each.level for each in city.alerts if each.asset_id == row.asset_id and each.open]
        worst = min(own, default=None)
        if worst is not None and worst < Level.BLUE:
            assert level <= worst
        if level == Level.BLUE:
            assert heard
            assert row.score is not None


@settings(max_examples=25, deadline=None)
@given(cities(), st.data())
def test_a_map_that_was_drawn_from_the_one_before_has_the_bytes_of_one_drawn_anew(
    city: City, data: st.DataObject
) -> None:
    ground, newest = city.ground(), city.newest()
    fewer = data.draw(st.lists(st.sampled_from(city.alerts), unique=True)) if city.alerts else []
    later = NOW + timedelta(seconds=data.draw(st.sampled_from([0, 2, 900])))
    before = build(ground, sorted(fewer, key=lambda each: (each.level, each.alert_id)), newest, NOW)
    reused = build(ground, city.alerts, newest, later, before)
    anew = build(ground, city.alerts, newest, later)
    for resolution in geo.RESOLUTIONS:
        assert cells(reused, resolution).body == cells(anew, resolution).body
        assert reused.cells[resolution].level.tolist() == anew.cells[resolution].level.tolist()
        assert reused.cells[resolution].score.tolist() == anew.cells[resolution].score.tolist()
    assert reused.counts() == anew.counts()
    assert build(ground, city.alerts, newest, later, reused).same_colours(reused)


@settings(max_examples=25, deadline=None)
@given(cities())
def test_counts_are_those_of_the_features(city: City) -> None:
    drawn = city.draw()
    told = drawn.counts()
    for resolution in geo.RESOLUTIONS:
        levels = [each["level"] for each in features(drawn, resolution).values()]
        assert told[f"cells_{resolution}"] == {name: levels.count(name) for name in told[f"cells_{resolution}"]}
        assert sum(told[f"cells_{resolution}"].values()) == len(levels)
    pipes = [each["properties"]["level"] for each in json.loads(segments(drawn, None, 100).body)["features"]]
    assert told["segments"] == {name: pipes.count(name) for name in told["segments"]}


@settings(max_examples=25, deadline=None)
@given(cities())
def test_the_reasons_of_a_cell_are_its_alerts_and_then_its_worst_asset(city: City) -> None:
    scores = naive_scores(city)
    for name, cell in features(city.draw()).items():
        here = [each.alert_id for each in city.alerts if each.open and name in cells_of_alert(city, each)]
        told = [each["alert"] for each in cell["reasons"] if each["reason"] == "alert"]
        assert told == here[:3]
        assert len(cell["reasons"]) <= 3
        inside = {share.asset_id for share in city.shares if share.cell == name}
        for each in cell["reasons"]:
            if each["reason"] == "part":
                number = int(each["asset"].removeprefix("A-"))
                assert scores[number] == pytest.approx(max(scores[other] for other in inside))
                assert each["points"] > 0


@settings(max_examples=25, deadline=None)
@given(cities())
def test_an_explanation_adds_up_to_its_score_and_weighs_each_alert_once(city: City) -> None:
    drawn = city.draw()
    for row in city.assets:
        told = explain(drawn, row.external_id)
        numbers = [each["alert"] for each in told["alerts"]]
        assert len(numbers) == len(set(numbers))
        own = {each.alert_id for each in city.alerts if each.asset_id == row.asset_id}
        assert {each["alert"] for each in told["alerts"] if each["weight"] == 1.0} == own
        if row.score is not None:
            assert sum(part["points"] for part in told["parts"]) == pytest.approx(told["score"])
        elif not told["parts"]:
            assert told["score"] is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from([None, 10.0, 100.0])), unique_by=lambda s: s[0], max_size=8),
    st.dictionaries(st.integers(1, 30), st.integers(0, 120), max_size=8),
)
def test_a_sensor_is_heard_where_its_own_newest_reading_is_in_time(
    placed: list[tuple[int, float | None]], ages: dict[int, int]
) -> None:
    sensors = [SensorPlace(number, "no_such_quantity", longest, None, None) for number, longest in sorted(placed)]
    ground = make_ground([], {8: []}, sensors, CATALOGUE)
    ids = np.array(sorted(ages), dtype=np.int64)
    newest = Newest(ids, np.array([NOW.timestamp() - ages[int(each)] for each in ids]))
    wanted = [s.sensor_id in ages and ages[s.sensor_id] <= (s.max_silence_s or 0) for s in sensors]
    assert sensors_heard(ground, newest, NOW).tolist() == wanted


@settings(max_examples=30, deadline=None)
@given(cities(), st.integers(0, 60), st.integers(0, 60), st.integers(0, 6))
def test_a_screen_has_the_worst_of_the_pipes_whose_boxes_touch_it(city: City, one: int, other: int, limit: int) -> None:
    assume(limit > 0)
    west, east = sorted((117.0 + one * 0.01 + 0.001, 117.0 + other * 0.01 + 0.002))
    drawn = city.draw()
    found = json.loads(segments(drawn, Box(west, 31.0, east, 32.0), limit).body)
    scores = naive_scores(city)
    touching = [row for row in city.assets if row.kind == "pipe" and row.east >= west and row.west <= east]
    shown = [int(each["properties"]["id"].removeprefix("A-")) for each in found["features"]]
    assert found["numberMatched"] == len(touching)
    assert found["truncated"] == (len(touching) > limit)
    assert shown == sorted(shown)
    wanted = sorted((scores[row.asset_id] for row in touching), reverse=True)[:limit]
    assert sorted((scores[number] for number in shown), reverse=True) == pytest.approx(wanted)


def test_an_alert_on_an_asset_that_the_ground_does_not_have_colours_no_other_asset() -> None:
    ground = City([asset(10, 2.0, 2.0), asset(30, 2.0, 2.0)], [], [], [], []).ground()
    assert len(weigh(ground, [OpenAlert(1, "rule", Level.RED, 20, None, None)], NOW).asset) == 0


def test_an_alert_on_an_asset_that_the_ground_does_not_have_stands_in_no_other_assets_cell() -> None:
    city = City([asset(10, 2.0, 2.0), asset(30, 2.0, 2.0)], [CellShare(30, PLACES[FINE][0][0], 9.0)], [], [], [])
    ground = city.ground()
    assert place_alerts(ground.layers[FINE], ground, [OpenAlert(1, "rule", Level.RED, 20, None, None)]) == {}


def test_sensors_without_a_place_are_in_no_cell_and_still_in_their_own_column() -> None:
    place = PLACES[FINE][2]
    sensors = [SensorPlace(1, "methane", None, None, None), SensorPlace(2, "methane", None, *place[1:])]
    layer = make_ground([], {FINE: []}, sensors, CATALOGUE).layers[FINE]
    assert layer.sensor_cell.tolist() == [-1, 0]
    assert layer.cells == [place[0]]


def test_a_cell_of_points_alone_has_their_plain_mean() -> None:
    cell = PLACES[FINE][0][0]
    city = City(
        [asset(10, 5.0, 5.0), asset(20, 1.0, 1.0)], [CellShare(10, cell, 0), CellShare(20, cell, 0)], [], [], []
    )
    assert features(city.draw())[cell]["mean"] == 50.0


def test_a_cell_with_nothing_but_a_live_sensor_is_of_the_lowest_level() -> None:
    city = City([], [], [SensorPlace(1, "methane", None, *PLACES[FINE][0][1:])], [1.0], [])
    (cell,) = features(city.draw()).values()
    assert (cell["level"], cell["coverage"], cell["assets"], cell["score"]) == ("blue", "live", 0, 0.0)


def test_levels_are_counted_by_name_and_those_that_do_not_occur_are_zero() -> None:
    assert count_levels(np.array([1, 5, 5, 4])) == {"red": 1, "orange": 0, "yellow": 0, "blue": 1, "unknown": 2}
    assert set(count_levels(np.empty(0, dtype=np.int_)).values()) == {0}


def test_an_asset_with_two_joints_to_the_same_neighbour_feels_its_alert_once() -> None:
    once, twice = asset(20, 2.0, 3.0, joined=10), asset(20, 2.0, 3.0, joined=10)._replace(to_asset=10)
    alerts = [OpenAlert(1, "rule", Level.ORANGE, 10, None, None)]
    scores = [
        weigh(City([asset(10, 1.0, 1.0), each], [], [], [], []).ground(), alerts, NOW).score[1]
        for each in (once, twice)
    ]
    assert scores[0] == scores[1]


def test_a_map_that_is_drawn_again_unchanged_is_the_same_document() -> None:
    city = City([asset(10, 2.0, 2.0)], [CellShare(10, PLACES[FINE][0][0], 5.0)], [], [], [])
    first = city.draw()
    again = build(first.ground, [], city.newest(), NOW, first)
    assert cells(again, FINE) is cells(first, FINE)
    assert segments(again, None, 5) is segments(first, None, 5)
    raised = build(first.ground, [OpenAlert(1, "rule", Level.RED, 10, None, None)], city.newest(), NOW, again)
    assert cells(raised, FINE).etag != cells(first, FINE).etag
    assert segments(raised, None, 5).etag != segments(first, None, 5).etag
