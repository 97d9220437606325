"""The inventory in columns: which sensor a topic and a channel stand for, and which limits hold for it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.inventory import build
from lifeline import wire
from lifeline.catalogue import shipped_catalogue
from lifeline.model import JsonObject
from lifeline.storage.ingest import SensorRow

CATALOGUE = shipped_catalogue()
METHANE = CATALOGUE.quantities["methane"]
NEVER = -(2**63)


def row(
    sensor_id: int = 1,
    device_id: int = 10,
    device: str = "rtu-7",
    channel: str = "methane",
    limits: JsonObject | None = None,
) -> SensorRow:
    return SensorRow(sensor_id, device_id, "gas", device, channel, limits or {}, NEVER, 0.0)


def test_a_topic_and_a_channel_lead_to_their_sensor():
    inventory = build([row(5), row(9, channel="battery")], [(10, "gas", "rtu-7")], CATALOGUE)
    place = inventory.channels[inventory.topics[wire.readings_topic("gas", "rtu-7").encode()]]
    assert inventory.sensor_id[place["methane"]] == 5
    assert inventory.sensor_id[place["battery"]] == 9


def test_a_device_of_another_network_has_another_topic():
    inventory = build([row()], [(10, "gas", "rtu-7")], CATALOGUE)
    assert wire.readings_topic("water", "rtu-7").encode() not in inventory.topics


def test_place_zero_stands_for_what_is_unknown_and_has_no_channel():
    inventory = build([row()], [(10, "gas", "rtu-7")], CATALOGUE)
    assert inventory.channels[0] == {}
    assert 0 not in inventory.topics.values()


def test_a_gateway_without_sensors_has_topics_too():
    inventory = build([], [(3, "water", "gw-1")], CATALOGUE)
    place = inventory.topics[wire.readings_topic("water", "gw-1").encode()]
    assert inventory.channels[place] == {}
    assert inventory.device_of[place] == 3
    assert inventory.statuses == {wire.status_topic("water", "gw-1").encode(): 3}


def test_an_empty_city_is_an_inventory_without_rows():
    inventory = build([], [], CATALOGUE)
    assert len(inventory.sensor_id) == len(inventory.low) == len(inventory.high) == 0
    assert inventory.topics == {}


def test_the_catalogues_limits_hold_unless_the_sensor_has_its_own():
    inventory = build([row(1), row(2, limits={"range": [0, 5], "max_rate": 0.5})], [], CATALOGUE)
    assert list(inventory.low) == [METHANE.low, 0]
    assert list(inventory.high) == [METHANE.high, 5]
    assert list(inventory.max_rate) == [METHANE.max_rate, 0.5]


@pytest.mark.parametrize(
    ("limits", "low", "high"),
    [
        ({"range": [None, 5]}, METHANE.low, 5),
        ({"range": [1, None]}, 1, METHANE.high),
        ({"range": None}, METHANE.low, METHANE.high),
        ({"range": []}, METHANE.low, METHANE.high),
    ],
)
def test_a_bound_that_is_left_out_is_the_catalogues(limits, low, high):
    inventory = build([row(limits=limits)], [], CATALOGUE)
    assert (inventory.low[0], inventory.high[0]) == (low, high)


@pytest.mark.parametrize(
    "limits",
    [
        {"range": [5, 1]},
        {"range": [1, 1]},
        {"range": ["a", "b"]},
        {"range": [1]},
        {"range": [1, 2, 3]},
        {"range": 7},
        {"max_rate": "fast"},
        {"max_rate": None},
    ],
)
def test_limits_that_make_no_sense_leave_the_catalogues_standing(limits):
    inventory = build([row(limits=limits)], [], CATALOGUE)
    assert (inventory.low[0], inventory.high[0], inventory.max_rate[0]) == (METHANE.low, METHANE.high, METHANE.max_rate)


def test_one_sensors_senseless_limits_do_not_touch_its_neighbours():
    inventory = build([row(1, limits={"range": [5, 1]}), row(2, limits={"range": [0, 5]})], [], CATALOGUE)
    assert list(inventory.high) == [METHANE.high, 5]


def test_a_quantity_that_left_the_catalogue_has_no_limits_and_is_still_stored():
    inventory = build([row(channel="unobtainium")], [], CATALOGUE)
    assert inventory.low[0] == -math.inf
    assert inventory.high[0] == math.inf
    assert inventory.max_rate[0] == math.inf


def test_a_suffix_does_not_change_the_quantitys_limits():
    inventory = build([row(1, channel="pressure.inlet"), row(2, channel="pressure")], [], CATALOGUE)
    assert inventory.high[0] == inventory.high[1] == CATALOGUE.quantities["pressure"].high


@given(
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from(["methane", "battery", "level"])), unique=True, max_size=30)
)
def test_every_sensor_is_found_again_by_its_device_and_channel(pairs):
    rows = [row(n + 1, device, f"d{device}", channel) for n, (device, channel) in enumerate(pairs)]
    devices = [(device, "gas", f"d{device}") for device in sorted({device for device, _ in pairs})]
    inventory = build(rows, devices, CATALOGUE)
    for each in rows:
        channels = inventory.channels[inventory.topics[wire.readings_topic("gas", each.device).encode()]]
        assert inventory.sensor_id[channels[each.channel]] == each.sensor_id


def test_what_each_sensor_said_last_is_kept_for_the_rate_check():
    inventory = build([SensorRow(1, 10, "gas", "rtu-7", "methane", {}, 1_795_248_000_000_000, 0.4)], [], CATALOGUE)
    assert inventory.last_ts.dtype == np.int64
    assert inventory.last_ts[0] == 1_795_248_000_000_000
    assert inventory.last_value[0] == 0.4
