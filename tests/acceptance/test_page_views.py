"""Acting on alerts in a real browser: by keys, by mouse, on several, in a storm of them."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page

from lifeline.lifecycle import Event
from lifeline.model import AlertKind, AlertState, Finding, Level, Role, Subject, SubjectKind
from lifeline.response import Step
from lifeline.storage import alerts, response
from lifeline.storage.database import Connection, connect
from tests.acceptance.visits import Visit, press, visiting
from tests.api_process import Api, until
from tests.integration.town import open_alert


def act(page: Page, key: str, step: Step, by: str) -> None:
    """Take a step of the response with the key that the panel names, or with its button."""
    page.locator(f"#panel [data-act={step}]").wait_for()
    if by == "keys":
        page.keyboard.press(key)
        page.keyboard.press("Enter")
    else:
        page.locator(f"#panel [data-act={step}]").click()


@pytest.mark.parametrize("by", ["keys", "mouse"])
def test_an_operator_goes_from_the_alert_to_the_archive_by_keys_alone_and_by_mouse_alone(
    served: Api, alert: int, browser: Browser, by: str
) -> None:
    with visiting(browser, served) as visit, connect(served.dsn, autocommit=True) as connection:
        visit.open("lang=en")
        page = visit.page
        page.locator("#entries .row").wait_for()
        if by == "keys":
            press(visit, "j", "Enter")
            page.locator("#panel [data-act=acknowledge]").wait_for()
            press(visit, "a")
        else:  # two clicks from the alarm to its acknowledgement
            page.locator(f".alert-mark[data-id='{alert}']").click()
            page.locator("#panel [data-act=acknowledge]").click()
        page.locator("#panel [data-act=acknowledge]").wait_for(state="detached")
        for key, step in (("c", Step.CONFIRMED), ("d", Step.DISPATCHED), ("o", Step.ON_SITE), ("h", Step.HANDLED)):
            act(page, key, step, by)
            until(lambda step=step: response.get(connection, alert).step is step, f"{step}")  # type: ignore[misc]
        page.locator("#panel details.fed_back input").fill("third party digging")
        real = page.locator("#panel details.fed_back button", has_text="It was real")
        if by == "keys":
            real.press("Enter")
        else:
            real.click()
        until(lambda: response.get(connection, alert).step is Step.FED_BACK, "the feedback")
        alerts.operate(connection, alert, Event.RETURN, "detector", datetime.now(UTC))
        act(page, "z", Step.ARCHIVED, by)
        until(lambda: response.get(connection, alert).step is Step.ARCHIVED, "the archive")
        entries = [entry.to_step for entry in response.history(connection, alert)]
        assert entries == ["confirmed", "dispatched", "on_site", "handled", "fed_back", "archived"]
        assert visit.complaints == []


def moment(fall: float) -> dict[str, object]:
    """A burst's evidence at a moment: so many metres below what was expected."""
    told = {"expected_by": "neighbours, hour and weekday", "fall": fall, "on_delay_s": 60.0, "lasts": False}
    return {"quantity": "pressure", "unit": "m", "value": 50.58 - fall, "expected": 50.58} | told


RETURNED = {
    "state": "RTNUN",
    "rule": "pressure.burst",
    "rule_version": "1",
    "evidence": moment(0.02),
    "history": [
        {"at": "2026-11-22T16:09:00Z", "action": "raised", "to_level": "yellow", "evidence": moment(9.0)},
        {
            "at": "2026-11-22T16:09:30Z",
            "action": "escalated",
            "to_level": "orange",
            "evidence": moment(45.09) | {"value": 1.12, "expected": 46.21},
        },
        {"at": "2026-11-22T16:12:00Z", "action": "returned", "to_level": "orange", "evidence": moment(0.02)},
    ],
}
SWINGING = {
    "state": "UNACK",
    "unit": "%VOL",
    "evidence": {"quantity": "methane", "condition": "above", "value": 0.98, "limit": 1.0, "peak": 1.03},
}
IN_WORDS = "alert => import('/evidence.js').then(({ inWords }) => inWords(alert).replaceAll('\u202f', ' '))"
DETAILS = """async (alert) => {
    const { details } = await import("/evidence.js");
    const [...terms] = details(alert).querySelectorAll("dt");
    return terms.map((each) => [each.textContent, each.nextSibling.textContent.replaceAll("\u202f", " ")]);
}"""


