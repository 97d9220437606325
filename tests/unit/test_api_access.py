"""Who is counted when keys are wrong, and what it costs those who share an address with a guesser."""

import ipaddress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from api.access import _REMEMBERED, FAILURES, WINDOW_S, Failures, cookie_name, origin_of, session_token
from lifeline.model import Role
from lifeline.settings import load_settings
from lifeline.storage.keys import ApiKey, digest_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_an_address_waits_after_ten_wrong_keys_and_not_before() -> None:
    seen = Failures()
    for number in range(FAILURES):
        assert seen.wait_s("a", number) == 0
        seen.add("a", number)
    assert seen.wait_s("a", FAILURES) == WINDOW_S - FAILURES
    assert seen.wait_s("b", FAILURES) == 0


def test_the_wait_ends_by_itself() -> None:
    seen = Failures()
    for _ in range(FAILURES):
        seen.add("a", 100.0)
    assert seen.wait_s("a", 100.0 + WINDOW_S - 0.01) > 0
    assert seen.wait_s("a", 100.0 + WINDOW_S) == 0


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60))
def test_no_order_of_failures_lets_an_address_have_more_than_ten_in_a_minute(moments: list[float]) -> None:
    seen, looked_at = Failures(), []
    for at in sorted(moments):
        if seen.wait_s("a", at) <= 0:
            looked_at.append(at)
            seen.add("a", at)
    for first in looked_at:
        assert sum(first <= at < first + WINDOW_S for at in looked_at) <= FAILURES


def test_a_flood_of_addresses_is_forgotten_from_the_oldest_on_and_memory_stays_bounded() -> None:
    seen = Failures()
    for number in range(_REMEMBERED + 50):
        seen.add(str(number), 1.0)
    assert len(seen._seen) == _REMEMBERED
    assert "0" not in seen._seen


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", ""),
        ("127.0.0.1, 10.0.0.1", ""),
        ("x" * 60_000, ""),
        ("1.2.3.4:80", ""),
    ],
)
def test_one_who_guesses_is_one_whatever_address_he_takes(host: str, origin: str) -> None:
    assert origin_of(host) == origin


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_the_addresses_of_one_line_are_one_origin(address: ipaddress.IPv6Address, within: int) -> None:
    if address.ipv4_mapped is None:
        neighbour = ipaddress.IPv6Address(int(address) >> 64 << 64 | within)
        assert origin_of(str(neighbour)) == origin_of(str(address)) or neighbour.ipv4_mapped is not None


@given(st.text(max_size=300))
def test_what_a_proxy_passes_on_never_fills_the_memory(host: str) -> None:
    assert len(origin_of(host)) <= 43


@pytest.mark.parametrize(
    ("scheme", "settings", "name"),
    [
        ("http", {}, "lifeline_session"),
        ("https", {}, "__Host-lifeline_session"),
        ("http", {"public_url": "https://lifeline.example"}, "__Host-lifeline_session"),
        ("http", {"message_status": "Test"}, "lifeline_session"),
        ("http", {"message_status": "Exercise"}, "lifeline_session_exercise"),
        ("https", {"message_status": "Exercise"}, "__Host-lifeline_session_exercise"),
    ],
)
def test_a_server_reads_the_one_cookie_that_it_sets(scheme: str, settings: dict[str, str], name: str) -> None:
    names = {"__Host-" * secure + f"lifeline_session{end}" for secure in (0, 1) for end in ("", "_exercise")}
    cookie = "; ".join(f"{each}=of {each}" for each in sorted(names))
    app = FastAPI()
    app.state.city = SimpleNamespace(settings=load_settings(**settings))
    headers = [(b"host", b"here"), (b"cookie", cookie.encode())]
    request = Request({"type": "http", "scheme": scheme, "path": "/", "headers": headers, "app": app})
    assert (cookie_name(request), session_token(request)) == (name, f"of {name}")


def key(role: Role, **moments: datetime) -> ApiKey:
    return ApiKey("k", role, b"", NOW, moments.get("expires"), moments.get("revoked"), None)


def test_each_role_may_what_the_ones_before_it_may_and_nothing_above() -> None:
    order = [Role.INTAKE, Role.VIEWER, Role.FIELD, Role.OPERATOR, Role.ENGINEER, Role.ADMIN]
    assert list(Role) == order
    for mine, role in enumerate(order):
        assert [key(role).may(other) for other in order] == [rank <= mine for rank in range(len(order))]


def test_a_key_is_valid_until_the_moment_at_which_it_expires() -> None:
    assert key(Role.VIEWER, expires=NOW).valid_at(NOW - timedelta(microseconds=1))
    assert not key(Role.VIEWER, expires=NOW).valid_at(NOW)
    assert key(Role.VIEWER).valid_at(NOW + timedelta(days=36_500))


def test_a_revoked_key_is_revoked_even_where_the_clock_went_back() -> None:
    assert not key(Role.ADMIN, revoked=NOW).valid_at(NOW - timedelta(hours=1))


@given(st.text(max_size=200))
def test_no_text_breaks_the_look_up_of_a_key(text: str) -> None:
    digest = digest_of(text)
    assert (digest is not None) == (text.startswith("llk_") and len(text) <= 128)


@given(st.text(max_size=100), st.text(max_size=100))
def test_two_keys_have_two_digests(one: str, other: str) -> None:
    same = one.encode("utf-8", "replace") == other.encode("utf-8", "replace")
    assert (digest_of(f"llk_{one}") == digest_of(f"llk_{other}")) == same
