"""The life of an alert (ISA-18.2) as one table. Pure: storage.alerts applies it, nothing else changes a state.

Besides its state an alert is *active* (the process is in alarm) or not. UNACK and ACKED are active, NORM and RTNUN are
not; shelved, suppressed and out-of-service alerts may be either, so the process is followed there in silence and the
way out leads to UNACK or NORM by it.

A step that the table lacks is refused: ``step`` gives None and the alert stays as it is.
"""

from dataclasses import dataclass
from enum import StrEnum

from lifeline.model import AlertState


class Event(StrEnum):
    """What can happen to an alert. The process causes the first five and (un)suppress, people the others."""

    CONDITION = "condition"
    RETURN = "return"
    LEVEL_RISE = "level_rise"
    LEVEL_FALL = "level_fall"
    EXPLAIN = "explain"
    """Other rules hold it than before, at the same level: its evidence is another, and nobody is told."""
    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"


@dataclass(frozen=True, slots=True)
class Step:
    """Where an event leads. ``message`` is the type of the message it sends, None where nobody is told."""

    state: AlertState
    active: bool
    action: str
    message: str | None


@dataclass(frozen=True, slots=True)
class _Row:
    state: AlertState
    action: str
    message: str | None = None
    active: bool | None = None  # None: as it was


A, B, C, D = AlertState.NORM, AlertState.UNACK, AlertState.ACKED, AlertState.RTNUN
E, F, G = AlertState.SHLVD, AlertState.DSUPR, AlertState.OOSRV

_TABLE: dict[tuple[AlertState, Event], _Row] = {
    (A, Event.CONDITION): _Row(B, "raised", "alert.raised", active=True),
    (B, Event.ACKNOWLEDGE): _Row(C, "acknowledged", "alert.acknowledged"),
    (B, Event.RETURN): _Row(D, "returned", "alert.cleared", active=False),
    (B, Event.LEVEL_RISE): _Row(B, "escalated", "alert.escalated"),
    (B, Event.LEVEL_FALL): _Row(B, "deescalated", "alert.deescalated"),
    (C, Event.RETURN): _Row(A, "returned", "alert.cleared", active=False),
    (C, Event.LEVEL_RISE): _Row(B, "escalated", "alert.escalated"),
    (C, Event.LEVEL_FALL): _Row(C, "deescalated", "alert.deescalated"),
    (D, Event.ACKNOWLEDGE): _Row(A, "acknowledged", "alert.closed"),
    (D, Event.CONDITION): _Row(B, "raised_again", "alert.raised", active=True),
}
for _state in (B, C, D, F, G):
    _TABLE[_state, Event.SHELVE] = _Row(E, "shelved", "alert.shelved")
for _state in (B, C, E, F, G):
    _TABLE[_state, Event.EXPLAIN] = _Row(_state, "explained")
for _state in (B, C, D):
    _TABLE[_state, Event.SUPPRESS] = _Row(F, "suppressed")
for _state in (B, C, D, E, F):
    _TABLE[_state, Event.OUT_OF_SERVICE] = _Row(G, "taken_out_of_service")
for _state in (E, F, G):
    # Muted, and still followed; a return is told all the same, so that nobody waits for a message that never comes.
    _TABLE[_state, Event.CONDITION] = _Row(_state, "raised_again", active=True)
    _TABLE[_state, Event.RETURN] = _Row(_state, "returned", "alert.cleared", active=False)
    _TABLE[_state, Event.LEVEL_RISE] = _Row(_state, "escalated")
    _TABLE[_state, Event.LEVEL_FALL] = _Row(_state, "deescalated")

_WAY_OUT = {
    (E, Event.UNSHELVE): "unshelved",
    (F, Event.UNSUPPRESS): "unsuppressed",
    (G, Event.IN_SERVICE): "put_in_service",
}


def step(state: AlertState, active: bool, event: Event) -> Step | None:
    """The step from ``state`` on ``event``, or None where the life cycle has none."""
    if action := _WAY_OUT.get((state, event)):
        return Step(B, True, action, "alert.raised") if active else Step(A, False, action, None)
    row = _TABLE.get((state, event))
    if row is None or (event in (Event.CONDITION, Event.RETURN) and row.active is active):
        return None
    if event in (Event.LEVEL_RISE, Event.LEVEL_FALL, Event.EXPLAIN) and not active:
        return None
    return Step(row.state, active if row.active is None else row.active, row.action, row.message)
