"""The operations page in a real browser, at the end of the real chain.

The simulator breaks a gas pipe -> MQTT -> ingest -> alerts -> webhook, and the page shows it without a reload; mouse
and keys take it from there to the archive, down to the database.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, Route

from lifeline.catalogue import shipped_catalogue
from lifeline.embedded import Broker
from lifeline.inventory import parse_assets, parse_sensors
from lifeline.lifecycle import Event
from lifeline.model import Alert, Level, Role
from lifeline.storage import alerts, incidents, inventory, sessions, users
from lifeline.storage.database import Connection, connect
from tests.acceptance.visits import cells, visiting, zoomed
from tests.api_process import ROOT, Api, running_api, until
from tests.conftest import PASSWORDS
from tests.ingest_process import environment, ingest_process
from tests.integration.receiver import SECRET, Receiver
from tests.integration.town import build, empty, open_alert, watched
from tests.issuer import TestIssuer, page_settings, running_issuer

LEAK = """
title = "A hole that nobody can miss"
[[event]]
kind = "gas_leak"
at_s = 3
lasts_s = 600
hole_mm = 20
share = 0.5
"""


# ------------------------------------------------------------------------------------------------------- whole chain


@dataclass(frozen=True)
class City:
    api: Api
    receiver: Receiver
    dsn: str
    repair: Callable[[], None]
    """Ends the leak, when the test has come so far: a time that the scenario set would race with who acts."""


@pytest.fixture
def city(clean_database: str, broker: Broker, tmp_path: Path) -> Iterator[City]:
    """Every process, the simulator's town in the database, and a webhook endpoint; the gas leak comes after a while."""
    subprocess.run(
        [sys.executable, "-m", "simulators", "inventory", "--out", tmp_path, "--seed", "5"], cwd=ROOT, check=True
    )
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        with connect(clean_database) as connection:
            catalogue = shipped_catalogue()
            assets = parse_assets((tmp_path / "assets.geojson").read_bytes(), catalogue)
            inventory.store_assets(connection, assets, datetime.now(UTC))
            inventory.store_sensors(connection, parse_sensors((tmp_path / "sensors.csv").read_bytes(), catalogue))
            connection.execute(
                "INSERT INTO endpoint (name, url, secret, created_at) VALUES ('field team', %s, %s, now())",
                [receiver.url, SECRET],
            )
        allowed = {
            "alerts_tick_s": 0.5,
            "alerts_clear_s": 5,
            "alerts_metrics_port": 0,
            "webhook_allow": '["127.0.0.1"]',
        }
        env = environment(clean_database, broker, PASSWORDS["ingest"], **allowed)
        stack.enter_context(ingest_process(env, tmp_path / "ingest.log"))
        stack.enter_context(_child([sys.executable, "-m", "alerts"], env, tmp_path / "alerts.log"))
        api = stack.enter_context(running_api(clean_database, forked=False))
        as_simulator = {"LIFELINE_MQTT_USERNAME": "simulator", "LIFELINE_MQTT_PASSWORD": PASSWORDS["simulator"]}
        (tmp_path / "leak.toml").write_text(LEAK)
        simulators = stack.enter_context(ExitStack())

        def play(scenario: str, log: str) -> None:
            """This town, with that scenario, in the place of what was played."""
            simulators.close()
            run = ["-m", "simulators", "run", "--seed", "5", "--history-days", "0", "--scenario", scenario]
            command = [sys.executable, *run, "--truth", f"{log}.jsonl"]
            simulators.enter_context(_child(command, env | as_simulator, tmp_path / f"{log}.log", tmp_path))

        play("leak.toml", "leaking")
        yield City(api, receiver, clean_database, lambda: play("quiet", "repaired"))


