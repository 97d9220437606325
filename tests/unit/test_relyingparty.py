"""Logging in at another service, up to the person: what goes there, what comes back, and all that must not count."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey
from pydantic import SecretStr

from api.oidc import issuer_of
from api.relyingparty import AT_ONCE, CALLBACK, FLOW_S, LONGEST_ONWARD, Arrival, RefusedError, RelyingParty, _onward
from api.relyingparty import party_of as party_of_settings
from lifeline.errors import ConfigurationError
from lifeline.model import Role
from lifeline.principal import WHOLE, Kind
from lifeline.settings import Settings
from tests.api_process import PLAIN
from tests.issuer import CLIENT, SECRET, TestIssuer, running_issuer

HOME = "https://lifeline.city.example"


@pytest.fixture(scope="module")
def running() -> Iterator[TestIssuer]:
    with running_issuer("EdDSA", log_in=True) as issuer:
        yield issuer


@pytest.fixture
def server(running: TestIssuer) -> Iterator[TestIssuer]:
    """As it is when nothing is wrong, whatever the test before did to it."""
    said = dict(running.said)
    yield running
    running.said, running.person, running.added = said, {}, {"iss": running.url}
    running.answers.clear()


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def settings(server: TestIssuer, **said: Any) -> Settings:
    told = {"oidc_issuer": server.url, "oidc_client_id": CLIENT, "oidc_client_secret": SecretStr(SECRET)}
    return Settings(**(told | {"public_url": HOME} | said))


def party_of(server: TestIssuer, clock: Clock, **said: Any) -> RelyingParty:
    made = party_of_settings(settings(server, **said), clock)
    assert made is not None
    return made


def there(address: str) -> dict[str, str]:
    """What a browser brings back that goes to this address of the issuer."""
    answer = httpx.get(address, verify=PLAIN)
    assert answer.status_code == 302
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == HOME + CALLBACK
    return dict(parse_qsl(back.query))


def log_in(party: RelyingParty, onward: str = "/") -> Arrival:
    address, cookie = party.begin(onward)
    return party.finish(there(address), cookie)


def refused(party: RelyingParty, said: dict[str, str], cookie: str | None) -> str:
    with pytest.raises(RefusedError) as error:
        party.finish(said, cookie)
    return error.value.word


# ------------------------------------------------------------------------------------------------------ who comes in


def test_somebody_comes_in_as_the_service_says_and_goes_on_where_he_wanted_to(server: TestIssuer, clock: Clock) -> None:
    found = log_in(party_of(server, clock), "/?view=report&lang=zh")
    assert (found.who.name, found.who.role, found.who.kind, found.who.scope) == (
        "li.wei", Role.OPERATOR, Kind.SSO, WHOLE,
    )  # fmt: skip
    assert (found.subject, found.onward) == ("f3a1", "/?view=report&lang=zh")


def test_roles_and_limits_come_of_the_same_claims_as_those_of_bearer_tokens(server: TestIssuer, clock: Clock) -> None:
    server.person = {"realm_access": {"roles": ["duty"]}, "networks": "gas"}
    told = {"oidc_role_claim": "realm_access.roles", "oidc_roles": ["duty=engineer"], "oidc_networks_claim": "networks"}
    found = log_in(party_of(server, clock, **told)).who
    assert (found.role, found.scope.networks) == (Role.ENGINEER, ("gas",))


def test_what_goes_to_the_service_holds_a_challenge_and_no_secret(server: TestIssuer, clock: Clock) -> None:
    party = party_of(server, clock, oidc_scopes="openid profile groups")
    asked = [dict(parse_qsl(urlsplit(party.begin("/")[0]).query)) for _ in range(2)]
    assert asked[0]["scope"] == "openid profile groups"
    assert (asked[0]["redirect_uri"], asked[0]["client_id"]) == (HOME + CALLBACK, CLIENT)
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[0][name]) == 43
        assert asked[0][name] != asked[1][name], "of this log-in alone"
    assert len({asked[0][name] for name in ("state", "nonce", "code_challenge")}) == 3
    assert "verifier" not in str(asked[0].keys())
    assert SECRET not in str(asked)


def test_a_code_is_exchanged_by_the_way_that_the_service_takes(server: TestIssuer, clock: Clock) -> None:
    server.said["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert log_in(party_of(server, clock)).who.name == "li.wei"
    server.said["token_endpoint_auth_methods_supported"] = ["private_key_jwt", "client_secret_basic"]
    assert log_in(party_of(server, clock)).who.name == "li.wei"


def test_any_process_of_the_api_finishes_what_another_began(server: TestIssuer, clock: Clock) -> None:
    address, cookie = party_of(server, clock).begin("/")
    assert party_of(server, clock).finish(there(address), cookie).who.name == "li.wei"


def test_who_logs_out_here_is_sent_to_log_out_there(server: TestIssuer, clock: Clock) -> None:
    party = party_of(server, clock)
    place = urlsplit(party.farewell())
    assert f"{place.scheme}://{place.netloc}{place.path}" == f"{server.url}/out"
    assert dict(parse_qsl(place.query)) == {"client_id": CLIENT, "post_logout_redirect_uri": f"{HOME}/"}
    del server.said["end_session_endpoint"]
    assert party_of(server, clock).farewell() == "/"
    server.said["end_session_endpoint"] = "javascript:alert(1)"
    assert party_of(server, clock).farewell() == "/"


# --------------------------------------------------------------------------------------------------- and who does not


def test_a_code_counts_once(server: TestIssuer, clock: Clock) -> None:
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    said = there(address)
    party.finish(said, cookie)
    assert refused(party, said, cookie) == "broken"


@pytest.mark.parametrize("state", ["", "x" * 43, "é", None])
def test_another_state_is_not_taken_and_the_service_not_asked(
    state: str | None, server: TestIssuer, clock: Clock
) -> None:
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    said = there(address)
    asked = server.asked.count("/token")
    changed = {name: value for name, value in (said | {"state": state}).items() if value is not None}
    assert refused(party, changed, cookie) == "stale"
    assert server.asked.count("/token") == asked


def test_the_answer_to_one_log_in_does_not_finish_another(server: TestIssuer, clock: Clock) -> None:
    """Log-in CSRF: an attacker has a victim's browser bring the answer that he got for himself."""
    party = party_of(server, clock)
    mine, (_, victims) = party.begin("/")[0], party.begin("/")
    said = there(mine)
    assert refused(party, said, victims) == "stale"
    assert refused(party, said, None) == "stale"


