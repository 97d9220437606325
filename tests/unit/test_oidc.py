"""Tokens of another issuer, with real keys over real HTTP: who is let in as what, and everything that is not."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from structlog.testing import capture_logs

from api import keyring
from api.application import create_app
from api.keyring import IssuerAwayError
from api.oidc import LEEWAY_S, LONGEST_TOKEN, Issuer, WrongTokenError, issuer_of, name_of
from lifeline.errors import ConfigurationError
from lifeline.model import Role
from lifeline.principal import WHOLE, Kind, Scope
from lifeline.settings import Settings, load_settings
from tests.api_process import until
from tests.issuer import AUDIENCE, TestIssuer, running_issuer

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
AT = NOW.timestamp()


@pytest.fixture(scope="module")
def server() -> Iterator[TestIssuer]:
    """With a key of each kind, which no test changes."""
    with running_issuer("RS256", "ES256", "EdDSA") as issuer:
        yield issuer


@pytest.fixture
def fresh() -> Iterator[TestIssuer]:
    """One of a test's own, with one key."""
    with running_issuer("EdDSA") as issuer:
        yield issuer


class Clock:
    """Seconds of the keyring's monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(keyring, "time", made)
    return made


def issuer(server: TestIssuer, at: datetime = NOW, **said: Any) -> Issuer:
    made = issuer_of(Settings(oidc_issuer=server.url, oidc_audience=AUDIENCE, **said), lambda: at)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def ours(server: TestIssuer) -> Issuer:
    return issuer(server)


# ---------------------------------------------------------------------------------------------------- who is let in


@pytest.mark.parametrize("number", [0, 1, 2], ids=["RS256", "ES256", "EdDSA"])
def test_a_good_token_says_who_somebody_is_as_what_and_until_when(
    number: int, server: TestIssuer, ours: Issuer
) -> None:
    found = ours.principal(server.token(AT, key=server.keys[number]))
    assert (found.name, found.role, found.kind, found.scope) == ("li.wei", Role.OPERATOR, Kind.TOKEN, WHOLE)
    assert found.expires_at == NOW + timedelta(seconds=300 + LEEWAY_S)
    assert len(found.digest) == 32


def test_the_new_name_of_eddsa_is_taken_too_and_so_are_headers_that_mean_nothing_here(
    server: TestIssuer, ours: Issuer
) -> None:
    header = {"alg": "Ed25519", "x-of-theirs": 1, "typ": "at+jwt"}
    assert ours.principal(server.token(AT, header=header)).name == "li.wei"


@pytest.mark.parametrize(
    ("said", "role"),
    [
        (["viewer", "engineer", "field"], Role.ENGINEER),
        ("offline_access admin", Role.ADMIN),
        (["Admin", "viewer", 7, None], Role.VIEWER),
    ],
)
def test_the_highest_role_counts_and_names_that_are_none_of_ours_do_not(
    said: Any, role: Role, server: TestIssuer, ours: Issuer
) -> None:
    assert ours.principal(server.token(AT, roles=said)).role == role


def test_the_issuers_own_names_of_roles_are_told_by_the_settings_and_then_ours_count_no_more(
    server: TestIssuer,
) -> None:
    told = issuer(server, oidc_role_claim="realm_access.roles", oidc_roles=["cn=duty,ou=gas=operator", "boss=admin"])
    assert told.principal(server.token(AT, realm_access={"roles": ["cn=duty,ou=gas"]})).role == Role.OPERATOR
    assert told.principal(server.token(AT, realm_access={"roles": ["cn=duty,ou=gas", "boss"]})).role == Role.ADMIN
    for wrong in ({"roles": ["admin"]}, {"roles": []}, ["boss"], None, {"roles": {"boss": 1}}):
        with pytest.raises(WrongTokenError, match="no role of ours"):
            told.principal(server.token(AT, realm_access=wrong))


def test_a_claim_whose_own_name_has_dots_is_found_by_it(server: TestIssuer) -> None:
    told = issuer(server, oidc_role_claim="https://city.example/roles")
    assert told.principal(server.token(AT, **{"https://city.example/roles": "field"})).role == Role.FIELD


@pytest.mark.parametrize(
    ("networks", "zones", "scope"),
    [
        (["gas"], "Z-2 Z-1", Scope(("gas",), ("Z-1", "Z-2"))),
        ("*", ["Z-1"], Scope(None, ("Z-1",))),
        ("*", "*", WHOLE),
    ],
)
def test_claims_limit_what_somebody_sees(networks: Any, zones: Any, scope: Scope, server: TestIssuer) -> None:
    told = issuer(server, oidc_networks_claim="networks", oidc_zones_claim="zones")
    assert told.principal(server.token(AT, networks=networks, zones=zones)).scope == scope


@pytest.mark.parametrize("networks", [None, "", [], [""], [1], {"gas": True}, "  ", 7])
def test_a_limit_that_is_asked_for_and_not_there_gives_nothing_rather_than_all(
    networks: Any, server: TestIssuer
) -> None:
    with pytest.raises(WrongTokenError, match="no limit"):
        issuer(server, oidc_networks_claim="networks").principal(server.token(AT, networks=networks))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("王伟", "王伟"),
        (None, "f3a1"),
        ("", "f3a1"),
        (" \n\t", "f3a1"),
        ("a\nb\x1b[31m", "ab[31m"),
        ("x" * 99, "x" * 64),
    ],
)
def test_the_name_is_printable_and_short_and_the_subject_stands_in(
    name: str | None, shown: str, server: TestIssuer, ours: Issuer
) -> None:
    assert ours.principal(server.token(AT, preferred_username=name)).name == shown


@given(st.one_of(st.text(max_size=200), st.integers(), st.none(), st.lists(st.text())))
def test_whatever_a_name_is_one_line_comes_of_it(said: Any) -> None:
    assert len(name_of(said)) <= 64
    assert name_of(said).isprintable()


# ---------------------------------------------------------------------------------------------------------- and who not


@pytest.mark.parametrize(
    "said",
    [
        {"exp": AT - LEEWAY_S - 1}, {"exp": None}, {"exp": "tomorrow"}, {"exp": True}, {"exp": 10**30},
        {"exp": float("nan")}, {"exp": float("inf")}, {"nbf": AT + LEEWAY_S + 2}, {"iat": AT + LEEWAY_S + 2},
        {"aud": "another"}, {"aud": None}, {"aud": []}, {"aud": ["another", "lifelin"]}, {"aud": {"lifeline": 1}},
        {"iss": "https://evil.example"}, {"iss": None}, {"iss": ["x"]}, {"sub": None}, {"sub": 7},
        {"roles": None}, {"roles": ["root"]}, {"roles": {"admin": True}},
    ],
    ids=lambda said: json.dumps(said, default=str),
)  # fmt: skip
def test_a_signed_token_of_wrong_claims_opens_nothing(said: dict[str, Any], server: TestIssuer, ours: Issuer) -> None:
    with pytest.raises(WrongTokenError):
        ours.principal(server.token(AT, **said))


@pytest.mark.parametrize("said", [{"exp": AT - LEEWAY_S + 2}, {"nbf": AT + LEEWAY_S - 2}, {"aud": ["x", AUDIENCE]}])
def test_clocks_may_differ_by_a_minute_and_a_token_may_be_for_others_too(
    said: dict[str, Any], server: TestIssuer, ours: Issuer
) -> None:
    found = ours.principal(server.token(AT, **said))
    assert found.valid_at(NOW)


def test_a_principal_ends_with_its_token(server: TestIssuer, ours: Issuer) -> None:
    found = ours.principal(server.token(AT))
    assert not found.valid_at(NOW + timedelta(seconds=300 + LEEWAY_S))


def test_a_token_signed_by_another_key_of_the_same_id_opens_nothing(server: TestIssuer, ours: Issuer) -> None:
    for made in (RSAKey.generate_key(2048, {"kid": "key-0"}), ECKey.generate_key("P-256", {"kid": "key-1"})):
        with pytest.raises(WrongTokenError):
            ours.principal(server.token(AT, key=made))


def test_a_token_that_brings_its_own_key_opens_nothing(server: TestIssuer, ours: Issuer) -> None:
    mine = ECKey.generate_key("P-256", {"kid": "key-1"})
    with pytest.raises(WrongTokenError):
        ours.principal(server.token(AT, key=mine, header={"jwk": mine.as_dict(private=False)}))
    asked = len(server.asked)
    with pytest.raises(WrongTokenError):
        ours.principal(server.token(AT, key=mine, header={"jku": f"{server.url}/mine", "x5u": f"{server.url}/mine"}))
    assert "/mine" not in server.asked[asked:]


def test_a_public_key_is_no_shared_secret(server: TestIssuer, ours: Issuer) -> None:
    """The classic confusion: HS256 with the text of the issuer's public key as the secret."""
    public = server.keys[0]
    assert isinstance(public, RSAKey)
    for secret in (public.as_pem(private=False), json.dumps(public.as_dict(private=False)).encode()):
        forged = OctKey.import_key(secret.decode() and base64.urlsafe_b64encode(secret).decode(), {"kid": "key-0"})
        with pytest.raises(WrongTokenError, match="HS256"):
            ours.principal(server.token(AT, key=forged))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", "HS512", "RS512", "PS256", "ES256K", "", None, 5, []])
