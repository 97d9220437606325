"""The arithmetic of an after-action report, worked by hand; what it says and its PDF."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.drills.document import after_action_report
from lifeline.drills.plan import Plan, Task, Team
from lifeline.drills.review import WAY, Deliveries, Handled, Material, StepTaken, review, whole_deadline
from lifeline.drills.words import FINDINGS, HAPPENINGS, STEPS, VERDICTS, told
from lifeline.model import AlertKind, Level
from lifeline.response import Step, load_deadlines
from lifeline.scoring import Happened, Raised, score

BEGAN = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
HERE = (117.2, 31.8)
DEADLINES = load_deadlines()
CREW, DUTY = "燃气抢修 Gas crew", "值班 Duty"


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def leak(number: int = 1, begin: float = 10, visible: float | None = 30) -> Happened:
    base = BEGAN.timestamp()
    return Happened(
        f"gas-leak-1-{number}", "gas_leak", "physical", "gas", "gas-leak", 1, base + begin, base + 900,
        None if visible is None else base + visible, asset="V-7", at=HERE,
    )  # fmt: skip


def alarm(seconds: float = 40, **more: Any) -> Raised:
    alert = Raised(
        1, "methane.level", AlertKind.RISK, "gas", BEGAN.timestamp() + seconds, Level.ORANGE, "methane", HERE, "V-7",
        cause="gas_leak",
    )  # fmt: skip
    return replace(alert, **more)


def incident(number: int = 1, seconds: float = 40, level: Level = Level.ORANGE, network: str = "gas") -> Handled:
    title = {"zh": "甲烷超限", "en": "Methane"}
    return Handled(number, number, network, level, at(seconds), None, "V-7 阀井", title)


def step(seconds: float, what: Step, team: str = "", alert: int = 1) -> StepTaken:
    return StepTaken(alert, at(seconds), "ann", what, team)


TEAMS = (
    Team(CREW, "燃气公司", "gas-crew", (Task("到场 On site", Step.ON_SITE, "gas", 600.0),)),
    Team(DUTY, tasks=(Task("确认 Confirm", Step.CONFIRMED), Task("排水 Drain", Step.HANDLED, "drainage"))),
)


def material(**change: Any) -> Material:
    plain = Material(
        plan=Plan("gas-leak", TEAMS),
        score=score([leak()], [alarm()]),
        handled=[incident()],
        steps=[step(100, Step.CONFIRMED, DUTY), step(200, Step.DISPATCHED, CREW), step(500, Step.ON_SITE, CREW)],
        deliveries=[Deliveries("gas-crew", 3, 3, 0, 0.4)],
        deadlines=DEADLINES,
        began=BEGAN,
        ended=at(1200),
    )
    return replace(plain, **change)


def kinds(report: dict[str, Any]) -> list[str]:
    return [finding["kind"] for finding in report["findings"]]


def test_times_are_held_against_the_deadlines_of_each_step() -> None:
    report = review(material())
    rows = [
        (clock["from"], clock["to"], clock["took_s"], clock["due_s"], clock["verdict"]) for clock in report["clocks"]
    ]
    assert rows == [
        ("received", "confirmed", 60.0, 420.0, "in_time"),
        ("confirmed", "dispatched", 100.0, 600.0, "in_time"),
        ("dispatched", "on_site", 300.0, 1800.0, "in_time"),
        ("on_site", None, 700.0, 14_400.0, "open"),
    ]
    assert report["figures"]["mean_answer_s"] == 60.0
    assert (report["figures"]["clocks_in_time"], report["figures"]["clocks_late"]) == (3, 0)
    assert kinds(report) == ["task_untried"]


def test_a_task_is_done_in_time_late_missed_or_not_due() -> None:
    def verdicts(**change: Any) -> list[str]:
        return [task["verdict"] for team in review(material(**change))["teams"] for task in team["tasks"]]

    assert verdicts() == ["in_time", "in_time", "open"]
    late = [step(500, Step.CONFIRMED, DUTY), step(600, Step.DISPATCHED, CREW), step(700, Step.ON_SITE, CREW)]
    assert verdicts(steps=late) == ["late", "late", "open"]
    assert verdicts(steps=[]) == ["missed", "missed", "open"]
    assert verdicts(steps=[], ended=at(100)) == ["open", "open", "open"]
    by_others = [step(100, Step.CONFIRMED, CREW), step(200, Step.DISPATCHED, DUTY), step(500, Step.ON_SITE, DUTY)]
    assert verdicts(steps=by_others) == ["missed", "missed", "open"]
    by_nobody = [step(100, Step.CONFIRMED), step(200, Step.DISPATCHED), step(500, Step.ON_SITE)]
    assert verdicts(steps=by_nobody) == ["in_time", "in_time", "open"]


def test_a_false_alarm_has_no_tasks_but_its_clock_runs_to_the_word() -> None:
    report = review(material(steps=[step(100, Step.FALSE_ALARM, DUTY)]))
    assert [task["events"] for team in report["teams"] for task in team["tasks"]] == [[], [], []]
    assert (report["clocks"][0]["to"], report["clocks"][0]["verdict"]) == ("false_alarm", "in_time")


def test_what_nobody_answered_is_told_with_the_time_that_it_waited() -> None:
    report = review(material(steps=[]))
    (finding,) = [each for each in report["findings"] if each["kind"] == "nobody_answered"]
    assert (finding["seconds"], finding["due"], finding["level"]) == (1160.0, 420.0, "orange")
    assert "1160 s" in finding["en"]
    assert "1160 秒" in finding["zh"]
    assert kinds(review(material(steps=[], ended=at(100)))) == ["task_untried"]


def test_each_rule_of_what_to_change_has_its_case() -> None:
    far = (HERE[0] + 0.02, HERE[1])
    cases: dict[str, Material] = {
        "event_missed": material(score=score([leak()], []), handled=[], steps=[]),
        "found_late": material(score=score([leak()], [alarm(700)])),
        "wrong_place": material(score=score([leak()], [alarm(at=far, asset="V-9")])),
        "wrong_cause": material(score=score([leak()], [alarm(cause="biogas")])),
        "wrong_level": material(score=score([leak()], [alarm(level=Level.BLUE)])),
        "false_alerts": material(score=score([leak()], [alarm(), alarm(50, id=2, quantity="pressure")])),
        "nobody_answered": material(steps=[]),
        "step_late": material(steps=[step(900, Step.CONFIRMED, DUTY)]),
        "task_late": material(steps=[step(900, Step.CONFIRMED, DUTY)]),
        "task_missed": material(steps=[]),
        "task_untried": material(),
        "undelivered": material(deliveries=[Deliveries("gas-crew", 3, 1, 2, 4.0)]),
    }
    assert cases.keys() == FINDINGS.keys()
    for kind, case in cases.items():
        found = [each for each in review(case)["findings"] if each["kind"] == kind]
        assert found, kind
        assert found[0]["zh"] != found[0]["en"]
        assert "{" not in found[0]["zh"] + found[0]["en"]


def test_an_event_that_nobody_could_see_is_not_missed() -> None:
    report = review(material(score=score([leak(visible=None)], []), handled=[], steps=[]))
    assert report["figures"]["missed"] == 0
    assert "event_missed" not in kinds(report)


def test_the_timeline_puts_the_truth_beside_the_alerts_beside_the_steps() -> None:
    report = review(material(handled=[replace(incident(), acknowledged_at=at(90))]))
    lines = [(line["at"][11:19], line["what"]) for line in report["timeline"]]
    assert lines == [
        ("06:00:10", "began"),
        ("06:00:30", "visible"),
        ("06:00:40", "alert"),
        ("06:01:30", "acknowledged"),
        ("06:01:40", "confirmed"),
        ("06:03:20", "dispatched"),
        ("06:08:20", "on_site"),
        ("06:15:00", "ended"),
    ]
    assert {what for _, what in lines} <= STEPS.keys() | HAPPENINGS.keys()


def test_a_deadline_from_the_alarm_is_the_sum_of_the_steps_before() -> None:
    assert whole_deadline(Step.CONFIRMED, Level.RED, DEADLINES) == 300
    assert whole_deadline(Step.ON_SITE, Level.RED, DEADLINES) == 300 + 300 + 1200
    assert whole_deadline(Step.ON_SITE, Level.RED, {(Step.RECEIVED, Level.RED): 5.0}) is None


moments = st.lists(st.floats(41, 1200), max_size=5).map(sorted)


@given(moments, st.sampled_from(list(Level)))
def test_the_clocks_of_an_event_add_up_to_the_time_since_its_alarm(times: list[float], level: Level) -> None:
    taken = [step(seconds, what) for seconds, what in zip(times, WAY[1:], strict=False)]
    report = review(material(handled=[incident(level=level)], steps=taken))
    end = times[-1] if len(times) == 5 else 1200
    assert sum(clock["took_s"] for clock in report["clocks"]) == pytest.approx(end - 40, abs=0.5)
    figures = report["figures"]
    assert figures["clocks_in_time"] + figures["clocks_late"] <= len(report["clocks"])
    assert figures["tasks_in_time"] <= figures["tasks"]
    for clock in report["clocks"]:
        assert (clock["verdict"] == "late") == (clock["due_s"] is not None and clock["took_s"] > clock["due_s"])


def test_steps_of_one_event_count_for_no_other() -> None:
    two = [incident(1), incident(2, 60)]
    report = review(material(handled=two, steps=[step(100, Step.CONFIRMED, DUTY, alert=2)]))
    assert [(clock["alert"], clock["to"]) for clock in report["clocks"]] == [(1, None), (2, "confirmed"), (2, None)]


def test_every_step_and_verdict_has_words_in_both_languages() -> None:
    assert STEPS.keys() == {str(each) for each in Step}
    assert VERDICTS.keys() == {"in_time", "late", "missed", "open"}
    assert told({"kind": "step_late", "what": "confirmed", "seconds": 700.4, "due": 600, "place": "V-7"})[1].startswith(
        "Too long after “confirmed”: V-7"
    )


def test_the_report_is_a_pdf_with_all_of_it_in_both_languages() -> None:
    hostile = replace(incident(2, 60), place="<b>&中山路</b> " * 9)
    whole = material(steps=[step(900, Step.CONFIRMED, DUTY)], handled=[incident(), hostile])
    made = after_action_report(review(whole), "gas-leak", ZoneInfo("Asia/Shanghai"), at(1300))
    assert made.startswith(b"%PDF-1.")
    assert len(made) > 20_000
    assert made == after_action_report(review(whole), "gas-leak", ZoneInfo("Asia/Shanghai"), at(1300))
    bare = material(score=score([], []), handled=[], steps=[], deliveries=[], plan=Plan("quiet"))
    assert review(bare)["findings"] == []
    assert after_action_report(review(bare), "quiet", ZoneInfo("UTC"), at(1300)).startswith(b"%PDF-1.")
