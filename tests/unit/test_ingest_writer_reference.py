"""Checking, sequence numbers, roll-up notes and the books of a batch against loops that take one reading at a time."""

from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batch import Batch
from ingest.changes import sightings
from ingest.check import SHORTEST_S, Checked, TimeLimits, check, devices_of, places_of
from ingest.decode import Decoded
from ingest.inventory import Inventory, build
from ingest.rollups import BUCKET_US, EVERY_SENSOR, MANY, touched_buckets
from ingest.writer import _counts
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Quality, Reason
from lifeline.storage.ingest import NO_READING, Readings, SensorRow

NOW = datetime(2026, 11, 21, 8, 7, tzinfo=UTC)
NOW_US = round(NOW.timestamp() * 1_000_000)
LIMITS = TimeLimits(future_s=60, max_age_s=3600)
CATALOGUE = shipped_catalogue()
SECOND = 1_000_000


class Sent(NamedTuple):
    """One reading as it came: a message of its own."""

    device: str
    channel: str
    ts: int
    value: float
    backlog: bool


class Known(NamedTuple):
    """What the reference knows of a sensor."""

    sensor_id: int
    low: float
    high: float
    max_rate: float


LIMITS_OF = {
    ("d1", "methane"): Known(11, 0.0, 100.0, 5.0),
    ("d1", "level"): Known(12, 0.0, 10.0, 0.5),
    ("d2", "methane"): Known(13, 10.0, 20.0, 1.0),
}
DEVICES = {"d1": 1, "d2": 2}


def inventory() -> Inventory:
    rows = [
        SensorRow(
            known.sensor_id, DEVICES[device], "gas", device, channel,
            {"range": [known.low, known.high], "max_rate": known.max_rate}, NO_READING, 0.0,
        )
        for (device, channel), known in LIMITS_OF.items()
    ]  # fmt: skip
    return build(rows, [(number, "gas", device) for device, number in DEVICES.items()], CATALOGUE)


def batch_of(sent: list[Sent]) -> tuple[Batch, Decoded]:
    topics = [f"lifeline/v1/gas/{each.device}/readings".encode() for each in sent]
    batch = Batch(1, topics, [b"{}"] * len(sent), [1] * len(sent), received_at=NOW)
    none = np.empty(0, dtype=np.int64)
    decoded = Decoded(
        message=np.arange(len(sent)),
        channel=[each.channel for each in sent],
        ts=np.array([each.ts for each in sent], dtype=np.int64),
        value=np.array([each.value for each in sent], dtype=np.float64),
        backlog=np.array([each.backlog for each in sent], dtype=bool),
        seq_message=none,
        seq=none,
    )
    return batch, decoded


def checked(known: Inventory, sent: list[Sent]) -> Checked:
    batch, decoded = batch_of(sent)
    places = places_of(devices_of(batch, known), decoded, known)
    return check(batch, decoded, known, CATALOGUE, LIMITS, NOW, places)


def naive_reason(each: Sent) -> Reason | None:
    known = LIMITS_OF.get((each.device, each.channel))
    if known is None:
        return Reason.UNKNOWN_SENSOR
    if not np.isfinite(each.value):
        return Reason.NOT_FINITE
    if each.value < known.low or each.value > known.high:
        return Reason.OUT_OF_RANGE
    if each.ts > NOW_US + LIMITS.future_s * SECOND:
        return Reason.FROM_THE_FUTURE
    if each.ts < NOW_US - LIMITS.max_age_s * SECOND:
        return Reason.TOO_OLD
    return None


Row = tuple[int, int, float, int]
"""Sensor, microseconds, value, quality."""


class Reference:
    """Ingest's check with one dictionary and one reading at a time."""

    def __init__(self) -> None:
        self.last: dict[int, tuple[int, float]] = {}

    def take(self, sent: list[Sent]) -> tuple[list[Row], int]:
        """Good rows in order, and how many were in the batch twice."""
        kept: dict[tuple[int, int], tuple[Sent, Known]] = {}
        repeated = 0
        for each in sent:
            if naive_reason(each) is not None:
                continue
            known = LIMITS_OF[each.device, each.channel]
            if (known.sensor_id, each.ts) in kept:
                repeated += 1
            else:
                kept[known.sensor_id, each.ts] = (each, known)
        rows: list[Row] = []
        before: dict[int, tuple[int, float]] = dict(self.last)
        for (sensor, ts), (each, known) in sorted(kept.items(), key=lambda item: item[0]):
            quality = Quality.BACKLOG if each.backlog else Quality.GOOD
            if sensor in before and ts > before[sensor][0]:
                elapsed = max((ts - before[sensor][0]) / SECOND, SHORTEST_S)
                if abs(each.value - before[sensor][1]) > known.max_rate * elapsed:
                    quality |= Quality.IMPLAUSIBLE
            before[sensor] = (ts, each.value)
            rows.append((sensor, ts, each.value, int(quality)))
        for sensor, ts, value, _ in rows:
            if sensor not in self.last or ts > self.last[sensor][0]:
                self.last[sensor] = (ts, value)
        return rows, repeated


