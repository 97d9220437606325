"""The flap guard holds returns back that would not last."""

from datetime import UTC, datetime, timedelta

from alerts.flapping import AWAY, RETURNS, FlapGuard, returning
from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertKind, AlertState, Level, Subject, SubjectKind
from lifeline.storage.alerts import Change

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALERT = Alert(
    1, Subject(SubjectKind.SENSOR, 7), "methane.level", AlertKind.RISK, "gas", Level.RED, AlertState.UNACK, NOON, NOON,
    1, {},
)  # fmt: skip
KEY = (ALERT.subject, ALERT.rule)
MINUTE = timedelta(minutes=1)


def change(event: Event) -> Change:
    taken = step(ALERT.state, True, event)
    assert taken is not None
    return Change(ALERT, taken, Level.RED, taken.message)


RETURN = change(Event.RETURN)


def test_a_return_that_is_one_of_few_passes() -> None:
    assert FlapGuard().hold([RETURN], {KEY: RETURNS - 1}, NOON) == [RETURN]
    assert FlapGuard().hold([RETURN], {}, NOON) == [RETURN]
    assert returning([RETURN, change(Event.ACKNOWLEDGE)]) == [KEY]


def test_one_of_many_waits_until_the_condition_has_been_away_without_a_break() -> None:
    guard, counts = FlapGuard(), {KEY: RETURNS}
    assert guard.hold([RETURN], counts, NOON) == []
    assert guard.hold([RETURN], counts, NOON + AWAY - MINUTE) == []
    assert guard.hold([], counts, NOON + AWAY) == []  # it is back
    assert guard.hold([RETURN], counts, NOON + AWAY + MINUTE) == []
    assert guard.hold([RETURN], counts, NOON + 2 * AWAY) == []
    assert guard.hold([RETURN], counts, NOON + 2 * AWAY + MINUTE) == [RETURN]


def test_what_flaps_stays_held_although_its_first_returns_are_long_ago() -> None:
    guard = FlapGuard()
    assert guard.hold([RETURN], {KEY: RETURNS}, NOON) == []
    for minutes in range(10, 200, 10):
        assert guard.hold([], {}, NOON + minutes * MINUTE) == []
        assert guard.hold([RETURN], {}, NOON + (minutes + 5) * MINUTE) == []
    assert guard.hold([RETURN], {}, NOON + 210 * MINUTE) == [RETURN]
    assert guard.hold([RETURN], {}, NOON + 211 * MINUTE) == [RETURN]


def test_whatever_is_no_return_passes_at_once() -> None:
    rise = change(Event.LEVEL_RISE)
    assert FlapGuard().hold([rise], {KEY: 99}, NOON) == [rise]
