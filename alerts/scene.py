"""All that a detector may look at, at one moment; and from its scores to findings, with hysteresis, once a subject."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import health
from alerts.detectors.ladder import Standing, stand
from alerts.detectors.silence import Ears
from alerts.inventory import Inventory
from alerts.knowledge import Knowledge
from alerts.rules import Scored, order_problems
from alerts.topology import Topology
from alerts.trend import STEP_S, Trend
from alerts.window import SLOT_S, Ints, Seconds, Series, Window
from lifeline.catalogue import Catalogue
from lifeline.model import Finding, JsonObject, Level, Subject, SubjectKind

Floats = NDArray[np.float64]
Held = Mapping[int, Level]

JUDGED_S = 1800.0
"""Scores older than this and twice the rule's delays change nothing any more."""
SETTLES_S = 24 * 3600.0
"""So long after an outage or a burst tanks fill again, most of them at night, which may lie a day ahead: until then a
network is not as ever (default)."""
STEPS = 2.0
"""A sensor that moved in each clean hour by more steps of its resolution than this cannot read the same for one."""
CARRIED_S = 900.0
"""A reading stands for its sensor for so long, where sensors are compared."""


@dataclass(frozen=True)
class Scene:
    """What is known now. ``held`` has, by rule, the level of the open and active alert of each subject."""

    now: datetime
    window: Window
    trend: Trend
    inventory: Inventory
    topology: Topology
    knowledge: Knowledge
    catalogue: Catalogue
    ears: Mapping[str, Ears]
    held: Mapping[str, Held]
    sick: NDArray[np.bool_]
    """Columns with an open alert on their health: what they say is no evidence."""
    alarmed: NDArray[np.bool_]
    """Columns with an open risk alert."""
    jumps: Mapping[int, int] = field(default_factory=dict)
    """How many implausible readings came lately, by sensor id."""
    lateness: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    """Median and least lateness of a device's messages, seconds, by device id."""
    memo: dict[tuple[str, int], Floats] = field(default_factory=dict)
    """What a detector worked out from the quarters; it lasts until the next is closed."""
    nights: dict[int, dict[int, float]] = field(default_factory=dict)
    """Minimum night flows since what was learned, by first inlet and local day: the trend holds but one night."""
    open_at: dict[tuple[str, int], float] = field(default_factory=dict)
    """When a rule that explains others last had an open alert, by rule and joined network, epoch seconds."""
    once: dict[str, Any] = field(default_factory=dict)
    """What several detectors need, worked out once for this moment."""

    @cached_property
    def stuck(self) -> NDArray[np.bool_]:
        """Columns that read the very same for an hour, though in each clean hour they moved by STEPS of their
        resolution and more: no evidence, and soon sick."""
        low, high = self.window.extremes(np.arange(len(self.inventory.sensor_ids)))
        still = (low == high) & (self.window.counts() >= health.MIN_FLAT_READINGS)
        found = np.zeros(len(still), np.bool_)
        for known in self.knowledge.parts:
            there = np.flatnonzero(known.columns >= 0)
            columns = known.columns[there]
            found[columns] = still[columns] & (known.part.brief[there] > STEPS * self.inventory.resolution[columns])
        return found

    def explained(self, rule: Scored, component: int) -> bool:
        """Whether a rule of ``unless`` explains what a joined network does now: it has an alert, or had one lately."""
        begun = self.now.timestamp() - SETTLES_S
        return component >= 0 and any(self.open_at.get((other, component), 0.0) >= begun for other in rule.unless)

    def highest(self, columns: Ints) -> Floats:
        """The highest reading of each column within the window; NaN where there is none."""
        return self.window.extremes(columns)[1].astype(np.float64)

    def recent(self, columns: Ints, *, healthy: bool = True, stands_s: float = CARRIED_S) -> tuple[Floats, Floats]:
        """Readings of the window, (slot, column) with the oldest first, each carried over gaps for ``stands_s``; and
        times, epoch seconds."""
        values, times = self._minutes(columns, healthy)
        return _carried(values, times, stands_s), times

    def day(self, columns: Ints, *, healthy: bool = True) -> tuple[Floats, Floats]:
        """The quarters of the last day up to the window, and then its minutes, as ``recent``."""
        values, times = self.trend.values(columns)
        minutes, clock = self._minutes(columns, healthy)
        before = times <= clock[0]
        if healthy:
            values[:, self.sick[columns]] = np.nan
        times = np.append(times[before], clock)
        return _carried(np.concatenate([values[before], minutes]), times), times

    def rain(
        self, gauges: Ints, *, stands_s: float = CARRIED_S, confirmed: bool = False, since: float | None = None
    ) -> tuple[Floats, Floats]:
        """mm that fell on gauges in each minute of the window, (slot, gauge), the first from ``since`` on, the last as
        far as it has gone; and the times of ``recent``. NaN where the gauge is sick, or nothing is known."""
        now, clock = self.now.timestamp(), self._clock()
        begin = clock[0] if since is None else since
        edges = np.append(begin, np.minimum(clock + SLOT_S, now))
        fallen = self.window.rain(gauges, edges, now, stands_s, confirmed=confirmed)
        fallen[:, self.sick[gauges]] = np.nan
        return fallen, clock

    def rain_of_day(self, gauges: Ints) -> tuple[Floats, Floats]:
        """mm that fell on gauges in each row of ``day``, (row, gauge), and its times."""
        mean, times = self.trend.values(gauges)
        before = times <= self._clock()[0]
        mean[:, self.sick[gauges]] = np.nan
        quarters = mean[before] * STEP_S / 3600.0
        minutes, clock = self.rain(gauges, since=float(times[before][-1]) if before.any() else None)
        return np.concatenate([quarters, minutes]), np.append(times[before], clock)

    def _minutes(self, columns: Ints, healthy: bool) -> tuple[Floats, Floats]:
        values = self.window.newest(columns, self.now.timestamp()).astype(np.float64)
        if healthy:
            values[:, self.sick[columns]] = np.nan
        return values, self._clock()

    def _clock(self) -> Floats:
        """Begin of each slot of the window, epoch seconds."""
        first = self.now.timestamp() // SLOT_S - self.window.slots + 1
        return np.asarray(SLOT_S * (first + np.arange(self.window.slots)), np.float64)

    def columns(self, rule: Scored, quantity: str) -> Ints:
        """Columns of a quantity that are in service and in a network of the rule, and not switched off by anyone."""
        found = self.inventory.by_quantity.get(quantity, np.empty(0, np.int64))
        rows = self.inventory.rows
        return np.array(
            [c for c in found.tolist() if rule.covers(rows[c].network) and self.inventory.in_service[c]], np.int64
        )