def rows_of(readings: Readings) -> list[Row]:
    columns = (readings.sensor_id, readings.ts, readings.value, readings.quality)
    return list(zip(*(column.tolist() for column in columns), strict=True))


values = st.sampled_from([0.0, 0.5, 1.0, 5.0, 9.9, 10.0, 15.0, 16.0, 20.0, 100.0]) | st.sampled_from(
    [-0.1, 100.5, float("nan"), float("inf"), float("-inf")]
)
moments = st.one_of(
    st.integers(-10, 10).map(lambda n: NOW_US + n * SECOND),
    st.integers(-10, 10).map(lambda n: NOW_US + n * 100_000),
    st.sampled_from([61, 60, -3600, -3601]).map(lambda n: NOW_US + n * SECOND),
    st.sampled_from([-(2**62), 2**62]),
)
sent_readings = st.lists(
    st.builds(
        Sent, st.sampled_from(["d1", "d2", "d9"]), st.sampled_from(["methane", "level"]), moments, values, st.booleans()
    ),
    max_size=25,
)


@settings(max_examples=120, deadline=None)
@given(st.lists(sent_readings, max_size=3))
def test_batch_after_batch_is_checked_as_one_reading_after_the_other(batches: list[list[Sent]]) -> None:
    known, reference = inventory(), Reference()
    for sent in batches:
        found = checked(known, sent)
        rows, repeated = reference.take(sent)
        assert rows_of(found.readings) == rows
        assert found.repeated == repeated
        assert [(r.message, r.reason) for r in found.rejects] == [
            (place, reason) for place, each in enumerate(sent) if (reason := naive_reason(each)) is not None
        ]
        newest = {row[0]: row for row in rows}
        assert rows_of(found.newest) == [newest[sensor] for sensor in sorted(newest)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0, 4.0, 5.0, 6.0, 50.0, 100.0]), min_size=1, max_size=20), st.data())
def test_readings_in_order_get_the_same_marks_however_they_are_cut_into_batches(
    series: list[float], data: st.DataObject
) -> None:
    sent = [Sent("d1", "methane", NOW_US - (50 - n) * SECOND, value, False) for n, value in enumerate(series)]
    cuts = sorted({0, len(sent), *data.draw(st.lists(st.integers(0, len(sent)), max_size=5))})
    known = inventory()
    marks = [row for start, stop in pairwise(cuts) for row in rows_of(checked(known, sent[start:stop]).readings)]
    assert marks == rows_of(checked(inventory(), sent).readings)


@settings(max_examples=60, deadline=None)
@given(sent_readings, st.randoms())
def test_the_order_of_messages_in_a_batch_changes_nothing_where_none_comes_twice(
    sent: list[Sent], random: object
) -> None:
    single = list({(each.device, each.channel, each.ts): each for each in sent}.values())
    shuffled = list(single)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = checked(inventory(), single), checked(inventory(), shuffled)
    assert rows_of(one.readings) == rows_of(other.readings)
    assert rows_of(one.newest) == rows_of(other.newest)
    assert sorted(str(r.reason) for r in one.rejects) == sorted(str(r.reason) for r in other.rejects)


def test_a_batch_that_is_redelivered_whole_raises_no_new_mark() -> None:
    sent = [Sent("d1", "methane", NOW_US + n * SECOND, value, False) for n, value in enumerate([0.0, 50.0, 51.0])]
    known = inventory()
    first, again = checked(known, sent), checked(known, sent)
    assert first.readings.quality.tolist() == [0, Quality.IMPLAUSIBLE, 0]
    # What is older than the last reading is not judged: the database has the first judgement already.
    assert again.readings.quality.tolist()[0] == 0
    assert known.last_ts.tolist()[0] == NOW_US + 2 * SECOND


@pytest.mark.parametrize("rate", [0, -1, "nan", "-inf"])
def test_a_greatest_rate_that_is_no_positive_number_leaves_the_catalogues(rate: object) -> None:
    row = SensorRow(11, 1, "gas", "d1", "methane", {"max_rate": rate}, NO_READING, 0.0)
    assert build([row], [(1, "gas", "d1")], CATALOGUE).max_rate.tolist() == [CATALOGUE.quantities["methane"].max_rate]


# --- roll-ups


def readings_at(pairs: list[tuple[int, int]]) -> Readings:
    ids, ts = (np.array(column, dtype=np.int64) for column in zip(*sorted(pairs), strict=True))
    return Readings(ids, ts, np.zeros(len(ids)), np.zeros(len(ids), dtype=np.int16))


