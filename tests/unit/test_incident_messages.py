"""Messages about incidents in every format of an endpoint."""

import json
from datetime import timedelta
from xml.etree import ElementTree

import pytest

from lifeline.fieldlink import links_for
from lifeline.messages import FORMATS
from lifeline.messages import chat as chat_format
from lifeline.messages.message import Message, Reference, subject_of
from tests.unit.message_bodies import AT, body, message

CAUSES = [
    {
        "cause": "burst", "title": {"en": "Burst water main", "zh": "供水爆管"}, "share": 0.83,
        "for": [{"why": {"en": "pressure falls suddenly", "zh": "压力骤降"}, "weight": 2.0, "alerts": [42, 43]}],
        "against": [],
    }
]  # fmt: skip


def incident(event: str = "incident.opened", references: tuple[Reference, ...] = ()) -> Message:
    """The message about incident 7, whose worst alert is 42."""
    return message(
        event,
        references,
        alert_id=None,
        incident_id=7,
        lead_alert=42,
        network="water",
        rule="incident.burst",
        state="open",
        title=CAUSES[0]["title"],
        count=6,
        evidence={"sure": 0.83, "causes": CAUSES},
    )


def test_the_own_body_leads_to_the_worst_alert_on_the_page() -> None:
    told = json.loads(FORMATS["own"](incident()).content)
    assert told["type"] == "incident.opened"
    assert told["data"]["url"] == "https://city.example/?alert=42"
    assert told["data"]["evidence"]["causes"][0]["cause"] == "burst"


def test_a_cloudevent_is_about_the_incident() -> None:
    assert json.loads(FORMATS["cloudevents"](incident()).content)["subject"] == "incidents/7"
    assert json.loads(FORMATS["cloudevents"](message()).content)["subject"] == "alerts/42"


def test_alertmanager_knows_an_incident_by_one_fingerprint_until_it_is_over() -> None:
    told = [incident("incident.opened"), incident("incident.closed"), message()]
    opened, closed, alert = (json.loads(FORMATS["alertmanager"](each).content) for each in told)
    assert (opened["status"], closed["status"]) == ("firing", "resolved")
    first, second, other = (each["alerts"][0]["fingerprint"] for each in (opened, closed, alert))
    assert first == second != other
    assert opened["alerts"][0]["labels"]["alertname"] == "incident.burst"
    assert "压力骤降" in opened["alerts"][0]["annotations"]["description"]


def test_cap_names_the_incident_its_cause_and_how_likely_that_is() -> None:
    closed = incident("incident.closed", (Reference("msg_0", incident().at),))
    tree = ElementTree.fromstring(FORMATS["cap"](closed).content)
    space = "{urn:oasis:names:tc:emergency:cap:1.2}"
    assert tree.findtext(f"{space}incidents") == "incident-7"
    assert tree.findtext(f"{space}msgType") == "Cancel"
    assert [info.findtext(f"{space}event") for info in tree.iter(f"{space}info")] == ["供水爆管", "Burst water main"]
    assert {info.findtext(f"{space}certainty") for info in tree.iter(f"{space}info")} == {"Likely"}


@pytest.mark.parametrize("words", ["事件", "供水爆管", "6 条报警", "压力骤降", "6 alerts: pressure falls suddenly"])
def test_a_chat_says_what_it_is_how_many_alerts_and_why(words: str) -> None:
    assert words in "\n".join(chat_format.encode(incident()))


def test_no_field_link_acts_on_an_incident() -> None:
    told = incident()
    assert links_for("secret" * 8, "https://city.example", "msg_1", 1, told.body, timedelta(hours=1)) == {}


def test_a_subject_is_an_alert_or_an_incident() -> None:
    assert subject_of(body()["data"]) == "alert 42"
    assert subject_of(incident().data) == "incident 7"
    assert incident().at.isoformat() == AT
