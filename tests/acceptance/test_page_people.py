"""Users, keys and the audit of the page in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from lifeline.model import Role
from lifeline.principal import Scope
from lifeline.storage import users
from lifeline.storage.database import connect
from tests.acceptance.visits import kept_file, press, visiting
from tests.api_process import Api
from tests.integration.town import position


def test_an_administrator_lets_somebody_in_by_a_link_and_out_again(served: Api, browser: Browser) -> None:
    """Two browsers: the administrator's, and that of the person who is let in."""
    name = f"new.{served.port}"
    with (
        visiting(browser, served) as visit,
        visiting(browser, served) as other,
        connect(served.dsn, autocommit=True) as connection,
    ):
        visit.open("lang=en&view=admin&tab=users", Role.ADMIN)
        page, theirs = visit.page, other.page
        page.locator("[data-act=add-user]").click()
        page.fill("dialog [name=name]", "not a name")
        page.locator("dialog .primary").click()
        page.locator("dialog .wrong", has_text="a-z, 0-9").wait_for()
        page.fill("dialog [name=name]", name)
        page.select_option("dialog [name=role]", "operator")
        page.check("dialog [name=networks][value=gas]")
        assert visit.faults() == []
        press(visit, "Enter")
        link = page.locator("dialog .once").input_value()
        made = users.find(connection, name)
        assert (made.role, made.scope, made.password_hash) == (Role.OPERATOR, Scope(("gas",)), None)
        assert visit.faults() == []
        press(visit, "Escape")
        page.locator(f"[data-user='{name}']").click()
        page.uncheck("dialog [name=networks][value=gas]")
        page.locator("dialog .primary").click()
        page.locator("tr", has_text=name).locator("td", has_text="the whole city").wait_for()

        theirs.goto(link.replace("/#", "/?lang=en&find=Chamber#"))
        other.ready()
        theirs.locator("#account").click()
        theirs.locator(".said", has_text=f"You are {name}: operator, the whole city").wait_for()
        theirs.fill("[name=password]", "five Different words")
        theirs.fill("[name=again]", "five Different word")
        theirs.locator("form .primary").click()
        theirs.locator("form .wrong", has_text="not the same").wait_for()
        theirs.fill("[name=again]", "five Different words")
        theirs.locator("form .primary").click()
        theirs.locator("form .said", has_text="was changed").wait_for()
        theirs.locator("td", has_text="this one").wait_for()
        assert other.faults() == []
        theirs.locator("#language").click()
        theirs.locator(".said", has_text=f"您是 {name}").wait_for()

        page.locator("#document .tab", has_text="Users").click()
        page.locator("tr", has=page.locator("[data-act=end-session]"), has_text=name).locator("button").click()
        page.locator("tr", has=page.locator("[data-act=end-session]"), has_text=name).wait_for(state="detached")
        theirs.locator(".wrong", has_text="登录已结束").wait_for()  # by itself: nobody there touches anything
        theirs.fill("#user", name)
        theirs.fill("#password", "five Different words")
        theirs.locator("#signin [type=submit]").click()
        theirs.locator(".said", has_text=f"您是 {name}").wait_for()
        assert "find=Chamber" in other.address, "the same view as before"

        page.locator("tr", has_text=name).locator("[data-act=disable]").click()
        press(visit, "Enter")  # the focus is on no
        page.locator("dialog.asking").wait_for(state="detached")
        assert users.find(connection, name).disabled_at is None
        page.locator("tr", has_text=name).locator("[data-act=disable]").click()
        page.locator("dialog .danger").click()
        page.locator("tr", has_text=name).locator("td", has_text="disabled since").wait_for()
        assert users.find(connection, name).disabled_at is not None
        assert [each for each in visit.complaints if "400" not in each] == [], "but for what was wrong on purpose"


@pytest.fixture
def quarters(served: Api) -> Iterator[None]:
    """More zones than are seen at once."""
    west, south = position(0, 0)
    corners = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
    outline = {"type": "Polygon", "coordinates": [[[west + 0.01 * x, south + 0.01 * y] for x, y in corners]]}
    for number in range(9):
        body = {"type": "Feature", "geometry": outline, "properties": {"kind": "district", "name": f"Quarter {number}"}}
        answer = served.call("PUT", f"/api/v1/zones/Q-{number}", Role.ENGINEER, json=body)
        assert answer.status_code < 300, answer.text
    yield
    for number in range(9):
        served.call("DELETE", f"/api/v1/zones/Q-{number}", Role.ENGINEER)


@pytest.mark.usefixtures("quarters")
def test_a_key_is_shown_once_and_revoked_and_the_audit_tells_of_it(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=admin&tab=keys", Role.ADMIN)
        page = visit.page
        page.locator("[data-act=add-key]").click()
        page.fill("dialog [name=name]", "scada of the page")
        page.get_by_label("Find a zone").fill("no such zone")
        assert page.locator("dialog .choices .tick:visible").count() == 0
        press(visit, "Enter")  # looks for a zone, and makes no key
        page.get_by_label("Find a zone").fill("quarter 7")
        page.locator("dialog .choices .tick:visible", has_text="Quarter 7").click()
        assert visit.faults() == []
        page.get_by_label("Find a zone").fill("")
        page.locator("dialog .primary").click()
        key = page.locator("dialog .once").input_value()
        me = served.get("/api/v1/me", None, headers={"Authorization": f"Bearer {key}"}).json()
        assert (me["role"], me["zones"]) == ("viewer", ["Q-7"])
        press(visit, "Escape")
        page.locator("[data-key='scada of the page']").click()
        page.locator("dialog .danger").click()
        page.locator("tr", has_text="scada of the page").locator("td", has_text="revoked").wait_for()
        assert served.get("/api/v1/me", None, headers={"Authorization": f"Bearer {key}"}).status_code == 401

        page.locator("#document .tab", has_text="Audit").click()
        page.fill("[name=actor]", f"admin-{served.port}")
        page.select_option("[name=what]", label="key")
        page.locator("form .primary").click()
        row = page.locator("tbody tr", has_text="changed key scada of the page").first
        row.locator("li", has_text="revoked_at").wait_for()
        assert row.locator("del").inner_text() == "–"
        assert re.fullmatch(r"\d\d/\d\d/\d{4}, \d\d:\d\d UTC\+8", row.locator("ins").inner_text()), "the city's clock"
        assert key not in page.content()
        rows = kept_file(visit, "[data-file=audit]").splitlines()
        assert rows[0].endswith("at,actor,actor_kind,address,request,action,what,row,before,after")
        assert {row.split(",")[6] for row in rows[1:]} == {"api_key"}
        page.fill("[name=until]", "2020-01-01 00:00")
        page.locator("form .primary").click()
        page.locator(".pages", has_text="No changes").wait_for()
        assert [each for each in visit.complaints if "400" not in each] == [], "but for what was wrong on purpose"


def test_a_viewer_sees_no_users_and_who_came_by_a_key_has_no_password_here(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=admin&tab=users", Role.VIEWER)
        visit.page.locator(".wrong", has_text="may not").wait_for()
        visit.page.locator("#account").click()
        visit.page.locator(".said", has_text="came in with the key").wait_for()
        assert visit.page.locator("[name=password]:visible").count() == 0
