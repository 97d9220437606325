"""How sensors lie to each other: by pipes, by the sewer's direction, by distance."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alerts.topology import CHAMBERS_M, GROUP_MOST, METRES_PER_DEGREE, build_topology
from lifeline.storage.window import AssetRow, SensorRow

LONGITUDE, LATITUDE = 117.27, 31.86


def asset(number: int, network: str = "water", kind: str = "junction", ends: tuple[int, int] | None = None) -> AssetRow:
    start, end = ends or (None, None)
    length = 100.0 if ends else None
    return AssetRow(number, f"A-{number}", network, "pipe" if ends else kind, start, end, length, None, {})


def sensor(number: int, quantity: str, network: str, at: int | None, north_m: float = 0.0) -> SensorRow:
    latitude = LATITUDE + north_m / METRES_PER_DEGREE
    return SensorRow(number, 1, quantity, network, True, 3.0, {}, at, LONGITUDE, latitude, f"d/{number}")


def chain(count: int, network: str = "water") -> list[AssetRow]:
    """Nodes 1 to count, pipes 1001 on from each to the next."""
    nodes = [asset(number, network) for number in range(1, count + 1)]
    return nodes + [asset(1000 + number, network, ends=(number, number + 1)) for number in range(1, count)]


def test_sensors_whose_assets_are_joined_by_pipes_are_one_group_and_others_are_not() -> None:
    assets = [*chain(4), asset(50), asset(51), asset(1050, ends=(50, 51))]
    rows = [sensor(n, "pressure", "water", at) for n, at in enumerate([1, 2, 1003, 50, None], 1)]
    topology = build_topology(rows, assets)
    assert topology.component.tolist() == [0, 0, 0, 1, -1]
    assert [group.tolist() for group in topology.groups(range(5))] == [[0, 1, 2]]


def test_a_large_network_is_cut_into_neighbourhoods() -> None:
    rows = [sensor(n, "pressure", "water", n, north_m=100.0 * n) for n in range(1, 151)]
    groups = build_topology(rows, chain(150)).groups(range(150))
    assert sorted(column for group in groups for column in group.tolist()) == list(range(150))
    assert all(len(group) <= GROUP_MOST for group in groups)
    assert all(np.ptp(group) == len(group) - 1 for group in groups)  # neighbours stay together


def test_the_next_level_down_the_sewer_is_found_over_manholes_without_one() -> None:
    rows = [sensor(n, "level", "drainage", at) for n, at in enumerate([1, 4, 6], 1)]
    topology = build_topology(rows, chain(6, "drainage"))
    assert topology.reaches.tolist() == [[0, 1], [1, 2]]


def test_a_reach_ends_at_a_pump_whose_well_is_high_for_another_reason() -> None:
    nodes = [asset(number, "drainage") for number in (1, 2, 3, 4)]
    lift = AssetRow(11, "U-1", "drainage", "pump", 2, 3, None, None, {})
    pipes = [asset(12, "drainage", ends=(1, 2)), asset(13, "drainage", ends=(3, 4))]
    rows = [sensor(n, "level", "drainage", n) for n in (1, 2, 3, 4)]
    assert build_topology(rows, [*nodes, lift, *pipes]).reaches.tolist() == [[0, 1], [2, 3]]


def test_a_sewer_that_runs_in_a_circle_ends_the_search() -> None:
    assets = [
        asset(1, "drainage"),
        asset(2, "drainage"),
        asset(3, "drainage", ends=(1, 2)),
        asset(4, "drainage", ends=(2, 1)),
    ]
    assert build_topology([sensor(1, "level", "drainage", 1)], assets).reaches.shape == (0, 2)


def test_distances_run_along_the_pipes() -> None:
    topology = build_topology([sensor(1, "pressure", "water", 1)], chain(5))
    far = topology.distances(1, 250.0)
    assert {node: far[node] for node in (1, 2, 3)} == {1: 0.0, 2: 100.0, 3: 200.0}
    assert far[1001] == 0.0
    assert 4 not in far


def test_the_nearest_rain_gauge_speaks_for_a_level_and_none_from_another_town() -> None:
    rows = [
        sensor(1, "rain", "drainage", None, 0.0),
        sensor(2, "rain", "drainage", None, 3000.0),
        sensor(3, "level", "drainage", None, 2000.0),
        sensor(4, "level", "drainage", None, 50_000.0),
    ]
    assert build_topology(rows, []).gauge.tolist() == [0, 1, 1, -1]


@given(st.lists(st.floats(0.0, 2000.0), max_size=20))
def test_chambers_are_neighbours_exactly_when_they_are_near(places: list[float]) -> None:
    rows = [sensor(n, "methane", "gas", None, north) for n, north in enumerate(places, 1)]
    found = {tuple(pair) for pair in build_topology(rows, []).chambers.tolist()}
    sure = {(a, b) for b in range(len(places)) for a in range(b) if abs(places[a] - places[b]) < CHAMBERS_M - 0.01}
    possible = {(a, b) for b in range(len(places)) for a in range(b) if abs(places[a] - places[b]) < CHAMBERS_M + 0.01}
    assert sure <= found <= possible


def test_no_sensor_at_all_is_no_error() -> None:
    topology = build_topology([], [])
    assert topology.groups([]) == []
    assert topology.reaches.shape == topology.chambers.shape == (0, 2)
