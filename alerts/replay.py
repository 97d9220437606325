"""The past run again: the very detectors and life cycle of a tick over readings in memory, at any speed.

Nobody shelves or confirms in a replay: an alert that returned is acknowledged at once, so that the next is another one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

import numpy as np
from numpy.typing import NDArray

from alerts.detection import Detection
from alerts.reconciliation import Plan, reconcile
from alerts.trend import ROWS, STEP_S
from alerts.voices import levels_of
from lifeline.lifecycle import Event, step
from lifeline.model import Alert, AlertState, Level
from lifeline.storage.window import DeviceRow, Readings, States

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Episode:
    """One alert from its beginning to its end, None while it lasts. Times in epoch seconds."""

    alert: Alert
    first_seen: float
    raised_at: float
    worst: Level
    returned_at: float | None = None
    rules: dict[str, float] = field(default_factory=dict)
    """Every rule that held it, and from when on."""
    levels: list[tuple[float, Level]] = field(default_factory=list)
    """Its levels, and from when on."""

    def level_at(self, now: float) -> Level:
        """Its level at a moment; the first before there was any."""
        told = [level for since, level in self.levels if since <= now]
        return told[-1] if told else self.alert.level


class Book:
    """Alerts in memory, moved on by the life cycle's own table."""

    def __init__(self) -> None:
        self.open: dict[int, Alert] = {}
        self.episodes: dict[int, Episode] = {}
        self._ids = count(1)

    def apply(self, plan: Plan, now: datetime) -> None:
        """What a tick's transaction does."""
        for opening in plan.openings:
            finding = opening.finding
            if finding.level is None:
                continue
            alert = Alert(
                next(self._ids), finding.subject, finding.rule, opening.kind, "", finding.level, AlertState.UNACK,
                now, now, 1, finding.evidence,
            )  # fmt: skip
            self.open[alert.alert_id] = alert
            begun = finding.first_seen.timestamp()
            episode = Episode(alert, begun, now.timestamp(), finding.level)
            self.episodes[alert.alert_id] = episode
            _heard(episode, alert, now)
        for change in plan.changes:
            evidence = change.alert.evidence if change.evidence is None else change.evidence
            told = replace(change.alert, evidence=evidence)
            self._move(told, change.level, change.step.state, change.step.active, now)

    def _move(self, alert: Alert, level: Level, state: AlertState, active: bool, now: datetime) -> None:
        moved = replace(
            alert, level=level, state=state, updated_at=now, version=alert.version + 1,
            returned_at=None if active else alert.returned_at or now,
        )  # fmt: skip
        episode = self.episodes[alert.alert_id]
        episode.worst = min(episode.worst, level)
        _heard(episode, moved, now)
        episode.returned_at = None if active else (episode.returned_at or now.timestamp())
        acknowledged = step(moved.state, active, Event.ACKNOWLEDGE) if state is AlertState.RTNUN else None
        if state is AlertState.NORM or acknowledged is not None:
            del self.open[alert.alert_id]
        else:
            self.open[alert.alert_id] = moved


def _heard(episode: Episode, alert: Alert, now: datetime) -> None:
    if not episode.levels or episode.levels[-1][1] != alert.level:
        episode.levels.append((now.timestamp(), alert.level))
    for rule in levels_of(alert):
        episode.rules.setdefault(rule, now.timestamp())


