"""The past run again: the very detectors and life cycle of a tick over readings in memory, at any speed.

Nobody shelves or confirms in a replay: an alert that returned is acknowledged at once, so that the next is another one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count

import numpy as np
from numpy.typing import NDArray

from alerts.detection import Detection
from alerts.reconciliation import Plan, reconcile
from alerts.trend import ROWS, STEP_S
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
            self.episodes[alert.alert_id] = Episode(alert, begun, now.timestamp(), finding.level)
        for change in plan.changes:
            self._move(change.alert, change.level, change.step.state, change.step.active, now)

    def _move(self, alert: Alert, level: Level, state: AlertState, active: bool, now: datetime) -> None:
        moved = replace(
            alert, level=level, state=state, updated_at=now, version=alert.version + 1,
            returned_at=None if active else alert.returned_at or now,
        )  # fmt: skip
        episode = self.episodes[alert.alert_id]
        episode.worst = min(episode.worst, level)
        episode.returned_at = None if active else (episode.returned_at or now.timestamp())
        acknowledged = step(moved.state, active, Event.ACKNOWLEDGE) if state is AlertState.RTNUN else None
        if state is AlertState.NORM or acknowledged is not None:
            del self.open[alert.alert_id]
        else:
            self.open[alert.alert_id] = moved


class Replay:
    """Readings of one inventory, tick by tick. ``detection`` has its inventory, and its knowledge if there is any;
    ``devices`` gives the devices with their last wills at a time."""

    def __init__(self, detection: Detection, devices: Callable[[float], Sequence[DeviceRow]]) -> None:
        self.detection, self.devices, self.book = detection, devices, Book()
        sensors = len(detection.inventory.sensor_ids)
        self._newest, self._received = np.full(sensors, -np.inf), np.full(sensors, -np.inf)

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

    def run(self, readings: Readings, first: float, last: float, every_s: float) -> int:
        """Ticks every ``every_s`` seconds over ``(first, last]``; how many."""
        readings = _in_order(readings)
        now, begin, ticks = first, int(np.searchsorted(readings.ts, first, side="right")), 0
        while now < last:
            now = min(now + every_s, last)
            end = int(np.searchsorted(readings.ts, now, side="right"))
            self._tick(_part(readings, begin, end), now)
            begin, ticks = end, ticks + 1
        return ticks

    def _note(self, readings: Readings) -> None:
        ids = self.detection.inventory.sensor_ids
        column = np.minimum(np.searchsorted(ids, readings.sensor_id), max(len(ids) - 1, 0))
        known = ids[column] == readings.sensor_id if len(ids) else np.zeros(len(column), np.bool_)
        np.maximum.at(self._newest, column[known], readings.ts[known])

    def _tick(self, readings: Readings, now: float) -> None:
        detection = self.detection
        ids = detection.inventory.sensor_ids
        detection.take(readings, now)
        self._note(readings)
        quarter = detection.close_quarters(now)
        spoke = np.isfinite(self._newest)
        newest = self._newest[spoke]
        states = States(ids[spoke], newest, newest, np.zeros(len(newest), np.int32))
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
