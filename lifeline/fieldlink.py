"""Links by which a phone does one thing to one alert without a login. Pure: making and reading.

A link is ``v1.{alert}.{action}.{expiry}.{endpoint}.{nonce}.{signature}``; the signature is HMAC-SHA256 over all that
stands before it. Who has the link may use it once, until it expires; it opens nothing else.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from lifeline.errors import LifelineError
from lifeline.model import AlertState, JsonObject
from lifeline.response import NEXT, Step

_VERSION = "v1"
_DOMAIN = b"lifeline field link\0"  # a signature made for anything else with the same secret is none here
_FORM = re.compile(r"v1\.(\d{1,18})\.([a-z_]{1,20})\.(\d{1,11})\.(\d{1,9})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})")


class Action(StrEnum):
    """What a link may do. All but the first and the last are steps of the response."""

    ACKNOWLEDGE = "acknowledge"
    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"
    DISPATCHED = "dispatched"
    ON_SITE = "on_site"
    HANDLED = "handled"
    FEED_BACK = "feed_back"


class ForgedLinkError(LifelineError):
    """A link that this Lifeline has not made, or that was changed on the way."""


@dataclass(frozen=True, slots=True)
class FieldLink:
    """What a link is good for. ``endpoint_id`` is where it was sent to."""

    alert_id: int
    action: Action
    expires_at: datetime
    endpoint_id: int
    nonce: str

    def expired(self, now: datetime) -> bool:
        return now >= self.expires_at


def nonce_of(secret: str, message_id: str, endpoint_id: int, action: Action) -> str:
    """Sixteen characters that nobody else can guess, the same in every attempt to deliver the message."""
    text = f"nonce\0{message_id}\0{endpoint_id}\0{action}".encode()
    return _text(hmac.digest(secret.encode(), _DOMAIN + text, hashlib.sha256)[:12])


def onward(secret: str, link: FieldLink, action: Action) -> FieldLink:
    """The link by which who used ``link`` does the next thing: same alert, same end, and it works once as well."""
    nonce = nonce_of(secret, f"onward\0{link.nonce}", link.endpoint_id, action)
    return FieldLink(link.alert_id, action, link.expires_at, link.endpoint_id, nonce)


def write(secret: str, link: FieldLink) -> str:
    """The link's text, to be put behind the address of the page."""
    expiry = int(link.expires_at.timestamp())
    text = f"{_VERSION}.{link.alert_id}.{link.action}.{expiry}.{link.endpoint_id}.{link.nonce}"
    return f"{text}.{_signature(secret, text)}"


def read(secrets: Sequence[str], token: str) -> FieldLink:
    """What a token is good for, expired or not. Raises ForgedLinkError unless one of ``secrets`` signed it."""
    found = _FORM.fullmatch(token)
    text, _, signature = token.rpartition(".")
    signed = [hmac.compare_digest(_signature(secret, text), signature) for secret in secrets if found]
    if found is None or not any(signed):
        raise ForgedLinkError("this link is not one of ours, or it was changed on the way")
    alert_id, action, expiry, endpoint_id, nonce, _ = found.groups()
    try:
        return FieldLink(
            int(alert_id), Action(action), datetime.fromtimestamp(int(expiry), UTC), int(endpoint_id), nonce
        )
    except (ValueError, OverflowError) as error:
        raise ForgedLinkError("this link is of another version of Lifeline") from error


def actions_for(data: JsonObject) -> list[Action]:
    """What can be done to the alert or the incident that a message's data tells of."""
    if subject_of(data) is None or data.get("state") in (AlertState.NORM, "closed"):
        return []
    step = Step((data.get("response") or {}).get("step", Step.RECEIVED))
    waits = data.get("attended") is False or data.get("state") in (AlertState.UNACK, AlertState.RTNUN)
    found = [Action.ACKNOWLEDGE] if waits else []
    found += [Action(following) for following in NEXT[step] if following in set(map(str, Action))]
    return [*found, Action.FEED_BACK] if Step.FED_BACK in NEXT[step] else found


def subject_of(data: JsonObject) -> int | None:
    """The alert that a link in a message acts on: of an incident the one that holds its response."""
    found = data.get("alert_id") or data.get("response_alert")
    return int(found) if found else None


def links_for(
    secret: str, public_url: str, message_id: str, endpoint_id: int, body: JsonObject, lifetime: timedelta
) -> dict[str, str]:
    """Addresses by action for a message; the same whenever it is sent, as their time runs from the message's."""
    data = body["data"]
    subject = subject_of(data) or 0
    expires_at = datetime.fromisoformat(body["timestamp"]) + lifetime
    return {
        str(action): f"{public_url}/field/"
        + write(
            secret,
            FieldLink(subject, action, expires_at, endpoint_id, nonce_of(secret, message_id, endpoint_id, action)),
        )
        for action in actions_for(data)
    }


def _signature(secret: str, text: str) -> str:
    return _text(hmac.digest(secret.encode(), _DOMAIN + text.encode(), hashlib.sha256))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