class Replay:
    """Readings of one inventory, tick by tick. ``detection`` has its inventory, and its knowledge if there is any;
    ``devices`` gives the devices with their last wills at a time, ``ahead_s`` (sensor,) how far clocks run fast."""

    def __init__(
        self,
        detection: Detection,
        devices: Callable[[float], Sequence[DeviceRow]],
        ahead_s: Floats | None = None,
    ) -> None:
        self.detection, self.devices, self.book = detection, devices, Book()
        self._now = -np.inf
        sensors = len(detection.inventory.sensor_ids)
        self._newest = np.full(sensors, -np.inf)
        self._ahead = np.zeros(sensors) if ahead_s is None else ahead_s

    def start(self, readings: Readings, first: float) -> None:
        """Remember the day before ``first``, as a start reads it from the database."""
        detection = self.detection
        readings = _in_order(readings)
        begin, end = np.searchsorted(readings.ts, [first - ROWS * STEP_S, first], side="right")
        before = _part(readings, int(begin), int(end))
        recent = int(np.searchsorted(before.ts, detection.window.floor(first)))
        detection.take(_part(before, recent, len(before.ts)), first)
        detection.close_quarters(first)
        detection.trend.fill_readings(before.sensor_id, before.ts, before.value)
        self._note(before)
        self._now = first

    def run(self, readings: Readings, first: float, last: float, every_s: float) -> int:
        """Ticks every ``every_s`` seconds over ``(first, last]``; how many."""
        times = np.append(np.arange(first + every_s, last, every_s), last) if last > first else np.empty(0)
        self.run_at(readings, times.tolist())
        return len(times)

    def run_at(self, readings: Readings, times: Sequence[float], marked: Readings | None = None) -> None:
        """Ticks at ``times``, ascending, with what came since the tick before. ``marked``: implausible readings."""
        readings, jumps = _in_order(readings), _in_order(marked) if marked is not None else None
        begin = 0 if not len(times) else int(np.searchsorted(readings.ts, self._now, side="right"))
        for now in times:
            end = int(np.searchsorted(readings.ts, now, side="right"))
            if jumps is not None:
                recent = slice(*np.searchsorted(jumps.ts, [now - STEP_S, now], side="right"))
                ids, counts = np.unique(jumps.sensor_id[recent], return_counts=True)
                self.detection.jumps = dict(zip(ids.tolist(), counts.tolist(), strict=True))
            self._tick(_part(readings, begin, end), now)
            begin = end

    def _note(self, readings: Readings) -> None:
        ids = self.detection.inventory.sensor_ids
        column = np.minimum(np.searchsorted(ids, readings.sensor_id), max(len(ids) - 1, 0))
        known = ids[column] == readings.sensor_id if len(ids) else np.zeros(len(column), np.bool_)
        np.maximum.at(self._newest, column[known], readings.ts[known])

    def _dated(self, readings: Readings) -> Readings:
        """Readings as their devices date them."""
        if not self._ahead.any():
            return readings
        ahead = self._ahead[self.detection.window.columns_of(readings.sensor_id)]
        return Readings(readings.sensor_id, readings.ts + ahead, readings.value)

    def _tick(self, readings: Readings, now: float) -> None:
        detection, self._now = self.detection, now
        ids = detection.inventory.sensor_ids
        self._note(readings)
        detection.take(self._dated(readings), now)
        quarter = detection.close_quarters(now)
        spoke = np.isfinite(self._newest)
        newest = self._newest[spoke]
        states = States(ids[spoke], newest + self._ahead[spoke], newest, np.zeros(len(newest), np.int32))
        at = datetime.fromtimestamp(now, UTC)
        alerts = list(self.book.open.values())
        findings, suppressed = detection.look(states, self.devices(now), alerts, at, quarter)
        self.book.apply(reconcile(detection.rules, findings, alerts, suppressed), at)


def _in_order(readings: Readings) -> Readings:
    order = np.argsort(readings.ts, kind="stable")
    return Readings(readings.sensor_id[order], readings.ts[order], readings.value[order])


def _part(readings: Readings, begin: int, end: int) -> Readings:
    return Readings(readings.sensor_id[begin:end], readings.ts[begin:end], readings.value[begin:end])


def long_form(values: Floats, times: Floats, sensor_ids: NDArray[np.int32]) -> Readings:
    """A (time, sensor) matrix as readings; NaN is none."""
    row, column = np.nonzero(~np.isnan(values))
    return Readings(sensor_ids[column], times[row], values[row, column])