@contextmanager
def _child(command: list[str], env: dict[str, str], log: Path, folder: Path = ROOT) -> Iterator[None]:
    with log.open("wb") as output:
        paths = env | {"PYTHONPATH": os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])}
        process = subprocess.Popen(command, cwd=folder, env=paths, stdout=output, stderr=output)
    try:
        yield
        assert process.poll() is None, log.read_text()[-2000:]
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_gas_leak_appears_on_the_page_is_sent_to_the_field_and_is_acknowledged_up_to_the_archive(
    city: City, browser: Browser
) -> None:
    with visiting(browser, city.api) as visit:
        visit.open()
        page = visit.page
        before = cells(visit, "red")
        page.evaluate("window.notReloaded = true")
        row = page.locator("#entries .row.red", has_text="燃气").first
        row.wait_for()
        until(lambda: cells(visit, "red") > before, "a red cell")
        assert "●" in page.title()
        page.locator(".alert-mark.red.new").first.wait_for()

        until(lambda: any(each["type"].startswith("incident.") for each in city.receiver.accepted), "the webhook")

        row.click()
        panel = page.locator("#panel")
        panel.locator(".said", has_text="甲烷浓度").wait_for()
        panel.locator(".u-over").wait_for()
        incident = int(panel.locator("section.handle").first.get_attribute("data-incident") or 0)
        panel.locator("textarea").first.fill("抢修队已出发")
        page.locator("#panel [data-act=acknowledge]").click()
        panel.locator("[data-act=acknowledge]").wait_for(state="detached")
        with psycopg.connect(city.dsn) as connection:
            rows = connection.execute(
                "SELECT DISTINCT a.acknowledged_by, h.note FROM alert a JOIN alert_history h USING (alert_id)"
                " WHERE incident_id = %s AND h.action = 'acknowledged'",
                [incident],
            ).fetchall()
        assert rows == [(f"operator-{city.api.port}", "抢修队已出发")]
        for step, by in (("confirmed", "mouse"), ("dispatched", "keys"), ("on_site", "mouse"), ("handled", "keys")):
            control = panel.locator(f"[data-act={step}]")
            control.click() if by == "mouse" else control.press("Enter")
            control.wait_for(state="detached")
        city.repair()
        panel.locator(".fed_back input").fill("第三方施工")
        panel.locator(".fed_back button", has_text="情况属实").click()
        panel.locator(".stepper .here", has_text="反馈").wait_for()
        with page.expect_response("**/risk/frames?*") as frames:
            page.locator("#time button.play").click()
        assert frames.value.status == 200
        until(lambda: page.locator("#time .now").inner_text() != "实时", "the past, played")
        page.locator("#time button.play").click()
        page.locator("#time.past").wait_for()
        page.locator("#time button.live").click()
        page.locator("#time.past").wait_for(state="detached")
        archive(city, incident, page)
        assert page.evaluate("window.notReloaded")
        assert visit.complaints == []


def archive(city: City, incident: int, page: Page) -> None:
    """The detector sees by itself that all of it is over, what came after the acknowledgement is acknowledged too, and
    the incident goes to the archive: by keys."""
    panel, entry = page.locator("#panel"), page.locator(f"#entries .row[data-kind=incident][data-id='{incident}']")
    with connect(city.dsn, autocommit=True) as connection:

        def told(question: str) -> int:
            (found,) = connection.execute(f"SELECT count(*) FROM {question}", [incident]).fetchone() or (0,)
            return int(found)

        members = "alert WHERE incident_id = %s AND closed_at IS NULL"
        over = "incident WHERE incident_id = %s AND closed_at IS NOT NULL"
        until(lambda: told(f"{members} AND returned_at IS NULL") == 0, "the return to normal", 240)
        while not told(over):
            if told(f"{members} AND state IN ('UNACK', 'RTNUN')"):
                panel.locator("[data-act=acknowledge]:enabled").press("Enter")
                until(lambda: told(f"{members} AND state IN ('UNACK', 'RTNUN')") == 0, "the acknowledgement")
            until(lambda: told(over) or told(f"{members} AND state IN ('UNACK', 'RTNUN')"), "the incident's end")
        page.keyboard.press("z")
        panel.locator("[data-act=archived]").press("Enter")
        panel.locator(".stepper .here", has_text="已归档").wait_for()
        entry.wait_for(state="detached")
        assert [step for (step,) in connection.execute(STEPS, [incident]).fetchall()] == [
            "confirmed", "dispatched", "on_site", "handled", "fed_back", "archived"
        ]  # fmt: skip
    page.keyboard.press("3")
    page.locator("#document tr", has_text="燃气").filter(has_text="已关闭").first.wait_for()


