"""The vectorised risk map against a plain loop over rows that follows the rules of ``api.riskmap`` by the letter."""

import json
import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import h3
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.cells import place_alerts
from api.explanation import explain
from api.ground import Ground, make_ground
from api.riskmap import RiskMap, build, count_levels, sensors_heard, weigh
from api.screens import cells, segments
from lifeline import geo, risk
from lifeline.catalogue import shipped_catalogue
from lifeline.geo import Box
from lifeline.model import Level
from lifeline.risk.coupling import shipped
from lifeline.storage.riskmap import AssetRow, CellShare, Newest, OpenAlert, SensorPlace

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CATALOGUE = shipped_catalogue()
MIDDLE = geo.cell_at(117.25, 31.85, 8)
PLACES: dict[int, list[tuple[str, float, float]]] = {}
"""By resolution: six neighbouring cells with the longitude and latitude of their middles."""
for _resolution in geo.RESOLUTIONS:
    _ring = sorted(h3.grid_disk(geo.cell_at(117.25, 31.85, _resolution), 1))[:6]
    PLACES[_resolution] = [(_cell, *reversed(h3.cell_to_latlng(_cell))) for _cell in _ring]
FINE = 10


PLACE = ("gas", "pipe")
COUPLED = [PLACE, ("water", "pipe"), ("drainage", "chamber"), ("drainage", "pipe"), ("gas", "regulator")]
"""Networks and kinds that couplings look at; all assets of a drawn city lie on the same line, at no distance."""
QUANTITIES = ["", "methane", "pressure", "level"]


def asset(
    number: int, lof: float | None, cof: float | None, *, joined: int = 0, place: tuple[str, str] = PLACE
) -> AssetRow:
    score = None if lof is None or cof is None else (lof * cof - 1) / 24 * 100
    parts = None if score is None else [{"part": "mean", "value": 0.07, "points": score}]
    longitude = 117.0 + number * 0.01
    box = (longitude, 31.8, longitude + 0.005, 31.81)
    line = '{"type":"LineString","coordinates":[[117.0,31.8],[117.01,31.81]]}'
    return AssetRow(number, f"A-{number}", *place, "", line, *box, joined, 0, lof, cof, score, parts)


class City:
    """Rows as hypothesis draws them, and the map that they make."""

    def __init__(
        self,
        assets: list[AssetRow],
        shares: list[CellShare],
        sensors: list[SensorPlace],
        ages: list[float | None],
        alerts: list[OpenAlert],
    ) -> None:
        self.assets, self.shares, self.sensors, self.ages, self.alerts = assets, shares, sensors, ages, alerts

    def ground(self) -> Ground:
        return make_ground(self.assets, dict.fromkeys(geo.RESOLUTIONS, self.shares), self.sensors, CATALOGUE)

    def newest(self) -> Newest:
        heard = [(s.sensor_id, a) for s, a in zip(self.sensors, self.ages, strict=True) if a is not None]
        ids, ages = zip(*sorted(heard), strict=True) if heard else ((), ())
        return Newest(np.array(ids, dtype=np.int64), NOW.timestamp() - np.array(ages, dtype=np.float64))

    def draw(self) -> RiskMap:
        return build(self.ground(), self.alerts, self.newest(), NOW)

    def heard(self) -> set[int]:
        return {
            each.sensor_id
            for each, age in zip(self.sensors, self.ages, strict=True)
            if age is not None and age <= (each.max_silence_s or CATALOGUE.quantities[each.quantity].max_silence_s)
        }


def features(drawn: RiskMap, resolution: int = FINE) -> dict[str, dict[str, Any]]:
    body = json.loads(cells(drawn, resolution).body)
    return {each["properties"]["cell"]: each["properties"] for each in body["features"]}


@st.composite
def cities(draw: st.DrawFn) -> City:
    n = draw(st.integers(0, 5))
    risks = st.none() | st.tuples(st.sampled_from([1.0, 1.5, 2.0, 3.5, 5.0]), st.sampled_from([1.0, 2.0, 4.0, 5.0]))
    assets = []
    for number in range(1, n + 1):
        lof, cof = draw(risks) or (None, None)
        place = draw(st.sampled_from(COUPLED))
        assets.append(asset(number * 10, lof, cof, joined=draw(st.integers(0, number - 1)) * 10, place=place))
    metres = st.sampled_from([0.0, 1.0, 10.0, 250.0])
    pairs = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, max(n, 1))), unique=True, max_size=12))
    shares = [CellShare(at * 10, PLACES[FINE][cell][0], draw(metres)) for cell, at in sorted(pairs) if n]
    places = st.none() | st.integers(0, 5)
    sensors = []
    for number in range(1, draw(st.integers(0, 4)) + 1):
        place = draw(places)
        where = (None, None) if place is None else PLACES[FINE][place][1:]
        sensors.append(SensorPlace(number * 3, "methane", draw(st.sampled_from([None, 60.0])), *where))
    ages = [draw(st.sampled_from([None, 0.0, 59.0, 60.0, 61.0, 899.0, 901.0])) for _ in sensors]
    alerts = []
    for number in range(1, draw(st.integers(0, 4)) + 1):
        place = draw(places)
        where = (None, None) if place is None else PLACES[FINE][place][1:]
        on = draw(st.integers(0, n)) * 10
        returned = draw(st.sampled_from([None, None, NOW.timestamp() - 60, NOW.timestamp() - 7200]))
        still = returned is None or draw(st.booleans())
        more = returned, still, draw(st.sampled_from(QUANTITIES)), draw(st.integers(0, 2))
        alerts.append(OpenAlert(number, "rule", draw(st.sampled_from(list(Level))), on, *where, *more))
    return City(assets, shares, sensors, ages, sorted(alerts, key=lambda each: (each.level, each.alert_id)))


