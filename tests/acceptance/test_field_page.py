"""A field link in a phone's browser: where, what to do, three big buttons, a note and a photo, without a login."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from lifeline.fieldlink import Action, FieldLink, write
from lifeline.lifecycle import Event
from lifeline.model import Alert, AlertState, Level
from lifeline.response import Step
from lifeline.storage import alerts, endpoints, photos, response
from lifeline.storage.database import connect
from tests.acceptance.visits import Visit, visiting
from tests.api_process import Api, running_api, until
from tests.integration.test_alerts_storage import fallen
from tests.integration.test_photos import picture
from tests.integration.town import build, empty, open_alert

SECRET = "the city's own secret".replace(" ", "-")


@pytest.fixture(scope="module")
def served(database_dsn: str) -> Iterator[Api]:
    with running_api(database_dsn, forked=False, LIFELINE_LINK_SECRET=SECRET) as api:
        yield api


@pytest.fixture
def alert(served: Api) -> Alert:
    served.keys.clear()
    empty(served.dsn)
    with connect(served.dsn) as connection:
        ids = build(connection)
        endpoints.add(connection, "crew", "https://example.org/", datetime.now(UTC))
        return open_alert(connection, ids["gas"])


def link(alert: Alert, action: Action = Action.CONFIRMED, *, hours: float = 1) -> str:
    return write(SECRET, FieldLink(alert.alert_id, action, datetime.now(UTC) + timedelta(hours=hours), 1, "n" * 16))


def opened(visit: Visit, token: str, language: str = "zh") -> None:
    visit.page.goto(f"{visit.api.url}/field/{token}")
    visit.ready()
    if visit.page.evaluate("document.documentElement.lang").startswith("zh") != (language == "zh"):
        visit.page.locator("#language").tap()


def test_a_phone_confirms_goes_on_to_the_site_and_feeds_back(served: Api, alert: Alert, browser: Browser) -> None:
    with visiting(browser, served, width=390, height=844, touch=True) as visit, connect(served.dsn) as connection:
        connection.execute(
            """UPDATE alert SET evidence = evidence || '{"unit": "%VOL", "expected": 0.1, "peak": 3.2}'"""
        )
        connection.commit()
        opened(visit, link(alert))
        page = visit.page
        assert alerts.get(connection, alert.alert_id).state is AlertState.UNACK, "looking changes nothing"
        measured = page.locator(".said").first.inner_text().replace("\u202f", " ")
        assert measured == "实测 3 %VOL · 峰值 3.2 %VOL · 限值 2.5 %VOL · 正常应为 0.1 %VOL"
        assert page.locator(".where").get_attribute("href", timeout=60_000).startswith("geo:31.8")  # type: ignore[union-attr]
        assert page.locator(".big button").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert visit.faults() == []
        page.fill("#name", "王")
        page.fill("#note", "井盖边能闻到")
        page.locator(".big button", has_text="核实为真").tap()
        page.locator(".outcome", has_text="已提交").wait_for()
        for word in ("派单", "到场", "处置完毕"):
            page.locator(".big button", has_text=word).tap()
            page.locator(".outcome", has_text=word).wait_for()
        page.locator(".big button", has_text="情况属实").tap()
        page.locator(".outcome", has_text="反馈").wait_for()
        assert response.get(connection, alert.alert_id).step is Step.FED_BACK
        entries = response.history(connection, alert.alert_id)
        assert {entry.actor for entry in entries} == {"王 (link, crew)"}
        assert entries[0].note == "井盖边能闻到"
        assert visit.complaints == []


def test_a_burst_that_is_over_is_told_by_its_worst_moment_and_by_how_it_is_now(
    served: Api, alert: Alert, browser: Browser
) -> None:
    with visiting(browser, served, width=390, height=844, touch=True) as visit, connect(served.dsn) as connection:
        alert = fallen(connection, alert, Event.LEVEL_RISE, 28.3, Level.RED)
        opened(visit, link(alert))
        said = visit.page.locator(".said").first
        assert said.inner_text().replace("\u202f", " ") == "实测 28.3 m · 正常应为 49.8 m"
        fallen(connection, alert, Event.RETURN, 49.75)
        visit.page.reload()
        visit.ready()
        assert said.inner_text().replace("\u202f", " ") == "实测 28.3 m · 正常应为 49.8 m · 现为 49.8 m，已恢复正常"
        visit.page.locator("#language").tap()
        english = "Measured 28.3 m · expected 49.8 m · now 49.8 m, as usual again"
        assert said.inner_text().replace("\u202f", " ") == english
        assert visit.complaints == []


def test_a_photo_from_the_phone_is_seen_in_the_operations_centre(served: Api, alert: Alert, browser: Browser) -> None:
    with visiting(browser, served, width=390, height=844, touch=True) as visit, connect(served.dsn) as connection:
        opened(visit, link(alert))
        visit.page.set_input_files(".photo input", {"name": "a.png", "mimeType": "image/png", "buffer": picture(200)})
        visit.page.locator(".outcome", has_text="照片已上传").wait_for()
        visit.page.locator(".thumbs img").wait_for()
        (kept,) = photos.photos(connection, alert_id=alert.alert_id)
        assert kept.media_type == "image/jpeg", "made smaller on the phone"
        assert visit.complaints == []
    with visiting(browser, served) as visit:
        visit.open(f"alert={alert.alert_id}")
        shown = visit.page.locator("#panel .photos img")
        shown.wait_for()
        until(lambda: shown.evaluate("image => image.naturalWidth") > 0, "the photo")
        assert visit.complaints == []


def test_what_is_no_picture_is_told_on_the_phone(served: Api, alert: Alert, browser: Browser) -> None:
    with visiting(browser, served, width=390, height=844, touch=True) as visit:
        opened(visit, link(alert), "en")
        visit.page.set_input_files(".photo input", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
        visit.page.locator(".outcome.no", has_text="cannot be read").wait_for()


def test_a_used_an_expired_and_a_forged_link_say_so(served: Api, alert: Alert, browser: Browser) -> None:
    with visiting(browser, served, width=390, height=844, touch=True) as visit:
        opened(visit, link(alert, hours=-1), "en")
        visit.page.locator(".outcome.no", has_text="expired").wait_for()
        assert visit.page.locator(".big button").count() == 0
        opened(visit, link(alert).replace("confirmed", "handled"), "en")
        visit.page.locator(".outcome.no", has_text="not one of ours").wait_for()


def test_the_field_page_speaks_both_languages_and_finds_nothing_wrong(
    served: Api, alert: Alert, browser: Browser
) -> None:
    with visiting(browser, served, width=360, height=740, touch=True, theme="light") as visit:
        opened(visit, link(alert), "zh")
        visit.page.locator("#language").tap()
        visit.page.locator(".big button", has_text="Confirm").wait_for()
        assert visit.page.evaluate("document.documentElement.lang") == "en"
        assert visit.faults() == []
        assert visit.complaints == []
