"""The wire contract's topics and names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline import wire

identifiers = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,30}", fullmatch=True)


@given(identifiers, identifiers)
def test_a_topic_that_was_built_is_read_back(network, device):
    assert wire.parse_topic(wire.readings_topic(network, device)) == (network, device, "readings")
    assert wire.parse_topic(wire.status_topic(network, device)) == (network, device, "status")


@given(st.text())
def test_any_other_text_is_no_topic_or_has_five_levels(text):
    parsed = wire.parse_topic(text)
    assert parsed is None or text.count("/") == 4


@pytest.mark.parametrize(
    "topic", ["lifeline/v2/gas/d/readings", "other/v1/gas/d/readings", "lifeline/v1/gas/d/x", "", "/"]
)
def test_other_versions_roots_and_leaves_are_refused(topic):
    assert wire.parse_topic(topic) is None


@pytest.mark.parametrize("name", ["RTU-7", "rtu.7", "a", "A:1", "x" * 64])
def test_names_that_are_safe_in_a_topic_an_acl_and_a_url_are_taken(name):
    assert wire.is_identifier(name)


@pytest.mark.parametrize("name", ["", "a/b", "a+b", "#", "a b", "-a", "x" * 65, "人民路", "a\n", "a\x00"])
def test_names_that_are_not_safe_are_refused(name):
    assert not wire.is_identifier(name)


@pytest.mark.parametrize(
    ("channel", "good"),
    [
        ("methane", True),
        ("pressure.outlet", True),
        ("pressure.", False),
        ("Pressure", False),
        ("a.b.c", False),
        ("", False),
    ],
)
def test_a_channel_is_a_quantity_with_an_optional_suffix(channel, good):
    assert wire.is_channel(channel) is good


def test_a_shared_filter_names_the_group():
    assert wire.shared(wire.READINGS_FILTER) == "$share/lifeline/lifeline/v1/+/+/readings"
