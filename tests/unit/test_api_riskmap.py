"""The risk map without a database: rows in, levels out."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.explanation import explain
from api.ground import Ground, make_ground
from api.riskmap import RiskMap, build, weigh
from api.screens import cells, segments
from lifeline import geo, risk
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import NotFoundError
from lifeline.geo import Box
from lifeline.model import Level
from lifeline.storage.riskmap import AssetRow, CellShare, Newest, OpenAlert, SensorPlace

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WEST, SOUTH = 117.2, 31.8


def pipe(at: int, *, lof: float | None = 1.2, cof: float | None = 1.5, joined: int = 0) -> AssetRow:
    """A pipe of about 200 m, ten kilometres east of the one before."""
    west = WEST + at * 0.1
    line = {"type": "LineString", "coordinates": [[west, SOUTH], [west + 0.002, SOUTH]]}
    score = None if lof is None or cof is None else float(risk.score(np.array([lof]), np.array([cof]))[0])
    parts = None if score is None else [{"part": "mean", "value": 0.07, "points": score}]
    box = (west, SOUTH, west + 0.002, SOUTH)
    return AssetRow(at + 1, f"P-{at}", "gas", "pipe", "", json.dumps(line), *box, joined, 0, lof, cof, score, parts)


def shares(assets: list[AssetRow], resolution: int) -> list[CellShare]:
    found = [
        CellShare(each.asset_id, cell, metres)
        for each in assets
        for cell, metres in geo.cells(json.loads(each.geometry), resolution).items()
    ]
    return sorted(found, key=lambda share: (share.cell, share.asset_id))


def sensor(number: int, at: int) -> SensorPlace:
    return SensorPlace(number, "methane", None, WEST + at * 0.1 + 0.001, SOUTH)


def ground_of(assets: list[AssetRow], sensors: list[SensorPlace] = ()) -> Ground:  # type: ignore[assignment]
    layers = {resolution: shares(assets, resolution) for resolution in geo.RESOLUTIONS}
    return make_ground(assets, layers, list(sensors), shipped_catalogue())


def heard(*ages_s: float) -> Newest:
    ts = [NOW.timestamp() - age for age in ages_s]
    return Newest(np.arange(1, len(ts) + 1, dtype=np.int64), np.array(ts))


def alert(at: int, level: Level, number: int = 1, *, place: bool = True) -> OpenAlert:
    where = (WEST + at * 0.1 + 0.001, SOUTH) if place else (None, None)
    return OpenAlert(number, "rule", level, at + 1, *where)


def live_scores(ground: Ground, alerts: list[OpenAlert]) -> tuple[np.ndarray, np.ndarray]:
    """Live score of each asset, and the points that its alerts add."""
    raised = weigh(ground, alerts, NOW)
    scores = ground.standing.copy()
    scores[raised.asset] = raised.score
    points = np.zeros(len(scores))
    points[raised.asset] = raised.points.sum(axis=1)
    return scores, points


def properties(drawn: RiskMap, resolution: int = 9) -> list[dict[str, Any]]:
    return [each["properties"] for each in json.loads(cells(drawn, resolution).body)["features"]]


def test_without_a_sensor_the_lowest_level_is_unknown() -> None:
    drawn = build(ground_of([pipe(0)]), [], heard(), NOW)
    assert {(each["level"], each["coverage"]) for each in properties(drawn)} == {("unknown", "none")}
    assert drawn.counts()["segments"]["unknown"] == 1


def test_a_sensor_that_was_heard_in_time_makes_its_cell_known() -> None:
    ground = ground_of([pipe(0)], [sensor(1, 0)])
    for age, level, coverage in ((10, "blue", "live"), (901, "unknown", "silent")):
        cell = next(each for each in properties(build(ground, [], heard(age), NOW), 8) if each["sensors"])
        assert (cell["level"], cell["coverage"]) == (level, coverage)


def test_silence_makes_a_cell_unknown_as_time_passes_without_any_change() -> None:
    ground, newest = ground_of([pipe(0)], [sensor(1, 0)]), heard(0)
    first = build(ground, [], newest, NOW)
    later = build(ground, [], newest, NOW + timedelta(seconds=901), first)
    assert first.counts()["cells_8"]["unknown"] == 0
    assert later.counts()["cells_8"]["unknown"] >= 1
    assert not later.same_colours(first)


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("place", [True, False])
def test_an_open_alert_gives_its_cell_its_level_at_least(level: Level, place: bool) -> None:
    drawn = build(ground_of([pipe(0)]), [alert(0, level, place=place)], heard(), NOW)
    for resolution in geo.RESOLUTIONS:
        worst = min(Level.from_slug(each["level"]) for each in properties(drawn, resolution) if each["alerts"])
        assert worst <= level


def test_a_red_cell_without_data_stays_red() -> None:
    ground = ground_of([pipe(0)], [sensor(1, 0)])
    drawn = build(ground, [alert(0, Level.RED)], heard(10_000), NOW)
    (cell,) = [each for each in properties(drawn) if each["alerts"]]
    assert (cell["level"], cell["coverage"]) == ("red", "silent")


def test_an_alert_where_there_is_no_asset_still_has_its_cell() -> None:
    lonely = OpenAlert(7, "rule", Level.ORANGE, 0, 118.0, 32.0)
    drawn = build(ground_of([pipe(0)]), [lonely], heard(), NOW)
    (cell,) = [each for each in properties(drawn) if each["alerts"]]
    assert (cell["level"], cell["assets"]) == ("orange", 0)
    assert drawn.counts()["cells_9"]["orange"] == 1
    again = build(drawn.ground, [], heard(), NOW, drawn)
    assert again.counts()["cells_9"]["orange"] == 0


def test_an_asset_whose_risk_was_never_computed_is_unknown_even_under_a_live_sensor() -> None:
    drawn = build(ground_of([pipe(0, lof=None, cof=None)], [sensor(1, 0)]), [], heard(1), NOW)
    assert drawn.counts()["segments"]["unknown"] == 1
    assert {each["level"] for each in properties(drawn)} == {"unknown"}


def test_a_joined_asset_feels_half_of_an_alert() -> None:
    ground = ground_of([pipe(0, lof=2.0, cof=4.0), pipe(1, lof=2.0, cof=4.0, joined=1), pipe(2, lof=2.0, cof=4.0)])
    scores, points = live_scores(ground, [alert(0, Level.RED)])
    assert scores[0] > scores[1] > scores[2]
    assert points[2] == 0
    told = explain(build(ground, [alert(0, Level.RED)], heard(), NOW), "P-1")
    (felt,) = told["alerts"]
    assert felt == {"alert": 1, "rule": "rule", "level": "red", "weight": 0.5, "open": True, "faded": 0.0}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(Level))), max_size=8), st.data())
def test_one_alert_more_never_lowers_a_score(placed: list[tuple[int, Level]], data: st.DataObject) -> None:
    ground = ground_of([pipe(n, lof=1.0 + n * 0.8, cof=2.0, joined=n) for n in range(5)])
    some = [alert(at, level, n) for n, (at, level) in enumerate(placed)]
    more = alert(data.draw(st.integers(0, 4)), data.draw(st.sampled_from(list(Level))), 99)
    before, _ = live_scores(ground, some)
    after, _ = live_scores(ground, [*some, more])
    assert (after >= before - 1e-9).all()
    shuffled, _ = live_scores(ground, data.draw(st.permutations(some)))
    assert np.allclose(shuffled, before)


def test_what_is_the_same_keeps_its_bytes_and_its_etag() -> None:
    ground = ground_of([pipe(n) for n in range(5)], [sensor(1, 0)])
    first = build(ground, [alert(1, Level.RED)], heard(5), NOW)
    second = build(ground, [alert(1, Level.RED)], heard(5), NOW + timedelta(seconds=5), first)
    assert second.same_colours(first)
    assert cells(second, 9) is cells(first, 9)
    third = build(ground, [alert(1, Level.RED), alert(2, Level.BLUE, 2)], heard(5), NOW, second)
    assert cells(third, 9).etag != cells(second, 9).etag
    anew = build(
        ground_of([pipe(n) for n in range(5)], [sensor(1, 0)]),
        [alert(1, Level.RED), alert(2, Level.BLUE, 2)],
        heard(5),
        NOW,
    )
    assert cells(anew, 9).etag == cells(third, 9).etag


def test_two_alerts_that_swap_levels_are_drawn_anew() -> None:
    ground = ground_of([pipe(0)])
    first = build(ground, [alert(0, Level.RED, 1), alert(0, Level.ORANGE, 2)], heard(), NOW)
    second = build(ground, [alert(0, Level.RED, 2), alert(0, Level.ORANGE, 1)], heard(), NOW, first)
    (cell,) = [each for each in properties(second) if each["alerts"]]
    assert cell["reasons"][0]["alert"] == 2


def test_the_mean_is_weighted_by_length_and_the_worst_is_not_hidden_by_it() -> None:
    assets = [pipe(0, lof=5.0, cof=5.0), pipe(0, lof=1.0, cof=1.0)._replace(asset_id=2, external_id="Q")]
    drawn = build(ground_of(assets), [], heard(), NOW)
    for cell in properties(drawn):
        assert (cell["level"], cell["score"], cell["mean"]) == ("red", 100.0, 50.0)


def test_segments_of_a_screen_are_those_that_touch_it() -> None:
    drawn = build(ground_of([pipe(n) for n in range(5)]), [], heard(), NOW)
    found = json.loads(segments(drawn, Box(WEST + 0.05, SOUTH - 1, WEST + 0.25, SOUTH + 1), 100).body)
    assert [each["properties"]["id"] for each in found["features"]] == ["P-1", "P-2"]
    assert segments(drawn, None, 100) is segments(drawn, None, 100)


def test_too_many_segments_are_cut_to_the_worst() -> None:
    drawn = build(ground_of([pipe(n, lof=1.0 + n * 0.5) for n in range(6)]), [], heard(), NOW)
    found = json.loads(segments(drawn, None, 2).body)
    assert [each["properties"]["id"] for each in found["features"]] == ["P-4", "P-5"]
    assert (found["numberMatched"], found["truncated"]) == (6, True)


def test_an_empty_city_is_an_empty_map() -> None:
    drawn = build(ground_of([]), [], heard(), NOW)
    assert json.loads(cells(drawn, 9).body)["features"] == []
    assert json.loads(segments(drawn, None, 10).body)["features"] == []
    assert drawn.data_as_of is None


def test_an_asset_that_is_not_on_the_map_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        explain(build(ground_of([]), [], heard(), NOW), "P-9")


def test_a_thousand_pipes_are_drawn_in_well_under_a_second() -> None:
    ground = ground_of(
        [pipe(n % 600, lof=1.0 + n % 4)._replace(asset_id=n + 1, external_id=f"X-{n}") for n in range(1000)]
    )
    began = time.thread_time()
    first = build(ground, [], heard(), NOW)
    build(ground, [alert(5, Level.RED)], heard(), NOW, first)
    assert time.thread_time() - began < 2


def test_pipes_without_their_parts_are_the_same_pipes_in_fewer_bytes() -> None:
    drawn = build(ground_of([pipe(n) for n in range(3)]), [alert(1, Level.RED)], heard(), NOW)
    whole, brief = segments(drawn, None, 10), segments(drawn, None, 10, parts=False)
    assert whole.etag != brief.etag
    assert len(brief.body) < len(whole.body)
    slim = json.loads(whole.body)
    for each in slim["features"]:
        del each["properties"]["parts"]
    assert json.loads(brief.body) == slim
    assert segments(drawn, None, 10, parts=False) is brief, "each is kept for those who ask so"


def test_the_city_reaches_as_far_as_its_pipes_and_an_empty_one_nowhere() -> None:
    first, last = pipe(0), pipe(4)
    assert ground_of([first, last]).extent == (first.west, first.south, last.east, last.north)
    far = pipe(0)._replace(asset_id=9, external_id="V", kind="valve", east=179.0)
    assert ground_of([pipe(0), far]).extent == ground_of([pipe(0)]).extent, "a thing far off does not shrink the map"
    assert ground_of([far]).extent is not None
    assert ground_of([]).extent is None
