"""Tokens of a real issuer at a real API: roles, limits, the audit; and those who come with tokens that are not good."""

import time
from collections.abc import Iterator

import httpx
import pytest
from joserfc.jwk import OctKey, OKPKey

from api.access import FAILURES
from lifeline.model import Role
from lifeline.storage.database import connect
from tests.api_process import PLAIN, Api, running_api
from tests.integration.town import build_alarmed, empty
from tests.issuer import AUDIENCE, TestIssuer, running_issuer

ADDRESSES = (f"198.19.0.{low}" for low in range(1, 255))
SESSION = "/api/v1/session"


@pytest.fixture(scope="module")
def server() -> Iterator[TestIssuer]:
    with running_issuer("RS256", "ES256", "EdDSA") as issuer:
        yield issuer


@pytest.fixture(scope="module")
def api(database_dsn: str, server: TestIssuer) -> Iterator[Api]:
    """A town with an open alert of gas (1) and one of water (2)."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build_alarmed(connection)
    told = {
        "LIFELINE_OIDC_ISSUER": server.url,
        "LIFELINE_OIDC_AUDIENCE": AUDIENCE,
        "LIFELINE_OIDC_ROLE_CLAIM": "realm_access.roles",
        "LIFELINE_OIDC_ROLES": '["duty=operator", "guest=viewer"]',
        "LIFELINE_OIDC_NETWORKS_CLAIM": "networks",
    }
    with running_api(database_dsn, **told) as process:
        yield process


def token(server: TestIssuer, role: str = "duty", networks: str = "*", **said: object) -> str:
    return server.token(time.time(), **({"realm_access": {"roles": [role]}, "networks": networks} | said))  # type: ignore[arg-type]


def call(api: Api, text: str, method: str = "GET", path: str = SESSION, address: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {text}", "X-Forwarded-For": address or next(ADDRESSES)}
    return httpx.request(method, api.url + path, headers=headers, timeout=30, verify=PLAIN)


def test_a_token_comes_in_as_what_its_issuer_says_and_keys_go_on_working(api: Api, server: TestIssuer) -> None:
    for key in server.keys[:3]:
        told = call(api, token(server, key=key)).json()
        assert (told["name"], told["role"], told["kind"]) == ("li.wei", "operator", "token")
    assert api.get("/api/v1/me").status_code == 200


def test_a_token_may_what_its_role_may_and_what_it_did_stands_in_the_audit(api: Api, server: TestIssuer) -> None:
    path = "/api/v1/alerts/1/acknowledge"
    assert call(api, token(server, "guest"), "POST", path).status_code == 403
    assert call(api, token(server, preferred_username="王伟"), "POST", path).status_code == 200
    assert call(api, token(server), "GET", "/api/v1/users").status_code == 403
    rows = api.get("/api/v1/audit?what=alert_history", Role.ADMIN).json()["items"]
    assert ("王伟", "token") in {(row["actor"], row["actor_kind"]) for row in rows}


def test_a_token_of_a_part_of_the_city_sees_that_part_alone(api: Api, server: TestIssuer) -> None:
    gas = token(server, networks="gas")
    assert call(api, gas, path="/api/v1/alerts/1").status_code == 200
    assert call(api, gas, path="/api/v1/alerts/2").status_code == 404
    assert call(api, gas, path="/api/v1/rules").status_code == 403
    assert call(api, token(server), path="/api/v1/alerts/2").status_code == 200


def test_every_bad_token_gets_the_answer_of_a_bad_key(api: Api, server: TestIssuer) -> None:
    known = server.keys[0].kid
    bad = {
        "expired": token(server, exp=int(time.time()) - 120),
        "not yet": token(server, nbf=int(time.time()) + 120),
        "for another": token(server, aud="another"),
        "of another": token(server, iss="https://evil.example"),
        "forged": token(server, key=OKPKey.generate_key("Ed25519", {"kid": server.keys[2].kid})),
        "by a secret": token(server, key=OctKey.generate_key(256, {"kid": known})),
        "no role": token(server, "root"),
        "no limit": token(server, networks=""),
        "cut": token(server)[:-9],
        "unsigned": "eyJhbGciOiJub25lIn0.e30.",
        "long": "ey" + "x" * 20_000,
        "nothing": "hello",
    }
    wrong_key = call(api, "llk_" + "x" * 43)
    assert wrong_key.status_code == 401
    for what, text in bad.items():
        answer = call(api, text)
        assert (answer.status_code, answer.json()) == (401, wrong_key.json()), what
        assert answer.headers["www-authenticate"] == wrong_key.headers["www-authenticate"]


def test_bad_tokens_count_as_bad_keys_and_who_was_good_is_not_locked_out(api: Api, server: TestIssuer) -> None:
    address, good = next(ADDRESSES), token(server)
    assert call(api, good, address=address).status_code == 200
    codes = [call(api, f"ey{n}", address=address).status_code for n in range(FAILURES // 2)]
    codes += [call(api, f"llk_{n}", address=address).status_code for n in range(FAILURES - FAILURES // 2)]
    assert codes == [401] * FAILURES
    refused = call(api, token(server, jti="another"), address=address)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert call(api, good, address=address).status_code == 200


def test_a_token_is_no_session_and_opens_nothing_as_a_cookie(api: Api, server: TestIssuer) -> None:
    cookie = {"Cookie": f"lifeline_session={token(server)}", "X-Forwarded-For": next(ADDRESSES)}
    assert httpx.get(api.url + SESSION, headers=cookie).status_code == 401


def test_nothing_of_a_token_stands_in_the_log_and_an_issuer_that_is_away_is_told_as_such(database_dsn: str) -> None:
    with running_issuer("EdDSA") as server:
        text = token(server)
    told = {"LIFELINE_OIDC_ISSUER": server.url, "LIFELINE_OIDC_AUDIENCE": AUDIENCE}
    with running_api(database_dsn, **told) as api:
        address = next(ADDRESSES)
        answers = [call(api, text, address=address) for _ in range(FAILURES + 2)]
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].headers["retry-after"] == "30"
        assert api.get("/api/v1/me").status_code == 200
        log = api.end()[1]
    assert log.count("the issuer of tokens gave no keys") == 1
    assert server.url in log
    assert text not in log
    assert text.split(".")[2] not in log
