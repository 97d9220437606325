"""Photos from the field: bounded, bound to a link, kept as evidence, shown to who has a key."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from lifeline.fieldlink import Action, FieldLink, onward, read, write
from lifeline.model import Alert
from lifeline.storage import endpoints, photos
from lifeline.storage.database import Connection
from tests.api_process import Api, running_api
from tests.integration.city import count
from tests.integration.test_alerts_storage import one_alert
from tests.pictures import SECRETS, phone_photo, picture

pytestmark = pytest.mark.usefixtures("clean_database")
SECRET = "the city's own secret".replace(" ", "-")


@pytest.fixture(scope="module")
def api(database_dsn: str) -> Iterator[Api]:
    with running_api(database_dsn, LIFELINE_LINK_SECRET=SECRET) as process:
        yield process


@pytest.fixture
def alert(connection: Connection, api: Api) -> Alert:
    api.keys.clear()
    endpoints.add(connection, "crew", "https://example.org/", datetime.now(UTC))
    return one_alert(connection)


def link(alert: Alert, *, hours: float = 1, secret: str = SECRET) -> str:
    expires_at = datetime.now(UTC) + timedelta(hours=hours)
    return write(secret, FieldLink(alert.alert_id, Action.CONFIRMED, expires_at, 1, "x" * 16))


def send(api: Api, token: str, content: bytes, name: str = "王") -> httpx.Response:
    headers = {"Content-Type": "application/octet-stream"}
    return api.call("POST", f"/field/{token}/photos", None, params={"name": name}, content=content, headers=headers)


def test_a_photo_goes_from_the_phone_to_the_operations_centre(api: Api, alert: Alert) -> None:
    answer = send(api, link(alert), picture())
    assert answer.status_code == 201, answer.text
    kept = answer.json()
    assert (kept["name"], kept["media_type"], kept["size"]) == ("王", "image/png", len(picture()))
    assert api.get(f"/api/v1/alerts/{alert.alert_id}/photos").json()["items"] == [kept]
    shown = api.get(f"/api/v1/photos/{kept['id']}")
    assert shown.content == picture()
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["cache-control"] == "private, no-cache", "who may no longer see it asks, and is refused"
    same = api.get(f"/api/v1/photos/{kept['id']}", headers={"If-None-Match": shown.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_where_and_with_what_a_photo_was_taken_is_kept_nowhere(
    form: str, api: Api, alert: Alert, connection: Connection
) -> None:
    """A crew's home, a citizen's door: phones write it beside the picture, and the city has no need of it."""
    sent = phone_photo(form)
    answer = send(api, link(alert), sent)
    assert answer.status_code == 201, answer.text
    shown = api.get(f"/api/v1/photos/{answer.json()['id']}").content
    (kept,) = connection.execute("SELECT string_agg(content, '') FROM field_photo").fetchone() or (b"",)
    assert shown == kept
    assert (answer.json()["size"], len(kept)) == (len(kept), min(len(kept), len(sent) - 1))
    assert any(secret in sent for secret in SECRETS)
    assert not [secret for secret in SECRETS if secret in kept]


def test_a_photo_that_is_cut_off_is_refused(api: Api, alert: Alert, connection: Connection) -> None:
    answer = send(api, link(alert), phone_photo()[:-20])
    assert (answer.status_code, "cut off" in answer.json()["detail"]) == (415, True)
    assert count(connection, "field_photo") == 0


def test_the_same_photo_sent_again_is_kept_once(api: Api, alert: Alert, connection: Connection) -> None:
    token = link(alert)
    assert {send(api, token, picture()).json()["id"] for _ in range(3)} == {1}
    assert count(connection, "field_photo") == 1


def test_a_link_sends_five_photos_and_no_sixth(api: Api, alert: Alert, connection: Connection) -> None:
    token = link(alert)
    statuses = [send(api, token, picture(shade)).status_code for shade in range(6)]
    assert statuses == [201] * 5 + [409]
    assert count(connection, "field_photo") == 5


@pytest.mark.parametrize(
    "content", [b"<svg onload=alert(1)>", b"GIF89a" + b"\0" * 50, b"%PDF-1.7", b"\xff\xd8", b"<html>", b"RIFF1234WAVE"]
)
def test_what_is_no_photo_is_refused_whatever_it_is_called(api: Api, alert: Alert, content: bytes) -> None:
    assert send(api, link(alert), content).status_code == 415


def test_a_photo_may_have_512_kib_and_no_more(api: Api, alert: Alert) -> None:
    room = photos.LARGEST - len(picture())
    assert send(api, link(alert), picture(padding=room)).status_code == 201
    assert send(api, link(alert), picture(padding=room + 1)).status_code == 413


def test_a_forged_or_expired_link_sends_nothing(api: Api, alert: Alert, connection: Connection) -> None:
    assert send(api, link(alert, secret="guess"), picture()).status_code == 403
    assert send(api, link(alert, hours=-1), picture()).status_code == 410
    assert send(api, link(alert).replace("confirmed", "handled"), picture()).status_code == 403
    assert count(connection, "field_photo") == 0


def test_photos_are_closed_without_a_key_and_one_that_is_not_there_is_404(api: Api, alert: Alert) -> None:
    send(api, link(alert), picture())
    for path in ("/api/v1/photos/1", f"/api/v1/alerts/{alert.alert_id}/photos", "/api/v1/incidents/1/photos"):
        assert api.get(path, None).status_code == 401, path
    assert api.get("/api/v1/photos/99").status_code == 404
    assert api.get("/api/v1/alerts/99/photos").status_code == 404
    assert api.get("/api/v1/incidents/99/photos").json() == {"items": []}


def test_a_photo_is_never_changed(api: Api, alert: Alert, connection: Connection) -> None:
    send(api, link(alert), picture())
    for change in ("UPDATE field_photo SET name = 'x'", "DELETE FROM field_photo"):
        with pytest.raises(psycopg.Error, match="append"), connection.transaction():
            connection.execute(change.encode())


def test_a_browser_gets_the_page_and_a_program_the_data(api: Api, alert: Alert) -> None:
    token = link(alert)
    page = api.get(f"/field/{token}", None, headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.headers["content-type"].startswith("text/html")
    assert "/field.js" in page.text
    assert "accept" in page.headers["vary"].lower()
    assert api.get(f"/field/{token}", None).json()["alert"]["id"] == alert.alert_id


def test_one_link_leads_on_to_the_next_steps_each_once(api: Api, alert: Alert) -> None:
    """A person on site keeps the page: what the next message would bring is there already."""
    token = link(alert)
    first = api.get(f"/field/{token}", None).json()
    assert set(first["onward"]) == {"acknowledge", "false_alarm"}
    done = api.call("POST", f"/field/{token}", None, json={"name": "王"}).json()
    assert set(done["onward"]) == {"dispatched", "false_alarm"}
    for action in ("dispatched", "on_site", "handled"):
        token = done["onward"][action]
        done = api.call("POST", f"/field/{token}", None, json={}).json()
        assert done["step"] == action
        assert api.call("POST", f"/field/{token}", None, json={}).status_code == 409
    ended = api.call("POST", f"/field/{done['onward']['feed_back']}", None, json={"genuine": True}).json()
    assert (ended["step"], ended["onward"]) == ("fed_back", {})


def test_an_expired_link_leads_nowhere(api: Api, alert: Alert) -> None:
    assert api.get(f"/field/{link(alert, hours=-1)}", None).json()["onward"] == {}


def test_what_leads_on_ends_with_the_link_and_is_for_the_same_alert(alert: Alert) -> None:
    first = read([SECRET], link(alert))
    following = onward(SECRET, first, Action.HANDLED)
    assert (following.alert_id, following.expires_at) == (first.alert_id, first.expires_at)
    assert following.nonce != first.nonce
    assert onward(SECRET, first, Action.HANDLED) == following
    assert read([SECRET], write(SECRET, following)) == following
