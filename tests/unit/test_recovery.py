"""Recovery: crews never make it worse, more crews are never slower, and the clock is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.planning.recovery import Recovery, finished, recover, repair_hours
from lifeline.planning.service import GraphService
from lifeline.planning.stress import tables
from lifeline.risk.reach import topology
from tests.unit.test_service import leaky

jobs = st.lists(st.floats(0.5, 50), min_size=1, max_size=30)


def line_of(n: int) -> GraphService:
    """A tank and n junctions in a row, one customer each."""
    before = np.arange(-1, n)
    graph = topology("water", ["tank", *["junction"] * n], before, np.full(n + 1, -1))
    return GraphService(graph, np.array([0.0, *[1.0] * n]))


@given(jobs, st.integers(1, 6))
def test_more_crews_are_never_slower_and_no_crew_is_in_two_places(hours, crews):
    one, more = finished(np.array(hours), crews), finished(np.array(hours), crews + 1)
    assert more.max() <= one.max() + 1e-9
    assert one.max() >= sum(hours) / crews - 1e-9
    assert finished(np.array(hours), 1).max() == pytest.approx(sum(hours))


def test_what_lies_behind_the_break_is_without_until_it_is_mended():
    service = line_of(10)
    found = recover(service, np.array([5]), np.empty(0, int), np.full(11, 8.0), np.ones(11), 2)
    assert found.share == pytest.approx(0.4)
    assert found.hours == found.hours_nearly == 8.0
    assert found.resilience == pytest.approx(0.4)


def test_the_most_important_is_mended_first():
    service = line_of(10)
    rank = np.linspace(1, 0, 11)
    found = recover(service, np.array([2, 10]), np.empty(0, int), np.full(11, 10.0), rank, 1)
    other = recover(service, np.array([2, 10]), np.empty(0, int), np.full(11, 10.0), 1 - rank, 1)
    assert found.hours_nearly == 10.0
    assert found.resilience > other.resilience
    assert found.hours == other.hours == 20.0


@given(st.sets(st.integers(1, 10)), st.sets(st.integers(1, 10)), st.integers(1, 4))
def test_figures_stay_in_their_ranges(out, leaking, crews):
    found = recover(
        line_of(10),
        np.array(sorted(out), int),
        np.array(sorted(leaking - out), int),
        np.full(11, 6.0),
        np.ones(11),
        crews,
    )
    assert 0 <= found.share <= found.resilience + 1e-9
    assert found.resilience <= 1 + 1e-9
    assert 0 <= found.hours_nearly <= found.hours
    assert found.worst <= found.share
    assert found.mended == found.hours
    assert found.lasts == (0.0 if out else float("inf"))


def test_nothing_broken_is_nothing_to_mend():
    found = recover(line_of(3), np.empty(0, int), np.empty(0, int), np.ones(4), np.ones(4), 1)
    assert found == Recovery(1.0, 1.0, 1.0, 0.0, 0.0, 0.0, float("inf"), 0.0)


def test_a_wide_pipe_takes_longer_and_a_tank_longest():
    hours = repair_hours(
        ["pipe", "pipe", "tank", "hydrant"], np.array([150.0, 600.0, np.nan, np.nan]), tables()["repair"]
    )
    assert hours[0] < hours[1] < hours[2]
    assert hours[3] == hours[0]


@given(st.sets(st.integers(1, 10)), st.integers(1, 10))
def test_one_more_out_never_serves_more(out, another):
    service = line_of(10)
    assert service.share(np.array(sorted(out | {another}))) <= service.share(np.array(sorted(out), int)) + 1e-12
    assert service.unserved(np.array([another]))[another] == 1.0


def test_leaks_hold_service_down_until_they_are_mended():
    service, hours = leaky(0.3), np.full(7, 4.0)
    found = recover(service, np.empty(0, int), np.array([4, 5]), hours, np.ones(7), 1)
    assert found.share < 1
    assert found.leaked == pytest.approx(1 - found.share)
    assert found.share < found.resilience < 1
    assert found.hours == 8.0
    assert 0 < found.hours_nearly <= 8.0


def test_what_breaks_and_what_leaks_are_told_apart():
    service, hours, nothing = leaky(0.3), np.full(7, 4.0), np.empty(0, int)
    found = recover(service, np.array([6]), np.array([4]), hours, np.ones(7), 1)
    assert found.leaked == pytest.approx(1 - service.share(nothing, np.array([4])))
    assert found.share < 1 - found.leaked
    assert recover(service, np.array([6]), nothing, hours, np.ones(7), 1).leaked == 0


def test_by_the_graph_leaks_take_crews_and_no_customer():
    found = recover(line_of(4), np.empty(0, int), np.array([1, 2]), np.full(5, 4.0), np.ones(5), 1)
    assert found == Recovery(1.0, 1.0, 1.0, 0.0, 8.0, 8.0, float("inf"), 0.0)
