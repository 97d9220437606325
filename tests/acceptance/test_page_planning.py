"""Moments, plans, what if, stress tests and zones of the page in a real browser."""

import json
import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, FloatRect, Locator

from lifeline.model import Role
from tests.acceptance.visits import kept_file, visiting, zoomed
from tests.api_process import Api, until


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
        until(lambda: "moment=" not in visit.address, "the address of now")


FILM = """async ([back, resolution]) => {
    const { Film } = await import("/film.js");
    const film = await Film.load(back, resolution, "");
    const drawn = [];
    const levels = ({ features }) => features.map(({ properties: { id, cell, level } }) => [id ?? cell, level]);
    const map = { show: (name, data) => drawn.push([name, Object.fromEntries(levels(data))]) };
    const [first, last] = [film.frames[0], film.frames.at(-1)];
    for (const at of [first.at, first.at, last.at, last.at + 9]) await film.show(map, at);
    last.recorded = false;
    await film.show(map, last.at);
    return [drawn, new Date(first.at).toISOString(), new Date(last.at).toISOString()];
}"""


def test_pipes_are_compared_and_replayed_as_cells_are(served: Api, alert: int, browser: Browser) -> None:
    """What the page says and draws of two moments is what the API says of them: before the alert, and with it."""
    first = served.get("/api/v1/risk/span").json()["first"]
    before = (datetime.fromisoformat(first) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")

    def compared(of: str = "/segments", to: str = "") -> dict[str, int]:
        return dict(served.get(f"/api/v1/risk/compare{of}?from={before}{to}").json()["counts"])

    until(lambda: compared()["rose"], "a pipe that rose")
    with visiting(browser, served) as visit:
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"  # the map may change while the page is opened
        visit.open(f"lang=en&at=117.21,31.81,13&moment={moment}&against={before}")
        page = visit.page
        page.locator("#time .told", has_text="Pipes").wait_for()
        for what, of in (("Cells", ""), ("Pipes", "/segments")):
            counts = compared(of, f"&to={moment}")
            said = f"{what}: {counts['rose']} rose, {counts['fell']} fell, {counts['lost_sight']} lost from sight"
            assert said in page.locator("#time .told").inner_text()
        resolution = 9
        drawn, *ends = page.evaluate(FILM, [3600, resolution])
        assert [name for name, _ in drawn] == ["cells", "pipes", "cells", "cells", "pipes", "cells", "cells", "pipes"]
        was, became, unseen = (levels for name, levels in drawn if name == "pipes")
        then, now = (
            {each["properties"]["id"]: each["properties"]["level"]
             for each in served.get(f"/api/v1/risk/segments?at={at}").json()["features"]}
            for at in ends
        )  # fmt: skip
        assert (was, became) == (then, now)
        assert was["G-P0"] != now["G-P0"], f"alert {alert} lies at its end"
        assert set(unseen.values()) == {"unknown"}, "where nobody drew the map, nobody knows"
        assert drawn[-2] == ["cells", {}]
        page.route("**/segments?from=*", lambda route: route.fulfill(status=403, json={"detail": "a part of the city"}))
        page.reload()
        page.locator("#time .told", has_text="Cells").wait_for()
        assert "Pipes" not in page.locator("#time .told").inner_text()
        drawn = page.evaluate(FILM, [3600, resolution])[0]
        assert {level for name, levels in drawn if name == "pipes" for level in levels.values()} == {"unknown"}
        assert "part of the city" not in page.locator("#banner").inner_text()


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


SETTLED = "document.querySelector('#map canvas').clientWidth === document.querySelector('#map').clientWidth"


def test_what_if_answers_for_pipes_that_are_chosen(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=renewal")
        page = visit.page
        page.locator(".rank").first.wait_for()
        assert page.locator(".rank").count() == 6
        page.locator(".rank").first.click()
        worst = page.locator(".rank .rule").first.inner_text().split(" · ")[1]
        until(lambda: zoomed(visit) >= 15.5, "the map at the pipe, whose panel has made it smaller")
        page.keyboard.press("Escape")
        page.locator("#side .tab", has_text="What if").click()
        until(lambda: page.evaluate(SETTLED), "the map as wide as it was")
        page.locator(".hint", has_text="nothing is stored").wait_for()
        box = page.locator("#map").bounding_box()
        assert box is not None
        with page.expect_response("**/risk/what-if") as answer:
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert answer.value.status == 200
        page.locator(".side-body tbody tr").first.wait_for()
        assert worst in page.locator(".chosen-pipes .chip").inner_text(), "the map stood at what was asked for"
        page.locator("#side .tab", has_text="Ranking").click()
        page.locator(".rank").first.click()
        page.locator("#panel [data-act=if-closed]").click()
        page.locator("#panel .closing [role=status] p").first.wait_for()
        assert "pipe" in page.locator("#panel .closing").inner_text()
        assert kept_file(visit, "#side [data-file=CSV]").splitlines()[0].endswith("rank,asset,name,network,level,score")
        assert len(json.loads(kept_file(visit, "#side [data-file=GeoJSON]"))["features"]) == 6
        assert visit.complaints == []


def test_a_stress_test_is_asked_for_and_its_weak_links_are_shown_and_found(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=en&view=renewal&tab=stress", Role.ENGINEER)
        page = visit.page
        page.locator("#stress-asset").fill("W-P0")
        page.locator("#side form .primary").click()
        page.locator(".figures-of-plan h3", has_text="W-P0").wait_for()
        assert "Still served" in page.locator(".figures-of-plan dl").inner_text()
        page.locator("[data-test]").first.wait_for()
        assert visit.faults() == []
        page.locator("#stress-asset").fill("no-such-asset")
        page.locator("#side form .primary").click()
        page.locator("#side form .wrong", has_text="no-such-asset").wait_for()
        page.locator("#side .rank").first.click()
        page.locator("#panel header").wait_for()
        assert "asset=" in visit.address
        assert visit.complaints == []


def at_rest(thing: Locator) -> FloatRect:
    """Where it lies, once the map no longer moves below it."""
    seen: list[FloatRect | None] = [None]

    def rests() -> bool:
        thing.page.wait_for_timeout(100)
        seen.append(thing.bounding_box())
        return seen[-1] is not None and seen[-1] == seen[-2]

    until(rests, "a map that rests")
    assert seen[-1] is not None
    return seen[-1]


def test_a_suggested_zone_is_edited_on_the_map_and_accepted_and_another_rejected(served: Api, browser: Browser) -> None:
    with visiting(browser, served) as visit:
        visit.open("lang=zh&view=renewal&tab=zones", Role.ENGINEER)
        page = visit.page
        with page.expect_response("**/zones/suggestions"):
            page.locator("[data-act=suggest]").click()
        page.locator("[data-zone]").first.wait_for()
        waiting = {each["id"]: each for each in served.get("/api/v1/zones/suggestions").json()["items"]}
        name = page.locator("[data-zone]").first.get_attribute("data-zone") or ""
        said = page.locator("[data-zone] strong").first.inner_text()
        assert re.fullmatch("(gas|water|drainage) street risk control zone( 2)?", said), (
            "by the street, which has one name"
        )
        page.locator("[data-zone]").first.click()
        page.fill("#zone-name", "老城重点区")
        box = at_rest(page.locator("i.corner").first)
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

    until(alarmed, "the alert on the map")  # it was opened a moment ago
    (cell, *_) = alarmed()
    chains = served.get(f"/api/v1/risk/cells/{cell}").json()["chains"]
    with visiting(browser, served) as visit:
        visit.open(f"lang=en&cell={cell}")
        panel = visit.page.locator("#panel")
        panel.locator("h4", has_text="Worst here").wait_for()
        panel.locator(".member").first.wait_for()
        assert panel.locator(".chains li").count() == min(len(chains), 8)
        assert visit.faults() == []
        visit.page.locator("#layers .unfold").click()
        rows = kept_file(visit, "#layers [data-file=CSV]").splitlines()
        assert any(f"alert,{alert},Extreme" in row for row in rows)
        shown = json.loads(kept_file(visit, "#layers [data-file=GeoJSON]"))
        assert "red" in {each["properties"]["level"] for each in shown["features"]}
        panel.locator(".member").first.click()
        panel.locator(".risk").wait_for()
        assert visit.complaints == []
