"""The life cycle of an alert (ISA-18.2): every row of conventions, and no way out of the table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.lifecycle import Event, step
from lifeline.model import AlertState

NORM, UNACK, ACKED, RTNUN = AlertState.NORM, AlertState.UNACK, AlertState.ACKED, AlertState.RTNUN
SHLVD, DSUPR, OOSRV = AlertState.SHLVD, AlertState.DSUPR, AlertState.OOSRV
MUTED = [SHLVD, DSUPR, OOSRV]


@pytest.mark.parametrize(
    ("state", "active", "event", "to"),
    [
        (NORM, False, Event.CONDITION, UNACK),
        (UNACK, True, Event.ACKNOWLEDGE, ACKED),
        (ACKED, True, Event.LEVEL_RISE, UNACK),
        (ACKED, True, Event.RETURN, NORM),
        (UNACK, True, Event.RETURN, RTNUN),
        (RTNUN, False, Event.ACKNOWLEDGE, NORM),
        (RTNUN, False, Event.CONDITION, UNACK),
        (UNACK, True, Event.SHELVE, SHLVD),
        (ACKED, True, Event.SUPPRESS, DSUPR),
        (RTNUN, False, Event.OUT_OF_SERVICE, OOSRV),
    ],
)
def test_steps_of_the_standard(state: AlertState, active: bool, event: Event, to: AlertState) -> None:
    taken = step(state, active, event)
    assert taken is not None
    assert taken.state is to


@pytest.mark.parametrize(
    ("state", "event"),
    [(SHLVD, Event.UNSHELVE), (DSUPR, Event.UNSUPPRESS), (OOSRV, Event.IN_SERVICE)],
)
def test_the_way_out_of_a_muted_state_leads_where_the_process_is(state: AlertState, event: Event) -> None:
    back, gone = step(state, True, event), step(state, False, event)
    assert back is not None
    assert gone is not None
    assert (back.state, back.message) == (UNACK, "alert.raised")
    assert (gone.state, gone.message) == (NORM, None)


@pytest.mark.parametrize("state", [UNACK, ACKED, *MUTED])
def test_a_return_is_always_told(state: AlertState) -> None:
    taken = step(state, True, Event.RETURN)
    assert taken is not None
    assert taken.message == "alert.cleared"


@pytest.mark.parametrize("state", MUTED)
@pytest.mark.parametrize("event", [Event.CONDITION, Event.LEVEL_RISE, Event.LEVEL_FALL])
def test_a_muted_alert_follows_its_process_in_silence(state: AlertState, event: Event) -> None:
    taken = step(state, event is not Event.CONDITION, event)
    assert taken is not None
    assert (taken.state, taken.message) == (state, None)


@pytest.mark.parametrize("event", list(Event))
def test_a_closed_alert_only_ever_opens_by_its_condition(event: Event) -> None:
    taken = step(NORM, False, event)
    assert (taken is not None) == (event is Event.CONDITION)


@given(st.lists(st.sampled_from(list(Event)), max_size=60))
def test_no_sequence_of_events_leads_to_an_undefined_state(events: list[Event]) -> None:
    state, active = NORM, False
    for event in events:
        taken = step(state, active, event)
        if taken is None:
            continue
        state, active = taken.state, taken.active
        assert taken.action
        assert state in AlertState
        if state in (UNACK, ACKED):
            assert active
        if state in (NORM, RTNUN):
            assert not active


@given(st.lists(st.sampled_from(list(Event)), max_size=60))
def test_raised_and_cleared_are_told_in_turns(events: list[Event]) -> None:
    """Nobody hears of a return without having heard of the alarm."""
    state, active, told_active = NORM, False, False
    for event in events:
        taken = step(state, active, event)
        if taken is None:
            continue
        if taken.message == "alert.cleared":
            assert active
        if taken.message == "alert.raised":
            told_active = True
        if taken.message == "alert.acknowledged":
            assert told_active
        state, active = taken.state, taken.active
