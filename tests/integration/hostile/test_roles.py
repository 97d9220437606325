"""Every route and every role, without a key and with one: who reaches what, and keys that are none."""

import re
import time
from datetime import UTC, datetime

import httpx
import pytest

from lifeline.model import Role
from lifeline.storage import keys
from lifeline.storage.database import Connection
from tests.api_process import PLAIN, READERS, Api, until
from tests.integration.asking import assert_problem
from tests.integration.hostile.stranger import ADDRESSES, stranger, with_key
from tests.integration.role_matrix import ACTS, ALLOWED, CHANGES, OPEN, READ_ROUTES, filled

# ----------------------------------------------------------------------------------------------- every route and role


def test_every_route_that_there_is_stands_in_the_matrix(api: Api) -> None:
    told = api.get("/api/v1/openapi.json").json()["paths"]
    reads, acts = (
        {re.sub(r"G-P0|\{\w+\}|(?<=/)1(?=/|$)", "{}", path.partition("?")[0]) for path in paths}
        for paths in ((*ALLOWED, *OPEN), (*ACTS, "/field/{}", "/field/{}/photos", "/api/v1/session"))
    )
    changes = {(method.lower(), re.sub(r"(?<=/)1(?=/|$)", "{}", path)) for method, path in CHANGES}
    for path, methods in told.items():
        shape = re.sub(r"\{\w+\}", "{}", path)
        known = {name for name, paths in (("get", reads), ("post", acts)) if shape in paths}
        known |= {method for method, changed in changes if changed == shape}
        assert known, f"{path} has no line in ALLOWED, ACTS or CHANGES"
        assert set(methods) == known, path


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_reaches_what_it_may_and_nothing_else(role: Role | None, api: Api) -> None:
    asked = [("GET", filled(path), allowed) for path, allowed in ALLOWED.items() if not path.endswith("/live")]
    # What is not there: who may act gets 404 (or 400 without a body), who may not never learns that.
    asked += [("POST", path.replace("/1/", "/999/"), allowed) for path, allowed in ACTS.items()]
    asked += [(method, path.replace("/1", "/999"), allowed) for (method, path), allowed in CHANGES.items()]
    for method, where, allowed in asked:
        status = api.call(method, where, role).status_code
        if role is None:
            assert status == 401, where
        else:
            # 409: to log out takes a session.
            done = (409,) if (method, where) == ("DELETE", "/api/v1/session") else (200, 400, 404)
            assert status in (done if role in allowed else (403,)), (method, where)


@pytest.mark.parametrize("path", ["/api/v1/assets?x=1", "/api/v1/assets?limit=-1", "/api/v1/alerts/x", "/metrics?a=b"])
def test_without_a_key_nobody_learns_what_a_route_takes(path: str, api: Api) -> None:
    assert_problem(api.get(path, role=None), 401)