def naive_strength(alert: OpenAlert) -> float:
    """p of the alert's level, decayed since it returned to normal; tau is an hour."""
    age = 0.0 if alert.returned_at is None else NOW.timestamp() - alert.returned_at
    return risk.ALERT_LIKELIHOOD[alert.level] * math.exp(-age / 3600)


def naive_spread(source: AssetRow, first: str, assets: list[AssetRow]) -> dict[int, float]:
    """How likely a hazard gets from an asset to others that lie on it, by two couplings at most: every way."""
    couplings = shipped()
    reached: dict[int, float] = {}
    edge = [(source.asset_id, first, 1.0)]
    for _ in range(2):
        further = []
        for here, hazard, product in edge:
            for way in couplings.coupling:
                for other in assets:
                    fits = other.network in way.networks and other.kind in way.kinds and way.source == hazard
                    if fits and other.asset_id not in (here, source.asset_id) and product * way.likelihood >= 0.01:
                        further.append((other.asset_id, way.result, product * way.likelihood))
        for at, _, product in further:
            reached[at] = max(reached.get(at, 0.0), product)
        edge = further
    return reached


def naive_scores(city: City) -> dict[int, float]:
    """Noisy-OR one piece of evidence at a time, never below the cut of an alert that is open on the asset itself."""
    joined, rows = defaultdict(set), {each.asset_id: each for each in city.assets}
    for each in city.assets:
        for end in (each.from_asset, each.to_asset):
            if end:
                joined[each.asset_id].add(end)
                joined[end].add(each.asset_id)
    on = [alert for alert in city.alerts if alert.asset_id in rows]
    incidents = {alert.incident_id: [a for a in on if a.incident_id == alert.incident_id] for alert in on}
    hazards: dict[tuple[int, str], float] = {}
    for alert in on:
        source = rows[alert.asset_id]
        for onset in shipped().onset:
            if onset.meant_by(source.network, source.kind, alert.quantity):
                key = (alert.asset_id, onset.hazard)
                hazards[key] = 1 - (1 - hazards.get(key, 0.0)) * (1 - naive_strength(alert))
    scores = {}
    for at, each in rows.items():
        quiet, floor = 1.0, 0.0
        for alert in on:
            if alert.asset_id == at:
                quiet *= 1 - naive_strength(alert)
                floor = max(floor, risk.CUTS[alert.level] if alert.open else 0.0)
            elif alert.asset_id in joined[at]:
                quiet *= 1 - risk.NEIGHBOUR_WEIGHT * naive_strength(alert)
        for number, members in incidents.items():
            if number and at in {alert.asset_id for alert in members}:
                quiet *= 1 - 0.5 * (1 - 1 / len(members)) * max(map(naive_strength, members))
        for source_id in {source for source, _ in hazards}:
            ways = [
                hazards[source_id, hazard] * naive_spread(rows[source_id], hazard, city.assets).get(at, 0.0)
                for source, hazard in hazards
                if source == source_id
            ]
            quiet *= 1 - max(ways)
        likelihood = 1 - (1 - ((each.lof or 1.0) - 1) / 4) * quiet
        scores[at] = max(((1 + 4 * likelihood) * (each.cof or 1.0) - 1) / 24 * 100, floor)
    return scores


def naive_level(score: float) -> Level:
    return min(level for level in Level if score >= risk.CUTS[level])


def cells_of_alert(city: City, alert: OpenAlert) -> set[str]:
    if alert.longitude is not None and alert.latitude is not None:
        return {geo.cell_at(alert.longitude, alert.latitude, FINE)}
    return {share.cell for share in city.shares if share.asset_id == alert.asset_id}


def naive_cells(city: City) -> dict[str, dict[str, Any]]:
    """Each cell by the rules: worst of all, mean by length, unknown where nobody watches what would be the lowest."""
    scores, heard = naive_scores(city), city.heard()
    known = {each.asset_id for each in city.assets if each.score is not None}
    inside: dict[str, list[SensorPlace]] = defaultdict(list)
    for sensor in city.sensors:
        if sensor.longitude is not None and sensor.latitude is not None:
            inside[geo.cell_at(sensor.longitude, sensor.latitude, FINE)].append(sensor)
    told = {}
    names = {share.cell for share in city.shares} | set(inside)
    names = names.union(*(cells_of_alert(city, alert) for alert in city.alerts if alert.open))
    for cell in names:
        shares = [share for share in city.shares if share.cell == cell]
        here = [alert for alert in city.alerts if alert.open and cell in cells_of_alert(city, alert)]
        live = [sensor for sensor in inside[cell] if sensor.sensor_id in heard]
        worst = max([0.0, *(scores[s.asset_id] for s in shares), *(risk.CUTS[alert.level] for alert in here)])
        level = naive_level(worst).slug
        if level == "blue" and not here and (not live or (shares and not known & {s.asset_id for s in shares})):
            level = "unknown"
        length = sum(share.length_m for share in shares)
        weights = [(share.length_m if length else 1.0, scores[share.asset_id]) for share in shares]
        total = sum(weight for weight, _ in weights)
        told[cell] = {
            "level": level,
            "score": worst,
            "mean": sum(w * score for w, score in weights) / total if total else 0.0,
            "coverage": "live" if live else "silent" if inside[cell] else "none",
            "assets": len(shares),
            "length_m": length,
            "sensors": len(inside[cell]),
            "sensors_silent": len(inside[cell]) - len(live),
            "alerts": {each.slug: n for each in Level if (n := sum(alert.level == each for alert in here))},
            "bare": not shares and not inside[cell],
        }
    return told


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
