"""Alerts of a replay against what truly happened: found, missed, false, and how long it took.

An alert belongs to an event when it was raised while the event acts or shortly after, speaks of what such an event does
(its quantity, or silence), and lies within EXPLAINED_M of it. A risk alert that belongs to no event is false.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from alerts.replay import Episode
from alerts.topology import METRES_PER_DEGREE
from lifeline.errors import ConfigurationError
from lifeline.model import AlertKind, JsonObject

EXPLAINED_M = 2500.0
"""An event shows in its network as far as this (default): a burst is felt over a district."""
AFTER_S = 3600.0
"""What an event did lasts longer than its cause: water has to run off."""
MONTH_S = 30 * 86_400.0

SHOWS: dict[str, frozenset[str]] = {
    "gas_leak": frozenset({"methane", "gas_pressure", "gas_flow"}),
    "burst": frozenset({"pressure", "flow"}),
    "leak": frozenset({"pressure", "flow"}),
    "blockage": frozenset({"level", "ponding_depth"}),
    "inflow": frozenset({"level", "ponding_depth"}),
    "storm": frozenset({"level", "ponding_depth", "rain"}),
    "pump_failure": frozenset({"pump_current", "level", "ponding_depth", "pressure", "flow"}),
    "biogas": frozenset({"methane", "h2s"}),
    "valve_closed": frozenset({"pressure", "flow", "turbidity", "residual_chlorine"}),
    "contamination": frozenset({"turbidity", "residual_chlorine", "pressure", "flow"}),
    "third_party_damage": frozenset({"methane", "gas_pressure", "gas_flow"}),
    "gateway_dead": frozenset({"silence"}),
}
"""By kind of event what it shows in; a kind that is not here shows in anything."""

Place = Callable[[Episode], tuple[float, float] | None]
"""Longitude and latitude of an alert's subject."""


@dataclass(frozen=True, slots=True)
class Event:
    """What truly happened; times in epoch seconds, ``visible`` None where no sensor saw it."""

    id: str
    kind: str
    begin: float
    end: float
    visible: float | None
    at: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One event with the alerts that belong to it, the first first."""

    event: Event
    alerts: Sequence[Episode]

    @property
    def delay_s(self) -> float | None:
        """From where it could be seen to the first alert; None where it was missed."""
        if not self.alerts:
            return None
        return self.alerts[0].raised_at - (self.event.begin if self.event.visible is None else self.event.visible)


class Verdict(NamedTuple):
    """All of a replay: events with what found them, and the alerts that no event explains."""

    outcomes: Sequence[Outcome]
    false_risk: Sequence[Episode]
    false_maintenance: Sequence[Episode]
    sensors: int
    seconds: float

    @property
    def false_per_sensor_month(self) -> float:
        """False risk alerts."""
        return len(self.false_risk) / max(self.sensors * self.seconds / MONTH_S, 1e-9)


def read_truth(path: Path) -> list[Event]:
    """Events of a truth file of the simulators (JSON lines, the last of an id counts). Raises ConfigurationError."""
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return events_of(records)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: {type(error).__name__}: {error}") from error


def events_of(records: Iterable[JsonObject]) -> list[Event]:
    """Events of the truth's records."""
    latest = {record["id"]: record for record in records}
    return [
        Event(
            id=record["id"],
            kind=record["kind"],
            begin=_seconds(record["from"]),
            end=_seconds(record["to"]),
            visible=None if record.get("visible_from") is None else _seconds(record["visible_from"]),
            at=None if record.get("longitude") is None else (record["longitude"], record["latitude"]),
        )
        for record in latest.values()
    ]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def judge(
    events: Sequence[Event], episodes: Iterable[Episode], place: Place, sensors: int, first: float, last: float
) -> Verdict:
    """Which alert belongs to which event, over ``[first, last]``."""
    belonging: dict[str, list[Episode]] = defaultdict(list)
    false: list[Episode] = []
    for episode in sorted(episodes, key=lambda one: one.raised_at):
        mine = [event for event in events if _belongs(event, episode, place(episode))]
        for event in mine:
            belonging[event.id].append(episode)
        if not mine:
            false.append(episode)
    outcomes = [Outcome(event, belonging[event.id]) for event in events if first <= event.begin <= last]
    risk = [episode for episode in false if episode.alert.kind is AlertKind.RISK]
    maintenance = [episode for episode in false if episode.alert.kind is AlertKind.MAINTENANCE]
    return Verdict(outcomes, risk, maintenance, sensors, last - first)


def _belongs(event: Event, episode: Episode, at: tuple[float, float] | None) -> bool:
    if not event.begin <= episode.raised_at <= event.end + AFTER_S:
        return False
    shows = SHOWS.get(event.kind)
    told = "silence" if episode.alert.rule.startswith("silence") else episode.alert.evidence.get("quantity")
    if shows is not None and told not in shows:
        return False
    return event.at is None or at is None or metres(event.at, at) <= EXPLAINED_M


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Distance of two places on a plane, good over a city."""
    east = (one[0] - other[0]) * math.cos(math.radians(one[1]))
    return METRES_PER_DEGREE * math.hypot(east, one[1] - other[1])


def lines(verdict: Verdict) -> list[str]:
    """The verdict as a table in Markdown."""
    found = [
        "| event | times | visible | found | delay, median | delay, longest | first found by |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in verdict.outcomes:
        kinds[outcome.event.kind].append(outcome)
    for kind, outcomes in sorted(kinds.items()):
        delays = [outcome.delay_s for outcome in outcomes if outcome.delay_s is not None]
        seen = sum(outcome.event.visible is not None for outcome in outcomes)
        by: dict[str, int] = defaultdict(int)
        for outcome in outcomes:
            if outcome.alerts:
                by[outcome.alerts[0].alert.rule] += 1
        who = ", ".join(f"`{rule}` {count}" for rule, count in sorted(by.items(), key=lambda item: -item[1]))
        shown = [duration(median(delays)), duration(max(delays))] if delays else ["-", "-"]
        found.append(f"| {kind} | {len(outcomes)} | {seen} | {len(delays)} | {' | '.join(shown)} | {who or '-'} |")
    months = verdict.sensors * verdict.seconds / MONTH_S
    found += [
        "",
        f"False risk alerts: {len(verdict.false_risk)} in {months:.3g} sensor-months, "
        f"{verdict.false_per_sensor_month:.3g} a sensor-month; "
        f"false maintenance alerts: {len(verdict.false_maintenance)}.",
    ]
    return found


def duration(seconds: float) -> str:
    """For people. Negative: before it was visible by the simulators' measure."""
    return (
        f"{seconds:.0f} s"
        if abs(seconds) < 600
        else f"{seconds / 60:.0f} min"
        if abs(seconds) < 36_000
        else f"{seconds / 3600:.0f} h"
    )
