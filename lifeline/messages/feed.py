"""CAP documents as an Atom feed (RFC 4287), with the elements of CAP 1.2 in each entry that a reader filters by."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from xml.etree import ElementTree

from lifeline.messages import cap
from lifeline.messages.message import Message
from lifeline.messages.words import Language, headline, lines

ATOM = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"
CAP_TYPE = "application/cap+xml"
TITLES: dict[Language, str] = {"zh": "城市生命线预警", "en": "Lifeline warnings"}
CODES: dict[Language, str] = {"zh": "zh-CN", "en": "en-US"}
_TOLD = ("status", "msgType")
_TOLD_OF_INFO = ("category", "event", "responseType", "urgency", "severity", "certainty", "effective", "expires")


class Entry(NamedTuple):
    """A warning in the feed: where its CAP document is, when the problem was first told, and its newest message."""

    address: str
    published: datetime
    message: Message


def atom(entries: Sequence[Entry], address: str, sender: str, updated: datetime, language: Language) -> bytes:
    """The feed at ``address`` with titles in ``language``; each document has both languages."""
    root = ElementTree.Element(f"{{{ATOM}}}feed", {"xml:lang": CODES[language]})
    _text(root, "id", address)
    _text(root, "title", TITLES[language])
    _text(root, "updated", _time(max([updated, *(each.message.at for each in entries)])))
    _link(root, "self", address, MEDIA_TYPE)
    _text(ElementTree.SubElement(root, f"{{{ATOM}}}author"), "name", cap.readable(sender) or "lifeline")
    for each in entries:
        root.append(_entry(each, language))
    ElementTree.register_namespace("", ATOM)
    ElementTree.register_namespace("cap", cap.NAMESPACE)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _entry(entry: Entry, language: Language) -> ElementTree.Element:
    message = entry.message
    found = ElementTree.Element(f"{{{ATOM}}}entry")
    _text(found, "id", entry.address)
    _text(found, "title", cap.readable(headline(message.body, language)))
    _text(found, "updated", _time(message.at))
    _text(found, "published", _time(min(entry.published, message.at)))
    _text(found, "summary", cap.readable("\n".join(lines(message.body, language))))
    _link(found, "alternate", entry.address, CAP_TYPE)
    document = cap.tree(message)
    info = next(each for each in document.iter("info") if each.findtext("language") == CODES[language])
    told = [(document, name) for name in _TOLD] + [(info, name) for name in _TOLD_OF_INFO]
    area = info.find("area")
    told += [(area, name) for name in ("areaDesc", "polygon")] if area is not None else []
    for element, name in told:
        if text := element.findtext(name):
            ElementTree.SubElement(found, f"{{{cap.NAMESPACE}}}{name}").text = text
    return found


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, f"{{{ATOM}}}{name}").text = text


def _link(parent: ElementTree.Element, rel: str, href: str, media_type: str) -> None:
    ElementTree.SubElement(parent, f"{{{ATOM}}}link", {"rel": rel, "href": href, "type": media_type})


def _time(at: datetime) -> str:
    """RFC 3339; Atom knows ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
