"""The views of a shift in a real browser: report, hand-over, drills, citizens, filters; what axe says of all."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Route

from lifeline.drills.plan import Plan
from lifeline.model import Role
from lifeline.storage import drills, health, response
from lifeline.storage.database import connect
from lifeline.storage.drills import DrillState
from tests.acceptance.visits import Visit, press, visiting
from tests.api_process import Api, running_api, until
from tests.integration.test_photos import picture
from tests.integration.town import open_alert, position, watched
from tests.unit import test_drill_report_worked as worked


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_view_has_a_serious_fault_by_axe(served: Api, alert: int, browser: Browser, theme: str) -> None:
    with visiting(browser, served, theme=theme) as visit:
        visit.open(f"lang=zh&alert={alert}", Role.ADMIN)
        visit.page.locator("#panel .u-over").wait_for()
        visit.page.locator("#entries .choose").first.check()
        found = {"watch": visit.faults()}
        press(visit, "2")
        for number in range(5):
            visit.page.locator("#side .tab").nth(number).click()
            visit.page.locator("#side .tab").nth(number).and_(visit.page.locator("[aria-pressed=true]")).wait_for()
            visit.page.locator("#side .empty, #side .rank, #side form, #side .hint").first.wait_for()
            found[f"renewal {number}"] = visit.faults()
        press(visit, "5")
        assert visit.page.locator("#views .view").nth(4).get_attribute("aria-current") == "page"
        press(visit, "1", "?")
        visit.page.locator("#help[open]").wait_for()
        found["help"] = visit.faults()
        press(visit, "Escape")
        visit.page.locator("#views .view").nth(2).click()
        visit.page.locator(".figure").first.wait_for()
        found["report"] = visit.faults()
        visit.page.locator("#views .view").nth(3).click()
        for number in range(9):
            visit.page.locator("#document .tab").nth(number).click()
            visit.page.locator(".sheet > *").first.wait_for()
            found[f"administration {number}"] = visit.faults()
        assert {name: faults for name, faults in found.items() if faults} == {}
        assert visit.complaints == []


def test_the_report_tells_of_the_shift_and_is_kept_as_a_file(served: Api, alert: int, browser: Browser) -> None:
    assert alert
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=report")
        page = visit.page
        page.locator(".figure", has_text="MTTA").wait_for()
        page.locator("h3", has_text="Deliveries that failed").wait_for()
        with page.expect_download() as kept:
            page.locator("button", has_text="As CSV").click()
        assert kept.value.suggested_filename.startswith("shift-")
        page.fill("[name=from]", "2026-02-31 00:00")
        page.locator("[name=from]").press("Enter")
        assert (
            page.locator("[name=from]:invalid")
            .evaluate("field => field.validationMessage")
            .startswith("Write it as 20")
        )
        page.fill("[name=from]", "2026/2/3 4:05")
        page.fill("[name=to]", "2026年2月4日")
        page.locator("[name=to]").press("Enter")
        page.locator(".said", has_text="03/02/2026, 04:05 to 04/02/2026, 00:00 (UTC+8)").wait_for()
        assert page.locator("[name=from]").input_value() == "2026-02-03 04:05", "as it is written everywhere"
        page.emulate_media(media="print")
        assert not page.locator("#bar").is_visible()
        assert page.locator(".figure").first.is_visible()
        assert visit.complaints == []


def test_a_shift_hands_over_and_the_next_one_is_told_until_it_has_read(
    served: Api, alert: int, browser: Browser
) -> None:
    words = "3 号井已关阀\nvalve <b>3</b> is shut"
    with visiting(browser, served) as visit, visiting(browser, served) as other:
        other.open("lang=zh")
        visit.open("lang=en&view=report")
        page, theirs = visit.page, other.page
        page.locator(".dim", has_text="Nothing was handed over").wait_for()
        page.fill("[name=handover]", words)
        page.locator("#language").click()
        page.locator("[data-act=hand-over]", has_text="交班").wait_for()
        assert page.locator("[name=handover]").input_value() == words, "another language takes no words away"
        page.locator("[data-act=hand-over]").click()
        note = page.locator("[data-handover]")
        note.locator(".note").wait_for()
        assert note.locator(".note").inner_text() == words, "told words are text, never HTML"
        assert re.search(rf"#{alert} · 0号井\S* · 甲烷 · 已接收", note.inner_text())
        assert page.locator("[name=handover]").input_value() == ""
        (kept,) = served.get("/api/v1/handovers").json()["items"]
        assert (kept["author"], kept["note"], kept["open_count"]) == (f"operator-{served.port}", words, 1)
        assert visit.faults() == []
        page.emulate_media(media="print")
        assert note.is_visible()
        assert not page.locator("[name=handover]").is_visible()

        line = theirs.locator("#handover")
        line.locator(".note", has_text="3 号井已关阀").wait_for()
        assert other.faults() == []
        theirs.reload()
        other.ready()
        line.locator("[data-act=handover]").click()
        theirs.locator("[data-handover] .note").wait_for()
        press(other, "Escape")
        theirs.reload()
        other.ready()
        theirs.locator("#layers .sensors").first.wait_for()
        assert not line.is_visible(), "once read, it is in the way"
        assert visit.complaints == other.complaints == []
        with connect(served.dsn, autocommit=True) as connection:
            connection.execute("TRUNCATE handover")


def test_a_drill_is_started_stopped_and_read_on_the_page(served: Api, browser: Browser) -> None:
    now = datetime.now(UTC)
    with connect(served.dsn) as connection:
        drills.keep_scenarios(connection, {"burst": "爆管 A burst main"})
        health.beat(connection, "drills", "here:1", now, {})
        plan = Plan("chain-burst-gas", worked.TEAMS)
        done = drills.plan(connection, plan.to_json(), "ann", now, now)
        drills.finish(connection, done, DrillState.DONE, now, report=worked.made(), pdf=b"%PDF-1.4")
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=drills")
        page = visit.page
        page.locator(".drill-form input[name=team]").fill("值班 Duty")
        page.locator(".drill-form input[name=task]").fill("确认 Confirm")
        page.locator(".drill-form input[name=within]").fill("5")
        page.locator(".drill-form .primary").click()
        page.get_by_role("cell", name="Planned", exact=True).wait_for()
        with connect(served.dsn) as connection:
            asked = drills.list_drills(connection)[0]
        assert asked.plan["teams"][0]["tasks"] == [
            {"text": "确认 Confirm", "step": "confirmed", "network": "", "within_s": 300.0}
        ]
        page.locator("button", has_text="Stop").click()
        page.get_by_role("cell", name="Cancelled", exact=True).wait_for()
        page.locator("tr", has_text="chain-burst-gas").locator("button", has_text="Report").click()
        page.locator(".drill-findings li", has_text="Nobody answered: G-V3").wait_for()
        page.locator("td", has_text="not done").first.wait_for()
        page.get_by_role("cell", name="gas leak", exact=True).wait_for()
        page.get_by_role("cell", name="Event begins: burst", exact=True).wait_for()
        with page.expect_download() as kept:
            page.locator("button", has_text="PDF").click()
        assert kept.value.suggested_filename == f"drill-{done}.pdf"
        assert not page.locator("#exercise").is_visible()
        assert visit.faults() == []
        assert visit.complaints == []


def test_the_page_of_an_exercise_says_so_across_its_top_in_both_languages(served: Api, browser: Browser) -> None:
    with (
        running_api(served.dsn, forked=False, LIFELINE_MESSAGE_STATUS="Exercise") as api,
        visiting(browser, api) as visit,
    ):
        visit.open("lang=zh")
        page = visit.page
        page.locator("#exercise", has_text="演练").wait_for()
        page.locator("#language").click()
        page.locator("#exercise", has_text="EXERCISE").wait_for()
        strip, bar = page.locator("#exercise").bounding_box(), page.locator("#bar").bounding_box()
        assert strip is not None
        assert bar is not None
        assert (strip["y"], strip["width"]) == (0, 1440)
        assert bar["y"] >= strip["height"]
        assert visit.faults() == []
        assert visit.complaints == []


def pressed(visit: Visit, report: int) -> bool:
    """Press the balloon in the middle of the map; one not drawn yet opens the cell below it, if that is drawn."""
    box = visit.page.locator("#map").bounding_box()
    assert box is not None
    visit.page.mouse.click(box["x"] + box["width"] / 2 + 10, box["y"] + box["height"] / 2 - 10)  # it stands on its tip
    visit.page.wait_for_timeout(300)
    return f"report={report}" in visit.address and visit.page.locator("#panel .report").is_visible()


def test_what_citizens_told_is_on_the_map_and_beside_the_alert_and_is_noted_and_closed(
    served: Api, alert: int, browser: Browser
) -> None:
    west, south = position(0, 0)
    told = {"category": "gas_smell", "text": "井盖旁有<b>燃气味</b>", "place": "长江路 12 号", "source": "12345"}
    near = {"longitude": west + 0.0012, "latitude": south}
    with visiting(browser, served, width=1600) as visit, connect(served.dsn) as connection:
        visit.open(f"lang=zh&at={near['longitude']},{south},16.5")
        page = visit.page
        with page.expect_response(
            lambda answer: "/reports?" in answer.url and answer.status == 200 and '"id":' in answer.text()
        ):
            made = served.call("POST", "/api/v1/reports", Role.FIELD, json=told | near).json()["id"]
        photo = {"content": picture(), "headers": {"Content-Type": "application/octet-stream"}}
        assert served.call("POST", f"/api/v1/reports/{made}/photos", Role.FIELD, **photo).status_code == 201
        page.locator("#layers .reports b", has_text="1").wait_for()
        until(lambda: pressed(visit, made), "the balloon")
        panel = page.locator("#panel")
        assert f"report={made}" in visit.address
        assert panel.locator(".said").inner_text().strip('“”"') == told["text"], "told words are text, never HTML"
        until(lambda: panel.locator("img").evaluate("image => image.naturalWidth") == 1, "the photo")
        assert visit.faults() == []
        panel.locator(f"[data-attach='{alert}']").click()
        panel.locator("[role=status]", has_text=f"#{alert}").wait_for()
        with page.expect_response(lambda answer: answer.url.endswith(f"/reports/{made}")):
            served.call("POST", f"/api/v1/alerts/{alert}/notes", Role.OPERATOR, json={"note": "another's"})
        page.wait_for_timeout(200)
        assert panel.locator("[role=status]", has_text=f"#{alert}").is_visible(), "told on, as the panel is drawn anew"
        assert told["text"] in response.history(connection, alert)[-2].note
        panel.locator(f".beside [data-alert='{alert}']").click()
        panel.locator(f"button[data-report='{made}']").click()
        panel.locator(".report").wait_for()
        panel.locator("[name=note]").fill("已派燃气公司")
        panel.locator("[data-outcome=confirmed]").click()
        panel.locator("section", has_text="情况属实 · operator").wait_for()
        page.locator("#layers .reports b").wait_for(state="detached")
        assert served.get(f"/api/v1/reports/{made}").json()["note"] == "已派燃气公司"
        page.locator("#layers .unfold").click()
        page.locator("#layers button.reports").click()
        assert "off=reports" in visit.address
        assert visit.complaints == []


PLACES = {
    "第八中学 No. 8 Middle School 检查井 manhole": ("第八中学检查井", "No. 8 Middle School manhole"),
    "3 号路 Street 3": ("3号路", "Street 3"),
    "中山路 Zhongshan Rd 12": ("中山路12", "Zhongshan Rd 12"),
    "阀井 G-C-029 valve chamber": ("阀井G-C-029", "G-C-029 valve chamber"),
    "中山路": ("中山路", "中山路"),
}


def test_nothing_is_called_normal_where_nobody_looks(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit, connect(served.dsn) as connection:
        connection.execute("UPDATE sensor_state SET ts = now()")
        watched(connection)
        visit.open("lang=en")
        page = visit.page
        calm = page.locator("#entries .calm")
        calm.locator(".check").wait_for()
        watched(connection, datetime.now(UTC) - timedelta(minutes=3))
        page.locator("#banner", has_text="Detection does not run (last at").wait_for()
        page.locator("#freshness.late").wait_for()
        calm.locator("span", has_text="not known: see the notice above").wait_for()
        assert calm.locator(".check").count() == 0
        watched(connection, datetime.now(UTC) - timedelta(minutes=3), tick_s=600)  # it looks every ten minutes
        page.locator("#banner", has_text="Detection").wait_for(state="hidden")
        calm.locator(".check").wait_for()
        visit.open("lang=en&view=admin", Role.ADMIN)
        last = page.locator(".figure", has_text="Last tick")
        last.locator("text=the detectors run every 10 min").wait_for()
        assert "bad" not in str(last.get_attribute("class"))
        visit.open("lang=en")
        watched(connection, datetime.now(UTC) - timedelta(minutes=31), tick_s=600)
        page.locator("#banner", has_text="Detection does not run (last at").wait_for()
        watched(connection)
        page.locator("#banner", has_text="Detection").wait_for(state="hidden")
        names = "names => import('/i18n.js').then(({ place }) => names.map(place))"
        assert page.evaluate(names, list(PLACES)) == [english for _, english in PLACES.values()]
        page.click("#language")
        assert page.evaluate(names, list(PLACES)) == [chinese for chinese, _ in PLACES.values()]
        calm.locator("span", has_text="全部正常").wait_for()
        assert visit.complaints == []


def test_who_may_not_read_what_citizens_told_has_no_switch_for_it_and_no_complaint(
    served: Api, alert: int, browser: Browser
) -> None:
    with visiting(browser, served) as visit:
        visit.page.route("**/reports*", lambda route: route.fulfill(status=403, json={"detail": "a part of the city"}))
        visit.open(f"lang=en&alert={alert}")
        visit.page.locator("#panel .timeline").wait_for()
        visit.page.locator("#layers button.sensors").wait_for(state="attached")
        assert visit.page.locator("#layers button.reports").count() == 0
        assert "part of the city" not in visit.page.locator("#banner").inner_text()


def test_filters_and_the_search_stay_in_the_address(served: Api, alert: int, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en")
        page = visit.page
        page.locator(f"#entries .row[data-id='{alert}']").wait_for()
        press(visit, "/")
        page.keyboard.type("nowhere")
        page.locator("#entries .empty", has_text="filter").wait_for()
        until(lambda: "find=nowhere" in visit.address, "the words in the address")
        page.reload()
        visit.ready()
        page.locator("#entries .empty", has_text="filter").wait_for()
        page.fill("#find", "Chamber")
        page.locator(f"#entries .row[data-id='{alert}']").wait_for()
        page.locator("#found [data-asset]").nth(2).wait_for()
        held: list[Route] = []
        page.route("**/assets?find=w-c2*", lambda route: held.append(route))
        page.fill("#find", "w-c2")
        press(visit, "Enter", "Enter")  # faster than the answer: what stands there was found for other words
        until(lambda: page.wait_for_timeout(20) or held, "the question")
        held[0].continue_()
        page.locator("#panel h2", has_text="Chamber 2").wait_for()
        assert "asset=W-C2" in visit.address, "any asset of the city in two keys, with an alert or without"
        press(visit, "Escape")
        page.locator("#find").focus()
        press(visit, "Enter")
        page.locator("#found [data-asset=W-C2]:focus").wait_for()
        assert "asset=" not in visit.address, "one Enter goes there, and opens nothing"
        press(visit, "Enter")
        page.locator("#panel h2", has_text="Chamber 2").wait_for()
        assert visit.faults() == []
        press(visit, "Escape")
        page.fill("#find", "Chamber")
        page.locator(".pill", has_text="In hand").click()
        assert "step=working" in visit.address
        page.locator("#entries .empty").wait_for()


def test_a_sound_is_made_for_a_new_red_only_where_somebody_asked_for_it(served: Api, browser: Browser) -> None:
    listen = "window.chimes = 0; const Real = AudioContext; window.AudioContext = class extends Real {"
    listen += " createOscillator() { window.chimes += 1; return super.createOscillator(); } };"
    with visiting(browser, served) as visit, connect(served.dsn, autocommit=True) as connection:
        visit.page.add_init_script(listen)
        visit.open("lang=en")
        page = visit.page
        open_alert(connection, 1, rule="methane.silent")
        page.locator("#entries .row").first.wait_for()
        assert page.evaluate("window.chimes") == 0
        page.locator("#sound").click()
        heard = page.evaluate("window.chimes")
        assert heard > 0, "heard at once, so that nobody wonders"
        open_alert(connection, 2, rule="pressure.loud")
        until(lambda: page.evaluate("window.chimes") > heard, "the sound")
        assert page.title().startswith("(2) ●")
        connection.execute("UPDATE alert SET state = 'NORM', closed_at = now() WHERE closed_at IS NULL")