def naive_notes(pairs: list[tuple[int, int]]) -> set[tuple[int, int]]:
    live_from = (NOW_US // BUCKET_US - 1) * BUCKET_US
    late = defaultdict(set)
    notes = set()
    for sensor, ts in pairs:
        bucket = ts // BUCKET_US * BUCKET_US
        if bucket >= live_from:
            notes.add((bucket, EVERY_SENSOR))
        else:
            late[bucket].add(sensor)
    for bucket, sensors in late.items():
        notes |= {(bucket, EVERY_SENSOR)} if len(sensors) > MANY else {(bucket, sensor) for sensor in sensors}
    return notes


bucket_moments = st.one_of(
    st.tuples(st.integers(-6, 2), st.sampled_from([0, 1, BUCKET_US // 2, BUCKET_US - 1])),
    st.tuples(st.just(-40_000), st.integers(0, BUCKET_US - 1)),
).map(lambda at: NOW_US // BUCKET_US * BUCKET_US + at[0] * BUCKET_US + at[1])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), bucket_moments), min_size=1, max_size=25),
    st.sampled_from([0, MANY - 1, MANY, MANY + 1]),
)
def test_the_buckets_of_any_batch_are_those_that_a_loop_finds(pairs: list[tuple[int, int]], crowd: int) -> None:
    late = NOW_US // BUCKET_US * BUCKET_US - 3 * BUCKET_US
    pairs = pairs + [(1000 + n, late + n) for n in range(crowd)]
    bucket, sensor = touched_buckets(readings_at(pairs), NOW)
    notes = list(zip(bucket.tolist(), sensor.tolist(), strict=True))
    assert len(notes) == len(set(notes))
    assert set(notes) == naive_notes(pairs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), bucket_moments), min_size=1, max_size=20), st.integers(0, 20))
def test_two_halves_of_a_batch_note_together_what_the_whole_notes(pairs: list[tuple[int, int]], cut: int) -> None:
    halves = [half for half in (pairs[:cut], pairs[cut:]) if half]
    notes = set()
    for half in halves:
        bucket, sensor = touched_buckets(readings_at(half), NOW)
        notes |= set(zip(bucket.tolist(), sensor.tolist(), strict=True))
    assert notes == naive_notes(pairs)


# --- sequence numbers


def sighted(numbers: list[tuple[str, int]]) -> dict[int, tuple[int, int, int]]:
    """Device -> lowest, highest, count of a batch with these (device, sequence number), -1 for a message without."""
    known = inventory()
    batch, decoded = batch_of([Sent(device, "methane", NOW_US, 15.0, False) for device, _ in numbers])
    places = [place for place, (_, seq) in enumerate(numbers) if seq >= 0]
    decoded.seq_message = np.array(places, dtype=np.int64)
    decoded.seq = np.array([numbers[place][1] for place in places], dtype=np.int64)
    seen = sightings(batch, decoded, devices_of(batch, known), known, {}, NOW.timestamp())
    figures = zip(seen.lowest.tolist(), seen.highest.tolist(), seen.n.tolist(), strict=True)
    return dict(zip(seen.device_id.tolist(), figures, strict=True))


numbered = st.lists(
    st.tuples(st.sampled_from(["d1", "d2", "d9"]), st.integers(-1, 30) | st.sampled_from([2**62, 2**40])), max_size=20
)


@settings(max_examples=120, deadline=None)
@given(numbered)
def test_sequence_numbers_are_summed_up_as_a_loop_does(numbers: list[tuple[str, int]]) -> None:
    wanted = {}
    for device, number in DEVICES.items():
        distinct = {seq for name, seq in numbers if name == device and seq >= 0}
        if distinct:
            wanted[number] = (min(distinct), max(distinct), len(distinct))
        elif any(name == device for name, _ in numbers):
            wanted[number] = (-1, -1, 0)
    assert sighted(numbers) == wanted


@settings(max_examples=80, deadline=None)
@given(st.sets(st.integers(0, 60), min_size=1, max_size=30), st.randoms(), st.lists(st.integers(0, 30), max_size=4))
def test_gaps_come_out_the_same_in_any_order_and_any_split_into_batches(
    arrived: set[int], random: object, cuts: list[int]
) -> None:
    shuffled = sorted(arrived)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    edges = sorted({0, len(shuffled), *(cut for cut in cuts if cut < len(shuffled))})
    parts = [sighted([("d1", seq) for seq in shuffled[start:stop]])[1] for start, stop in pairwise(edges)]
    lowest, highest, n = min(p[0] for p in parts), max(p[1] for p in parts), sum(p[2] for p in parts)
    assert highest - lowest + 1 - n == len(set(range(min(arrived), max(arrived) + 1)) - arrived)


# --- the books


@settings(max_examples=60, deadline=None)
@given(*[st.integers(0, 50)] * 3, st.data())
def test_the_books_of_any_batch_agree(good: int, repeated: int, rejects: int, data: st.DataObject) -> None:
    stored, kept = data.draw(st.integers(0, good)), data.draw(st.integers(0, rejects))
    counts = _counts(good, stored, repeated, rejects, kept)
    assert counts["received"] == counts["stored"] + counts["duplicate"] + counts["quarantined"]
    assert counts["received"] == good + repeated + rejects
    assert min(counts.values()) >= 0