def test_no_other_algorithm_is_taken_nor_has_it_the_issuer_asked(
    alg: Any, server: TestIssuer, fresh: TestIssuer
) -> None:
    head, body, signature = server.token(AT, key=server.keys[0]).split(".")
    for header in ({"alg": alg, "kid": "key-0"}, {"alg": alg}):
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
        for text in (f"{head}.{body}.{signature}", f"{head}.{body}."):
            with pytest.raises(WrongTokenError):
                issuer(fresh).principal(text)
    assert fresh.asked == []


def test_a_key_opens_nothing_by_the_algorithm_of_another_kind(server: TestIssuer, ours: Issuer) -> None:
    head, body, signature = server.token(AT, key=server.keys[1]).split(".")
    header = {"alg": "RS256", "kid": "key-1"}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    with pytest.raises(WrongTokenError):
        ours.principal(f"{head}.{body}.{signature}")


def test_a_token_that_was_changed_anywhere_opens_nothing(server: TestIssuer, ours: Issuer) -> None:
    head, body, signature = server.token(AT, key=server.keys[2]).split(".")
    admin = base64.urlsafe_b64encode(json.dumps(server.claims(AT, roles=["admin"])).encode()).decode().rstrip("=")
    for text in (f"{head}.{admin}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}"):
        with pytest.raises(WrongTokenError):
            ours.principal(text)


