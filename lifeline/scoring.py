"""Alerts against what truly happened: found, missed, false, delayed; and whether place, cause and level were right.

An alert belongs to an event when it was raised while the event acts or within AFTER_S of it, speaks of what such an
event does (SHOWS), and lies within EXPLAINED_M of it. A risk alert that belongs to no event, or to harmless ones alone,
is false.

right place   one of its alerts lies within RIGHT_M of the event, or names its asset
right cause   the incident of one of its alerts is taken for what it was (CAUSES)
right level   the worst level of its alerts lies within LEVELS
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from lifeline.model import AlertKind, Level

EXPLAINED_M = 2500.0
"""An event shows in its network as far as this (default): a burst is felt over a district."""
RIGHT_M = 300.0
"""A crew that is sent so near finds it (default)."""
AFTER_S = 3600.0
"""What an event did lasts longer than its cause: water has to run off."""
METRES_PER_DEGREE = 111_320.0

_GAS, _PRESSURES = frozenset({"methane", "gas_pressure", "gas_flow"}), frozenset({"pressure", "flow"})
_SEWER = frozenset({"level", "ponding_depth", "flow"})
SHOWS: dict[str, frozenset[str]] = {
    "gas_leak": _GAS,
    "third_party_damage": _GAS,
    "regulator_drowned": frozenset({"gas_pressure", "gas_flow", "ponding_depth", "level"}),
    "biogas": frozenset({"methane", "h2s"}),
    "burst": _PRESSURES,
    "leak": _PRESSURES,
    "valve_closed": _PRESSURES,
    "contamination": frozenset({"residual_chlorine", "turbidity", "pressure", "flow"}),
    "blockage": _SEWER,
    "inflow": _SEWER,
    "gully_clogged": _SEWER,
    "storm": _SEWER | {"rain"},
    "pump_failure": _SEWER | _PRESSURES | {"pump_current"},
    "power_cut": _SEWER | _PRESSURES | {"pump_current", "battery"},
}
"""By kind of event the quantities in which it shows. What is not here is known by the sensor or device."""

CAUSES: dict[str, frozenset[str]] = {
    "gas_leak": frozenset({"gas_leak"}),
    "third_party_damage": frozenset({"gas_leak"}),
    "regulator_drowned": frozenset({"flooded_regulator", "gas_pressure_control"}),
    "biogas": frozenset({"biogas"}),
    "burst": frozenset({"burst"}),
    "leak": frozenset({"hidden_leak", "burst"}),
    "valve_closed": frozenset({"supply_failure", "water_pressure_control"}),
    "contamination": frozenset({"water_quality"}),
    "blockage": frozenset({"blockage"}),
    "inflow": frozenset({"inflow", "blockage"}),
    "gully_clogged": frozenset({"storm", "blockage"}),
    "storm": frozenset({"storm"}),
    "pump_failure": frozenset({"pump_failure", "supply_failure"}),
    "power_cut": frozenset({"pump_failure", "supply_failure"}),
}
"""By kind of event the causes (alerts/causes.toml) that name it rightly; what is not here has no cause to name."""

LEVELS: dict[str, tuple[Level, Level]] = {
    "gas_leak": (Level.RED, Level.YELLOW),
    "third_party_damage": (Level.RED, Level.ORANGE),
    "biogas": (Level.YELLOW, Level.BLUE),
    "burst": (Level.RED, Level.YELLOW),
    "leak": (Level.ORANGE, Level.BLUE),
    "contamination": (Level.RED, Level.YELLOW),
    "blockage": (Level.RED, Level.BLUE),
    "pump_failure": (Level.RED, Level.YELLOW),
    "power_cut": (Level.RED, Level.YELLOW),
}
"""By kind of event the worst and the mildest level that is right (default); any where it is not here."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One true event; times in epoch seconds, ``visible`` None where no sensor saw it, ``at`` longitude, latitude."""

    id: str
    kind: str
    nature: str
    network: str
    scenario: str
    seed: int
    begin: float
    end: float
    visible: float | None
    asset: str | None = None
    sensor: str | None = None
    devices: tuple[str, ...] = ()
    at: tuple[float, float] | None = None
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class Raised:
    """One alert: of what, where, when, how bad at its worst, and what its incident is taken for."""

    id: int
    rule: str
    kind: AlertKind
    network: str
    raised_at: float
    level: Level
    quantity: str | None = None
    at: tuple[float, float] | None = None
    asset: str | None = None
    device: str | None = None
    channel: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """An event with the alerts that belong to it, the first first."""

    event: Happened
    alerts: tuple[Raised, ...]

    @property
    def found(self) -> bool:
        return bool(self.alerts)

    @property
    def missed(self) -> bool:
        """It could be seen, somebody should have been told, and nobody was."""
        return not self.alerts and self.event.visible is not None and not self.event.harmless

    @property
    def delay_s(self) -> float | None:
        """From when it could be seen to the first alert; negative where that was before. None where there is none."""
        if not self.alerts:
            return None
        return self.alerts[0].raised_at - (self.event.begin if self.event.visible is None else self.event.visible)

    @property
    def right_place(self) -> bool | None:
        """None where there is nothing to be right about: not found, or an event that is everywhere."""
        if not self.alerts or self.event.at is None:
            return None
        return any(
            alert.asset == self.event.asset or (alert.at is not None and metres(alert.at, self.event.at) <= RIGHT_M)
            for alert in self.alerts
        )

    @property
    def right_cause(self) -> bool | None:
        """None where none of its alerts has an incident, or such an event has no cause to name."""
        named = {alert.cause for alert in self.alerts if alert.cause}
        return bool(named & CAUSES[self.event.kind]) if named and self.event.kind in CAUSES else None

    @property
    def right_level(self) -> bool | None:
        """None where it was not found or any level is right."""
        if not self.alerts or self.event.kind not in LEVELS:
            return None
        worst, mildest = LEVELS[self.event.kind]
        return worst <= min(alert.level for alert in self.alerts) <= mildest


