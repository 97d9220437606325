"""What if: closing, renewing and adding pipes, and what that does to the risk."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.errors import ConflictError, NotFoundError
from lifeline.model import Asset, JsonObject
from lifeline.planning.cost import load_costs
from lifeline.planning.segments import Known
from lifeline.planning.whatif import Changes, what_if
from tests.unit.test_renewal_plan import YEAR, pipe, street, town


def tried(assets: list[Asset], **changes: object) -> JsonObject:
    nan = np.full(len(assets), np.nan)
    return what_if(assets, Known(nan, nan, nan), Changes(**changes), load_costs(), YEAR)  # type: ignore[arg-type]


def test_no_change_changes_nothing() -> None:
    found = tried(town())
    assert found["before"] == found["after"]
    assert found["changed"] == []
    assert found["cut_off"] == {"pipes": [], "length_m": 0.0, "customers": 0}


def test_a_renewed_pipe_fails_less_and_its_consequence_stays() -> None:
    assets = street(5, customers=4000)
    found = tried(assets, renew=["w0-2"])
    [changed] = found["changed"]
    assert changed["change"] == "renewed"
    assert changed["score_after"] < changed["score_before"]
    assert found["after"]["failures_per_year"] < found["before"]["failures_per_year"]
    assert found["after"]["pipes"] == 5
    assert found["before"]["length_m"] == found["after"]["length_m"]


def test_a_closed_pipe_is_gone_and_what_hung_on_it_is_named() -> None:
    found = tried(street(5), close=["w0-3"])
    assert found["after"]["pipes"] == 4
    assert found["changed"][0]["score_after"] is None
    assert found["cut_off"] == {"pipes": ["w0-4"], "length_m": 100.0, "customers": 0}


def test_another_way_round_means_that_nobody_is_cut_off() -> None:
    assets = street(3)
    loop = replace(pipe("loop", 0, 50), geometry={"type": "LineString", "coordinates": [
        assets[0].geometry["coordinates"][0], [0.001, 0.001], assets[2].geometry["coordinates"][1]]})  # fmt: skip
    assert tried([*assets, loop], close=["w0-1"])["cut_off"]["pipes"] == []


def test_customers_of_a_closed_pipe_and_of_what_hangs_on_it_are_without_service() -> None:
    assets = [replace(each, customers=10**place) for place, each in enumerate(street(4))]
    assert tried(assets, close=["w0-2"])["cut_off"]["customers"] == 100 + 1000


def test_customers_are_counted_at_joints_where_these_hold_them() -> None:
    joints = [replace(each, from_asset=f"J{place}", to_asset=f"J{place + 1}", customers=7)
              for place, each in enumerate(street(4))]  # fmt: skip
    served = {"J1": 1, "J2": 10, "J3": 100, "J4": 1000, "elsewhere": 5}
    gas = [replace(each, customers=3) for each in street(1, network="gas")]
    nan = np.full(5, np.nan)

    def lost(*closed: str) -> int:
        changes = Changes(close=closed)
        found = what_if([*joints, *gas], Known(nan, nan, nan), changes, load_costs(), YEAR, served=served)
        return int(found["cut_off"]["customers"])

    assert lost("w0-2") == 1100  # J3 and J4 hang on it; J2 is on the longer part
    assert lost("w0-3") == lost("w0-3", "g0-0") - 3 == 1000
    assert lost("g0-0") == 3  # no joint of this network holds any


def test_another_network_beside_it_is_no_way_round() -> None:
    found = tried([*street(3), *street(3, network="gas")], close=["w0-1"])
    assert found["cut_off"]["pipes"] == ["w0-2"]
    assert found["networks"]["gas"]["before"] == found["networks"]["gas"]["after"]


def test_an_added_pipe_brings_its_own_risk() -> None:
    found = tried(street(2), add=[pipe("new", 200, 0, material="pe", install_year=YEAR)])
    assert found["after"]["pipes"] == 3
    assert found["after"]["failures_per_year"] > found["before"]["failures_per_year"]
    assert [(each["asset"], each["change"]) for each in found["changed"]] == [("new", "added")]


def test_risk_that_was_computed_from_more_than_the_file_is_kept_where_nothing_changes() -> None:
    assets = street(2)
    known = Known(np.array([5.0, 5.0]), np.array([5.0, np.nan]), np.array([9.0, 9.0]))
    found = what_if(assets, known, Changes(renew=["w0-0"]), load_costs(), YEAR)
    assert found["changed"][0]["score_before"] == 100.0
    assert found["before"]["failures_per_year"] == pytest.approx(9.0 * 0.2)
    assert 0.9 <= found["after"]["failures_per_year"] < 1.0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"close": ["nobody"]}, NotFoundError),
        ({"renew": ["nobody"]}, NotFoundError),
        ({"close": ["w0-0"], "renew": ["w0-0"]}, ConflictError),
        ({"add": [pipe("w0-0", 0, 0)]}, ConflictError),
        ({"add": [pipe("x", 0, 0), pipe("x", 0, 9)]}, ConflictError),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        tried(street(2), **changes)


def test_a_young_pipe_laid_anew_in_a_material_that_fails_more_is_told_to_fail_more() -> None:
    young = pipe("young", 0, 0, material="pe", install_year=YEAR - 14, diameter_mm=100.0)
    found = tried([young], renew=["young"])  # water is renewed in ductile iron
    assert found["after"]["failures_per_year"] > found["before"]["failures_per_year"]
    assert found["changed"][0]["score_after"] > found["changed"][0]["score_before"]


CHOSEN = st.sets(st.integers(0, 41), max_size=10)


@given(CHOSEN, CHOSEN)
@settings(max_examples=25, deadline=None)
def test_laying_anew_in_the_same_material_never_adds_risk(renewed: set[int], closed: set[int]) -> None:
    costs = load_costs()
    assets = [replace(each, material=costs.new_material(each.network)) for each in town()]
    names = [each.external_id for each in assets]
    found = tried(assets, renew=[names[k] for k in renewed - closed], close=[names[k] for k in closed])
    assert found["after"]["loss_per_year"] <= found["before"]["loss_per_year"] * (1 + 1e-9)


@given(CHOSEN, CHOSEN)
@settings(max_examples=25, deadline=None)
def test_the_figures_of_the_networks_add_up_to_those_of_the_city(renewed: set[int], closed: set[int]) -> None:
    assets = town()
    names = [each.external_id for each in assets]
    found = tried(assets, renew=[names[k] for k in renewed - closed], close=[names[k] for k in closed])
    for side in ("before", "after"):
        parts = [network[side] for network in found["networks"].values()]
        for figure in ("pipes", "length_m", "failures_per_year", "loss_per_year"):
            assert sum(part[figure] for part in parts) == pytest.approx(found[side][figure])
        assert sum(found[side]["length_by_level"].values()) == pytest.approx(found[side]["length_m"])
