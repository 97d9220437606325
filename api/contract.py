"""What OpenAPI says of this API beyond what FastAPI finds by itself: how errors look, wherever they may come.

FastAPI tells of 422 for wrong parameters; here they are 400, and every error is a problem (RFC 9457). What a route
takes and answers is shown by an example, which a test has sent to a real API.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from api.problems import MEDIA_TYPE
from lifeline.model import JsonObject

PROBLEM: JsonObject = {
    "title": "Problem",
    "description": "An error as RFC 9457 tells it; `errors` names each wrong parameter, `problems` lines of a file.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
    },
}
_EXAMPLE = {
    "type": "urn:lifeline:problem:bad-request",
    "title": "Bad Request",
    "status": 400,
    "detail": "bbox must be four numbers: west,south,east,north",
}
_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": _EXAMPLE}}
EXAMPLES = Path(__file__).with_name("examples.json")
"""Requests in an order in which they can be sent, each with its operation, path, body and answer."""
_GENERATED = ("HTTPValidationError", "ValidationError")
_SHOWN = frozenset({"application/json", "application/geo+json"})
_METHODS = ("get", "post", "put", "patch", "delete")


def complete(told: JsonObject) -> JsonObject:
    """The description with every error as a problem, changed in place and given back; twice is as once."""
    schemas: dict[str, Any] = told.setdefault("components", {}).setdefault("schemas", {})
    for name in _GENERATED:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    for path, operations in told["paths"].items():
        for method in _METHODS:
            if method in operations:
                _complete(operations[method]["responses"])
                _show(operations[method], _examples().get(f"{method.upper()} {path}", {}))
    return told


@cache
def _examples() -> dict[str, JsonObject]:
    """By operation; the first of each."""
    return {each["operation"]: each for each in reversed(json.loads(EXAMPLES.read_text(encoding="utf-8")))}


def _show(operation: JsonObject, example: JsonObject) -> None:
    if "body" in example:
        operation["requestBody"]["content"]["application/json"]["example"] = example["body"]
    good = (each for status, each in operation["responses"].items() if status.startswith("2"))
    for content in (each.get("content", {}) for each in good):
        for place in _SHOWN.intersection(content) if "answer" in example else ():
            content[place]["example"] = example["answer"]


def _complete(responses: dict[str, Any]) -> None:
    responses.pop("422", None)
    for status, response in responses.items():
        if status.startswith(("4", "5")):
            response.setdefault("content", _CONTENT)
    responses["default"] = {"description": "An error: any other status", "content": _CONTENT}
