"""Routes by which a browser goes to the city's own log-in service and comes back logged in.

They are for browsers, which follow where they are sent; what went wrong is told by the page, in the reader's language.
"""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from api.access import Failures, Gate, address_of, cookie_name, is_secure, session_token
from api.city import city
from api.metrics import REFUSED_LOGINS
from api.parameters import StrictRoute
from api.problems import ProblemError
from api.relyingparty import CALLBACK, FLOW_S, Arrival, RefusedError, RelyingParty
from api.session import end_old, give_cookie
from lifeline.principal import Kind
from lifeline.storage import sessions
from lifeline.storage.behalf import Actor, PoolOnBehalf
from lifeline.storage.database import borrow

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["session"])
browsers = APIRouter(include_in_schema=False)
FAILURES = 20
"""Log-ins of one address that come to nothing within a minute, after which it waits: each may have the issuer asked."""
_failures = Failures(FAILURES)

_log = structlog.get_logger()


class WaysOut(BaseModel):
    """``service``: what the city's own log-in service is called, where people can log in there
    (`/api/v1/session/oidc`); null: by password or link alone."""

    service: str | None


@router.get("/session/ways")
def ways_in(request: Request) -> WaysOut:
    """How people log in here; the one thing that the page has to know before anybody has."""
    settings = city(request).settings
    name = settings.oidc_label or urlsplit(settings.oidc_issuer).netloc
    return WaysOut(service=name if settings.oidc_client_id else None)


@browsers.get("/api/v1/session/oidc")
def go_there(request: Request, onward: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Send a browser to the log-in service; ``next`` is where on the page it goes on afterwards."""
    try:
        address, flow = _party(request).begin(onward)
    except RefusedError as error:
        return _refused(request, error)
    answer = RedirectResponse(address, 303)
    # Lax: it must come along when the service sends the browser back, which the session's own cookie never does.
    answer.set_cookie(_flow_name(request), flow, FLOW_S, secure=is_secure(request), httponly=True, samesite="lax")
    return answer


@browsers.get(CALLBACK)
def come_back(request: Request) -> Response:
    """Where the log-in service sends a browser back to: opens a session, as the log-in by password does."""
    party, now = _party(request), city(request).clock()
    wait_s = _failures.wait_s(address_of(request), now.timestamp())
    if wait_s > 0:
        raise ProblemError(429, "too many log-ins that came to nothing; wait", {"Retry-After": str(int(wait_s) + 1)})
    try:
        arrival = party.finish(request.query_params, request.cookies.get(_flow_name(request)))
    except RefusedError as error:
        _failures.add(address_of(request), now.timestamp())
        return _refused(request, error)
    # The fragment has the page ask whose session this is: a redirect cannot tell a script the proof for changes.
    answer = RedirectResponse(f"{arrival.onward}#in", 303)
    _open_session(request, answer, arrival)
    _forget_flow(request, answer)
    return answer


@browsers.get("/api/v1/session/oidc/log-out")
def go_out(request: Request) -> Response:
    """Send a browser, which has logged out here, to log out at the log-in service too."""
    return RedirectResponse(_party(request).farewell(), 303)


def _open_session(request: Request, answer: Response, arrival: Arrival) -> None:
    gate: Gate = request.app.state.gate
    here, now, address = city(request), city(request).clock(), address_of(request)
    life = timedelta(hours=here.settings.oidc_session_h)
    actor = Actor(arrival.who.name, Kind.SSO, now, address, f"GET {CALLBACK}")
    with borrow(request.app.state.pool) as connection:
        sessions.forget_ended(connection, gate.lives, now)
    with borrow(PoolOnBehalf(request.app.state.pool, actor)) as connection:
        end_old(connection, gate, session_token(request))
        token = sessions.begin_for(connection, arrival.who, arrival.subject, life, now, address)
    give_cookie(request, answer, token, int(life.total_seconds()))


def _party(request: Request) -> RelyingParty:
    party: RelyingParty | None = request.app.state.party
    if party is None:
        raise ProblemError(404, "nobody logs in by another service here: LIFELINE_OIDC_CLIENT_ID is not set")
    return party


def _refused(request: Request, error: RefusedError) -> Response:
    """Back to the page, which says what was wrong."""
    REFUSED_LOGINS.inc()
    _log.warning("a log-in by the log-in service was refused", address=address_of(request), reason=str(error))
    answer = RedirectResponse(f"/#refused={error.word}", 303)
    _forget_flow(request, answer)
    return answer


def _flow_name(request: Request) -> str:
    return f"{cookie_name(request)}_flow"


def _forget_flow(request: Request, answer: Response) -> None:
    answer.delete_cookie(_flow_name(request), secure=is_secure(request), httponly=True, samesite="lax")
