"""CAP 1.2 (OASIS Common Alerting Protocol) for warning across departments, Chinese and English.

A first message is an Alert, later ones are Updates with references to all before, the last one is a Cancel. Field links
are never in it: a warning may be published. Times carry a numeric offset, and UTC is ``-00:00``, as CAP asks.
"""

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from lifeline.messages.message import OVER, TEST, Encoded, Message, page_of, subject_of
from lifeline.messages.words import Language, advice_of, headline, lines, place_of, title_of
from lifeline.model import JsonObject

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
SEVERITIES = {"red": "Extreme", "orange": "Severe", "yellow": "Moderate", "blue": "Minor"}
URGENCIES = {"red": "Immediate", "orange": "Immediate", "yellow": "Expected", "blue": "Future"}
RESPONSES = {"red": "Execute", "orange": "Execute", "yellow": "Prepare", "blue": "Monitor"}
CATEGORIES = {"gas": "Safety", "drainage": "Met", "water": "Infra"}
EXPLOSIVE_OR_TOXIC = frozenset({"methane", "h2s"})
BREACHES = frozenset({"threshold", "rate", "silence"})
"""Detectors that see a measured breach; what the others find is inferred."""
RADIUS_M = 100.0
"""Half of the side of the square that is drawn around a point; an alert knows a place and no extent."""
LIFETIME = timedelta(hours=24)

_LANGUAGES: tuple[tuple[str, Language], ...] = (("zh-CN", "zh"), ("en-US", "en"))
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_NAMES = re.compile(r"[\s,<>&]+")


def encode(message: Message) -> Encoded:
    """The message as a CAP document."""
    return Encoded(ElementTree.tostring(tree(message), encoding="utf-8", xml_declaration=True), "application/cap+xml")


def time_of(at: datetime) -> str:
    """``2026-11-21T12:00:00-00:00``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S-00:00")


def polygon(longitude: float, latitude: float, radius_m: float = RADIUS_M) -> str:
    """A closed square around a point, ``lat,lon lat,lon ...``: CAP puts the latitude first."""
    north = radius_m / 111_320
    east = north / max(math.cos(math.radians(latitude)), 0.01)
    corners = [(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)]
    return " ".join(f"{latitude + y * north:.6f},{longitude + x * east:.6f}" for y, x in corners)


def tree(message: Message) -> ElementTree.Element:
    """The document as elements, their names without the namespace."""
    sender = _name(message.sender)
    root = ElementTree.Element("alert", xmlns=NAMESPACE)
    texts = [
        ("identifier", _name(message.message_id)),
        ("sender", sender),
        ("sent", time_of(message.at)),
        ("status", "Test" if message.type == TEST else message.status),
        ("msgType", _message_type(message)),
        ("source", "Lifeline"),
        ("scope", "Restricted"),
        ("restriction", "Departments that respond; not for publication before they release it"),
        ("references", " ".join(f"{sender},{_name(old.message_id)},{time_of(old.sent)}" for old in message.references)),
        ("incidents", _incident(message.data)),
    ]
    _add(root, texts)
    for code, language in _LANGUAGES:
        root.append(_info(message, code, language))
    return root


def _incident(data: JsonObject) -> str:
    return subject_of(data).replace(" ", "-") if data.get("incident_id") or data.get("alert_id") else ""


def _message_type(message: Message) -> str:
    if not message.references:
        return "Alert"
    return "Cancel" if message.type in OVER else "Update"


def _info(message: Message, code: str, language: Language) -> ElementTree.Element:
    data, over = message.data, message.type in OVER
    level = data.get("level") or "blue"
    info = ElementTree.Element("info")
    texts = [
        ("language", code),
        ("category", _category(data)),
        ("event", readable(title_of(data, language)) or readable(str(data.get("rule") or "")) or "Lifeline"),
        ("responseType", "AllClear" if over else RESPONSES[level]),
        ("urgency", "Past" if over else URGENCIES[level]),
        ("severity", SEVERITIES[level]),
        ("certainty", _certainty(data)),
        ("effective", time_of(message.at)),
        ("onset", time_of(datetime.fromisoformat(data["first_seen"])) if data.get("first_seen") else ""),
        ("expires", time_of(message.at + LIFETIME)),
        ("senderName", message.sender),
        ("headline", (message.mark(language) + headline(message.body, language))[:160]),
        ("description", "\n".join(lines(message.body, language)) or headline(message.body, language)),
        ("instruction", advice_of(data, language)),
        ("web", page_of(data, message.public_url)),
    ]
    _add(info, texts)
    for name, value in (("rule", data.get("rule")), ("level", data.get("level")), ("state", data.get("state"))):
        if readable(str(value or "")):
            _add(ElementTree.SubElement(info, "parameter"), [("valueName", name), ("value", str(value))])
    info.append(_area(data, language))
    return info


def _category(data: JsonObject) -> str:
    if (data.get("evidence") or {}).get("quantity") in EXPLOSIVE_OR_TOXIC:
        return "Safety"
    return CATEGORIES.get(str(data.get("network")), "Infra")


def _certainty(data: JsonObject) -> str:
    evidence = data.get("evidence") or {}
    if evidence.get("detector") in BREACHES:
        return "Observed"
    sure = evidence.get("sure")
    return "Likely" if isinstance(sure, int | float) and sure >= 0.5 else "Possible"


def _area(data: JsonObject, language: Language) -> ElementTree.Element:
    where: dict[str, Any] = data.get("where") or {}
    area = ElementTree.Element("area")
    _add(area, [("areaDesc", readable(place_of(data)) or ("位置未知" if language == "zh" else "place not known"))])
    if where.get("longitude") is not None and where.get("latitude") is not None:
        _add(area, [("polygon", polygon(where["longitude"], where["latitude"]))])
    return area


def _add(parent: ElementTree.Element, texts: Iterable[tuple[str, str]]) -> None:
    """Child elements in order; those without text are left out, as all of those that may be empty are optional."""
    for name, text in texts:
        if clean := readable(text):
            ElementTree.SubElement(parent, name).text = clean


def readable(text: str) -> str:
    """Without what XML cannot hold; empty where nothing is left to read."""
    return _NOT_XML.sub("", text).strip()


def _name(text: str) -> str:
    """Identifiers and senders hold no space, comma, ``<`` or ``&``, and are never empty."""
    return _NOT_IN_NAMES.sub("-", readable(text)) or "lifeline"
