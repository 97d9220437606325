"""Field links over HTTP: a phone without a login does one thing to one alert, once."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lifeline.fieldlink import Action, FieldLink, write
from lifeline.lifecycle import Event
from lifeline.model import Alert, AlertState, Level
from lifeline.response import Step
from lifeline.storage import alerts, endpoints, fieldlinks, response
from lifeline.storage.database import Connection
from lifeline.storage.roles import dsn_as
from tests.api_process import Api, running_api
from tests.integration.city import count
from tests.integration.test_alerts_storage import fallen, one_alert

pytestmark = pytest.mark.usefixtures("clean_database")
SECRET = "the city's own secret".replace(" ", "-")


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    with running_api(database_dsn, LIFELINE_LINK_SECRET=f"{SECRET} an-older-one") as process:
        yield process


@pytest.fixture
def alert(connection: Connection) -> Alert:
    endpoints.add(connection, "crew", "https://example.org/", datetime.now(UTC))
    return one_alert(connection)


def token(alert: Alert, action: Action, *, hours: float = 1, secret: str = SECRET, nonce: str = "") -> str:
    expires_at = datetime.now(UTC) + timedelta(hours=hours)
    nonce = nonce or f"{action:-<16}"[:16].replace(".", "-")
    return write(secret, FieldLink(alert.alert_id, action, expires_at, 1, nonce))


def post(api: Api, link: str, **body: Any) -> httpx.Response:
    return api.call("POST", f"/field/{link}", None, json=body) if body else api.call("POST", f"/field/{link}", None)


def test_looking_shows_the_alert_and_changes_nothing(api: Api, alert: Alert, connection: Connection) -> None:
    for _ in range(2):
        answer = api.get(f"/field/{token(alert, Action.ACKNOWLEDGE)}", None)
        assert answer.status_code == 200, answer.text
        found = answer.json()
    assert (found["action"], found["usable"], found["step"]) == ("acknowledge", True, "received")
    assert found["alert"]["id"] == alert.alert_id
    assert found["alert"]["evidence"]["title"]["zh"] == "甲烷"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert alerts.get(connection, alert.alert_id).state is AlertState.UNACK
    assert count(connection, "field_link_use") == 0


def test_what_is_over_is_told_with_its_worst_moment_and_what_goes_on_is_not(
    api: Api, alert: Alert, connection: Connection
) -> None:
    link = token(alert, Action.CONFIRMED)
    alert = fallen(connection, alert, Event.LEVEL_RISE, 28.3, Level.ORANGE)
    assert api.get(f"/field/{link}", None).json()["alert"]["worst"] is None
    fallen(connection, alert, Event.RETURN, 49.8)
    found = api.get(f"/field/{link}", None).json()["alert"]
    assert (found["evidence"]["value"], found["state"]) == (49.8, "RTNUN")
    assert found["worst"] == {"unit": "m", "value": 28.3, "expected": 49.8}


def test_a_phone_goes_the_whole_way_from_acknowledge_to_feedback(
    api: Api, alert: Alert, connection: Connection
) -> None:
    for action in (Action.ACKNOWLEDGE, Action.CONFIRMED, Action.DISPATCHED, Action.ON_SITE, Action.HANDLED):
        answer = post(api, token(alert, action), name="王", team="gas 2")
        assert answer.status_code == 200, answer.text
        assert answer.json()["usable"] is False
    answer = post(api, token(alert, Action.FEED_BACK), name="王", genuine=True, cause="corrosion", note="clamped")
    assert answer.json()["step"] == "fed_back"
    assert response.get(connection, alert.alert_id).step is Step.FED_BACK
    assert alerts.get(connection, alert.alert_id).acknowledged_by == "王 (link, crew)"
    entries = response.history(connection, alert.alert_id)
    assert {entry.actor for entry in entries} == {"王 (link, crew)"}
    assert entries[-1].team == "gas 2"
    audit = fieldlinks.uses(connection, alert.alert_id)
    assert [use.outcome for use in audit] == ["done"] * 6
    assert {(use.endpoint, use.name, use.address) for use in audit} == {("crew", "王", "127.0.0.1")}


def test_a_link_works_once_and_the_second_use_is_audited(api: Api, alert: Alert, connection: Connection) -> None:
    link = token(alert, Action.FEED_BACK)
    assert post(api, link, genuine=False).status_code == 200
    again = post(api, link, genuine=True)
    assert (again.status_code, again.json()["outcome"]) == (409, "repeated")
    assert count(connection, "feedback") == 1
    assert [use.outcome for use in fieldlinks.uses(connection, alert.alert_id)] == ["done", "repeated"]
    assert "used at" in api.get(f"/field/{link}", None).json()["why"]


def test_of_ten_phones_with_one_link_one_does_it(api: Api, alert: Alert, connection: Connection) -> None:
    link, statuses = token(alert, Action.FEED_BACK), list[int]()
    threads = [
        threading.Thread(target=lambda: statuses.append(post(api, link, genuine=True).status_code)) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[409] * 9]
    assert count(connection, "feedback") == 1
    assert count(connection, "field_link_use") == 10


def test_an_expired_link_is_refused_and_audited(api: Api, alert: Alert, connection: Connection) -> None:
    link = token(alert, Action.CONFIRMED, hours=-1)
    assert api.get(f"/field/{link}", None).json()["why"] == "expired"
    answer = post(api, link)
    assert (answer.status_code, answer.json()["outcome"]) == (410, "expired")
    assert response.get(connection, alert.alert_id).step is Step.RECEIVED
    assert [use.outcome for use in fieldlinks.uses(connection, alert.alert_id)] == ["expired"]


def test_a_forged_link_opens_nothing(api: Api, alert: Alert, connection: Connection) -> None:
    good = token(alert, Action.CONFIRMED)
    other = good.replace(f"v1.{alert.alert_id}.", f"v1.{alert.alert_id + 1}.")
    for forged in (
        other, good.replace("confirmed", "handled"), token(alert, Action.CONFIRMED, secret="guess"), "v1.1", "x" * 150
    ):  # fmt: skip
        for answer in (api.get(f"/field/{forged}", None), post(api, forged)):
            assert answer.status_code == 403, answer.text
    assert response.get(connection, alert.alert_id).step is Step.RECEIVED
    assert count(connection, "field_link_use") == 0


def test_a_link_of_the_secret_before_still_works(api: Api, alert: Alert) -> None:
    assert post(api, token(alert, Action.CONFIRMED, secret="an-older-one")).status_code == 200


def test_a_step_that_does_not_follow_any_more_is_refused_and_audited(
    api: Api, alert: Alert, connection: Connection
) -> None:
    response.advance(connection, alert.alert_id, Step.FALSE_ALARM, "wang", datetime.now(UTC))
    connection.commit()
    answer = post(api, token(alert, Action.CONFIRMED))
    assert (answer.status_code, answer.json()["outcome"]) == (409, "refused")
    assert "does not follow" in answer.json()["detail"]
    (use,) = fieldlinks.uses(connection, alert.alert_id)
    assert use.outcome == "refused"


@pytest.mark.parametrize("body", [
    {"genuine": "maybe"}, {"unknown": 1}, {"note": "x" * 3000, "genuine": True}, {"note": "\0", "genuine": True}, {},
])  # fmt: skip
def test_a_report_that_makes_no_sense_uses_nothing_up(
    api: Api, alert: Alert, connection: Connection, body: dict[str, Any]
) -> None:
    assert post(api, token(alert, Action.FEED_BACK), **body).status_code == 400
    assert post(api, token(alert, Action.CONFIRMED), genuine=True).status_code == 400
    assert count(connection, "field_link_use") == 0


def test_a_link_to_an_alert_that_is_gone_is_not_found(api: Api, connection: Connection) -> None:
    assert count(connection, "alert") == 0
    link = write(SECRET, FieldLink(4711, Action.CONFIRMED, datetime.now(UTC) + timedelta(hours=1), 1, "n" * 16))
    assert api.get(f"/field/{link}", None).status_code == 404
    assert post(api, link).status_code == 404


def test_without_a_secret_there_are_no_links_and_the_api_needs_no_more_rights_than_its_own(
    alert: Alert, connection: Connection, database_dsn: str
) -> None:
    with connection.transaction():
        connection.execute("ALTER ROLE lifeline_api LOGIN PASSWORD 'for-the-test'")
    connection.commit()
    own = dsn_as(database_dsn, "lifeline_api", "for-the-test")
    with running_api(own) as off:
        assert post(off, token(alert, Action.CONFIRMED)).status_code == 404
    with running_api(own, LIFELINE_LINK_SECRET=SECRET) as process:
        assert post(process, token(alert, Action.CONFIRMED)).status_code == 200
        assert post(process, token(alert, Action.FALSE_ALARM)).status_code == 200
        assert post(process, token(alert, Action.FEED_BACK), genuine=False).status_code == 200
