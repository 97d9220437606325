"""Payload bytes to readings: what is good is read, what is not is said, nothing raises."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batch import Batch
from ingest.decode import Decoded, decode
from lifeline.model import Reason

TOPIC = b"lifeline/v1/gas/d1/readings"
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
TS = 1_795_248_000_250_000


def batch_of(*payloads: bytes, topic: bytes = TOPIC) -> Batch:
    return Batch(1, [topic] * len(payloads), list(payloads), [1] * len(payloads), received_at=NOW)


def rows(decoded: Decoded) -> list[tuple[int, str, int, float]]:
    columns = (decoded.message.tolist(), decoded.channel, decoded.ts.tolist(), decoded.value.tolist())
    return sorted(zip(*columns, strict=True))


def read(payload: bytes | dict[str, Any] | list[Any]) -> list[tuple[str, int, float]]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    decoded = decode(batch_of(raw))
    assert decoded.rejects == []
    return [row[1:] for row in rows(decoded)]


def refused(payload: bytes | dict[str, Any] | list[Any]) -> tuple[str, str]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    decoded = decode(batch_of(raw))
    assert rows(decoded) == []
    (reject,) = decoded.rejects
    return reject.reason, reject.detail


@pytest.mark.parametrize(
    ("ts", "microseconds"),
    [
        ("2026-11-21T08:00:00.250Z", TS),
        ("2026-11-21T16:00:00.25+08:00", TS),
        ("2026-11-21T02:30:00.25-05:30", TS),
        (1_795_248_000_250, TS),
        (1_795_248_000_250.5, TS + 500),
        ("1970-01-01T00:00:00Z", 0),
        (-1, -1000),
        (10**17, 253_402_300_799_000_000),
    ],
)
def test_a_time_may_be_text_with_an_offset_or_milliseconds(ts: str | float, microseconds: int) -> None:
    assert read({"ts": ts, "v": {"methane": 0.5}}) == [("methane", microseconds, 0.5)]


@pytest.mark.parametrize(
    ("ts", "why"),
    [
        ("2026-11-21T08:00:00", "timezone"),
        ("2026-11-21", "RFC3339"),
        ("2026-02-30T08:00:00Z", "RFC3339"),
        ("yesterday", "RFC3339"),
        (None, "missing"),
        (True, "bool"),
        ([1], "array"),
        ({}, "object"),
        (10**19, "<="),
    ],
)
def test_a_time_without_a_zone_or_without_sense_is_refused(ts: Any, why: str) -> None:
    reason, detail = refused({"ts": ts, "v": {"methane": 0.5}})
    assert reason == Reason.UNPARSABLE
    assert why in detail


def test_an_object_carries_several_channels_and_an_array_several_objects() -> None:
    one = {"ts": TS // 1000, "v": {"methane": 0.5, "level": 2}}
    assert read([one, {"ts": 0, "v": {"methane": 1}}]) == [
        ("level", TS, 2.0),
        ("methane", 0, 1.0),
        ("methane", TS, 0.5),
    ]


def test_backlog_and_sequence_numbers_are_read() -> None:
    payload = b'[{"ts":1,"v":{"a":1},"seq":7,"backlog":true},{"ts":2,"v":{"a":1},"seq":8}]'
    decoded = decode(batch_of(payload))
    assert decoded.backlog.tolist() == [True, False]
    assert (decoded.seq_message.tolist(), decoded.seq.tolist()) == ([0, 0], [7, 8])


def test_fields_that_are_not_known_are_passed_over() -> None:
    assert read({"ts": 0, "v": {"a": 1}, "firmware": {"version": [1, 2]}}) == [("a", 0, 1.0)]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\xff\xfe{",
        b"garbage",
        b'{"ts":1,"v":{"a":1}',
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{}",
        b"[[]]",
        b'{"ts":1,"v":{}}',
        b'{"ts":1}',
        b'{"v":{"a":1}}',
        b'{"ts":1,"v":[1]}',
        b'{"ts":1,"v":3}',
        b'{"ts":1,"v":{"\xff":1}}',
        b'{"ts":1,"v":{"a":1},"backlog":"yes"}',
        b"[" * 100_000,
        b'{"x":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"ts":1,"v":{"a":1}}{"ts":2,"v":{"a":1}}',
        b'{"ts":1,"v":{"a":1}},{"ts":2,"v":{"a":1}}',
        b'{"ts":1,"v":{"a":' + b"9" * 5000 + b"}}",
    ],
)
def test_what_cannot_be_read_is_one_reject_of_the_message(payload: bytes) -> None:
    decoded = decode(batch_of(b'{"ts":1,"v":{"a":1}}', payload, b'{"ts":2,"v":{"a":2}}'))
    finite = [row for row in rows(decoded) if math.isfinite(row[3])]
    assert finite == [(0, "a", 1000, 1.0), (2, "a", 2000, 2.0)]
    found = [reject.message for reject in decoded.rejects] or [r[0] for r in rows(decoded) if r not in finite]
    assert found == [1]


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"-Infinity", b'"NaN"', b"1e999", b"9" * 400])
def test_a_value_that_is_not_finite_costs_only_itself(token: bytes) -> None:
    decoded = decode(batch_of(b'{"ts":1,"v":{"a":' + token + b',"b":2}}'))
    assert decoded.rejects == []
    values = dict(zip(decoded.channel, decoded.value.tolist(), strict=True))
    assert not math.isfinite(values["a"])
    assert values["b"] == 2.0


@pytest.mark.parametrize("value", [None, True, "high", [1], {"x": 1}])
def test_a_value_that_is_no_number_costs_only_itself(value: Any) -> None:
    decoded = decode(batch_of(json.dumps({"ts": 1, "v": {"a": value, "b": 2}}).encode()))
    assert rows(decoded) == [(0, "b", 1000, 2.0)]
    (reject,) = decoded.rejects
    assert (reject.reason, reject.channel, reject.ts) == (Reason.UNPARSABLE, "a", 1000)


def test_a_bad_object_in_an_array_costs_only_itself() -> None:
    decoded = decode(batch_of(b'[{"ts":1,"v":{"a":1}},{"ts":"x","v":{"a":2}},5,{"ts":3,"v":{"a":3}}]'))
    assert [row[3] for row in rows(decoded)] == [1.0, 3.0]
    assert len(decoded.rejects) == 2


def test_a_wrong_sequence_number_does_not_cost_the_reading() -> None:
    decoded = decode(batch_of(b'{"ts":1,"v":{"a":1},"seq":"seven"}', b'{"ts":1,"v":{"a":1},"seq":-3}'))
    assert len(rows(decoded)) == 2
    assert decoded.seq.tolist() == []


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    assert read(b'{"ts":1,"v":{"a":1,"a":2}}') == [("a", 1000, 2.0)]


def test_payloads_that_complete_each_other_are_not_taken_for_each_other() -> None:
    """Joined with commas these would be three good objects, the second and third under the wrong device."""
    decoded = decode(batch_of(b'{"ts":1,"v":{"a":1},"x":[0', b'0]},{"ts":2,"v":{"a":2}}', b'{"ts":3,"v":{"a":3}}'))
    assert rows(decoded) == [(2, "a", 3000, 3.0)]
    assert [reject.message for reject in decoded.rejects] == [0, 1]


def test_a_message_that_was_cut_is_refused_with_its_length() -> None:
    batch = batch_of(b'{"ts":1,"v":{"a":1}}', b"x" * 10)
    batch.cut[1] = 10_000_000
    decoded = decode(batch)
    assert rows(decoded) == [(0, "a", 1000, 1.0)]
    assert "10000000 bytes" in decoded.rejects[0].detail


@pytest.mark.parametrize(
    ("payload", "status", "detail"),
    [
        (b"online", "online", None),
        (b" offline\n", "offline", None),
        (b'"online"', "online", None),
        (b'{"status":"offline","battery":3.1}', "offline", {"status": "offline", "battery": 3.1}),
    ],
)
def test_a_status_is_a_word_or_an_object(payload: bytes, status: str, detail: dict[str, Any] | None) -> None:
    ((_, word, text),) = decode(batch_of(payload, topic=b"lifeline/v1/gas/d1/status")).statuses
    assert word == status
    assert (None if text is None else json.loads(text)) == detail


@pytest.mark.parametrize("payload", [b"up", b'{"status":3}', b"{", b"\xff", b'["online"]', b"[" * 5000])
def test_a_status_that_says_nothing_is_refused(payload: bytes) -> None:
    decoded = decode(batch_of(payload, topic=b"lifeline/v1/gas/d1/status"))
    assert decoded.statuses == []
    assert len(decoded.rejects) == 1


def test_an_empty_status_takes_a_retained_one_back() -> None:
    decoded = decode(batch_of(b"", topic=b"lifeline/v1/gas/d1/status"))
    assert (decoded.statuses, decoded.rejects) == ([], [])


good_payloads = st.dictionaries(
    st.text(min_size=1, max_size=8), st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3
).map(lambda v: msgspec.json.encode({"ts": 1, "v": v}))
fragments = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b'"', b'"ts"', b'"v"', b"1", b"NaN", b"-", b'"n"', b"{}", b"\x00", b"\xf0"]
)
bad_payloads = st.one_of(st.binary(max_size=40), st.lists(fragments, max_size=25).map(b"".join))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["ts", "v", "n", "bn", "t", "bt", "seq", "backlog", "x"]), inner, max_size=4),
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(good_payloads, bad_payloads, json_values), min_size=1, max_size=8))
def test_any_bytes_end_as_readings_or_rejects_of_their_own_message(payloads: list[bytes]) -> None:
    decoded = decode(batch_of(*payloads))
    n = len(decoded.channel)
    assert [len(decoded.message), len(decoded.ts), len(decoded.value), len(decoded.backlog)] == [n] * 4
    assert {*decoded.message.tolist(), *(r.message for r in decoded.rejects)} == set(range(len(payloads)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(good_payloads, bad_payloads, json_values), min_size=1, max_size=8))
def test_a_message_means_the_same_alone_and_in_company(payloads: list[bytes]) -> None:
    together = rows(decode(batch_of(*payloads)))
    alone = [(place, *row[1:]) for place, one in enumerate(payloads) for row in rows(decode(batch_of(one)))]
    assert str(together) == str(sorted(alone))  # as text: NaN differs from itself


def test_a_senml_pack_is_read_with_its_base_fields() -> None:
    pack = [
        {"bn": "d1:", "bt": 1_795_248_000, "bv": 10, "n": "methane", "v": 0.5, "u": "%VOL"},
        {"n": "level", "t": 0.25, "v": 1},
        {"bn": "", "bv": 0, "n": "d1:flow", "v": 3},
    ]
    assert read(pack) == [("flow", TS - 250_000, 3.0), ("level", TS, 11.0), ("methane", TS - 250_000, 10.5)]


def test_senml_times_below_2_to_28_count_from_the_arrival() -> None:
    now_us = round(NOW.timestamp() * 1e6)
    assert read([{"n": "d1:a", "v": 1, "t": -60}, {"n": "d1:b", "v": 1}]) == [
        ("a", now_us - 60_000_000, 1.0),
        ("b", now_us, 1.0),
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"n": "d2:methane", "v": 1}, Reason.UNKNOWN_SENSOR),
        ({"n": "methane", "v": 1}, Reason.UNKNOWN_SENSOR),
        ({"n": "d1:methane", "vs": "high"}, Reason.UNPARSABLE),
        ({"n": "d1:methane", "vb": True}, Reason.UNPARSABLE),
        ({"n": "d1:methane", "v": "1"}, Reason.UNPARSABLE),
        ({"n": "d1:methane", "v": 1, "t": 1e300}, Reason.UNPARSABLE),
        ({"n": 5, "v": 1}, Reason.UNPARSABLE),
        ({"n": "d1:methane", "v": 1, "bver": 11}, Reason.UNPARSABLE),
        ({"n": "d1:methane", "v": 1, "future_": 1}, Reason.UNPARSABLE),
    ],
)
def test_a_bad_senml_record_costs_only_itself(record: dict[str, Any], reason: Reason) -> None:
    decoded = decode(batch_of(json.dumps([record, {"n": "d1:ok", "v": 1, "bver": 10}]).encode()))
    assert [row[1] for row in rows(decoded)] == ["ok"]
    assert [reject.reason for reject in decoded.rejects] == [reason]


def test_a_senml_pack_of_base_fields_alone_holds_no_reading() -> None:
    assert refused([{"bn": "d1:", "bt": 1_795_248_000}]) == (Reason.UNPARSABLE, "no reading in it")
