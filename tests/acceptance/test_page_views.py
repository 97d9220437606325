"""Every view of the page in a real browser: by keys, by mouse, in both themes; nothing that axe calls serious."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lifeline.drills.plan import Plan
from lifeline.lifecycle import Event
from lifeline.model import AlertState, Role
from lifeline.response import Step
from lifeline.storage import alerts, drills, endpoints, health, response
from lifeline.storage.database import connect
from lifeline.storage.drills import DrillState
from tests.acceptance.visits import Visit, chromium, visiting
from tests.api_process import ROOT, Api, running_api, until
from tests.integration.town import build, empty, open_alert
from tests.unit import test_drill_report_worked as worked


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served(database_dsn: str) -> Iterator[Api]:
    """The API with the town of three streets, and the process that works long computations."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build(connection)
        endpoints.add(connection, "crew", "https://example.org/", datetime.now(UTC))
    env = {"PATH": os.environ["PATH"], "LIFELINE_DATABASE_URL": database_dsn, "LIFELINE_PLANNING_METRICS_PORT": "0"}
    worker = subprocess.Popen([sys.executable, "-m", "lifeline.planning"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        with running_api(database_dsn) as api:
            until(lambda: '"numberMatched":6' in api.get("/api/v1/risk/segments").text, "the map")
            yield api
    finally:
        worker.terminate()
        worker.wait(20)


@pytest.fixture
def alert(served: Api) -> Iterator[int]:
    """One red alert, gone again after the test."""
    with connect(served.dsn) as connection:
        found = open_alert(connection, 1, rule=f"methane.{datetime.now(UTC):%f}").alert_id
        yield found
        with connection.transaction():
            connection.execute("UPDATE alert SET state = 'NORM', closed_at = now() WHERE closed_at IS NULL")
            connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "alert"}')""")


def press(visit: Visit, *keys: str) -> None:
    for key in keys:
        visit.page.keyboard.press(key)


def test_an_operator_goes_from_the_alert_to_the_archive_by_keys_alone(
    served: Api, alert: int, browser: Browser
) -> None:
    with visiting(browser, served) as visit, connect(served.dsn, autocommit=True) as connection:
        visit.open("lang=en")
        page = visit.page
        page.locator("#entries .row").wait_for()
        press(visit, "j", "Enter")
        page.locator("#panel [data-act=acknowledge]").wait_for()
        press(visit, "a")
        page.locator("#panel [data-act=acknowledge]").wait_for(state="detached")
        for key, step in (("c", Step.CONFIRMED), ("d", Step.DISPATCHED), ("o", Step.ON_SITE), ("h", Step.HANDLED)):
            page.locator(f"#panel [data-act={step}]").wait_for()
            press(visit, key, "Enter")
            until(lambda step=step: response.get(connection, alert).step is step, f"{step}")  # type: ignore[misc]
        page.locator("#panel details.fed_back input").fill("third party digging")
        page.locator("#panel details.fed_back button", has_text="It was real").press("Enter")
        until(lambda: response.get(connection, alert).step is Step.FED_BACK, "the feedback")
        alerts.operate(connection, alert, Event.RETURN, "detector", datetime.now(UTC))
        page.locator("#panel [data-act=archived]").wait_for()
        press(visit, "z", "Enter")
        until(lambda: response.get(connection, alert).step is Step.ARCHIVED, "the archive")
        entries = [entry.to_step for entry in response.history(connection, alert)]
        assert entries == ["confirmed", "dispatched", "on_site", "handled", "fed_back", "archived"]
        assert visit.complaints == []


def test_an_alert_is_shelved_and_noted_by_mouse_with_who_and_until_when(
    served: Api, alert: int, browser: Browser
) -> None:
    with visiting(browser, served) as visit, connect(served.dsn, autocommit=True) as connection:
        visit.open(f"lang=zh&alert={alert}")
        page = visit.page
        page.locator("#panel textarea").fill("施工队在现场")
        page.locator("#panel [data-act=note]").click()
        page.locator("#panel .timeline q", has_text="施工队在现场").wait_for()
        page.locator("#panel [data-act=shelve]").click()
        page.locator("#panel .unfolded button", has_text="8 小时").click()
        page.locator("#panel .state.SHLVD").wait_for()
        (entry,) = [each for each in alerts.history(connection, alert) if each.action == "shelved"]
        assert entry.actor == f"operator-{served.port}"
        until_when = datetime.now(UTC) + timedelta(hours=8)
        assert f"{until_when:%Y-%m-%d}" in entry.note
        page.locator("#panel [data-act=assign]").click()
        page.fill("#panel [name=assignee]", "王工")
        page.fill("#panel [name=assigned-team]", "燃气二队")
        page.locator("#panel .assign .unfolded button").click()
        page.locator("#panel .response .meta", has_text="负责人：王工").wait_for()
        page.locator("#entries .who", has_text="王工").wait_for()
        assert response.get(connection, alert).assignee == "王工"
        assert response.get(connection, alert).team == "燃气二队"
        assert visit.complaints == []


def test_several_of_the_list_are_handled_at_once_by_keys_and_by_mouse(
    served: Api, alert: int, browser: Browser
) -> None:
    with visiting(browser, served) as visit, connect(served.dsn, autocommit=True) as connection:
        other = open_alert(connection, 2, rule="pressure.many").alert_id
        visit.open("lang=en")
        page = visit.page
        page.locator("#entries .row").nth(1).wait_for()
        assert not page.locator("#bulk").is_visible()
        press(visit, "j", "x", "j", "x")
        page.locator("#bulk", has_text="2 chosen").wait_for()
        page.locator("#bulk [data-bulk=note]").click()
        assert page.evaluate("document.activeElement.name") == "word", "a note wants words"
        page.keyboard.type("crew on its way")
        page.locator("#bulk [data-bulk=note]").click()
        page.locator("#bulk", has_text="Done for 2 of 2").wait_for()
        for one in (alert, other):
            assert [each.note for each in response.history(connection, one)] == ["crew on its way"]
        page.locator("#entries li").first.hover()
        page.locator("#entries .choose").nth(0).check()
        page.locator("#entries .choose").nth(1).check()
        page.locator("#bulk [data-bulk=acknowledge]").click()
        page.locator("#bulk", has_text="Done for 2 of 2").wait_for()
        states = {alerts.get(connection, one).state for one in (alert, other)}
        assert states == {AlertState.ACKED}
        assert visit.complaints == []


def test_a_viewer_who_acts_on_several_is_told_why_not(served: Api, alert: int, browser: Browser) -> None:
    with visiting(browser, served) as visit, connect(served.dsn) as connection:
        visit.open("lang=en", Role.VIEWER)
        visit.page.locator(f"#entries .choose[data-name='alert:{alert}']").check()
        visit.page.locator("#bulk [data-bulk=acknowledge]").click()
        visit.page.locator("#bulk", has_text="Done for 0 of 1").wait_for()
        assert "may not" in visit.page.locator("#bulk").inner_text()
        assert alerts.get(connection, alert).state is AlertState.UNACK


def test_the_map_of_a_past_moment_is_asked_for_and_left_again(served: Api, alert: int, browser: Browser) -> None:
    assert alert
    with visiting(browser, served) as visit:
        visit.open("lang=en")
        page = visit.page
        span = served.get("/api/v1/risk/span").json()
        assert span["first"] is not None
        with page.expect_response(lambda answer: "/risk/cells" in answer.url and "at=" in answer.url) as asked:
            page.goto(f"{served.url}/?lang=en&moment={span['last'][:19]}Z")
        assert asked.value.status == 200
        page.locator("#time.past").wait_for()
        page.locator("#time button.compare").click()
        page.locator("#time button.compare[aria-pressed=true]").wait_for()
        page.locator("#time button.live").click()
        page.locator("#time.past").wait_for(state="detached")
        assert "moment=" not in page.url


def test_a_plan_is_made_for_a_budget_and_drawn_on_the_map(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=renewal&tab=plan", Role.ENGINEER)
        page = visit.page
        page.fill("#budget", "10")
        page.fill("#years", "2")
        page.locator("#side form .primary").click()
        page.locator(".figures-of-plan dd").first.wait_for(timeout=240_000)
        page.locator(".ranks .rank").first.click()
        with page.expect_download() as kept:
            page.locator(".figures-of-plan button", has_text="CSV").click()
        assert kept.value.suggested_filename.endswith(".csv")
        assert visit.faults() == []
        assert visit.complaints == []


def test_what_if_answers_for_pipes_that_are_chosen(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=renewal")
        page = visit.page
        page.locator(".rank").first.wait_for()
        assert page.locator(".rank").count() == 6
        page.locator("#side .tab", has_text="What if").click()
        page.locator(".hint", has_text="nothing is stored").wait_for()
        box = page.locator("#map").bounding_box()
        assert box is not None
        with page.expect_response("**/risk/what-if") as answer:
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert answer.value.status == 200
        page.locator(".side-body tbody tr").first.wait_for()
        page.locator("#side .tab", has_text="Ranking").click()
        page.locator(".rank").first.click()
        page.locator("#panel [data-act=if-closed]").click()
        page.locator("#panel .closing [role=status] p").first.wait_for()
        assert "pipe" in page.locator("#panel .closing").inner_text()
        assert kept_file(visit, "#side [data-file=CSV]").splitlines()[0].endswith("rank,asset,name,network,level,score")
        assert len(json.loads(kept_file(visit, "#side [data-file=GeoJSON]"))["features"]) == 6
        assert visit.complaints == []


def kept_file(visit: Visit, control: str) -> str:
    """What the browser keeps when a file is asked for."""
    with visit.page.expect_download() as kept:
        visit.page.locator(control).click()
    return Path(kept.value.path()).read_text(encoding="utf-8")


def test_a_stress_test_is_asked_for_and_its_weak_links_are_shown_and_found(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=renewal&tab=stress", Role.ENGINEER)
        page = visit.page
        page.locator("#stress-asset").fill("W-P0")
        page.locator("#side form .primary").click()
        page.locator(".figures-of-plan h3", has_text="W-P0").wait_for(timeout=60_000)
        assert "Still served" in page.locator(".figures-of-plan dl").inner_text()
        page.locator("[data-test]").first.wait_for()
        assert visit.faults() == []
        page.locator("#stress-asset").fill("no-such-asset")
        page.locator("#side form .primary").click()
        page.locator("#side form .wrong", has_text="no-such-asset").wait_for(timeout=60_000)
        page.locator("#side .rank").first.click()
        page.locator("#panel header").wait_for()
        assert "asset=" in page.url
        assert visit.complaints == []


def test_a_suggested_zone_is_edited_on_the_map_and_accepted_and_another_rejected(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=zh&view=renewal&tab=zones", Role.ENGINEER)
        page = visit.page
        with page.expect_response("**/zones/suggestions"):
            page.locator("[data-act=suggest]").click()
        page.locator("[data-zone]").first.wait_for()
        waiting = {each["id"]: each for each in served.get("/api/v1/zones/suggestions").json()["items"]}
        name = page.locator("[data-zone]").first.get_attribute("data-zone") or ""
        page.locator("[data-zone]").first.click()
        page.fill("#zone-name", "老城重点区")
        corner = page.locator("i.corner").first
        box = corner.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 5, box["y"] + 5)
        page.mouse.down()
        page.mouse.move(box["x"] + 30, box["y"] + 25, steps=4)
        page.mouse.up()
        assert visit.faults() == []
        page.locator("[data-act=accept]").click()
        until(lambda: served.get(f"/api/v1/zones/{name}").json().get("status") == "active", "the zone")
        made = served.get(f"/api/v1/zones/{name}").json()
        assert made["name"] == "老城重点区"
        assert made["geometry"] != waiting[name]["geometry"]
        page.locator(f"[data-zone='{name}']").wait_for(state="detached")
        assert page.locator("i.corner").count() == 0
        page.locator("#layers button.zones").wait_for()
        if len(waiting) > 1:
            page.locator("[data-zone]").first.click()
            page.locator("[data-act=reject]").click()
            until(lambda: len(served.get("/api/v1/zones/suggestions").json()["items"]) == len(waiting) - 2, "less")
        assert visit.complaints == []


def test_a_cell_says_what_is_worst_in_it_and_what_may_follow(served: Api, alert: int, browser: Browser) -> None:
    def alarmed() -> list[str]:
        found = served.get("/api/v1/risk/cells?resolution=9").json()["features"]
        return [each["properties"]["cell"] for each in found if each["properties"]["alerts"]]

    until(alarmed, "the alert on the map", 10)  # it was opened a moment ago
    (cell, *_) = alarmed()
    chains = served.get(f"/api/v1/risk/cells/{cell}").json()["chains"]
    with visiting(browser, served) as visit:
        visit.open(f"lang=en&cell={cell}")
        panel = visit.page.locator("#panel")
        panel.locator("h4", has_text="Worst here").wait_for()
        panel.locator(".member").first.wait_for()
        assert panel.locator(".chains li").count() == min(len(chains), 8)
        assert visit.faults() == []
        rows = kept_file(visit, "#layers [data-file=CSV]").splitlines()
        assert any(f"alert,{alert},Extreme" in row for row in rows)
        shown = json.loads(kept_file(visit, "#layers [data-file=GeoJSON]"))
        assert "red" in {each["properties"]["level"] for each in shown["features"]}
        panel.locator(".member").first.click()
        panel.locator(".risk").wait_for()
        assert visit.complaints == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_view_has_a_serious_fault_by_axe(served: Api, alert: int, browser: Browser, theme: str) -> None:
    with visiting(browser, served, theme=theme) as visit:
        visit.open(f"lang=zh&alert={alert}", Role.ADMIN)
        visit.page.locator("#panel .u-over").wait_for()
        visit.page.locator("#entries .choose").first.check()
        found = {"watch": visit.faults()}
        press(visit, "?")
        visit.page.locator("#help[open]").wait_for()
        found["help"] = visit.faults()
        press(visit, "Escape")
        visit.page.locator("#views .view").nth(2).click()
        visit.page.locator(".figure").first.wait_for()
        found["report"] = visit.faults()
        visit.page.locator("#views .view").nth(3).click()
        for number in range(6):
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
        page.emulate_media(media="print")
        assert not page.locator("#bar").is_visible()
        assert page.locator(".figure").first.is_visible()
        assert visit.complaints == []


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
        with page.expect_download() as kept:
            page.locator("button", has_text="PDF").click()
        assert kept.value.suggested_filename == f"drill-{done}.pdf"
        assert not page.locator("#exercise").is_visible()
        assert visit.faults() == []
        assert visit.complaints == []


def test_the_page_of_an_exercise_says_so_across_its_top_in_both_languages(served: Api, browser: Browser) -> None:
    with running_api(served.dsn, LIFELINE_MESSAGE_STATUS="Exercise") as api, visiting(browser, api) as visit:
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


def test_filters_and_the_search_stay_in_the_address(served: Api, alert: int, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en")
        page = visit.page
        page.locator(f"#entries .row[data-id='{alert}']").wait_for()
        press(visit, "/")
        page.keyboard.type("nowhere")
        page.locator("#entries .empty", has_text="filter").wait_for()
        assert "find=nowhere" in page.url
        page.reload()
        visit.ready()
        page.locator("#entries .empty", has_text="filter").wait_for()
        page.fill("#find", "Chamber")
        page.locator(f"#entries .row[data-id='{alert}']").wait_for()
        page.locator(".pill", has_text="In hand").click()
        assert "step=working" in page.url
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