@pytest.mark.parametrize("path", READ_ROUTES)
def test_every_route_is_closed_without_a_key_and_open_to_each_role(path: str, api: Api) -> None:
    path = filled(path)
    refused = api.get(path, role=None)
    assert_problem(refused, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer")
    for role in READERS:
        assert api.get(path, role).status_code == 200, (path, role)
    assert_problem(api.get(path, Role.INTAKE), 403)


# ------------------------------------------------------------------------------------------------------------- keys


def test_a_valid_key_counts_only_as_a_bearer_token(api: Api) -> None:
    key = api.key()
    for said in (f"Basic {key}", f"Token {key}", key, f"Bearer{key}", f"Digest {key}", f"Bearer {key} x", "Bearer"):
        assert (
            httpx.get(f"{api.url}/api/v1/catalogue", headers={"Authorization": said}, verify=PLAIN).status_code == 401
        ), said
    for said in (f"Bearer {key}", f"bearer {key}", f"BEARER  {key}"):
        assert (
            httpx.get(f"{api.url}/api/v1/catalogue", headers={"Authorization": said}, verify=PLAIN).status_code == 200
        ), said


@pytest.mark.parametrize("place", ["?key={}", "?api_key={}", "?access_token={}", "?authorization=Bearer%20{}"])
def test_a_key_in_the_address_is_none(place: str, api: Api) -> None:
    """Addresses end up in logs, histories and referrers."""
    assert api.get(f"/api/v1/catalogue{place.format(api.key())}", role=None).status_code == 401


def test_a_key_in_a_cookie_or_another_header_is_none(api: Api) -> None:
    """And so no other site can have a visitor's browser send it."""
    for name, value in {"Cookie": "key={}", "X-Api-Key": "{}", "Proxy-Authorization": "Bearer {}"}.items():
        answer = httpx.get(
            f"{api.url}/api/v1/catalogue", headers={name: value.format(api.key(Role.ADMIN))}, verify=PLAIN
        )
        assert answer.status_code == 401, name


def test_a_forged_key_is_refused_however_near_it_comes(api: Api) -> None:
    key = api.key(Role.ADMIN)
    swapped = key[:10] + ("A" if key[10] != "A" else "B") + key[11:]
    for forged in (swapped, key.swapcase(), key + "A", key[:-1], key.removeprefix("llk_")):
        assert stranger(api, forged).status_code == 401


def test_the_digest_that_the_database_holds_opens_nothing(api: Api, db: Connection) -> None:
    api.key()
    for (digest,) in db.execute("SELECT digest FROM api_key").fetchall():
        for text in (digest.hex(), f"llk_{digest.hex()}"):
            assert stranger(api, text).status_code == 401


def test_a_role_that_the_database_lowers_is_lower_within_seconds(api: Api, db: Connection) -> None:
    text = keys.create(db, "lowered", Role.FIELD, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {text}"}
    path = f"{api.url}/api/v1/alerts/999/acknowledge"
    assert httpx.post(path, headers=headers, verify=PLAIN).status_code == 404
    db.execute("UPDATE api_key SET role = 'viewer' WHERE name = 'lowered'")
    until(lambda: httpx.post(path, headers=headers, verify=PLAIN).status_code == 403, "the refusal", 7)


def test_who_guesses_behind_a_shared_proxy_locks_nobody_out(api: Api, db: Connection) -> None:
    """The proxy's address is everybody's: keys that were good go on, also after the few seconds of memory."""
    proxy = {"X-Forwarded-For": str(next(ADDRESSES))}
    good = keys.create(db, "behind-the-proxy", Role.VIEWER, datetime.now(UTC))
    assert with_key(api, good, **proxy).status_code == 200
    assert [with_key(api, f"llk_guess-{n}", **proxy).status_code for n in range(14)] == [401] * 10 + [429] * 4
    time.sleep(5.3)
    assert with_key(api, "llk_one-more", **proxy).status_code == 429
    assert with_key(api, good, **proxy).status_code == 200
    never_seen = keys.create(db, "made-during-the-flood", Role.VIEWER, datetime.now(UTC))
    assert with_key(api, never_seen, **proxy).status_code == 429, "one that was never good here has to wait"
    keys.revoke(db, "behind-the-proxy", datetime.now(UTC))
    until(lambda: with_key(api, good, **proxy).status_code == 401, "the end of the revoked key", 7)
    assert with_key(api, good, **proxy).status_code == 429, "and then it is one like any other"


@pytest.mark.parametrize("address", ["not-an-address-{}", "2001:db8:7:7::{}"], ids=["a word", "one line of IPv6"])
def test_another_address_in_a_forwarded_header_buys_a_guesser_nothing(address: str, api: Api) -> None:
    """What a header says is believed from this machine's proxy only, and only where it is an address."""
    said = [{"X-Forwarded-For": address.format(number)} for number in range(12)]
    codes = [with_key(api, f"llk_guess-{n}", **header).status_code for n, header in enumerate(said)]
    assert codes == [401] * 10 + [429] * 2
