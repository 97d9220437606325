"""What every format is given: the message as it stands in the outbox, and what this endpoint knows already."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from lifeline.model import JsonObject

OVER = frozenset({"alert.cleared", "alert.closed", "sensor.online", "incident.cleared", "incident.closed"})
"""Messages that say that it is over."""
GROUP = "alert.group"
"""A message that holds several: ``data.messages``, the newest first."""
TEST = "endpoint.test"
"""A message that tells of nothing, so that a receiver can be tried."""


class Reference(NamedTuple):
    """An earlier message about the same alert that went to this endpoint."""

    message_id: str
    sent: datetime


class Encoded(NamedTuple):
    """A body and its media type."""

    content: bytes
    media_type: str


MARKS = {
    "Exercise": {"zh": "【演练】", "en": "[EXERCISE] "},
    "Test": {"zh": "【测试】", "en": "[TEST] "},
}
"""By status what stands before every headline, so that nobody who reads it anywhere digs for nothing."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way to one endpoint. ``links`` are its field links by what they do."""

    message_id: str
    body: JsonObject
    endpoint: str = ""
    sender: str = "lifeline"
    public_url: str = ""
    status: str = "Actual"
    references: tuple[Reference, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return str(self.body["type"])

    @property
    def data(self) -> JsonObject:
        return dict(self.body["data"])

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.body["timestamp"])

    def mark(self, language: str) -> str:
        """What stands before its headline: nothing for a message of the real city."""
        return MARKS.get(self.status, {}).get(language, "")

    @property
    def parts(self) -> list[JsonObject]:
        """The messages in it, for a group; else itself."""
        if self.type == GROUP:
            return list(self.data["messages"])
        return [self.body]


def page_of(data: Mapping[str, Any], public_url: str) -> str:
    """Where the page shows an alert, or an incident's first; empty where nobody knows how people reach the page."""
    if not public_url:
        return ""
    alert_id = data.get("alert_id") or data.get("lead_alert")
    return f"{public_url}/?alert={alert_id}" if alert_id else f"{public_url}/"


def subject_of(data: Mapping[str, Any]) -> str:
    """What it is about for its whole life: ``alert 42`` or ``incident 7``."""
    kind = "incident" if data.get("incident_id") else "alert"
    return f"{kind} {data.get(f'{kind}_id')}"


def compact(value: Any) -> bytes:
    """JSON without spaces, Chinese as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