def test_an_alert_is_shelved_and_noted_by_mouse_with_who_and_until_when(
    served: Api, alert: int, browser: Browser
) -> None:
    with visiting(browser, served) as visit, connect(served.dsn, autocommit=True) as connection:
        visit.open(f"lang=zh&alert={alert}")
        page = visit.page
        page.locator("#panel .said", has_text="高于限值").wait_for()
        connection.execute("""UPDATE alert SET evidence = evidence || '{"value": 0.1}' WHERE alert_id = %s""", [alert])
        page.reload()
        visit.ready()
        page.locator("#panel .said", has_text="已回到限值").wait_for()
        assert page.evaluate(IN_WORDS, RETURNED) == "供水压力 1.12 m，正常应为 46.2 m · 现为 50.6 m，已恢复正常"
        assert page.evaluate(IN_WORDS, RETURNED | {"state": "UNACK"}) == "供水压力 50.6 m，正常应为 50.6 m"
        # A swinging value: the newest was below the limit when the alert was raised, and nobody knows that it still is.
        assert page.evaluate(IN_WORDS, SWINGING) == "甲烷浓度 1.03 %VOL，高于限值 1 %VOL"
        assert (
            page.evaluate(IN_WORDS, SWINGING | {"state": "RTNUN"})
            == "甲烷浓度 0.98 %VOL，已回到限值 1 %VOL 以内 · 峰值 1.03 %VOL"
        )
        rows = page.evaluate(DETAILS, RETURNED)
        assert rows[1:] == [
            ["预期依据", "相邻测点、时段和星期"],
            ["下降", "0.02 m"],
            ["确认延时", "1 分钟"],
            ["持续", "否"],
        ]
        page.locator("#panel textarea").fill("施工队在现场")
        page.locator("#panel [data-act=note]").click()
        page.locator("#panel .timeline q", has_text="施工队在现场").wait_for()
        page.locator("#panel [data-act=shelve]").click()
        page.locator("#panel .unfolded button", has_text="8 小时").click()
        page.locator("#panel .state.SHLVD").wait_for()
        (entry,) = [each for each in alerts.history(connection, alert) if each.action == "shelved"]
        assert entry.actor == f"operator-{served.port}"
        assert f"{entry.at + timedelta(hours=8):%Y-%m-%d}" in entry.note
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
        page.locator("#entries .row").first.focus()
        with page.expect_response("**/api/v1/caseload"):
            connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "alert"}')""")
        page.wait_for_timeout(200)
        assert page.locator("#bulk [name=word]").input_value() == "crew on its way", (
            "the list came anew, the bar stayed"
        )
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


STORM, MARKS = 320, 150
BLOCKED_S = 0.2
BUSY = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")


def break_out(connection: Connection) -> None:
    """320 alerts at once, each in a place of its own: one red, three orange, sixteen yellow, and blue."""
    now, begun = datetime.now(UTC), datetime.now(UTC) - timedelta(minutes=1)
    levels = [Level.RED, *[Level.ORANGE] * 3, *[Level.YELLOW] * 16, *[Level.BLUE] * (STORM - 20)]
    evidence = {"title": {"en": "Methane", "zh": "甲烷"}, "quantity": "methane", "value": 3.0, "limit": 2.5}
    findings = [
        Finding(Subject(SubjectKind.SENSOR, 1), f"storm.{now:%f}.{number}", level, now, begun, evidence)
        for number, level in enumerate(reversed(levels))
    ]
    with connection.transaction():
        alerts.raise_alerts(connection, [alerts.Opening(each, "1", AlertKind.RISK) for each in findings], now)
        connection.execute(
            "UPDATE alert SET longitude = longitude + 0.0005 * (alert_id %% 25),"
            " latitude = latitude + 0.0005 * (alert_id / 25 %% 25) WHERE rule LIKE %s",
            [f"storm.{now:%f}.%"],
        )


