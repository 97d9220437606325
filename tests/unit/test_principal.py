"""Who acts, what he may, and the part of the city that he has; passwords."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline import password as passwords
from lifeline.errors import RejectedDataError
from lifeline.model import Role
from lifeline.principal import WHOLE, Kind, Principal, Scope, at_least, scope_of
from lifeline.storage import sessions
from lifeline.storage.users import name_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = st.lists(st.text(min_size=1, max_size=5), max_size=6)


@given(st.none() | NAMES, st.none() | NAMES)
def test_a_scope_is_the_same_however_it_was_told(networks: list[str] | None, zones: list[str] | None) -> None:
    scope = scope_of(networks, zones)
    assert scope == scope_of((networks or [])[::-1] * 2, (zones or [])[::-1] * 2)
    assert scope.whole == (not networks and not zones)
    assert scope.networks is None or set(scope.networks) == set(networks or ())
    assert hash(scope) == hash(Scope(scope.networks, scope.zones)), "a scope is a key of what was drawn for it"


@given(st.sampled_from(list(Role)), st.sampled_from(list(Role)))
def test_of_two_roles_one_may_what_the_other_may(mine: Role, other: Role) -> None:
    assert at_least(mine, other) or at_least(other, mine)
    assert (at_least(mine, other) and at_least(other, mine)) == (mine == other)
    assert Principal("x", mine, Kind.USER).may(other) == at_least(mine, other)


def test_a_principal_is_valid_until_the_moment_at_which_it_expires() -> None:
    who = Principal("x", Role.VIEWER, Kind.TOKEN, WHOLE, NOW)
    assert who.valid_at(NOW - timedelta(microseconds=1))
    assert not who.valid_at(NOW)
    assert Principal("x", Role.VIEWER, Kind.KEY).valid_at(NOW + timedelta(days=36_500))


@pytest.mark.parametrize(
    ("text", "weak"),
    [
        ("", True),
        ("short", True),
        ("elevenchars", True),
        ("twelve chars", False),
        ("aaaaaaaaaaaaaaaa", True),
        ("abcdabcdabcdabcd", True),
        ("my name is Li.Wei, so what", True),
        ("一二三四五六七八九十百千", False),
        ("x y z " * 42 + "1234", False),
        ("x y z " * 42 + "12345", True),
    ],
)
def test_a_password_is_long_enough_and_not_the_name(text: str, weak: bool) -> None:
    assert (passwords.weakness(text, "li.wei") is not None) == weak


def test_a_password_fits_its_own_hash_and_no_other() -> None:
    made, again = passwords.hashed("twelve chars"), passwords.hashed("twelve chars")
    assert made != again, "each has a salt of its own"
    assert made.startswith("$argon2id$")
    assert "twelve" not in made
    assert passwords.fits("twelve chars", made)
    assert passwords.fits("twelve chars", again)
    for wrong in ("twelve charS", "", "twelve chars ", "x" * 10_000):
        assert not passwords.fits(wrong, made)
    assert not passwords.outdated(made)
    assert passwords.outdated(made.replace("t=2", "t=1"))


@pytest.mark.parametrize("known", [None, "", "$argon2id$v=19$broken", "plain text"])
def test_without_a_hash_nothing_fits_not_even_what_nobody_has(known: str | None) -> None:
    assert not passwords.fits("the password of nobody", known)


@pytest.mark.parametrize("name", ["", " ", "a" * 65, "a b", "A\0B", "-x", "é", "../x", "x;y", ".hidden"])
def test_a_name_that_will_not_do_is_refused(name: str) -> None:
    with pytest.raises(RejectedDataError, match="a-z"):
        name_of(name)


@pytest.mark.parametrize("name", ["li.wei", " Li.Wei ", "LI.WEI"])
def test_a_name_is_the_same_in_upper_and_lower_case(name: str) -> None:
    assert name_of(name) == "li.wei"


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_proof_of_a_session_tells_nothing_of_another(one: str, other: str) -> None:
    same = one.encode("utf-8", "replace") == other.encode("utf-8", "replace")
    assert (sessions.csrf_of(one) == sessions.csrf_of(other)) == same
    assert len(sessions.csrf_of(one)) == 64


@given(st.text(max_size=200))
def test_no_text_breaks_the_look_up_of_a_token(text: str) -> None:
    assert (sessions.digest_of(text, "lls_") is not None) == (text.startswith("lls_") and len(text) <= 128)