def test_an_unknown_critical_header_closes_the_token(server: TestIssuer, ours: Issuer) -> None:
    with pytest.raises(WrongTokenError):
        ours.principal(server.token(AT, header={"crit": ["x-of-theirs"], "x-of-theirs": 1}))


def test_a_token_that_is_too_long_is_not_looked_at(server: TestIssuer, ours: Issuer) -> None:
    with pytest.raises(WrongTokenError, match="too long"):
        ours.principal(server.token(AT, more="x" * LONGEST_TOKEN))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(st.binary(max_size=90), min_size=3, max_size=3).map(
            lambda parts: ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        ),
        st.dictionaries(
            st.sampled_from(["alg", "kid", "crit", "b64", "typ"]), st.text() | st.booleans() | st.none()
        ).map(lambda said: base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=") + ".e30.AAAA"),
    )
)
def test_no_text_breaks_it_and_none_opens_anything(ours: Issuer, text: str) -> None:
    with pytest.raises(WrongTokenError):
        ours.principal(text)


# ------------------------------------------------------------------------------------------------- the issuer's keys


def test_keys_are_fetched_once_and_anew_for_a_key_that_is_not_known(fresh: TestIssuer, clock: Clock) -> None:
    told = issuer(fresh)
    for _ in range(3):
        told.principal(fresh.token(AT))
    assert fresh.asked == ["/.well-known/openid-configuration", "/keys"]
    fresh.rotate("ES256")
    clock.now += keyring.REFRESH_S + 1
    assert told.principal(fresh.token(AT)).name == "li.wei"
    assert told.principal(fresh.token(AT, key=fresh.keys[0])).name == "li.wei"
    assert len(fresh.asked) == 4


