"""What a replay tells of the words of people, and which limits make sense."""

from datetime import UTC, datetime

import pytest

from alerts.replay import Episode
from alerts.review import MARGIN_S, kept, lines
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Alert, AlertKind, AlertState, Level, Subject, SubjectKind
from lifeline.storage.rulebook import order_problem

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RAISED, RETURNED = 100_000.0, 103_600.0


def episode(sensor: int = 1, returned_at: float | None = RETURNED) -> Episode:
    alert = Alert(
        1,
        Subject(SubjectKind.SENSOR, sensor),
        "methane.level",
        AlertKind.RISK,
        "gas",
        Level.RED,
        AlertState.UNACK,
        NOON,
        NOON,
        1,
        {},
    )
    return Episode(alert, RAISED, RAISED, Level.RED, returned_at)


@pytest.mark.parametrize(
    ("sensor", "at", "still"),
    [
        (1, RAISED, True),
        (1, RAISED - MARGIN_S, True),
        (1, RAISED - MARGIN_S - 1, False),
        (1, RETURNED, True),
        (1, RETURNED + MARGIN_S, True),
        (1, RETURNED + MARGIN_S + 1, False),
        (2, RAISED, False),
    ],
)
def test_a_label_belongs_to_the_alert_that_was_open_about_then(sensor: int, at: float, still: bool) -> None:
    found = kept([(sensor, at, True)], [episode()])
    assert found["genuine_kept"] == int(still)
    assert found["genuine_lost"] == int(not still)
    found = kept([(sensor, at, False)], [episode()])
    assert found["false_kept"] == int(still)
    assert found["false_dropped"] == int(not still)


def test_an_alert_that_never_returned_is_open_for_ever() -> None:
    found = kept([(1, RAISED * 99, True)], [episode(returned_at=None)])
    assert found == {
        "genuine_kept": 1,
        "genuine_lost": 0,
        "false_kept": 0,
        "false_dropped": 0,
    }


def test_each_label_is_counted_once_however_many_alerts_there_are() -> None:
    labels = [
        (1, RAISED, True),
        (1, RAISED, False),
        (2, RAISED, True),
    ]
    found = kept(labels, [episode(), episode(), episode()])
    assert sum(found.values()) == len(labels)


def test_nothing_said_is_nothing_counted() -> None:
    assert set(kept([], [episode()]).values()) == {0}


@pytest.mark.parametrize(
    ("limits", "when", "wrong"),
    [
        ({}, "above", ""),
        ({"red": 3.0}, "above", ""),
        ({"blue": 1.0, "red": 3.0}, "above", ""),
        ({"blue": 1.0, "yellow": 2.0, "orange": 3.0, "red": 4.0}, "above", ""),
        ({"red": 1.0, "blue": 3.0}, "above", "the limit of red (1) must lie above that of blue (3)"),
        ({"yellow": 2.0, "orange": 2.0}, "above", "the limit of orange (2) must lie above that of yellow (2)"),
        ({"red": 1.0, "blue": 3.0}, "below", ""),
        ({"blue": 1.0, "red": 3.0}, "below", "the limit of red (3) must lie below that of blue (1)"),
        ({"blue": -1.0, "red": -3.0}, "below", ""),
    ],
)
def test_a_worse_level_lies_further_out(limits: dict[str, float], when: str, wrong: str) -> None:
    assert order_problem(dict(limits), when) == wrong


def test_people_are_shown_every_rule_with_its_words_in_both_languages() -> None:
    rules = load_rules(shipped_catalogue(), 3600.0)
    shown = lines(rules, NOON)
    assert [line.rule for line in shown] == [rule.id for rule in rules]
    for line in shown:
        assert set(line.content["title"]) == {"en", "zh"}
        assert set(line.content["advice"]) == {"en", "zh"}
        assert line.content["id"] == line.rule
        assert line.kind in ("risk", "maintenance")
        assert line.networks == sorted(line.networks)
        assert line.loaded_at == NOON