def test_a_code_of_another_log_in_is_worth_nothing_even_with_the_right_state(server: TestIssuer, clock: Clock) -> None:
    """Code injection: PKCE has the service refuse it."""
    party = party_of(server, clock)
    stolen = there(party.begin("/")[0])["code"]
    address, cookie = party.begin("/")
    assert refused(party, there(address) | {"code": stolen}, cookie) == "broken"


def test_a_cookie_that_was_changed_or_made_elsewhere_opens_nothing(server: TestIssuer, clock: Clock) -> None:
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    said = there(address)
    state, begun, onward, mac = cookie.split(".")
    other = party_of(server, clock, oidc_client_secret=SecretStr("another")).begin("/")[1]
    forged = [
        f"{state}.{int(begun) + 1}.{onward}.{mac}", f"{state}.{begun}.{onward}Lw.{mac}", f"{state}.{begun}.{onward}.",
        f"{state}.{begun}.{onward}", "", ".", "...", "é.1.2.3", other, cookie[:-1], cookie + "A",
    ]  # fmt: skip
    for each in forged:
        assert refused(party, said, each) == "stale", each
    assert party.finish(said, cookie).who.name == "li.wei", "what was tried meanwhile does the right one no harm"


def test_who_takes_too_long_begins_anew(server: TestIssuer, clock: Clock) -> None:
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    said = there(address)
    for late_s in (FLOW_S + 1, -5):
        clock.now += timedelta(seconds=late_s)
        assert refused(party, said, cookie) == "stale"
        clock.now -= timedelta(seconds=late_s)


