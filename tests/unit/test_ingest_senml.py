"""SenML packs (RFC 8428): base fields, relative times, foreign names; a record that is wrong costs only itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import senml

NOW_S = 1_795_248_000.0
DEVICE = "rtu-7"

channels = st.sampled_from(["methane", "level", "pressure.inlet", "pressure.outlet"])
absolute = st.floats(NOW_S - 1e6, NOW_S + 1e6)
values = st.floats(-1e6, 1e6)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
field_names = st.sampled_from(
    ["bn", "bt", "bv", "bver", "bu", "n", "t", "v", "vs", "vb", "vd", "s", "u", "x_", "other"]
)


def read(*records: dict[str, Any]) -> list[Any]:
    return list(senml.resolve(list(records), DEVICE, NOW_S))


def errors(found: list[Any]) -> list[str]:
    return [str(one) for one in found if isinstance(one, senml.RecordError)]


@given(st.lists(st.tuples(channels, absolute, values), min_size=1, max_size=10))
def test_plain_records_are_read_as_they_stand(rows):
    records = [{"n": f"{DEVICE}:{channel}", "t": t, "v": value} for channel, t, value in rows]
    assert read(*records) == [(channel, round(t * 1_000_000), value) for channel, t, value in rows]


@given(st.lists(st.tuples(channels, st.floats(-1e6, 1e6), values), min_size=1, max_size=10), absolute, values)
def test_base_fields_count_for_every_record_that_follows(rows, base_time, base_value):
    base = {"bn": f"{DEVICE}:", "bt": base_time, "bv": base_value}
    records = [base, *({"n": channel, "t": t, "v": value} for channel, t, value in rows)]
    expected = [(channel, round((base_time + t) * 1_000_000), base_value + value) for channel, t, value in rows]
    assert read(*records) == expected


@given(st.lists(st.dictionaries(field_names, anything, max_size=6), max_size=6))
def test_whatever_a_pack_holds_each_record_ends_as_one_reading_one_error_or_nothing(records):
    found = read(*records)
    assert len(found) <= len(records)
    for one in found:
        if not isinstance(one, senml.RecordError):
            channel, microseconds, value = one
            assert isinstance(channel, str)
            assert isinstance(microseconds, int)
            assert isinstance(value, float)


def test_a_base_name_may_change_within_a_pack():
    found = read(
        {"bn": f"{DEVICE}:level", "bt": NOW_S, "v": 1.0},
        {"bn": f"{DEVICE}:flow", "v": 2.0},
    )
    assert [channel for channel, _, _ in found] == ["level", "flow"]


@pytest.mark.parametrize(("t", "expected"), [(0, 0), (-5, -5), (-0.25, -0.25), (2**28 - 1, 2**28 - 1)])
def test_a_time_below_two_to_the_28_counts_from_the_arrival(t, expected):
    ((_, microseconds, _),) = read({"n": f"{DEVICE}:level", "t": t, "v": 1})
    assert microseconds == round((NOW_S + expected) * 1_000_000)


def test_a_time_from_two_to_the_28_on_is_absolute():
    ((_, microseconds, _),) = read({"n": f"{DEVICE}:level", "t": 2**28, "v": 1})
    assert microseconds == 2**28 * 1_000_000


def test_a_record_without_a_time_was_measured_when_it_came():
    ((_, microseconds, _),) = read({"n": f"{DEVICE}:level", "v": 1})
    assert microseconds == round(NOW_S * 1_000_000)


def test_a_record_without_a_value_takes_none_from_the_base_value():
    assert errors(read({"bn": f"{DEVICE}:level", "bv": 3.0}, {"n": ""})) == [
        "a numeric value is wanted, the record has no value"
    ]


@pytest.mark.parametrize("field", ["vs", "vb", "vd"])
def test_a_value_that_is_no_number_is_refused_by_its_kind(field):
    (message,) = errors(read({"n": f"{DEVICE}:level", field: "open"}))
    assert field in message


@pytest.mark.parametrize("name", ["rtu-8:level", "level", "rtu-7", "rtu-77:level", ""])
def test_a_payload_cannot_speak_for_another_device(name):
    (found,) = read({"n": name, "v": 1.0})
    assert isinstance(found, senml.ForeignNameError)


def test_a_bad_record_does_not_take_its_neighbours_with_it():
    found = read(
        {"bn": f"{DEVICE}:", "n": "level", "v": 1.0},
        {"n": "level", "v": "much"},
        {"n": "flow", "v": 3.0},
    )
    assert [type(one) for one in found] == [tuple, senml.RecordError, tuple]


@pytest.mark.parametrize("field", ["bt", "bv", "bver"])
@pytest.mark.parametrize("value", ["1", None, True, [], {}])
def test_a_base_field_that_is_no_number_is_an_error(field, value):
    assert errors(read({field: value, "n": f"{DEVICE}:level", "v": 1.0}))


def test_a_field_that_must_be_understood_and_is_not_refuses_its_record():
    (message,) = errors(read({"n": f"{DEVICE}:level", "v": 1.0, "new_": 1}))
    assert "new_" in message


def test_a_later_version_is_refused_and_this_one_is_not():
    assert errors(read({"bver": 11, "n": f"{DEVICE}:level", "v": 1.0}))
    assert not errors(read({"bver": 10, "n": f"{DEVICE}:level", "v": 1.0}))


def test_a_number_too_large_for_a_double_becomes_infinite_and_is_judged_later():
    ((_, _, value),) = read({"n": f"{DEVICE}:level", "v": 10**400})
    assert value == float("inf")


@pytest.mark.parametrize("t", [1e18, -1e18, float("inf"), float("-inf"), float("nan"), 10**400])
def test_a_time_that_no_calendar_has_is_an_error_and_names_the_channel(t):
    (found,) = read({"n": f"{DEVICE}:level", "t": t, "v": 1.0})
    assert isinstance(found, senml.RecordError)
    assert found.channel == "level"


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"n": "a:b", "v": 1}, True),
        ({"bn": "a:"}, True),
        ({}, True),
        ({"ts": 1, "v": {"methane": 1}}, False),
        ({"v": {"methane": 1}}, False),
        ({"ts": 1, "v": 1}, False),
        ([], False),
        ("x", False),
        (None, False),
    ],
)
def test_a_senml_record_is_told_from_lifelines_own_form(element, expected):
    assert senml.is_record(element) is expected