STEPS = """
SELECT h.to_step FROM response_history h JOIN incident i ON i.response_alert = h.alert_id
WHERE i.incident_id = %s AND h.action = 'step' ORDER BY h.history_id
"""


# ---------------------------------------------------------------------------------------------------- the page alone


@pytest.fixture(scope="module")
def service() -> Iterator[TestIssuer]:
    """The city's own log-in service."""
    with running_issuer("EdDSA", log_in=True) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def served(database_dsn: str, service: TestIssuer) -> Iterator[Api]:
    with running_api(database_dsn, forked=False, **page_settings(service)) as api:
        yield api


@pytest.fixture
def api(served: Api) -> Api:
    """The API with the town of three streets."""
    served.keys.clear()
    empty(served.dsn)
    with connect(served.dsn) as connection:
        build(connection)
        watched(connection)
        connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')""")
    until(lambda: '"numberMatched":6' in served.get("/api/v1/risk/segments").text, "the map")
    return served


def test_an_alert_appears_and_goes_without_reload(api: Api, browser: Browser) -> None:
    with visiting(browser, api) as visit, connect(api.dsn) as connection:
        visit.open()
        page = visit.page
        assert "没有未关闭的预警" in page.locator("#entries").inner_text()
        alert = open_alert(connection, 1)
        page.locator(f"#entries .row[data-kind=alert][data-id='{alert.alert_id}']").wait_for()
        page.locator("#tiles .tile.red.new b", has_text="1").wait_for()
        page.locator(f".alert-mark.red.new[data-id='{alert.alert_id}']").wait_for()
        until(
            lambda: page.locator(".alert-mark").evaluate(ON_TOP),
            "a mark on which no card lies, the whole city in sight",
        )
        assert page.title().startswith("(1) ● 特别重大")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.locator("#panel section.handle").wait_for()
        assert f"alert={alert.alert_id}" in visit.address
        page.keyboard.press("Escape")
        assert not page.locator("#panel").is_visible()
        gather(connection, alert, Level.YELLOW)
        incident = page.locator("#entries .row.yellow[data-kind=incident]")
        incident.locator(".was.red", has_text="曾达特别重大").wait_for()
        assert incident.locator(".over").count() == 0
        with connect(api.dsn, autocommit=True) as detector:
            alerts.operate(detector, alert.alert_id, Event.RETURN, "detector", datetime.now(UTC))
        incident.locator(".over", has_text="已恢复正常").wait_for()
        assert visit.complaints == []


