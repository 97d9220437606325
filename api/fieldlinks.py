"""Routes of field links: a phone sees one alert and does one thing to it, without a login.

Opening a link changes nothing, as mail programs open them unasked; only POST does what it is for. There is no key: the
link itself is the right, to one thing, once, for a while.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.city import City, city
from api.documents import respond
from api.parameters import StrictRoute
from api.problems import ProblemError
from lifeline import fieldlink
from lifeline.fieldlink import Action, FieldLink, ForgedLinkError
from lifeline.model import AlertState, JsonObject
from lifeline.response import Step
from lifeline.storage import alerts, directory, fieldlinks, response
from lifeline.storage.database import Connection, borrow
from lifeline.storage.fieldlinks import Outcome, Report

router = APIRouter(prefix="/field", route_class=StrictRoute, tags=["field links"])

Token = Annotated[str, Path(max_length=200, description="As it stands in the message")]
_STATUS = {Outcome.EXPIRED: 410, Outcome.REPEATED: 409, Outcome.REFUSED: 409}


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL byte")
    return value


Text = Annotated[str, AfterValidator(_storable)]


class FieldAlert(BaseModel):
    """As much of an alert as a person on the way to it needs.

    ``worst``: what is over, as it was at its worst; null while it goes on, and where no expected value was told.
    """

    id: int
    level: str
    state: AlertState
    network: str
    rule: str
    asset: str | None
    asset_name: str | None
    sensor_name: str | None
    longitude: float | None
    latitude: float | None
    raised_at: datetime
    evidence: JsonObject
    worst: JsonObject | None


class FieldLinkOut(BaseModel):
    """What a link is for and whether it still works; ``why`` says why not.

    ``onward``: tokens of what else can be done to this alert now, by action. Each works once and expires with this one.
    """

    action: Action
    expires_at: datetime
    usable: bool
    why: str
    step: Step
    team: str
    alert: FieldAlert
    onward: dict[str, str]


class FieldReport(BaseModel):
    """What the person says. ``genuine`` (was it a real problem?) is needed for `feed_back`, and only there."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, Field(max_length=80)] = ""
    note: Annotated[Text, Field(max_length=2000)] = ""
    team: Annotated[Text, Field(max_length=80)] | None = None
    genuine: bool | None = None
    cause: Annotated[Text, Field(max_length=80)] = ""


_RESPONSES: dict[int | str, dict[str, str]] = {
    403: {"description": "Not a link of ours"},
    404: {"description": "Links are off"},
}


@router.get(
    "/{token}",
    response_model=FieldLinkOut,
    responses={**_RESPONSES, 200: {"description": "To a browser, as HTML: the page for the phone"}},
)
def look(request: Request, token: Token) -> FieldLinkOut | Response:
    """What a link would do, to which alert. Changes nothing. A browser, which asks for HTML, gets the page."""
    if "text/html" in request.headers.get("accept", ""):
        return respond(request, request.app.state.page["/field.html"], {"Vary": "Accept, Accept-Encoding"})
    here = city(request)
    link = read_link(here, token)
    with borrow(here.pool) as connection:
        return _shown(connection, here, link)


@router.post(
    "/{token}",
    responses={
        **_RESPONSES,
        409: {"description": "Used already, or the alert does not allow it any more"},
        410: {"description": "Expired"},
    },
)
def act(request: Request, token: Token, body: FieldReport | None = None) -> FieldLinkOut:
    """Do what the link is for: acknowledge, take a step of the response, or feed back. Once."""
    here = city(request)
    link = read_link(here, token)
    given = body or FieldReport()
    if (given.genuine is None) == (link.action is Action.FEED_BACK):
        raise ProblemError(400, "genuine: true or false is needed to feed back, and for nothing else")
    address = request.client.host if request.client else ""
    report = Report(address, given.name, given.note, given.team, bool(given.genuine), given.cause)
    now = here.clock()
    with borrow(here.pool) as connection:
        outcome, detail = fieldlinks.use(connection, link, report, now)
        connection.commit()
        if outcome is not Outcome.DONE:
            raise ProblemError(_STATUS[outcome], detail, outcome=str(outcome))
        return _shown(connection, here, link)


def read_link(here: City, token: str) -> FieldLink:
    """What a token is good for. Raises ProblemError 403 for a forged one, 404 where links are off."""
    secrets = here.settings.link_secret.get_secret_value().split()
    if not secrets:
        raise ProblemError(404, "field links are off: LIFELINE_LINK_SECRET is not set")
    try:
        return fieldlink.read(secrets, token)
    except ForgedLinkError as error:
        raise ProblemError(403, str(error)) from error


def _onward(here: City, link: FieldLink, state: AlertState, step: Step) -> dict[str, str]:
    """Who holds one link of an alert may go on: the messages about the next steps would bring the same links."""
    secret = here.settings.link_secret.get_secret_value().split()[0]
    actions = fieldlink.actions_for({"alert_id": link.alert_id, "state": state, "response": {"step": step}})
    return {
        str(action): fieldlink.write(secret, fieldlink.onward(secret, link, action))
        for action in actions
        if action is not link.action
    }


def _shown(connection: Connection, here: City, link: FieldLink) -> FieldLinkOut:
    now = here.clock()
    line, now_at = directory.alert(connection, link.alert_id), response.get(connection, link.alert_id)
    spent = fieldlinks.spent_at(connection, link)
    over = line.state is AlertState.RTNUN or line.closed_at is not None
    why = f"used at {spent:%Y-%m-%d %H:%M} UTC" if spent else "expired" if link.expired(now) else ""
    return FieldLinkOut(
        action=link.action,
        expires_at=link.expires_at,
        usable=not why,
        why=why,
        step=now_at.step,
        team=now_at.team,
        alert=FieldAlert(
            id=line.alert_id,
            level=line.level.slug,
            state=line.state,
            network=line.network,
            rule=line.rule,
            asset=line.asset,
            asset_name=line.asset_name,
            sensor_name=line.sensor_name,
            longitude=line.longitude,
            latitude=line.latitude,
            raised_at=line.raised_at,
            evidence=line.evidence,
            worst=alerts.worst_moment(connection, link.alert_id) if over else None,
        ),
        onward={} if link.expired(now) else _onward(here, link, line.state, now_at.step),
    )
