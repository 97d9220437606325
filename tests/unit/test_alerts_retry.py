"""When a delivery is tried again, and what is sent and signed."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.delivery import sign
from alerts.retry import FAST, SLOW, next_delay, retry_after
from lifeline.model import Level

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def plan(level: Level) -> list[float]:
    found = [0.0]
    while (delay := next_delay(level, len(found), 500, None, 0)) is not None:
        found.append(delay)
    return found


def test_an_ordinary_message_is_tried_ten_times_over_three_days() -> None:
    assert plan(Level.ORANGE) == list(SLOW)
    assert 70 < sum(SLOW) / 3600 < 80


def test_a_red_one_is_tried_five_times_in_the_first_two_minutes() -> None:
    assert plan(Level.RED)[:5] == list(FAST)
    assert plan(Level.RED)[5:] == list(SLOW[2:])


@pytest.mark.parametrize("status", [429, 502, 504])
def test_an_overloaded_receiver_is_left_alone_for_longer(status: int) -> None:
    assert next_delay(Level.BLUE, 2, status, None, 0) == 600
    assert next_delay(Level.BLUE, 2, 500, None, 0) == 300


def test_retry_after_is_honoured_as_a_number_and_as_a_date() -> None:
    assert retry_after("120", NOW) == 120
    assert retry_after("Sat, 21 Nov 2026 12:05:00 GMT", NOW) == 300
    assert retry_after("Sat, 21 Nov 2026 11:05:00 GMT", NOW) == 0
    assert [retry_after(value, NOW) for value in (None, "", "soon", "-5")] == [None] * 4
    assert next_delay(Level.RED, 1, 503, 900, 0) == 900
    assert next_delay(Level.RED, 1, 503, 1e9, 0) == 86_400


@given(st.sampled_from(Level), st.integers(1, 15), st.floats(0, 1, exclude_max=True))
def test_chance_only_ever_delays_and_by_a_fifth_at_most(level: Level, attempts: int, chance: float) -> None:
    plain, spread = next_delay(level, attempts, 500, None, 0), next_delay(level, attempts, 500, None, chance)
    assert (plain is None) == (spread is None)
    if plain is not None and spread is not None:
        assert plain <= spread <= max(plain * 1.2, 0)


def test_the_signature_is_that_of_the_test_vector() -> None:
    headers = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-timestamp"] == "1614265330"


def test_a_secret_that_is_none_is_an_error_and_no_crash() -> None:
    with pytest.raises(ValueError):
        sign("whsec_$", "msg_1", NOW + timedelta(seconds=1), b"{}")


def test_while_a_secret_is_replaced_both_sign() -> None:
    one, other = ("whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    both = sign(f"{one} {other}", "msg_1", NOW, b"{}")["webhook-signature"].split(" ")
    assert both == [sign(secret, "msg_1", NOW, b"{}")["webhook-signature"] for secret in (one, other)]
