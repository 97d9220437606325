"""The real ``python -m alerts``, with no rights but its own, does what goes by the clock; a phone answers its links."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lifeline.model import AlertKind, AlertState, Finding, Level, Subject, SubjectKind
from lifeline.storage import alerts, endpoints, shelving
from lifeline.storage.database import Connection
from lifeline.storage.endpoints import Pacing
from lifeline.storage.roles import dsn_as
from tests.api_process import running_api, until
from tests.integration.city import add_asset, add_device, add_sensor
from tests.integration.test_alerts_process import Instance, started  # noqa: F401 - a fixture
from tests.integration.test_notification import Mailbox

pytestmark = pytest.mark.usefixtures("clean_database")
SECRET = "s" * 40


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


def logged_in(connection: Connection, dsn: str, role: str) -> str:
    connection.execute(f"ALTER ROLE {role} LOGIN PASSWORD 'for-the-test'".encode())
    connection.commit()
    return dsn_as(dsn, role, "for-the-test")


def raise_alert(connection: Connection, name: str, at: datetime, rule: str = "methane.level") -> alerts.Alert:
    sensor = add_sensor(connection, add_device(connection, f"rtu-{name}"), asset=add_asset(connection, name))
    evidence = {"title": {"en": "Methane", "zh": "甲烷"}, "detector": "threshold"}
    finding = Finding(Subject(SubjectKind.SENSOR, sensor), rule, Level.RED, at, at, evidence)
    (alert,) = alerts.raise_alerts(connection, [alerts.Opening(finding, "v1", AlertKind.RISK)], at)
    connection.commit()
    return alert


def test_the_process_tells_what_is_late_and_a_phone_takes_it_from_there(
    connection: Connection,
    database_dsn: str,
    mailbox: Mailbox,
    started: list[Instance],
) -> None:
    now = datetime.now(UTC)
    endpoints.add(connection, "crew", mailbox.url, now, pacing=Pacing(repeat_s=60), scope="alert")
    endpoints.add(connection, "chief", mailbox.url, now, events=[], links=False, format="cloudevents", scope="alert")
    endpoints.escalate(connection, "chief", now, level=Level.ORANGE, after_s=300)
    late = raise_alert(connection, "K-7", now - timedelta(minutes=10))
    shelved = raise_alert(connection, "K-8", now - timedelta(minutes=10))
    shelving.shelve(connection, shelved.alert_id, "wang", now - timedelta(minutes=9), until=now - timedelta(minutes=1))
    connection.commit()
    settings = {"LIFELINE_PUBLIC_URL": "https://city.example", "LIFELINE_LINK_SECRET": SECRET}
    started.append(Instance(logged_in(connection, database_dsn, "lifeline_alerts"), **settings))
    wanted = {"alert.raised", "response.overdue", "city.lifeline.alert.unattended", "alert.shelved"}
    until(lambda: wanted <= set(mailbox.types), f"{wanted} came")
    connection.commit()
    assert alerts.get(connection, shelved.alert_id).state is not AlertState.SHLVD
    told = next(
        one["data"] for one in mailbox.messages
        if one["type"] == "response.overdue" and one["data"]["alert_id"] == late.alert_id
    )  # fmt: skip
    token = told["links"]["confirmed"].removeprefix("https://city.example")
    with running_api(logged_in(connection, database_dsn, "lifeline_api"), LIFELINE_LINK_SECRET=SECRET) as api:
        assert api.get(token, None).json()["usable"] is True
        answer = api.call("POST", token, None, json={"name": "王"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["step"] == "confirmed"
    until(lambda: "response.changed" in mailbox.types, "the step is told")
    connection.commit()
    assert alerts.get(connection, late.alert_id).acknowledged_by == "王 (link, crew)"
    code, log = started[0].end()
    assert code == 0
    assert "failed" not in log