ON_TOP = """mark => {
    const { x, y, width, height } = mark.getBoundingClientRect();
    return mark.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""


COUNTED = """
window.drawn = { map: 0, page: [], asking: 0, rested: 0 };
for (const name of ["drawElements", "drawArrays"]) {
    const draw = WebGL2RenderingContext.prototype[name];
    WebGL2RenderingContext.prototype[name] = function (...given) {
        drawn.map += 1;
        drawn.rested = 0;
        return draw.apply(this, given);
    };
}
const ask = window.fetch;
window.fetch = async (...given) => {
    if (String(given[0]).endsWith("/live")) return ask(...given); // which never ends
    drawn.asking += 1;
    drawn.rested = 0;
    try {
        return await ask(...given);
    } finally {
        drawn.asking -= 1;
    }
};
setInterval(() => { // as often as the page looks at its clock
    if (!drawn.asking && document.querySelector("#map[data-drawn]")) drawn.rested += 1;
}, 1000);
new MutationObserver((found) => {
    for (const { target, attributeName: attribute } of found) {
        const where = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
        if (!where || where.closest("#entries")) continue; // where the rows say how old they are
        drawn.rested = 0;
        drawn.page.push(`${where.tagName} ${where.id} ${where.className} ${attribute ?? ""}`);
    }
}).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
"""
"""Counts what is drawn on the map and written in the page, and the seconds in which it did and asked for nothing."""
PICTURES = """mark => {
    const [pulse] = mark.getAnimations({ subtree: true });
    pulse.pause();
    const length = pulse.effect.getComputedTiming().duration;
    const seen = [];
    for (let at = 0; at < length; at += 10) {
        pulse.currentTime = at;
        const { transform, opacity } = getComputedStyle(mark, "::after");
        if (seen.at(-1) !== `${transform} ${opacity}`) seen.push(`${transform} ${opacity}`);
    }
    return [length, seen.length];
}"""
BEGUN = "() => document.getAnimations().map((each) => each.startTime).filter((each) => each !== null)"
RESTED_S = 5
PULSES = 3
"""Pictures of a pulse: each is a frame of the whole page, all night on a wall."""


def test_an_idle_page_draws_nothing_and_a_new_alert_pulses_in_three_steps(api: Api, browser: Browser) -> None:
    with visiting(browser, api) as visit, connect(api.dsn, autocommit=True) as connection:
        alert, since = open_alert(connection, 1), datetime.now(UTC)
        summary = "/api/v1/risk/summary"
        until(lambda: datetime.fromisoformat(api.get(summary).json()["map_drawn_at"]) > since, "the map with it")
        page = visit.page
        page.add_init_script(COUNTED)
        visit.open("lang=en")
        mark = page.locator(f".alert-mark.red.new[data-id='{alert.alert_id}']")
        mark.wait_for()
        until(lambda: page.evaluate("drawn.rested") >= RESTED_S, "a page at rest")
        assert page.evaluate("drawn.map") > 0, "the map was drawn, and counted"
        page.evaluate("Object.assign(drawn, { map: 0, page: [] })")
        with (
            page.expect_response("**/api/v1/caseload"),
            page.expect_response("**/api/v1/sensors?*"),
            page.expect_response("**/api/v1/risk/summary"),
        ):
            for what in ("alert", "reading"):
                connection.execute("SELECT pg_notify('lifeline_changed', %s)", [f'{{"what": "{what}"}}'])
        until(lambda: page.evaluate("drawn.rested") >= RESTED_S, "a page at rest")
        assert page.evaluate("[drawn.map, drawn.page]") == [0, []], "told of what it shows already, it draws nothing"
        open_alert(connection, 2, Level.ORANGE)
        page.locator(".alert-mark.orange.new").wait_for()
        until(lambda: len(begun := page.evaluate(BEGUN)) == 2 and len(set(begun)) == 1, "marks that pulse together")
        assert mark.evaluate(PICTURES) == [1500, PULSES]
        assert page.locator(".alert-mark.orange.new").evaluate(PICTURES) == [3000, PULSES]
        assert visit.complaints == []


def gather(connection: Connection, alert: Alert, level: Level) -> None:
    """An incident of one alert that was as bad as the alert, and is milder now."""
    now, causes = datetime.now(UTC), [{"cause": "unknown", "title": {"en": "Gas", "zh": "燃气"}}]
    opening = incidents.Opening(alert.level, ("gas",), causes, alert.alert_id, now.timestamp(), [alert.alert_id])
    incidents.write(connection, [opening], [], now)
    connection.execute("UPDATE incident SET level = %s", [level])
    connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "incident"}')""")
    connection.commit()


def test_the_key_leaves_the_address_bar_and_stays_for_the_session(api: Api, browser: Browser) -> None:
    with visiting(browser, api) as visit:
        visit.open()
        assert "llk_" not in visit.address
        visit.page.reload()
        visit.ready()
        visit.page.locator("#signout").click()
        visit.page.locator("#signin").wait_for()


def test_a_wrong_key_is_told_and_a_right_one_lets_in(api: Api, browser: Browser) -> None:
    with visiting(browser, api) as visit:
        visit.page.goto(f"{api.url}/?lang=en")
        visit.page.fill("#key", "llk_wrong")
        visit.page.click("#signin [type=submit]")
        visit.page.locator(".wrong", has_text="not valid").wait_for()
        visit.page.fill("#key", api.key())
        visit.page.click("#signin [type=submit]")
        visit.ready()


def test_a_person_logs_in_acts_by_session_and_logs_out(api: Api, browser: Browser) -> None:
    with visiting(browser, api) as visit, connect(api.dsn) as connection:
        users.add(connection, "li.wei", Role.OPERATOR, datetime.now(UTC), "five Different words")
        connection.commit()
        page = visit.page
        page.goto(f"{api.url}/?lang=en")
        page.fill("#user", "li.wei")
        page.fill("#password", "wrong words here")
        page.click("#signin [type=submit]")
        page.locator(".wrong", has_text="Name or password is wrong").wait_for()
        page.fill("#password", "five Different words")
        page.click("#signin [type=submit]")
        visit.ready()
        assert "lls_" not in page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")
        page.locator("#signout").click()
        page.locator("#signin").wait_for()
        assert connection.execute("SELECT count(*) FROM session").fetchone() == (0,)
        link = sessions.make_link(connection, "li.wei", datetime.now(UTC))
        connection.commit()
        page.goto(f"{api.url}/?lang=en&x=1#link={link}")
        visit.ready()
        assert link not in visit.address


