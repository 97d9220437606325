"""The same seed and the same start give the same city, whatever happens in it; another seed gives another."""

from typing import Any

import numpy as np
import pytest

from lifeline.catalogue import shipped_catalogue
from lifeline.model import JsonObject
from simulators.device import Meters
from simulators.director import Director
from simulators.planning import make_town
from simulators.scenario import Scenario, load_scenario, parse_scenario
from simulators.world import World

START = 1_795_000_200.0
EVERYTHING = """
include = ["contamination", "valve-closed", "pump-failure", "ponding"]
[[event]]
name = "leak"
kind = "gas_leak"
at_s = 20
lasts_s = 300
[[event]]
kind = "burst"
near = "leak"
at_s = 60
lasts_s = 300
[[event]]
kind = "noise"
at_s = 30
lasts_s = 400
[[event]]
kind = "jumps"
at_s = 30
lasts_s = 400
"""


def played(seed: int, scenario: Scenario, seconds: int = 480) -> tuple[list[JsonObject], Any]:
    """Truth, and what devices told at every 20 seconds."""
    town, records, told = make_town(seed), list[JsonObject](), []
    world = World(town, START - 600)
    try:
        world.at(START - 300)
        world.go_live(START, 20)
        director = Director(town, scenario, START, records.append)
        meters = Meters(town.instruments, shipped_catalogue(), seed)
        for second in range(0, seconds, 20):
            director.tick(world, START + second)
            values = world.at(START + second)
            director.observe(values, START + second)
            told.append(director.told(meters.read(values), START + second))
    finally:
        world.close()
    return records, np.array(told)


@pytest.fixture(scope="module")
def first() -> tuple[list[JsonObject], Any]:
    return played(1, parse_scenario(EVERYTHING, "all", "all.toml"))


def test_the_same_seed_plays_the_same_truth_and_tells_the_same_readings(first: tuple[list[JsonObject], Any]) -> None:
    again = played(1, parse_scenario(EVERYTHING, "all", "all.toml"))
    assert again[0] == first[0]
    assert np.array_equal(again[1], first[1])


def test_another_seed_plays_elsewhere(first: tuple[list[JsonObject], Any]) -> None:
    other, _ = played(2, parse_scenario(EVERYTHING, "all", "all.toml"), 120)
    assert {r["asset"] for r in other if r["kind"] == "gas_leak"} != {
        r["asset"] for r in first[0] if r["kind"] == "gas_leak"
    }
    assert {record["seed"] for record in other} == {2}


def test_what_happens_changes_what_is_told(first: tuple[list[JsonObject], Any]) -> None:
    _, quiet = played(1, load_scenario("quiet"), 480)
    assert quiet.shape == first[1].shape
    assert not np.array_equal(quiet, first[1])
    assert np.array_equal(quiet[0], first[1][0])  # before the first event all is the same
