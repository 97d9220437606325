"""Requests that are sent again: with the same Idempotency-Key they do nothing twice and get the same answer.

As in the IETF's draft-ietf-httpapi-idempotency-key-header: another request under the same key is 422, one whose first
sending is still at work 409. An answer is kept for a day. What failed is not kept: it did nothing, and may be tried
again. Answers that hold a secret would be kept with it: those routes refuse the header.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from api.problems import ProblemError
from lifeline.principal import Principal
from lifeline.storage import repeats
from lifeline.storage.database import borrow
from lifeline.storage.repeats import Asked, Kept

HEADER = "Idempotency-Key"
LIFE = timedelta(days=1)
STUCK = timedelta(minutes=5)
"""A request that is at work for longer than this has died with its process."""
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
_SECRET = re.compile(r"/api/v1/(keys|users|endpoints|session)(/|$)")


async def once(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Answer a request, or give the answer that it got before. Raises ProblemError 400, 409 and 422."""
    said = request.headers.get(HEADER)
    who: Principal | None = getattr(request.state, "principal", None)
    if said is None or who is None or request.method in ("GET", "HEAD", "OPTIONS"):
        return await answer(request)
    asked = await _asked(request, who, said)
    kept = await run_in_threadpool(_begin, request, asked)
    if kept is not None:
        return Response(kept.body, kept.status, {"Idempotency-Replayed": "true"}, kept.media_type)
    try:
        made = await answer(request)
    except BaseException:
        await run_in_threadpool(_forget, request, asked)
        raise
    body = getattr(made, "body", None)
    if made.status_code >= 400 or not isinstance(body, bytes):
        await run_in_threadpool(_forget, request, asked)
    else:
        kept = Kept(made.status_code, made.media_type or made.headers.get("content-type"), body)
        await run_in_threadpool(_keep, request, asked, kept)
    return made


async def _asked(request: Request, who: Principal, said: str) -> Asked:
    key = _KEY.fullmatch(said.strip())
    if key is None:
        raise ProblemError(400, f"{HEADER} takes 1 to 255 printable characters without a space")
    if _SECRET.match(request.url.path):
        raise ProblemError(400, f"this route takes no {HEADER}: what it answers must not be kept")
    told = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    fingerprint = hashlib.sha256(told + await request.body()).digest()
    return Asked(f"{who.kind} {who.name}", key[1], fingerprint)


def _begin(request: Request, asked: Asked) -> Kept | None:
    now = request.app.state.city.clock()
    with borrow(request.app.state.pool) as connection:
        found = repeats.begin(connection, asked, now, now - LIFE, now - STUCK)
    if found is None:
        return None
    if found.fingerprint != asked.fingerprint:
        raise ProblemError(422, f"this {HEADER} came with another request before")
    if found.kept is None:
        raise ProblemError(409, "the first sending of this request is still at work", {"Retry-After": "2"})
    return found.kept


def _keep(request: Request, asked: Asked, kept: Kept) -> None:
    with borrow(request.app.state.pool) as connection:
        repeats.keep(connection, asked, kept)


def _forget(request: Request, asked: Asked) -> None:
    with borrow(request.app.state.pool) as connection:
        repeats.forget(connection, asked)