def calm_down(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("UPDATE alert SET state = 'NORM', closed_at = now() WHERE closed_at IS NULL")
        connection.execute("""SELECT pg_notify('lifeline_changed', '{"what": "alert"}')""")


def test_a_storm_of_alerts_is_listed_mapped_and_walked_without_holding_up_the_page(
    served: Api, browser: Browser
) -> None:
    """All that the page works at a storm, so the most that it can be blocked, is held by the time of its own thread:
    other processes of the machine, and a graphics card made of software, take none of it. The best of two."""
    with (
        visiting(browser, served) as visit,
        connect(served.dsn, autocommit=True) as connection,
        contextlib.ExitStack() as afterwards,
    ):
        afterwards.callback(calm_down, connection)
        visit.open("lang=en&at=117.21,31.81,13")
        page = visit.page
        clock = page.context.new_cdp_session(page)
        clock.send("Performance.enable", {"timeDomain": "threadTicks"})

        def busy_s() -> float:
            found = {each["name"]: each["value"] for each in clock.send("Performance.getMetrics")["metrics"]}
            return float(sum(found[name] for name in BUSY))

        above = "name => Number(getComputedStyle(document.querySelector(name)).zIndex)"
        worked: list[float] = []
        for _ in range(2):
            calm_down(connection)
            page.locator("#entries .row").first.wait_for(state="detached")
            before = busy_s()
            break_out(connection)
            page.locator("#entries .row").nth(STORM - 1).wait_for()
            page.locator(".alert-mark").nth(MARKS - 1).wait_for()
            worked.append(busy_s() - before)
        levels = page.locator("#entries .row .unseen").all_text_contents()
        order = ["Extreme", *["Severe"] * 3, *["Moderate"] * 16, *["Minor"] * (STORM - 20)]
        assert levels == order, "the worst first, and nothing lost"
        assert page.locator("#tiles .tile b").all_inner_texts() == ["1", "3", "16", str(STORM - 20)]
        assert page.title().startswith("(1) ●")
        cards = [page.evaluate(above, name) for name in ("#layers", "#legend", "#time")]
        assert min(cards) > page.evaluate(above, ".alert-mark"), "a mark covers no button"
        press(visit, "j", "j", "j", "k")
        assert page.evaluate("document.activeElement.className") == "row orange new"
        last = page.locator("#entries .row").last.get_attribute("data-id")
        place = connection.execute("SELECT longitude, latitude FROM alert WHERE alert_id = %s", [last]).fetchone()
        assert place is not None
        paged = "import('/api.js').then(({ all }) => all('/alerts', { state: 'open', limit: 100 }))"
        assert len({each["id"] for each in page.evaluate(paged)}) == STORM, "beyond one page too"
        assert min(worked) < BLOCKED_S, worked
        visit.open(f"lang=en&at={place[0]},{place[1]},18")
        page.locator(".alert-mark").nth(MARKS - 1).wait_for(state="attached")
        until(lambda: mapped(visit, str(last)), "the least of all alerts on the map")
        assert visit.complaints == []


def mapped(visit: Visit, alert: str) -> bool:
    """Press the middle of the map, which keeps its place as a panel opens beside it: whether this alert is there."""
    box = visit.page.locator("#map").bounding_box()
    assert box is not None
    visit.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.wait_for_timeout(200)
    return f"alert={alert}" in visit.address


def test_a_viewer_who_acts_on_several_is_told_why_not(served: Api, alert: int, browser: Browser) -> None:
    with visiting(browser, served) as visit, connect(served.dsn) as connection:
        visit.open("lang=en", Role.VIEWER)
        visit.page.locator(f"#entries .choose[data-name='alert:{alert}']").check()
        visit.page.locator("#bulk [data-bulk=acknowledge]").click()
        visit.page.locator("#bulk", has_text="Done for 0 of 1").wait_for()
        assert "may not" in visit.page.locator("#bulk").inner_text()
        assert alerts.get(connection, alert).state is AlertState.UNACK
