"""Drawing what changed against drawing the city: the same map, and only what an alert touches is looked at again."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import cells as cell_module
from api import riskmap
from api.cells import UNKNOWN
from api.explanation import explain, explain_cell, told_chains
from api.ground import adjacency
from api.riskmap import RiskMap, build
from api.screens import cells, segments
from lifeline import geo
from lifeline.errors import NotFoundError
from lifeline.geo import Box
from lifeline.model import Level
from lifeline.risk.scheme import load_scheme
from lifeline.storage.riskmap import AssetRow, Newest, OpenAlert
from tests.unit.test_api_riskmap import NOW, SOUTH, WEST, alert, ground_of, heard, pipe, sensor, shares

STEP = timedelta(seconds=20)
CITY = [pipe(n, lof=1.0 + n * 0.5, cof=1.0 + n * 0.6, joined=n) for n in range(7)]
NETWORKS = ["gas", "water", "drainage"]


def street() -> list[AssetRow]:
    """Pipes of three networks in one trench, a chamber and a regulator beside them."""
    rows = []
    for number, network in enumerate(NETWORKS):
        north = SOUTH + number * 2e-5
        line = f'{{"type":"LineString","coordinates":[[{WEST},{north}],[{WEST + 0.002},{north}]]}}'
        row = pipe(number, lof=1.5, cof=3.0)._replace(network=network, geometry=line)
        rows.append(row._replace(west=WEST, south=north, east=WEST + 0.002, north=north))
    point = f'{{"type":"Point","coordinates":[{WEST + 0.001},{SOUTH + 5e-5}]}}'
    box = {"west": WEST + 0.001, "south": SOUTH + 5e-5, "east": WEST + 0.001, "north": SOUTH + 5e-5}
    for number, network, kind in ((3, "drainage", "chamber"), (4, "gas", "regulator")):
        row = pipe(number, lof=1.5, cof=3.0)._replace(network=network, kind=kind, geometry=point)
        rows.append(row._replace(**box))
    return rows


@st.composite
def moments(draw: st.DrawFn, assets: int = 7) -> tuple[list[OpenAlert], Newest]:
    """Alerts and readings of some moment."""
    alerts = []
    for number in range(draw(st.integers(0, 5))):
        returned = draw(st.sampled_from([None, None, NOW.timestamp() - 100.0, NOW.timestamp() - 5000.0]))
        found = alert(
            draw(st.integers(0, assets - 1)), draw(st.sampled_from(list(Level))), number, place=draw(st.booleans())
        )
        quantity = draw(st.sampled_from(["", "methane", "pressure", "level"]))
        still = returned is None or draw(st.booleans())
        alerts.append(
            found._replace(returned_at=returned, open=still, quantity=quantity, incident_id=draw(st.integers(0, 2)))
        )
    return alerts, heard(draw(st.sampled_from([1.0, 899.0, 2000.0])), draw(st.sampled_from([1.0, 2000.0])))


def assert_equal(one: RiskMap, other: RiskMap) -> None:
    """The same to the last bit and byte."""
    for mine, theirs in zip(one.risk, other.risk, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for resolution in geo.RESOLUTIONS:
        assert cells(one, resolution).body == cells(other, resolution).body
        assert one.cells[resolution].covered.tolist() == other.cells[resolution].covered.tolist()
    assert segments(one, None, 100).body == segments(other, None, 100).body
    assert one.counts() == other.counts()


@settings(max_examples=40, deadline=None)
@given(st.lists(moments(), min_size=2, max_size=5))
def test_a_chain_of_changes_ends_in_the_map_of_its_last_moment(story: list[tuple[list[OpenAlert], Newest]]) -> None:
    ground = ground_of(CITY, [sensor(1, 0), sensor(2, 3)])
    drawn: RiskMap | None = None
    for number, (alerts, newest) in enumerate(story):
        drawn = build(ground, alerts, newest, NOW + number * STEP, drawn)
        assert_equal(drawn, build(ground, alerts, newest, NOW + number * STEP))


@settings(max_examples=40, deadline=None)
@given(moments(5), moments(5))
def test_changes_spread_between_networks_as_in_a_map_drawn_anew(
    first: tuple[list[OpenAlert], Newest], second: tuple[list[OpenAlert], Newest]
) -> None:
    ground = ground_of(street(), [sensor(1, 0)])
    before = build(ground, first[0], first[1], NOW)
    assert_equal(
        build(ground, second[0], second[1], NOW + STEP, before), build(ground, second[0], second[1], NOW + STEP)
    )


@settings(max_examples=40, deadline=None)
@given(moments(), moments())
def test_what_changed_is_all_that_changed_and_nothing_else(
    first: tuple[list[OpenAlert], Newest], second: tuple[list[OpenAlert], Newest]
) -> None:
    ground = ground_of(CITY, [sensor(1, 0), sensor(2, 3)])
    before = build(ground, first[0], first[1], NOW)
    after = build(ground, second[0], second[1], NOW, before)
    assert after.follows == before.number != after.number
    for resolution in geo.RESOLUTIONS:
        told = after.cells[resolution]
        names = {*told.layer.cells, *told.bare, *before.cells[resolution].bare}
        wanted = {name for name in names if told.said(name) != before.cells[resolution].said(name)}
        assert set(told.changed) == wanted
        assert len(told.changed) == len(wanted)
    moved = (after.risk.score != before.risk.score) | (after.risk.level != before.risk.level)
    assert set(np.flatnonzero(moved).tolist()) <= set(after.changed.tolist())
    quiet = set(range(len(CITY))) - set(after.changed.tolist())
    for at in quiet:
        assert after.risk.points[at].tolist() == before.risk.points[at].tolist()


def test_an_alert_on_one_pipe_measures_its_cells_and_those_of_its_neighbours_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ground = ground_of([pipe(n) for n in range(60)])
    before = build(ground, [], heard(), NOW)
    measured: list[int] = []
    measure = cell_module._measure

    def counting(layer, ground, state, heard_now, chosen, here):  # type: ignore[no-untyped-def]
        measured.append(len(chosen))
        return measure(layer, ground, state, heard_now, chosen, here)

    monkeypatch.setattr(cell_module, "_measure", counting)
    build(ground, [alert(7, Level.RED)], heard(), NOW, before)
    own = [len(layer.of_asset.of(7)) for layer in ground.layers.values()]
    assert measured == own
    assert sum(own) < sum(len(layer.cells) for layer in ground.layers.values()) / 20


@settings(max_examples=40, deadline=None)
@given(moments(5), st.integers(0, 4), st.sampled_from(list(Level)), st.sampled_from(["methane", "pressure", "level"]))
def test_neither_an_asset_nor_a_cell_looks_better_for_one_alert_more(
    moment: tuple[list[OpenAlert], Newest], at: int, level: Level, quantity: str
) -> None:
    ground = ground_of(street(), [sensor(1, 0)])
    more = alert(at, level, 99)._replace(quantity=quantity, incident_id=1)
    before = build(ground, *moment, NOW)
    after = build(ground, [*moment[0], more], moment[1], NOW)
    assert (after.risk.score >= before.risk.score - 1e-9).all()
    for resolution in geo.RESOLUTIONS:
        assert (after.cells[resolution].score >= before.cells[resolution].score - 0.051).all()
    assert sum(each.risk for each in after.chains) >= sum(each.risk for each in before.chains) - 1e-9


@settings(max_examples=40, deadline=None)
@given(moments(5), st.integers(0, 4), st.booleans())
def test_neither_an_asset_nor_a_cell_looks_worse_for_one_alert_that_ends(
    moment: tuple[list[OpenAlert], Newest], which: int, closed: bool
) -> None:
    ground = ground_of(street(), [sensor(1, 0)])
    alerts = moment[0]
    if not alerts:
        return
    ended = alerts[which % len(alerts)]
    over = ended._replace(returned_at=ended.returned_at or NOW.timestamp(), open=ended.open and not closed)
    before = build(ground, alerts, moment[1], NOW)
    for left in ([over if each is ended else each for each in alerts], [each for each in alerts if each is not ended]):
        after = build(ground, left, moment[1], NOW)
        assert (after.risk.score <= before.risk.score + 1e-9).all()
        for resolution in geo.RESOLUTIONS:
            assert (after.cells[resolution].score <= before.cells[resolution].score + 0.051).all()


@settings(max_examples=30, deadline=None)
@given(moments(5), st.data())
def test_the_order_in_which_alerts_come_changes_no_byte(
    moment: tuple[list[OpenAlert], Newest], data: st.DataObject
) -> None:
    ground = ground_of(street(), [sensor(1, 0)])
    shuffled = data.draw(st.permutations(moment[0]))
    assert_equal(build(ground, shuffled, moment[1], NOW), build(ground, moment[0], moment[1], NOW))


@settings(max_examples=30, deadline=None)
@given(moments(5))
def test_what_nobody_watches_is_never_of_the_lowest_level(moment: tuple[list[OpenAlert], Newest]) -> None:
    drawn = build(ground_of(street()), *moment, NOW)
    assert Level.BLUE not in drawn.risk.level
    for layer in drawn.cells.values():
        for at, level in enumerate(layer.level.tolist()):
            assert level != Level.BLUE or layer.placed.get(layer.layer.cells[at])


@settings(max_examples=30, deadline=None)
@given(moments(5))
def test_every_explanation_adds_up(moment: tuple[list[OpenAlert], Newest]) -> None:
    drawn = build(ground_of(street(), [sensor(1, 0)]), *moment, NOW)
    for row in drawn.ground.assets:
        told = explain(drawn, row.external_id)
        assert sum(part["points"] for part in told["parts"]) == pytest.approx(told["score"])
        if any(part["part"] == "coupling" for part in told["parts"]):
            assert any(row.external_id in [link["asset"] for link in chain["links"]] for chain in told["chains"])
    for chain in told_chains(drawn, drawn.chains, 1000):
        product = chain["likelihood"] * chain["effect"]["likelihood"]
        for link in chain["links"]:
            product *= link["likelihood"]
        assert chain["product"] == pytest.approx(product, rel=0.02, abs=1e-4)
        assert chain["risk"] == pytest.approx(chain["product"] * chain["impact"])
        assert chain["alerts"]


def test_a_gas_leak_raises_the_chamber_beside_it_and_says_explosion() -> None:
    ground = ground_of(street(), [sensor(1, 0)])
    leak = alert(0, Level.RED)._replace(quantity="methane")
    drawn = build(ground, [leak], heard(1), NOW)
    told = explain(drawn, "P-3")
    (coupled,) = [part for part in told["parts"] if part["part"] == "coupling"]
    assert coupled["points"] > 0
    assert told["score"] > told["standing_score"]
    assert {each["effect"]["id"] for each in told["chains"]} == {"explosion"}
    assert told["chains"][0]["alerts"] == [1]
    where = drawn.cells[9].layer.cells[int(drawn.cells[9].layer.of_asset.of(3)[0])]
    cell = explain_cell(drawn, where)
    assert cell["resolution"] == 9
    assert any(each["effect"]["id"] == "explosion" for each in cell["chains"])
    assert cell["worst"][0]["score"] == max(each["score"] for each in cell["worst"])
    assert drawn.chains == sorted(drawn.chains, key=lambda each: -each.risk)


def test_alerts_of_one_incident_speak_for_each_other() -> None:
    ground = ground_of(CITY)
    apart = [alert(5, Level.YELLOW, 1), alert(6, Level.YELLOW, 2)]
    together = [each._replace(incident_id=5) for each in apart]
    one, other = (build(ground, each, heard(), NOW) for each in (apart, together))
    for at in (5, 6):
        assert other.risk.score[at] > one.risk.score[at]
        parts = [part["part"] for part in explain(other, f"P-{at}")["parts"]]
        assert "incident" in parts


def test_an_alert_fades_after_it_returned_and_is_forgotten() -> None:
    ground = ground_of(CITY)
    over = alert(2, Level.RED)._replace(returned_at=NOW.timestamp(), open=False)
    told = [float(build(ground, [over], heard(), NOW + timedelta(hours=age)).risk.score[2]) for age in range(7)]
    assert told == sorted(told, reverse=True)
    assert told[0] > told[1] > told[2] > told[6] == ground.standing[2]
    still = alert(2, Level.RED)._replace(returned_at=NOW.timestamp())
    late = build(ground, [still], heard(), NOW + timedelta(hours=6))
    assert late.risk.level[2] == Level.RED  # the list still has it
    (felt,) = explain(build(ground, [over], heard(), NOW + timedelta(hours=1)), "P-2")["alerts"]
    assert (felt["open"], felt["faded"]) == (False, pytest.approx(1 - np.exp(-1), abs=1e-3))


def test_a_closed_alert_stands_in_no_list_of_a_cell() -> None:
    over = alert(2, Level.RED)._replace(returned_at=NOW.timestamp(), open=False)
    drawn = build(ground_of(CITY), [over], heard(), NOW)
    assert all(not layer.placed for layer in drawn.cells.values())


def test_other_cuts_make_other_colours() -> None:
    ground = ground_of([pipe(0, lof=3.0, cof=3.0)], [sensor(1, 0)])
    assert build(ground, [], heard(1), NOW).risk.level.tolist() == [Level.YELLOW]
    ground.scheme = load_scheme([30.0, 20.0, 10.0], 3600.0, None)
    drawn = build(ground, [], heard(1), NOW)
    assert drawn.risk.level.tolist() == [Level.RED]
    assert drawn.counts()["cells_9"]["red"] > 0


def test_the_cells_of_a_screen_are_those_that_touch_it() -> None:
    drawn = build(ground_of(CITY), [], heard(), NOW)
    everywhere = cells(drawn, 9)
    screen = Box(WEST + 0.05, SOUTH - 1, WEST + 0.15, SOUTH + 1)
    part = cells(drawn, 9, screen)
    layer = drawn.cells[9].layer
    names = [name for name in layer.cells if f'"cell":"{name}"'.encode() in part.body]
    assert names == [
        name for name, box in zip(layer.cells, layer.boxes, strict=True) if abs(box[0] - WEST - 0.1) < 0.04
    ]
    assert len(part.body) < len(everywhere.body)
    assert cells(drawn, 9, screen) is part
    assert b'"features":[]' in cells(drawn, 9, Box(0, 0, 1, 1)).body


def test_a_lonely_alert_shows_on_the_screen_where_it_is() -> None:
    lonely = OpenAlert(7, "rule", Level.RED, 0, 118.0, 32.0)
    drawn = build(ground_of(CITY), [lonely], heard(), NOW)
    assert b'"red"' in cells(drawn, 9, Box(117.9, 31.9, 118.1, 32.1)).body
    assert b'"red"' not in cells(drawn, 9, Box(WEST - 1, SOUTH - 1, WEST + 0.7, SOUTH + 1)).body
    where = geo.cell_at(118.0, 32.0, 9)
    assert explain_cell(drawn, where)["level"] == "red"


def test_a_cell_that_is_not_on_the_map_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        explain_cell(build(ground_of([]), [], heard(), NOW), "89283082803ffff")


def test_unknown_is_a_level_of_its_own() -> None:
    drawn = build(ground_of(CITY), [], heard(), NOW)
    assert (drawn.risk.level[drawn.risk.score < 25] == UNKNOWN).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=20), st.lists(st.integers(0, 5), unique=True))
def test_an_adjacency_gives_what_belongs_to_each(pairs: list[tuple[int, int]], chosen: list[int]) -> None:
    owner, to = (np.array([pair[side] for pair in pairs], dtype=np.int_) for side in (0, 1))
    found, order = adjacency(6, owner, to)
    for number in range(6):
        assert found.of(number).tolist() == sorted(value for at, value in pairs if at == number)
    assert to[order].tolist() == found.to.tolist()
    position, place = found.among(np.array(chosen, dtype=np.int_))
    told = [(chosen[where], value) for where, value in zip(place.tolist(), found.to[position].tolist(), strict=True)]
    assert sorted(told) == sorted(pair for pair in pairs if pair[0] in chosen)


def test_a_joint_to_an_asset_that_is_out_of_service_is_none() -> None:
    rows = [pipe(0), pipe(1, joined=99)]
    assert riskmap.weigh(ground_of(rows), [alert(1, Level.RED)], NOW).asset.tolist() == [1]
    assert {share.asset_id for share in shares(rows, 9)} == {1, 2}
