"""Errors on the wire: problem+json (RFC 9457) for every one, and nothing of what went on inside."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from lifeline.errors import (
    ConflictError,
    ImportRejectedError,
    NotFoundError,
    OutsideError,
    StorageError,
    StorageUnavailableError,
)

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger()


class ProblemError(Exception):
    """An answer that is an error: its status, a sentence for a person, and further members."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        self.status = status
        self.detail = detail
        self.headers = headers
        self.members = members
        super().__init__(detail)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    """The error as a response; ``type`` tells machines which kind it is."""
    phrase = HTTPStatus(status).phrase
    slug = phrase.lower().replace(" ", "-")
    content = {"type": f"urn:lifeline:problem:{slug}", "title": phrase, "status": status, "detail": detail, **members}
    return Response(orjson.dumps(content), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of the application with a problem."""
    app.exception_handler(ProblemError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(NotFoundError)(_not_found)
    app.exception_handler(OutsideError)(_outside)
    app.exception_handler(ConflictError)(_conflict)
    app.exception_handler(ImportRejectedError)(_rejected)
    app.exception_handler(StorageUnavailableError)(_unavailable)
    app.exception_handler(StorageError)(_failed)
    app.exception_handler(Exception)(_failed)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        raise TypeError(error)
    return problem(error.status, error.detail, error.headers, **error.members)


async def _invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError(error)
    errors = [
        {"in": str(each["loc"][0]), "name": ".".join(map(str, each["loc"][1:])), "detail": each["msg"]}
        for each in error.errors()
    ]
    detail = "; ".join(f"{each['name'] or each['in']}: {each['detail']}" for each in errors)
    return problem(400, detail, errors=errors)


async def _http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    return problem(error.status_code, _DETAILS.get(error.status_code, str(error.detail)), error.headers)


async def _not_found(_: Request, error: Exception) -> Response:
    return problem(404, str(error))


async def _outside(_: Request, error: Exception) -> Response:
    return problem(403, str(error))


async def _conflict(_: Request, error: Exception) -> Response:
    return problem(409, str(error))


async def _rejected(_: Request, error: Exception) -> Response:
    if not isinstance(error, ImportRejectedError):
        raise TypeError(error)
    listed = [{"at": f"{each.unit} {each.line}", "detail": each.message} for each in error.problems]
    return problem(400, "; ".join(each.message for each in error.problems[:20]), problems=listed)


async def _unavailable(_: Request, error: Exception) -> Response:
    _log.warning("the database is away", error=str(error))
    return problem(503, "the database is away; try again", {"Retry-After": "2"})


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("a request failed", path=request.url.path, error=repr(error))
    return problem(500, "the server failed to answer; its log says why")


_DETAILS = {404: "there is nothing here", 405: "this method is not possible here"}