@pytest.mark.parametrize(
    ("person", "word"),
    [
        ({"nonce": "of another log-in"}, "broken"), ({"nonce": None}, "broken"), ({"nonce": 7}, "broken"),
        ({"aud": "another"}, "broken"), ({"aud": [CLIENT, "another"]}, "broken"),
        ({"azp": "another"}, "broken"), ({"aud": [CLIENT, "another"], "azp": "another"}, "broken"),
        ({"iss": "https://evil.example"}, "broken"), ({"exp": 1_700_000_000}, "broken"), ({"sub": None}, "broken"),
        ({"roles": ["stranger"]}, "unknown"), ({"roles": ["intake"]}, "unknown"), ({"roles": None}, "unknown"),
    ],
    ids=str,
)  # fmt: skip
def test_an_id_token_that_is_not_the_answer_for_us_opens_nothing(
    person: dict[str, Any], word: str, server: TestIssuer, clock: Clock
) -> None:
    server.person = person
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    assert refused(party, there(address), cookie) == word


def test_an_id_token_for_others_too_counts_where_it_was_given_to_us(server: TestIssuer, clock: Clock) -> None:
    server.person = {"aud": [CLIENT, "another"], "azp": CLIENT}
    assert log_in(party_of(server, clock)).who.name == "li.wei"


def test_an_id_token_by_a_key_of_somebody_else_opens_nothing(server: TestIssuer, clock: Clock) -> None:
    party = party_of(server, clock)
    log_in(party)
    real = server.keys[0]
    server.keys[0] = OKPKey.generate_key("Ed25519", {"kid": real.kid})
    try:
        address, cookie = party.begin("/")
        assert refused(party, there(address), cookie) == "broken"
    finally:
        server.keys[0] = real


@pytest.mark.parametrize("iss", ["https://evil.example", "", None])
def test_the_answer_of_another_issuer_is_not_taken_to_ours(iss: str | None, server: TestIssuer, clock: Clock) -> None:
    """Mix-up (RFC 9207): ours says that it always tells who it is, so an answer without is none of its own either."""
    party = party_of(server, clock)
    server.added = {} if iss is None else {"iss": iss}
    address, cookie = party.begin("/")
    asked = server.asked.count("/token")
    assert refused(party, there(address), cookie) == "broken"
    assert server.asked.count("/token") == asked


def test_a_service_that_does_not_tell_who_it_is_is_taken_at_its_word(server: TestIssuer, clock: Clock) -> None:
    server.said["authorization_response_iss_parameter_supported"] = False
    server.added = {}
    assert log_in(party_of(server, clock)).who.name == "li.wei"
    server.added = {"iss": "https://evil.example"}
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    assert refused(party, there(address), cookie) == "broken"


def test_who_says_no_there_is_not_logged_in_here(server: TestIssuer, clock: Clock) -> None:
    server.added |= {"error": "access_denied"}
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    assert refused(party, there(address), cookie) == "denied"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((500, b"", {}), "broken"), ((302, b"", {"Location": "/keys"}), "broken"), ((200, b"[]", {}), "broken"),
        ((200, b"{}", {}), "broken"), ((200, b'{"id_token": 7}', {}), "broken"),
        ((200, b"x" * 2_000_000, {}), "broken"), ((200, b'{"id_token": "a.b.c"}', {}), "broken"),
    ],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
def test_a_service_that_answers_wrongly_logs_nobody_in(
    answer: tuple[int, bytes, dict[str, str]], word: str, server: TestIssuer, clock: Clock
) -> None:
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    said = there(address)
    server.answers["/token"] = answer
    assert refused(party, said, cookie) == word


