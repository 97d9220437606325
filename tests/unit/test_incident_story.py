"""What is told of an incident, and when: its changes from tick to tick, without a database."""

from dataclasses import replace

import pytest

from alerts.causes import Member
from alerts.incidents import plan
from lifeline.fieldlink import Action, actions_for, subject_of
from lifeline.messages import FORMATS
from lifeline.messages.message import OVER
from lifeline.messages.words import TYPES, headline
from lifeline.model import Level
from lifeline.storage.incidents import Change, OpenIncident
from tests.unit.test_incident_messages import incident
from tests.unit.test_incidents import CAUSES, CHAIN, NOON, alert

SINCE = NOON + 60


def members(**more: object) -> list[Member]:
    """Two alerts of incident 7, yellow, in chambers beside each other."""
    return [
        replace(alert(number, x=100 * number, asset_id=1 + 2 * number, incident_id=7), **more)  # type: ignore[arg-type]
        for number in (1, 2)
    ]


def changed(now: list[Member], **more: object) -> Change | None:
    """What becomes of incident 7 that was opened with ``members()``."""
    (opening,) = plan([replace(one, incident_id=0) for one in members()], [], CAUSES, CHAIN).openings
    was = OpenIncident(
        7,
        1,
        opening.level,
        opening.networks,
        opening.causes,
        opening.lead,
        opening.first_seen,
        "alarm",
        SINCE,
    )
    made = plan(now, [replace(was, **more)], CAUSES, CHAIN)  # type: ignore[arg-type]
    assert not made.openings
    return made.changes[0] if made.changes else None


def test_where_nothing_changed_nothing_is_told() -> None:
    assert changed(members()) is None


@pytest.mark.parametrize(
    ("now", "was", "actions", "message", "attention"),
    [
        ({"level": Level.RED}, {}, ["escalated"], "incident.updated", "asked"),
        ({"level": Level.BLUE}, {}, ["deescalated"], "incident.updated", "kept"),
        ({"active": False}, {}, ["returned"], "incident.cleared", "kept"),
        ({"silent": True}, {}, ["muted"], None, "kept"),
        ({}, {"phase": "muted"}, ["raised_again"], "incident.updated", "asked"),
        ({}, {"phase": "returned"}, ["raised_again"], "incident.updated", "asked"),
        ({"silent": True, "active": False}, {"phase": "muted"}, ["returned"], "incident.cleared", "kept"),
        (
            {"acknowledged_at": SINCE + 5, "acknowledged_by": "wang"},
            {},
            ["acknowledged"],
            "incident.acknowledged",
            "taken",
        ),
        ({"acknowledged_at": SINCE - 5, "acknowledged_by": "wang"}, {}, None, None, None),
        ({"acknowledged_at": SINCE + 5, "acknowledged_by": "wang"}, {"unattended_since": None}, None, None, None),
        (
            {"acknowledged_at": SINCE + 5, "acknowledged_by": "wang", "active": False},
            {},
            ["returned", "acknowledged"],
            "incident.cleared",
            "taken",
        ),
        (
            {"acknowledged_at": SINCE + 5, "acknowledged_by": "wang", "level": Level.RED},
            {},
            ["escalated", "acknowledged"],
            "incident.updated",
            "asked",
        ),
    ],
)
def test_one_message_tells_the_most_important_of_what_changed(
    now: dict[str, object],
    was: dict[str, object],
    actions: list[str] | None,
    message: str | None,
    attention: str | None,
) -> None:
    change = changed(members(**now), **was)
    if actions is None:
        assert change is None
        return
    assert change is not None
    assert (change.actions, change.message, change.attention) == (actions, message, attention)


def test_an_alert_that_joins_is_written_down_and_told_by_nobody() -> None:
    third = alert(3, x=300, asset_id=7)
    change = changed([*members(), third])
    assert change is not None
    assert (change.actions, change.message, change.new) == (["grown"], None, [3])


def test_the_last_alert_that_closes_ends_the_incident_and_only_that_is_told() -> None:
    change = changed(members(open=False, active=False))
    assert change is not None
    assert (change.actions, change.message, change.closed, change.phase) == (
        ["closed"],
        "incident.closed",
        True,
        "returned",
    )


# ---------------------------------------------------------------------------------------------------- words and links

INCIDENT_TYPES = [
    "incident.opened",
    "incident.updated",
    "incident.acknowledged",
    "incident.cleared",
    "incident.shelved",
    "incident.reminder",
    "incident.unattended",
    "incident.closed",
]


@pytest.mark.parametrize("event", INCIDENT_TYPES)
def test_each_type_has_words_in_both_languages_and_fits_every_format(event: str) -> None:
    message = incident(event)
    assert set(TYPES[event]) == {"zh", "en"}
    for language in ("zh", "en"):
        assert TYPES[event][language] in headline(message.body, language)  # type: ignore[arg-type]
    for name, encode in FORMATS.items():
        assert encode(message).content, name
    assert (event in OVER) == (event in ("incident.cleared", "incident.closed"))


@pytest.mark.parametrize(
    ("data", "actions"),
    [
        ({}, []),
        ({"incident_id": 7, "state": "open"}, []),
        ({"response_alert": 42, "state": "closed", "attended": False}, []),
        (
            {"response_alert": 42, "state": "open", "attended": False},
            [Action.ACKNOWLEDGE, Action.CONFIRMED, Action.FALSE_ALARM],
        ),
        (
            {"response_alert": 42, "state": "open", "attended": True},
            [Action.CONFIRMED, Action.FALSE_ALARM],
        ),
        (
            {"response_alert": 42, "state": "open", "attended": True, "response": {"step": "confirmed"}},
            [Action.DISPATCHED, Action.FALSE_ALARM],
        ),
        (
            {"response_alert": 42, "state": "open", "attended": True, "response": {"step": "handled"}},
            [Action.FEED_BACK],
        ),
        ({"alert_id": 42, "state": "NORM"}, []),
    ],
)
def test_a_message_about_an_incident_carries_links_for_what_can_be_done_next(
    data: dict[str, object], actions: list[Action]
) -> None:
    found = actions_for(data)
    assert set(actions) <= set(found)
    assert (Action.ACKNOWLEDGE in found) == (Action.ACKNOWLEDGE in actions)
    assert bool(found) == bool(actions)


@pytest.mark.parametrize(
    ("data", "subject"),
    [
        ({}, None),
        ({"alert_id": None}, None),
        ({"alert_id": 42}, 42),
        ({"alert_id": None, "response_alert": 43}, 43),
        ({"alert_id": 42, "response_alert": 43}, 42),
    ],
)
def test_a_link_acts_on_the_alert_or_on_the_one_that_holds_the_response(
    data: dict[str, object], subject: int | None
) -> None:
    assert subject_of(data) == subject