def test_a_person_logs_in_at_the_citys_own_service_comes_back_to_the_same_view_and_leaves_both(
    api: Api, service: TestIssuer, browser: Browser
) -> None:
    with visiting(browser, api) as visit, connect(api.dsn, autocommit=True) as connection:
        page = visit.page
        page.goto(f"{api.url}/?lang=en&view=report&find=Chamber+1")
        assert visit.faults() == []
        page.locator("#signin-service", has_text="Sign in with City log-in").click()
        page.locator(".figure", has_text="MTTA").wait_for()
        assert visit.address.startswith(f"{api.url}/?lang=en&view=report&find=Chamber+1")
        assert connection.execute("SELECT name, role, subject FROM session").fetchall() == [
            ("li.wei", "operator", "f3a1")
        ]
        assert "lls_" not in page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")
        connection.execute("DELETE FROM session")
        page.locator(".wrong", has_text="Your session has ended").wait_for()
        service.person = {"roles": ["stranger"]}
        page.locator("#signin-service").click()
        page.locator(".wrong", has_text="have no role here").wait_for()
        assert "#" not in visit.address
        service.person = {}
        page.locator("#signin-service").click()
        visit.ready()
        with page.expect_request(f"{service.url}/out*") as out:
            page.locator("#signout").click()
        assert "post_logout_redirect_uri" in out.value.url
        assert connection.execute("SELECT count(*) FROM session").fetchone() == (0,)


def test_the_language_is_switched_and_remembered(api: Api, browser: Browser) -> None:
    with visiting(browser, api) as visit, connect(api.dsn) as connection:
        open_alert(connection, 1)
        visit.open("lang=zh")
        page = visit.page
        page.locator("#entries", has_text="未确认").wait_for()
        page.click("#language")
        page.locator("#entries", has_text="New").wait_for()
        assert re.search(r"Extreme\s+\d+", page.locator("#legend").inner_text())
        assert page.evaluate("document.documentElement.lang") == "en"
        page.goto(api.url)
        visit.ready()
        page.locator("#entries", has_text="New").wait_for()
        assert visit.complaints == []


def test_a_viewer_who_acknowledges_is_told_why_not(api: Api, browser: Browser) -> None:
    with visiting(browser, api) as visit, connect(api.dsn) as connection:
        alert = open_alert(connection, 1)
        visit.open(f"lang=en&alert={alert.alert_id}", Role.VIEWER)
        visit.page.locator("#panel [data-act=acknowledge]").click()
        visit.page.locator("#panel .wrong", has_text="may not").wait_for()


def test_a_refusal_is_told_and_stays_though_the_panel_is_drawn_anew_before_and_after_it(
    api: Api, browser: Browser
) -> None:
    with visiting(browser, api) as visit, connect(api.dsn, autocommit=True) as connection:
        alert = open_alert(connection, 1)
        held: list[Route] = []
        visit.page.route("**/acknowledge", lambda route: held.append(route))
        visit.open(f"lang=en&alert={alert.alert_id}", Role.VIEWER)
        panel = visit.page.locator("#panel")

        def rise(level: Level) -> None:
            connection.execute("UPDATE alert SET level = %s WHERE alert_id = %s", [level, alert.alert_id])
            connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "alert"}')""")

        panel.locator("[data-act=acknowledge]").click()
        until(lambda: visit.page.wait_for_timeout(20) or held, "the act under way")
        rise(Level.ORANGE)
        visit.page.locator(f"#entries .row.orange[data-id='{alert.alert_id}']").wait_for()
        visit.page.wait_for_timeout(500)
        held[0].continue_()
        panel.locator(".wrong", has_text="may not").wait_for()
        for level, name in ((Level.YELLOW, "Moderate"), (Level.BLUE, "Minor")):
            rise(level)
            panel.get_by_text(name).first.wait_for()
            panel.locator(".wrong", has_text="may not").wait_for()