class Scores(NamedTuple):
    """What a detector says: score (row, subject) at ``times`` (row,), and the evidence behind a subject's."""

    subjects: list[Subject]
    values: Floats
    times: Floats
    evidence: Callable[[int], JsonObject]


def _carried(values: Floats, times: Floats, stands_s: float = CARRIED_S) -> Floats:
    """As detectors/rolling.carried, at once over all rows: for the few sensors that are compared with each other."""
    there = ~np.isnan(values)
    row = np.maximum.accumulate(np.where(there, np.arange(len(values))[:, None], -1), axis=0)
    before = np.maximum(row, 0)
    fresh = (row >= 0) & (times[:, None] - times[before] <= stands_s)
    return np.where(fresh, np.take_along_axis(values, before, axis=0), np.nan)


def judge(rule: Scored, scores: Scores, scene: Scene) -> list[Finding]:
    """Findings of a score: levels with hysteresis and delays over its rows (detectors/ladder.py)."""
    held = scene.held[rule.id]
    reach = scene.now.timestamp() - 2 * max(rule.on_delay_s, rule.off_delay_s) - JUDGED_S
    recent = int(np.searchsorted(scores.times, reach))
    scores = _worth(rule, scores._replace(values=scores.values[recent:], times=scores.times[recent:]), held, scene)
    if not scores.subjects:
        return []
    levels = np.array([held.get(subject.id, 0) for subject in scores.subjects], np.int8)
    sign = 1.0 if rule.when == "above" else -1.0
    limits = sign * np.stack([limits_of(rule, subject, scene) for subject in scores.subjects], axis=1)
    deadband = np.full(len(scores.subjects), rule.deadband)
    standing = stand(
        _series(sign * scores.values, scores.times - scene.now.timestamp()),
        limits.astype(np.float32),
        deadband.astype(np.float32),
        rule.on_delay_s,
        rule.off_delay_s,
        levels,
    )
    return [
        _finding(rule, scores, standing, place, scene.now)
        for place in np.flatnonzero((standing.level > 0) | (levels > 0)).tolist()
    ]


