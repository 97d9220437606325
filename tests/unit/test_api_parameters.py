"""What requests may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.access import FAILURES, WINDOW_S, Failures
from api.parameters import box_of, decode_cursor, encode_cursor
from api.problems import ProblemError
from lifeline.geo import Box
from lifeline.model import Role
from lifeline.storage.changes import EVERYTHING, words
from lifeline.storage.keys import ApiKey, digest_of


def test_a_box_is_west_south_east_north() -> None:
    assert box_of("117.1,31.7,117.2,31.8") == Box(117.1, 31.7, 117.2, 31.8)
    assert box_of(None) is None


@pytest.mark.parametrize(
    "text",
    ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,0,1,1", "2,0,1,1", "0,2,1,1", "-181,0,1,1", "0,0,1,91", "0,0,inf,1"],
)
def test_what_is_no_box_is_refused(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        box_of(text)
    assert caught.value.status == 400


@given(st.text(max_size=40))
def test_any_text_is_a_box_or_refused(text: str) -> None:
    try:
        box = box_of(text)
    except ProblemError:
        return
    assert box is not None
    assert box.west <= box.east
    assert box.south <= box.north


@given(st.integers(0, 2**63 - 1), st.text(max_size=30))
def test_a_cursor_gives_back_what_it_was_made_of(number: int, text: str) -> None:
    assert decode_cursor(encode_cursor(number, text), int, str) == (number, text)


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        values = decode_cursor(text, int)
    except ProblemError:
        return
    assert values is not None
    assert 0 <= values[0] < 2**63


@pytest.mark.parametrize("values", [(True,), (-1,), (1, 2), ("1",), (2**63,)])
def test_a_cursor_of_the_wrong_kind_is_refused(values: tuple[int, ...]) -> None:
    with pytest.raises(ProblemError):
        decode_cursor(encode_cursor(*values), int)


def test_an_address_waits_after_too_many_wrong_keys_and_only_for_a_while() -> None:
    failures = Failures()
    for n in range(FAILURES):
        assert failures.wait_s("1.2.3.4", n) == 0
        failures.add("1.2.3.4", float(n))
    assert failures.wait_s("1.2.3.4", FAILURES) == WINDOW_S - FAILURES
    assert failures.wait_s("5.6.7.8", FAILURES) == 0
    assert failures.wait_s("1.2.3.4", WINDOW_S + 0.5) == 0


def test_the_memory_of_wrong_keys_is_bounded() -> None:
    failures = Failures()
    for n in range(10_500):
        failures.add(str(n), 0.0)
    assert len(failures._seen) == 10_000


def test_each_role_may_do_what_the_ones_before_it_may() -> None:
    order = list(Role)
    for at, role in enumerate(order):
        key = ApiKey("k", role, b"", None, None, None, None)  # type: ignore[arg-type]
        assert [key.may(each) for each in order] == [n <= at for n in range(len(order))]


@pytest.mark.parametrize("text", ["", "llk", "Bearer llk_x", "llk_" + "x" * 200, "sk_123"])
def test_what_cannot_be_a_key_has_no_digest(text: str) -> None:
    assert digest_of(text) is None


@given(st.text(max_size=100))
def test_any_text_after_the_prefix_has_a_digest_or_is_too_long(text: str) -> None:
    digest = digest_of("llk_" + text)
    assert digest is not None
    assert len(digest) == 32


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ('{"what": "alert", "count": 3}', {"alert"}),
        ('{"what": "risk"}', {"risk"}),
        ("", EVERYTHING),
        ("not json", EVERYTHING),
        ("[]", EVERYTHING),
        ('{"what": ["alert"]}', EVERYTHING),
        ('{"what": "tea"}', EVERYTHING),
    ],
)
def test_a_notice_says_what_changed_or_that_anything_may_have(payload: str, told: set[str]) -> None:
    assert words(payload) == told
