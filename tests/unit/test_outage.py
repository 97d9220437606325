"""Outages through time: what a tank bridges, when it is full again, and what is left as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.planning.course import Course
from lifeline.planning.hydraulics import Epanet, HydraulicError, Model, opened
from lifeline.planning.outage import Leak, course, usual
from lifeline.planning.recovery import recover
from lifeline.planning.service import EpanetService

HOURS = 72
TOWN = f"""[JUNCTIONS]
A 0 20
[RESERVOIRS]
R 5
[TANKS]
T 30 4 0 6 12 0
[PIPES]
1 T A 100 300 120 0 OPEN
[PUMPS]
P R T HEAD C
[CURVES]
C 30 40
[CONTROLS]
LINK P OPEN IF NODE T BELOW 3.5
LINK P CLOSED IF NODE T ABOVE 4.5
[TIMES]
DURATION {HOURS}
[OPTIONS]
UNITS LPS
HEADLOSS H-W
[END]
"""
"""20 l/s from a tank of 452 m3 that holds 4 m; a pump of some 30 l/s keeps it between 3.5 and 4.5 m."""
AREA_M2 = np.pi * 12**2 / 4


@pytest.fixture(scope="module")
def town() -> Epanet:
    return opened(Model("town.inp", TOWN, HOURS))


def test_with_nothing_out_all_are_served_and_the_tank_moves_between_its_marks(town):
    found = usual(town)
    assert found.share == pytest.approx(1.0, abs=1e-6)
    assert found.levels[1:, 0].min() > 3.3
    assert found.levels.max() < 4.7


def test_a_lost_pump_is_bridged_by_the_tank_and_then_nobody_is_served(town):
    found = course(town, usual(town), {"P": 48.0}, ())
    bridged = 4.0 * AREA_M2 / 0.020 / 3600
    assert found.lasts == pytest.approx(bridged, abs=1.0)
    assert found.worst == pytest.approx(0.0, abs=0.01)
    assert found.share[0] == pytest.approx(1.0)
    assert found.since(0.9) == pytest.approx(48.0, abs=1.0)


def test_it_is_over_only_when_the_tank_is_as_full_as_usual(town):
    found = course(town, usual(town), {"P": 48.0}, ())
    assert 48.0 < found.ended < HOURS
    short = course(town, usual(town), {"P": 1.0}, ())
    assert short.lasts == float("inf")
    assert short.ended < found.ended


def test_what_is_not_over_within_the_hours_is_told_as_endless(town):
    assert course(town, usual(town), {"P": HOURS + 10.0}, ()).ended == float("inf")


def test_a_control_opens_no_pump_that_is_out_and_serves_again_afterwards(town):
    before = usual(town)
    course(town, before, {"P": 48.0, "1": 3.0}, [Leak("A", 2.0, 5.0)])
    after = usual(town)
    np.testing.assert_array_equal(after.levels, before.levels)
    assert after.share == before.share


def test_a_leak_empties_the_tank_sooner_and_is_over_when_it_is_mended(town):
    dry = course(town, usual(town), {"P": 30.0}, ())
    leaking = course(town, usual(town), {"P": 30.0}, [Leak("A", 3.0, 10.0)])
    assert leaking.lasts < dry.lasts
    held = course(town, usual(town), {}, [Leak("A", 1.0, 10.0)])
    assert held.ended >= 10.0


def test_a_name_that_the_model_lacks_is_told_and_leaves_nothing_closed(town):
    before = usual(town)
    with pytest.raises(HydraulicError, match="no link 'X'"):
        course(town, before, {"P": 5.0, "X": 5.0}, ())
    np.testing.assert_array_equal(usual(town).levels, before.levels)


def test_recovery_counts_the_hours_until_the_tank_is_full_again():
    service = EpanetService(Model("town.inp", TOWN, 0), ((), ("P",)), ("A", None), ((), ()), hours=HOURS)
    out, nothing = np.array([1]), np.empty(0, int)
    found = recover(service, out, nothing, np.array([1.0, 24.0]), np.ones(2), 1)
    assert found.share == pytest.approx(1.0)
    assert found.worst < 0.1
    assert found.mended == 24.0 < found.hours
    assert found.lasts == pytest.approx(6.3, abs=1.0)
    assert found.hours_nearly == pytest.approx(24.0, abs=1.0)
    sooner = recover(service, out, nothing, np.array([1.0, 4.0]), np.ones(2), 1)
    assert sooner.worst == pytest.approx(1.0)
    assert sooner.lasts == float("inf")
    assert 4.0 <= sooner.hours < found.hours


shares = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(shares, st.floats(0.1, 40))
def test_a_mean_lies_between_the_worst_and_the_best(share, until):
    found = Course(np.arange(len(share), dtype=float), np.array(share), float(len(share)))
    assert found.worst - 1e-9 <= found.mean(until) <= max(share) + 1e-9


@given(shares, st.floats(0.01, 1))
def test_from_the_hour_on_it_is_never_less_again(share, wanted):
    found = Course(np.arange(len(share), dtype=float), np.array(share), float(len(share)))
    since = found.since(wanted)
    if np.isinf(since):
        assert share[-1] < wanted
    else:
        assert min(share[int(since) :]) >= wanted
        assert since == 0 or share[int(since) - 1] < wanted