def test_a_pipe_shows_its_risk_by_its_parts_and_a_filter_stays_in_the_address(api: Api, browser: Browser) -> None:
    with visiting(browser, api) as visit:
        visit.open("lang=en&asset=G-P1")
        panel = visit.page.locator("#panel")
        panel.locator("table tr", has_text="Material").wait_for()
        assert "cast iron" in panel.inner_text()
        until(lambda: zoomed(visit) >= 15.5, "the map at the pipe")
        visit.page.click("#language")
        panel.locator("table tr", has_text="铸铁").wait_for()
        assert "iron" not in panel.inner_text()
        assert re.search(r"管龄\s*\d+ 年", panel.inner_text()), "figures have units"
        assert [each.get_attribute("title") for each in visit.page.locator(".maplibregl-ctrl-group button").all()] == [
            "放大",
            "缩小",
        ]
        assert visit.page.locator("#freshness small").inner_text() == "UTC+8"
        visit.page.click("#language")
        visit.page.locator("#networks button", has_text="Gas").click()
        assert "network=gas" in visit.address
        visit.page.locator("#layers .unfold").click()
        visit.page.locator("#layers .sensors").first.click()
        assert "off=sensors" in visit.address


def test_a_lost_connection_is_told_and_an_act_is_not_lost_with_it(database_dsn: str, browser: Browser) -> None:
    empty(database_dsn)
    with connect(database_dsn) as connection:
        build(connection)
        watched(connection)
        alert = open_alert(connection, 1).alert_id
    with running_api(database_dsn, forked=False) as api, visiting(browser, api) as visit:
        visit.open(f"lang=en&alert={alert}")
        visit.page.locator("#freshness.live").wait_for()
        visit.page.locator("#panel .respond textarea").fill("valve 3 is shut")
        api.end()
        visit.page.locator("#panel [data-act=acknowledge]").click()
        visit.page.locator("#panel .wrong", has_text="Not done").wait_for()
        visit.page.locator("#banner").wait_for(state="visible")
        assert re.search("connection is lost|cannot be reached", visit.page.locator("#banner").inner_text())
        api.start()
        visit.page.locator("#freshness.live").wait_for()
        visit.page.locator("#banner").wait_for(state="hidden")
        visit.page.locator("#panel [data-act=acknowledge]").click()
        visit.page.locator("#panel .timeline q", has_text="valve 3 is shut").wait_for()


def test_the_page_is_usable_on_a_phone(api: Api, browser: Browser) -> None:
    with visiting(browser, api, width=390, height=844) as visit, connect(api.dsn) as connection:
        open_alert(connection, 1, Level.ORANGE)
        visit.open()
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not page.locator("#layers .layer").first.is_visible(), "the map is small: its switches are folded"
        page.locator("#layers .unfold").click()
        assert visit.faults() == []
        page.locator("#layers .layer.gas").click()
        assert "off=gas" in visit.address
        page.locator("#layers .unfold").click()
        assert not page.locator("#layers .layer").first.is_visible()
        page.locator("#entries .row").click()
        page.locator("#panel .primary").wait_for()
        box = page.locator("#panel").bounding_box()
        assert box is not None
        assert box["width"] == 390
        page.locator("#panel .primary").scroll_into_view_if_needed()
        assert page.locator("#panel .primary").is_visible()
        for width, height in ((360, 640), (720, 430)):  # a small phone; a screen of 1440 x 860 at 200 %
            page.keyboard.press("Escape")
            page.set_viewport_size({"width": width, "height": height})
            page.locator("#entries .row").click()
            page.locator("#panel .primary").wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        near = page.locator(".alert-mark").bounding_box()
        page.set_viewport_size({"width": 2560, "height": 700})  # a wall is read from across the room
        assert near is not None
        width = near["width"]
        wider = "([mark], least) => mark.getBoundingClientRect().width > least"
        until(lambda: page.locator(".alert-mark").evaluate_all(wider, 1.2 * width), "a mark that is larger")
        assert page.evaluate("document.documentElement.scrollWidth") <= 2560
        assert visit.complaints == []
