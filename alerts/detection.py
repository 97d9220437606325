"""The detectors and their memory: everything between readings and findings. It knows no database and no clock.

A tick and a backtest are this with other sources. Losing it costs a start, never an alert.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.detectors import anomaly, chambers, drains, mains, rate, sickness, silence, storm, threshold, zones
from alerts.inventory import Inventory, build_inventory
from alerts.knowledge import Knowledge, Part
from alerts.lateness import Lateness
from alerts.reconciliation import Key
from alerts.rules import AnyRule, Rate, Scored, Silence, Threshold
from alerts.scene import Scene
from alerts.topology import Topology, build_topology
from alerts.trend import Trend
from alerts.voices import levels_of, united
from alerts.window import Window
from lifeline.catalogue import Catalogue
from lifeline.model import Alert, AlertKind, Finding, Level, Subject, SubjectKind
from lifeline.storage.alerts import is_active
from lifeline.storage.baselines import RAIN
from lifeline.storage.window import AssetRow, DeviceRow, Readings, SensorRow, States

Detector = Callable[[Any, Scene], list[Finding]]

MINUTE_S = 60.0


def _threshold(rule: Threshold, scene: Scene) -> list[Finding]:
    held = scene.held[rule.id]
    noise = scene.knowledge.noise
    found = threshold.detect(
        rule, scene.window, scene.inventory, scene.catalogue, held, scene.now, noise=noise, sick=scene.sick
    )
    return chambers.with_origin(rule, found, scene) if rule.origin else found


def _rate(rule: Rate, scene: Scene) -> list[Finding]:
    """``origin``: biogas may rise. ``until_learned``: sensors that the burst detector knows are its own, but for what
    is open already."""
    held = scene.held[rule.id]
    found = rate.detect(rule, scene.window, scene.inventory, scene.catalogue, held, scene.now)
    if rule.origin:
        return chambers.with_origin(rule, found, scene)
    if not rule.until_learned or not found:
        return found
    learned = set(scene.inventory.sensor_ids[scene.knowledge.of_mains].tolist())
    return [finding for finding in found if finding.subject.id in held or finding.subject.id not in learned]


DETECTORS: Mapping[str, Detector] = {
    "threshold": _threshold,
    "rate": _rate,
    "silence": lambda rule, scene: silence.detect(rule, scene.ears[rule.subject], scene.held[rule.id], scene.now),
    "anomaly": anomaly.detect,
    "burst": mains.detect_burst,
    "night_flow": zones.detect_night_flow,
    "balance": zones.detect_balance,
    "neighbours": chambers.detect_neighbours,
    "blockage": drains.detect_blockage,
    "rain_response": drains.detect_rain_response,
    "overflow": drains.detect_overflow,
    "storm": storm.detect_storm,
    "pump": drains.detect_pump,
    "health": sickness.detect,
}


class Detection:
    """Rules, inventory, window, trend and knowledge; ``look`` turns them into findings."""

    def __init__(self, rules: Sequence[AnyRule], catalogue: Catalogue, window_s: float) -> None:
        self.rules: dict[str, AnyRule] = {rule.id: rule for rule in rules}
        self.catalogue = catalogue
        nobody = np.empty(0, np.int32)
        self.window, self.trend = Window(nobody, window_s), Trend(nobody)
        self.inventory: Inventory = build_inventory([], [], catalogue)
        self.topology: Topology = build_topology([], [])
        self.knowledge = Knowledge([], nobody)
        self.jumps: Mapping[int, int] = {}
        self._parts: list[Part] = []
        self._lateness = Lateness()
        self._found: dict[str, list[Finding]] = {}
        self._minute = -1
        self._memo: dict[tuple[str, int], NDArray[np.float64]] = {}
        self._nights: dict[int, dict[int, float]] = {}
        self._explaining = {name for rule in rules if isinstance(rule, Scored) for name in rule.unless}
        self._open_at: dict[tuple[str, int], float] = {}

    def set_inventory(
        self, sensors: Sequence[SensorRow], devices: Sequence[DeviceRow], assets: Sequence[AssetRow]
    ) -> None:
        """Another inventory; what is remembered of sensors that stay is kept."""
        self.inventory = build_inventory(sensors, devices, self.catalogue)
        self.topology = build_topology(sensors, assets)
        rain = np.array([row.quantity == RAIN for row in sensors], np.bool_)
        self.window = self.window.carried_over(self.inventory.sensor_ids, rain)
        self.trend = self.trend.carried_over(self.inventory.sensor_ids, rain)
        self.set_knowledge(self._parts)

    def set_knowledge(self, parts: Iterable[Part]) -> None:
        """What was learned."""
        self._parts = list(parts)
        self.knowledge = Knowledge(self._parts, self.inventory.sensor_ids)
        self._minute = -1
        self._memo.clear()

    def take(self, readings: Readings, now: float) -> None:
        """Readings into the window."""
        self.window.merge(readings.sensor_id, readings.ts, readings.value, now)

    def close_quarters(self, now: float) -> bool:
        """Take the quarters that are over into the trend; True where there was one."""
        return self.trend.advance(self.window, now)

    def look(
        self,
        states: States,
        devices: Sequence[DeviceRow],
        open_alerts: Iterable[Alert],
        now: datetime,
        quarter: bool,
    ) -> tuple[list[Finding], set[Key]]:
        """Findings of every rule, and the silences that another explains. ``quarter``: one was closed just now."""
        open_alerts = list(open_alerts)
        self._lateness.note(self.inventory, states)
        scene = self._scene(states, devices, open_alerts, now)
        minute = int(now.timestamp() // MINUTE_S)
        due = {"minute": minute != self._minute, "quarter": quarter or self._minute < 0}
        self._minute = minute
        if quarter:
            self._memo.clear()
        findings: list[Finding] = []
        suppressed: set[Key] = set()
        for rule in self.rules.values():
            if not isinstance(rule, Scored):
                findings += DETECTORS[rule.detector](rule, scene)
            elif due["quarter" if rule.slow else "minute"] or rule.id not in self._found:
                self._found[rule.id] = _with_returns(rule.id, DETECTORS[rule.detector](rule, scene), scene)
            if isinstance(rule, Scored):
                findings += self._found[rule.id]
            if isinstance(rule, Silence):
                kind = SubjectKind.SENSOR if rule.subject == "sensor" else SubjectKind.DEVICE
                suppressed |= {(Subject(kind, one), rule.id) for one in silence.suppressed(scene.ears[rule.subject])}
        return united(self.rules, findings, open_alerts), suppressed

    def _columns(self, sensor_ids: list[int]) -> NDArray[np.bool_]:
        return np.isin(self.inventory.sensor_ids, np.array(sensor_ids, np.int32))

    def _scene(
        self, states: States, devices: Sequence[DeviceRow], open_alerts: Iterable[Alert], now: datetime
    ) -> Scene:
        held: dict[str, dict[int, Level]] = {rule: {} for rule in self.rules}
        sick, alarmed = [], []
        for alert in open_alerts:
            if alert.rule in held and is_active(alert):
                for rule, level in levels_of(alert).items():
                    held.get(rule, {})[alert.subject.id] = level
                if alert.subject.kind is SubjectKind.SENSOR and self.rules[alert.rule].detector == "health":
                    sick.append(alert.subject.id)
                elif alert.subject.kind is SubjectKind.SENSOR and alert.kind is AlertKind.RISK:
                    alarmed.append(alert.subject.id)
        for rule in self._explaining:
            columns = self.window.columns_of(np.array(list(held[rule]), np.int32))
            for component in np.unique(self.topology.component[columns[columns >= 0]]).tolist():
                self._open_at[rule, component] = now.timestamp()
        return Scene(
            now=now,
            window=self.window,
            trend=self.trend,
            inventory=self.inventory,
            topology=self.topology,
            knowledge=self.knowledge,
            catalogue=self.catalogue,
            ears=silence.listen(self.inventory, states, devices, now.timestamp()),
            held=held,
            sick=self._columns(sick),
            alarmed=self._columns(alarmed),
            jumps=self.jumps,
            lateness=self._lateness.by_device(),
            memo=self._memo,
            nights=self._nights,
            open_at=self._open_at,
        )


def _with_returns(rule: str, found: list[Finding], scene: Scene) -> list[Finding]:
    """An alert whose subject nobody judges any more (its group is gone, it is out of service) returns."""
    told = {finding.subject.id for finding in found}
    kind = found[0].subject.kind if found else SubjectKind.SENSOR
    gone = [one for one in scene.held[rule] if one not in told]
    return found + [Finding(Subject(kind, one), rule, None, scene.now, scene.now) for one in gone]
