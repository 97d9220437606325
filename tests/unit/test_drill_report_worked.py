"""A whole after-action report, worked by hand: two events, three alarms, three teams, one receiver that failed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifeline.drills.plan import Plan, Task, Team
from lifeline.drills.review import Deliveries, Handled, Material, StepTaken, review
from lifeline.model import AlertKind, Level
from lifeline.response import Step
from lifeline.scoring import Happened, Raised, score

BEGAN = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
ENDED = BEGAN + timedelta(seconds=1800)
STATION, CHAMBER, FAR = (117.21, 31.81), (117.20, 31.80), (117.50, 31.95)

DEADLINES = {
    (Step.RECEIVED, Level.RED): 300.0,
    (Step.RECEIVED, Level.ORANGE): 420.0,
    (Step.RECEIVED, Level.YELLOW): 1800.0,
    (Step.CONFIRMED, Level.RED): 300.0,
    (Step.CONFIRMED, Level.ORANGE): 600.0,
    (Step.DISPATCHED, Level.RED): 1200.0,
    (Step.DISPATCHED, Level.ORANGE): 1800.0,
    (Step.ON_SITE, Level.RED): 7200.0,
}

TEAMS = (
    Team(
        "供水抢修 Water crew",
        "供水公司 Waterworks",
        "water-crew",
        (
            Task("关阀 Close the valve", Step.ON_SITE, "water", 900.0),
            Task("抢修 Repair", Step.HANDLED, "water"),
        ),
    ),
    Team(
        "燃气抢修 Gas crew",
        "燃气公司 Gas",
        "gas-crew",
        (
            Task("警戒 Cordon off", Step.ON_SITE, "gas", 600.0),
        ),
    ),
    Team(
        "值班 Duty",
        tasks=(
            Task("确认 Confirm", Step.CONFIRMED),
            Task("排涝 Pump out", Step.ON_SITE, "drainage"),
        ),
    ),
)  # fmt: skip


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def epoch(seconds: float) -> float:
    return at(seconds).timestamp()


BURST = Happened(
    id="chain-1-1",
    kind="burst",
    nature="physical",
    network="water",
    scenario="chain-burst-gas",
    seed=1,
    begin=epoch(30),
    end=epoch(1500),
    visible=epoch(40),
    asset="W-P7",
    at=STATION,
)
LEAK = Happened(
    id="chain-1-2",
    kind="gas_leak",
    nature="physical",
    network="gas",
    scenario="chain-burst-gas",
    seed=1,
    begin=epoch(300),
    end=epoch(2500),
    visible=epoch(360),
    asset="G-V3",
    at=CHAMBER,
)
ALERTS = (
    Raised(
        id=1,
        rule="pressure.burst",
        kind=AlertKind.RISK,
        network="water",
        raised_at=epoch(70),
        level=Level.RED,
        quantity="pressure",
        at=STATION,
        asset="W-P7",
        cause="burst",
    ),
    Raised(
        id=2,
        rule="methane.level",
        kind=AlertKind.RISK,
        network="gas",
        raised_at=epoch(1100),
        level=Level.ORANGE,
        quantity="methane",
        at=CHAMBER,
        asset="G-V3",
        cause="biogas",
    ),
    Raised(
        id=3,
        rule="level.high",
        kind=AlertKind.RISK,
        network="drainage",
        raised_at=epoch(1200),
        level=Level.YELLOW,
        quantity="level",
        at=FAR,
        asset="D-M9",
    ),
)
HANDLED = (
    Handled(1, 11, "water", Level.RED, at(70), at(100), "W-P7 泵站路", {"zh": "爆管", "en": "Burst"}),
    Handled(2, 12, "gas", Level.ORANGE, at(1100), None, "G-V3 阀井", {"zh": "甲烷", "en": "Methane"}),
    Handled(3, 13, "drainage", Level.YELLOW, at(1200), None, "D-M9", {"zh": "高水位", "en": "High level"}),
)
STEPS = (
    StepTaken(1, at(130), "ann", Step.CONFIRMED, "值班 Duty"),
    StepTaken(1, at(600), "ann", Step.DISPATCHED, "供水抢修 Water crew"),
    StepTaken(1, at(900), "bo", Step.ON_SITE, "供水抢修 Water crew"),
    StepTaken(3, at(1260), "ann", Step.FALSE_ALARM, "值班 Duty"),
)
DELIVERIES = (
    Deliveries("water-crew", 4, 4, 0, 0.9),
    Deliveries("gas-crew", 3, 1, 2, 61.0),
)


def made() -> dict[str, Any]:
    """The report itself; other tests show it."""
    return review(
        Material(
            plan=Plan("chain-burst-gas", TEAMS, lasts_s=1800),
            score=score([BURST, LEAK], ALERTS),
            handled=HANDLED,
            steps=STEPS,
            deliveries=DELIVERIES,
            deadlines=DEADLINES,
            began=BEGAN,
            ended=ENDED,
            readings=54_000,
        )
    )


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return made()


def test_the_figures_are_those_of_the_hand(report: dict[str, Any]) -> None:
    assert report["figures"] == {
        "events": 2,
        "found": 2,
        "missed": 0,
        "false_alerts": 1,
        "handled": 3,
        "clocks_in_time": 3,
        "clocks_late": 2,
        "mean_answer_s": 60.0,
        "tasks_in_time": 2,
        "tasks": 4,
        "readings": 54_000,
    }
    assert (report["began_at"], report["ended_at"]) == ("2026-11-22T06:00:00Z", "2026-11-22T06:30:00Z")


def test_each_event_stands_with_what_was_found_of_it(report: dict[str, Any]) -> None:
    assert report["events"] == [
        {
            "id": "chain-1-1",
            "kind": "burst",
            "title": {"zh": "爆管", "en": "burst"},
            "network": "water",
            "asset": "W-P7",
            "from": "2026-11-22T06:00:30Z",
            "to": "2026-11-22T06:25:00Z",
            "visible_from": "2026-11-22T06:00:40Z",
            "harmless": False,
            "found": True,
            "missed": False,
            "delay_s": 30.0,
            "rule": "pressure.burst",
            "level": "red",
            "right_place": True,
            "right_cause": True,
            "right_level": True,
        },
        {
            "id": "chain-1-2",
            "kind": "gas_leak",
            "title": {"zh": "燃气泄漏", "en": "gas leak"},
            "network": "gas",
            "asset": "G-V3",
            "from": "2026-11-22T06:05:00Z",
            "to": "2026-11-22T06:41:40Z",
            "visible_from": "2026-11-22T06:06:00Z",
            "harmless": False,
            "found": True,
            "missed": False,
            "delay_s": 740.0,
            "rule": "methane.level",
            "level": "orange",
            "right_place": True,
            "right_cause": False,
            "right_level": True,
        },
    ]
    assert report["false_alerts"] == [
        {
            "rule": "level.high",
            "at": "2026-11-22T06:20:00Z",
            "level": "yellow",
            "network": "drainage",
        }
    ]


def test_each_clock_stands_beside_its_deadline(report: dict[str, Any]) -> None:
    rows = [
        (clock["alert"], clock["from"], clock["to"], clock["team"], clock["took_s"], clock["due_s"], clock["verdict"])
        for clock in report["clocks"]
    ]
    assert rows == [
        (1, "received", "confirmed", "值班 Duty", 60.0, 300.0, "in_time"),
        (1, "confirmed", "dispatched", "供水抢修 Water crew", 470.0, 300.0, "late"),
        (1, "dispatched", "on_site", "供水抢修 Water crew", 300.0, 1200.0, "in_time"),
        (1, "on_site", None, "", 900.0, 7200.0, "open"),
        (2, "received", None, "", 700.0, 420.0, "late"),
        (3, "received", "false_alarm", "值班 Duty", 60.0, 1800.0, "in_time"),
        (3, "false_alarm", None, "", 540.0, None, "open"),
    ]


def test_each_task_of_each_team_has_its_verdict(report: dict[str, Any]) -> None:
    water, gas, duty = report["teams"]
    assert (water["department"], water["endpoint"]) == ("供水公司 Waterworks", "water-crew")
    (valve,) = water["tasks"][0]["events"]
    assert valve == {
        "alert": 1,
        "place": "W-P7 泵站路",
        "level": "red",
        "due_s": 900.0,
        "verdict": "in_time",
        "took_s": 830.0,
        "by": "bo",
    }
    (repair,) = water["tasks"][1]["events"]
    assert repair == {
        "alert": 1,
        "place": "W-P7 泵站路",
        "level": "red",
        "due_s": 300.0 + 300.0 + 1200.0 + 7200.0,
        "verdict": "open",
        "took_s": None,
        "by": None,
    }
    (cordon,) = gas["tasks"][0]["events"]
    assert cordon == {
        "alert": 2,
        "place": "G-V3 阀井",
        "level": "orange",
        "due_s": 600.0,
        "verdict": "missed",
        "took_s": None,
        "by": None,
    }
    confirmed = [(each["alert"], each["verdict"]) for each in duty["tasks"][0]["events"]]
    assert confirmed == [
        (1, "in_time"),
        (2, "missed"),
    ]
    assert [task["verdict"] for task in duty["tasks"]] == ["missed", "open"]
    assert duty["tasks"][1]["events"] == []


def test_the_timeline_is_in_order_and_whole(report: dict[str, Any]) -> None:
    lines = [(line["at"][14:19], line["what"], line.get("actor", "")) for line in report["timeline"]]
    assert lines == [
        ("00:30", "began", ""),
        ("00:40", "visible", ""),
        ("01:10", "alert", ""),
        ("01:40", "acknowledged", ""),
        ("02:10", "confirmed", "ann"),
        ("05:00", "began", ""),
        ("06:00", "visible", ""),
        ("10:00", "dispatched", "ann"),
        ("15:00", "on_site", "bo"),
        ("18:20", "alert", ""),
        ("20:00", "alert", ""),
        ("21:00", "false_alarm", "ann"),
        ("25:00", "ended", ""),
    ]


def test_what_to_change_follows_from_the_figures_in_both_languages(report: dict[str, Any]) -> None:
    said = [(each["kind"], each["zh"], each["en"]) for each in report["findings"]]
    assert said == [
        (
            "found_late",
            "发现偏晚:燃气泄漏 G-V3,可见后 740 秒(应在 600 秒内)。检查采样间隔与规则延时。",
            "Found late: gas leak G-V3, 740 s after it could be seen (should be within 600 s). "
            "Look at sampling intervals and the rule's delay.",
        ),
        (
            "wrong_cause",
            "原因判断有误:燃气泄漏 G-V3。检查成因规则。",
            "Wrong cause: gas leak G-V3. Look at the rules of causes.",
        ),
        (
            "false_alerts",
            "误报 1 条:level.high。调整限值或以反馈训练。",
            "1 false alerts: level.high. Adjust the limits, or teach the rules by feedback.",
        ),
        (
            "step_late",
            "“已确认”之后超时:W-P7 泵站路(红色)供水抢修 Water crew,470 秒,时限 300 秒。",
            "Too long after “confirmed”: W-P7 泵站路 (red) 供水抢修 Water crew, 470 s against 300 s.",
        ),
        (
            "nobody_answered",
            "无人接报:G-V3 阀井(橙色),700 秒,时限 420 秒。检查值班安排与通知端点。",
            "Nobody answered: G-V3 阀井 (orange), 700 s against 420 s. Look at roster and endpoints.",
        ),
        (
            "task_missed",
            "任务未完成:燃气抢修 Gas crew:警戒 Cordon off。明确责任人并再次演练。",
            "Task not done: 燃气抢修 Gas crew: 警戒 Cordon off. Name who does it, and drill it again.",
        ),
        (
            "task_missed",
            "任务未完成:值班 Duty:确认 Confirm。明确责任人并再次演练。",
            "Task not done: 值班 Duty: 确认 Confirm. Name who does it, and drill it again.",
        ),
        (
            "task_untried",
            "任务未练到:值班 Duty:排涝 Pump out。换一个会用到它的情景。",
            "Task not tried: 值班 Duty: 排涝 Pump out. Choose a scenario that calls for it.",
        ),
        (
            "undelivered",
            "2 条消息未送达:gas-crew。检查端点地址与网络。",
            "2 messages not delivered: gas-crew. Look at the endpoint's address and the network.",
        ),
    ]


def test_deliveries_stand_by_endpoint(report: dict[str, Any]) -> None:
    assert report["deliveries"] == [
        {
            "endpoint": "water-crew",
            "messages": 4,
            "delivered": 4,
            "failed": 0,
            "slowest_s": 0.9,
        },
        {
            "endpoint": "gas-crew",
            "messages": 3,
            "delivered": 1,
            "failed": 2,
            "slowest_s": 61.0,
        },
    ]
