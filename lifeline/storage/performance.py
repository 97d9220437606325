"""Alarm performance over any period, by the measures of ISA-18.2 and EEMUA 191 (from secondary sources).

An annunciation is an alert that begins to ask for attention: raised, raised again, risen in level, or back from a muted
state. Targets are in ``TARGETS``; the figures say how it is, and whoever shows them compares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lifeline.model import AlertKind, Level
from lifeline.storage.database import Connection, storage_errors
from lifeline.storage.queries import load as load_statements

_SQL = load_statements("performance")

FLOOD_SPAN = timedelta(minutes=10)
FLOOD_ABOVE = 10
FLOOD_BELOW = 5
TARGETS = {
    "per_hour_per_operator": 6.0,
    "most_per_hour_per_operator": 12.0,
    "flood_share_of_time": 0.01,
    "chattering": 0.0,
    "fleeting": 0.0,
    "stale_per_day": 5.0,
    "top_ten_share": 0.05,
    "red_share": 0.01,
    "orange_share": 0.05,
    "yellow_share": 0.15,
}
"""The most that is acceptable of each; the share of blue is what is left."""


@dataclass(frozen=True, slots=True)
class Period:
    """What is looked at: from ``start`` to before ``end``, of one network and kind where they are given."""

    start: datetime
    end: datetime
    network: str | None = None
    kind: AlertKind | None = None

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("a period ends after it starts")

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Flood:
    """From the annunciation that made more than ten in ten minutes until there are less than five in ten minutes."""

    start: datetime
    end: datetime
    annunciations: int


@dataclass(frozen=True, slots=True)
class Source:
    """Who asks, and how often. ``place`` is the name of the asset, sensor or device; it may be empty."""

    subject_kind: str
    subject_id: int
    rule: str
    network: str
    place: str
    annunciations: int


@dataclass(frozen=True, slots=True)
class Stale:
    """An alert that was active for more than a day."""

    alert_id: int
    network: str
    level: Level
    rule: str
    since: datetime
    active: timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """How long it took, in seconds from the raise, over the alerts of one group (all, level, network or team).

    MTTA is to the acknowledgement, MTTR to handled; each over those that came so far, None where none did.
    """

    group: str
    name: str
    alerts: int
    acknowledged: int
    mtta_s: float | None
    p90_acknowledged_s: float | None
    on_site: int
    mean_on_site_s: float | None
    handled: int
    mttr_s: float | None
    p90_handled_s: float | None


@dataclass(frozen=True, slots=True)
class Precision:
    """What people said of a rule's alerts in a network."""

    rule: str
    network: str
    genuine: int
    false: int

    @property
    def precision(self) -> float:
        return self.genuine / (self.genuine + self.false)


@dataclass(frozen=True, slots=True)
class Performance:
    """Everything about one period."""

    period: Period
    operators: int
    annunciations: int
    per_hour_per_operator: float
    most_per_hour_per_operator: float
    floods: list[Flood]
    flood_share_of_time: float
    chattering: list[Source]
    fleeting: int
    stale: list[Stale]
    stale_per_day: float
    top: list[Source]
    top_share: float
    levels: dict[Level, int]
    clocks: list[Clock]
    precision: list[Precision]


def performance(connection: Connection, period: Period, operators: int = 1) -> Performance:
    """Every measure of the period."""
    times = annunciations(connection, period)
    hours = period.length / timedelta(hours=1)
    floods = find_floods(times, period.end)
    worst = top(connection, period)
    old = stale(connection, period)
    return Performance(
        period=period,
        operators=operators,
        annunciations=len(times),
        per_hour_per_operator=len(times) / hours / operators,
        most_per_hour_per_operator=most_within(times, timedelta(hours=1)) / operators,
        floods=floods,
        flood_share_of_time=sum((one.end - one.start for one in floods), timedelta()) / period.length,
        chattering=chattering(connection, period),
        fleeting=fleeting(connection, period),
        stale=old,
        stale_per_day=len(old) / (period.length / timedelta(days=1)),
        top=worst,
        top_share=sum(source.annunciations for source in worst) / len(times) if times else 0.0,
        levels=levels(connection, period),
        clocks=clocks(connection, period),
        precision=precision(connection, period),
    )


def annunciations(connection: Connection, period: Period) -> list[datetime]:
    """When there was one, in order."""
    return [at for (at,) in _rows(connection, "annunciations", period)]


def levels(connection: Connection, period: Period) -> dict[Level, int]:
    """Annunciations by level; every level is there."""
    found = dict(_rows(connection, "levels", period))
    return {level: found.get(int(level), 0) for level in Level}


def top(connection: Connection, period: Period, limit: int = 10) -> list[Source]:
    """The (subject, rule) with the most annunciations, the worst first."""
    return [Source(*row) for row in _rows(connection, "top", period, limit=limit)]


def chattering(connection: Connection, period: Period) -> list[Source]:
    """The (subject, rule) that were raised three times or more within a minute, with how often they were."""
    return [Source(*row) for row in _rows(connection, "chattering", period)]


def fleeting(connection: Connection, period: Period) -> int:
    """How many alerts were over within ten seconds and did not come again within a minute."""
    return int(_rows(connection, "fleeting", period)[0][0])


def stale(connection: Connection, period: Period) -> list[Stale]:
    """Alerts that had been active for more than a day at some time of the period."""
    return [
        Stale(alert_id, network, Level(level), *rest)
        for alert_id, network, level, *rest in _rows(connection, "stale", period)
    ]


def clocks(connection: Connection, period: Period) -> list[Clock]:
    """How long people took for the alerts raised in the period: all, by level, by network, by team."""
    return [Clock(*row) for row in _rows(connection, "clocks", period)]


def precision(connection: Connection, period: Period) -> list[Precision]:
    """What people said of the alerts raised in the period, by rule and network."""
    return [Precision(*row) for row in _rows(connection, "precision", period)]


def find_floods(times: Sequence[datetime], end: datetime) -> list[Flood]:
    """Floods among annunciations in order; one that still runs ends with the period. Pure."""
    floods: list[Flood] = []
    first, began = 0, None
    for place, at in enumerate(times):
        if began is None:
            while times[first] <= at - FLOOD_SPAN:
                first += 1
            if place - first + 1 <= FLOOD_ABOVE:
                continue
            began = first
        # The fifth newest leaves the span then, and with it there are less than five.
        over = times[max(place - FLOOD_BELOW + 1, began)] + FLOOD_SPAN
        if place + 1 == len(times) or times[place + 1] > over:
            floods.append(Flood(times[began + FLOOD_ABOVE], min(over, end), place - began + 1))
            first, began = place + 1, None
    return floods


def most_within(times: Sequence[datetime], span: timedelta) -> int:
    """The most annunciations in any span of this length."""
    most = first = 0
    for place, at in enumerate(times):
        while times[first] <= at - span:
            first += 1
        most = max(most, place - first + 1)
    return most


def _rows(connection: Connection, statement: str, period: Period, **more: Any) -> list[tuple[Any, ...]]:
    values = {"start": period.start, "end": period.end, "network": period.network, "kind": period.kind, **more}
    with storage_errors():
        return connection.execute(_SQL[statement], values).fetchall()
