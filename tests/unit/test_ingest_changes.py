"""What a batch changes beside its readings: quarantine, devices, statuses, roll-up notes; and the columns of COPY."""

import json
import struct
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ingest.batch import Batch, Reject
from ingest.changes import Changes, changes_of, quarantined, refused
from ingest.check import TimeLimits, check, devices_of, places_of
from ingest.decode import decode
from ingest.inventory import build
from ingest.rollups import BUCKET_US, MANY, touched_buckets
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Reason
from lifeline.storage.columns import EPOCH_OFFSET_US, Column, array_bytes, reading_block
from lifeline.storage.ingest import NO_READING, Readings, SensorRow

NOW = datetime(2026, 11, 21, 8, 5, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
KNOWN = build(
    [
        SensorRow(11, 1, "gas", "d1", "methane", {}, NO_READING, 0.0),
        SensorRow(12, 2, "gas", "d2", "methane", {}, 0, 0.0),
    ],
    [(1, "gas", "d1"), (2, "gas", "d2"), (3, "gas", "gateway")],
    shipped_catalogue(),
)


def changes(
    *messages: tuple[str, str], seen: dict[int, float] | None = None, redelivered: tuple[int, ...] = ()
) -> Changes:
    batch = Batch(
        1,
        [f"lifeline/v1/gas/{topic}".encode() for topic, _ in messages],
        [payload.encode() for _, payload in messages],
        [1] * len(messages),
        redelivered=set(redelivered),
        received_at=NOW,
    )
    decoded = decode(batch)
    devices = devices_of(batch, KNOWN)
    places = places_of(devices, decoded, KNOWN)
    checked = check(batch, decoded, KNOWN, shipped_catalogue(), TimeLimits(300, 86_400_000), NOW, places)
    return changes_of(batch, decoded, checked, devices, KNOWN, {} if seen is None else seen, NOW)


def reading(value: str = "1", seq: str = "", device: str = "d1") -> tuple[str, str]:
    number = f',"seq":{seq}' if seq else ""
    return f"{device}/readings", f'{{"ts":{NOW_MS},"v":{{"methane":{value}}}{number}}}'


def test_a_message_with_many_bad_readings_is_kept_whole_once() -> None:
    payload = json.dumps([{"ts": NOW_MS + n, "v": {"methane": 500 + n}} for n in range(50)])
    rejects = changes(("d1/readings", payload)).rejects
    assert len(rejects) == 50
    assert rejects[0].payload == payload.encode()
    assert json.loads(rejects[7].payload) == {
        "channel": "methane",
        "ts": (NOW + timedelta(milliseconds=7)).isoformat(),
        "value": 507.0,
    }
    assert sum(len(row.payload) for row in rejects) < 3 * len(payload)


def test_a_redelivered_message_has_the_same_digest_and_another_message_has_not() -> None:
    first, again, other = (changes(reading(value)).rejects[0] for value in ("500", "500", "501"))
    assert first.digest == again.digest != other.digest


def test_what_may_be_there_already_is_looked_up_and_in_a_batch_kept_once() -> None:
    rubbish, again, status = ("d1/readings", "rubbish"), ("d1/readings", "again"), ("d1/status", "up")
    found = changes(rubbish, rubbish, again, again, status, status, reading("500"), reading("500"), redelivered=(2, 3))
    kept = [(row.payload[:7], row.look_up) for row in found.rejects]
    wanted = [(b"rubbish", False), (b"rubbish", False), (b"again", True), (b"up", True), (b'{"ts":1', True)]
    assert sorted(kept) == sorted(wanted)
    assert found.rejected == 8


def test_text_that_postgresql_refuses_is_replaced_and_the_bytes_are_kept() -> None:
    batch = Batch(1, [b"lifeline/v1/gas/\xff\x00/readings"], [b"\x00"], [1], received_at=NOW)
    (row,) = quarantined(batch, [Reject(0, Reason.UNPARSABLE, "a\x00b", channel="\ud800\x00")])
    for text in (row.topic, row.detail, row.channel or ""):
        assert "\x00" not in text
        text.encode()
    assert row.payload == b"\x00"


def test_a_refused_message_changes_nothing_but_quarantine() -> None:
    batch = Batch(1, [b"lifeline/v1/gas/d1/readings"], [b"x"], [1], received_at=NOW)
    found = refused(batch, "refused: because")
    assert [row.reason for row in found.rejects] == [Reason.UNPARSABLE]
    assert (len(found.readings), len(found.newest), len(found.seen.device_id)) == (0, 0, 0)


def test_sequence_numbers_are_summed_up_by_device() -> None:
    seen = changes(reading(seq="5"), reading(seq="9"), reading(seq="9"), reading(seq="7", device="d2")).seen
    assert seen.device_id.tolist() == [1, 2]
    assert (seen.lowest.tolist(), seen.highest.tolist(), seen.n.tolist()) == ([5, 7], [9, 7], [2, 1])


def test_a_device_without_sequence_numbers_is_written_now_and_then() -> None:
    seen = {2: NOW.timestamp() - 1}
    assert changes(reading(), reading(device="d2"), seen=seen).seen.device_id.tolist() == [1]
    assert seen[1] == NOW.timestamp()
    assert changes(reading(), seen=seen).seen.device_id.tolist() == []


def test_a_device_that_sends_only_rubbish_was_seen_all_the_same() -> None:
    assert changes(("d2/readings", "rubbish")).seen.device_id.tolist() == [2]


def test_the_last_status_of_a_device_counts() -> None:
    found = changes(("gateway/status", "online"), ("gateway/status", "offline"), ("d9/status", "online"))
    assert [(s.device_id, s.status) for s in found.statuses] == [(3, "offline")]


def rows(*readings: tuple[int, int]) -> Readings:
    ids, ts = (np.array(column, dtype=np.int64) for column in zip(*readings, strict=True))
    return Readings(ids, ts, np.zeros(len(ids)), np.zeros(len(ids), dtype=np.int16))


NOW_US = NOW_MS * 1000
BUCKET = NOW_US // BUCKET_US * BUCKET_US


def notes(*readings: tuple[int, int]) -> list[tuple[int, int]]:
    bucket, sensor = touched_buckets(rows(*readings), NOW)
    return sorted(zip(bucket.tolist(), sensor.tolist(), strict=True))


def test_live_buckets_are_noted_for_every_sensor() -> None:
    assert notes((11, NOW_US), (12, NOW_US)) == [(BUCKET, 0)]
    assert notes((11, NOW_US), (12, NOW_US - BUCKET_US)) == [(BUCKET - BUCKET_US, 0), (BUCKET, 0)]


def test_late_buckets_are_noted_for_their_sensors() -> None:
    old = BUCKET - 10 * BUCKET_US
    assert notes((11, NOW_US), (11, old), (11, old + 1), (12, old + 5)) == [(old, 11), (old, 12), (BUCKET, 0)]


def test_a_late_bucket_of_very_many_sensors_is_noted_for_all() -> None:
    old = BUCKET - 10 * BUCKET_US
    many = [(n, old) for n in range(1, MANY + 2)]
    assert notes(*many, (5, old - BUCKET_US)) == [(old - BUCKET_US, 5), (old, 0)]


def test_copy_rows_are_forty_bytes_between_header_and_trailer() -> None:
    block = reading_block(
        np.array([7]), np.array([EPOCH_OFFSET_US + 5]), np.array([0.5]), np.array([3], dtype=np.int16)
    )
    assert block[:11] == b"PGCOPY\n\xff\r\n\x00"
    assert struct.unpack(">hiiiqidih", block[19:59]) == (4, 4, 7, 8, 5, 8, 0.5, 2, 3)
    assert block[59:] == b"\xff\xff"


@pytest.mark.parametrize(("kind", "size"), [("int2", 2), ("int4", 4), ("int8", 8), ("float8", 8), ("timestamptz", 8)])
def test_an_array_parameter_has_a_header_and_sized_elements(kind: str, size: int) -> None:
    data = array_bytes(Column(np.array([1, 2, 3]), kind))
    assert struct.unpack(">iiiii", data[:20])[0::3] == (1, 3)
    assert len(data) == 20 + 3 * (4 + size)


def test_a_part_of_a_batch_keeps_its_marks() -> None:
    batch = Batch(
        1, [b"a", b"b", b"c", b"d"], [b"1", b"2", b"3", b"4"], [1, 2, 3, 4], {1, 3}, {2}, {3: 99}, received_at=NOW
    )
    part = batch.part(2, 4)
    assert (part.topics, part.payloads, part.mids) == ([b"c", b"d"], [b"3", b"4"], [3, 4])
    assert (part.redelivered, part.retained, part.cut) == ({1}, {0}, {1: 99})