def test_unknown_keys_have_the_issuer_asked_twice_a_minute_at_most(fresh: TestIssuer, clock: Clock) -> None:
    told = issuer(fresh)
    told.principal(fresh.token(AT))
    for number in range(120):
        clock.now += 1
        with pytest.raises(WrongTokenError):
            told.principal(fresh.token(AT, header={"kid": f"made-up-{number}"}))
    assert 2 <= len(fresh.asked) / 2 <= 1 + 120 / keyring.REFRESH_S


def test_a_key_that_was_withdrawn_ends_within_the_hour(fresh: TestIssuer, clock: Clock) -> None:
    told = issuer(fresh)
    stolen = fresh.token(AT)
    told.principal(stolen)
    fresh.rotate("EdDSA")
    del fresh.keys[0]
    clock.now += keyring.LIFE_S + 1
    with pytest.raises(WrongTokenError):
        told.principal(stolen)


def test_while_the_issuer_is_away_known_keys_stay_good_for_a_day_and_the_log_says_so(clock: Clock) -> None:
    with running_issuer("EdDSA") as server:
        told = issuer(server)
        told.principal(server.token(AT))
    clock.now += keyring.LIFE_S + 1
    with capture_logs() as logs:
        assert told.principal(server.token(AT)).name == "li.wei"
        told.principal(server.token(AT))
    assert [(each["log_level"], each["issuer"]) for each in logs] == [("error", server.url)]
    assert "gave no keys" in logs[0]["event"]
    assert logs[0]["known_keys_good_for_s"] == keyring.STALE_S - keyring.LIFE_S - 1
    clock.now += keyring.STALE_S
    with pytest.raises(IssuerAwayError):
        told.principal(server.token(AT))


def test_a_slow_issuer_holds_up_nobody_whose_key_is_known_and_the_others_wait_for_one_answer(
    fresh: TestIssuer, clock: Clock
) -> None:
    told = issuer(fresh)
    told.principal(fresh.token(AT))
    fresh.rotate("EdDSA")
    fresh.open.clear()
    clock.now += keyring.LIFE_S + 1
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(told.principal, fresh.token(AT)) for _ in range(4)]
        until(lambda: len(fresh.asked) == 3, "a question to the issuer")
        assert told.principal(fresh.token(AT, key=fresh.keys[0])).name == "li.wei"
        assert not any(each.done() for each in waiting)
        fresh.open.set()
        assert [each.result(10).name for each in waiting] == ["li.wei"] * 4
    assert len(fresh.asked) == 4


def test_an_issuer_that_does_not_answer_in_time_is_away(fresh: TestIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "TIMEOUT_S", 0.05)
    fresh.open.clear()
    with capture_logs() as logs, pytest.raises(IssuerAwayError):
        issuer(fresh).principal(fresh.token(AT))
    assert "timed out" in logs[0]["reason"]
    fresh.open.set()


