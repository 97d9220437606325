"""Routes by which other systems follow warnings: CAP 1.2 as an Atom feed and one by one, and Alertmanager's API v2."""

from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

import lifeline
from api.access import Access
from api.alerts import LevelName
from api.city import City, city
from api.documents import document, respond
from api.parameters import BigId, Network, StrictRoute
from api.problems import ProblemError
from lifeline.messages import alertmanager, cap, feed
from lifeline.messages.matchers import Matcher, parse
from lifeline.messages.message import Message
from lifeline.model import JsonObject, Level, Role
from lifeline.storage import bulletins
from lifeline.storage.bulletins import Bulletin
from lifeline.storage.database import borrow

router = APIRouter(route_class=StrictRoute, tags=["standards"], dependencies=[Depends(Access(Role.VIEWER))])
ENDED_FOR = timedelta(hours=24)
"""How long a warning that is over stays in the feed, so that who looks now and then sees its Cancel."""
LONGEST_FEED = 500
MOST_ALERTS = 5000


class StatusOut(BaseModel):
    """``state`` is ``active`` or ``suppressed``; by what, the lists say."""

    state: Literal["active", "suppressed"]
    silencedBy: list[str]  # noqa: N815 - the names are Alertmanager's
    inhibitedBy: list[str]  # noqa: N815
    mutedBy: list[str]  # noqa: N815


class ReceiverOut(BaseModel):
    name: str


class GettableAlert(BaseModel):
    """An alert of Alertmanager's API v2."""

    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: str  # noqa: N815
    endsAt: str  # noqa: N815
    updatedAt: str  # noqa: N815
    fingerprint: str
    receivers: list[ReceiverOut]
    status: StatusOut
    generatorURL: str = ""  # noqa: N815


@router.get(
    "/api/v1/cap", response_class=Response, responses={200: {"content": {feed.MEDIA_TYPE: {"example": "<feed ..."}}}}
)
def get_feed(
    request: Request,
    language: Annotated[Literal["zh", "en"], Query(description="Of titles; each document has both")] = "zh",
    network: Network = None,
    level: Annotated[list[LevelName] | None, Query(description="May be repeated")] = None,
) -> Response:
    """Warnings that stand or ended within a day as an Atom feed of CAP 1.2 documents, the newest word first."""
    here = city(request)
    now = here.clock()
    levels = [Level.from_slug(each) for each in level or []]
    with borrow(here.pool) as connection:
        found = bulletins.bulletins(
            connection, now - ENDED_FOR, network=network, levels=levels, limit=LONGEST_FEED
        )  # fmt: skip
    base = here.settings.public_url or str(request.base_url).rstrip("/")
    entries = [
        feed.Entry(f"{base}/api/v1/alerts/{each.alert_id}/cap", each.raised_at, _message(here, each)) for each in found
    ]
    # A feed without entries must name a moment too, and must not change with every look.
    morning = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = min((each.message.at for each in entries), default=morning)
    body = feed.atom(entries, f"{base}/api/v1/cap", here.settings.sender, since, language)
    return respond(request, document(body, feed.MEDIA_TYPE))


@router.get(
    "/api/v1/alerts/{id}/cap",
    response_class=Response,
    responses={200: {"content": {feed.CAP_TYPE: {"example": "<alert ..."}}}},
)
def get_cap(request: Request, id: BigId) -> Response:  # noqa: A002
    """The newest word on a risk alert as a CAP 1.2 document, Chinese and English."""
    here = city(request)
    with borrow(here.pool) as connection:
        found = bulletins.bulletin(connection, id)
    return respond(request, document(cap.encode(_message(here, found)).content, feed.CAP_TYPE))


@router.get("/api/v2/alerts", response_model_exclude_unset=True, response_model=list[GettableAlert])
def list_standing(
    request: Request,
    active: Annotated[bool, Query(description="Those that nobody has muted")] = True,
    silenced: Annotated[bool, Query(description="Those on the shelf or out of service")] = True,
    inhibited: Annotated[bool, Query(description="Those that another alert or planned work explains")] = True,
    unprocessed: Annotated[bool, Query(description="There are none")] = True,  # noqa: ARG001
    filter_: Annotated[
        list[str] | None, Query(alias="filter", max_length=50, description='Matchers, as level="red"; all must hold')
    ] = None,
    receiver: Annotated[str | None, Query(max_length=200, description="An expression; there is one, lifeline")] = None,
) -> list[JsonObject]:
    """Open alerts as Prometheus Alertmanager tells them (API v2): for amtool, Grafana, Karma and the like."""
    wanted = _matchers(filter_ or []), _matchers([f'receiver=~"{receiver}"'] if receiver else [])
    here = city(request)
    now, url = here.clock(), here.settings.public_url
    with borrow(here.pool) as connection:
        found = bulletins.standing(connection, MOST_ALERTS)
    told = [alertmanager.gettable(each.body, each.state, each.updated_at, now, url) for each in found]
    for matcher in wanted[0]:
        told = _kept(told, matcher.keeps([each["labels"] for each in told]))
    for matcher in wanted[1]:
        told = _kept(told, matcher.keeps([{"receiver": alertmanager.RECEIVER}] * len(told)))
    shown = {"silencedBy": silenced, "inhibitedBy": inhibited}
    told = _kept(told, (all(show or not each["status"][by] for by, show in shown.items()) for each in told))
    return _kept(told, (active or each["status"]["state"] != "active" for each in told))


@router.get("/api/v2/status")
def get_status(request: Request) -> JsonObject:
    """What amtool and Grafana ask before anything else: there is no cluster and no file of configuration."""
    build = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
    return {
        "cluster": {"name": "lifeline", "peers": [], "status": "disabled"},
        "config": {"original": ""},
        "uptime": city(request).started.isoformat(),
        "versionInfo": build | {"version": lifeline.__version__},
    }


def _message(here: City, found: Bulletin) -> Message:
    settings = here.settings
    return Message(
        found.message_id, found.body, "", settings.sender, settings.public_url, settings.message_status,
        found.references,
    )  # fmt: skip


def _matchers(texts: list[str]) -> list[Matcher]:
    try:
        return [parse(each) for each in texts]
    except ValueError as error:
        raise ProblemError(400, f"filter: {error}") from None


def _kept(told: list[JsonObject], kept: Iterable[bool]) -> list[JsonObject]:
    return [each for each, keep in zip(told, kept, strict=True) if keep]