def limits_of(rule: Scored, subject: Subject, scene: Scene) -> Floats:
    """Limits of the four levels, red first: the subject's own where it has some."""
    limits: Mapping[Any, Any] = rule.limits
    if subject.kind is SubjectKind.SENSOR:
        own = scene.inventory.own_rule(subject.id, rule.id)
        if own is False:
            return np.full(len(Level), np.nan)
        if isinstance(own, dict) and not order_problems(own, rule.when):
            limits = own
    return np.array([limits.get(level.slug, np.nan) for level in Level], np.float64)


def _worth(rule: Scored, scores: Scores, held: Held, scene: Scene) -> Scores:
    """The subjects that reach a limit or have an alert: of the others there is nothing to say."""
    sign = 1.0 if rule.when == "above" else -1.0
    reached = np.fmax.reduce(sign * scores.values, axis=0, initial=-np.inf)
    worth = reached >= min(sign * limit for limit in rule.limits.values())
    if scene.inventory.has_own_rules:
        worth |= np.array([scene.inventory.own_rule(one.id, rule.id) is not None for one in scores.subjects], np.bool_)
    if held:
        worth |= np.array([subject.id in held for subject in scores.subjects], np.bool_)
    kept = np.flatnonzero(worth).tolist()
    if len(kept) == len(scores.subjects):
        return scores
    return Scores(
        [scores.subjects[place] for place in kept],
        scores.values[:, kept],
        scores.times,
        lambda place: scores.evidence(kept[place]),
    )


def _series(values: Floats, at: Seconds) -> Series:
    rows = values.astype(np.float32)
    times = np.where(np.isnan(values), np.nan, np.minimum(at, 0.0)[:, None])
    return Series(rows, rows, rows, times, times)


def _finding(rule: Scored, scores: Scores, standing: Standing, place: int, now: datetime) -> Finding:
    level = Level(int(standing.level[place])) if standing.level[place] else None
    since = standing.since[place]
    begun = now if np.isnan(since) else now + timedelta(seconds=float(since))
    seen = scores.values[:, place]
    newest = seen[~np.isnan(seen)]
    evidence = rule.words() | {
        "detector": rule.detector,
        "score": number(newest[-1]) if len(newest) else None,
        "score_limit": rule.limits.get((level or max(Level.from_slug(slug) for slug in rule.limits)).slug),  # type: ignore[call-overload]
        **scores.evidence(place),
    }
    return Finding(scores.subjects[place], rule.id, level, now, begun, evidence)


def of_sensors(scene: Scene, columns: Ints) -> list[Subject]:
    """Columns as subjects."""
    subjects = scene.inventory.subjects
    return [subjects[column] for column in columns.tolist()]


def one_of(values: Floats, held: NDArray[np.bool_]) -> Floats:
    """Scores (row, sensor) of which one sensor speaks for all: the one held already, else the one with the most.

    One that is held tells the most of any: what wanders from sensor to sensor is one event, and what gets worse
    elsewhere is not hidden."""
    last = np.nan_to_num(values, nan=-np.inf).max(axis=0, initial=-np.inf)
    speaker = int(np.argmax(np.where(held, np.inf, last)))
    silent = np.full(values.shape, np.nan)
    silent[:, speaker] = np.fmax.reduce(values, axis=1) if held.any() else values[:, speaker]
    return silent


def number(value: float | np.floating) -> float | None:
    """Four figures; None for NaN: evidence is JSON."""
    return float(f"{float(value):.4g}") if np.isfinite(value) else None
