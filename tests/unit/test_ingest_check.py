"""Good readings and bad ones, and how good the good ones are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batch import Batch
from ingest.check import Checked, TimeLimits, check, devices_of, places_of
from ingest.decode import decode
from ingest.inventory import Inventory, build
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Quality, Reason
from lifeline.storage.ingest import NO_READING, SensorRow

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
LIMITS = TimeLimits(future_s=300, max_age_s=400 * 86_400)
CATALOGUE = shipped_catalogue()


def inventory(**limits: Any) -> Inventory:
    """Device d1 with methane (sensor 11) and level (sensor 12), device d2 with methane (sensor 13)."""
    rows = [
        SensorRow(11, 1, "gas", "d1", "methane", limits, NO_READING, 0.0),
        SensorRow(12, 1, "gas", "d1", "level", {}, NO_READING, 0.0),
        SensorRow(13, 2, "gas", "d2", "methane", {}, NO_READING, 0.0),
    ]
    return build(rows, [(1, "gas", "d1"), (2, "gas", "d2"), (3, "gas", "gateway")], CATALOGUE)


def checked(known: Inventory, *messages: tuple[str, str]) -> Checked:
    """``messages``: device and payload."""
    topics = [f"lifeline/v1/gas/{device}/readings".encode() for device, _ in messages]
    payloads = [payload.encode() for _, payload in messages]
    batch = Batch(1, topics, payloads, [1] * len(topics), received_at=NOW)
    decoded = decode(batch)
    places = places_of(devices_of(batch, known), decoded, known)
    return check(batch, decoded, known, CATALOGUE, LIMITS, NOW, places)


def methane(value: float, ms: float = 0, device: str = "d1", more: str = "") -> tuple[str, str]:
    return device, f'{{"ts":{NOW_MS + ms},"v":{{"methane":{value}}}{more}}}'


def test_known_readings_in_range_and_in_time_are_good() -> None:
    found = checked(inventory(), methane(0.5), ("d1", f'{{"ts":{NOW_MS},"v":{{"level":1}}}}'), methane(2, device="d2"))
    assert found.rejects == []
    assert found.readings.sensor_id.tolist() == [11, 12, 13]
    assert found.readings.value.tolist() == [0.5, 1.0, 2.0]
    assert found.readings.ts.tolist() == [NOW_MS * 1000] * 3


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (methane(0.5, device="d9"), Reason.UNKNOWN_SENSOR),
        (("d1", f'{{"ts":{NOW_MS},"v":{{"flow":1}}}}'), Reason.UNKNOWN_SENSOR),
        (("gateway", f'{{"ts":{NOW_MS},"v":{{"methane":1}}}}'), Reason.UNKNOWN_SENSOR),
        (("d1", f'{{"ts":{NOW_MS},"v":{{"methane":NaN}}}}'), Reason.NOT_FINITE),
        (("d1", f'{{"ts":{NOW_MS},"v":{{"methane":Infinity}}}}'), Reason.NOT_FINITE),
        (methane(-0.01), Reason.OUT_OF_RANGE),
        (methane(100.01), Reason.OUT_OF_RANGE),
        (methane(1, 301_000), Reason.FROM_THE_FUTURE),
        (methane(1, 4e12), Reason.FROM_THE_FUTURE),
        (methane(1, -NOW_MS), Reason.TOO_OLD),
        (methane(1, -401 * 86_400_000), Reason.TOO_OLD),
    ],
)
def test_each_fault_has_its_reason_and_costs_no_neighbour(message: tuple[str, str], reason: Reason) -> None:
    found = checked(inventory(), methane(0.5, -1000), message, methane(0.6, -500))
    assert [reject.reason for reject in found.rejects] == [reason]
    assert found.rejects[0].message == 1
    assert found.rejects[0].detail
    assert found.readings.value.tolist() == [0.5, 0.6]


def test_the_limits_themselves_are_still_good() -> None:
    found = checked(inventory(), methane(0), methane(100, 300_000), methane(50, -400 * 86_400_000))
    assert found.rejects == []


def test_a_sensors_own_range_replaces_the_catalogues() -> None:
    found = checked(inventory(range=[1, 2]), methane(0.5), methane(1.5, 1))
    assert found.readings.value.tolist() == [1.5]
    assert "outside 1 to 2" in found.rejects[0].detail


@pytest.mark.parametrize("limits", [{"range": "wide"}, {"range": [2, 1]}, {"range": [1]}, {"max_rate": "fast"}])
def test_limits_that_make_no_sense_leave_the_catalogues(limits: dict[str, Any]) -> None:
    assert checked(inventory(**limits), methane(50)).rejects == []


def test_a_backlog_is_marked() -> None:
    found = checked(inventory(), methane(1, -5000, more=',"backlog":true'), methane(1))
    assert found.readings.quality.tolist() == [Quality.BACKLOG, Quality.GOOD]


def test_a_reading_that_comes_twice_in_a_batch_counts_once_and_the_first_stays() -> None:
    found = checked(inventory(), methane(1), methane(2), methane(3, 1))
    assert found.readings.value.tolist() == [1.0, 3.0]
    assert found.repeated == 1


def test_a_leap_faster_than_plausible_is_marked_in_the_batch_and_against_the_last_reading() -> None:
    known = inventory()
    first = checked(known, methane(0), methane(4, 1000), methane(20, 2000), methane(24, 3000))
    assert first.readings.quality.tolist() == [0, 0, Quality.IMPLAUSIBLE, 0]
    assert checked(known, methane(40, 4000)).readings.quality.tolist() == [Quality.IMPLAUSIBLE]
    assert checked(known, methane(44, 5000)).readings.quality.tolist() == [0]
    assert checked(known, methane(90, 65_000)).readings.quality.tolist() == [0]


def test_two_readings_a_millisecond_apart_have_a_second_to_differ() -> None:
    assert checked(inventory(), methane(1), methane(5, 1)).readings.quality.tolist() == [0, 0]


def test_an_older_reading_is_not_judged_by_a_newer_one() -> None:
    known = inventory()
    checked(known, methane(0, 10_000))
    assert checked(known, methane(99, 0)).readings.quality.tolist() == [0]
    assert checked(known, methane(1, 11_000)).readings.quality.tolist() == [0]


def test_only_what_could_be_adopted_is_listed_as_unknown() -> None:
    found = checked(
        inventory(),
        methane(1, device="new-device"),
        methane(2, 1, device="new-device"),
        ("d1", f'{{"ts":{NOW_MS},"v":{{"flow.2":1,"FLOW":1,"no_such_quantity":1}}}}'),
        methane(1, device="bad\x00name"),
        ("d1/extra", f'{{"ts":{NOW_MS},"v":{{"methane":1}}}}'),
    )
    assert [(u.network, u.device, u.channel, u.n) for u in found.unknown] == [
        ("gas", "d1", "flow.2", 1),
        ("gas", "new-device", "methane", 2),
    ]
    assert len(found.rejects) == 7


def test_an_empty_inventory_refuses_everything() -> None:
    found = checked(build([], [], CATALOGUE), methane(1))
    assert [reject.reason for reject in found.rejects] == [Reason.UNKNOWN_SENSOR]
    assert len(found.readings) == 0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["d1", "d2", "d9"]),
            st.sampled_from(["methane", "level", "flow"]),
            st.integers(-2_000_000, 2_000_000),
            st.floats(-200, 200) | st.just(float("nan")),
        ),
        max_size=30,
    )
)
def test_every_reading_is_good_or_repeated_or_rejected_and_the_good_are_sorted(
    readings: list[tuple[str, str, int, float]],
) -> None:
    messages = [
        (device, f'{{"ts":{NOW_MS + ms},"v":{{"{channel}":{"NaN" if value != value else value}}}}}')
        for device, channel, ms, value in readings
    ]
    found = checked(inventory(), *messages)
    good = found.readings
    assert len(good) + found.repeated + len(found.rejects) == len(readings)
    keys = list(zip(good.sensor_id.tolist(), good.ts.tolist(), strict=True))
    assert keys == sorted(set(keys))
    assert found.newest.sensor_id.tolist() == sorted(set(good.sensor_id.tolist()))
    for sensor, ts in zip(found.newest.sensor_id, found.newest.ts, strict=True):
        assert ts == good.ts[good.sensor_id == sensor].max()
    horizon = round((NOW + timedelta(seconds=LIMITS.future_s)).timestamp() * 1e6)
    assert np.isfinite(good.value).all()
    assert (good.ts <= horizon).all()