def test_an_issuer_that_comes_back_is_asked_again(fresh: TestIssuer, clock: Clock) -> None:
    fresh.answers["/keys"] = (503, b"", {})
    told = issuer(fresh)
    for _ in range(2):
        with pytest.raises(IssuerAwayError):
            told.principal(fresh.token(AT))
    assert len(fresh.asked) == 2
    fresh.answers.clear()
    clock.now += keyring.REFRESH_S + 1
    assert told.principal(fresh.token(AT)).name == "li.wei"


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        ("/keys", (302, b"", {"Location": "http://127.0.0.1:9/"}), "answered 302"),
        ("/keys", (200, b"x" * (keyring.LARGEST + 1), {}), "more than"),
        ("/keys", (200, b"[]", {}), "no JSON object"),
        ("/keys", (200, b"{", {}), "unexpected end"),
        ("/keys", (200, b'{"keys": 7}', {}), "no key that can be used"),
        ("/keys", (200, b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "key-0"}, 3, {}]}', {}), "no key that"),
        ("/.well-known/openid-configuration", (200, b'{"issuer": "https://evil.example"}', {}), "another issuer"),
        ("/.well-known/openid-configuration", (404, b"", {}), "answered 404"),
    ],
)
def test_an_issuer_that_answers_wrongly_gives_no_keys_and_the_log_says_why(
    path: str, answer: tuple[int, bytes, dict[str, str]], reason: str, fresh: TestIssuer
) -> None:
    fresh.answers[path] = answer
    with capture_logs() as logs, pytest.raises(IssuerAwayError):
        issuer(fresh).principal(fresh.token(AT))
    assert reason in logs[0]["reason"]


@pytest.mark.parametrize("uri", ["http://evil.example/keys", "file:///etc/passwd", "ftp://x/", "", "http://[::1", None])
def test_keys_are_asked_for_nowhere_but_over_https_or_on_this_machine(uri: str | None, fresh: TestIssuer) -> None:
    fresh.said["jwks_uri"] = uri
    with capture_logs() as logs, pytest.raises(IssuerAwayError):
        issuer(fresh).principal(fresh.token(AT))
    assert len(fresh.asked) == 1
    assert logs[0]["log_level"] == "error"


def weak() -> Key:
    from cryptography.hazmat.primitives.asymmetric import rsa

    with pytest.warns(match="2048"):
        return RSAKey.import_key(rsa.generate_private_key(65537, 1024), {"kid": "weak"})


def test_one_key_that_cannot_be_used_spoils_no_other_and_opens_nothing(fresh: TestIssuer) -> None:
    small, sealing = weak(), ECKey.generate_key("P-256", {"kid": "sealing"})
    fresh.extra += [{"kty": "EC", "crv": "P-1", "x": "AA", "y": "AA", "kid": "odd"}, {"kty": "AKP", "kid": "new"}, 7]
    fresh.extra += [small.as_dict(private=False), sealing.as_dict(private=False) | {"use": "enc"}]
    told = issuer(fresh)
    assert told.principal(fresh.token(AT)).name == "li.wei"
    for key in (small, sealing):
        with pytest.raises(WrongTokenError):
            told.principal(fresh.token(AT, key=key))


def test_a_token_without_a_key_id_is_good_where_there_is_one_key_alone(fresh: TestIssuer) -> None:
    told = issuer(fresh)
    assert told.principal(fresh.token(AT, header={"kid": None})).name == "li.wei"


# ----------------------------------------------------------------------------------------------------------- settings


def test_without_an_issuer_in_the_settings_there_is_none() -> None:
    assert issuer_of(Settings(), lambda: NOW) is None


def test_an_issuer_without_an_audience_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="LIFELINE_OIDC_AUDIENCE"):
        create_app(load_settings(oidc_issuer="https://login.example", database_url="postgresql://x/x"), lambda: NOW)


@pytest.mark.parametrize("url", ["http://login.example", "login.example", "https://", "file:///x", "http://127.0.0.2"])
def test_an_issuer_that_others_could_listen_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LIFELINE_OIDC_ISSUER"):
        load_settings(oidc_issuer=url)


@pytest.mark.parametrize("said", ["duty", "=admin", "duty=root", "duty=", "duty=Admin"])
def test_a_role_that_is_none_is_named(said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"LIFELINE_OIDC_ROLES.*their-name=role"):
        load_settings(oidc_roles=[said])
