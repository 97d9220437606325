"""The Atom feed of CAP documents: what RFC 4287 asks for, whatever the warnings say."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.messages import alertmanager, cap
from lifeline.messages.feed import ATOM, CODES, Entry, atom
from lifeline.messages.words import Language
from lifeline.model import AlertState
from tests.unit.message_bodies import body, message

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
ADDRESS = "https://city.example/api/v1/cap"


def entry(number: int = 42, **data: Any) -> Entry:
    return Entry(f"https://city.example/api/v1/alerts/{number}/cap", NOW - timedelta(hours=1), message(**data))


def feed(*entries: Entry, language: Language = "zh", sender: str = "lifeline@city") -> ElementTree.Element:
    return ElementTree.fromstring(atom(entries, ADDRESS, sender, NOW - timedelta(days=1), language))


def text(element: ElementTree.Element, name: str, namespace: str = ATOM) -> str | None:
    return element.findtext(f"{{{namespace}}}{name}")


@pytest.mark.parametrize(("language", "title"), [("zh", "井室甲烷浓度超限"), ("en", "Methane in a chamber")])
def test_an_entry_says_in_one_language_what_and_where(language: Language, title: str) -> None:
    root = feed(entry(), language=language)
    assert root.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == CODES[language]
    (found,) = root.findall(f"{{{ATOM}}}entry")
    assert title in (text(found, "title") or "")
    assert "Chamber 7" in (text(found, "title") or "")
    assert text(found, "event", cap.NAMESPACE) == title


def test_an_entry_carries_what_a_reader_filters_by() -> None:
    (found,) = feed(entry(level="red")).findall(f"{{{ATOM}}}entry")
    told = {name: text(found, name, cap.NAMESPACE) for name in ("status", "msgType", "severity", "urgency", "category")}
    assert told == {
        "status": "Actual", "msgType": "Alert", "severity": "Extreme", "urgency": "Immediate", "category": "Safety"
    }  # fmt: skip
    corners = (text(found, "polygon", cap.NAMESPACE) or "").split(" ")
    assert corners[0] == corners[-1]


def test_the_feed_is_as_new_as_its_newest_entry() -> None:
    assert text(feed(entry(1), entry(2)), "updated") == "2026-11-21T12:00:05Z"
    assert text(feed(), "updated") == "2026-11-20T12:30:00Z"


def test_the_feed_names_itself_its_author_and_where_each_document_is() -> None:
    root = feed(entry(7), sender="")
    assert text(root, "id") == ADDRESS
    assert root.findtext(f"{{{ATOM}}}author/{{{ATOM}}}name") == "lifeline"
    links = {each.attrib["rel"]: each.attrib for each in root.iter(f"{{{ATOM}}}link")}
    assert links["self"]["href"] == ADDRESS
    assert links["alternate"]["href"].endswith("/alerts/7/cap")
    assert links["alternate"]["type"] == "application/cap+xml"


def test_a_drill_is_told_as_one() -> None:
    (found,) = feed(entry()._replace(message=replace(message(), status="Exercise"))).findall(f"{{{ATOM}}}entry")
    assert text(found, "status", cap.NAMESPACE) == "Exercise"


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_people_write_the_feed_can_be_read(note: str, name: str) -> None:
    root = feed(entry(note=note, where={"asset_name": name}, title={"zh": name, "en": note}, rule=name), sender=note)
    assert len(root.findall(f"{{{ATOM}}}entry")) == 1
    assert root.findtext(f"{{{ATOM}}}author/{{{ATOM}}}name")


@pytest.mark.parametrize(
    ("state", "told", "by"),
    [
        (AlertState.UNACK, "active", {}), (AlertState.ACKED, "active", {}),
        (AlertState.SHLVD, "suppressed", {"silencedBy": ["lifeline-shelved"]}),
        (AlertState.OOSRV, "suppressed", {"silencedBy": ["lifeline-out-of-service"]}),
        (AlertState.DSUPR, "suppressed", {"inhibitedBy": ["lifeline-suppressed-by-design"]}),
    ],
)  # fmt: skip
def test_alertmanager_is_told_who_muted_an_alert(state: AlertState, told: str, by: dict[str, list[str]]) -> None:
    found = alertmanager.gettable(body(), state, NOW, NOW, "https://city.example")
    assert found["status"] == {"state": told, "silencedBy": [], "inhibitedBy": [], "mutedBy": []} | by
    assert found["generatorURL"] == "https://city.example/?alert=42"
    assert datetime.fromisoformat(found["endsAt"]) > NOW


def test_alertmanager_knows_an_alert_by_the_fingerprint_of_its_webhook() -> None:
    found = alertmanager.gettable(body(), AlertState.UNACK, NOW, NOW, "")
    (sent,) = json.loads(alertmanager.encode(message()).content)["alerts"]
    assert (found["fingerprint"], found["labels"]) == (sent["fingerprint"], sent["labels"])
    assert "generatorURL" not in found