class Score(NamedTuple):
    """All events of a time with their alerts, and the alerts that no event explains."""

    outcomes: Sequence[Outcome]
    false_risk: Sequence[Raised]
    false_maintenance: Sequence[Raised]


class Line(NamedTuple):
    """One line of the table: a kind of event, a scenario, a seed or a detector's rule."""

    name: str
    events: int
    visible: int
    found: int
    missed: int
    delay_median_s: float | None
    delay_longest_s: float | None
    right_place: tuple[int, int]
    right_cause: tuple[int, int]
    right_level: tuple[int, int]
    rules: Sequence[tuple[str, int]]
    """Who found it first, and how often."""


def score(events: Sequence[Happened], alerts: Iterable[Raised]) -> Score:
    """Which alert belongs to which event."""
    belonging: dict[int, list[Raised]] = {number: [] for number in range(len(events))}
    false: list[Raised] = []
    for alert in sorted(alerts, key=lambda one: (one.raised_at, one.id)):
        mine = [number for number, event in enumerate(events) if belongs(event, alert)]
        for number in mine:
            belonging[number].append(alert)
        if not any(not events[number].harmless for number in mine):
            false.append(alert)
    return Score(
        [Outcome(event, tuple(belonging[number])) for number, event in enumerate(events)],
        [alert for alert in false if alert.kind is AlertKind.RISK],
        [alert for alert in false if alert.kind is AlertKind.MAINTENANCE],
    )


def belongs(event: Happened, alert: Raised) -> bool:
    """Whether an event explains an alert."""
    if not event.begin <= alert.raised_at <= event.end + AFTER_S:
        return False
    if event.nature != "physical":
        # A sick sensor explains what is said of itself; tampering whatever it makes the others see.
        own = alert.device in event.devices or (alert.device is not None and event.sensor == _key(alert))
        return own and (event.sensor is None or event.sensor == _key(alert) or alert.channel is None)
    if alert.kind is AlertKind.MAINTENANCE and not (event.kind == "power_cut" and alert.quantity == "battery"):
        return False
    shows = SHOWS.get(event.kind)
    if shows is not None and alert.quantity not in shows:
        return False
    return event.at is None or alert.at is None or metres(event.at, alert.at) <= EXPLAINED_M


def _key(alert: Raised) -> str:
    return f"{alert.device}/{alert.channel}"


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Distance of two places on a plane, good over a city."""
    east = (one[0] - other[0]) * math.cos(math.radians(one[1]))
    return METRES_PER_DEGREE * math.hypot(east, one[1] - other[1])


def lines(outcomes: Sequence[Outcome], by: str) -> list[Line]:
    """One line a group. ``by``: kind, scenario, seed, or detector (the rule that found it first)."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(_group(outcome, by), []).append(outcome)
    return [_line(name, found) for name, found in sorted(groups.items())]


def _group(outcome: Outcome, by: str) -> str:
    if by == "detector":
        return outcome.alerts[0].rule if outcome.alerts else "(nobody)"
    return str(getattr(outcome.event, by))


def _line(name: str, outcomes: list[Outcome]) -> Line:
    delays = [outcome.delay_s for outcome in outcomes if outcome.delay_s is not None]
    rules: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.alerts:
            rules[outcome.alerts[0].rule] = rules.get(outcome.alerts[0].rule, 0) + 1
    return Line(
        name,
        len(outcomes),
        sum(outcome.event.visible is not None for outcome in outcomes),
        len(delays),
        sum(outcome.missed for outcome in outcomes),
        median(delays) if delays else None,
        max(delays) if delays else None,
        _share([outcome.right_place for outcome in outcomes]),
        _share([outcome.right_cause for outcome in outcomes]),
        _share([outcome.right_level for outcome in outcomes]),
        sorted(rules.items(), key=lambda item: (-item[1], item[0])),
    )


def _share(answers: list[bool | None]) -> tuple[int, int]:
    return sum(answer is True for answer in answers), sum(answer is not None for answer in answers)
