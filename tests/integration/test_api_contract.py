"""The API against its own OpenAPI, by schemathesis: no 5xx, and no answer that the description does not know.

Each operation gets a few generated requests here; LIFELINE_FUZZ_EXAMPLES=200 makes a long run of it.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from api.contract import complete
from lifeline.model import Role
from lifeline.settings import load_settings
from lifeline.storage.database import connect
from tests.api_process import Api, running_api
from tests.integration.town import build, empty, open_alert

EXAMPLES = int(os.environ.get("LIFELINE_FUZZ_EXAMPLES", "2"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = {"/api/v1/live"}
"""Streams that never end."""


@cache
def described() -> dict[str, Any]:
    from api.application import create_app

    _, application = create_app(load_settings(database_url="postgresql://nobody@localhost:1/none"), _clock)
    return complete(application.openapi())


def _clock() -> datetime:
    return datetime.now(UTC)


def operations() -> list[tuple[str, str]]:
    return [(method, path) for path, found in described()["paths"].items() for method in found if path not in ENDLESS]


@cache
def schema() -> Any:
    return schemathesis.openapi.from_dict(described())


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        open_alert(connection, build(connection)["gas"])
    with running_api(database_dsn) as process:
        yield process
        status, log = process.end()
        assert status == 0, log
        assert '"a request failed"' not in log


def test_the_description_that_is_served_is_the_one_that_is_tested(api: Api) -> None:
    assert api.get("/api/v1/openapi.json").json() == described()


@pytest.mark.parametrize(("method", "path"), operations())
def test_no_request_breaks_the_api_or_its_description(method: str, path: str, api: Api) -> None:
    operation = schema()[path][method.upper()]
    headers = {"Authorization": f"Bearer {api.key(Role.ADMIN)}"}

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES < 10, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def hold(case: Any) -> None:
        response = case.call(base_url=api.url, headers=headers, timeout=60)
        case.validate_response(response, checks=CHECKS)

    hold()


@pytest.mark.parametrize("number", [b"1e999", b"9" * 40, b'"\\ud800"', b"[[[]]]"])
def test_a_number_or_text_that_no_column_holds_is_a_bad_request_and_no_failure(number: bytes, api: Api) -> None:
    feature = b'{"type": "Feature", "geometry": null, "properties": {"id": "N-1", "diameter_mm": %b}}' % number
    headers = {"Content-Type": "application/json"}
    for path, body in (("/api/v1/risk/what-if", b'{"add": [%b]}' % feature), ("/api/v1/zones", feature)):
        answer = api.call("POST", path, Role.ADMIN, content=body, headers=headers)
        assert answer.status_code == 400, (path, answer.text)


TEXTS = [
    ("plans", '{"budget": 1, "before": [["a", "%s"]]}'),
    ("plans", '{"budget": 1, "name": "%s"}'),
    ("jobs", '{"kind": "criticality", "parameters": {"%s": 1}}'),
    ("jobs", '{"kind": "criticality", "%s": 1}'),
    ("reports", '{"category": "other", "longitude": 0, "latitude": 0, "text": "%s"}'),
    ("alerts/1/notes", '{"note": "%s"}'),
    ("keys", '{"name": "%s", "role": "viewer"}'),
    ("users", '{"name": "a", "role": "viewer", "zones": ["%s"]}'),
    ("drills", '{"scenario": "%s"}'),
    ("endpoints", '{"name": "a", "url": "https://example.org/%s"}'),
]


@pytest.mark.parametrize("character", [r"\u0000", r"\ud800", r"\udc94\udadf", r"x\uDFFF"])
@pytest.mark.parametrize(("path", "body"), TEXTS)
def test_text_that_cannot_be_kept_is_refused_at_the_door(path: str, body: str, character: str, api: Api) -> None:
    """An escape is the only way to bring it: it is answered 400 on every route, before any of them stores a half."""
    headers = {"Content-Type": "application/json"}
    answer = api.call("POST", f"/api/v1/{path}", Role.ADMIN, content=(body % character).encode(), headers=headers)
    assert (answer.status_code, "cannot be kept" in answer.json()["detail"]) == (400, True), answer.text


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\u0000", r"\u6f0f", "漏"])
def test_text_that_is_only_written_with_escapes_is_kept(text: str, api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    body = f'{{"note": "{text}"}}'.encode()
    answer = api.call("POST", "/api/v1/alerts/1/notes", Role.ADMIN, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert json.loads(body)["note"] in [each.get("note") for each in answer.json()["history"]]


@pytest.mark.parametrize("body", [{"message": None}, {"message": None, "since": None}, {}])
def test_what_is_said_to_be_nothing_is_as_what_is_left_out(body: dict[str, None], api: Api) -> None:
    answer = api.call("POST", "/api/v1/endpoints/nobody/replay", Role.ADMIN, json=body)
    assert (answer.status_code, answer.json()["detail"]) == (400, "message or since, one of them")


def test_every_operation_says_what_it_does_and_how_it_answers() -> None:
    for method, path in operations():
        told = described()["paths"][path][method]
        assert told.get("description"), (method, path)
        good = {status: each for status, each in told["responses"].items() if status.startswith("2")}
        assert good, (method, path)
        assert told["responses"]["default"]["content"]["application/problem+json"]["example"]["status"] == 400
        assert "422" not in told["responses"]
        for name in (each["name"] for each in told.get("parameters", ()) if each["in"] == "path"):
            assert f"{{{name}}}" in path


def test_completing_a_description_twice_is_as_once() -> None:
    once = complete({"paths": {"/x": {"get": {"responses": {"404": {"description": "no"}, "422": {}}}}}})
    assert set(once["paths"]["/x"]["get"]["responses"]) == {"404", "default"}
    assert complete(once) == once
