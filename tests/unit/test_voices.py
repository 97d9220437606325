"""One voice for one subject: what several rules say of it is one alert that rises."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.reconciliation import reconcile
from alerts.replay import Book
from alerts.rules import load_rules
from alerts.voices import levels_of, united
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Alert, AlertKind, AlertState, Finding, Level, Subject, SubjectKind

RULES = {rule.id: rule for rule in load_rules(shipped_catalogue(), 3600)}
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MANHOLE = Subject(SubjectKind.SENSOR, 7)
SEWER = ["level.high", "sewer.response", "sewer.blockage", "sewer.overflow"]


def finding(rule: str, level: Level | None, subject: Subject = MANHOLE, minutes: float = 0.0) -> Finding:
    return Finding(subject, rule, level, NOW, NOW - timedelta(minutes=minutes), {"title": rule})


def alert(rule: str, level: Level, rules: dict[str, str] | None = None, number: int = 1) -> Alert:
    evidence = {} if rules is None else {"rules": rules}
    return Alert(number, MANHOLE, rule, AlertKind.RISK, "", level, AlertState.UNACK, NOW, NOW, 1, evidence)


def test_two_rules_of_one_voice_are_one_finding_at_the_worse_level() -> None:
    (one,) = united(RULES, [finding("level.high", Level.BLUE, minutes=9), finding("sewer.overflow", Level.RED)], [])
    assert (one.rule, one.level) == ("sewer.overflow", Level.RED)
    assert one.first_seen == NOW - timedelta(minutes=9)
    assert one.evidence["rules"] == {"level.high": "blue", "sewer.overflow": "red"}


def test_the_rule_whose_alert_is_open_goes_on_speaking_with_the_words_of_the_worst() -> None:
    heard = [finding("level.high", Level.BLUE), finding("sewer.overflow", Level.RED)]
    (one,) = united(RULES, heard, [alert("level.high", Level.BLUE)])
    assert (one.rule, one.level, one.evidence["title"]) == ("level.high", Level.RED, "sewer.overflow")


def test_of_equals_the_more_telling_gives_the_words() -> None:
    (one,) = united(RULES, [finding("sewer.response", Level.YELLOW), finding("sewer.blockage", Level.YELLOW)], [])
    assert one.evidence["title"] == "sewer.blockage"


def test_the_alert_stays_while_any_of_them_holds_and_returns_with_the_last() -> None:
    standing = [alert("level.high", Level.RED, {"sewer.overflow": "red", "level.high": "blue"})]
    over = [finding("level.high", None), finding("sewer.overflow", Level.YELLOW)]
    assert [(one.rule, one.level) for one in united(RULES, over, standing)] == [("level.high", Level.YELLOW)]
    calm = [finding("sewer.overflow", None)]
    assert [(one.rule, one.level) for one in united(RULES, calm, standing)] == [("level.high", None)]


def test_another_subject_and_a_rule_without_a_voice_are_left_alone() -> None:
    other = Subject(SubjectKind.SENSOR, 8)
    found = [
        finding("level.high", Level.BLUE),
        finding("level.high", Level.BLUE, other),
        finding("h2s.level", Level.RED),
    ]
    assert sorted(map(str, united(RULES, found, []))) == sorted(
        map(
            str,
            [replace(one, evidence=one.evidence | {"rules": {"level.high": "blue"}}) for one in found[:2]] + found[2:],
        )
    )


def test_a_sensor_that_is_sick_in_several_ways_is_one_matter_of_maintenance() -> None:
    told = ["sensor.flatline", "sensor.noise", "sensor.drift", "sensor.jumps"]
    (one,) = united(RULES, [finding(rule, Level.BLUE) for rule in told], [alert("sensor.noise", Level.BLUE)])
    assert one.rule == "sensor.noise"
    assert set(one.evidence["rules"]) == set(told)


def test_alerts_that_were_open_side_by_side_before_each_return_by_themselves() -> None:
    side_by_side = [alert("level.high", Level.BLUE), alert("sewer.overflow", Level.RED, number=2)]
    found = united(RULES, [finding("level.high", None), finding("sewer.overflow", None)], side_by_side)
    assert {(one.rule, one.level) for one in found} == {("level.high", None), ("sewer.overflow", None)}


def test_what_holds_an_alert_is_read_from_its_evidence() -> None:
    assert levels_of(alert("level.high", Level.RED)) == {"level.high": Level.RED}
    held = alert("level.high", Level.RED, {"sewer.overflow": "red", "level.high": "blue"})
    assert levels_of(held) == {"sewer.overflow": Level.RED, "level.high": Level.BLUE}


def test_a_rule_that_joins_at_the_same_level_is_noted_and_told_to_nobody() -> None:
    standing = alert("sewer.response", Level.YELLOW, {"sewer.response": "yellow"})
    heard = [finding("sewer.response", Level.YELLOW), finding("sewer.blockage", Level.YELLOW)]
    (change,) = reconcile(RULES, united(RULES, heard, [standing]), [standing]).changes
    assert (change.step.action, change.message, change.level) == ("explained", None, Level.YELLOW)
    assert (change.evidence or {})["title"] == "sewer.blockage"
    assert reconcile(RULES, united(RULES, heard[:1], [standing]), [standing]).changes == []


levels = st.dictionaries(st.sampled_from(SEWER), st.sampled_from([None, *Level]), max_size=4)


@given(st.lists(levels, min_size=1, max_size=30))
def test_whatever_rules_say_one_alert_at_most_is_open_and_it_has_the_worst_level(
    said: list[dict[str, Level | None]],
) -> None:
    book, now = Book(), NOW
    for heard in said:
        now += timedelta(minutes=1)
        alerts = list(book.open.values())
        held = {rule for one in alerts for rule in levels_of(one)}
        found = [finding(rule, heard.get(rule)) for rule in SEWER if heard.get(rule) is not None or rule in held]
        book.apply(reconcile(RULES, united(RULES, found, alerts), alerts), now)
        worst = min((level for level in heard.values() if level is not None), default=None)
        assert [one.level for one in book.open.values()] == ([] if worst is None else [worst])


@pytest.mark.parametrize("rule", SEWER)
def test_each_rule_of_the_voice_raises_its_own_alert_when_it_is_the_first(rule: str) -> None:
    (opening,) = reconcile(RULES, united(RULES, [finding(rule, Level.YELLOW)], []), []).openings
    assert opening.finding.rule == rule
