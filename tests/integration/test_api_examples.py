"""The examples of the API's description, played against a real API in their order: each does what it shows.

After a change of what a route takes or answers, LIFELINE_RECORD_EXAMPLES=1 writes the answers anew; look at the diff.
A new request goes into api/examples.json by hand.
"""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from socket import gethostname
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema_rs import Draft202012Validator

from alerts import review
from alerts.rules import load_rules
from api.contract import EXAMPLES
from lifeline.catalogue import shipped_catalogue
from lifeline.fieldlink import Action, FieldLink, write
from lifeline.model import JsonObject, Role
from lifeline.storage import endpoints, rulebook
from lifeline.storage.database import connect
from tests.api_process import Api, running_api, until
from tests.integration.test_api_contract import described
from tests.integration.town import build_alarmed, empty

SECRET = re.compile(r"\b(llk|lll|whsec)_[\w+/=-]+")
HIDDEN = (
    (SECRET, "..."), (re.compile(r"\bG-(?=[CP]\d)"), "RG-"), (re.compile("rtu-gas"), "rtu-rg"),
    (re.compile(r"https?://127\.0\.0\.1:\d+"), "https://lifeline.example"),
    (re.compile(r"127\.0\.0\.1:\d+"), "lifeline.example:443"), (re.compile(r"\badmin-\d+"), "control-room"),
    (re.compile(re.escape(gethostname())), "lifeline"),
)  # fmt: skip
"""What is of the machine on which it was recorded."""
LINKS = "the-secret-of-the-links"
PLACES = ("application/json", "application/geo+json")
UNSHOWN = {
    **dict.fromkeys(("GET /api/v1/plans/{id}", "GET /api/v1/stress-tests/{id}"), "worked out by another process"),
    "GET /api/v1/plans/{id}/works.geojson": "the same",
    **dict.fromkeys(
        ("GET /api/v1/drills/{id}", "POST /api/v1/drills", "POST /api/v1/drills/{id}/stop"), "played by one"
    ),
    **{f"POST /api/v1/drills/schedules{act}": "the same" for act in ("", "/{id}/stop")},
    **{f"POST /api/v1/zones/suggestions/{{id}}/{act}": "none is suggested here" for act in ("accept", "reject")},
    "POST /api/v1/rule-proposals/{id}/accept": "judged by another process first",
    **{f"POST /api/v1/{path}": "a person's" for path in ("session", "session/password")},
    **{f"POST {path}/photos": "bytes" for path in ("/field/{token}", "/api/v1/reports/{id}")},
    "POST /api/v1/imports": "a file",
}
"""Operations whose answer no example shows, and why."""
STORY: list[JsonObject] = json.loads(EXAMPLES.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    """The town with an alert of gas (1), and one of water (2) that is incident 1."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build_alarmed(connection)
        cause = {"cause": "unknown", "share": 1, "title": {"en": "Unclear", "zh": "原因不明"},
                 "advice": {"en": "Look at it.", "zh": "现场查看。"}, "for": [], "against": []}  # fmt: skip
        connection.execute(
            "INSERT INTO incident (level, worst_level, networks, causes, lead_alert, response_alert, first_seen,"
            " opened_at, updated_at) VALUES (1, 1, '{water}', %s, 2, 2, now(), now(), now())",
            [json.dumps([cause])],
        )
        connection.execute("UPDATE alert SET incident_id = 1 WHERE alert_id = 2")
        now = datetime.now(UTC)
        rulebook.publish(connection, review.lines(load_rules(shipped_catalogue(), 3600.0), now))
        endpoints.add(connection, "crew", "https://crew.example.org/", now)
    with running_api(database_dsn, LIFELINE_LINK_SECRET=LINKS) as process:
        yield process


def shortened(value: Any) -> Any:
    """An answer as it is shown: one thing of each list, no secret."""
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value[: 1 if value and isinstance(value[0], dict) else 12]]
    if isinstance(value, str):
        for pattern, shown in HIDDEN:
            value = pattern.sub(shown, value)
    return value


def named(text: str) -> str:
    """What is sent: the description names nothing of the town, as it is told to who sees none of it."""
    return text.replace("RG-", "G-").replace("rtu-rg", "rtu-gas")


def answers(operation: JsonObject) -> JsonObject:
    return {status: each for status, each in operation["responses"].items() if status.startswith("2")}


def answer_schema(operation: JsonObject) -> JsonObject | None:
    """What a JSON answer of an operation looks like; None where it gives none."""
    told = [content for each in answers(operation).values() for content in each.get("content", {}).items()]
    return next((content.get("schema", {}) for place, content in told if place in PLACES), None)


def valid(schema: JsonObject, value: Any) -> list[str]:
    whole = {**schema, "components": described()["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def operations() -> dict[str, JsonObject]:
    paths = described()["paths"]
    return {f"{method.upper()} {path}": each for path, told in paths.items() for method, each in told.items()}


def test_each_example_is_taken_and_answered_as_it_is_shown(api: Api) -> None:
    until(lambda: api.get("/api/v1/risk/span").json()["first"], "the first recorded map")
    link = write(LINKS, FieldLink(1, Action.DISPATCHED, datetime.now(UTC) + timedelta(hours=1), 1, "x" * 16))
    wrong, first = [], quote(api.get("/api/v1/risk/span").json()["first"])
    for example in STORY:
        method, _, _ = example["operation"].partition(" ")
        body = {"json": json.loads(named(json.dumps(example["body"])))} if "body" in example else {}
        path = named(example["path"]).replace("{first}", first).replace("{token}", link)
        answer = api.call(method, path, Role.ADMIN, **body)
        if answer.status_code != example.get("status", answer.status_code if answer.is_success else "success"):
            wrong.append(f"{method} {path}: {answer.status_code}: {answer.text[:300]}")
        elif answer.is_success and answer.content and "json" in answer.headers["content-type"]:
            told = answer.json()
            if os.environ.get("LIFELINE_RECORD_EXAMPLES"):
                example["answer"] = shortened(told)
            if isinstance(told, dict) and told.keys() != example["answer"].keys():
                wrong.append(f"{method} {example['path']}: {sorted(told.keys() ^ example['answer'].keys())}")
    if os.environ.get("LIFELINE_RECORD_EXAMPLES"):
        lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in STORY)
        EXAMPLES.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("example", STORY, ids=lambda each: str(each["operation"]))
def test_each_example_is_as_the_description_says(example: JsonObject) -> None:
    operation = operations()[example["operation"]]
    schema = answer_schema(operation)
    if "body" in example:
        assert valid(operation["requestBody"]["content"]["application/json"]["schema"], example["body"]) == []
    if schema is not None and "answer" in example:
        assert valid(schema, example["answer"]) == []
    assert not SECRET.search(json.dumps(example)), "a secret"


def test_each_operation_shows_what_it_takes_and_what_it_answers() -> None:
    for name, operation in operations().items():
        for place, told in operation.get("requestBody", {}).get("content", {}).items():
            assert place == "application/octet-stream" or "example" in told, name
    shown = {name for name, each in operations().items() if '"example"' in json.dumps(answers(each))}
    lacking = {name for name, each in operations().items() if answer_schema(each) is not None} - shown
    assert lacking == set(UNSHOWN), sorted(lacking)
