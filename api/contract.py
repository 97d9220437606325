"""What OpenAPI says of this API beyond what FastAPI finds by itself: how errors look, wherever they may come.

FastAPI tells of 422 for wrong parameters; here they are 400, and every error is a problem (RFC 9457).
"""

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
_GENERATED = ("HTTPValidationError", "ValidationError")
_METHODS = ("get", "post", "put", "patch", "delete")


def complete(told: JsonObject) -> JsonObject:
    """The description with every error as a problem, changed in place and given back; twice is as once."""
    schemas: dict[str, Any] = told.setdefault("components", {}).setdefault("schemas", {})
    for name in _GENERATED:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    for operations in told["paths"].values():
        for method in _METHODS:
            if method in operations:
                _complete(operations[method]["responses"])
    return told


def _complete(responses: dict[str, Any]) -> None:
    responses.pop("422", None)
    for status, response in responses.items():
        if status.startswith(("4", "5")):
            response.setdefault("content", _CONTENT)
    responses["default"] = {"description": "An error: any other status", "content": _CONTENT}