def test_a_service_that_is_away_is_told_as_such(clock: Clock) -> None:
    with running_issuer("EdDSA", log_in=True) as gone:
        party = party_of(gone, clock)
        address, cookie = party.begin("/")
        said = there(address)
    assert refused(party, said, cookie) == "away"
    with pytest.raises(RefusedError) as error:
        party_of(gone, clock).begin("/")
    assert error.value.word == "away"
    assert party_of(gone, clock).farewell() == "/"


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("place", ["http://127.0.0.1.evil.example/x", "ftp://x/", "", None, "javascript:alert(1)"])
def test_an_address_of_the_service_that_is_not_safe_is_not_gone_to(
    name: str, place: str | None, server: TestIssuer, clock: Clock
) -> None:
    said = dict(server.said)
    address, cookie = party_of(server, clock).begin("/")
    answer = there(address)
    server.said = said | {name: place}
    party = party_of(server, clock)
    with pytest.raises(RefusedError) as error:
        party.finish(answer, cookie) if name == "token_endpoint" else party.begin("/")
    assert error.value.word == "broken"


def test_so_many_at_once_hold_a_thread_and_the_rest_is_told_to_come_again(server: TestIssuer, clock: Clock) -> None:
    party = party_of(server, clock)
    address, cookie = party.begin("/")
    said = there(address)
    for _ in range(AT_ONCE):
        party._exchanging.acquire()
    assert refused(party, said, cookie) == "away"
    for _ in range(AT_ONCE):
        party._exchanging.release()
    assert party.finish(said, cookie).who.name == "li.wei"


# ------------------------------------------------------------------------------------------------- where one goes on


@pytest.mark.parametrize(
    "asked",
    [
        "//evil.example", "/\\evil.example", "https://evil.example", "/x", "/api/v1/session", "", "javascript:alert(1)",
        "/?a=\nSet-Cookie: x", "/?a b", "/#key=llk_x", "/?a#in", "\\\\evil", "/?" + "x" * LONGEST_ONWARD, "/?\u4e2d",
        "/%2f/evil", "///", "/.evil.example", "/?a\r\n", "/?a\n",
    ],
)  # fmt: skip
def test_only_the_page_itself_is_gone_on_to(asked: str) -> None:
    assert _onward(asked) == "/"


@given(st.text(max_size=60))
def test_whatever_is_asked_for_one_goes_on_at_this_server(asked: str) -> None:
    found = _onward(asked)
    parts = urlsplit(f"{HOME}{found}")
    assert (parts.netloc, parts.path) == ("lifeline.city.example", "/")
    assert found.isascii()
    assert found.isprintable()


def test_a_view_of_the_page_is_gone_on_to() -> None:
    for kept in ("/", "/?view=report", "/?lang=zh&at=117.2,31.8,12.5&find=%E4%B8%AD"):
        assert _onward(kept) == kept


# ------------------------------------------------------------------------------------------------------ the settings


def test_half_a_configuration_is_told_at_the_start(server: TestIssuer, clock: Clock) -> None:
    for name, told in (
        ("oidc_issuer", "LIFELINE_OIDC_ISSUER"),
        ("oidc_client_secret", "LIFELINE_OIDC_CLIENT_SECRET_FILE"),
        ("public_url", "LIFELINE_PUBLIC_URL"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            party_of(server, clock, **{name: SecretStr("") if "secret" in name else ""})
    assert party_of_settings(settings(server, oidc_client_id=""), clock) is None


def test_with_log_in_alone_no_bearer_token_counts(server: TestIssuer, clock: Clock) -> None:
    assert issuer_of(settings(server), clock) is None
    assert issuer_of(settings(server, oidc_audience="lifeline"), clock) is not None
    with pytest.raises(ConfigurationError, match="LIFELINE_OIDC_CLIENT_ID"):
        issuer_of(settings(server, oidc_client_id=""), clock)
